package http1

import (
	"bytes"

	"github.com/dejpha/dejpha/app/contract"
)

// place is where a side's reader stands.
type place uint8

const (
	atStart place = iota // before a request or status line
	atHeaders
	atBody // left bytes of known length
	atChunkSize
	atChunk
	atChunkEnd
	atTrailer
	atEnd // body until the connection ends
	atOdd // a message may have a body though it should not, or the other way round: its next bytes tell
	atTunnel
)

// reader is one direction's state.
type reader struct {
	at   place
	left uint64
	tx   *tx
	head int  // bytes of the head so far
	over bool // in what follows a line's first field-limit bytes
}

// parser reads one connection. It implements contract.Parser.
type parser struct {
	cfg    config
	limits contract.Limits
	txs    []contract.Tx
	live   []*tx
	idle   *spares
	nextID uint64
	side   [2]reader
	tunnel bool
	now    int64
}

func newParser(l contract.Limits, idle *spares) *parser {
	return &parser{cfg: readConfig(l), limits: l, idle: idle}
}

// spares are what the connections of one worker share: transactions and layers that one has finished with.
type spares struct {
	txs    []*tx
	layers []*layer
	bodies [][]byte
}

// Bounds on what lies idle. A large body's memory goes from hand to hand: a spare transaction must not hold it.
const (
	sparesMax = 256
	bodySmall = 4 << 10
	bodiesMax = 32
)

// overMax times the limit of transactions is what one call may open: the driver lets go of the oldest only between calls.
const overMax = 4

func (s *spares) layer(kind coding) *layer {
	var l *layer
	if n := len(s.layers); n > 0 {
		l, s.layers = s.layers[n-1], s.layers[:n-1]
	} else {
		l = &layer{}
	}
	l.kind, l.head, l.started, l.failed, l.done, l.given = kind, l.head[:0], false, false, false, 0
	return l
}

// Txs implements contract.Parser.
func (p *parser) Txs() []contract.Tx { return p.txs }

// Release implements contract.Parser.
func (p *parser) Release(n int) {
	for _, t := range p.live[:n] {
		busy := false
		for d := range p.side {
			if s := &p.side[d]; s.tx == t && s.at == atStart {
				s.tx = nil
			} else if s.tx == t {
				busy = true // the limit of transactions took it; its message is read to the end, for nobody
			}
		}
		for d := range t.decoders {
			p.idle.take(&t.decoders[d])
		}
		if !busy && len(p.idle.txs) < sparesMax {
			for d := range t.side {
				t.side[d].body.Data = p.idle.rest(t.side[d].body.Data)
				t.side[d].frame.Data = p.idle.rest(t.side[d].frame.Data)
			}
			t.reuse()
			p.idle.txs = append(p.idle.txs, t)
		}
	}
	p.live = p.live[:copy(p.live, p.live[n:])]
	p.txs = p.txs[:copy(p.txs, p.txs[n:])]
}

// Reset implements contract.Parser.
func (p *parser) Reset() {
	p.Release(len(p.live))
	*p = parser{cfg: p.cfg, limits: p.limits, txs: p.txs[:0], live: p.live[:0], idle: p.idle}
}

func (p *parser) open() *tx {
	var t *tx
	if n := len(p.idle.txs); n > 0 {
		t, p.idle.txs = p.idle.txs[n-1], p.idle.txs[:n-1]
	} else {
		t = &tx{}
	}
	t.state.ID = p.nextID
	p.nextID++
	p.live = append(p.live, t)
	p.txs = append(p.txs, t)
	return t
}

// Feed implements contract.Parser.
func (p *parser) Feed(in contract.Input) (res contract.Result) {
	s := &p.side[in.Dir]
	if in.Gap > 0 && !p.gap(s, in.Dir, in.Gap) {
		return contract.Result{Stop: contract.StopGap}
	}
	data := in.Data
	for len(data) > 0 {
		if len(p.live) > overMax*max(p.limits.MaxTx, 1) {
			return contract.Result{Stop: contract.StopLimit}
		}
		n, more := p.step(s, in.Dir, data, in.End)
		data = data[n:]
		if p.tunnel {
			return contract.Result{Consumed: len(in.Data) - len(data), Upgrade: contract.UpgradeProbe}
		}
		if more {
			break
		}
	}
	if in.End {
		p.end(s, in.Dir)
		data = nil
	}
	return contract.Result{Consumed: len(in.Data) - len(data)}
}

