package compact

import (
	"crypto/subtle"
	"slices"

	"github.com/dejpha/dejpha/evidence/counted"
)

// SaltBytes is the length of a salt.
const SaltBytes = 16

// Secrets is what is made of a leaf's seed: AES-128 under it, of the blocks that count the fields for the salts, and of
// those that count from 2^127 on for the values.
type Secrets struct{ seed [16]byte }

// NewSecrets takes a seed of 16 bytes.
func NewSecrets(seed []byte) (s Secrets) {
	copy(s.seed[:], seed)
	return s
}

// Salt is that of field i.
func (s Secrets) Salt(i int) (out [SaltBytes]byte) { return s.Of(uint64(i)) }

// Salts writes those of the first fields, one behind the other, as many as there is room for.
func (s Secrets) Salts(out []byte) { counted.Blocks(out, &s.seed, 0, 0) }

// Of is the block that a number makes.
func (s Secrets) Of(n uint64) (out [SaltBytes]byte) {
	counted.Blocks(out[:], &s.seed, 0, n)
	return out
}

// Mask encrypts values in place, or decrypts them: a seed is used for one message only. Integrity comes from the
// commitment. room is for what they are masked with, and is returned to be used again.
func (s Secrets) Mask(b, room []byte) []byte {
	room = slices.Grow(room[:0], len(b)+SaltBytes)
	key := room[:(len(b)+SaltBytes-1)/SaltBytes*SaltBytes]
	counted.Blocks(key, &s.seed, 0x80, 0)
	subtle.XORBytes(b, b, key)
	return room
}
