package nft

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"

	"github.com/dejpha/dejpha/block"
	"github.com/dejpha/dejpha/capture/nettest"
)

// The tests run in two namespaces of their own, joined by a veth pair: a is blocked on, b sends.
type wire struct{ a, b string }

func ip(t *testing.T, args ...string) {
	t.Helper()
	nettest.Must(t, "ip", args...)
}

func newWire(t *testing.T) wire {
	t.Helper()
	n := nettest.Spaces(t, "a", "b")
	w := wire{n[0], n[1]}
	ip(t, "-n", w.a, "link", "add", "dn0", "type", "veth", "peer", "name", "dn1", "netns", w.b)
	for _, a := range []string{"10.0.0.1/24", "2001:db8::1/48"} {
		ip(t, "-n", w.a, "addr", "add", a, "dev", "dn0", "nodad")
	}
	ip(t, "-n", w.a, "link", "set", "dn0", "up")
	for _, a := range []string{"10.0.0.2/24", "10.0.0.3/24", "10.0.0.130/24", "2001:db8:0:1::2/48", "2001:db8:0:2::2/48"} {
		ip(t, "-n", w.b, "addr", "add", a, "dev", "dn1", "nodad")
	}
	ip(t, "-n", w.b, "link", "set", "dn1", "up")
	return w
}

// arrives counts how many of n datagrams from an address of b come to a; n 0: whether one does, within ten seconds.
func (w wire) arrives(t *testing.T, from string, n int) int {
	t.Helper()
	at := "10.0.0.1:0"
	if strings.Contains(from, ":") {
		at = "[2001:db8::1]:0"
	}
	var to net.PacketConn
	var by net.Conn
	var err error
	nettest.In(t, w.a, func() { to, err = net.ListenPacket("udp", at) })
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	nettest.In(t, w.b, func() {
		by, err = (&net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(from)}}).Dial("udp", to.LocalAddr().String())
	})
	if err != nil {
		t.Fatal(err)
	}
	defer by.Close()
	got := 0
	for i := 0; n > 0 && i < n || n == 0 && got == 0 && i < 300; i++ {
		_, _ = by.Write([]byte("hello"))
		_ = to.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
		if _, _, err := to.ReadFrom(make([]byte, 100)); err == nil {
			got++
		}
	}
	return got
}

const (
	second = int64(time.Second)
	hour   = 3600 * second
)

