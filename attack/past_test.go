package attack

import (
	"net/netip"
	"strconv"
	"testing"
)

// What a connection's end brings to light minutes later, of packets that passed while an attack was open, is that attack.
func TestLateFindingsMakeNoSecondAttack(t *testing.T) {
	o := Observation{Time: 1000e9, Class: "web-attack", Origin: netip.MustParseAddr("192.0.2.1"), Proven: true, Target: netip.MustParseAddr("10.0.0.1"), Severity: 1}
	for _, x := range []struct {
		what          string
		origin        string
		seen, found   int64
		want, ignored int
	}{
		{"of the attack", "192.0.2.1", 1010e9, 1610e9, 1, 1},
		{"within its gap", "192.0.2.1", 1300e9, 1900e9, 1, 1},
		{"long after it", "192.0.2.1", 1302e9, 1902e9, 2, 0},
		{"of another origin", "192.0.2.2", 1010e9, 1610e9, 2, 0},
		{"when it was seen", "192.0.2.1", 0, 1610e9, 2, 0},
		{"when nobody remembers", "192.0.2.1", 1010e9, 3000e9, 2, 0},
	} {
		a := New(Config{})
		count := 0
		closed := func(events []Event) {
			for _, e := range events {
				if e.Kind == Closed {
					count++
				}
			}
		}
		a.Add(o)
		other := o // closes later and lets go of what is too old
		other.Origin, other.Time = netip.MustParseAddr("192.0.2.9"), x.found-400e9
		closed(a.Advance(other.Time))
		a.Add(other)
		if x.seen != 1300e9 { // then the clock stands, and the attack is over all the same
			closed(a.Advance(x.found))
		}
		late := o
		late.Origin, late.Time, late.Seen = netip.MustParseAddr(x.origin), x.found, x.seen
		a.Add(late)
		closed(a.Finish())
		if count != x.want+1 || a.Counters.After != uint64(x.ignored) {
			t.Errorf("%s: %d attacks, %d ignored", x.what, count-1, a.Counters.After)
		}
	}
}

// However many close, what is remembered is bounded, and of each key it is the latest attack.
func TestThePastIsBounded(t *testing.T) {
	var p past
	name := func(i int) Key { return Key{Class: uint8(ClassIndex("web-attack")), Group: strconv.Itoa(i)} }
	gap, span := int64(table[name(0).Class].Gap), int64(pastMax)*3
	for i := range 3 * pastMax {
		p.closed(name(i), int64(i), int64(i), int64(i))
		if i%2 == 0 {
			p.closed(name(0), span+int64(i)+2*gap, span+int64(i)+2*gap, int64(i))
		}
	}
	if len(p.at) > pastMax || len(p.queue)-p.head > pastMax || cap(p.queue) > 4*pastMax {
		t.Errorf("%d remembered, %d in line, room for %d", len(p.at), len(p.queue)-p.head, cap(p.queue))
	}
	last := 3*pastMax - 1
	for _, x := range []struct {
		key  int
		seen int64
		want bool
	}{
		{last, int64(last), true}, {last, int64(last) + gap + 1, false}, {last - pastMax/4, int64(last), true}, {last + 1, int64(last), false},
		{1, 1, false}, {0, span + int64(last-1) + 2*gap, true}, {0, 0, false},
	} {
		if p.holds(name(x.key), x.seen) != x.want {
			t.Errorf("key %d, seen at %d: not %v", x.key, x.seen, x.want)
		}
	}
}
