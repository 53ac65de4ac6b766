package dcerpc

import (
	"bytes"

	"github.com/dejpha/dejpha/app/contract"
)

// tx is one call of a conversation over TCP or UDP.
type tx struct {
	contract.TxState
	Call
	p        *parser
	req, res bool // done in that direction
	reqLost  bool
	resLost  bool
	udp      bool
	activity [16]byte
	sequence uint32
	charged  int // stub bytes counted in parser.held
}

type parser struct {
	Session
	limits contract.Limits
	txs    []contract.Tx
	live   []*tx
	free   []*tx
	nextID uint64
	held   int
	gap    [2]bool
	broken bool
}

func newParser(limits contract.Limits) contract.Parser {
	if limits.MaxTx <= 0 {
		limits.MaxTx = defaultMaxTx
	}
	if limits.BufferBytes <= 0 {
		limits.BufferBytes = stubMax
	}
	return &parser{limits: limits}
}

// Feed reads the next bytes of one direction, or one datagram.
func (p *parser) Feed(in contract.Input) contract.Result {
	if p.broken {
		return contract.Result{Stop: contract.StopError}
	}
	if in.UDP {
		return p.datagram(in)
	}
	if in.Gap > 0 {
		p.lose(in.Dir)
	}
	return p.stream(in)
}

// lose settles what bytes lost in direction dir leave open, and makes Feed look for the next PDU.
func (p *parser) lose(dir contract.Direction) {
	p.gap[dir] = true
	for _, t := range p.live {
		if !t.req {
			t.req, t.reqLost = true, true
		}
		if dir == contract.ToClient && !t.res {
			t.res, t.resLost = true, true
		}
	}
}

func (p *parser) stream(in contract.Input) contract.Result {
	b := in.Data
	used := 0
	for {
		if p.gap[in.Dir] {
			n, found := resync(b)
			used += n
			b = b[n:]
			if !found {
				return contract.Result{Consumed: used}
			}
			p.gap[in.Dir] = false
		}
		if len(b) < HeaderLen {
			return contract.Result{Consumed: used, Need: HeaderLen}
		}
		h, ok := ParseHeader(b)
		if !ok {
			p.broken = true
			p.event(p.last(), evMalformed)
			return contract.Result{Consumed: used, Stop: contract.StopError}
		}
		if len(b) < h.FragLen {
			return contract.Result{Consumed: used, Need: h.FragLen}
		}
		p.pdu(in.Dir, h, b[:h.FragLen])
		used += h.FragLen
		b = b[h.FragLen:]
	}
}

// resync returns how many bytes lie before the next thing that may be a PDU, and whether one is there. Up to
// fifteen bytes that may begin a header are left for the next call.
func resync(b []byte) (n int, found bool) {
	for {
		i := bytes.IndexByte(b[n:], 5)
		if i < 0 {
			return len(b), false
		}
		n += i
		c := b[n:]
		if len(c) < HeaderLen {
			return n, false
		}
		if h, ok := ParseHeader(c); ok && c[4]&0xee == 0 && c[5] <= 3 && c[6] == 0 && c[7] == 0 && h.AuthLen < h.FragLen && known5(h.Type) {
			return n, true
		}
		n++
	}
}

// pdu files one whole PDU with its call.
func (p *parser) pdu(dir contract.Direction, h Header, b []byte) {
	if dir == contract.ToServer {
		p.fromClient(h, b)
		return
	}
	t := p.find(func(t *tx) bool { return t.CallID == h.CallID && !t.res && answers(h.Type, t) })
	if t == nil {
		if t = p.open(); t == nil {
			return
		}
		t.req, t.reqLost = true, true
	}
	p.Session.FromServer(h, b, &t.Call, p.room(t, t.ResStub))
	p.charge(t)
	if t.Malformed {
		p.event(t, evMalformed)
	}
	t.res = t.ResWhole
	t.Facts = p.Session.AppendLogin(t.Facts, &t.Call)
}

func answers(response uint8, t *tx) bool {
	if !t.ReqSet {
		return t.ResSet && response == TypeResponse // a further fragment of an answer whose request was lost
	}
	switch response {
	case TypeBindAck, TypeBindNak:
		return t.ReqType == TypeBind
	case TypeAlterAck:
		return t.ReqType == TypeAlter
	case TypeFault:
		return true
	}
	return t.ReqType == TypeRequest
}

