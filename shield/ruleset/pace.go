package ruleset

import "time"

// A set is built beside the workers, on the same processors: it takes what they leave. After each piece of work the
// builder waits until every worker has seen the end of its queue since, but not for long: a worker that never does is
// not helped by rules that never come.
const (
	pieceTime = 2 * time.Millisecond
	lookTime  = 500 * time.Microsecond
	waitMost  = 8 * time.Millisecond
)

// Pace is how the builder keeps out of the workers' way. Owner: the builder's goroutine.
type Pace struct {
	// Rested says, of each worker, how often it had nothing left to do, and whether that is so now; nil: nobody is in the way.
	Rested func(each func(worker int, times uint64, now bool))

	began time.Time // the piece in hand
	seen  []uint64  // by worker, at the end of the piece before
	calls int
}

// Step is called between small pieces of work, again and again.
func (p *Pace) Step() {
	if p == nil || p.Rested == nil {
		return
	}
	if p.calls++; p.calls%callsALook != 0 {
		return
	}
	if now := time.Now(); now.Sub(p.began) >= pieceTime {
		for end := now.Add(waitMost); !p.calm() && time.Now().Before(end); {
			time.Sleep(lookTime)
		}
		p.note()
		p.began = time.Now()
	}
}

// callsALook: the clock is read at one step in so many.
const callsALook = 8

// calm says whether every worker rests or has rested since the piece before.
func (p *Pace) calm() bool {
	calm := true
	p.Rested(func(worker int, times uint64, now bool) {
		calm = calm && (now || worker < len(p.seen) && p.seen[worker] != times)
	})
	return calm
}

func (p *Pace) note() {
	p.seen = p.seen[:0]
	p.Rested(func(_ int, times uint64, _ bool) { p.seen = append(p.seen, times) })
}
