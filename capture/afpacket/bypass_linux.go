package afpacket

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/capture/cbpf"
)

// The bypass. A socket has one filter: where conversations may be skipped it is this program, which looks a frame's
// addresses, ports and tags up in a map that all rings share, counts and leaves out what it finds, and shows all else.
// What begins or ends a connection is always shown, so that a conversation ends and a new one of the same ports is
// looked at; so are fragments, and of each direction one frame in aliveEvery, so that its record does not time out.

const (
	skippedMost = 1 << 16 // directions skipped at once; past it those that were silent for longest are shown again
	aliveEvery  = int64(10e9)
)

// The key of one direction, the layout of skipKey: at the stack's top, header and ports below.
const (
	onKey   = -48
	onSrc   = onKey
	onDst   = onKey + 16
	onPorts = onKey + 32
	onProto = onKey + 36
	onIP    = onKey + 37
	onTags  = onKey + 40
	onHead  = -96  // an IP header without options, 40 bytes
	onL4    = -112 // 14 bytes of what follows
	onType  = -120 // TCI and EtherType
)

// skipKey is one direction; 48 bytes without holes.
type skipKey struct {
	Src, Dst  [16]byte
	Ports     [4]byte // in network order, the source's first
	Proto, IP uint8
	_         [2]uint8
	Tags      uint64 // 16 bits a tag, the innermost lowest: its id and tagSet
}

const tagSet = 1 << 15

type skipValue struct{ Packets, Bytes, Shown, Why uint64 }

const (
	whySlots  = 8             // capture.Reasons, rounded up: what masks a reason in the program
	ringBytes = whySlots * 16 // of one ring's counts: packets and bytes by reason
)

// skipper is the bypass of a group of sources.
type skipper struct {
	flows, total *ebpf.Map       // total: packets and bytes by ring and reason, in one value, which programs reach without a look-up
	programs     []*ebpf.Program // by worker, then interface: a ring each
	faces        int
	users        atomic.Int32
}

func newSkipper(workers, faces int, snaplen uint32) (*skipper, error) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		return nil, fmt.Errorf("%w: the bypass is for little-endian machines", ErrKernel)
	}
	s := &skipper{faces: faces}
	s.users.Store(int32(workers))
	var err error
	if s.flows, err = ebpf.NewMap(&ebpf.MapSpec{Name: "dejpha_skip", Type: ebpf.LRUHash, KeySize: 48, ValueSize: 32, MaxEntries: skippedMost}); err != nil {
		return nil, fmt.Errorf("a map of conversations (eBPF): %w", err)
	}
	if s.total, err = ebpf.NewMap(&ebpf.MapSpec{Name: "dejpha_skipped", Type: ebpf.Array, KeySize: 4, ValueSize: uint32(ringBytes * workers * faces), MaxEntries: 1}); err != nil {
		s.close()
		return nil, fmt.Errorf("a map of counts (eBPF): %w", err)
	}
	for i := range workers * faces {
		p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "dejpha_skip", Type: ebpf.SocketFilter, License: "MIT", Instructions: s.program(uint32(i), snaplen)})
		if err != nil {
			s.close()
			return nil, fmt.Errorf("a socket's program (eBPF): %w", err)
		}
		s.programs = append(s.programs, p)
	}
	return s, nil
}

// leave is called once by each source.
func (s *skipper) leave() {
	if s.users.Add(-1) == 0 {
		s.close()
	}
}

func (s *skipper) close() {
	for _, p := range s.programs {
		_ = p.Close()
	}
	if s.total != nil {
		_ = s.total.Close()
	}
	_ = s.flows.Close()
}

// attach gives a ring its filter; skips says that it is the bypass.
func attach(o *Options, r *opened, member int) (skips bool, err error) {
	if o.skip == nil || r.link != linkEthernet || len(o.Filters[r.name]) > 0 {
		return false, setFilter(r.fd, filter(o, r.name))
	}
	at := member*o.skip.faces + slices.Index(o.Interfaces, r.name)
	err = unix.SetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_ATTACH_BPF, o.skip.programs[at].FD())
	return err == nil, err
}

