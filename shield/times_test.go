package shield

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/capture/file"
	"github.com/dejpha/dejpha/evidence"
)

const year = int64(365.25 * 86400e9)

// framesOf reads a capture whole.
func framesOf(t *testing.T, name string) (frames []capture.Frame) {
	t.Helper()
	r, err := file.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		var f capture.Frame
		err := r.Next(&f)
		if errors.Is(err, io.EOF) {
			return frames
		}
		if err != nil {
			t.Fatal(err)
		}
		f.Data = slices.Clone(f.Data)
		frames = append(frames, f)
	}
}

// played replays frames as one recording and returns its summary and the check of its log.
func played(t *testing.T, frames []capture.Frame) (*Summary, evidence.Report, int64) {
	t.Helper()
	b := file.AppendHeader(nil, frames[0].LinkType)
	for _, f := range frames {
		b = file.AppendRecord(b, f.Data, f.WireLen, f.Time)
	}
	dir := t.TempDir()
	name := filepath.Join(dir, "in.pcap")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	setup, err := NewSetup(SetupOptions{Detectors: true, Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out")
	if err := os.Mkdir(out, 0o700); err != nil {
		t.Fatal(err)
	}
	sum, err := setup.Replay([]string{name}, out, ReplayOptions{})
	if err != nil {
		t.Fatal(err)
	}
	report, err := evidence.CheckAll(filepath.Join(out, "evidence"), "")
	if err != nil || !report.OK() {
		t.Fatalf("verify: %v %q", err, report.Problems)
	}
	size := int64(0)
	_ = filepath.WalkDir(filepath.Join(out, "evidence"), func(_ string, d os.DirEntry, _ error) error {
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			size += info.Size()
		}
		return nil
	})
	return sum, report, size
}

// Forged and broken stamps freeze no timer, lose no attack, and do not let the log grow by the time they claim.
func TestStrangeTimes(t *testing.T) {
	var plain []capture.Frame
	for _, name := range []string{"ftp-guessing", "web-attacks"} { // web-attacks was recorded later
		plain = append(plain, framesOf(t, "../samples/"+name+".pcap")...)
	}
	slices.SortStableFunc(plain, func(a, b capture.Frame) int { return int((a.Time - b.Time) / 1000) })
	for i := range plain { // pcap's seconds end in 2106
		plain[i].Time -= 7 * year
	}
	sum, report, size := played(t, plain)
	if sum.Attacks != 2 {
		t.Fatalf("%d attacks as recorded, want 2", sum.Attacks)
	}
	moved := func(change func(i int, f *capture.Frame)) []capture.Frame {
		frames := slices.Clone(plain)
		for i := range frames {
			change(i, &frames[i])
		}
		return frames
	}
	at := func(n int, by int64) []capture.Frame {
		return moved(func(i int, f *capture.Frame) {
			if i == n {
				f.Time += by
			}
		})
	}
	last := len(plain) - 1
	for _, c := range []struct {
		name    string
		frames  []capture.Frame
		attacks uint64
		leaves  int64 // more than as recorded, at most
	}{
		{"one packet 80 years ahead", at(last/2, 80*year), 2, 0},
		{"the first packet 80 years ahead", at(0, 80*year), 2, 0},
		{"the last packet 80 years ahead", at(last, 80*year), 2, 0},
		{"one packet in 1970", at(last/2, -plain[0].Time), 2, 0},
		{"the first packet in 1970", at(0, -plain[0].Time), 2, 3},
		{"every third packet 80 years ahead", moved(func(i int, f *capture.Frame) {
			if i%3 == 1 {
				f.Time += 80 * year
			}
		}), 2, 0},
		{"a clock that runs backwards", moved(func(i int, f *capture.Frame) { f.Time = plain[0].Time - int64(i)*1e9 }), 2, 0},
		// While too few packets have been seen to tell the time, each step back is believed: the first tries lie hours apart.
		{"a clock that runs backwards by hours", moved(func(i int, f *capture.Frame) { f.Time = plain[0].Time - int64(i)*7200e9 }), 3, 3},
		{"all packets at time zero", moved(func(_ int, f *capture.Frame) { f.Time = 0 }), 2, 0},
		{"a silence of 30 years", append(slices.Clone(plain), moved(func(_ int, f *capture.Frame) { f.Time += 30 * year })...), 4, 12},
		// A lasting step back goes on from where the clock stands: the second round is one with the third.
		{"30 years back and forth", append(append(append(slices.Clone(plain), moved(func(_ int, f *capture.Frame) { f.Time += 30 * year })...), plain...),
			moved(func(_ int, f *capture.Frame) { f.Time += 60 * year })...), 6, 40},
	} {
		s, r, n := played(t, c.frames)
		if s.Attacks != c.attacks || r.Size > report.Size+c.leaves || n > size+c.leaves*3000+int64(s.Attacks)*20000 {
			t.Errorf("%s: %d attacks in %d leaves, %d bytes; as recorded %d in %d, %d bytes; clock %+v", c.name, s.Attacks, r.Size, n, sum.Attacks, report.Size, size, s.Clock)
		}
		if !s.Ledger.Balanced() || r.Ledger.Received != uint64(len(c.frames)) {
			t.Errorf("%s: %d packets, the ledger says %+v", c.name, len(c.frames), r.Ledger)
		}
	}
}
