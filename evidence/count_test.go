package evidence

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// lossy makes a live log of three starts, the second unclean, with one of every thing that is counted beside attacks.
func lossy(t *testing.T, dir string) {
	t.Helper()
	open := func(at int64) *Log {
		o := options(Live, nil)
		o.Time = at
		l, err := Open(dir, o)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	must := func(errs ...error) {
		t.Helper()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
	l := open(t0)
	must(l.Event(CodeUnprotected, t0+1e9, -1, fmt.Appendf(nil, `{"from":%d,"to":%d,"passed":3,"stopped":1}`, t0, t0+2_500_000_000), nil))
	must(l.Event(CodeCaps, t0+2e9, -1, []byte(`{"observations_forgotten":7,"attacks_merged":2}`), nil))
	must(l.Event(CodeClockJump, t0+3e9, -1, make([]byte, 16), nil))
	must(l.Event(Code(200), t0+3e9, -1, nil, nil))
	_, err := l.Flush()
	must(err)
	// Past the last totals leaf, on the disk and then a crash: a restart must count these again.
	r := record(1)
	r.Overflow, r.ClosedAt = true, t0+10e9
	must(l.Seal(&r, nil), l.Event(CodeCaps, t0+11e9, -1, []byte(`{"observations_forgotten":1,"attacks_merged":0}`), nil), l.syncAll())
	l.Abandon()
	l = open(t0 + 611e9) // ten minutes later; the gap event says the same and is not counted again
	must(l.Totals(Ledger{}, t0+1811e9))
	_, err = l.Close()
	must(err)
	l = open(t0 + 1871e9)
	_, err = l.Close()
	must(err)
}

func TestCountsWhatIsNoAttack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "e")
	lossy(t, dir)
	r := whole(t, dir)
	want := map[uint16]uint64{CounterStarts: 3, CounterUnclean: 1, CounterAway: 660e6, CounterUnprotected: 2_500_000, CounterPassed: 3,
		CounterForgotten: 8, CounterMerged: 2, CounterOverflow + 1: 1, CounterGaps: 1169e6,
		CounterEvents + 2: 1, CounterEvents + 3: 2, CounterEvents + 4: 1, CounterEvents + 6: 2}
	for id, n := range r.Counters {
		if id >= CounterEvents && n != want[id] {
			t.Errorf("counter %d is %d, want %d", id, n, want[id])
		}
		delete(want, id)
	}
	if len(want) > 0 {
		t.Errorf("not counted: %v", want)
	}
	if r.Attacks != 1 || r.ByClass[1] != 1 {
		t.Errorf("%d attacks, %v: what is no attack is counted as one", r.Attacks, r.ByClass)
	}
}

// One wrong counter of what is no attack is found as one of attacks is.
func TestWrongCountersAreFound(t *testing.T) {
	for _, id := range []int{CounterGaps, CounterAway, CounterStarts, CounterEvents + 6, CounterOverflow} {
		dir := filepath.Join(t.TempDir(), "e")
		l, err := Open(dir, options(Live, nil))
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Totals(Ledger{}, t0)
		l.counters[id]++
		if _, err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if r, _ := CheckAll(dir, ""); r.OK() || !strings.Contains(r.Problems[0], "totals") {
			t.Errorf("counter %d too high: %q", id, r.Problems)
		}
	}
}

// A log begun by a version without these counters holds, and goes on without them.
func TestOldLogsLackCounters(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "e")
	for i := range 2 {
		o := options(Live, nil)
		o.Time = t0 + int64(i)*3600e9
		l, err := Open(dir, o)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			l.Abandon()
			if l, err = Open(filepath.Join(t.TempDir(), "f"), options(Live, nil)); err != nil {
				t.Fatal(err)
			}
			l.plain, dir = true, l.dir
			_ = l.Totals(Ledger{}, t0)
		}
		_ = l.Event(CodeCaps, o.Time, -1, []byte(`{}`), nil)
		if _, err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if r := whole(t, dir); len(r.Counters) != 0 || r.GapCount != 1 {
		t.Errorf("counters %v, %d gaps", r.Counters, r.GapCount)
	}
}

func TestWalk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "e")
	l, err := Open(dir, options(Recording, nil))
	if err != nil {
		t.Fatal(err)
	}
	l.entries.Limit = 4096
	if _, err := fill(l, 400); err != nil {
		t.Fatal(err)
	}
	size := l.Size()
	for _, from := range []int64{0, 1, 255, 256, 400, size - 1} {
		next := from
		err := Walk(dir, from, func(i int64, b []byte) bool {
			if i != next || len(b) < 54 {
				t.Fatalf("leaf %d of %d bytes, want %d", i, len(b), next)
			}
			next++
			return true
		})
		if err != nil || next != size {
			t.Errorf("from %d to %d of %d: %v", from, next, size, err)
		}
	}
	var damaged *CorruptError
	if err := Walk(dir, size, func(int64, []byte) bool { return true }); !errors.As(err, &damaged) {
		t.Errorf("from behind the last: %v", err)
	}
}
