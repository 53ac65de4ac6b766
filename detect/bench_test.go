package detect

import (
	"fmt"
	"testing"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/flow"
	"github.com/dejpha/dejpha/rule"
)

// BenchmarkInspect is a packet of 1,400 bytes that meets none of 1,000 rules.
func BenchmarkInspect(b *testing.B) {
	var rules []*rule.Rule
	for i := 0; i < 1000; i++ {
		rules = append(rules, newRule(uint32(i+1), "udp", text(fmt.Sprintf("rule-%d-%x", i, i*i*7919))))
	}
	set, _ := Compile(rules, Options{Protocols: []contract.Protocol{fakeProtocol}, FirstProtocol: 2})
	w := set.NewWorker(nil)
	payload := make([]byte, 1400)
	for i := range payload {
		payload[i] = "GET /index.html HTTP/1.1 rule-9"[i%31]
	}
	in := &Input{Packet: packet(decode.ProtoUDP, string(payload)), Flow: &flow.Flow{Packets: [2]uint64{5, 5}}}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if len(w.Inspect(in)) > 0 {
			b.Fatal("a match")
		}
		n++
	}
	rate(b, n, n*len(payload))
}

// rate reports what every room's benchmark says: packets/s, MB/s and ns a packet.
func rate(b *testing.B, packets, bytes int) {
	s := b.Elapsed().Seconds()
	b.ReportMetric(float64(packets)/s, "packets/s")
	b.ReportMetric(float64(bytes)/1e6/s, "MB/s")
	b.ReportMetric(s*1e9/float64(max(packets, 1)), "ns/packet")
}
