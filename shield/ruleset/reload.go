package ruleset

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dejpha/dejpha/config"
	"github.com/dejpha/dejpha/shield/summary"
)

// reloadPercent is how much of the heap may be garbage while a set is built: memory is short then, and every collection
// takes from the workers.
const reloadPercent = 20

// Errors of a reload; the rules in force stay.
var (
	ErrReloading = errors.New("a reload is under way")
	ErrNoRules   = errors.New("this run has no rules: it was started with --disable-detection")
)

// Reloaded is what a reload did.
type Reloaded struct {
	At       time.Time
	Took     time.Duration // until every worker had gone over
	Loaded   int
	Refused  int
	Shared   int // searches taken over, of Searches
	Searches int
	Tried    uint64 // packets of the built-in captures that the set was tried on
}

// String says it in one line.
func (r *Reloaded) String() string {
	return fmt.Sprintf("rules reloaded in %.2f s: %d in force, %d refused; tried on %d built-in packets; %d of %d searches are the old ones",
		r.Took.Seconds(), r.Loaded, r.Refused, r.Tried, r.Shared, r.Searches)
}

// Reloader holds the rules in force and goes over to others. The new set is read, compiled and tried beside the one in
// force; only then is it handed to the workers. Until then, and on any error, nothing has changed.
type Reloader struct {
	Config  *config.Config
	Options Options
	// Try plays a set on the built-in captures and says on how many packets.
	Try func(next *Loaded) (packets uint64, err error)
	// Lift is called before memory for a second set is taken, with how much of the heap may be garbage; Settle when it was
	// given back.
	Lift   func(percent int)
	Settle func()
	Rested func(each func(worker int, times uint64, now bool)) // of Pace; nil: nobody is in the way

	mu      sync.Mutex
	current atomic.Pointer[Loaded]
	last    atomic.Pointer[Reloaded]
	at      time.Time // of the first rules
}

// First takes the rules of the start.
func (r *Reloader) First(l *Loaded) {
	r.current.Store(l)
	r.at = time.Now()
}

// Current is the set in force, nil for none.
func (r *Reloader) Current() *Loaded { return r.current.Load() }

// Busy says whether a reload is under way.
func (r *Reloader) Busy() bool {
	if !r.mu.TryLock() {
		return true
	}
	r.mu.Unlock()
	return false
}

// Reload reads the rules again; renew hands them to the engine, without losing a packet, and returns when all of it
// has gone over.
func (r *Reloader) Reload(renew func(*Loaded) error) (done *Reloaded, err error) {
	if !r.mu.TryLock() {
		return nil, ErrReloading
	}
	defer r.mu.Unlock()
	began := time.Now()
	old := r.current.Load()
	if old == nil {
		return nil, ErrNoRules
	}
	r.Lift(reloadPercent)
	defer func() {
		old = nil
		debug.FreeOSMemory() // what only the old set, or the new one that failed, held
		r.Settle()
	}()
	c, err := r.reread()
	if err != nil {
		return nil, err
	}
	o := r.Options
	o.Pace = &Pace{Rested: r.Rested}
	next, err := Load(c, o, old)
	if err != nil {
		return nil, err
	}
	if next.Set.Len() == 0 && old.Set.Len() > 0 {
		return nil, noRule(next)
	}
	tried, err := r.Try(next)
	if err != nil {
		return nil, err
	}
	if err := renew(next); err != nil {
		return nil, err
	}
	r.current.Store(next)
	n := next.Set.Counts()
	done = &Reloaded{At: began, Took: time.Since(began), Loaded: next.Set.Len(), Refused: len(next.Refused), Shared: n.Shared, Searches: n.Matchers, Tried: tried}
	r.last.Store(done)
	return done, nil
}

// noRule says why a set is empty.
func noRule(l *Loaded) error {
	if len(l.Refused) == 0 {
		return errors.New("no rule was loaded: the rule files hold none")
	}
	return fmt.Errorf("no rule was loaded, %d were refused; the first: %w", len(l.Refused), l.Refused[0])
}

// Last is what the last reload that succeeded did, nil for none.
func (r *Reloader) Last() *Reloaded { return r.last.Load() }

// Since is when the rules in force were read.
func (r *Reloader) Since() time.Time {
	if last := r.last.Load(); last != nil {
		return last.At
	}
	return r.at
}

// reread is the configuration with what it says of rules by now. The rest of it holds until the next start.
func (r *Reloader) reread() (*config.Config, error) {
	fresh, _, err := config.Load(r.Options.ConfigFile, r.Options.Sets)
	if err != nil {
		return nil, err
	}
	c := *r.Config
	c.RuleFiles, c.AddressVars, c.PortVars, c.ActionOrder = fresh.RuleFiles, fresh.AddressVars, fresh.PortVars, fresh.ActionOrder
	c.ClassificationFile, c.ReferenceFile, c.ThresholdFile = fresh.ClassificationFile, fresh.ReferenceFile, fresh.ThresholdFile
	return &c, nil
}

// Judge says what speaks against a set by what it made of the built-in captures; floor are the attacks by class that
// the detectors find there whatever the rules are.
func Judge(sum *summary.Summary, floor map[string]uint64) error {
	switch {
	case sum.Counters.Broken > 0:
		return fmt.Errorf("tried on the built-in captures, the new rules broke the trip of %d packets: please report it", sum.Counters.Broken)
	case !sum.Ledger.Balanced():
		return errors.New("tried on the built-in captures, the new rules lost packets: please report it")
	}
	for class := range floor {
		if sum.ByClass[class] == 0 {
			return fmt.Errorf("tried on the built-in captures, the shield does not find %s any more with the new rules", class)
		}
	}
	return nil
}
