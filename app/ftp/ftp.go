// Package ftp reads FTP's control conversations (RFC 959, 2428, 4217) and the data flows they announce.
//
// Bytes come in by contract.Parser; commands with their replies, announced flows, logins and files come out.
// Called by app's driver. It opens nothing itself.
package ftp

import (
	"bytes"
	"strings"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/app/pool"
	"github.com/dejpha/dejpha/jsonline"
)

// Keyword indices.
const (
	kwCommand = iota
	kwCommandData
	kwReply
	kwCode
	kwMode
	kwPort
	kwReceived
)

// Event indices.
const (
	evRequestLong = iota
	evReplyLong
	evTooMany
)

const (
	lineMax    = 4096 // of a command or reply line; Suricata's default
	repliesMax = 128  // lines kept of one command's replies
)

// Protocol is ftp's line of app's table.
func Protocol() contract.Protocol {
	done := [2]uint8{1, 1}
	return contract.Protocol{
		Name: "ftp", EventType: "ftp", Transport: contract.TCP, ServerPorts: []uint16{21}, Probe: probe,
		New: func(l contract.Limits) contract.Parser {
			p := &parser{}
			p.Max = l.MaxTx
			return p
		},
		Keywords: []contract.Keyword{
			{Name: "ftp.command", Dirs: contract.OnRequest, Step: [2]uint8{1, 0}},
			{Name: "ftp.command_data", Dirs: contract.OnRequest, Step: [2]uint8{1, 0}},
			{Name: "ftp.reply", Kind: contract.KindMulti, Dirs: contract.OnReply, Step: done},
			{Name: "ftp.completion_code", Kind: contract.KindMulti, Dirs: contract.OnReply, Step: done},
			{Name: "ftp.mode", Kind: contract.KindNumber, Dirs: contract.OnBoth, Values: map[string]uint64{"active": 1, "passive": 0}},
			{Name: "ftp.dynamic_port", Kind: contract.KindNumber, Dirs: contract.OnBoth},
			{Name: "ftp.reply_received", Kind: contract.KindNumber, Dirs: contract.OnBoth, Values: map[string]uint64{"yes": 1, "true": 1, "1": 1, "on": 1, "off": 0, "no": 0, "false": 0, "0": 0}},
		},
		Events: []string{"request_command_too_long", "response_command_too_long", "too_many_transactions"},
		Steps:  [2][]string{{"request_started", "request_complete"}, {"response_started", "response_complete"}},
		Limits: contract.Limits{MaxTx: 1024},
	}
}

func probe(b []byte, dir contract.Direction, port uint16) contract.Verdict {
	if dir == contract.ToClient {
		switch {
		case len(b) < 4:
			return contract.Maybe
		case !bytes.HasPrefix(b, []byte("220")):
			return contract.No
		case port == 21:
			return contract.Yes
		}
		text, whole := contract.Reply(b, greetingMax)
		switch {
		case !whole:
			return contract.Maybe
		case bytes.Contains(text, []byte("FTP")) && !bytes.Contains(text, []byte("SMTP")):
			return contract.Yes
		}
		return contract.No
	}
	line, _, whole := bytes.Cut(b[:min(len(b), greetingMax)], []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	for _, word := range [...]string{"USER ", "FEAT", "AUTH TLS", "AUTH SSL", "SYST", "PASV", "EPSV", "PORT ", "OPTS "} {
		if !bytes.HasPrefix(line, []byte(word)) {
			continue
		}
		if port == 21 || word == "OPTS " {
			return contract.Yes
		}
		if word == "USER " && !whole && len(b) < greetingMax {
			return contract.Maybe
		}
		if word == "USER " && port != 110 && bytes.Count(line, []byte(" ")) == 1 {
			return contract.Yes
		}
	}
	if !whole && len(b) < 16 {
		return contract.Maybe
	}
	return contract.No
}

// greetingMax bounds the greeting, and the first command, that are waited for.
const greetingMax = 1 << 10

// tx is a command with its replies.
type tx struct {
	contract.TxState
	step           [2]uint8
	command, data  []byte
	commandCut     bool
	replyCut       bool
	text           []byte
	replies, codes [][2]int
	port           uint16
	active         bool
	hasPort        bool
}

type parser struct {
	pool.List[tx, *tx]
	skip    [2]bool // the rest of a line that was too long
	user    string
	port    uint16 // announced for the next transfer
	active  bool
	expect  *contract.Expect
	upgrade string
}

// Feed reads lines of both directions.
func (p *parser) Feed(in contract.Input) contract.Result {
	b, used := in.Data, 0
	p.expect, p.upgrade = nil, ""
	if in.Gap > 0 {
		p.skip[in.Dir] = true // the first line after a hole has lost its head
	}
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n')
		if p.skip[in.Dir] {
			n := len(b)
			if i >= 0 {
				n, p.skip[in.Dir] = i+1, false
			}
			b, used = b[n:], used+n
			continue
		}
		n, cut := i+1, false
		if i < 0 || i > lineMax {
			if len(b) < lineMax && !in.End {
				return contract.Result{Consumed: used, Need: len(b) + 1, Expect: p.expect}
			}
			n = min(len(b), lineMax)
			cut = len(b) >= lineMax
			p.skip[in.Dir] = cut
		}
		line := bytes.TrimRight(b[:n], "\r\n")
		if in.Dir == contract.ToServer {
			p.readCommand(line, cut)
		} else {
			p.readReply(line, cut)
		}
		b, used = b[n:], used+n
		if p.upgrade != "" || p.expect != nil {
			break
		}
	}
	return contract.Result{Consumed: used, Expect: p.expect, Upgrade: p.upgrade}
}

