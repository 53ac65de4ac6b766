package decode

import "testing"

// BenchmarkDecode decodes a TCP segment of 1,400 bytes, its checksum judged or not.
func BenchmarkDecode(b *testing.B) {
	frame := tcpFrame(string(make([]byte, 1400)))
	for name, sums := range map[string]bool{"checksums": true, "plain": false} {
		b.Run(name, func(b *testing.B) {
			d := Decoder{Checksums: sums}
			var p Packet
			n := 0
			for b.Loop() {
				d.Decode(&p, LinkEthernet, frame)
				n++
			}
			rate(b, n, n*len(frame))
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
