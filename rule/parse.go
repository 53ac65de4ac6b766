package rule

import (
	"bytes"
	"fmt"
	"strings"
)

// Environment is what rules are read in.
type Environment struct {
	AddressVars     map[string]string // HOME_NET and such, without the dollar sign
	PortVars        map[string]string
	Classifications map[string]Classification // from classification.config
	References      map[string]string         // key -> URL prefix, from reference.config
	Vocabulary      Vocabulary
	// ReadList reads a list that a rule of the named file asks for (filemd5); nil: there are no lists.
	ReadList    func(ruleFile, name string) ([]byte, error)
	NoVariables bool // unknown variables are any (lint without a configuration)

	// Known are rules that were read in such an environment before, by their text: they are taken as they are.
	Known map[string]*Rule
	// Twins, if not nil, is told for each of them that stands in another place by now what stands for it.
	Twins map[*Rule]*Rule
	// Step, if not nil, is called between two rules: a reader that must not be in others' way waits in it.
	Step func()

	file      string // being read
	words     map[string]func(*parser, *option) *fault
	addresses map[string]Addresses
	ports     map[string]Ports
}

// Classification is one line of classification.config.
type Classification struct {
	Description string
	Priority    int
}

// Refusal is a rule that was not taken: where, and what to do.
type Refusal struct {
	File    string
	Line    int
	Column  int
	Keyword string // the keyword at fault, "" if the header or the whole
	Message string
	SID     uint32
}

// Error says it in one line: file:line:column: message.
func (r Refusal) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", r.File, r.Line, r.Column, r.Message)
}

// fault is an error at a byte of the rule's text.
type fault struct {
	at      int
	keyword string
	message string
}

func (f *fault) Error() string { return f.message }

func faultf(at int, format string, args ...any) *fault {
	return &fault{at: at, message: fmt.Sprintf(format, args...)}
}

// ParseFile reads every rule of a file. Refused rules are wholly absent; the others are all there.
func ParseFile(name string, text []byte, env *Environment) (rules []*Rule, refused []Refusal) {
	src := bytes.TrimPrefix(text, []byte("\ufeff"))
	seen := map[[2]uint32]int{} // where a rule stands in rules
	env.file = name
	if env.words == nil {
		env.words = languageWords()
	}
	for line := 1; len(src) > 0; {
		whole, lines, rest := logicalLine(src)
		src = rest
		start := line
		line += lines
		if env.Step != nil {
			env.Step()
		}
		if t := bytes.TrimLeft(whole, " \t\r\x00"); len(t) == 0 || t[0] == '#' {
			continue
		}
		body := bytes.TrimLeft(whole, " \t\r\x00")
		column := len(whole) - len(body)
		r, err := env.rule(bytes.TrimRight(body, " \t\r\n"), name, start, column)
		if err != nil {
			sid := uint32(0)
			if r != nil {
				sid = r.SID
			}
			refused = append(refused, Refusal{name, start, column + err.at + 1, err.keyword, err.message, sid})
			continue
		}
		if r.File != name {
			r.File = name
		}
		id := [2]uint32{r.GID, r.SID}
		if at, ok := seen[id]; ok {
			old := rules[at]
			if r.Rev <= old.Rev {
				refused = append(refused, Refusal{name, start, 1, "sid", fmt.Sprintf("sid %d stands already in line %d with revision %d", r.SID, old.Line, old.Rev), r.SID})
				continue
			}
			rules[at] = r
			continue
		}
		seen[id] = len(rules)
		rules = append(rules, r)
	}
	return rules, refused
}

// rule reads one rule, or finds it among those that are known.
func (env *Environment) rule(text []byte, file string, line, column int) (*Rule, *fault) {
	known := env.Known[string(text)]
	switch {
	case known == nil:
		return parseRule(string(text), env, line, column) // a copy of its own: the file's text, which may be large, is let go of
	case known.File == file && known.Line == line:
		return known, nil
	}
	r := *known
	r.File, r.Line = file, line
	if env.Twins != nil {
		env.Twins[&r] = known
	}
	return &r, nil
}

// ReadsFiles says whether the rule means something else when another file changes.
func (r *Rule) ReadsFiles() bool {
	for i := range r.Groups {
		for _, c := range r.Groups[i].Conditions {
			if x, ok := c.(*Custom); ok {
				if _, lists := x.Arg.(Digests); lists {
					return true
				}
			}
		}
	}
	return false
}

