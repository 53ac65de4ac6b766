// Package contract holds the plain structs between app's driver, the protocols and detect.
//
// A protocol folder imports this leaf and jsonline, nothing else of ours. It says what
// a protocol reads (Input), what it answers (Result), what it offers to rules (Keyword,
// Tx) and what it tells the own detectors (Fact). It holds no behaviour of its own.
package contract

// Direction of bytes; same values as flow.Direction.
type Direction uint8

// Directions.
const (
	ToServer Direction = 0
	ToClient Direction = 1
)

// Input is what the driver hands to a parser: the next in-order bytes of one direction.
type Input struct {
	Dir                    Direction
	Data                   []byte // valid for the call only; for UDP one whole datagram
	Gap                    int    // > 0: so many bytes were lost just before Data
	End                    bool   // nothing more will come in this direction
	Time                   int64  // ns, packet time
	Number                 uint64 // packet number
	UDP                    bool
	ClientPort, ServerPort uint16
}

// Result is a parser's answer. Bytes not consumed are offered again, with more behind them.
type Result struct {
	Consumed int
	Need     int     // at least so many bytes from the unconsumed start are needed before it is worth calling again; 0 = any
	Stop     Stop    // not StopNone: the parser is done with this flow (or fails): no more calls
	Expect   *Expect // not nil: the flow announced another one (FTP data)
	Upgrade  string  // not "": the rest of the conversation is this protocol (STARTTLS, CONNECT, upgrade); both directions from here on
}

// UpgradeProbe is a Result.Upgrade of a conversation whose next protocol must be found out from its bytes (CONNECT).
// A name that is no protocol of the table ends inspection instead.
const UpgradeProbe = "?"

// Stop says why a parser gave up or has finished.
type Stop uint8

// Reasons to stop, counted each.
const (
	StopNone  Stop = iota
	StopDone       // nothing more of interest (encrypted)
	StopError      // unrecoverable; an app-layer event was set on the last transaction
	StopLimit      // a memory or transaction limit
	StopGap        // a gap it cannot get over
)

// Expect announces a flow from or to Addr:Port (16-byte address, v4 mapped) of protocol Protocol.
type Expect struct {
	Addr     [16]byte
	Port     uint16
	Protocol string
	Command  string    // FTP: RETR name, STOR name
	Dir      Direction // who will open it
}

// Expected is implemented by parsers that want to know what announced their flow (ftp-data: the command and file name).
// Announce is called once, before the first Feed; the parser keeps no pointer to e.
type Expected interface {
	Announce(e *Expect)
}

// Waiting is implemented by parsers that hold nothing of a datagram conversation while none of its transactions is live:
// the driver lends them to other conversations meanwhile. Count is how many transactions were begun, GoOn says where
// another parser's numbering goes on.
type Waiting interface {
	Count() uint64
	GoOn(count uint64)
}

// Verdict of a Probe on first bytes.
type Verdict uint8

// Verdicts.
const (
	No    Verdict = iota
	Maybe         // need more bytes
	Yes
	YesReversed // this protocol, but these bytes are the other direction's: the flow's ends must be swapped
)

// Parser reads one conversation, both directions. It takes any bytes in any cuts, never panics,
// and keeps memory within its protocol's limits. Defined here for the protocols' tests; app consumes it.
type Parser interface {
	Feed(in Input) Result
	// Txs returns the live transactions, oldest first; the slice is valid until the next call on the parser.
	Txs() []Tx
	// Release tells the parser that the first n of Txs are finished with (logged, inspected); it may reuse them.
	Release(n int)
	// Reset returns the parser to its fresh state for the pool; nothing of the flow is kept.
	Reset()
}

// Secret is a parser that reads on after its conversation has gone over to encryption, and knows when.
type Secret interface {
	// Encrypted says that both directions have.
	Encrypted() bool
}

