// Package smtp reads mail on its way (RFC 5321, 2045, 3207): commands, replies, headers, attachments.
//
// Bytes come in by contract.Parser; one transaction a mail comes out, attachments decoded as files.
// Called by app's driver. It delivers nothing and keeps no mail.
package smtp

import (
	"bytes"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/app/pool"
)

// Keyword indices.
const (
	kwHelo = iota
	kwFrom
	kwTo
	kwEmailFrom // the mail's own headers; kwEmail+i below is headers[i]
	kwEmailSubject
	kwEmailDate
	kwEmailID
	kwEmailMailer
	kwEmailTo
	kwEmailCC
	kwEmailReceived
	kwEmailURL
)

// Event indices.
const (
	evInvalidReply = iota
	evNoMatch
	evLongCommand
	evLongReply
	evPipelined
	evBdat
	evNoWelcome
	evTLSRejected
	evDataRejected
	evFailedChange
	evMimeFailed
	evMimeMalformed
	evMimeBase64
	evMimeQP
	evMimeLongLine
	evMimeLongEncLine
	evMimeLongHeaderName
	evMimeLongHeaderValue
	evMimeLongBoundary
	evMimeLongFilename
	evDuplicate
	evUnparsable
)

const (
	commandMax = 512 // RFC 5321 4.5.3.1.4
	bufferMax  = 4096
	rcptMax    = 100 // RFC 5321 4.5.3.1.8
	bodyKept   = 100 << 10
)

// Protocol is smtp's line of app's table.
func Protocol() contract.Protocol {
	return contract.Protocol{
		Name: "smtp", EventType: "smtp", Transport: contract.TCP, ServerPorts: []uint16{25, 587, 2525}, Probe: probe,
		New: func(l contract.Limits) contract.Parser {
			p := &parser{keep: l.BodyBytes[0], urls: urlSettings(l.Settings)}
			p.Max = l.MaxTx
			return p
		},
		Keywords: []contract.Keyword{
			{Name: "smtp.helo", Dirs: contract.OnRequest},
			{Name: "smtp.mail_from", Dirs: contract.OnRequest},
			{Name: "smtp.rcpt_to", Kind: contract.KindMulti, Dirs: contract.OnRequest},
			{Name: "email.from", Dirs: contract.OnRequest},
			{Name: "email.subject", Dirs: contract.OnRequest},
			{Name: "email.date", Dirs: contract.OnRequest},
			{Name: "email.message_id", Dirs: contract.OnRequest},
			{Name: "email.x_mailer", Dirs: contract.OnRequest},
			{Name: "email.to", Dirs: contract.OnRequest},
			{Name: "email.cc", Dirs: contract.OnRequest},
			{Name: "email.received", Kind: contract.KindMulti, Dirs: contract.OnRequest},
			{Name: "email.url", Kind: contract.KindMulti, Dirs: contract.OnRequest},
		},
		Events: []string{"invalid_reply", "unable_to_match_reply_with_request", "max_command_line_len_exceeded", "max_reply_line_len_exceeded",
			"invalid_pipelined_sequence", "bdat_chunk_len_exceeded", "no_server_welcome_message", "tls_rejected", "data_command_rejected",
			"failed_protocol_change", "mime_parse_failed", "mime_malformed_msg", "mime_invalid_base64", "mime_invalid_qp", "mime_long_line",
			"mime_long_enc_line", "mime_long_header_name", "mime_long_header_value", "mime_long_boundary", "mime_long_filename",
			"duplicate_fields", "unparsable_content"},
		Steps:  [2][]string{{"request_started", "request_complete"}, {"response_started", "response_complete"}},
		Limits: contract.Limits{MaxTx: 256, BodyBytes: [2]int{bodyKept, bodyKept}},
	}
}

func probe(b []byte, dir contract.Direction, port uint16) contract.Verdict {
	usual := port == 25 || port == 587 || port == 2525
	if len(b) < 4 {
		return contract.Maybe
	}
	if dir == contract.ToClient {
		if !bytes.HasPrefix(b, []byte("220")) {
			return contract.No
		}
		text, whole := contract.Reply(b, greetingMax)
		if usual || bytes.Contains(text, []byte("SMTP")) {
			return contract.Yes
		}
		if !whole {
			return contract.Maybe
		}
		return contract.No
	}
	if len(b) == 4 && (hasWord(b, "HELO") || hasWord(b, "EHLO")) {
		return contract.Maybe // what follows must not be a letter
	}
	if hasWord(b, "HELO") || hasWord(b, "EHLO") || usual && (hasWord(b, "MAIL") || hasWord(b, "QUIT") || hasWord(b, "RSET") || hasWord(b, "NOOP") || hasWord(b, "AUTH")) {
		return contract.Yes
	}
	return contract.No
}

// greetingMax bounds the greeting that is waited for.
const greetingMax = 1 << 10

