package detect

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/flow"
	"github.com/dejpha/dejpha/rule"
)

var fakeOptions = Options{Protocols: []contract.Protocol{fakeProtocol}, FirstProtocol: 2}

// renew takes a worker over to other rules.
func renew(t *testing.T, w *Worker, rules ...*rule.Rule) {
	t.Helper()
	set, refused := Recompile(rules, fakeOptions, w.set, nil)
	for _, r := range refused {
		t.Fatalf("sid %d refused: %s", r.Rule.SID, r.Why)
	}
	w.Renew(set)
}

func TestRenewalKeepsFlowBits(t *testing.T) {
	set := newRule(2, "udp", text("set"), &rule.FlowBits{Op: "set", Names: []string{"x"}})
	set.NoAlert = true
	w := compile(t, newRule(9, "udp", text("other"), &rule.FlowBits{Op: "set", Names: []string{"w"}}), set)
	f := &flow.Flow{}
	expect(t, "set", w.Inspect(&Input{Packet: packet(decode.ProtoUDP, "set"), Flow: f}), 2)
	ask := newRule(1, "udp", text("abc"), &rule.FlowBits{Op: "isset", Names: []string{"x"}})
	renew(t, w, newRule(3, "udp", text("abc"), &rule.FlowBits{Op: "isset", Names: []string{"w"}}), ask)
	expect(t, "asked by a new rule", w.Inspect(&Input{Packet: packet(decode.ProtoUDP, "abc"), Flow: f}), 1)
	if got := w.FlowBits(nil, f); !reflect.DeepEqual(got, []string{"x"}) {
		t.Error(got)
	}
	renew(t, w, ask)
	expect(t, "asked after another renewal", w.Inspect(&Input{Packet: packet(decode.ProtoUDP, "abc"), Flow: f}), 1)
}

func TestRenewalWithinATransaction(t *testing.T) {
	name := on(newRule(1, "fake"), "fake.name", text("admin"))
	both := on(on(newRule(2, "fake"), "fake.name", text("admin")), "fake.header", text("evil", endsWith))
	w := compile(t, name, both)
	f := &flow.Flow{Proto: decode.ProtoTCP, AppProto: 2}
	x := &fakeTx{name: "the admin"}
	in := &Input{Packet: packet(decode.ProtoTCP, ""), Flow: f, Conversation: fakeConv{x}}
	x.step[0] = 1
	expect(t, "name", w.Inspect(in), 1)
	first := newRule(7, "udp", text("zzz")) // another order: it comes before
	first.Priority = 1
	renew(t, w, first, name, both, on(newRule(5, "fake"), "fake.name", text("the")))
	expect(t, "a new rule sees what is there, an old one does not match again", w.Inspect(in), 5)
	expect(t, "once", w.Inspect(in))
	x.step[0], x.header = 2, []string{"so evil"}
	expect(t, "half matched before the renewal", w.Inspect(in), 2)
	renew(t, w, first)
	x.Done = [2]bool{true, true}
	expect(t, "all rules gone", w.Inspect(in))
	renew(t, w, name)
	y := &fakeTx{name: "admin"}
	y.step[0] = 1
	in.Conversation = fakeConv{y}
	expect(t, "the next transaction", w.Inspect(in), 1)
}

func TestRenewalKeepsCounters(t *testing.T) {
	a, b := newRule(4, "udp", text("abcd")), newRule(5, "udp", text("abcd"))
	w := compile(t, a, b)
	w.Inspect(&Input{Packet: packet(decode.ProtoUDP, "abcd"), Flow: &flow.Flow{}})
	renew(t, w, newRule(1, "udp", text("abcd")), b)
	if n := w.Counters(); len(n) != 2 || n[0].Matches != 0 || n[1].Matches != 1 {
		t.Errorf("%+v", n)
	}
}