// Tx is one transaction. Buffers are slices into it, valid until it is released.
type Tx interface {
	// State is the engine's part of the transaction (embedded struct).
	State() *TxState
	// Progress of a direction; the protocol's own rising steps, see Protocol.Steps. Complete = the last step.
	Progress(dir Direction) uint8
	// Buffer returns the i-th instance (0 for single buffers) of keyword kw, an index into the protocol's Keywords.
	// ok false: there is none (yet). An empty buffer that exists is ok with length 0.
	Buffer(kw int, i int) (data []byte, ok bool)
	// Number returns the i-th value of a numeric keyword.
	Number(kw int, i int) (v uint64, ok bool)
	// AppendRecord appends the fields of the protocol's eve record: `"dns":{...}` without a leading comma.
	AppendRecord(dst []byte) []byte
}

// TxState is the engine's bookkeeping in each transaction; embed it, return &tx.TxState, do not touch but for the first group.
type TxState struct {
	// Set by the parser.
	ID     uint64  // counts from 0 in the flow
	Events []uint8 // indices into Protocol.Events, in order of occurrence
	Facts  []Fact  // for the own detectors, taken and emptied by shield after each Feed
	OneWay int8    // 0 both; 1 only to server; 2 only to client (DNS in eve v3 style requests/responses)
	Done   [2]bool // nothing more comes in this direction (parser or driver)
	Files  []*File
	// Engine's.
	Logged      bool
	NoInspect   [2]bool
	Inspected   [2]uint8 // 1 + highest progress whose rules are settled
	EventsSeen  int
	Detect      uint32    // handle into detect's slab
	DetectEvent [2]uint8  // events that detect has looked at, by direction
	DetectSeen  [2]uint64 // buffers that detect has scanned, by direction; a bit per buffer of its plan
	FirstNumber uint64
	Alerts      uint16
	DetectSet   uint16 // which of detect's sets looked at it, counted from the worker's first
}

// File is one file carried by a transaction, growing. Data holds a window of its content.
type File struct {
	Name              []byte
	Dir               Direction
	Body              Body
	State             FileState
	Gaps              bool
	Logged            bool
	ID                uint32
	Start, End        uint64 // range, if HasRange
	HasRange          bool
	MD5, SHA1, SHA256 []byte // valid when closed and asked for
	Stored            bool
}

// FileState as eve says it.
type FileState uint8

// File states.
const (
	FileOpen FileState = iota
	FileClosed
	FileTruncated
	FileError
)

// Body is a growing byte string of which only a window is kept.
type Body struct {
	Data   []byte // the window
	Offset uint64 // of Data[0] in the whole
	Total  uint64 // bytes so far
	Done   bool   // complete (or given up)
	Seen   uint64 // inspected up to here; detect's
}

// Append adds data to the window and, when the window grows beyond twice keep, slides it so that keep bytes
// stay (the bytes not yet inspected first, if there are no more than keep of them). keep <= 0 keeps nothing
// but the count. The data is copied.
func (b *Body) Append(data []byte, keep int) {
	b.Total += uint64(len(data))
	if keep <= 0 {
		b.Data, b.Offset = b.Data[:0], b.Total
		return
	}
	if len(data) > keep {
		data = data[len(data)-keep:]
		b.Data = append(b.Data[:0], data...)
		b.Offset = b.Total - uint64(len(data))
		return
	}
	if len(b.Data)+len(data) > 2*keep {
		cut := len(b.Data) + len(data) - keep
		b.Data = b.Data[:copy(b.Data, b.Data[cut:])]
		b.Offset += uint64(cut)
	}
	b.Data = append(b.Data, data...)
}

// Clear empties the body for reuse; the window's memory is kept.
func (b *Body) Clear() { *b = Body{Data: b.Data[:0]} }

// Clear empties the engine's part for reuse; the slices' memory is kept, files are dropped.
func (s *TxState) Clear() {
	clear(s.Facts)
	clear(s.Files)
	*s = TxState{Events: s.Events[:0], Facts: s.Facts[:0], Files: s.Files[:0]}
}

// AddEvent notes an event once per transaction; at most 32, so that hostile input cannot grow the list.
func (s *TxState) AddEvent(index uint8) {
	for _, e := range s.Events {
		if e == index {
			return
		}
	}
	if len(s.Events) < 32 {
		s.Events = append(s.Events, index)
	}
}

