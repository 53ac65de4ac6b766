package attack

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func at(s float64) int64 { return 1_700_000_000e9 + int64(s*1e9) }

func seen(class, from, to string, t float64) Observation {
	return Observation{Time: at(t), Number: uint64(t*1000) + 1, Class: class, Origin: netip.MustParseAddr(from), Proven: true,
		Target: netip.MustParseAddr(to), TargetPort: 80, Proto: 6, SID: 1, GID: 1, Msg: "m", FlowID: 7, Packets: 1, Bytes: 100}
}

// play adds all and ends the recording.
func play(a *Accounts, all []Observation) (events []Event) {
	for _, o := range all {
		events = append(events, slices.Clone(a.Add(o))...)
	}
	return append(events, slices.Clone(a.Finish())...)
}

func closed(events []Event) (out []Record) {
	for _, e := range events {
		if e.Kind == Closed {
			out = append(out, e.Record)
		}
	}
	return out
}

func TestTable(t *testing.T) {
	if len(table) != 25 {
		t.Fatalf("%d classes, the closed list has 25", len(table))
	}
	if table[0].Name != "scan" || table[13].Name != "flood" || table[14].Name != "program-download" || table[24].Name != "malformed" {
		t.Error("classes are not in the order of the list")
	}
	for _, c := range classtypes {
		if ClassIndex(c) < 0 {
			t.Errorf("classtype mapped to unknown class %q", c)
		}
	}
	for id, c := range techniques {
		if ClassIndex(c) < 0 {
			t.Errorf("%s mapped to unknown class %q", id, c)
		}
	}
	for _, tc := range []struct{ own, id, classtype, want string }{
		{"c2", "T1046", "web-application-attack", "c2"}, {"", "T1046", "web-application-attack", "scan"},
		{"", "T1071.004", "", "tunnel"}, {"", "T1071.001", "", "c2"}, {"", "T9999", "trojan-activity", "malware"},
		{"", "T1046", "policy-violation", "none"}, {"", "", "bad-unknown", "none"}, {"none", "T1046", "trojan-activity", "none"},
	} {
		if got := RuleClass(tc.own, []string{tc.id}, tc.classtype); got != tc.want {
			t.Errorf("RuleClass(%q, %q, %q) = %q, want %q", tc.own, tc.id, tc.classtype, got, tc.want)
		}
	}
	var b bytes.Buffer
	PrintTable(&b)
	if !strings.Contains(b.String(), "brute-force") {
		t.Error("the printed table lacks a class")
	}
}

func TestWhatOneAttackIs(t *testing.T) {
	x := func(o Observation, f func(*Observation)) Observation { f(&o); return o }
	weakly := func(o *Observation) { o.Severity = 3 }
	var flood, few, many []Observation
	for i := range 3000 {
		o := seen("flood", fmt.Sprintf("198.18.%d.%d", i/256, i%256), "10.0.0.1", float64(i)/100)
		o.Proven = false
		flood = append(flood, o)
	}
	for i := range 14 {
		few = append(few, x(seen("scan", "192.0.2.1", fmt.Sprintf("10.0.0.%d", i), float64(i)), weakly))
	}
	many = append(slices.Clone(few), x(seen("scan", "192.0.2.1", "10.0.0.99", 14), weakly))
	cases := []struct {
		name string
		in   []Observation
		want int
	}{
		{"nothing", nil, 0},
		{"one strong observation", []Observation{seen("exploit", "192.0.2.1", "10.0.0.1", 0)}, 1},
		{"one weak observation", []Observation{x(seen("exploit", "192.0.2.1", "10.0.0.1", 0), weakly)}, 0},
		{"no class", []Observation{x(seen("exploit", "192.0.2.1", "10.0.0.1", 0), func(o *Observation) { o.Class = "none" })}, 0},
		{"a gap exactly", []Observation{seen("exploit", "192.0.2.1", "10.0.0.1", 0), seen("exploit", "192.0.2.1", "10.0.0.1", 300)}, 1},
		{"past the gap", []Observation{seen("exploit", "192.0.2.1", "10.0.0.1", 0), seen("exploit", "192.0.2.1", "10.0.0.1", 300.1)}, 2},
		{"one group", []Observation{seen("exploit", "192.0.2.1", "10.0.0.1", 0), seen("exploit", "192.0.2.1", "10.0.0.9", 1)}, 1},
		{"two groups", []Observation{seen("exploit", "192.0.2.1", "10.0.0.1", 0), seen("exploit", "192.0.2.1", "10.0.1.9", 1)}, 2},
		{"controllers stand alone", []Observation{seen("plc-stop", "192.0.2.1", "10.0.0.1", 0), seen("plc-stop", "192.0.2.1", "10.0.0.9", 1)}, 2},
		{"a /64 is one origin", []Observation{seen("exploit", "2001:db8::1", "10.0.0.1", 0), seen("exploit", "2001:db8::2", "10.0.0.1", 1)}, 1},
		{"a flood from forged sources", flood, 1},
		{"a weak scan under the threshold", few, 0},
		{"a weak scan at the threshold", many, 1},
		{"a detector's conclusion", []Observation{x(seen("scan", "192.0.2.1", "10.0.0.1", 0), func(o *Observation) { o.Detector = "port-scan" })}, 1},
		{"a detector's note", []Observation{x(seen("scan", "192.0.2.1", "10.0.0.1", 0), func(o *Observation) { o.Detector, o.Severity = "port-scan", 4 })}, 0},
	}
	for _, tc := range cases {
		if got := closed(play(New(Config{}), tc.in)); len(got) != tc.want {
			t.Errorf("%s: %d attacks, want %d", tc.name, len(got), tc.want)
		}
	}
	r := closed(play(New(Config{}), flood))[0]
	if r.Origin.Proven || r.Origin.Count < 2500 || r.Origin.Count > 3500 || len(r.Origin.Sources) != 100 || r.OriginText() != "unproven" || r.Observations != 3000 {
		t.Errorf("flood: origin %+v, %d observations", r.Origin.Count, r.Observations)
	}
}

