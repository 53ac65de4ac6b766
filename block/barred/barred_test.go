package barred

import (
	"math"
	"net/netip"
	"sync"
	"testing"

	"github.com/dejpha/dejpha/block"
	"github.com/dejpha/dejpha/decode"
)

func prefix(text string) netip.Prefix { return netip.MustParsePrefix(text) }

func (s *Set) asked(text string, now int64) bool {
	return s.Blocked(decode.AddrFrom(netip.MustParseAddr(text)), now)
}

func TestBlocked(t *testing.T) {
	var s Set
	if s.asked("192.0.2.1", 5) {
		t.Error("an empty set blocks")
	}
	s.Apply(block.Changes{Now: 1, Guard: []block.Guarded{{Prefix: prefix("198.51.100.9/32")}}, Block: []block.Entry{
		{Prefix: prefix("192.0.2.1/32"), Until: 10}, {Prefix: prefix("2001:db8:1:2::/64"), Until: block.Forever},
		{Prefix: prefix("198.51.100.0/24"), Until: 20}, {Prefix: prefix("192.0.2.7/32"), Until: 90, Rate: 5}, {Prefix: prefix("2001:db8:9::1/128"), Until: 90}}})
	for _, k := range []struct {
		who  string
		now  int64
		want bool
	}{
		{"192.0.2.1", 9, true}, {"192.0.2.1", 10, false}, {"192.0.2.2", 5, false}, {"2001:db8:1:2::77", math.MaxInt64 - 1, true},
		{"2001:db8:1:3::77", 5, false}, {"198.51.100.8", 19, true}, {"198.51.100.8", 20, false}, {"198.51.100.9", 5, false},
		{"192.0.2.7", 5, false}, {"2001:db8:9::1", 5, true}, {"2001:db8:9::2", 5, false}, {"::ffff:192.0.2.1", 5, true}, {"::c000:201", 5, false},
	} {
		if got := s.asked(k.who, k.now); got != k.want {
			t.Errorf("%s at %d: %v", k.who, k.now, got)
		}
	}
	s.Apply(block.Changes{Now: 2, Unblock: []netip.Prefix{prefix("192.0.2.1/32"), prefix("198.51.100.0/24"), prefix("2001:db8:9::1/128")}, Change: []block.Entry{{Prefix: prefix("2001:db8:1:2::/64"), Until: 5}}})
	if s.asked("192.0.2.1", 5) || s.asked("198.51.100.8", 5) || s.asked("2001:db8:1:2::77", 6) || !s.asked("2001:db8:1:2::77", 4) {
		t.Error("what was taken out or changed is not")
	}
	s.Block(prefix("203.0.113.5/32"), 100, 50) // and what has ended is forgotten
	if !s.asked("203.0.113.5", 60) {
		t.Error("not blocked")
	}
	s.Unblock(prefix("203.0.113.5/32"))
	if s.asked("203.0.113.5", 60) {
		t.Error("still blocked")
	}
}

// Asking allocates nothing and needs no lock, while others are blocked.
func TestAskingIsFree(t *testing.T) {
	var s Set
	s.Block(prefix("192.0.2.1/32"), 100, 0)
	s.Block(prefix("198.51.100.0/24"), 100, 0)
	a, b := decode.AddrFrom(netip.MustParseAddr("192.0.2.1")), decode.AddrFrom(netip.MustParseAddr("2001:db8::1"))
	if n := testing.AllocsPerRun(1000, func() {
		if !s.Blocked(a, 5) || s.Blocked(b, 5) {
			t.Fatal("wrong")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	var wait sync.WaitGroup
	wait.Go(func() {
		for i := range 2000 {
			p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32)
			s.Block(p, 100, 0)
		}
	})
	for range 20000 {
		if !s.Blocked(a, 5) {
			t.Fatal("lost while others were blocked")
		}
	}
	wait.Wait()
	if s.hosts.Load() != 2001 || !s.asked("10.0.7.207", 5) {
		t.Errorf("%d hosts", s.hosts.Load())
	}
}
