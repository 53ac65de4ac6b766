package rule

import (
	"strconv"
	"strings"
)

// languageWords are the words that belong to the language itself; buffers and protocols' words come from the vocabulary.
// A function, since some of them ask which words there are.
func languageWords() map[string]func(*parser, *option) *fault {
	return map[string]func(*parser, *option) *fault{
		"msg": (*parser).msg, "sid": (*parser).sid, "gid": (*parser).gid, "rev": (*parser).rev, "classtype": (*parser).classtype,
		"priority": (*parser).priority, "reference": (*parser).reference, "metadata": (*parser).metadata, "target": (*parser).target,
		"noalert": (*parser).noalert, "alert": (*parser).alertWord, "requires": (*parser).requires,
		"content": (*parser).content, "nocase": (*parser).nocase, "offset": (*parser).offset, "depth": (*parser).depth,
		"distance": (*parser).distance, "within": (*parser).within, "startswith": (*parser).startswith, "endswith": (*parser).endswith,
		"rawbytes": (*parser).rawbytes, "fast_pattern": (*parser).fastPattern, "replace": (*parser).replace, "prefilter": (*parser).ignored,
		"pcre": (*parser).pcre, "byte_test": (*parser).byteTest, "byte_jump": (*parser).byteJump, "byte_extract": (*parser).byteExtract,
		"byte_math": (*parser).byteMath, "isdataat": (*parser).isDataAt, "absent": (*parser).absent, "bsize": (*parser).bsize,
		"dsize": (*parser).packetNumber, "urilen": (*parser).urilen, "base64_decode": (*parser).base64Decode,
		"flow": (*parser).flow, "flags": (*parser).tcpFlags, "tcp.flags": (*parser).tcpFlags, "flowbits": (*parser).flowbits,
		"flowint": (*parser).flowint, "xbits": (*parser).xbits, "hostbits": (*parser).xbits, "threshold": (*parser).threshold,
		"detection_filter": (*parser).threshold, "tag": (*parser).tag, "app-layer-protocol": (*parser).appProtocol,
		"app-layer-event": (*parser).appEvent, "decode-event": (*parser).decodeEvent, "stream-event": (*parser).streamEvent, "engine-event": (*parser).decodeEvent,
		"ttl": (*parser).packetNumber, "id": (*parser).packetNumber, "itype": (*parser).packetNumber, "icode": (*parser).packetNumber,
		"icmp_id": (*parser).packetNumber, "icmp_seq": (*parser).packetNumber, "seq": (*parser).packetNumber, "tcp.seq": (*parser).packetNumber,
		"ack": (*parser).packetNumber, "tcp.ack": (*parser).packetNumber, "window": (*parser).packetNumber, "tcp.window": (*parser).packetNumber,
		"tcp.mss": (*parser).packetNumber, "tcp.wscale": (*parser).packetNumber, "tos": (*parser).packetNumber, "icmpv6.mtu": (*parser).packetNumber,
		"frame": (*parser).frame, "vlan.id": (*parser).vlanID, "vlan.layers": (*parser).packetNumber, "fragoffset": (*parser).packetNumber, "flow.age": (*parser).packetNumber,
		"flow.pkts": (*parser).flowNumber, "flow.bytes": (*parser).flowNumber,
		"flow.pkts_toserver": (*parser).packetNumber, "flow.pkts_toclient": (*parser).packetNumber, "flow.bytes_toserver": (*parser).packetNumber, "flow.bytes_toclient": (*parser).packetNumber,
		"ip_proto": (*parser).word, "sameip": (*parser).word, "ipopts": (*parser).word, "fragbits": (*parser).word, "stream_size": (*parser).word,
		"ipv4-csum": (*parser).word, "tcpv4-csum": (*parser).word, "udpv4-csum": (*parser).word, "icmpv4-csum": (*parser).word,
		"tcpv6-csum": (*parser).word, "udpv6-csum": (*parser).word, "icmpv6-csum": (*parser).word, "bypass": (*parser).bypass,
	}
}

// notOffered are words of the language that this version refuses by name, so that nothing is half-loaded.
var notOffered = map[string]bool{
	"lua": true, "luajit": true, "geoip": true, "iprep": true, "dataset": true, "datarep": true, "luaxform": true,
	"entropy": true, "config": true, "detection-hook": true, "l3_proto": true, "asn1": true, "ftpbounce": true,
	"nfq_set_mark": true, "rpc": true, "cluster": true, "file.magic": true,
}

// notOfferedFamilies are the first parts of keywords of protocols that this version does not read.
var notOfferedFamilies = []string{"dhcp.", "dnp3_", "enip", "http2.", "ike.", "mdns.", "modbus", "nfs", "ntp.", "pgsql.", "quic.", "rfb.", "sdp.", "snmp.", "websocket."}

