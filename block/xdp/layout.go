// Package xdp blocks in the network driver: an XDP program and the maps that it reads, pinned so that they outlive the process.
//
// In: block.Changes. Out: entries in the kernel's maps, counts of what they dropped. Called by block's keeper, opened by
// block/way. The program is made of instructions here (program.go), so neither a compiler nor a binary is needed. It never
// decides; it ends nothing either: the program itself compares each entry's end.
package xdp

import (
	"encoding/binary"
	"math"
	"net/netip"

	"github.com/cilium/ebpf"

	"github.com/dejpha/dejpha/block"
)

// The layout of what the program and this package share in the maps. A change of it is another layoutVersion, with a
// folder of pins of its own, so that no program ever reads another's values.
const layoutVersion = "v2"

// value is what the program knows of a host, a prefix, a limit. The first 32 bytes are all there is of a proven contact.
// Everything is in the machine's order; ends and stamps are ns on the boot clock. With the kernel's own head of 48 bytes and a
// key of 8 at most, an element of a hash is two cache lines, of which the first has what a look-up compares, and the end.
type value struct {
	End      uint64 // not in force from then on
	Next     uint64 // when the next packet of the rate is due: the whole state of a token bucket in one word
	Slack    uint64 // how far Next may run ahead, ns: the burst
	Interval uint32 // ns a packet; 0: none is let through (of a proven contact: all are exempt)
	Bits     uint32 // length of the prefix within lpmKey, bits; of a host one more than there are
	Packets  uint64 // dropped
	Bytes    uint64
	Last     uint64 // stamp of the last one dropped; 0: none
	_        [16]byte
}

const (
	offEnd      = 0
	offNext     = 8
	offSlack    = 16
	offInterval = 24
	offBits     = 28
	offPackets  = 32
	offBytes    = 40
	offLast     = 48
	valueSize   = 72
)

type provenValue struct {
	End, Next, Slack uint64
	Interval, _      uint32
}

const provenSize = 32

// lpmKey is an address of either family in the tables of prefixes: the family comes first, so that none matches the other.
type lpmKey struct {
	Bits   uint32
	Family uint32 // 4 or 6
	Addr   [16]byte
}

const (
	lpmKeySize = 24
	familyBits = 32
	fullBits   = familyBits + 128 // of a look-up, whatever the family: no line of IPv4 is longer than 64
	hostBits   = fullBits + 1     // value.Bits of a host, so that what follows a host is the full look-up of prefixes
)

type guardValue struct {
	End  uint64
	Bits uint32
	_    uint32
}

type targetValue struct {
	Group uint32 // what limitKey names
	Bits  uint32
}

// limitKey is one token bucket. Port is in network order.
type limitKey struct {
	Group uint32
	Kind  uint8
	Proto uint8
	Port  [2]byte
}

// provenKey is a flow, or with ports 0 a pair of addresses. Ports are in network order; an IPv4 address stands in the
// first four bytes.
type provenKey struct {
	Src, Dst         [16]byte
	SrcPort, DstPort [2]byte
	Proto            uint8
	Family           uint8
	_                [2]byte
}

const provenKeySize = 40

// totals is one per processor.
type totals struct {
	BlockPackets, BlockBytes, LimitPackets, LimitBytes, Guarded uint64
}

const totalsSize = 40

// meta says which maps these are.
type meta struct{ ID [16]byte }

// Names of the maps, which are the names of their pins.
const (
	mapHost4   = "host4"
	mapHost6   = "host6"
	mapNets    = "nets"
	mapGuard   = "guard"
	mapTargets = "targets"
	mapLimits  = "limits"
	mapProven  = "proven"
	mapTotals  = "totals"
	mapMeta    = "meta"
	mapNext    = "next"
)

const (
	flagNoPrealloc = 1      // BPF_F_NO_PREALLOC: the kernel demands it of tries
	provenMax      = 262144 // contacts remembered; the kernel forgets the ones not seen for longest
)

