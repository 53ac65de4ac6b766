package eve

import (
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/jsonline"
)

// linkTypes are libpcap's names for the LINKTYPE_ numbers that captures here carry.
var linkTypes = map[uint16]string{
	0: "NULL", 1: "EN10MB", 9: "PPP", 12: "RAW", 101: "RAW", 104: "C_HDLC", 105: "IEEE802_11", 107: "FRELAY",
	108: "LOOP", 113: "LINUX_SLL", 119: "PRISM_HEADER", 127: "IEEE802_11_RADIO", 163: "IEEE802_11_RADIO_AVS", 192: "PPI", 228: "IPv4", 229: "IPv6", 239: "NFLOG", 276: "LINUX_SLL2",
}

// appendPacket appends the packet's bytes and link type.
func appendPacket(dst []byte, p *decode.Packet) []byte {
	data := p.Data
	if len(p.Link) > 0 {
		data = append(append([]byte(nil), p.Link...), p.Data...)
	}
	dst = jsonline.AppendBase64(jsonline.AppendKey(dst, "packet"), data)
	dst = append(jsonline.AppendKey(dst, "packet_info"), '{')
	dst = jsonline.KeyUint(dst, "linktype", uint64(p.LinkType))
	if name, ok := linkTypes[p.LinkType]; ok {
		dst = jsonline.KeyString(dst, "linktype_name", name)
	}
	return append(dst, '}')
}
