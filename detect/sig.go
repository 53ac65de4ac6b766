package detect

import (
	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/detect/chain"
	"github.com/dejpha/dejpha/rule"
)

// sig is a compiled rule; what is read first lies first.
type sig struct {
	protoMask  uint16 // transports, rule.IPProto bits
	dirs       uint8  // 1 to server, 2 to client
	flow       flowNeed
	kind       sigKind
	action     rule.Action
	anyHeader  bool // addresses and ports are all any
	bothWays   bool // "<>"
	noAlert    bool
	headerOnly bool // addresses and ports alone: its action is for the whole flow
	txRule     bool
	inPacket   bool     // payload rules: inspect the packet
	inStream   bool     // payload rules: inspect the stream
	hasPayload bool     // some group is on the payload
	stateful   bool     // a match may have side effects or depend on state
	apps       []uint16 // app protocols it is for; nil: any
	src, dst   int32    // address sets, -1 any
	srcPorts   rule.Ports
	dstPorts   rule.Ports
	packet     []cond // on the packet, cheap
	state      []cond // flow bits and the like, last
	payload    []chain.Chain
	buffers    []bufferTest // packet buffers
	tx         []txTest
	posts      []cond
	rule       *rule.Rule
	fast       fastPattern
	vars       int
	names      *names
}

type sigKind uint8

const (
	kindPacket sigKind = iota
	kindIPOnly
	kindProtocol
	kindTx
)

type flowNeed uint16

const (
	needEstablished flowNeed = 1 << iota
	needNotEstablished
	needFlow // any word that asks for a flow
	needOnlyStream
	needNoStream
	needOnlyFrag
	needNoFrag
)

// bufferTest is a chain on a buffer of the packet.
type bufferTest struct {
	buffer packetBuffer
	chain  chain.Chain
	trans  []chain.Transform
}

// txTest is one thing that a transaction must show.
type txTest struct {
	chain  chain.Chain
	kind   txKind
	buffer int // index into names.buffers for txBuffer
	name   string
	frame  string // the frame's name, "" for other buffers
	number *rule.Number
	flag   *rule.Flag
	custom *rule.Custom
	event  int
	app    string
	// by app number: where the protocol has it, by direction; -1: it has not.
	kw [][2]int16
}

type txKind uint8

const (
	txBuffer txKind = iota
	txNumber
	txFlag
	txCustom
	txEvent
)

// fastPattern is the literal that a rule is filed under.
type fastPattern struct {
	chain.Fast
	tx int // index into sig.tx of the buffer it is in, -1: payload
}

// names interns what rules name.
type names struct {
	flowBits map[string]uint16
	flowInts map[string]uint16
	hostBits map[string]uint32
	buffers  []bufferKind
	byBuffer map[string]int
	bitNames []string
	era      uint32 // the numbers of bits mean something else than in a set of another era
}

// bufferKind is a buffer with its transforms: scanned once for all rules that use it.
type bufferKind struct {
	name  string
	key   string
	trans []chain.Transform
}

func newNames() names {
	return names{flowBits: map[string]uint16{}, flowInts: map[string]uint16{}, hostBits: map[string]uint32{}, byBuffer: map[string]int{}}
}

func (n *names) flowBit(name string) uint16 {
	i, ok := n.flowBits[name]
	if !ok {
		i = uint16(len(n.flowBits))
		n.flowBits[name] = i
		n.bitNames = append(n.bitNames, name)
	}
	return i
}

func (n *names) flowInt(name string) uint16 {
	i, ok := n.flowInts[name]
	if !ok {
		i = uint16(len(n.flowInts))
		n.flowInts[name] = i
	}
	return i
}

func (n *names) hostBit(name string) uint32 {
	i, ok := n.hostBits[name]
	if !ok {
		i = uint32(len(n.hostBits))
		n.hostBits[name] = i
	}
	return i
}

func dirBit(d contract.Direction) uint8 { return 1 << d }
