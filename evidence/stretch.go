package evidence

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/evidence/leaves"
)

// Recount counts leaves as a check does, from bytes that its caller has from wherever: one stretch, or all of them. It
// opens no file.
type Recount struct {
	report      Report
	c           checker
	corrections int
}

// NewRecount begins behind the totals leaf at an index, or, where t is nil, with a log's first leaf. kind is the log's.
func NewRecount(kind string, at int64, t *TotalsLeaf) *Recount {
	x := &Recount{report: Report{Counters: map[uint16]uint64{}}}
	x.c = checker{r: &x.report, form: format{Kind: kind}, public: true, lastAt: -1, cells: map[int64]int{}, erasures: map[int64]bool{}, retained: map[string]bool{}}
	if t == nil {
		return x
	}
	c := &x.c
	c.counts, c.last, c.lastAt, c.lastTime, c.number, c.lastType = t.Counters, t, at, t.Time, t.Number+1, leaves.TypeTotals
	c.plain = t.Counters[CounterStarts] == 0
	if t.Flags&leaves.FlagStart != 0 { // else every silence that follows came after the start
		c.started = t.Time
	}
	return x
}

// Leaf takes the next leaf.
func (x *Recount) Leaf(i int64, b []byte) {
	if len(b) == 0 {
		x.report.problem("leaf %d is empty", i)
		return
	}
	if b[0] == leaves.TypeCorrection {
		x.corrections++
	}
	x.c.judge(i, b)
}

// Problems are what is wrong, at most a hundred named, and how many there are.
func (x *Recount) Problems() ([]string, uint64) { return x.report.Problems, x.report.ProblemCount }

// Corrections is how many there were. Where it is not 0, a stretch cannot tell whether what was corrected had been
// corrected before: only a recount from the first leaf can.
func (x *Recount) Corrections() int { return x.corrections }

// rules are those of a hash; none where there is no folder to read them from.
func (c *checker) rules(hash [32]byte) ([]byte, error) {
	if c.dir == "" {
		return nil, nil
	}
	return rulesOf(c.dir, hash)
}

// Opened is what stands behind an attack's leaf.
type Opened struct {
	Record  attack.Record
	Packets []byte // the capture file kept with it; nil: none was kept, or it is gone
	Gone    bool   // packets were kept and are there no more
}

// OpenAttack opens the private part of an attack's leaf and its packets, and holds them to the leaf. ErrErased when the
// private part was erased or fell to retention; a CorruptError when they are not what the leaf committed to.
func OpenAttack(dir string, leaf int64, x *AttackLeaf) (o Opened, err error) {
	open, err := NewOpener(dir)
	if err != nil {
		return o, err
	}
	defer open.Close()
	r, err := open.Open(leaf, x)
	if err != nil {
		return o, err
	}
	o.Record = *r
	if o.Record.Retell(); r.Evidence.Packets == "" {
		return o, nil
	}
	o.Packets, err = ReadPackets(dir, leaf)
	if errors.Is(err, ErrErased) {
		o.Gone = true
		return o, nil
	}
	if sum := sha256.Sum256(o.Packets); err != nil || hex.EncodeToString(sum[:]) != r.Evidence.Packets {
		return o, &CorruptError{fmt.Sprintf("leaf %d: its packets are not those whose hash was sealed", leaf)}
	}
	return o, nil
}
