package detect

import (
	"strings"

	"github.com/dejpha/dejpha/app"
	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/detect/chain"
	"github.com/dejpha/dejpha/rule"
)

// builder compiles one rule.
type builder struct {
	c          *compiler
	s          *sig
	payload    []rule.Condition
	runs       []run
	needPacket bool
	needStream bool
	posts      bool
}

// run is the conditions on one buffer before they are compiled.
type run struct {
	buffer rule.Buffer
	trans  []rule.Transform
	conds  []rule.Condition
}

func sameTransforms(a, b []rule.Transform) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Name != b[i].Name || a[i].Arg != b[i].Arg {
			return false
		}
	}
	return true
}

func (b *builder) group(g *rule.Group) *Refusal {
	var inside []rule.Condition
	for _, x := range g.Conditions {
		b.variable(x)
		switch t := x.(type) {
		case *rule.Content, *rule.PCRE, *rule.ByteTest, *rule.ByteJump, *rule.ByteExtract, *rule.ByteMath, *rule.IsDataAt, *rule.Base64Decode, *rule.Absent:
			inside = append(inside, x)
		case *rule.Number:
			if t.Name == "bsize" {
				inside = append(inside, x)
			} else if why := b.number(t); why != nil {
				return why
			}
		default:
			if why := b.condition(x); why != nil {
				return why
			}
		}
	}
	if len(inside) == 0 && g.Buffer.Name == "" {
		return nil
	}
	if g.Buffer.Name == "" && len(g.Transforms) == 0 {
		b.payload = append(b.payload, inside...)
		return nil
	}
	for i := range b.runs {
		r := &b.runs[i]
		if !g.Buffer.Multi && r.buffer.Name == g.Buffer.Name && r.buffer.Name != "base64_data" && sameTransforms(r.trans, g.Transforms) {
			r.conds = append(r.conds, inside...)
			return nil
		}
	}
	b.runs = append(b.runs, run{g.Buffer, g.Transforms, inside})
	return nil
}

// variable counts the rule's variables.
func (b *builder) variable(x rule.Condition) {
	switch t := x.(type) {
	case *rule.ByteExtract:
		b.s.vars = max(b.s.vars, t.VarIndex+1)
	case *rule.ByteMath:
		b.s.vars = max(b.s.vars, t.VarIndex+1)
	}
}

func (b *builder) number(t *rule.Number) *Refusal {
	if t.Name == "urilen" {
		name := "http.uri"
		if t.Raw {
			name = "http.uri.raw"
		}
		b.runs = append(b.runs, run{buffer: rule.Buffer{Name: name}, conds: []rule.Condition{t}})
		return nil
	}
	if t.App != "" || t.Name == "filesize" {
		b.s.tx = append(b.s.tx, txTest{kind: txNumber, name: t.Name, number: t, app: t.App})
		return nil
	}
	f, ok := packetFields[t.Name]
	if !ok {
		return &Refusal{Pos: t.Pos, Why: t.Name + " is not supported yet"}
	}
	if f == pfDsize {
		b.needPacket = true
	}
	b.s.packet = append(b.s.packet, cond{kind: cdNumber, field: f, op: t.Op, a: t.A, b: t.B, of: t.Of})
	return nil
}

func (b *builder) condition(x rule.Condition) *Refusal {
	s := b.s
	switch t := x.(type) {
	case *rule.FlowState:
		b.flow(t)
	case *rule.TCPFlags:
		s.packet = append(s.packet, cond{kind: cdFlags, flags: t})
	case *rule.FlowBits:
		return b.flowBits(t)
	case *rule.XBits:
		return b.xbits(t)
	case *rule.FlowInt:
		c := cond{kind: cdFlowInt, flowInt: t, name: uint32(b.c.set.names.flowInt(t.Name))}
		if t.Value.Var != "" {
			c.other = b.c.set.names.flowInt(t.Value.Var)
		}
		s.state = append(s.state, c)
	case *rule.Flag:
		s.tx = append(s.tx, txTest{kind: txFlag, name: t.Name, flag: t, app: t.App})
	case *rule.Custom:
		s.tx = append(s.tx, txTest{kind: txCustom, name: t.Name, custom: t, app: t.App})
	case *rule.AppEvent:
		if t.App == "" {
			s.packet = append(s.packet, cond{kind: cdAppEvent, a: uint64(t.Index)})
		} else {
			s.tx = append(s.tx, txTest{kind: txEvent, name: t.Name, event: t.Index, app: t.App})
		}
	case *rule.DecodeEvent:
		s.packet = append(s.packet, cond{kind: cdDecodeEvent, a: uint64(t.Index)})
	case *rule.StreamEvent:
		s.packet = append(s.packet, cond{kind: cdStreamEvent, a: uint64(t.Index)})
	case *rule.AppProtocol:
		return b.appProtocol(t)
	case *rule.Word:
		c, why := makeWord(t)
		if why != nil {
			return why
		}
		if c.kind == cdAlways {
			return nil
		}
		if c.kind == cdStreamSize {
			s.state = append(s.state, c)
		} else {
			s.packet = append(s.packet, c)
		}
	default:
		return &Refusal{Why: x.Keyword() + " is not known to detection"}
	}
	return nil
}

