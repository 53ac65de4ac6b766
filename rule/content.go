package rule

import (
	"strconv"
	"strings"
)

// contentMax bounds a content's bytes, as in Suricata.
const contentMax = 255 * 4

// pattern reads a content's value: text with escapes and |hex|.
func pattern(s string, at int) ([]byte, *fault) {
	var out []byte
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
			if i == len(s) {
				return nil, faultf(at+i, "a backslash stands alone")
			}
			out = append(out, s[i])
		case '|':
			end := strings.IndexByte(s[i+1:], '|')
			if end < 0 {
				return nil, faultf(at+i, "expected | at the end of the hex bytes")
			}
			hex := strings.Map(func(r rune) rune {
				if r == ' ' {
					return -1
				}
				return r
			}, s[i+1:i+1+end])
			if len(hex)%2 != 0 {
				return nil, faultf(at+i, "hex bytes need two digits each")
			}
			for j := 0; j < len(hex); j += 2 {
				v, err := strconv.ParseUint(hex[j:j+2], 16, 8)
				if err != nil {
					return nil, faultf(at+i, "%q is not a hex byte", hex[j:j+2])
				}
				out = append(out, byte(v))
			}
			i += end + 1
		default:
			out = append(out, s[i])
		}
	}
	return out, nil
}

func (p *parser) content(o *option) *fault {
	s, negated, err := o.quoted()
	if err != nil {
		return err
	}
	b, err := pattern(s, o.valueAt+1)
	if err != nil {
		return err
	}
	if len(b) == 0 {
		return faultf(o.valueAt, "%s is empty", o.name)
	}
	if len(b) > contentMax {
		return faultf(o.valueAt, "%s has %d bytes, at most %d", o.name, len(b), contentMax)
	}
	c := &Content{Pattern: b, Negated: negated, Pos: p.pos(o.at)}
	p.last, p.moved = c, nil
	p.place(c, false)
	return nil
}

// place puts a condition on bytes into the sticky buffer's group, else into the payload's; a relative one stays with
// the content it is relative to, also when an old-style modifier moved that.
func (p *parser) place(c Condition, relative bool) {
	if p.sticky {
		p.add(c)
		return
	}
	if relative && p.moved != nil {
		p.moveTo(*p.moved, c)
		return
	}
	p.groups[0].Conditions = append(p.groups[0].Conditions, c)
}

// latest returns the content that a modifier changes.
func (p *parser) latest(o *option) (*Content, *fault) {
	if p.last == nil {
		return nil, faultf(o.at, "%s follows no content", o.name)
	}
	return p.last, nil
}

// bound reads a number or a variable's name.
func (p *parser) bound(s string, at int, lo, hi int64) (Bound, *fault) {
	s = strings.TrimSpace(s)
	v, err := strconv.ParseInt(s, 0, 64)
	if err != nil {
		i, ok := p.vars[s]
		if !ok {
			return Bound{}, faultf(at, "%q is neither a number nor a variable set before", clip(s))
		}
		if from := p.made[s]; from != p.inForce() {
			return Bound{}, faultf(at, "%q was read from %s and cannot be used on %s", clip(s), bufferWords(from), bufferWords(p.inForce()))
		}
		return Bound{Set: true, Var: s, VarIndex: i}, nil
	}
	if v < lo || v > hi {
		return Bound{}, faultf(at, "%d is not between %d and %d", v, lo, hi)
	}
	return Bound{Set: true, Value: v}, nil
}

// inForce is the name of the buffer that conditions on bytes go to, "" for the payload.
func (p *parser) inForce() string {
	if !p.sticky {
		return ""
	}
	return p.groups[len(p.groups)-1].Buffer.Name
}

func bufferWords(name string) string {
	if name == "" {
		return "the payload"
	}
	return name
}

const offsetMax = 65535

func (p *parser) offset(o *option) *fault {
	return p.bounded(o, 0, offsetMax, func(c *Content) *Bound { return &c.Offset })
}