// hasWord says whether line begins with word in either case.
func hasWord(line []byte, word string) bool {
	if len(line) < len(word) {
		return false
	}
	return bytes.EqualFold(line[:len(word)], []byte(word)) && (len(line) == len(word) || line[len(word)] <= ' ' || line[len(word)] == ':')
}

// Commands whose replies matter.
const (
	cmdOther = iota
	cmdData
	cmdTLS
	cmdAuth
	cmdMail // the end of a mail
)

type parser struct {
	pool.List[tx, *tx]
	keep     int
	urls     *urls
	helo     []byte
	pending  [64]uint8 // commands without a reply, oldest first
	waiting  int
	replied  bool // the server was heard
	secret   bool // a challenge of AUTH waits for its answer
	inData   bool
	bdat     int // bytes left of a chunk
	lastBdat bool
	skip     [2]bool
	upgrade  string
	user     string
}

// mail is the open mail, nil if there is none and create is false.
func (p *parser) mail(create bool) *tx {
	if t := p.Last(); t != nil && !t.done && !t.sent {
		return t
	}
	if !create {
		return nil
	}
	t := p.Open()
	if t != nil {
		t.helo = append(t.helo[:0], p.helo...)
		t.keepBody, t.urls = p.keep, p.urls
	}
	return t
}

// event notes an oddity on the open mail, or on the last.
func (p *parser) event(e uint8) {
	t := p.Last()
	if t == nil {
		t = p.mail(true)
	}
	if t != nil {
		t.AddEvent(e)
	}
}

// Feed reads lines and mail.
func (p *parser) Feed(in contract.Input) contract.Result {
	b, used := in.Data, 0
	p.upgrade = ""
	if in.Gap > 0 {
		p.bdat = max(0, p.bdat-in.Gap)
		if t := p.mail(false); t != nil && p.inData && in.Dir == contract.ToServer {
			t.mime.hole()
		} else {
			p.skip[in.Dir] = true
		}
	}
	for len(b) > 0 && p.upgrade == "" {
		n := p.next(in, b)
		if n == 0 {
			return contract.Result{Consumed: used, Need: len(b) + 1}
		}
		b, used = b[n:], used+n
	}
	return contract.Result{Consumed: used, Upgrade: p.upgrade}
}

// next takes a line, or a piece of one that is too long; 0 if more is needed.
func (p *parser) next(in contract.Input, b []byte) int {
	toServer := in.Dir == contract.ToServer
	data := toServer && (p.inData || p.bdat > 0)
	if p.bdat > 0 && toServer {
		b = b[:min(len(b), p.bdat)]
	}
	n := bytes.IndexByte(b[:min(len(b), bufferMax)], '\n') + 1
	whole := n > 0
	if !whole {
		if len(b) < bufferMax && !in.End && !(p.bdat > 0 && toServer && len(b) == p.bdat) {
			return 0
		}
		n = min(len(b), bufferMax)
	}
	if data {
		p.content(b[:n], whole)
		return n
	}
	if p.skip[in.Dir] {
		p.skip[in.Dir] = !whole
		return n
	}
	p.skip[in.Dir] = !whole
	line := bytes.TrimRight(b[:n], "\r\n")
	if toServer {
		if n > commandMax {
			p.event(evLongCommand)
		}
		p.command(line)
	} else {
		if !whole && n == bufferMax {
			p.event(evLongReply)
		}
		p.reply(line)
	}
	return n
}

// content takes a piece of a mail.
func (p *parser) content(piece []byte, whole bool) {
	t := p.mail(true)
	if p.bdat > 0 {
		p.bdat -= len(piece)
		if t != nil {
			t.line(piece, whole)
		}
		if p.bdat == 0 && p.lastBdat {
			p.finish(t)
			p.lastBdat = false
		}
		return
	}
	line := bytes.TrimRight(piece, "\r\n")
	fresh := t == nil || !t.mime.cont
	if whole && fresh && len(line) == 1 && line[0] == '.' {
		p.inData = false
		p.finish(t)
		return
	}
	if fresh && len(line) > 1 && line[0] == '.' {
		piece = piece[1:] // RFC 5321 4.5.2
	}
	if t != nil {
		t.line(piece, whole)
	}
}

// finish ends a mail.
func (p *parser) finish(t *tx) {
	if t == nil {
		return
	}
	t.endMail()
	t.sent = true
	t.done = !p.replied || !p.lastBdat && !p.expect(cmdMail) // with an answer to come, the mail is over when it has come
	f := contract.Fact{Kind: contract.MailSent, Name: string(t.from), Code: uint32(len(t.to))}
	if len(t.to) > 0 {
		f.Text = string(t.to[0])
	}
	t.Facts = append(t.Facts, f)
}

