package records

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRecordFileIsMended(t *testing.T) {
	line := `{"timestamp":"2026-11-24T14:28:17.000000+0000","event_type":"attack","attack":{"id":7,"evidence":{"leaf":5}}}` + "\n"
	for text, want := range map[string]Mended{
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
			r, err := Open(path, false)
			if err != nil {
				t.Fatal(err)
			}
			got, err := r.Mend(since)
			if err != nil || got != want {
				t.Errorf("%.60q since %d: %+v, %v; want %+v", text, since, got, err, want)
			}
			_, _ = r.Write([]byte("{}\n"))
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			if b, _ := os.ReadFile(path); string(b) != text[:want.Size]+"{}\n" {
				t.Errorf("%.60q: the file is %q", text, b)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if at := firstStamp(path, 9); want.Leaf == 5 && at != 1795530497e9 || want.Leaf < 0 && at != 9 {
			t.Errorf("%.60q begins at %d", text, at)
		}
	}
}