// gap gets over lost bytes inside a body; anywhere else the reader has lost its place.
func (p *parser) gap(s *reader, dir contract.Direction, n int) bool {
	switch s.at {
	case atEnd:
	case atBody, atChunk:
		if uint64(n) > s.left {
			return false
		}
		s.left -= uint64(n)
	default:
		return false
	}
	m := &s.tx.side[dir]
	m.length += uint64(n)
	s.tx.decoders[dir].broken = s.tx.decoders[dir].layers() > 0
	if f := m.file; f != nil {
		f.Gaps = true
	}
	m.body.Total += uint64(n)
	if s.at == atBody && s.left == 0 {
		p.finish(s, dir)
	}
	return true
}

// step takes what it can of data; more: the rest waits for further bytes.
func (p *parser) step(s *reader, dir contract.Direction, data []byte, end bool) (n int, more bool) {
	switch s.at {
	case atBody, atChunk:
		n = int(min(uint64(len(data)), s.left))
		p.body(s, dir, data[:n])
		s.left -= uint64(n)
		if s.left == 0 {
			if s.at == atBody {
				p.finish(s, dir)
			} else {
				s.at = atChunkEnd
			}
		}
		return n, false
	case atEnd:
		p.body(s, dir, data)
		return len(data), false
	case atTunnel:
		return len(data), false
	case atOdd:
		return p.odd(s, dir, data, end)
	}
	if s.over {
		i := bytes.IndexByte(data, '\n')
		s.over = i < 0
		if i < 0 {
			i = len(data) - 1
		}
		return i + 1, false
	}
	head := data[:min(len(data), p.cfg.field)]
	i := bytes.IndexByte(head, '\n')
	if i < 0 {
		if len(head) < p.cfg.field && !end {
			return 0, true
		}
		s.over = len(head) == p.cfg.field
		i = len(head) - 1
	}
	line := head[:i+1]
	if dir == contract.ToClient && (s.at == atStart || s.at == atHeaders) {
		passed, known := p.oddLine(s, line, data[i+1:], end)
		if !known {
			s.over = false
			return 0, true
		}
		if passed {
			return i + 1, false
		}
	}
	s.head += len(line)
	over := s.over
	p.line(s, dir, line)
	if over && s.tx != nil {
		s.tx.event([2]uint8{evRequestTooLong, evResponseTooLong}[dir])
	}
	return i + 1, false
}

// line acts on one line, its end included.
func (p *parser) line(s *reader, dir contract.Direction, line []byte) {
	if s.tx != nil && s.at != atStart {
		p.framed(s.tx, dir, line)
	}
	text := bytes.TrimRight(line, "\r\n")
	if s.at == atStart || s.at == atHeaders {
		text = bareCR(text, func(part []byte) { p.part(s, dir, line, part) })
		if len(text) == 0 && s.at == atHeaders && len(line) > 2 {
			return // carriage returns alone end no head
		}
	}
	p.part(s, dir, line, text)
}

// part acts on one line without its end.
func (p *parser) part(s *reader, dir contract.Direction, line, text []byte) {
	switch s.at {
	case atStart:
		s.head = len(line)
		if dir == contract.ToServer {
			p.requestLine(s, text, line)
		} else {
			p.statusLine(s, text, line)
		}
	case atHeaders, atTrailer:
		p.headerLine(s, dir, line, text)
	case atChunkSize:
		p.chunkSize(s, dir, text)
	case atChunkEnd:
		s.at = atChunkSize
		if len(text) > 0 {
			p.chunkSize(s, dir, text)
		}
	}
}