func (w wire) open(t *testing.T, inet bool) *Enforcer {
	t.Helper()
	var e *Enforcer
	var err error
	nettest.In(t, w.a, func() {
		e, err = Open(Options{Interfaces: []string{"dn0"}, Inet: inet, Say: func(s string) { t.Log(s) }})
	})
	if errors.Is(err, block.ErrKernel) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func apply(t *testing.T, e *Enforcer, c block.Changes) {
	t.Helper()
	c.Now = time.Now().UnixNano()
	if err := e.Apply(c); err != nil {
		t.Fatal(err)
	}
}

func entry(p string, until int64, rate uint32) block.Entry {
	return block.Entry{Prefix: netip.MustParsePrefix(p), Until: until, Rate: rate}
}

// On a real interface, from both hooks: hosts, prefixes within prefixes, the guard, rates, ends, a restart.
func TestSetsBlockOnARealInterface(t *testing.T) {
	for _, inet := range []bool{false, true} {
		t.Run(map[bool]string{false: "netdev", true: "inet"}[inet], func(t *testing.T) {
			w := newWire(t)
			e := w.open(t, inet)
			t.Log(e.Name())
			state := func(addrs map[string]bool) {
				t.Helper()
				for a, blocked := range addrs {
					if blocked && w.arrives(t, a, 4) > 0 || !blocked && w.arrives(t, a, 0) == 0 {
						t.Errorf("%s: blocked should be %v", a, blocked)
					}
				}
			}
			state(map[string]bool{"10.0.0.2": false, "10.0.0.3": false, "10.0.0.130": false, "2001:db8:0:1::2": false, "2001:db8:0:2::2": false})
			now := time.Now().UnixNano()
			pre := netip.MustParsePrefix
			apply(t, e, block.Changes{
				Guard: []block.Guarded{{Prefix: pre("10.0.0.3/32"), Until: block.Forever}},
				Block: []block.Entry{entry("10.0.0.0/25", now+hour, 0), entry("10.0.0.0/30", now+hour, 0), entry("10.0.0.2/32", block.Forever, 0), entry("2001:db8:0:1::/64", now+hour, 0)},
			})
			state(map[string]bool{"10.0.0.2": true, "10.0.0.3": false, "10.0.0.130": false, "2001:db8:0:1::2": true, "2001:db8:0:2::2": false})
			apply(t, e, block.Changes{Unblock: []netip.Prefix{pre("10.0.0.2/32"), pre("10.0.0.77/32")}})
			state(map[string]bool{"10.0.0.2": true})
			before, err := e.Load(now)
			if err != nil || len(before.Blocks) != 3 || len(before.Guard) != 1 {
				t.Fatalf("%+v %v", before, err)
			}
			_ = e.Close()
			state(map[string]bool{"10.0.0.2": true, "2001:db8:0:1::2": true})
			e = w.open(t, inet)
			after, err := e.Load(time.Now().UnixNano())
			if err != nil || after.ID != before.ID || len(after.Blocks) != 3 || len(after.Guard) != 1 || after.Guard[0].Until != block.Forever {
				t.Fatalf("%+v %v, was %+v", after, err, before)
			}
			i := slices.IndexFunc(after.Blocks, func(b block.Entry) bool { return b.Prefix == pre("10.0.0.0/25") })
			if i < 0 || max(after.Blocks[i].Until-now-hour, now+hour-after.Blocks[i].Until) > 2*second {
				t.Errorf("%+v", after.Blocks)
			}
			counts, err := e.Counters(now)
			if err != nil || len(counts) == 0 || counts[0].Packets == 0 {
				t.Errorf("counted %+v %v", counts, err)
			}
			if s, err := e.Totals(); err != nil || s.BlockPackets == 0 || s.BlockBytes == 0 {
				t.Errorf("%+v %v", s, err)
			}
			apply(t, e, block.Changes{Unblock: []netip.Prefix{pre("10.0.0.0/25"), pre("10.0.0.0/30")}, Unguard: []netip.Prefix{pre("10.0.0.3/32")},
				Block: []block.Entry{entry("10.0.0.3/32", now+hour, 0), entry("10.0.0.130/32", now+hour, 1)}})
			state(map[string]bool{"10.0.0.2": false, "10.0.0.3": true})
			if n := w.arrives(t, "10.0.0.130", 15); n == 0 || n == 15 {
				t.Errorf("%d of 15 came through a rate of 1/s", n)
			}
			apply(t, e, block.Changes{Change: []block.Entry{entry("10.0.0.130/32", now+hour, 0), entry("10.0.0.3/32", time.Now().UnixNano()+second, 0)}})
			state(map[string]bool{"10.0.0.130": true})
			_ = e.Close()
			state(map[string]bool{"10.0.0.3": false}) // it ended, and nobody swept
			nettest.In(t, w.a, func() { err = Detach(Options{}) })
			if err != nil {
				t.Fatal(err)
			}
			state(map[string]bool{"10.0.0.130": false, "2001:db8:0:1::2": false})
		})
	}
}

// An interface that went and came back is blocked on again, whether the kernel keeps its chain or not.
func TestAnInterfaceComesBack(t *testing.T) {
	w := newWire(t)
	e := w.open(t, false)
	defer e.Close()
	apply(t, e, block.Changes{Block: []block.Entry{entry("10.0.0.2/32", block.Forever, 0)}})
	for _, lost := range []bool{false, true} {
		ip(t, "-n", w.a, "link", "del", "dn0")
		if lost { // as older kernels do
			ch := &nftables.Chain{Name: "in-dn0", Table: e.table}
			e.conn.FlushChain(ch)
			e.conn.DelChain(ch)
			if err := e.conn.Flush(); err != nil {
				t.Logf("the chain is gone already: %v", err)
			}
		}
		ip(t, "-n", w.a, "link", "add", "dn0", "type", "veth", "peer", "name", "dn1", "netns", w.b)
		ip(t, "-n", w.a, "addr", "add", "10.0.0.1/24", "dev", "dn0")
		ip(t, "-n", w.a, "link", "set", "dn0", "up")
		for _, a := range []string{"10.0.0.2/24", "10.0.0.3/24"} {
			ip(t, "-n", w.b, "addr", "add", a, "dev", "dn1")
		}
		ip(t, "-n", w.b, "link", "set", "dn1", "up")
		nettest.In(t, w.a, func() {
			if err := e.Tend(); err != nil {
				t.Error(err)
			}
		})
		if w.arrives(t, "10.0.0.3", 0) == 0 {
			t.Fatal("the new wire carries nothing")
		}
		if w.arrives(t, "10.0.0.2", 4) > 0 {
			t.Errorf("not blocked on the new interface (chain lost: %v)", lost)
		}
	}
}

// Blocked again in the moment of its end, and a batch with something that is gone already.
func TestEndsAndBatches(t *testing.T) {
	w := newWire(t)
	e := w.open(t, false)
	defer e.Close()
	p := netip.MustParsePrefix("10.0.0.2/32")
	for range 5 {
		until := time.Now().UnixNano() + second/5
		apply(t, e, block.Changes{Block: []block.Entry{{Prefix: p, Until: until}}})
		for time.Now().UnixNano() <= until {
			time.Sleep(time.Millisecond)
		}
		apply(t, e, block.Changes{Ended: []netip.Prefix{p}, Block: []block.Entry{{Prefix: p, Until: until + hour}}})
		s, err := e.Load(until)
		if err != nil || len(s.Blocks) != 1 || s.Blocks[0].Until < until+hour/2 {
			t.Fatalf("%+v %v", s, err)
		}
		apply(t, e, block.Changes{Unblock: []netip.Prefix{p}})
	}
	var many []block.Entry
	var all []netip.Prefix
	for i := range 3000 {
		q := netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 16, byte(i >> 8), byte(i)}), 32)
		all = append(all, q)
		if i%1000 != 7 {
			many = append(many, block.Entry{Prefix: q, Until: block.Forever})
		}
	}
	counted := make(chan error)
	go func() { // who reads counts is in nobody's way
		var err error
		for range 20 {
			_, one := e.Counters(0)
			_, two := e.Totals()
			err = errors.Join(err, one, two)
		}
		counted <- err
	}()
	apply(t, e, block.Changes{Block: many})
	if err := <-counted; err != nil {
		t.Error(err)
	}
	if s, err := e.Load(0); err != nil || len(s.Blocks) != len(many) {
		t.Fatalf("%d blocks, want %d (%v)", len(s.Blocks), len(many), err)
	}
	apply(t, e, block.Changes{Unblock: all})
	if s, err := e.Load(0); err != nil || len(s.Blocks) != 0 {
		t.Fatalf("%d blocks are left (%v)", len(s.Blocks), err)
	}
}

func TestNamesAreReadBack(t *testing.T) {
	for _, k := range []kind{{false, false, 32, 0}, {true, true, 64, 0}, {false, false, 8, 100}, {true, false, 0, 0}, {false, true, 128, 1}} {
		if got, ok := kindOf(k.name()); !ok || got != k {
			t.Errorf("%s: %+v", k.name(), got)
		}
	}
	for _, n := range []string{"", "id_x", "meter4_32_1", "block4_32x", "block9_3", "over4_32_1"} {
		if k, ok := kindOf(n); ok {
			t.Errorf("%s: %+v", n, k)
		}
	}
	for rate, want := range map[uint32]uint32{0: 0, 1: 1, 3: 2, 7: 5, 99: 50, 100: 100, 4_294_967_295: 1_000_000_000} {
		if got := rateOf(rate); got != want {
			t.Errorf("rate %d: %d, want %d", rate, got, want)
		}
	}
}
