package attack

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func with(o Observation, f func(*Observation)) Observation { f(&o); return o }

// decided adds all and returns what was decided.
func decided(a *Accounts, all ...Observation) (out []Decision) {
	for _, o := range all {
		a.Add(o)
		out = append(out, slices.Clone(a.Decisions())...)
	}
	return out
}

// times repeats an observation a second apart.
func times(n int, o Observation) (out []Observation) {
	for i := range n {
		o.Time, o.Number = o.Time+1e9, o.Number+uint64(i)
		out = append(out, o)
	}
	return out
}

func TestPointsLeadToABlock(t *testing.T) {
	weak := func(o *Observation) { o.Severity = 3 }
	found := func(o *Observation) { o.Detector, o.Severity = "d", 3 }
	for _, tc := range []struct {
		name string
		in   []Observation
		at   int // the observation that is decided on; -1: none
	}{
		{"severity 1 at once", times(1, seen("exploit", "203.0.113.1", "10.0.0.1", 0)), 0},
		{"severity 2 at once", times(1, seen("web-attack", "203.0.113.1", "10.0.0.1", 0)), 0},
		{"weak ones at the class's threshold", times(15, with(seen("scan", "203.0.113.1", "10.0.0.1", 0), weak)), 14},
		{"weak ones short of it", times(14, with(seen("scan", "203.0.113.1", "10.0.0.1", 0), weak)), -1},
		{"a detector's conclusion", times(1, with(seen("scan", "203.0.113.1", "10.0.0.1", 0), found)), 0},
		{"a detector's note", times(3, with(seen("scan", "203.0.113.1", "10.0.0.1", 0), func(o *Observation) { o.Detector, o.Severity = "d", 4 })), -1},
		{"unproven", times(50, with(seen("exploit", "203.0.113.1", "10.0.0.1", 0), func(o *Observation) { o.Proven = false })), -1},
		{"no class", times(50, with(seen("exploit", "203.0.113.1", "10.0.0.1", 0), func(o *Observation) { o.Class = "none" })), -1},
		{"a name as origin", times(5, with(seen("tunnel", "203.0.113.1", "10.0.0.1", 0), func(o *Observation) { o.Origin, o.OriginDomain = netip.Addr{}, "example.com" })), -1},
	} {
		a := New(Config{})
		at := -1
		for i, o := range tc.in {
			for _, d := range decided(a, o) {
				if at < 0 {
					at = i
				}
				if d.Action != ActionWouldBlock || d.Prefix.String() != "203.0.113.1/32" || d.Attack == 0 || d.Until != o.Time+int64(10*time.Minute) || d.Undo != "dejpha unblock 203.0.113.1" {
					t.Errorf("%s: %+v", tc.name, d)
				}
			}
		}
		if at != tc.at {
			t.Errorf("%s: decided at %d, want %d", tc.name, at, tc.at)
		}
	}
}

func TestPointsAreForgotten(t *testing.T) {
	half := DefaultPolicy()
	half.Class("web-attack").Points[1] = 50
	for later, want := range map[float64]int{3600: 1, 3601: 0} {
		a := New(Config{Policy: half})
		if d := decided(a, seen("web-attack", "203.0.113.1", "10.0.0.1", 0), seen("web-attack", "203.0.113.1", "10.0.0.1", later)); len(d) != want {
			t.Errorf("half a block's points, the other half after %v s: %+v", later, d)
		}
	}
}

func TestBlocksGrowAndAreForgotten(t *testing.T) {
	a := New(Config{})
	now, want := 0.0, 10*time.Minute
	for i := range 12 {
		d := decided(a, seen("exploit", "203.0.113.1", "10.0.0.1", now))
		if len(d) != 1 || time.Duration(d[0].Until-d[0].Time) != min(want, 24*time.Hour) {
			t.Fatalf("block %d: %+v, want %s", i, d, want)
		}
		if d := decided(a, seen("exploit", "203.0.113.1", "10.0.0.1", now+1)); len(d) != 0 {
			t.Fatalf("decided again while the first stands: %+v", d)
		}
		now += time.Duration(d[0].Until-d[0].Time).Seconds() + 1
		want *= 2
	}
	if d := decided(a, seen("exploit", "203.0.113.1", "10.0.0.1", now+8*86400)); len(d) != 1 || d[0].Until-d[0].Time != int64(10*time.Minute) {
		t.Errorf("a week later: %+v", d)
	}
}

