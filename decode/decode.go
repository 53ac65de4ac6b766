package decode

import "encoding/binary"

// Link types (LINKTYPE_ numbers of libpcap).
const (
	LinkNull       = 0
	LinkEthernet   = 1
	LinkPPP        = 9
	LinkFDDI       = 10
	LinkRawBSD     = 12
	LinkRawOpen    = 14
	LinkPPPHDLC    = 50
	LinkPPPoE      = 51
	LinkRaw        = 101
	LinkCHDLC      = 104
	Link80211      = 105
	LinkFrameRelay = 107
	LinkLoop       = 108
	LinkSLL        = 113
	LinkPrism      = 119
	LinkRadiotap   = 127
	LinkAVS        = 163
	LinkPPI        = 192
	LinkMPLS       = 219
	LinkIPv4       = 228
	LinkIPv6       = 229
	LinkWPAN       = 230
	LinkNFLog      = 239
	LinkSLL2       = 276
)

// Bounds against frames that nest layers for the sake of it.
const (
	vlanMax  = 3
	mplsMax  = 16
	depthMax = 9  // packets inside one another
	extMax   = 16 // IPv6 extension headers
)

// Decoder holds what decoding depends on; the zero value reads everything and judges no checksum.
type Decoder struct {
	Checksums   bool
	NoTeredo    bool
	NoVXLAN     bool
	NoGeneve    bool
	VXLANPorts  []uint16 // nil: 4789
	GenevePorts []uint16 // nil: 6081
	TeredoPorts []uint16 // nil: any port, told by its content
}

// Decode reads a frame of the given link type into p. Number, Time, WireLen and Interface stay as they are.
func (d *Decoder) Decode(p *Packet, linkType uint16, data []byte) {
	p.reset()
	p.LinkType, p.Data = linkType, data
	d.link(p, linkType, data)
}

// DecodeInner reads the cargo of outer into p.
func (d *Decoder) DecodeInner(p, outer *Packet) {
	p.Number, p.Time, p.Interface, p.WireLen = outer.Number, outer.Time, outer.Interface, uint32(len(outer.Inner))
	p.reset()
	p.Depth, p.Tunnel, p.Unsummed = outer.Depth+1, outer.Tunnel, outer.Unsummed
	p.LinkType, p.Data = outer.InnerLink, outer.Inner
	p.VLAN, p.VLANs, p.Outer = outer.VLAN, outer.VLANs, outer
	if p.Depth > depthMax {
		p.Events.Add(TooManyLayers)
		return
	}
	kind := p.Tunnel
	d.link(p, p.LinkType, p.Data)
	if p.Inner == nil {
		p.Tunnel = kind
	}
}

// DecodeDatagram reads an IP datagram that defrag put together from fragments like from.
func (d *Decoder) DecodeDatagram(p *Packet, ip []byte, from *Packet) {
	p.Number, p.Time, p.Interface, p.WireLen = from.Number, from.Time, from.Interface, uint32(len(ip))
	p.reset()
	p.Rebuilt, p.Depth, p.Tunnel, p.Unsummed = true, from.Depth, from.Tunnel, from.Unsummed
	p.LinkType, p.Data = from.LinkType, ip
	if n := from.IPAt; n <= len(from.Data) {
		p.Link = from.Data[:n]
	}
	p.VLAN, p.VLANs, p.Outer = from.VLAN, from.VLANs, from.Outer
	p.HasEthernet, p.EthSrc, p.EthDst = from.HasEthernet, from.EthSrc, from.EthDst
	d.ip(p, ip)
}

// Turn makes t the packet as its answer would have been: what a rule matched may have gone the other way than the
// packet that completed it (an acknowledgement).
func (p *Packet) Turn(t *Packet) {
	*t = *p
	t.Src, t.Dst, t.SrcPort, t.DstPort = p.Dst, p.Src, p.DstPort, p.SrcPort
	t.EthSrc, t.EthDst = p.EthDst, p.EthSrc
}

