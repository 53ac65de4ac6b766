package audit

import (
	"errors"
	"fmt"

	"github.com/dejpha/dejpha/evidence"
)

// stretches draws leaves of the window and recounts the stretch that each lies in, from the totals leaf before it to
// the one after: what is counted too little, totals that are wrong, ordinals that stand twice.
func (a *auditor) stretches() error {
	a.Draws = int(min(uint64(max(a.opt.Stretches, 0)), a.Leaves))
	seen := map[int64]bool{}
	for n, k := range a.distinct(uint64(a.Draws), a.Leaves) {
		i := a.ends[0].index + 1 + int64(k)
		to, from, bad := a.stretch(i, seen)
		var leaf *LeafError
		switch {
		case bad != nil && !errors.As(bad, &leaf):
			return bad
		case bad != nil && !seen[leaf.Leaf]:
			seen[leaf.Leaf] = true
			a.StretchWrong++
			a.problem("%v", bad)
		case bad == nil && !seen[to]:
			seen[to] = true
			a.Stretches++
			a.StretchLeaves += uint64(to - from)
		}
		if a.opt.Progress != nil {
			a.opt.Progress("stretches", n+1, a.Draws)
		}
	}
	return nil
}

// stretch recounts the one that holds leaf i, if it was not seen: it ends with leaf to and begins behind leaf from.
func (a *auditor) stretch(i int64, seen map[int64]bool) (to, from int64, err error) {
	to, t, err := a.log.totalsIn(i, a.last().index+1)
	switch {
	case err != nil:
		return 0, 0, err
	case t == nil:
		return 0, 0, &LeafError{i, "no totals leaf follows it"}
	case seen[to]:
		return to, 0, nil
	}
	from, count := -1, evidence.NewRecount(a.kind, 0, nil)
	if t.Number > 0 {
		from = int64(t.Previous)
		b, err := a.log.leaf(from)
		if err != nil {
			return 0, 0, err
		}
		before, err := evidence.ReadTotalsLeaf(b)
		if err != nil || from >= i {
			return 0, 0, &LeafError{to, fmt.Sprintf("it names leaf %d as the totals leaf before it, which is none", from)}
		}
		count = evidence.NewRecount(a.kind, from, before)
	}
	if err := a.log.walk(from+1, to+1, func(i int64, b []byte) bool {
		count.Leaf(i, b)
		return true
	}); err != nil {
		return 0, 0, err
	}
	if list, _ := count.Problems(); len(list) > 0 {
		if count.Corrections() > 0 {
			a.Unjudged++
			return to, from, nil
		}
		return 0, 0, &LeafError{to, fmt.Sprintf("the stretch of leaves %d to %d, recounted: %s", from+1, to, list[0])}
	}
	return to, from, nil
}

// full recounts every leaf under the claim's checkpoint.
func (a *auditor) full(key string) error {
	if folder, ok := a.src.(Folder); ok {
		r, err := evidence.Check(string(folder), evidence.CheckOptions{Key: key, Earlier: [][]byte{[]byte(a.Claim.Checkpoint)}, Public: true})
		a.Full = &r
		for _, p := range r.Problems {
			a.problem("%s", p)
		}
		a.ProblemCount += r.ProblemCount - uint64(len(r.Problems))
		return err
	}
	count := evidence.NewRecount(a.kind, 0, nil)
	err := a.log.walk(0, a.log.point.Size, func(i int64, b []byte) bool {
		count.Leaf(i, b)
		if a.opt.Progress != nil && i%progressLeaves == 0 {
			a.opt.Progress("leaves", int(i), int(a.log.point.Size))
		}
		return true
	})
	var leaf *LeafError
	if errors.As(err, &leaf) {
		a.problem("%v", err)
		err = nil
	}
	list, all := count.Problems()
	for _, p := range list {
		a.problem("%s", p)
	}
	a.ProblemCount += all - uint64(len(list))
	a.Full = &evidence.Report{Size: a.log.point.Size}
	return err
}

// progressLeaves is how often a recount tells how far it is.
const progressLeaves = 1 << 15
