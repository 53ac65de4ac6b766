package shield

import (
	"maps"
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/figures"
)

// Running is a shield at work, for those who watch over it. Its methods may be called from any goroutine, once the first
// stretch was applied.
type Running struct {
	e     *engine
	s     *Setup
	o     *RunOptions
	began time.Time
	fed   int64 // the merge point's clock at the last Alive
}

// Alive says whether the merge point answers and, on live traffic, its clock has moved since the last call. From one
// goroutine.
func (r *Running) Alive() bool {
	now := r.fed
	if r.e.ask(func() { now = r.e.merge.now }) != nil || r.e.set.live && now == r.fed {
		return false
	}
	r.fed = now
	return true
}

// Figures are what the shield counts at this moment. An error is control's: the run has ended, or is busy.
func (r *Running) Figures() (*figures.Figures, error) {
	f := &figures.Figures{Uptime: time.Since(r.began).Seconds(), Version: r.o.Version, Kind: r.o.Kind.String(), Interfaces: r.e.set.interfaces}
	err := r.e.ask(func() {
		m := r.e.merge
		s := m.sum
		f.At, f.Ledger, f.Faces = m.now, figures.Ledger(s.Ledger), s.Part.Figures()
		f.Alerts, f.Opened, f.Open, f.Attacks, f.Authorised = s.Alerts, s.Opened, m.accounts.Open(), s.Attacks, s.Authorised
		f.ByClass, f.ByOutcome, f.Decisions = maps.Clone(s.ByClass), maps.Clone(s.ByOutcome), maps.Clone(s.ByDecision)
		for i := range m.latest {
			f.Recent = append(f.Recent, m.latest[i].line())
		}
	})
	if err != nil {
		return nil, err
	}
	if b := r.e.merge.board; b != nil {
		f.Blocks = b.Figures()
	}
	if l := r.s.rules.Current(); l != nil {
		f.Rules, f.Refused = l.Set.Len(), len(l.Refused)
	}
	for _, w := range r.e.workers {
		if g := w.gauges.Load(); g != nil {
			f.Workers = append(f.Workers, *g)
		} else {
			f.Workers = append(f.Workers, figures.Worker{})
		}
	}
	for _, w := range r.e.merge.clerk.Witnesses() {
		f.Witnesses = append(f.Witnesses, figures.Witness(w))
	}
	f.Gather()
	return f, nil
}

// gauge leaves the worker's own figures where others may read them.
func (w *worker) gauge() {
	s, d, f := &w.streams.Counters, &w.defrag.Counters, &w.flows.Counters
	w.gauges.Store(&figures.Worker{Packets: w.load, Bytes: w.counts.Bytes, Flows: w.counts.Flows, LiveFlows: f.Live, Evicted: f.Evicted,
		Sessions: s.Sessions, LiveStreams: s.Live, Gaps: s.Gaps, Buffered: s.BufferBytes, Fragments: d.Fragments, Rebuilt: d.Rebuilt,
		Broken: w.counts.Broken, FlowBytes: int64(f.Live) * flowBytes, RingBytes: w.ring.Bytes()})
}

// latestMax is how many of the last attacks are shown.
const latestMax = 8

// remember puts an attack that was opened before the latest ones.
func (m *merger) remember(r *attack.Record) {
	if len(m.latest) < latestMax {
		m.latest = append(m.latest, opening{})
	}
	copy(m.latest[1:], m.latest)
	m.latest[0] = opening{r.OpenedAt, r.Class, r.OriginText(), r.Target.Group}
}

// opening is an attack that was opened, as it is listed.
type opening struct {
	at                   int64
	class, origin, group string
}

func (o *opening) line() string {
	return time.Unix(0, o.at).UTC().Format("15:04:05") + "  " + o.class + " from " + o.origin + " on " + o.group
}
