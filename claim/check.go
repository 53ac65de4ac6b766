package claim

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/evidence"
)

// numberMax is the largest number that every reader of JSON takes exactly; sums of all counters below it do not overflow.
const numberMax = 1<<53 - 1

// Result is what a check of a claim found.
type Result struct {
	Fingerprint   string   // of the key that signed; of a merged claim's parts, in order, with commas
	SelfCertified bool     // a key came from the claim itself
	Problems      []string // empty: the claim holds
}

// OK says whether the claim holds.
func (r *Result) OK() bool { return len(r.Problems) == 0 }

// view is a claim's leaves read: what everything else in it follows from.
type view struct {
	point                        evidence.Checkpoint
	from, afterFrom, to, afterTo *evidence.TotalsLeaf
	old                          bool // the log has no counters of what is no attack
}

// Check checks a claim of one log. key is the log's verifier key from elsewhere; "" takes the claim's own, which shows
// only that the claim is whole in itself.
func (c *Claim) Check(key string) Result {
	r := Result{}
	if key == "" {
		key, r.SelfCertified = c.Log.Key, true
	}
	r.Fingerprint = evidence.Fingerprint(key)
	if err := c.check(key); err != nil {
		r.Problems = append(r.Problems, err.Error())
	}
	return r
}

// check finds the first thing that is wrong.
func (c *Claim) check(key string) error {
	if c.Claim != Format {
		return fmt.Errorf("its format is %.40q, not %q", c.Claim, Format)
	}
	if err := c.asked(); err != nil {
		return err
	}
	v, err := c.read(key)
	if err != nil {
		return err
	}
	if err := c.neighbours(v); err != nil {
		return err
	}
	want := Claim{Claim: Format, Select: c.Select, Window: c.Window, Log: c.Log, Checkpoint: c.Checkpoint, Leaves: c.Leaves, Hashes: c.Hashes}
	if err := want.derive(v); err != nil {
		return err
	}
	for _, x := range []struct {
		what       string
		have, want any
	}{
		{"definition", c.Definition, want.Definition}, {"unit", c.Unit, want.Unit}, {"count", c.Count, want.Count}, {"coverage", c.Coverage, want.Coverage},
		{"sentence", c.Sentence, want.Sentence}, {"caveats", c.Caveats, want.Caveats},
	} {
		if have, want := encode(x.have), encode(x.want); string(have) != string(want) {
			return fmt.Errorf("its %s is not what its leaves show: it says %.300s, they show %.300s", x.what, trim(have), trim(want))
		}
	}
	return nil
}

func trim(b []byte) []byte { return b[:max(len(b)-1, 0)] }

// asked checks what was asked: selection and window.
func (c *Claim) asked() error {
	normal, err := c.Select.Normal()
	if err != nil {
		return err
	}
	if string(encode(normal)) != string(encode(c.Select)) {
		return errors.New("its selection is not in order")
	}
	return c.Window.check()
}

func (w Window) check() error {
	switch {
	case w.From > timeMax || w.To > timeMax:
		return errors.New("the window lies past the year 9999")
	case w.From%1e6 != 0 || w.To%1e6 != 0:
		return errors.New("the window is not in whole seconds")
	case w.From >= w.To:
		return fmt.Errorf("the window ends at %s UTC, not after its begin at %s UTC", minutes(w.To), minutes(w.From))
	}
	return nil
}

