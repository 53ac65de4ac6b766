package afxdp

import (
	"fmt"
	"math"

	"github.com/cilium/ebpf/asm"

	"github.com/dejpha/dejpha/capture/cbpf"
)

// The kernel runs classic BPF at sockets only. At a driver it wants eBPF, so that filters and the fanout program are
// translated: accumulator and index to two registers, the scratch memory to the stack, each load to one that shows the
// kernel's verifier that it stays inside the frame. A load outside it ends a classic program with 0, and so it does here.

// Registers of the program, of which the last three survive calls of the kernel.
const (
	accumulator = asm.R2
	index       = asm.R3
	work        = asm.R4
	place       = asm.R5
	head        = asm.R7 // the frame's first byte
	tail        = asm.R8 // behind its last
	context     = asm.R9
)

const (
	scratch     = -64        // sixteen words of classic BPF, from there up to the frame pointer
	fromLink    = 0xffe00000 // SKF_LL_OFF: offsets from here on count from the link header, where a frame begins
	fromLinkEnd = 0xffefffff + 1
	special     = 0xfffff000 // SKF_AD_OFF: what the kernel knows of a packet besides
	itsType     = special    // SKF_AD_PROTOCOL
	offsetMost  = 0x7fff     // of one eBPF load
	rangeMost   = 0xf000     // of an offset that is computed; further in there is nothing to see
)

// Classes, sizes, modes and operations of classic BPF (linux/filter.h, linux/bpf_common.h).
const (
	classLoad, classLoadX, classStore, classStoreX   = 0, 1, 2, 3
	classALU, classJump, classReturn, classMisc      = 4, 5, 6, 7
	modeConstant, modeAbs, modeInd, modeMem, modeLen = 0x00, 0x20, 0x40, 0x60, 0x80
	modeHeaderLen                                    = 0xa0
	sizeWord, sizeHalf, sizeByte                     = 0x00, 0x08, 0x10
	fromX                                            = 0x08
)

var jumps = map[uint16]asm.JumpOp{0x10: asm.JEq, 0x20: asm.JGT, 0x30: asm.JGE, 0x40: asm.JSet}

var operations = map[uint16]asm.ALUOp{0x00: asm.Add, 0x10: asm.Sub, 0x20: asm.Mul, 0x30: asm.Div, 0x40: asm.Or, 0x50: asm.And,
	0x60: asm.LSh, 0x70: asm.RSh, 0x90: asm.Mod, 0xa0: asm.Xor}

// translator turns one classic program into a piece of an eBPF one, which goes on at the label end with the result in the
// accumulator. The piece clobbers index, work and place.
type translator struct {
	out  asm.Instructions
	name string // begins its labels
	next string // the label of the instruction to come
	end  string
	outs bool // a load may leave the frame
}

func translate(name, end string, code []cbpf.Instruction) (asm.Instructions, error) {
	t := &translator{name: name, end: end}
	t.add(asm.Mov.Imm(accumulator, 0), asm.Mov.Imm(index, 0))
	for at := int16(scratch); at < 0; at += 8 {
		t.add(asm.StoreMem(asm.R10, at, accumulator, asm.DWord))
	}
	for i, x := range code {
		t.next = t.label(i)
		if err := t.one(i, x, len(code)); err != nil {
			return nil, fmt.Errorf("instruction %d: %w", i+1, err)
		}
	}
	if !t.outs { // the kernel refuses what nothing reaches
		return t.out, nil
	}
	t.next = t.name + "_out"
	t.add(asm.Mov.Imm(accumulator, 0), asm.Ja.Label(end))
	return t.out, nil
}

func (t *translator) label(i int) string { return fmt.Sprintf("%s_%d", t.name, i) }

// leave is the label of a load that leaves the frame.
func (t *translator) leave() string {
	t.outs = true
	return t.name + "_out"
}

func (t *translator) add(all ...asm.Instruction) {
	for _, x := range all {
		if t.next != "" {
			x, t.next = x.WithSymbol(t.next), ""
		}
		t.out = append(t.out, x)
	}
}

func (t *translator) one(i int, x cbpf.Instruction, n int) error {
	unknown := fmt.Errorf("operation %#x is not known", x.Op)
	if x.Op > 0xff {
		return unknown
	}
	switch x.Op & 7 {
	case classLoad:
		return t.load(x)
	case classLoadX:
		return t.loadX(x)
	case classStore, classStoreX:
		if x.K > 15 {
			return fmt.Errorf("there is no scratch word %d", x.K)
		}
		from := accumulator
		if x.Op&7 == classStoreX {
			from = index
		}
		t.add(asm.StoreMem(asm.R10, scratch+4*int16(x.K), from, asm.Word))
	case classALU:
		return t.alu(x)
	case classJump:
		return t.jump(i, x, n)
	case classReturn:
		switch x.Op & 0x18 {
		case 0x00:
			t.add(asm.Mov.Imm32(accumulator, int32(x.K)))
		case 0x10: // A
		default:
			return unknown
		}
		t.add(asm.Ja.Label(t.end))
	case classMisc:
		switch x.Op & 0xf8 {
		case 0x00:
			t.add(asm.Mov.Reg32(index, accumulator))
		case 0x80:
			t.add(asm.Mov.Reg32(accumulator, index))
		default:
			return unknown
		}
	}
	return nil
}

