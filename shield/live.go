package shield

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sync/atomic"

	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/eve"
	"github.com/dejpha/dejpha/shield/clock"
	"github.com/dejpha/dejpha/shield/ledger"
	"github.com/dejpha/dejpha/shield/trial"
)

// Live traffic. Every worker reads a source of its own, whose frames are all those of its pairs of addresses, and hands
// what it found in a stretch to the merge point, which applies stretches as they come; its clock is the least of the
// workers' clocks, so that none of them reports what already lies behind.
//
// A worker's clock is settled from the start: the stamps are the kernel's, nobody on the wire can forge one. What can be
// wrong is the machine's own clock. Time passes without packets, which makes silence no jump. A jump by more than an
// hour, when somebody sets the machine's clock, must still be confirmed like any other, because the log's clock can
// never go back; the sources' idle ticks confirm it within two seconds on a quiet wire.

const (
	countEvery  = int64(100e6) // ns between two looks at the kernel's counters
	stretchTime = int64(5e6)   // ns of traffic after which a stretch ends
	urgentTime  = int64(5e5)   // and after which it ends where a rule has matched
	ahead       = 32           // stretches that a worker may be ahead of the merge point, which syncs files
)

// tap is a worker at its source. Owner: its goroutine, until its last stretch is handed over.
type tap struct {
	*worker
	source  capture.Live
	place   int    // among the workers
	first   uint16 // of the source's interfaces among all
	stride  uint64
	clock   clock.Clock
	read    uint64 // frames so far
	taken   int    // frames of the stretch
	due     int64  // when the stretch ends, on the clock
	ticked  int64
	counted int64
	told    int64 // when its figures were last told
	tally   ledger.Tally
	idle    chan *epoch
	out     chan<- stretch
	halt    <-chan struct{}
	release *atomic.Bool // when halted: let everything pass
	asked   int64        // when the source was last asked for time without protection
}

// stretch is what a worker hands to the merge point.
type stretch struct {
	from *tap
	what *epoch
	last bool
	err  error // why the source ended, with the last one
}

// watch takes the frames of live sources, one a worker, through the shield until they end or stop is closed. now is
// the wall clock, ns; pause is called whenever nothing waits for the merge point.
func (e *engine) watch(sources []capture.Live, now int64, stop <-chan struct{}, pause func()) (err error) {
	halt, halted := make(chan struct{}), false
	stretches := make(chan stretch, len(sources))
	clocks := make([]int64, len(sources))
	taps := make([]*tap, len(sources))
	names, first := ledger.Names(sources)
	for i, s := range sources {
		t := &tap{worker: e.workers[i], source: s, place: i, stride: uint64(len(sources)), idle: make(chan *epoch, ahead), out: stretches, halt: halt, release: &e.release, first: uint16(first[i])}
		for range ahead {
			t.idle <- &epoch{ledger: ledger.Part{Faces: make([]ledger.Face, len(names))}}
		}
		t.tally.Open(s, first[i])
		t.clock.Begin(now)
		t.skip.Open(s, e.set.config.Bypass)
		t.worker.out = <-t.idle
		clocks[i], taps[i] = now, t
		go t.run()
	}
	e.merge.sum.Workers, e.told = make([]Ledger, len(sources)), make([]*eve.Stats, len(sources))
	due := now + e.set.config.StatsEvery
	for running := len(taps); running > 0; {
		select {
		case s := <-stretches:
			t := s.from
			clocks[t.place] = s.what.now
			e.merge.sum.Workers[t.place].Add(s.what.ledger.Ledger)
			if s.what.told != nil {
				e.told[t.place] = s.what.told
			}
			if s.last {
				clocks[t.place], running = math.MaxInt64, running-1
				err = errors.Join(err, s.err)
			}
			s.what.now = min(s.what.now, slices.Min(clocks))
			e.merge.apply([]*epoch{s.what})
			s.what.reset()
			if at := e.merge.now; at >= due {
				e.stats()
				due = at + e.set.config.StatsEvery
			}
			t.idle <- s.what
			if len(stretches) == 0 {
				pause()
			}
		case <-e.trial.Over():
			e.release.Store(true)
			err = errors.Join(err, trial.ErrUnconfirmed) // which halts
		case <-stop:
			stop = nil
			if !halted {
				halted = true
				close(halt)
			}
		}
		if !halted && (err != nil || e.merge.failed.Load()) { // close says why
			halted = true
			close(halt)
		}
	}
	for _, t := range taps {
		e.clock.Add(&t.clock)
	}
	return err
}

