package nft

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/dejpha/dejpha/block"
)

// The bench of `make bench-block`, nftables' part: decisions through a keeper into sets, a third of them prefixes, a third IPv6.

func decision(i int, now int64) block.Entry {
	a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
	p := netip.PrefixFrom(a, 32)
	switch i % 3 {
	case 1:
		p, _ = netip.AddrFrom4([4]byte{11, byte(i >> 14), byte(i >> 6), byte(i << 2)}).Prefix(30)
	case 2:
		p, _ = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 4: byte(i >> 16), 5: byte(i >> 8), 6: byte(i)}).Prefix(64)
	}
	return block.Entry{Prefix: p, Until: now + hour, By: "bench"}
}

func TestBenchNFT(t *testing.T) {
	if os.Getenv("DEJPHA_BENCH_BLOCK") == "" {
		t.Skip("a measurement; make bench-block")
	}
	const rate, seconds, step = 10_000, 6, 20 * time.Millisecond
	w := newWire(t)
	e := w.open(t, false)
	k, err := block.Open(block.Options{Enforcer: e, File: t.TempDir() + "/blocks.json", Now: func() int64 { return time.Now().UnixNano() }, Say: func(s string) { t.Error(s) }})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	var lags []time.Duration
	start, n := time.Now(), 0
	for n < rate*seconds {
		due := int(time.Since(start) * rate / time.Second)
		for ; n < min(due, rate*seconds); n++ {
			if err := k.Block(decision(n, time.Now().UnixNano())); err != nil {
				t.Fatalf("after %d: %v", n, err)
			}
		}
		if n%(rate/5) < rate/50 {
			before := time.Now()
			k.Flush()
			lags = append(lags, time.Since(before))
		}
		time.Sleep(step)
	}
	k.Flush()
	d := time.Since(start)
	s, err := e.Load(0)
	if err != nil || len(s.Blocks) != n {
		t.Fatalf("%d in the sets, want %d (%v)", len(s.Blocks), n, err)
	}
	slices.Sort(lags)
	fmt.Printf("nftables: %d decisions in %v, %.0f/s (target: 10,000/s), a third prefixes, a third IPv6; none fell (%d did), all in the sets\n", n, d.Round(time.Millisecond), float64(n)/d.Seconds(), k.Stats().Fallen)
	fmt.Printf("  until the kernel and the disk had what was decided: median %v, longest %v\n", lags[len(lags)/2].Round(time.Microsecond), lags[len(lags)-1].Round(time.Microsecond))
	var more []block.Entry
	for i := range 50_000 {
		more = append(more, decision(1<<21+i, time.Now().UnixNano()))
	}
	start = time.Now()
	if err := e.Apply(block.Changes{Now: start.UnixNano(), Block: more}); err != nil {
		t.Fatal(err)
	}
	d = time.Since(start)
	fmt.Printf("  at once: %d in %v, %.0f/s\n", len(more), d.Round(time.Millisecond), float64(len(more))/d.Seconds())
}
