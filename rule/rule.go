// Package rule is the rule language: text in, a checked tree out; no packets here.
//
// Parse reads rules in Suricata's language; Check resolves keywords against a Vocabulary
// that shield builds from app's table. Errors carry file, line, column, what was expected
// and the nearest known word. A refused rule is wholly absent; it never hides the others.
package rule

// Rule is one checked rule.
type Rule struct {
	Action             Action
	Proto              Proto
	Src, Dst           Addresses
	SrcPorts, DstPorts Ports
	Bidirectional      bool   // "<>"
	TxRule             bool   // "=>": both directions of a transaction
	SID, GID, Rev      uint32 // GID 1 if not said
	Msg                string
	Classtype          string
	ClassDescription   string // from classification.config
	Priority           int    // 1 (highest) to 255; from priority, else classtype, else 3
	References         []Reference
	Metadata           []KeyValue // in written order
	Target             Target
	NoAlert            bool
	Bypass             bool       // a match lets the kernel skip the rest of the conversation, where it can
	Loud               bool       // alert was written: a pass rule alerts too
	Groups             []Group    // conditions in written order, cut where the sticky buffer changes
	Threshold          *Threshold // threshold or detection_filter
	Requires           Need
	Text               string // the rule's own text, one line
	File               string
	Line               int
}

// Action of a rule, in the order of precedence pass, drop, reject, alert (configurable).
type Action uint8

// Actions.
const (
	Alert Action = iota
	Pass
	Drop
	Reject
	RejectSrc
	RejectDst
	RejectBoth
)

// Proto is the header's protocol.
type Proto struct {
	Name       string  // as written: "tcp", "http", "tcp-pkt", "ip"
	IP         IPProto // transport that packets must have
	PacketOnly bool    // tcp-pkt
	StreamOnly bool    // tcp-stream
	App        string  // canonical app protocol name, "" if none
}

// IPProto is a set of transports.
type IPProto uint16

// Transports; AnyIP accepts all.
const (
	AnyIP IPProto = 0
	TCP   IPProto = 1 << iota
	UDP
	ICMP
	ICMPv6
	SCTP
	IPv4
	IPv6
	ARP
	Ether
)

// Prefix is an address range; both ends inclusive, 16-byte mapped form.
type Prefix struct {
	Lo, Hi [16]byte
	V4     bool
}

// Addresses is a header's side after variables were put in: any, or in In and not in Not.
type Addresses struct {
	Any     bool
	In, Not []Prefix
	Text    string
}

// PortRange is inclusive.
type PortRange struct{ Lo, Hi uint16 }

// Ports is a header's port side after variables were put in.
type Ports struct {
	Any     bool
	In, Not []PortRange
	Text    string
}

// Reference of a rule: Key "cve", ID "2021-44228", URL with the key's prefix from reference.config.
type Reference struct{ Key, ID, URL string }

// KeyValue is one pair of metadata.
type KeyValue struct{ Key, Value string }

// Target says which end is the victim.
type Target uint8

// Targets.
const (
	TargetNone Target = iota
	TargetSrc
	TargetDst
)

// Group is a run of conditions on one buffer.
type Group struct {
	Buffer     Buffer // zero: packet and stream payload, or no buffer at all
	Transforms []Transform
	Conditions []Condition
}

// Buffer names a sticky buffer as the vocabulary resolved it.
type Buffer struct {
	Name             string // canonical name "http.uri"; "" = payload
	App              string // app protocol that has it; "" = of packets ("ip.hdr", "tcp.hdr") or shared by several ("file.data")
	Keyword          int    // index into the protocol's keywords
	Multi, Streaming bool
}

// Transform changes a buffer before it is inspected.
type Transform struct {
	Name  string // "dotprefix", "to_lowercase", "strip_whitespace", "to_md5", "url_decode", "xor", "pcrexform", "from_base64", "compress_whitespace", ...
	Arg   string
	Value any // compiled argument if any
}

// Condition is one of the structs below (pointers).
type Condition interface{ Keyword() string }

// Bound is a number or a variable made by byte_extract or byte_math.
type Bound struct {
	Set      bool
	Value    int64
	Var      string
	VarIndex int // in the rule's variables; valid if Var != ""
}

// Content is a literal with its modifiers.
type Content struct {
	Pattern                         []byte
	Negated, NoCase, RawBytes       bool
	Offset, Depth, Distance, Within Bound
	StartsWith, EndsWith            bool
	FastPattern, FastPatternOnly    bool
	FastOffset, FastLength          int // chop; length 0 = whole
	ReplaceWith                     []byte
	Pos                             Pos
}