// peerHas says whether a keyword is of a protocol that the peer reads and this version does not: that is no misspelling.
func peerHas(name string) bool {
	for _, f := range notOfferedFamilies {
		if strings.HasPrefix(name, f) {
			return true
		}
	}
	return false
}

// aliases of packet words.
var canonical = map[string]string{"seq": "tcp.seq", "ack": "tcp.ack", "window": "tcp.window", "tcp.flags": "flags"}

// packetBuffers are sticky buffers that belong to no application's protocol.
var packetBuffers = map[string]string{
	"pkt_data": "", "ip.hdr": "ip.hdr", "ipv4.hdr": "ipv4.hdr", "ipv6.hdr": "ipv6.hdr", "tcp.hdr": "tcp.hdr", "udp.hdr": "udp.hdr", "icmpv4.hdr": "icmpv4.hdr", "icmpv6.hdr": "icmpv6.hdr",
	"ip.src": "ip.src", "ip.dst": "ip.dst", "base64_data": "base64_data",
}

// transforms and whether they take an argument.
var transforms = map[string]bool{
	"dotprefix": false, "to_lowercase": false, "to_uppercase": false, "strip_whitespace": false, "compress_whitespace": false, "to_md5": false, "to_sha1": false,
	"to_sha256": false, "url_decode": false, "header_lowercase": false, "strip_pseudo_headers": false, "xor": true, "pcrexform": true, "from_base64": true,
	"domain": false, "tld": false, "gunzip": true, "zlib_deflate": true, "case_changer": false,
}

// option acts on one keyword.
func (p *parser) option(o *option) *fault {
	if !p.known(o.name) {
		o.name = strings.ToLower(o.name) // written otherwise in some rule sets; the peer reads any case
	}
	if f, ok := p.env.words[o.name]; ok {
		return f(p, o)
	}
	if notOffered[o.name] {
		return faultf(o.at, "keyword %q is not offered by this version", o.name)
	}
	if arg, ok := transforms[o.name]; ok {
		return p.transform(o, arg)
	}
	if o.name == "pkt_data" {
		p.sticky, p.last, p.moved = false, nil, nil
		return nil
	}
	if name, ok := packetBuffers[o.name]; ok {
		p.setBuffer(Buffer{Name: name})
		p.has.base64 = p.has.base64 || name == "base64_data"
		return nil
	}
	e, ok := p.env.Vocabulary.Keyword(o.name)
	if !ok && peerHas(o.name) {
		return faultf(o.at, "keyword %q is not offered by this version", o.name)
	}
	if !ok {
		return faultf(o.at, "unknown keyword %q%s", o.name, hint(o.name, append(p.env.Vocabulary.Words(), keys(p.env.words)...)))
	}
	return p.entry(o, e)
}

// known says whether a keyword is offered exactly as written.
func (p *parser) known(name string) bool {
	if _, ok := p.env.words[name]; ok {
		return true
	}
	if _, ok := transforms[name]; ok {
		return true
	}
	if _, ok := packetBuffers[name]; ok {
		return true
	}
	_, ok := p.env.Vocabulary.Keyword(name)
	return ok
}

// onceEntries are protocols' keywords that the peer takes only once a rule.
var onceEntries = map[string]bool{"smb.version": true}

// entry acts on a protocol's keyword.
func (p *parser) entry(o *option, e Entry) *fault {
	p.directions(o, e)
	if onceEntries[e.Name] {
		if err := p.once(o); err != nil {
			return err
		}
	}
	switch e.Kind {
	case BufferEntry:
		b := Buffer{Name: e.Name, App: e.App, Keyword: e.Index, Multi: e.Multi, Streaming: e.Streaming}
		if e.Modifier {
			return p.modifier(o, b)
		}
		if o.has {
			if o.name == "uricontent" {
				if err := p.content(o); err != nil {
					return err
				}
				return p.modifier(o, b)
			}
			return faultf(o.valueAt, "%s takes no value", o.name)
		}
		p.setBuffer(b)
	case NumberEntry:
		n, err := p.severalNumbers(o, e.Values)
		if err != nil {
			return err
		}
		n.Name, n.App, n.Index = e.Name, e.App, e.Index
		p.addGeneral(n)
	case FlagEntry:
		c := &Flag{Name: e.Name, App: e.App, Index: e.Index, Pos: p.pos(o.at)}
		switch strings.ToLower(o.value) {
		case "", "yes", "true", "on", "1":
		case "no", "false", "off", "0":
			c.Negated = true
		default:
			return faultf(o.valueAt, "%s: expected yes or no", o.name)
		}
		p.addGeneral(c)
	case CustomEntry:
		if e.App == "" {
			return p.ofFile(o, e)
		}
		v := o.value
		c := &Custom{Name: e.Name, App: e.App, Index: e.Index, Pos: p.pos(o.at)}
		arg, err := p.env.Vocabulary.Compile(e, v)
		if err != nil {
			return faultf(max(o.valueAt, o.at), "%s: %v", o.name, err)
		}
		c.Arg = arg
		p.addGeneral(c)
	}
	return nil
}

