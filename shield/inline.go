package shield

import (
	"fmt"
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/block"
	"github.com/dejpha/dejpha/block/barred"
	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/rule"
	"github.com/dejpha/dejpha/shield/trial"
	"github.com/dejpha/dejpha/shield/way"
)

// In the way. A worker's trip ends with a verdict, which its source gives to the kernel. What a rule rejects is told to its
// ends by frames of ours, which go out behind the verdict.

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
	if !w.set.stops {
		return ""
	}
	return w.notice.Prepare(p, a)
}

// gapEvery is the time between two questions for time without protection, ns: a stretch of it becomes few events.
const gapEvery = int64(1e9)

// gaps asks the source whether traffic went past it.
func (t *tap) gaps(now int64, last bool) {
	x, ok := t.source.(capture.Exposed)
	if !ok || !last && now < t.asked+gapEvery {
		return
	}
	t.asked = now
	if g, ok := x.Unprotected(); ok {
		o := t.worker.out
		o.gaps = append(o.gaps, g)
	}
}

// unprotected puts time without protection on record, durably before the source forgets it.
func (m *merger) unprotected(g *capture.Gap) {
	m.sum.Unprotected += time.Duration(max(g.To-g.From, 0))
	if m.clerk != nil {
		public, err := way.Public(g)
		m.fail(err)
		m.clerk.Gap(g, public, m.now)
	}
	if m.say != nil {
		m.say(way.Words(g))
	}
}

// bar has the workers of a shield in the way drop who is blocked from the next packet on; the kernel is told beside it.
func (m *merger) bar(d *attack.Decision) bool {
	if m.set.barred == nil || d.Action != attack.ActionBlock || !d.Prefix.IsValid() || d.Rate > 0 {
		return false
	}
	until := d.Until
	if until == 0 {
		until = block.Forever
	}
	m.set.barred.Block(d.Prefix, until, d.Time)
	return true
}

// inTheWay prepares settings for sources that stand in the traffic's way.
func (s *settings) inTheWay(sources []capture.Live) {
	for _, x := range sources {
		if _, ok := x.(capture.Inline); ok {
			s.stops, s.barred = true, &barred.Set{}
		}
	}
}

// begin starts the trial of a shield that was never confirmed.
func (e *engine) begin(o *RunOptions) (err error) {
	if !e.set.stops {
		return nil
	}
	length := trial.Length
	if o.Trial > 0 {
		length = o.Trial
	}
	if e.trial, err = trial.Begin(o.State, length); err != nil {
		return err
	}
	if e.trial.Needed() {
		o.say(fmt.Sprintf("the shield stands in the traffic's way for the first time: if the line works, say `dejpha confirm` within %v; else it steps aside", length))
	}
	return nil
}