func (b *builder) flow(t *rule.FlowState) {
	s := b.s
	s.flow |= needFlow
	if t.ToServer {
		s.dirs &= 1
	}
	if t.ToClient {
		s.dirs &= 2
	}
	for _, x := range []struct {
		on   bool
		need flowNeed
	}{{t.Established, needEstablished}, {t.NotEstablished, needNotEstablished}, {t.OnlyStream, needOnlyStream}, {t.NoStream, needNoStream}, {t.OnlyFrag, needOnlyFrag}, {t.NoFrag, needNoFrag}} {
		if x.on {
			s.flow |= x.need
		}
	}
	if t.Stateless && !t.ToServer && !t.ToClient || t.OnlyFrag || t.NoFrag {
		s.flow &^= needFlow
	}
	b.needPacket = b.needPacket || t.NoStream
	b.needStream = b.needStream || t.OnlyStream
}

func (b *builder) flowBits(t *rule.FlowBits) *Refusal {
	if t.Op == "noalert" {
		b.s.noAlert = true
		return nil
	}
	op, ok := bitOps[t.Op]
	if !ok {
		return &Refusal{Pos: t.Pos, Why: "flowbits: unknown operation " + t.Op}
	}
	c := cond{kind: cdFlowBits, bit: op}
	for _, n := range t.Names {
		c.names = append(c.names, b.c.set.names.flowBit(n))
	}
	b.stateCond(c, op)
	return nil
}

func (b *builder) stateCond(c cond, op bitOp) {
	if op >= bitIsSet {
		b.s.state = append(b.s.state, c)
		return
	}
	b.s.posts = append(b.s.posts, c)
}

func (b *builder) xbits(t *rule.XBits) *Refusal {
	if t.Op == "noalert" {
		b.s.noAlert = true
		return nil
	}
	op, ok := bitOps[t.Op]
	if !ok {
		return &Refusal{Pos: t.Pos, Why: "xbits: unknown operation " + t.Op}
	}
	if t.ExpireSec == 0 {
		own := *t
		own.ExpireSec = 30
		t = &own
	}
	prefix := "x:"
	if t.Host {
		prefix = "h:"
	}
	b.stateCond(cond{kind: cdXBits, bit: op, xbit: t, name: b.c.set.names.hostBit(prefix + t.Name)}, op)
	return nil
}

func (b *builder) appProtocol(t *rule.AppProtocol) *Refusal {
	c := cond{kind: cdAppProtocol, negated: t.Negated, mode: t.Mode, apps: b.c.appsOf(t.Name)}
	if t.Name == "failed" {
		c.apps = []uint16{app.Failed}
	}
	if t.Name == "unknown" {
		c.apps = []uint16{app.Unknown}
	}
	if len(c.apps) == 0 {
		return &Refusal{Pos: t.Pos, Why: "app-layer-protocol: " + t.Name + " is not known"}
	}
	b.s.packet = append(b.s.packet, c)
	return nil
}

// family lists protocols that rules for one name also mean.
var family = map[string][]string{"http": {"http", "http1", "http2"}, "http1": {"http", "http1"}, "dns": {"dns", "doh2"}, "http2": {"http2", "doh2"}, "dcerpc": {"dcerpc", "smb"}}

// appsOf returns the numbers of the protocols that a rule's name means.
func (c *compiler) appsOf(name string) []uint16 {
	var out []uint16
	want := family[name]
	if want == nil {
		want = []string{name}
	}
	for i := range c.set.opts.Protocols {
		p := &c.set.opts.Protocols[i]
		hit := false
		for _, n := range want {
			hit = hit || p.Name == n
		}
		for _, a := range p.Aliases {
			hit = hit || a == name
		}
		if hit {
			out = append(out, c.set.opts.FirstProtocol+uint16(i))
		}
	}
	return out
}

