package evidence

import (
	"math/rand/v2"
	"path/filepath"
	"testing"
)

// A clock that goes an hour forth and back, also over a restart, loses no leaf and never turns the log's own clock back.
func TestAClockThatGoesAnHourForthAndBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "e")
	opt := options(Live, nil)
	opt.Time = t0
	l, err := Open(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 1))
	acked, last, offset := 0, l.Now(), int64(0)
	for i := range 300 {
		if r.IntN(10) == 0 {
			offset = r.Int64N(3)*3600e9 - 3600e9
		}
		now := t0 + int64(i)*1e9 + offset
		if i%100 == 99 {
			done, err := l.Close()
			if err != nil {
				t.Fatal(err)
			}
			acked += len(done)
			opt.Time, opt.Disk = now, nil
			if l, err = Open(dir, opt); err != nil {
				t.Fatal(err)
			}
		}
		x := record(i)
		x.FirstSeen, x.LastSeen, x.ClosedAt = now-9e9, now-5e9, now
		if err := l.Totals(Ledger{Received: uint64(i), Inspected: uint64(i)}, now); err != nil {
			t.Fatal(err)
		}
		if err := l.Seal(&x, nil); err != nil {
			t.Fatal(err)
		}
		if l.Now() < last {
			t.Fatalf("step %d: the log's clock went back by %d ns", i, last-l.Now())
		}
		if last = l.Now(); r.IntN(5) == 0 {
			done, err := l.Flush()
			if err != nil {
				t.Fatal(err)
			}
			acked += len(done)
		}
	}
	done, err := l.Close()
	if err != nil || acked+len(done) != 300 {
		t.Fatalf("%d acknowledged, %v", acked+len(done), err)
	}
	if r := whole(t, dir); r.Attacks != 300 {
		t.Errorf("%d attacks", r.Attacks)
	}
}
