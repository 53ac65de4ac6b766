package der

import (
	"strings"
	"testing"
)

func TestNext(t *testing.T) {
	for _, c := range []struct {
		in, body, rest string
		ok             bool
	}{
		{"\x02\x01\x05rest", "\x05", "rest", true},
		{"\x30\x82\x00\x02abc", "ab", "c", true},
		{"\x04\x7fcut", "cut", "", true},
		{"\x30\x80", "", "", false},
		{"\x30\x85\x01\x01\x01\x01\x01", "", "", false},
		{"\x30\x84\xff\xff\xff\xff", "", "", false},
		{"\x30", "", "", false},
		{"", "", "", false},
	} {
		_, body, rest, ok := Next([]byte(c.in))
		if string(body) != c.body || string(rest) != c.rest || ok != c.ok {
			t.Errorf("%q: body %q rest %q ok %v", c.in, body, rest, ok)
		}
	}
}

func TestInside(t *testing.T) {
	b := []byte("\x30\x05\xa1\x03\x02\x01\xff")
	if v := Int(Inside(b, 0x30, 0xa1, 0x02)); v != -1 {
		t.Errorf("got %d", v)
	}
	if Inside(b, 0x30, 0xa2) != nil {
		t.Error("found what is not there")
	}
}

func FuzzNext(f *testing.F) {
	f.Add([]byte("\x30\x05\xa1\x03\x02\x01\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for rest := b; len(rest) > 0; {
			_, body, next, ok := Next(rest)
			if !ok {
				return
			}
			if len(body)+len(next) >= len(rest) || !strings.HasSuffix(string(rest), string(next)) {
				t.Fatalf("%d bytes split into %d and %d", len(rest), len(body), len(next))
			}
			Int(body)
			rest = next
		}
	})
}
