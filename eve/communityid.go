package eve

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"

	"github.com/dejpha/dejpha/decode"
)

// AppendCommunityID appends version 1 of the Community ID flow hash
// (github.com/corelight/community-id-spec): equal for both directions of a flow. Where it is no TCP, UDP or SCTP the
// peer's records put zeros, or ICMP's types, in the place of ports; so do these.
func AppendCommunityID(dst []byte, seed uint16, src, to decode.Addr, srcPort, dstPort uint16, proto, version uint8) []byte {
	a, b := src[:], to[:]
	if version == 4 {
		a, b = src[12:], to[12:]
	}
	if order := bytes.Compare(a, b); order > 0 || order == 0 && srcPort > dstPort {
		a, b, srcPort, dstPort = b, a, dstPort, srcPort
	}
	var in [40]byte
	buf := binary.BigEndian.AppendUint16(in[:0], seed)
	buf = append(append(buf, a...), b...)
	buf = append(buf, proto, 0)
	buf = binary.BigEndian.AppendUint16(buf, srcPort)
	buf = binary.BigEndian.AppendUint16(buf, dstPort)
	sum := sha1.Sum(buf)
	return base64.StdEncoding.AppendEncode(append(dst, "1:"...), sum[:])
}

// icmpPairs are the ICMP messages that answer each other (RFC 792, RFC 950, RFC 1256), and ICMPv6's (RFC 4443, RFC 2710,
// RFC 4861, RFC 4620, RFC 6275).
var icmpPairs, icmp6Pairs = [...][2]uint8{{8, 0}, {13, 14}, {15, 16}, {17, 18}, {10, 9}}, [...][2]uint8{{128, 129}, {130, 131}, {133, 134}, {135, 136}, {139, 140}, {144, 145}}

// icmpPorts are an ICMP message's type and that of its answer, 0 where it has none.
func icmpPorts(proto, kind uint8) (src, dst uint16) {
	pairs := icmpPairs[:]
	if proto == decode.ProtoICMPv6 {
		pairs = icmp6Pairs[:]
	}
	for _, p := range pairs {
		switch kind {
		case p[0]:
			return uint16(kind), uint16(p[1])
		case p[1]:
			return uint16(kind), uint16(p[0])
		}
	}
	return uint16(kind), 0
}

// community appends the hash as a field. kind is the type of an ICMP message sent by src.
func community(dst []byte, o *Options, src, to decode.Addr, srcPort, dstPort uint16, proto, version, kind uint8) []byte {
	if !o.CommunityID || version == 0 {
		return dst
	}
	if proto == decode.ProtoICMP || proto == decode.ProtoICMPv6 {
		srcPort, dstPort = icmpPorts(proto, kind)
	}
	dst = append(dst, `,"community_id":"`...)
	return append(AppendCommunityID(dst, o.CommunityIDSeed, src, to, srcPort, dstPort, proto, version), '"')
}
