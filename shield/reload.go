package shield

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync/atomic"

	"github.com/dejpha/dejpha/capture/file"
	"github.com/dejpha/dejpha/control"
	"github.com/dejpha/dejpha/detect"
	"github.com/dejpha/dejpha/samples"
	"github.com/dejpha/dejpha/shield/ruleset"
)

// The engine's part of a reload (shield/ruleset has the rest): a set is tried, and each worker goes over to it between
// two packets of its own.

// renewal is a rule set on its way to the workers.
type renewal struct {
	set   *detect.Set
	left  atomic.Int32 // workers that have not gone over yet
	taken chan struct{}
}

// renew goes over to a new rule set; the flows keep what rules remember of them.
func (w *worker) renew(n *renewal) {
	w.next.Store(nil)
	w.detect.Renew(n.set)
	w.sums = n.set.Checksums()
	w.apps.KeepFrames(n.set.Frames())
	if n.left.Add(-1) == 0 {
		close(n.taken)
	}
}

// repose tells whoever builds rules beside the workers that one has nothing left to do.
type repose struct {
	resting bool // of the worker alone
	now     atomic.Bool
	times   atomic.Uint64
}

func (r *repose) rest(on bool) {
	if on {
		r.times.Add(1)
	}
	if on != r.resting {
		r.resting = on
		r.now.Store(on)
	}
}

// rested tells of each worker how often it had nothing left to do, and whether that is so now.
func (e *engine) rested(each func(worker int, times uint64, now bool)) {
	for i, w := range e.workers {
		each(i, w.repose.times.Load(), w.repose.now.Load())
	}
}

// reloaded reloads and says in one line how it went.
func (e *engine) reloaded(s *Setup, o *RunOptions) error {
	if o.Reloading != nil {
		o.Reloading(true)
		defer o.Reloading(false)
	}
	r, err := s.rules.Reload(func(next *ruleset.Loaded) error {
		if err := e.renew(next); err != nil {
			return err
		}
		s.adopt(next)
		return nil
	})
	if err != nil {
		o.say("rules not reloaded, those in force stay: " + err.Error())
		return err
	}
	o.say(r.String())
	return nil
}

// reloads serves USR2 until the run ends.
func (e *engine) reloads(s *Setup, o *RunOptions) {
	for {
		select {
		case <-o.Reload:
			_ = e.reloaded(s, o) // it was said
		case <-e.merge.asks.Ended():
			return
		}
	}
}

// try plays the built-in captures through the set. The detectors' attacks on them must be found whatever the rules are,
// every packet must be accounted for, and none may break its trip.
func (s *Setup) try(next *ruleset.Loaded) (packets uint64, err error) {
	if s.floor == nil && s.settings.detectors {
		sum, err := s.played(nil)
		if err != nil {
			return 0, err
		}
		s.floor = sum.ByClass
	}
	sum, err := s.played(next)
	if err != nil {
		return 0, err
	}
	return sum.Ledger.Received, ruleset.Judge(sum, s.floor)
}

// tryMemory is what the tables of a try share, bytes.
const tryMemory = 32 << 20

// played plays the built-in captures with a rule set, nil for none, into nothing.
func (s *Setup) played(l *ruleset.Loaded) (*Summary, error) {
	set := s.settings
	set.workers, set.memory, set.recording, set.set = 1, tryMemory, true, nil
	if l != nil {
		set.set, set.thresholds = l.Set, l.Thresholds
	}
	sum := &Summary{}
	e, err := newEngine(&set, io.Discard, sum, nil)
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(samples.Files, "*.pcap")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	for _, name := range names {
		b, err := samples.Files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		src, err := file.New(name, bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		if err := e.play(src, nil, nil); err != nil {
			return nil, err
		}
	}
	err = e.close()
	e.figures(sum)
	return sum, err
}

// renew names the new rules in the log, then hands them to the workers, and returns when all have gone over.
func (e *engine) renew(next *ruleset.Loaded) error {
	m := e.merge
	if m.clerk != nil {
		if err := m.clerk.KeepRules(next.InForce); err != nil {
			return fmt.Errorf("cannot keep the new rules beside the log: %w", err)
		}
	}
	if asked := e.ask(func() { m.renew(next) }); asked != nil {
		return asked
	}
	n := &renewal{set: next.Set, taken: make(chan struct{})}
	n.left.Store(int32(len(e.workers)))
	for _, w := range e.workers {
		w.next.Store(n)
	}
	select {
	case <-n.taken:
		return nil
	case <-m.asks.Ended():
		return control.ErrEnded
	}
}

// renew is the merge point's part: from here on the log names the new rules.
func (m *merger) renew(next *ruleset.Loaded) {
	if m.clerk != nil {
		m.clerk.Rules(next.InForce, m.now)
	}
	m.set.set, m.set.refused, m.set.thresholds = next.Set, len(next.Refused), next.Thresholds
	clear(m.kinds)
}
