// Package sip reads SIP messages (RFC 3261) over UDP and TCP.
//
// Bytes come in by contract.Parser; each message, request or response, comes out as a transaction of its own that
// travels one way: retransmissions and forks make pairs guesswork. Called by app's driver. It follows no call.
package sip

import (
	"bytes"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/app/pool"
)

// Keyword indices.
const (
	kwMethod = iota
	kwURI
	kwRequestLine
	kwProtocol
	kwCode
	kwReason
	kwResponseLine
	kwFrom
	kwTo
	kwVia
	kwUserAgent
	kwContentType
	kwContentLength
	kwPDU
	kwRequestLineFrame
	kwRequestHeaders
	kwRequestBody
	kwResponseLineFrame
	kwResponseHeaders
	kwResponseBody
)

// Event indices.
const (
	evIncomplete = iota
	evInvalid
)

const (
	lineMax    = 8 << 10  // of the first line
	headMax    = 64 << 10 // first line and headers
	bodyMax    = 64 << 10 // a longer body is passed over
	fieldsMax  = 256      // header fields kept of a message
	reportMax  = 4096     // bytes of one field shown in a record
	methodMax  = 16
	defaultMax = 256
)

// Protocol is sip's line of app's table.
func Protocol() contract.Protocol {
	both, req, reply := contract.OnBoth, contract.OnRequest, contract.OnReply
	header := func(name string) contract.Keyword {
		return contract.Keyword{Name: name, Kind: contract.KindMulti, Dirs: both}
	}
	return contract.Protocol{
		Name: "sip", EventType: "sip", Transport: contract.Both, ServerPorts: []uint16{5060, 5061}, Probe: probe,
		New: func(l contract.Limits) contract.Parser {
			p := &parser{}
			p.Max = l.MaxTx
			return p
		},
		Keywords: []contract.Keyword{
			kwMethod:            {Name: "sip.method", Dirs: req},
			kwURI:               {Name: "sip.uri", Dirs: req},
			kwRequestLine:       {Name: "sip.request_line", Dirs: req},
			kwProtocol:          {Name: "sip.protocol", Dirs: both},
			kwCode:              {Name: "sip.stat_code", Dirs: reply},
			kwReason:            {Name: "sip.stat_msg", Dirs: reply},
			kwResponseLine:      {Name: "sip.response_line", Dirs: reply},
			kwFrom:              header("sip.from"),
			kwTo:                header("sip.to"),
			kwVia:               header("sip.via"),
			kwUserAgent:         header("sip.user_agent"),
			kwContentType:       header("sip.content_type"),
			kwContentLength:     header("sip.content_length"),
			kwPDU:               {Name: "frame:sip.pdu", Dirs: both},
			kwRequestLineFrame:  {Name: "frame:sip.request.line", Dirs: req},
			kwRequestHeaders:    {Name: "frame:sip.request.headers", Dirs: req},
			kwRequestBody:       {Name: "frame:sip.request.body", Dirs: req},
			kwResponseLineFrame: {Name: "frame:sip.response.line", Dirs: reply},
			kwResponseHeaders:   {Name: "frame:sip.response.headers", Dirs: reply},
			kwResponseBody:      {Name: "frame:sip.response.body", Dirs: reply},
		},
		Events: []string{"incomplete_data", "invalid_data"},
		Steps:  [2][]string{{"request_complete"}, {"response_complete"}},
		Limits: contract.Limits{MaxTx: defaultMax},
	}
}

// methods of RFC 3261 and its extensions, by which a request is known; a parser takes any token.
var methods = []string{"INVITE", "ACK", "BYE", "CANCEL", "REGISTER", "OPTIONS", "INFO", "MESSAGE", "NOTIFY", "PRACK", "PUBLISH", "REFER", "SUBSCRIBE", "UPDATE"}

func probe(b []byte, dir contract.Direction, _ uint16) contract.Verdict {
	if bytes.HasPrefix(b, []byte("SIP/2.0 ")) {
		if dir == contract.ToServer {
			return contract.YesReversed
		}
		return contract.Yes
	}
	if len(b) < 8 && bytes.HasPrefix([]byte("SIP/2.0 "), b) {
		return contract.Maybe
	}
	word, rest, whole := bytes.Cut(b, []byte(" "))
	for _, m := range methods {
		switch {
		case whole && string(word) == m:
			return probeRequest(rest)
		case !whole && len(b) <= len(m) && m[:len(b)] == string(b):
			return contract.Maybe
		}
	}
	return contract.No
}

// probeRequest wants a first line's end as RFC 3261 has it: others use the same methods (HTTP's OPTIONS, SSDP's NOTIFY).
func probeRequest(rest []byte) contract.Verdict {
	line, _, whole := bytes.Cut(rest, []byte("\n"))
	if !whole {
		if len(rest) < lineMax {
			return contract.Maybe
		}
		return contract.No
	}
	if bytes.HasSuffix(bytes.TrimRight(line, "\r"), []byte(" SIP/2.0")) {
		return contract.Yes
	}
	return contract.No
}

type parser struct {
	pool.List[tx, *tx]
	skip [2]int // bytes left of a body that is passed over
	lost [2]bool
}

// Reset returns the parser to its fresh state.
func (p *parser) Reset() {
	p.List.Reset()
	p.skip, p.lost = [2]int{}, [2]bool{}
}