func (p *parser) depth(o *option) *fault {
	return p.bounded(o, 0, offsetMax, func(c *Content) *Bound { return &c.Depth })
}

func (p *parser) distance(o *option) *fault {
	return p.bounded(o, -1<<20, 1<<20, func(c *Content) *Bound { return &c.Distance })
}

func (p *parser) within(o *option) *fault {
	return p.bounded(o, -1<<20, 1<<20, func(c *Content) *Bound { return &c.Within })
}

func (p *parser) bounded(o *option, lo, hi int64, field func(*Content) *Bound) *fault {
	c, err := p.latest(o)
	if err != nil {
		return err
	}
	b := field(c)
	if b.Set {
		return faultf(o.at, "%s stands twice on one content", o.name)
	}
	*b, err = p.bound(o.value, max(o.valueAt, o.at), lo, hi)
	return err
}

func (p *parser) nocase(o *option) *fault {
	c, err := p.latest(o)
	if err == nil {
		if c.NoCase {
			return faultf(o.at, "nocase stands twice on one content")
		}
		c.NoCase = true
	}
	return err
}

func (p *parser) rawbytes(o *option) *fault {
	c, err := p.latest(o)
	if err == nil {
		c.RawBytes = true
	}
	return err
}

func (p *parser) startswith(o *option) *fault {
	c, err := p.latest(o)
	if err != nil {
		return err
	}
	if c.Depth.Set || c.Offset.Set || c.Distance.Set || c.Within.Set {
		return faultf(o.at, "startswith cannot stand with depth, offset, within or distance")
	}
	c.StartsWith = true
	return nil
}

func (p *parser) endswith(o *option) *fault {
	c, err := p.latest(o)
	if err == nil {
		c.EndsWith = true
	}
	return err
}

func (p *parser) replace(o *option) *fault {
	c, err := p.latest(o)
	if err != nil {
		return err
	}
	s, _, err := o.quoted()
	if err != nil {
		return err
	}
	if c.ReplaceWith, err = pattern(s, o.valueAt+1); err != nil {
		return err
	}
	if len(c.ReplaceWith) != len(c.Pattern) {
		return faultf(o.valueAt, "replace has %d bytes, the content %d", len(c.ReplaceWith), len(c.Pattern))
	}
	return nil
}

func (p *parser) fastPattern(o *option) *fault {
	c, err := p.latest(o)
	if err != nil {
		return err
	}
	if c.FastPattern {
		return faultf(o.at, "fast_pattern stands twice on one content")
	}
	if g := &p.groups[len(p.groups)-1]; g.Buffer.Name == "base64_data" && p.sticky {
		return faultf(o.at, "fast_pattern cannot be used with base64_data")
	}
	if c.Negated && (c.Offset.Set || c.Depth.Set || c.Distance.Set || c.Within.Set) {
		return faultf(o.at, "fast_pattern on a negated content that is placed")
	}
	c.FastPattern = true
	switch v := strings.TrimSpace(o.value); {
	case !o.has:
	case v == "only":
		if c.Negated || c.Offset.Set || c.Depth.Set || c.Distance.Set || c.Within.Set {
			return faultf(o.at, "fast_pattern:only on a content that is negated or placed")
		}
		c.FastPatternOnly = true
	default:
		a, b, ok := strings.Cut(v, ",")
		from, err1 := strconv.Atoi(strings.TrimSpace(a))
		n, err2 := strconv.Atoi(strings.TrimSpace(b))
		if !ok || err1 != nil || err2 != nil || from < 0 || n < 1 || from+n > len(c.Pattern) {
			return faultf(o.valueAt, "fast_pattern: expected only, or offset,length within the content")
		}
		c.FastOffset, c.FastLength = from, n
	}
	return nil
}

// pcreBuffers are the buffers that a flag letter names.
var pcreBuffers = map[byte]string{'U': "http_uri", 'I': "http_raw_uri", 'H': "http_header", 'D': "http_raw_header", 'P': "http_client_body", 'Q': "http_server_body", 'M': "http_method", 'C': "http_cookie", 'S': "http_stat_code", 'Y': "http_stat_msg", 'V': "http_user_agent", 'W': "http_host", 'Z': "http_raw_host"}

