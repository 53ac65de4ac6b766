package summary

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/shield/clock"
	"github.com/dejpha/dejpha/shield/ledger"
)

// Summary is what a run tells a person at its end.
type Summary struct {
	Ledger      Ledger
	Part        ledger.Part // the same, of live traffic by interface, too
	Workers     []Ledger    // of live traffic: each worker's part
	Counters    Counters
	Clock       clock.Clock
	Alerts      uint64
	Opened      uint64
	Attacks     uint64
	Authorised  uint64
	ByClass     map[string]uint64
	ByOutcome   map[string]uint64
	ByRisk      map[string]uint64
	ByOrigin    map[string]uint64
	ByDecision  map[string]uint64
	Rehearsal   string // what the decisions would have stopped and cost, in a line; "": they acted
	Captures    int
	CutCaptures int // ended inside their last record
	Elapsed     time.Duration
	PeakBytes   uint64
	Unprotected time.Duration     // time in which traffic went past a shield in its way, or was shut out
	Reasons     map[string]uint64 // undecodable packets
	Limits      map[string]uint64 // how often each bound on memory was met
}

const (
	originsShown = 10
	originsMax   = 1 << 16
)

// Count adds one closed attack.
func (s *Summary) Count(r *attack.Record) {
	if r.Authorised {
		s.Authorised++
		return
	}
	s.Attacks++
	inc(&s.ByClass, r.Class)
	inc(&s.ByOutcome, r.Outcome)
	inc(&s.ByRisk, r.Risk)
	inc(&s.ByOrigin, r.OriginText())
	if len(s.ByOrigin) > originsMax {
		s.forgetOrigins()
	}
}

// forgetOrigins lets go of the origins of the fewest attacks: a year has tens of millions, of which ten are shown.
func (s *Summary) forgetOrigins() {
	for least := uint64(1); len(s.ByOrigin) > originsMax/2; least *= 2 {
		maps.DeleteFunc(s.ByOrigin, func(_ string, n uint64) bool { return n <= least })
	}
}

// Decided adds one decision.
func (s *Summary) Decided(d *attack.Decision) { inc(&s.ByDecision, d.Action) }

func inc(m *map[string]uint64, key string) {
	if *m == nil {
		*m = map[string]uint64{}
	}
	(*m)[key]++
}

// Add adds another run's figures.
func (s *Summary) Add(o *Summary) {
	s.Part.Add(&o.Part)
	s.Ledger.Add(o.Ledger)
	s.Alerts += o.Alerts
	s.Opened += o.Opened
	s.Attacks += o.Attacks
	s.Authorised += o.Authorised
	s.Captures += o.Captures
	s.CutCaptures += o.CutCaptures
	s.Elapsed += o.Elapsed
	s.Counters.Broken += o.Counters.Broken
	s.PeakBytes = max(s.PeakBytes, o.PeakBytes)
	for _, p := range []struct {
		to   *map[string]uint64
		from map[string]uint64
	}{{&s.ByClass, o.ByClass}, {&s.ByOutcome, o.ByOutcome}, {&s.ByRisk, o.ByRisk}, {&s.ByOrigin, o.ByOrigin}, {&s.ByDecision, o.ByDecision}, {&s.Reasons, o.Reasons}, {&s.Limits, o.Limits}} {
		for k, n := range p.from {
			if *p.to == nil {
				*p.to = map[string]uint64{}
			}
			(*p.to)[k] += n
		}
	}
}

// Print writes the summary for a person.
func (s *Summary) Print(w io.Writer) {
	l := s.Ledger
	fmt.Fprintf(w, "packets    %d received = %d inspected + %d bypassed + %d dropped by the kernel + %d shed + %d undecodable", l.Received, l.Inspected, l.Bypassed, l.KernelDrops, l.Shed, l.Undecodable)
	if !l.Balanced() {
		fmt.Fprint(w, "  (DOES NOT BALANCE)")
	}
	fmt.Fprintln(w)
	section(w, "           undecodable", s.Reasons, 8)
	section(w, "           bypassed by", s.Part.WhyBypassed(), 8)
	section(w, "           shed by", s.Part.WhyShed(), 8)
	s.interfaces(w)
	if len(s.Workers) > 1 {
		fmt.Fprint(w, "workers   ")
		for i, l := range s.Workers {
			fmt.Fprintf(w, " %d: %d received, %d dropped by the kernel;", i, l.Received, l.KernelDrops)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "attacks    %d", s.Attacks)
	if s.Authorised > 0 {
		fmt.Fprintf(w, ", and %d by authorised traffic, not counted", s.Authorised)
	}
	fmt.Fprintln(w)
	section(w, "  by class  ", s.ByClass, 30)
	section(w, "  by outcome", s.ByOutcome, 3)
	section(w, "  by risk   ", s.ByRisk, 3)
	section(w, "  origins   ", s.ByOrigin, originsShown)
	section(w, "decisions ", s.ByDecision, len(s.ByDecision))
	if s.Rehearsal != "" && len(s.ByDecision) > 0 {
		fmt.Fprintf(w, "rehearsal  %s\n", s.Rehearsal)
	}
	fmt.Fprintf(w, "alerts     %d\n", s.Alerts)
	if c := &s.Counters; c.Stopped > 0 {
		fmt.Fprintf(w, "stopped    %d frames, %d of them for a block of their source; %d frames of ours told of it\n", c.Stopped, c.Barred, c.Told)
	}
	if n := s.Counters.Unsent; n > 0 {
		fmt.Fprintf(w, "unsent     %d frames that were accepted: the interface did not take them\n", n)
	}
	if s.Unprotected > 0 {
		fmt.Fprintf(w, "unprotected %.1f s\n", s.Unprotected.Seconds())
	}
	if s.CutCaptures > 0 {
		fmt.Fprintf(w, "captures   %d of %d end inside their last record\n", s.CutCaptures, s.Captures)
	}
	section(w, "limits met", s.Limits, len(s.Limits))
	if n := s.Counters.Broken; n > 0 {
		fmt.Fprintf(w, "FAULT      the trip of %d packets was given up: please report it with the capture\n", n)
	}
	seconds := s.Elapsed.Seconds()
	fmt.Fprintf(w, "time       %.2f s, %.0f packets/s; peak memory %d MiB\n", seconds, float64(l.Received)/max(seconds, 1e-9), s.PeakBytes>>20)
}

// interfaces prints where the packets came in, if that was at more than one place.
func (s *Summary) interfaces(w io.Writer) {
	if len(s.Part.Faces) < 2 {
		return
	}
	for i := range s.Part.Faces {
		f := &s.Part.Faces[i]
		fmt.Fprintf(w, "interface  %s: %d received = %d inspected + %d bypassed + %d dropped by the kernel + %d shed + %d undecodable\n", f.Name, f.Received, f.Inspected, f.Bypassed, f.KernelDrops, f.Shed, f.Undecodable)
	}
}

// section prints the largest entries of a figure on one line.
func section(w io.Writer, name string, figures map[string]uint64, most int) {
	if len(figures) == 0 {
		return
	}
	keys := slices.SortedFunc(maps.Keys(figures), func(a, b string) int {
		if c := cmp.Compare(figures[b], figures[a]); c != 0 {
			return c
		}
		return cmp.Compare(a, b)
	})
	fmt.Fprint(w, name)
	for i, k := range keys {
		if i == most {
			fmt.Fprintf(w, ", and %d more", len(keys)-most)
			break
		}
		if i > 0 {
			fmt.Fprint(w, ",")
		}
		fmt.Fprintf(w, " %s %d", k, figures[k])
	}
	fmt.Fprintln(w)
}