// read checks the checkpoint's signature and that the leaves lie under it.
func (c *Claim) read(key string) (*view, error) {
	v := &view{}
	var err error
	if v.point, err = evidence.OpenCheckpoint([]byte(c.Checkpoint), key); err != nil {
		return nil, err
	}
	if v.point.Origin != c.Log.Origin {
		return nil, fmt.Errorf("its checkpoint is of %s, it says %s", v.point.Origin, c.Log.Origin)
	}
	if len(c.Hashes) > 4*64 {
		return nil, errors.New("it has more hashes than four paths can have")
	}
	for _, x := range []struct {
		name string
		leaf *Leaf
		to   **evidence.TotalsLeaf
	}{{"from", c.Leaves.From, &v.from}, {"after_from", c.Leaves.AfterFrom, &v.afterFrom}, {"to", c.Leaves.To, &v.to}, {"after_to", c.Leaves.AfterTo, &v.afterTo}} {
		if x.leaf == nil {
			continue
		}
		if *x.to, err = c.leaf(x.leaf, &v.point); err != nil {
			return nil, fmt.Errorf("its leaf %s: %w", x.name, err)
		}
	}
	return v, nil
}

func (c *Claim) leaf(l *Leaf, p *evidence.Checkpoint) (*evidence.TotalsLeaf, error) {
	if l.Index < 0 || l.Index >= p.Size {
		return nil, fmt.Errorf("there is no leaf %d under a checkpoint of %d leaves", l.Index, p.Size)
	}
	path := make([]tlog.Hash, len(l.Path))
	for i, place := range l.Path {
		if place < 0 || place >= len(c.Hashes) || len(c.Hashes[place]) != tlog.HashSize || i >= 64 {
			return nil, errors.New("its path names a hash that is not there")
		}
		path[i] = tlog.Hash(c.Hashes[place])
	}
	if tlog.CheckRecord(path, p.Size, p.Root, l.Index, tlog.RecordHash(l.Leaf)) != nil {
		return nil, errors.New("its path does not lead to the checkpoint's root")
	}
	t, err := evidence.ReadTotalsLeaf(l.Leaf)
	if err != nil {
		return nil, errors.New("it is no totals leaf")
	}
	if evidence.KindOf(t).String() != c.Log.Kind {
		return nil, fmt.Errorf("it is of a %s log, the claim says %s", evidence.KindOf(t), c.Log.Kind)
	}
	if Time(t.Time) > timeMax {
		return nil, errors.New("its time lies past the year 9999")
	}
	return t, nil
}

// neighbours checks that the leaves are the last ones at or before the window's ends: the one after each names it and
// lies past the end.
func (c *Claim) neighbours(v *view) error {
	l := &c.Leaves
	if v.to == nil || v.afterFrom == nil {
		return errors.New("a leaf is missing: to and after_from are always there")
	}
	follows := func(at, after *Leaf, t, next *evidence.TotalsLeaf) bool {
		return next.Number == t.Number+1 && int64(next.Previous) == at.Index && after.Index > at.Index && next.Time >= t.Time
	}
	switch {
	case v.from == nil && (l.AfterFrom.Index != 0 || v.afterFrom.Number != 0):
		return errors.New("without a leaf from, after_from must be the log's first")
	case v.from != nil && !follows(l.From, l.AfterFrom, v.from, v.afterFrom):
		return errors.New("after_from does not follow from")
	case v.from != nil && Time(v.from.Time) > c.Window.From || Time(v.afterFrom.Time) <= c.Window.From:
		return errors.New("from is not the last totals leaf at or before the window's begin")
	case v.afterTo == nil && l.To.Index != v.point.Size-1:
		return errors.New("without a leaf after_to, to must be the checkpoint's last")
	case v.afterTo != nil && !follows(l.To, l.AfterTo, v.to, v.afterTo):
		return errors.New("after_to does not follow to")
	case Time(v.to.Time) > c.Window.To || v.afterTo != nil && Time(v.afterTo.Time) <= c.Window.To:
		return errors.New("to is not the last totals leaf at or before the window's end")
	case v.from != nil && (l.To.Index < l.From.Index || v.to.Number < v.from.Number || v.to.Time < v.from.Time):
		return errors.New("to lies before from")
	}
	return nil
}

