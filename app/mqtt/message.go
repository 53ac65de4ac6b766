package mqtt

import (
	"encoding/binary"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/jsonline"
)

// message is one control packet; its slices point into raw.
type message struct {
	raw     []byte
	head    int // bytes of the fixed header
	cut     int // bytes that were not kept
	dir     contract.Direction
	kind    uint8
	version uint8
	broken  bool

	id       uint16
	reason   uint8
	hasCode  bool
	props    []byte
	protocol []byte // CONNECT
	level    uint8
	flags    uint8
	client   []byte
	will     [2][]byte // topic, message
	user     []byte
	password []byte
	topic    []byte // PUBLISH
	payload  []byte
	topics   [][]byte // SUBSCRIBE, UNSUBSCRIBE
	codes    []uint8  // by topic: asked or granted quality, or reason
}

func (m *message) qos() uint8 { return m.raw[0] >> 1 & 3 }

// reader takes a message's fields in turn; what is missing makes it broken.
type reader struct {
	b      []byte
	broken bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.broken, r.b = true, nil
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) u8() uint8 {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) text() []byte { return r.take(int(r.u16())) }

// varint reads a length of one to four bytes.
func (r *reader) varint() int {
	n := 0
	for i := range 4 {
		c := r.u8()
		n |= int(c&0x7f) << (7 * i)
		if c&0x80 == 0 {
			return n
		}
	}
	r.broken = true
	return 0
}

// properties takes MQTT 5's properties.
func (r *reader) properties(version uint8) []byte {
	if version < 5 {
		return nil
	}
	return r.take(r.varint())
}

// read takes the message apart; false: it is malformed. Of one that was not kept whole nothing is read.
func (m *message) read() bool {
	if m.cut > 0 {
		return true
	}
	r := reader{b: m.raw[m.head:]}
	switch m.kind {
	case kConnect:
		m.connect(&r)
	case kConnack:
		m.flags = r.u8()
		m.reason, m.hasCode = r.u8(), true
		m.props = r.properties(m.version)
	case kPublish:
		m.topic = r.text()
		if m.qos() > 0 {
			m.id = r.u16()
		}
		m.props = r.properties(m.version)
		m.payload = r.b
	case kPuback, kPubrec, kPubrel, kPubcomp:
		m.id = r.u16()
		m.ending(&r)
	case kSubscribe, kUnsubscribe, kSuback, kUnsuback:
		m.id = r.u16()
		m.props = r.properties(m.version)
		m.list(&r)
	case kDisconnect, kAuth:
		m.ending(&r)
	}
	return !r.broken && properties(nil, m.props) != nil
}

// ending reads MQTT 5's reason and properties, which may be left out.
func (m *message) ending(r *reader) {
	if m.version < 5 || m.kind == kDisconnect && m.version < 5 {
		return
	}
	m.hasCode = true
	if len(r.b) > 0 {
		m.reason = r.u8()
	}
	if len(r.b) > 0 {
		m.props = r.properties(m.version)
	}
}

func (m *message) connect(r *reader) {
	m.protocol = r.text()
	m.level, m.flags = r.u8(), r.u8()
	r.u16() // keep alive
	m.props = r.properties(m.level)
	m.client = r.text()
	if m.flags&4 != 0 {
		r.properties(m.level)
		m.will[0], m.will[1] = r.text(), r.text()
	}
	if m.flags&0x80 != 0 {
		m.user = r.text()
	}
	if m.flags&0x40 != 0 {
		m.password = r.text()
	}
}

func (m *message) list(r *reader) {
	for len(r.b) > 0 && len(m.topics)+len(m.codes) < 2*listMax {
		if m.kind == kSubscribe || m.kind == kUnsubscribe {
			m.topics = append(m.topics, r.text())
		}
		if m.kind != kUnsubscribe {
			m.codes = append(m.codes, r.u8())
		}
	}
}

// property is one of MQTT 5's properties: its name in records and the form of its value.
type property struct {
	name string
	form byte // 1 2 4: bytes of a number, v a variable one, s text, p a pair of texts
}

var known = map[uint8]property{
	1: {"payload_format_indicator", 1}, 2: {"message_expiry_interval", 4}, 3: {"content_type", 's'}, 8: {"response_topic", 's'}, 9: {"correlation_data", 's'},
	11: {"subscription_identifier", 'v'}, 17: {"session_expiry_interval", 4}, 18: {"assigned_client_identifier", 's'}, 19: {"server_keep_alive", 2},
	21: {"authentication_method", 's'}, 22: {"authentication_data", 's'}, 23: {"request_problem_information", 1}, 24: {"will_delay_interval", 4},
	25: {"request_response_information", 1}, 26: {"response_information", 's'}, 28: {"server_reference", 's'}, 31: {"reason_string", 's'},
	33: {"receive_maximum", 2}, 34: {"topic_alias_maximum", 2}, 35: {"topic_alias", 2}, 36: {"maximum_qos", 1}, 37: {"retain_available", 1}, 38: {"", 'p'},
	39: {"maximum_packet_size", 4}, 40: {"wildcard_subscription_available", 1}, 41: {"subscription_identifiers_available", 1}, 42: {"shared_subscription_available", 1},
}

// properties appends them as the inside of an object; nil: they are malformed. Pairs of the user's own are passed over.
func properties(dst, b []byte) []byte {
	dst = append(dst, '{')
	r := reader{b: b}
	for len(r.b) > 0 {
		p, ok := known[r.u8()]
		if !ok {
			return nil
		}
		switch p.form {
		case 's':
			v := r.text()
			dst = jsonline.KeyString(dst, p.name, v[:min(len(v), reportMax)])
		case 'p':
			r.text()
			r.text()
		case 'v':
			dst = jsonline.KeyUint(dst, p.name, uint64(r.varint()))
		default:
			n := uint64(0)
			for _, c := range r.take(int(p.form)) {
				n = n<<8 | uint64(c)
			}
			dst = jsonline.KeyUint(dst, p.name, n)
		}
		if r.broken {
			return nil
		}
	}
	return append(dst, '}')
}
