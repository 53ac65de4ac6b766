// Package counted encrypts numbers with AES-128 (FIPS 197): the blocks that the counter mode of operation masks with.
//
// In: a key of 16 bytes, the first byte of every block, the number that the first ends with. Out: as many blocks as there
// is room for. Called by evidence/compact, where each leaf has a key of its own and needs a dozen blocks: with the
// processor's instructions nothing is kept of the key and nothing is allocated; without them the standard library does
// the work. It keeps no state.
package counted

import (
	"crypto/aes"
	"encoding/binary"
)

// Blocks fills dst, as far as it holds whole blocks: each is what comes of first, seven zeros, and a number, which counts
// on from n.
func Blocks(dst []byte, key *[16]byte, first byte, n uint64) {
	count := len(dst) / aes.BlockSize
	if count == 0 {
		return
	}
	if able {
		blocks(&dst[0], key, count, uint64(first), n)
		return
	}
	cipher, _ := aes.NewCipher(key[:]) // 16 bytes: never an error
	for ; count > 0; n++ {
		b := dst[:aes.BlockSize]
		clear(b[:8])
		b[0] = first
		binary.BigEndian.PutUint64(b[8:], n)
		cipher.Encrypt(b, b)
		dst, count = dst[aes.BlockSize:], count-1
	}
}
