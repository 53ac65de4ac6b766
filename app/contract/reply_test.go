package contract

import "testing"

func TestReply(t *testing.T) {
	for text, want := range map[string]struct {
		reply string
		whole bool
	}{
		"220 ready\r\nmore":                   {"220 ready\r\n", true},
		"220-first\r\n220 last\r\nx":          {"220-first\r\n220 last\r\n", true},
		"220-first\r\n220 la":                 {"220-first\r\n220 la", false},
		"22\n220-x":                           {"22\n", true},
		"":                                    {"", false},
		"220-a\n220-b\n220-c\n220-d\n220-e\n": {"220-a\n220-b\n220-c\n220-d", true}, // all that is waited for
	} {
		if reply, whole := Reply([]byte(text), 23); string(reply) != want.reply || whole != want.whole {
			t.Errorf("%q: %q, whole %v", text, reply, whole)
		}
	}
}