// logicalLine joins lines that end in a backslash; one may lie in src.
func logicalLine(src []byte) (one []byte, lines int, rest []byte) {
	for {
		lines++
		i := bytes.IndexByte(src, '\n')
		if i < 0 {
			return append(one, src...), lines, nil
		}
		part := src[:i]
		src = src[i+1:]
		if t := bytes.TrimRight(part, "\r"); bytes.HasSuffix(t, []byte("\\")) && lines < 1000 {
			one = append(one, t[:len(t)-1]...)
			continue
		}
		if one == nil {
			return part, lines, src
		}
		return append(one, part...), lines, src
	}
}

// option is one keyword with its value, where it stands in the text.
type option struct {
	name, value string
	has         bool // a value was given
	at, valueAt int
}

// parser reads one rule.
type parser struct {
	env    *Environment
	r      *Rule
	line   int
	column int
	groups []Group
	moved  *Buffer  // where an old-style modifier moved the latest content
	last   *Content // the latest content, for modifiers
	lastIn int      // the group it stands in
	sticky bool     // a sticky buffer is in force
	vars   map[string]int
	made   map[string]string // the buffer that a variable was read from
	done   map[string]bool   // keywords that may stand once
	has    flags
}

type flags struct {
	sid, priority, base64, base64Decode, content bool
	toServer, toClient, bothWays                 bool // there are keywords of requests, of replies, of either
}

func parseRule(text string, env *Environment, line, column int) (*Rule, *fault) {
	open := strings.IndexByte(text, '(')
	if open < 0 {
		return nil, faultf(len(text), "expected ( and the rule's options")
	}
	if !strings.HasSuffix(text, ")") {
		return nil, faultf(len(text), "expected ) at the rule's end")
	}
	r := &Rule{GID: 1, Priority: 3, Text: strings.Clone(text), Line: line}
	text = r.Text
	p := &parser{env: env, r: r, line: line, column: column, vars: map[string]int{}, made: map[string]string{}, done: map[string]bool{}}
	p.groups = []Group{{}}
	options, err := split(text[open+1:len(text)-1], open+1)
	if err != nil {
		return r, err
	}
	for i := range options { // an error names its rule by sid, wherever that stands
		if options[i].name == "sid" {
			_ = p.sid(&options[i])
		}
	}
	p.has.sid = false
	if err := p.header(text[:open]); err != nil {
		return r, err
	}
	for i := range options {
		if err := p.option(&options[i]); err != nil {
			if err.keyword == "" {
				err.keyword = options[i].name
			}
			return r, err
		}
	}
	if err := p.finish(); err != nil {
		return r, err
	}
	return r, nil
}

// split cuts the options at semicolons outside quotes and escapes.
func split(s string, base int) ([]option, *fault) {
	var out []option
	i := 0
	for {
		for i < len(s) && (s[i] == ' ' || s[i] == '\t' || s[i] == '\r' || s[i] == '\n') {
			i++
		}
		if i == len(s) {
			return out, nil
		}
		start := i
		for i < len(s) && s[i] != ':' && s[i] != ';' {
			i++
		}
		if i == len(s) {
			return nil, faultf(base+start, "expected ; after %q", clip(s[start:]))
		}
		o := option{name: strings.TrimSpace(s[start:i]), at: base + start}
		if s[i] == ':' {
			i++
			from := i
			for ; i < len(s) && s[i] != ';'; i++ { // a semicolon is escaped even inside quotes
				if s[i] == '\\' {
					i++
				}
			}
			if i >= len(s) {
				return nil, faultf(base+start, "expected ; after %q", clip(s[start:]))
			}
			raw := s[from:i]
			o.value, o.has = strings.TrimSpace(raw), true
			o.valueAt = base + from + len(raw) - len(strings.TrimLeft(raw, " \t"))
		}
		i++
		if o.name == "" {
			return nil, faultf(o.at, "expected a keyword")
		}
		out = append(out, o)
	}
}

func clip(s string) string {
	if len(s) > 24 {
		return s[:24] + "..."
	}
	return s
}

