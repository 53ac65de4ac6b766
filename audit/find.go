package audit

import (
	"slices"

	"github.com/dejpha/dejpha/evidence"
)

// find is the leaf that counts a claimed attack: by bisection of totals leaves, then by a walk between two of them.
func (a *auditor) find(d drawn) (index int64, leaf []byte, err error) {
	at, _ := slices.BinarySearchFunc(a.ends, d.ordinal, func(e end, n uint64) int {
		if e.counts[d.cell] < n {
			return -1
		}
		return 1
	})
	if at == 0 || at == len(a.ends) {
		return 0, nil, &LeafError{a.last().index, "the totals do not enclose it"}
	}
	low, high := a.ends[at-1], a.ends[at]
	for from, to := low.index+1, high.index; to-from > evidence.TileWidth; {
		mid := from + (to-from)/2
		i, t, err := a.log.totalsIn(mid, to)
		if err != nil {
			return 0, nil, err
		}
		if t == nil { // no totals leaf from mid on
			to = mid
			continue
		}
		e := a.end(i, t)
		if !between(&low, &e, &high) {
			return 0, nil, &LeafError{i, "its totals or its time lie outside those of the totals leaves around it"}
		}
		place, _ := slices.BinarySearchFunc(a.ends, i, func(e end, i int64) int { return int(e.index - i) })
		a.ends = slices.Insert(a.ends, place, e)
		if e.counts[d.cell] < d.ordinal {
			low, from = e, i+1
		} else {
			high, to = e, mid
		}
	}
	return a.walk(d, &low, &high)
}

// between says whether nothing goes back from low over e to high.
func between(low, e, high *end) bool {
	for i, n := range e.counts {
		if n < low.counts[i] || n > high.counts[i] {
			return false
		}
	}
	return e.time >= low.time && e.time <= high.time
}

// walk counts the cell from one totals leaf to the next known one and stops where the ordinal is.
func (a *auditor) walk(d drawn, low, high *end) (index int64, leaf []byte, err error) {
	n, wrong := low.counts[d.cell], error(nil)
	walked := a.log.walk(low.index+1, high.index, func(i int64, b []byte) bool {
		switch b[0] {
		case typeAttack:
			x, err := evidence.ReadAttackLeaf(b)
			if err != nil || x.Cell() != a.cells[d.cell] {
				return true
			}
			if n++; x.Ordinal != n {
				wrong = &LeafError{i, "its ordinal is not that of its place"}
				return false
			}
		case typeCorrection:
			x, err := evidence.ReadCorrectionLeaf(b)
			if err != nil || int(x.Cell) != a.cells[d.cell] {
				return true
			}
			n++
		}
		if n == d.ordinal {
			index, leaf = i, slices.Clone(b)
		}
		return leaf == nil
	})
	switch {
	case walked != nil:
		return 0, nil, walked
	case wrong != nil:
		return 0, nil, wrong
	case leaf == nil:
		return 0, nil, &LeafError{high.index, "it counts the attack, and none of the leaves before it is that attack"}
	}
	return index, leaf, nil
}
