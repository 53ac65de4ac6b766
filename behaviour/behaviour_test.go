package behaviour

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/decode"
)

const begin = int64(1_700_000_000) * second

// v4 is host h of network n: 10.n.0.0/16 inside.
func v4(n, h int) decode.Addr {
	return mapped([4]byte{10, byte(n), byte(h >> 8), byte(h)})
}

// out is an address outside.
func out(h int) decode.Addr { return mapped([4]byte{203, byte(h >> 16), byte(h >> 8), byte(h)}) }

func v6(h int) decode.Addr {
	return decode.Addr{0: 0x20, 1: 0x01, 2: 0x0d, 3: 0xb8, 14: byte(h >> 8), 15: byte(h)}
}

// flow is a signal about a flow from client to server at a time after the beginning.
func flow(kind Kind, at int64, client, server decode.Addr, port int, proto uint8) Signal {
	return Signal{Kind: kind, Time: begin + at, Client: client, Server: server, ClientPort: 50000, ServerPort: uint16(port), IPVersion: 4, Proto: proto, TTL: 64,
		FlowID: hashOf(client, server, port)}
}

func hashOf(a, b decode.Addr, port int) uint64 {
	h := uint64(port)
	for i := range a {
		h = h*1099511628211 ^ uint64(a[i])<<8 ^ uint64(b[i])
	}
	return h
}

func syn(at int64, client, server decode.Addr, port int) Signal {
	s := flow(FlowStart, at, client, server, port, decode.ProtoTCP)
	s.Flags = decode.SYN
	return s
}

// as changes a copy of a signal.
func as(s Signal, change func(*Signal)) Signal {
	change(&s)
	return s
}

// said is a fact of a protocol.
func said(at int64, client, server decode.Addr, port int, app string, f contract.Fact) Signal {
	s := flow(Said, at, client, server, port, decode.ProtoTCP)
	s.App, s.Fact, s.Proven = app, f, true
	return s
}

// each makes n signals.
func each(n int, one func(i int) Signal) []Signal {
	list := make([]Signal, n)
	for i := range list {
		list[i] = one(i)
	}
	return list
}

// watch feeds signals, numbered in order, to a fresh detector of that name and returns what it found.
func watch(t testing.TB, name string, list []Signal) []Finding {
	t.Helper()
	d := detector(t, name, 0)
	var found []Finding
	for i := range list {
		s := list[i]
		s.Number = uint64(i + 1)
		if d.Wants()&s.Kind != 0 {
			d.Observe(&s, func(f Finding) { found = append(found, f) })
		}
	}
	return found
}

func detector(t testing.TB, name string, hosts int) Detector {
	t.Helper()
	for _, d := range New(Config{HostsMax: hosts, Protected: func(a decode.Addr) bool { return a[12] == 10 }}) {
		if d.Name() == name {
			return d
		}
	}
	t.Fatalf("no detector %q", name)
	return nil
}

// sign is one thing a detector must see: n of something at its bound, and nothing below.
type sign struct {
	name, detector, class, technique string
	bound                            int
	make                             func(n int) []Signal
	ordered                          bool // later signals answer earlier ones
}

func TestEachSignFiresAtItsBound(t *testing.T) {
	for _, x := range signs() {
		t.Run(x.name, func(t *testing.T) {
			found := watch(t, x.detector, x.make(x.bound))
			if len(found) == 0 {
				t.Fatalf("nothing found at its bound of %d", x.bound)
			}
			f := found[0]
			if f.Class != x.class || len(f.Technique) == 0 || f.Technique[0] != x.technique || f.Detector == "" || f.Text == "" || f.Severity == 0 || f.Time == 0 {
				t.Errorf("found %+v", f)
			}
			if found := watch(t, x.detector, x.make(x.bound-1)); len(found) > 0 {
				t.Errorf("found one below its bound: %s", found[0].Text)
			}
		})
	}
}

// What is found must not rest on the order in which workers' packets of one moment come in.
func TestOrderOfOneMoment(t *testing.T) {
	for _, x := range signs() {
		if x.ordered {
			continue
		}
		want := len(watch(t, x.detector, x.make(x.bound)))
		for seed := range uint64(8) {
			list := x.make(x.bound)
			rand.New(rand.NewPCG(seed, 1)).Shuffle(len(list), func(i, j int) {
				list[i], list[j] = list[j], list[i]
				list[i].Time, list[j].Time = list[j].Time, list[i].Time
			})
			if got := len(watch(t, x.detector, list)); got != want {
				t.Errorf("%s: %d findings in one order, %d in another", x.name, want, got)
			}
		}
	}
}

func TestTheSameTwice(t *testing.T) {
	for _, x := range signs() {
		if a, b := fmt.Sprint(watch(t, x.detector, x.make(4*x.bound))), fmt.Sprint(watch(t, x.detector, x.make(4*x.bound))); a != b {
			t.Errorf("%s: two runs differ:\n%s\n%s", x.name, a, b)
		}
	}
}

