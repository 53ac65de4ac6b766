// Package ssh reads the open part of SSH conversations (RFC 4253): banners and key exchange offers.
//
// Bytes come in by contract.Parser; versions, HASSH fingerprints and what packet sizes tell of logins come out, one
// transaction a conversation as in Suricata. Called by app's driver. It decrypts nothing.
package ssh

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/app/pool"
	"github.com/dejpha/dejpha/jsonline"
)

// Keyword indices; the first four are each direction's, the client's first.
const (
	kwProto    = iota // 2
	kwSoftware = iota + 1
	kwHassh    = iota + 2
	kwHasshString
	kwHasshServer
	kwHasshServerString
	kwRecord // whole records, their headers and what they carry: the client's
	kwRecordHeader
	kwRecordData
	kwServerRecord // the server's
)

// Event indices.
const (
	evBanner = iota
	evLongBanner
	evRecord
	evKex
)

const (
	bannerMax = 255       // RFC 4253 4.2
	packetMax = 35000     // RFC 4253 6.1
	msgKex    = 20        // RFC 4250 4.1.2
	msgNewKey = 21        //
	sessionAt = 6 << 10   // encrypted bytes from the server that no series of refusals makes
	framesMax = 16        // records kept of a direction
	watchMax  = 256 << 10 // after so much the outcome is clear
)

// Steps of a direction.
const (
	stepBanner = 1
	stepKex    = 2
	stepDone   = 3
)

// Protocol is ssh's line of app's table.
func Protocol() contract.Protocol {
	both := func(name string, aliases ...string) []contract.Keyword {
		return []contract.Keyword{{Name: name, Aliases: aliases, Dirs: contract.OnRequest, Step: [2]uint8{stepBanner, 0}},
			{Name: name, Aliases: aliases, Dirs: contract.OnReply, Step: [2]uint8{0, stepBanner}}}
	}
	list := append(both("ssh.proto", "ssh_proto", "ssh.protoversion"), both("ssh.software", "ssh_software", "ssh.softwareversion")...)
	list = append(list,
		contract.Keyword{Name: "ssh.hassh", Dirs: contract.OnRequest, Step: [2]uint8{stepKex, 0}},
		contract.Keyword{Name: "ssh.hassh.string", Dirs: contract.OnRequest, Step: [2]uint8{stepKex, 0}},
		contract.Keyword{Name: "ssh.hassh.server", Dirs: contract.OnReply, Step: [2]uint8{0, stepKex}},
		contract.Keyword{Name: "ssh.hassh.server.string", Dirs: contract.OnReply, Step: [2]uint8{0, stepKex}})
	for _, dir := range [...]contract.DirSet{contract.OnRequest, contract.OnReply} {
		for _, name := range [...]string{"pdu", "hdr", "data"} {
			list = append(list, contract.Keyword{Name: "frame:ssh.record." + name, Kind: contract.KindMulti, Dirs: dir, Grows: true})
		}
	}
	return contract.Protocol{
		Name: "ssh", EventType: "ssh", Transport: contract.TCP, ServerPorts: []uint16{22}, Probe: probe,
		New:      func(l contract.Limits) contract.Parser { return &parser{frames: l.Frames} },
		Keywords: list,
		Events:   []string{"invalid_banner", "long_banner", "invalid_record", "long_kex_record"},
		Steps: [2][]string{{"request_in_progress", "request_banner_done", "request_kex_done", "request_finished"},
			{"response_in_progress", "response_banner_done", "response_kex_done", "response_finished"}},
		Limits: contract.Limits{MaxTx: 4},
	}
}

func probe(b []byte, _ contract.Direction, _ uint16) contract.Verdict {
	const magic = "SSH-"
	if n := min(len(b), len(magic)); string(b[:n]) != magic[:n] {
		return contract.No
	} else if n < len(magic) {
		return contract.Maybe
	}
	return contract.Yes
}

// tx is a conversation.
type tx struct {
	contract.TxState
	step            [2]uint8
	proto, software [2][]byte
	hash, text      [2][]byte
	records         [2][][]byte
}

type side struct {
	banner, lost, keys bool
	ended              bool
	skip               int
	sealed             int // encrypted bytes seen
}

type parser struct {
	pool.List[tx, *tx]
	sides   [2]side
	done    bool
	told    bool // the outcome, once
	guess   guesses
	refused int
	frames  bool // keep plain records
}

