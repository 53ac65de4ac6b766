package afxdp

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/capture/captest"
	"github.com/dejpha/dejpha/capture/cbpf"
)

// run is classic BPF as its documentation has it (Linux Documentation/networking/filter.rst), for frames that begin with
// their link header.
func run(code []cbpf.Instruction, frame []byte) uint32 {
	var a, x uint32
	var m [16]uint32
	load := func(at uint64, size uint16) (uint32, bool) {
		switch {
		case size == sizeWord && at+4 <= uint64(len(frame)):
			return binary.BigEndian.Uint32(frame[at:]), true
		case size == sizeHalf && at+2 <= uint64(len(frame)):
			return uint32(binary.BigEndian.Uint16(frame[at:])), true
		case size == sizeByte && at+1 <= uint64(len(frame)):
			return uint32(frame[at]), true
		}
		return 0, false
	}
	for i := 0; ; i++ {
		c := code[i]
		k := c.K
		if c.Op&fromX != 0 && (c.Op&7 == classALU || c.Op&7 == classJump) {
			k = x
		}
		ok := true
		switch c.Op & 7 {
		case classLoad, classLoadX:
			v := k
			switch c.Op & 0xe0 {
			case modeMem:
				v = m[k]
			case modeLen:
				v = uint32(len(frame))
			case modeAbs:
				if k == itsType {
					v, ok = load(12, sizeHalf)
				} else {
					v, ok = load(uint64(k&^uint32(fromLink)), c.Op&0x18)
				}
			case modeInd:
				if k >= fromLink-offsetMost {
					k -= fromLink
				}
				v, ok = load(uint64(k+x), c.Op&0x18)
			case modeHeaderLen:
				v, ok = load(uint64(k), sizeByte)
				v = v & 15 * 4
			}
			if c.Op&7 == classLoad {
				a = v
			} else {
				x = v
			}
		case classStore:
			m[k] = a
		case classStoreX:
			m[k] = x
		case classALU:
			a, ok = calculate(c.Op&0xf0, a, k)
		case classJump:
			i += skip(c, a, k)
		case classReturn:
			if c.Op&0x18 == 0x10 {
				return a
			}
			return k
		case classMisc:
			if c.Op&0x80 != 0 {
				a = x
			} else {
				x = a
			}
		}
		if !ok {
			return 0
		}
	}
}

func calculate(op uint16, a, k uint32) (uint32, bool) {
	switch op {
	case 0x00:
		return a + k, true
	case 0x10:
		return a - k, true
	case 0x20:
		return a * k, true
	case 0x30, 0x90:
		if k == 0 {
			return 0, false
		}
		if op == 0x30 {
			return a / k, true
		}
		return a % k, true
	case 0x40:
		return a | k, true
	case 0x50:
		return a & k, true
	case 0x60:
		return a << (k & 31), true
	case 0x70:
		return a >> (k & 31), true
	case 0x80:
		return -a, true
	}
	return a ^ k, true
}

func skip(c cbpf.Instruction, a, k uint32) int {
	yes := false
	switch c.Op & 0xf0 {
	case 0x00:
		return int(c.K)
	case 0x10:
		yes = a == k
	case 0x20:
		yes = a > k
	case 0x30:
		yes = a >= k
	case 0x40:
		yes = a&k != 0
	}
	if yes {
		return int(c.Jt)
	}
	return int(c.Jf)
}

// loaded is a translated program that the kernel runs on frames; its answer is cut to 31 bits, for that of a test run is
// signed in places.
func loaded(t *testing.T, code []cbpf.Instruction) (*ebpf.Program, error) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root to load programs")
	}
	piece, err := translate("piece", "end", code)
	if err != nil {
		return nil, err
	}
	all := append(asm.Instructions{asm.LoadMem(head, asm.R1, offData, asm.Word), asm.LoadMem(tail, asm.R1, offEnd, asm.Word)}, piece...)
	all = append(all, asm.Mov.Reg32(asm.R0, accumulator).WithSymbol("end"), asm.Return())
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "MIT", Instructions: all})
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = p.Close() })
	return p, nil
}

// frames are some of recorded traffic, as long as a test run takes them, and some that end too early.
func frames() (all [][]byte) {
	n := 0
	captest.Frames(func(first bool, f *capture.Frame) bool {
		if first {
			n = 0
		}
		if n++; f.LinkType == linkEthernet && len(f.Data) >= 14 && len(f.Data) < 3000 {
			all = append(all, append([]byte(nil), f.Data...), append([]byte(nil), f.Data[:14+len(f.Data)%20*len(f.Data)/40]...))
		}
		return first || n < 20 && len(all) < 1200
	})
	return all
}

func same(t *testing.T, what string, code []cbpf.Instruction, frames [][]byte) {
	t.Helper()
	p, err := loaded(t, code)
	if err != nil {
		var v *ebpf.VerifierError
		if errors.As(err, &v) {
			t.Fatalf("%s: %+v", what, v)
		}
		t.Fatalf("%s: %v", what, err)
	}
	for i, f := range frames {
		if len(f) < 14 {
			continue
		}
		got, err := p.Run(&ebpf.RunOptions{Data: f})
		if err != nil {
			t.Fatalf("%s, frame %d of %d bytes: %v", what, i, len(f), err)
		}
		if want := run(code, f); got != want {
			t.Fatalf("%s, frame %d of %d bytes: %#x, expected %#x", what, i, len(f), got, want)
		}
	}
}