func TestClosingAndOrder(t *testing.T) {
	a := New(Config{})
	a.Add(seen("scan", "192.0.2.1", "10.0.0.1", 0))
	b := seen("exploit", "192.0.2.1", "10.0.0.1", 1)
	if ev := a.Add(b); len(ev) != 1 || ev[0].Kind != Opened || ev[0].Record.ID != 1 {
		t.Fatalf("not opened: %+v", ev)
	}
	a.Add(seen("flood", "192.0.2.1", "10.0.0.1", 2))
	if ev := a.Advance(at(122)); len(ev) != 0 {
		t.Fatal("closed although its gap has not passed")
	}
	ev := a.Advance(at(400))
	if len(ev) != 2 || ev[0].Record.Class != "flood" || ev[0].Record.ClosedAt != at(122) || ev[1].Record.ClosedAt != at(301) {
		t.Fatalf("closings: %+v", ev)
	}
	if ev[1].Record.EndOfInput {
		t.Error("closed by its gap, said to be closed by the end of input")
	}
	if a.Add(seen("exploit", "192.0.2.1", "10.0.0.1", 3)); a.Counters.Late != 1 {
		t.Error("a late observation was not counted")
	}
}

func TestSpanCutIsNotCountedAgain(t *testing.T) {
	var in []Observation
	for i := range 60 * 50 { // fifty hours, one a minute
		in = append(in, seen("exploit", "192.0.2.1", "10.0.0.1", float64(i*60)))
	}
	all := play(New(Config{}), in)
	var kinds []Kind
	for _, e := range all {
		kinds = append(kinds, e.Kind)
	}
	if len(closed(all)) != 1 || kinds[0] != Opened || all[1].Record.ClosedAt%int64(24*time.Hour) != 0 {
		t.Fatalf("kinds %v", kinds)
	}
	if n := len(kinds); n < 4 || kinds[n-1] != Continued || all[n-1].Record.ID != 1 {
		t.Fatalf("later pieces: %v", kinds)
	}
	step := New(Config{}) // the same with the clock moved after each observation
	var again []Event
	for _, o := range in {
		again = append(again, slices.Clone(step.Add(o))...)
		again = append(again, slices.Clone(step.Advance(o.Time))...)
	}
	again = append(again, step.Finish()...)
	for _, list := range [][]Event{all, again} {
		for i := range list {
			list[i].Record.EndOfInput = false
		}
	}
	if fmt.Sprint(again) != fmt.Sprint(all) {
		t.Error("moving the clock on changed the events")
	}
}

// generated observations: few keys, times within two days, weak and strong.
func generated(r *rand.Rand, n int) []Observation {
	classes := []string{"scan", "exploit", "flood", "c2", "plc-stop"}
	out := make([]Observation, n)
	for i := range out {
		o := seen(classes[r.IntN(len(classes))], fmt.Sprintf("192.0.2.%d", r.IntN(3)), fmt.Sprintf("10.0.%d.%d", r.IntN(2), r.IntN(4)), float64(r.IntN(150000)))
		o.Proven, o.Severity, o.Number = r.IntN(2) == 0, uint8(r.IntN(5)), uint64(i+1)
		if o.Class == "c2" {
			o.Subject = o.Target
		}
		o.FlowID, o.Refused = uint64(r.IntN(9)), r.IntN(4) == 0
		out[i] = o
	}
	return out
}

