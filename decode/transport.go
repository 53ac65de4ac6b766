package decode

import "encoding/binary"

// transport reads the upper layer of a whole datagram.
func (d *Decoder) transport(p *Packet) {
	switch p.Proto {
	case ProtoTCP:
		d.tcp(p)
	case ProtoUDP, nextUDPLite:
		d.udp(p)
	case ProtoICMP:
		if p.IPVersion == 6 {
			p.Events.Add(IPv6ICMPv4)
		}
		d.icmp(p)
	case ProtoICMPv6:
		if p.IPVersion == 4 {
			p.Events.Add(IPv4ICMPv6)
			return
		}
		d.icmp6(p)
	case ProtoSCTP:
		if len(p.L4) < 12 {
			p.Events.Add(SCTPTooSmall)
			return
		}
		p.SrcPort, p.DstPort = binary.BigEndian.Uint16(p.L4), binary.BigEndian.Uint16(p.L4[2:])
		p.Payload, p.HasL4 = p.L4[12:], true
	case nextGRE:
		p.Payload = p.L4
		d.gre(p)
	case nextIPv4, nextIPv6:
		p.Payload = p.L4
		p.inIP()
	default:
		p.Payload, p.HasL4 = p.L4, true
	}
}

// inIP hands on a datagram inside a datagram (RFC 2003, RFC 2473, RFC 4213).
func (p *Packet) inIP() {
	four := p.Proto == nextIPv4
	least, version, short, wrong := 40, byte(6), IPv6InIPv6TooSmall, IPv6InIPv6WrongVersion
	if four {
		least, version, short, wrong = 20, 4, IPv4InIPv6TooSmall, IPv4InIPv6WrongVersion
	}
	switch {
	case len(p.L4) < least:
		if p.IPVersion == 6 {
			p.Events.Add(short)
		}
		return
	case p.L4[0]>>4 != version:
		if p.IPVersion == 6 {
			p.Events.Add(wrong)
		}
		return
	}
	p.HasL4 = true
	p.Inner, p.InnerLink, p.Tunnel = p.L4, LinkIPv6, TunnelIPv6
	if four {
		p.InnerLink, p.Tunnel = LinkIPv4, TunnelIPv4
	}
}

func (d *Decoder) tcp(p *Packet) {
	b := p.L4
	if len(b) < 20 {
		p.Events.Add(TCPTooSmall)
		return
	}
	header := int(b[12]>>4) * 4
	if header < 20 {
		p.Events.Add(TCPHeaderTooSmall)
		return
	}
	if header > len(b) {
		p.Events.Add(TCPHeaderTooSmall)
		return
	}
	p.SrcPort, p.DstPort = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	t := &p.TCP
	t.Seq, t.Ack = binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
	t.Flags, t.Window, t.Urgent = b[13], binary.BigEndian.Uint16(b[14:]), binary.BigEndian.Uint16(b[18:])
	t.HeaderLen, t.WScale = uint8(header), -1
	t.Options = b[20:header]
	if header > 20 {
		p.tcpOptions(t.Options)
	}
	p.Payload, p.HasL4 = b[header:], true
	if d.Checksums && checksum(b, p.pseudo(ProtoTCP)) != 0 {
		p.BadL4Checksum = true
	}
}

// tcpOptions reads MSS, window scale, SACK permitted and timestamps (RFC 9293 section 3.2, RFC 7323, RFC 2018).
func (p *Packet) tcpOptions(o []byte) {
	t := &p.TCP
	for len(o) > 0 {
		kind := o[0]
		if kind == 0 {
			return
		}
		if kind == 1 {
			o = o[1:]
			continue
		}
		if len(o) < 2 {
			p.Events.Add(TCPInvalidOptLen)
			return
		}
		n := int(o[1])
		if n < 2 || n > len(o) {
			p.Events.Add(TCPInvalidOptLen)
			return
		}
		switch {
		case kind == 2 && n == 4:
			p.once(t.MSS != 0)
			t.MSS = binary.BigEndian.Uint16(o[2:])
		case kind == 3 && n == 3:
			p.once(t.WScale >= 0)
			t.WScale = int8(min(o[2], 14))
		case kind == 4 && n == 2:
			p.once(t.SACKPermitted)
			t.SACKPermitted = true
		case kind == 8 && n == 10:
			p.once(t.HasTimestamp)
			t.HasTimestamp = true
			t.TSVal, t.TSEcr = binary.BigEndian.Uint32(o[2:]), binary.BigEndian.Uint32(o[6:])
		case kind == 2 || kind == 3 || kind == 4 || kind == 8:
			p.Events.Add(TCPOptInvalidLen)
		}
		o = o[n:]
	}
}

