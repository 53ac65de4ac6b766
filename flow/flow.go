// Package flow keeps one record for each conversation: its key, counters, state and timeouts.
//
// In: decoded packets with a clock. Out: the packet's Flow and direction, and the
// flows that have ended. Called by each worker for its own table; nothing is shared.
// It never looks at payload and never reads a clock of its own.
package flow

import "github.com/dejpha/dejpha/decode"

// Direction of a packet within its flow.
type Direction uint8

// The initiator is the client; where that is unknown (midstream) the sender of the first packet seen,
// unless stream or app later finds that it was the server and calls Swap.
const (
	ToServer Direction = 0
	ToClient Direction = 1
)

// State of a flow.
type State uint8

// States, with Suricata's names in records.
const (
	New State = iota
	Established
	Closed
	Bypassed
)

// Flow is one conversation. Records live in a slab, hold no pointers, and stay at one address until they end.
// Owner: the worker of the pair of addresses.
type Flow struct {
	ID          uint64 // eve's flow_id: from the keyed hash, first time and first packet number; stable between runs with a fixed seed
	FirstNumber uint64 // packet number of the first packet
	First, Last int64  // ns, packet times
	// Beside Last stands what decides who ends early: whoever looks for such touches one line of the cache.
	State                  State
	live                   bool
	Pinned                 bool // an attack was seen in it: not evicted; set by Table.Pin
	wheel                  links
	LastDir                [2]int64 // ns, time of the last packet of each direction, 0 = none
	Client, Server         decode.Addr
	ClientPort, ServerPort uint16
	VLAN                   [3]uint16
	VLANs                  uint8
	IPVersion              uint8
	Proto                  uint8
	Interface              uint16    // of the first packet
	Packets, Bytes         [2]uint64 // by Direction; bytes are IP bytes with link header as eve counts them (frame length)
	TCPFlags               [2]uint8  // flags seen, or-ed
	ICMPType, ICMPCode     uint8     // of the first packet
	ReplyType, ReplyCode   uint8     // ICMP: of the latest packet to the client; valid if there is one
	// Proven is set by stream (TCP), or by shield for UDP protocols with echoes: both ends were really there.
	Proven                           bool
	Echo                             uint64 // UDP: what an answer must repeat (shield/echo); 0: nothing known, or it came
	Vouched                          bool   // told to the kernel as proven
	Midstream                        bool   // TCP without a handshake seen
	Alerted                          bool
	Action                           Action // what was decided for the flow's further packets
	Swapped                          bool
	Reason                           EndReason // valid when ended
	Refused                          bool      // answered by RST to the SYN, or by ICMP unreachable
	AppProto, AppProtoTS, AppProtoTC uint16    // app's protocol numbers; 0 unknown, see app
	AppDone                          [2]bool   // identification given up or finished
	ServerPortHint                   uint16
	AppCount                         uint32 // app's: transactions so far, while no parser is at work on the flow

	// Handles into other rooms' slabs; 0 = none. Each room frees its own when shield tells it the flow ended.
	Stream, App, Detect, Behaviour uint32
	Parent                         uint64  // ID of the flow that announced this one (FTP data), 0 none
	Expected                       uint16  // app protocol announced for it by Parent
	Ring                           uint64  // shield's: newest entry of the ring of recent packets
	TCPState                       uint8   // stream's, as the session was left; valid once Stream is freed
	Gaps                           [2]bool // likewise: bytes of this direction never came
	Kept                           uint64  // shield's: entries up to here were taken as evidence
	table                          place
}

// Action is what happens to a flow's further packets.
type Action uint8

// Actions on a flow.
const (
	ActionNone Action = iota
	ActionPass
	ActionDrop
	ActionReject
)

// EndReason says why a record ended; eve's flow.reason.
type EndReason uint8

// Reasons.
const (
	Alive EndReason = iota
	Timeout
	Forced // evicted: the table was full
	Shutdown
	Replaced // a new conversation on the same key (TCP reuse)
)
