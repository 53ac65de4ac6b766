// Package stream follows TCP connections and puts their bytes in order, by the target's own policy.
//
// In: TCP packets with their flows. Out: per direction the bytes in order, gaps told, events, and whether
// two-way contact is proven. Called by each worker for its own sessions. As its peers it shows bytes only
// once their receiver acknowledged them, unless it stands inline. It never sees an application's protocol.
package stream

import (
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/flow"
)

// Config of an engine. The zero value: no midstream pick-up, not inline, depth 1 MiB.
type Config struct {
	Midstream       bool
	AsyncOneSide    bool                            // show bytes of one-way traffic at once
	Inline          bool                            // show bytes at once; the first copy of a byte wins
	Depth           int64                           // bytes a direction that are put in order; 0: 1 MiB; negative: no bound
	Linger          bool                            // keep what both readers have passed until the next packet, for Shown
	MemoryBytes     int64                           // of buffers; 0: 256 MiB
	Policy          func(target decode.Addr) Policy // nil: BSD
	BadChecksums    bool                            // take packets whose checksum is wrong
	StrictChecksums bool                            // take none; otherwise none from a sender that got one right
}

// Cursor names one of the two readers of a direction.
type Cursor uint8

// Readers: the protocols' parsers, and rules on raw bytes. Bytes that both have passed are dropped.
const (
	App Cursor = iota
	Raw
)

// Outcome says what one packet did to its session.
type Outcome struct {
	Events       []uint8 // indices into EventNames, valid until the next call
	Accepted     bool    // the packet belongs to the stream
	Established  bool    // this packet completed the handshake
	Swapped      bool    // the flow was met from the server's side and its ends were exchanged
	OverlapBytes int     // bytes that contradict what was already there
}

// State of a connection, RFC 9293 section 3.3.2 as a watcher between both ends sees it.
type State uint8

// States.
const (
	None State = iota
	SynSent
	SynRecv
	Established
	FinWait1
	FinWait2
	Closing
	CloseWait
	LastAck
	TimeWait
	Closed
)

var stateNames = [...]string{"none", "syn_sent", "syn_recv", "established", "fin_wait1", "fin_wait2", "closing", "close_wait", "last_ack", "time_wait", "closed"}

// String names the state as eve's tcp.state does.
func (s State) String() string { return stateNames[s] }

// Session is one TCP connection. Owner: the worker's Engine; valid until Forget.
type Session struct {
	State     State
	Midstream bool
	sides     [2]side // by the direction in which the bytes travel
	ended     bool
	oneWay    bool           // only one direction was seen so far and that is expected
	oneDir    flow.Direction // valid if oneWay
	handle    uint32
}

// side is one direction's bytes.
type side struct {
	began   bool   // isn is known
	isn     uint32 // of the SYN, or one before the first byte met
	first   uint32 // sequence number of the first byte
	next    uint32 // after the last byte in order
	highest uint32 // after the highest byte seen
	acked   uint32 // acknowledged by the receiver
	hasAck  bool
	window  uint32
	scale   uint8
	fin     bool
	finSeq  uint32
	finDone bool // the bytes up to FIN are in order
	rst     bool
	sums    bool // a checksum of this sender was right
	gap     bool // some bytes never came
	stopped bool // depth or memory: no more bytes are kept
	skipped uint64
	policy  Policy

	buf     []byte // bytes in order not passed by both readers; buf[0] has number base
	base    uint32
	before  []byte    // what stood before the latest hole, if rules have not looked at it yet or records may show it
	unread  int       // bytes at the end of before that rules have not looked at
	kept    int       // bytes behind read[Raw] that rules have looked at and want to see again with those that follow
	hole    uint32    // bytes missing just before base
	offered uint32    // up to here the parser was shown bytes, taken or not
	read    [2]uint32 // per reader: sequence number of the next byte to read
	told    uint32    // size of the gap just before read[App], not yet told
	later   []segment // out of order, by number
	recent  []span    // recent segments within buf, for overlap policy
	total   uint64    // bytes put in order
	app     bool      // app took bytes since raw was last looked at
}

