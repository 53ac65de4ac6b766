package trial

import (
	"testing"
	"time"
)

func begin(t *testing.T, state string, length time.Duration) *Trial {
	t.Helper()
	x, err := Begin(state, length)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.End)
	return x
}

// Without a word the time is over, and then it is too late.
func TestUnconfirmed(t *testing.T) {
	state := t.TempDir()
	x := begin(t, state, time.Millisecond)
	if !x.Needed() {
		t.Error("nobody asks")
	}
	<-x.Over()
	if x.Confirm() == nil {
		t.Error("confirmed too late")
	}
	if y := begin(t, state, time.Hour); !y.Needed() {
		t.Error("the next run does not ask")
	}
}

// One word is enough, for this run and all later ones.
func TestConfirmed(t *testing.T) {
	state := t.TempDir()
	x := begin(t, state, time.Hour)
	for range 2 {
		if err := x.Confirm(); err != nil {
			t.Fatal(err)
		}
	}
	if y := begin(t, state, time.Nanosecond); x.Needed() || y.Needed() || y.Over() != nil {
		t.Error("asked again")
	}
	var none *Trial
	none.End()
	if none.Over() != nil {
		t.Error("a run without a trial ends")
	}
	if _, err := Begin("/dev/null/nowhere", time.Hour); err == nil {
		t.Error("a state that cannot be read")
	}
}
