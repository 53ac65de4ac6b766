package attack

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// crashing plays observations through accounts that crash at random and go on from their last snapshot; what was
// closed until then was sealed.
func crashing(t *testing.T, r *rand.Rand, in []Observation) (sealed []Record) {
	t.Helper()
	a := New(Config{})
	saved, _ := a.Snapshot()
	since := 0 // closed attacks that the snapshot knows of
	take := func(events []Event) { sealed = append(sealed, closed(slices.Clone(events))...) }
	for _, o := range in {
		take(a.Add(o))
		take(a.Advance(o.Time))
		switch r.IntN(12) {
		case 0:
			saved, _ = a.Snapshot()
			since = len(sealed)
		case 1:
			a = New(Config{})
			if err := a.Restore(saved); err != nil {
				t.Fatal(err)
			}
			a.Sealed(sealed[since:])
			take(a.Advance(o.Time))
			saved, _ = a.Snapshot()
			since = len(sealed)
		}
	}
	take(a.Finish())
	return sealed
}

func TestCrashCountsNothingTwice(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		in := generated(r, 200)
		slices.SortFunc(in, func(x, y Observation) int { return int((x.Time - y.Time) / 1e6) })
		ids := map[uint64]bool{}
		last := map[Key]Record{}
		for _, rec := range crashing(t, r, in) {
			if ids[rec.ID] {
				t.Fatalf("attack %d is counted twice", rec.ID)
			}
			ids[rec.ID] = true
			class := ClassIndex(rec.Class)
			key := rec.key(uint8(class))
			if before, ok := last[key]; ok && rec.FirstSeen-before.LastSeen <= int64(table[class].Gap) {
				t.Fatalf("%v: attack %d goes on within a gap as attack %d", key, before.ID, rec.ID)
			}
			last[key] = rec
		}
		if len(ids) == 0 {
			t.Fatal("nothing was counted")
		}
	}
}

// An attack that a grid line cut and sealed goes on as itself, though the snapshot never knew of it.
func TestCutAttackGoesOnAfterCrash(t *testing.T) {
	a := New(Config{})
	saved, _ := a.Snapshot()
	var sealed []Record
	for s := 0.0; len(sealed) == 0; s += 60 {
		o := seen("exploit", "192.0.2.1", "10.0.0.1", s)
		a.Add(o)
		sealed = closed(slices.Clone(a.Advance(o.Time)))
	}
	b := New(Config{})
	if err := b.Restore(saved); err != nil {
		t.Fatal(err)
	}
	b.Sealed(sealed)
	o := seen("exploit", "192.0.2.1", "10.0.0.1", 0)
	o.Time = sealed[0].LastSeen + 100e9
	events := append(slices.Clone(b.Add(o)), b.Finish()...)
	if len(events) != 1 || events[0].Kind != Continued || events[0].Record.ID != sealed[0].ID {
		t.Errorf("after the crash: %+v", events)
	}
	if again := New(Config{}); true {
		again.Sealed(sealed)
		again.Advance(sealed[0].ClosedAt)
		o.Origin = o.Target
		if e := again.Add(o); len(e) != 1 || e[0].Record.ID != sealed[0].ID+1 {
			t.Errorf("the next attack's number: %+v", e)
		}
		if list := again.Attacks(); len(list) != 1 || list[0].Record.State != "opened" {
			t.Errorf("open attacks: %+v", list)
		}
	}
}
