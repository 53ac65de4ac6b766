// Package detect judges packets, streams and transactions by rules.
//
// In: checked rules once; then, for each packet, what the rooms before it know of it (Input).
// Out: the rules that match, in the order in which they take effect. Called by shield for each
// packet and at the end of each flow. A Set is immutable and shared; a Worker is one worker's
// memory. It writes no record, applies no threshold and drops no packet: its caller does.
//
// A rule is filed under the one literal (or, without one, the cheapest other thing) that it
// needs; each buffer is scanned once for all rules of its group; only rules whose literal
// occurs are evaluated: header first, expressions last.
package detect

import (
	"slices"
	"strings"

	"github.com/dejpha/dejpha/app"
	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/detect/literal"
	"github.com/dejpha/dejpha/flow"
	"github.com/dejpha/dejpha/hoststate"
	"github.com/dejpha/dejpha/rule"
)

// Options of a rule set.
type Options struct {
	// Protocols is app's table; a flow's AppProto is an index into it plus FirstProtocol.
	Protocols     []contract.Protocol
	FirstProtocol uint16
	// ActionOrder lists which actions take effect first; empty: pass, drop, reject, alert.
	ActionOrder []rule.Action
	// AlertsMax is how many matches of one packet are kept, Suricata's packet-alert-max; 0: 15.
	AlertsMax int
	// Inline says that drop and reject rules stop traffic; else they alert.
	Inline bool
	// ChunkBytes is how much of a direction's stream is gathered before raw stream rules look at it; 0: 2560.
	ChunkBytes int
	// Step, if not nil, is called between small pieces of compiling: one who must not be in others' way waits in it.
	Step func()
}

// Refusal is a rule that cannot be run; it is wholly absent from the set.
type Refusal struct {
	Rule *rule.Rule
	Pos  rule.Pos
	Why  string
}

// Conversation is what detect needs of app's view of a flow.
type Conversation interface {
	// Txs returns the live transactions, oldest first.
	Txs() []contract.Tx
	// CompleteIn reports whether nothing more will come of tx in direction dir.
	CompleteIn(tx contract.Tx, dir contract.Direction) bool
}

// Stream is what detect needs of stream's reassembly.
type Stream interface {
	// Raw returns the in-order bytes of a direction that were not looked at yet and whether they should be looked at
	// now however few they are (end of the stream, or app asked). must: in any case (a hole follows them).
	Raw(f *flow.Flow, dir flow.Direction) (data []byte, flush, must bool)
	// RawDone says that n of them were looked at.
	RawDone(f *flow.Flow, dir flow.Direction, n int)
	// RawKeep says that n of them were looked at, and that the last keep shall be shown again with what follows.
	RawKeep(f *flow.Flow, dir flow.Direction, n, keep int)
	// RawKept returns how many at the beginning of what Raw returns were looked at before.
	RawKept(f *flow.Flow, dir flow.Direction) int
}

// Input is one packet's trip as detect sees it. The caller reuses it; slices are read during the call only.
type Input struct {
	Packet *decode.Packet // nil at the end of a flow: addresses are the flow's
	Flow   *flow.Flow     // nil: no flow
	Dir    flow.Direction // of the packet in its flow
	Time   int64          // ns; 0: the packet's
	Number uint64

	Conversation Conversation // nil: no bytes for app seen
	Stream       Stream       // nil: no reassembly; asked for TCP flows only
	StreamEvents []uint8      // of this packet, indices into stream's table
	Accepted     bool         // TCP: the payload was added to the stream
	Handshake    bool         // TCP: this packet completed the handshake; the next one is the first that counts as established
	Ending       bool         // the flow is over: both directions get their last look
	NoPayload    bool         // encrypted or bypassed: payload is not inspected
}

// established is Suricata's meaning for a packet: TCP past its handshake, else both ends have been seen.
func (in *Input) established() bool {
	f := in.Flow
	return f.State != flow.New && !in.Handshake || f.Proto != decode.ProtoTCP && f.Packets[0] > 0 && f.Packets[1] > 0
}

// encrypted says whether the protocol has gone over to encryption: the rest of the payload says nothing to a rule.
func (in *Input) encrypted() bool {
	c, ok := in.Conversation.(*app.Conversation)
	return ok && c != nil && c.Stopped == contract.StopDone
}