// bypass prepares the bypass where it is wished; without it everything is shown, which is said.
func (o *Options) bypass(workers int) {
	o.skip = nil
	if !o.Bypass {
		return
	}
	free := 0
	for _, name := range o.Interfaces {
		if len(o.Filters[name]) == 0 {
			free++
			continue
		}
		o.say("%s: bypass is off, everything is inspected: its filter takes the place at the socket", name)
	}
	if free == 0 {
		return
	}
	s, err := newSkipper(workers, len(o.Interfaces), o.Snaplen)
	if err != nil {
		o.say("bypass is off, everything is inspected: the kernel does not give %v", err)
		return
	}
	o.skip = s
}

// keys are both directions of a conversation.
func keys(c *capture.Conversation) (a, b skipKey) {
	a = skipKey{Src: c.A, Dst: c.B, Proto: c.Proto, IP: c.IPVersion}
	binary.BigEndian.PutUint16(a.Ports[:], c.PortA)
	binary.BigEndian.PutUint16(a.Ports[2:], c.PortB)
	for i := range min(int(c.VLANs), len(c.VLAN)) {
		a.Tags = a.Tags<<16 | tagSet | uint64(c.VLAN[i]&0xfff)
	}
	b = a
	b.Src, b.Dst = a.Dst, a.Src
	copy(b.Ports[:], a.Ports[2:])
	copy(b.Ports[2:], a.Ports[:2])
	return a, b
}

// Bypass implements capture.Bypasser.
func (s *source) Bypass(iface uint16, c *capture.Conversation, why capture.Reason) bool {
	if s.o.skip == nil || int(iface) >= len(s.rings) || !s.rings[iface].skips || int(c.VLANs) > len(c.VLAN) {
		return false
	}
	a, b := keys(c)
	v := skipValue{Why: uint64(why)}
	if s.o.skip.flows.Put(a, v) != nil {
		return false
	}
	if s.o.skip.flows.Put(b, v) != nil {
		_ = s.o.skip.flows.Delete(a)
		return false
	}
	return true
}

// Resume implements capture.Bypasser.
func (s *source) Resume(c *capture.Conversation) (fromA, fromB capture.Skipped) {
	if s.o.skip == nil {
		return
	}
	a, b := keys(c)
	for k, to := range map[skipKey]*capture.Skipped{a: &fromA, b: &fromB} {
		var v skipValue
		if s.o.skip.flows.Lookup(k, &v) == nil {
			to.Packets, to.Bytes = v.Packets, v.Bytes
		}
		_ = s.o.skip.flows.Delete(k)
	}
	return fromA, fromB
}

// skipped brings what the kernel skipped for this worker's rings so far up to date; it never goes back.
func (s *source) skipped() {
	if s.o.skip == nil {
		return
	}
	v := make([]uint64, len(s.o.skip.programs)*ringBytes/8)
	if s.o.skip.total.Lookup(uint32(0), &v) != nil {
		return
	}
	for place, r := range s.rings {
		mine := v[(r.member*s.o.skip.faces+place)*ringBytes/8:]
		var all uint64
		for why := range r.stats.Why {
			r.stats.Why[why] = mine[2*why]
			all += mine[2*why]
		}
		r.stats.Received += all - r.stats.Bypassed
		r.stats.Bypassed = all
	}
}

// skb is what the program sees of a frame (struct __sk_buff), by offset.
const (
	skbLen    = 0
	skbTagged = 20
	skbTCI    = 24
)

