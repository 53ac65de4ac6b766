package chain

import (
	"testing"

	"github.com/dejpha/dejpha/rule"
)

func TestTransforms(t *testing.T) {
	for _, c := range []struct{ name, arg, in, want string }{
		{"dotprefix", "", "a.b", ".a.b"},
		{"to_lowercase", "", "AbC", "abc"},
		{"to_uppercase", "", "aB", "AB"},
		{"strip_whitespace", "", " a b\r\n", "ab"},
		{"compress_whitespace", "", "a  \tb", "a b"},
		{"to_md5", "", "", "\xd4\x1d\x8c\xd9\x8f\x00\xb2\x04\xe9\x80\x09\x98\xec\xf8\x42\x7e"},
		{"url_decode", "", "a%41+%zz", "aA %zz"},
		{"xor", "01", "ab", "\x60\x63"},
		{"pcrexform", "[a-z]+=(\\d+)", "x=12;", "12"},
		{"from_base64", "", "YWJjZA==", "abcd"},
		{"from_base64", "bytes 4, offset 1", "xYWJjZA==", "abc"},
		{"domain", "", "a.b.example.com", "example.com"},
	} {
		list, _, why := NewTransforms([]rule.Transform{{Name: c.name, Arg: c.arg}})
		if why != nil {
			t.Errorf("%s: %s", c.name, why.Why)
			continue
		}
		var e Eval
		if got := e.Apply(list, []byte(c.in)); string(got) != c.want {
			t.Errorf("%s(%q): got %q, want %q", c.name, c.in, got, c.want)
		}
	}
	if _, _, why := NewTransforms([]rule.Transform{{Name: "nonsense"}}); why == nil {
		t.Error("an unknown transform was taken")
	}
}

// FuzzChain holds that no condition reads outside of the buffer, whatever its numbers.
func FuzzChain(f *testing.F) {
	f.Add([]byte("abcabc"), int64(1), int64(2), int64(-3), uint8(7))
	f.Fuzz(func(t *testing.T, buf []byte, a, b, c int64, bits uint8) {
		set := func(bit uint8, v int64) rule.Bound { return rule.Bound{Set: bits&bit != 0, Value: v} }
		chain, why := Compile([]rule.Condition{
			&rule.Content{Pattern: []byte("a"), Offset: set(1, a), Depth: set(2, b)},
			&rule.ByteJump{Count: rule.Bound{Value: a}, Offset: rule.Bound{Value: b}, Relative: bits&4 != 0, PostOffset: int(c % 1000), FromEnd: bits&8 != 0},
			&rule.ByteTest{Count: rule.Bound{Value: b}, Offset: rule.Bound{Value: c}, Op: ">", Relative: true, String: bits&16 != 0, Base: 10},
			&rule.IsDataAt{At: rule.Bound{Value: c}, Relative: bits&32 != 0},
			&rule.Base64Decode{Bytes: rule.Bound{Value: a}, Offset: rule.Bound{Value: c}, Relative: true},
			&rule.Content{Pattern: []byte("b"), Distance: set(64, c), Within: set(128, a)},
		})
		if why != nil {
			t.Fatal(why.Why)
		}
		var e Eval
		e.Run(&chain, buf)
	})
}

func TestSharedBudget(t *testing.T) {
	c, why := Compile([]rule.Condition{
		&rule.Content{Pattern: []byte("a")},
		&rule.PCRE{Pattern: `^(?:a|aa)+x`, Relative: true},
	})
	if why != nil {
		t.Fatal(why.Why)
	}
	var e Eval
	buf := make([]byte, 4000)
	for i := range buf {
		buf[i] = 'a'
	}
	if e.Run(&c, buf) || !e.Over {
		t.Errorf("over %v", e.Over)
	}
}

// TestReadText holds what a number written out is: a count of 0 takes the digits that stand there.
func TestReadText(t *testing.T) {
	for _, c := range []struct {
		text      string
		at, count int64
		base      int
		want      uint64
		used      int64
		ok        bool
	}{
		{"x675;", 1, 3, 10, 675, 3, true},
		{"x675;", 1, 0, 10, 675, 3, true},
		{"x675", 1, 0, 10, 675, 3, true},
		{"x675;", 1, 5, 10, 0, 0, false},
		{"x;", 1, 0, 10, 0, 0, false},
		{"x", 1, 0, 10, 0, 0, false},
		{"", 0, 0, 10, 0, 0, false},
		{"1ff ", 0, 0, 16, 0x1ff, 3, true},
		{"675", -1, 0, 10, 0, 0, false},
		{"675", 0, -1, 10, 0, 0, false},
		{"675", 0, 24, 10, 0, 0, false},
	} {
		v, used, ok := readText([]byte(c.text), c.at, c.count, c.base)
		if ok != c.ok || ok && (v != c.want || used != c.used) {
			t.Errorf("%q at %d, %d bytes, base %d: got %d, %d, %v; want %d, %d, %v", c.text, c.at, c.count, c.base, v, used, ok, c.want, c.used, c.ok)
		}
	}
}