func (p *Packet) reset() {
	*p = Packet{Number: p.Number, Time: p.Time, WireLen: p.WireLen, Interface: p.Interface}
}

func (p *Packet) fail(r Reason, e Event) {
	p.Undecodable = r
	p.Events.Add(e)
}

// link reads the link layer.
func (d *Decoder) link(p *Packet, linkType uint16, b []byte) {
	switch linkType {
	case LinkEthernet:
		d.ethernet(p, b)
	case LinkRaw, LinkRawBSD, LinkRawOpen, LinkIPv4, LinkIPv6:
		d.ip(p, b)
	case LinkNull, LinkLoop:
		d.null(p, b)
	case LinkPPP:
		d.ppp(p, b)
	case LinkPPPHDLC:
		if len(b) > 0 && (b[0] == 0x0f || b[0] == 0x8f) { // Cisco's framing on the same link type
			d.cut(p, b, 4, 2, CHDLCTooSmall)
			return
		}
		d.ppp(p, b)
	case LinkPPPoE:
		d.pppoe(p, b)
	case LinkCHDLC:
		d.cut(p, b, 4, 2, CHDLCTooSmall)
	case LinkSLL:
		d.cut(p, b, 16, 14, SLLTooSmall)
	case LinkSLL2:
		d.cut(p, b, 20, 0, SLLTooSmall)
	case Link80211:
		d.wireless(p, b, false)
	case LinkRadiotap:
		d.radiotap(p, b)
	case LinkPPI:
		d.ppi(p, b)
	case LinkPrism, LinkAVS:
		d.prism(p, b)
	case LinkFDDI:
		d.llc(p, b, 13)
	case LinkFrameRelay:
		d.frameRelay(p, b)
	case LinkWPAN:
		d.wpan(p, b)
	case LinkNFLog:
		d.nflog(p, b)
	case LinkMPLS:
		d.mpls(p, b)
	default:
		p.Undecodable = UnknownLink
	}
}

// cut skips a link header of n bytes whose EtherType stands at offset at.
func (d *Decoder) cut(p *Packet, b []byte, n, at int, e Event) {
	if len(b) < n {
		p.fail(ShortFrame, e)
		return
	}
	d.etherType(p, binary.BigEndian.Uint16(b[at:]), b[n:])
}

func (d *Decoder) null(p *Packet, b []byte) {
	if len(b) < 4 {
		p.fail(ShortFrame, NullTooSmall)
		return
	}
	// The address family is in the byte order of the machine that captured (BSD numbers for IPv6 differ).
	family := binary.LittleEndian.Uint32(b)
	if family > 0xffff {
		family = binary.BigEndian.Uint32(b)
	}
	switch family {
	case 2, 10, 24, 28, 30:
		d.ip(p, b[4:])
	default:
		p.fail(UnknownLink, NullUnsupported)
	}
}

func (d *Decoder) ethernet(p *Packet, b []byte) {
	if len(b) < 14 {
		p.fail(ShortFrame, EthernetTooSmall)
		return
	}
	p.HasEthernet = true
	copy(p.EthDst[:], b)
	copy(p.EthSrc[:], b[6:])
	d.etherType(p, binary.BigEndian.Uint16(b[12:]), b[14:])
}

// EtherTypes (IEEE registry).
const (
	typeIPv4  = 0x0800
	TypeARP   = 0x0806
	typeIPv6  = 0x86dd
	typeVLAN  = 0x8100
	typeQinQ  = 0x88a8
	typeQinQ9 = 0x9100
	typeMPLS  = 0x8847
	typeMPLSm = 0x8848
	typeDisc  = 0x8863
	typePPPoE = 0x8864
	typeVNTag = 0x8926
	typePBB   = 0x88e7
	typeTEB   = 0x6558
	typePPP   = 0x880b
	typeERSP2 = 0x88be
	typeERSP3 = 0x22eb
	typeDCE   = 0x8903
)

