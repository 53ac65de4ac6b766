package krb5

import (
	"strconv"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/app/der"
)

// tx is one message.
type tx struct {
	contract.TxState
	kind         uint8
	cname, sname [][]byte
	realm        []byte
	etype        int32 // of the reply's own part
	hasEtype     bool
	ticket       int32 // of the ticket
	hasTicket    bool
	etypes       []int32
	preauth      bool
	code         int32
	hasCode      bool
	failed       uint8 // request type that an error answers, 0 unknown
}

type parser struct {
	limits  contract.Limits
	txs     []contract.Tx
	live    []*tx
	free    []*tx
	nextID  uint64
	lost    [2]bool
	last    uint8  // type of the last request
	preauth bool   // and whether it was proven
	client  string // who the last AS request was for
}

func newParser(limits contract.Limits) contract.Parser {
	if limits.MaxTx <= 0 {
		limits.MaxTx = defaultMaxTx
	}
	return &parser{limits: limits}
}

// Feed reads a datagram, or records that each have their length in front.
func (p *parser) Feed(in contract.Input) contract.Result {
	if in.UDP {
		p.message(in.Dir, in.Data)
		return contract.Result{Consumed: len(in.Data)}
	}
	if in.Gap > 0 {
		p.lost[in.Dir] = true
	}
	const headMin = 24 // enough to recognise a message
	b := in.Data
	used := 0
	for len(b) > 0 {
		if len(b) < 4 {
			return contract.Result{Consumed: used, Need: 4}
		}
		n := recordLen(b)
		if p.lost[in.Dir] {
			// Records mostly begin a segment: the first bytes after a hole are tried, others passed over.
			if len(b) < headMin && !in.End {
				return contract.Result{Consumed: used, Need: headMin}
			}
			if n > recordMax || n < 16 || looksLike(b[4:]) != contract.Yes {
				return contract.Result{Consumed: used + len(b)}
			}
			p.lost[in.Dir] = false
		}
		if n > recordMax {
			p.malformed(in.Dir)
			return contract.Result{Consumed: used, Stop: contract.StopError}
		}
		if len(b) < 4+n {
			return contract.Result{Consumed: used, Need: 4 + n}
		}
		p.message(in.Dir, b[4:4+n])
		b = b[4+n:]
		used += 4 + n
	}
	return contract.Result{Consumed: used}
}

func (p *parser) malformed(dir contract.Direction) {
	var t *tx
	if len(p.live) > 0 {
		t = p.live[len(p.live)-1]
	} else if t = p.open(dir); t == nil {
		return
	}
	t.AddEvent(evMalformed)
}

// message reads one message into a transaction.
func (p *parser) message(dir contract.Direction, b []byte) {
	tag, body, _, ok := der.Next(b)
	if !ok || tag&0xc0 != 0x40 {
		if len(b) > 0 {
			p.malformed(dir)
		}
		return
	}
	kind := tag & 0x1f
	switch kind {
	case asReq, asRep, tgsReq, tgsRep, krbError:
	case apReq:
		p.last = kind
		return
	default:
		return
	}
	seq := der.Inside(body, 0x30)
	if seq == nil {
		p.malformed(dir)
		return
	}
	t := p.open(dir)
	if t == nil {
		return
	}
	t.kind = kind
	switch kind {
	case asReq, tgsReq:
		t.request(seq)
		p.last, p.preauth = kind, t.preauth
		p.client = ""
		if kind == asReq {
			p.client = joined(t.cname)
		}
		t.tell(dir, t.preauth)
	case asRep, tgsRep:
		t.answer(seq)
		t.tell(dir, p.preauth || kind == tgsRep)
		if t.hasEtype && weak(t.etype) {
			t.AddEvent(evWeak)
		}
		p.last = 0
	case krbError:
		t.failure(seq)
		t.failed, p.last = p.last, 0
		f := contract.Fact{Kind: contract.KerberosError, Dir: dir, Code: uint32(t.code), Name: joined(t.cname), Text: joined(t.sname)}
		if f.Name == "" && t.failed == asReq {
			f.Name = p.client // most centres do not repeat the name they refuse
		}
		t.Facts = append(t.Facts, f)
	}
}

