package chain

import (
	"bytes"
	"encoding/base64"

	"github.com/dejpha/dejpha/detect/regex"
)

// inspectLimit bounds the search for relative matches on one buffer; Suricata's inspection-recursion-limit.
const inspectLimit = 3000

// Steps that all expressions of a chain may take on one buffer: a content that occurs everywhere must not start a
// costly expression thousands of times.
const (
	regexSteps     = 100_000
	regexStepsByte = 64
)

// Eval is the state of one rule's evaluation. One per worker, reused. Vars, DCEBig and Start are set by the caller.
type Eval struct {
	Vars    []uint64
	machine regex.Machine
	decoded []byte // of base64_decode
	buf     []byte
	left    int  // inspections left
	stop    bool // no other position can help
	DCEBig  bool // byte order of a DCE buffer
	Over    bool // an expression's budget was spent
	Caught  []Captured
	Start   uint64 // offset of buf in the whole, for growing buffers
	scratch [2][]byte
}

// Captured is a group to be kept if the rule matches.
type Captured struct {
	Scope, Name string
	Value       []byte
}

// Run says whether the chain holds on buf.
func (e *Eval) Run(c *Chain, buf []byte) bool {
	if len(c.steps) == 0 {
		return true
	}
	e.buf, e.left, e.stop = buf, inspectLimit, false
	e.machine.Budget = regexSteps + regexStepsByte*len(buf)
	return e.next(c.steps, 0)
}

// next runs the steps with the position where the last match ended.
func (e *Eval) next(steps []step, pos int) bool {
	for i := range steps {
		s := &steps[i]
		if e.left--; e.left < 0 {
			e.stop = true
			return false
		}
		switch s.kind {
		case stContent:
			return e.content(s, steps[i+1:], pos)
		case stPCRE:
			return e.pcre(s, steps[i+1:], pos)
		case stByteJump:
			p, ok := e.byteJump(s.jump, pos)
			if !ok {
				return false
			}
			pos = p
		default:
			if !e.simple(s, pos) {
				return false
			}
		}
	}
	return true
}

// simple runs the steps that leave the position as it is.
func (e *Eval) simple(s *step, pos int) bool {
	switch s.kind {
	case stByteTest:
		return e.byteTest(s.test, pos)
	case stByteExtract:
		return e.byteExtract(s.extract, pos)
	case stByteMath:
		return e.byteMath(s.math, pos)
	case stIsDataAt:
		at := boundOf(s.data.At).place(e.Vars)
		var ok bool
		if s.relative {
			ok = int64(pos)+at <= int64(len(e.buf))
		} else {
			ok = at < int64(len(e.buf))
		}
		return ok != s.negated
	case stSize:
		a := s.size.A
		if s.size.AVar > 0 && s.size.AVar <= len(e.Vars) {
			a = e.Vars[s.size.AVar-1]
		}
		return Compare(s.size.Op, uint64(len(e.buf)), a, s.size.B)
	case stBase64:
		return e.base64(s, pos)
	}
	return s.kind == stAbsent && s.negated // the buffer is there: "or else" leaves it to the rest
}

// window is where a content may lie: from lo to hi in the buffer.
func (e *Eval) window(s *step, pos int) (lo, hi int64) {
	n := int64(len(e.buf))
	lo, hi = 0, n
	if s.relative {
		lo = int64(pos)
		d := int64(0)
		if s.hasDistance {
			d = s.distance.place(e.Vars)
			lo = max(lo+d, 0)
		}
		if s.hasWithin {
			hi = min(int64(pos)+d+s.within.place(e.Vars), n)
		}
		if s.hasDepth {
			hi = min(hi, int64(pos)+s.depth.place(e.Vars))
		}
		if s.hasOffset {
			lo = max(lo, s.offset.place(e.Vars))
		}
		return max(lo, 0), min(hi, n)
	}
	if s.hasOffset {
		lo = s.offset.place(e.Vars)
	}
	if s.hasDepth {
		hi = lo + s.depth.place(e.Vars) // depth counts from offset
	}
	// The buffer may be the later part of a growing whole.
	if e.Start > 0 && (s.hasOffset || s.hasDepth) {
		lo = max(lo-int64(e.Start), 0)
		if s.hasDepth {
			hi = max(hi-int64(e.Start), 0)
		}
	}
	return max(lo, 0), min(hi, n)
}