// PCRE is a regular expression; Flags holds the letters that are not buffers.
type PCRE struct {
	Pattern                                                                         string
	Negated                                                                         bool
	Relative                                                                        bool // R
	CaseInsensitive, DotAll, MultiLine, Extended, Anchored, DollarEndOnly, Ungreedy bool // i s m x A E G
	Captures                                                                        []Capture
	Pos                                                                             Pos
}

// Capture stores a group of a match: flow:name, pkt:name, alert:name.
type Capture struct{ Scope, Name string }

// ByteTest is byte_test.
type ByteTest struct {
	Count                         Bound
	Negated                       bool
	Op                            string // < > = <= >= & ^ !=
	Value, Offset                 Bound
	Relative, Little, String, DCE bool
	Base                          int // 8, 10, 16 with String
	Bitmask                       uint64
	Pos                           Pos
}

// ByteJump is byte_jump.
type ByteJump struct {
	Count, Offset                                                Bound
	Relative, Little, String, DCE, Align, FromBeginning, FromEnd bool
	Base                                                         int
	Multiplier                                                   uint32
	PostOffset                                                   int
	Bitmask                                                      uint64
	Pos                                                          Pos
}

// ByteExtract is byte_extract.
type ByteExtract struct {
	Count, Offset                 Bound
	Name                          string
	VarIndex                      int
	Relative, Little, String, DCE bool
	Base                          int
	Multiplier                    uint32
	Align                         int // 0, 2, 4
	Bitmask                       uint64
	Pos                           Pos
}

// ByteMath is byte_math.
type ByteMath struct {
	Count, Offset                 Bound
	Op                            string // + - * / << >>
	RValue                        Bound
	Result                        string
	VarIndex                      int
	Relative, Little, String, DCE bool
	Base                          int
	Bitmask                       uint64
	Pos                           Pos
}

// IsDataAt is isdataat; Absent is absent and absent:or_else.
type IsDataAt struct {
	At                          Bound
	Negated, Relative, RawBytes bool
	Pos                         Pos
}

// Absent is the keyword absent.
type Absent struct {
	OrElse bool
	Pos    Pos
}

// Number compares one number: a packet field (ttl, id, dsize, itype, ...) or a protocol's numeric keyword, or bsize and urilen on the group's buffer.
type Number struct {
	Name  string // canonical keyword
	App   string // "" = of the packet, or of the buffer for bsize
	Index int    // the protocol's keyword index
	Op    NumberOp
	A, B  uint64 // B for ranges
	AVar  int    // 1 + variable index instead of A, 0 = none (bsize, urilen)
	Raw   bool   // urilen: raw
	Of    Of     // which of several values
	Pos   Pos
}

// Of says which of a number's several values must compare well. The zero value: any one of them.
type Of struct {
	All  bool // each of them
	Some bool // with All: and there must be one
	One  bool // the value at At
	At   int  // from 0; negative: from the end
}

// NumberOp compares.
type NumberOp uint8

// Operators; Range is exclusive at both ends as Suricata's <>, InRange is inclusive.
const (
	Eq NumberOp = iota
	Ne
	Lt
	Gt
	Le
	Ge
	Range
	NotRange
	InRange
	BitAnd
	NotBitAnd
)

// Flag is a protocol's yes/no keyword. Custom is one with an argument the protocol compiled.
type Flag struct {
	Name, App string
	Index     int
	Negated   bool
	Pos       Pos
}

// Custom is a protocol's own keyword.
type Custom struct {
	Name, App string
	Index     int
	Arg       any
	Negated   bool
	Pos       Pos
}

// FlowState is flow.
type FlowState struct {
	ToServer, ToClient, Established, NotEstablished, Stateless, OnlyStream, NoStream, OnlyFrag, NoFrag bool
	Pos                                                                                                Pos
}

// TCPFlags is flags and tcp.flags.
type TCPFlags struct {
	Want, Ignore uint8
	Mode         byte
	Zero         bool
	Pos          Pos
} // Mode 0 exact, '+', '*', '!'

// FlowBits is flowbits; XBits is xbits and hostbits.
type FlowBits struct {
	Op    string
	Names []string
	Pos   Pos
} // set unset isset isnotset toggle; several names: any of them

// XBits is xbits and hostbits.
type XBits struct {
	Op, Name, Track string
	ExpireSec       int
	Host            bool
	Pos             Pos
}

// FlowInt is flowint.
type FlowInt struct {
	Name, Op string
	Value    Bound
	Pos      Pos
}

// AppEvent is app-layer-event; DecodeEvent and StreamEvent likewise: names resolved by the vocabulary.
type AppEvent struct {
	App, Name string
	Index     int
	Pos       Pos
}

// DecodeEvent is decode-event.
type DecodeEvent struct {
	Name  string
	Index int
	Pos   Pos
}

