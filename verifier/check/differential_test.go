package check

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAgainstTheSealer lets the real program play its samples, seal, claim and merge, and checks what it wrote; changed
// claims are refused.
func TestAgainstTheSealer(t *testing.T) {
	if testing.Short() {
		t.Skip("short: building and playing takes a while")
	}
	if _, err := os.Stat("../../cmd/dejpha"); err != nil {
		t.Skip("no sealer beside the verifier")
	}
	for _, room := range []string{"attack", "claim", "cmd/dejpha", "evidence"} { // read, so that the test cache knows of them
		files, _ := filepath.Glob("../../" + room + "/*.go")
		for _, f := range files {
			if _, err := os.ReadFile(f); err != nil {
				t.Fatal(err)
			}
		}
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "dejpha")
	build := exec.Command("go", "build", "-o", program, "./cmd/dejpha")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	dejpha := func(args ...string) {
		t.Helper()
		c := exec.Command(program, args...)
		c.Dir = dir
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("dejpha %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	samples, _ := filepath.Abs("../../samples")
	dejpha("replay", "-l", "east", "-r", samples)
	dejpha("replay", "-l", "west", "-r", samples)
	for _, log := range []string{"east", "west"} {
		r, err := Log(os.DirFS(filepath.Join(dir, log, "evidence")), Options{})
		if err != nil || !r.OK() || r.Sentence != "This log (recording) holds 3 attacks." {
			t.Errorf("%s: %v %q %s", log, err, r.Problems, r.Sentence)
		}
	}
	for name, x := range map[string]struct {
		args   []string
		counts string
	}{
		"all":        {nil, "counted 3 attacks."},
		"scans":      {[]string{"--class", "scan", "--outcome", "observed"}, "counted 1 attack of class scan that were observed."},
		"two":        {[]string{"--class", "scan", "--class", "brute-force", "--risk", "real"}, "counted 2 attacks of class scan or brute-force, risk real."},
		"foiled":     {[]string{"--outcome", "foiled"}, "counted 0 attacks that were foiled."},
		"from early": {[]string{"--from", "2026-11-01"}, "counted 3 attacks."},
		"until late": {[]string{"--to", "2027-01-01T00:00:01"}, "counted 3 attacks."},
	} {
		file := filepath.Join(dir, "claim.json")
		dejpha(append([]string{"claim", "make", "-d", "east", "-o", file}, x.args...)...)
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Claim(b, Options{})
		if err != nil || !r.OK() || !strings.Contains(r.Sentence, x.counts) {
			t.Errorf("%s: %v %q %s", name, err, r.Problems, r.Sentence)
		}
		if name == "scans" {
			tampered(t, "made by dejpha", b, 3, sensorsOnly)
		}
	}
	dejpha("claim", "make", "-d", "east", "-o", "east.json")
	dejpha("claim", "make", "-d", "west", "-o", "west.json")
	dejpha("claim", "merge", "east.json", "west.json", "-d", "east", "-d", "west", "-o", "both.json")
	b, err := os.ReadFile(filepath.Join(dir, "both.json"))
	if err != nil {
		t.Fatal(err)
	}
	if r, err := Claim(b, Options{}); err != nil || !r.OK() || !strings.Contains(r.Sentence, "2 logs (recording) together counted 3 attacks;") {
		t.Errorf("merged: %v %q %s", err, r.Problems, r.Sentence)
	}
	dejpha("evidence", "withdraw", "-d", "east", "--why", "a test", "8")
	dejpha("claim", "make", "-d", "east", "-o", "less.json")
	if b, err = os.ReadFile(filepath.Join(dir, "less.json")); err != nil {
		t.Fatal(err)
	}
	if r, err := Claim(b, Options{}); err != nil || !r.OK() || !strings.HasSuffix(r.Sentence, "counted 3 attacks, and withdrew 1.") {
		t.Errorf("withdrawn: %v %q %s", err, r.Problems, r.Sentence)
	}
	tampered(t, "with a correction", b, 3, sensorsOnly)
	if r, err := Log(os.DirFS(filepath.Join(dir, "east", "evidence")), Options{}); err != nil || !r.OK() || r.Sentence != "This log (recording) holds 2 attacks." {
		t.Errorf("withdrawn: %v %q %s", err, r.Problems, r.Sentence)
	}
}
