package shield

import (
	"slices"
	"time"

	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/capture/afpacket"
)

// Live capture and the clock. The stamps are the kernel's, so nobody on the wire can forge one; what can be wrong is the
// machine's own clock. So the clock is settled from the start, and time passes without packets, which makes silence no
// jump. A jump by more than an hour, when somebody sets the machine's clock, must still be confirmed like any other,
// because the log's clock can never go back; the source's idle ticks confirm it within two seconds on a quiet wire.

// Listen opens interfaces for a run. say is told in one line each what happens to them. Its errors are
// afpacket's.
func Listen(interfaces []string, say func(string)) (capture.Live, error) {
	var names []string
	for _, name := range interfaces {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return afpacket.Open(afpacket.Options{Interfaces: names, Now: func() int64 { return time.Now().UnixNano() }, Say: say})
}

// countEvery is the time between two looks at the kernel's counters, ns.
const countEvery = int64(100e6)

// live is what an engine knows of a source that time does not wait for.
type live struct {
	source  capture.Live
	counted int64 // when, on the clock
	last    capture.Stats
}

// watch prepares the engine, before its first frame, for a live source; now is the wall clock, ns.
func (e *engine) watch(source capture.Live, now int64) {
	e.live = &live{source: source}
	e.clock.Begin(now)
	e.eager = false // the source says when nothing waits; until then stretches are filled
}

// quiet lets time pass up to t, ns, and applies what is in hand.
func (e *engine) quiet(t int64) {
	e.clock.Pass(t)
	if now := e.clock.Now(); now >= e.ticked+tickEvery {
		e.tick(now)
	}
	e.flush(0)
}

// count puts what the kernel lost since the last look into a ledger.
func (l *live) count(to *Ledger, now int64, last bool) {
	if !last && now < l.counted+countEvery {
		return
	}
	l.counted = now
	s := l.source.Stats()
	dropped, damaged := s.Dropped-l.last.Dropped, s.Damaged-l.last.Damaged
	l.last = s
	to.Received += dropped + damaged
	to.KernelDrops += dropped
	to.Shed += damaged
}
