package literal

import (
	"math/rand"
	"slices"
	"testing"
)

// naive is the twin that every other form must agree with.
func naive(patterns []Pattern, text []byte) []uint32 {
	var out []uint32
	for _, p := range patterns {
		if len(p.Bytes) == 0 {
			continue
		}
		for i := 0; i+len(p.Bytes) <= len(text); i++ {
			if uint32(i) < p.Offset || p.Depth != 0 && uint32(i+len(p.Bytes)) > p.Depth {
				continue
			}
			same := true
			for j, c := range p.Bytes {
				t := text[i+j]
				if p.NoCase {
					c, t = upper(c), upper(t)
				}
				same = same && c == t
			}
			if same {
				out = append(out, p.ID)
				break
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func scan(m *Matcher, text []byte, h *Hits) []uint32 {
	m.Scan(text, h)
	out := slices.Clone(h.IDs)
	slices.Sort(out)
	return out
}

func TestSeeds(t *testing.T) {
	for _, c := range []struct {
		name, text string
		patterns   []Pattern
		want       []uint32
	}{
		{"plain", "xxhellox", []Pattern{{Bytes: []byte("hello"), ID: 1}}, []uint32{1}},
		{"case kept", "HELLO", []Pattern{{Bytes: []byte("hello"), ID: 1}}, nil},
		{"case free", "HeLLO wOrLD!", []Pattern{{Bytes: []byte("hello world!"), NoCase: true, ID: 4}}, []uint32{4}},
		{"fold is for letters only", "abc[", []Pattern{{Bytes: []byte("abc{"), NoCase: true, ID: 4}}, nil},
		{"at the very end", "x/etc/p", []Pattern{{Bytes: []byte("tc/p"), ID: 2}}, []uint32{2}},
		{"one byte", "a|b", []Pattern{{Bytes: []byte("|"), ID: 3}, {Bytes: []byte("Z"), NoCase: true, ID: 5}}, []uint32{3}},
		{"two and three", "a|b..", []Pattern{{Bytes: []byte("|B"), NoCase: true, ID: 3}, {Bytes: []byte("b.."), ID: 5}}, []uint32{3, 5}},
		{"too early", "abcdabcd", []Pattern{{Bytes: []byte("abcd"), Offset: 1, ID: 3}, {Bytes: []byte("abcd"), Offset: 5, ID: 6}}, []uint32{3}},
		{"too deep", "xabcdabcd", []Pattern{{Bytes: []byte("abcd"), Depth: 4, ID: 3}, {Bytes: []byte("abcd"), Depth: 5, ID: 6}}, []uint32{6}},
		{"empty text", "", []Pattern{{Bytes: []byte("a"), ID: 3}}, nil},
	} {
		var h Hits
		if got := scan(Build(c.patterns), []byte(c.text), &h); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestTwin(t *testing.T) {
	r := rand.New(rand.NewSource(11))
	var h Hits
	for round := 0; round < 300; round++ {
		alphabet := []byte("abAB/. \x00c1")[:2+r.Intn(8)]
		random := func(n int) []byte {
			b := make([]byte, n)
			for i := range b {
				b[i] = alphabet[r.Intn(len(alphabet))]
			}
			return b
		}
		patterns := make([]Pattern, r.Intn(60))
		for i := range patterns {
			patterns[i] = Pattern{Bytes: random(1 + r.Intn(14)), NoCase: r.Intn(2) == 0, ID: uint32(i)}
			if r.Intn(4) == 0 {
				patterns[i].Offset = uint32(r.Intn(20))
				patterns[i].Depth = uint32(r.Intn(60))
			}
		}
		m := Build(patterns)
		for n := 0; n < 131; n += 1 + r.Intn(9) {
			text := random(n)
			if got, want := scan(m, text, &h), naive(patterns, text); !slices.Equal(got, want) {
				t.Fatalf("text %q: got %v, want %v", text, got, want)
			}
		}
	}
}

func FuzzScan(f *testing.F) {
	f.Add([]byte("abcd"), []byte("BC"), []byte("xxabcdxx"), true)
	f.Fuzz(func(t *testing.T, a, b, text []byte, fold bool) {
		if len(a) > 1000 || len(b) > 1000 {
			return
		}
		p := []Pattern{{Bytes: a, NoCase: fold, ID: 1}, {Bytes: b, ID: 2}}
		var h Hits
		if got, want := scan(Build(p), text, &h), naive(p, text); !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

func TestNoAllocation(t *testing.T) {
	m := Build([]Pattern{{Bytes: []byte("needle"), ID: 1}, {Bytes: []byte("x"), ID: 2}})
	var h Hits
	text := []byte("some text with a needle and an x in it")
	m.Scan(text, &h)
	if n := testing.AllocsPerRun(100, func() { m.Scan(text, &h) }); n != 0 {
		t.Fatalf("%v allocations a scan", n)
	}
}

func BenchmarkScan(b *testing.B) {
	r := rand.New(rand.NewSource(5))
	for _, n := range []int{100, 1000, 5000} {
		var ps []Pattern
		for i := 0; i < n; i++ {
			p := make([]byte, 6+r.Intn(20))
			for j := range p {
				p[j] = "etaoinshrdlu/.=-_0123456789"[r.Intn(27)]
			}
			ps = append(ps, Pattern{Bytes: p, NoCase: true, ID: uint32(i)})
		}
		m := Build(ps)
		text := make([]byte, 1400)
		for j := range text {
			text[j] = "etaoinshrdlu/.=- \r\n0123456789"[r.Intn(29)]
		}
		var h Hits
		b.Run("literals="+string(rune('0'+n/1000))+"k", func(b *testing.B) {
			b.SetBytes(1400)
			for i := 0; i < b.N; i++ {
				m.Scan(text, &h)
			}
		})
	}
}
