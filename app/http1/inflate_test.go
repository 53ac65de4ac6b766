package http1

import (
	"bytes"
	"compress/flate"
	"math/rand"
	"testing"
)

func inflateCut(t testing.TB, in []byte, cut int) ([]byte, bool, bool) {
	var out []byte
	z := new(inflater)
	z.reset(func(b []byte) bool { out = append(out, b...); return true })
	for len(in) > 0 {
		n := min(cut, len(in))
		done, ok := z.write(in[:n])
		if done || !ok {
			return out, done, ok
		}
		in = in[n:]
	}
	return out, false, true
}

func TestInflateAgreesWithTheLibrary(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	for _, size := range []int{0, 1, 100, 5000, 70000, 200000} {
		plain := make([]byte, size)
		for i := range plain {
			plain[i] = byte("abcdefgh \n"[r.Intn(1+i%10)])
			if size == 5000 {
				plain[i] = byte(r.Intn(256))
			}
		}
		for level := -2; level <= 9; level++ {
			var b bytes.Buffer
			w, _ := flate.NewWriter(&b, level)
			w.Write(plain[:size/2])
			w.Flush()
			w.Write(plain[size/2:])
			w.Close()
			for _, cut := range []int{1, 7, 1000, 1 << 20} {
				out, done, ok := inflateCut(t, b.Bytes(), cut)
				if !done || !ok || !bytes.Equal(out, plain) {
					t.Fatalf("size %d level %d cut %d: %d bytes, done %v ok %v", size, level, cut, len(out), done, ok)
				}
			}
		}
	}
}

func FuzzInflate(f *testing.F) {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, 9)
	w.Write([]byte("hello hello hello hello, this is a seed"))
	w.Close()
	f.Add(b.Bytes(), 3)
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		if len(in) > 2000 {
			return
		}
		whole, done, ok := inflateCut(t, in, 1<<20)
		parts, done2, ok2 := inflateCut(t, in, 1+(cut&15))
		if !bytes.Equal(whole, parts) || done != done2 || ok != ok2 {
			t.Fatalf("cut changes the answer: %d %v %v, %d %v %v", len(whole), done, ok, len(parts), done2, ok2)
		}
	})
}