// Feed reads banner and plain packets, then counts.
func (p *parser) Feed(in contract.Input) contract.Result {
	s := &p.sides[in.Dir]
	t := p.Last()
	if t == nil && !p.done {
		t = p.Open()
	}
	if in.Gap > 0 {
		p.guess.over = true
	}
	if in.Gap > 0 && !s.keys {
		s.lost = true
		if t != nil {
			p.finish(t, in.Dir)
		}
	}
	b, used := in.Data, 0
	for len(b) > 0 {
		n, need, stop := p.next(t, in.Dir, s, b, in.End)
		if stop != contract.StopNone {
			return contract.Result{Consumed: used, Stop: stop}
		}
		if need > 0 {
			return contract.Result{Consumed: used, Need: need}
		}
		b, used = b[n:], used+n
	}
	s.ended = s.ended || in.End
	if p.sides[0].ended && p.sides[1].ended && p.sides[0].keys && !p.told { // what answers the last request may come behind its end
		if p.judge(contract.ToServer, 0); !p.told && p.refused == 0 {
			p.say(contract.Fact{Kind: contract.LoginAttempt})
		}
		p.told = true
	}
	return contract.Result{Consumed: used}
}

// say tells a fact, on a transaction of its own if the conversation's is finished and gone.
func (p *parser) say(f contract.Fact) {
	t := p.Last()
	if t == nil {
		t = p.Open()
		t.Logged, t.step = true, [2]uint8{stepDone, stepDone}
	}
	t.Facts = append(t.Facts, f)
}

// next takes the piece at the start of b.
func (p *parser) next(t *tx, dir contract.Direction, s *side, b []byte, end bool) (n, need int, stop contract.Stop) {
	switch {
	case s.keys || s.lost:
		return len(b), 0, p.sealed(dir, s, len(b))
	case s.skip > 0:
		n = min(s.skip, len(b))
		s.skip -= n
		return n, 0, 0
	case !s.banner:
		return p.readBanner(t, dir, s, b)
	case len(b) < 6:
		return 0, 6, 0
	}
	size := int(b[0])<<24 | int(b[1])<<16 | int(b[2])<<8 | int(b[3])
	if size < 2 || size > packetMax {
		t.AddEvent(evRecord)
		s.lost = true
		p.finish(t, dir)
		return len(b), 0, 0
	}
	if p.frames && len(t.records[dir]) < framesMax {
		if len(b) < 4+size && !end {
			return 0, 4 + size, 0
		}
		t.records[dir] = append(t.records[dir], bytes.Clone(b[:min(4+size, len(b))]))
	}
	switch b[5] {
	case msgKex:
		if len(b) < 4+size {
			return 0, 4 + size, 0
		}
		t.readKex(dir, b[6:4+size])
		t.step[dir] = max(t.step[dir], stepKex)
		return 4 + size, 0, 0
	case msgNewKey:
		s.keys = true
		p.finish(t, dir)
	}
	s.skip = 4 + size
	if s.keys {
		s.skip = 0
		return min(4+size, len(b)), 0, 0
	}
	return 0, 0, 0
}

// finish notes that a direction goes on in secret.
func (p *parser) finish(t *tx, dir contract.Direction) {
	t.step[dir] = stepDone
	p.done = t.step[0] == stepDone && t.step[1] == stepDone
}

// sealed counts encrypted bytes: guesses and refusals are small, a session's traffic is not.
func (p *parser) sealed(dir contract.Direction, s *side, n int) contract.Stop {
	s.sealed += n
	if !p.told && p.sides[0].keys && !s.lost {
		p.judge(dir, n)
	}
	if dir == contract.ToClient && s.sealed > sessionAt && !p.told && s.keys {
		p.told = true
		p.say(contract.Fact{Kind: contract.LoginSucceeded, Dir: dir})
	}
	if s.sealed > watchMax && p.told {
		return contract.StopDone
	}
	return contract.StopNone
}

// judge tells of the answers that n more encrypted bytes show.
func (p *parser) judge(dir contract.Direction, n int) {
	switch p.guess.said(dir, n) {
	case refused:
		p.refused++
		p.say(contract.Fact{Kind: contract.LoginFailed, Dir: contract.ToClient})
	case succeeded:
		p.told = true
		p.say(contract.Fact{Kind: contract.LoginSucceeded, Dir: contract.ToClient})
	case inSession:
		p.told = true
	}
}