func (p *parser) requestLine(s *reader, text, line []byte) {
	trimmed := bytes.TrimLeft(text, " \t")
	if len(trimmed) == 0 {
		return // empty lines before a request are skipped (RFC 9112 section 2.2)
	}
	t := p.open()
	s.tx = t
	p.framed(t, contract.ToServer, line)
	m := &t.side[contract.ToServer]
	if len(trimmed) < len(text) {
		t.event(evLeadingSpace)
	}
	m.line = m.keep(text)
	t.seen[0] = true
	at := m.line.from + uint32(len(text)-len(trimmed))
	method, rest := cut(trimmed)
	t.method = span{at, at + uint32(len(method))}
	uri, proto := splitURI(rest, p.cfg.spaceURI)
	from := m.line.to - uint32(len(rest)) + uint32(bytes.Index(rest, uri))
	t.uriRaw = span{from, from + uint32(len(uri))}
	if len(proto) > 0 {
		t.proto, t.hasProto = span{m.line.to - uint32(len(proto)), m.line.to}, true
		t.proto.to = t.proto.from + uint32(len(bytes.TrimRight(proto, " \t")))
		if !bytes.HasPrefix(proto, []byte("HTTP/")) {
			t.event(evInvalidProtocol)
		}
	}
	t.uri = normaliseURI(t.uri[:0], uri, &p.cfg)
	if p.cfg.doublePth || p.cfg.doubleQry {
		once := p.cfg
		once.doublePth, once.doubleQry = false, false
		if escaped(normaliseURI(nil, uri, &once)) {
			t.event(evDoubleEncoded)
		}
	}
	m.step = stepLine
	s.at = atHeaders
	if !t.hasProto && string(method) == "GET" { // HTTP/0.9: no headers follow
		t.event(evMissingProtocol)
	}
}

// cut splits at the first blank; further blanks are skipped.
func cut(b []byte) (word, rest []byte) {
	i := bytes.IndexAny(b, " \t")
	if i < 0 {
		return b, nil
	}
	return b[:i], bytes.TrimLeft(b[i:], " \t")
}

// splitURI parts target and protocol: the last word is the protocol if it looks like one.
func splitURI(rest []byte, spaces bool) (uri, proto []byte) {
	rest = bytes.TrimRight(rest, " \t")
	if i := bytes.LastIndexAny(rest, " \t"); i >= 0 && (spaces || bytes.HasPrefix(rest[i+1:], []byte("HTTP/"))) {
		return bytes.TrimRight(rest[:i], " \t"), rest[i+1:]
	}
	uri, proto = cut(rest)
	return uri, proto
}

func (p *parser) statusLine(s *reader, text, line []byte) {
	if s.tx == nil {
		s.tx = p.unanswered()
	}
	t := s.tx
	if q := &p.side[contract.ToServer]; q.at == atOdd && q.tx == t {
		p.finish(q, contract.ToServer) // it is answered: no body comes
	}
	trimmed := bytes.TrimLeft(text, blanks)
	m := &t.side[contract.ToClient]
	if len(trimmed) == 0 {
		return
	}
	if looks, _ := startsAnswer(trimmed, true); !looks {
		if t.seen[0] && t.hasProto {
			t.event(evInvalidProtocol)
		}
		m.step = stepHeaders // no head at all: the whole answer is the body
		p.startBody(s, contract.ToClient)
		s.at = atEnd
		p.body(s, contract.ToClient, line)
		return
	}
	p.framed(t, contract.ToClient, line)
	m.line = m.keep(text)
	t.seen[1] = true
	proto, rest := cut(trimmed)
	status, msg := cut(rest)
	end := m.line.to
	t.statMsg = span{end - uint32(len(msg)), end}
	at := m.line.from + uint32(bytes.Index(text, proto))
	t.statProto = span{at, at + uint32(len(proto))}
	from := end - uint32(len(rest))
	t.status = span{from, from + uint32(len(status))}
	t.code = 0
	for _, c := range status {
		if c < '0' || c > '9' || t.code > 999 {
			t.event(evInvalidStatus)
			break
		}
		t.code = t.code*10 + int(c-'0')
	}
	m.step = stepLine
	s.at = atHeaders
}

// unanswered is the oldest request without an answer, or a transaction made for an answer to nothing.
func (p *parser) unanswered() *tx {
	for _, t := range p.live {
		if t.side[contract.ToClient].step < stepComplete && !t.state.Done[contract.ToClient] {
			return t
		}
	}
	t := p.open()
	t.event(evNoRequest)
	t.side[contract.ToServer].step = stepComplete
	return t
}

func (p *parser) headerLine(s *reader, dir contract.Direction, line, text []byte) {
	t := s.tx
	m := &t.side[dir]
	if len(text) == 0 {
		if s.at == atTrailer {
			p.finish(s, dir)
			return
		}
		p.headersDone(s, dir)
		return
	}
	if s.head > maxHead {
		t.event([2]uint8{evRequestManyHeaders, evResponseManyHeaders}[dir])
		return
	}
	m.raw = append(append(m.raw, text...), line[len(bytes.TrimRight(line, "\r\n")):]...)
	if len(m.fields) > 0 && m.folded(text, dir) {
		return
	}
	text = bytes.TrimLeft(text, blanks)
	if len(m.fields) >= maxHeaders {
		t.event([2]uint8{evRequestManyHeaders, evResponseManyHeaders}[dir])
		return
	}
	name, value, ok := bytes.Cut(text, []byte(":"))
	if !ok {
		t.event([2]uint8{evRequestMissingColon, evResponseMissingColon}[dir])
		name, value = nil, text
	}
	name = bytes.Trim(name, " \t\x00\x0b\x0c")
	value = bytes.Trim(value, " \t\x00")
	m.fields = append(m.fields, field{m.keepClean(name), m.keepClean(value)})
}

