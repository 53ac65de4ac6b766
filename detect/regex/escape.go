package regex

import (
	"strconv"
	"strings"
)

func classOf(c byte) (s set, ok bool) {
	switch c {
	case 'd', 'D':
		s.addRange('0', '9')
	case 'w', 'W':
		s.addRange('0', '9')
		s.addRange('a', 'z')
		s.addRange('A', 'Z')
		s.add('_')
	case 's', 'S':
		s.addRange(9, 13)
		s.add(' ')
	case 'h', 'H':
		s.add(9)
		s.add(' ')
		s.add(0xa0)
	case 'v', 'V':
		s.addRange(10, 13)
		s.add(0x85)
	case 'N':
		s.add('\n')
		s.negate()
		return s, true
	default:
		return s, false
	}
	if c < 'a' {
		s.negate()
	}
	return s, true
}

// byteEscape reads the escapes that stand for one byte, with p.pos behind the backslash.
func (p *parser) byteEscape() (byte, bool, error) {
	c := p.src[p.pos]
	switch c {
	case 'a':
		p.pos++
		return 7, true, nil
	case 'e':
		p.pos++
		return 27, true, nil
	case 'f':
		p.pos++
		return 12, true, nil
	case 'n':
		p.pos++
		return 10, true, nil
	case 'r':
		p.pos++
		return 13, true, nil
	case 't':
		p.pos++
		return 9, true, nil
	case 'c':
		if p.pos+1 >= len(p.src) {
			return 0, false, p.fail(p.pos, "\\c at the end of the pattern")
		}
		b := p.src[p.pos+1]
		if b >= 'a' && b <= 'z' {
			b -= 32
		}
		p.pos += 2
		return b ^ 64, true, nil
	case 'x':
		return p.hexEscape()
	case 'o':
		if strings.HasPrefix(p.src[p.pos:], "o{") {
			p.pos += 2
			t, err := p.until('}')
			if err != nil {
				return 0, false, err
			}
			v, e := strconv.ParseUint(t, 8, 8)
			if e != nil {
				return 0, false, p.fail(p.pos, "bad octal number")
			}
			return byte(v), true, nil
		}
	}
	if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
		return 0, false, nil
	}
	p.pos++
	return c, true, nil
}

func (p *parser) hexEscape() (byte, bool, error) {
	at := p.pos
	p.pos++
	if p.more() && p.src[p.pos] == '{' {
		p.pos++
		t, err := p.until('}')
		if err != nil {
			return 0, false, err
		}
		v, e := strconv.ParseUint(t, 16, 32)
		if e != nil || v > 255 {
			return 0, false, p.fail(at, "hexadecimal number is not a byte")
		}
		return byte(v), true, nil
	}
	v, n := 0, 0
	for n < 2 && p.more() {
		d := strings.IndexByte("0123456789abcdef", p.src[p.pos]|0x20)
		if d < 0 || p.src[p.pos] < '0' {
			break
		}
		v = v<<4 | d
		n++
		p.pos++
	}
	return byte(v), true, nil
}

// octal reads up to three octal digits.
func (p *parser) octal() byte {
	v := 0
	for i := 0; i < 3 && p.more() && p.src[p.pos] >= '0' && p.src[p.pos] <= '7'; i++ {
		v = v<<3 | int(p.src[p.pos]-'0')
		p.pos++
	}
	return byte(v)
}

// escape reads an atom that begins with a backslash.
func (p *parser) escape() (*node, error) {
	start := p.pos
	p.pos++
	if !p.more() {
		return nil, p.fail(start, "backslash at the end of the pattern")
	}
	c := p.src[p.pos]
	if s, ok := classOf(c); ok {
		p.pos++
		return &node{kind: kSet, set: s}, nil
	}
	switch c {
	case 'A', 'Z', 'z', 'b', 'B', 'G':
		p.pos++
		return &node{kind: kAssert, assert: map[byte]assertion{'A': assertBegin, 'Z': assertEndNL, 'z': assertEnd, 'b': assertWord, 'B': assertNotWord, 'G': assertFrom}[c]}, nil
	case 'K':
		p.pos++
		return &node{kind: kKeep}, nil
	case 'R':
		p.pos++
		nl := &node{kind: kSet}
		nl.set.addRange(10, 13)
		nl.set.add(0x85)
		crlf := cat([]*node{{kind: kSet, set: set{1 << 13}}, {kind: kSet, set: set{1 << 10}}})
		return &node{kind: kAtomic, subs: []*node{{kind: kAlt, subs: []*node{crlf, nl}}}}, nil
	case 'X', 'C':
		p.pos++
		n := &node{kind: kSet}
		n.set.negate()
		return n, nil
	case 'Q':
		return p.quoted()
	case 'E':
		p.pos++
		return nil, nil
	case 'k', 'g':
		return p.namedRef(start)
	case '0':
		return p.byteNode(p.octal()), nil
	}
	if c >= '1' && c <= '9' {
		return p.numberRef(start), nil
	}
	b, ok, err := p.byteEscape()
	if err != nil {
		return nil, err
	}
	if !ok {
		if c == 'p' || c == 'P' || c == 'u' || c == 'U' || c == 'L' || c == 'l' {
			return nil, p.fail(start, "escape is not supported")
		}
		p.pos++ // an unknown letter stands for itself, as PCRE1 took it
		b = c
	}
	return p.byteNode(b), nil
}

