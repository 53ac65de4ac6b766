package shield

import (
	"io"
	"math"
	"slices"
	"sync/atomic"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/behaviour"
	"github.com/dejpha/dejpha/control"
	"github.com/dejpha/dejpha/eve"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/hoststate"
	"github.com/dejpha/dejpha/rule"
	"github.com/dejpha/dejpha/shield/board"
	"github.com/dejpha/dejpha/shield/clerk"
	"github.com/dejpha/dejpha/shield/kept"
	"github.com/dejpha/dejpha/shield/reach"
	"github.com/dejpha/dejpha/shield/recent"
	"github.com/dejpha/dejpha/shield/records"
	"github.com/dejpha/dejpha/shield/rehearsal"
	"github.com/dejpha/dejpha/shield/ruleset"
)

// merger is the one point behind the workers where findings meet, in packet order: thresholds, detectors,
// accounts, evidence and the record file. Owner: the goroutine that calls apply.
type merger struct {
	set        *settings
	out        io.Writer // eve.json
	thresholds *hoststate.Thresholds
	wanting    []wanting
	refs       []ref // of apply
	kinds      map[*rule.Rule]kindOfRule
	accounts   *attack.Accounts
	watcher    Watcher               // nil: nobody watches
	open       map[attack.Key]uint64 // ids of open attacks, for the watcher
	clerk      *clerk.Clerk          // nil: nothing is sealed
	kept       kept.Store            // packets of what is open
	records    *records.File         // of a run that is resumed; nil on recordings; the clerk's once it has begun
	reopen     <-chan struct{}       // the record file was moved away
	asks       *control.Asks         // what others want done here
	report     func(behaviour.Finding)
	recent     *recent.Signals  // nil: nothing is sealed
	reach      *reach.Table     // nil: nothing is stopped
	seen       behaviour.Signal // the signal in hand
	notes      []note           // for the log, once the clock has passed them
	jumps      uint64           // of the clock, told to the log
	capped     attack.Counters  // told to the log
	enforcer   enforcer         // nil: nothing is kept from anybody
	board      *board.Board     // nil: no live run
	shadow     *rehearsal.Shadow
	dir        string // of the run's files; "": none
	line       []byte
	sum        *Summary
	say        func(string) // what a person should know at once
	err        error        // the first write that failed
	failed     atomic.Bool  // err is set, for the reader
	now        int64
	beat       int64     // when the next heartbeat is due
	told       int64     // when the watcher was told the ledger
	latest     []opening // the last attacks that were opened, newest first
	ended      bool      // the source of a run came to its end
}

// wanting pairs a detector with the kinds of signals it asks for.
type wanting struct {
	kinds    behaviour.Kind
	detector behaviour.Detector
}

// ref is a finding and the epoch that holds its bytes.
type ref struct {
	f *finding
	e *epoch
}

// apply takes the same stretch of packets of every worker and applies its findings in order.
func (m *merger) apply(stretch []*epoch) {
	refs, before := m.refs[:0], m.now
	for _, e := range stretch {
		for i := range e.findings {
			refs = append(refs, ref{&e.findings[i], e})
		}
		m.sum.Take(&e.ledger)
		for i := range e.gaps {
			m.unprotected(&e.gaps[i])
		}
		if e.settled {
			m.now = max(m.now, e.now)
		}
	}
	m.jumped(before, stretch)
	slices.SortStableFunc(refs, func(a, b ref) int { return a.f.less(b.f) })
	for _, r := range refs {
		m.one(r.f, r.e)
	}
	m.refs = refs
	if stretch[0].settled {
		m.advance(m.now)
	}
	m.asks.Answer()
}

func (m *merger) one(f *finding, e *epoch) {
	switch f.kind {
	case foundLine:
		m.write(e.bytes[f.start:f.end])
	case foundMatch:
		m.match(&e.matches[f.index], e, e.bytes[f.start:f.end])
	case foundFlow:
		m.shadow.Ended(&e.flows[f.index])
	case foundSignal:
		s := &e.signals[f.index]
		m.seen = *s
		for i := f.start; i < f.end && m.recent != nil; i++ {
			k := &e.kept[i]
			m.recent.Add(s, k, e.bytes[k.Start:k.End])
		}
		for _, w := range m.wanting {
			if w.kinds&s.Kind != 0 {
				m.reach.Heard(w.detector.Name(), s)
				w.detector.Observe(&m.seen, m.report)
			}
		}
	}
}

// match applies the rule's threshold, writes its line and makes an observation of it.
func (m *merger) match(x *match, e *epoch, line []byte) {
	if !m.set.thresholds.Pass(m.thresholds, &ruleset.Hit{Rule: x.rule, Time: x.time, Src: x.src, Dst: x.dst, Flow: x.flowID}) {
		return
	}
	if x.alert {
		m.sum.Alerts++
		m.write(line)
	}
	if o, ok := m.observation(x); ok {
		m.observe(o, func() []Packet { return keptPackets(e, x) })
	}
}

// found is what detectors report to.
func (m *merger) found(f behaviour.Finding) {
	m.observe(m.fromFinding(&f), func() []Packet {
		if m.recent == nil {
			return nil
		}
		return m.recent.Of(&f)
	})
}

