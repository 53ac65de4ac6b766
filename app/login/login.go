// Package login reads protocols only for what they are, who logs in, and whether that failed.
//
// Bytes come in by contract.Parser; facts for the own detectors come out, one transaction a conversation and no
// eve record. Called by app's driver. Each protocol is a line of its own table; none is read in full.
package login

import (
	"bytes"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/app/pool"
)

const (
	unitMax  = 16 << 10 // of one line or packet; longer ones are passed over
	factsMax = 64       // waiting to be taken
)

// kind is how one protocol is told apart and read.
type kind struct {
	name  string
	ports []uint16
	udp   bool
	probe func(b []byte, dir contract.Direction, port uint16) contract.Verdict
	frame func(b []byte, dir contract.Direction, p *parser) (size, head int) // bytes of the unit and of the part that tells
	read  func(p *parser, dir contract.Direction, unit []byte)
}

// Protocols are the lines of app's table.
func Protocols() []contract.Protocol {
	var list []contract.Protocol
	for _, k := range kinds() {
		transport := contract.TCP
		if k.udp {
			transport = contract.UDP
		}
		list = append(list, contract.Protocol{Name: k.name, Transport: transport, ServerPorts: k.ports, Probe: k.probe,
			New:    func(contract.Limits) contract.Parser { return &parser{kind: k} },
			Limits: contract.Limits{MaxTx: 1}})
	}
	return list
}

type tx struct{ contract.TxState }

type parser struct {
	pool.List[tx, *tx]
	kind   kind
	skip   [2]int
	lost   [2]bool
	first  [2]bool // the first unit was seen
	user   string
	asked  bool // a password was sent
	sealed bool // the rest is encrypted
}

// Feed reads units: lines, packets with a length, or datagrams.
func (p *parser) Feed(in contract.Input) contract.Result {
	if p.Last() == nil {
		p.Open()
	}
	if in.UDP || p.kind.udp {
		p.kind.read(p, in.Dir, in.Data)
		return contract.Result{Consumed: len(in.Data)}
	}
	if in.Gap > 0 {
		p.lost[in.Dir] = p.kind.frame != nil
	}
	b, used := in.Data, 0
	for len(b) > 0 {
		if p.lost[in.Dir] || p.sealed {
			return contract.Result{Consumed: used + len(b)}
		}
		if s := p.skip[in.Dir]; s > 0 {
			n := min(s, len(b))
			p.skip[in.Dir] -= n
			b, used = b[n:], used+n
			continue
		}
		size, need := p.unit(b, in)
		if need > 0 {
			return contract.Result{Consumed: used, Need: need}
		}
		if size > unitMax {
			p.skip[in.Dir] = size
			continue
		}
		if size == 0 {
			continue // lost
		}
		p.kind.read(p, in.Dir, b[:size])
		p.first[in.Dir] = true
		b, used = b[size:], used+size
	}
	return contract.Result{Consumed: used}
}

// unit is the size of the unit at the start of b, or how many bytes it takes to read it; neither: the place is lost.
func (p *parser) unit(b []byte, in contract.Input) (size, need int) {
	if p.kind.frame == nil {
		if i := bytes.IndexByte(b[:min(len(b), unitMax)], '\n'); i >= 0 {
			return i + 1, 0
		}
		if len(b) < unitMax && !in.End {
			return 0, len(b) + 1
		}
		return min(len(b), unitMax), 0
	}
	size, head := p.kind.frame(b, in.Dir, p)
	if len(b) < head {
		return 0, head
	}
	if size < head {
		p.lost[in.Dir] = true // no such length
		return 0, 0
	}
	if size <= unitMax && len(b) < size {
		return 0, size
	}
	return size, 0
}

// tell adds a fact.
func (p *parser) tell(f contract.Fact) {
	if t := p.Last(); t != nil && len(t.Facts) < factsMax {
		t.Facts = append(t.Facts, f)
	}
}

func (p *parser) failed(code uint32) {
	p.tell(contract.Fact{Kind: contract.LoginFailed, Dir: contract.ToClient, Code: code, Name: p.user})
}

func (p *parser) succeeded() {
	p.tell(contract.Fact{Kind: contract.LoginSucceeded, Dir: contract.ToClient, Name: p.user})
}

// Reset makes the parser as new.
func (p *parser) Reset() {
	list := p.List
	list.Reset()
	*p = parser{List: list, kind: p.kind}
}

// Reuse empties the transaction.
func (t *tx) Reuse() { *t = tx{TxState: t.TxState} }

// State is the engine's part of the transaction.
func (t *tx) State() *contract.TxState { return &t.TxState }

// Progress never ends before the conversation does.
func (t *tx) Progress(contract.Direction) uint8 { return 0 }

// Buffer has nothing to say.
func (t *tx) Buffer(int, int) ([]byte, bool) { return nil, false }

// Number has nothing to say.
func (t *tx) Number(int, int) (uint64, bool) { return 0, false }

// AppendRecord has nothing to say.
func (t *tx) AppendRecord(dst []byte) []byte { return dst }
