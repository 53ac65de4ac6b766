// Package trial is the dead-man switch of a shield that stands in the traffic's way for the first time: unless a person
// confirms within a minute that the line still works, it steps aside.
//
// In: the state's folder. Out: a moment when the time is over, unless confirmed before; a file that says that it was. Called by
// shield. Whoever cut himself off from the machine by turning the shield on cannot confirm, and has his line back.
package trial

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/dejpha/dejpha/evidence/durable"
)

// Length is how long a shield stands in the way without having been confirmed.
const Length = 60 * time.Second

// ErrUnconfirmed ends a run whose time was over.
var ErrUnconfirmed = errors.New("nobody confirmed within the time that the line works: the shield has stepped aside and everything passes uninspected; start it again, and confirm with `dejpha confirm`")

const fileName = "inline-confirmed"

// Trial is one run's switch. Safe for use by several goroutines.
type Trial struct {
	path  string
	mu    sync.Mutex
	timer *time.Timer // nil: it was confirmed before
	done  bool
}

// Begin looks whether a shield of this state was confirmed before, and starts the time if not; length: of a test, else Length.
func Begin(state string, length time.Duration) (*Trial, error) {
	t := &Trial{path: filepath.Join(state, fileName)}
	_, err := os.Stat(t.path)
	switch {
	case err == nil:
		t.done = true
	case errors.Is(err, fs.ErrNotExist):
		t.timer = time.NewTimer(length)
	default:
		return nil, fmt.Errorf("cannot see whether the shield was confirmed: %w", err)
	}
	return t, nil
}

// Over yields once when the time is over; never where the shield was confirmed.
func (t *Trial) Over() <-chan time.Time {
	if t == nil || t.timer == nil {
		return nil
	}
	return t.timer.C
}

// Needed says whether somebody is to confirm.
func (t *Trial) Needed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.done
}

// Confirm keeps the shield where it stands, in this run and in all later ones of this state.
func (t *Trial) Confirm() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done {
		return nil
	}
	if !t.timer.Stop() {
		return errors.New("too late: the time is over")
	}
	if err := durable.OS().Replace(t.path, []byte("The shield was confirmed in the traffic's way. Delete this file to be asked again.\n")); err != nil {
		return fmt.Errorf("confirmed for this run only: %w", err)
	}
	t.done = true
	return nil
}

// End stops the time.
func (t *Trial) End() {
	if t != nil && t.timer != nil {
		t.timer.Stop()
	}
}
