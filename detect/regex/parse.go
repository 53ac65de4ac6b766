package regex

import (
	"strconv"
	"strings"
)

type parser struct {
	src    string
	pos    int
	flags  Flags
	groups int
	depth  int
	names  map[string]int
	refs   []*node // by name, resolved at the end
}

func (p *parser) fail(at int, msg string) error { return &Error{at + 1, msg} }

func (p *parser) more() bool { return p.pos < len(p.src) }

func (p *parser) parse() (*node, error) {
	for strings.HasPrefix(p.src[p.pos:], "(*") { // (*UTF8) and the like: bytes are what we match
		i := strings.IndexByte(p.src[p.pos:], ')')
		if i < 0 {
			return nil, p.fail(p.pos, "verb is not closed")
		}
		p.pos += i + 1
	}
	n, err := p.alternation()
	if err != nil {
		return nil, err
	}
	if p.more() {
		return nil, p.fail(p.pos, "unmatched closing parenthesis")
	}
	for _, r := range p.refs {
		if r.name != "" {
			i, ok := p.names[r.name]
			if !ok {
				return nil, p.fail(r.col, "reference to a group that does not exist")
			}
			r.index = i
		}
		if r.index > p.groups {
			return nil, p.fail(r.col, "reference to a group that does not exist")
		}
	}
	return n, nil
}

func (p *parser) alternation() (*node, error) {
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > nestMax {
		return nil, p.fail(p.pos, "groups are nested too deeply")
	}
	var alts []*node
	for {
		n, err := p.concat()
		if err != nil {
			return nil, err
		}
		alts = append(alts, n)
		if !p.more() || p.src[p.pos] != '|' {
			break
		}
		p.pos++
	}
	if len(alts) == 1 {
		return alts[0], nil
	}
	return &node{kind: kAlt, subs: alts}, nil
}

func (p *parser) concat() (*node, error) {
	var subs []*node
	for p.more() {
		c := p.src[p.pos]
		if c == '|' || c == ')' {
			break
		}
		if p.flags.Extended && p.skipSpace() {
			continue
		}
		start := p.pos
		n, err := p.atom()
		if err != nil {
			return nil, err
		}
		if n == nil {
			continue
		}
		if n.kind == kCat && n.col == -1 { // \Q...\E: the quantifier belongs to the last byte
			subs = append(subs, n.subs[:len(n.subs)-1]...)
			n = n.subs[len(n.subs)-1]
		}
		if n, err = p.quantified(n, start); err != nil {
			return nil, err
		}
		subs = append(subs, n)
	}
	if len(subs) == 0 {
		return &node{kind: kEmpty}, nil
	}
	return cat(subs), nil
}

func (p *parser) skipSpace() bool {
	c := p.src[p.pos]
	if c == ' ' || c >= 9 && c <= 13 {
		p.pos++
		return true
	}
	if c == '#' {
		for p.more() && p.src[p.pos] != '\n' {
			p.pos++
		}
		return true
	}
	return false
}

// quantified reads the quantifiers behind an atom.
func (p *parser) quantified(n *node, start int) (*node, error) {
	for p.more() {
		if p.flags.Extended {
			for p.more() && p.skipSpace() {
			}
			if !p.more() {
				break
			}
		}
		lo, hi := 0, -1
		switch p.src[p.pos] {
		case '*':
			p.pos++
		case '+':
			lo = 1
			p.pos++
		case '?':
			hi = 1
			p.pos++
		case '{':
			a, b, l, ok := parseCounts(p.src[p.pos:])
			if !ok {
				return n, nil
			}
			if a > repeatMax || b > repeatMax {
				return nil, p.fail(p.pos, "repeat count is over 65535")
			}
			if b >= 0 && a > b {
				return nil, p.fail(p.pos, "repeat counts are out of order")
			}
			lo, hi = a, b
			p.pos += l
		default:
			return n, nil
		}
		r := &node{kind: kRepeat, subs: []*node{n}, min: lo, max: hi, greedy: !p.flags.Ungreedy, col: start}
		if p.more() && p.src[p.pos] == '?' {
			r.greedy = !r.greedy
			p.pos++
		} else if p.more() && p.src[p.pos] == '+' {
			r.possess, r.greedy = true, true
			p.pos++
		}
		if n.kind == kAssert || n.kind == kKeep {
			if lo == 0 {
				r = &node{kind: kEmpty}
			} else {
				r = n
			}
		}
		n = r
	}
	return n, nil
}