// What did not change is the same memory, not a copy of it; a twin stands for a rule that was read again.
func TestRenewalShares(t *testing.T) {
	var rules []*rule.Rule
	for i := range uint32(40) {
		r := newRule(i+1, "udp", text(fmt.Sprintf("word%02d", i)))
		r.DstPorts = rule.Ports{In: []rule.PortRange{{Lo: uint16(1000 + i%4), Hi: uint16(1000 + i%4)}}}
		rules = append(rules, r)
	}
	old, _ := Compile(rules, fakeOptions)
	again := append([]*rule.Rule(nil), rules...)
	twin := *rules[8]
	twin.Line = 99
	again[8] = &twin
	changed := *rules[1]
	changed.Groups = []rule.Group{{Conditions: []rule.Condition{text("other")}}}
	again[1] = &changed
	next, _ := Recompile(again, fakeOptions, old, map[*rule.Rule]*rule.Rule{&twin: rules[8]})
	for i := range next.rules {
		same := &next.rules[i].payload[0] == &old.rules[i].payload[0]
		if same != (i != 1) {
			t.Errorf("rule %d shared: %v", i, same)
		}
	}
	if next.Rule(8) != &twin {
		t.Error("the rule itself is the old one")
	}
	if n := next.Counts(); n.Matchers != 5 || n.Shared != 3 { // its port's, and the one of all rules for packets that come back
		t.Errorf("%+v", n)
	}
	all, _ := Compile(again, fakeOptions)
	a, b := all.Counts(), next.Counts()
	if a.Shared, b.Shared = 0, 0; a != b {
		t.Errorf("from scratch %+v, shared %+v", a, b)
	}
}

// However sets follow one another, a renewed worker finds what a new one finds, and tables do not grow without end.
func TestRenewalsFindWhatANewSetFinds(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	words := []string{"alpha", "beta", "gamma", "delta", "eps", "zz"}
	pool := map[string]*rule.Rule{}
	some := func() (list []*rule.Rule) {
		for sid := uint32(1); sid < 30; sid++ {
			if r.IntN(3) == 0 {
				continue
			}
			word, port := words[r.IntN(len(words))], uint16(80+r.IntN(3))
			key := fmt.Sprint(sid, word, port)
			if pool[key] == nil {
				x := newRule(sid, "udp", text(word))
				x.DstPorts = rule.Ports{In: []rule.PortRange{{Lo: port, Hi: port}}}
				x.Priority = 1 + r.IntN(3)
				x.Src = rule.Addresses{In: []rule.Prefix{{Hi: [16]byte{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, byte(r.IntN(2)) * 255}}}, Text: key}
				pool[key] = x
			}
			list = append(list, pool[key])
		}
		return list
	}
	w := compile(t, some()...)
	for range 100 {
		list := some()
		renew(t, w, list...)
		fresh := compile(t, list...)
		for range 5 {
			p := packet(decode.ProtoUDP, words[r.IntN(len(words))]+" "+words[r.IntN(len(words))])
			p.DstPort = uint16(80 + r.IntN(3))
			want := sids(fresh.Inspect(&Input{Packet: p, Flow: &flow.Flow{}}))
			expect(t, "renewed", w.Inspect(&Input{Packet: p, Flow: &flow.Flow{}}), want...)
		}
	}
	if n := len(w.set.addrs); n > wornFactor*w.set.fresh+wornLeast+30 {
		t.Errorf("%d addresses are held", n)
	}
}

func TestWornTablesAreMadeAnew(t *testing.T) {
	w := compile(t, newRule(1, "udp", text("abc")))
	set := newRule(2, "udp", text("set"), &rule.FlowBits{Op: "set", Names: []string{"kept"}})
	for i := range 3 {
		rules := []*rule.Rule{set}
		for j := range uint32(2000) {
			x := newRule(10+j, "udp", text("abc"))
			x.Src = rule.Addresses{In: []rule.Prefix{{}}, Text: fmt.Sprint(i, j)}
			rules = append(rules, x)
		}
		renew(t, w, rules...)
	}
	renew(t, w, set)
	f := &flow.Flow{}
	w.Inspect(&Input{Packet: packet(decode.ProtoUDP, "set"), Flow: f})
	ask := newRule(1, "udp", text("abc"), &rule.FlowBits{Op: "isset", Names: []string{"kept"}})
	renew(t, w, ask)
	if n := len(w.set.addrs); n > 0 {
		t.Errorf("%d addresses are held by one rule without any", n)
	}
	expect(t, "bits outlive that", w.Inspect(&Input{Packet: packet(decode.ProtoUDP, "abc"), Flow: f}), 1)
}
