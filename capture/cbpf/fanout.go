package cbpf

import (
	"crypto/rand"
	"encoding/binary"
)

// The fanout program. The kernel runs it on every frame of a group of rings; what it returns, modulo the number of rings,
// is the ring's place. Its own choices spread by ports, so that fragments, announced flows and ICMP errors would miss
// their conversation. This one hashes the pair of addresses, the same for both directions, with keys that nobody on the
// wire knows: who could foresee the hash could send everything to one worker. It is classic BPF, which needs no
// privilege beyond the packet socket's.
//
// What it looks at is flow.PairHash's: the outermost IP header behind VLAN tags, PPPoE or MPLS labels; of an ICMP error
// the quoted pair, in IPv6 where no extension header stands before it. What is not IP goes to the first ring.

// Operations of classic BPF (linux/filter.h, linux/bpf_common.h).
const (
	opLoadWord   = 0x20 // A = word at K
	opLoadHalf   = 0x28
	opWord       = 0x40 // A = word at X + K
	opHalf       = 0x48
	opByte       = 0x50
	opConstant   = 0x00 // A = K
	opRecall     = 0x60 // A = M[K]
	opRecallX    = 0x61
	opStore      = 0x02 // M[K] = A
	opAdd        = 0x04
	opAddX       = 0x0c
	opMultiply   = 0x24
	opAnd        = 0x54
	opShiftLeft  = 0x64
	opShiftRight = 0x74
	opXorX       = 0xac
	opToX        = 0x07 // X = A
	opGo         = 0x05
	opEqual      = 0x15
	opSet        = 0x45
	opReturn     = 0x06
	opReturnA    = 0x16
)

// Offsets below zero count from where the kernel says that a header begins (linux/filter.h): a frame received and a
// frame sent do not begin at the same place of the kernel's buffer. What has an Ethernet header is read from there on,
// for the kernel is not of one mind where the network header of a tagged frame is.
const (
	fromLink    = 0xffe00000 // SKF_LL_OFF: -0x200000
	fromNetwork = 0xfff00000 // SKF_NET_OFF: -0x100000
	itsType     = 0xfffff000 // SKF_AD_OFF + SKF_AD_PROTOCOL: -0x1000
	etherHeader = 14
)

// Scratch memory.
const (
	memAt    = 0 // where the header in hand begins, from the network header on
	memState = 1
	memFirst = 2 // the first address's hash
	memKeep  = 3
	memICMP  = 4
)

// TagsDeep is how many VLAN tags within a frame are looked behind; the outermost of a packet socket's frame is taken out by
// the kernel before.
const TagsDeep = 3

const (
	labelsDeep   = 4
	jumpFarthest = 255
)

// Keys are the hash's secrets.
type Keys struct{ start, word, address, pair uint32 }

// NewKeys draws keys.
func NewKeys() (k Keys) {
	var secret [16]byte
	_, _ = rand.Read(secret[:]) // it never fails (crypto/rand)
	for i, x := range []*uint32{&k.start, &k.word, &k.address, &k.pair} {
		*x = binary.LittleEndian.Uint32(secret[4*i:])
	}
	return k
}

// program is classic BPF in the making; jumps name labels that are placed later.
type program struct {
	base   uint32 // what offsets count from
	code   []Instruction
	labels map[string]int
	jumps  []jump
}

type jump struct {
	at int
	to string
}

func (p *program) op(op uint16, k uint32) { p.code = append(p.code, Instruction{Op: op, K: k}) }

// when jumps to a label if the test with k holds, else goes on.
func (p *program) when(test uint16, k uint32, to string) {
	p.jumps = append(p.jumps, jump{len(p.code), to})
	p.op(test, k)
}

func (p *program) goTo(to string) { p.when(opGo, 0, to) }

func (p *program) label(name string) { p.labels[name] = len(p.code) }

// finish fills in the jumps; ok is false where a label is missing or too far, which a test rules out.
func (p *program) finish() (code []Instruction, ok bool) {
	for _, j := range p.jumps {
		to, known := p.labels[j.to]
		step := to - j.at - 1
		switch i := &p.code[j.at]; {
		case !known || step < 0:
			return nil, false
		case i.Op == opGo:
			i.K = uint32(step)
		case step > jumpFarthest:
			return nil, false
		default:
			i.Jt = uint8(step)
		}
	}
	return p.code, len(p.code) <= InstructionsMost
}

// load brings A what lies k bytes into the header in hand.
func (p *program) load(op uint16, k int) {
	p.op(opRecallX, memAt)
	p.op(op, p.base+uint32(k))
}

// forward moves on by n bytes; X is the new place.
func (p *program) forward(n uint32) {
	p.op(opRecall, memAt)
	p.op(opAdd, n)
	p.op(opStore, memAt)
	p.op(opToX, 0)
}