// finish compiles the buffers and settles what kind of rule it is.
func (b *builder) finish() *Refusal {
	s := b.s
	for i := range b.runs {
		if why := b.buffer(&b.runs[i], i); why != nil {
			return why
		}
	}
	if len(b.payload) > 0 {
		c, why := chain.Compile(b.payload)
		if why != nil {
			return refuse(why)
		}
		s.payload = append(s.payload, c)
		s.hasPayload = true
	}
	if name := s.rule.Proto.App; name != "" {
		if s.apps = b.c.appsOf(name); len(s.apps) == 0 {
			return &Refusal{Why: "protocol " + name + " is not known"}
		}
	}
	b.where()
	switch {
	case len(s.tx) > 0:
		s.kind = kindTx
		if why := b.resolve(); why != nil {
			return why
		}
	case b.ipOnly():
		s.kind = kindIPOnly
	case b.protocolOnly():
		s.kind = kindProtocol
	}
	s.headerOnly = !s.hasPayload && len(s.packet) == 0 && len(s.buffers) == 0 && len(s.state) == 0 && s.flow == 0
	s.stateful = len(s.posts) > 0 || len(s.state) > 0
	s.fast = s.pickFast()
	return nil
}

// where settles whether payload is looked for in packets, in the stream or in both.
func (b *builder) where() {
	s := b.s
	b.needPacket = b.needPacket || s.rule.Proto.PacketOnly
	b.needStream = b.needStream || s.rule.Proto.StreamOnly
	if s.protoMask != 0 && s.protoMask&uint16(rule.TCP) == 0 {
		s.inPacket = true
		return
	}
	s.inPacket, s.inStream = b.needPacket, b.needStream
	if !b.needPacket && !b.needStream {
		s.inStream = true
		for _, x := range b.payload {
			if t, ok := x.(*rule.Content); ok && (t.Depth.Set || t.Offset.Set || t.StartsWith) {
				s.inPacket = true
			}
		}
	}
}

func (b *builder) ipOnly() bool {
	s := b.s
	return !s.hasPayload && len(s.packet) == 0 && len(s.buffers) == 0 && len(s.tx) == 0 && s.apps == nil && s.flow == 0 &&
		allPorts(&s.srcPorts) && allPorts(&s.dstPorts) && len(s.state) == 0 && len(s.posts) == 0 && s.dirs == 3 && (s.src >= 0 || s.dst >= 0)
}

// protocolOnly says whether the rule asks for nothing but a flow's protocol: it is tried when that becomes known.
func (b *builder) protocolOnly() bool {
	s := b.s
	if len(s.packet) == 0 || s.hasPayload || len(s.buffers) > 0 || len(s.state) > 0 || len(s.posts) > 0 {
		return false
	}
	for i := range s.packet {
		if s.packet[i].kind != cdAppProtocol {
			return false
		}
	}
	return true
}

// buffer compiles one sticky buffer's conditions.
func (b *builder) buffer(r *run, index int) *Refusal {
	if r.buffer.Name == "base64_data" {
		return b.decoded(r, index)
	}
	c, why := chain.Compile(r.conds)
	if why != nil {
		return refuse(why)
	}
	trans, key, why := chain.NewTransforms(r.trans)
	if why != nil {
		return refuse(why)
	}
	name := r.buffer.Name
	if pb, ok := packetBuffers[name]; ok {
		b.s.buffers = append(b.s.buffers, bufferTest{pb, c, trans})
		return nil
	}
	frame, ok := strings.CutPrefix(name, "frame:"+r.buffer.App+".")
	if !ok {
		frame = ""
	}
	b.s.tx = append(b.s.tx, txTest{kind: txBuffer, name: name, frame: frame, chain: c, app: r.buffer.App, buffer: b.c.bufferIndex(name, name+key, trans)})
	return nil
}

// decoded hangs the conditions on base64_data behind the base64_decode before them.
func (b *builder) decoded(r *run, index int) *Refusal {
	c, why := chain.Compile(r.conds)
	if why != nil {
		return refuse(why)
	}
	put := func(conds []rule.Condition) bool {
		for i := len(conds) - 1; i >= 0; i-- {
			if t, ok := conds[i].(*rule.Base64Decode); ok {
				for j := range b.s.tx {
					if b.s.tx[j].chain.Attach(t, &c) {
						return true
					}
				}
				conds[i] = &chain.DecodedData{Base64Decode: t, Inner: c}
				return true
			}
		}
		return false
	}
	for i := index - 1; i >= 0; i-- {
		if put(b.runs[i].conds) {
			return nil
		}
	}
	if put(b.payload) {
		return nil
	}
	return &Refusal{Why: "base64_data without base64_decode"}
}