func TestNearMisses(t *testing.T) {
	for name, list := range misses() {
		for _, d := range New(Config{}) {
			if found := watch(t, d.Name(), list); len(found) > 0 {
				t.Errorf("%s: %s says %s", name, d.Name(), found[0].Text)
			}
		}
	}
}

// Every detector's kinds of signals, from a million hosts that are never met again: memory stays within the bound of
// hosts, and what was forgotten is counted.
func TestMemoryIsBounded(t *testing.T) {
	sources := 1_000_000
	if testing.Short() {
		sources = 20_000
	}
	all := New(Config{HostsMax: 1024})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range sources {
		list := strangers(i)
		for k := range list {
			for _, d := range all {
				if d.Wants()&list[k].Kind != 0 {
					d.Observe(&list[k], func(Finding) {})
				}
			}
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	for _, d := range all {
		if d.Dropped() == 0 {
			t.Errorf("%s: %d strangers and nothing counted as forgotten", d.Name(), sources)
		}
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 48<<20 {
		t.Errorf("%d strangers made the detectors grow by %d MiB", sources, grown>>20)
	}
	runtime.KeepAlive(all)
}

// One source that tries everything is bounded too.
func TestOneSourceIsBounded(t *testing.T) {
	n := 30_000
	if testing.Short() {
		n = 2_000
	}
	for _, x := range signs() {
		d := detector(t, x.detector, 64)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		list := x.make(n)
		runtime.GC()
		runtime.ReadMemStats(&before)
		found := 0
		for i := range list {
			if d.Wants()&list[i].Kind != 0 {
				d.Observe(&list[i], func(Finding) { found++ })
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 4<<20 {
			t.Errorf("%s: one source grew it by %d MiB", x.name, grown>>20)
		}
		if found > n/8 {
			t.Errorf("%s: %d findings about %d signals", x.name, found, n)
		}
		runtime.KeepAlive(list)
		runtime.KeepAlive(d)
	}
}

func TestFullSetsForgetWhatIsOld(t *testing.T) {
	s := seen[int]{limit: 4, life: minute}
	for i := range 4 {
		s.add(i, begin)
	}
	if s.add(9, begin+second) || s.len() != 4 {
		t.Error("more than the limit was kept")
	}
	if !s.add(9, begin+2*minute) || s.len() != 1 {
		t.Errorf("a full set did not forget what is old: %v", s.times)
	}
}

func TestWindowForgets(t *testing.T) {
	var w window
	for i := range int64(8) {
		if got := w.add(begin+i*second, 8*second, 1); got != uint32(i+1) {
			t.Errorf("second %d: %d", i, got)
		}
	}
	if got := w.add(begin+8*second, 8*second, 1); got != 8 {
		t.Errorf("the oldest slice was not forgotten: %d", got)
	}
	if got := w.add(begin+100*second, 8*second, 1); got != 1 {
		t.Errorf("a long silence left %d", got)
	}
	if got := w.add(begin, 8*second, 1); got != 1 {
		t.Errorf("a clock set back left %d", got)
	}
}

func TestTableForgetsTheLeastRecentlyTouched(t *testing.T) {
	tb := newTable[int, int](2)
	tb.get(1)
	tb.get(2)
	tb.get(1)
	tb.get(3)
	if tb.find(2) != nil || tb.find(1) == nil || tb.find(3) == nil || tb.Dropped != 1 {
		t.Errorf("kept %d, dropped %d", tb.count, tb.Dropped)
	}
	tb.remove(1)
	tb.remove(7)
	if _, fresh := tb.get(1); !fresh || tb.Dropped != 1 {
		t.Error("a removed key is not fresh")
	}
}

func TestRegisteredDomain(t *testing.T) {
	for name, want := range map[string]string{"a.b.example.com": "example.com a.b", "example.com": "example.com ", "x.example.co.uk.": "example.co.uk x", "com": "com ", "co.uk": "co.uk "} {
		domain, below := RegisteredDomain(name)
		if got := domain + " " + below; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestRegistrable(t *testing.T) {
	for name, want := range map[string]string{"A.B.Example.COM": "example.com", "x.5a03b5": "", "dnscat.f97c": "", "host": "", "a.xn--p1ai": "a.xn--p1ai", "": ""} {
		if got := Registrable(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestGeneratedLabels(t *testing.T) {
	for label, want := range map[string]bool{"kqxzvbtrplmw": true, "x7f3k9q2w8z1": true, "wikipedia": false, "googleusercontent": false, "stackoverflow": false, "xn--bcher-kva8445": false, "short": false} {
		if got := looksGenerated(label); got != want {
			t.Errorf("%s: %v, want %v", label, got, want)
		}
	}
}

// Each detector has a sign that fires it here: a new one cannot come without its test.
func TestEachDetectorHasASign(t *testing.T) {
	has := map[string]bool{}
	for _, x := range signs() {
		has[x.detector] = true
	}
	for _, d := range New(Config{}) {
		if !has[d.Name()] {
			t.Errorf("%s has no sign in signs()", d.Name())
		}
		if strings.ToLower(d.Name()) != d.Name() {
			t.Errorf("%s: names are in small letters", d.Name())
		}
	}
}
