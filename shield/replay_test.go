package shield

import (
	"bytes"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"sort"
	"testing"

	"github.com/dejpha/dejpha/capture/file"
)

// corpora is the folder of labelled captures beside the project; tests that need it skip without.
const corpora = "../../shared/corpora"

// recordings lists captures to play: the project's samples, and every n-th of the corpora where they are there.
func recordings(t *testing.T, every int) []string {
	t.Helper()
	names, _ := filepath.Glob("../samples/*.pcap")
	if len(names) == 0 {
		t.Fatal("the samples are missing")
	}
	for _, dir := range []string{"attack", "normal"} {
		found, _ := filepath.Glob(filepath.Join(corpora, dir, "*.pcap*"))
		for i := 0; i < len(found); i += every {
			names = append(names, found[i])
		}
	}
	if _, err := os.Stat(corpora); err != nil {
		t.Logf("%s is missing: only the samples are played", corpora)
	}
	sort.Strings(names)
	return names
}

// attackLines plays a capture and returns its attack lines.
func attackLines(t *testing.T, name string, workers int) []byte {
	t.Helper()
	setup, err := NewSetup(SetupOptions{Detectors: true, Workers: workers})
	if err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	sum, err := setup.Replay([]string{name}, out, ReplayOptions{})
	if sum == nil {
		t.Fatalf("%s: %v", name, err)
	}
	if !sum.Ledger.Balanced() {
		t.Errorf("%s: the ledger does not balance: %+v", name, sum.Ledger)
	}
	text, err := os.ReadFile(filepath.Join(out, "eve.json"))
	if err != nil {
		t.Fatal(err)
	}
	var lines []byte
	for _, line := range bytes.SplitAfter(text, []byte("\n")) {
		if bytes.Contains(line, []byte(`"event_type":"attack"`)) {
			lines = append(lines, line...)
		}
	}
	return lines
}

// The same capture gives the same attacks, byte for byte, however many workers look at it and however often.
func TestAttacksDoNotDependOnWorkers(t *testing.T) {
	every := 10
	if testing.Short() {
		every = 40
	}
	for _, name := range recordings(t, every) {
		want := attackLines(t, name, 1)
		for _, workers := range []int{1, 2, 4} {
			if got := attackLines(t, name, workers); !bytes.Equal(got, want) {
				t.Errorf("%s: %d workers differ from one:\n%s\nwant\n%s", name, workers, firstDifference(got, want), "")
			}
		}
	}
}

func firstDifference(a, b []byte) string {
	x, y := bytes.SplitAfter(a, []byte("\n")), bytes.SplitAfter(b, []byte("\n"))
	for i := range min(len(x), len(y)) {
		if !bytes.Equal(x[i], y[i]) {
			return fmt.Sprintf("line %d:\n%s%s", i+1, x[i], y[i])
		}
	}
	return fmt.Sprintf("%d lines against %d", len(x), len(y))
}

// The samples were recorded so that each shows one kind of attack, and one shows none.
func TestSamplesShowWhatTheyWereRecordedFor(t *testing.T) {
	for name, class := range map[string]string{"portscan": "scan", "web-attacks": "web-attack", "ftp-guessing": "brute-force", "visits": ""} {
		lines := attackLines(t, "../samples/"+name+".pcap", 1)
		if class == "" {
			if len(lines) > 0 {
				t.Errorf("%s is ordinary traffic and gives\n%s", name, lines)
			}
			continue
		}
		if !bytes.Contains(lines, []byte(`"class":"`+class+`"`)) {
			t.Errorf("%s: no %s among\n%s", name, class, lines)
		}
	}
}

// No capture, cut and spoilt at random, makes the shield crash, hang or lose count.
func TestSpoiltCapturesAreSurvived(t *testing.T) {
	seed := int64(20261124)
	r := rand.New(rand.NewSource(seed))
	variants := 40
	if testing.Short() {
		variants = 8
	}
	setup, err := NewSetup(SetupOptions{Detectors: true, Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range recordings(t, 25) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > 200<<10 {
			text = text[:200<<10]
		}
		for v := range variants {
			spoilt := append([]byte(nil), text[:24+r.Intn(len(text)-23)]...)
			for range 1 + r.Intn(20) {
				spoilt[r.Intn(len(spoilt))] ^= 1 << r.Intn(8)
			}
			playSpoilt(t, setup, spoilt, fmt.Sprintf("%s, variant %d of seed %d", name, v, seed))
		}
	}
}

func playSpoilt(t *testing.T, setup *Setup, spoilt []byte, name string) {
	t.Helper()
	src, err := file.New(name, bytes.NewReader(spoilt))
	if err != nil {
		return // said to be no capture: well said
	}
	sum := &Summary{}
	e, err := newEngine(&setup.settings, &bytes.Buffer{}, sum, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if p := recover(); p != nil {
			t.Fatalf("%s: %v", name, p)
		}
	}()
	_ = e.play(src, nil, nil) // damage is an answer, too
	if err := e.close(); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	if !sum.Ledger.Balanced() {
		t.Errorf("%s: the ledger does not balance: %+v", name, sum.Ledger)
	}
	if e.figures(sum); sum.Counters.Broken > 0 {
		t.Errorf("%s: the trip of %d packets was given up", name, sum.Counters.Broken)
	}
}
