package dns

import (
	"strings"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/app/pool"
)

// tx is one message.
type tx struct {
	contract.TxState
	id, flags int
	reply     bool
	sections  [4][]record
	text      []byte
}

type parser struct {
	pool.List[tx, *tx]
	lost [2]bool
}

func newParser(limits contract.Limits, spare *pool.Spare[tx, *tx]) contract.Parser {
	p := &parser{}
	p.Max, p.Spare = limits.MaxTx, spare
	return p
}

// Feed reads a datagram, or messages that each have their length in front (RFC 1035 4.2.2).
func (p *parser) Feed(in contract.Input) contract.Result {
	if in.UDP {
		if len(in.Data) > 0 {
			p.message(in.Dir, in.Data)
		}
		return contract.Result{Consumed: len(in.Data)}
	}
	if in.Gap > 0 {
		p.lost[in.Dir] = true
	}
	b, used := in.Data, 0
	for len(b) > 0 {
		if len(b) < 2 {
			return contract.Result{Consumed: used, Need: 2}
		}
		n := u16(b)
		if p.lost[in.Dir] {
			// Messages mostly begin a segment: the first bytes after a hole are tried, others passed over.
			if n < headerLen || probeMessage(b[2:min(len(b), 2+n)], in.Dir, 53) == contract.No {
				return contract.Result{Consumed: used + len(b)}
			}
			p.lost[in.Dir] = false
		}
		if len(b) < 2+n {
			return contract.Result{Consumed: used, Need: 2 + n}
		}
		p.message(in.Dir, b[2:2+n])
		b, used = b[2+n:], used+2+n
	}
	return contract.Result{Consumed: used}
}

// Count implements contract.Waiting: a message is a transaction of its own.
func (p *parser) Count() uint64 { return p.Begun() }

// GoOn implements contract.Waiting.
func (p *parser) GoOn(count uint64) { p.SetBegun(count) }

// message reads one message into a transaction.
func (p *parser) message(dir contract.Direction, b []byte) {
	t := p.Open()
	if t == nil {
		p.Last().AddEvent(evFlooded)
		return
	}
	t.OneWay = 1 + int8(dir)
	t.reply = dir == contract.ToClient
	if len(b) < headerLen {
		t.AddEvent(evMalformed)
		return
	}
	t.id, t.flags = u16(b), u16(b[2:])
	t.oddities()
	t.read(b)
	t.tell(dir, len(b))
}

// oddities notes what is wrong with the flags.
func (t *tx) oddities() {
	if said := t.flags&0x8000 != 0; said != t.reply {
		if t.reply {
			t.AddEvent(evNotAResponse)
			t.AddEvent(evNotResponse)
		} else {
			t.AddEvent(evNotARequest)
			t.AddEvent(evNotRequest)
		}
	}
	if t.flags&0x0040 != 0 {
		t.AddEvent(evZFlag)
	}
	if t.flags>>11&15 > opcodeMax {
		t.AddEvent(evOpcode)
	}
}

// read reads the four sections; a broken one ends the message, and is told.
func (t *tx) read(b []byte) {
	r := reader{msg: b, text: t.text[:0]}
	at, records := headerLen, 0
	broken := [4]uint8{evMalformed, evMalformed, evAuthorities, evAdditionals}
sections:
	for s := range t.sections {
		for range u16(b[4+2*s:]) {
			if records++; records > recordsMax {
				break sections
			}
			var rec record
			var ok bool
			if s == queries {
				rec, at, ok = r.question(at)
			} else {
				rec, at, ok = r.answer(at)
			}
			if !ok {
				r.events |= 1 << broken[s]
				break sections
			}
			t.sections[s] = append(t.sections[s], rec)
		}
	}
	t.text = r.text
	for e := range uint8(32) {
		if r.events&(1<<e) != 0 {
			t.AddEvent(e)
		}
	}
}

// tell tells the own detectors what was asked and answered.
func (t *tx) tell(dir contract.Direction, size int) {
	if len(t.sections[queries]) == 0 {
		return
	}
	q := &t.sections[queries][0]
	name := strings.ToLower(string(t.at(q.name)))
	if !t.reply {
		t.Facts = append(t.Facts, contract.Fact{Kind: contract.DNSQuery, Dir: dir, Code: uint32(q.kind), Size: uint32(len(name)), Name: name})
		return
	}
	f := contract.Fact{Kind: contract.DNSAnswer, Dir: dir, Code: uint32(t.flags & 15), Name: name}
	for i := range t.sections[answers] {
		a := &t.sections[answers][i]
		f.Size += uint32(a.data.to - a.data.from)
		if f.Text == "" && (a.kind == typeA || a.kind == typeAAAA) {
			f.Text = string(appendAddress(nil, t.at(a.data)))
		}
	}
	if f.Text == "" && len(t.sections[answers]) > 0 {
		f.Text = string(t.at(t.sections[answers][0].data))
	}
	t.Facts = append(t.Facts, f)
}

func (t *tx) at(s span) []byte { return t.text[s.from:s.to] }

// Reset makes the parser as new.
func (p *parser) Reset() {
	p.List.Reset()
	p.lost = [2]bool{}
}

// Reuse empties the transaction.
func (t *tx) Reuse() {
	*t = tx{TxState: t.TxState, text: t.text[:0], sections: t.sections}
	for i := range t.sections {
		t.sections[i] = t.sections[i][:0]
	}
}

// State is the engine's part of the transaction.
func (t *tx) State() *contract.TxState { return &t.TxState }

// Progress is complete at once.
func (t *tx) Progress(contract.Direction) uint8 { return 1 }

// Buffer returns the i-th name of a keyword.
func (t *tx) Buffer(kw, i int) ([]byte, bool) {
	switch kw {
	case kwQuery:
		return t.nameOf(queries, i)
	case kwQueries, kwAnswers, kwAuthorities, kwAdditionals:
		return t.nameOf(kw-kwQueries, i)
	case kwResponse:
		return t.anyName(i)
	}
	return nil, false
}

func (t *tx) nameOf(section, i int) ([]byte, bool) {
	if i >= len(t.sections[section]) {
		return nil, false
	}
	return t.at(t.sections[section][i].name), true
}

// anyName counts through all names of a message, those in record data included.
func (t *tx) anyName(i int) ([]byte, bool) {
	for s := range t.sections {
		for k := range t.sections[s] {
			a := &t.sections[s][k]
			if i == 0 {
				return t.at(a.name), true
			}
			i--
			if s == queries {
				continue
			}
			switch a.kind {
			case typeNS, typeCNAME, typePTR, typeMX, typeSRV, typeSOA:
				if i == 0 {
					return t.at(a.data), true
				}
				i--
			}
			if a.kind == typeSOA {
				if i == 0 {
					return t.at(a.extra), true
				}
				i--
			}
		}
	}
	return nil, false
}

// Number returns opcode, rcode and the types asked or answered.
func (t *tx) Number(kw, i int) (uint64, bool) {
	switch kw {
	case kwOpcode:
		return uint64(t.flags >> 11 & 15), i == 0
	case kwRcode:
		return uint64(t.flags & 15), i == 0
	case kwRrtype:
		s := queries
		if t.reply {
			s = answers
		}
		if i < len(t.sections[s]) {
			return uint64(t.sections[s][i].kind), true
		}
	}
	return 0, false
}
