package xdp

import (
	"fmt"

	"github.com/cilium/ebpf/asm"
)

// The program, made of instructions here, so that no compiler and no binary is needed. Its way:
//
//	Ethernet, up to two VLAN tags -> IPv4 or IPv6, else out
//	source in host4/host6, then in nets, longest first
//	  a hit: ended? guarded? within its rate? else DROP
//	destination in targets, longest first
//	  its bucket for this kind of packet: ended? source guarded? contact proven? within its rate? else DROP
//	out: what stands in the map "next", else PASS
//
// A packet whose source is in no table never asks for the guard, and one whose target has no limit is not parsed further.
// TestProgramAgainstItsTwin holds it to the same thing written in Go.

// Registers that survive calls.
const (
	ctx   = asm.R6
	head  = asm.R7 // where the parsing stands in the frame
	tail  = asm.R8 // the frame's end
	found = asm.R9 // the value under judgement
)

// The stack, from the frame pointer down.
const (
	onNow    = -8   // ns on the boot clock, once it was needed
	onKey    = -16  // key of a host; later the wider key of a bucket
	onSrc    = -40  // lpmKey of the source
	onDst    = -64  // lpmKey of the destination
	onLimit  = -72  // limitKey
	onProven = -112 // provenKey
	onFlags  = -120 // 1: the exemptions were asked, there is none
	onZero   = -124 // key of the only element of arrays
	onHops   = -128 // hop limit of IPv6
)

const (
	levels      = 4 // nested prefixes, ended or within their rate, behind which the next wider one is still seen
	groupLevels = 3 // the same of target groups
	guardLevels = 4 // nested ended lines of the guard; behind them the address counts as guarded
	headersMax  = 6 // IPv6 extension headers looked behind
	triesMax    = 3 // attempts at a bucket that other processors change; then the packet is over the rate
	xdpDrop     = 1
	xdpPass     = 2
	etherVLAN   = 0x0081 // in the order in which a little-endian load sees them
	etherQinQ   = 0xa888
	etherQinQ2  = 0x0091
	ether4      = 0x0008
	ether6      = 0xdd86
)

type emitter struct {
	ins      asm.Instructions
	label    string
	n        int
	careless bool // leaves the guard out: measurements compare with it
}

func (e *emitter) add(all ...asm.Instruction) {
	for _, i := range all {
		if e.label != "" {
			i = i.WithSymbol(e.label)
			e.label = ""
		}
		e.ins = append(e.ins, i)
	}
}

// mark names the next instruction.
func (e *emitter) mark(label string) {
	if e.label != "" {
		e.add(asm.Mov.Reg(asm.R0, asm.R10)) // two labels at one place, where R0 is free: something for the first
	}
	e.label = label
}

func (e *emitter) fresh(what string) string {
	e.n++
	return fmt.Sprintf("%s%d", what, e.n)
}

// lookup asks a map for the key on the stack; R0 is the value, 0: none.
func (e *emitter) lookup(name string, key int32) {
	e.add(asm.LoadMapPtr(asm.R1, 0).WithReference(name),
		asm.Mov.Reg(asm.R2, asm.R10), asm.Add.Imm(asm.R2, key), asm.FnMapLookupElem.Call())
}

// need goes to label if fewer than n bytes are left at head.
func (e *emitter) need(n int32, label string) {
	e.add(asm.Mov.Reg(asm.R2, head), asm.Add.Imm(asm.R2, n), asm.JGT.Reg(asm.R2, tail, label))
}

// program is the whole of it. source, if any, is put before the look-ups and may rewrite the source address on the stack
// and in the frame: the measurements use it.
func program(source func(e *emitter)) asm.Instructions {
	e := &emitter{}
	e.ethernet()
	e.ipv4(source)
	e.ipv6()
	e.hits()
	e.limits()
	e.ends()
	return e.ins
}

