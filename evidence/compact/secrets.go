package compact

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
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
func (s Secrets) Salt(i int) (out [SaltBytes]byte) { return s.Of(uint64(i)) }

// Of is the block that a number makes.
func (s Secrets) Of(n uint64) (out [SaltBytes]byte) {
	binary.BigEndian.PutUint64(out[SaltBytes-8:], n)
	s.block.Encrypt(out[:], out[:])
	return out
}

// Mask encrypts values in place, or decrypts them: a seed is used for one message only. Integrity comes from the
// commitment.
func (s Secrets) Mask(b []byte) {
	var count, key [aes.BlockSize]byte
	for n := uint64(0); len(b) > 0; n++ {
		count[0] = 0x80
		binary.BigEndian.PutUint64(count[8:], n)
		s.block.Encrypt(key[:], count[:])
		b = b[subtle.XORBytes(b, b, key[:]):]
	}
}
