// Package way is where a shield stands in the traffic's way: at a bridge of two interfaces, or at netfilter's queue.
//
// In: what the configuration says; packets that rules stopped; stretches of time in which traffic went past. Out: opened sources;
// what the ends of a stopped packet are told; words and bytes for the log. Called by shield. It decides nothing.
package way

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/dejpha/dejpha/block/reject"
	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/capture/bridge"
	"github.com/dejpha/dejpha/capture/nfqueue"
	"github.com/dejpha/dejpha/config"
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/rule"
)

// Open opens the way that the configuration names: one source a worker. Of several queues each has a worker, and the firewall
// spreads packets over them by address pair. now is the wall clock, ns since 1970 UTC; say is told in one line each what
// happens to the way. Its errors are capture/bridge's and capture/nfqueue's.
func Open(way config.Inline, now func() int64, say func(string)) ([]capture.Live, error) {
	if !way.HasQueue {
		x, err := bridge.Open(bridge.Options{Left: way.Bridge[0], Right: way.Bridge[1], Now: now, Say: say, Block: way.Block, Patience: way.Patience})
		if err != nil {
			return nil, err
		}
		return []capture.Live{x}, nil
	}
	var all []capture.Live
	for q := way.Queues[0]; q <= way.Queues[1]; q++ {
		x, err := nfqueue.Open(nfqueue.Options{Queue: uint16(q), Now: now, Say: say, FailOpen: !way.Block[0]})
		if err != nil {
			for _, x := range all {
				_ = x.Close()
			}
			return nil, fmt.Errorf("queue %d: %w", q, err)
		}
		all = append(all, x)
	}
	return all, nil
}

// Notice is what the ends of one stopped packet are told. Owner: a worker.
type Notice struct {
	maker  reject.Maker
	frames [2][]byte // to the sender, to the receiver; valid until the next packet
	kind   string    // of them, eve's word
}

// ends are whom a rule's action tells.
var ends = [...]reject.Ends{rule.Reject: reject.Source, rule.RejectSrc: reject.Source, rule.RejectDst: reject.Destination, rule.RejectBoth: reject.Source | reject.Destination}

// Reset begins a packet.
func (n *Notice) Reset() { n.frames = [2][]byte{} }

// Prepare makes what is told of a packet that a rule with this action stopped, once for a packet; eve's word for it, or "".
func (n *Notice) Prepare(p *decode.Packet, a rule.Action) string {
	if a < rule.Reject {
		return ""
	}
	if n.frames[0] == nil && n.frames[1] == nil {
		n.frames[0], n.frames[1], n.kind = n.maker.Make(p, ends[a])
	}
	return n.kind
}

// Tell sends what was prepared; called behind the packet's verdict. The packet came in on iface. What cannot be sent is no loss
// to the shield: the packet was stopped. It returns how many frames went out.
func (n *Notice) Tell(source capture.Inline, iface uint16) (told uint64) {
	for i, b := range n.frames {
		if b != nil && source.Inject(iface^uint16(i), b) == nil {
			told++
		}
	}
	return told
}

// Public is a stretch without protection as the log keeps it.
func Public(g *capture.Gap) ([]byte, error) {
	return json.Marshal(struct {
		From    int64  `json:"from"` // ns since 1970 UTC
		To      int64  `json:"to"`
		Passed  uint64 `json:"passed"`
		Stopped uint64 `json:"stopped"`
	}{g.From, g.To, g.Passed, g.Stopped})
}

// Words is the same for a person.
func Words(g *capture.Gap) string {
	from, to := time.Unix(0, g.From).UTC(), time.Unix(0, g.To).UTC()
	return fmt.Sprintf("unprotected from %s to %s (%.1f s): %d frames passed uninspected, %d were stopped",
		from.Format(time.RFC3339), to.Format(time.RFC3339), to.Sub(from).Seconds(), g.Passed, g.Stopped)
}