func (e *emitter) ethernet() {
	e.add(asm.Mov.Reg(ctx, asm.R1),
		asm.LoadMem(head, ctx, 0, asm.Word), asm.LoadMem(tail, ctx, 4, asm.Word))
	e.need(14, "out")
	e.add(asm.LoadMem(asm.R3, head, 12, asm.Half), asm.Add.Imm(head, 14))
	for range 2 {
		tagged, untagged := e.fresh("tagged"), e.fresh("untagged")
		e.add(asm.JEq.Imm(asm.R3, etherVLAN, tagged), asm.JEq.Imm(asm.R3, etherQinQ, tagged), asm.JNE.Imm(asm.R3, etherQinQ2, untagged))
		e.mark(tagged)
		e.need(4, "out")
		e.add(asm.LoadMem(asm.R3, head, 2, asm.Half), asm.Add.Imm(head, 4))
		e.mark(untagged)
	}
	e.add(asm.JEq.Imm(asm.R3, ether4, "ipv4"), asm.JEq.Imm(asm.R3, ether6, "ipv6"), asm.Ja.Label("out"))
}

// key prepares an lpmKey of IPv4 on the stack; R3 has the address.
func (e *emitter) key4(at int16) {
	e.add(asm.StoreMem(asm.R10, at+8, asm.R3, asm.Word),
		asm.StoreImm(asm.R10, at, fullBits, asm.Word), asm.StoreImm(asm.R10, at+4, 4, asm.Word),
		asm.StoreImm(asm.R10, at+12, 0, asm.Word), asm.StoreImm(asm.R10, at+16, 0, asm.Word), asm.StoreImm(asm.R10, at+20, 0, asm.Word))
}

func (e *emitter) ipv4(source func(e *emitter)) {
	e.mark("ipv4")
	e.need(20, "out")
	e.add(asm.LoadMem(asm.R3, head, 0, asm.Byte), asm.JLT.Imm(asm.R3, 0x45, "out"), asm.JGT.Imm(asm.R3, 0x4f, "out"))
	if source != nil {
		source(e)
	}
	e.add(asm.LoadMem(asm.R3, head, 16, asm.Word))
	e.key4(onDst)
	e.add(asm.LoadMem(asm.R3, head, 12, asm.Word), asm.StoreMem(asm.R10, onKey, asm.R3, asm.Word))
	e.key4(onSrc)
	e.lookup(mapHost4, onKey)
	e.add(asm.JEq.Imm(asm.R0, 0, "nets1"), asm.Ja.Label("judge0"))
}

func (e *emitter) ipv6() {
	e.mark("ipv6")
	e.need(40, "out")
	e.add(asm.LoadMem(asm.R3, head, 0, asm.Byte), asm.RSh.Imm(asm.R3, 4), asm.JNE.Imm(asm.R3, 6, "out"))
	for _, a := range [][2]int16{{onDst, 24}, {onSrc, 8}} {
		at, from := a[0], a[1]
		e.add(asm.LoadMem(asm.R4, head, from+8, asm.DWord), asm.StoreMem(asm.R10, at+16, asm.R4, asm.DWord),
			asm.LoadMem(asm.R3, head, from, asm.DWord), asm.StoreMem(asm.R10, at+8, asm.R3, asm.DWord),
			asm.StoreImm(asm.R10, at, fullBits, asm.Word), asm.StoreImm(asm.R10, at+4, 6, asm.Word))
	}
	e.add(asm.LoadMem(asm.R3, head, 8, asm.DWord), asm.StoreMem(asm.R10, onKey, asm.R3, asm.DWord))
	e.lookup(mapHost6, onKey)
	e.add(asm.JEq.Imm(asm.R0, 0, "nets1"))
}

// hits judges the host (level 0), then the prefixes that hold the source, the longest first.
func (e *emitter) hits() {
	for level := range levels + 1 {
		onwards := fmt.Sprintf("onwards%d", level)
		if level > 0 {
			e.mark(fmt.Sprintf("nets%d", level))
			e.lookup(mapNets, onSrc)
			e.add(asm.JEq.Imm(asm.R0, 0, "clean"))
		}
		e.mark(fmt.Sprintf("judge%d", level))
		e.inForce(onwards)
		e.guarded()
		e.add(asm.LoadMem(asm.R1, found, offInterval, asm.Word), asm.JEq.Imm(asm.R1, 0, "drop"))
		e.rate(onwards, "drop")
		e.mark(onwards)
		if level < levels {
			e.add(asm.LoadMem(asm.R1, found, offBits, asm.Word), asm.JLE.Imm(asm.R1, familyBits, "clean"),
				asm.Sub.Imm(asm.R1, 1), asm.StoreMem(asm.R10, onSrc, asm.R1, asm.Word))
		}
	}
}

