// Package regex matches expressions in Perl's syntax over bytes, in bounded time.
//
// In: a pattern with its flags at rule load, a text at run time. Out: where the first
// match starts and ends, and its captures. Called by detect for pcre and pcrexform.
// A Regex is immutable and shared; a Machine is one worker's scratch memory. It never
// runs longer than its step budget: an exceeded budget is counted and is no match.
package regex

import "fmt"

// Flags that stand behind a rule's expression.
type Flags struct {
	CaseInsensitive, DotAll, MultiLine, Extended, Anchored, DollarEndOnly, Ungreedy bool
}

// Error is a refused expression; Column is 1-based within the pattern.
type Error struct {
	Column int
	Msg    string
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("column %d: %s", e.Column, e.Msg) }

// Bounds on what a rule file may ask for. They bound a rule author's mistakes, not the traffic.
const (
	patternMax  = 64 << 10 // bytes of pattern
	nestMax     = 200      // nested groups; PCRE2's default parentheses limit is 250
	captureMax  = 99
	programMax  = 200_000 // instructions
	repeatMax   = 65535   // PCRE2 limit of a repeat count
	expandMax   = 64      // instructions a repeat may be unrolled to before a counter is used
	stepsBase   = 20_000  // budget of a match: base + perByte * len(text)
	stepsByte   = 32
	stackMax    = 1 << 20 // entries; with it a Machine stays under 16 MiB
	recurseMax  = 50      // nested calls, look-arounds and atomic groups at run time
	literalMax  = 64      // bytes of required literal kept
	setsPerProg = 1 << 15
)

type set [4]uint64

func (s *set) add(b byte)      { s[b>>6] |= 1 << (b & 63) }
func (s *set) has(b byte) bool { return s[b>>6]&(1<<(b&63)) != 0 }
func (s *set) addRange(lo, hi byte) {
	for c := int(lo); c <= int(hi); c++ {
		s.add(byte(c))
	}
}
func (s *set) union(o *set) {
	for i := range s {
		s[i] |= o[i]
	}
}
func (s *set) negate() {
	for i := range s {
		s[i] = ^s[i]
	}
}
func (s *set) fold() {
	for c := byte('a'); c <= 'z'; c++ {
		if s.has(c) || s.has(c-32) {
			s.add(c)
			s.add(c - 32)
		}
	}
}

// single returns the only byte of the set.
func (s *set) single() (byte, bool) {
	n, at := 0, 0
	for c := 0; c < 256; c++ {
		if s.has(byte(c)) {
			n++
			at = c
		}
	}
	return byte(at), n == 1
}

// Regex is a compiled expression. Immutable, safe for any number of machines.
type Regex struct {
	prog     []inst
	sets     []set
	captures int // groups, without the whole match
	names    map[string]int
	counters int

	anchored   bool // can only match at the starting position
	startLine  bool // can only match at the start or behind a newline
	first      set  // bytes a match can start with
	firstValid bool
	literal    []byte // must occur, folded to lower case if literalFold
	literalI   bool
	minLen     int
	Pattern    string
}

// Captures returns how many groups the expression has.
func (re *Regex) Captures() int { return re.captures }

// Group returns the number of a named group, 0 if there is none.
func (re *Regex) Group(name string) int { return re.names[name] }

// Literal returns bytes that occur in every match, and whether their case is free; nil if none is known.
func (re *Regex) Literal() (lit []byte, nocase bool) { return re.literal, re.literalI }

// Compile parses and translates a pattern. The error is an *Error with the column.
func Compile(pattern string, flags Flags) (*Regex, error) { return compile(pattern, flags, false) }

// compile is that; blind leaves out lookAhead, for tests.
func compile(pattern string, flags Flags, blind bool) (*Regex, error) {
	if len(pattern) > patternMax {
		return nil, &Error{1, "pattern is longer than 65536 bytes"}
	}
	p := &parser{src: pattern, names: map[string]int{}}
	p.flags = flags
	n, err := p.parse()
	if err != nil {
		return nil, err
	}
	c := &compiler{re: &Regex{names: p.names, captures: p.groups, Pattern: pattern}, groupPC: make([]int32, p.groups+1)}
	if err := c.compile(n); err != nil {
		return nil, err
	}
	if !blind {
		c.lookAhead()
	}
	re := c.re
	re.anchored = flags.Anchored || anchoredAt(n, assertBegin)
	re.startLine = anchoredAt(n, assertLine)
	re.minLen = minLen(n)
	var f set
	if !firstSet(n, &f) {
		re.first, re.firstValid = f, true
	}
	re.literal, re.literalI = requiredLiteral(n)
	return re, nil
}