func (t *translator) load(x cbpf.Instruction) error {
	size, mode := x.Op&0x18, x.Op&0xe0
	switch mode {
	case modeConstant:
		t.add(asm.Mov.Imm32(accumulator, int32(x.K)))
	case modeMem:
		return t.recall(accumulator, x.K)
	case modeLen:
		t.add(asm.Mov.Reg(accumulator, tail), asm.Sub.Reg(accumulator, head))
	case modeAbs, modeInd:
		k := x.K
		switch {
		case k == itsType && mode == modeAbs:
			k, size = 12, sizeHalf
		case k >= fromLink && k < fromLinkEnd, mode == modeInd && k >= fromLink-offsetMost && k < fromLink:
			k -= fromLink // less than 0 where a little before the index is meant
		case k >= fromLink:
			return fmt.Errorf("it asks what only a packet socket knows of a packet (offset %#x, as VLAN tags that the kernel took out): compile it for a file, as `tcpdump -ddd -r FILE.pcap 'EXPRESSION'` does", x.K)
		}
		return t.packet(mode, size, k)
	default:
		return fmt.Errorf("operation %#x is not known", x.Op)
	}
	return nil
}

// packet loads from the frame.
func (t *translator) packet(mode, size uint16, k uint32) error {
	width, bytes := asm.Word, int32(4)
	switch size {
	case sizeHalf:
		width, bytes = asm.Half, 2
	case sizeByte:
		width, bytes = asm.Byte, 1
	case sizeWord:
	default:
		return fmt.Errorf("loads of size %#x are not known", size)
	}
	out := t.leave()
	switch {
	case k > rangeMost && (mode == modeAbs || k < -offsetMost&math.MaxUint32):
		t.add(asm.Ja.Label(out))
		return nil
	case mode == modeAbs && k <= offsetMost:
		t.add(asm.Mov.Reg(work, head), asm.Add.Imm(work, int32(k)+bytes), asm.JGT.Reg(work, tail, out), asm.LoadMem(accumulator, head, int16(k), width))
	default:
		if mode == modeAbs {
			t.add(asm.Mov.Imm(work, int32(k)))
		} else {
			t.add(asm.Mov.Reg32(work, index), asm.Add.Imm32(work, int32(k)))
		}
		t.add(asm.JGT.Imm(work, rangeMost, out), asm.Mov.Reg(place, head), asm.Add.Reg(place, work),
			asm.Mov.Reg(work, place), asm.Add.Imm(work, bytes), asm.JGT.Reg(work, tail, out), asm.LoadMem(accumulator, place, 0, width))
	}
	if bytes > 1 {
		t.add(asm.HostTo(asm.BE, accumulator, width))
	}
	return nil
}

func (t *translator) recall(to asm.Register, k uint32) error {
	if k > 15 {
		return fmt.Errorf("there is no scratch word %d", k)
	}
	t.add(asm.LoadMem(to, asm.R10, scratch+4*int16(k), asm.Word))
	return nil
}

func (t *translator) loadX(x cbpf.Instruction) error {
	switch x.Op & 0xe0 {
	case modeConstant:
		t.add(asm.Mov.Imm32(index, int32(x.K)))
	case modeMem:
		return t.recall(index, x.K)
	case modeLen:
		t.add(asm.Mov.Reg(index, tail), asm.Sub.Reg(index, head))
	case modeHeaderLen: // 4 * (the byte's lower half), an IPv4 header's length
		if x.K > offsetMost {
			return fmt.Errorf("offset %d is past any frame", x.K)
		}
		t.add(asm.Mov.Reg(work, head), asm.Add.Imm(work, int32(x.K)+1), asm.JGT.Reg(work, tail, t.leave()),
			asm.LoadMem(index, head, int16(x.K), asm.Byte), asm.And.Imm(index, 15), asm.LSh.Imm(index, 2))
	default:
		return fmt.Errorf("operation %#x is not known", x.Op)
	}
	return nil
}

func (t *translator) alu(x cbpf.Instruction) error {
	if x.Op&0xf0 == 0x80 {
		t.add(asm.Neg.Imm32(accumulator, 0))
		return nil
	}
	op, ok := operations[x.Op&0xf0]
	if !ok {
		return fmt.Errorf("operation %#x is not known", x.Op)
	}
	divides := op == asm.Div || op == asm.Mod
	if x.Op&fromX != 0 {
		if divides {
			t.add(asm.JEq.Imm(index, 0, t.leave()))
		}
		t.add(op.Reg32(accumulator, index))
		return nil
	}
	if divides && x.K == 0 {
		return fmt.Errorf("a division by 0")
	}
	if (op == asm.LSh || op == asm.RSh) && x.K > 31 {
		return fmt.Errorf("a shift by %d bits", x.K)
	}
	t.add(op.Imm32(accumulator, int32(x.K)))
	return nil
}

func (t *translator) jump(i int, x cbpf.Instruction, n int) error {
	to := func(by uint32) (string, error) {
		if uint64(i)+1+uint64(by) >= uint64(n) {
			return "", fmt.Errorf("a jump past the end")
		}
		return t.label(i + 1 + int(by)), nil
	}
	if x.Op&0xf0 == 0 {
		l, err := to(x.K)
		if err == nil {
			t.add(asm.Ja.Label(l))
		}
		return err
	}
	op, ok := jumps[x.Op&0xf0]
	if !ok {
		return fmt.Errorf("operation %#x is not known", x.Op)
	}
	yes, err := to(uint32(x.Jt))
	if err != nil {
		return err
	}
	no, err := to(uint32(x.Jf))
	if err != nil {
		return err
	}
	if x.Op&fromX != 0 {
		t.add(op.Reg32(accumulator, index, yes))
	} else {
		t.add(op.Imm32(accumulator, int32(x.K), yes))
	}
	t.add(asm.Ja.Label(no))
	return nil
}