// quoted takes the quotes off a value; negated says that ! stood before.
func (o *option) quoted() (s string, negated bool, err *fault) {
	v := o.value
	if strings.HasPrefix(v, "!") {
		negated, v = true, strings.TrimSpace(v[1:])
	}
	if len(v) < 2 || v[0] != '"' || v[len(v)-1] != '"' {
		return "", false, faultf(o.valueAt, "%s: expected a value in double quotes", o.name)
	}
	return v[1 : len(v)-1], negated, nil
}

// pos is a place in the file.
func (p *parser) pos(at int) Pos { return Pos{p.line, p.column + at + 1} }

// finish checks what only the whole rule shows.
func (p *parser) finish() *fault {
	r := p.r
	if !p.has.sid {
		return faultf(0, "sid is missing")
	}
	for i := range p.groups {
		g := &p.groups[i]
		if len(g.Conditions) == 0 && g.Buffer.Name != "" && i != 0 {
			return faultf(0, "%s stands without a condition on it", g.Buffer.Name)
		}
		if err := p.checkGroup(g); err != nil {
			return err
		}
	}
	if len(p.groups[0].Conditions) == 0 && len(p.groups) > 1 {
		p.groups = p.groups[1:]
	}
	r.Groups = p.groups
	if c, ok := p.env.Classifications[r.Classtype]; ok {
		r.ClassDescription = c.Description
		if !p.has.priority {
			r.Priority = c.Priority
		}
	}
	if err := p.need(); err != nil {
		return err
	}
	if err := p.wholeRule(); err != nil {
		return err
	}
	return nil
}

// need computes what the rule needs at least, and refuses contradictions.
func (p *parser) need() *fault {
	r := p.r
	n := &r.Requires
	n.App = r.Proto.App != ""
	fast := 0
	for _, g := range r.Groups {
		if g.Buffer.App != "" {
			n.App = true
			if r.Proto.App == "" {
				continue
			}
			if !compatible(r.Proto.App, g.Buffer.App) {
				return faultf(0, "%s is a buffer of %s, the rule's protocol is %s", g.Buffer.Name, g.Buffer.App, r.Proto.Name)
			}
		}
		for _, c := range g.Conditions {
			if t, ok := c.(*Content); ok && t.FastPattern {
				fast++
			}
			if t, ok := c.(*Number); ok && t.Name == "dsize" {
				n.Packet = true
			}
		}
	}
	if fast > 1 {
		return faultf(0, "fast_pattern stands on more than one content")
	}
	return nil
}

// compatible says whether a rule of one protocol may use a buffer of another: carriers and their cargo.
func compatible(rule, buffer string) bool {
	if rule == buffer {
		return true
	}
	switch rule {
	case "smb":
		return buffer == "dcerpc"
	case "dcerpc":
		return buffer == "smb"
	case "http", "http1", "http2":
		return buffer == "http" || buffer == "http1" || buffer == "http2"
	case "doh2":
		return buffer == "dns" || buffer == "http2" || buffer == "http"
	case "ftp", "ftp-data":
		return buffer == "ftp" || buffer == "ftp-data"
	case "mdns", "dns":
		return buffer == "dns" || buffer == "mdns"
	case "quic":
		return buffer == "tls" || buffer == "ja3"
	}
	return false
}

// checkGroup holds the contents of one group to each other.
func (p *parser) checkGroup(g *Group) *fault {
	for _, c := range g.Conditions {
		t, ok := c.(*Content)
		if !ok {
			continue
		}
		at := t.Pos.Column - p.column - 1
		switch {
		case t.Depth.Set && t.Depth.Var == "" && t.Depth.Value < int64(len(t.Pattern)) && !t.Distance.Set:
			return faultf(at, "depth %d is less than the content's %d bytes", t.Depth.Value, len(t.Pattern))
		case t.Within.Set && t.Within.Var == "" && t.Within.Value < int64(len(t.Pattern)):
			return faultf(at, "within %d is less than the content's %d bytes", t.Within.Value, len(t.Pattern))
		case (t.Distance.Set || t.Within.Set) && (t.Depth.Set && !t.StartsWith || t.Offset.Set && !t.StartsWith):
			return faultf(at, "a content is placed either by offset and depth or by distance and within, not by both")
		}
	}
	return nil
}