// derive fills all that follows from the leaves.
func (c *Claim) derive(v *view) error {
	base, begin := &evidence.TotalsLeaf{}, Time(v.afterFrom.Time)
	if v.from != nil {
		base, begin = v.from, Time(v.from.Time)
	}
	diff := v.to.Counters
	for id, n := range base.Counters {
		if diff[id] > numberMax {
			return fmt.Errorf("counter %d is past what a claim can hold", id)
		}
		if diff[id] < n {
			return fmt.Errorf("counter %d goes back", id)
		}
		diff[id] -= n
	}
	if Time(v.to.Time) < begin {
		return errors.New("to lies before from")
	}
	v.old = v.to.Counters[evidence.CounterStarts] == 0
	c.Definition, c.Unit = Definition{definitionText, definitionVersion, hex.EncodeToString(v.to.TableID[:])}, unit
	if err := c.cover(v, base, begin, &diff); err != nil {
		return err
	}
	c.count(&diff)
	c.Sentence = sentence(&c.Select, c.Window, c.Log.Kind, &c.Count)
	c.Caveats = c.caveats(v)
	return nil
}

func (c *Claim) count(diff *evidence.Counters) {
	n := Count{Overflow: map[string]uint64{}}
	for _, cell := range c.Select.cells() {
		n.Gross += diff[2*cell]
		n.Withdrawn += diff[2*cell+1]
	}
	n.Net = int64(n.Gross) - int64(n.Withdrawn)
	for i, class := range attack.Table() {
		if over := diff[evidence.CounterOverflow+i]; over > 0 && (len(c.Select.Class) == 0 || slices.Contains(c.Select.Class, class.Name)) {
			n.Overflow[class.Name] = over
		}
	}
	c.Count = n
}

// cover says what the log saw between its two leaves.
func (c *Claim) cover(v *view, base *evidence.TotalsLeaf, begin Time, diff *evidence.Counters) error {
	a, b := &v.to.Ledger, &base.Ledger
	var left [6]uint64
	for i, x := range [6][2]uint64{{a.Received, b.Received}, {a.Inspected, b.Inspected}, {a.Bypassed, b.Bypassed}, {a.KernelDrops, b.KernelDrops}, {a.Shed, b.Shed}, {a.Undecodable, b.Undecodable}} {
		if x[0] > numberMax {
			return errors.New("the packet ledger is past what a claim can hold")
		}
		if x[0] < x[1] {
			return errors.New("the packet ledger goes back")
		}
		left[i] = x[0] - x[1]
	}
	if left[0] != left[1]+left[2]+left[3]+left[4]+left[5] {
		return errors.New("the packet ledger does not balance")
	}
	length := v.to.Time - uint64(begin)
	lost := uint64(0)
	for _, id := range []int{evidence.CounterGaps, evidence.CounterAway, evidence.CounterUnprotected} {
		lost += min(diff[id], length)
	}
	event := func(code evidence.Code) uint64 { return diff[evidence.CounterEvents+int(code)] }
	c.Coverage = Coverage{
		From: begin, To: Time(v.to.Time), Seconds: sec(length), Watched: sec(length - min(lost, length)),
		Received: left[0], Inspected: left[1], Bypassed: left[2], Dropped: left[3], Shed: left[4], Undecodable: left[5],
		Restarts: diff[evidence.CounterStarts], Unclean: diff[evidence.CounterUnclean], Away: sec(diff[evidence.CounterAway]),
		Gaps: event(evidence.CodeGap), GapSeconds: sec(diff[evidence.CounterGaps]),
		Unprotected: sec(diff[evidence.CounterUnprotected]), Passed: diff[evidence.CounterPassed],
		ClockJumps: event(evidence.CodeClockJump), ShedRecords: diff[evidence.CounterForgotten], Merged: diff[evidence.CounterMerged],
		Erasures: event(evidence.CodeErasure), Retention: event(evidence.CodeRetention),
	}
	if v.from == nil && c.Coverage.Restarts > 0 { // the log's first start is no restart
		c.Coverage.Restarts--
	}
	return nil
}

// sec is microseconds in seconds.
func sec(us uint64) float64 { return float64(us) / 1e6 }