// parseCounts reads {n}, {n,}, {n,m}, {,m}; ok false: a literal brace.
func parseCounts(s string) (lo, hi, length int, ok bool) {
	end := strings.IndexByte(s, '}')
	if end < 2 || end > 14 {
		return 0, 0, 0, false
	}
	a, b, comma := strings.Cut(s[1:end], ",")
	for _, t := range []string{a, b} {
		for i := 0; i < len(t); i++ {
			if t[i] < '0' || t[i] > '9' {
				return 0, 0, 0, false
			}
		}
	}
	if a == "" {
		return 0, 0, 0, false
	}
	lo, _ = strconv.Atoi(a)
	hi = lo
	if comma {
		hi = -1
		if b != "" {
			hi, _ = strconv.Atoi(b)
		}
	}
	return lo, hi, end + 1, true
}

func (p *parser) byteNode(c byte) *node {
	n := &node{kind: kSet}
	n.set.add(c)
	if p.flags.CaseInsensitive {
		n.set.fold()
	}
	return n
}

func (p *parser) atom() (*node, error) {
	c := p.src[p.pos]
	switch c {
	case '(':
		return p.group()
	case '[':
		return p.class()
	case '.':
		p.pos++
		n := &node{kind: kSet}
		if !p.flags.DotAll {
			n.set.add('\n')
		}
		n.set.negate()
		return n, nil
	case '^':
		p.pos++
		if p.flags.MultiLine {
			return &node{kind: kAssert, assert: assertLine}, nil
		}
		return &node{kind: kAssert, assert: assertBegin}, nil
	case '$':
		p.pos++
		switch {
		case p.flags.MultiLine:
			return &node{kind: kAssert, assert: assertLineEnd}, nil
		case p.flags.DollarEndOnly:
			return &node{kind: kAssert, assert: assertEnd}, nil
		}
		return &node{kind: kAssert, assert: assertEndNL}, nil
	case '*', '+', '?':
		return nil, p.fail(p.pos, "quantifier does not follow a repeatable item")
	case '\\':
		return p.escape()
	}
	p.pos++
	return p.byteNode(c), nil
}

// until returns the text up to the byte end and steps over it.
func (p *parser) until(end byte) (string, error) {
	i := strings.IndexByte(p.src[p.pos:], end)
	if i < 0 {
		return "", p.fail(p.pos, "missing "+string(rune(end)))
	}
	s := p.src[p.pos : p.pos+i]
	p.pos += i + 1
	return s, nil
}

// group reads from "(" to its ")".
func (p *parser) group() (*node, error) {
	start := p.pos
	p.pos++
	rest := p.src[p.pos:]
	saved := p.flags
	restore := func() { p.flags = saved }
	if strings.HasPrefix(rest, "*") {
		v, err := p.until(')')
		if err != nil {
			return nil, err
		}
		if v == "*FAIL" || v == "*F" {
			return &node{kind: kFail}, nil
		}
		return nil, p.fail(start, "unknown verb")
	}
	if !strings.HasPrefix(rest, "?") {
		return p.capture("", start)
	}
	p.pos++
	rest = p.src[p.pos:]
	if rest == "" {
		return nil, p.fail(start, "group is not closed")
	}
	switch {
	case strings.HasPrefix(rest, "#"):
		_, err := p.until(')')
		return nil, err
	case strings.HasPrefix(rest, ":"):
		p.pos++
		return p.body(start)
	case strings.HasPrefix(rest, "|"):
		p.pos++
		return p.branchReset(start)
	case strings.HasPrefix(rest, ">"):
		p.pos++
		return p.wrap(&node{kind: kAtomic}, start)
	case strings.HasPrefix(rest, "="), strings.HasPrefix(rest, "!"):
		p.pos++
		return p.wrap(&node{kind: kLook, negative: rest[0] == '!'}, start)
	case strings.HasPrefix(rest, "<="), strings.HasPrefix(rest, "<!"):
		p.pos += 2
		return p.wrap(&node{kind: kLook, behind: true, negative: rest[1] == '!'}, start)
	case strings.HasPrefix(rest, "P<"), strings.HasPrefix(rest, "<"), strings.HasPrefix(rest, "'"):
		end := byte('>')
		if rest[0] == '\'' {
			end = '\''
		}
		p.pos += strings.IndexAny(rest, "<'") + 1
		name, err := p.until(end)
		if err != nil {
			return nil, err
		}
		if name == "" {
			return nil, p.fail(start, "group has no name")
		}
		return p.capture(name, start)
	case strings.HasPrefix(rest, "P="):
		p.pos += 2
		name, err := p.until(')')
		return p.backref(0, name, start), err
	case strings.HasPrefix(rest, "P>"), strings.HasPrefix(rest, "&"):
		p.pos += strings.IndexAny(rest, ">&") + 1
		name, err := p.until(')')
		return p.call(0, name, start), err
	case strings.HasPrefix(rest, "("):
		return p.conditional(start)
	case rest[0] == 'R' || rest[0] >= '0' && rest[0] <= '9' || len(rest) > 1 && (rest[0] == '+' || rest[0] == '-') && rest[1] >= '0' && rest[1] <= '9':
		return p.callNumber(start)
	}
	if err := p.inlineFlags(); err != nil {
		return nil, err
	}
	if p.src[p.pos-1] == ')' {
		return nil, nil // flags hold to the end of the enclosing group
	}
	n, err := p.body(start)
	restore()
	return n, err
}

