package literal

import (
	"fmt"
	"math/rand"
	"syscall"
	"testing"
)

// sieveOf makes a sieve of k tables that lets some grams pass.
func sieveOf(k, width, grams int, r *rand.Rand) *sieve {
	s := newSieve(k, width)
	for range grams {
		g := make([]byte, width)
		for i := range g {
			g[i] = byte(r.Intn(256))
		}
		s.add(g)
	}
	return s
}

// The assembly marks what plain Go marks, at every length and alignment.
func TestMarksAreTheSame(t *testing.T) {
	if !sieving {
		t.Skip("this processor or build has no assembly to compare")
	}
	r := rand.New(rand.NewSource(3))
	var sieves [sieveProbes][2]*sieve
	for k := range sieves {
		sieves[k] = [2]*sieve{sieveOf(k+1, pairBytes, 40*k*k, r), sieveOf(k+1, gramBytes, 40*k*k, r)}
	}
	room := make([]byte, 64+131)
	for n := 1; n <= 130; n++ {
		for shift := range 64 {
			r.Read(room)
			text := room[shift : shift+n : shift+n]
			k, positions := r.Intn(sieveProbes), max(1, n-r.Intn(6))
			for width, s := range sieves[k] {
				var got, want [sieveStretch]uint64
				s.mark(&got, text, positions)
				s.markPlain(&want, text, positions)
				if got != want {
					t.Fatalf("%d tables, width %d, %d bytes, %d positions: got %x, want %x", k+1, width, n, positions, got, want)
				}
			}
		}
	}
}

// What was added passes, whatever its case and where in the text it lies.
func TestSieveMissesNothing(t *testing.T) {
	r := rand.New(rand.NewSource(4))
	for range 200 {
		s := newSieve(1+r.Intn(sieveProbes), gramBytes)
		gram := []byte{byte(r.Intn(256)), byte(r.Intn(256)), byte(r.Intn(256)), byte(r.Intn(256))}
		s.add(gram)
		text := make([]byte, 200)
		r.Read(text)
		at := r.Intn(len(text) - gramBytes)
		for i, c := range gram {
			text[at+i] = c ^ byte(r.Intn(2)<<5)
		}
		var marks [sieveStretch]uint64
		s.mark(&marks, text, len(text)-gramBytes+1)
		if marks[at/64]>>(at%64)&1 == 0 {
			t.Fatalf("gram %x at %d does not pass", gram, at)
		}
	}
}

// The last byte of the text lies before a page that must not be touched.
func TestNothingBehindTheTextIsRead(t *testing.T) {
	page := syscall.Getpagesize()
	room, err := syscall.Mmap(-1, 0, 3*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Skip("no memory can be mapped: ", err)
	}
	defer syscall.Munmap(room) //nolint:errcheck // a test's memory
	for _, edge := range [][]byte{room[:page], room[2*page:]} {
		if err := syscall.Mprotect(edge, syscall.PROT_NONE); err != nil {
			t.Skip("no page can be protected: ", err)
		}
	}
	middle := room[page : 2*page : 2*page]
	m := Build([]Pattern{{Bytes: []byte("needle"), ID: 1}, {Bytes: []byte("ab"), ID: 2}, {Bytes: []byte("x"), Depth: 9, ID: 3}})
	var h Hits
	for n := range 300 {
		m.Scan(middle[page-n:], &h)
		m.Scan(middle[:n], &h)
		if len(h.IDs) != 0 {
			t.Fatal("hits in zeros")
		}
	}
}

// BenchmarkSieve is the sieve alone on a text of 1 KB: what a table more costs.
func BenchmarkSieve(b *testing.B) {
	r := rand.New(rand.NewSource(3))
	text := make([]byte, 1024+gramBytes-1)
	r.Read(text)
	for _, k := range []int{1, 4, sieveProbes} {
		s := sieveOf(k, gramBytes, 100, r)
		b.Run(fmt.Sprintf("tables=%d", k), func(b *testing.B) {
			b.SetBytes(1024)
			var marks [sieveStretch]uint64
			for b.Loop() {
				s.mark(&marks, text, 1024)
			}
		})
	}
}