func TestIPv6IsJudgedByTheNetworkOfOneHost(t *testing.T) {
	a := New(Config{})
	d := decided(a, seen("exploit", "2001:db8:1:2::1", "10.0.0.1", 0), seen("exploit", "2001:db8:1:2::2", "10.0.0.1", 1))
	if len(d) != 1 || d[0].Prefix.String() != "2001:db8:1:2::/64" {
		t.Errorf("%+v", d)
	}
}

func TestGuardSharedAndInside(t *testing.T) {
	guarded := netip.MustParsePrefix("203.0.113.254/32")
	cfg := Config{Enforce: true, Live: true, Guard: func(p netip.Prefix) string {
		if p.Overlaps(guarded) {
			return "the gateway"
		}
		return ""
	}}
	for _, tc := range []struct{ class, from, action, policy string }{
		{"exploit", "203.0.113.254", ActionAlert, "guard: the gateway is never blocked"},
		{"exploit", "100.64.3.4", ActionBlock, "inside"}, // protected here, so inside comes first; it is shared, too
		{"exploit", "203.0.113.7", ActionBlock, "block for 10m"},
		{"plc-stop", "203.0.113.8", ActionBlock, "block for 10m"},
		{"plc-stop", "10.0.0.9", ActionAlert, "left to a person"},
		{"exploit", "10.0.0.9", ActionBlock, "an origin inside"},
	} {
		if tc.from == "100.64.3.4" {
			tc.action, tc.policy = ActionRateLimit, "a shared address"
		}
		d := decided(New(cfg), seen(tc.class, tc.from, "10.0.0.1", 0), seen(tc.class, tc.from, "10.0.0.1", 1))
		if len(d) != 1 || d[0].Action != tc.action || !strings.Contains(d[0].Policy, tc.policy) {
			t.Errorf("%s by %s: %+v", tc.class, tc.from, d)
			continue
		}
		if tc.action == ActionAlert == d[0].Prefix.IsValid() || tc.action == ActionRateLimit && d[0].Rate == 0 {
			t.Errorf("%s by %s: %+v", tc.class, tc.from, d)
		}
	}
}

func TestAuthorisedAreNeverDecidedAgainst(t *testing.T) {
	a := New(Config{Authorised: func(netip.Addr) bool { return true }})
	if d := decided(a, times(9, seen("exploit", "203.0.113.1", "10.0.0.1", 0))...); len(d) != 0 {
		t.Errorf("%+v", d)
	}
}

func TestManyHostsOfANetwork(t *testing.T) {
	from := func(i int) string { return fmt.Sprintf("203.0.113.%d", i) }
	run := func(cfg Config, name func(int) string) (whole []Decision) {
		a := New(cfg)
		for i := range 20 {
			for _, d := range decided(a, seen("exploit", name(i), "10.0.0.1", float64(i))) {
				if b := d.Prefix.Bits(); b == 24 || b == 48 {
					whole = append(whole, d)
				}
			}
		}
		return whole
	}
	if w := run(Config{}, from); len(w) != 1 || w[0].Prefix.String() != "203.0.113.0/24" || w[0].Time != at(15) {
		t.Errorf("twenty hosts of a /24: %+v", w)
	}
	if w := run(Config{}, func(i int) string { return fmt.Sprintf("2001:db8:7:%d::1", i) }); len(w) != 1 || w[0].Prefix.String() != "2001:db8:7::/48" {
		t.Errorf("twenty of a /48: %+v", w)
	}
	if w := run(Config{}, func(i int) string { return fmt.Sprintf("203.0.%d.1", i) }); len(w) != 0 {
		t.Errorf("twenty of twenty networks: %+v", w)
	}
	if w := run(Config{}, func(i int) string { return fmt.Sprintf("10.9.9.%d", i) }); len(w) != 0 {
		t.Errorf("a protected network was blocked whole: %+v", w)
	}
	neighbour := netip.MustParsePrefix("203.0.113.200/32")
	if w := run(Config{Guard: func(p netip.Prefix) string {
		if p.Overlaps(neighbour) {
			return "a peer"
		}
		return ""
	}}, from); len(w) != 0 {
		t.Errorf("a network with a guarded host was blocked whole: %+v", w)
	}
	few := DefaultPolicy()
	few.Prefixes = 0
	a := New(Config{Policy: few})
	for i := range 20 {
		a.Add(seen("exploit", from(i), "10.0.0.1", float64(i)))
	}
	if a.Counters.Uncapped == 0 {
		t.Error("the cap was not counted")
	}
}

