package detect

import (
	"testing"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/flow"
	"github.com/dejpha/dejpha/rule"
)

// text makes a content condition.
func text(s string, change ...func(*rule.Content)) *rule.Content {
	c := &rule.Content{Pattern: []byte(s)}
	for _, f := range change {
		f(c)
	}
	return c
}

func num(v int64) rule.Bound { return rule.Bound{Set: true, Value: v} }

func within(n int64) func(*rule.Content)   { return func(c *rule.Content) { c.Within = num(n) } }
func distance(n int64) func(*rule.Content) { return func(c *rule.Content) { c.Distance = num(n) } }
func offset(n int64) func(*rule.Content)   { return func(c *rule.Content) { c.Offset = num(n) } }
func depth(n int64) func(*rule.Content)    { return func(c *rule.Content) { c.Depth = num(n) } }
func nocase(c *rule.Content)               { c.NoCase = true }
func negated(c *rule.Content)              { c.Negated = true }
func endsWith(c *rule.Content)             { c.EndsWith = true }
func startsWith(c *rule.Content)           { c.StartsWith = true }

func pcre(p string, change ...func(*rule.PCRE)) *rule.PCRE {
	c := &rule.PCRE{Pattern: p}
	for _, f := range change {
		f(c)
	}
	return c
}

func relative(c *rule.PCRE) { c.Relative = true }

// newRule makes a rule of conditions on the payload.
func newRule(sid uint32, proto string, conds ...rule.Condition) *rule.Rule {
	r := &rule.Rule{SID: sid, GID: 1, Priority: 3, Src: rule.Addresses{Any: true}, Dst: rule.Addresses{Any: true},
		SrcPorts: rule.Ports{Any: true}, DstPorts: rule.Ports{Any: true}, Groups: []rule.Group{{Conditions: conds}}}
	r.Proto.Name = proto
	switch proto {
	case "tcp":
		r.Proto.IP = rule.TCP
	case "udp":
		r.Proto.IP = rule.UDP
	default:
		r.Proto.App = proto
	}
	return r
}

// on adds a group on a sticky buffer.
func on(r *rule.Rule, buffer string, conds ...rule.Condition) *rule.Rule {
	r.Groups = append(r.Groups, rule.Group{Buffer: rule.Buffer{Name: buffer}, Conditions: conds})
	return r
}

func packet(proto uint8, payload string) *decode.Packet {
	p := &decode.Packet{IPVersion: 4, Proto: proto, HasL4: true, SrcPort: 4000, DstPort: 80, Payload: []byte(payload), L4: []byte(payload)}
	p.Src[15], p.Dst[15] = 1, 2
	return p
}

func compile(t *testing.T, rules ...*rule.Rule) *Worker {
	t.Helper()
	set, refused := Compile(rules, Options{Protocols: []contract.Protocol{fakeProtocol}, FirstProtocol: 2})
	for _, r := range refused {
		t.Fatalf("sid %d refused: %s", r.Rule.SID, r.Why)
	}
	return set.NewWorker(nil)
}

func sids(list []Match) []uint32 {
	var out []uint32
	for _, m := range list {
		out = append(out, m.Rule.SID)
	}
	return out
}

func expect(t *testing.T, what string, got []Match, want ...uint32) {
	t.Helper()
	g := sids(got)
	if len(g) != len(want) {
		t.Errorf("%s: got %v, want %v", what, g, want)
		return
	}
	for i := range g {
		if g[i] != want[i] {
			t.Errorf("%s: got %v, want %v", what, g, want)
			return
		}
	}
}

