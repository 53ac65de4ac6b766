package mqtt

import (
	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/jsonline"
)

// tx is a message with what acknowledges it.
type tx struct {
	contract.TxState
	dir  contract.Direction
	msgs []message
}

// State is the engine's part of the transaction.
func (t *tx) State() *contract.TxState { return &t.TxState }

// Progress is complete with the last acknowledgement.
func (t *tx) Progress(contract.Direction) uint8 {
	if t.Done[0] {
		return 1
	}
	return 0
}

// of returns the transaction's message of a kind.
func (t *tx) of(kind uint8) *message {
	for i := range t.msgs {
		if t.msgs[i].kind == kind {
			return &t.msgs[i]
		}
	}
	return nil
}

// Buffer returns a part of a message.
func (t *tx) Buffer(kw, i int) ([]byte, bool) {
	if kw >= kwPDU {
		return t.frame(kw-kwPDU, i)
	}
	kind := map[int]uint8{kwTopic: kPublish, kwMessage: kPublish, kwSubscribe: kSubscribe, kwUnsubscribe: kUnsubscribe}[kw]
	if kind == 0 {
		kind = kConnect
	}
	m := t.of(kind)
	if m == nil {
		return nil, false
	}
	if kw == kwSubscribe || kw == kwUnsubscribe {
		if i >= len(m.topics) {
			return nil, false
		}
		return m.topics[i], true
	}
	b := map[int][]byte{kwProtocol: m.protocol, kwClient: m.client, kwUser: m.user, kwPassword: m.password,
		kwWillTopic: m.will[0], kwWillMessage: m.will[1], kwTopic: m.topic, kwMessage: m.payload}[kw]
	return b, i == 0 && b != nil
}

// frame returns a part of the i-th message of a direction.
func (t *tx) frame(kw, i int) ([]byte, bool) {
	dir := contract.Direction(kw / (kwServerPDU - kwPDU))
	for j := range t.msgs {
		m := &t.msgs[j]
		if m.dir != dir {
			continue
		}
		if i--; i >= 0 {
			continue
		}
		switch kw%(kwServerPDU-kwPDU) + kwPDU {
		case kwHeader:
			return m.raw[:m.head], true
		case kwData:
			return m.raw[m.head:], true
		}
		return m.raw, true
	}
	return nil, false
}

// Number returns a number of the i-th message that has it.
func (t *tx) Number(kw, i int) (uint64, bool) {
	for j := range t.msgs {
		v, ok := t.msgs[j].number(kw)
		if !ok {
			continue
		}
		if i == 0 {
			return v, true
		}
		i--
	}
	return 0, false
}

func (m *message) number(kw int) (uint64, bool) {
	switch kw {
	case kwType:
		return uint64(m.kind), true
	case kwQoS:
		return uint64(m.qos()), true
	case kwVersion:
		return uint64(m.level), m.kind == kConnect
	case kwReason:
		return uint64(m.reason), m.hasCode
	case kwPresent:
		return uint64(m.flags & 1), m.kind == kConnack
	}
	return 0, false
}

// AppendRecord appends eve's mqtt object.
func (t *tx) AppendRecord(dst []byte) []byte {
	dst = append(jsonline.AppendKey(dst, "mqtt"), '{')
	for i := range t.msgs {
		dst = t.msgs[i].record(dst)
	}
	return append(dst, '}')
}

func (m *message) record(dst []byte) []byte {
	dst = append(jsonline.AppendKey(dst, kindNames[m.kind&15]), '{')
	dst = jsonline.KeyUint(dst, "qos", uint64(m.qos()))
	dst = jsonline.KeyBool(dst, "retain", m.raw[0]&1 != 0)
	dst = jsonline.KeyBool(dst, "dup", m.raw[0]&8 != 0)
	if m.cut > 0 {
		dst = jsonline.KeyBool(dst, "truncated", true)
		dst = jsonline.KeyUint(dst, "skipped_length", uint64(len(m.raw)+m.cut))
		return append(dst, '}')
	}
	if m.id > 0 {
		dst = jsonline.KeyUint(dst, "message_id", uint64(m.id))
	}
	switch m.kind {
	case kConnect:
		dst = m.connectRecord(dst)
	case kConnack:
		dst = jsonline.KeyBool(dst, "session_present", m.flags&1 != 0)
		dst = jsonline.KeyUint(dst, "return_code", uint64(m.reason))
	case kPublish:
		dst = field(dst, "topic", m.topic)
		dst = field(dst, "message", m.payload)
	case kSubscribe, kUnsubscribe, kSuback, kUnsuback:
		dst = m.listRecord(dst)
	default:
		if m.hasCode {
			dst = jsonline.KeyUint(dst, "reason_code", uint64(m.reason))
		}
	}
	if len(m.props) > 0 {
		if p := properties(nil, m.props); len(p) > 2 {
			dst = append(jsonline.AppendKey(dst, "properties"), p...)
		}
	}
	return append(dst, '}')
}

func field(dst []byte, key string, v []byte) []byte {
	return jsonline.KeyString(dst, key, v[:min(len(v), reportMax)])
}

func (m *message) connectRecord(dst []byte) []byte {
	dst = field(dst, "protocol_string", m.protocol)
	dst = jsonline.KeyUint(dst, "protocol_version", uint64(m.level))
	dst = append(jsonline.AppendKey(dst, "flags"), '{')
	dst = jsonline.KeyBool(dst, "username", m.flags&0x80 != 0)
	dst = jsonline.KeyBool(dst, "password", m.flags&0x40 != 0)
	dst = jsonline.KeyBool(dst, "will_retain", m.flags&0x20 != 0)
	dst = jsonline.KeyBool(dst, "will", m.flags&4 != 0)
	dst = append(jsonline.KeyBool(dst, "clean_session", m.flags&2 != 0), '}')
	dst = field(dst, "client_id", m.client)
	if m.flags&0x80 != 0 {
		dst = field(dst, "username", m.user)
	}
	if m.flags&0x40 != 0 {
		dst = field(dst, "password", m.password)
	}
	if m.flags&4 != 0 {
		dst = append(jsonline.AppendKey(dst, "will"), '{')
		dst = field(field(dst, "topic", m.will[0]), "message", m.will[1])
		dst = append(dst, '}')
	}
	return dst
}

func (m *message) listRecord(dst []byte) []byte {
	if m.kind == kSuback || m.kind == kUnsuback {
		key := "qos_granted"
		if m.kind == kUnsuback {
			key = "reason_codes"
		}
		if len(m.codes) == 0 {
			return dst
		}
		dst = append(jsonline.AppendKey(dst, key), '[')
		for _, c := range m.codes {
			dst = jsonline.AppendUint(jsonline.AppendComma(dst), uint64(c))
		}
		return append(dst, ']')
	}
	dst = append(jsonline.AppendKey(dst, "topics"), '[')
	for i, v := range m.topics {
		v = v[:min(len(v), reportMax)]
		dst = jsonline.AppendComma(dst)
		if m.kind == kUnsubscribe {
			dst = jsonline.AppendString(dst, v)
			continue
		}
		dst = jsonline.KeyString(append(dst, '{'), "topic", v)
		dst = append(jsonline.KeyUint(dst, "qos", uint64(m.codes[min(i, len(m.codes)-1)]&3)), '}')
	}
	return append(dst, ']')
}

// Reuse empties the transaction.
func (t *tx) Reuse() {
	clear(t.msgs)
	*t = tx{TxState: t.TxState, msgs: t.msgs[:0]}
}
