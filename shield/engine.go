// Package shield wires the rooms into an engine: it stamps packets with the capture's clock, steers each
// pair of addresses to one worker, and applies what the workers found at one merge point.
//
// In: a checked setup and a source of frames. Out: eve.json, a sealed log, a summary. Called by cmd.
// It is the only room that reads the wall clock, and it never looks into a packet itself.
package shield

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/eve"
	"github.com/dejpha/dejpha/flow"
	"github.com/dejpha/dejpha/shield/clerk"
	"github.com/dejpha/dejpha/shield/clock"
	"github.com/dejpha/dejpha/shield/trial"
)

const (
	stretchPackets = 1024       // packets between two visits of the merge point
	stretchBytes   = 1 << 20    // and bytes, whichever comes first
	closeStretch   = 16384      // at the end: flows are closed by so many numbers of first packets at a time
	tickEvery      = int64(1e9) // ns of capture time between two looks for idle flows
	inFlight       = 4          // stretches a worker may be ahead of the merge point
)

// engine runs workers and merge point over one source at a time.
type engine struct {
	set     *settings
	clock   clock.Clock
	number  uint64 // frames read so far
	ticked  int64
	workers []*worker
	merge   *merger
	steer   decode.Decoder
	steered decode.Packet

	batches []*batch // one a worker, being filled; only with several workers
	filled  int
	bytes   int // of the stretch in hand: stretches end at the same frames for any number of workers
	in      []chan *batch
	results []chan *epoch
	idle    []chan *epoch
	spare   []chan *batch
	done    sync.WaitGroup
	own     *epoch // with one worker
	ownSize int
	told    []*eve.Stats // what live workers told last
	eager   bool         // visit the merge point after every frame: a person watches
	trial   *trial.Trial // nil: the shield does not stand in the way
	release atomic.Bool  // it steps aside
}

// batch is what one worker gets of a stretch.
type batch struct {
	number  uint64 // of its last frame
	frames  []batchFrame
	bytes   []byte
	now     int64
	settled bool
	jumps   uint64
	stamp   int64
	closes  uint64 // at the end of the source: flows up to this number of a first packet are closed
}

type batchFrame struct {
	start, end int
	wire       uint32
	link       uint16
	iface      uint16
	number     uint64
	now        int64
	tick       bool // not a frame: look for idle flows
	unsummed   bool
}

func newEngine(set *settings, out io.Writer, sum *Summary, seal *clerk.Clerk) (*engine, error) {
	m := newMerger(set, out, sum, seal)
	e := &engine{set: set, merge: m}
	for i := range set.workers {
		e.workers = append(e.workers, newWorker(set, i))
	}
	switch {
	case set.live: // each worker reads for itself
		return e, nil
	case len(e.workers) == 1:
		e.own = &epoch{}
		e.workers[0].out = e.own
		return e, nil
	}
	e.start()
	return e, nil
}

// start lets each worker and the merge point run on their own.
func (e *engine) start() {
	for _, w := range e.workers {
		in, out := make(chan *batch, inFlight), make(chan *epoch, inFlight)
		idle, spare := make(chan *epoch, inFlight+2), make(chan *batch, inFlight+2)
		for range inFlight + 2 {
			idle <- &epoch{}
			spare <- &batch{}
		}
		e.in, e.results, e.idle, e.spare = append(e.in, in), append(e.results, out), append(e.idle, idle), append(e.spare, spare)
		e.batches = append(e.batches, <-spare)
		e.done.Add(1)
		go func() {
			defer e.done.Done()
			for b := range in {
				w.out = <-idle
				w.run(b)
				spare <- b
				out <- w.out
			}
			close(out)
		}()
	}
	e.done.Add(1)
	go e.mergeLoop()
}

// mergeLoop applies each stretch once all workers are through with it.
func (e *engine) mergeLoop() {
	defer e.done.Done()
	stretch := make([]*epoch, len(e.results))
	for {
		for i, r := range e.results {
			ep, ok := <-r
			if !ok {
				return
			}
			stretch[i] = ep
		}
		e.merge.apply(stretch)
		for i, ep := range stretch {
			ep.reset()
			e.idle[i] <- ep
		}
	}
}

// run takes a worker through its part of a stretch.
func (w *worker) run(b *batch) {
	for i := range b.frames {
		f := &b.frames[i]
		if f.tick {
			w.number = f.number
			w.tick(f.now)
			continue
		}
		w.handed = capture.Frame{Data: b.bytes[f.start:f.end], WireLen: f.wire, LinkType: f.link, Interface: f.iface, Unsummed: f.unsummed}
		w.frame(&w.handed, f.number, f.now)
	}
	if b.closes > 0 {
		w.number, w.now = b.number, b.now
		w.close(b.closes)
	}
	w.out.now, w.out.settled, w.out.jumps, w.out.stamp = b.now, b.settled, b.jumps, b.stamp
}

// play reads a source to its end. stop, when closed, ends it early and cleanly.
func (e *engine) play(src capture.Source, stop <-chan struct{}, progress func(uint64)) error {
	var f capture.Frame
	for {
		err := src.Next(&f)
		switch {
		case err == nil:
			e.frame(&f)
		case errors.Is(err, io.EOF):
			return nil
		default:
			return err
		}
		if e.number%4096 == 0 || e.eager {
			if progress != nil {
				progress(e.number)
			}
			select {
			case <-stop:
				return nil
			default:
			}
			if e.merge.failed.Load() {
				return nil // close says why
			}
		}
	}
}