// StreamEvent is stream-event.
type StreamEvent struct {
	Name  string
	Index int
	Pos   Pos
}

// AppProtocol is app-layer-protocol.
type AppProtocol struct {
	Name    string
	Negated bool
	Mode    string
	Pos     Pos
}

// Word is any other packet keyword whose argument needs no own struct: ipopts, fragbits, sameip, ip_proto, geoip, stream_size, ssl_version...
type Word struct {
	Name    string
	Arg     string
	Value   any
	Negated bool
	Pos     Pos
}

// Base64Decode is base64_decode.
type Base64Decode struct {
	Bytes    Bound
	Offset   Bound
	Relative bool
	Pos      Pos
}

// Threshold is threshold and detection_filter, and the threshold file's lines.
type Threshold struct {
	Type           string // limit, threshold, both, detection_filter, rate_filter, suppress, backoff
	Track          string // by_src by_dst by_both by_rule by_flow
	Count, Seconds uint32
	Multiplier     uint32 // backoff
	NewAction      string // rate_filter
	Timeout        uint32
	Pos            Pos
}

// Need is what a rule needs at least, computed by Check.
type Need struct{ Packet, Payload, Stream, App bool }

// Pos is a place in a rule file, 1-based column.
type Pos struct{ Line, Column int }

// Vocabulary is what rules may speak of; app and decode fill it, shield hands it over.
type Vocabulary interface {
	// Protocol resolves a header or app-layer-protocol name to its canonical name; ok false: unknown or switched off.
	Protocol(name string) (canonical string, ok bool)
	// Keyword resolves a sticky buffer, content modifier, number, flag or custom keyword of any protocol.
	Keyword(name string) (Entry, bool)
	// Event resolves app-layer-event, decode-event, stream-event names; index into that owner's table.
	AppEvent(app, name string) (int, bool)
	DecodeEvent(name string) (int, bool)
	StreamEvent(name string) (int, bool)
	// Compile checks a custom keyword's argument.
	Compile(e Entry, text string) (any, error)
	// Words lists all keyword names, for the nearest-word hint.
	Words() []string
}

// Entry is a vocabulary entry.
type Entry struct {
	Name, App                  string
	Index                      int
	Kind                       EntryKind
	Multi, Streaming, Modifier bool // Modifier: the old form that follows a content ("http_uri")
	ToServer, ToClient         bool
	Values                     map[string]uint64
}

// EntryKind of a vocabulary entry.
type EntryKind uint8

// Kinds.
const (
	BufferEntry EntryKind = iota
	NumberEntry
	FlagEntry
	CustomEntry
)

// Keyword implements Condition.
func (*Content) Keyword() string { return "content" }

// Keyword implements Condition.
func (*PCRE) Keyword() string { return "pcre" }

// Keyword implements Condition.
func (*ByteTest) Keyword() string { return "byte_test" }

// Keyword implements Condition.
func (*ByteJump) Keyword() string { return "byte_jump" }

// Keyword implements Condition.
func (*ByteExtract) Keyword() string { return "byte_extract" }

// Keyword implements Condition.
func (*ByteMath) Keyword() string { return "byte_math" }

// Keyword implements Condition.
func (*IsDataAt) Keyword() string { return "isdataat" }

// Keyword implements Condition.
func (*Absent) Keyword() string { return "absent" }

// Keyword implements Condition.
func (*FlowState) Keyword() string { return "flow" }

// Keyword implements Condition.
func (*TCPFlags) Keyword() string { return "tcp.flags" }

// Keyword implements Condition.
func (*FlowBits) Keyword() string { return "flowbits" }

// Keyword implements Condition.
func (*FlowInt) Keyword() string { return "flowint" }

// Keyword implements Condition.
func (*AppEvent) Keyword() string { return "app-layer-event" }

// Keyword implements Condition.
func (*DecodeEvent) Keyword() string { return "decode-event" }

// Keyword implements Condition.
func (*StreamEvent) Keyword() string { return "stream-event" }

// Keyword implements Condition.
func (*AppProtocol) Keyword() string { return "app-layer-protocol" }

// Keyword implements Condition.
func (*Base64Decode) Keyword() string { return "base64_decode" }

// Keyword implements Condition.
func (c *Number) Keyword() string { return c.Name }

// Keyword implements Condition.
func (c *Flag) Keyword() string { return c.Name }

// Keyword implements Condition.
func (c *Custom) Keyword() string { return c.Name }

// Keyword implements Condition.
func (c *Word) Keyword() string { return c.Name }

// Keyword implements Condition.
func (c *XBits) Keyword() string {
	if c.Host {
		return "hostbits"
	}
	return "xbits"
}
