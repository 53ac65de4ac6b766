package evidence

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dejpha/dejpha/evidence/segment"
)

func storeBytes(t *testing.T, dir string) (total int64, files int) {
	t.Helper()
	list, err := segment.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range list {
		info, err := os.Stat(segment.Name(dir, n))
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	return total, len(list)
}

// Packets are kept up to a size, private parts for some days: the log goes on to verify, names what it deleted, and
// a new start knows where it was.
func TestRetentionBySizeAndAge(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "e")
	keep := Keep{Packets: Limit{Bytes: 80 << 10}, Private: Limit{Age: 48 * time.Hour}}
	r := rand.New(rand.NewPCG(7, 8))
	n, end := 0, int64(0)
	for range 4 { // four runs of two and a half days each
		l, err := Open(dir, options(Live, nil))
		if err != nil {
			t.Fatal(err)
		}
		for range 60 {
			rec := record(n)
			rec.ClosedAt = t0 + int64(n)*int64(time.Hour)
			rec.LastSeen, rec.FirstSeen, end = rec.ClosedAt-1e9, rec.ClosedAt-2e9, rec.ClosedAt
			n++
			packets := make([]byte, 500+r.IntN(4000))
			if err := l.Seal(&rec, packets); err != nil {
				t.Fatal(err)
			}
			if err := l.Retain(keep, end); err == nil {
				t.Fatal("retention ran while attacks waited to be acknowledged")
			}
			if _, err := l.Flush(); err != nil {
				t.Fatal(err)
			}
			if err := l.Retain(keep, end); err != nil {
				t.Fatal(err)
			}
			if size, _ := storeBytes(t, filepath.Join(dir, "packets")); size > keep.Packets.Bytes {
				t.Fatalf("%d bytes of packets are kept", size)
			}
		}
		if _, err := l.Close(); err != nil {
			t.Fatal(err)
		}
		whole(t, dir)
	}
	rep := whole(t, dir)
	if rep.Attacks != 240 || rep.Retained == 0 || rep.NotRerun < 180 {
		t.Errorf("report: %d attacks, %d files fell to retention, %d not re-runnable", rep.Attacks, rep.Retained, rep.NotRerun)
	}
	left, err := Records(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	oldest := time.Duration(end - left[0].ClosedAt)
	if oldest < 47*time.Hour || oldest > 48*time.Hour+48*time.Hour/rollParts+2*time.Hour {
		t.Errorf("private parts go back %v", oldest)
	}
	if _, files := storeBytes(t, filepath.Join(dir, "packets")); files < rollParts/2 {
		t.Errorf("packets are kept in %d files", files)
	}
	// what is gone without an event is a finding
	list, _ := segment.List(filepath.Join(dir, "packets"))
	if err := os.Remove(segment.Name(filepath.Join(dir, "packets"), list[0])); err != nil {
		t.Fatal(err)
	}
	if rep, _ := CheckAll(dir, ""); rep.OK() {
		t.Error("a file of packets deleted behind the log's back was not found")
	}
}
