package detect

import "github.com/dejpha/dejpha/decode"

// packetBuffer is a sticky buffer of the packet.
type packetBuffer uint8

const (
	pbIPv4Hdr packetBuffer = iota
	pbIPv6Hdr
	pbIPHdr
	pbTCPHdr
	pbUDPHdr
	pbICMPv4Hdr
	pbICMPv6Hdr
	pbIPSrc
	pbIPDst
)

var packetBuffers = map[string]packetBuffer{
	"ipv4.hdr": pbIPv4Hdr, "ipv6.hdr": pbIPv6Hdr, "ip.hdr": pbIPHdr, "tcp.hdr": pbTCPHdr, "udp.hdr": pbUDPHdr,
	"icmpv4.hdr": pbICMPv4Hdr, "icmpv6.hdr": pbICMPv6Hdr, "ip.src": pbIPSrc, "ip.dst": pbIPDst,
}

const icmpHeaderBytes = 8

// bytes returns the buffer, ok false if the packet has none.
func (b packetBuffer) bytes(p *decode.Packet) ([]byte, bool) {
	if p == nil || p.IPVersion == 0 {
		return nil, false
	}
	ip := p.L3[:min(p.IPHeader, len(p.L3))]
	l4 := p.L4[:max(0, len(p.L4)-len(p.Payload))]
	switch b {
	case pbIPv4Hdr:
		return ip, p.IPVersion == 4
	case pbIPv6Hdr:
		return ip, p.IPVersion == 6
	case pbIPHdr:
		return ip, true
	case pbTCPHdr:
		return l4, p.Proto == decode.ProtoTCP && p.HasL4
	case pbUDPHdr:
		return l4, p.Proto == decode.ProtoUDP && p.HasL4
	case pbICMPv4Hdr:
		return l4[:min(icmpHeaderBytes, len(l4))], p.Proto == decode.ProtoICMP && p.HasL4
	case pbICMPv6Hdr:
		return l4[:min(icmpHeaderBytes, len(l4))], p.Proto == decode.ProtoICMPv6 && p.HasL4
	case pbIPSrc:
		return addrBytes(&p.Src, p.IPVersion), true
	case pbIPDst:
		return addrBytes(&p.Dst, p.IPVersion), true
	}
	return nil, false
}

func addrBytes(a *decode.Addr, version uint8) []byte {
	if version == 4 {
		return a[12:]
	}
	return a[:]
}
