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

// sustained offers decisions at a pace for a while, from number first on.
func sustained(t *testing.T, e *Enforcer, file string, first int) {
	t.Helper()
	const rate, seconds, step = 10_000, 6, 20 * time.Millisecond
	k, err := block.Open(block.Options{Enforcer: kept{e}, File: file, Now: func() int64 { return time.Now().UnixNano() }, Say: func(s string) { t.Error(s) }})
	if err != nil {
		t.Fatal(err)
	}
	had := len(k.List())
	var lags []time.Duration
	start, stop, n := time.Now(), make(chan bool), 0
	watched := make(chan bool)
	go func() { // how far the kernel, and the disk, are behind
		defer close(watched)
		for {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
			}
			before := time.Now()
			k.Flush()
			lags = append(lags, time.Since(before))
		}
	}()
	for n < rate*seconds {
		for due := int(time.Since(start) * rate / time.Second); n < min(due, rate*seconds); n++ {
			if err := k.Block(decision(first+n, time.Now().UnixNano())); err != nil {
				t.Fatalf("after %d: %v", n, err)
			}
		}
		time.Sleep(step)
	}
	k.Flush()
	d := time.Since(start)
	close(stop)
	<-watched
	s, err := e.Load(time.Now().UnixNano())
	if err != nil || len(s.Blocks) != had+n {
		t.Fatalf("%d in the sets, want %d (%v)", len(s.Blocks), had+n, err)
	}
	slices.Sort(lags)
	what := "in the kernel"
	if file != "" {
		what = "in the kernel and on the disk"
	}
	fmt.Printf("nftables: %d decisions offered at %d/s, a third prefixes, a third IPv6: all in the sets, %d fell; %s after %v, %.0f/s\n",
		n, rate, k.Stats().Fallen, what, d.Round(time.Millisecond), float64(n)/d.Seconds())
	fmt.Printf("  %s behind by: median %v, longest %v\n", what, lags[len(lags)/2].Round(time.Microsecond), lags[len(lags)-1].Round(time.Microsecond))
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
}

// kept is an enforcer that outlives its keeper.
type kept struct{ *Enforcer }

func (kept) Close() error { return nil }

func TestBenchNFT(t *testing.T) {
	if os.Getenv("DEJPHA_BENCH_BLOCK") == "" {
		t.Skip("a measurement; make bench-block")
	}
	w := newWire(t)
	e := w.open(t, false)
	defer e.Close()
	sustained(t, e, "", 0)
	sustained(t, e, t.TempDir()+"/blocks.json", 1<<19)
	var more []block.Entry
	for i := range 50_000 {
		more = append(more, decision(1<<21+i, time.Now().UnixNano()))
	}
	start := time.Now()
	if err := e.Apply(block.Changes{Now: start.UnixNano(), Block: more}); err != nil {
		t.Fatal(err)
	}
	d := time.Since(start)
	fmt.Printf("  at once: %d in %v, %.0f/s\n", len(more), d.Round(time.Millisecond), float64(len(more))/d.Seconds())
}
