package shield

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/samples"
	"github.com/dejpha/dejpha/shield/records"
)

// Records are closed by size and deleted past what is kept; the log names each and still verifies.
func TestRecordsAreKeptAsConfigured(t *testing.T) {
	setup, err := NewSetup(SetupOptions{Detectors: true, Workers: 1, Sets: []string{"keep.eve.bytes=1 MiB", "keep.private.days=1"}})
	if err != nil {
		t.Fatal(err)
	}
	state := t.TempDir()
	for range 2 {
		src, err := samples.Open(0, nil)
		if err != nil {
			t.Fatal(err)
		}
		src.Rounds, src.Skip = 25, time.Hour
		if _, err := setup.Run(RunOptions{State: state, Kind: evidence.Demo, Source: src}); err != nil {
			t.Fatal(err)
		}
	}
	names, _ := filepath.Glob(filepath.Join(state, "eve*.json"))
	total := int64(0)
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
		if m, err := records.MendFile(name, 0); err != nil || m.Cut != 0 {
			t.Errorf("%s: %v, %d bytes are no records", name, err, m.Cut)
		}
	}
	if total > 1<<20+1<<18 || len(names) < 4 {
		t.Errorf("%d bytes of records in %d files", total, len(names))
	}
	report, err := evidence.CheckAll(filepath.Join(state, "evidence"), "")
	if err != nil || !report.OK() || report.Retained < 5 || report.PrivateOpen == report.Attacks {
		t.Errorf("%v, problems %q, %d files fell to retention, %d of %d private parts open", err, report.Problems, report.Retained, report.PrivateOpen, report.Attacks)
	}
}

// movingSource moves the record file away in the middle and says so, as log rotation does.
type movingSource struct {
	*samples.Source
	path  string
	moved chan struct{}
	n     int
	t     *testing.T
}

func (s *movingSource) Next(f *capture.Frame) error {
	if s.n++; s.n == 700 {
		if err := os.Rename(s.path, s.path+".1"); err != nil {
			s.t.Error(err)
		}
		s.moved <- struct{}{}
	}
	return s.Source.Next(f)
}

func TestRecordsGoOnWhenTheirFileIsMovedAway(t *testing.T) {
	setup, err := NewSetup(SetupOptions{Detectors: true, Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	state := t.TempDir()
	src, err := samples.Open(0, nil)
	if err != nil {
		t.Fatal(err)
	}
	src.Rounds, src.Skip = 4, time.Hour
	m := &movingSource{src, filepath.Join(state, "eve.json"), make(chan struct{}, 1), 0, t}
	sum, err := setup.Run(RunOptions{State: state, Kind: evidence.Demo, Source: m, Reopen: m.moved})
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for _, name := range []string{m.path + ".1", m.path} {
		b, err := os.ReadFile(name)
		if err != nil || len(b) == 0 {
			t.Fatalf("%s: %d bytes, %v", name, len(b), err)
		}
		if found, err := records.MendFile(name, 0); err != nil || found.Cut != 0 {
			t.Errorf("%s: %v, %d bytes are no records", name, err, found.Cut)
		}
		lines += bytes.Count(b, []byte(`"event_type":"attack"`))
	}
	if uint64(lines) != sum.Opened+sum.Attacks {
		t.Errorf("%d attack lines, %d opened and %d closed", lines, sum.Opened, sum.Attacks)
	}
}