// headersDone decides how the body is framed (RFC 9112 section 6.3), as forgivingly as a browser.
func (p *parser) headersDone(s *reader, dir contract.Direction) {
	t := s.tx
	m := &t.side[dir]
	m.step = stepHeaders
	if dir == contract.ToServer {
		p.requestHead(t)
	} else if p.interim(s, t) {
		return
	}
	p.startBody(s, dir)
	if dir == contract.ToClient && (t.code == 204 || t.code == 304) && string(t.side[0].bytes(t.method)) != "HEAD" {
		if n, ok := p.contentLength(t, dir); ok && n > 0 || p.chunked(t, dir) {
			s.at = atOdd
			return
		}
		p.finish(s, dir)
		return
	}
	p.frame(s, dir)
	if dir == contract.ToServer && s.tx != nil { // more of the request is to come
		for i := range t.state.Facts {
			if f := &t.state.Facts[i]; f.Kind == contract.HTTPRequest {
				f.Size = 1
			}
		}
	}
}

// frame settles where the body ends.
func (p *parser) frame(s *reader, dir contract.Direction) {
	t := s.tx
	chunked := p.chunked(t, dir)
	length, hasLength := p.contentLength(t, dir)
	method := t.side[0].bytes(t.method)
	switch {
	case dir == contract.ToClient && string(method) == "HEAD":
		p.finish(s, dir)
	case dir == contract.ToClient && string(method) == "CONNECT" && t.code/100 == 2:
		p.finish(s, dir)
		p.tunnel = true
	case chunked:
		s.at = atChunkSize
	case hasLength && length == 0:
		p.finish(s, dir)
	case hasLength:
		s.at, s.left = atBody, length
	case dir == contract.ToServer && sendsBody(method):
		s.at = atOdd
	case dir == contract.ToServer:
		p.finish(s, dir)
	default:
		s.at = atEnd
	}
}

// requestHead works out the host, and tells the detectors of the request.
func (p *parser) requestHead(t *tx) {
	m := &t.side[0]
	if v, ok := m.get("host"); ok {
		t.hostRaw, t.hasHost = append(t.hostRaw[:0], v...), true
	}
	uri := m.bytes(t.uriRaw)
	if i := bytes.Index(uri, []byte("://")); i > 0 && i < 9 {
		authority := uri[i+3:]
		if j := bytes.IndexAny(authority, "/?"); j >= 0 {
			authority = authority[:j]
		}
		if t.hasHost && !bytes.EqualFold(t.hostRaw, authority) {
			t.event(evHostAmbiguous)
		}
		t.hostRaw, t.hasHost = append(t.hostRaw[:0], authority...), true
	}
	if v, ok := m.get("authorization"); ok && !knownScheme(v) {
		t.event(evAuthUnrecognized)
	}
	if !t.hasHost && string(m.bytes(t.proto)) == "HTTP/1.1" {
		t.event(evMissingHost)
	}
	t.host = hostOf(t.host[:0], t.hostRaw)
	fact := contract.Fact{Kind: contract.HTTPRequest, Name: string(t.host), Text: string(t.uri[:min(len(t.uri), 256)])}
	t.state.Facts = append(t.state.Facts, fact)
	if v, ok := m.get("user-agent"); ok {
		t.state.Facts = append(t.state.Facts, contract.Fact{Kind: contract.HTTPAgent, Name: string(v[:min(len(v), 128)])})
	}
}

// interim handles 1xx answers: the real one follows in the same transaction.
func (p *parser) interim(s *reader, t *tx) bool {
	if t.code/100 != 1 || t.code == 101 {
		return false
	}
	t.event(ev100Seen)
	m := &t.side[contract.ToClient]
	m.reset()
	t.seen[1] = false
	t.code = 0
	s.at = atStart
	return true
}

