package shield

import (
	"github.com/dejpha/dejpha/block/reject"
	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/rule"
)

// In the way. A worker's trip ends with a verdict, which its source gives to the kernel. What a rule rejects is told to its
// ends by frames of ours, which go out behind the verdict.

// notice is what is to be told of the frame in hand.
type notice struct {
	maker  reject.Maker
	frames [2][]byte // to the sender, to the receiver; valid until the next frame
	kind   string    // of them, eve's word
}

// ends are whom a rule's action tells.
var ends = [...]reject.Ends{rule.Reject: reject.Source, rule.RejectSrc: reject.Source, rule.RejectDst: reject.Destination, rule.RejectBoth: reject.Source | reject.Destination}

// barred says whether a packet's source is blocked.
func (w *worker) barred(p *decode.Packet) bool {
	b := w.set.barred
	if b == nil || p.IPVersion == 0 || !b.Blocked(p.Src, p.Time) {
		return false
	}
	w.counts.Barred++
	return true
}

// stop ends the way of the packet in hand, and prepares what its ends are told; kind is eve's word for that.
func (w *worker) stop(p *decode.Packet, a rule.Action) (kind string) {
	w.verdict = capture.Drop
	t := &w.notice
	if !w.set.stops || a < rule.Reject {
		return ""
	}
	if t.frames[0] == nil && t.frames[1] == nil {
		t.frames[0], t.frames[1], t.kind = t.maker.Make(p, ends[a])
	}
	return t.kind
}

// tell sends what the ends of the frame in hand are told; called behind its verdict. What cannot be sent is no loss to the
// shield: the packet was stopped.
func (w *worker) tell(source capture.Inline, iface uint16) {
	for i, b := range w.notice.frames {
		if b != nil && source.Inject(iface^uint16(i), b) == nil {
			w.counts.Told++
		}
	}
}
