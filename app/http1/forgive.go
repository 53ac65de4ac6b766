package http1

import (
	"bytes"

	"github.com/dejpha/dejpha/app/contract"
)

// What browsers forgive in an answer's head: each line here is an evasion of inspection that some browser reads.

// blanks may stand before an answer's first line.
const blanks = " \t\r\x00"

// startsAnswer says whether bytes begin a status line. known false: there are too few to tell.
func startsAnswer(b []byte, end bool) (looks, known bool) {
	b = bytes.TrimLeft(b, blanks+"\n")
	n := min(len(b), len("HTTP"))
	if !bytes.EqualFold(b[:n], []byte("HTTP")[:n]) {
		return false, true
	}
	return n == len("HTTP"), n == len("HTTP") || end
}

// oddLine passes over a line before the status line, and ends the head at a line that holds one blank. known false: what
// follows must be there to tell.
func (p *parser) oddLine(s *reader, line, rest []byte, end bool) (passed, known bool) {
	if s.at == atStart {
		if looks, _ := startsAnswer(line, true); looks || len(bytes.Trim(line, blanks+"\n")) == 0 {
			return false, true
		}
		return startsAnswer(rest, end)
	}
	var ends bool
	switch {
	case len(line) == 2 && (line[0] == ' ' || line[0] == '\t'):
		ends, known = len(rest) > 0 && rest[0] != '\n', len(rest) > 0 || end
	case len(line) > 2 && len(bytes.Trim(line, "\r\n")) == 0:
		var goesOn bool
		goesOn, known = headGoesOn(rest, end)
		ends = !goesOn
	default:
		return false, true
	}
	if known && ends {
		p.headersDone(s, contract.ToClient)
		return true, true
	}
	return false, known
}

// headGoesOn says whether bytes begin a header or an empty line. known false: there are too few to tell.
func headGoesOn(b []byte, end bool) (goesOn, known bool) {
	const far = 128 // a header's name is shorter
	if len(b) > 0 && (b[0] == '\r' || b[0] == '\n') {
		return true, true
	}
	for i, c := range b[:min(len(b), far)] {
		switch {
		case c == ':':
			return i > 0, true
		case c != '-' && c != '_' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z'):
			return false, true
		}
	}
	return false, len(b) >= far || end
}

// bareCR hands out the parts of a line that carriage returns divide, and returns the last one.
func bareCR(text []byte, part func([]byte)) []byte {
	for {
		i := bytes.IndexByte(text, '\r')
		if i < 0 {
			return text
		}
		if i > 0 {
			part(text[:i])
		}
		text = text[i+1:]
	}
}

// folded takes a line that continues the last header field; false: it is a field of its own.
func (m *message) folded(text []byte, dir contract.Direction) bool {
	if text[0] != ' ' && text[0] != '\t' && text[0] != 0 {
		return false
	}
	last := &m.fields[len(m.fields)-1]
	more := bytes.Trim(text, " \t\x00")
	name, _, colon := bytes.Cut(more, []byte(":"))
	atEnd := int(last.value.to) == len(m.text) // it grows where it is: copies of it would take the square of its length
	if last.name.from == last.name.to && atEnd && !colon && bytes.IndexByte(m.bytes(last.value), ':') < 0 {
		last.value.to = m.keepClean(more).to
		return true
	}
	if last.name.from == last.name.to { // no colon yet
		name, value, ok := bytes.Cut(append(append([]byte(nil), m.bytes(last.value)...), more...), []byte(":"))
		if !ok {
			last.value = m.keepClean(name)
			return true
		}
		last.name, last.value = m.keepClean(bytes.TrimRight(name, " \t")), m.keepClean(bytes.TrimLeft(value, " \t"))
		return true
	}
	if dir == contract.ToClient && colon && framing(name) {
		return false
	}
	if atEnd {
		if last.value.from < last.value.to && len(more) > 0 {
			m.text = append(m.text, ' ')
		}
		last.value.to = m.keepClean(more).to
		return true
	}
	value := append([]byte(nil), m.bytes(last.value)...)
	if len(value) > 0 && len(more) > 0 {
		value = append(value, ' ')
	}
	last.value = m.keepClean(append(value, more...))
	return true
}

// framing says whether a header's name is one by which the body is read.
func framing(name []byte) bool {
	for _, n := range [...]string{"transfer-encoding", "content-encoding", "content-length"} {
		if equalFold(bytes.TrimSpace(name), n) {
			return true
		}
	}
	return false
}

// keepClean keeps bytes without zeroes: browsers drop them.
func (m *message) keepClean(b []byte) span {
	if bytes.IndexByte(b, 0) < 0 {
		return m.keep(b)
	}
	from := uint32(len(m.text))
	for _, c := range b {
		if c != 0 {
			m.text = append(m.text, c)
		}
	}
	return span{from, uint32(len(m.text))}
}

// closes says whether the sender announces the connection's end.
func (p *parser) closes(m *message) bool {
	v, ok := m.get("connection")
	return ok && bytes.EqualFold(bytes.TrimSpace(v), []byte("close"))
}

// sendsBody says whether a request's method promises a body.
func sendsBody(method []byte) bool {
	return string(method) == "POST" || string(method) == "PUT" || string(method) == "PATCH"
}

// odd looks at what follows a head that leaves it open whether there is a body.
func (p *parser) odd(s *reader, dir contract.Direction, data []byte, end bool) (n int, more bool) {
	var next, known bool
	if dir == contract.ToClient {
		next, known = startsAnswer(data, end)
	} else {
		if data[0] == '\r' || data[0] == '\n' {
			return 1, false
		}
		v := probeRequest(data)
		next, known = v == contract.Yes, v != contract.Maybe || end
	}
	switch {
	case !known:
		return 0, true
	case next:
		p.finish(s, dir)
	case dir == contract.ToClient:
		p.frame(s, dir)
	default: // of no told length, up to the next request that is not told from it
		s.tx.event(evBodyUnexpected)
		s.at = atEnd
	}
	return 0, false
}

// escaped says whether what was decoded once holds another escape.
func escaped(uri []byte) bool {
	for i := 0; i+2 < len(uri); i++ {
		if uri[i] == '%' && unhex(uri[i+1]) >= 0 && unhex(uri[i+2]) >= 0 {
			return true
		}
	}
	return false
}

// knownScheme says whether credentials are of a scheme that the peer knows.
func knownScheme(v []byte) bool {
	word, _ := cut(v)
	for _, s := range [...]string{"basic", "digest", "bearer"} {
		if equalFold(word, s) {
			return true
		}
	}
	return false
}