func (p *parser) readBanner(t *tx, dir contract.Direction, s *side, b []byte) (n, need int, stop contract.Stop) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		if len(b) > 8<<10 {
			t.AddEvent(evLongBanner)
			return 0, 0, contract.StopError
		}
		return 0, len(b) + 1, 0
	}
	line := bytes.TrimRight(b[:i], "\r")
	if !bytes.HasPrefix(line, []byte("SSH-")) {
		if dir == contract.ToServer {
			t.AddEvent(evBanner)
			return 0, 0, contract.StopError
		}
		return i + 1, 0, 0 // a server may say more before, RFC 4253 4.2
	}
	if len(line) > bannerMax {
		t.AddEvent(evLongBanner)
		line = line[:bannerMax]
	}
	proto, software, ok := bytes.Cut(line[4:], []byte("-"))
	if !ok || len(proto) == 0 || len(software) == 0 {
		t.AddEvent(evBanner)
	}
	if sp := bytes.IndexByte(software, ' '); sp >= 0 {
		software = software[:sp]
	}
	s.banner = true
	t.proto[dir], t.software[dir] = append(t.proto[dir][:0], proto...), append(t.software[dir][:0], software...)
	t.step[dir] = stepBanner
	t.Facts = append(t.Facts, contract.Fact{Kind: contract.SSHVersion, Dir: dir, Name: string(software)})
	return i + 1, 0, 0
}

// readKex makes HASSH from the offer: key exchange; encryption; integrity; compression, as this direction offers it.
func (t *tx) readKex(dir contract.Direction, b []byte) {
	if len(b) < 16 {
		t.AddEvent(evRecord)
		return
	}
	b = b[16:]
	text := t.text[dir][:0]
	for i := range 8 {
		if len(b) < 4 {
			t.AddEvent(evRecord)
			return
		}
		n := int(b[0])<<24 | int(b[1])<<16 | int(b[2])<<8 | int(b[3])
		if n > len(b)-4 {
			t.AddEvent(evRecord)
			return
		}
		if i == 0 || i >= 2 && i&1 == int(dir) {
			if i > 0 {
				text = append(text, ';')
			}
			text = append(text, b[4:4+n]...)
		}
		b = b[4+n:]
	}
	t.text[dir] = text
	sum := md5.Sum(text)
	t.hash[dir] = hex.AppendEncode(t.hash[dir][:0], sum[:])
}

// Reset makes the parser as new.
func (p *parser) Reset() {
	p.List.Reset()
	p.sides, p.done, p.told, p.guess, p.refused = [2]side{}, false, false, guesses{}, 0
}

// Reuse empties the transaction.
func (t *tx) Reuse() {
	n := tx{TxState: t.TxState}
	for i := range 2 {
		n.proto[i], n.software[i], n.hash[i], n.text[i] = t.proto[i][:0], t.software[i][:0], t.hash[i][:0], t.text[i][:0]
	}
	*t = n
}

// State is the engine's part of the transaction.
func (t *tx) State() *contract.TxState { return &t.TxState }

// Progress is the step a direction has reached.
func (t *tx) Progress(dir contract.Direction) uint8 { return t.step[dir] }

// Buffer returns a keyword's bytes.
func (t *tx) Buffer(kw, i int) ([]byte, bool) {
	var b []byte
	switch kw {
	case kwProto, kwProto + 1:
		b = t.proto[kw-kwProto]
	case kwSoftware, kwSoftware + 1:
		b = t.software[kw-kwSoftware]
	case kwHassh:
		b = t.hash[0]
	case kwHasshString:
		b = t.text[0]
	case kwHasshServer:
		b = t.hash[1]
	case kwHasshServerString:
		b = t.text[1]
	default:
		return t.record(kw-kwRecord, i)
	}
	return b, len(b) > 0
}

// record returns the part of the i-th plain record that a frame names.
func (t *tx) record(kw, i int) ([]byte, bool) {
	dir := kw / (kwServerRecord - kwRecord)
	if i >= len(t.records[dir]) {
		return nil, false
	}
	b := t.records[dir][i]
	switch kw % (kwServerRecord - kwRecord) {
	case kwRecordHeader - kwRecord:
		return b[:6], true
	case kwRecordData - kwRecord:
		return b[6:], true
	}
	return b, true
}

// Number has nothing to say.
func (t *tx) Number(int, int) (uint64, bool) { return 0, false }

// AppendRecord appends the fields of eve's ssh record.
func (t *tx) AppendRecord(dst []byte) []byte {
	dst = append(dst, `"ssh":{`...)
	for i, key := range [...]string{"client", "server"} {
		if len(t.proto[i]) == 0 {
			continue
		}
		dst = append(jsonline.AppendKey(dst, key), '{')
		dst = jsonline.KeyString(dst, "proto_version", t.proto[i])
		dst = jsonline.KeyString(dst, "software_version", t.software[i])
		if len(t.hash[i]) > 0 {
			dst = append(jsonline.AppendKey(dst, "hassh"), '{')
			dst = jsonline.KeyString(dst, "hash", t.hash[i])
			dst = jsonline.KeyString(dst, "string", t.text[i])
			dst = append(dst, '}')
		}
		dst = append(dst, '}')
	}
	return append(dst, '}')
}
