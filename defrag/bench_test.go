package defrag

import (
	"testing"

	"github.com/dejpha/dejpha/decode"
)

// BenchmarkDefrag puts datagrams of two fragments of 1,400 bytes together.
func BenchmarkDefrag(b *testing.B) {
	t := New(Config{})
	frames := [2][]byte{fragmentFrame(0, true, 1400), fragmentFrame(1400, false, 1400)}
	var d decode.Decoder
	var p decode.Packet
	n := 0
	for b.Loop() {
		done := false
		for _, f := range frames {
			f[14+4], f[14+5] = byte(n>>9), byte(n>>1)
			d.Decode(&p, decode.LinkEthernet, f)
			p.Time = int64(n) * 1e4
			_, done = t.Insert(&p)
			n++
		}
		if !done {
			b.Fatal("the datagram is not whole")
		}
	}
	rate(b, n, n*len(frames[0]))
}

// fragmentFrame is an Ethernet frame with an IPv4 fragment that begins at offset.
func fragmentFrame(offset int, more bool, size int) []byte {
	b := make([]byte, 14+20+size)
	b[12] = 8
	l3 := b[14:]
	l3[0], l3[2], l3[3], l3[8], l3[9] = 0x45, byte((20+size)>>8), byte(20+size), 64, 17
	l3[6], l3[7] = byte(offset/8>>8), byte(offset/8)
	if more {
		l3[6] |= 0x20
	}
	copy(l3[12:], []byte{10, 0, 0, 1, 10, 0, 0, 2})
	return b
}

// rate reports what every room's benchmark says: packets/s, MB/s and ns a packet.
func rate(b *testing.B, packets, bytes int) {
	s := b.Elapsed().Seconds()
	b.ReportMetric(float64(packets)/s, "packets/s")
	b.ReportMetric(float64(bytes)/1e6/s, "MB/s")
	b.ReportMetric(s*1e9/float64(max(packets, 1)), "ns/packet")
}