// specs are the maps as they are made.
func specs(s block.Sizes) map[string]*ebpf.MapSpec {
	spec := func(kind ebpf.MapType, key, value uint32, most int, flags uint32) *ebpf.MapSpec {
		return &ebpf.MapSpec{Type: kind, KeySize: key, ValueSize: value, MaxEntries: uint32(most), Flags: flags}
	}
	all := map[string]*ebpf.MapSpec{
		mapHost4:   spec(ebpf.Hash, 4, valueSize, roomy(s.Hosts), 0),
		mapHost6:   spec(ebpf.Hash, 8, valueSize, roomy(s.Hosts), 0),
		mapNets:    spec(ebpf.LPMTrie, lpmKeySize, valueSize, s.Prefixes, flagNoPrealloc),
		mapGuard:   spec(ebpf.LPMTrie, lpmKeySize, 16, s.Guard, flagNoPrealloc),
		mapTargets: spec(ebpf.LPMTrie, lpmKeySize, 8, s.Limits, flagNoPrealloc),
		mapLimits:  spec(ebpf.Hash, 8, valueSize, s.Limits, 0),
		mapProven:  spec(ebpf.LRUHash, provenKeySize, provenSize, provenMax, 0),
		mapTotals:  spec(ebpf.PerCPUArray, 4, totalsSize, 1, 0),
		mapMeta:    spec(ebpf.Array, 4, 16, 1, 0),
		mapNext:    spec(ebpf.ProgramArray, 4, 4, 1, 0),
	}
	for name, m := range all {
		m.Name = "dejpha_" + name
	}
	return all
}

// roomy is a size for a hash of n elements in which look-ups meet few others: the kernel makes as many lists as the next power
// of two, and a list that is a long way off in memory costs more than all the rest of the program.
func roomy(n int) int {
	lists := 1
	for lists < n {
		lists *= 2
	}
	if n > lists/4*3 {
		return lists + 1 // twice as many lists
	}
	return n
}

func host4Key(a netip.Addr) [4]byte { return a.As4() }

func host6Key(a netip.Addr) (k [8]byte) {
	b := a.As16()
	copy(k[:], b[:])
	return k
}

func lpmKeyOf(p netip.Prefix) lpmKey {
	k := lpmKey{Bits: uint32(familyBits + p.Bits())}
	k.Family, k.Addr = familyAddr(p.Addr())
	return k
}

func familyAddr(a netip.Addr) (family uint32, b [16]byte) {
	if a.Is4() {
		four := a.As4()
		copy(b[:], four[:])
		return 4, b
	}
	return 6, a.As16()
}

func (k lpmKey) prefix() netip.Prefix {
	a := netip.AddrFrom16(k.Addr)
	if k.Family == 4 {
		a = netip.AddrFrom4([4]byte(k.Addr[:4]))
	}
	return netip.PrefixFrom(a, int(k.Bits)-familyBits)
}

func host4Prefix(k [4]byte) netip.Prefix { return netip.PrefixFrom(netip.AddrFrom4(k), 32) }

func host6Prefix(k [8]byte) netip.Prefix {
	var b [16]byte
	copy(b[:], k[:])
	return netip.PrefixFrom(netip.AddrFrom16(b), 64)
}

func port(n uint16) (b [2]byte) {
	binary.BigEndian.PutUint16(b[:], n)
	return b
}

const second = 1_000_000_000

// bucket is a token bucket of rate packets/s and a burst of packets.
func bucket(rate, burst uint32) (interval uint32, slack uint64) {
	if rate == 0 {
		return 0, 0
	}
	interval = max(second/rate, 1)
	return interval, uint64(interval) * uint64(max(burst, 1))
}

// clock turns times of day into times on the boot clock and back.
type clock struct{ wall, boot int64 } // the same moment on both, ns

func (c clock) toBoot(until int64) uint64 {
	if until == block.Forever {
		return math.MaxInt64
	}
	at := c.boot + (until - c.wall)
	if at < 0 {
		return 0
	}
	return uint64(at)
}

func (c clock) toWall(boot uint64) int64 {
	if boot >= math.MaxInt64 {
		return block.Forever
	}
	return c.wall + (int64(boot) - c.boot)
}