// etherType goes on by type; tags are taken off in turn.
func (d *Decoder) etherType(p *Packet, t uint16, b []byte) {
	for {
		p.EtherType = t
		switch t {
		case typeIPv4:
			d.ipv4(p, b)
		case typeIPv6:
			d.ipv6(p, b)
		case TypeARP:
			p.arp(b)
		case typeVLAN, typeQinQ, typeQinQ9:
			if len(b) < 4 {
				p.fail(ShortFrame, VLANTooSmall)
				return
			}
			if p.VLANs >= vlanMax {
				p.fail(UnknownEtherType, VLANTooMany)
				return
			}
			p.VLAN[p.VLANs] = binary.BigEndian.Uint16(b) & 0xfff
			p.VLANs++
			t, b = binary.BigEndian.Uint16(b[2:]), b[4:]
			continue
		case typeMPLS, typeMPLSm:
			d.mpls(p, b)
		case typeDisc:
			p.pppoeDiscovery(b)
		case typePPPoE:
			d.pppoe(p, b)
		case typeVNTag:
			if len(b) < 6 {
				p.fail(ShortFrame, VNTagTooSmall)
				return
			}
			t, b = binary.BigEndian.Uint16(b[4:]), b[6:]
			continue
		case typePBB:
			if len(b) < 18 {
				p.fail(ShortFrame, PBBTooSmall)
				return
			}
			t, b = binary.BigEndian.Uint16(b[16:]), b[18:]
			continue
		case typeDCE:
			if len(b) < 4 {
				p.Undecodable = ShortFrame
				return
			}
			t, b = binary.BigEndian.Uint16(b[2:]), b[4:]
			continue
		default:
			d.otherType(p, t, b)
		}
		return
	}
}

// otherType handles IEEE 802.3 lengths with LLC, and counts the rest.
func (d *Decoder) otherType(p *Packet, t uint16, b []byte) {
	if t < 1536 && len(b) >= 8 && b[0] == 0xaa && b[1] == 0xaa && b[2] == 3 {
		if u := binary.BigEndian.Uint16(b[6:]); u >= 1536 {
			d.etherType(p, u, b[8:])
			return
		}
	}
	p.Undecodable = UnknownEtherType
}

func (d *Decoder) llc(p *Packet, b []byte, skip int) {
	if len(b) < skip+8 || b[skip] != 0xaa {
		p.Undecodable = ShortFrame
		return
	}
	d.etherType(p, binary.BigEndian.Uint16(b[skip+6:]), b[skip+8:])
}

// behind skips a header whose own length (little-endian) stands at offset at.
func (d *Decoder) behind(p *Packet, b []byte, at int, next uint16) {
	if len(b) < at+2 {
		p.Undecodable = ShortFrame
		return
	}
	n := int(binary.LittleEndian.Uint16(b[at:]))
	if n < at+2 || n > len(b) {
		p.Undecodable = ShortFrame
		return
	}
	d.link(p, next, b[n:])
}

func (d *Decoder) ppi(p *Packet, b []byte) {
	if len(b) < 8 {
		p.Undecodable = ShortFrame
		return
	}
	next := binary.LittleEndian.Uint32(b[4:])
	if next == LinkPPI || next == LinkRadiotap || next > 0xffff {
		p.Undecodable = UnknownLink
		return
	}
	d.behind(p, b, 2, uint16(next))
}

// radiotap takes off a header of the capturing card, which may say that the frame's own header was padded.
func (d *Decoder) radiotap(p *Packet, b []byte) {
	const flags, stamp, more, padded = 1 << 1, 1 << 0, 1 << 31, 0x20
	if len(b) < 8 {
		p.Undecodable = ShortFrame
		return
	}
	n := int(binary.LittleEndian.Uint16(b[2:]))
	if n < 8 || n > len(b) {
		p.Undecodable = ShortFrame
		return
	}
	present := binary.LittleEndian.Uint32(b[4:])
	at := 8
	for w := present; w&more != 0 && at+4 <= n; at += 4 {
		w = binary.LittleEndian.Uint32(b[at:])
	}
	if present&stamp != 0 {
		at = (at+7)&^7 + 8
	}
	d.wireless(p, b[n:], present&flags != 0 && at < n && b[at]&padded != 0)
}