func TestTheFanoutProgramIsTheSameAtTheDriver(t *testing.T) {
	code, ok := cbpf.Fanout(cbpf.NewKeys(), true)
	if !ok {
		t.Fatal("no program")
	}
	all := frames()
	same(t, "fanout", code, all)
	values := map[uint32]bool{}
	for _, f := range all {
		values[run(code, f)] = true
	}
	if len(values) < 10 {
		t.Errorf("only %d answers: the frames show nothing", len(values))
	}
}

// What tcpdump compiles for files.
func TestFiltersAreTheSameAtTheDriver(t *testing.T) {
	all := frames()
	for _, expression := range []string{"tcp", "udp port 53", "not port 22 and greater 60", "ip[6:2] & 0x1fff = 0 and tcp[13] & 2 != 0",
		"vlan and tcp", "ip6 and icmp6", "tcp portrange 80-443", "len - 20 > ip[2:2] * 2 / 3", "host 10.0.0.1 or net 192.168.0.0/16"} {
		code, err := cbpf.ReadFilter("", expression)
		if err != nil {
			t.Skipf("%s: %v", expression, err)
		}
		same(t, expression, code, all)
	}
}

// Random programs: whatever is translated and passes the kernel's verifier gives classic BPF's answer.
func TestRandomProgramsAreTheSameAtTheDriver(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	all := frames()
	all = all[:min(len(all), 60)]
	for range 150 {
		same(t, "random", random(r), all)
	}
}

func random(r *rand.Rand) (code []cbpf.Instruction) {
	n := 4 + r.IntN(25)
	k := func(most int) uint32 { return uint32(r.IntN(most)) }
	alu := []uint16{0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x80, 0x90, 0xa0}
	for i := range n {
		rest := n - i // instructions behind this one, the return among them
		var c cbpf.Instruction
		switch r.IntN(12) {
		case 0:
			c = cbpf.Instruction{Op: classLoad | modeAbs | []uint16{sizeWord, sizeHalf, sizeByte}[r.IntN(3)], K: k(80) + uint32(r.IntN(2))*fromLink}
		case 1:
			c = cbpf.Instruction{Op: classLoad | modeInd | []uint16{sizeWord, sizeHalf, sizeByte}[r.IntN(3)], K: k(60) + uint32(r.IntN(2))*(fromLink-4)}
		case 2:
			c = cbpf.Instruction{Op: classLoad | modeMem, K: k(16)}
		case 3:
			c = cbpf.Instruction{Op: classLoadX | modeMem, K: k(16)}
		case 4:
			c = cbpf.Instruction{Op: classStore + uint16(r.IntN(2)), K: k(16)}
		case 5:
			c = cbpf.Instruction{Op: classLoadX | modeHeaderLen | sizeByte, K: k(40)}
		case 6, 7:
			c = cbpf.Instruction{Op: classALU | alu[r.IntN(len(alu))] | uint16(r.IntN(2))*fromX, K: 1 + k(31)}
		case 8:
			c = cbpf.Instruction{Op: classMisc | uint16(r.IntN(2))*0x80}
		case 9:
			c = cbpf.Instruction{Op: uint16(classLoad + r.IntN(2)), K: r.Uint32() >> r.IntN(32)} // a constant
		case 10:
			c = cbpf.Instruction{Op: uint16(classLoad+r.IntN(2)) | modeLen}
		default:
			c = cbpf.Instruction{Op: classJump | []uint16{0x10, 0x20, 0x30, 0x40}[r.IntN(4)] | uint16(r.IntN(2))*fromX, Jt: uint8(r.IntN(min(rest, 6))), Jf: 0, K: r.Uint32() >> r.IntN(32)}
		}
		code = append(code, c)
	}
	return append(code, cbpf.Instruction{Op: classReturn | 0x10})
}

func TestProgramsThatAreNoneAreRefused(t *testing.T) {
	for _, c := range [][]cbpf.Instruction{
		{{Op: 0x28, K: 0xfffff02c}, {Op: 6}},      // the kernel's VLAN tag
		{{Op: 0x15, Jt: 3}, {Op: 6}},              // past the end
		{{Op: 0x05, K: 1 << 31}, {Op: 6}},         //
		{{Op: 0x02, K: 16}, {Op: 6}},              // no such word
		{{Op: 0x34, K: 0}, {Op: 6}},               // a division by 0
		{{Op: 0x64, K: 32}, {Op: 6}},              // a shift by too much
		{{Op: 0xfff, K: 0}, {Op: 6}},              //
		{{Op: 0xb4}, {Op: 6}},                     //
		{{Op: 0xe0}, {Op: 6}},                     //
		{{Op: 0x38, K: 0}, {Op: 6}},               // a load of no size
		{{Op: 0xb1, K: 1 << 20}, {Op: 6}},         // past any frame
		{{Op: classReturn | 0x18}, {Op: 6, K: 0}}, //
		{{Op: classMisc | 0x40}, {Op: 6}},         //
	} {
		if _, err := translate("p", "end", c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}
