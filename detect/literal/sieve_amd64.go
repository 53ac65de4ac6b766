//go:build !purego

package literal

import "golang.org/x/sys/cpu"

// sieving says whether the processor has what markVector needs.
var sieving = cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512VBMI && cpu.X86.HasAVX512GFNI && cpu.X86.HasBMI2

// markVector is markPlain for 64 positions at a time. The caller owes: sieving is true; dst has a word for each 64
// positions or part of them; positions is at least 1 and at most length; count is at least 1. Nothing needs to be
// aligned, and nothing outside text[:length] is read.
//
//go:noescape
func markVector(dst *uint64, text *byte, length, positions int, hash *[2 * gramBytes]uint64, probes *probe, count int)

// mark notes at which of the first positions of text a gram may begin.
func (s *sieve) mark(dst *[sieveStretch]uint64, text []byte, positions int) {
	if !sieving || positions <= 0 {
		s.markPlain(dst, text, positions)
		return
	}
	markVector(&dst[0], &text[0], len(text), min(positions, len(text), 64*sieveStretch), &s.hash, &s.probes[0], len(s.probes))
}
