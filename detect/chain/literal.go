package chain

import "github.com/dejpha/dejpha/rule"

// Fast is a literal that a rule may be filed under: no match without it.
type Fast struct {
	Content *rule.Content // nil: none
	Bytes   []byte
	NoCase  bool
	Offset  uint32 // it starts there or later
	Depth   uint32 // it ends there or before; 0: no bound
}

// scoreChosen is the score of a literal whose author wrote fast_pattern.
const scoreChosen = 1 << 30

// Best returns the chain's strongest literal and its score, -1 if it has none.
func (c *Chain) Best() (best Fast, score int) {
	score = -1
	if c.AcceptsAbsent() {
		return best, score
	}
	for i := range c.steps {
		s := &c.steps[i]
		if s.kind != stContent || s.negated || len(s.lit) == 0 {
			continue
		}
		v := strength(s.lit)
		if s.source.FastPattern {
			v = scoreChosen
		}
		if v > score {
			best, score = s.fast(), v
		}
	}
	return best, score
}

// strength estimates how rare a literal is: length counts, repeated and common bytes count less.
func strength(lit []byte) int {
	v := 0
	var seen [4]uint64
	for _, c := range lit {
		w := 3
		switch {
		case c == 0 || c == ' ' || c == 0xff:
			w = 1
		case c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z':
			w = 4
		}
		if seen[c>>6]>>(c&63)&1 != 0 {
			w = (w + 1) / 2
		}
		seen[c>>6] |= 1 << (c & 63)
		v += w
	}
	return min(v, 80)
}

func (s *step) fast() Fast {
	t := s.source
	f := Fast{Content: t, Bytes: t.Pattern, NoCase: t.NoCase}
	if t.FastLength > 0 && t.FastOffset >= 0 && t.FastOffset+t.FastLength <= len(t.Pattern) {
		f.Bytes = t.Pattern[t.FastOffset : t.FastOffset+t.FastLength]
		return f
	}
	if s.relative || s.offset.ref > 0 || s.depth.ref > 0 {
		return f
	}
	if s.hasOffset && s.offset.value > 0 && s.offset.value < 1<<30 {
		f.Offset = uint32(s.offset.value)
	}
	if s.hasDepth && s.depth.value > 0 && s.depth.value < 1<<30 {
		f.Depth = f.Offset + uint32(s.depth.value)
	}
	return f
}
