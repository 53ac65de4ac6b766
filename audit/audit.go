// Package audit holds a claim against the log it was made from, without trust in who keeps the log: it draws claimed
// attacks and stretches of the log by randomness that the auditor chooses, or recounts everything.
//
// In: a claim, a source of the log's leaves (its folder, or an address that serves tiles), a seed. Out: a report of what
// was looked at, what is wrong, and how sure a sample makes one. Called by cmd. Each leaf is held to the claim's signed
// checkpoint before it is believed. It writes nothing and reads no clock (docs/audit.md).
package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/dejpha/dejpha/claim"
	"github.com/dejpha/dejpha/evidence"
)

// Options of an audit.
type Options struct {
	Key       string // the log's verifier key from elsewhere; "": the claim's own
	Sample    int    // claimed attacks drawn
	Stretches int    // draws of a leaf whose stretch between two totals leaves is recounted
	Seed      []byte // what is drawn follows from it
	Full      bool   // recount everything under the claim's checkpoint, too
	// Rerun runs the detection again on the packets kept with a leaf; nil: it cannot be had.
	Rerun func(leaf int64) (Again, error)
	// Progress is told what is done, of how much; nil: nobody asks.
	Progress func(what string, done, of int)
}

// Again is what kept packets show when the detection runs on them again.
type Again struct {
	Found bool   // the sealed class
	Wider bool   // not found, and it was told by behaviour over more traffic than was kept: no contradiction
	Text  string // for a person
}

// Report is what an audit found.
type Report struct {
	Claim         *claim.Claim
	Fingerprint   string
	SelfCertified bool
	Seed          string // hexadecimal
	Claimed       uint64 // attacks
	Drawn         uint64
	Wrong         uint64 // of them
	Corrected     uint64 // of them: a correction counts there, no attack's leaf
	Leaves        uint64 // in the claim's window
	Draws         int    // of stretches
	Stretches     int    // distinct ones, each recounted whole
	StretchLeaves uint64 // in them
	StretchWrong  int
	Unjudged      int // stretches with corrections, which only a full recount can judge
	Private       bool
	Opened        uint64 // private parts that agree with their leaf
	Erased        uint64 // of the drawn: erased, or fell to retention
	Kept          uint64 // of those opened: packets are there and have the sealed hash
	Gone          uint64 // packets were kept and are there no more
	Found         uint64 // re-run: the class shows again
	Wider         uint64 // re-run: told by behaviour over more than was kept
	NotRun        uint64 // had packets, and the detection could not be run
	NotRunWhy     string // the first reason
	Full          *evidence.Report
	Problems      []string // at most a hundred named
	ProblemCount  uint64
}

const namedMax = 100

// OK says whether nothing was found wrong.
func (r *Report) OK() bool { return r.ProblemCount == 0 }

func (r *Report) problem(f string, args ...any) {
	if r.ProblemCount++; len(r.Problems) < namedMax {
		r.Problems = append(r.Problems, fmt.Sprintf(f, args...))
	}
}

// end is one end of the claim's window: a totals leaf, or the log's begin.
type end struct {
	index  int64 // -1: before the first leaf
	time   uint64
	counts []uint64 // of the claimed cells
}

// auditor is one audit.
type auditor struct {
	Report
	opt   Options
	src   Source
	log   *log
	kind  string
	cells []int
	ends  []end // known totals leaves of the window, by rising index; the first and last are the claim's
	rnd   *rand.Rand
}

// Run audits a claim against a source. An error means that the source could not be read; what is wrong stands in the
// report.
func Run(c *claim.Claim, src Source, opt Options) (Report, error) {
	checked := c.Check(opt.Key)
	a := &auditor{opt: opt, src: src, kind: c.Log.Kind}
	a.Claim, a.Fingerprint, a.SelfCertified, a.Seed, a.Claimed = c, checked.Fingerprint, checked.SelfCertified, hex.EncodeToString(opt.Seed), c.Count.Gross
	for _, p := range checked.Problems {
		a.problem("the claim does not hold in itself: %s", p)
	}
	if !a.OK() {
		return a.Report, nil
	}
	key := opt.Key
	if key == "" {
		key = c.Log.Key
	}
	point, err := evidence.OpenCheckpoint([]byte(c.Checkpoint), key)
	if err != nil {
		return a.Report, err
	}
	a.log = newLog(src, point)
	a.rnd = rand.New(rand.NewChaCha8(sha256.Sum256(opt.Seed)))
	if err := a.window(); err != nil {
		return a.Report, err
	}
	if err := a.sample(); err != nil {
		return a.Report, err
	}
	if opt.Full {
		err = a.full(key)
	} else {
		err = a.stretches()
	}
	return a.Report, err
}

