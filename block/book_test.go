package block

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"
)

func pre(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func TestGuardFindsTheLongestLineInForce(t *testing.T) {
	g := &Guard{}
	for _, e := range []Guarded{
		{pre("10.0.0.0/8"), Forever, "inside", true},
		{pre("10.1.0.0/16"), 100, "a while", false},
		{pre("2001:db8::/32"), Forever, "six", true},
		{pre("192.0.2.1/32"), Forever, "gateway", true},
	} {
		g.Put(e)
	}
	for _, c := range []struct {
		addr string
		now  int64
		why  string
	}{
		{"10.1.2.3", 1, "a while"}, {"10.1.2.3", 100, "inside"}, {"10.2.0.0", 1, "inside"}, {"11.0.0.1", 1, ""},
		{"192.0.2.1", 1, "gateway"}, {"192.0.2.2", 1, ""}, {"::ffff:192.0.2.1", 1, "gateway"},
		{"2001:db8:1::1", 1, "six"}, {"2001:db9::1", 1, ""}, {"::", 1, ""},
	} {
		e, ok := g.Holds(netip.MustParseAddr(c.addr), c.now)
		if e.Why != c.why || ok != (c.why != "") {
			t.Errorf("%s at %d: %q, want %q", c.addr, c.now, e.Why, c.why)
		}
	}
	if _, ok := g.Covers(pre("10.0.0.0/7"), 1); ok {
		t.Error("a wider prefix is covered by a narrower line")
	}
	g.Put(Guarded{pre("192.0.2.1/32"), 5, "weaker", false})
	if e, _ := g.Holds(netip.MustParseAddr("192.0.2.1"), 9); e.Why != "gateway" {
		t.Error("an allow with an end weakened a fixed line")
	}
}

// The guard against a plain walk over all its lines, on random lists.
func TestGuardAgainstAWalk(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		g := &Guard{}
		var all []Guarded
		for range r.IntN(30) {
			e := Guarded{randomPrefix(r, 0), int64(r.IntN(10)), "", false}
			all = append(all, e)
			g.Put(e)
		}
		by := map[netip.Prefix]Guarded{}
		for _, e := range all {
			by[e.Prefix] = e
		}
		for range 50 {
			a := randomPrefix(r, 0).Addr()
			now, best := int64(r.IntN(10)), -1
			for _, e := range by {
				if e.Prefix.Contains(a) && e.Until > now {
					best = max(best, e.Prefix.Bits())
				}
			}
			e, ok := g.Holds(a, now)
			if ok != (best >= 0) || ok && e.Prefix.Bits() != best {
				t.Fatalf("%s at %d: %v %v, want /%d of %v", a, now, e, ok, best, all)
			}
		}
	}
}

// randomPrefix is of a few neighbouring addresses, so that prefixes nest and meet.
func randomPrefix(r *rand.Rand, least int) netip.Prefix {
	var a netip.Addr
	if r.IntN(2) == 0 {
		a = netip.AddrFrom4([4]byte{10, byte(r.IntN(2)), byte(r.IntN(2)), byte(r.IntN(4))})
	} else {
		a = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, byte(r.IntN(2)), 0, byte(r.IntN(2)), 15: byte(r.IntN(2))})
	}
	bits := []int{8, 16, 24, 31, 32}
	if a.Is6() {
		bits = []int{16, 32, 48, 64, 65, 128}
	}
	p, _ := a.Prefix(max(least, bits[r.IntN(len(bits))]))
	return p
}

// After any history: the changes, done to what the kernel held, give what it should hold; the difference of the two plans
// is the same set of changes; no block in the book lies inside a guarded prefix; the counters are true.
func TestChangesBringThePlanAbout(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 7))
		b := NewBook(Sizes{Hosts: 5, Prefixes: 6, Limits: 4, Guard: 5})
		kernel := b.Plan()
		now := int64(1)
		for range 40 {
			for range r.IntN(6) {
				randomStep(r, b, now)
			}
			now += int64(r.IntN(4))
			if r.IntN(3) == 0 {
				b.Sweep(now, 1+r.IntN(5))
			}
			want := b.Plan()
			c := b.Changes(now)
			diff := Diff(kernel, want, now)
			if err := kernel.Do(c); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if !reflect.DeepEqual(plain(kernel), plain(want)) {
				t.Fatalf("seed %d: the kernel holds\n%v\nwant\n%v", seed, plain(kernel), plain(want))
			}
			if a, z := sizesOf(c), sizesOf(diff); a != z {
				t.Fatalf("seed %d: changes %s, the plans differ by %s", seed, a, z)
			}
			checkBook(t, b, now)
		}
	}
}

func randomStep(r *rand.Rand, b *Book, now int64) {
	until := now + int64(r.IntN(12))
	switch r.IntN(7) {
	case 0, 1, 2:
		_, _ = b.Block(Entry{Prefix: randomPrefix(r, 0), Until: until, Rate: uint32(r.IntN(2) * 10)}, now)
	case 3:
		b.Unblock(randomPrefix(r, 0))
	case 4:
		_ = b.Guard(Guarded{Prefix: randomPrefix(r, 24), Until: until}, now)
	case 5:
		b.Unguard(randomPrefix(r, 24))
	case 6:
		l := Limit{Target: randomPrefix(r, 24), Kind: LimitKind(r.IntN(6)), Port: uint16(r.IntN(2)), Rate: uint32(r.IntN(3)), Until: until}
		if b.Limit(l, now) == nil && r.IntN(2) == 0 {
			b.Unlimit(l.Key())
		}
	}
}

