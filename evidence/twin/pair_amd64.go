//go:build !purego

package twin

import "golang.org/x/sys/cpu"

// able says whether the processor has what pair needs.
var able = cpu.X86.HasSSSE3 && cpu.X86.HasSSE41 && extensions()

// extensions says whether the processor has the instructions for SHA-256 (leaf 7 of CPUID).
func extensions() bool

// pair takes n blocks of each of two messages into their states. The caller owes: able is true; n is at least 1; one and
// two have n blocks of 64 bytes. Nothing needs to be aligned.
//
//go:noescape
func pair(a, b *state, one, two *byte, n int)
