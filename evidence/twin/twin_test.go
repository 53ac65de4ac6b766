package twin

import (
	"bytes"
	"crypto/sha256"
	"math/rand/v2"
	"testing"
)

// same compares the sums of messages with the standard library's.
func same(t *testing.T, l *List, messages [][]byte) {
	t.Helper()
	l.Reset()
	for _, m := range messages {
		l.Write(m[:len(m)/2]...)
		l.Write(m[len(m)/2:]...)
		l.End()
	}
	got := bytes.Repeat([]byte{0xaa}, (len(messages)+1)*sha256.Size)
	if n := l.Sums(got); n != len(messages) {
		t.Fatalf("%d sums of %d messages", n, len(messages))
	}
	for i, m := range messages {
		if want := sha256.Sum256(m); !bytes.Equal(got[i*sha256.Size:][:sha256.Size], want[:]) {
			t.Fatalf("message %d of %d, %d bytes: %x, want %x", i, len(messages), len(m), got[i*sha256.Size:][:sha256.Size], want)
		}
	}
	if !bytes.Equal(got[len(messages)*sha256.Size:], bytes.Repeat([]byte{0xaa}, sha256.Size)) {
		t.Fatal("written past the last sum")
	}
}

// Every length around the edges of blocks, alone and beside another.
func TestEveryLength(t *testing.T) {
	var l List
	text := make([]byte, 400)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range text {
		text[i] = byte(r.Uint32())
	}
	for n := range text {
		same(t, &l, [][]byte{text[:n]})
		same(t, &l, [][]byte{text[:n], text[n:]})
	}
	same(t, &l, nil)
	needsInstructions(t)
}

// needsInstructions says that only the standard library's way was tested, where that is all there is.
func needsInstructions(t *testing.T) {
	t.Helper()
	if !able {
		t.Skip("this processor or build has no instructions for SHA-256: only the standard library's way was tested")
	}
}

// Lists of messages of any lengths, with a list used again.
func TestListsOfMessages(t *testing.T) {
	var l List
	r := rand.New(rand.NewPCG(3, 4))
	for range 3000 {
		messages := make([][]byte, r.IntN(12))
		for i := range messages {
			messages[i] = make([]byte, r.IntN(1<<r.IntN(11)))
			for j := range messages[i] {
				messages[i][j] = byte(r.Uint32())
			}
		}
		same(t, &l, messages)
	}
	needsInstructions(t)
}

func FuzzSums(f *testing.F) {
	f.Add([]byte("abc"), 1, 2)
	f.Add(bytes.Repeat([]byte{0x80}, 129), 55, 119)
	f.Fuzz(func(t *testing.T, b []byte, x, y int) {
		x, y = min(max(x, 0), len(b)), min(max(y, 0), len(b))
		var l List
		same(t, &l, [][]byte{b[:min(x, y)], b[min(x, y):max(x, y)], b[max(x, y):]})
	})
}

// What a leaf hides, beside the same by the standard library.
func BenchmarkLeaf(b *testing.B) {
	sizes := []int{80, 110, 150, 18, 26, 18, 440, 46}
	text := make([]byte, 512)
	var out [8 * sha256.Size]byte
	b.Run("twin", func(b *testing.B) {
		var l List
		for range b.N {
			l.Reset()
			for _, n := range sizes {
				l.Write(text[:n]...)
				l.End()
			}
			l.Sums(out[:])
		}
	})
	b.Run("one by one", func(b *testing.B) {
		for range b.N {
			for i, n := range sizes {
				h := sha256.Sum256(text[:n])
				copy(out[i*sha256.Size:], h[:])
			}
		}
	})
}
