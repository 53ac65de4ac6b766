package ldap

import (
	"bytes"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/app/der"
	"github.com/dejpha/dejpha/app/ntlmssp"
)

// response is one response of a transaction, in its kept bytes.
type response struct {
	op       uint8
	id       int64
	from, to int // of the operation and what follows it, in tx.kept
}

// tx is a request with its responses.
type tx struct {
	contract.TxState
	id        int64
	hasReq    bool
	op        uint8
	req       []byte // operation and what follows it in the message
	filter    []byte // as text, of a search
	kept      []byte
	responses []response
	count     int
	entries   int
	done, res bool
	user      []byte
	anonymous bool
	startTLS  bool
	charged   int
}

type half struct {
	lost bool
	skip int
}

type parser struct {
	limits contract.Limits
	txs    []contract.Tx
	live   []*tx
	free   []*tx
	nextID uint64
	half   [2]half
	held   int
	sasl   bool // a SASL bind was seen: what is no LDAP is wrapped
	ntlm   ntlmssp.Message
}

func newParser(limits contract.Limits) contract.Parser {
	if limits.MaxTx <= 0 {
		limits.MaxTx = defaultMaxTx
	}
	return &parser{limits: limits}
}

// Feed reads the messages in a stream's next bytes or in a datagram.
func (p *parser) Feed(in contract.Input) contract.Result {
	h := &p.half[in.Dir]
	b := in.Data
	used := 0
	if in.Gap > 0 {
		if h.skip >= in.Gap {
			h.skip -= in.Gap
		} else {
			*h = half{lost: true}
		}
	}
	for len(b) > 0 {
		n, r := p.step(h, &in, b)
		used += n
		b = b[n:]
		if n == 0 || r.Stop != contract.StopNone || r.Upgrade != "" {
			r.Consumed = used
			if in.UDP {
				r = contract.Result{Consumed: len(in.Data)}
			}
			return r
		}
	}
	return contract.Result{Consumed: used}
}

// step takes one message from the front of b; 0 when more bytes are needed.
func (p *parser) step(h *half, in *contract.Input, b []byte) (int, contract.Result) {
	if h.skip > 0 {
		n := min(h.skip, len(b))
		h.skip -= n
		return n, contract.Result{}
	}
	size, tag, ok := opening(b)
	if !ok {
		if h.lost {
			return len(b), contract.Result{} // messages mostly begin a segment: the next one is tried
		}
		if p.sasl && !in.UDP {
			return p.wrapped(h, in.Dir, b)
		}
		p.event(p.last(), evInvalid)
		return 0, contract.Result{Stop: contract.StopError}
	}
	if server, _ := fromServer(tag); size > 0 && server != (in.Dir == contract.ToClient) {
		p.event(p.last(), evInvalid)
		if in.UDP {
			return len(b), contract.Result{}
		}
		h.lost = true
		return len(b), contract.Result{}
	}
	const headMax = 16 // tag, length, message id and the operation's tag
	if size == 0 {
		if in.UDP {
			p.event(p.last(), evIncomplete)
		}
		return 0, contract.Result{Need: min(len(b)+1, headMax)}
	}
	h.lost = false
	take := min(size, wholeMax)
	if len(b) < take {
		if in.UDP {
			p.event(p.last(), evIncomplete)
		}
		return 0, contract.Result{Need: take}
	}
	h.skip = size - take
	return take, p.message(in.Dir, b[:take])
}

