package rule

import (
	"strconv"
	"strings"
)

func (p *parser) flow(o *option) *fault {
	c := &FlowState{Pos: p.pos(o.at)}
	if err := p.once(o); err != nil {
		return err
	}
	for _, w := range o.words() {
		switch w {
		case "to_server", "from_client":
			c.ToServer = true
		case "to_client", "from_server":
			c.ToClient = true
		case "established":
			c.Established = true
		case "not_established":
			c.NotEstablished = true
		case "stateless":
			c.Stateless = true
		case "only_stream":
			c.OnlyStream = true
		case "no_stream":
			c.NoStream = true
		case "only_frag":
			c.OnlyFrag = true
		case "no_frag":
			c.NoFrag = true
		default:
			return faultf(o.valueAt, "flow: unknown word %q%s", w, hint(w, []string{"to_server", "to_client", "from_server", "from_client", "established", "not_established", "stateless", "only_stream", "no_stream", "only_frag", "no_frag"}))
		}
	}
	switch {
	case c.ToServer && c.ToClient:
		return faultf(o.valueAt, "flow: to_server and to_client exclude each other")
	case c.Established && (c.NotEstablished || c.Stateless), c.NotEstablished && c.Stateless:
		return faultf(o.valueAt, "flow: established, not_established and stateless exclude each other")
	case c.OnlyStream && c.NoStream, c.OnlyFrag && c.NoFrag:
		return faultf(o.valueAt, "flow: words that exclude each other")
	}
	p.addGeneral(c)
	return nil
}

var tcpFlagBits = map[byte]uint8{'F': 1, 'S': 2, 'R': 4, 'P': 8, 'A': 16, 'U': 32, 'E': 64, 'C': 128, '1': 128, '2': 64}

func (p *parser) tcpFlags(o *option) *fault {
	c := &TCPFlags{Pos: p.pos(o.at)}
	parts := o.words()
	if len(parts) > 2 {
		return faultf(o.valueAt, "flags: expected flags, or flags,ignored")
	}
	for i, part := range parts {
		for j := range len(part) {
			b := part[j]
			bit, ok := tcpFlagBits[b]
			switch {
			case ok && i == 0:
				c.Want |= bit
			case ok:
				c.Ignore |= bit
			case i == 0 && (b == '+' || b == '*' || b == '!' || b == '-'):
				c.Mode = b
			case i == 0 && b == '0':
				c.Zero = true
			case b == ' ' || b == ':':
			default:
				return faultf(o.valueAt+j, "flags: unknown flag %q", string(b))
			}
		}
	}
	if c.Want == 0 && !c.Zero {
		return faultf(o.valueAt, "flags: no flag given")
	}
	p.addGeneral(c)
	return nil
}

func (p *parser) flowbits(o *option) *fault {
	op, names, _ := strings.Cut(o.value, ",")
	c := &FlowBits{Op: strings.TrimSpace(op), Pos: p.pos(o.at)}
	names = strings.TrimSpace(names)
	switch c.Op {
	case "noalert":
		if names != "" {
			return faultf(o.valueAt, "flowbits: noalert takes no name")
		}
		p.r.NoAlert = true
		return nil
	case "set", "unset", "isset", "isnotset", "toggle":
	default:
		return faultf(o.valueAt, "flowbits: unknown action %q", c.Op)
	}
	if names == "" {
		return faultf(o.valueAt, "flowbits: a name is missing")
	}
	for _, n := range strings.Split(names, "|") {
		n = strings.TrimSpace(n)
		if n == "" || strings.ContainsAny(n, " ,") {
			return faultf(o.valueAt, "flowbits: %q is not a name", n)
		}
		c.Names = append(c.Names, n)
	}
	if len(c.Names) > 1 && c.Op != "isset" && c.Op != "isnotset" {
		return faultf(o.valueAt, "flowbits: only isset and isnotset take several names")
	}
	p.addGeneral(c)
	return nil
}

func (p *parser) xbits(o *option) *fault {
	w := o.words()
	c := &XBits{Op: w[0], Host: o.name == "hostbits", Pos: p.pos(o.at)}
	if c.Op == "noalert" {
		p.r.NoAlert = true
		return nil
	}
	switch c.Op {
	case "set", "unset", "isset", "isnotset", "toggle":
	default:
		return faultf(o.valueAt, "%s: unknown action %q", o.name, c.Op)
	}
	if len(w) < 2 || w[1] == "" {
		return faultf(o.valueAt, "%s: a name is missing", o.name)
	}
	c.Name, c.ExpireSec = w[1], 30
	if c.Host {
		c.Track = "src"
	}
	for _, part := range w[2:] {
		word, arg, _ := strings.Cut(part, " ")
		arg = strings.TrimSpace(arg)
		switch {
		case word == "track":
			c.Track = arg
		case word == "expire":
			n, err := strconv.Atoi(arg)
			if err != nil || n <= 0 {
				return faultf(o.valueAt, "%s: expire %q", o.name, arg)
			}
			c.ExpireSec = n
		case c.Host && (word == "src" || word == "dst" || word == "both"):
			c.Track = word
		default:
			return faultf(o.valueAt, "%s: unknown word %q", o.name, word)
		}
	}
	switch c.Track {
	case "ip_src", "ip_dst", "ip_pair", "tx", "src", "dst", "both":
	default:
		return faultf(o.valueAt, "%s: expected track ip_src, ip_dst or ip_pair", o.name)
	}
	p.addGeneral(c)
	return nil
}

