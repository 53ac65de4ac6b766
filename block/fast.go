package block

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"strconv"
)

// Lines of blocks are most of a journal: a million of them are read at a start and written anew. They are written in one
// form, and read back without a general parser; any other form of the same is read as JSON.

const (
	fastStart  = `{"block":{"prefix":"`
	fastUntil  = `","until":`
	fastRate   = `,"rate":`
	fastAttack = `,"attack":`
	fastBy     = `,"by":`
	fastSince  = `,"since":`
	fastEnd    = `}}`
)

// scribe writes and reads lines of blocks; reasons, of which there are few, are quoted and kept once.
type scribe struct{ by, quoted string }

// room is about how long the line of a block is, bytes.
func room(e *Entry) int { return 160 + len(e.By) }

// append writes a block's line, with its newline; the same bytes as encoding/json's.
func (s *scribe) append(out []byte, e *Entry) []byte {
	if s.quoted == "" || s.by != e.By {
		q, err := json.Marshal(e.By)
		if err != nil {
			return out // no text can fail
		}
		s.by, s.quoted = e.By, string(q)
	}
	out = append(out, fastStart...)
	out = e.Prefix.AppendTo(out)
	out = append(out, fastUntil...)
	out = strconv.AppendInt(out, e.Until, 10)
	if e.Rate != 0 {
		out = strconv.AppendUint(append(out, fastRate...), uint64(e.Rate), 10)
	}
	if e.Attack != 0 {
		out = strconv.AppendUint(append(out, fastAttack...), e.Attack, 10)
	}
	out = append(append(out, fastBy...), s.quoted...)
	out = strconv.AppendInt(append(out, fastSince...), e.Since, 10)
	return append(append(out, fastEnd...), '\n')
}

// read takes a line that append may have written; false: it is another, or damaged.
func (s *scribe) read(text []byte) (e Entry, ok bool) {
	c := cut{rest: bytes.TrimSuffix(text, []byte("\n"))}
	c.word(fastStart)
	prefix := c.until('"')
	c.word(fastUntil[1:])
	e.Until = c.number()
	if c.has(fastRate) {
		n := c.number()
		e.Rate = uint32(n)
		c.wrong = c.wrong || n < 0 || n > 1<<32-1
	}
	if c.has(fastAttack) {
		n := c.number()
		e.Attack = uint64(n)
		c.wrong = c.wrong || n < 0 // one past 63 bits is read as JSON
	}
	c.word(fastBy)
	c.word(`"`)
	by := c.until('"')
	c.word(fastSince)
	e.Since = c.number()
	c.word(fastEnd)
	if c.wrong || len(c.rest) > 0 || bytes.IndexByte(by, '\\') >= 0 || !unescaped(by) {
		return e, false
	}
	if string(by) != s.by {
		s.by = string(by)
	}
	e.By = s.by
	p, err := netip.ParsePrefix(string(prefix))
	e.Prefix = p
	return e, err == nil
}

// unescaped says that a text holds nothing that JSON would spell in another way.
func unescaped(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// cut takes a line apart from its start.
type cut struct {
	rest  []byte
	wrong bool
}

func (c *cut) has(word string) bool {
	if c.wrong || !bytes.HasPrefix(c.rest, []byte(word)) {
		return false
	}
	c.rest = c.rest[len(word):]
	return true
}

func (c *cut) word(word string) { c.wrong = !c.has(word) || c.wrong }

// until takes what stands before a mark, and the mark.
func (c *cut) until(mark byte) []byte {
	i := bytes.IndexByte(c.rest, mark)
	if c.wrong || i < 0 {
		c.wrong = true
		return nil
	}
	b := c.rest[:i]
	c.rest = c.rest[i+1:]
	return b
}

func (c *cut) number() int64 {
	n := 0
	for n < len(c.rest) && (c.rest[n] >= '0' && c.rest[n] <= '9' || n == 0 && c.rest[n] == '-') {
		n++
	}
	v, err := strconv.ParseInt(string(c.rest[:n]), 10, 64)
	c.wrong = c.wrong || err != nil || n > 1 && c.rest[0] == '0'
	c.rest = c.rest[n:]
	return v
}