func (p *parser) open() *tx {
	t := p.Open()
	if t == nil {
		p.Last().AddEvent(evTooMany)
	}
	return t
}

func (p *parser) readCommand(line []byte, cut bool) {
	if len(line) == 0 {
		return
	}
	t := p.open()
	if t == nil {
		return
	}
	t.step[0] = 1
	t.commandCut = cut
	if cut {
		t.AddEvent(evRequestLong)
	}
	word, rest, _ := bytes.Cut(line, []byte(" "))
	t.command = append(t.command[:0], word...)
	for i, c := range t.command {
		if c >= 'a' && c <= 'z' {
			t.command[i] = c - 0x20
		}
	}
	t.data = append(t.data[:0], bytes.TrimLeft(rest, " ")...)
	shown := string(t.data)
	switch string(t.command) {
	case "USER":
		p.user = shown
	case "PASS":
		shown = ""
	case "PORT", "EPRT":
		if port := readPort(t.data, t.command[0] == 'E'); port > 0 {
			p.port, p.active = port, true
			t.port, t.active, t.hasPort = port, true, true
		}
	case "RETR", "STOR", "STOU", "APPE", "LIST", "NLST", "MLSD":
		if p.port > 0 {
			t.port, t.active, t.hasPort = p.port, p.active, true
			e := &contract.Expect{Port: p.port, Protocol: "ftp-data", Command: string(t.command) + " " + shown}
			if p.active {
				e.Dir = contract.ToClient
			}
			p.expect, p.port = e, 0
		}
	}
	t.Facts = append(t.Facts, contract.Fact{Kind: contract.FTPCommand, Name: string(t.command), Text: shown})
}

// readPort reads the end of h1,h2,h3,h4,p1,p2 or of |1|host|port|.
func readPort(b []byte, extended bool) uint16 {
	if extended {
		b = bytes.TrimSpace(b)
		if len(b) < 4 {
			return 0
		}
		parts := bytes.Split(b, b[:1])
		if len(parts) < 4 {
			return 0
		}
		return uint16(number(parts[3], 65535))
	}
	parts := bytes.Split(bytes.TrimSpace(b), []byte(","))
	if len(parts) != 6 {
		return 0
	}
	return uint16(number(parts[4], 255)<<8 | number(parts[5], 255))
}

// number reads leading digits; 0 if there are none or they exceed limit.
func number(b []byte, limit int) int {
	v := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			break
		}
		if v = v*10 + int(c-'0'); v > limit {
			return 0
		}
	}
	return v
}

func digits(b []byte) bool {
	return len(b) >= 3 && b[0] >= '1' && b[0] <= '6' && b[1] >= '0' && b[1] <= '9' && b[2] >= '0' && b[2] <= '9'
}

// waiting is the oldest command without its final reply.
func (p *parser) waiting() *tx {
	for _, t := range p.Live() {
		if t.step[1] == 0 {
			return t
		}
	}
	t := p.open()
	if t != nil {
		t.step[0] = 1
	}
	return t
}

func (p *parser) readReply(line []byte, cut bool) {
	t := p.waiting()
	if t == nil || len(line) == 0 {
		return
	}
	if cut {
		t.replyCut = true
		t.AddEvent(evReplyLong)
	}
	coded := digits(line) && (len(line) == 3 || line[3] == ' ' || line[3] == '-')
	text := line
	if coded {
		text = line[min(4, len(line)):]
	}
	if len(t.replies) < repliesMax {
		if coded {
			t.codes = append(t.codes, t.keep(line[:3]))
		}
		t.replies = append(t.replies, t.keep(text))
	}
	if !coded || len(line) > 3 && line[3] == '-' {
		return
	}
	p.answered(t, number(line[:3], 999), text)
}

