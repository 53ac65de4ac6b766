package main

import (
	"encoding/binary"
	"io"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/dejpha/dejpha/capture"
)

// Times of the made-up year, ns.
const (
	begin   = int64(1767225600e9) // 2026-01-01 00:00:00 UTC
	year    = int64(365 * 24 * 3600e9)
	between = int64(7e6) // between two packets of a conversation
)

// A group is so many attacks and one legitimate conversation; a year has full attacks, and fewer are its beginning.
const (
	full     = 33_000_000
	perGroup = 4
	step     = year / (full / perGroup)
)

// Origins are 2^29 IPv4 addresses from 128.0.0.0 on, walked in a seed's own order, and as many IPv6 networks of /64.
const (
	originBits = 29
	originBase = uint32(128) << 24
	v6Every    = 8 // of so many attacks one comes by IPv6
)

var be = binary.BigEndian

// traffic yields the frames of a year with a number of distinct attacks, each by an origin of its own.
type traffic struct {
	left    uint64 // attacks
	number  uint64 // of the next attack
	group   uint64
	factor  uint32
	offset  uint32
	random  *rand.Rand
	attacks [][2]*talk // by kind and family
	honest  []*talk
	open    [perGroup + 1]playing // of the group in hand
	live    int
	frame   []byte
	packets uint64
	flows   uint64
	made    map[string]uint64 // attacks by class
}

// playing is a conversation under way.
type playing struct {
	t          *talk
	at         int   // of the next packet
	when       int64 // of it, ns
	src, dst   [16]byte
	port, id   uint16
	seqC, seqS uint32
}

func newTraffic(attacks, seed uint64) *traffic {
	r := rand.New(rand.NewPCG(seed, seed))
	t := &traffic{left: attacks, random: r, frame: make([]byte, 0, 2048), made: map[string]uint64{}}
	t.factor, t.offset = r.Uint32()|1, r.Uint32()
	for _, k := range hostile {
		t.attacks = append(t.attacks, [2]*talk{newTalk(k, false), newTalk(k, true)})
	}
	for _, k := range ordinary {
		t.honest = append(t.honest, newTalk(k, false))
	}
	return t
}

// Next implements capture.Source.
func (t *traffic) Next(f *capture.Frame) error {
	if t.live == 0 && !t.begin() {
		return io.EOF
	}
	best := -1
	for i := range t.open {
		if p := &t.open[i]; p.t != nil && (best < 0 || p.when < t.open[best].when) {
			best = i
		}
	}
	p := &t.open[best]
	f.Time, f.LinkType, f.Interface, f.Unsummed = p.when, 1, 0, false
	t.frame = p.t.packets[p.at].append(t.frame[:0], p)
	f.Data, f.WireLen = t.frame, uint32(len(t.frame))
	p.id++
	t.packets++
	p.when += between
	if p.at++; p.at == len(p.t.packets) {
		p.t = nil
		t.live--
	}
	return nil
}

// Close implements capture.Source.
func (t *traffic) Close() error { return nil }

// begin starts the next group: its attacks in pairs that overlap, then somebody honest.
func (t *traffic) begin() bool {
	if t.left == 0 {
		return false
	}
	at := begin + int64(t.group)*step
	t.group++
	for i := range perGroup {
		if t.left == 0 {
			break
		}
		t.left--
		t.attack(&t.open[i], at+int64(i/2)*step/3+int64(i%2)*between/2)
	}
	t.bystander(&t.open[perGroup], at+2*step/3)
	return true
}

// attack is number's: its origin attacks once and is never seen again.
func (t *traffic) attack(p *playing, when int64) {
	n := t.number
	t.number++
	v6 := n%v6Every == v6Every-1
	kind := t.random.IntN(len(t.attacks))
	k := t.attacks[kind]
	t.made[hostile[kind].class]++
	x := uint32(n)*t.factor + t.offset
	origin, victim := [16]byte{}, t.server(v6)
	if v6 {
		origin = [16]byte{0x2a, 0x0c}
		be.PutUint32(origin[3:], x)
		be.PutUint64(origin[8:], t.random.Uint64())
		t.start(p, k[1], origin, victim, when)
		return
	}
	be.PutUint32(origin[:], originBase|x&(1<<originBits-1))
	t.start(p, k[0], origin, victim, when)
}

// bystander is one of 65,536 clients who come again and again.
func (t *traffic) bystander(p *playing, when int64) {
	client := [16]byte{24, 7}
	be.PutUint16(client[2:], uint16(t.random.Uint32()))
	t.start(p, t.honest[t.random.IntN(len(t.honest))], client, t.server(false), when)
}

// server is one of 512.
func (t *traffic) server(v6 bool) [16]byte {
	r := t.random.Uint32()
	if v6 {
		return [16]byte{0xfd, 0, 0, 0, 0, 0, 0, byte(r & 7), 15: byte(10 + r>>3&63)}
	}
	return [16]byte{10, 1, byte(r & 7), byte(10 + r>>3&63)}
}

func (t *traffic) start(p *playing, k *talk, outer, inner [16]byte, when int64) {
	r := t.random.Uint64()
	*p = playing{t: k, when: when, src: outer, dst: inner, port: uint16(20000 + r&0x7fff), id: uint16(r >> 16), seqC: uint32(r >> 24), seqS: uint32(r >> 32)}
	if k.outbound {
		p.src, p.dst = inner, outer
	}
	t.live++
	t.flows++
}

// classesOf are the classes made, sorted.
func classesOf(t *traffic) []string { return slices.Sorted(maps.Keys(t.made)) }
