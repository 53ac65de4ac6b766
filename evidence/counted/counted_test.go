package counted

import (
	"bytes"
	"crypto/aes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
)

// want is the same by the standard library.
func want(size int, key *[16]byte, first byte, n uint64) []byte {
	out := make([]byte, size/16*16)
	c, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err)
	}
	for i := 0; i < len(out); i += 16 {
		out[i] = first
		binary.BigEndian.PutUint64(out[i+8:], n+uint64(i/16))
		c.Encrypt(out[i:], out[i:])
	}
	return out
}

// Every number of blocks, any key, counts that overflow; what is no whole block is left alone.
func TestBlocksAreAES(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for size := range 400 {
		for _, n := range []uint64{0, 1, 0x0102030405060708, math.MaxUint64 - 3, r.Uint64()} {
			var key [16]byte
			for i := range key {
				key[i] = byte(r.Uint32())
			}
			first := byte(r.Uint32())
			got := bytes.Repeat([]byte{0x5a}, size+1)
			Blocks(got[:size], &key, first, n)
			whole := want(size, &key, first, n)
			if !bytes.Equal(got[:len(whole)], whole) || bytes.ContainsFunc(got[len(whole):], func(c rune) bool { return c != 0x5a }) {
				t.Fatalf("%d bytes, key %x, from %d, %d: %x, want %x", size, key, first, n, got, whole)
			}
		}
	}
	if !able {
		t.Skip("this processor or build has no instructions for AES: only the standard library's way was tested")
	}
}

func BenchmarkLeaf(b *testing.B) {
	var key [16]byte
	var out [256]byte
	for i := range b.N {
		key[0] = byte(i)
		Blocks(out[:128], &key, 0, 0)
		Blocks(out[128:], &key, 0x80, 0)
	}
}
