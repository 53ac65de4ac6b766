package flow

import (
	"encoding/binary"
	"math/bits"

	"github.com/dejpha/dejpha/decode"
)

// key is a conversation without direction: the lower end first.
type key struct {
	a, b         decode.Addr
	portA, portB uint16
	vlan         uint32
	proto        uint8
	version      uint8
}

// keyOf makes the key of two ends; swapped says that src is the upper one.
func keyOf(src, dst decode.Addr, srcPort, dstPort uint16, proto, version uint8, vlan uint32) (k key, swapped bool) {
	c := compare(&src, &dst)
	if c > 0 || c == 0 && srcPort > dstPort {
		return key{dst, src, dstPort, srcPort, vlan, proto, version}, true
	}
	return key{src, dst, srcPort, dstPort, vlan, proto, version}, false
}

// is says whether two keys are the same; the compiler's own comparison is a call.
func (k *key) is(o *key) bool {
	return same(&k.a, &o.a) && same(&k.b, &o.b) && k.portA == o.portA && k.portB == o.portB && k.vlan == o.vlan && k.proto == o.proto && k.version == o.version
}

func same(a, b *decode.Addr) bool {
	return binary.LittleEndian.Uint64(a[:]) == binary.LittleEndian.Uint64(b[:]) && binary.LittleEndian.Uint64(a[8:]) == binary.LittleEndian.Uint64(b[8:])
}

func compare(a, b *decode.Addr) int {
	for i := 0; i < 16; i += 8 {
		x, y := binary.BigEndian.Uint64(a[i:]), binary.BigEndian.Uint64(b[i:])
		if x != y {
			if x < y {
				return -1
			}
			return 1
		}
	}
	return 0
}

// mix is one round of a multiply hash; with a secret seed nobody can aim at one slot.
func mix(h, v uint64) uint64 {
	hi, lo := bits.Mul64(h^v, 0x9e3779b97f4a7c15)
	return hi ^ lo ^ v
}

func (k *key) hash(seed uint64) uint64 {
	h := seed
	for _, a := range [2]*decode.Addr{&k.a, &k.b} {
		h = mix(h, binary.LittleEndian.Uint64(a[:]))
		h = mix(h, binary.LittleEndian.Uint64(a[8:])^0xa5a5a5a5)
	}
	return mix(mix(h, uint64(k.portA)<<48|uint64(k.portB)<<32|uint64(k.vlan)), uint64(k.proto)<<8|uint64(k.version)|seed)
}

// PairHash steers a packet by its pair of addresses, so that fragments, announced flows and ICMP errors meet
// their conversation in one worker. Packets that are not IP have 0.
func PairHash(p *decode.Packet, seed uint64) uint64 {
	if p.IPVersion == 0 {
		return 0
	}
	src, dst := &p.Src, &p.Dst
	if p.Embedded.Valid {
		src, dst = &p.Embedded.Src, &p.Embedded.Dst
	}
	if compare(src, dst) > 0 {
		src, dst = dst, src
	}
	h := seed
	for _, a := range [2]*decode.Addr{src, dst} {
		h = mix(h, binary.LittleEndian.Uint64(a[:]))
		h = mix(h, binary.LittleEndian.Uint64(a[8:])^0xa5a5a5a5)
	}
	return h
}
