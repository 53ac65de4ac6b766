// Package attack turns observations into attacks: accounts, classes, incidents, decisions.
//
// In: observations (one rule match or one detector finding each) from shield's merge point, and the log's
// clock. Out: events, in a fixed order: attacks opened, closed (counted) and continued past a span. Called
// by shield only; evidence and eve read its Record. It holds no packet, knows no protocol, reads no clock of
// its own, and the attacks it counts are a function of the set of observations, not of their order.
package attack

import (
	"net/netip"
	"strconv"
)

// Observation is one thing seen. Shield fills it at the merge point; strings must stay valid.
type Observation struct {
	Time   int64  // ns since 1970 UTC, the log's clock
	Seen   int64  // when its packets passed, where that is before Time: found at the end of a silent connection; 0: at Time
	Number uint64 // packet number
	Class  string // a name of Table; "" and "none" make no attack

	// Origin: the first that is set counts. All unset: an attack without an origin (dga).
	Origin       netip.Addr // source address, as claimed when Proven is false
	OriginMAC    string     // layer 2: "aa:bb:cc:dd:ee:ff"
	OriginDomain string     // DNS tunnels: the registered domain
	VLAN         uint16
	Proven       bool // two-way contact was proven by this packet

	Target         netip.Addr // invalid if none
	TargetPort     uint16
	Proto          uint8
	TargetSpokeICS bool       // the target spoke an industrial protocol as server: it is a target group of its own
	Subject        netip.Addr // the protected host of c2, tunnel, dga, exfiltration

	Techniques []string
	Severity   uint8 // of the rule's priority or the detector: 1 act now .. 4 note; 0 the class's own
	SID, GID   uint32
	Rev        uint32
	Msg        string
	// Detector's name. Its finding stands for many events: unless its Severity is 4 it passes the class's threshold alone.
	Detector string
	Text     string // the detector's sentence

	FlowID         uint64
	Packets, Bytes uint64
	InsideFrame    bool   // the frame came from an interface marked inside
	Result         string // Succeeded, Failed, or "" unknown
	Refused        bool   // the target refused it (RST, ICMP unreachable) and the shield let it through
	Stopped        bool   // a live verdict stopped it before the target
	Passed         bool   // and yet a part of it, which came before, reached the target
	Reset          bool   // and answered it with a reset
}

// Values of a Record's fields, in the order of the evidence's numbers.
const (
	Foiled, Contained, Observed = "foiled", "contained", "observed"
	Succeeded, Failed, Unknown  = "succeeded", "failed", "unknown"
	Real, Decoy, NoRisk         = "real", "decoy", "none"
	Inside, Outside             = "inside", "outside"
)

// Kind of an Event.
type Kind uint8

// Kinds. Closed carries the count; Continued is a later piece of an attack already counted.
const (
	Opened Kind = iota
	Closed
	Continued
)

// Event is what Accounts reports.
type Event struct {
	Kind   Kind
	Key    Key // of the account; packets are kept under it
	Record Record
}

// Record holds everything an attack's record shows. It owns its slices.
type Record struct {
	ID         uint64   `json:"id"`
	State      string   `json:"state"` // opened, closed, continued
	Class      string   `json:"class"`
	Techniques []string `json:"technique,omitempty"`
	Severity   uint8    `json:"severity"`
	Risk       string   `json:"risk"`
	Side       string   `json:"side"`
	Origin     Origin   `json:"origin"`
	Target     Target   `json:"target"`
	Subject    string   `json:"subject,omitempty"`
	Outcome    string   `json:"outcome"`
	Result     string   `json:"result"`
	Authorised bool     `json:"authorised"`
	Overflow   bool     `json:"overflow,omitempty"`
	EndOfInput bool     `json:"end_of_input,omitempty"` // closed by the end of a recording
	FirstSeen  int64    `json:"first_seen"`             // ns
	LastSeen   int64    `json:"last_seen"`
	ClosedAt   int64    `json:"closed_at,omitempty"` // 0 while open
	OpenedAt   int64    `json:"opened_at"`           // time of the observation that made it an attack

	Observations   uint64       `json:"observations"`
	Alerts         []AlertCount `json:"alerts,omitempty"`
	Detectors      []string     `json:"detectors,omitempty"`
	Flows          uint64       `json:"flows"` // an estimate above 256
	Packets        uint64       `json:"packets"`
	Bytes          uint64       `json:"bytes"`
	PacketsStopped uint64       `json:"packets_stopped,omitempty"`
	BytesStopped   uint64       `json:"bytes_stopped,omitempty"`
	Evidence       Evidence     `json:"evidence"`
	Incident       uint64       `json:"incident"` // id of the first attack of the story
	Merged         []uint64     `json:"merged,omitempty"`
	Story          string       `json:"story,omitempty"`
}

// Origin of an attack. At most one of IP, Prefix, MAC and Domain is set.
type Origin struct {
	IP      string   `json:"ip,omitempty"`
	Prefix  string   `json:"prefix,omitempty"` // IPv6 by /64
	MAC     string   `json:"mac,omitempty"`
	VLAN    uint16   `json:"vlan,omitempty"`
	Domain  string   `json:"domain,omitempty"`
	Proven  bool     `json:"proven"`
	Sources []Source `json:"sources,omitempty"` // addresses seen (claimed, if unproven), the top hundred
	Count   uint64   `json:"source_count"`      // how many there were; an estimate above 1,024
	Country string   `json:"country,omitempty"`
	ASN     uint32   `json:"asn,omitempty"`
}

// Source is one address and how many observations named it.
type Source struct {
	IP    string `json:"ip"`
	Count uint64 `json:"count"`
}

// Target of an attack.
type Target struct {
	Group string   `json:"group"`
	IPs   []string `json:"ips,omitempty"`   // at most 128
	Ports []uint16 `json:"ports,omitempty"` // at most 128, rising
	Count uint64   `json:"count"`           // how many addresses; an estimate above 128
	Proto uint8    `json:"proto,omitempty"` // IP protocol of the first observation
}

// AlertCount is one rule and how often it matched.
type AlertCount struct {
	SID   uint32 `json:"sid"`
	GID   uint32 `json:"gid"`
	Rev   uint32 `json:"rev"`
	Msg   string `json:"msg"`
	Count uint64 `json:"count"`
}

// Evidence of a sealed attack.
type Evidence struct {
	Leaf    int64  `json:"leaf"`              // index in the log; -1 not sealed
	Packets string `json:"packets,omitempty"` // SHA-256 of the kept packets, hexadecimal
}

// OriginText is the origin in one word, for tables.
func (r *Record) OriginText() string {
	o := &r.Origin
	switch {
	case r.Overflow:
		return "overflow"
	case o.IP != "":
		return o.IP
	case o.Prefix != "":
		return o.Prefix
	case o.MAC != "":
		return o.MAC + " vlan " + strconv.Itoa(int(o.VLAN))
	case o.Domain != "":
		return o.Domain
	case r.Class == "dga":
		return "none"
	}
	return "unproven"
}