func TestChains(t *testing.T) {
	for _, c := range []struct {
		name, payload string
		conds         []rule.Condition
		want          bool
	}{
		{"plain", "xabcx", []rule.Condition{text("abc")}, true},
		{"case", "xABCx", []rule.Condition{text("abc")}, false},
		{"nocase", "xABCx", []rule.Condition{text("abc", nocase)}, true},
		{"offset too far", "abc", []rule.Condition{text("abc", offset(1))}, false},
		{"depth", "xabc", []rule.Condition{text("abc", depth(4))}, true},
		{"depth too small", "xabc", []rule.Condition{text("abc", depth(3))}, false},
		{"starts", "abcx", []rule.Condition{text("abc", startsWith)}, true},
		{"starts not", "xabc", []rule.Condition{text("abc", startsWith)}, false},
		{"ends", "abcxabc", []rule.Condition{text("abc", endsWith)}, true},
		{"ends not", "abcx", []rule.Condition{text("abc", endsWith)}, false},
		{"relative needs the second match", "a.a.bc", []rule.Condition{text("a"), text("bc", distance(1), within(2))}, true},
		{"distance", "abXcd", []rule.Condition{text("ab"), text("cd", distance(1))}, true},
		{"distance too small a gap", "abcd", []rule.Condition{text("ab"), text("cd", distance(1))}, false},
		{"negative distance", "abcd", []rule.Condition{text("bcd"), text("ab", distance(-4))}, true},
		{"within", "ab...cd", []rule.Condition{text("ab"), text("cd", within(4))}, false},
		{"negated", "abc", []rule.Condition{text("abc"), text("x", negated)}, true},
		{"negated there", "abcx", []rule.Condition{text("abc"), text("x", negated)}, false},
		{"negated within", "abc...x", []rule.Condition{text("abc"), text("x", negated, within(2))}, true},
		{"pcre", "id=123", []rule.Condition{text("id="), pcre(`^\d{3}$`, relative)}, true},
		{"pcre fails", "id=12", []rule.Condition{text("id="), pcre(`^\d{3}$`, relative)}, false},
		{"isdataat", "abc", []rule.Condition{text("abc"), &rule.IsDataAt{At: num(1), Negated: true, Relative: true}}, true},
		{"isdataat there", "abcd", []rule.Condition{text("abc"), &rule.IsDataAt{At: num(1), Negated: true, Relative: true}}, false},
		{"byte_test", "ab\x00\x10", []rule.Condition{text("ab"), &rule.ByteTest{Count: num(2), Op: ">", Value: num(15), Relative: true}}, true},
		{"byte_test not", "ab\x00\x0f", []rule.Condition{text("ab"), &rule.ByteTest{Count: num(2), Op: ">", Value: num(15), Relative: true}}, false},
		{"byte_test text", "len=20;", []rule.Condition{text("len="), &rule.ByteTest{Count: num(2), Op: "=", Value: num(20), Relative: true, String: true, Base: 10}}, true},
		{"byte_jump", "\x02xxab", []rule.Condition{text("\x02", startsWith), &rule.ByteJump{Count: num(1)}, text("ab", distance(0), within(2))}, true},
		{"byte_extract", "\x03..abc", []rule.Condition{text("abc"), &rule.ByteExtract{Count: num(1), Name: "n"}, text("abc", func(c *rule.Content) {
			c.Offset = rule.Bound{Set: true, Var: "n"}
		})}, true},
		{"base64", "x=YWJjZA==", []rule.Condition{text("x="), &rule.Base64Decode{Relative: true}}, true},
	} {
		w := compile(t, newRule(1, "udp", c.conds...))
		got := w.Inspect(&Input{Packet: packet(decode.ProtoUDP, c.payload)})
		if (len(got) == 1) != c.want {
			t.Errorf("%s: got %v, want %v", c.name, len(got), c.want)
		}
	}
}

func TestBase64Data(t *testing.T) {
	r := on(newRule(1, "udp", text("x="), &rule.Base64Decode{Relative: true}), "base64_data", text("bcd"))
	w := compile(t, r)
	expect(t, "decoded", w.Inspect(&Input{Packet: packet(decode.ProtoUDP, "x=YWJjZA==")}), 1)
	expect(t, "other", w.Inspect(&Input{Packet: packet(decode.ProtoUDP, "x=YWJjYQ==")}))
}