// wrapped reads a SASL security layer's buffer: four bytes of length, a token, and the message, in the clear if
// the layer only signs.
func (p *parser) wrapped(h *half, dir contract.Direction, b []byte) (int, contract.Result) {
	if len(b) < 4 {
		return 0, contract.Result{Need: 4}
	}
	size := int(b[0])<<24 | int(b[1])<<16 | int(b[2])<<8 | int(b[3])
	if size < 16 || size > wrappedMax {
		return 0, contract.Result{Stop: contract.StopDone}
	}
	take := min(4+size, wholeMax)
	if len(b) < take {
		return 0, contract.Result{Need: take}
	}
	h.skip = 4 + size - take
	const tokenMin, tokenMax = 12, 96 // NTLM signatures are 16 bytes, Kerberos tokens up to some 60 with their framing
	m := b[4:take]
	for at := tokenMin; at < tokenMax && at < len(m); at++ {
		n, tag, ok := opening(m[at:])
		if server, _ := fromServer(tag); !ok || n == 0 || n > 4+size-at || server != (dir == contract.ToClient) {
			continue
		}
		for rest := m[at:]; len(rest) > 0; {
			n, tag, ok := opening(rest)
			if server, _ := fromServer(tag); !ok || n == 0 || n > len(rest) || server != (dir == contract.ToClient) {
				break
			}
			p.message(dir, rest[:n])
			rest = rest[n:]
		}
		return take, contract.Result{}
	}
	return take, contract.Result{} // sealed
}

// message reads one message; what follows its front may be cut off.
func (p *parser) message(dir contract.Direction, b []byte) contract.Result {
	_, body, _, _ := der.Next(b)
	_, id, rest, ok := der.Next(body)
	if !ok || len(rest) == 0 {
		return contract.Result{}
	}
	op := rest[0] & 0x1f
	if dir == contract.ToServer {
		p.request(der.Int(id), op, rest)
		return contract.Result{}
	}
	return p.response(der.Int(id), op, rest)
}

func (p *parser) request(id int64, op uint8, b []byte) {
	t := p.open()
	if t == nil {
		return
	}
	t.id, t.op, t.hasReq, t.done = id, op, true, true
	t.req = append(t.req[:0], b[:min(len(b), p.room())]...)
	p.charge(t)
	f := contract.Fact{Kind: contract.LDAPRequest, Code: uint32(op)}
	switch op {
	case opUnbind:
		t.res = true
	case opAbandon:
		t.res = true
		_, which, _, _ := der.Next(b)
		if o := p.find(der.Int(which)); o != nil && o != t {
			o.res = true
		}
	case opBind:
		p.bind(t)
	case opExtended:
		t.startTLS = bytes.Equal(field(t.body(), 0x80), startTLS)
	case opSearch:
		tag, body := element(t.body(), 6)
		t.filter = appendFilter(t.filter[:0], tag, body, 0)
		f.Text = string(p.asked(t))
	}
	f.Name = string(t.dn())
	t.Facts = append(t.Facts, f)
}

var startTLS = []byte("1.3.6.1.4.1.1466.20037")

// asked is the filter of a search and the attributes it wants, as text of bounded length.
func (p *parser) asked(t *tx) []byte {
	const most = 512
	b := append([]byte(nil), t.filter[:min(len(t.filter), most)]...)
	for i := 0; len(b) < most; i++ {
		a, ok := t.requestAttribute(i)
		if !ok {
			break
		}
		b = append(append(b, ' '), a[:min(len(a), most-len(b))]...)
	}
	return b
}

// bind notes who logs in.
func (p *parser) bind(t *tx) {
	t.user = append(t.user[:0], t.dn()...)
	const sasl = 0xa3
	cred := field(t.body(), sasl)
	if cred == nil {
		t.anonymous = len(t.user) == 0
		return
	}
	p.sasl = true
	if tok := ntlmssp.Find(cred); tok != nil && ntlmssp.Parse(tok, &p.ntlm) && p.ntlm.Type == ntlmssp.Authenticate {
		t.user, t.anonymous = append(t.user[:0], p.ntlm.User...), p.ntlm.Anonymous
	}
}