// program is the filter of one ring. R6 the frame, R7 the protocol, R8 where it is read, R9 the tags.
func (s *skipper) program(ring, snaplen uint32) asm.Instructions {
	code := asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.Mov.Imm(asm.R9, 0),
		asm.Mov.Imm(asm.R8, 14),
	}
	for at := int16(onKey); at < 0; at += 8 {
		code = append(code, asm.StoreMem(asm.R10, at, asm.R9, asm.DWord))
	}
	code = append(code,
		asm.LoadMem(asm.R2, asm.R6, skbTagged, asm.Word),
		asm.JEq.Imm(asm.R2, 0, "untagged"),
		asm.LoadMem(asm.R9, asm.R6, skbTCI, asm.Word),
		asm.And.Imm(asm.R9, 0xfff),
		asm.Or.Imm(asm.R9, tagSet),
		asm.Mov.Imm(asm.R2, 12).WithSymbol("untagged"),
	)
	code = append(code, loadBytes(onType+2, 2)...)
	code = append(code, tags()...)
	code = append(code, addresses()...)
	code = append(code, asm.JEq.Imm(asm.R7, 6, "tcp"), asm.JNE.Imm(asm.R7, 17, "show"), asm.Mov.Reg(asm.R2, asm.R8))
	code = append(code, loadBytes(onL4, 4)...)
	code = append(code, asm.Ja.Label("ports"), asm.Mov.Reg(asm.R2, asm.R8).WithSymbol("tcp"))
	code = append(code, loadBytes(onL4, 14)...)
	code = append(code,
		asm.LoadMem(asm.R2, asm.R10, onL4+13, asm.Byte),
		asm.And.Imm(asm.R2, 7), // FIN, SYN, RST
		asm.JNE.Imm(asm.R2, 0, "show"),
		asm.LoadMem(asm.R2, asm.R10, onL4, asm.Word).WithSymbol("ports"),
		asm.StoreMem(asm.R10, onPorts, asm.R2, asm.Word),
		asm.StoreMem(asm.R10, onProto, asm.R7, asm.Byte),
		asm.LoadMapPtr(asm.R1, s.flows.FD()),
		asm.Mov.Reg(asm.R2, asm.R10),
		asm.Add.Imm(asm.R2, onKey),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "show"),
		asm.Mov.Reg(asm.R7, asm.R0),
		asm.FnKtimeGetBootNs.Call(),
		asm.LoadMem(asm.R1, asm.R7, 16, asm.DWord),
		asm.Mov.Reg(asm.R2, asm.R0),
		asm.Sub.Reg(asm.R2, asm.R1),
		asm.LoadImm(asm.R3, aliveEvery, asm.DWord),
		asm.JSGT.Reg(asm.R2, asm.R3, "alive"), // below zero if another processor's clock is a little ahead
		asm.LoadMem(asm.R1, asm.R6, skbLen, asm.Word),
		asm.LoadMem(asm.R3, asm.R6, skbTagged, asm.Word),
		asm.LSh.Imm(asm.R3, 2), // the tag that the kernel has taken out
		asm.Add.Reg(asm.R1, asm.R3),
		asm.Mov.Imm(asm.R2, 1),
		asm.AddAtomic.Mem(asm.R7, asm.R2, asm.DWord, 0),
		asm.AddAtomic.Mem(asm.R7, asm.R1, asm.DWord, 8),
		asm.LoadMem(asm.R5, asm.R7, 24, asm.DWord),
		asm.And.Imm(asm.R5, whySlots-1),
		asm.LSh.Imm(asm.R5, 4),
		asm.LoadMapValue(asm.R4, s.total.FD(), ring*ringBytes),
		asm.Add.Reg(asm.R4, asm.R5),
		asm.AddAtomic.Mem(asm.R4, asm.R2, asm.DWord, 0),
		asm.AddAtomic.Mem(asm.R4, asm.R1, asm.DWord, 8),
		asm.Mov.Imm(asm.R0, 0),
		asm.Return(),
		asm.StoreMem(asm.R7, 16, asm.R0, asm.DWord).WithSymbol("alive"),
		asm.Mov.Imm(asm.R0, int32(snaplen)).WithSymbol("show"),
		asm.Return(),
	)
	return code
}

// loadBytes copies n bytes from the offset in R2 to the stack; a frame that is too short is shown.
func loadBytes(to, n int32) asm.Instructions {
	return asm.Instructions{
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.Mov.Reg(asm.R3, asm.R10),
		asm.Add.Imm(asm.R3, to),
		asm.Mov.Imm(asm.R4, n),
		asm.FnSkbLoadBytes.Call(),
		asm.JNE.Imm(asm.R0, 0, "show"),
	}
}

