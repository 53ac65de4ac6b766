package shield

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/dejpha/dejpha/capture/file"
)

// recording writes n UDP packets, the first wrong of them with a broken sum.
func recording(t *testing.T, n, wrong int) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "sums.pcap")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const raw = 101
	b := file.AppendHeader(nil, raw)
	for i := range n {
		// IPv4 and UDP from 10.0.0.1:1 to 10.0.0.2:2, sums right
		p := []byte{0x45, 0, 0, 29, 0, 0, 0, 0, 64, 17, 0x66, 0xce, 10, 0, 0, 1, 10, 0, 0, 2, 0, 1, 0, 2, 0, 9, 0x8a, 0xd6, 'a'}
		if i < wrong {
			p[27]++
		}
		b = file.AppendRecord(b, p, uint32(len(p)), int64(i))
	}
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestSumsOfARecordingMadeWithOffloading(t *testing.T) {
	set := &settings{checksums: true}
	for wrong, want := range map[int]bool{0: false, 1: false, 4: false, 5: true, 40: true} {
		if got := sumsSayNothing(recording(t, 40, wrong), set); got != want {
			t.Errorf("%d of 40 sums wrong: %v, want %v", wrong, got, want)
		}
	}
	name := recording(t, 40, 40)
	if sumsSayNothing(name, &settings{checksums: true, strict: true}) {
		t.Error("sums that were asked for are not judged")
	}
	if sumsSayNothing(name, &settings{}) {
		t.Error("sums that nobody judges are looked at")
	}
	if sumsSayNothing(filepath.Join(t.TempDir(), "none"), set) {
		t.Error("a missing file's sums say something")
	}
}