func TestHeaders(t *testing.T) {
	r := newRule(1, "udp", text("abc"))
	var host rule.Prefix
	host.Lo[15], host.Hi[15] = 2, 2
	r.Dst = rule.Addresses{In: []rule.Prefix{host}, Text: "host"}
	r.DstPorts = rule.Ports{In: []rule.PortRange{{Lo: 80, Hi: 90}}}
	w := compile(t, r)
	p := packet(decode.ProtoUDP, "abc")
	expect(t, "fits", w.Inspect(&Input{Packet: p}), 1)
	p.DstPort = 91
	expect(t, "port", w.Inspect(&Input{Packet: p}))
	p.DstPort, p.SrcPort = 4000, 80
	p.Src, p.Dst = p.Dst, p.Src
	expect(t, "turned", w.Inspect(&Input{Packet: p}))
	p.Proto = decode.ProtoTCP
	p.Src, p.Dst, p.DstPort = p.Dst, p.Src, 80
	expect(t, "transport", w.Inspect(&Input{Packet: p}))
	r.Bidirectional = true
	w = compile(t, r)
	p = packet(decode.ProtoUDP, "abc")
	p.Src, p.Dst, p.SrcPort, p.DstPort = p.Dst, p.Src, 80, 4000
	expect(t, "both ways", w.Inspect(&Input{Packet: p, Flow: &flow.Flow{}, Dir: flow.ToClient}), 1)
}

func TestOrderAndPass(t *testing.T) {
	a, b, c := newRule(3, "udp", text("abc")), newRule(2, "udp", text("abc")), newRule(1, "udp", text("abc"))
	c.Priority = 1
	a.Priority = 1
	w := compile(t, a, b, c)
	expect(t, "priority, then sid", w.Inspect(&Input{Packet: packet(decode.ProtoUDP, "abc")}), 1, 3, 2)
	d := newRule(9, "udp", text("ab"))
	d.Action = rule.Pass
	w = compile(t, a, b, c, d)
	expect(t, "pass first", w.Inspect(&Input{Packet: packet(decode.ProtoUDP, "abc")}), 9)
}

func TestFlowBits(t *testing.T) {
	ask := newRule(1, "udp", text("abc"), &rule.FlowBits{Op: "isset", Names: []string{"x"}})
	set := newRule(2, "udp", text("set"), &rule.FlowBits{Op: "set", Names: []string{"x"}})
	set.NoAlert = true
	w := compile(t, ask, set)
	f := &flow.Flow{}
	expect(t, "not set", w.Inspect(&Input{Packet: packet(decode.ProtoUDP, "abc"), Flow: f}))
	expect(t, "set and asked in one packet", w.Inspect(&Input{Packet: packet(decode.ProtoUDP, "set abc"), Flow: f}), 2, 1)
	expect(t, "stays", w.Inspect(&Input{Packet: packet(decode.ProtoUDP, "abc"), Flow: f}), 1)
	w.FlowEnd(f)
	expect(t, "gone with the flow", w.Inspect(&Input{Packet: packet(decode.ProtoUDP, "abc"), Flow: f}))
}

type fakeStream struct {
	data  string
	flush bool
	done  int
}

func (s *fakeStream) Raw(*flow.Flow, flow.Direction) ([]byte, bool, bool) {
	return []byte(s.data), s.flush, false
}
func (s *fakeStream) RawDone(_ *flow.Flow, _ flow.Direction, n int)       { s.done += n }
func (s *fakeStream) RawKeep(_ *flow.Flow, _ flow.Direction, n, keep int) { s.done += n - keep }
func (s *fakeStream) RawKept(*flow.Flow, flow.Direction) int              { return 0 }

func TestStream(t *testing.T) {
	w := compile(t, newRule(1, "tcp", text("hello world")), newRule(2, "tcp", text("hel", depth(3))))
	f := &flow.Flow{Proto: decode.ProtoTCP}
	s := &fakeStream{data: "hello wo"}
	in := &Input{Packet: packet(decode.ProtoTCP, "hello wo"), Flow: f, Stream: s, Accepted: true, Conversation: fakeConv{}}
	expect(t, "too short for the stream, the packet has its own", w.Inspect(in), 2)
	s.data, s.flush = "hello world", true
	in.Packet = packet(decode.ProtoTCP, "rld")
	got := w.Inspect(in)
	expect(t, "stream", got, 1, 2)
	if !got[0].Stream || s.done != 11 {
		t.Error("not marked as the stream's, or not consumed: ", s.done)
	}
	in = &Input{Packet: packet(decode.ProtoTCP, "hello world"), Flow: f}
	expect(t, "a packet outside of the stream", w.Inspect(in), 1, 2)
}