func (e *Eval) content(s *step, rest []step, pos int) bool {
	lo, hi := e.window(s, pos)
	for {
		at := -1
		if lo <= hi && hi > 0 {
			at = s.find(e.buf[lo:hi], int64(len(e.buf)) == hi)
		}
		if s.negated {
			if at >= 0 {
				if !s.relative {
					e.stop = true
				}
				return false
			}
			return e.next(rest, pos)
		}
		if at < 0 {
			return false
		}
		end := int(lo) + at + len(s.lit)
		if e.next(rest, end) {
			return true
		}
		if !s.relNext || e.stop {
			return false
		}
		lo += int64(at) + 1
		if e.left--; e.left < 0 {
			e.stop = true
			return false
		}
	}
}

// find returns the first place of the literal in t, -1 if none.
func (s *step) find(t []byte, atEnd bool) int {
	n := len(s.lit)
	if len(t) < n {
		return -1
	}
	if s.endsWith {
		if !atEnd {
			return -1
		}
		if s.equal(t[len(t)-n:]) {
			return len(t) - n
		}
		return -1
	}
	if !s.nocase {
		return bytes.Index(t, s.lit)
	}
	return indexFold(t, s.lit, s.rare)
}

func (s *step) equal(t []byte) bool {
	if !s.nocase {
		return bytes.Equal(t, s.lit)
	}
	return equalFold(t, s.lit)
}

func (e *Eval) pcre(s *step, rest []step, pos int) bool {
	base := 0
	if s.relative {
		base = min(pos, len(e.buf))
	}
	text := e.buf[base:]
	for from := 0; ; {
		start, end, ok := e.machine.Match(s.re, text, from)
		if e.machine.Exceeded() {
			e.Over = true
			return false
		}
		if s.negated {
			if ok {
				if !s.relative {
					e.stop = true
				}
				return false
			}
			return e.next(rest, pos)
		}
		if !ok {
			return false
		}
		mark := len(e.Caught)
		e.catch(s)
		if e.next(rest, base+end) {
			return true
		}
		e.Caught = e.Caught[:mark]
		if !s.relNext || e.stop {
			return false
		}
		from = start + 1
		if e.left--; e.left < 0 || from > len(text) {
			e.stop = true
			return false
		}
	}
}

func (e *Eval) catch(s *step) {
	for i, c := range s.captures {
		if v, ok := e.machine.Capture(i + 1); ok {
			e.Caught = append(e.Caught, Captured{c.Scope, c.Name, v})
		}
	}
}

// base64 decodes into e.decoded; what cannot be decoded ends it.
func (e *Eval) base64(s *step, pos int) bool {
	lo := int64(0)
	if s.relative {
		lo = int64(pos)
	}
	lo += boundOf(s.base64.Offset).place(nil)
	if lo < 0 || lo >= int64(len(e.buf)) {
		return false
	}
	src := e.buf[lo:]
	if n := s.base64.Bytes.Value; n > 0 && n < int64(len(src)) {
		src = src[:n]
	}
	e.decoded = decodeBase64(e.decoded[:0], src)
	if len(e.decoded) == 0 {
		return false
	}
	outer, left, start := e.buf, e.left, e.Start
	defer func() { e.buf, e.left, e.Start = outer, left, start }()
	e.buf, e.Start = e.decoded, 0
	for i := range s.inner {
		if !e.next(s.inner[i].steps, 0) {
			return false
		}
	}
	return true
}

// decodeBase64 appends what the leading alphabet characters of src decode to (blanks skipped, RFC 2045).
func decodeBase64(dst, src []byte) []byte {
	var quad [4]byte
	n := 0
	for _, c := range src {
		if c == ' ' || c == '\r' || c == '\n' || c == '\t' {
			continue
		}
		if !(c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/') {
			break
		}
		quad[n] = c
		if n++; n == 4 {
			dst = appendQuad(dst, quad[:4])
			n = 0
		}
	}
	if n >= 2 {
		dst = appendQuad(dst, quad[:n])
	}
	return dst
}

func appendQuad(dst, quad []byte) []byte {
	var out [3]byte
	n, _ := base64.RawStdEncoding.Decode(out[:], quad)
	return append(dst, out[:n]...)
}