func TestTheCeiling(t *testing.T) {
	pol := DefaultPolicy()
	pol.PerMinute = 5
	a := New(Config{Policy: pol})
	var blocks, said int
	name := func(i int) string { return fmt.Sprintf("203.0.%d.1", i) }
	for i := range 50 {
		for _, d := range decided(a, seen("exploit", name(i), "10.0.0.1", 20+float64(i)/10)) {
			switch d.Action {
			case ActionWouldBlock:
				blocks++
			case ActionAlert:
				said++
				if !strings.Contains(d.Policy, "ceiling: 5 blocks within a minute") {
					t.Errorf("%+v", d)
				}
			}
		}
	}
	if blocks != 5 || said != 1 || a.Counters.Ceiling != 45 || a.Counters.Runaways != 1 {
		t.Errorf("%d blocks, said %d times, %+v", blocks, said, a.Counters)
	}
	if d := decided(a, seen("exploit", name(49), "10.0.0.1", 61)); len(d) != 1 || d[0].Action != ActionWouldBlock {
		t.Errorf("the next minute: %+v", d)
	}
}

func TestUnprovenFloodsLimitTheTargetsTraffic(t *testing.T) {
	a := New(Config{Enforce: true, Live: true})
	var all []Decision
	for i := range 5000 {
		o := with(seen("flood", fmt.Sprintf("198.51.%d.%d", i/250, i%250), "10.0.0.1", float64(i)/10), func(o *Observation) { o.Proven = false })
		all = append(all, decided(a, o)...)
	}
	if len(all) != 4 { // one, renewed after each half of its five minutes
		t.Fatalf("%d decisions", len(all))
	}
	for _, d := range all {
		if d.Action != ActionRateLimit || d.Prefix.IsValid() || d.Limit == nil || d.Limit.Target.String() != "10.0.0.1/32" || d.Limit.Kind != LimitSYN || d.Origin != "unproven" {
			t.Errorf("%+v", d)
		}
	}
	if len(a.judges.origins) != 0 {
		t.Error("a claimed source is remembered")
	}
}

// forged makes observations of every class that name others, none of them proven.
func forged(r *rand.Rand, named []netip.Addr, classes []Class) Observation {
	o := seen(classes[r.IntN(len(classes))].Name, named[r.IntN(len(named))].String(), fmt.Sprintf("10.0.0.%d", r.IntN(9)), float64(r.IntN(3600)))
	o.Proven, o.Severity, o.Proto = false, uint8(r.IntN(5)), []uint8{1, 6, 17, 58}[r.IntN(4)]
	if r.IntN(2) == 0 {
		o.Detector = "d"
	}
	o.Subject = o.Target
	return o
}

func TestNobodyIsBlockedForWhatAnotherForged(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var named []netip.Addr
	for _, s := range []string{"192.0.2.1", "192.0.2.53", "203.0.113.9", "8.8.8.8", "2001:db8::53", "10.0.0.7"} {
		named = append(named, netip.MustParseAddr(s))
	}
	a := New(Config{Enforce: true, Live: true})
	for range 100_000 {
		for _, d := range decided(a, forged(r, named, Table())) {
			if d.Prefix.IsValid() || d.Action == ActionBlock {
				t.Fatalf("decided against a name: %+v", d)
			}
		}
	}
	if len(a.judges.origins) != 0 {
		t.Error("forged observations earned points")
	}
	// and what one really did counts all the same
	if d := decided(a, seen("exploit", "203.0.113.66", "10.0.0.1", 3700)); len(d) != 1 || d[0].Action != ActionBlock {
		t.Errorf("a proven attack beside it: %+v", d)
	}
}

