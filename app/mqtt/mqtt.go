// Package mqtt reads MQTT 3.1, 3.1.1 and 5 (OASIS).
//
// Bytes come in by contract.Parser; a message and what acknowledges it come out as one transaction. Called by app's
// driver. It follows no topic and keeps no message beyond its transaction.
package mqtt

import (
	"bytes"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/app/pool"
)

// Kinds of messages: the first byte's upper half, MQTT 5 section 2.1.2.
const (
	kConnect = iota + 1
	kConnack
	kPublish
	kPuback
	kPubrec
	kPubrel
	kPubcomp
	kSubscribe
	kSuback
	kUnsubscribe
	kUnsuback
	kPingreq
	kPingresp
	kDisconnect
	kAuth
)

var kindNames = [...]string{"unassigned", "connect", "connack", "publish", "puback", "pubrec", "pubrel", "pubcomp", "subscribe", "suback", "unsubscribe", "unsuback", "pingreq", "pingresp", "disconnect", "auth"}

// Keyword indices.
const (
	kwType = iota
	kwQoS
	kwVersion
	kwReason
	kwPresent
	kwProtocol
	kwClient
	kwUser
	kwPassword
	kwWillTopic
	kwWillMessage
	kwTopic
	kwMessage
	kwSubscribe
	kwUnsubscribe
	kwPDU // frames of the client's messages
	kwHeader
	kwData
	kwServerPDU // and the server's
)

// Event indices.
const (
	evMissingConnect = iota
	evMissingPublish
	evMissingSubscribe
	evMissingUnsubscribe
	evDoubleConnect
	evUnintroduced
	evInvalidQoS
	evMissingID
	evUnassigned
	evTooMany
	evMalformed
)

const (
	keptMax   = 64 << 10 // of one message; what is beyond is counted
	listMax   = 256      // topics and codes of a message
	msgsMax   = 8        // messages of a transaction
	liveMax   = 256
	reportMax = 4096 // bytes of one field shown in a record
)

// Protocol is mqtt's line of app's table.
func Protocol() contract.Protocol {
	req := contract.OnRequest
	types := map[string]uint64{}
	for i, n := range kindNames {
		types[n] = uint64(i)
	}
	list := []contract.Keyword{
		kwType:        {Name: "mqtt.type", Kind: contract.KindNumber, Dirs: req, Values: types},
		kwQoS:         {Name: "mqtt.qos", Kind: contract.KindNumber, Dirs: req},
		kwVersion:     {Name: "mqtt.protocol_version", Kind: contract.KindNumber, Dirs: req},
		kwReason:      {Name: "mqtt.reason_code", Aliases: []string{"mqtt.connack.return_code"}, Kind: contract.KindNumber, Dirs: req},
		kwPresent:     {Name: "mqtt.connack.session_present", Kind: contract.KindFlag, Dirs: req},
		kwProtocol:    {Name: "mqtt.connect.protocol_string", Dirs: req},
		kwClient:      {Name: "mqtt.connect.clientid", Dirs: req},
		kwUser:        {Name: "mqtt.connect.username", Dirs: req},
		kwPassword:    {Name: "mqtt.connect.password", Dirs: req},
		kwWillTopic:   {Name: "mqtt.connect.willtopic", Dirs: req},
		kwWillMessage: {Name: "mqtt.connect.willmessage", Dirs: req},
		kwTopic:       {Name: "mqtt.publish.topic", Dirs: req},
		kwMessage:     {Name: "mqtt.publish.message", Dirs: req},
		kwSubscribe:   {Name: "mqtt.subscribe.topic", Kind: contract.KindMulti, Dirs: req},
		kwUnsubscribe: {Name: "mqtt.unsubscribe.topic", Kind: contract.KindMulti, Dirs: req},
	}
	for _, dirs := range [...]contract.DirSet{req, contract.OnReply} {
		for _, name := range [...]string{"pdu", "header", "data"} {
			list = append(list, contract.Keyword{Name: "frame:mqtt." + name, Kind: contract.KindMulti, Dirs: dirs})
		}
	}
	return contract.Protocol{
		Name: "mqtt", EventType: "mqtt", Transport: contract.TCP, ServerPorts: []uint16{1883}, Probe: probe,
		New: func(l contract.Limits) contract.Parser {
			p := &parser{}
			p.Max = l.MaxTx
			return p
		},
		Keywords: list,
		Events: []string{"missing_connect", "missing_publish", "missing_subscribe", "missing_unsubscribe", "double_connect", "unintroduced_message",
			"invalid_qos_level", "missing_msg_id", "unassigned_msg_type", "too_many_transactions", "malformed_traffic"},
		Steps:  [2][]string{{"request_open", "request_complete"}, {"response_open", "response_complete"}},
		Limits: contract.Limits{MaxTx: liveMax},
	}
}

// probe wants a whole CONNECT's beginning: nothing else of MQTT is told from other protocols.
func probe(b []byte, dir contract.Direction, _ uint16) contract.Verdict {
	if dir != contract.ToServer || len(b) > 0 && b[0] != kConnect<<4 {
		return contract.No
	}
	size, head, ok := length(b)
	switch {
	case !ok || head > 0 && size < 10:
		return contract.No
	case head == 0 || len(b) < head+8:
		return contract.Maybe
	case bytes.HasPrefix(b[head:], []byte("\x00\x04MQTT")), bytes.HasPrefix(b[head:], []byte("\x00\x06MQIsdp")):
		return contract.Yes
	}
	return contract.No
}

