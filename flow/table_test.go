package flow

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/dejpha/dejpha/decode"
)

func udp(src, dst byte, sport, dport uint16, now int64) *decode.Packet {
	p := &decode.Packet{IPVersion: 4, Proto: decode.ProtoUDP, HasL4: true, Time: now, Number: uint64(now/1e9) + 1, SrcPort: sport, DstPort: dport}
	p.Src = decode.Addr{10: 0xff, 11: 0xff, 12: 10, 15: src}
	p.Dst = decode.Addr{10: 0xff, 11: 0xff, 12: 10, 15: dst}
	return p
}

const sec = int64(1e9)

func TestBothDirectionsAreOneFlow(t *testing.T) {
	tb := NewTable(Config{})
	f, dir, fresh := tb.Lookup(udp(1, 2, 5000, 53, sec))
	if f == nil || dir != ToServer || !fresh {
		t.Fatalf("first packet: %v %v %v", f, dir, fresh)
	}
	tb.Update(f, udp(1, 2, 5000, 53, sec), dir)
	g, dir, fresh := tb.Lookup(udp(2, 1, 53, 5000, 2*sec))
	if g != f || dir != ToClient || fresh {
		t.Errorf("the answer: same flow %v, direction %v, fresh %v", g == f, dir, fresh)
	}
	if PairHash(udp(1, 2, 1, 2, 0), 9) != PairHash(udp(2, 1, 7, 8, 0), 9) {
		t.Error("the pair hash depends on direction or ports")
	}
}

func TestSilenceEndsAFlowAtLookUpAndAtSweep(t *testing.T) {
	var ended []EndReason
	tb := NewTable(Config{OnEnd: func(f *Flow) { ended = append(ended, f.Reason) }})
	f, _, _ := tb.Lookup(udp(1, 2, 5000, 53, sec))
	id := f.ID
	g, _, fresh := tb.Lookup(udp(1, 2, 5000, 53, 40*sec))
	if !fresh || g.ID == id || len(ended) != 1 || ended[0] != Timeout {
		t.Errorf("after 39 s of silence: fresh %v, ended %v", fresh, ended)
	}
	tb.Sweep(60 * sec)
	if len(ended) != 1 {
		t.Errorf("the sweep ended a flow too early: %v", ended)
	}
	tb.Sweep(71 * sec)
	if len(ended) != 2 || tb.Counters.Live != 0 {
		t.Errorf("the sweep left it: %v, %d live", ended, tb.Counters.Live)
	}
}

func TestAFullTableEvictsTheLeastUseful(t *testing.T) {
	tb := NewTable(Config{MemoryBytes: 1})
	for i := range 5000 {
		p := udp(1, 2, uint16(i+1), 53, sec)
		f, _, _ := tb.Lookup(p)
		tb.Pin(f)
		if want := i < minFlows/pinnedPart; f.Pinned != want {
			t.Fatalf("flow %d: pinned %v", i, f.Pinned)
		}
	}
	if tb.Counters.Live > minFlows || tb.Counters.Evicted == 0 {
		t.Errorf("%d live, %d evicted", tb.Counters.Live, tb.Counters.Evicted)
	}
	if _, _, fresh := tb.Lookup(udp(1, 2, 1, 53, sec)); fresh {
		t.Error("a pinned flow was evicted")
	}
}

// A full table gives up closed flows first, then those of one direction, then the oldest; never one that had a packet since
// it was chosen.
func TestWhatIsEvictedIsOfLeastUse(t *testing.T) {
	var ended []State
	tb := NewTable(Config{MemoryBytes: 1, OnEnd: func(f *Flow) { ended = append(ended, f.State) }})
	states := []State{Established, Established, Established, Established, New, Bypassed, Closed, Established}
	for i := range minFlows {
		f, _, _ := tb.Lookup(udp(1, 2, uint16(i+1), 53, int64(i)*1e6+sec))
		f.State = states[i%len(states)]
	}
	tb.Lookup(udp(3, 2, 1, 53, 3*sec))
	if len(tb.doomed) != evictTake-1 || ended[0] != Closed {
		t.Fatalf("%d wait, ended as %v", len(tb.doomed), ended)
	}
	spared, pinned := tb.at(tb.doomed[len(tb.doomed)-1].index), tb.at(tb.doomed[len(tb.doomed)-2].index)
	tb.Update(spared, udp(1, 2, 1, 53, 4*sec), ToServer)
	tb.Pin(pinned)
	for i := range 15 {
		tb.Lookup(udp(3, 2, uint16(i+2), 53, 3*sec))
	}
	for i, s := range ended {
		if s != Closed {
			t.Errorf("eviction %d took a flow in state %d while there were closed ones", i, s)
		}
	}
	if !pinned.live || pinned.First >= 3*sec {
		t.Error("one that was pinned since was evicted")
	}
	if !spared.live || spared.Last != 4*sec || len(ended) != 16 {
		t.Errorf("one that had a packet since was evicted, or %d are not 16", len(ended))
	}
}

