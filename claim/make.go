package claim

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dejpha/dejpha/evidence"
)

// OutsideError says that a log shows nothing of a window at all: it begins after it or ends before it.
type OutsideError struct{ What string }

// Error says where the log lies and where the window.
func (e *OutsideError) Error() string { return e.What }

// WindowError says that a window is none: reversed, empty, or not in whole seconds.
type WindowError struct{ What string }

// Error says what is wrong with it.
func (e *WindowError) Error() string { return e.What }

// Make makes the claim of the log in a folder (the one with the file checkpoint) over the cells of a selection and a
// window. sensors is what the claim says of them; none: the log's origin. It reads a few dozen stretches of the log,
// however long that is. Errors: NameError, WindowError, OutsideError; evidence.CorruptError where the log's files do not
// agree with its checkpoint.
func Make(dir string, s Select, w Window, sensors ...string) (*Claim, error) {
	s, err := s.Normal()
	if err != nil {
		return nil, err
	}
	if err := w.check(); err != nil {
		return nil, &WindowError{err.Error()}
	}
	h, err := evidence.ReadHead(dir)
	if err != nil {
		return nil, err
	}
	if h.Size == 0 {
		return nil, &OutsideError{"the log has no leaves yet"}
	}
	from, afterFrom, err := At(dir, &h, w.From)
	if err != nil {
		return nil, err
	}
	to, afterTo, err := At(dir, &h, w.To)
	if err != nil {
		return nil, err
	}
	switch {
	case to == nil:
		return nil, &OutsideError{fmt.Sprintf("the log begins at %s UTC, after the window: it shows nothing of it", seconds(Time(afterTo.Time)))}
	case afterFrom == nil:
		return nil, &OutsideError{fmt.Sprintf("the log's last totals leaf is of %s UTC, before the window: it shows nothing of it", seconds(Time(from.Time)))}
	}
	if len(sensors) == 0 {
		sensors = []string{h.Origin}
	}
	c := &Claim{Claim: Format, Select: s, Window: w, Checkpoint: string(h.Note), Hashes: [][]byte{},
		Log: Log{Origin: h.Origin, Kind: h.Kind, Key: h.Key, Sensors: sensors}}
	if err := c.prove(dir, &h, [4]*Totals{from, afterFrom, to, afterTo}); err != nil {
		return nil, err
	}
	v, err := c.read(h.Key)
	if err == nil {
		err = errors.Join(c.neighbours(v), c.derive(v))
	}
	if err != nil {
		return nil, &evidence.CorruptError{What: err.Error()}
	}
	return c, nil
}

// Whole is the window of all that a log has, in whole seconds around it.
func Whole(dir string) (w Window, err error) {
	h, err := evidence.ReadHead(dir)
	if err != nil {
		return w, err
	}
	if h.Size == 0 {
		return w, &OutsideError{"the log has no leaves yet"}
	}
	first, err := nextTotals(dir, &h, 0)
	if err != nil {
		return w, err
	}
	last, err := nextTotals(dir, &h, h.Size-1)
	if err != nil {
		return w, err
	}
	return Window{Time(first.Time - first.Time%1e6), Time(last.Time - last.Time%1e6 + 1e6)}, nil
}

// prove adds the leaves with their paths; a hash that several paths share stands once.
func (c *Claim) prove(dir string, h *evidence.Head, leaves [4]*Totals) error {
	places := map[tlog.Hash]int{}
	for i, to := range []**Leaf{&c.Leaves.From, &c.Leaves.AfterFrom, &c.Leaves.To, &c.Leaves.AfterTo} {
		t := leaves[i]
		if t == nil {
			continue
		}
		path, err := evidence.ProveLeaf(dir, h, t.Index, t.Bytes)
		if err != nil {
			return err
		}
		l := &Leaf{Index: t.Index, Leaf: t.Bytes, Path: []int{}}
		for _, x := range path {
			place, ok := places[x]
			if !ok {
				place = len(c.Hashes)
				places[x] = place
				c.Hashes = append(c.Hashes, append([]byte(nil), x[:]...))
			}
			l.Path = append(l.Path, place)
		}
		*to = l
	}
	return nil
}

// Totals is a totals leaf at its place in the log.
type Totals struct {
	Index int64
	Bytes []byte
	*evidence.TotalsLeaf
}

// At finds the last totals leaf at or before a time under a head, nil when the log begins later, and the one after it,
// nil when it is the head's last. It bisects: about as many stretches between two totals leaves are read as the number
// of totals leaves has binary digits.
func At(dir string, h *evidence.Head, at Time) (last, after *Totals, err error) {
	low, high := int64(0), h.Size // the first totals leaf past the time has its index in [low, high), or there is none
	for low < high {
		t, err := nextTotals(dir, h, low+(high-low)/2)
		if err != nil {
			return nil, nil, err
		}
		if Time(t.Time) <= at {
			last, low = t, t.Index+1
			continue
		}
		after = t
		if t.Number == 0 {
			return nil, t, nil
		}
		if t.Previous >= uint64(t.Index) {
			return nil, nil, &evidence.CorruptError{What: fmt.Sprintf("leaf %d names a later one as the totals leaf before it", t.Index)}
		}
		before, err := nextTotals(dir, h, int64(t.Previous))
		if err != nil {
			return nil, nil, err
		}
		if Time(before.Time) <= at {
			return before, after, nil
		}
		after, high = before, before.Index
		if before.Number == 0 {
			return nil, before, nil
		}
	}
	if last != nil && after == nil && last.Index != h.Size-1 {
		return nil, nil, &evidence.CorruptError{What: "the checkpoint's last leaf is no totals leaf"}
	}
	return last, after, nil
}

// nextTotals is the first totals leaf from a leaf on.
func nextTotals(dir string, h *evidence.Head, from int64) (t *Totals, err error) {
	var bad error
	err = evidence.Walk(dir, from, func(i int64, b []byte) bool {
		if i >= h.Size {
			bad = &evidence.CorruptError{What: "the checkpoint's last leaf is no totals leaf"}
			return false
		}
		x, err := evidence.ReadTotalsLeaf(b)
		if err != nil {
			return true
		}
		t = &Totals{i, append([]byte(nil), b...), x}
		return false
	})
	if err == nil && t == nil {
		err = bad
	}
	return t, err
}
