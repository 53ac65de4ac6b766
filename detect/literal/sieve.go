package literal

import (
	"math"
	"math/bits"
)

// A sieve says of 64 positions at a time at which of them a literal's gram may begin. It never misses one and lets
// few others through; what it lets through goes on to the exact tables. It needs a processor that looks up 64 bytes
// in registers at once (sieve_amd64.s); where there is none, a matcher is built without it and scans in plain Go.
//
// Two hashes of eight bits, linear over the gram's bits, choose a bit in each of one to sixteen tables of 1,024 bits;
// a gram passes if all of them are set. A linear hash is one instruction a byte, and case folds away in it: the
// columns of the bit that tells upper from lower case are zero.
type sieve struct {
	hash   [2 * gramBytes]uint64 // bit matrices, one a byte of the gram, first hash then second
	probes []probe
}

// probe is one table. Its byte is chosen by a linear function of both hashes, the bit in it by the second hash.
type probe struct {
	first, second uint64 // bit matrices from the hashes to the byte
	table         [1 << 7]byte
}

const (
	gramBytes    = 4
	pairBytes    = 2
	sieveProbes  = 16   // most tables of a sieve
	sieveBits    = 1024 // of one table
	sieveLeast   = 16   // shorter texts are looked at in plain Go
	sieveStretch = 16   // blocks of 64 positions marked in one call
)

// Costs of 64 positions in ns, as measured on a Zen 5 core: only their ratios matter.
const (
	costBlock = 3.0
	costProbe = 0.8
	costPass  = 2.5 // of one position let through for nothing
	costPlain = 65.0
)

// probesFor chooses how many tables serve n grams, 0 if plain code is as fast.
func probesFor(n int) int {
	best, cost := 0, costPlain
	for k := 1; k <= sieveProbes; k++ {
		full := 1 - math.Exp(-float64(n)/sieveBits)
		pass := math.Pow(full, float64(k)) + float64(n)/(1<<16)
		if c := costBlock + costProbe*float64(k) + costPass*64*pass; c < cost {
			best, cost = k, c
		}
	}
	return best
}

// sieveFor makes an empty sieve for n grams of the given width; nil if it would not pay.
func sieveFor(n, width int) *sieve {
	if k := probesFor(n); sieving && n > 0 && k > 0 {
		return newSieve(k, width)
	}
	return nil
}

// newSieve makes an empty sieve of k tables for grams of the given width.
func newSieve(k, width int) *sieve {
	s := &sieve{probes: make([]probe, k)}
	seed := uint64(1)
	for i := range s.hash {
		if i%gramBytes < width {
			s.hash[i] = matrix(&seed) & (foldWord | foldWord<<32)
		}
	}
	for i := range s.probes {
		s.probes[i].first, s.probes[i].second = matrix(&seed), matrix(&seed)
	}
	return s
}

// matrix returns the next of a fixed sequence of eight by eight bit matrices (splitmix64).
func matrix(seed *uint64) uint64 {
	*seed += 0x9E3779B97F4A7C15
	z := *seed
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// linear multiplies a bit matrix by a byte as GF2P8AFFINEQB does: row 7-i gives bit i.
func linear(m uint64, x byte) byte {
	var y byte
	for i := range 8 {
		y |= byte(bits.OnesCount8(byte(m>>(8*(7-i)))&x)&1) << i
	}
	return y
}

func (s *sieve) hashes(gram []byte) (h1, h2 byte) {
	for i, c := range gram {
		h1 ^= linear(s.hash[i], c)
		h2 ^= linear(s.hash[gramBytes+i], c)
	}
	return h1, h2
}

func (p *probe) index(h1, h2 byte) byte {
	return (linear(p.first, h1) ^ linear(p.second, h2)) & 127
}

// add lets a gram pass. s may be nil.
func (s *sieve) add(gram []byte) {
	if s == nil {
		return
	}
	h1, h2 := s.hashes(gram)
	for i := range s.probes {
		p := &s.probes[i]
		p.table[p.index(h1, h2)] |= 1 << (h2 & 7)
	}
}

// markPlain sets bit i of the words of dst for each of the first positions of text at which the sieve lets pass, and
// leaves the others of the last word zero. Where a gram would reach behind the text, zero bytes stand in for it.
func (s *sieve) markPlain(dst *[sieveStretch]uint64, text []byte, positions int) {
	positions = min(positions, len(text), 64*sieveStretch)
	for w := 0; w*64 < positions; w++ {
		dst[w] = 0
	}
	for i := range positions {
		var gram [gramBytes]byte
		copy(gram[:], text[i:])
		h1, h2 := s.hashes(gram[:])
		ok := byte(1) << (h2 & 7)
		for j := range s.probes {
			p := &s.probes[j]
			ok &= p.table[p.index(h1, h2)]
		}
		if ok != 0 {
			dst[i/64] |= 1 << (i % 64)
		}
	}
}

// bytes returns the memory of a sieve, which may be nil.
func (s *sieve) bytes() int {
	if s == nil {
		return 0
	}
	return len(s.hash)*8 + len(s.probes)*144
}