// inForce takes the value in R0 into found, and goes to ended if its end has come.
func (e *emitter) inForce(ended string) {
	e.add(asm.Mov.Reg(found, asm.R0), asm.FnKtimeGetBootNs.Call(), asm.StoreMem(asm.R10, onNow, asm.R0, asm.DWord),
		asm.LoadMem(asm.R1, found, offEnd, asm.DWord), asm.JLE.Reg(asm.R1, asm.R0, ended))
}

// guarded goes to "spared" if the source is in the guard; else the code goes on.
func (e *emitter) guarded() {
	if e.careless {
		return
	}
	free := e.fresh("free")
	e.add(asm.StoreImm(asm.R10, onSrc, fullBits, asm.Word))
	for range guardLevels {
		e.lookup(mapGuard, onSrc)
		e.add(asm.JEq.Imm(asm.R0, 0, free),
			asm.LoadMem(asm.R1, asm.R0, 0, asm.DWord), asm.LoadMem(asm.R2, asm.R10, onNow, asm.DWord), asm.JGT.Reg(asm.R1, asm.R2, "spared"),
			asm.LoadMem(asm.R1, asm.R0, 8, asm.Word), asm.JLE.Imm(asm.R1, familyBits, free),
			asm.Sub.Imm(asm.R1, 1), asm.StoreMem(asm.R10, onSrc, asm.R1, asm.Word))
	}
	e.add(asm.Ja.Label("spared"))
	e.mark(free)
}

// rate takes one packet from the bucket at found. The bucket is one word, the time at which the next packet is due: it may
// run ahead of now by the slack.
func (e *emitter) rate(within, over string) {
	e.add(asm.LoadMem(asm.R1, found, offInterval, asm.Word), asm.LoadMem(asm.R2, asm.R10, onNow, asm.DWord))
	for range triesMax {
		due := e.fresh("due")
		e.add(asm.LoadMem(asm.R0, found, offNext, asm.DWord), asm.Mov.Reg(asm.R3, asm.R0),
			asm.JGE.Reg(asm.R3, asm.R2, due), asm.Mov.Reg(asm.R3, asm.R2))
		e.mark(due)
		e.add(asm.Add.Reg(asm.R3, asm.R1), asm.Mov.Reg(asm.R4, asm.R3), asm.Sub.Reg(asm.R4, asm.R2),
			asm.LoadMem(asm.R5, found, offSlack, asm.DWord), asm.JGT.Reg(asm.R4, asm.R5, over),
			asm.Mov.Reg(asm.R4, asm.R0), compareAndSwap(found, asm.R3, offNext), asm.JEq.Reg(asm.R0, asm.R4, within))
	}
	e.add(asm.Ja.Label(over))
}

// compareAndSwap puts src into the word at dst if R0 is there; R0 becomes what was there.
func compareAndSwap(dst, src asm.Register, offset int16) asm.Instruction {
	i := asm.CmpXchg.Mem(dst, src, asm.DWord, offset)
	i.Constant = int64(asm.CmpXchg >> 8) // cilium/ebpf 0.22 forgets it when it writes the instruction, which makes it an addition
	return i
}

