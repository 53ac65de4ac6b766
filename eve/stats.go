package eve

import (
	"strings"

	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/jsonline"
)

// Stats are an engine's counters since its start.
type Stats struct {
	At                       int64
	Packets, Bytes           uint64
	Decode                   []uint64 // by decode event
	Flows                    uint64
	KernelDrops              uint64  // of live traffic
	Shares                   []Share // of live traffic: each worker's; nil: a recording
	Alerts, AlertsOverflowed uint64
	Gaps, Sessions           uint64 // of TCP
	Rules, Refused           int
}

// Share is what the kernel counted for one worker: Packets holds the drops.
type Share struct{ Packets, KernelDrops uint64 }

// Add adds a worker's part: all that it counts for itself.
func (s *Stats) Add(o *Stats) {
	s.Bytes += o.Bytes
	s.Flows += o.Flows
	s.Gaps += o.Gaps
	s.Sessions += o.Sessions
	s.AlertsOverflowed += o.AlertsOverflowed
	for i, n := range o.Decode {
		s.Decode[i] += n
	}
}

// AppendStats appends one stats line with its newline. Decode events are grouped by the layer before their dot.
func AppendStats(dst []byte, s *Stats) []byte {
	dst = append(dst, '{')
	dst = jsonline.KeyTime(dst, "timestamp", s.At)
	dst = append(dst, `,"event_type":"stats","stats":{`...)
	if s.Shares != nil {
		dst = append(dst, `"capture":{`...)
		dst = jsonline.KeyUint(dst, "kernel_packets", s.Packets+s.KernelDrops)
		dst = jsonline.KeyUint(dst, "kernel_drops", s.KernelDrops)
		dst = append(dst, `,"workers":[`...)
		for i, x := range s.Shares {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, '{')
			dst = jsonline.KeyUint(dst, "kernel_packets", x.Packets)
			dst = jsonline.KeyUint(dst, "kernel_drops", x.KernelDrops)
			dst = append(dst, '}')
		}
		dst = append(dst, "]},"...)
	}
	dst = append(dst, `"decoder":{`...)
	dst = jsonline.KeyUint(dst, "pkts", s.Packets)
	dst = jsonline.KeyUint(dst, "bytes", s.Bytes)
	dst = append(dst, `,"event":{`...)
	last := ""
	for i, name := range decode.EventNames {
		layer, word, ok := strings.Cut(name, ".")
		if !ok {
			layer, word = "", name
		}
		if layer != last {
			if last != "" {
				dst = append(dst, '}')
			}
			if layer != "" {
				dst = append(jsonline.AppendKey(dst, layer), '{')
			}
			last = layer
		}
		dst = jsonline.KeyUint(dst, word, s.Decode[i])
	}
	if last != "" {
		dst = append(dst, '}')
	}
	dst = append(dst, `}},"flow":{`...)
	dst = jsonline.KeyUint(dst, "total", s.Flows)
	dst = append(dst, `},"tcp":{`...)
	dst = jsonline.KeyUint(dst, "sessions", s.Sessions)
	dst = jsonline.KeyUint(dst, "reassembly_gap", s.Gaps)
	dst = append(dst, `},"detect":{"engines":[{"id":0`...)
	dst = jsonline.KeyUint(dst, "rules_loaded", uint64(s.Rules))
	dst = jsonline.KeyUint(dst, "rules_failed", uint64(s.Refused))
	dst = append(dst, `,"rules_skipped":0}]`...)
	dst = jsonline.KeyUint(dst, "alert", s.Alerts)
	dst = jsonline.KeyUint(dst, "alert_queue_overflow", s.AlertsOverflowed)
	return append(dst, "}}}\n"...)
}
