package rule

import (
	"math"
	"strconv"
	"strings"
)

// words cuts a value at commas and trims the parts.
func (o *option) words() []string {
	parts := strings.Split(o.value, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

// byteWords are what the byte keywords share after their numbers.
type byteWords struct {
	relative, little, text, dce, align bool
	fromBeginning, fromEnd             bool
	base                               int
	mask                               uint64
	multiplier                         uint32
	post                               int
	alignTo                            int
}

func (p *parser) byteWords(o *option, parts []string) (w byteWords, err *fault) {
	for _, part := range parts {
		word, arg, _ := strings.Cut(part, " ")
		arg = strings.TrimSpace(arg)
		switch word {
		case "relative":
			w.relative = true
		case "big", "":
		case "little":
			w.little = true
		case "string":
			w.text = true
			if arg != "" {
				if w.base = baseOf(arg); w.base == 0 {
					return w, faultf(o.valueAt, "%s: unknown base %q", o.name, arg)
				}
			}
		case "hex", "dec", "oct":
			w.base = baseOf(word)
		case "dce":
			w.dce = true
		case "align":
			w.align, w.alignTo = true, 4
			if arg != "" {
				w.alignTo, _ = strconv.Atoi(arg)
			}
		case "from_beginning":
			w.fromBeginning = true
		case "from_end":
			w.fromEnd = true
		case "bitmask":
			v, e := strconv.ParseUint(strings.TrimPrefix(strings.ToLower(arg), "0x"), 16, 64)
			if e != nil {
				return w, faultf(o.valueAt, "%s: bitmask %q is not a hex number", o.name, arg)
			}
			w.mask = v
		case "multiplier":
			v, e := strconv.ParseUint(arg, 10, 16)
			if e != nil || v == 0 {
				return w, faultf(o.valueAt, "%s: multiplier %q", o.name, arg)
			}
			w.multiplier = uint32(v)
		case "post_offset":
			v, e := strconv.ParseInt(arg, 10, 32)
			if e != nil {
				return w, faultf(o.valueAt, "%s: post_offset %q", o.name, arg)
			}
			w.post = int(v)
		default:
			return w, faultf(o.valueAt, "%s: unknown word %q", o.name, word)
		}
	}
	if w.text && w.base == 0 {
		w.base = 10
	}
	return w, nil
}

func baseOf(s string) int {
	switch s {
	case "hex":
		return 16
	case "dec":
		return 10
	case "oct":
		return 8
	}
	return 0
}

// countMax: 8 bytes of a number, 23 digits of text.
func countMax(text bool) int64 {
	if text {
		return 23
	}
	return 8
}

func (p *parser) byteTest(o *option) *fault {
	w := o.words()
	if len(w) < 4 {
		return faultf(o.valueAt, "byte_test: expected bytes,operator,value,offset")
	}
	b, err := p.byteWords(o, w[4:])
	if err != nil {
		return err
	}
	c := &ByteTest{Relative: b.relative, Little: b.little, String: b.text, DCE: b.dce, Base: b.base, Bitmask: b.mask, Pos: p.pos(o.at)}
	op := strings.TrimSpace(w[1])
	if strings.HasPrefix(op, "!") && op != "!=" {
		c.Negated, op = true, strings.TrimSpace(op[1:])
	}
	if op == "" && c.Negated {
		op = "="
	}
	switch op {
	case "<", ">", "=", "<=", ">=", "&", "^":
		c.Op = op
	case "!=":
		c.Op, c.Negated = "=", !c.Negated
	default:
		return faultf(o.valueAt, "byte_test: unknown operator %q", op)
	}
	least := int64(1)
	if b.text {
		least = 0 // as many digits as stand there
	}
	if c.Count, err = p.bound(w[0], o.valueAt, least, countMax(b.text)); err != nil {
		return err
	}
	if c.Value, err = p.value(w[2], o.valueAt); err != nil {
		return err
	}
	if c.Offset, err = p.bound(w[3], o.valueAt, math.MinInt32, math.MaxInt32); err != nil {
		return err
	}
	p.place(c, c.Relative)
	return nil
}

// value reads an unsigned 64-bit number or a variable.
func (p *parser) value(s string, at int) (Bound, *fault) {
	if v, err := strconv.ParseUint(s, 0, 64); err == nil {
		return Bound{Set: true, Value: int64(v)}, nil
	}
	return p.bound(s, at, -1<<62, 1<<62)
}

func (p *parser) byteJump(o *option) *fault {
	w := o.words()
	if len(w) < 2 {
		return faultf(o.valueAt, "byte_jump: expected bytes,offset")
	}
	b, err := p.byteWords(o, w[2:])
	if err != nil {
		return err
	}
	c := &ByteJump{Relative: b.relative, Little: b.little, String: b.text, DCE: b.dce, Align: b.align, FromBeginning: b.fromBeginning, FromEnd: b.fromEnd,
		Base: b.base, Multiplier: b.multiplier, PostOffset: b.post, Bitmask: b.mask, Pos: p.pos(o.at)}
	if c.Count, err = p.bound(w[0], o.valueAt, 0, countMax(b.text)); err != nil {
		return err
	}
	if c.Offset, err = p.bound(w[1], o.valueAt, -1<<31, 1<<31); err != nil {
		return err
	}
	p.place(c, c.Relative)
	return nil
}

// variable gives a name its index.
func (p *parser) variable(name string) int {
	i, ok := p.vars[name]
	if !ok {
		i = len(p.vars)
		p.vars[name] = i
	}
	p.made[name] = p.inForce()
	return i
}

func (p *parser) byteExtract(o *option) *fault {
	w := o.words()
	if len(w) < 3 {
		return faultf(o.valueAt, "byte_extract: expected bytes,offset,name")
	}
	b, err := p.byteWords(o, w[3:])
	if err != nil {
		return err
	}
	c := &ByteExtract{Name: w[2], Relative: b.relative, Little: b.little, String: b.text, DCE: b.dce, Base: b.base, Multiplier: b.multiplier, Align: b.alignTo, Bitmask: b.mask, Pos: p.pos(o.at)}
	if c.Count, err = p.bound(w[0], o.valueAt, 1, countMax(b.text)); err != nil {
		return err
	}
	if c.Offset, err = p.bound(w[1], o.valueAt, -1<<31, 1<<31); err != nil {
		return err
	}
	if _, e := strconv.Atoi(c.Name); e == nil || c.Name == "" {
		return faultf(o.valueAt, "byte_extract: %q is not a name", c.Name)
	}
	c.VarIndex = p.variable(c.Name)
	p.place(c, c.Relative)
	return nil
}

func (p *parser) byteMath(o *option) *fault {
	c := &ByteMath{Pos: p.pos(o.at)}
	var rest []string
	var count, offset, rvalue string
	for _, part := range o.words() {
		word, arg, _ := strings.Cut(part, " ")
		arg = strings.TrimSpace(arg)
		switch word {
		case "bytes":
			count = arg
		case "offset":
			offset = arg
		case "oper":
			c.Op = arg
		case "rvalue":
			rvalue = arg
		case "result":
			c.Result = arg
		case "endian":
			if arg != "big" {
				rest = append(rest, arg)
			}
		default:
			rest = append(rest, part)
		}
	}
	b, err := p.byteWords(o, rest)
	if err != nil {
		return err
	}
	c.Relative, c.Little, c.String, c.DCE, c.Base, c.Bitmask = b.relative, b.little, b.text, b.dce, b.base, b.mask
	switch c.Op {
	case "+", "-", "*", "/", "<<", ">>":
	default:
		return faultf(o.valueAt, "byte_math: unknown operator %q", c.Op)
	}
	if c.Count, err = p.bound(count, o.valueAt, 1, countMax(b.text)); err != nil {
		return err
	}
	if c.Offset, err = p.bound(offset, o.valueAt, -1<<31, 1<<31); err != nil {
		return err
	}
	if c.RValue, err = p.value(rvalue, o.valueAt); err != nil {
		return err
	}
	if c.Result == "" {
		return faultf(o.valueAt, "byte_math: result is missing")
	}
	c.VarIndex = p.variable(c.Result)
	p.place(c, c.Relative)
	return nil
}

func (p *parser) isDataAt(o *option) *fault {
	w := o.words()
	c := &IsDataAt{Pos: p.pos(o.at)}
	v := w[0]
	if strings.HasPrefix(v, "!") {
		c.Negated, v = true, v[1:]
	}
	for _, word := range w[1:] {
		switch word {
		case "relative":
			c.Relative = true
		case "rawbytes":
			c.RawBytes = true
		default:
			return faultf(o.valueAt, "isdataat: unknown word %q", word)
		}
	}
	var err *fault
	c.At, err = p.bound(v, o.valueAt, 0, 65535)
	if err != nil {
		return err
	}
	p.place(c, c.Relative)
	return nil
}

func (p *parser) absent(o *option) *fault {
	if !p.sticky {
		return faultf(o.at, "absent follows no sticky buffer")
	}
	if o.has && o.value != "or_else" {
		return faultf(o.valueAt, "absent: expected or_else")
	}
	p.add(&Absent{OrElse: o.value == "or_else", Pos: p.pos(o.at)})
	return nil
}

func (p *parser) base64Decode(o *option) *fault {
	c := &Base64Decode{Pos: p.pos(o.at)}
	var err *fault
	for _, part := range o.words() {
		word, arg, _ := strings.Cut(part, " ")
		switch word {
		case "bytes":
			c.Bytes, err = p.bound(arg, o.valueAt, 1, 65535)
		case "offset":
			c.Offset, err = p.bound(arg, o.valueAt, 0, 65535)
		case "relative":
			c.Relative = true
		case "":
		default:
			err = faultf(o.valueAt, "base64_decode: unknown word %q", word)
		}
		if err != nil {
			return err
		}
	}
	p.place(c, c.Relative)
	return nil
}

// number reads a comparison: 5, =5, !5, >5, <=5, 3<>7, 3-7, !3-7, &0x10, a name.
func (p *parser) number(o *option, names map[string]uint64) (*Number, *fault) {
	n := &Number{Name: o.name, Pos: p.pos(o.at)}
	s := strings.Trim(strings.TrimSpace(o.value), `"`)
	at := max(o.valueAt, o.at)
	read := func(t string) (uint64, bool) {
		t = strings.TrimSpace(t)
		if v, ok := names[strings.ToLower(t)]; ok {
			return v, true
		}
		if v, ok := names[t]; ok {
			return v, true
		}
		v, err := strconv.ParseUint(t, 0, 64)
		if err != nil {
			v, err = strconv.ParseUint(t, 10, 64)
		}
		return v, err == nil
	}
	if v, ok := read(s); ok {
		n.Op, n.A = Eq, v
		return n, nil
	}
	negated := strings.HasPrefix(s, "!") && !strings.HasPrefix(s, "!=")
	if negated {
		s = strings.TrimSpace(s[1:])
	}
	if a, b, ok := strings.Cut(s, "<>"); ok {
		return p.span(n, a, b, Range, negated, read, at)
	}
	for _, x := range []struct {
		sign string
		op   NumberOp
	}{{"<=", Le}, {">=", Ge}, {"!=", Ne}, {"<", Lt}, {">", Gt}, {"=", Eq}, {"&", BitAnd}} {
		if strings.HasPrefix(s, x.sign) {
			v, ok := read(s[len(x.sign):])
			if !ok {
				return nil, faultf(at, "%s: %q is not a number", o.name, clip(s))
			}
			n.Op, n.A = x.op, v
			if negated && x.op == BitAnd {
				n.Op = NotBitAnd
			}
			return n, nil
		}
	}
	if a, b, ok := strings.Cut(s, "-"); ok {
		op := Range
		return p.span(n, a, b, op, negated, read, at)
	}
	v, ok := read(s)
	if !ok {
		return nil, faultf(at, "%s: %q is not a number%s", o.name, clip(s), hint(s, keys(names)))
	}
	n.Op, n.A = Ne, v
	return n, nil
}

// span reads a range: exclusive at both ends, as Suricata has it.
func (p *parser) span(n *Number, a, b string, op NumberOp, negated bool, read func(string) (uint64, bool), at int) (*Number, *fault) {
	lo, ok1 := read(a)
	hi, ok2 := read(b)
	if !ok1 || !ok2 || lo >= hi {
		return nil, faultf(at, "%s: %q to %q is not a range", n.Name, clip(a), clip(b))
	}
	n.Op, n.A, n.B = op, lo, hi
	if negated {
		n.Op = NotRange
	}
	return n, nil
}

// flowSides are the words before a count of a flow: flow.pkts:toserver,>10.
var flowSides = map[string]string{"toserver": "_toserver", "toclient": "_toclient", "either": ""}

// flowNumber reads flow.pkts and flow.bytes, which may name a direction first.
func (p *parser) flowNumber(o *option) *fault {
	side, rest, ok := strings.Cut(o.value, ",")
	if !ok {
		return p.packetNumber(o)
	}
	suffix, ok := flowSides[strings.TrimSpace(side)]
	if !ok {
		return faultf(o.valueAt, "%s: expected toserver, toclient or either, found %q", o.name, clip(side))
	}
	copied := *o
	copied.name, copied.value = o.name+suffix, rest
	return p.packetNumber(&copied)
}

// ofSeveral takes ",any", ",all", ",all1" or an index off a number's text.
func ofSeveral(text string) (rest string, of Of, ok bool) {
	rest, which, found := strings.Cut(text, ",")
	switch which = strings.TrimSpace(which); {
	case !found, which == "any":
		return rest, Of{}, true
	case which == "all":
		return rest, Of{All: true}, true
	case which == "all1":
		return rest, Of{All: true, Some: true}, true
	}
	n, err := strconv.Atoi(which)
	return rest, Of{One: true, At: n}, err == nil
}

// severalNumbers reads a number of which a packet or transaction may have several: "200,0".
func (p *parser) severalNumbers(o *option, names map[string]uint64) (*Number, *fault) {
	rest, of, ok := ofSeveral(o.value)
	if !ok {
		return nil, faultf(max(o.valueAt, o.at), "%s: expected any, all or an index behind the comma", o.name)
	}
	copied := *o
	copied.value = rest
	n, err := p.number(&copied, names)
	if err == nil {
		n.Of = of
	}
	return n, err
}

// vlanID compares the identifiers of a packet's VLAN layers.
func (p *parser) vlanID(o *option) *fault {
	n, err := p.severalNumbers(o, nil)
	if err == nil {
		p.addGeneral(n)
	}
	return err
}

func (p *parser) packetNumber(o *option) *fault {
	n, err := p.number(o, nil)
	if err != nil {
		return err
	}
	if c, ok := canonical[n.Name]; ok {
		n.Name = c
	}
	p.addGeneral(n)
	return nil
}

func (p *parser) urilen(o *option) *fault {
	v := o.value
	raw := false
	if a, b, ok := strings.Cut(v, ","); ok {
		raw = strings.TrimSpace(b) == "raw"
		if !raw && strings.TrimSpace(b) != "norm" {
			return faultf(o.valueAt, "urilen: expected raw or norm, found %q", clip(b))
		}
		o.value = a
	}
	n, err := p.number(o, nil)
	if err != nil {
		return err
	}
	n.Raw = raw
	p.addGeneral(n)
	return nil
}

// bsize compares the sticky buffer's length, with a number or a variable.
func (p *parser) bsize(o *option) *fault {
	if !p.sticky {
		return faultf(o.at, "bsize follows no sticky buffer")
	}
	sign := strings.TrimLeft(o.value, " ")
	word := strings.TrimSpace(strings.TrimLeft(sign, "<>=!"))
	if i, ok := p.vars[word]; ok {
		copied := *o
		copied.value = strings.Replace(o.value, word, "0", 1)
		n, err := p.number(&copied, nil)
		if err != nil {
			return err
		}
		n.AVar = 1 + i
		p.add(n)
		return nil
	}
	n, err := p.number(o, nil)
	if err != nil {
		return err
	}
	p.add(n)
	return nil
}