func (p *parser) fromClient(h Header, b []byte) {
	var t *tx
	switch {
	case h.Type == TypeAuth3:
		p.Session.auth(h, b) // has no answer and makes no transaction
		return
	case h.Type == TypeCoCancel || h.Type == TypeOrphaned:
		return
	case h.Type == TypeRequest && h.Flags&flagFirst == 0:
		t = p.find(func(t *tx) bool { return t.CallID == h.CallID && t.ReqType == TypeRequest && !t.req })
	}
	if t == nil {
		if t = p.open(); t == nil {
			return
		}
	}
	p.Session.FromClient(h, b, &t.Call, p.room(t, t.ReqStub))
	p.charge(t)
	if t.Malformed {
		p.event(t, evMalformed)
	}
	if t.ReqWhole && !t.req {
		t.req = true
		t.Facts = p.Session.AppendFacts(t.Facts, &t.Call, "tcp")
		if t.ZeroCredential {
			p.event(t, evZeroCredential)
		}
	}
}

// room is how long a stub buffer of t may become.
func (p *parser) room(t *tx, stub []byte) int {
	return min(p.limits.BufferBytes, len(stub)+max(stubsMax-p.held, 0))
}

func (p *parser) charge(t *tx) {
	n := len(t.ReqStub) + len(t.ResStub)
	p.held += n - t.charged
	t.charged = n
}

func (p *parser) find(is func(*tx) bool) *tx {
	for i := len(p.live) - 1; i >= 0; i-- {
		if is(p.live[i]) {
			return p.live[i]
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

// open starts a transaction. Beyond the limit the oldest open ones are closed first, so that calls which
// are never answered cannot hold memory; nil only while nothing has been released for as many calls again.
func (p *parser) open() *tx {
	if n := len(p.live); n >= p.limits.MaxTx {
		if n >= 2*p.limits.MaxTx {
			return nil
		}
		old := p.live[n-p.limits.MaxTx]
		old.req, old.res = true, true
		p.event(old, evTooMany)
	}
	var t *tx
	if n := len(p.free); n > 0 {
		t, p.free = p.free[n-1], p.free[:n-1]
	} else {
		t = &tx{p: p}
	}
	t.ID = p.nextID
	p.nextID++
	p.live = append(p.live, t)
	p.txs = append(p.txs, t)
	return t
}

func (p *parser) event(t *tx, e uint8) {
	if t == nil {
		if t = p.open(); t == nil {
			return
		}
		t.req, t.res = true, true
	}
	if len(t.Events) < 16 && bytes.IndexByte(t.Events, e) < 0 {
		t.Events = append(t.Events, e)
	}
}

// Txs returns the live transactions, oldest first.
func (p *parser) Txs() []contract.Tx { return p.txs }

// Release takes the first n transactions back into the pool.
func (p *parser) Release(n int) {
	n = min(n, len(p.live))
	for _, t := range p.live[:n] {
		p.held -= t.charged
		if len(p.free) < freeMax {
			p.free = append(p.free, t.recycle())
		}
	}
	p.live = append(p.live[:0], p.live[n:]...)
	p.txs = append(p.txs[:0], p.txs[n:]...)
}

// recycle empties t, keeping small buffers.
func (t *tx) recycle() *tx {
	t.Call.Reset()
	call := t.Call
	if cap(call.ReqStub) > keepCap {
		call.ReqStub = nil
	}
	if cap(call.ResStub) > keepCap {
		call.ResStub = nil
	}
	*t = tx{p: t.p, Call: call, TxState: contract.TxState{Events: t.Events[:0], Facts: t.Facts[:0]}}
	return t
}

// Reset makes the parser as new.
func (p *parser) Reset() {
	p.Release(len(p.live))
	p.Session.Reset()
	p.nextID, p.held, p.gap, p.broken = 0, 0, [2]bool{}, false
}

// State is the engine's part of the transaction.
func (t *tx) State() *contract.TxState { return &t.TxState }

// Progress is 1 when the direction's PDUs are all there.
func (t *tx) Progress(dir contract.Direction) uint8 {
	if dir == contract.ToServer && t.req || dir == contract.ToClient && t.res {
		return 1
	}
	return 0
}

// Buffer returns a stub.
func (t *tx) Buffer(kw, i int) ([]byte, bool) {
	b, _, ok := t.Call.Stub(kw)
	return b, ok && i == 0
}

// Number has no keywords here.
func (t *tx) Number(int, int) (uint64, bool) { return 0, false }

// BigEndian tells the byte order of a stub.
func (t *tx) BigEndian(kw int) bool {
	_, big, _ := t.Call.Stub(kw)
	return big
}

// MatchCustom decides dcerpc.iface and dcerpc.opnum.
func (t *tx) MatchCustom(_ int, arg any, _ contract.Direction) bool {
	if t.udp {
		if _, ok := arg.(*ifaceArg); ok {
			return false
		}
	}
	return t.p.Session.Match(&t.Call, arg)
}
