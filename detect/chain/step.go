// Package chain judges the conditions that a rule puts on the inside of one buffer.
//
// In: the checked conditions once; at run time a buffer. Out: whether they all hold, with
// every way of placing relative matches tried, as Suricata does. Called by detect for each
// candidate rule. A Chain and a Transform are immutable; an Eval is one worker's memory. The
// work on a buffer is bounded by a number of inspections and by the expressions' step budget.
package chain

import (
	"github.com/dejpha/dejpha/detect/regex"
	"github.com/dejpha/dejpha/rule"
)

type stepKind uint8

const (
	stContent stepKind = iota
	stPCRE
	stByteTest
	stByteJump
	stByteExtract
	stByteMath
	stIsDataAt
	stSize // bsize, urilen, dsize on the buffer
	stBase64
	stAbsent
	stFail
)

// step is one condition of a chain.
type step struct {
	kind              stepKind
	negated, nocase   bool
	relative, relNext bool
	endsWith          bool
	hasOffset         bool
	hasDepth          bool
	hasDistance       bool
	hasWithin         bool
	offset, depth     bound
	distance, within  bound
	lit               []byte // upper case if nocase
	rare              int    // place in lit of the byte to look for first; valid if nocase
	source            *rule.Content
	re                *regex.Regex
	captures          []rule.Capture
	captureVars       []uint16
	test              *rule.ByteTest
	jump              *rule.ByteJump
	extract           *rule.ByteExtract
	math              *rule.ByteMath
	data              *rule.IsDataAt
	size              *rule.Number
	base64            *rule.Base64Decode
	inner             []Chain // on what base64 decodes to
	needs             bool    // moves the position: later relative steps count from it
}

// bound is a number or 1 + the index of a variable.
type bound struct {
	value int64
	ref   int32
}

func boundOf(b rule.Bound) bound {
	if b.Var != "" {
		return bound{ref: int32(b.VarIndex) + 1}
	}
	return bound{value: b.Value}
}

func (b bound) get(vars []uint64) int64 {
	if b.ref > 0 && int(b.ref) <= len(vars) {
		return int64(vars[b.ref-1])
	}
	return b.value
}

// boundMax keeps positions out of the reach of overflow: traffic chooses what variables hold.
const boundMax = 1 << 32

// place is get for a position or a length.
func (b bound) place(vars []uint64) int64 {
	return min(max(b.get(vars), -boundMax), boundMax)
}

func upper(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c - 32
	}
	return c
}

// Chain is the compiled conditions on one buffer. Immutable.
type Chain struct{ steps []step }

// Refusal is a condition that cannot be run.
type Refusal struct {
	Pos rule.Pos
	Why string
}

// AcceptsAbsent says whether a buffer that is not there can meet the chain: only the keyword absent accepts it.
func (c *Chain) AcceptsAbsent() bool {
	for i := range c.steps {
		if c.steps[i].kind == stAbsent {
			return true
		}
	}
	return false
}

// Compile compiles the conditions that look into a buffer.
func Compile(conds []rule.Condition) (Chain, *Refusal) {
	var c Chain
	for _, x := range conds {
		s, why := makeStep(x)
		if why != nil {
			return c, why
		}
		c.steps = append(c.steps, s)
	}
	for i := range c.steps {
		c.steps[i].relNext = followed(c.steps[i+1:])
	}
	return c, nil
}

// followed says whether a later step counts from the position this one leaves.
func followed(rest []step) bool {
	for i := range rest {
		if rest[i].relative {
			return true
		}
		if rest[i].needs {
			return false
		}
	}
	return false
}

func makeStep(x rule.Condition) (step, *Refusal) {
	switch t := x.(type) {
	case *rule.Content:
		return contentStep(t), nil
	case *rule.PCRE:
		return pcreStep(t)
	case *rule.ByteTest:
		return step{kind: stByteTest, test: t, negated: t.Negated, relative: t.Relative}, nil
	case *rule.ByteJump:
		return step{kind: stByteJump, jump: t, relative: t.Relative, needs: true}, nil
	case *rule.ByteExtract:
		return step{kind: stByteExtract, extract: t, relative: t.Relative}, nil
	case *rule.ByteMath:
		return step{kind: stByteMath, math: t, relative: t.Relative}, nil
	case *rule.IsDataAt:
		return step{kind: stIsDataAt, data: t, negated: t.Negated, relative: t.Relative}, nil
	case *rule.Number:
		return step{kind: stSize, size: t}, nil
	case *DecodedData:
		return step{kind: stBase64, base64: t.Base64Decode, relative: t.Relative, inner: []Chain{t.Inner}}, nil
	case *rule.Base64Decode:
		return step{kind: stBase64, base64: t, relative: t.Relative}, nil
	case *rule.Absent:
		return step{kind: stAbsent, negated: t.OrElse}, nil
	}
	return step{}, &Refusal{Why: x.Keyword() + " is not known to detection"}
}

func contentStep(t *rule.Content) step {
	s := step{kind: stContent, source: t, negated: t.Negated, nocase: t.NoCase, endsWith: t.EndsWith, needs: !t.Negated,
		hasOffset: t.Offset.Set, hasDepth: t.Depth.Set, hasDistance: t.Distance.Set, hasWithin: t.Within.Set,
		offset: boundOf(t.Offset), depth: boundOf(t.Depth), distance: boundOf(t.Distance), within: boundOf(t.Within)}
	if t.StartsWith && !s.hasDepth {
		s.hasDepth, s.depth = true, bound{value: int64(len(t.Pattern))}
	}
	s.relative = s.hasDistance || s.hasWithin
	s.lit = append([]byte(nil), t.Pattern...)
	if t.NoCase {
		for i, c := range s.lit {
			s.lit[i] = upper(c)
		}
		s.rare = rarest(s.lit)
	}
	return s
}

func pcreStep(t *rule.PCRE) (step, *Refusal) {
	re, err := regex.Compile(t.Pattern, regex.Flags{CaseInsensitive: t.CaseInsensitive, DotAll: t.DotAll, MultiLine: t.MultiLine,
		Extended: t.Extended, Anchored: t.Anchored, DollarEndOnly: t.DollarEndOnly, Ungreedy: t.Ungreedy})
	if err != nil {
		return step{}, &Refusal{Pos: t.Pos, Why: "pcre: " + err.Error()}
	}
	return step{kind: stPCRE, re: re, negated: t.Negated, relative: t.Relative, captures: t.Captures, needs: !t.Negated}, nil
}

// Compare applies a numeric operator.
func Compare(op rule.NumberOp, v, a, b uint64) bool {
	switch op {
	case rule.Eq:
		return v == a
	case rule.Ne:
		return v != a
	case rule.Lt:
		return v < a
	case rule.Gt:
		return v > a
	case rule.Le:
		return v <= a
	case rule.Ge:
		return v >= a
	case rule.Range:
		return v > a && v < b
	case rule.NotRange:
		return v <= a || v >= b
	case rule.InRange:
		return v >= a && v <= b
	case rule.BitAnd:
		return v&a != 0
	case rule.NotBitAnd:
		return v&a == 0
	}
	return false
}

// DecodedData is base64_decode with what its result must hold.
type DecodedData struct {
	*rule.Base64Decode
	Inner Chain
}

// Attach hangs inner behind the base64_decode t of the chain; false if it is not there.
func (c *Chain) Attach(t *rule.Base64Decode, inner *Chain) bool {
	for i := range c.steps {
		if c.steps[i].base64 == t {
			c.steps[i].inner = append(c.steps[i].inner, *inner)
			return true
		}
	}
	return false
}