// flushes says whether raw stream rules look at once at what a parser has taken. Suricata does it for the protocols
// whose parsers ask for it at the end of a request or reply; other bytes are gathered to whole chunks.
func (in *Input) flushes() bool {
	f := in.Flow
	if in.Ending || f.State == flow.Closed || in.Packet != nil && in.Packet.TCP.Flags&(decode.FIN|decode.RST) != 0 {
		return true
	}
	c, ok := in.Conversation.(*app.Conversation)
	if !ok || c.Protocol == nil {
		return !ok && in.Conversation != nil
	}
	switch c.Protocol.Name {
	case "http", "http2", "dcerpc", "dns", "tls", "smtp":
		return true
	}
	return false
}

// conversationEvents returns app's own events on the flow.
func (in *Input) conversationEvents() []uint8 {
	if c, ok := in.Conversation.(*app.Conversation); ok && c != nil {
		return c.Events
	}
	return nil
}

// Match is a rule that matched.
type Match struct {
	Rule    *rule.Rule
	Index   uint32 // of the rule in the set's order
	Action  rule.Action
	TxID    uint64 // valid if HasTx
	HasTx   bool
	Tx      contract.Tx // valid if HasTx, until the transaction is released
	Dir     flow.Direction
	Stream  bool // matched on the reassembled stream
	Flow    bool // the action is for the whole flow
	Silent  bool // noalert: state only
	Dropped bool // the action drops the packet in hand
	Alone   bool // valid if Dropped: all that it matched on came with the packet in hand
	Passed  bool // a pass rule matched the packet too
	Frame   Frame
}

// Frame is the frame that a match was made on; Name "": none.
type Frame struct {
	Name     string // "request.body"
	Data     []byte // what is kept of it, until the transaction is released
	Length   uint64
	Complete bool
}

// Set is a compiled rule set. Immutable.
type Set struct {
	rules    []sig
	opts     Options
	names    names
	protos   []protoPlan // by app number
	packet   [3][2]ports // TCP, UDP, other; by direction: packet payload and rules without literal
	stream   [2]ports    // TCP stream by direction
	ipOnly   []uint32    // rules of addresses alone
	events   []uint32    // rules on decode, stream or app events of a flow
	protocol []uint32    // rules on the flow's protocol alone
	counts   Counts
	addrs    []addressSet
	vars     int

	addresses map[string]int32 // into addrs, by their text
	matchers  map[[32]byte]*literal.Matcher
	fresh     int      // addresses and buffers when the tables were made from scratch
	self      *lineage // this set
	from      *lineage // the set that this one shares with; nil: none
	was       []int32  // where each rule stood in it, -1: it is new

	onApp bool // some rule waits for an event of app itself
}

// Counts says how the rules were filed.
type Counts struct {
	Rules, IPOnly, Packet, Stream, Transaction, Literals, Matchers int
	MatcherBytes                                                   int // of different matchers
	Shared                                                         int // matchers taken over from the set before
}

// Counts of the set.
func (s *Set) Counts() Counts { return s.counts }

// Len returns the number of rules.
func (s *Set) Len() int { return len(s.rules) }

// Checksums says whether some rule asks for a packet's checksum.
func (s *Set) Checksums() bool {
	for i := range s.rules {
		for j := range s.rules[i].packet {
			if s.rules[i].packet[j].kind == cdChecksum {
				return true
			}
		}
	}
	return false
}

// Frames says whether some rule asks for a frame.
func (s *Set) Frames() bool {
	for i := range s.names.buffers {
		if strings.HasPrefix(s.names.buffers[i].name, "frame:") {
			return true
		}
	}
	return false
}

// Bypasses says whether a rule has the keyword bypass.
func (s *Set) Bypasses() bool {
	return slices.ContainsFunc(s.rules, func(c sig) bool { return c.rule.Bypass })
}

// Rule returns the i-th rule in the order of evaluation.
func (s *Set) Rule(i int) *rule.Rule { return s.rules[i].rule }

// RuleCounters of one rule and one worker.
type RuleCounters struct {
	Checks, Matches uint64
	RegexBudget     uint64 // expressions given up because their step budget was spent
}

// Bits that outlive flows; shared by nothing: one per worker, or one for all behind shield's merge point.
type Bits = hoststate.Bits