// prism takes off the header of Prism cards (little-endian) or the AVS header that took its place (big-endian).
func (d *Decoder) prism(p *Packet, b []byte) {
	if len(b) < 8 {
		p.Undecodable = ShortFrame
		return
	}
	n := binary.LittleEndian.Uint32(b[4:])
	if binary.BigEndian.Uint32(b)>>12 == 0x80211 {
		n = binary.BigEndian.Uint32(b[4:])
	}
	if n < 8 || uint64(n) > uint64(len(b)) {
		p.Undecodable = ShortFrame
		return
	}
	d.wireless(p, b[n:], false)
}

// wireless reads IEEE 802.11 data frames that are not encrypted (IEEE 802.11 section 9.3.2).
// padded: the header was padded to a multiple of four bytes.
func (d *Decoder) wireless(p *Packet, b []byte, padded bool) {
	if len(b) < 24 || b[0]&0x0c != 8 || b[0]&0x40 != 0 || b[1]&0x40 != 0 {
		p.Undecodable = UnknownWireless
		return
	}
	n := 24
	if b[1]&3 == 3 {
		n += 6
	}
	if b[0]&0x80 != 0 {
		n += 2
		if b[1]&0x80 != 0 {
			n += 4 // HT control
		}
	}
	if padded {
		n = (n + 3) &^ 3
	}
	d.llc(p, b, n)
}

func (d *Decoder) frameRelay(p *Packet, b []byte) {
	if len(b) < 4 {
		p.Undecodable = ShortFrame
		return
	}
	switch {
	case b[2] == 3 && b[3] == 0xcc:
		d.ipv4(p, b[4:])
	case b[2] == 3 && b[3] == 0x8e:
		d.ipv6(p, b[4:])
	case len(b) >= 10 && b[2] == 3 && b[3] == 0 && b[4] == 0x80:
		d.etherType(p, binary.BigEndian.Uint16(b[8:]), b[10:])
	default:
		d.etherType(p, binary.BigEndian.Uint16(b[2:]), b[4:])
	}
}

// nflog reads netfilter's log: a header, then attributes; the one of type 9 is the packet.
func (d *Decoder) nflog(p *Packet, b []byte) {
	const payload = 9
	if len(b) < 4 {
		p.Undecodable = ShortFrame
		return
	}
	for b = b[4:]; len(b) >= 4; {
		n, kind := int(binary.LittleEndian.Uint16(b)), binary.LittleEndian.Uint16(b[2:])
		if n < 4 || n > len(b) {
			break
		}
		if kind == payload {
			d.ip(p, b[4:n])
			return
		}
		b = b[min(len(b), (n+3)&^3):]
	}
	p.Undecodable = ShortFrame
}

// arp reads an Ethernet/IPv4 ARP message; others are valid but not looked into.
func (p *Packet) arp(b []byte) {
	if len(b) < 28 {
		p.fail(ShortFrame, ARPTooSmall)
		return
	}
	if binary.BigEndian.Uint16(b) != 1 || binary.BigEndian.Uint16(b[2:]) != typeIPv4 || b[4] != 6 || b[5] != 4 {
		return
	}
	a := &p.ARP
	a.Valid, a.Op = true, binary.BigEndian.Uint16(b[6:])
	copy(a.SenderMAC[:], b[8:])
	copy(a.SenderIP[:], b[14:])
	copy(a.TargetMAC[:], b[18:])
	copy(a.TargetIP[:], b[24:])
}