func (c *compiler) bufferIndex(name, key string, trans []chain.Transform) int {
	n := &c.set.names
	i, ok := n.byBuffer[key]
	if !ok {
		i = len(n.buffers)
		k := bufferKind{name: name, key: key, trans: trans}
		n.buffers = append(n.buffers, k)
		n.byBuffer[key] = i
	}
	return i
}

func refuse(r *chain.Refusal) *Refusal { return &Refusal{Pos: r.Pos, Why: r.Why} }

// sharedIndex is the index of a keyword in app.Shared plus 1, 0 if it is none.
func (c *compiler) sharedIndex(name string) int {
	if c.keywords == nil {
		c.keywords = map[string]int{}
		for j, k := range app.Shared() {
			c.keywords[k.Name] = j + 1
			for _, a := range k.Aliases {
				c.keywords[a] = j + 1
			}
		}
	}
	return c.keywords[name]
}

// keywordIn finds a keyword of a protocol for a direction, -1 if it has none.
func keywordIn(p *contract.Protocol, name string, dir contract.Direction) int16 {
	for i := range p.Keywords {
		k := &p.Keywords[i]
		if k.Dirs != 0 && uint8(k.Dirs)&dirBit(dir) == 0 {
			continue
		}
		if k.Name == name {
			return int16(i)
		}
		for _, a := range k.Aliases {
			if a == name {
				return int16(i)
			}
		}
	}
	return -1
}

// resolve finds, for each protocol and direction, where the transaction's tests are answered.
func (b *builder) resolve() *Refusal {
	s := b.s
	protos := b.c.set.opts.Protocols
	first := int(b.c.set.opts.FirstProtocol)
	for i := range s.tx {
		t := &s.tx[i]
		t.kw = make([][2]int16, first+len(protos))
		for a := range t.kw {
			t.kw[a] = [2]int16{-1, -1}
			if a < first {
				continue
			}
			for d := contract.ToServer; d <= contract.ToClient; d++ {
				t.kw[a][d] = t.find(b.c, &protos[a-first], d)
			}
		}
	}
	var apps []uint16
	dirs := uint8(0)
	for a := first; a < first+len(protos); a++ {
		if s.apps != nil && !hasApp(s.apps, uint16(a)) {
			continue
		}
		if m := s.answers(a); m != 0 {
			apps = append(apps, uint16(a))
			dirs |= m
		}
	}
	if len(apps) == 0 {
		var words []string
		for i := range s.tx {
			words = append(words, s.tx[i].name)
		}
		return &Refusal{Why: "no protocol answers " + strings.Join(words, ", ") + " in one direction"}
	}
	s.apps = apps
	if s.dirs&dirs == 0 {
		return &Refusal{Why: "flow direction does not fit the keywords"}
	}
	s.dirs &= dirs
	return nil
}

// answers returns the directions in which protocol a has everything the rule asks for.
func (s *sig) answers(a int) uint8 {
	m := uint8(3)
	if s.txRule {
		for i := range s.tx {
			if s.tx[i].kw[a] == [2]int16{-1, -1} {
				return 0
			}
		}
		return 3
	}
	for i := range s.tx {
		for d := 0; d < 2; d++ {
			if s.tx[i].kw[a][d] < 0 {
				m &^= 1 << d
			}
		}
	}
	return m
}

// sharedBase marks keyword numbers that are answered by a transaction's files.
const sharedBase = 10000

func (t *txTest) find(c *compiler, p *contract.Protocol, d contract.Direction) int16 {
	if t.kind == txEvent {
		if p.Name == t.app || familyHas(t.app, p.Name) && t.event < len(p.Events) && p.Events[t.event] == t.name {
			return 0
		}
		return -1
	}
	if kw := keywordIn(p, t.name, d); kw >= 0 {
		return kw
	}
	if i := c.sharedIndex(t.name); i > 0 {
		return int16(sharedBase + i - 1)
	}
	return -1
}

func familyHas(name, proto string) bool {
	for _, n := range family[name] {
		if n == proto {
			return true
		}
	}
	return false
}
