package ruleset

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dejpha/dejpha/hoststate"
)

// FuzzThresholdFile reads threshold files: an error names a line that is there, what is taken has a known kind, and
// reading it twice takes the same.
func FuzzThresholdFile(f *testing.F) {
	f.Add("suppress gen_id 1, sig_id 2, track by_src, ip [10.0.0.0/8,!10.1.1.1]\n# note\nthreshold gen_id 1, sig_id 0, type limit, track by_dst, count 3, seconds 60\n")
	f.Add("rate_filter gen_id 1, sig_id 3, track by_rule, count 1, seconds 2, new_action drop, timeout 3\nevent_filter gen_id 1, sig_id 5, \\\n type both, track by_both, count 1, seconds 9")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		name := filepath.Join(dir, "threshold.config")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var a, b Thresholds
		err := a.load(name)
		if err != nil {
			if !strings.HasPrefix(err.Error(), name+":") || strings.HasPrefix(err.Error(), name+":0") {
				t.Fatalf("an error without a place: %v", err)
			}
			return
		}
		if err := b.load(name); err != nil || len(a.file) != len(b.file) {
			t.Fatalf("%d lines at first, then %d, %v", len(a.file), len(b.file), err)
		}
		if len(a.file) > strings.Count(text, "\n")+1 {
			t.Fatalf("%d lines taken of %q", len(a.file), text)
		}
		s := hoststate.NewThresholds(16)
		for i := range a.file {
			for at := range int64(4) {
				s.Check(hoststate.Key{SID: a.file[i].sid, GID: a.file[i].gid}, a.file[i].Threshold, at*1e9)
			}
		}
	})
}
