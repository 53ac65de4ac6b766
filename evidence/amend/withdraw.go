package amend

import (
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/evidence/durable"
	"github.com/dejpha/dejpha/evidence/leaves"
)

// Withdrawn is what corrections say of an attack that no longer counts.
type Withdrawn struct {
	Leaf   int64  // of the correction
	Reason string // as whoever signed the log wrote it
}

// Corrections are the attacks that no longer count, by their leaf. A log whose newest totals know of no correction is
// not walked.
func Corrections(dir string) (map[int64]Withdrawn, error) {
	out := map[int64]Withdrawn{}
	head, err := evidence.ReadHead(dir)
	if err != nil || head.Size == 0 {
		return out, err
	}
	b, err := evidence.ReadLeaf(dir, head.Size-1)
	if err != nil {
		return out, err
	}
	if t, err := evidence.ReadTotalsLeaf(b); err == nil && t.Counters.Withdrawn() == 0 {
		return out, nil
	}
	err = evidence.Walk(dir, 0, func(i int64, b []byte) bool {
		if x, err := evidence.ReadCorrectionLeaf(b); err == nil {
			delete(out, int64(x.Attack))
			if x.Cell == leaves.Cells {
				out[int64(x.Attack)] = Withdrawn{i, string(x.Reason)}
			}
		}
		return i+1 < head.Size
	})
	return out, err
}

// Withdraw has attacks of a log that nobody writes to count no longer: all of the leaves, or none. why is public. now, ns,
// is of a live log. Errors: ErrInUse; an evidence.WithdrawError, before which nothing was written.
func (s *Stopped) Withdraw(d *durable.Disk, list []int64, now int64, why string) error {
	if err := s.withdrawable(list); err != nil {
		return err
	}
	l, err := s.Open(d, now)
	if err != nil {
		return err
	}
	if err := l.Withdraw(list, l.Now(), why); err != nil {
		l.Abandon()
		return err
	}
	_, err = l.Close()
	return err
}

// withdrawable asks before the log is opened, which alone would write a start and a stop.
func (s *Stopped) withdrawable(list []int64) error {
	gone, err := Corrections(s.Log)
	if err != nil {
		return err
	}
	for _, leaf := range list {
		if _, is := gone[leaf]; is {
			return &evidence.WithdrawError{Leaf: leaf, What: evidence.WithdrawnBefore}
		}
		_, err := evidence.SealedAttack(leaf, s.Head.Size, func(leaf int64) ([]byte, error) { return evidence.ReadLeaf(s.Log, leaf) })
		if err != nil {
			return err
		}
	}
	return nil
}
