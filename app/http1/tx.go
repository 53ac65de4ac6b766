package http1

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/jsonline"
)

// span is a part of a message's text.
type span struct{ from, to uint32 }

// field is one header field; value is unfolded and trimmed.
type field struct{ name, value span }

// message is one direction of a transaction.
type message struct {
	text     []byte // everything below points in here
	line     span
	fields   []field
	raw      []byte // header lines as they came
	step     uint8
	body     contract.Body // content codings undone
	frame    contract.Body // all as it came, if rules ask for frames
	length   uint64        // of the body as it came
	file     *contract.File
	normal   []byte // http.header, built once
	names    []byte // http.header_names, built once
	built    bool
	joined   []byte
	startBuf []byte
}

func (m *message) bytes(s span) []byte { return m.text[s.from:s.to] }

func (m *message) keep(b []byte) span {
	from := uint32(len(m.text))
	m.text = append(m.text, b...)
	return span{from, uint32(len(m.text))}
}

func (m *message) reset() {
	*m = message{text: m.text[:0], fields: m.fields[:0], raw: m.raw[:0], body: contract.Body{Data: m.body.Data[:0]}, frame: contract.Body{Data: m.frame.Data[:0]},
		normal: m.normal[:0], names: m.names[:0], joined: m.joined[:0], startBuf: m.startBuf[:0]}
}

// tx is one request with its response.
type tx struct {
	state     contract.TxState
	side      [2]message
	method    span
	uriRaw    span
	uri       []byte
	proto     span
	hasProto  bool
	host      []byte
	hostRaw   []byte
	hasHost   bool
	status    span
	statMsg   span
	statProto span
	code      int
	seen      [2]bool // a request, a response line was seen
	files     [2]contract.File
	multi     multipart
	decoders  [2]decoder
}

func (t *tx) reuse() {
	for d := range t.side {
		t.side[d].reset()
		t.decoders[d].drop()
	}
	*t = tx{side: t.side, uri: t.uri[:0], host: t.host[:0], hostRaw: t.hostRaw[:0], multi: multipart{}, decoders: t.decoders,
		state: contract.TxState{Events: t.state.Events[:0], Facts: t.state.Facts[:0]}}
}

// State implements contract.Tx.
func (t *tx) State() *contract.TxState { return &t.state }

// Progress implements contract.Tx.
func (t *tx) Progress(dir contract.Direction) uint8 { return t.side[dir].step }

func (t *tx) event(e uint8) {
	if !bytes.Contains(t.state.Events, []byte{e}) {
		t.state.Events = append(t.state.Events, e)
	}
}

// get returns a header's value; repeated ones are joined with ", ".
func (m *message) get(name string) ([]byte, bool) {
	first := -1
	repeats := 0
	for i := range m.fields {
		if !equalFold(m.bytes(m.fields[i].name), name) {
			continue
		}
		if first < 0 {
			first = i
			continue
		}
		if repeats == 0 {
			m.joined = append(m.joined[:0], m.bytes(m.fields[first].value)...)
		}
		if repeats++; repeats < maxRepeats {
			m.joined = append(append(m.joined, ", "...), m.bytes(m.fields[i].value)...)
		}
	}
	switch {
	case first < 0:
		return nil, false
	case repeats == 0:
		return m.bytes(m.fields[first].value), true
	}
	return append([]byte(nil), m.joined...), true
}