// Fanout is the program for one group, whose frames begin with an Ethernet header or with no header of a link. ok is false
// where it cannot be made, which a test rules out.
func Fanout(k Keys, ethernet bool) (code []Instruction, ok bool) {
	p := &program{labels: map[string]int{}, base: fromNetwork}
	if ethernet {
		p.base = fromLink
		p.op(opConstant, etherHeader)
		p.op(opStore, memAt)
		p.op(opLoadHalf, p.base+etherHeader-2)
	} else {
		p.op(opConstant, 0)
		p.op(opStore, memAt)
		p.op(opLoadWord, itsType)
	}
	p.link()
	p.icmp4()
	p.pair(k, 12, 1)
	p.icmp6()
	p.pair(k, 8, 4)
	return p.finish()
}

// link goes from the EtherType in A to the IP header.
func (p *program) link() {
	for depth := range TagsDeep + 1 {
		p.when(opEqual, 0x0800, "v4")
		p.when(opEqual, 0x86dd, "v6")
		p.when(opEqual, 0x8847, "mpls")
		p.when(opEqual, 0x8848, "mpls")
		p.when(opEqual, 0x8864, "pppoe")
		tag := "tag" + string(rune('0'+depth))
		if depth < TagsDeep {
			for _, t := range []uint32{0x8100, 0x88a8, 0x9100} {
				p.when(opEqual, t, tag)
			}
		}
		p.op(opReturn, 0)
		if depth < TagsDeep {
			p.label(tag)
			p.forward(4)
			p.op(opHalf, p.base-2)
		}
	}
	p.label("pppoe")
	p.forward(8)
	p.op(opHalf, p.base-2)
	p.when(opEqual, 0x0021, "v4")
	p.when(opEqual, 0x0057, "v6")
	p.op(opReturn, 0)
	p.label("mpls")
	for range labelsDeep {
		p.load(opWord, 0)
		p.op(opStore, memKeep)
		p.forward(4)
		p.op(opRecall, memKeep)
		p.when(opSet, 0x100, "bottom")
	}
	p.op(opReturn, 0)
	p.label("bottom")
	p.load(opByte, 0)
	p.op(opShiftRight, 4)
	p.when(opEqual, 4, "v4")
	p.when(opEqual, 6, "v6")
	p.op(opReturn, 0)
}

// icmp4 goes on to the quoted header of an ICMP error. BPF cannot jump backwards: what is none goes forward to the pair.
func (p *program) icmp4() {
	p.label("v4")
	p.load(opByte, 9)
	p.when(opEqual, 1, "icmp4")
	p.goTo("pair4")
	p.label("icmp4")
	p.load(opHalf, 6)
	p.when(opSet, 0x1fff, "pair4") // a later fragment has no ICMP header
	p.load(opByte, 0)
	p.op(opAnd, 15)
	p.op(opShiftLeft, 2)
	p.op(opRecallX, memAt)
	p.op(opAddX, 0)
	p.op(opStore, memICMP)
	p.op(opToX, 0)
	p.op(opByte, p.base)
	for _, t := range []uint32{3, 4, 5, 11, 12} {
		p.when(opEqual, t, "error4")
	}
	p.goTo("pair4")
	p.label("error4")
	p.op(opRecall, memICMP)
	p.op(opAdd, 8)
	p.op(opStore, memICMP)
	p.op(opToX, 0)
	p.op(opByte, p.base)
	p.op(opShiftRight, 4)
	p.when(opEqual, 4, "quoted4")
	p.goTo("pair4")
	p.label("quoted4")
	p.op(opRecall, memICMP)
	p.op(opStore, memAt)
	p.label("pair4")
}

func (p *program) icmp6() {
	p.label("v6")
	p.load(opByte, 6)
	p.when(opEqual, 58, "icmp6")
	p.goTo("pair6")
	p.label("icmp6")
	p.load(opByte, 40)
	for _, t := range []uint32{1, 2, 3, 4} {
		p.when(opEqual, t, "error6")
	}
	p.goTo("pair6")
	p.label("error6")
	p.load(opByte, 48)
	p.op(opShiftRight, 4)
	p.when(opEqual, 6, "quoted6")
	p.goTo("pair6")
	p.label("quoted6")
	p.forward(48)
	p.label("pair6")
}

// pair hashes two addresses of so many words, of which the first is k bytes into the header, and returns. Each word
// goes through a multiplication and a shift, so that no two pairs are known to meet without the keys, as they would be
// in a sum of products.
func (p *program) pair(k Keys, at, words int) {
	p.address(k, at, words)
	p.op(opStore, memFirst)
	p.address(k, at+4*words, words)
	p.op(opRecallX, memFirst)
	p.op(opAddX, 0)
	p.mix(k.pair, 16)
	p.op(opReturnA, 0)
}

func (p *program) address(k Keys, at, words int) {
	p.op(opConstant, k.start)
	p.op(opStore, memState)
	for i := range words {
		p.load(opWord, at+4*i)
		p.op(opRecallX, memState)
		p.op(opXorX, 0)
		p.mix(k.word, 15)
		p.op(opStore, memState)
	}
	p.mix(k.address, 13)
}

// mix changes A so that each of its bits depends on those below, then on those far above.
func (p *program) mix(multiplier, shift uint32) {
	p.op(opMultiply, multiplier|1)
	p.op(opToX, 0)
	p.op(opShiftRight, shift)
	p.op(opXorX, 0)
}
