package decode

import "encoding/binary"

const (
	wpanData     = 1
	wpanIPv6     = 0x41 // RFC 4944 section 5.1: an IPv6 header that is not compressed follows
	wpanNoAddr   = 0
	wpanShort    = 2
	wpanExtended = 3
)

// wpan reads an IEEE 802.15.4 frame (2006 edition, section 7.2): radio links of meters and switches. Plain IPv6 in it is
// read on; commands, beacons, ZigBee, compressed and encrypted cargo are not IP.
func (d *Decoder) wpan(p *Packet, b []byte) {
	if len(b) < 3 {
		p.Undecodable = ShortFrame
		return
	}
	control := binary.LittleEndian.Uint16(b)
	const secured, onePAN = 1 << 3, 1 << 6
	to, from := control>>10&3, control>>14
	n := 3 + wpanAddress(to) + wpanAddress(from)
	if from != wpanNoAddr && to != wpanNoAddr && control&onePAN != 0 {
		n -= 2 // both ends are in the network that was named
	}
	if control&7 != wpanData || control&secured != 0 || len(b) <= n || b[n] != wpanIPv6 {
		p.Undecodable = UnknownWireless
		return
	}
	d.ip(p, b[n+1:])
}

// wpanAddress is how many bytes a network's number and an address of a mode take.
func wpanAddress(mode uint16) int {
	switch mode {
	case wpanShort:
		return 2 + 2
	case wpanExtended:
		return 2 + 8
	}
	return 0
}