// window takes the ends from the claim, whose leaves its check has held to the checkpoint.
func (a *auditor) window() error {
	a.cells = a.Claim.Select.Cells()
	a.ends = []end{{index: -1, counts: make([]uint64, len(a.cells))}}
	for _, l := range []*claim.Leaf{a.Claim.Leaves.From, a.Claim.Leaves.To} {
		if l == nil {
			continue
		}
		t, err := evidence.ReadTotalsLeaf(l.Leaf)
		if err != nil {
			return err
		}
		a.ends = append(a.ends, a.end(l.Index, t))
	}
	if a.Claim.Leaves.From != nil {
		a.ends = a.ends[1:]
	}
	a.Leaves = uint64(a.last().index - a.ends[0].index)
	return nil
}

func (a *auditor) last() *end { return &a.ends[len(a.ends)-1] }

func (a *auditor) end(index int64, t *evidence.TotalsLeaf) end {
	e := end{index, t.Time, make([]uint64, len(a.cells))}
	for i, c := range a.cells {
		e.counts[i] = t.Counters[2*c]
	}
	return e
}

// drawn is one claimed attack: the ordinal-th of a cell.
type drawn struct {
	cell    int // its place in cells
	ordinal uint64
}

// distinct draws numbers below all, each at most once, rising.
func (a *auditor) distinct(want, all uint64) []uint64 {
	picked := map[uint64]bool{}
	for uint64(len(picked)) < want {
		n := uint64(len(picked))
		if want < all {
			n = a.rnd.Uint64N(all)
		}
		picked[n] = true
	}
	return slices.Sorted(maps.Keys(picked))
}

// draw picks claimed attacks, each once.
func (a *auditor) draw() []drawn {
	order := a.distinct(min(uint64(max(a.opt.Sample, 0)), a.Claimed), a.Claimed)
	out := make([]drawn, 0, len(order))
	cell, before := 0, uint64(0)
	for _, n := range order {
		for n-before >= a.last().counts[cell]-a.ends[0].counts[cell] {
			before += a.last().counts[cell] - a.ends[0].counts[cell]
			cell++
		}
		out = append(out, drawn{cell, a.ends[0].counts[cell] + 1 + n - before})
	}
	return out
}

// sample looks at drawn attacks.
func (a *auditor) sample() error {
	list := a.draw()
	_, a.Private = a.src.(Folder)
	for n, d := range list {
		a.Drawn++
		was := a.ProblemCount
		if err := a.attack(d); err != nil {
			var leaf *LeafError
			var damaged *evidence.CorruptError
			if !errors.As(err, &leaf) && !errors.As(err, &damaged) {
				return err
			}
			a.problem("attack %s: %v", a.name(d), err)
		}
		if a.ProblemCount > was {
			a.Wrong++
		}
		if a.opt.Progress != nil {
			a.opt.Progress("attacks", n+1, len(list))
		}
	}
	return nil
}

// name is what a person calls a claimed attack.
func (a *auditor) name(d drawn) string {
	x := evidence.AttackLeaf{Class: uint16(a.cells[d.cell] / 54), OutcomeResult: uint8(a.cells[d.cell] / 6 % 9), Flags: uint16(a.cells[d.cell] / 2 % 3)}
	r := evidence.Public(&x, -1)
	return fmt.Sprintf("%s %s %s %s of cell %d, number %d", r.Class, r.Outcome, r.Result, r.Risk, a.cells[d.cell], d.ordinal)
}

// attack finds a claimed attack and looks at all there is of it.
func (a *auditor) attack(d drawn) error {
	index, leaf, err := a.find(d)
	if err != nil {
		return err
	}
	if leaf[0] == typeCorrection {
		a.Corrected++
		return nil
	}
	x, err := evidence.ReadAttackLeaf(leaf)
	if err != nil {
		return &LeafError{index, "it is a malformed attack's leaf"}
	}
	if x.ClosedAt < a.ends[0].time || x.ClosedAt > a.last().time {
		return &LeafError{index, "it closed outside the claim's window"}
	}
	if x.OutcomeResult/3 != 2 && a.kind == evidence.Recording.String() {
		return &LeafError{index, "nothing is foiled on a recording"}
	}
	if a.Private {
		return a.open(index, &x)
	}
	return nil
}

// open looks behind the leaf: private part, packets, detection.
func (a *auditor) open(index int64, x *evidence.AttackLeaf) error {
	folder, _ := a.src.(Folder)
	o, err := evidence.OpenAttack(string(folder), index, x)
	if errors.Is(err, evidence.ErrErased) {
		a.Erased++
		return nil
	}
	if err != nil {
		return err
	}
	a.Opened++
	if o.Gone {
		a.Gone++
	}
	if len(o.Packets) == 0 {
		return nil
	}
	a.Kept++
	if a.opt.Rerun == nil {
		return nil
	}
	again, err := a.opt.Rerun(index)
	switch {
	case err != nil:
		if a.NotRun++; a.NotRunWhy == "" {
			a.NotRunWhy = err.Error()
		}
	case again.Found:
		a.Found++
	case again.Wider:
		a.Wider++
	default:
		return &LeafError{index, "its packets do not show its class again: " + again.Text}
	}
	return nil
}