func (p *parser) chunked(t *tx, dir contract.Direction) bool {
	v, ok := t.side[dir].get("transfer-encoding")
	if !ok {
		return false
	}
	lower := bytes.ToLower(v)
	if string(bytes.Trim(lower, " \t")) == "chunked" {
		return true
	}
	if bytes.Contains(lower, []byte("chunked")) {
		if dir == contract.ToClient {
			t.event(evAbnormalTE)
		}
		return true
	}
	t.event([2]uint8{evInvalidRequestTE, evInvalidResponseTE}[dir])
	return false
}

// contentLength reads the first number of the first Content-Length.
func (p *parser) contentLength(t *tx, dir contract.Direction) (uint64, bool) {
	m := &t.side[dir]
	n, found := uint64(0), false
	for i := range m.fields {
		if !equalFold(m.bytes(m.fields[i].name), "content-length") {
			continue
		}
		text := m.bytes(m.fields[i].value)
		v, ok := number(text)
		if len(bytes.Trim(text, "0123456789 \t")) > 0 && dir == contract.ToClient && p.closes(m) {
			t.event(evInvalidResponseCL)
			continue // more than a number: the connection's end is the better witness
		}
		switch {
		case !ok:
			t.event([2]uint8{evInvalidRequestCL, evInvalidResponseCL}[dir])
		case !found:
			n, found = v, true
		case v != n:
			t.event([2]uint8{evDuplicateRequestCL, evDuplicateResponseCL}[dir])
		}
	}
	return n, found
}

// number reads the first run of digits.
func number(v []byte) (n uint64, ok bool) {
	for len(v) > 0 && (v[0] < '0' || v[0] > '9') {
		v = v[1:]
	}
	for _, c := range v {
		if c < '0' || c > '9' {
			break
		}
		if n > 1<<58 {
			return 0, false
		}
		n, ok = n*10+uint64(c-'0'), true
	}
	return n, ok
}

func (p *parser) chunkSize(s *reader, dir contract.Direction, text []byte) {
	text = bytes.Trim(text, " \t\x0b\x0c\x00\r")
	if len(text) == 0 {
		return
	}
	n, digits := uint64(0), 0
	for _, c := range text {
		v := unhex(c)
		if v < 0 {
			break
		}
		if digits > 0 || v > 0 {
			digits++
		}
		n = n<<4 | uint64(v)
		if digits > 8 {
			break
		}
	}
	if unhex(text[0]) < 0 || digits > 8 {
		s.tx.event([2]uint8{evInvalidRequestChunk, evInvalidResponseChunk}[dir])
		s.at = atEnd // what follows cannot be framed: take it as it is
		p.body(s, dir, append(append([]byte(nil), text...), '\r', '\n'))
		return
	}
	if n == 0 {
		s.at = atTrailer
		return
	}
	s.at, s.left = atChunk, n
}

// finish ends a side's message.
func (p *parser) finish(s *reader, dir contract.Direction) {
	t := s.tx
	m := &t.side[dir]
	t.decoders[dir].finish(func(b []byte) { p.decoded(t, dir, b) })
	p.idle.take(&t.decoders[dir])
	p.endBody(t, dir)
	m.step = stepComplete
	t.state.Done[dir] = true
	if dir == contract.ToClient {
		t.state.Facts = append(t.state.Facts, contract.Fact{Kind: contract.HTTPResponse, Dir: dir, Code: uint32(t.code), Size: uint32(min(m.length, 1<<31)), Name: string(t.host), Text: string(t.uri[:min(len(t.uri), 256)])})
		if t.code == 401 {
			if _, tried := t.side[0].get("authorization"); tried {
				t.state.Facts = append(t.state.Facts, contract.Fact{Kind: contract.LoginFailed, Dir: dir, Code: 401})
			}
		}
	}
	s.tx, s.at, s.head = nil, atStart, 0
}

// end is the end of a side's bytes: what is open is complete now.
func (p *parser) end(s *reader, dir contract.Direction) {
	if s.tx == nil {
		return
	}
	m := &s.tx.side[dir]
	if m.step == stepLine {
		m.step = stepHeaders
		if dir == contract.ToServer {
			p.requestHead(s.tx)
		}
		p.startBody(s, dir)
	}
	if s.at == atBody || s.at == atChunk {
		if f := m.file; f != nil && f.State == contract.FileOpen {
			f.State = contract.FileTruncated
		}
	}
	p.finish(s, dir)
}
