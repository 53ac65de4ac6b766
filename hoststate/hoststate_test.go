package hoststate

import "testing"

func TestThresholds(t *testing.T) {
	const s = Second
	for _, c := range []struct {
		name string
		th   Threshold
		at   []int64
		want string // a alert, . nothing, s silent, n new action
	}{
		{"limit", Threshold{Kind: Limit, Count: 2, Seconds: 10}, []int64{0, 1, 2, 10, 11, 12}, "aassaa"},
		{"threshold", Threshold{Kind: EachCount, Count: 3, Seconds: 10}, []int64{0, 1, 2, 3, 4, 5, 30, 31}, "..a..a.."},
		{"both", Threshold{Kind: Both, Count: 2, Seconds: 10}, []int64{0, 1, 2, 11, 12}, ".as.a"},
		{"detection_filter", Threshold{Kind: DetectionFilter, Count: 2, Seconds: 10}, []int64{0, 1, 2, 3, 20}, "..aa."},
		{"backoff", Threshold{Kind: Backoff, Count: 1, Multiplier: 3}, []int64{0, 1, 2, 3, 4, 5, 6, 7, 8}, "asasssssa"},
		{"rate", Threshold{Kind: RateFilter, Count: 1, Seconds: 10, Timeout: 5}, []int64{0, 1, 2, 7, 8}, "annan"},
	} {
		table := NewThresholds(10)
		got := ""
		for _, at := range c.at {
			got += string(".asn"[table.Check(Key{SID: 1}, c.th, at*s)])
		}
		if got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestTracksAreApart(t *testing.T) {
	table := NewThresholds(100)
	th := Threshold{Kind: Limit, Track: BySrc, Count: 1, Seconds: 60}
	a, b := Key{SID: 1, Src: [16]byte{1}, Dst: [16]byte{9}}, Key{SID: 1, Src: [16]byte{2}, Dst: [16]byte{9}}
	if table.Check(a, th, 0) != Alert || table.Check(b, th, 0) != Alert || table.Check(a, th, 0) != Silent {
		t.Error("sources share a counter")
	}
	th.Track = ByDst
	if table.Check(a, th, 0) != Alert || table.Check(b, th, 0) != Silent {
		t.Error("one destination has two counters")
	}
}

func TestBounded(t *testing.T) {
	table := NewThresholds(3)
	th := Threshold{Kind: Limit, Track: BySrc, Count: 1, Seconds: 60}
	for i := byte(0); i < 10; i++ {
		table.Check(Key{Src: [16]byte{i}}, th, 0)
	}
	if table.Len() != 3 || table.Evicted() != 7 {
		t.Errorf("%d live, %d evicted", table.Len(), table.Evicted())
	}
	if table.Check(Key{Src: [16]byte{9}}, th, 0) != Silent || table.Check(Key{Src: [16]byte{0}}, th, 0) != Alert {
		t.Error("not the oldest was evicted")
	}
}

func TestBits(t *testing.T) {
	b := NewBits(10)
	x, y := [16]byte{1}, [16]byte{2}
	b.Set(PairKey(x, y, 5), 0, 10)
	if !b.IsSet(PairKey(y, x, 5), 10*Second) || b.IsSet(PairKey(y, x, 6), 0) || b.IsSet(BitKey{A: x, Name: 5}, 0) {
		t.Error("pair bit")
	}
	if b.IsSet(PairKey(x, y, 5), 11*Second) {
		t.Error("bit did not expire")
	}
	b.Toggle(BitKey{A: x, Name: 1}, 0, 5)
	if !b.IsSet(BitKey{A: x, Name: 1}, 0) {
		t.Error("toggle did not set")
	}
	b.Toggle(BitKey{A: x, Name: 1}, 0, 5)
	if b.IsSet(BitKey{A: x, Name: 1}, 0) {
		t.Error("toggle did not clear")
	}
}

func TestFlowBitsAndInts(t *testing.T) {
	var f FlowBits
	f.Set(3)
	f.Set(9)
	f.Set(3)
	f.Unset(3)
	if f.Has(3) || !f.Has(9) || len(f.Names()) != 1 {
		t.Error(f.Names())
	}
	for i := uint16(0); i < 300; i++ {
		f.Set(i)
	}
	if len(f.Names()) != flowBitsMax {
		t.Error("flow bits are not bounded")
	}
	var n FlowInts
	if _, ok := n.Get(1); ok {
		t.Error("a number out of nothing")
	}
	n.Set(1, 7)
	n.Set(1, 8)
	if v, ok := n.Get(1); !ok || v != 8 {
		t.Error(v, ok)
	}
}
