//go:build !purego

package counted

import "golang.org/x/sys/cpu"

// able says whether the processor has what blocks needs.
var able = cpu.X86.HasAES && cpu.X86.HasSSE41

// blocks writes count blocks, at least one. The caller owes: able is true; dst has room; first is below 256.
//
//go:noescape
func blocks(dst *byte, key *[16]byte, count int, first, n uint64)
