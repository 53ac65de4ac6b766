// Package cbpf makes programs of classic BPF, which kernels run on frames: filters that a person writes, and the program
// that spreads frames over workers.
//
// In: words, or keys. Out: instructions. Called by sources of capture and by cmd.
// It runs nothing itself, but for tcpdump, which compiles a filter.
package cbpf

// Instruction is one of classic BPF (Linux Documentation/networking/filter.rst), field by field as
// golang.org/x/net/bpf's RawInstruction, which converts to it.
type Instruction struct {
	Op uint16
	Jt uint8
	Jf uint8
	K  uint32
}

const (
	// InstructionsMost is how many the kernel takes in one program (BPF_MAXINSNS).
	InstructionsMost = 4096
	// SnapLen is more than any frame has, bytes: libpcap's MAXIMUM_SNAPLEN.
	SnapLen = 0x40000
)
