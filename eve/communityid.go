package eve

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"

	"github.com/dejpha/dejpha/decode"
)

// AppendCommunityID appends version 1 of the Community ID flow hash
// (github.com/corelight/community-id-spec): equal for both directions of a flow.
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
	if proto == decode.ProtoTCP || proto == decode.ProtoUDP || proto == decode.ProtoSCTP {
		buf = binary.BigEndian.AppendUint16(buf, srcPort)
		buf = binary.BigEndian.AppendUint16(buf, dstPort)
	}
	sum := sha1.Sum(buf)
	return base64.StdEncoding.AppendEncode(append(dst, "1:"...), sum[:])
}