// segment is bytes that came before their turn.
type segment struct {
	seq  uint32
	data []byte
}

type span struct{ from, to uint32 }

// Counters of an engine: each limit is counted where it bites.
type Counters struct {
	Sessions, Live, DepthReached, MemoryFull, LaterDropped, Gaps, Overlaps, Rejected uint64
	BufferBytes                                                                      int64
}

// Engine follows the connections of one worker. Not for concurrent use.
type Engine struct {
	cfg      Config
	sessions []*Session
	free     []uint32
	pool     [poolClasses][][]byte
	events   []uint8
	Counters Counters
}

// Bounds on what one direction can make the engine hold.
const (
	laterMax     = 256     // segments out of order
	recentMax    = 64      // segments remembered for overlaps
	windowSlack  = 1 << 20 // bytes beyond the window that a midstream or scaled connection is allowed
	defaultDepth = 1 << 20
)

// New makes an engine.
func New(cfg Config) *Engine {
	if cfg.Depth == 0 {
		cfg.Depth = defaultDepth
	}
	if cfg.MemoryBytes == 0 {
		cfg.MemoryBytes = 256 << 20
	}
	return &Engine{cfg: cfg, sessions: make([]*Session, 1)}
}

// Session returns the session of a handle (flow.Flow's Stream), nil if there is none.
func (e *Engine) Session(h uint32) *Session {
	if h == 0 || int(h) >= len(e.sessions) {
		return nil
	}
	return e.sessions[h]
}

func (e *Engine) open(f *flow.Flow) *Session {
	var h uint32
	if n := len(e.free); n > 0 {
		h, e.free = e.free[n-1], e.free[:n-1]
	} else {
		h = uint32(len(e.sessions))
		e.sessions = append(e.sessions, &Session{})
	}
	s := e.sessions[h]
	later, recent := [2][]segment{s.sides[0].later[:0], s.sides[1].later[:0]}, [2][]span{s.sides[0].recent[:0], s.sides[1].recent[:0]}
	*s = Session{handle: h}
	for d := range s.sides {
		s.sides[d].later, s.sides[d].recent = later[d], recent[d]
	}
	if e.cfg.Policy != nil {
		s.sides[0].policy, s.sides[1].policy = e.cfg.Policy(f.Server), e.cfg.Policy(f.Client)
	}
	f.Stream = h
	e.Counters.Sessions++
	e.Counters.Live++
	return s
}

// End says that the flow is over: everything that came in order may be read now, with gaps for what is missing.
func (e *Engine) End(f *flow.Flow) {
	if s := e.Session(f.Stream); s != nil {
		s.ended = true
	}
}

// Forget frees what the flow holds here.
func (e *Engine) Forget(f *flow.Flow) {
	s := e.Session(f.Stream)
	if s == nil {
		return
	}
	for d := range s.sides {
		e.drop(&s.sides[d])
	}
	e.free = append(e.free, f.Stream)
	e.Counters.Live--
	f.Stream = 0
}

func (e *Engine) drop(s *side) {
	e.give(s.buf)
	e.give(s.before)
	s.buf, s.before, s.unread, s.kept = nil, nil, 0, 0
	for i := range s.later {
		e.give(s.later[i].data)
		s.later[i].data = nil
	}
	s.later = s.later[:0]
}

// Swap exchanges a session's directions, after the flow's ends were exchanged.
func (s *Session) Swap() { s.sides[0], s.sides[1] = s.sides[1], s.sides[0] }

// Gaps says in which directions bytes never came.
func (s *Session) Gaps() [2]bool { return [2]bool{s.sides[0].gap, s.sides[1].gap} }

// Midstream sessions and whether the handshake was seen whole.
func (s *Session) established() bool { return s.State >= Established }

// Established says whether the connection is past its handshake.
func (s *Session) Established() bool { return s.established() }

func after(a, b uint32) bool { return int32(a-b) > 0 }

func later(a, b uint32) uint32 {
	if after(a, b) {
		return a
	}
	return b
}