// tell tells the own detectors what a request asked or a reply granted.
func (t *tx) tell(dir contract.Direction, proven bool) {
	f := contract.Fact{Kind: contract.KerberosRequest, Dir: dir, Code: uint32(t.kind), Name: joined(t.cname)}
	if t.kind == tgsReq || t.kind == tgsRep {
		f.Name = joined(t.sname)
	}
	if proven {
		f.Size = 1
	}
	var text [12 * etypesMax]byte
	list := text[:0]
	for i, e := range t.etypes {
		if i > 0 {
			list = append(list, ',')
		}
		list = strconv.AppendInt(list, int64(e), 10)
	}
	if t.hasTicket && t.kind == tgsRep {
		list = strconv.AppendInt(list, int64(t.ticket), 10)
	} else if t.hasEtype {
		list = strconv.AppendInt(list, int64(t.etype), 10)
	}
	f.Text = string(list)
	t.Facts = append(t.Facts, f)
}

func joined(parts [][]byte) string {
	var b []byte
	for i, s := range parts {
		if i > 0 {
			b = append(b, '/')
		}
		b = append(b, s...)
	}
	return string(b)
}

// each calls field with the elements of b until one is broken.
func (t *tx) each(b []byte, field func(t *tx, tag byte, body []byte)) {
	for len(b) > 0 {
		tag, body, rest, ok := der.Next(b)
		if !ok {
			t.AddEvent(evMalformed)
			return
		}
		field(t, tag, body)
		b = rest
	}
}

// request reads a KDC-REQ, RFC 4120 5.4.1.
func (t *tx) request(b []byte) {
	t.each(b, func(t *tx, tag byte, body []byte) {
		switch tag {
		case 0xa3:
			t.proofs(der.Inside(body, 0x30))
		case 0xa4:
			t.each(der.Inside(body, 0x30), (*tx).requestField)
		}
	})
}

// proofs looks for preauthentication that shows who asks: TGS, encrypted timestamp, certificate, encrypted challenge.
func (t *tx) proofs(b []byte) {
	for range padataMax {
		_, one, rest, ok := der.Next(b)
		if !ok {
			return
		}
		switch der.Int(der.Inside(one, 0xa1, 0x02)) {
		case 1, 2, 16, 138:
			t.preauth = true
		}
		b = rest
	}
}

func (t *tx) requestField(tag byte, body []byte) {
	switch tag {
	case 0xa1:
		t.cname = names(t.cname[:0], body)
	case 0xa2:
		t.setRealm(body)
	case 0xa3:
		t.sname = names(t.sname[:0], body)
	case 0xa8:
		for list := der.Inside(body, 0x30); len(t.etypes) < etypesMax; {
			_, v, rest, ok := der.Next(list)
			if !ok {
				return
			}
			t.etypes = append(t.etypes, int32(der.Int(v)))
			list = rest
		}
	}
}

// answer reads a KDC-REP, RFC 4120 5.4.2.
func (t *tx) answer(b []byte) {
	t.each(b, func(t *tx, tag byte, body []byte) {
		switch tag {
		case 0xa3:
			t.setRealm(body)
		case 0xa4:
			t.cname = names(t.cname[:0], body)
		case 0xa5:
			t.each(der.Inside(body, 0x61, 0x30), (*tx).ticketField)
		case 0xa6:
			t.etype, t.hasEtype = int32(der.Int(der.Inside(body, 0x30, 0xa0, 0x02))), true
		}
	})
}

func (t *tx) ticketField(tag byte, body []byte) {
	switch tag {
	case 0xa2:
		t.sname = names(t.sname[:0], body)
	case 0xa3:
		t.ticket, t.hasTicket = int32(der.Int(der.Inside(body, 0x30, 0xa0, 0x02))), true
	}
}