// answered acts on the last line of a reply.
func (p *parser) answered(t *tx, code int, text []byte) {
	if code >= 200 {
		t.step[1] = 1
	}
	command := string(t.command)
	switch {
	case code == 530 && (command == "PASS" || command == "USER"), command == "PASS" && code >= 400:
		t.Facts = append(t.Facts, contract.Fact{Kind: contract.LoginFailed, Dir: contract.ToClient, Code: uint32(code), Name: p.user})
	case code == 230:
		t.Facts = append(t.Facts, contract.Fact{Kind: contract.LoginSucceeded, Dir: contract.ToClient, Name: p.user})
	case code == 227 || code == 229:
		_, in, _ := bytes.Cut(text, []byte("("))
		in, _, _ = bytes.Cut(in, []byte(")"))
		if port := readPort(in, code == 229); port > 0 {
			p.port, p.active = port, false
			t.port, t.active, t.hasPort = port, false, true
		}
	case code == 234 && strings.HasPrefix(command, "AUTH"):
		p.upgrade = "tls"
	}
}

func (t *tx) keep(b []byte) [2]int {
	from := len(t.text)
	t.text = append(t.text, b...)
	return [2]int{from, len(t.text)}
}

// Reset makes the parser as new.
func (p *parser) Reset() {
	list := p.List
	list.Reset()
	*p = parser{List: list}
}

// Reuse empties the transaction.
func (t *tx) Reuse() {
	*t = tx{TxState: t.TxState, command: t.command[:0], data: t.data[:0], text: t.text[:0], replies: t.replies[:0], codes: t.codes[:0]}
}

// State is the engine's part of the transaction.
func (t *tx) State() *contract.TxState { return &t.TxState }

// Progress is the step a direction has reached.
func (t *tx) Progress(dir contract.Direction) uint8 { return t.step[dir] }

// Buffer returns the i-th instance of a keyword.
func (t *tx) Buffer(kw, i int) ([]byte, bool) {
	list := t.replies
	switch kw {
	case kwCommand:
		return t.command, len(t.command) > 0
	case kwCommandData:
		return t.data, len(t.data) > 0
	case kwCode:
		list = t.codes
	case kwReply:
	default:
		return nil, false
	}
	if i >= len(list) {
		return nil, false
	}
	return t.text[list[i][0]:list[i][1]], true
}

// Number returns mode, port, and whether there was a reply.
func (t *tx) Number(kw, i int) (uint64, bool) {
	if i > 0 {
		return 0, false
	}
	switch kw {
	case kwMode:
		if t.active {
			return 1, t.hasPort
		}
		return 0, t.hasPort
	case kwPort:
		return uint64(t.port), t.hasPort
	case kwReceived:
		return uint64(min(len(t.replies), 1)), true
	}
	return 0, false
}

// AppendRecord appends the fields of eve's ftp record.
func (t *tx) AppendRecord(dst []byte) []byte {
	dst = append(dst, `"ftp":{`...)
	if len(t.command) > 0 {
		dst = jsonline.KeyString(dst, "command", t.command)
		if len(t.data) > 0 {
			dst = jsonline.KeyString(dst, "command_data", t.data)
		}
		dst = jsonline.KeyBool(dst, "command_truncated", t.commandCut)
	}
	dst = t.appendTexts(dst, "completion_code", t.codes)
	dst = t.appendTexts(dst, "reply", t.replies)
	if t.hasPort {
		dst = jsonline.KeyUint(dst, "dynamic_port", uint64(t.port))
		mode := "passive"
		if t.active {
			mode = "active"
		}
		dst = jsonline.KeyString(dst, "mode", mode)
	}
	received := "yes"
	if len(t.replies) == 0 {
		received = "no"
	}
	dst = jsonline.KeyString(dst, "reply_received", received)
	return append(jsonline.KeyBool(dst, "reply_truncated", t.replyCut), '}')
}

func (t *tx) appendTexts(dst []byte, key string, list [][2]int) []byte {
	if len(list) == 0 {
		return dst
	}
	dst = append(jsonline.AppendKey(dst, key), '[')
	for _, s := range list {
		dst = jsonline.AppendString(jsonline.AppendComma(dst), t.text[s[0]:s[1]])
	}
	return append(dst, ']')
}