func (p *Packet) once(seen bool) {
	if seen {
		p.Events.Add(TCPOptDuplicate)
	}
}

func (d *Decoder) udp(p *Packet) {
	b := p.L4
	if len(b) < 8 {
		p.Events.Add(UDPHeaderTooSmall)
		return
	}
	n := int(binary.BigEndian.Uint16(b[4:]))
	if p.Proto == nextUDPLite {
		n = len(b)
	}
	if n < 8 {
		if n != 0 {
			p.Events.Add(UDPLenInvalid)
			return
		}
		n = len(b)
	}
	if n > len(b) {
		p.Events.Add(UDPTooSmall)
		return
	}
	if n < len(b) {
		p.Events.Add(UDPLenInvalid)
	}
	p.SrcPort, p.DstPort = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	p.Payload, p.HasL4 = b[8:n], true
	if d.Checksums && binary.BigEndian.Uint16(b[6:]) != 0 && p.Proto == ProtoUDP {
		p.L4 = b[:n]
		p.BadL4Checksum = checksum(b[:n], p.pseudo(ProtoUDP)) != 0
	}
	d.udpTunnel(p)
}

// udpTunnel looks for VXLAN (RFC 7348), Geneve (RFC 8926) and Teredo (RFC 4380).
func (d *Decoder) udpTunnel(p *Packet) {
	b := p.Payload
	switch {
	case !d.NoVXLAN && has(d.VXLANPorts, p.DstPort, 4789) && len(b) >= 8+14 && b[0]&8 != 0:
		p.TunnelID = binary.BigEndian.Uint32(b[4:]) >> 8
		p.Inner, p.InnerLink, p.Tunnel = b[8:], LinkEthernet, TunnelVXLAN
	case !d.NoGeneve && has(d.GenevePorts, p.DstPort, 6081) && len(b) >= 8 && b[0]>>6 == 0:
		n := 8 + int(b[0]&0x3f)*4
		if n > len(b) {
			return
		}
		p.geneve(binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint32(b[4:])>>8, b[n:])
	case !d.NoTeredo && p.IPVersion == 4 && (d.TeredoPorts == nil || has(d.TeredoPorts, p.DstPort, 0) || has(d.TeredoPorts, p.SrcPort, 0)):
		if inner := teredo(b); inner != nil {
			p.Inner, p.InnerLink, p.Tunnel = inner, LinkIPv6, TunnelTeredo
		}
	}
}

func (p *Packet) geneve(kind uint16, vni uint32, cargo []byte) {
	switch kind {
	case typeTEB:
		p.InnerLink = LinkEthernet
	case typeIPv4, typeIPv6:
		p.InnerLink = LinkRaw
	default:
		p.Events.Add(GeneveUnknownPayload)
		return
	}
	p.Inner, p.Tunnel, p.TunnelID = cargo, TunnelGeneve, vni
}

// teredo returns the IPv6 datagram in a payload that holds exactly one behind Teredo's indications, else nil.
func teredo(b []byte) []byte {
	if len(b) > 4 && b[0] == 0 && b[1] == 1 { // authentication
		n := 13 + int(b[2]) + int(b[3])
		if n > len(b) {
			return nil
		}
		b = b[n:]
	}
	if len(b) > 8 && b[0] == 0 && b[1] == 0 { // origin
		b = b[8:]
	}
	if len(b) < 40 || b[0]>>4 != 6 || int(binary.BigEndian.Uint16(b[4:]))+40 != len(b) {
		return nil
	}
	return b
}

func has(ports []uint16, port, standard uint16) bool {
	if ports == nil {
		return port == standard
	}
	for _, p := range ports {
		if p == port {
			return true
		}
	}
	return false
}

// icmpCodes is the highest code of each ICMP type (IANA), -1 for types without meaning.
var icmpCodes = [...]int{0: 0, 1: -1, 2: -1, 3: 15, 4: 0, 5: 3, 6: 0, 7: -1, 8: 0, 9: 16, 10: 0, 11: 1, 12: 2, 13: 0, 14: 0, 15: 0, 16: 0, 17: 0, 18: 0, 19: -1, 30: 0, 31: 0, 32: 0, 33: 0, 34: 0, 35: 0, 36: 0, 37: 0, 38: 0, 39: 0, 40: 5, 41: 0, 42: 0, 43: 4}

