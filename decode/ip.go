package decode

import "encoding/binary"

// ip reads a datagram whose version stands in its first nibble.
func (d *Decoder) ip(p *Packet, b []byte) {
	if len(b) == 0 {
		p.fail(ShortFrame, IPv4TooSmall)
		return
	}
	switch b[0] >> 4 {
	case 4:
		p.EtherType = typeIPv4
		d.ipv4(p, b)
	case 6:
		p.EtherType = typeIPv6
		d.ipv6(p, b)
	default:
		p.fail(BadIP, RawInvalidVersion)
	}
}

// IPOption is the bit of Packet.IPOptions for an option kind: kinds that matter differ in their low five bits.
func IPOption(kind byte) uint32 { return 1 << (kind & 31) }

// ipv4 reads an IPv4 header (RFC 791 section 3.1).
func (d *Decoder) ipv4(p *Packet, b []byte) {
	if len(b) < 20 {
		p.fail(BadIP, IPv4TooSmall)
		return
	}
	p.IPAt = cap(p.Data) - cap(b)
	if b[0]>>4 != 4 {
		p.fail(BadIP, IPv4WrongVersion)
		return
	}
	header, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	switch {
	case header < 20:
		p.fail(BadIP, IPv4HeaderTooSmall)
		return
	case total == 0: // segmentation offload leaves it to the card
		total = len(b)
	}
	if total < header {
		p.fail(BadIP, IPv4LengthBelowHeader)
		return
	}
	if total > len(b) {
		p.fail(BadIP, IPv4Truncated)
		return
	}
	b = b[:total]
	p.IPVersion, p.TOS, p.TTL, p.Proto = 4, b[1], b[8], b[9]
	p.IPID = uint32(binary.BigEndian.Uint16(b[4:]))
	p.Src = Addr{10: 0xff, 11: 0xff, 12: b[12], 13: b[13], 14: b[14], 15: b[15]}
	p.Dst = Addr{10: 0xff, 11: 0xff, 12: b[16], 13: b[17], 14: b[18], 15: b[19]}
	p.L3, p.IPHeader, p.L4 = b, header, b[header:]
	frag := binary.BigEndian.Uint16(b[6:])
	p.ReservedBit, p.DontFrag, p.MoreFrags = frag&0x8000 != 0, frag&0x4000 != 0, frag&0x2000 != 0
	if header > 20 {
		p.ipv4Options(b[20:header])
	}
	if d.Checksums && checksum(b[:header], 0) != 0 {
		p.BadIPChecksum = true
	}
	if off := uint32(frag&0x1fff) * 8; off != 0 || p.MoreFrags {
		p.Fragment, p.FragOffset = true, off
		p.Payload = p.L4
		if int(off)+len(p.L4) > 65535 {
			p.Events.Add(IPv4FragTooLarge)
		}
		return
	}
	d.transport(p)
}

// ipv4Options notes the options present (RFC 791 section 3.1, RFC 1108, RFC 2113).
func (p *Packet) ipv4Options(o []byte) {
	for len(o) > 0 {
		kind := o[0]
		if kind == 0 {
			p.IPOptions |= IPOption(kind)
			return
		}
		if kind == 1 {
			p.IPOptions |= IPOption(kind)
			o = o[1:]
			continue
		}
		if len(o) < 2 {
			p.Events.Add(IPv4OptEOLRequired)
			return
		}
		n := int(o[1])
		if n < 2 || n > len(o) {
			p.Events.Add(IPv4OptInvalidLength)
			return
		}
		bit, least := IPOption(kind), optionLeast(kind)
		switch {
		case least == 0:
			p.Events.Add(IPv4OptInvalid)
		case n < least:
			p.Events.Add(IPv4OptInvalidLength)
		case p.IPOptions&bit != 0:
			p.Events.Add(IPv4OptDuplicate)
		default:
			p.IPOptions |= bit
		}
		o = o[n:]
	}
}

// optionLeast is the least length of an option, 0 for unknown kinds (RFC 791, RFC 1108, RFC 2113, RFC 4782).
func optionLeast(kind byte) int {
	switch kind {
	case 7, 130, 131, 133, 137:
		return 3
	case 68:
		return 5
	case 134:
		return 10
	case 25:
		return 8
	case 136, 148:
		return 4
	}
	return 0
}

