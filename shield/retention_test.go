package shield

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/evidence"
)

// Records are closed by size and deleted past what is kept; the log names each and still verifies.
func TestRecordsAreKeptAsConfigured(t *testing.T) {
	setup, err := NewSetup(SetupOptions{Detectors: true, Workers: 1, Sets: []string{"keep.eve.bytes=1 MiB", "keep.private.days=1"}})
	if err != nil {
		t.Fatal(err)
	}
	state := t.TempDir()
	for range 2 {
		src, err := NewSamples(0, nil)
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
		if m, err := mendRecords(name, 0); err != nil || m.cut != 0 {
			t.Errorf("%s: %v, %d bytes are no records", name, err, m.cut)
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
	*Samples
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
	return s.Samples.Next(f)
}

func TestRecordsGoOnWhenTheirFileIsMovedAway(t *testing.T) {
	setup, err := NewSetup(SetupOptions{Detectors: true, Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	state := t.TempDir()
	src, err := NewSamples(0, nil)
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
		if found, err := mendRecords(name, 0); err != nil || found.cut != 0 {
			t.Errorf("%s: %v, %d bytes are no records", name, err, found.cut)
		}
		lines += bytes.Count(b, []byte(`"event_type":"attack"`))
	}
	if uint64(lines) != sum.Opened+sum.Attacks {
		t.Errorf("%d attack lines, %d opened and %d closed", lines, sum.Opened, sum.Attacks)
	}
}

func TestRecordFileIsMended(t *testing.T) {
	line := `{"timestamp":"2026-11-24T14:28:17.000000+0000","event_type":"attack","attack":{"id":7,"evidence":{"leaf":5}}}` + "\n"
	for text, want := range map[string]mended{
		line:                       {int64(len(line)), 0, 5, 7},
		line + line[:40]:           {int64(len(line)), 40, 5, 7},
		line + "\x00\x00\x00\n":    {int64(len(line)), 4, 5, 7},
		"":                         {0, 0, -1, 0},
		`{"event_type":"x"`:        {0, 17, -1, 0},
		line + `{"a":1}` + "\n{\n": {int64(len(line)) + 8, 2, 5, 7},
	} {
		path := filepath.Join(t.TempDir(), "eve.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, since := range []int64{0, 3, int64(len(text)) + 1} { // only line starts inside the file are believed
			r, err := openRecords(path, false)
			if err != nil {
				t.Fatal(err)
			}
			got, err := r.mend(since)
			if err != nil || got != want {
				t.Errorf("%.60q since %d: %+v, %v; want %+v", text, since, got, err, want)
			}
			_, _ = r.Write([]byte("{}\n"))
			if err := r.close(); err != nil {
				t.Fatal(err)
			}
			if b, _ := os.ReadFile(path); string(b) != text[:want.size]+"{}\n" {
				t.Errorf("%.60q: the file is %q", text, b)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if at := firstStamp(path, 9); want.leaf == 5 && at != 1795530497e9 || want.leaf < 0 && at != 9 {
			t.Errorf("%.60q begins at %d", text, at)
		}
	}
}