// plain is a plan without the fields that the kernel does not hold.
func plain(p Plan) string {
	blocks := map[netip.Prefix]string{}
	for q, e := range p.Blocks {
		blocks[q] = fmt.Sprint(e.Until, e.Rate)
	}
	return fmt.Sprint(blocks, p.Guard, p.Limits)
}

func sizesOf(c Changes) string {
	return fmt.Sprint(len(c.Guard), len(c.Ended), len(c.Unblock), len(c.Block), len(c.Change), len(c.Unlimit), len(c.Limit), len(c.Unguard))
}

func checkBook(t *testing.T, b *Book, now int64) {
	t.Helper()
	hosts4, hosts6, nets := 0, 0, 0
	for p, e := range b.entries {
		if g, ok := b.guard.Covers(p, now); ok && e.Until > now {
			t.Fatalf("%s is blocked inside the guarded %s", p, g.Prefix)
		}
		switch {
		case !IsHost(p):
			nets++
		case p.Addr().Is4():
			hosts4++
		default:
			hosts6++
		}
	}
	if hosts4 != b.hosts4 || hosts6 != b.hosts6 || nets != b.nets {
		t.Fatalf("counted %d %d %d, are %d %d %d", b.hosts4, b.hosts6, b.nets, hosts4, hosts6, nets)
	}
	if hosts4 > b.sizes.Hosts || hosts6 > b.sizes.Hosts || nets > b.sizes.Prefixes || len(b.limits) > b.sizes.Limits || b.guard.Len() > b.sizes.Guard {
		t.Fatal("a table is over its size")
	}
}

// Everything with an end is gone once swept after it, whatever ends it was given between.
func TestSweepLeavesNothingBehind(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	b := NewBook(Sizes{})
	for now := int64(1); now < 200; now++ {
		randomStep(r, b, now)
		b.Sweep(now, 100)
		for p, e := range maps.All(b.entries) {
			if e.Until <= now {
				t.Fatalf("%s ended at %d and is there at %d", p, e.Until, now)
			}
		}
	}
	b.Sweep(1000, 1<<20)
	if len(b.entries)+b.guard.Len()+len(b.limits)+len(b.ends) != 0 {
		t.Errorf("left: %v %v %v, %d ends", b.entries, b.guard.by, b.limits, len(b.ends))
	}
}

func TestEndsDoNotPileUp(t *testing.T) {
	b := NewBook(Sizes{})
	for i := range int64(1000) {
		if _, err := b.Block(Entry{Prefix: pre("192.0.2.1/32"), Until: 1000 + i}, 1); err != nil {
			t.Fatal(err)
		}
	}
	if len(b.ends) != 1 {
		t.Errorf("%d ends for one block that was lengthened", len(b.ends))
	}
}

func TestALaterDecisionNeverWeakens(t *testing.T) {
	p := pre("198.51.100.7/32")
	for _, c := range []struct{ old, then, want Entry }{
		{Entry{Until: 100}, Entry{Until: 50}, Entry{Until: 100}},
		{Entry{Until: 100}, Entry{Until: 150}, Entry{Until: 150}},
		{Entry{Until: 100}, Entry{Until: 150, Rate: 5}, Entry{Until: 100}},
		{Entry{Until: 100, Rate: 5}, Entry{Until: 50}, Entry{Until: 50}},
		{Entry{Until: 100, Rate: 5}, Entry{Until: 50, Rate: 9}, Entry{Until: 100, Rate: 5}},
		{Entry{Until: 100, Rate: 5}, Entry{Until: 150, Rate: 2}, Entry{Until: 150, Rate: 2}},
	} {
		b := NewBook(Sizes{})
		c.old.Prefix, c.then.Prefix = p, p
		_, _ = b.Block(c.old, 1)
		if _, err := b.Block(c.then, 2); err != nil {
			t.Fatal(err)
		}
		if got := b.entries[p]; got.Until != c.want.Until || got.Rate != c.want.Rate || got.Since != 1 {
			t.Errorf("%v then %v: %v", c.old, c.then, got)
		}
	}
}

func TestWhatIsRefused(t *testing.T) {
	b := NewBook(Sizes{Hosts: 1})
	_ = b.Guard(Guarded{Prefix: pre("192.0.2.0/24"), Until: Forever, Why: "servers"}, 1)
	for _, c := range []struct {
		prefix netip.Prefix
		until  int64
		is     error
	}{
		{pre("192.0.2.9/32"), 9, ErrGuarded}, {pre("::ffff:192.0.2.9/128"), 9, ErrGuarded},
		{pre("192.0.0.0/7"), 9, nil}, {pre("::/0"), 9, nil}, {pre("198.51.100.1/32"), 1, nil}, {netip.Prefix{}, 9, nil},
		{pre("::ffff:0.0.0.0/90"), 9, nil},
	} {
		if _, err := b.Block(Entry{Prefix: c.prefix, Until: c.until}, 1); err == nil || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v", c.prefix, err)
		}
	}
	if _, err := b.Block(Entry{Prefix: pre("198.51.100.1/32"), Until: 9}, 1); err != nil {
		t.Error(err)
	}
	if _, err := b.Block(Entry{Prefix: pre("198.51.100.2/32"), Until: 9}, 1); !errors.Is(err, ErrFull) {
		t.Error(err)
	}
	if err := b.Limit(Limit{Target: pre("192.0.2.0/24"), Kind: LimitSYN, Until: 9}, 1); err == nil {
		t.Error("a limit with a rate of 0 was taken")
	}
	// An allow takes out what is blocked inside it.
	_ = b.Guard(Guarded{Prefix: pre("198.51.100.0/24"), Until: 5, Why: "allowed"}, 2)
	if len(b.entries) != 0 {
		t.Error("an allow left a block in force")
	}
}