// length reads the remaining length behind the first byte; head 0: more is needed; ok false: it is none.
func length(b []byte) (size, head int, ok bool) {
	for i := 1; i < 5; i++ {
		if i >= len(b) {
			return 0, 0, true
		}
		size |= int(b[i]&0x7f) << (7 * (i - 1))
		if b[i]&0x80 == 0 {
			return size, i + 1, true
		}
	}
	return 0, 0, false
}

type parser struct {
	pool.List[tx, *tx]
	version   uint8
	connected bool
	skip      [2]int
}

// Reset makes the parser as new.
func (p *parser) Reset() {
	p.List.Reset()
	p.version, p.connected, p.skip = 0, false, [2]int{}
}

// Feed takes messages.
func (p *parser) Feed(in contract.Input) contract.Result {
	if in.Gap > 0 {
		if in.Gap > p.skip[in.Dir] {
			return contract.Result{Stop: contract.StopGap}
		}
		p.skip[in.Dir] -= in.Gap
	}
	used := 0
	for used < len(in.Data) {
		b := in.Data[used:]
		if s := p.skip[in.Dir]; s > 0 {
			n := min(s, len(b))
			p.skip[in.Dir] -= n
			used += n
			continue
		}
		size, head, ok := length(b)
		if !ok {
			p.event(in.Dir, evMalformed)
			return contract.Result{Consumed: len(in.Data), Stop: contract.StopError}
		}
		if head == 0 {
			return contract.Result{Consumed: used, Need: len(b) + 1}
		}
		kept := min(size, keptMax)
		if len(b) < head+kept {
			return contract.Result{Consumed: used, Need: head + kept}
		}
		if !p.message(in.Dir, b[:head+kept], head, size) {
			return contract.Result{Consumed: len(in.Data), Stop: contract.StopError}
		}
		p.skip[in.Dir] = size - kept
		used += head + kept
	}
	return contract.Result{Consumed: used}
}

// event notes an oddity on a transaction of its own.
func (p *parser) event(dir contract.Direction, e uint8) {
	if t := p.open(dir); t != nil {
		t.AddEvent(e)
		t.Done, t.OneWay = [2]bool{true, true}, int8(dir)+1
	}
}

func (p *parser) open(dir contract.Direction) *tx {
	t := p.Open()
	if t != nil {
		t.dir = dir
	}
	return t
}

// asked are the kinds that a kind acknowledges, asking the event when none is open, last whether it is the end.
var asked = map[uint8]struct {
	kinds   []uint8
	missing uint8
}{
	kConnack: {[]uint8{kConnect}, evMissingConnect}, kPuback: {[]uint8{kPublish}, evMissingPublish}, kPubrec: {[]uint8{kPublish}, evMissingPublish},
	kPubrel: {[]uint8{kPublish}, evMissingPublish}, kPubcomp: {[]uint8{kPublish}, evMissingPublish},
	kSuback: {[]uint8{kSubscribe}, evMissingSubscribe}, kUnsuback: {[]uint8{kUnsubscribe}, evMissingUnsubscribe},
}

// message files one message; false: nothing behind it can be read.
func (p *parser) message(dir contract.Direction, b []byte, head, size int) bool {
	m := message{raw: bytes.Clone(b), head: head, dir: dir, kind: b[0] >> 4, version: p.version, cut: size - (len(b) - head)}
	ok := m.read()
	if m.kind == kConnect && ok {
		p.version = m.level
	}
	t, last := p.place(&m)
	if t == nil {
		return true
	}
	switch {
	case m.kind == 0 || m.kind == kAuth && p.version < 5:
		t.AddEvent(evUnassigned)
		t.OneWay = int8(dir) + 1
	case !ok:
		t.AddEvent(evMalformed)
		t.OneWay = int8(dir) + 1
	case m.kind == kConnect && p.connected:
		t.AddEvent(evDoubleConnect)
	case !p.connected && m.kind != kConnect && m.kind != kConnack && m.kind != kAuth:
		t.AddEvent(evUnintroduced)
	}
	if m.qos() == 3 {
		t.AddEvent(evInvalidQoS)
	}
	p.connected = p.connected || m.kind == kConnack || m.kind == kConnect && dir == contract.ToServer && ok
	if len(t.msgs) < msgsMax {
		t.msgs = append(t.msgs, m)
	}
	if last {
		t.Done = [2]bool{true, true}
	}
	return ok
}

// place finds the transaction that a message belongs to; last: it ends it.
func (p *parser) place(m *message) (t *tx, last bool) {
	a, answer := asked[m.kind]
	if !answer {
		switch m.kind {
		case kConnect, kSubscribe, kUnsubscribe:
		case kPublish:
			last = m.qos() == 0 || m.cut > 0
		default:
			last = true
		}
		return p.open(m.dir), last
	}
	last = m.kind != kPubrec && m.kind != kPubrel
	for _, t := range p.Live() {
		if t.Done[0] || len(t.msgs) == 0 {
			continue
		}
		first := &t.msgs[0]
		if bytes.IndexByte(a.kinds, first.kind) >= 0 && (m.kind == kConnack || first.id == m.id) {
			return t, last
		}
	}
	t = p.open(m.dir)
	if t != nil {
		t.AddEvent(a.missing)
	}
	return t, true
}