// frame makes a piece of a protocol's conversation the sticky buffer: "http1.request", or "request" behind that protocol's
// header.
func (p *parser) frame(o *option) *fault {
	app, name, ok := strings.Cut(o.value, ".")
	canonical := ""
	if ok {
		canonical, ok = p.env.Vocabulary.Protocol(app)
	}
	if !ok {
		canonical, name = p.r.Proto.App, o.value
	}
	e, ok := p.env.Vocabulary.Keyword("frame:" + canonical + "." + name)
	if !ok {
		return faultf(max(o.valueAt, o.at), "frame: %q is not a frame that this version knows", clip(o.value))
	}
	p.setBuffer(Buffer{Name: e.Name, App: e.App, Keyword: e.Index, Multi: e.Multi, Streaming: e.Streaming})
	return nil
}

// setBuffer starts a group on a sticky buffer.
func (p *parser) setBuffer(b Buffer) {
	p.sticky = b.Name != ""
	p.groups = append(p.groups, Group{Buffer: b})
	p.last = nil
}

// add puts a condition into the group in force.
func (p *parser) add(c Condition) {
	g := &p.groups[len(p.groups)-1]
	g.Conditions = append(g.Conditions, c)
}

// addGeneral puts a condition that concerns no buffer into the first group.
func (p *parser) addGeneral(c Condition) {
	p.groups[0].Conditions = append(p.groups[0].Conditions, c)
}

// modifier moves the latest content to the buffer an old-style modifier names.
func (p *parser) modifier(o *option, b Buffer) *fault {
	if p.last == nil {
		return faultf(o.at, "%s follows no content", o.name)
	}
	if p.sticky {
		return faultf(o.at, "%s is of the old style and cannot follow a sticky buffer", o.name)
	}
	g := &p.groups[0]
	for i, c := range g.Conditions {
		if c == Condition(p.last) {
			g.Conditions = append(g.Conditions[:i:i], g.Conditions[i+1:]...)
			break
		}
	}
	p.moveTo(b, p.last)
	p.moved = &b
	return nil
}

// moveTo files a condition under an old-style buffer's group.
func (p *parser) moveTo(b Buffer, c Condition) {
	for i := range p.groups {
		if i > 0 && p.groups[i].Buffer.Name == b.Name && p.groups[i].Buffer.App == b.App {
			p.groups[i].Conditions = append(p.groups[i].Conditions, c)
			return
		}
	}
	p.groups = append(p.groups, Group{Buffer: b, Conditions: []Condition{c}})
}

func (p *parser) transform(o *option, arg bool) *fault {
	g := &p.groups[len(p.groups)-1]
	if !p.sticky {
		return faultf(o.at, "%s follows no sticky buffer", o.name)
	}
	if len(g.Conditions) > 0 { // what follows looks at the buffer changed once more
		p.groups = append(p.groups, Group{Buffer: g.Buffer, Transforms: append([]Transform(nil), g.Transforms...)})
		g = &p.groups[len(p.groups)-1]
	}
	v := o.value
	if s, _, err := o.quoted(); err == nil {
		v = s
	} else if o.name == "pcrexform" {
		return faultf(max(o.valueAt, o.at), "pcrexform: expected a regular expression in double quotes")
	}
	if !arg && o.has {
		return faultf(o.valueAt, "%s takes no value", o.name)
	}
	g.Transforms = append(g.Transforms, Transform{Name: o.name, Arg: v})
	return nil
}

func (p *parser) ignored(o *option) *fault { return nil }

// once refuses a second keyword of the name.
func (p *parser) once(o *option) *fault {
	if p.done[o.name] {
		return faultf(o.at, "%s stands twice", o.name)
	}
	p.done[o.name] = true
	return nil
}

func (p *parser) msg(o *option) *fault {
	s, _, err := o.quoted()
	if err != nil {
		return err
	}
	p.r.Msg = unescape(s)
	return p.once(o)
}

