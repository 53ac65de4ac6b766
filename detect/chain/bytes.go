package chain

import (
	"math/bits"

	"github.com/dejpha/dejpha/rule"
)

// readNumber takes count bytes at at as a binary number.
func readNumber(b []byte, at int64, count int64, little bool) (uint64, bool) {
	if count < 1 || count > 8 || at < 0 || at+count > int64(len(b)) {
		return 0, false
	}
	var v uint64
	for i := int64(0); i < count; i++ {
		if little {
			v |= uint64(b[at+i]) << (8 * i)
		} else {
			v = v<<8 | uint64(b[at+i])
		}
	}
	return v, true
}

// textMax is the longest number written out that is read: 23 octal digits make more than 64 bits.
const textMax = 23

// readText takes up to count characters at at as a number, like strtoull; used says how many were read.
// A count of 0 takes as many as there are.
func readText(b []byte, at int64, count int64, base int) (v uint64, used int64, ok bool) {
	if count == 0 && at >= 0 && at < int64(len(b)) {
		count = min(textMax, int64(len(b))-at)
	}
	if count < 1 || count > textMax || at < 0 || at+count > int64(len(b)) {
		return 0, 0, false
	}
	t := b[at : at+count]
	i := 0
	for i < len(t) && (t[i] == ' ' || t[i] >= 9 && t[i] <= 13) {
		i++
	}
	negative := false
	if i < len(t) && (t[i] == '+' || t[i] == '-') {
		negative = t[i] == '-'
		i++
	}
	if (base == 16 || base == 0) && i+2 < len(t) && t[i] == '0' && t[i+1]|0x20 == 'x' && digit(t[i+2]) < 16 {
		i += 2
		base = 16
	} else if base == 0 {
		base = 10
		if i < len(t) && t[i] == '0' {
			base = 8
		}
	}
	first := i
	for i < len(t) && digit(t[i]) < base {
		v = v*uint64(base) + uint64(digit(t[i]))
		i++
	}
	if negative {
		v = -v
	}
	return v, int64(i), i > first
}

func digit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return 99
}

// field describes the number that a byte keyword reads.
type field struct {
	count, offset                 int64
	relative, little, String, dce bool
	base                          int
	mask                          uint64
}

// read returns the number, where it began and how many bytes it took.
func (e *Eval) read(f field, pos int) (v uint64, at, used int64, ok bool) {
	at = f.offset
	if f.relative {
		at += int64(pos)
	}
	if f.String {
		v, used, ok = readText(e.buf, at, f.count, f.base)
		return v, at, used, ok
	}
	little := f.little
	if f.dce {
		little = !e.DCEBig
	}
	v, ok = readNumber(e.buf, at, f.count, little)
	if f.mask != 0 {
		v = v & f.mask >> bits.TrailingZeros64(f.mask)
	}
	return v, at, f.count, ok
}

func (e *Eval) byteTest(t *rule.ByteTest, pos int) bool {
	v, _, _, ok := e.read(field{boundOf(t.Count).place(e.Vars), boundOf(t.Offset).place(e.Vars), t.Relative, t.Little, t.String, t.DCE, t.Base, t.Bitmask}, pos)
	if !ok {
		return false
	}
	want := uint64(boundOf(t.Value).get(e.Vars))
	var r bool
	switch t.Op {
	case "<":
		r = v < want
	case ">":
		r = v > want
	case "=":
		r = v == want
	case "<=":
		r = v <= want
	case ">=":
		r = v >= want
	case "!=":
		r = v != want
	case "&":
		r = v&want != 0
	case "^":
		r = v^want != 0
	}
	return r != t.Negated
}

// byteJump returns the new position.
func (e *Eval) byteJump(t *rule.ByteJump, pos int) (int, bool) {
	f := field{boundOf(t.Count).place(e.Vars), boundOf(t.Offset).place(e.Vars), t.Relative, t.Little, t.String, t.DCE, t.Base, t.Bitmask}
	var v uint64
	var at, used int64
	if f.count > 0 {
		var ok bool
		if v, at, used, ok = e.read(f, pos); !ok {
			return 0, false
		}
	} else if at = f.offset; f.relative {
		at += int64(pos)
	}
	if t.Multiplier > 1 {
		v *= uint64(t.Multiplier)
	}
	if t.Align && v%4 != 0 {
		v += 4 - v%4
	}
	if v > 1<<31 {
		return 0, false
	}
	to := int64(v) + int64(t.PostOffset)
	switch {
	case t.FromBeginning:
	case t.FromEnd:
		to += int64(len(e.buf))
	default:
		to += at + used
	}
	if to > int64(len(e.buf)) {
		return 0, false
	}
	return int(max(to, 0)), true // before the start is the start, as in Suricata
}

func (e *Eval) setVar(i int, v uint64) {
	if i >= 0 && i < len(e.Vars) {
		e.Vars[i] = v
	}
}

func (e *Eval) byteExtract(t *rule.ByteExtract, pos int) bool {
	v, _, _, ok := e.read(field{boundOf(t.Count).place(e.Vars), boundOf(t.Offset).place(e.Vars), t.Relative, t.Little, t.String, t.DCE, t.Base, t.Bitmask}, pos)
	if !ok {
		return false
	}
	if t.Multiplier > 1 {
		v *= uint64(t.Multiplier)
	}
	if a := uint64(t.Align); a > 1 && v%a != 0 {
		v += a - v%a
	}
	e.setVar(t.VarIndex, v)
	return true
}

func (e *Eval) byteMath(t *rule.ByteMath, pos int) bool {
	v, _, _, ok := e.read(field{boundOf(t.Count).place(e.Vars), boundOf(t.Offset).place(e.Vars), t.Relative, t.Little, t.String, t.DCE, t.Base, 0}, pos)
	if !ok {
		return false
	}
	r := uint64(boundOf(t.RValue).get(e.Vars))
	switch t.Op {
	case "+":
		v += r
	case "-":
		v -= r
	case "*":
		v *= r
	case "/":
		if r == 0 {
			return false
		}
		v /= r
	case "<<":
		if r >= 64 {
			v = 0
		} else {
			v <<= r
		}
	case ">>":
		if r >= 64 {
			v = 0
		} else {
			v >>= r
		}
	}
	if t.Bitmask != 0 {
		v = v & t.Bitmask >> bits.TrailingZeros64(t.Bitmask)
	}
	e.setVar(t.VarIndex, v)
	return true
}
