package shield

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/evidence/durable"
	"github.com/dejpha/dejpha/shield/clerk"
	"github.com/dejpha/dejpha/shield/records"
)

// told is an enforcer that passes on whom it was told of.
type told chan netip.Prefix

func (t told) Enforce(d attack.Decision) { t <- d.Prefix }

// While the disk hangs in a sync, a decision still reaches the kernel's keeper, and nothing is acknowledged.
func TestADecisionWaitsForNoDisk(t *testing.T) {
	dir, hangs, goes := t.TempDir(), make(chan struct{}, 64), make(chan struct{})
	armed := false // read by the clerk's goroutine only after Begin
	disk := durable.Slow(func() {
		if armed {
			hangs <- struct{}{}
			<-goes
		}
	})
	file, err := records.Open(filepath.Join(dir, "eve.json"), false)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	setup, err := NewSetup(SetupOptions{Detectors: true, Workers: 1, NoRules: true})
	if err != nil {
		t.Fatal(err)
	}
	set := setup.settings
	set.enforce = true
	c, err := clerk.Open(setup.writing(&RunOptions{State: dir, Kind: evidence.Live, Disk: disk}, file, noon))
	if err != nil {
		t.Fatal(err)
	}
	m := newMerger(&set, c, &Summary{}, c)
	m.records, m.dir = file, dir
	blocked := make(told, 64)
	m.enforcer = blocked
	if err := m.resume(noon, func(s string) { t.Log(s) }); err != nil {
		t.Fatal(err)
	}
	armed = true
	c.Begin()
	done, second := make(chan struct{}), make(chan struct{})
	go func() { // the merge point
		defer close(done)
		of(m, "exploit", "198.51.100.7", 0, true)
		<-blocked
		m.advance(noon + int64(time.Hour)) // it closes, is sealed, and everything is saved
		<-second
		of(m, "exploit", "198.51.100.8", 3601, true)
		m.advance(noon + 3602e9)
	}()
	select {
	case <-hangs:
	case <-time.After(time.Minute):
		t.Fatal("nothing was synced")
	}
	close(second)
	select {
	case who := <-blocked:
		if who != netip.MustParsePrefix("198.51.100.8/32") {
			t.Errorf("blocked %v", who)
		}
	case <-time.After(time.Minute):
		t.Fatal("the decision waits for the disk")
	}
	<-done
	if closed := strings.Count(recordsOf(t, dir), `"state":"closed"`); closed != 0 || m.sum.Attacks != 0 {
		t.Errorf("%d attacks were told and %d counted before they were durable", closed, m.sum.Attacks)
	}
	close(goes)
	m.stop()
	if m.err != nil {
		t.Fatal(m.err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if closed := strings.Count(recordsOf(t, dir), `"state":"closed"`); closed != 1 || m.sum.Attacks != 1 {
		t.Errorf("%d attacks were told and %d counted in the end", closed, m.sum.Attacks)
	}
	if r, err := evidence.CheckAll(filepath.Join(dir, "evidence"), ""); err != nil || !r.OK() {
		t.Errorf("the log does not hold: %v %q", err, r.Problems)
	}
}

func recordsOf(t *testing.T, dir string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "eve.json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
