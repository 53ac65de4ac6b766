package chain

import "bytes"

// foldTries is how many places in vain, beside one in 16 bytes, indexFold looks at before it goes byte by byte.
const foldTries = 8

// indexFold finds lit, which is in upper case, whatever the text's case; -1: it is not there. It jumps from one place
// of the byte lit[rare] to the next, which the library searches many bytes at a time. A text full of that byte, which
// its sender may choose, is walked through instead.
func indexFold(t, lit []byte, rare int) int {
	last := len(t) - len(lit)
	if len(lit) == 0 || last < 0 {
		return max(min(last, 0), -1)
	}
	text := t[rare : rare+last+1] // where the byte may lie
	up := places{text: text, c: lit[rare]}
	low := places{text: text, c: lower(lit[rare]), at: len(text)}
	up.next(0)
	if low.c != up.c {
		low.next(0)
	}
	for tries := 0; ; tries++ {
		i := min(up.at, low.at)
		if i > last {
			return -1
		}
		if equalFold(t[i:i+len(lit)], lit) {
			return i
		}
		if tries > foldTries+i/16 {
			return walkFold(t, lit, i+1)
		}
		if i == up.at {
			up.next(i + 1)
		} else {
			low.next(i + 1)
		}
	}
}

// places goes through the places of a byte in a text.
type places struct {
	text []byte
	c    byte
	at   int // len(text): no more
}

func (p *places) next(from int) {
	if i := bytes.IndexByte(p.text[from:], p.c); i >= 0 {
		p.at = from + i
		return
	}
	p.at = len(p.text)
}

// walkFold is indexFold from a place on, byte by byte.
func walkFold(t, lit []byte, from int) int {
	c, low := lit[0], lower(lit[0])
	for i := from; i+len(lit) <= len(t); i++ {
		if (t[i] == c || t[i] == low) && equalFold(t[i:i+len(lit)], lit) {
			return i
		}
	}
	return -1
}

// equalFold compares with lit, which is in upper case and as long.
func equalFold(t, lit []byte) bool {
	for i, c := range lit {
		if upper(t[i]) != c {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 32
	}
	return c
}

// rarest returns the place of the byte of lit that traffic is likely to have least of.
func rarest(lit []byte) int {
	at, best := 0, 100
	for i, c := range lit {
		if v := commonness(c); v < best {
			at, best = i, v
		}
	}
	return at
}

// commonness grades bytes in upper case by how often text and binary protocols have them. A letter counts more for
// being looked for twice.
func commonness(c byte) int {
	switch {
	case c == 0 || c == ' ' || c == 0xff:
		return 9
	case bytes.IndexByte([]byte("ETAOINSRHL"), c) >= 0:
		return 8
	case bytes.IndexByte([]byte("DCUMFPG./-=:\"<>\r\n"), c) >= 0:
		return 7
	case c >= 'A' && c <= 'Z' || c >= '0' && c <= '9':
		return 5
	case c >= 0x80:
		return 4
	}
	return 2
}