// limits holds unproven packets to the limits on their target, the narrowest group first; every limit must let them through.
func (e *emitter) limits() {
	e.mark("clean")
	e.lookup(mapTargets, onDst)
	e.add(asm.JEq.Imm(asm.R0, 0, "out"))
	e.group()
	e.add(asm.StoreImm(asm.R10, onFlags, 0, asm.Word))
	e.kind()
	for level := range groupLevels {
		shorter, have, asked := e.fresh("shorter"), e.fresh("have"), e.fresh("asked")
		if level > 0 {
			e.lookup(mapTargets, onDst)
			e.add(asm.JEq.Imm(asm.R0, 0, "out"))
			e.group()
		}
		e.lookup(mapLimits, onLimit)
		e.add(asm.JNE.Imm(asm.R0, 0, have),
			asm.LoadMem(asm.R1, asm.R10, onLimit, asm.Word), asm.StoreMem(asm.R10, onKey, asm.R1, asm.Word),
			asm.LoadMem(asm.R1, asm.R10, onLimit+4, asm.Byte), asm.StoreMem(asm.R10, onKey+4, asm.R1, asm.Word))
		e.lookup(mapLimits, onKey)
		e.add(asm.JEq.Imm(asm.R0, 0, shorter))
		e.mark(have)
		e.inForce(shorter)
		e.add(asm.LoadMem(asm.R1, asm.R10, onFlags, asm.Word), asm.JNE.Imm(asm.R1, 0, asked))
		e.guarded()
		e.exempt()
		e.add(asm.StoreImm(asm.R10, onFlags, 1, asm.Word))
		e.mark(asked)
		e.rate(shorter, "over")
		e.mark(shorter)
		e.add(asm.LoadMem(asm.R1, asm.R10, onDst, asm.Word), asm.JLE.Imm(asm.R1, familyBits, "out"))
	}
	e.add(asm.Ja.Label("out"))
}

// group takes the group in R0 into the bucket's key and makes the next look-up one bit shorter.
func (e *emitter) group() {
	e.add(asm.LoadMem(asm.R1, asm.R0, 0, asm.Word), asm.StoreMem(asm.R10, onLimit, asm.R1, asm.Word),
		asm.LoadMem(asm.R1, asm.R0, 4, asm.Word), asm.Sub.Imm(asm.R1, 1), asm.StoreMem(asm.R10, onDst, asm.R1, asm.Word))
}

// exempt goes out for packets of a proven flow, or of a proven pair within its rate. The bucket under judgement waits on the
// stack, where the wider key was.
func (e *emitter) exempt() {
	none, wide := e.fresh("none"), e.fresh("wide")
	ports := int16(onProven + 32)
	e.add(asm.StoreMem(asm.R10, onKey, found, asm.DWord))
	e.lookup(mapProven, onProven)
	e.add(asm.JEq.Imm(asm.R0, 0, wide), asm.Mov.Reg(found, asm.R0))
	e.contact(wide)
	e.mark(wide)
	e.add(asm.StoreImm(asm.R10, ports, 0, asm.Word))
	e.lookup(mapProven, onProven)
	e.add(asm.JEq.Imm(asm.R0, 0, none), asm.Mov.Reg(found, asm.R0))
	e.contact(none)
	e.mark(none)
	e.add(asm.LoadMem(found, asm.R10, onKey, asm.DWord))
}

func (e *emitter) contact(not string) {
	e.add(asm.LoadMem(asm.R1, found, offEnd, asm.DWord), asm.LoadMem(asm.R2, asm.R10, onNow, asm.DWord), asm.JLE.Reg(asm.R1, asm.R2, not),
		asm.LoadMem(asm.R1, found, offInterval, asm.Word), asm.JEq.Imm(asm.R1, 0, "out"))
	e.rate("out", not)
}

// kind parses what the limits need: the kind of packet, ports, protocol.
func (e *emitter) kind() {
	e.add(asm.LoadMem(asm.R1, asm.R10, onSrc+4, asm.Word), asm.JNE.Imm(asm.R1, 4, "kind6"))
	e.need(20, "out")
	e.add(asm.LoadMem(asm.R3, head, 9, asm.Byte), asm.LoadMem(asm.R4, head, 6, asm.Half),
		asm.LoadMem(asm.R5, head, 0, asm.Byte), asm.And.Imm(asm.R5, 15), asm.LSh.Imm(asm.R5, 2), asm.Add.Reg(head, asm.R5),
		asm.JSet.Imm(asm.R4, 0xff3f, "fragment"), asm.Ja.Label("transport"))
	e.headers6()
	e.transport()
	e.kinds()
}