func (p *parser) response(id int64, op uint8, b []byte) contract.Result {
	t := p.find(id)
	if t == nil {
		if t = p.open(); t == nil {
			return contract.Result{}
		}
		t.id, t.done, t.res = id, true, true
		if op != opExtendedRes {
			t.AddEvent(evNotFound)
		}
	}
	t.count++
	if op == opEntry {
		t.entries++
	}
	if n := len(b); len(t.responses) < responsesMax && len(t.kept)+n <= keptMax && n <= p.room() {
		from := len(t.kept)
		t.kept = append(t.kept, b...)
		t.responses = append(t.responses, response{op: op, id: id, from: from, to: len(t.kept)})
		p.charge(t)
	}
	switch op {
	case opEntry, opReference, opIntermediate:
		return contract.Result{}
	}
	t.res = true
	_, body, _, _ := der.Next(b)
	code := uint32(der.Int(part(body, 0)))
	switch op {
	case opBindRes:
		t.loggedIn(code)
	case opDone:
		t.Facts = append(t.Facts, contract.Fact{Kind: contract.LDAPRequest, Dir: contract.ToClient, Code: opDone, Size: uint32(t.entries), Name: string(t.dn())})
	case opExtendedRes:
		if t.startTLS && code == 0 {
			return contract.Result{Upgrade: "tls"}
		}
	}
	return contract.Result{}
}

// loggedIn tells the own detectors how a bind ended.
func (t *tx) loggedIn(code uint32) {
	const inProgress = 14
	f := contract.Fact{Kind: contract.LoginFailed, Dir: contract.ToClient, Code: code, Name: string(t.user)}
	switch code {
	case inProgress:
		return
	case 0:
		f.Kind = contract.LoginSucceeded
		if t.anonymous {
			f.Text = "anonymous"
		}
	}
	t.Facts = append(t.Facts, f)
}

func (p *parser) find(id int64) *tx {
	for i := len(p.live) - 1; i >= 0; i-- {
		if t := p.live[i]; t.hasReq && t.id == id && !t.res {
			return t
		}
	}
	return nil
}

func (p *parser) last() *tx {
	if len(p.live) == 0 {
		return nil
	}
	return p.live[len(p.live)-1]
}

func (p *parser) room() int { return max(totalMax-p.held, 0) }

func (p *parser) charge(t *tx) {
	n := len(t.req) + len(t.kept)
	p.held += n - t.charged
	t.charged = n
}

func (p *parser) event(t *tx, e uint8) {
	if t == nil {
		if t = p.open(); t == nil {
			return
		}
		t.done, t.res = true, true
	}
	t.AddEvent(e)
}

// open starts a transaction. At the limit the oldest unfinished is closed; nil while twice as many wait.
func (p *parser) open() *tx {
	if n := len(p.live); n >= p.limits.MaxTx {
		if n >= 2*p.limits.MaxTx {
			return nil
		}
		old := p.live[n-p.limits.MaxTx]
		old.done, old.res = true, true
		old.AddEvent(evTooMany)
	}
	var t *tx
	if n := len(p.free); n > 0 {
		t, p.free = p.free[n-1], p.free[:n-1]
	} else {
		t = &tx{}
	}
	t.ID = p.nextID
	p.nextID++
	p.live = append(p.live, t)
	p.txs = append(p.txs, t)
	return t
}

// Txs returns the live transactions, oldest first.
func (p *parser) Txs() []contract.Tx { return p.txs }

// Release takes the first n transactions back into the pool.
func (p *parser) Release(n int) {
	n = min(n, len(p.live))
	for _, t := range p.live[:n] {
		p.held -= t.charged
		if len(p.free) >= freeMax {
			continue
		}
		t.TxState.Clear()
		req, kept := t.req[:0], t.kept[:0]
		if cap(req) > keepCap {
			req = nil
		}
		if cap(kept) > keepCap {
			kept = nil
		}
		*t = tx{TxState: t.TxState, req: req, kept: kept, responses: t.responses[:0], filter: t.filter[:0], user: t.user[:0]}
		p.free = append(p.free, t)
	}
	p.live = append(p.live[:0], p.live[n:]...)
	p.txs = append(p.txs[:0], p.txs[n:]...)
}

// Reset makes the parser as new.
func (p *parser) Reset() {
	p.Release(len(p.live))
	p.ntlm.Reset()
	*p = parser{limits: p.limits, txs: p.txs[:0], live: p.live[:0], free: p.free, ntlm: p.ntlm}
}
