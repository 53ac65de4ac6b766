package attack

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// Each sentence of the definition that no other test guards.

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// attacks are the closed records of observations, in order.
func attacks(cfg Config, in ...Observation) []Record { return closed(play(New(cfg), in)) }

func TestProofBelongsToTheObservation(t *testing.T) {
	proven, forged := seen("exploit", "192.0.2.1", "10.0.0.1", 0), seen("exploit", "192.0.2.1", "10.0.0.1", 1)
	forged.Proven = false
	got := attacks(Config{}, proven, forged)
	if len(got) != 2 || got[0].Origin.IP != "192.0.2.1" || !got[0].Origin.Proven || got[1].OriginText() != "unproven" || got[1].Origin.Sources[0].IP != "192.0.2.1" {
		t.Errorf("one proven and one forged observation of an address: %+v", got)
	}
}

func TestUnprovenIsOneAttackForEachClassAndGroup(t *testing.T) {
	var in []Observation
	for i := range 500 {
		for _, class := range []string{"flood", "scan"} {
			for _, to := range []string{"10.0.0.1", "10.0.1.1"} {
				o := seen(class, fmt.Sprintf("198.18.%d.%d", i/250, i%250), to, float64(i)/10)
				o.Proven, o.Detector = false, "d"
				in = append(in, o)
			}
		}
	}
	if got := attacks(Config{}, in...); len(got) != 4 {
		t.Errorf("%d attacks of two classes on two groups", len(got))
	}
}

func TestTargetGroups(t *testing.T) {
	zone := func(a netip.Addr) (string, bool) { return "plant", a == addr("10.0.0.9") }
	ics := seen("scan", "192.0.2.1", "10.0.0.1", 0)
	ics.TargetSpokeICS, ics.Detector = true, "d"
	for want, o := range map[string]Observation{
		"10.0.0.0/24":   seen("exploit", "192.0.2.1", "10.0.0.1", 0),
		"plant":         seen("exploit", "192.0.2.1", "10.0.0.9", 0),
		"2001:db8::/64": seen("exploit", "2001:db8:1::1", "2001:db8::1", 0),
		"10.0.0.7":      seen("plc-stop", "192.0.2.1", "10.0.0.7", 0),
		"10.0.0.1":      ics,
	} {
		if got := attacks(Config{Zone: zone}, o); len(got) != 1 || got[0].Target.Group != want {
			t.Errorf("group of %v: %+v, want %s", o.Target, got, want)
		}
	}
}

func TestOriginsOfTheirOwnKind(t *testing.T) {
	arp := seen("spoofing", "192.0.2.1", "10.0.0.1", 0)
	arp.Origin, arp.OriginMAC, arp.VLAN, arp.Proven = netip.Addr{}, "02:00:00:00:00:01", 7, false
	dns := seen("tunnel", "192.0.2.1", "10.0.0.5", 0)
	dns.Origin, dns.OriginDomain, dns.Subject = netip.Addr{}, "example.com", addr("10.0.0.5")
	dga := seen("dga", "192.0.2.1", "10.0.0.5", 0)
	dga.Origin, dga.Subject = netip.Addr{}, addr("10.0.0.5")
	six := seen("exploit", "2001:db8:1:2::3", "10.0.0.1", 0)
	for want, o := range map[string]Observation{"02:00:00:00:00:01 vlan 7": arp, "example.com": dns, "none": dga, "2001:db8:1:2::/64": six} {
		got := attacks(Config{}, o)
		if len(got) != 1 || got[0].OriginText() != want {
			t.Errorf("origin %+v, want %s", got, want)
		}
	}
	if got := attacks(Config{}, arp); got[0].Origin.Proven {
		t.Error("a claim on the wire is proven")
	}
	if got := attacks(Config{}, dga); got[0].Subject != "10.0.0.5" {
		t.Errorf("subject %q", got[0].Subject)
	}
}

func TestSeverityIsTheWeakerOfRuleAndClassAndTheHighestSeen(t *testing.T) {
	weaker := seen("scan", "192.0.2.1", "10.0.0.1", 0) // class 3
	weaker.Severity, weaker.Detector = 1, "d"
	if got := attacks(Config{}, weaker); got[0].Severity != 3 {
		t.Errorf("a rule of priority 1 in a class of 3: %d", got[0].Severity)
	}
	strong, less := seen("exploit", "192.0.2.1", "10.0.0.1", 0), seen("exploit", "192.0.2.1", "10.0.0.1", 1)
	strong.Severity, less.Severity = 1, 2
	if got := attacks(Config{}, less, strong); len(got) != 1 || got[0].Severity != 1 {
		t.Errorf("the highest of two: %+v", got)
	}
}

