package console

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/report"
)

// A log that begins in one month and ends in another has both, and a report is made anew once there is more to tell.
func TestReportsOfMonths(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "evidence")
	if all, err := months(dir); err != nil || len(all) != 0 {
		t.Fatalf("without a log: %v %v", all, err)
	}
	key, err := evidence.LoadKey(nil, filepath.Join(t.TempDir(), "log.key"), strings.NewReader(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2025, 12, 31, 23, 0, 0, 0, time.UTC).UnixNano()
	log, err := evidence.Open(dir, evidence.Options{Kind: evidence.Live, Key: key, Rand: strings.NewReader(strings.Repeat("seed", 1<<12)), Time: at})
	if err != nil {
		t.Fatal(err)
	}
	seal := func(n int, at int64) {
		t.Helper()
		r := record(n, "scan")
		r.OpenedAt, r.FirstSeen, r.LastSeen, r.ClosedAt = at, at, at, at
		err := log.Seal(&r, nil)
		if err == nil {
			_, err = log.Flush()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	seal(1, at+60e9)
	x := reports{turn: make(chan struct{}, 1)}
	ask := func(name string) *report.Report {
		t.Helper()
		w, title, err := report.Month(name)
		if err != nil {
			t.Fatal(err)
		}
		r, err := x.of(t.Context(), dir, name, report.Options{Window: w, Title: title, Origins: "none", Targets: "none", Top: 5})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	first := ask("2025-12")
	if ask("2025-12") != first {
		t.Error("made twice though nothing was sealed in between")
	}
	seal(2, at+120e9)
	if again := ask("2025-12"); again == first || again.Figures.Observed != 2 || first.Figures.Observed != 1 {
		t.Errorf("%d observed, then %d", first.Figures.Observed, again.Figures.Observed)
	}
	seal(3, at+2*3600e9)
	if r := ask("2026-01"); r.Figures.Observed != 1 || r.Title != "January 2026" {
		t.Errorf("%s: %d observed", r.Title, r.Figures.Observed)
	}
	if r := ask("2025-12"); r.Title != "December 2025" || r.Figures.Observed != 2 {
		t.Errorf("asked for another month of the same log: %s, %d observed", r.Title, r.Figures.Observed)
	}
	all, err := months(dir)
	if want := []month{{"2026-01", "January 2026", false}, {"2025-12", "December 2025", true}}; err != nil || len(all) != 2 || all[0] != want[0] || all[1] != want[1] {
		t.Errorf("%v %v, expected %v", all, err, want)
	}
	if _, err := log.Close(); err != nil {
		t.Fatal(err)
	}
}