var fakeProtocol = contract.Protocol{Name: "fake", Transport: contract.TCP, Events: []string{"odd"},
	Keywords: []contract.Keyword{
		{Name: "fake.name", Dirs: contract.OnRequest, Step: [2]uint8{1, 0}},
		{Name: "fake.header", Kind: contract.KindMulti, Dirs: contract.OnBoth, Step: [2]uint8{2, 2}},
		{Name: "fake.code", Kind: contract.KindNumber, Dirs: contract.OnReply, Step: [2]uint8{0, 1}},
		{Name: "fake.body", Dirs: contract.OnBoth, Step: [2]uint8{3, 3}, Streaming: true},
	}, Steps: [2][]string{{"start", "name", "headers", "complete"}, {"start", "code", "headers", "complete"}}}

type fakeTx struct {
	contract.TxState
	step   [2]uint8
	name   string
	header []string
	code   uint64
	body   contract.Body
}

func (x *fakeTx) State() *contract.TxState            { return &x.TxState }
func (x *fakeTx) Progress(d contract.Direction) uint8 { return x.step[d] }
func (x *fakeTx) AppendRecord(b []byte) []byte        { return b }
func (x *fakeTx) Number(kw, i int) (uint64, bool)     { return x.code, kw == 2 && i == 0 && x.code != 0 }
func (x *fakeTx) Body(int, contract.Direction, int) *contract.Body {
	return nil
}
func (x *fakeTx) Buffer(kw, i int) ([]byte, bool) {
	switch {
	case kw == 0 && i == 0:
		return []byte(x.name), x.name != ""
	case kw == 1 && i < len(x.header):
		return []byte(x.header[i]), true
	}
	return nil, false
}

type bodyFake struct{ fakeTx }

func (x *bodyFake) Body(kw int, d contract.Direction, i int) *contract.Body {
	if kw == 3 && i == 0 && d == 0 {
		return &x.body
	}
	return nil
}

type fakeConv []contract.Tx

func (c fakeConv) Txs() []contract.Tx { return c }
func (c fakeConv) CompleteIn(tx contract.Tx, d contract.Direction) bool {
	return tx.State().Done[d] || tx.Progress(d) >= 3
}

func TestTransactions(t *testing.T) {
	w := compile(t,
		on(newRule(1, "fake"), "fake.name", text("admin")),
		on(on(newRule(2, "fake"), "fake.name", text("admin")), "fake.header", text("evil", endsWith)),
		newRule(3, "fake", &rule.Number{Name: "fake.code", App: "fake", Op: rule.Eq, A: 404}),
		newRule(4, "fake", &rule.AppEvent{App: "fake", Name: "odd", Index: 0}, &rule.FlowState{ToServer: true}),
		on(newRule(5, "fake"), "fake.name", pcre("^adm")))
	f := &flow.Flow{Proto: decode.ProtoTCP, AppProto: 2}
	x := &fakeTx{name: "the admin"}
	in := &Input{Packet: packet(decode.ProtoTCP, ""), Flow: f, Conversation: fakeConv{x}}
	expect(t, "nothing whole", w.Inspect(in))
	x.step[0] = 1
	expect(t, "name", w.Inspect(in), 1)
	expect(t, "once", w.Inspect(in))
	x.step[0] = 2
	x.header = []string{"a", "so evil"}
	x.Events = append(x.Events, 0)
	expect(t, "half matched before, and an event", w.Inspect(in), 2, 4)
	x.code, x.step[1], in.Dir = 404, 1, flow.ToClient
	expect(t, "number", w.Inspect(in), 3)
	x.Done = [2]bool{true, true}
	expect(t, "nothing new at the end", w.Inspect(in))
	if !x.NoInspect[0] || !x.NoInspect[1] || x.Detect != 0 {
		t.Error("the transaction is not finished with")
	}
}

func TestBody(t *testing.T) {
	w := compile(t, on(newRule(1, "fake"), "fake.body", text("evil")))
	f := &flow.Flow{Proto: decode.ProtoTCP, AppProto: 2}
	x := &bodyFake{}
	in := &Input{Packet: packet(decode.ProtoTCP, ""), Flow: f, Conversation: fakeConv{x}}
	x.body.Append([]byte("ev"), 1000)
	expect(t, "half", w.Inspect(in))
	x.body.Append([]byte("il"), 1000)
	expect(t, "small and growing", w.Inspect(in))
	x.body.Done = true
	expect(t, "whole", w.Inspect(in), 1)
	expect(t, "once", w.Inspect(in))
	w.FlowEnd(f)
	if len(w.freeTxs) != 1 {
		t.Error("state is not freed with the flow")
	}
}