// A chain is cut where it is quiet for longer than its class's gap, by a nanosecond, and nowhere else.
func TestGapsOfEachClass(t *testing.T) {
	for _, c := range table {
		for extra, want := range map[time.Duration]int{0: 1, 1: 2} {
			a, b := seen(c.Name, "192.0.2.1", "10.0.0.1", 0), seen(c.Name, "192.0.2.1", "10.0.0.1", 0)
			a.Detector, b.Detector = "d", "d"
			a.Time = 86400e9*20000 + 3600e9 // early in a cell of the grid
			b.Time = a.Time + int64(c.Gap+extra)
			if got := attacks(Config{}, a, b); len(got) != want {
				t.Errorf("%s: %d attacks at the gap plus %d ns", c.Name, len(got), extra)
			} else if got[len(got)-1].ClosedAt != b.Time+int64(c.Gap) {
				t.Errorf("%s: closed at %d", c.Name, got[len(got)-1].ClosedAt)
			}
		}
	}
}

func TestAuthorisedStandsApart(t *testing.T) {
	cfg := Config{Authorised: func(a netip.Addr) bool { return a == addr("10.9.9.9") }}
	scan := seen("scan", "10.9.9.9", "10.0.0.1", 0)
	scan.Proven, scan.Detector = false, "d"
	other := seen("scan", "192.0.2.1", "10.0.0.1", 1)
	other.Proven, other.Detector = false, "d"
	flood := seen("flood", "10.9.9.9", "10.0.0.1", 2)
	flood.Proven = false
	got := attacks(cfg, scan, other, flood)
	if len(got) != 3 {
		t.Fatalf("%d attacks", len(got))
	}
	for _, r := range got {
		if want := r.Class == "scan" && r.Origin.Sources[0].IP == "10.9.9.9"; r.Authorised != want {
			t.Errorf("%s from %v: authorised %v", r.Class, r.Origin.Sources, r.Authorised)
		}
	}
}

func TestRiskNoneOnlyWhereAllRefused(t *testing.T) {
	no, silent, stopped := seen("exploit", "192.0.2.1", "10.0.0.1", 0), seen("exploit", "192.0.2.1", "10.0.0.2", 1), seen("exploit", "192.0.2.1", "10.0.0.3", 1)
	no.Refused, stopped.Refused, stopped.Stopped = true, true, true
	for want, in := range map[string][]Observation{NoRisk: {no, no}, Real: {no, silent}} {
		if got := attacks(Config{}, in...); got[0].Risk != want {
			t.Errorf("risk %s, want %s", got[0].Risk, want)
		}
	}
	if got := attacks(Config{Live: true}, no, stopped); got[0].Risk != Real {
		t.Errorf("a stopped target was given the risk %s", got[0].Risk)
	}
	decoys := Config{Decoy: func(a netip.Addr) bool { return a == addr("10.0.0.1") }}
	if got := attacks(decoys, seen("exploit", "192.0.2.1", "10.0.0.1", 0), silent); got[0].Risk != Real {
		t.Errorf("a decoy and a real target: %s", got[0].Risk)
	}
}

func TestOutcomes(t *testing.T) {
	stopped, passed := seen("exploit", "192.0.2.1", "10.0.0.1", 0), seen("exploit", "192.0.2.1", "10.0.0.1", 1)
	stopped.Stopped = true
	for _, tt := range []struct {
		live bool
		in   []Observation
		want string
	}{
		{true, []Observation{stopped}, Foiled}, {true, []Observation{passed, stopped}, Contained}, {true, []Observation{passed}, Observed},
		{false, []Observation{stopped}, Observed},
	} {
		if got := attacks(Config{Live: tt.live}, tt.in...); got[0].Outcome != tt.want {
			t.Errorf("live %v: %s, want %s", tt.live, got[0].Outcome, tt.want)
		}
	}
}

func TestSides(t *testing.T) {
	unproven := func(inside bool) Observation {
		o := seen("flood", "10.0.5.5", "10.0.0.1", 0)
		o.Proven, o.InsideFrame = false, inside
		return o
	}
	for _, tt := range []struct {
		o    Observation
		want string
	}{
		{seen("exploit", "192.0.2.1", "10.0.0.1", 0), Outside}, {seen("exploit", "10.0.5.5", "10.0.0.1", 0), Inside},
		{unproven(false), Outside}, {unproven(true), Inside},
	} {
		if got := attacks(Config{}, tt.o); got[0].Side != tt.want {
			t.Errorf("%v proven %v: side %s", tt.o.Origin, tt.o.Proven, got[0].Side)
		}
	}
}

func TestResultsFromAnswers(t *testing.T) {
	failed, worked, none := seen("exploit", "192.0.2.1", "10.0.0.1", 0), seen("exploit", "192.0.2.1", "10.0.0.1", 1), seen("exploit", "192.0.2.1", "10.0.0.1", 2)
	failed.Result, worked.Result = Failed, Succeeded
	for want, in := range map[string][]Observation{Succeeded: {failed, worked, none}, Failed: {none, failed}, Unknown: {none}} {
		if got := attacks(Config{}, in...); got[0].Result != want {
			t.Errorf("result %s, want %s", got[0].Result, want)
		}
	}
}

