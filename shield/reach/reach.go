// Package reach remembers whose signs went on to their targets, so that what a detector concludes from many of them is
// called stopped only if all were.
//
// In: each sign that a detector hears, and whether its packet was stopped. Out: whether a finding rests on stopped ones alone.
// Called by shield's merge point, of a shield in the traffic's way. What it has forgotten counts as having gone on.
package reach

import (
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/behaviour"
	"github.com/dejpha/dejpha/decode"
)

// most is how many ends are remembered, of all detectors together; past it all are forgotten.
const most = 1 << 16

// Table is one shield's. A nil one stands for a shield that stops nothing.
type Table struct {
	last      map[end]fate
	forgotten int64 // until then nothing is known
	gaps      map[string]time.Duration
}

// end is one end of conversations, as one detector hears of them.
type end struct {
	detector string
	host     decode.Addr
	target   bool
}

// fate is when a sign last went on, and when one was last stopped, ns; 0: never.
type fate struct{ passed, stopped int64 }

// New is a table that knows nothing yet.
func New() *Table {
	t := &Table{last: map[end]fate{}, gaps: map[string]time.Duration{}}
	for _, c := range attack.Table() {
		t.gaps[c.Name] = c.Gap
	}
	return t
}

// Heard notes a sign that a detector is about to hear. That a flow ended is no packet, and reaches nobody.
func (t *Table) Heard(detector string, s *behaviour.Signal) {
	if t == nil || s.Kind == behaviour.Ended {
		return
	}
	if len(t.last)+2 > most {
		clear(t.last)
		t.forgotten = s.Time
	}
	for _, key := range [2]end{{detector, s.Client, false}, {detector, s.Server, true}} {
		f := t.last[key]
		if s.Stopped {
			f.stopped = s.Time
		} else {
			f.passed = s.Time
		}
		t.last[key] = f
	}
}

// Of says what became of the signs that a finding rests on, of which s was the last: stopped, some of them were, the last
// among them; passed, others were not. A finding that names no proven origin rests on everything that was sent to its target.
func (t *Table) Of(f *behaviour.Finding, s *behaviour.Signal) (stopped, passed bool) {
	if t == nil {
		return false, false
	}
	key := end{f.Detector, s.Client, false}
	if !f.Proven || !f.HasOrigin {
		key = end{f.Detector, s.Server, true}
	}
	since := s.Time - int64(t.gaps[f.Class])
	was := t.last[key]
	passed = was.passed != 0 && was.passed >= since || t.forgotten != 0 && t.forgotten >= since
	stopped = s.Stopped || s.Kind == behaviour.Ended && was.stopped != 0 && was.stopped >= since
	return stopped, stopped && passed
}