// run reads the source to its end and ends the flows then.
func (t *tap) run() {
	err := t.follow()
	t.number, t.now = t.next(), t.clock.Now()
	for upTo := uint64(closeStretch); upTo < t.number; upTo += closeStretch * t.stride {
		t.close(upTo)
		t.hand(stretch{})
	}
	t.close(t.number)
	t.hand(stretch{last: true, err: err})
}

// follow reads the source until it ends.
func (t *tap) follow() error {
	var f capture.Frame
	inline, _ := t.source.(capture.Inline)
	halt := t.halt
	for {
		err := t.source.Next(&f)
		switch {
		case err == nil:
			v := t.take(&f)
			if inline != nil {
				if err := inline.Verdict(v); err != nil {
					return fmt.Errorf("the kernel takes no verdicts any more: %w", err)
				}
				t.counts.Told += t.notice.Tell(inline, f.Interface)
			}
			if t.taken < stretchPackets && t.clock.Now() < t.due && !t.urgent() {
				continue
			}
		case errors.Is(err, capture.ErrIdle):
			t.repose.rest(true)
			t.clock.Pass(f.Time)
			t.pass(t.clock.Now())
		case errors.Is(err, io.EOF):
			return nil
		default:
			return err
		}
		t.hand(stretch{})
		select {
		case <-halt:
			if inline != nil && t.release.Load() {
				inline.Release()
			}
			t.source.Stop() // the rest is read, then the source ends
			halt = nil
		default:
		}
	}
}

// urgent says that a rule matched, which may lead to a decision: the merge point hears of it now, unless it just did.
func (t *tap) urgent() bool {
	return len(t.worker.out.matches) > 0 && t.clock.Now() >= t.due-stretchTime+urgentTime
}

// next is the number of the next frame: no other worker's has it.
func (t *tap) next() uint64 { return t.read*t.stride + uint64(t.place) + 1 }

// take stamps a frame and takes it along the main way.
func (t *tap) take(f *capture.Frame) capture.Verdict {
	t.repose.rest(false)
	now := t.clock.Stamp(f.Time)
	t.pass(now)
	number := t.next()
	t.read++
	t.taken++
	f.Interface += t.first
	return t.frame(f, number, now)
}

// pass ends flows whose time has come.
func (t *tap) pass(now int64) {
	if now >= t.ticked+tickEvery {
		t.ticked = now - now%tickEvery
		t.number = t.next()
		t.tick(t.ticked)
	}
}

// hand gives the stretch to the merge point and begins another; where the merge point is too far behind it waits, and
// the kernel counts what does not fit into the ring meanwhile.
func (t *tap) hand(s stretch) {
	now := t.clock.Now()
	t.count(now, s.last)
	o := t.worker.out
	if every := t.set.config.StatsEvery / 2; s.last || now >= t.told+every {
		o.told, t.told = t.figures(), now
		o.told.Decode = slices.Clone(o.told.Decode)
	}
	o.now, o.settled = now, true
	o.jumps, o.stamp = t.clock.Jumps, t.clock.Stamps()
	s.from, s.what = t, o
	t.out <- s
	if !s.last {
		t.worker.out = <-t.idle
	}
	t.taken, t.due = 0, now+stretchTime
}

// count puts what the kernel lost since the last look into the ledger.
func (t *tap) count(now int64, last bool) {
	t.gaps(now, last)
	if !last && now < t.counted+countEvery {
		return
	}
	t.counted = now
	t.tally.Look(&t.worker.out.ledger)
	t.counts.Unsent = t.tally.Unsent
}
