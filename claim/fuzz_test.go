package claim

import (
	"io"
	"os"
	"path/filepath"
	"testing"
)

// FuzzRead reads made-up claim files: nothing panics, what is read is written again as it was, and what holds can be shown.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"claim.json", "merged.json"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"claim":"dejpha/merged/1","parts":[null,null],"pairs":[[0,0,0,0]]}`))
	f.Add([]byte(`{"claim":"dejpha/claim/1","leaves":{"to":{"index":-1,"leaf":"","path":[9]}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := Read(b)
		if err != nil {
			return
		}
		var r Result
		if file.Merged != nil {
			r = file.Merged.Check()
			file.Merged.Print(io.Discard, &r)
		} else {
			r = file.One.Check("")
			file.One.Print(io.Discard, &r)
		}
		if len(r.Problems) > 1 {
			t.Errorf("%d problems: the first ends a check", len(r.Problems))
		}
	})
}
