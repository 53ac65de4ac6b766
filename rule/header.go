package rule

import (
	"net/netip"
	"strconv"
	"strings"
)

var actions = map[string]Action{"alert": Alert, "pass": Pass, "drop": Drop, "reject": Reject, "rejectsrc": RejectSrc, "rejectdst": RejectDst, "rejectboth": RejectBoth}

// transports are the header words that are no application's protocol.
var transports = map[string]Proto{
	"ip": {IP: AnyIP}, "any": {IP: AnyIP}, "tcp": {IP: TCP}, "tcp-pkt": {IP: TCP, PacketOnly: true}, "tcp-stream": {IP: TCP, StreamOnly: true},
	"udp": {IP: UDP}, "icmp": {IP: ICMP | ICMPv6}, "icmpv4": {IP: ICMP}, "icmpv6": {IP: ICMPv6}, "sctp": {IP: SCTP},
	"ip4": {IP: IPv4}, "ipv4": {IP: IPv4}, "ip6": {IP: IPv6}, "ipv6": {IP: IPv6}, "arp": {IP: ARP}, "ether": {IP: Ether}, "pkthdr": {IP: AnyIP},
}

// words cuts the header at blanks outside brackets.
func headerWords(s string) (words []string, at []int) {
	depth, start := 0, -1
	for i := 0; i <= len(s); i++ {
		blank := i == len(s) || (s[i] == ' ' || s[i] == '\t') && depth == 0
		switch {
		case !blank && start < 0:
			start = i
		case blank && start >= 0:
			words, at = append(words, s[start:i]), append(at, start)
			start = -1
		}
		if i < len(s) {
			switch s[i] {
			case '[':
				depth++
			case ']':
				depth--
			}
		}
	}
	return words, at
}

// header reads action, protocol, sides and direction.
func (p *parser) header(s string) *fault {
	w, at := headerWords(s)
	r := p.r
	if len(w) == 0 {
		return faultf(0, "expected an action")
	}
	a, ok := actions[w[0]]
	if !ok {
		return faultf(at[0], "unknown action %q%s", w[0], hint(w[0], keys(actions)))
	}
	r.Action = a
	if len(w) < 2 {
		return faultf(len(s), "expected a protocol")
	}
	if err := p.protocol(w[1], at[1]); err != nil {
		return err
	}
	if len(w) == 2 && (r.Proto.Name == "pkthdr" || r.Proto.IP == ARP || r.Proto.IP == Ether || r.Proto.App != "") {
		r.Src.Any, r.Dst.Any, r.SrcPorts.Any, r.DstPorts.Any = true, true, true, true
		return nil
	}
	for i := 2; i < len(w); i++ {
		if strings.Count(w[i], "[") != strings.Count(w[i], "]") { // an open bracket swallows the words behind it
			return faultf(at[i], "unbalanced brackets in %q", clip(w[i]))
		}
	}
	if len(w) != 7 {
		return faultf(at[len(w)-1], "expected source, port, direction, destination, port")
	}
	var err *fault
	if r.Src, err = p.env.address(w[2], at[2]); err != nil {
		return err
	}
	if r.SrcPorts, err = p.env.port(w[3], at[3]); err != nil {
		return err
	}
	switch w[4] {
	case "->":
	case "<>":
		r.Bidirectional = true
	case "=>":
		r.TxRule = true
	default:
		return faultf(at[4], "expected ->, <> or =>, found %q", w[4])
	}
	if r.Dst, err = p.env.address(w[5], at[5]); err != nil {
		return err
	}
	r.DstPorts, err = p.env.port(w[6], at[6])
	return err
}

func (p *parser) protocol(name string, at int) *fault {
	name = strings.ToLower(name)
	if t, ok := transports[name]; ok {
		t.Name = name
		p.r.Proto = t
		return nil
	}
	if i := strings.IndexByte(name, ':'); i >= 0 {
		return faultf(at, "%q: firewall hooks are not offered by this version", name)
	}
	app, ok := p.env.Vocabulary.Protocol(name)
	if !ok {
		return faultf(at, "unknown protocol %q%s", name, hint(name, keys(transports)))
	}
	p.r.Proto = Proto{Name: name, App: app}
	return nil
}

// varDepthMax bounds variables within variables.
const varDepthMax = 16

// address reads one side; variables are put in and remembered.
func (e *Environment) address(s string, at int) (Addresses, *fault) {
	if a, ok := e.addresses[s]; ok {
		return a, nil
	}
	a := Addresses{Text: s}
	if err := e.collect(&a, s, false, at, 0); err != nil {
		return a, err
	}
	if a.Any && len(a.Not) == 0 {
		a.In = nil
	}
	if !a.Any && len(a.In) == 0 && len(a.Not) > 0 {
		a.Any = true
	}
	if e.addresses == nil {
		e.addresses = map[string]Addresses{}
	}
	e.addresses[s] = a
	return a, nil
}