// mpls takes labels off (RFC 3032) and guesses the cargo by its first nibble, as routers do.
func (d *Decoder) mpls(p *Packet, b []byte) {
	for range mplsMax {
		if len(b) < 4 {
			p.fail(ShortFrame, MPLSHeaderTooSmall)
			return
		}
		shim := binary.BigEndian.Uint32(b)
		label := shim >> 12
		b = b[4:]
		if shim&0x100 == 0 {
			if label == 3 {
				p.Events.Add(MPLSImplicitNull)
			}
			continue
		}
		d.mplsCargo(p, label, b)
		return
	}
	p.Undecodable = UnknownEtherType
}

func (d *Decoder) mplsCargo(p *Packet, label uint32, b []byte) {
	switch {
	case label == 1:
		p.Events.Add(MPLSRouterAlert)
	case label == 3:
		p.Events.Add(MPLSImplicitNull)
	case label > 3 && label < 16:
		p.Events.Add(MPLSReserved)
	}
	if len(b) < 1 {
		p.fail(ShortFrame, MPLSTooSmall)
		return
	}
	switch {
	case label == 0, b[0]>>4 == 4:
		d.ipv4(p, b)
	case label == 2, b[0]>>4 == 6:
		d.ipv6(p, b)
	case b[0]>>4 == 0 && len(b) >= 4+14: // pseudo-wire with a control word (RFC 4448)
		d.ethernet(p, b[4:])
	default:
		p.fail(UnknownEtherType, MPLSUnknown)
	}
}

func (p *Packet) pppoeDiscovery(b []byte) {
	if len(b) < 6 {
		p.fail(ShortFrame, PPPoETooSmall)
		return
	}
	switch b[1] {
	case 0x09, 0x07, 0x19, 0x65, 0xa7:
	default:
		p.Events.Add(PPPoEWrongCode)
		return
	}
	n := int(binary.BigEndian.Uint16(b[4:]))
	if n > len(b)-6 {
		p.Events.Add(PPPoEMalformedTags)
		return
	}
	for t := b[6 : 6+n]; len(t) >= 4; {
		l := int(binary.BigEndian.Uint16(t[2:]))
		if l > len(t)-4 {
			p.Events.Add(PPPoEMalformedTags)
			return
		}
		t = t[4+l:]
	}
}

// pppoe reads a session frame (RFC 2516 section 4).
func (d *Decoder) pppoe(p *Packet, b []byte) {
	if len(b) < 8 {
		p.fail(ShortFrame, PPPoETooSmall)
		return
	}
	if n := int(binary.BigEndian.Uint16(b[4:])); n >= 2 && n <= len(b)-6 {
		b = b[:6+n]
	}
	d.pppProtocol(p, b[6:])
}

// ppp reads a PPP frame with or without address and control (RFC 1662).
func (d *Decoder) ppp(p *Packet, b []byte) {
	if len(b) >= 2 && b[0] == 0xff && b[1] == 3 {
		b = b[2:]
	}
	d.pppProtocol(p, b)
}

func (d *Decoder) pppProtocol(p *Packet, b []byte) {
	if len(b) < 2 {
		p.fail(ShortFrame, PPPTooSmall)
		return
	}
	proto, n := uint16(b[0]), 1 // compressed protocol field (RFC 1661 section 6.5)
	if b[0]&1 == 0 {
		proto, n = binary.BigEndian.Uint16(b), 2
	}
	switch b = b[n:]; proto {
	case 0x0021:
		if len(b) < 20 {
			p.fail(ShortFrame, PPPIPv4TooSmall)
			return
		}
		d.ipv4(p, b)
	case 0x0057:
		if len(b) < 40 {
			p.fail(ShortFrame, PPPIPv6TooSmall)
			return
		}
		d.ipv6(p, b)
	case 0x002d, 0x002f:
		p.fail(UnknownEtherType, PPPUnsupported)
	case 0x8021, 0x8057, 0xc021, 0xc023, 0xc025, 0xc223, 0x80fd, 0x8035, 0x8031:
		// control protocols: well-formed and of no interest
	default:
		p.fail(UnknownEtherType, PPPWrongType)
	}
}