// tags reads what tags stand in the frame itself, as the fanout program does; more than three in all are shown.
func tags() (code asm.Instructions) {
	for i := range cbpf.TagsDeep + 1 {
		tag, first := fmt.Sprintf("tag%d", i), asm.LoadMem(asm.R3, asm.R10, onType+2, asm.Half)
		code = append(code, first, asm.HostTo(asm.BE, asm.R3, asm.Half),
			asm.JEq.Imm(asm.R3, 0x8100, tag), asm.JEq.Imm(asm.R3, 0x88a8, tag), asm.JEq.Imm(asm.R3, 0x9100, tag), asm.Ja.Label("ip"))
		full := asm.Mov.Reg(asm.R2, asm.R9).WithSymbol(tag)
		if i == cbpf.TagsDeep {
			return append(code, full, asm.Ja.Label("show"))
		}
		code = append(code, full, asm.RSh.Imm(asm.R2, 47), asm.JNE.Imm(asm.R2, 0, "show"), asm.Mov.Reg(asm.R2, asm.R8))
		code = append(code, loadBytes(onType, 4)...)
		code = append(code,
			asm.LoadMem(asm.R2, asm.R10, onType, asm.Half),
			asm.HostTo(asm.BE, asm.R2, asm.Half),
			asm.And.Imm(asm.R2, 0xfff),
			asm.Or.Imm(asm.R2, tagSet),
			asm.LSh.Imm(asm.R9, 16),
			asm.Or.Reg(asm.R9, asm.R2),
			asm.Add.Imm(asm.R8, 4),
		)
	}
	return code
}

// addresses reads the IP header at R8 into the key; fragments and extension headers are shown.
func addresses() asm.Instructions {
	code := asm.Instructions{
		asm.StoreMem(asm.R10, onTags, asm.R9, asm.DWord).WithSymbol("ip"),
		asm.Mov.Reg(asm.R2, asm.R8),
		asm.JEq.Imm(asm.R3, 0x0800, "v4"),
		asm.JNE.Imm(asm.R3, 0x86dd, "show"),
	}
	code = append(code, loadBytes(onHead, 40)...)
	code = append(code,
		asm.LoadMem(asm.R2, asm.R10, onHead, asm.Byte),
		asm.RSh.Imm(asm.R2, 4),
		asm.JNE.Imm(asm.R2, 6, "show"),
		asm.StoreImm(asm.R10, onIP, 6, asm.Byte),
		asm.LoadMem(asm.R7, asm.R10, onHead+6, asm.Byte),
	)
	for i := int16(0); i < 32; i += 8 {
		code = append(code, asm.LoadMem(asm.R2, asm.R10, onHead+8+i, asm.DWord), asm.StoreMem(asm.R10, onSrc+i, asm.R2, asm.DWord))
	}
	code = append(code, asm.Add.Imm(asm.R8, 40), asm.Ja.Label("l4"), asm.Mov.Reg(asm.R2, asm.R8).WithSymbol("v4"))
	code = append(code, loadBytes(onHead, 20)...)
	return append(code,
		asm.LoadMem(asm.R2, asm.R10, onHead, asm.Byte),
		asm.JLT.Imm(asm.R2, 0x45, "show"),
		asm.JGT.Imm(asm.R2, 0x4f, "show"),
		asm.And.Imm(asm.R2, 15),
		asm.LSh.Imm(asm.R2, 2),
		asm.Add.Reg(asm.R8, asm.R2),
		asm.LoadMem(asm.R2, asm.R10, onHead+6, asm.Half),
		asm.HostTo(asm.BE, asm.R2, asm.Half),
		asm.And.Imm(asm.R2, 0x3fff), // more fragments, or a later one
		asm.JNE.Imm(asm.R2, 0, "show"),
		asm.StoreImm(asm.R10, onIP, 4, asm.Byte),
		asm.LoadMem(asm.R7, asm.R10, onHead+9, asm.Byte),
		asm.StoreImm(asm.R10, onSrc+8, -65536, asm.Word), // ::ffff:
		asm.StoreImm(asm.R10, onDst+8, -65536, asm.Word),
		asm.LoadMem(asm.R2, asm.R10, onHead+12, asm.Word),
		asm.StoreMem(asm.R10, onSrc+12, asm.R2, asm.Word),
		asm.LoadMem(asm.R2, asm.R10, onHead+16, asm.Word),
		asm.StoreMem(asm.R10, onDst+12, asm.R2, asm.Word),
		asm.Mov.Imm(asm.R2, 0).WithSymbol("l4"),
	)
}