// headers6 walks the extension headers; R3 is the next header, head stands behind it.
func (e *emitter) headers6() {
	e.mark("kind6")
	e.need(40, "out")
	e.add(asm.LoadMem(asm.R3, head, 6, asm.Byte), asm.LoadMem(asm.R4, head, 7, asm.Byte),
		asm.StoreMem(asm.R10, onHops, asm.R4, asm.Word), asm.Add.Imm(head, 40))
	for range headersMax {
		eight, over, done := e.fresh("eight"), e.fresh("over"), e.fresh("header")
		e.add(asm.JEq.Imm(asm.R3, 44, "fragment6"), asm.JEq.Imm(asm.R3, 0, eight), asm.JEq.Imm(asm.R3, 43, eight), asm.JEq.Imm(asm.R3, 60, eight),
			asm.JNE.Imm(asm.R3, 51, "transport"))
		e.need(8, "cut")
		e.add(asm.LoadMem(asm.R3, head, 0, asm.Byte), asm.LoadMem(asm.R4, head, 1, asm.Byte), asm.Add.Imm(asm.R4, 2),
			asm.LSh.Imm(asm.R4, 2), asm.Ja.Label(over))
		e.mark(eight)
		e.need(8, "cut")
		e.add(asm.LoadMem(asm.R3, head, 0, asm.Byte), asm.LoadMem(asm.R4, head, 1, asm.Byte), asm.Add.Imm(asm.R4, 1), asm.LSh.Imm(asm.R4, 3))
		e.mark(over)
		e.add(asm.Add.Reg(head, asm.R4))
		e.mark(done)
	}
	e.add(asm.JEq.Imm(asm.R3, 44, "fragment6"), asm.Ja.Label("transport"))
	e.mark("fragment6")
	e.need(8, "cut")
	e.add(asm.LoadMem(asm.R3, head, 0, asm.Byte), asm.Ja.Label("fragment"))
	e.mark("cut") // in the middle of a header: what it is of is not known
	e.add(asm.Mov.Imm(asm.R3, 0), asm.Ja.Label("other"))
}

// transport tells the kinds apart; R3 is the protocol. It leaves R1 the kind, R4 the source port, R5 the destination port.
func (e *emitter) transport() {
	e.mark("transport")
	e.add(asm.JEq.Imm(asm.R3, 6, "tcp"), asm.JEq.Imm(asm.R3, 17, "udp"), asm.JEq.Imm(asm.R3, 1, "icmp"), asm.JEq.Imm(asm.R3, 58, "icmp6"),
		asm.Ja.Label("other"))
	e.mark("tcp")
	e.need(14, "other")
	e.add(asm.LoadMem(asm.R4, head, 0, asm.Half), asm.LoadMem(asm.R5, head, 2, asm.Half),
		asm.LoadMem(asm.R0, head, 13, asm.Byte), asm.And.Imm(asm.R0, 0x12), asm.Mov.Imm(asm.R1, 1), asm.JEq.Imm(asm.R0, 2, "kept"),
		asm.Mov.Imm(asm.R1, 5), asm.Ja.Label("kept"))
	e.mark("udp")
	e.need(4, "other")
	e.add(asm.LoadMem(asm.R4, head, 0, asm.Half), asm.LoadMem(asm.R5, head, 2, asm.Half), asm.Mov.Imm(asm.R1, 2), asm.Ja.Label("kept"))
	e.mark("icmp6")
	e.need(1, "other")
	e.add(asm.LoadMem(asm.R1, asm.R10, onSrc+4, asm.Word), asm.JNE.Imm(asm.R1, 6, "icmp"),
		asm.LoadMem(asm.R1, head, 0, asm.Byte), asm.JLT.Imm(asm.R1, 133, "icmp"), asm.JGT.Imm(asm.R1, 137, "icmp"),
		asm.LoadMem(asm.R1, asm.R10, onHops, asm.Word), asm.JEq.Imm(asm.R1, 255, "out")) // neighbour discovery: without it there is no line
	e.mark("icmp")
	e.add(asm.Mov.Imm(asm.R1, 3), asm.Ja.Label("portless"))
	e.mark("fragment")
	e.add(asm.Mov.Imm(asm.R1, 4), asm.Ja.Label("portless"))
	e.mark("other")
	e.add(asm.Mov.Imm(asm.R1, 5))
	e.mark("portless")
	e.add(asm.Mov.Imm(asm.R4, 0), asm.Mov.Imm(asm.R5, 0))
}

