package xdp

import (
	"encoding/binary"
	"net/netip"
)

// seen is a frame as far as the twin parsed it.
type seen struct {
	src, dst netip.Addr
	rest     []byte // from the IP header on
}

// parse reads Ethernet, tags and the fixed part of the IP header; false: nothing of ours.
func parse(b []byte) (s seen, ok bool) {
	kind, at := binary.BigEndian.Uint16(b[12:]), 14
	for range 2 {
		if kind != 0x8100 && kind != 0x88a8 && kind != 0x9100 {
			break
		}
		if len(b) < at+4 {
			return s, false
		}
		kind, at = binary.BigEndian.Uint16(b[at+2:]), at+4
	}
	s.rest = b[at:]
	switch {
	case kind == 0x0800 && len(s.rest) >= 20 && s.rest[0] >= 0x45 && s.rest[0] <= 0x4f:
		s.src, s.dst = netip.AddrFrom4([4]byte(s.rest[12:16])), netip.AddrFrom4([4]byte(s.rest[16:20]))
		return s, true
	case kind == 0x86dd && len(s.rest) >= 40 && s.rest[0]>>4 == 6:
		s.src, s.dst = netip.AddrFrom16([16]byte(s.rest[8:24])), netip.AddrFrom16([16]byte(s.rest[24:40]))
		return s, true
	}
	return s, false
}

// holding are the keys that hold the address, the longest first.
func holding[V any](all map[lpmKey]V, a netip.Addr) []V {
	var found []V
	for bits := a.BitLen(); bits >= 0; bits-- {
		p, _ := a.Prefix(bits)
		if v, ok := all[lpmKeyOf(p)]; ok {
			found = append(found, v)
		}
	}
	return found
}

func (s *state) guarded(a netip.Addr) bool {
	for _, g := range holding(s.guard, a) {
		if g.End != ended {
			return true
		}
	}
	return false
}

// over says what the values of the fuzz do: nothing is within one kind of rate, everything within the other.
func over(interval uint32, next uint64) bool { return interval > 1 && next == ahead }

// judge is the program, for values whose rates either let all or nothing through.
func (s *state) judge(b []byte) (drop bool) {
	p, ok := parse(b)
	if !ok {
		return false
	}
	nets := holding(s.nets, p.src)
	nets = nets[:min(len(nets), 4)]
	if h := s.host(p.src); h != nil {
		nets = append([]*value{h}, nets...)
	}
	for _, v := range nets {
		if v.End == ended {
			continue
		}
		if s.guarded(p.src) {
			return false
		}
		if v.Interval == 0 || over(v.Interval, v.Next) {
			v.Packets++
			v.Bytes += uint64(len(b))
			return true
		}
	}
	return s.limited(p, uint64(len(b)))
}

func (s *state) host(a netip.Addr) *value {
	if a.Is4() {
		return s.host4[host4Key(a)]
	}
	return s.host6[host6Key(a)]
}

func (s *state) limited(p seen, size uint64) bool {
	groups := holding(s.target, p.dst)
	if len(groups) == 0 {
		return false
	}
	k, exempt := kindOf(p)
	if exempt {
		return false
	}
	for _, g := range groups[:min(len(groups), 3)] {
		key := limitKey{Group: g.Group, Kind: k.kind}
		switch k.kind {
		case 1, 2:
			key.Port = port(k.dport)
		case 5:
			key.Proto = k.proto
		}
		v := s.limit[key]
		if v == nil {
			v = s.limit[limitKey{Group: g.Group, Kind: k.kind}]
		}
		if v == nil || v.End == ended {
			continue
		}
		if s.guarded(p.src) || s.knows(p, k) {
			return false
		}
		if over(v.Interval, v.Next) {
			v.Packets++
			v.Bytes += size
			return true
		}
	}
	return false
}

type kind struct {
	kind, proto  uint8
	sport, dport uint16
}

func (s *state) knows(p seen, k kind) bool {
	key := provenKey{SrcPort: port(k.sport), DstPort: port(k.dport), Proto: k.proto}
	family, src := familyAddr(p.src)
	_, dst := familyAddr(p.dst)
	key.Src, key.Dst, key.Family = src, dst, uint8(family)
	wide := key
	wide.SrcPort, wide.DstPort = [2]byte{}, [2]byte{}
	for _, key := range []provenKey{key, wide} {
		if v, ok := s.proven[key]; ok && v.End != ended && !over(v.Interval, v.Next) {
			return true
		}
	}
	return false
}

// kindOf parses behind the IP header. exempt: neighbour discovery.
func kindOf(p seen) (k kind, exempt bool) {
	b := p.rest
	var proto byte
	if p.src.Is4() {
		proto = b[9]
		fragment := binary.BigEndian.Uint16(b[6:])&0x3fff != 0
		b = b[min(int(b[0]&15)*4, len(b)):]
		if fragment {
			return kind{4, proto, 0, 0}, false
		}
		if int(p.rest[0]&15)*4 > len(p.rest) {
			return cut(proto), false
		}
		return transport(proto, b, false, 0)
	}
	proto = b[6]
	hops := b[7]
	b = b[40:]
	for range 6 {
		if proto == 44 {
			break
		}
		if proto != 0 && proto != 43 && proto != 60 && proto != 51 {
			return transport(proto, b, true, hops)
		}
		if len(b) < 8 {
			return kind{5, 0, 0, 0}, false
		}
		n := (int(b[1]) + 1) * 8
		if proto == 51 {
			n = (int(b[1]) + 2) * 4
		}
		proto = b[0]
		if n > len(b) {
			n = len(b)
		}
		b = b[n:]
	}
	if proto == 44 {
		if len(b) < 8 {
			return kind{5, 0, 0, 0}, false
		}
		return kind{4, b[0], 0, 0}, false
	}
	return transport(proto, b, true, hops)
}

// cut is what is known of a packet whose transport header is missing.
func cut(proto byte) kind {
	if proto == 1 {
		return kind{3, proto, 0, 0}
	}
	return kind{5, proto, 0, 0}
}

func transport(proto byte, b []byte, six bool, hops byte) (kind, bool) {
	switch {
	case proto == 6 && len(b) >= 14:
		k := kind{5, proto, binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])}
		if b[13]&0x12 == 2 {
			k.kind = 1
		}
		return k, false
	case proto == 17 && len(b) >= 4:
		return kind{2, proto, binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])}, false
	case proto == 1:
		return kind{3, proto, 0, 0}, false
	case proto == 58 && len(b) >= 1:
		return kind{3, proto, 0, 0}, six && b[0] >= 133 && b[0] <= 137 && hops == 255
	}
	return kind{5, proto, 0, 0}, false
}
