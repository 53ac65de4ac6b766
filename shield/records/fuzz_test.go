package records

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// FuzzRecordFile mends record files that a crash may have left. What stays is a beginning of what was there, of whole
// lines of JSON, and a second look finds nothing to mend.
func FuzzRecordFile(f *testing.F) {
	f.Add([]byte("{\"event_type\":\"attack\",\"attack\":{\"id\":7,\"evidence\":{\"leaf\":3}}}\n{\"event_type\":\"al"), int64(0))
	f.Add([]byte("{}\n{}\n\x00\x00\x00"), int64(3))
	f.Add([]byte("[1]\nnull\n"), int64(5))
	name := filepath.Join(f.TempDir(), "eve.json")
	f.Fuzz(func(t *testing.T, b []byte, since int64) {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := MendFile(name, since)
		if err != nil {
			t.Fatal(err)
		}
		left, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(b, left) || int64(len(left)) != m.Size || int64(len(b)) != m.Size+m.Cut {
			t.Fatalf("%d bytes of %d are left, said to be %d with %d cut", len(left), len(b), m.Size, m.Cut)
		}
		if rest := left[min(max(lineFrom(b, since), 0), len(left)):]; len(rest) > 0 {
			for _, line := range bytes.SplitAfter(bytes.TrimSuffix(rest, []byte("\n")), []byte("\n")) {
				if !json.Valid(line) {
					t.Fatalf("a broken line is left: %q", line)
				}
			}
		}
		if again, err := MendFile(name, since); err != nil || again.Cut != 0 || again.Leaf != m.Leaf || again.ID != m.ID {
			t.Fatalf("a second look: %+v, %v, the first %+v", again, err, m)
		}
	})
}

// lineFrom is where lines are looked at from: since, if a line begins there.
func lineFrom(b []byte, since int64) int {
	if since <= 0 || since > int64(len(b)) || b[since-1] != '\n' {
		return 0
	}
	return int(since)
}