func (p *parser) flowint(o *option) *fault {
	w := o.words()
	if len(w) < 2 {
		return faultf(o.valueAt, "flowint: expected name,operator,value")
	}
	c := &FlowInt{Name: w[0], Op: w[1], Pos: p.pos(o.at)}
	switch c.Op {
	case "isset", "isnotset", "notset":
		p.addGeneral(c)
		return nil
	case "+", "-", "=", "<", ">", "<=", ">=", "==", "!=":
	default:
		return faultf(o.valueAt, "flowint: unknown operator %q", c.Op)
	}
	if len(w) != 3 {
		return faultf(o.valueAt, "flowint: a value is missing")
	}
	if v, err := strconv.ParseUint(w[2], 10, 32); err == nil {
		c.Value = Bound{Set: true, Value: int64(v)}
	} else {
		c.Value = Bound{Set: true, Var: w[2]}
	}
	p.addGeneral(c)
	return nil
}

func (p *parser) threshold(o *option) *fault {
	if p.r.Threshold != nil {
		return faultf(o.at, "a rule has one threshold or detection_filter")
	}
	t := &Threshold{Pos: p.pos(o.at)}
	if o.name == "detection_filter" {
		t.Type = "detection_filter"
	}
	if err := t.read(o); err != nil {
		return err
	}
	p.r.Threshold = t
	return nil
}

// read takes `type limit, track by_src, count 1, seconds 60`.
func (t *Threshold) read(o *option) *fault {
	for _, part := range o.words() {
		word, arg, _ := strings.Cut(part, " ")
		arg = strings.TrimSpace(arg)
		n, err := strconv.ParseUint(arg, 10, 32)
		switch word {
		case "type":
			switch arg {
			case "limit", "threshold", "both", "backoff":
				t.Type = arg
			default:
				return faultf(o.valueAt, "%s: unknown type %q", o.name, arg)
			}
			continue
		case "track":
			switch arg {
			case "by_src", "by_dst", "by_both", "by_rule", "by_flow":
				t.Track = arg
			default:
				return faultf(o.valueAt, "%s: unknown track %q", o.name, arg)
			}
			continue
		case "count":
			t.Count = uint32(n)
		case "seconds":
			t.Seconds = uint32(n)
		case "multiplier":
			t.Multiplier = uint32(n)
		case "unique_on":
		default:
			return faultf(o.valueAt, "%s: unknown word %q", o.name, word)
		}
		if err != nil {
			return faultf(o.valueAt, "%s: %s %q is not a number", o.name, word, arg)
		}
	}
	if t.Type == "" || t.Track == "" || t.Count == 0 {
		return faultf(o.valueAt, "%s: type, track and count are needed", o.name)
	}
	return nil
}

// tag asks for the packets that follow to be recorded; evidence keeps an attack's packets anyway.
func (p *parser) tag(o *option) *fault { return nil }

func (p *parser) appProtocol(o *option) *fault {
	v := o.value
	c := &AppProtocol{Pos: p.pos(o.at)}
	if strings.HasPrefix(v, "!") {
		c.Negated, v = true, v[1:]
	}
	name, mode, _ := strings.Cut(v, ",")
	c.Mode = strings.TrimSpace(mode)
	name = strings.TrimSpace(name)
	if name == "failed" || name == "unknown" {
		c.Name = name
		p.addGeneral(c)
		return nil
	}
	canonical, ok := p.env.Vocabulary.Protocol(name)
	if !ok {
		return faultf(o.valueAt, "app-layer-protocol: unknown protocol %q", name)
	}
	c.Name = canonical
	p.addGeneral(c)
	return nil
}

func (p *parser) appEvent(o *option) *fault {
	app, name, ok := strings.Cut(o.value, ".")
	if !ok {
		app, name = "", o.value
	} else if canonical, known := p.env.Vocabulary.Protocol(app); known {
		app = canonical
	} else {
		return faultf(o.valueAt, "app-layer-event: unknown protocol %q", app)
	}
	i, ok := p.env.Vocabulary.AppEvent(app, name)
	if !ok {
		return faultf(o.valueAt, "app-layer-event: unknown event %q", o.value)
	}
	p.addGeneral(&AppEvent{App: app, Name: name, Index: i, Pos: p.pos(o.at)})
	return nil
}

func (p *parser) decodeEvent(o *option) *fault {
	i, ok := p.env.Vocabulary.DecodeEvent(o.value)
	if !ok {
		if strings.HasPrefix(o.value, "stream.") {
			o.value = strings.TrimPrefix(o.value, "stream.")
			return p.streamEvent(o)
		}
		return faultf(o.valueAt, "decode-event: unknown event %q", o.value)
	}
	p.addGeneral(&DecodeEvent{Name: o.value, Index: i, Pos: p.pos(o.at)})
	return nil
}

func (p *parser) streamEvent(o *option) *fault {
	i, ok := p.env.Vocabulary.StreamEvent(o.value)
	if !ok {
		return faultf(o.valueAt, "stream-event: unknown event %q", o.value)
	}
	p.addGeneral(&StreamEvent{Name: o.value, Index: i, Pos: p.pos(o.at)})
	return nil
}

func (p *parser) word(o *option) *fault {
	v := strings.TrimSpace(o.value)
	c := &Word{Name: o.name, Arg: v, Pos: p.pos(o.at)}
	if o.name != "ip_proto" && o.name != "fragbits" && strings.HasPrefix(v, "!") {
		c.Negated, c.Arg = true, v[1:]
	}
	p.addGeneral(c)
	return nil
}