// kinds writes the bucket's key and the contact's.
func (e *emitter) kinds() {
	e.mark("kept")
	e.add(asm.StoreMem(asm.R10, onProven+32, asm.R4, asm.Half), asm.StoreMem(asm.R10, onProven+34, asm.R5, asm.Half),
		asm.StoreMem(asm.R10, onProven+36, asm.R3, asm.Byte), asm.LoadMem(asm.R0, asm.R10, onSrc+4, asm.Word),
		asm.StoreMem(asm.R10, onProven+37, asm.R0, asm.Byte), asm.StoreImm(asm.R10, onProven+38, 0, asm.Half))
	for i := range int16(2) {
		e.add(asm.LoadMem(asm.R0, asm.R10, onSrc+8+8*i, asm.DWord), asm.StoreMem(asm.R10, onProven+8*i, asm.R0, asm.DWord),
			asm.LoadMem(asm.R0, asm.R10, onDst+8+8*i, asm.DWord), asm.StoreMem(asm.R10, onProven+16+8*i, asm.R0, asm.DWord))
	}
	e.add(asm.StoreMem(asm.R10, onLimit+4, asm.R1, asm.Byte), asm.StoreImm(asm.R10, onLimit+5, 0, asm.Byte), asm.StoreImm(asm.R10, onLimit+6, 0, asm.Half),
		asm.JEq.Imm(asm.R1, 5, "narrow"), asm.JGT.Imm(asm.R1, 2, "keyed"),
		asm.StoreMem(asm.R10, onLimit+6, asm.R5, asm.Half), asm.Ja.Label("keyed"))
	e.mark("narrow")
	e.add(asm.StoreMem(asm.R10, onLimit+5, asm.R3, asm.Byte))
	e.mark("keyed")
}

// ends are the ways out.
func (e *emitter) ends() {
	e.mark("drop")
	e.dropped(0)
	e.mark("over")
	e.dropped(16)
	if !e.careless {
		e.mark("spared")
		e.total(func() {
			e.add(asm.Mov.Imm(asm.R1, 1), asm.AddAtomic.Mem(asm.R0, asm.R1, asm.DWord, 32))
		})
	}
	e.mark("out")
	e.add(asm.Mov.Reg(asm.R1, ctx), asm.LoadMapPtr(asm.R2, 0).WithReference(mapNext), asm.Mov.Imm(asm.R3, 0), asm.FnTailCall.Call(),
		asm.Mov.Imm(asm.R0, xdpPass), asm.Return())
}

// dropped counts the packet at its value and in the totals, and drops it.
func (e *emitter) dropped(total int16) {
	e.add(asm.Mov.Reg(asm.R1, ctx), asm.FnXdpGetBuffLen.Call(), asm.Mov.Reg(head, asm.R0),
		asm.Mov.Imm(asm.R1, 1), asm.AddAtomic.Mem(found, asm.R1, asm.DWord, offPackets), asm.AddAtomic.Mem(found, asm.R0, asm.DWord, offBytes),
		asm.LoadMem(asm.R1, asm.R10, onNow, asm.DWord), asm.StoreMem(found, offLast, asm.R1, asm.DWord))
	e.total(func() {
		e.add(asm.Mov.Imm(asm.R1, 1), asm.AddAtomic.Mem(asm.R0, asm.R1, asm.DWord, total), asm.AddAtomic.Mem(asm.R0, head, asm.DWord, total+8))
	})
	e.add(asm.Mov.Imm(asm.R0, xdpDrop), asm.Return())
}

func (e *emitter) total(count func()) {
	none := e.fresh("total")
	e.add(asm.StoreImm(asm.R10, onZero, 0, asm.Word))
	e.lookup(mapTotals, onZero)
	e.add(asm.JEq.Imm(asm.R0, 0, none))
	count()
	e.mark(none)
}
