// Package behaviour holds the shield's own detectors: what no signature sees, told by behaviour alone.
//
// In: signals that shield's workers make from packets, flows and the protocols' facts, in merge order.
// Out: findings. Called at shield's one merge point, so state across pairs of addresses needs no lock and
// the same traffic gives the same findings for any number of workers. It never sees payload, never reads a
// clock of its own (a signal carries its time) and keeps every table within a bound that is counted when it bites.
package behaviour

import (
	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/decode"
)

// Kind of a signal; a bit each, so that a detector names the ones it wants.
type Kind uint32

// Kinds of signals.
const (
	// FlowStart is the first packet of a flow: Flags for TCP, Size of the payload.
	FlowStart Kind = 1 << iota
	// Established is the completed handshake of a TCP flow, or the first answer of a UDP or ICMP one.
	Established
	// Refused is a reset that answers the first packet, or an ICMP unreachable about it; Code is the ICMP code + 1, or 0 for a reset.
	Refused
	// Milestone is a flow that reaches 2^n packets, n >= 5: Packets and Bytes of both directions.
	Milestone
	// Said is a fact that a protocol's parser reported.
	Said
	// ARPSeen is an ARP message.
	ARPSeen
	// Echo is one ICMP or ICMPv6 echo request or reply: Size of the payload, Code the type.
	Echo
	// Overlap is TCP data that contradicts data already seen at the same sequence number.
	Overlap
	// Ended is a flow that ended: Packets and Bytes of both directions. Told at the tick that ended it.
	Ended
	// NeighbourSeen is an ICMPv6 neighbour or router message: Code the type, Client the sender, Flags the fifth byte, Head what follows the eighth (of neighbours the target).
	NeighbourSeen
	// Malformed is a decode event of a packet that no healthy host sends: Name in Fact.Name.
	Malformed
	// Datagram is a UDP payload of a flow without a known protocol, up to the fourth of each flow and direction: Size, Head its first bytes.
	Datagram
	// Hangup is a TCP connection that both ends or a reset closed: HasData if the client had said anything, Size bytes of the server.
	Hangup
)

// Signal is one thing seen. Strings in Fact stay valid; everything else is a copy.
type Signal struct {
	Kind       Kind
	Time       int64  // ns, the capture's clock
	Number     uint64 // packet number
	FlowID     uint64 // 0: no flow
	FlowFirst  uint64 // packet number of the flow's first packet
	Client     decode.Addr
	Server     decode.Addr
	ClientPort uint16
	ServerPort uint16
	IPVersion  uint8
	Proto      uint8
	Flags      uint8 // TCP flags of the packet
	TTL        uint8
	Window     uint16
	Dir        uint8 // 0 the client sent it, 1 the server
	Proven     bool  // two-way contact was proven by this packet
	Midstream  bool  // TCP flow without a handshake seen
	HasData    bool
	App        string // protocol's name, "" unknown
	Code       uint32
	Size       uint32
	Packets    [2]uint64
	Bytes      [2]uint64
	EthSrc     [6]byte
	EthDst     [6]byte
	VLAN       uint16
	ARP        decode.ARP
	Fact       contract.Fact
	Head       [16]byte
	Interface  uint16
	Stopped    bool // live, the packet went no further
}

// Finding is what a detector concluded. Shield turns it into an attack.Observation.
type Finding struct {
	Detector  string // its name, shown in stories: "port-scan"
	Class     string // of accounts/1: "scan", "brute-force", ...
	Technique []string
	Severity  uint8  // 1 (act now) to 4 (note)
	Text      string // one sentence: what was seen
	Time      int64
	Number    uint64
	FlowID    uint64
	Proven    bool
	// Origin is an address, or OriginMAC for layer 2, or OriginDomain for DNS tunnels; none for dga.
	Origin       decode.Addr
	HasOrigin    bool
	OriginMAC    [6]byte
	HasOriginMAC bool
	OriginDomain string
	Target       decode.Addr
	HasTarget    bool
	TargetPort   uint16
	Proto        uint8
	Subject      decode.Addr // c2, tunnel, dga, exfiltration: the protected host
	HasSubject   bool
	VLAN         uint16
	Interface    uint16
	Packets      uint64 // that this finding stands for beyond one
	Bytes        uint64
	Result       string // "succeeded", "failed" or "" unknown
	Refused      bool   // every target refused what it got; silence is no refusal
}

// Detector judges signals. Observe is called in merge order and reports through report, any number of times.
type Detector interface {
	// Name as shown in stories and figures.
	Name() string
	// Wants names the kinds of signals it is called for.
	Wants() Kind
	// Observe takes one signal; s is valid for the call only.
	Observe(s *Signal, report func(Finding))
	// Dropped counts what the detector forgot because a table was full.
	Dropped() uint64
}

// Config is what the detectors need to know of the network.
type Config struct {
	// Protected says whether an address belongs to the protected networks.
	Protected func(decode.Addr) bool
	// HostsMax bounds each detector's table of hosts. 0: 16,384.
	HostsMax int
}
