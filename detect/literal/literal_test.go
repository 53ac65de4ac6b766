package literal

import (
	"math/rand"
	"slices"
	"strings"
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

// forms are the ways to build a matcher; all must find the same.
var forms = []struct {
	name  string
	build func([]Pattern) *Matcher
}{
	{"plain", func(p []Pattern) *Matcher { return build(p, false) }},
	{"sieve", func(p []Pattern) *Matcher { return build(p, sieving) }},
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
		for _, pad := range []string{"", strings.Repeat("\x01", 70)} { // short texts are not sieved
			text := []byte(c.text + pad)
			if got := naive(c.patterns, text); !slices.Equal(got, c.want) {
				t.Errorf("%s: naive: got %v, want %v", c.name, got, c.want)
			}
			for _, f := range forms {
				var h Hits
				if got := scan(f.build(c.patterns), text, &h); !slices.Equal(got, c.want) {
					t.Errorf("%s: %s: got %v, want %v", c.name, f.name, got, c.want)
				}
			}
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
		matchers := []*Matcher{forms[0].build(patterns), forms[1].build(patterns)}
		for n := 0; n < 131; n += 1 + r.Intn(9) {
			text := random(n)
			want := naive(patterns, text)
			for i, m := range matchers {
				if got := scan(m, text, &h); !slices.Equal(got, want) {
					t.Fatalf("%s: text %q: got %v, want %v", forms[i].name, text, got, want)
				}
			}
		}
	}
}

func FuzzScan(f *testing.F) {
	f.Add([]byte("abcd"), []byte("BC"), []byte("xxabcdxx"), true)
	f.Add([]byte("/etc/passwd"), []byte("."), []byte("GET /a/../../ETC/passwd HTTP/1.1\r\nHost: a.example\r\nAccept: text/html, */*; q=0.5\r\n\r\n"), true)
	f.Fuzz(func(t *testing.T, a, b, text []byte, fold bool) {
		if len(a) > 1000 || len(b) > 1000 {
			return
		}
		p := []Pattern{{Bytes: a, NoCase: fold, ID: 1}, {Bytes: b, ID: 2}}
		want := naive(p, text)
		for _, form := range forms {
			var h Hits
			if got := scan(form.build(p), text, &h); !slices.Equal(got, want) {
				t.Fatalf("%s: got %v, want %v", form.name, got, want)
			}
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

// TestHitsHash holds every build to the same hits: a hash over all pairs of text and pattern found in it, whatever the
// matcher's form. The figure is the naive search's.
func TestHitsHash(t *testing.T) {
	const want = 0xa20a1b87f8994728
	r := rand.New(rand.NewSource(2026))
	const letters = "etaoinshrdluETAOIN/.=-_ \r\n:0123\x00\xff"
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = letters[r.Intn(1+r.Intn(len(letters)))]
		}
		return b
	}
	var patterns []Pattern
	for i := range 600 {
		p := Pattern{Bytes: random(1 + r.Intn(6)), NoCase: i%3 == 0, ID: uint32(i)}
		if i%5 == 0 {
			p.Offset, p.Depth = uint32(r.Intn(40)), uint32(r.Intn(200))
		}
		patterns = append(patterns, p)
	}
	hashes := make([]uint64, 1+len(forms))
	for i := range hashes {
		hashes[i] = 14695981039346656037 // FNV-1a
	}
	matchers := []*Matcher{forms[0].build(patterns), forms[1].build(patterns)}
	var hits Hits
	for n := range 131 {
		for range 2 {
			text := random(n * 3 / 2)
			found := [][]uint32{naive(patterns, text), scan(matchers[0], text, &hits), scan(matchers[1], text, &hits)}
			for i, ids := range found {
				for _, id := range append(ids, 1<<20) {
					hashes[i] = (hashes[i] ^ uint64(id)) * 1099511628211
				}
			}
		}
	}
	for i, h := range hashes {
		if h != want {
			t.Errorf("form %d: hash over all hits is %#x, want %#x", i, h, uint64(want))
		}
	}
}
