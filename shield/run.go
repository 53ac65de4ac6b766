package shield

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/evidence/durable"
	"github.com/dejpha/dejpha/shield/clerk"
	"github.com/dejpha/dejpha/shield/ledger"
	"github.com/dejpha/dejpha/shield/records"
)

// Watcher is told what a running shield counts; the console is one. Called from one goroutine at a time.
type Watcher interface {
	Attack(r attack.Record)
	Packets(id uint64, packets []Packet)
	Ledger(l Ledger, open int, now int64)
}

// RunOptions of a running shield.
type RunOptions struct {
	State  string // folder of records, log and key
	Kind   evidence.Kind
	Source capture.Source                                 // one that makes its own time; or
	Live   []capture.Live                                 // live sources, one a worker
	Watch  func(origin, verifier string) (Watcher, error) // called when the log stands; nil: nobody watches
	Stop   <-chan struct{}
	Reopen <-chan struct{} // someone moved the record file away: go on in a new one; may be nil
	Say    func(string)    // what a person should know of the start, one line each; nil: nobody listens

	Disk      *durable.Disk          // that the log is written to; nil: the machine's own
	Socket    string                 // path of the control socket; "": none
	Version   string                 // that the socket tells
	Trial     time.Duration          // how long a shield in the way may go unconfirmed; 0: a minute
	Ready     func(r *Running) error // called when everything is open, before the first frame; nil: nobody asks
	Reload    <-chan struct{}        // read the rules again; may be nil
	Reloading func(on bool)          // a reload begins, or is over; nil: nobody asks
	Shutdown  func()                 // ends the run as Stop does, for the socket's command; nil: it is not offered
}

// Run takes frames through the shield until their source ends or Stop is closed. It takes up what the last run in
// the folder left open, and leaves what is open to the next one.
func (s *Setup) Run(o RunOptions) (*Summary, error) {
	began := time.Now()
	if err := durable.OS().MkdirShared(o.State); err != nil {
		return nil, fmt.Errorf("cannot make the state folder: %w", err)
	}
	file, err := records.Open(filepath.Join(o.State, s.settings.config.EveFile), false)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	defer s.heap.Watch()()
	set := s.settings
	set.workers = 1
	set.recording = o.Kind != evidence.Live
	if len(o.Live) > 0 {
		set.live, set.workers = true, len(o.Live)
		set.interfaces, _ = ledger.Names(o.Live)
	}
	set.inTheWay(o.Live)
	set.memory = set.config.Memory / int64(set.workers)
	blocks, err := s.blocks(&set, &o)
	if err != nil {
		return nil, err
	}
	defer blocks.Close()
	asker, err := s.witnessed(o.State, o.say)
	if err != nil {
		return nil, err
	}
	writing := s.writing(&o, file, began.UnixNano())
	writing.Witnesses = asker
	seal, err := clerk.Open(writing)
	if err != nil {
		return nil, err
	}
	sum := &Summary{}
	e, err := newEngine(&set, file, sum, seal)
	if err != nil {
		return nil, err
	}
	if set.live {
		s.rules.Rested = e.rested
	}
	now := max(began.UnixNano(), seal.Log().Now())            // the log's clock never goes back
	if x, ok := o.Source.(interface{ From(now int64) }); ok { // it makes its own time
		x.From(now)
	}
	e.merge.records, e.merge.reopen, e.merge.dir, e.merge.out, e.eager = file, o.Reopen, o.State, seal, true
	e.merge.say = o.say
	if err := e.begin(&o); err != nil {
		seal.Close(nil)
		return nil, err
	}
	defer e.trial.End()
	e.merge.heed(blocks)
	running := Running{e: e, s: s, o: &o, began: began}
	desk := e.desk(s, &o, &running)
	socket, err := e.attend(s, &o, desk)
	if err != nil {
		seal.Close(nil)
		return nil, err
	}
	if socket != nil {
		defer socket.Close()
	}
	defer e.merge.asks.End() // before the socket closes: nobody is left waiting
	if o.Reload != nil {
		go e.reloads(s, &o)
	}
	if o.Watch != nil {
		if e.merge.watcher, err = o.Watch(seal.Log().Origin(), seal.Log().Verifier()); err != nil {
			seal.Close(nil)
			return nil, err
		}
	}
	desk.Show(e.merge.watcher)
	if err := e.merge.resume(now, o.say); err != nil {
		return nil, err
	}
	seal.Begin()
	if o.Ready != nil {
		if err := o.Ready(&running); err != nil {
			seal.Close(nil)
			return nil, err
		}
	}
	asker.Start(set.config.Witnesses.Every)
	defer asker.End()
	pause := seal.Pass
	if set.live {
		err = e.watch(o.Live, now, o.Stop, pause)
	} else {
		err = e.play(o.Source, o.Stop, func(uint64) { pause() })
	}
	e.merge.ended = err == nil && o.Kind == evidence.Demo && !closed(o.Stop)
	if cerr := e.close(); err == nil {
		err = cerr
	}
	if werr := file.Close(); err == nil {
		err = werr
	}
	e.figures(sum)
	sum.Elapsed, sum.PeakBytes = time.Since(began), peakMemory()
	return sum, err
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (o *RunOptions) say(text string) {
	if o.Say != nil {
		o.Say(text)
	}
}