// ProbeOf is what judges first bytes on a transport.
func (p *Protocol) ProbeOf(udp bool) func(data []byte, dir Direction, serverPort uint16) Verdict {
	if udp && p.ProbeDatagram != nil {
		return p.ProbeDatagram
	}
	return p.Probe
}

// Keyword is one word that rules may use on the protocol, as data. A word whose buffer differs by direction
// (dcerpc.stub_data) stands twice under one name, once per direction: Buffer has no direction of its own.
type Keyword struct {
	Name      string   // "http.uri"
	Aliases   []string // "http_uri" as content modifier, "file_data"
	Kind      Kind
	Dirs      DirSet            // in which directions the buffer is inspected
	Step      [2]uint8          // progress at which it is whole, by direction
	Values    map[string]uint64 // KindNumber: names for values
	Streaming bool              // the buffer grows: it is a Body (BodyTx)
	MaxLen    int
	Grows     bool // instances are added or the value changes until the direction is complete: a mismatch is asked again
}

// BodyTx is implemented by transactions with streaming buffers.
type BodyTx interface {
	// Body returns the growing buffer of keyword kw in direction dir, nil if there is none.
	Body(kw int, dir Direction, i int) *Body
}

// Kind of a keyword.
type Kind uint8

// Kinds.
const (
	KindBuffer Kind = iota // sticky buffer
	KindMulti              // sticky buffer with several instances, each inspected by itself
	KindNumber             // compared: = != < > <= >= ranges, names
	KindFlag               // present or not, yes/no
	KindCustom             // argument checked by Match of the protocol (CustomTx)
)

// EndianTx is implemented by transactions whose buffers hold integers in an order that the sender chose (byte_test dce).
type EndianTx interface {
	// BigEndian says whether the integers in buffer keyword kw are big endian.
	BigEndian(kw int) bool
}

// CustomTx is implemented by transactions whose protocol has KindCustom keywords.
type CustomTx interface {
	// MatchCustom says whether the transaction meets keyword kw with the argument compiled by Protocol.Compile.
	MatchCustom(kw int, arg any, dir Direction) bool
}

// DirSet is a set of directions.
type DirSet uint8

// Direction sets.
const (
	OnRequest DirSet = 1
	OnReply   DirSet = 2
	OnBoth    DirSet = 3
)

// Transport of a protocol.
type Transport uint8

// Transports.
const (
	TCP  Transport = 1
	UDP  Transport = 2
	Both Transport = 3
)

// Protocol is one line of app's table: all the engine knows about a protocol.
type Protocol struct {
	Name                  string   // rule header and eve app_proto: "http", "dns", "tls"
	Aliases               []string // further header names: "http1"
	EventType             string   // eve event_type of its transactions: "http"; "" = none
	Transport             Transport
	ServerPorts           []uint16 // hints: probe these first; never a condition unless PortOnly
	PortOnly              bool     // without a port hint it is not probed (no reliable pattern)
	Probe                 func(data []byte, dir Direction, serverPort uint16) Verdict
	ProbeDatagram         func(data []byte, dir Direction, serverPort uint16) Verdict // of a whole datagram, where that looks otherwise than a TCP flow's first bytes; nil: Probe
	New                   func(limits Limits) Parser
	Keywords              []Keyword
	Events                []string                               // names for app-layer-event:NAME.event (without the prefix)
	Steps                 [2][]string                            // names of the progress steps by direction (hooks)
	Compile               func(kw int, text string) (any, error) // KindCustom arguments; nil if none
	LogRequestsAndReplies bool                                   // eve writes a record a direction (dns) rather than one per transaction
	Limits                Limits                                 // defaults
}

// Limits bound one conversation.
type Limits struct {
	MaxTx       int               // live transactions
	BodyBytes   [2]int            // kept of a body, by direction (request, response)
	BufferBytes int               // any single field
	Frames      bool              // keep the bytes of frames that are no other buffer: rules ask for frames
	Settings    map[string]string // from the configuration: "libhtp.default-config.personality" and such, protocol-relative keys
}