// frame stamps one frame and hands it to its worker.
func (e *engine) frame(f *capture.Frame) {
	e.number++
	now := e.clock.Stamp(f.Time)
	if e.clock.Settled() && now >= e.ticked+tickEvery {
		e.tick(now)
	}
	if e.own != nil {
		e.workers[0].frame(f, e.number, now)
		e.ownSize++
		e.bytes += len(f.Data)
		if e.ownSize >= stretchPackets || e.bytes >= stretchBytes || e.eager {
			e.flush(0)
		}
		return
	}
	e.steer.Decode(&e.steered, f.LinkType, f.Data)
	i := int(flow.PairHash(&e.steered, e.set.seed) % uint64(len(e.workers)))
	b := e.batches[i]
	start := len(b.bytes)
	b.bytes = append(b.bytes, f.Data...)
	b.frames = append(b.frames, batchFrame{start: start, end: len(b.bytes), wire: f.WireLen, link: f.LinkType, iface: f.Interface, number: e.number, now: now, unsummed: f.Unsummed})
	e.filled++
	e.bytes += len(f.Data)
	if e.filled >= stretchPackets || e.bytes >= stretchBytes {
		e.flush(0)
	}
}

// tick tells every worker at the same packet to end idle flows.
func (e *engine) tick(now int64) {
	e.ticked = now - now%tickEvery
	if e.own != nil {
		w := e.workers[0]
		w.number = e.number
		w.tick(e.ticked)
		return
	}
	for _, b := range e.batches {
		b.frames = append(b.frames, batchFrame{tick: true, number: e.number, now: e.ticked})
	}
}

// flush hands the stretch in hand over. closes: 0, or at the end of the source the number up to which flows are closed.
func (e *engine) flush(closes uint64) {
	e.bytes = 0
	if e.own != nil {
		w := e.workers[0]
		if closes > 0 {
			w.number, w.now = e.number, e.clock.Now()
			w.close(closes)
		}
		e.own.now, e.own.settled = e.clock.Now(), e.clock.Settled() || closes > 0
		e.own.jumps, e.own.stamp = e.clock.Jumps, e.clock.Stamps()
		e.merge.apply([]*epoch{e.own})
		e.own.reset()
		e.ownSize = 0
		return
	}
	for i, b := range e.batches {
		b.jumps, b.stamp = e.clock.Jumps, e.clock.Stamps()
		b.number, b.now, b.settled, b.closes = e.number, e.clock.Now(), e.clock.Settled() || closes > 0, closes
		e.in[i] <- b
		n := <-e.spare[i]
		n.frames, n.bytes = n.frames[:0], n.bytes[:0]
		e.batches[i] = n
	}
	e.filled = 0
}

// figures are the worker's part of a record of statistics.
func (w *worker) figures() *eve.Stats {
	f := &eve.Stats{Bytes: w.counts.Bytes, Flows: w.counts.Flows, Gaps: w.streams.Counters.Gaps, Sessions: w.streams.Counters.Sessions, Decode: w.counts.Decode[:]}
	if w.detect != nil {
		f.AlertsOverflowed = w.detect.Stats.Overflow
	}
	return f
}

// stats writes the engine's counters. Live workers go on meanwhile and have told theirs.
func (e *engine) stats() {
	if !e.set.writes("stats") {
		return
	}
	sum := e.merge.sum
	s := eve.Stats{At: max(e.clock.Now(), e.merge.now, 0), Packets: e.number, Alerts: sum.Alerts, Decode: make([]uint64, len(decode.EventNames)), KernelDrops: sum.Ledger.KernelDrops}
	for _, l := range sum.Workers {
		s.Shares = append(s.Shares, eve.Share{Packets: l.Received, KernelDrops: l.KernelDrops})
		s.Packets += l.Received - l.KernelDrops - l.Shed
	}
	if e.set.set != nil {
		s.Rules, s.Refused = e.set.set.Len(), e.set.refused
	}
	for i, w := range e.workers {
		if !e.set.live {
			s.Add(w.figures())
		} else if e.told[i] != nil {
			s.Add(e.told[i])
		}
	}
	e.merge.write(eve.AppendStats(nil, &s))
}

// closed is the number that closes all flows.
func (e *engine) closed() uint64 { return e.number + 1 }

// close ends all flows and accounts; the engine is finished afterwards. Workers that read for themselves have ended
// their flows by then.
func (e *engine) close() error {
	if !e.set.live {
		e.closeFlows()
	}
	e.merge.finish()
	e.stats()
	return e.merge.err
}

// closeFlows ends all flows. They are ended in stretches, the same for
// any number of workers: the records of all flows at once would be most of a run's memory.
func (e *engine) closeFlows() {
	for upTo := uint64(closeStretch); upTo < e.closed(); upTo += closeStretch {
		e.flush(upTo)
	}
	e.flush(e.closed())
	if e.own == nil {
		for _, in := range e.in {
			close(in)
		}
		e.done.Wait()
	}
}
