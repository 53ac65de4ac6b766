package sip

import (
	"bytes"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/jsonline"
)

// span is a part of a message's text.
type span struct{ from, to int }

// field is one header field; folded lines are part of its value.
type field struct{ name, value span }

// tx is one message.
type tx struct {
	contract.TxState
	dir                    contract.Direction
	text                   []byte // everything below points in here
	valid, response        bool
	line, headers, body    span // with their line ends
	first, second, version span // method and URI, or code and reason
	fields                 []field
}

func (t *tx) at(s span) []byte { return t.text[s.from:s.to] }

// read takes the message apart.
func (t *tx) read() {
	b := t.text
	end := bytes.IndexByte(b, '\n') + 1
	if end == 0 {
		end = len(b)
	}
	t.line = span{0, end}
	if !t.firstLine(bytes.TrimRight(b[:end], "\r\n")) {
		t.AddEvent(evInvalid)
		return
	}
	t.valid = true
	at := end
	for at < len(b) {
		stop := len(b)
		if i := bytes.IndexByte(b[at:], '\n'); i >= 0 {
			stop = at + i + 1
		}
		line := bytes.TrimRight(b[at:stop], "\r\n")
		if len(line) == 0 {
			t.headers, t.body = span{end, at}, span{stop, len(b)}
			return
		}
		t.header(line, at)
		at = stop
	}
	t.headers, t.body = span{end, len(b)}, span{len(b), len(b)}
}

// firstLine reads "METHOD uri SIP/2.0" or "SIP/2.0 code reason".
func (t *tx) firstLine(b []byte) bool {
	one := bytes.IndexByte(b, ' ')
	if one <= 0 {
		return false
	}
	two := bytes.IndexByte(b[one+1:], ' ')
	if t.response = bytes.HasPrefix(b, []byte("SIP/")); t.response {
		t.version = span{0, one}
		if two < 0 {
			two = len(b) - one - 1
		}
		t.first, t.second = span{one + 1, one + 1 + two}, span{min(one+two+2, len(b)), len(b)}
		return two == 3
	}
	last := bytes.LastIndexByte(b, ' ')
	if two < 0 || one > methodMax {
		return false
	}
	t.first, t.second, t.version = span{0, one}, span{one + 1, max(last, one+1)}, span{last + 1, len(b)}
	return bytes.HasPrefix(b[last+1:], []byte("SIP/"))
}

// header notes a header field, or a folded line of the one before.
func (t *tx) header(line []byte, at int) {
	if line[0] == ' ' || line[0] == '\t' {
		if n := len(t.fields); n > 0 {
			t.fields[n-1].value.to = at + len(line)
		}
		return
	}
	colon := bytes.IndexByte(line, ':')
	if colon < 0 {
		t.AddEvent(evInvalid)
		return
	}
	if len(t.fields) >= fieldsMax {
		return
	}
	value := bytes.TrimLeft(line[colon+1:], " \t")
	from := at + len(line) - len(value)
	t.fields = append(t.fields, field{span{at, at + colon}, span{from, from + len(bytes.TrimRight(value, " \t"))}})
}

// named are the header keywords: long and short form.
var named = map[int]struct {
	long  string
	short byte
}{
	kwFrom: {"from", 'f'}, kwTo: {"to", 't'}, kwVia: {"via", 'v'}, kwUserAgent: {"user-agent", 0},
	kwContentType: {"content-type", 'c'}, kwContentLength: {"content-length", 'l'},
}

// State is the engine's part of the transaction.
func (t *tx) State() *contract.TxState { return &t.TxState }

// Progress has one step: a message is read when it is whole.
func (t *tx) Progress(contract.Direction) uint8 { return 0 }

// Buffer returns a part of the message.
func (t *tx) Buffer(kw, i int) ([]byte, bool) {
	if n, ok := named[kw]; ok {
		for _, f := range t.fields {
			if !nameIs(t.at(f.name), n.long, n.short) {
				continue
			}
			if i == 0 {
				return t.at(f.value), true
			}
			i--
		}
		return nil, false
	}
	if i > 0 {
		return nil, false
	}
	switch kw {
	case kwPDU:
		return t.text, true
	case kwProtocol:
		return t.at(t.version), t.valid
	case kwMethod, kwURI, kwRequestLine, kwRequestLineFrame, kwRequestHeaders, kwRequestBody:
		if t.response {
			return nil, false
		}
	default:
		if !t.response {
			return nil, false
		}
	}
	return t.part(kw)
}

func (t *tx) part(kw int) ([]byte, bool) {
	switch kw {
	case kwMethod, kwCode:
		return t.at(t.first), t.valid
	case kwURI, kwReason:
		return t.at(t.second), t.valid
	case kwRequestLine, kwResponseLine:
		return bytes.TrimRight(t.at(t.line), "\r\n"), t.valid
	case kwRequestLineFrame, kwResponseLineFrame:
		return t.at(t.line), t.valid
	case kwRequestHeaders, kwResponseHeaders:
		return t.at(t.headers), t.valid
	case kwRequestBody, kwResponseBody:
		return t.at(t.body), t.body.to > t.body.from
	}
	return nil, false
}

// Number has nothing to say.
func (t *tx) Number(int, int) (uint64, bool) { return 0, false }

// AppendRecord appends eve's sip object.
func (t *tx) AppendRecord(dst []byte) []byte {
	dst = append(dst, `"sip":{`...)
	if !t.valid {
		return append(dst, '}')
	}
	put := func(key string, s span) {
		v := t.at(s)
		dst = jsonline.KeyString(dst, key, v[:min(len(v), reportMax)])
	}
	line := span{0, len(bytes.TrimRight(t.at(t.line), "\r\n"))}
	put("version", t.version)
	if t.response {
		put("code", t.first)
		put("reason", t.second)
		put("response_line", line)
		return append(dst, '}')
	}
	put("method", t.first)
	put("uri", t.second)
	put("request_line", line)
	return append(dst, '}')
}

// Reuse empties the transaction.
func (t *tx) Reuse() {
	*t = tx{TxState: t.TxState, text: t.text[:0], fields: t.fields[:0]}
}