func (p *parser) pcre(o *option) *fault {
	s, negated, begin, err := o.expression()
	if err != nil {
		return err
	}
	var captures []Capture
	if i := strings.LastIndexByte(s, '/'); i >= 0 {
		if j := strings.IndexByte(s[i:], ','); j >= 0 {
			if captures, err = captureNames(s[i+j+1:], begin+i+j+1); err != nil {
				return err
			}
			s = s[:i+j]
		}
	}
	end := strings.LastIndexByte(s, '/')
	if len(s) < 2 || s[0] != '/' || end == 0 {
		return faultf(o.valueAt, "pcre: expected \"/expression/flags\"")
	}
	c := &PCRE{Pattern: strings.ReplaceAll(s[1:end], `\;`, ";"), Negated: negated, Captures: captures, Pos: p.pos(begin + 1)}
	var buffer string
	for i := end + 1; i < len(s); i++ {
		switch f := s[i]; f {
		case 'i':
			c.CaseInsensitive = true
		case 's':
			c.DotAll = true
		case 'm':
			c.MultiLine = true
		case 'x':
			c.Extended = true
		case 'A':
			c.Anchored = true
		case 'E':
			c.DollarEndOnly = true
		case 'G':
			c.Ungreedy = true
		case 'R':
			c.Relative = true
		case 'B', 'O':
		default:
			name, ok := pcreBuffers[f]
			if !ok {
				return faultf(begin+i, "pcre: unknown flag %q", string(f))
			}
			if buffer != "" {
				return faultf(begin+i, "pcre: two flags name a buffer")
			}
			buffer = name
		}
	}
	if buffer == "" {
		p.place(c, c.Relative)
		return nil
	}
	return p.pcreBuffer(o, c, buffer, begin+end+1)
}

// pcreBuffer files an expression whose flag names a buffer; beside a sticky buffer only its own letter may stand.
func (p *parser) pcreBuffer(o *option, c *PCRE, name string, at int) *fault {
	e, ok := p.env.Vocabulary.Keyword(name)
	if !ok {
		return faultf(o.valueAt, "pcre: buffer %s is not offered", name)
	}
	p.directions(o, e)
	if !p.sticky {
		p.moveTo(Buffer{Name: e.Name, App: e.App, Keyword: e.Index, Multi: e.Multi, Streaming: e.Streaming}, c)
		return nil
	}
	b := p.groups[len(p.groups)-1].Buffer
	same := b.Name == e.Name && b.App == e.App || b.Name == "file.data" && e.Name == "http.response_body" // one buffer with two names
	if !same {
		return faultf(at, "pcre: the flag names %s, the sticky buffer is %s; write %s before the expression and leave the flag out", e.Name, b.Name, e.Name)
	}
	p.add(c)
	return nil
}

// expression takes pcre's value, in quotes or bare; begin is where the text between the quotes stands.
func (o *option) expression() (s string, negated bool, begin int, err *fault) {
	v := o.value
	if strings.HasPrefix(v, "!") {
		negated, v = true, strings.TrimSpace(v[1:])
	}
	begin = o.valueAt + len(o.value) - len(v)
	if strings.HasPrefix(v, "/") {
		return v, negated, begin, nil
	}
	s, negated, err = o.quoted()
	return s, negated, begin + 1, err
}

func captureNames(s string, at int) (out []Capture, err *fault) {
	for _, c := range strings.Split(s, ",") {
		scope, name, ok := strings.Cut(strings.TrimSpace(c), ":")
		if !ok || scope != "flow" && scope != "pkt" && scope != "alert" {
			return nil, faultf(at, "pcre: expected flow:, pkt: or alert: and a name for a capture")
		}
		out = append(out, Capture{scope, strings.TrimSpace(name)})
	}
	return out, nil
}
