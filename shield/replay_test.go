package shield

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"testing"
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

// attackLines plays a capture and returns its attack and decision lines.
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
		if bytes.Contains(line, []byte(`"event_type":"attack"`)) || bytes.Contains(line, []byte(`"event_type":"decision"`)) {
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