// observe adds an observation to the accounts and acts on what it opens. packets are asked for if any are kept of it.
func (m *merger) observe(o attack.Observation, packets func() []Packet) {
	events := m.accounts.Add(o)
	m.enforce()
	if !m.set.undecided {
		m.shadow.Saw(&o)
	}
	defer m.decided()
	if m.clerk != nil && attack.ClassIndex(o.Class) >= 0 {
		key := m.accounts.Added()
		t := max(o.Time, m.accounts.Now())
		var kept []Packet
		if !m.kept.Full(key, t) {
			kept = packets()
		}
		m.kept.Add(key, t, kept)
		m.act(events)
		if id := m.open[key]; m.watcher != nil && id != 0 && len(kept) > 0 {
			m.watcher.Packets(id, kept)
		}
		return
	}
	m.act(events)
}

// advance moves the accounts' clock on and writes a heartbeat when one is due.
func (m *merger) advance(now int64) {
	select {
	case <-m.reopen:
		m.again()
	default:
	}
	m.noted(now)
	m.stopped()
	m.act(m.accounts.Advance(now))
	if now >= m.beat {
		if m.beat != 0 {
			m.heartbeat(now)
		}
		m.beat = now - now%heartbeatEvery + heartbeatEvery
	}
	if m.watcher != nil && now >= m.told+toldEvery {
		m.told = now
		m.watcher.Ledger(m.sum.Ledger, m.accounts.Open(), now)
	}
}

// again goes on in a new record file: the old one was moved away. The channel yields how that went.
func (m *merger) again() <-chan error {
	answer := m.clerk.Reopen()
	m.save() // the snapshot's offset is the new file's
	return answer
}

// thresholdTableMax bounds the counters kept; the least recently used is forgotten first.
const thresholdTableMax = 1 << 18

const (
	heartbeatEvery = int64(60e9)
	toldEvery      = int64(1e9) // between two looks of a watcher at the ledger
)

func (m *merger) heartbeat(now int64) {
	if m.clerk != nil {
		m.kept.Forget(now)
		m.caps(now)
		m.clerk.Totals(evidence.Ledger(m.sum.Ledger), now)
	}
	if m.watcher != nil {
		m.watcher.Ledger(m.sum.Ledger, m.accounts.Open(), now)
	}
	if m.set.writes("heartbeat") {
		m.line = eve.AppendHeartbeat(m.line[:0], now, eve.Ledger(m.sum.Ledger), m.accounts.Open(), m.sum.Part.WhyBypassed())
		m.write(m.line)
	}
	if m.records != nil {
		m.save()
	}
}

// act writes and seals what the accounts report.
func (m *merger) act(events []attack.Event) {
	overflow := false
	for i := range events {
		ev := &events[i]
		switch ev.Kind {
		case attack.Opened:
			m.sum.Opened++
			if m.set.terse {
				continue
			}
			m.watch(&ev.Record)
			m.remember(&ev.Record)
			if m.watcher != nil {
				m.open[ev.Key] = ev.Record.ID
			}
			m.line = eve.AppendAttack(m.line[:0], &ev.Record)
			m.write(m.line)
		case attack.Closed:
			if m.watcher != nil {
				delete(m.open, ev.Key)
			}
			if m.clerk == nil || ev.Record.Authorised {
				m.beside(ev, evidence.CodeAuthorised)
				m.closed(&ev.Record)
				continue
			}
			m.clerk.Seal(&ev.Record, m.kept.Take(ev.Key, ev.Record.FirstSeen, ev.Record.LastSeen))
			overflow = overflow || ev.Record.Overflow
			if m.records == nil { // of a recording batches are cut by count alone
				m.clerk.Flush(m.now)
				m.acknowledged()
			}
		case attack.Continued:
			m.beside(ev, evidence.CodeContinuation)
			m.line = eve.AppendAttack(m.line[:0], &ev.Record)
			m.write(m.line)
		}
	}
	if overflow && m.records != nil {
		m.save() // it names a part of what it stands for: the snapshot knows all of it
	} else if m.clerk != nil {
		m.clerk.Flush(m.now)
		m.acknowledged()
	}
}

// acknowledged counts the closed attacks that are durably sealed by now; the clerk wrote their lines, with their leaves.
func (m *merger) acknowledged() {
	sealed, err := m.clerk.Done()
	m.fail(err)
	for i := range sealed {
		m.sum.Count(&sealed[i])
		m.watch(&sealed[i])
	}
}

func (m *merger) watch(r *attack.Record) {
	if m.watcher != nil {
		m.watcher.Attack(*r)
	}
}

func (m *merger) closed(r *attack.Record) {
	m.sum.Count(r)
	m.watch(r)
	m.line = eve.AppendAttack(m.line[:0], r)
	m.write(m.line)
}

// finish ends a recording, and a demonstration that was played to its end: the log's clock moves on to each closing
// in turn. A run that is stopped leaves what is open to the next.
func (m *merger) finish() {
	if m.records != nil && !m.ended {
		m.stop()
		return
	}
	m.noted(math.MaxInt64)
	m.act(m.accounts.Finish())
	if m.records != nil {
		m.stop()
		return
	}
	m.heartbeat(max(m.now, m.accounts.Now(), 1))
	if m.clerk != nil {
		m.clerk.Close(m.rehearsed())
		m.acknowledged()
	}
}

func (m *merger) write(line []byte) {
	if m.err != nil {
		return
	}
	if _, err := m.out.Write(line); err != nil {
		m.fail(err)
	}
}

// fail keeps the first error; the reader sees it and ends the run: what cannot be kept must not seem to be.
func (m *merger) fail(err error) {
	if err != nil && m.err == nil {
		m.err = err
		m.failed.Store(true)
	}
}
