package eve

import (
	"maps"
	"slices"

	"github.com/dejpha/dejpha/jsonline"
)

// Ledger is the fate of every packet so far: Received = the sum of the others.
type Ledger struct {
	Received, Inspected, Bypassed, KernelDrops, Shed, Undecodable uint64
}

// AppendHeartbeat appends one heartbeat line with its newline: the ledger, how many attacks are open, and why packets were
// bypassed, nil if none was.
func AppendHeartbeat(dst []byte, at int64, l Ledger, open int, bypassed map[string]uint64) []byte {
	dst = append(dst, '{')
	dst = jsonline.KeyTime(dst, "timestamp", at)
	dst = append(dst, `,"event_type":"heartbeat","heartbeat":{"ledger":{`...)
	dst = jsonline.KeyUint(dst, "received", l.Received)
	dst = jsonline.KeyUint(dst, "inspected", l.Inspected)
	dst = jsonline.KeyUint(dst, "bypassed", l.Bypassed)
	dst = jsonline.KeyUint(dst, "kernel_drops", l.KernelDrops)
	dst = jsonline.KeyUint(dst, "shed", l.Shed)
	dst = jsonline.KeyUint(dst, "undecodable", l.Undecodable)
	if len(bypassed) > 0 {
		dst = append(dst, `,"bypassed_by":{`...)
		for _, why := range slices.Sorted(maps.Keys(bypassed)) {
			dst = jsonline.KeyUint(dst, why, bypassed[why])
		}
		dst = append(dst, '}')
	}
	dst = append(dst, '}')
	dst = jsonline.KeyInt(dst, "open_attacks", int64(open))
	return append(dst, "}}\n"...)
}
