package stream

import (
	"testing"

	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/flow"
)

// BenchmarkStream takes segments of 1,400 bytes and their acknowledgements; swapped: each pair of segments comes in
// the wrong order.
func BenchmarkStream(b *testing.B) {
	for name, swapped := range map[string]bool{"in-order": false, "swapped": true} {
		b.Run(name, func(b *testing.B) {
			k := newTalk(b, Config{Depth: -1})
			s := k.e.Session(k.f.Stream)
			p := decode.Packet{Proto: decode.ProtoTCP, HasL4: true, Payload: make([]byte, 1400)}
			q := decode.Packet{Proto: decode.ProtoTCP, HasL4: true}
			p.TCP = decode.TCP{Ack: 9000, Flags: decode.ACK, Window: 65535, WScale: -1}
			q.TCP = decode.TCP{Seq: 9000, Flags: decode.ACK, Window: 65535, WScale: -1}
			seq, n := uint32(1000), 0
			for b.Loop() {
				steps := [2]uint32{seq, seq + 1400}
				if swapped {
					steps[0], steps[1] = steps[1], steps[0]
				}
				for _, p.TCP.Seq = range steps {
					k.e.Segment(k.f, &p, flow.ToServer)
				}
				seq += 2800
				q.TCP.Ack = seq
				k.e.Segment(k.f, &q, flow.ToClient)
				for _, c := range []Cursor{App, Raw} {
					data, _, _ := k.e.Next(s, flow.ToServer, c)
					k.e.Advance(s, flow.ToServer, c, len(data))
				}
				n += 3
			}
			if got := k.e.Counters.Gaps; got > 0 {
				b.Fatal(got, " gaps")
			}
			rate(b, n, n/3*2800)
		})
	}
}

// rate reports what every room's benchmark says: packets/s, MB/s and ns a packet.
func rate(b *testing.B, packets, bytes int) {
	s := b.Elapsed().Seconds()
	b.ReportMetric(float64(packets)/s, "packets/s")
	b.ReportMetric(float64(bytes)/1e6/s, "MB/s")
	b.ReportMetric(s*1e9/float64(max(packets, 1)), "ns/packet")
}