// expect notes that an answer is due; false: too many are.
func (p *parser) expect(kind uint8) bool {
	if p.waiting == len(p.pending) {
		return false
	}
	p.pending[p.waiting] = kind
	p.waiting++
	return true
}

func argument(line []byte, skip int) []byte {
	line = line[min(skip, len(line)):]
	return bytes.TrimSpace(bytes.TrimLeft(line, ": "))
}

func (p *parser) command(line []byte) {
	if p.secret { // the answer to a challenge, RFC 4954 section 4: no command, and not answered as one
		p.secret = false
		return
	}
	kind := uint8(cmdOther)
	switch {
	case hasWord(line, "HELO"), hasWord(line, "EHLO"):
		p.helo = append(p.helo[:0], argument(line, 4)...)
		if t := p.mail(true); t != nil {
			t.helo = append(t.helo[:0], p.helo...)
		}
	case hasWord(line, "MAIL"):
		if t := p.mail(true); t != nil {
			if len(t.from) > 0 {
				t.AddEvent(evDuplicate)
				break
			}
			t.from = append(t.from[:0], firstWord(argument(line, len("MAIL FROM")))...)
		}
	case hasWord(line, "RCPT"):
		if t := p.mail(true); t != nil && len(t.to) < rcptMax {
			t.to = append(t.to, bytes.Clone(firstWord(argument(line, len("RCPT TO")))))
		}
	case hasWord(line, "DATA"):
		kind = cmdData
		p.mail(true)
		p.lastBdat = false
		p.inData = !p.replied // a conversation of which only one side is seen
	case hasWord(line, "BDAT"):
		if p.chunk(argument(line, 4)); p.lastBdat {
			kind = cmdMail
		}
	case hasWord(line, "RSET"):
		if t := p.mail(false); t != nil && len(t.from) > 0 {
			t.done = true
		}
	case hasWord(line, "STARTTLS"):
		kind = cmdTLS
	case hasWord(line, "AUTH"):
		kind = cmdAuth
	}
	p.expect(kind)
}

func firstWord(b []byte) []byte {
	if i := bytes.IndexByte(b, ' '); i >= 0 && !bytes.HasPrefix(b, []byte("<")) {
		return b[:i]
	} else if j := bytes.IndexByte(b, '>'); j >= 0 {
		return b[:j+1]
	}
	return b
}

// chunk reads BDAT's argument, RFC 3030 2.
func (p *parser) chunk(arg []byte) {
	size := 0
	p.lastBdat = false
	for _, c := range arg {
		if c < '0' || c > '9' {
			break
		}
		if size = size*10 + int(c-'0'); size > 1<<30 {
			p.event(evBdat)
			return
		}
	}
	p.lastBdat = len(arg) >= 4 && bytes.EqualFold(arg[len(arg)-4:], []byte("LAST"))
	p.bdat = size
	if t := p.mail(true); size == 0 && p.lastBdat {
		p.finish(t)
	}
}

func (p *parser) reply(line []byte) {
	if len(line) < 3 || line[0] < '2' || line[0] > '5' || line[1] < '0' || line[1] > '9' || line[2] < '0' || line[2] > '9' {
		if len(line) > 0 {
			p.event(evInvalidReply)
		}
		return
	}
	if len(line) > 3 && line[3] == '-' {
		return
	}
	code := int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
	first := !p.replied
	p.replied = true
	if first && code == 220 {
		return
	}
	if first {
		p.event(evNoWelcome)
	}
	if p.waiting == 0 {
		if code != 421 {
			p.event(evNoMatch)
		}
		return
	}
	kind := p.pending[0]
	p.answered(kind, code)
	if kind == cmdAuth && code == 334 {
		p.secret = true
		return
	}
	p.waiting = copy(p.pending[:], p.pending[1:p.waiting])
}

// answered acts on the reply to a command.
func (p *parser) answered(kind uint8, code int) {
	switch kind {
	case cmdMail:
		for _, t := range p.Live() {
			if t.sent && !t.done {
				t.done = true
				return
			}
		}
	case cmdData:
		if code == 354 {
			p.inData = true
		} else if code >= 400 {
			p.inData = false
			p.event(evDataRejected)
		}
	case cmdTLS:
		if code == 220 {
			p.upgrade = "tls"
			if t := p.mail(false); t != nil {
				t.done = true
			}
		} else {
			p.event(evTLSRejected)
		}
	case cmdAuth:
		f := contract.Fact{Kind: contract.LoginSucceeded, Dir: contract.ToClient, Code: uint32(code)}
		if code >= 400 {
			f.Kind = contract.LoginFailed
		}
		if code != 334 {
			if t := p.mail(true); t != nil {
				t.Facts = append(t.Facts, f)
			}
		}
	}
}

// Reset makes the parser as new.
func (p *parser) Reset() {
	list := p.List
	list.Reset()
	*p = parser{List: list, keep: p.keep, urls: p.urls, helo: p.helo[:0]}
}
