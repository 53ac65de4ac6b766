package ruleset

import (
	"testing"
	"time"
)

// The builder goes on while workers rest or have rested since, waits for one that is behind, and not for ever.
func TestPace(t *testing.T) {
	var times uint64
	var now bool
	asked := 0
	p := Pace{Rested: func(each func(int, uint64, bool)) {
		asked++
		each(0, 7, true)
		each(1, times, now)
	}}
	piece := func() time.Duration {
		p.calls, p.began = callsALook-1, time.Time{} // a piece is over
		asked = 0
		began := time.Now()
		p.Step()
		return time.Since(began)
	}
	now = true
	if piece(); asked != 2 { // a look and a note
		t.Errorf("resting workers were asked %d times", asked)
	}
	now, times = false, 1
	if piece(); asked != 2 {
		t.Errorf("workers that rested since were asked %d times", asked)
	}
	if d := piece(); asked < 3 || d < waitMost {
		t.Errorf("a worker that is behind was asked %d times in %v", asked, d)
	}
	(&Pace{}).Step()
	(*Pace)(nil).Step()
}