func (e *Environment) collect(a *Addresses, s string, not bool, at, depth int) *fault {
	s = strings.TrimSpace(s)
	if depth > varDepthMax {
		return faultf(at, "variables refer to each other without end")
	}
	if strings.HasPrefix(s, "!") {
		return e.collect(a, s[1:], !not, at, depth+1)
	}
	if strings.HasPrefix(s, "[") {
		items, ok := list(s)
		if !ok {
			return faultf(at, "unbalanced brackets in %q", clip(s))
		}
		for _, item := range items {
			if err := e.collect(a, item, not, at, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	if strings.HasPrefix(s, "$") {
		v, ok := e.AddressVars[s[1:]]
		if !ok {
			if e.NoVariables {
				a.Any = true
				return nil
			}
			return faultf(at, "unknown address variable %s%s", s, hint(s[1:], keys(e.AddressVars)))
		}
		return e.collect(a, v, not, at, depth+1)
	}
	if strings.EqualFold(s, "any") {
		if not {
			return faultf(at, "!any matches nothing")
		}
		a.Any = true
		return nil
	}
	pre, ok := parsePrefix(s)
	if !ok {
		return faultf(at, "%q is not an address, prefix or range", clip(s))
	}
	if not {
		a.Not = append(a.Not, pre)
	} else {
		a.In = append(a.In, pre)
	}
	return nil
}

// list cuts [a,b,[c]] at the commas of its outermost level.
func list(s string) (items []string, ok bool) {
	if !strings.HasSuffix(s, "]") {
		return nil, false
	}
	s = s[1 : len(s)-1]
	depth, start := 0, 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '[':
			depth++
		case ']':
			if depth--; depth < 0 {
				return nil, false
			}
		case ',':
			if depth == 0 {
				items = append(items, s[start:i])
				start = i + 1
			}
		}
	}
	if depth != 0 {
		return nil, false
	}
	for _, item := range append(items, s[start:]) {
		if strings.TrimSpace(item) == "" {
			return nil, false
		}
	}
	return append(items, s[start:]), true
}

func parsePrefix(s string) (Prefix, bool) {
	if lo, hi, ok := strings.Cut(s, "-"); ok {
		a, err1 := netip.ParseAddr(strings.TrimSpace(lo))
		b, err2 := netip.ParseAddr(strings.TrimSpace(hi))
		if err1 != nil || err2 != nil || a.Is4() != b.Is4() || b.Less(a) {
			return Prefix{}, false
		}
		return Prefix{a.As16(), b.As16(), a.Is4()}, true
	}
	if addr, mask, ok := strings.Cut(s, "/"); ok {
		a, err := netip.ParseAddr(strings.TrimSpace(addr))
		if err != nil {
			return Prefix{}, false
		}
		bits, err := strconv.Atoi(strings.TrimSpace(mask))
		if err != nil {
			if bits, ok = maskBits(mask); !ok {
				return Prefix{}, false
			}
		}
		pre, err := a.Prefix(bits)
		if err != nil {
			return Prefix{}, false
		}
		lo, hi := pre.Addr().As16(), pre.Addr().As16()
		off := 0
		if a.Is4() {
			off = 96
		}
		for i := off + bits; i < 128; i++ {
			hi[i/8] |= 0x80 >> (i % 8)
		}
		return Prefix{lo, hi, a.Is4()}, true
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return Prefix{}, false
	}
	return Prefix{a.As16(), a.As16(), a.Is4()}, true
}

// maskBits reads a dotted mask.
func maskBits(s string) (int, bool) {
	m, err := netip.ParseAddr(strings.TrimSpace(s))
	if err != nil || !m.Is4() {
		return 0, false
	}
	b := m.As4()
	n := 0
	for n < 32 && b[n/8]&(0x80>>(n%8)) != 0 {
		n++
	}
	return n, true
}

// port reads one side's ports.
func (e *Environment) port(s string, at int) (Ports, *fault) {
	if p, ok := e.ports[s]; ok {
		return p, nil
	}
	p := Ports{Text: s}
	if err := e.collectPorts(&p, s, false, at, 0); err != nil {
		return p, err
	}
	if !p.Any && len(p.In) == 0 && len(p.Not) > 0 {
		p.Any = true
	}
	if e.ports == nil {
		e.ports = map[string]Ports{}
	}
	e.ports[s] = p
	return p, nil
}

func (e *Environment) collectPorts(p *Ports, s string, not bool, at, depth int) *fault {
	s = strings.TrimSpace(s)
	if depth > varDepthMax {
		return faultf(at, "variables refer to each other without end")
	}
	switch {
	case strings.HasPrefix(s, "!"):
		return e.collectPorts(p, s[1:], !not, at, depth+1)
	case strings.HasPrefix(s, "["):
		items, ok := list(s)
		if !ok {
			return faultf(at, "unbalanced brackets in %q", clip(s))
		}
		for _, item := range items {
			if err := e.collectPorts(p, item, not, at, depth+1); err != nil {
				return err
			}
		}
		return nil
	case strings.HasPrefix(s, "$"):
		v, ok := e.PortVars[s[1:]]
		if !ok {
			if e.NoVariables {
				p.Any = true
				return nil
			}
			return faultf(at, "unknown port variable %s%s", s, hint(s[1:], keys(e.PortVars)))
		}
		return e.collectPorts(p, v, not, at, depth+1)
	case strings.EqualFold(s, "any"):
		if not {
			return faultf(at, "!any matches nothing")
		}
		p.Any = true
		return nil
	}
	r, ok := parsePorts(s)
	if !ok {
		return faultf(at, "%q is not a port or range", clip(s))
	}
	if not {
		p.Not = append(p.Not, r)
	} else {
		p.In = append(p.In, r)
	}
	return nil
}

func parsePorts(s string) (PortRange, bool) {
	lo, hi, ranged := strings.Cut(s, ":")
	if !ranged {
		v, err := strconv.ParseUint(s, 10, 16)
		return PortRange{uint16(v), uint16(v)}, err == nil
	}
	a, b := uint64(0), uint64(65535)
	var err1, err2 error
	if lo = strings.TrimSpace(lo); lo != "" {
		a, err1 = strconv.ParseUint(lo, 10, 16)
	}
	if hi = strings.TrimSpace(hi); hi != "" {
		b, err2 = strconv.ParseUint(hi, 10, 16)
	}
	return PortRange{uint16(a), uint16(b)}, err1 == nil && err2 == nil && a <= b
}