// Feed takes messages.
func (p *parser) Feed(in contract.Input) contract.Result {
	if in.UDP {
		if len(bytes.Trim(in.Data, "\r\n\x00")) > 0 { // else a keep-alive
			p.message(in.Dir, in.Data, true)
		}
		return contract.Result{Consumed: len(in.Data)}
	}
	if in.Gap > 0 {
		p.lost[in.Dir] = p.lost[in.Dir] || p.skip[in.Dir] < in.Gap
		p.skip[in.Dir] = max(0, p.skip[in.Dir]-in.Gap)
	}
	used := 0
	for used < len(in.Data) {
		b := in.Data[used:]
		n, need, ok := p.next(in.Dir, b, in.End)
		if !ok {
			return contract.Result{Consumed: len(in.Data), Stop: contract.StopError}
		}
		if n == 0 {
			return contract.Result{Consumed: used, Need: need}
		}
		used += n
	}
	return contract.Result{Consumed: used}
}

// next takes one message, a line end between messages, or a piece of what is passed over; 0: more is needed.
func (p *parser) next(dir contract.Direction, b []byte, end bool) (n, need int, ok bool) {
	if s := p.skip[dir]; s > 0 {
		n = min(s, len(b))
		p.skip[dir] -= n
		return n, 0, true
	}
	if b[0] == '\r' || b[0] == '\n' {
		return 1, 0, true
	}
	if p.lost[dir] { // after a hole a line that begins a message is waited for
		return p.resync(dir, b), 0, true
	}
	head := headEnd(b)
	if head < 0 {
		if len(b) > headMax {
			p.note(dir, evInvalid)
			return 0, 0, false
		}
		if end {
			p.message(dir, b, false)
			return len(b), 0, true
		}
		return 0, len(b) + 1, true
	}
	length := contentLength(b[:head])
	whole := head + length
	if length > bodyMax {
		p.message(dir, b[:head], false)
		p.skip[dir] = length
		return head, 0, true
	}
	if len(b) < whole {
		if end {
			p.message(dir, b, false)
			return len(b), 0, true
		}
		return 0, whole, true
	}
	p.message(dir, b[:whole], true)
	return whole, 0, true
}

// resync passes over a line that begins no message.
func (p *parser) resync(dir contract.Direction, b []byte) int {
	i := bytes.IndexByte(b, '\n')
	line := b
	if i >= 0 {
		line = b[:i+1]
	}
	if i >= 0 && (bytes.HasPrefix(line, []byte("SIP/2.0 ")) || bytes.HasSuffix(bytes.TrimRight(line, "\r\n"), []byte(" SIP/2.0"))) {
		p.lost[dir] = false
		n, _, _ := p.next(dir, b, false)
		if n > 0 {
			return n
		}
		p.lost[dir] = true // not all of it is there: the next piece begins after it
	}
	return len(line)
}

// headEnd is the offset behind the empty line that ends the headers, -1 if it has not come.
func headEnd(b []byte) int {
	b = b[:min(len(b), headMax+4)]
	for at := 0; ; {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			return -1
		}
		at += i + 1
		switch {
		case bytes.HasPrefix(b[at:], []byte("\r\n")):
			return at + 2
		case bytes.HasPrefix(b[at:], []byte("\n")):
			return at + 1
		}
	}
}

// contentLength reads the length of the body off the headers, 0 where there is none or it makes no sense.
func contentLength(head []byte) int {
	for len(head) > 0 {
		var line []byte
		line, head, _ = bytes.Cut(head, []byte("\n"))
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || !nameIs(name, "content-length", 'l') {
			continue
		}
		n := 0
		for _, c := range bytes.TrimSpace(value) {
			if c < '0' || c > '9' || n > 1<<24 {
				return 0
			}
			n = n*10 + int(c-'0')
		}
		return n
	}
	return 0
}

// nameIs compares a header's name with its long form and, where it has one (RFC 3261 section 7.3.3), its short one.
func nameIs(name []byte, long string, short byte) bool {
	name = bytes.TrimRight(name, " \t")
	if short != 0 && len(name) == 1 {
		return name[0]|0x20 == short
	}
	return len(name) == len(long) && bytes.EqualFold(name, []byte(long))
}

func (p *parser) note(dir contract.Direction, event uint8) {
	if t := p.begin(dir); t != nil {
		t.AddEvent(event)
	}
}

// begin opens a transaction that travels in one direction and is complete at once.
func (p *parser) begin(dir contract.Direction) *tx {
	t := p.Open()
	if t == nil {
		return nil
	}
	t.dir, t.OneWay, t.Done = dir, int8(dir)+1, [2]bool{true, true}
	return t
}

// message reads one message; whole false: its end is missing. Requests travel to the server and responses to the
// client: in a flow between two servers the other way round is another call's, and Suricata has no transaction for it.
func (p *parser) message(dir contract.Direction, b []byte, whole bool) {
	if response := bytes.HasPrefix(b, []byte("SIP/")); response != (dir == contract.ToClient) {
		return
	}
	t := p.begin(dir)
	if t == nil {
		return
	}
	if !whole {
		t.AddEvent(evIncomplete)
	}
	t.text = append(t.text[:0], b...)
	t.read()
}