// failure reads a KRB-ERROR, RFC 4120 5.9.1.
func (t *tx) failure(b []byte) {
	t.each(b, func(t *tx, tag byte, body []byte) {
		switch tag {
		case 0xa6:
			t.code, t.hasCode = int32(der.Int(der.Inside(body, 0x02))), true
		case 0xa7:
			t.setRealm(body)
		case 0xa8:
			t.cname = names(t.cname[:0], body)
		case 0xaa:
			t.sname = names(t.sname[:0], body)
		}
	})
}

func (t *tx) setRealm(b []byte) {
	if _, s, _, ok := der.Next(b); ok {
		t.realm = append(t.realm[:0], s[:min(len(s), nameMax)]...)
	}
}

// names reads the parts of a PrincipalName.
func names(dst [][]byte, b []byte) [][]byte {
	b = der.Inside(b, 0x30)
	_, _, b, _ = der.Next(b)
	b = der.Inside(b, 0xa1, 0x30)
	for len(b) > 0 && len(dst) < namesMax {
		_, s, rest, ok := der.Next(b)
		if !ok {
			break
		}
		dst = append(dst, append([]byte(nil), s[:min(len(s), nameMax)]...))
		b = rest
	}
	return dst
}

// open starts the transaction of a message; it is complete at once. nil while too many wait to be released.
func (p *parser) open(dir contract.Direction) *tx {
	if n := len(p.live); n >= p.limits.MaxTx {
		p.live[n-1].AddEvent(evTooMany)
		return nil
	}
	var t *tx
	if n := len(p.free); n > 0 {
		t, p.free = p.free[n-1], p.free[:n-1]
	} else {
		t = &tx{}
	}
	t.ID = p.nextID
	p.nextID++
	t.OneWay = 1 + int8(dir)
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
		if len(p.free) >= freeMax {
			break
		}
		t.TxState.Clear()
		*t = tx{TxState: t.TxState, cname: t.cname[:0], sname: t.sname[:0], realm: t.realm[:0], etypes: t.etypes[:0]}
		p.free = append(p.free, t)
	}
	p.live = append(p.live[:0], p.live[n:]...)
	p.txs = append(p.txs[:0], p.txs[n:]...)
}

// Reset makes the parser as new.
func (p *parser) Reset() {
	p.Release(len(p.live))
	*p = parser{limits: p.limits, txs: p.txs[:0], live: p.live[:0], free: p.free}
}

// State is the engine's part of the transaction.
func (t *tx) State() *contract.TxState { return &t.TxState }

// Progress is complete at once: a transaction is one whole message.
func (t *tx) Progress(contract.Direction) uint8 { return 1 }

// Buffer returns a part of a name, or the realm.
func (t *tx) Buffer(kw, i int) ([]byte, bool) {
	list := t.cname
	switch kw {
	case kwSname:
		list = t.sname
	case kwRealm:
		return t.realm, i == 0 && len(t.realm) > 0
	case kwCname:
	default:
		return nil, false
	}
	if i < 0 || i >= len(list) {
		return nil, false
	}
	return list[i], true
}

// Number returns type, error code or an offered encryption type.
func (t *tx) Number(kw, i int) (uint64, bool) {
	switch kw {
	case kwType:
		return uint64(t.kind), i == 0 && t.kind != 0
	case kwError:
		return uint64(uint32(t.code)), i == 0 && t.hasCode
	case kwEtypes:
		if i >= 0 && i < len(t.etypes) {
			return uint64(uint32(t.etypes[i])), true
		}
	case kwPreauth:
		return 1, i == 0 && t.preauth
	}
	return 0, false
}

// MatchCustom decides krb5.ticket_encryption.
func (t *tx) MatchCustom(_ int, arg any, _ contract.Direction) bool {
	a, ok := arg.(*encryptionArg)
	return ok && t.hasTicket && a.match(t.ticket)
}