// essence is what must not depend on the order: everything but the running numbers.
func essence(events []Event) []string {
	var out []string
	for _, e := range events {
		if e.Kind != Opened {
			r := e.Record
			r.ID, r.Incident, r.OpenedAt, r.Merged = 0, 0, 0, nil
			out = append(out, fmt.Sprintf("%d %v %+v", e.Kind, e.Key, r))
		}
	}
	slices.Sort(out)
	return out
}

func TestOrderOfArrivalDoesNotMatter(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for range 30 {
		in := generated(r, 10+r.IntN(400))
		want := essence(play(New(Config{}), in))
		r.Shuffle(len(in), func(i, j int) { in[i], in[j] = in[j], in[i] })
		if got := essence(play(New(Config{}), in)); !slices.Equal(got, want) {
			t.Fatalf("seed %d: shuffled arrival gives other attacks\n%s\n---\n%s", seed, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

func TestMergeAlgebra(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 2))
	for range 30 {
		var sensors [3]*Accounts
		in := generated(r, 20+r.IntN(200))
		for i := range sensors {
			sensors[i] = New(Config{Sensor: uint32(i)})
			for _, o := range in {
				if r.IntN(3) > 0 {
					sensors[i].Add(o)
				}
			}
		}
		merged := func(order ...int) string {
			a := New(Config{Sensor: 9})
			for _, i := range order {
				if err := a.Merge(sensors[i]); err != nil {
					t.Fatal(err)
				}
			}
			return saved(a)
		}
		want := merged(0, 1, 2)
		if merged(2, 0, 1) != want || merged(1, 2, 0) != want {
			t.Fatalf("seed %d: merging is not commutative\n%s\n%s", seed, merged(2, 0, 1), want)
		}
		if merged(0, 1, 2, 0, 2, 1) != want {
			t.Fatalf("seed %d: merging is not idempotent\n%s\n%s", seed, merged(0, 1, 2, 0, 2, 1), want)
		}
		pair := New(Config{Sensor: 9})
		_ = pair.Merge(sensors[1])
		_ = pair.Merge(sensors[2])
		left := New(Config{Sensor: 9})
		_ = left.Merge(sensors[0])
		if _ = left.Merge(pair); saved(left) != want {
			t.Fatalf("seed %d: merging is not associative", seed)
		}
	}
}

func TestSensorsOfTheSamePacketsGiveOneCount(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	in := generated(r, 300)
	alone := closed(play(New(Config{}), in))
	centre := New(Config{Sensor: 9})
	for i := range 3 {
		s := New(Config{Sensor: uint32(i)})
		for _, o := range in {
			s.Add(o)
		}
		if err := centre.Merge(s); err != nil {
			t.Fatal(err)
		}
	}
	if got := closed(centre.Finish()); len(got) != len(alone) || len(got) == 0 {
		t.Errorf("three sensors count %d, one %d", len(got), len(alone))
	}
}

// saved is the open accounts without the running numbers.
func saved(a *Accounts) string {
	var b strings.Builder
	for _, x := range a.saved() {
		fmt.Fprintf(&b, "%v", x.Key)
		for _, p := range x.Pieces {
			q := *p
			q.ID, q.Incident, q.Opened, q.Merged = 0, 0, 0, nil
			for _, g := range []*bag{&q.Targets, &q.Ports, &q.Sources, &q.Alerts, &q.Techniques, &q.Detectors, &q.Flows} {
				g.top = 0
				text, _ := g.MarshalJSON()
				b.Write(text)
				*g = bag{}
			}
			fmt.Fprintf(&b, " %+v\n", q)
		}
	}
	return b.String()
}

func TestSnapshotResumes(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	in := generated(r, 300)
	slices.SortFunc(in, func(x, y Observation) int { return int((x.Time - y.Time) / 1e6) })
	whole := New(Config{})
	var want, got []Event
	a := New(Config{})
	for i, o := range in {
		want = append(want, slices.Clone(whole.Add(o))...)
		want = append(want, slices.Clone(whole.Advance(o.Time))...)
		got = append(got, slices.Clone(a.Add(o))...)
		got = append(got, slices.Clone(a.Advance(o.Time))...)
		if i%20 == 0 {
			b, err := a.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			a = New(Config{})
			if err := a.Restore(b); err != nil {
				t.Fatal(err)
			}
			if c, _ := a.Snapshot(); !bytes.Equal(b, c) {
				t.Fatalf("a restored snapshot differs\n%s\n%s", b, c)
			}
		}
	}
	want, got = append(want, whole.Finish()...), append(got, a.Finish()...)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Error("a run with restarts gives other events")
	}
	if err := a.Restore([]byte("{}")); err == nil {
		t.Error("an empty snapshot was taken")
	}
}

func TestCapMergesIntoOverflow(t *testing.T) {
	a := New(Config{OpenMax: 64})
	var in []Observation
	for i := range 1000 {
		in = append(in, seen("exploit", fmt.Sprintf("192.0.%d.%d", i/250, i%250), "10.0.0.1", float64(i)/100))
	}
	var most int
	var all []Event
	for _, o := range in {
		all = append(all, slices.Clone(a.Add(o))...)
		most = max(most, a.Open())
	}
	all = append(all, a.Finish()...)
	recs := closed(all)
	over := 0
	for _, r := range recs {
		if r.Overflow {
			over++
			if r.Observations < 900 {
				t.Errorf("overflow holds %d observations", r.Observations)
			}
		}
	}
	if over != 1 || most > 65 || a.Counters.Overflown == 0 {
		t.Errorf("%d overflow accounts, %d open at most", over, most)
	}
}

func TestRiskSideOutcomeAuthorised(t *testing.T) {
	cfg := Config{Live: true,
		Decoy:      func(ip netip.Addr) bool { return ip == netip.MustParseAddr("10.0.0.77") },
		Authorised: func(ip netip.Addr) bool { return ip == netip.MustParseAddr("10.9.9.9") }}
	one := func(f func(*Observation)) Record {
		o := seen("exploit", "192.0.2.1", "10.0.0.1", 0)
		f(&o)
		return closed(play(New(cfg), []Observation{o}))[0]
	}
	if r := one(func(o *Observation) {}); r.Risk != Real || r.Side != Outside || r.Outcome != Observed || r.Result != Unknown {
		t.Errorf("plain: %+v", r)
	}
	if r := one(func(o *Observation) { o.Refused = true }); r.Risk != NoRisk {
		t.Errorf("refused: risk %s", r.Risk)
	}
	if r := one(func(o *Observation) { o.Refused, o.Stopped = true, true }); r.Risk != Real || r.Outcome != Foiled || r.PacketsStopped != 1 {
		t.Errorf("stopped: %s %s", r.Risk, r.Outcome)
	}
	if r := one(func(o *Observation) { o.Target = netip.MustParseAddr("10.0.0.77") }); r.Risk != Decoy {
		t.Errorf("decoy: risk %s", r.Risk)
	}
	if r := one(func(o *Observation) { o.Origin = netip.MustParseAddr("10.9.9.9") }); !r.Authorised || r.Side != Inside {
		t.Errorf("authorised: %+v", r)
	}
	if r := one(func(o *Observation) { o.Result = Succeeded }); r.Result != Succeeded || !strings.Contains(r.Story, "succeeded") {
		t.Errorf("story: %s", r.Story)
	}
}

func TestIncidentFollowsTheStory(t *testing.T) {
	all := play(New(Config{}), []Observation{
		func() Observation { o := seen("scan", "192.0.2.1", "10.0.0.1", 0); o.Detector = "port-scan"; return o }(),
		seen("exploit", "192.0.2.1", "10.0.0.1", 60), seen("lateral-movement", "10.0.0.1", "10.0.5.5", 120), seen("exploit", "198.51.100.9", "10.0.7.1", 130),
	})
	var got []uint64
	for _, e := range all {
		if e.Kind == Opened {
			got = append(got, e.Record.Incident)
		}
	}
	if !slices.Equal(got, []uint64{1, 1, 1, 4}) {
		t.Errorf("incidents %v", got)
	}
}

func FuzzRestore(f *testing.F) {
	a := New(Config{})
	a.Add(seen("exploit", "192.0.2.1", "10.0.0.1", 0))
	b, _ := a.Snapshot()
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		a := New(Config{})
		if a.Restore(b) == nil {
			a.Finish()
		}
	})
}

// A rule that says something else after a reload is shown with what it said then.
func TestAlertsSayWhatTheirRuleSaid(t *testing.T) {
	a := New(Config{})
	for i, msg := range []string{"first", "second", "first"} {
		a.Add(with(seen("exploit", "203.0.113.1", "10.0.0.1", float64(i)), func(o *Observation) { o.SID, o.GID, o.Msg = 7, 1, msg }))
	}
	r := closed(a.Finish())
	if len(r) != 1 || len(r[0].Alerts) != 2 || r[0].Alerts[0].Msg != "first" || r[0].Alerts[0].Count != 2 || r[0].Alerts[1].Msg != "second" {
		t.Errorf("%+v", r)
	}
}