// IPv6 next headers (IANA protocol numbers).
const (
	nextHopByHop = 0
	nextIPv4     = 4
	nextIPv6     = 41
	nextRouting  = 43
	nextFragment = 44
	nextGRE      = 47
	nextESP      = 50
	nextAH       = 51
	nextNone     = 59
	nextDest     = 60
	nextMobility = 135
	nextUDPLite  = 136
	nextHIP      = 139
	nextShim6    = 140
)

// ipv6 reads an IPv6 header and its extensions (RFC 8200).
func (d *Decoder) ipv6(p *Packet, b []byte) {
	if len(b) < 40 {
		p.fail(BadIP, IPv6TooSmall)
		return
	}
	p.IPAt = cap(p.Data) - cap(b)
	if b[0]>>4 != 6 {
		p.fail(BadIP, IPv6WrongVersion)
		return
	}
	total := 40 + int(binary.BigEndian.Uint16(b[4:]))
	if total > len(b) {
		p.fail(BadIP, IPv6Truncated)
		return
	}
	b = b[:total]
	p.IPVersion, p.TTL = 6, b[7]
	p.TOS = b[0]<<4 | b[1]>>4
	copy(p.Src[:], b[8:])
	copy(p.Dst[:], b[24:])
	p.L3 = b
	if d.extensions(p, b[6], 40) {
		d.transport(p)
	}
}

// extensions walks the extension headers from offset at; whole: the upper layer can be read.
func (d *Decoder) extensions(p *Packet, next byte, at int) (whole bool) {
	b := p.L3
	var hop, dest, routing, fragment, ah int
	for i := range extMax {
		p.Proto, p.IPHeader, p.L4 = next, at, b[at:]
		p.Payload = p.L4
		n := 0
		rest := b[at:]
		if i > 0 && len(rest) < 2 && next != nextNone { // no header is shorter
			p.Events.Add(IPv6TruncatedExt)
			return false
		}
		switch next {
		case nextHopByHop, nextDest, nextRouting, nextMobility, nextHIP, nextShim6:
			if len(rest) < 8 {
				p.Events.Add(IPv6TruncatedExt)
				return false
			}
			n = 8 + int(rest[1])*8
		case nextAH:
			if len(rest) < 12 {
				p.Events.Add(IPv6TruncatedExt)
				return false
			}
			n = 8 + int(rest[1])*4
			ah++
			if rest[2] != 0 || rest[3] != 0 {
				p.Events.Add(IPv6AHReserved)
			}
		case nextFragment:
			if len(rest) < 8 {
				p.Events.Add(IPv6TruncatedExt)
				return false
			}
			n = 8
			fragment++
			if !p.ipv6Fragment(rest, at) {
				p.Proto = rest[0]
				p.IPHeader, p.L4 = at+8, rest[8:]
				p.Payload = p.L4
				return false
			}
		case nextNone:
			if len(rest) > 0 {
				p.Events.Add(IPv6DataAfterNone)
			}
			return false
		case nextESP:
			return false
		default:
			return true
		}
		if n > len(rest) {
			p.Events.Add(IPv6TruncatedExt)
			return false
		}
		switch next {
		case nextHopByHop:
			hop++
			p.ipv6Options(rest[2:n], IPv6HopOnlyPadding, IPv6HopUnknownOpt)
		case nextDest:
			dest++
			p.ipv6Options(rest[2:n], IPv6DstOnlyPadding, IPv6DstUnknownOpt)
		case nextRouting:
			routing++
			if rest[2] == 0 {
				p.Events.Add(IPv6RH0)
			}
			p.routed(rest[:n])
		}
		p.duplicates(hop, dest, routing, fragment, ah)
		next, at = rest[0], at+n
	}
	p.Events.Add(TooManyLayers)
	return false
}

func (p *Packet) duplicates(hop, dest, routing, fragment, ah int) {
	for _, c := range [...]struct {
		n, most int
		e       Event
	}{{hop, 1, IPv6DupHH}, {dest, 2, IPv6DupDH}, {routing, 1, IPv6DupRH}, {fragment, 1, IPv6DupFH}, {ah, 1, IPv6DupAH}} {
		if c.n > c.most {
			p.Events.Add(c.e)
		}
	}
}