func TestDecisionsSurviveAStop(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	pol := DefaultPolicy()
	pol.Hosts4, pol.PerMinute = 3, 4
	var in []Observation
	for i := range 3000 {
		o := seen([]string{"scan", "exploit", "flood"}[r.IntN(3)], fmt.Sprintf("203.0.%d.%d", r.IntN(3), r.IntN(9)), "10.0.0.1", float64(i))
		o.Severity, o.Proven = uint8(r.IntN(5)), r.IntN(3) > 0
		in = append(in, o)
	}
	want := decided(New(Config{Policy: pol}), in...)
	a := New(Config{Policy: pol})
	var got []Decision
	for i, o := range in {
		if i%100 == 50 {
			b, err := a.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			a = New(Config{Policy: pol})
			if err := a.Restore(b); err != nil {
				t.Fatal(err)
			}
		}
		got = append(got, decided(a, o)...)
	}
	if len(want) < 20 || !reflect.DeepEqual(got, want) {
		t.Errorf("%d decisions with stops, %d without", len(got), len(want))
	}
}

func TestAnEarlierSnapshotIsTaken(t *testing.T) {
	a := New(Config{})
	if err := a.Restore([]byte(`{"version":1,"table":"accounts/1","now":1,"last_id":7,"accounts":[],"repeats":{"192.0.2.1":3},"counters":{}}`)); err != nil || a.lastID != 7 {
		t.Errorf("version 1: %v", err)
	}
}

func TestOutcomesFollowWhatActed(t *testing.T) {
	stopped := func(o *Observation) { o.Stopped = true }
	one := func(t float64) Observation { return seen("exploit", "203.0.113.1", "10.0.0.1", t) }
	for _, tc := range []struct {
		name string
		cfg  Config
		in   []Observation
		cut  bool
		want string
	}{
		{"all stopped", Config{Live: true}, []Observation{with(one(0), stopped), with(one(1), stopped)}, false, Foiled},
		{"some passed", Config{Live: true}, []Observation{one(0), with(one(1), stopped)}, false, Contained},
		{"cut off by the kernel", Config{Live: true}, []Observation{one(0), one(1)}, true, Contained},
		{"all stopped, then the origin is blocked", Config{Live: true}, []Observation{with(one(0), stopped)}, true, Foiled},
		{"nothing done", Config{Live: true}, []Observation{one(0), one(1)}, false, Observed},
		{"a recording", Config{}, []Observation{with(one(0), stopped)}, true, Observed},
	} {
		a := New(tc.cfg)
		for _, o := range tc.in {
			a.Add(o)
		}
		if tc.cut {
			a.Cut(1)
			if !a.Stopped(1, 40, 4000) || a.Stopped(2, 1, 1) {
				t.Errorf("%s: the attack was not found, or one that is not there was", tc.name)
			}
		}
		r := closed(a.Finish())
		if len(r) != 1 || r[0].Outcome != tc.want || tc.cut && r[0].PacketsStopped < 40 {
			t.Errorf("%s: %+v", tc.name, r)
		}
		if a.Stopped(1, 1, 1) {
			t.Errorf("%s: a closed attack took packets", tc.name)
		}
	}
}

func TestVerdictsAreTold(t *testing.T) {
	a := New(Config{Live: true, Enforce: true})
	d := decided(a, times(3, with(seen("web-attack", "203.0.113.1", "10.0.0.1", 0), func(o *Observation) { o.Stopped = true }))...)
	if len(d) != 2 || d[0].Action != ActionDrop || d[1].Action != ActionBlock || d[0].Time != d[1].Time {
		t.Errorf("%+v", d)
	}
	if d = decided(a, with(seen("web-attack", "203.0.113.2", "10.0.0.1", 0), func(o *Observation) { o.Stopped, o.Reset = true, true })); len(d) != 2 || d[0].Action != ActionReset {
		t.Errorf("%+v", d)
	}
}
