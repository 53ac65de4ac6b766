package behaviour

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// docs/detectors.md says of each sign what the code does, and has a section of each detector.
func TestTheDocumentSaysWhatTheCodeDoes(t *testing.T) {
	b, err := os.ReadFile("../docs/detectors.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(b)
	var table strings.Builder
	for _, x := range signs() {
		fmt.Fprintf(&table, "| %s | %s | %d | %s | %s |\n", x.name, x.detector, x.bound, x.class, x.technique)
	}
	if !strings.Contains(doc, table.String()) {
		t.Errorf("the table of signs should be:\n%s", table.String())
	}
	for _, d := range New(Config{}) {
		if !strings.Contains(doc, "\n## "+d.Name()+"\n") {
			t.Errorf("no section on %s", d.Name())
		}
	}
}