func TestNoAllocation(t *testing.T) {
	w := compile(t, newRule(1, "udp", text("needle")), newRule(2, "udp", text("x", nocase), &rule.FlowBits{Op: "isset", Names: []string{"q"}}))
	f := &flow.Flow{Packets: [2]uint64{5, 5}}
	in := &Input{Packet: packet(decode.ProtoUDP, "some text without it but with an x in it"), Flow: f}
	w.Inspect(in)
	if n := testing.AllocsPerRun(100, func() { w.Inspect(in) }); n != 0 {
		t.Fatalf("%v allocations a packet", n)
	}
}

// TestNoFlow holds that a packet without a flow meets no rule that needs one, and does no harm.
func TestNoFlow(t *testing.T) {
	r := newRule(1, "fake", text("abc"))
	w := compile(t, r, newRule(2, "udp", text("abc"), &rule.FlowBits{Op: "set", Names: []string{"x"}}),
		newRule(3, "udp", text("abc"), &rule.FlowBits{Op: "isset", Names: []string{"x"}}),
		newRule(4, "udp", text("abc"), &rule.FlowState{Established: true}),
		newRule(5, "udp", text("abc"), &rule.FlowInt{Name: "n", Op: "+", Value: num(1)}),
		newRule(6, "udp", &rule.AppProtocol{Name: "fake"}))
	expect(t, "no flow", w.Inspect(&Input{Packet: packet(decode.ProtoUDP, "abc")}), 2)
	expect(t, "no packet", w.Inspect(&Input{Flow: &flow.Flow{Proto: decode.ProtoTCP}, Ending: true}))
}

func TestFileName(t *testing.T) {
	w := compile(t, on(newRule(1, "fake"), "file.name", text("evil")), on(newRule(2, "fake"), "file.data", text("abc")))
	f := &flow.Flow{Proto: decode.ProtoTCP, AppProto: 2}
	x := &fakeTx{}
	file := &contract.File{Name: []byte("evil.exe"), Dir: contract.ToServer}
	x.Files = append(x.Files, file)
	in := &Input{Packet: packet(decode.ProtoTCP, ""), Flow: f, Conversation: fakeConv{x}}
	expect(t, "name", w.Inspect(in), 1)
	expect(t, "once", w.Inspect(in))
	file.Body.Append([]byte("xabcx"), 100)
	x.Done[0] = true
	expect(t, "content at the end", w.Inspect(in), 2)
}

func TestVLANLayers(t *testing.T) {
	for _, c := range []struct {
		op    rule.NumberOp
		a     uint64
		of    rule.Of
		tags  uint8
		match bool
	}{
		{rule.Eq, 300, rule.Of{}, 3, true},
		{rule.Eq, 500, rule.Of{}, 3, false},
		{rule.Eq, 200, rule.Of{One: true}, 3, true},
		{rule.Eq, 300, rule.Of{One: true}, 3, false},
		{rule.Eq, 400, rule.Of{One: true, At: -1}, 3, true},
		{rule.Eq, 200, rule.Of{One: true, At: -3}, 3, true},
		{rule.Eq, 200, rule.Of{One: true, At: -4}, 3, false},
		{rule.Eq, 0, rule.Of{One: true, At: 3}, 3, false},
		{rule.Gt, 100, rule.Of{All: true}, 3, true},
		{rule.Gt, 200, rule.Of{All: true}, 3, false},
		{rule.Ne, 500, rule.Of{All: true}, 0, false},
	} {
		w := compile(t, newRule(1, "udp", &rule.Number{Name: "vlan.id", Op: c.op, A: c.a, Of: c.of}))
		p := packet(decode.ProtoUDP, "x")
		p.VLAN, p.VLANs = [3]uint16{200, 300, 400}, c.tags
		if got := len(w.Inspect(&Input{Packet: p})) > 0; got != c.match {
			t.Errorf("%+v: match %v", c, got)
		}
	}
}
