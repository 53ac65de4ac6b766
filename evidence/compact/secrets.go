package compact

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"slices"
)

// SaltBytes is the length of a salt.
const SaltBytes = 16

// Secrets is what is made of a leaf's seed: AES-128 under it, of the blocks that count the fields for the salts, and of
// those that count from 2^127 on for the values.
type Secrets struct{ block cipher.Block }

// NewSecrets takes a seed of 16 bytes.
func NewSecrets(seed []byte) Secrets {
	block, _ := aes.NewCipher(seed) // 16 bytes: never an error
	return Secrets{block}
}

// Salt is that of field i.
func (s Secrets) Salt(i int) (out [SaltBytes]byte) {
	s.blocks(out[:], 0, uint64(i))
	return out
}

// Salts writes those of the first fields, one behind the other, as many as there is room for.
func (s Secrets) Salts(out []byte) { s.blocks(out, 0, 0) }

// Of writes the block that a number makes.
func (s Secrets) Of(out *[SaltBytes]byte, n uint64) { s.blocks(out[:], 0, n) }

// blocks fills out with what is made of blocks that begin with a byte and end with a number that counts on.
func (s Secrets) blocks(out []byte, first byte, n uint64) {
	for ; len(out) >= aes.BlockSize; n++ {
		b := out[:aes.BlockSize]
		clear(b[:8])
		b[0] = first
		binary.BigEndian.PutUint64(b[8:], n)
		s.block.Encrypt(b, b)
		out = out[aes.BlockSize:]
	}
}

// Mask encrypts values in place, or decrypts them: a seed is used for one message only. Integrity comes from the
// commitment. room is for what they are masked with, and is returned to be used again.
func (s Secrets) Mask(b, room []byte) []byte {
	room = slices.Grow(room[:0], len(b)+aes.BlockSize)
	key := room[:(len(b)+aes.BlockSize-1)/aes.BlockSize*aes.BlockSize]
	s.blocks(key, 0x80, 0)
	subtle.XORBytes(b, b, key)
	return room
}
