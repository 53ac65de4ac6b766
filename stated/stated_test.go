package stated

import (
	"bytes"
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files again")

func judgeFile(t *testing.T, name string) []Judged {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	figures, err := Read(name, b)
	if err != nil {
		t.Fatal(err)
	}
	return Judge(figures, nil)
}

// TestPublishedFigures holds the reading of published figures to what it said before; every change of a rule shows here.
func TestPublishedFigures(t *testing.T) {
	var got bytes.Buffer
	Print(&got, judgeFile(t, "testdata/published.json"))
	if *update {
		if err := os.WriteFile("testdata/published.txt", got.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/published.txt")
	if err != nil || !bytes.Equal(want, got.Bytes()) {
		t.Errorf("%v; go test ./stated -update writes the file again; got\n%s", err, got.Bytes())
	}
}