func (p *parser) backref(index int, name string, start int) *node {
	n := &node{kind: kBackref, index: index, name: name, nocase: p.flags.CaseInsensitive, col: start}
	p.refs = append(p.refs, n)
	return n
}

func (p *parser) call(index int, name string, start int) *node {
	n := &node{kind: kCall, index: index, name: name, col: start}
	p.refs = append(p.refs, n)
	return n
}

func (p *parser) callNumber(start int) (*node, error) {
	t, err := p.until(')')
	if err != nil {
		return nil, err
	}
	if t == "R" {
		return p.call(0, "", start), nil
	}
	n, e := strconv.Atoi(t)
	if e != nil || n > captureMax || n < -captureMax {
		return nil, p.fail(start, "bad group number")
	}
	switch t[0] {
	case '-':
		n = p.groups + 1 + n
	case '+':
		n = p.groups + n
	}
	if n < 0 {
		return nil, p.fail(start, "bad group number")
	}
	return p.call(n, "", start), nil
}

// body reads alternatives and the closing parenthesis; flags set inside end here.
func (p *parser) body(start int) (*node, error) {
	saved := p.flags
	n, err := p.alternation()
	p.flags = saved
	if err != nil {
		return nil, err
	}
	if !p.more() {
		return nil, p.fail(start, "group is not closed")
	}
	p.pos++
	return n, nil
}

func (p *parser) wrap(n *node, start int) (*node, error) {
	b, err := p.body(start)
	n.subs, n.col = []*node{b}, start
	return n, err
}

func (p *parser) capture(name string, start int) (*node, error) {
	p.groups++
	if p.groups > captureMax {
		return nil, p.fail(start, "more than 99 groups")
	}
	n := &node{kind: kGroup, index: p.groups}
	if name != "" {
		if _, dup := p.names[name]; !dup {
			p.names[name] = n.index
		}
	}
	return p.wrap(n, start)
}

// branchReset reads (?|a|b): each alternative numbers its groups from the same start.
func (p *parser) branchReset(start int) (*node, error) {
	saved, base, most := p.flags, p.groups, p.groups
	alt := &node{kind: kAlt}
	for {
		p.groups = base
		n, err := p.concat()
		if err != nil {
			return nil, err
		}
		alt.subs = append(alt.subs, n)
		most = max(most, p.groups)
		if !p.more() {
			return nil, p.fail(start, "group is not closed")
		}
		p.pos++
		if p.src[p.pos-1] == ')' {
			break
		}
	}
	p.groups, p.flags = most, saved
	return alt, nil
}

// conditional reads (?(cond)yes|no), with p.pos at the condition's parenthesis.
func (p *parser) conditional(start int) (*node, error) {
	n := &node{kind: kCond, col: start}
	rest := p.src[p.pos:]
	if strings.HasPrefix(rest, "(?=") || strings.HasPrefix(rest, "(?!") || strings.HasPrefix(rest, "(?<=") || strings.HasPrefix(rest, "(?<!") {
		look, err := p.group()
		if err != nil {
			return nil, err
		}
		n.subs = []*node{look}
	} else {
		p.pos++
		t, err := p.until(')')
		if err != nil {
			return nil, err
		}
		t = strings.Trim(t, "<>'")
		n.subs = []*node{nil}
		if i, e := strconv.Atoi(t); e == nil {
			n.index = i
		} else {
			n.name = t
		}
		p.refs = append(p.refs, n)
	}
	b, err := p.body(start)
	if err != nil {
		return nil, err
	}
	switch {
	case b.kind == kAlt && len(b.subs) > 2:
		return nil, p.fail(start, "a conditional group has more than two branches")
	case b.kind == kAlt:
		n.subs = append(n.subs, b.subs...)
	default:
		n.subs = append(n.subs, b, &node{kind: kEmpty})
	}
	return n, nil
}

func (p *parser) inlineFlags() error {
	on := true
	for p.more() {
		c := p.src[p.pos]
		p.pos++
		switch c {
		case '-':
			on = false
		case '^':
			p.flags = Flags{DollarEndOnly: p.flags.DollarEndOnly}
		case 'i':
			p.flags.CaseInsensitive = on
		case 's':
			p.flags.DotAll = on
		case 'm':
			p.flags.MultiLine = on
		case 'x':
			p.flags.Extended = on
		case 'U':
			p.flags.Ungreedy = on
		case 'J', 'n':
		case ':', ')':
			return nil
		default:
			return p.fail(p.pos-1, "unknown flag or group type")
		}
	}
	return p.fail(p.pos, "group is not closed")
}
