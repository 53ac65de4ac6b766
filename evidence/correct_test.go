package evidence

import (
	"strings"
	"testing"
)

// A reason is a line that any terminal can show.
func TestReason(t *testing.T) {
	for text, ok := range map[string]bool{"a test of our own": true, "überprüft": true, "": false, "two\nlines": false, "\x1b[2J": false, "\xff": false, strings.Repeat("x", ReasonMost): true, strings.Repeat("x", ReasonMost+1): false} {
		if err := CheckReason(text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}
