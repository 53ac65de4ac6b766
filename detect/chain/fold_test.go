package chain

import (
	"bytes"
	"math/rand"
	"strings"
	"testing"
)

// The search agrees with a search in a text made upper case, whatever text and literal.
func TestIndexFold(t *testing.T) {
	r := rand.New(rand.NewSource(9))
	letters := []byte("abAB{[.\x00\xe0\xc0")
	for range 200000 {
		alphabet := letters[:1+r.Intn(len(letters))]
		text, lit := make([]byte, r.Intn(90)), make([]byte, 1+r.Intn(4))
		for i := range text {
			text[i] = alphabet[r.Intn(len(alphabet))]
		}
		for i := range lit {
			lit[i] = upper(alphabet[r.Intn(len(alphabet))])
		}
		folded := make([]byte, len(text))
		for i, c := range text {
			folded[i] = upper(c)
		}
		if got, want := indexFold(text, lit, rarest(lit)), bytes.Index(folded, lit); got != want {
			t.Fatalf("%q in %q: got %d, want %d", lit, text, got, want)
		}
	}
}

// BenchmarkIndexFold is a search in vain: in a page, and in a text made of the literal's rarest byte.
func BenchmarkIndexFold(b *testing.B) {
	lit := []byte("DOCUMENT.WRITE(UNESCAPE(")
	page := []byte(strings.Repeat("<div class=\"row\"><a href=\"/a/b.html\">Some words (and others) for the reader.</a></div>\r\n", 200))
	for _, text := range [][]byte{page, bytes.Repeat([]byte("("), len(page))} {
		for kind, find := range map[string]func() int{
			"jumps": func() int { return indexFold(text, lit, rarest(lit)) },
			"walks": func() int { return walkFold(text, lit, 0) },
		} {
			b.Run(string(text[:1])+"/"+kind, func(b *testing.B) {
				b.SetBytes(int64(len(text)))
				for b.Loop() {
					if find() >= 0 {
						b.Fatal("found")
					}
				}
			})
		}
	}
}