func (p *parser) quoted() (*node, error) {
	p.pos++
	t := p.src[p.pos:]
	if i := strings.Index(t, `\E`); i >= 0 {
		t = t[:i]
		p.pos += 2
	}
	p.pos += len(t)
	if t == "" {
		return nil, nil
	}
	n := &node{kind: kCat, col: -1}
	for i := 0; i < len(t); i++ {
		n.subs = append(n.subs, p.byteNode(t[i]))
	}
	return n, nil
}

// numberRef reads \1 to \99, or an octal byte where PCRE would.
func (p *parser) numberRef(start int) *node {
	at := p.pos
	v := 0
	for p.more() && p.src[p.pos] >= '0' && p.src[p.pos] <= '9' && v < 1000 {
		v = v*10 + int(p.src[p.pos]-'0')
		p.pos++
	}
	if v < 10 || v <= p.groups {
		return p.backref(v, "", start)
	}
	p.pos = at
	if p.src[p.pos] >= '8' {
		p.pos++
		return p.byteNode(p.src[p.pos-1])
	}
	return p.byteNode(p.octal())
}

func (p *parser) namedRef(start int) (*node, error) {
	c := p.src[p.pos]
	p.pos++
	if !p.more() {
		return nil, p.fail(start, "reference has no name")
	}
	open := p.src[p.pos]
	shut := map[byte]byte{'<': '>', '{': '}', '\'': '\''}[open]
	t := ""
	var err error
	if shut != 0 {
		p.pos++
		if t, err = p.until(shut); err != nil {
			return nil, err
		}
	} else {
		i := p.pos
		for p.more() && (p.src[p.pos] >= '0' && p.src[p.pos] <= '9' || p.src[p.pos] == '-') {
			p.pos++
		}
		t = p.src[i:p.pos]
	}
	n, e := strconv.Atoi(t)
	if c == 'g' && (open == '<' || open == '\'') {
		if e != nil {
			return p.call(0, t, start), nil
		}
		return p.call(n, "", start), nil
	}
	if e != nil {
		if t == "" {
			return nil, p.fail(start, "reference has no name")
		}
		return p.backref(0, t, start), nil
	}
	if n < 0 {
		n = p.groups + 1 + n
	}
	if n <= 0 {
		return nil, p.fail(start, "bad group number")
	}
	return p.backref(n, "", start), nil
}

var posixClasses = map[string]string{
	"alpha": "azAZ", "digit": "09", "alnum": "azAZ09", "upper": "AZ", "lower": "az", "word": "azAZ09__",
	"xdigit": "09afAF", "blank": "\t\t  ", "cntrl": "\x00\x1f\x7f\x7f", "graph": "!~", "print": " ~",
	"punct": "!/:@[`{~", "space": "\t\r  ", "ascii": "\x00\x7f",
}

// class reads [...].
func (p *parser) class() (*node, error) {
	start := p.pos
	p.pos++
	n := &node{kind: kSet}
	negated := p.more() && p.src[p.pos] == '^'
	if negated {
		p.pos++
	}
	for first := true; ; first = false {
		if !p.more() {
			return nil, p.fail(start, "missing ] of a character class")
		}
		if p.src[p.pos] == ']' && !first {
			p.pos++
			break
		}
		if err := p.classItem(&n.set, start); err != nil {
			return nil, err
		}
	}
	if p.flags.CaseInsensitive {
		n.set.fold()
	}
	if negated {
		n.set.negate()
	}
	return n, nil
}

func (p *parser) classItem(out *set, start int) error {
	rest := p.src[p.pos:]
	if strings.HasPrefix(rest, "[:") {
		if i := strings.Index(rest, ":]"); i >= 2 { // not the colon of "[:" itself
			name := rest[2:i]
			neg := strings.HasPrefix(name, "^")
			if r, ok := posixClasses[strings.TrimPrefix(name, "^")]; ok {
				var s set
				for j := 0; j < len(r); j += 2 {
					s.addRange(r[j], r[j+1])
				}
				if neg {
					s.negate()
				}
				out.union(&s)
				p.pos += i + 2
				return nil
			}
		}
	}
	lo, isSet, s, err := p.classByte(start)
	if err != nil {
		return err
	}
	if isSet {
		out.union(&s)
		return nil
	}
	if strings.HasPrefix(p.src[p.pos:], "-") && p.pos+1 < len(p.src) && p.src[p.pos+1] != ']' {
		back := p.pos
		p.pos++
		hi, hiSet, _, err := p.classByte(start)
		if err != nil {
			return err
		}
		if !hiSet {
			if hi < lo {
				return p.fail(back, "range out of order in a character class")
			}
			out.addRange(lo, hi)
			return nil
		}
		p.pos = back
	}
	out.add(lo)
	if strings.HasPrefix(p.src[p.pos:], "-") { // [a-\d]: the dash is itself
		out.add('-')
		p.pos++
	}
	return nil
}

// classByte reads one member of a class: a byte, or an escape that is a set.
func (p *parser) classByte(start int) (byte, bool, set, error) {
	c := p.src[p.pos]
	p.pos++
	if c != '\\' {
		return c, false, set{}, nil
	}
	if !p.more() {
		return 0, false, set{}, p.fail(start, "missing ] of a character class")
	}
	c = p.src[p.pos]
	if s, ok := classOf(c); ok && c != 'N' {
		p.pos++
		return 0, true, s, nil
	}
	switch {
	case c == 'b':
		p.pos++
		return 8, false, set{}, nil
	case c >= '0' && c <= '7':
		return p.octal(), false, set{}, nil
	case c == 'Q' || c == 'E':
		p.pos++
		return 0, true, set{}, nil
	}
	b, ok, err := p.byteEscape()
	if err == nil && !ok {
		b = c
		p.pos++
	}
	return b, false, set{}, err
}
