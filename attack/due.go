package attack

import "math"

// dueItem is a piece (or a tail, p nil) and when it closes at the earliest.
type dueItem struct {
	at  int64
	acc *account
	p   *piece
}

func (d dueItem) id() uint64 {
	if d.p == nil {
		return math.MaxUint64
	}
	return d.p.ID
}

// dueHeap has the item that closes first at its top.
type dueHeap []dueItem

func (h *dueHeap) add(d dueItem) {
	*h = append(*h, d)
	q := *h
	for i := len(q) - 1; i > 0; {
		up := (i - 1) / 2
		if q[up].at <= q[i].at {
			return
		}
		q[up], q[i] = q[i], q[up]
		i = up
	}
}

// sink puts the top, which has been put off, where it belongs.
func (h dueHeap) sink() {
	for i := 0; ; {
		least := 2*i + 1
		if least >= len(h) {
			return
		}
		if right := least + 1; right < len(h) && h[right].at < h[least].at {
			least = right
		}
		if h[i].at <= h[least].at {
			return
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}

// pop takes the top away.
func (h *dueHeap) pop() dueItem {
	q := *h
	top, last := q[0], len(q)-1
	q[0], q[last] = q[last], dueItem{}
	*h = q[:last]
	h.sink()
	return top
}