// ipv6Fragment reads a fragment header; true when it is an atomic fragment (RFC 6946) and decoding goes on.
func (p *Packet) ipv6Fragment(h []byte, at int) bool {
	v := binary.BigEndian.Uint16(h[2:])
	p.IPID, p.FragHeader = binary.BigEndian.Uint32(h[4:]), at
	p.FragOffset, p.MoreFrags = uint32(v&^7), v&1 != 0
	if h[1] != 0 {
		p.Events.Add(IPv6FHReserved)
	}
	if p.FragOffset == 0 && !p.MoreFrags {
		p.Events.Add(IPv6UselessFH)
		return true
	}
	n := len(h) - 8
	if p.MoreFrags && n%8 != 0 {
		p.Events.Add(IPv6FragInvalidLength)
	}
	if int(p.FragOffset)+n > 65535 {
		p.Events.Add(IPv6FragTooLarge)
	}
	p.Fragment = true
	return false
}

// homeAddress is the option that carries a mobile node's own address (RFC 6275 section 6.3).
const homeAddress = 0xc9

// routed notes the final destination of a routing header that has not been followed to its end: checksums are made for
// it (RFC 8200 section 8.1). Types: 0, its last address; 2, its only one; 4, the first of a list in reverse (RFC 8754).
func (p *Packet) routed(h []byte) {
	if h[3] == 0 || len(h) < 24 {
		return
	}
	switch h[2] {
	case 0:
		p.sumDst = h[8+(len(h)-24)&^15:][:16]
	case 2, 4:
		p.sumDst = h[8:24]
	}
}

// ipv6Options judges hop-by-hop and destination options (RFC 8200 section 4.2).
func (p *Packet) ipv6Options(o []byte, onlyPadding, unknown Event) {
	other := false
	for len(o) > 0 {
		if o[0] == 0 {
			o = o[1:]
			continue
		}
		if len(o) < 2 || int(o[1]) > len(o)-2 {
			p.Events.Add(IPv6InvalidOptLen)
			return
		}
		switch o[0] {
		case 1:
			if o[1] == 0 {
				p.Events.Add(IPv6ZeroPadN)
			}
		case 5, 0xc2, homeAddress, 0x26, 0x8a, 0x8b, 0x4d, 0x63, 0xee, 0x04:
			other = true
			if o[0] == 5 && o[1] != 2 || o[0] == 0xc2 && o[1] != 4 || o[0] == homeAddress && o[1] != 16 {
				p.Events.Add(IPv6InvalidOptLen)
			} else if o[0] == homeAddress {
				p.sumSrc = o[2:18]
			}
		default:
			other = true
			p.Events.Add(unknown)
		}
		o = o[2+int(o[1]):]
	}
	if !other {
		p.Events.Add(onlyPadding)
	}
}

// checksum is the Internet checksum (RFC 1071) over b, added to a partial sum; 0 means valid.
func checksum(b []byte, sum uint64) uint16 {
	for len(b) >= 8 {
		v := binary.BigEndian.Uint64(b)
		sum += v>>32 + v&0xffffffff
		b = b[8:]
	}
	for len(b) >= 2 {
		sum += uint64(b[0])<<8 | uint64(b[1])
		b = b[2:]
	}
	if len(b) == 1 {
		sum += uint64(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// pseudo is the partial sum of the pseudo header (RFC 9293 section 3.1, RFC 8200 section 8.1).
func (p *Packet) pseudo(proto byte) uint64 {
	var sum uint64
	from := 0
	src, dst := p.Src[:], p.Dst[:]
	switch {
	case p.IPVersion == 4:
		from = 12
	case p.sumSrc != nil:
		src = p.sumSrc
	}
	if p.sumDst != nil {
		dst = p.sumDst
	}
	for i := from; i < 16; i += 4 {
		sum += uint64(binary.BigEndian.Uint32(src[i:])) + uint64(binary.BigEndian.Uint32(dst[i:]))
	}
	return sum + uint64(proto) + uint64(len(p.L4))
}