func (d *Decoder) icmp(p *Packet) {
	b := p.L4
	if len(b) < 8 {
		p.Events.Add(ICMPTooSmall)
		return
	}
	p.ICMPType, p.ICMPCode = b[0], b[1]
	p.Payload, p.HasL4 = b[8:], true
	switch t := int(b[0]); {
	case t >= len(icmpCodes) || icmpCodes[t] < 0 || t > 19 && t < 30:
		p.Events.Add(ICMPUnknownType)
	case int(b[1]) > icmpCodes[t]:
		p.Events.Add(ICMPUnknownCode)
	}
	switch b[0] {
	case 0, 8, 13, 14, 15, 16, 17, 18:
		p.ICMPID, p.ICMPSeq = binary.BigEndian.Uint16(b[4:]), binary.BigEndian.Uint16(b[6:])
	case 3, 4, 5, 11, 12:
		p.embedded(b[8:], 4, ICMPEmbeddedTruncated, ICMPEmbeddedUnknown)
	}
	if d.Checksums && checksum(b, 0) != 0 {
		p.BadL4Checksum = true
	}
}

func (d *Decoder) icmp6(p *Packet) {
	b := p.L4
	if len(b) < 8 {
		p.Events.Add(ICMPv6TooSmall)
		return
	}
	p.ICMPType, p.ICMPCode = b[0], b[1]
	p.Payload, p.HasL4 = b[8:], true
	p.icmp6Kind(b[0], b[1])
	switch b[0] {
	case 128, 129:
		p.ICMPID, p.ICMPSeq = binary.BigEndian.Uint16(b[4:]), binary.BigEndian.Uint16(b[6:])
	case 1, 2, 3, 4:
		p.embedded(b[8:], 6, ICMPv6EmbeddedTruncated, ICMPv6EmbeddedUnknown)
	}
	if d.Checksums && checksum(b, p.pseudo(ProtoICMPv6)) != 0 {
		p.BadL4Checksum = true
	}
}

// icmp6Kind judges type and code (IANA's ICMPv6 parameters, RFC 4443, RFC 2710).
func (p *Packet) icmp6Kind(t, code byte) {
	most := -1
	switch {
	case t == 1:
		most = 8
	case t == 2 || t >= 128 && t <= 137 || t >= 139 && t <= 160:
		most = 255
		if t == 2 || t == 128 || t == 129 || t >= 130 && t <= 137 {
			most = 0
		}
	case t == 3:
		most = 1
	case t == 4:
		most = 10
	case t == 138:
		most = 255
	case t == 100 || t == 101 || t == 200 || t == 201:
		p.Events.Add(ICMPv6Experimental)
		return
	case t == 0 || t > 4 && t < 100 || t > 101 && t < 127 || t > 160 && t < 200:
		p.Events.Add(ICMPv6Unassigned)
		return
	default:
		p.Events.Add(ICMPv6UnknownType)
		return
	}
	if int(code) > most {
		p.Events.Add(ICMPv6UnknownCode)
	}
	if t >= 130 && t <= 132 && p.TTL != 1 {
		p.Events.Add(ICMPv6MLDHopLimit)
	}
}

// embedded reads the datagram that an ICMP error quotes.
func (p *Packet) embedded(b []byte, version byte, short, unknown Event) {
	e := &p.Embedded
	if len(b) == 0 {
		return
	}
	header := 20
	if version == 6 {
		header = 40
	}
	if len(b) < header {
		p.Events.Add(short)
		return
	}
	if b[0]>>4 != version {
		p.Events.Add(unknown)
		return
	}
	e.IPVersion = version
	if version == 4 {
		header = int(b[0]&15) * 4
		e.Proto = b[9]
		e.Src = Addr{10: 0xff, 11: 0xff, 12: b[12], 13: b[13], 14: b[14], 15: b[15]}
		e.Dst = Addr{10: 0xff, 11: 0xff, 12: b[16], 13: b[17], 14: b[18], 15: b[19]}
		if header < 20 || header > len(b) {
			p.Events.Add(short)
			return
		}
	} else {
		e.Proto = b[6]
		copy(e.Src[:], b[8:])
		copy(e.Dst[:], b[24:])
	}
	e.Valid = true
	if b = b[header:]; len(b) >= 4 && (e.Proto == ProtoTCP || e.Proto == ProtoUDP || e.Proto == ProtoSCTP) {
		e.SrcPort, e.DstPort = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	}
}