func TestKeysDifferInEveryField(t *testing.T) {
	k := key{a: decode.Addr{1, 9: 2}, b: decode.Addr{3, 9: 4}, portA: 5, portB: 6, vlan: 7, proto: 8, version: 9}
	if o := k; !k.is(&o) {
		t.Error("a key is not itself")
	}
	for at := range 2 * len(k.a) {
		o := k
		[2]*decode.Addr{&o.a, &o.b}[at/len(k.a)][at%len(k.a)] ^= 1
		if k.is(&o) {
			t.Errorf("byte %d of the addresses is not compared", at)
		}
	}
	for i, change := range []func(*key){func(o *key) { o.portA++ }, func(o *key) { o.portB++ }, func(o *key) { o.vlan++ }, func(o *key) { o.proto++ }, func(o *key) { o.version++ }} {
		o := k
		if change(&o); k.is(&o) {
			t.Errorf("field %d is not compared", i)
		}
	}
}

// The table's slots against a map of Go's, while flows come and go and the table grows.
func TestSlotsAgainstAMap(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	want := map[[2]uint16]uint64{}
	tb := NewTable(Config{OnEnd: func(f *Flow) { delete(want, [2]uint16{f.ClientPort, f.ServerPort}) }})
	for i := range 200_000 {
		ports := [2]uint16{uint16(r.IntN(3000) + 2000), uint16(r.IntN(4))}
		f, _, fresh := tb.Lookup(udp(1, 2, ports[0], ports[1], sec))
		if id, known := want[ports]; known == fresh || known && id != f.ID {
			t.Fatalf("step %d: flow %v: fresh %v", i, ports, fresh)
		}
		want[ports] = f.ID
		if r.IntN(3) == 0 {
			tb.end(f, Forced)
		}
	}
	if int(tb.Counters.Live) != len(want) || len(want) < minFlows {
		t.Errorf("%d live, %d wanted", tb.Counters.Live, len(want))
	}
}

func TestReliefEndsTheIdlestAndNoneThatIsBusy(t *testing.T) {
	var ended []uint16
	tb := NewTable(Config{OnEnd: func(f *Flow) { ended = append(ended, f.ClientPort) }})
	for i := range uint16(20) {
		f, d, _ := tb.Lookup(udp(1, 2, 100+i, 53, (1+int64(i))*sec))
		if i == 0 {
			tb.Pin(f)
		}
		tb.Update(f, udp(1, 2, 100+i, 53, (1+int64(i))*sec), d)
	}
	tb.Sweep(21 * sec)
	if n := tb.Relieve(21*sec, 15*sec, func() bool { return len(ended) < 3 }); n != 3 || len(ended) != 3 || ended[0] != 101 || ended[1] != 102 || ended[2] != 103 {
		t.Errorf("%d ended: %v, want the flows of ports 101 to 103", n, ended)
	}
	if n := tb.Relieve(21*sec, 15*sec, func() bool { return true }); n != 2 || tb.Counters.Relieved != 5 {
		t.Errorf("%d more ended, %d in all; want the two others that are idle for 15 s", n, tb.Counters.Relieved)
	}
}

func TestCloseGoesByFirstPacketsInStretches(t *testing.T) {
	var ended []uint64
	tb := NewTable(Config{OnEnd: func(f *Flow) { ended = append(ended, f.FirstNumber) }})
	for i := range uint16(10) {
		tb.Lookup(udp(1, 2, 900-i, 53, int64(i)*sec))
	}
	if tb.Close(4); len(ended) != 4 {
		t.Errorf("%d flows ended up to packet 4, want 4", len(ended))
	}
	tb.Close(1 << 62)
	tb.Close(1 << 62)
	if !slices.IsSorted(ended) || len(ended) != 10 || tb.Counters.Live != 0 {
		t.Errorf("ended in the order %v", ended)
	}
}

func TestKnownFlowAllocatesNothing(t *testing.T) {
	tb := NewTable(Config{})
	p := udp(1, 2, 5000, 53, sec)
	tb.Lookup(p)
	if n := testing.AllocsPerRun(1000, func() { f, d, _ := tb.Lookup(p); tb.Update(f, p, d) }); n != 0 {
		t.Errorf("%v allocations a packet, want 0", n)
	}
}
