package jsonline

import (
	"encoding/base64"
	"encoding/json"
	"testing"
)

func TestStringsComeBackWhole(t *testing.T) {
	cases := []struct{ in, out string }{
		{"plain", `"plain"`},
		{"a\"b\\c", `"a\"b\\c"`},
		{"\x00\x1f\x7f\n\t\r\b\f", `"\u0000\u001f\u007f\n\t\r\b\f"`},
		{"grüße", `"grüße"`},
		{"ü\xff", `"\\xC3\\xBC\\xFF"`},
		{"", `""`},
	}
	for _, c := range cases {
		if got := string(AppendString(nil, c.in)); got != c.out {
			t.Errorf("AppendString(%q) = %s, want %s", c.in, got, c.out)
		}
		if got := string(AppendString(nil, []byte(c.in))); got != c.out {
			t.Errorf("AppendString(bytes %q) = %s, want %s", c.in, got, c.out)
		}
	}
}

func TestTimes(t *testing.T) {
	for ns, want := range map[int64]string{
		0:                   `"1970-01-01T00:00:00.000000+0000"`,
		1700000000123456789: `"2023-11-14T22:13:20.123456+0000"`,
		1709210096000042000: `"2024-02-29T12:34:56.000042+0000"`,
		-1:                  `"1969-12-31T23:59:59.999999+0000"`,
	} {
		if got := string(AppendTime(nil, ns)); got != want {
			t.Errorf("AppendTime(%d) = %s, want %s", ns, got, want)
		}
	}
}

func TestObjectsAreJSON(t *testing.T) {
	b := []byte{'{'}
	b = KeyString(b, "a", "x")
	b = KeyInt(b, "b", -3)
	b = KeyUint(b, "c", 7)
	b = KeyBool(b, "d", true)
	b = KeyTime(b, "e", 5)
	b = AppendFloat(AppendKey(b, "f"), 1.5)
	b = append(AppendPrintable(AppendKey(b, "g"), "a\x00\r\n\"\xff"), '}')
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	if m["g"] != "a.\r\n\"." || m["b"] != -3.0 || m["f"] != 1.5 {
		t.Errorf("came back as %v", m)
	}
}

func TestNoAllocation(t *testing.T) {
	buf := make([]byte, 0, 256)
	text := []byte("some \x01 text")
	if n := testing.AllocsPerRun(100, func() { buf = AppendTime(AppendString(buf[:0], text), 99) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzString(f *testing.F) {
	f.Add([]byte("a\x80\"\\"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if b := AppendString(nil, in); !json.Valid(b) {
			t.Errorf("%q gives %q", in, b)
		}
		if b := AppendPrintable(nil, in); !json.Valid(b) {
			t.Errorf("%q gives %q", in, b)
		}
		want := `"` + base64.StdEncoding.EncodeToString(in) + `"`
		if got := string(AppendBase64(nil, in)); got != want {
			t.Errorf("base64 of %q: %s, want %s", in, got, want)
		}
	})
}