func TestIncidentsKeepTheOrderOfTechniques(t *testing.T) {
	incident := func(in ...Observation) (ids []uint64) {
		for _, e := range play(New(Config{}), in) {
			if e.Kind == Opened {
				ids = append(ids, e.Record.Incident)
			}
		}
		return ids
	}
	far := seen("flood", "192.0.2.1", "10.0.0.1", 0)
	far.Time += int64(25 * time.Hour)
	for _, tt := range []struct {
		name string
		in   []Observation
		want string
	}{
		{"the victim turns origin", []Observation{seen("exploit", "192.0.2.1", "10.0.0.1", 0), seen("lateral-movement", "10.0.0.1", "10.0.5.5", 9)}, "[1 1]"},
		{"an earlier step is no later one", []Observation{seen("lateral-movement", "192.0.2.1", "10.0.0.1", 0), seen("web-attack", "192.0.2.1", "10.0.0.1", 9)}, "[1 2]"},
		{"too late", []Observation{seen("exploit", "192.0.2.1", "10.0.0.1", 0), far}, "[1 2]"},
		{"strangers", []Observation{seen("exploit", "192.0.2.1", "10.0.0.1", 0), seen("exploit", "198.51.100.1", "10.0.9.9", 9)}, "[1 2]"},
	} {
		if got := fmt.Sprint(incident(tt.in...)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// Two sentences for every class, whoever the origin is, whatever the traffic put into a name.
func TestStoriesAreTwoSentences(t *testing.T) {
	for _, c := range table {
		for _, by := range []func(*Observation){
			func(o *Observation) {},
			func(o *Observation) { o.Proven = false },
			func(o *Observation) { o.Msg = "rule. Of two sentences.\nAnd a line" },
			func(o *Observation) { o.Detector, o.Text = "d", "a. b. c" },
			func(o *Observation) { o.Origin, o.OriginMAC = netip.Addr{}, "02:00:00:00:00:01" },
			func(o *Observation) { o.Subject = addr("10.0.0.5") },
			func(o *Observation) { o.Target = netip.Addr{} },
			func(o *Observation) { o.Result = Failed },
		} {
			o := seen(c.Name, "192.0.2.1", "10.0.0.1", 0)
			o.Detector = "d"
			by(&o)
			r := attacks(Config{}, o, o)[0]
			if strings.Count(r.Story, ". ") != 1 || !strings.HasSuffix(r.Story, ".") || strings.ContainsAny(r.Story, "\n\r") || strings.Contains(r.Story, "  ") {
				t.Errorf("%s: no two sentences: %q", c.Name, r.Story)
			}
			first, _, _ := strings.Cut(r.Story, ". ")
			if !strings.Contains(first, " "+c.Act+" ") || !strings.Contains(first, " at 2023-11-14 22:13:20 UTC, seen by ") {
				t.Errorf("%s: the first sentence says too little: %q", c.Name, first)
			}
		}
	}
	a, b := seen("scan", "192.0.2.1", "10.0.0.1", 0), seen("scan", "192.0.2.1", "10.0.0.2", 60)
	a.Detector, b.Detector = "d", "d"
	want := "192.0.2.1 scanned 2 addresses of 10.0.0.0/24 between 2023-11-14 22:13:20 and 2023-11-14 22:14:20 UTC, seen by d. " +
		"2 observations in 1 flow; the target's answers do not tell whether it succeeded, and the shield did not act."
	if got := attacks(Config{}, a, b)[0].Story; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// What decides what one attack is is printed whole: evidence binds it by the hash of this text.
func TestTheTableIsPrintedWhole(t *testing.T) {
	var b strings.Builder
	PrintTable(&b)
	text := strings.Fields(b.String())
	for _, m := range []map[string]string{techniques, classtypes} {
		for name := range m {
			if !slices.Contains(text, name) {
				t.Errorf("%s is not printed", name)
			}
		}
	}
	for _, name := range silentTypes[:len(silentTypes)-1] {
		if !slices.Contains(text, name) {
			t.Errorf("%s is not printed", name)
		}
	}
	if n := strings.Count(b.String(), " 24h "); n != len(table) {
		t.Errorf("%d spans are printed", n)
	}
}

// Nobody proves a hardware address.
func TestLayerTwoIsNeverProven(t *testing.T) {
	a := New(Config{})
	ev := a.Add(Observation{Time: at(0), Class: "spoofing", OriginMAC: "02:00:00:00:00:01", Proven: true, Severity: 1, Target: netip.MustParseAddr("10.0.0.1")})
	if len(ev) != 1 || ev[0].Record.Origin.MAC == "" || ev[0].Record.Origin.Proven {
		t.Errorf("%+v", ev)
	}
}