func equalFold(b []byte, name string) bool {
	if len(b) != len(name) {
		return false
	}
	for i := range b {
		c := b[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != name[i] {
			return false
		}
	}
	return true
}

// headerOf are the keywords that are one header's value, by direction.
var headerOf = map[int][2]string{
	kwUserAgent: {"user-agent", ""}, kwReferer: {"referer", ""}, kwAccept: {"accept", ""}, kwAcceptEnc: {"accept-encoding", ""},
	kwAcceptLang: {"accept-language", ""}, kwContentLen: {"content-length", "content-length"}, kwContentType: {"content-type", "content-type"},
	kwConnection: {"connection", "connection"}, kwCookie: {"cookie", "set-cookie"}, kwLocation: {"", "location"}, kwServer: {"", "server"},
}

// Buffer implements contract.Tx.
func (t *tx) Buffer(kw, i int) ([]byte, bool) {
	switch {
	case kw >= kwReply && kw < kwReply+len(i2kw):
		return t.bufferIn(i2kw[kw-kwReply], i, contract.ToClient)
	case kw >= kwLocation && kw <= kwStatMsg:
		return t.bufferIn(kw, i, contract.ToClient)
	}
	return t.bufferIn(kw, i, contract.ToServer)
}

// bufferIn returns the buffer of one direction.
func (t *tx) bufferIn(kw, i int, dir contract.Direction) ([]byte, bool) {
	m := &t.side[dir]
	if kw == kwRequestHeader || kw == kwResponseHeader {
		return t.fieldLine(kw, i)
	}
	if i > 0 || m.step < stepLine {
		return nil, false
	}
	if names, ok := headerOf[kw]; ok {
		if names[dir] == "" || m.step < stepHeaders {
			return nil, false
		}
		return m.get(names[dir])
	}
	switch kw {
	case kwHeader, kwHeaderNames, kwHeaderRaw, kwStart:
		if m.step < stepHeaders || !t.seen[dir] {
			return nil, false
		}
		return m.derived(kw)
	}
	if dir == contract.ToServer {
		return t.requestBuffer(kw)
	}
	return t.responseBuffer(kw)
}

func (t *tx) requestBuffer(kw int) ([]byte, bool) {
	m := &t.side[contract.ToServer]
	switch kw {
	case kwMethod:
		return m.bytes(t.method), t.seen[0]
	case kwURI:
		return t.uri, t.seen[0]
	case kwURIRaw:
		return m.bytes(t.uriRaw), t.seen[0]
	case kwProtocol:
		return m.bytes(t.proto), t.seen[0] && t.hasProto
	case kwRequestLine:
		return m.bytes(m.line), t.seen[0]
	case kwHost:
		return t.host, t.hasHost && m.step >= stepHeaders
	case kwHostRaw:
		return t.hostRaw, t.hasHost && m.step >= stepHeaders
	}
	return nil, false
}

func (t *tx) responseBuffer(kw int) ([]byte, bool) {
	m := &t.side[contract.ToClient]
	switch kw {
	case kwProtocol:
		return m.bytes(t.statProto), t.seen[1]
	case kwResponseLine:
		return m.bytes(m.line), t.seen[1]
	case kwStatCode:
		return m.bytes(t.status), t.seen[1]
	case kwStatMsg:
		return m.bytes(t.statMsg), t.seen[1]
	}
	return nil, false
}

// fieldLine is the i-th header as "Name: value".
func (t *tx) fieldLine(kw, i int) ([]byte, bool) {
	m := &t.side[contract.ToServer]
	if kw == kwResponseHeader {
		m = &t.side[contract.ToClient]
	}
	if i >= len(m.fields) || m.step < stepHeaders {
		return nil, false
	}
	f := m.fields[i]
	out := append([]byte(nil), m.bytes(f.name)...)
	return append(append(out, ": "...), m.bytes(f.value)...), true
}

// RequestHeader returns a header of the request, whatever the case of its name; eve asks for what proxies add.
func (t *tx) RequestHeader(name string) ([]byte, bool) {
	m := &t.side[contract.ToServer]
	if m.step < stepHeaders {
		return nil, false
	}
	return m.get(strings.ToLower(name))
}

// derived builds the buffers made of all headers.
func (m *message) derived(kw int) ([]byte, bool) {
	if !m.built {
		m.built = true
		m.names = append(m.names, "\r\n"...)
		for _, f := range m.fields {
			name := m.bytes(f.name)
			m.names = append(append(m.names, name...), "\r\n"...)
			if equalFold(name, "cookie") || equalFold(name, "set-cookie") {
				continue
			}
			m.normal = append(append(append(append(m.normal, name...), ": "...), m.bytes(f.value)...), "\r\n"...)
		}
		m.names = append(m.names, "\r\n"...)
		m.startBuf = append(append(append(m.startBuf, m.bytes(m.line)...), "\r\n"...), m.raw...)
		m.startBuf = append(m.startBuf, "\r\n"...)
	}
	switch kw {
	case kwHeader:
		return m.normal, len(m.fields) > 0
	case kwHeaderNames:
		return m.names, true
	case kwHeaderRaw:
		return m.raw, len(m.raw) > 0
	}
	return m.startBuf, true
}

// Number implements contract.Tx; http has no numeric words.
func (t *tx) Number(int, int) (uint64, bool) { return 0, false }

// Body implements contract.BodyTx.
func (t *tx) Body(kw int, dir contract.Direction, i int) *contract.Body {
	switch {
	case i == 0 && (kw == kwRequestFrame && dir == contract.ToServer || kw == kwResponseFrame && dir == contract.ToClient):
		if m := &t.side[dir]; m.frame.Total > 0 {
			return &m.frame
		}
		return nil
	case kw == kwRequestBody && dir == contract.ToServer && i == 0, kw == kwResponseBody && dir == contract.ToClient && i == 0:
	default:
		return nil
	}
	if m := &t.side[dir]; m.step >= stepHeaders && (m.body.Total > 0 || m.body.Done) {
		return &m.body
	}
	return nil
}

const recordFieldMax = 4096 // bytes of one field shown in a record

// AppendRecord implements contract.Tx: eve's http object.
func (t *tx) AppendRecord(dst []byte) []byte {
	dst = append(dst, `"http":{`...)
	q, r := &t.side[0], &t.side[1]
	put := func(key string, v []byte, ok bool) {
		if ok {
			dst = jsonline.KeyString(dst, key, v[:min(len(v), recordFieldMax)])
		}
	}
	put("hostname", t.host, t.hasHost)
	if port := portOf(t.hostRaw); port > 0 {
		dst = jsonline.KeyUint(dst, "http_port", uint64(port))
	}
	put("url", q.bytes(t.uriRaw), t.seen[0])
	v, ok := q.get("user-agent")
	put("http_user_agent", v, ok)
	v, ok = r.get("content-type")
	if i := bytes.IndexByte(v, ';'); i >= 0 {
		v = v[:i]
	}
	put("http_content_type", v, ok)
	if v, ok = r.get("content-range"); ok {
		dst = appendRange(dst, v[:min(len(v), recordFieldMax)])
	}
	v, ok = q.get("referer")
	put("http_refer", v, ok)
	put("http_method", q.bytes(t.method), t.seen[0])
	put("protocol", q.bytes(t.proto), t.seen[0] && t.hasProto)
	if t.code > 0 {
		dst = jsonline.KeyUint(dst, "status", uint64(t.code))
	}
	v, ok = r.get("location")
	put("redirect", v, ok)
	dst = jsonline.KeyUint(dst, "length", r.length)
	return append(dst, '}')
}

// appendRange appends what a Content-Range says: as it stands and, where it is well-formed (RFC 9110 section 14.4), in numbers.
func appendRange(dst, raw []byte) []byte {
	dst = jsonline.KeyString(append(jsonline.AppendKey(dst, "content_range"), '{'), "raw", raw)
	v, ok := bytes.CutPrefix(raw, []byte("bytes"))
	span, size, whole := bytes.Cut(bytes.TrimSpace(v), []byte("/"))
	from, to, both := bytes.Cut(span, []byte("-"))
	a, errA := strconv.ParseUint(string(from), 10, 63)
	b, errB := strconv.ParseUint(string(to), 10, 63)
	if ok && whole && both && errA == nil && errB == nil {
		dst = jsonline.KeyUint(dst, "start", a)
		dst = jsonline.KeyUint(dst, "end", b)
	}
	if n, err := strconv.ParseUint(string(size), 10, 63); ok && whole && err == nil {
		dst = jsonline.KeyUint(dst, "size", n)
	}
	return append(dst, '}')
}

// portOf is the port named in a host, 0 if none.
func portOf(host []byte) int {
	i := bytes.LastIndexByte(host, ':')
	if i < 0 || bytes.IndexByte(host[i:], ']') >= 0 {
		return 0
	}
	n, err := strconv.Atoi(string(host[i+1:]))
	if err != nil || n < 1 || n > 65535 {
		return 0
	}
	return n
}