// gre reads GRE (RFC 2784, RFC 2890) and PPTP's variant (RFC 2637).
func (d *Decoder) gre(p *Packet) {
	b := p.L4
	if len(b) < 4 {
		p.Events.Add(GRETooSmall)
		return
	}
	flags, kind := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	switch flags & 7 {
	case 0:
		p.gre0(b, flags, kind)
	case 1:
		p.gre1(b, flags, kind)
	default:
		p.Events.Add(GREWrongVersion)
	}
}

// GRE flag bits.
const (
	greChecksum  = 0x8000
	greRouting   = 0x4000
	greKey       = 0x2000
	greSequence  = 0x1000
	greSSR       = 0x0800
	greRecursion = 0x0700
	greAck       = 0x0080
)

func (p *Packet) gre0(b []byte, flags, kind uint16) {
	if flags&greRecursion != 0 {
		p.Events.Add(GRE0Recursion)
		return
	}
	if flags&0x00f8 != 0 {
		p.Events.Add(GRE0Flags)
		return
	}
	n := 4
	if flags&(greChecksum|greRouting) != 0 {
		n += 4
	}
	if flags&greKey != 0 {
		if len(b) >= n+4 {
			p.TunnelID = binary.BigEndian.Uint32(b[n:])
		}
		n += 4
	}
	if flags&greSequence != 0 {
		n += 4
	}
	if n > len(b) {
		p.Events.Add(GRE0HeaderTooBig)
		return
	}
	p.HasL4, p.Tunnel = true, TunnelGRE
	switch cargo := b[n:]; kind {
	case typeIPv4, typeIPv6:
		p.Inner, p.InnerLink = cargo, LinkRaw
	case typeTEB:
		p.Inner, p.InnerLink = cargo, LinkEthernet
	case typePPP:
		p.Inner, p.InnerLink = cargo, LinkPPP
	case typeMPLS, typeMPLSm:
		p.Inner, p.InnerLink = cargo, LinkMPLS
	case typeERSP2:
		if flags&greSequence != 0 {
			p.erspan(cargo, 8)
		} else {
			p.Inner, p.InnerLink, p.Tunnel = cargo, LinkEthernet, TunnelERSPAN
		}
	case typeERSP3:
		p.erspan(cargo, 12)
	}
}

// erspan takes off the header of type II (8 bytes) or III (12, and 8 more with the O bit).
func (p *Packet) erspan(b []byte, n int) {
	if len(b) < n {
		p.Events.Add(ERSPANTooSmall)
		return
	}
	if v := b[0] >> 4; v != 1 && v != 2 {
		p.Events.Add(ERSPANVersion)
		return
	}
	if n == 12 && b[11]&1 != 0 {
		n += 8
	}
	if len(b) < n {
		p.Events.Add(ERSPANTooSmall)
		return
	}
	p.TunnelID = uint32(binary.BigEndian.Uint16(b[2:]) & 0x3ff)
	p.Inner, p.InnerLink, p.Tunnel = b[n:], LinkEthernet, TunnelERSPAN
}

func (p *Packet) gre1(b []byte, flags, kind uint16) {
	switch {
	case flags&greChecksum != 0:
		p.Events.Add(GRE1Checksum)
	case flags&greRouting != 0:
		p.Events.Add(GRE1Route)
	case flags&greSSR != 0:
		p.Events.Add(GRE1SSR)
	case flags&greRecursion != 0:
		p.Events.Add(GRE1Recursion)
	case flags&0x0078 != 0:
		p.Events.Add(GRE1Flags)
	case kind != typePPP:
		p.Events.Add(GRE1WrongProtocol)
	case flags&greKey == 0:
		p.Events.Add(GRE1NoKey)
	default:
		n := 8
		if flags&greSequence != 0 {
			n += 4
		}
		if flags&greAck != 0 {
			n += 4
		}
		if n > len(b) {
			p.Events.Add(GRE1HeaderTooBig)
			return
		}
		p.HasL4 = true
		if n < len(b) {
			p.Inner, p.InnerLink, p.Tunnel = b[n:], LinkPPP, TunnelPPTP
		}
	}
}
