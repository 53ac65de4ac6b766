//go:build !amd64 || purego

package literal

// sieving says whether marking is faster than scanning in plain Go; without the assembly it is not, and no matcher is
// given a sieve.
const sieving = false

// mark notes at which of the first positions of text a gram may begin.
func (s *sieve) mark(dst *[sieveStretch]uint64, text []byte, positions int) {
	s.markPlain(dst, text, positions)
}
