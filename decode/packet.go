// Package decode turns the bytes of one frame into layers in one reused Packet.
//
// In: a frame with its link type and time. Out: offsets, addresses, flags and
// decode events in a Packet that the caller owns and reuses. Called by shield's
// workers for each frame, and again for each datagram inside a tunnel or put
// together by defrag. It never keeps a reference to the frame after the trip,
// never allocates and never panics, whatever the bytes are.
package decode

import "net/netip"

// Addr is an IPv6 address, or an IPv4 address in its mapped form (::ffff:a.b.c.d).
// Packet.IPVersion tells which. It holds no pointer, so tables of it cost the collector nothing.
type Addr [16]byte

// Netip converts to the standard library's form; v4-mapped addresses come out as IPv4.
func (a Addr) Netip() netip.Addr { return netip.AddrFrom16(a).Unmap() }

// AddrFrom converts from the standard library's form; the zone is dropped.
func AddrFrom(a netip.Addr) Addr { return a.As16() }

// Packet is one decoded frame or inner datagram. One per worker and tunnel level, reused.
// Slices point into the frame and are valid until the trip ends.
type Packet struct {
	// Stamped before decoding, by the reader.
	Number    uint64 // 1-based number of the frame in the input, eve's pcap_cnt; inner packets share it
	Time      int64  // ns since 1970 UTC, the reader's clamped clock
	WireLen   uint32 // length on the wire, bytes
	Interface uint16
	LinkType  uint16 // LINKTYPE_ number of the bytes in Data; LinkTypeRaw for inner IP
	IPAt      int    // offset in Data of the IP header
	Link      []byte // Rebuilt: the bytes that stood before the IP header of the fragment that completed it, of LinkType
	Data      []byte // the bytes decoded, from the first layer on

	// Layer 2.
	HasEthernet bool
	EthSrc      [6]byte // valid if HasEthernet
	EthDst      [6]byte
	EtherType   uint16 // of the innermost tag
	VLAN        [3]uint16
	VLANs       uint8 // how many of VLAN are valid, 0..3

	// Layer 3. IPVersion 0: not IP.
	IPVersion uint8 // 0, 4 or 6
	Proto     uint8 // upper-layer protocol after extension headers
	TTL       uint8 // or hop limit
	TOS       uint8 // or traffic class
	Src, Dst  Addr
	IPID      uint32 // IPv4 identification, or the IPv6 fragment header's
	L3        []byte // IP header to the end of the datagram (trimmed to the total length)
	IPHeader  int    // bytes of L3 before the upper layer: IPv4 header with options, IPv6 with extensions

	sumSrc, sumDst []byte // IPv6: the addresses that checksums are made for, where extension headers say others; nil: Src and Dst

	Fragment    bool // a fragment: no layer 4 was decoded
	MoreFrags   bool
	DontFrag    bool
	ReservedBit bool
	FragOffset  uint32 // bytes; valid if Fragment
	FragHeader  int    // IPv6: offset in L3 of the fragment header; valid if Fragment and IPVersion 6
	IPOptions   uint32 // bit per IPv4 option seen, see IPOption constants

	// Layer 4. Ports are 0 where the protocol has none.
	SrcPort, DstPort uint16
	L4               []byte // upper-layer header to the end
	Payload          []byte // what the upper layer carries
	TCP              TCP    // valid if Proto is TCP and HasL4
	ICMPType         uint8  // valid for ICMP and ICMPv6
	ICMPCode         uint8
	ICMPID, ICMPSeq  uint16   // valid for echo
	HasL4            bool     // the upper header was whole and well-formed
	Embedded         Embedded // valid for ICMP errors with Embedded.Valid

	ARP ARP // valid if EtherType is ARP and ARP.Valid

	BadIPChecksum, BadL4Checksum bool // judged only if Decoder.Checksums
	Unsummed                     bool // wrong sums say nothing of this packet: rules may ask for them, the stream takes it

	// A tunnel's cargo, to be decoded into the next Packet; nil if none.
	Inner     []byte
	InnerLink uint16 // LINKTYPE_ of Inner: LinkTypeEthernet, LinkTypeRaw, LinkTypePPP
	Tunnel    Tunnel
	TunnelID  uint32 // VNI, GRE key, ERSPAN session; 0 if none
	Depth     uint8  // 0 the outermost packet

	Outer *Packet // what carried this packet; nil for the outermost. Valid until the trip ends

	Events      EventSet // oddities, for rules' decode-event and anomaly records
	Undecodable Reason   // not ReasonNone: nothing above the failing layer is valid
	Rebuilt     bool     // put together by defrag from fragments
}

// TCP holds the TCP header's fields (RFC 9293 section 3.1).
type TCP struct {
	Seq, Ack                    uint32
	Flags                       uint8 // FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128
	Window                      uint16
	Urgent                      uint16
	HeaderLen                   uint8  // bytes
	MSS                         uint16 // 0: no option
	WScale                      int8   // -1: no option
	SACKPermitted, HasTimestamp bool
	TSVal, TSEcr                uint32
	Options                     []byte
}

// TCP flag bits.
const (
	FIN = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)

// Embedded is the packet quoted in an ICMP error.
type Embedded struct {
	Valid            bool
	IPVersion, Proto uint8
	Src, Dst         Addr
	SrcPort, DstPort uint16
}

// ARP is an Ethernet/IPv4 ARP message (RFC 826).
type ARP struct {
	Valid                bool
	Op                   uint16
	SenderMAC, TargetMAC [6]byte
	SenderIP, TargetIP   [4]byte
}

// IP protocol numbers that rooms ask for by name.
const (
	ProtoICMP   = 1
	ProtoTCP    = 6
	ProtoUDP    = 17
	ProtoICMPv6 = 58
	ProtoSCTP   = 132
)