// unescape takes backslashes off ; \ " :
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && strings.IndexByte(`;\":'`, s[i+1]) >= 0 {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func (o *option) uint(bits int) (uint32, *fault) {
	v, err := strconv.ParseUint(strings.Trim(o.value, `"`), 10, bits)
	if err != nil {
		return 0, faultf(max(o.valueAt, o.at), "%s: expected a number, found %q", o.name, clip(o.value))
	}
	return uint32(v), nil
}

func (p *parser) sid(o *option) (err *fault) {
	p.r.SID, err = o.uint(32)
	if err == nil && p.r.SID == 0 {
		err = faultf(o.valueAt, "sid 0 is not allowed")
	}
	if err == nil && p.has.sid {
		err = faultf(o.at, "sid stands twice")
	}
	p.has.sid = true
	return err
}

func (p *parser) gid(o *option) (err *fault) { p.r.GID, err = o.uint(32); return err }

func (p *parser) rev(o *option) (err *fault) {
	p.r.Rev, err = o.uint(32)
	if err == nil {
		err = p.once(o)
	}
	return err
}

func (p *parser) classtype(o *option) *fault {
	p.r.Classtype = strings.Trim(o.value, `"`)
	return p.once(o)
}

func (p *parser) priority(o *option) *fault {
	v, err := o.uint(8)
	if err == nil {
		p.r.Priority, p.has.priority = int(v), true
		err = p.once(o)
	}
	return err
}

func (p *parser) reference(o *option) *fault {
	k, id, ok := strings.Cut(o.value, ",")
	if !ok {
		return faultf(o.valueAt, "reference: expected key,id")
	}
	k = strings.ToLower(strings.TrimSpace(k))
	r := Reference{k, unescape(strings.TrimSpace(id)), p.env.References[k]}
	if strings.Contains(r.ID, "://") {
		r.URL = "" // it names its scheme itself
	}
	p.r.References = append(p.r.References, r)
	return nil
}

func (p *parser) metadata(o *option) *fault {
	for _, pair := range strings.Split(o.value, ",") {
		k, v, _ := strings.Cut(strings.TrimSpace(pair), " ")
		if k != "" {
			p.r.Metadata = append(p.r.Metadata, KeyValue{k, strings.TrimSpace(v)})
		}
	}
	return nil
}

func (p *parser) target(o *option) *fault {
	switch o.value {
	case "src_ip":
		p.r.Target = TargetSrc
	case "dest_ip":
		p.r.Target = TargetDst
	default:
		return faultf(o.valueAt, "target: expected src_ip or dest_ip")
	}
	return nil
}

func (p *parser) bypass(*option) *fault { p.r.Bypass = true; return nil }

func (p *parser) noalert(o *option) *fault { p.r.NoAlert = true; return nil }

func (p *parser) alertWord(*option) *fault { p.r.NoAlert, p.r.Loud = false, true; return nil }

// requires refuses rules for other engines or versions; this one stands for 8.0.7.
func (p *parser) requires(o *option) *fault {
	for _, part := range strings.Split(o.value, ",") {
		part = strings.TrimSpace(part)
		word, rest, _ := strings.Cut(part, " ")
		switch word {
		case "version":
			if !versionHolds(strings.TrimSpace(rest)) {
				return faultf(o.valueAt, "requires %s", part)
			}
		case "feature":
			if f := strings.TrimSpace(rest); f != "true_feature" {
				return faultf(o.valueAt, "requires feature %s, which this version lacks", f)
			}
		case "keyword":
			name := strings.TrimSpace(rest)
			_, known := p.env.words[name]
			if _, ok := p.env.Vocabulary.Keyword(name); !ok && !known {
				return faultf(o.valueAt, "requires keyword %s, which this version lacks", name)
			}
		default:
			return faultf(o.valueAt, "requires: unknown requirement %q", word)
		}
	}
	return nil
}

// versionHolds judges ">= 7.0 < 8 | >= 8.0.4".
func versionHolds(s string) bool {
	for _, alternative := range strings.Split(s, "|") {
		words := strings.Fields(alternative)
		holds := len(words) > 0 && len(words)%2 == 0
		for i := 0; holds && i < len(words); i += 2 {
			c, ok := compareVersions(words[i+1])
			holds = ok
			switch words[i] {
			case ">=":
				holds = holds && c >= 0
			case ">":
				holds = holds && c > 0
			case "<":
				holds = holds && c < 0
			case "<=":
				holds = holds && c <= 0
			default:
				holds = false
			}
		}
		if holds {
			return true
		}
	}
	return false
}

// compareVersions compares 8.0.7 with v.
func compareVersions(v string) (int, bool) {
	own := [3]int{8, 0, 7}
	for i, part := range strings.SplitN(v, ".", 3) {
		n, err := strconv.Atoi(part)
		if err != nil {
			return 0, false
		}
		if own[i] != n {
			return own[i] - n, true
		}
		if i == 2 {
			return 0, true
		}
	}
	return 0, true
}
