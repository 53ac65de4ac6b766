package flow

import (
	"fmt"
	"math/rand"
	"testing"

	"github.com/dejpha/dejpha/decode"
)

// BenchmarkLookup finds and updates known flows in random order.
func BenchmarkLookup(b *testing.B) {
	for _, flows := range []int{1000, 100_000} {
		b.Run(fmt.Sprintf("flows=%d", flows), func(b *testing.B) {
			tb := NewTable(Config{MemoryBytes: 256 << 20})
			packets := make([]decode.Packet, flows)
			for i := range packets {
				packets[i] = *udp(byte(i), byte(i>>8), uint16(1024+i%60000), 53, sec)
				packets[i].WireLen = 700
				f, d, _ := tb.Lookup(&packets[i])
				tb.Update(f, &packets[i], d)
			}
			order := rand.New(rand.NewSource(1)).Perm(flows)
			n := 0
			for b.Loop() {
				p := &packets[order[n%flows]]
				f, d, _ := tb.Lookup(p)
				tb.Update(f, p, d)
				n++
			}
			rate(b, n, n*700)
		})
	}
}

// BenchmarkFull makes flows in a table that is full: each takes another's place.
func BenchmarkFull(b *testing.B) {
	const flows = 300_000
	tb := NewTable(Config{MemoryBytes: flows * recordBytes})
	n := 0
	next := func() {
		n++
		p := udp(byte(n), byte(n>>8), uint16(1024+n>>16), 53, int64(n)*1e3)
		p.WireLen = 700
		f, d, _ := tb.Lookup(p)
		tb.Update(f, p, d)
	}
	for range 2 * flows {
		next()
	}
	n0 := n
	for b.Loop() {
		next()
	}
	rate(b, n-n0, (n-n0)*700)
}

// rate reports what every room's benchmark says: packets/s, MB/s and ns a packet.
func rate(b *testing.B, packets, bytes int) {
	s := b.Elapsed().Seconds()
	b.ReportMetric(float64(packets)/s, "packets/s")
	b.ReportMetric(float64(bytes)/1e6/s, "MB/s")
	b.ReportMetric(s*1e9/float64(max(packets, 1)), "ns/packet")
}
