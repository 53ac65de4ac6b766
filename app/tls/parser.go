package tls

import (
	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/app/pool"
)

// Record types.
const (
	recordCCS       = 20
	recordAlert     = 21
	recordHandshake = 22
	recordData      = 23
	recordHeartbeat = 24
	paddingMin      = 16 // of a heartbeat, RFC 6520 section 4
)

// Handshake message types.
const (
	hsClientHello = 1
	hsServerHello = 2
	hsCertificate = 11
	hsServerKeyx  = 12
	hsServerDone  = 14
	hsClientKeyx  = 16
)

// side is one direction of a conversation.
type side struct {
	skip      int    // bytes left of a record that is not of interest
	hand      []byte // handshake messages not yet whole
	closed    bool   // what follows is encrypted
	lost      bool   // a hole: records cannot be found again
	heartbeat int    // size of the last request for an echo, 0 none
	echoLimit int    // bytes that an honest answer has
}

type parser struct {
	pool.List[tx, *tx]
	sides    [2]side
	now      int64
	v13      bool
	finished bool // the first transaction is complete
}

func newParser(limits contract.Limits, spare *pool.Spare[tx, *tx]) contract.Parser {
	p := &parser{}
	p.Max, p.Spare = limits.MaxTx, spare
	return p
}

// tx is the conversation's transaction; a later one is opened for oddities that come after it was complete.
func (p *parser) tx() *tx {
	if t := p.Last(); t != nil {
		return t
	}
	t := p.Open()
	t.step = [2]uint8{}
	if p.finished {
		t.Logged = true
		t.step = [2]uint8{clientFinished, serverFinished}
	}
	return t
}

// Feed reads records; encrypted ones are passed over as they come.
func (p *parser) Feed(in contract.Input) contract.Result {
	s := &p.sides[in.Dir]
	p.now = in.Time
	if in.Gap > 0 {
		if s.skip >= in.Gap {
			s.skip -= in.Gap
		} else {
			s.skip, s.lost, s.hand = 0, true, s.hand[:0]
		}
	}
	b, used := in.Data, 0
	for records := 0; len(b) > 0; records++ {
		if s.skip > 0 {
			n := min(s.skip, len(b))
			s.skip -= n
			b, used = b[n:], used+n
			continue
		}
		if s.lost && !looksLikeRecord(b) {
			return contract.Result{Consumed: used + len(b)}
		}
		s.lost = false
		if records > recordsMax {
			p.tx().AddEvent(evTooManyRecords)
			return contract.Result{Consumed: used, Stop: contract.StopLimit}
		}
		n, need, stop := p.record(in.Dir, s, b)
		if need > 0 {
			return contract.Result{Consumed: used, Need: need}
		}
		if stop != contract.StopNone {
			return contract.Result{Consumed: used, Stop: stop}
		}
		b, used = b[n:], used+n
	}
	return contract.Result{Consumed: used}
}

func looksLikeRecord(b []byte) bool {
	return len(b) >= 5 && b[0] >= recordCCS && b[0] <= recordHeartbeat && b[1] == 3 && b[2] <= 4 && u16(b[3:]) <= recordMax
}

// record reads the record at the start of b; need says how many bytes it takes to do so.
func (p *parser) record(dir contract.Direction, s *side, b []byte) (n, need int, stop contract.Stop) {
	if b[0]&0x80 != 0 {
		return p.recordV2(dir, b)
	}
	if len(b) < 5 {
		return 0, 5, 0
	}
	size := u16(b[3:])
	if b[1] != 3 {
		p.tx().AddEvent(evRecordVersion)
		p.tx().AddEvent(evTLSHeader)
		return 0, 0, contract.StopError
	}
	if size > recordMax {
		p.tx().AddEvent(evRecord)
		return 0, 0, contract.StopError
	}
	switch b[0] {
	case recordData:
		p.encrypted(dir)
		s.skip = size
		return 5, 0, 0
	case recordHandshake, recordAlert, recordHeartbeat, recordCCS:
	default:
		p.tx().AddEvent(evRecordType)
		return 0, 0, contract.StopError
	}
	if s.closed && b[0] != recordHeartbeat {
		s.skip = size
		return 5, 0, 0
	}
	if len(b) < 5+size {
		return 0, 5 + size, 0
	}
	body := b[5 : 5+size]
	switch b[0] {
	case recordHandshake:
		stop = p.handshake(dir, s, body)
	case recordCCS:
		if !p.v13 {
			p.encrypted(dir)
		}
	case recordAlert:
		if len(body) >= 2 && body[0] == 2 {
			p.tx().AddEvent(evAlert)
		}
	case recordHeartbeat:
		p.beat(dir, s, body)
	}
	return 5 + size, 0, stop
}

// recordV2 reads a hello of SSL 2; the rest of a conversation that stays with SSL 2 is not read.
func (p *parser) recordV2(dir contract.Direction, b []byte) (n, need int, stop contract.Stop) {
	if len(b) < 3 {
		return 0, 3, 0
	}
	size := int(b[0]&0x7f)<<8 | int(b[1])
	if size < 3 || b[2] != 1 || dir == contract.ToClient {
		if dir == contract.ToServer || b[2] != 4 {
			p.tx().AddEvent(evSSLv2Header)
			return 0, 0, contract.StopError
		}
		t := p.tx()
		t.version[1] = 2
		t.raise(dir, serverHello)
		return 0, 0, contract.StopDone
	}
	if len(b) < 2+size {
		return 0, 2 + size, 0
	}
	if size < 9 {
		p.tx().AddEvent(evSSLv2Header)
		return 0, 0, contract.StopError
	}
	t := p.tx()
	t.version[0] = uint16(u16(b[3:]))
	t.states |= stateClientHello
	t.raise(dir, clientHello)
	return 2 + size, 0, 0
}

// Encrypted implements contract.Secret.
func (p *parser) Encrypted() bool { return p.finished }

// encrypted notes that a direction goes on in secret; with both the handshake is over.
func (p *parser) encrypted(dir contract.Direction) {
	s := &p.sides[dir]
	if s.closed {
		return
	}
	s.closed, s.hand = true, s.hand[:0]
	if p.finished {
		return
	}
	t := p.tx()
	if dir == contract.ToServer {
		t.raise(dir, clientHandshake)
	} else {
		t.raise(dir, serverHandshake)
		t.resumed = !p.v13 && t.certs[1].count == 0 && t.sessionID && t.version[1] > 0
	}
	if p.sides[0].closed && p.sides[1].closed {
		t.raise(contract.ToServer, clientFinished)
		t.raise(contract.ToClient, serverFinished)
		p.finished = true
	}
}

// handshake collects messages, which records cut as they like.
func (p *parser) handshake(dir contract.Direction, s *side, body []byte) contract.Stop {
	b := body
	if len(s.hand) > 0 {
		s.hand = append(s.hand, body...)
		b = s.hand
	}
	for len(b) >= 4 {
		n := u24(b[1:])
		if n > handshakeMax {
			p.tx().AddEvent(evHandshakeLength)
			return contract.StopError
		}
		if len(b) < 4+n {
			break
		}
		p.message(dir, b[0], b[4:4+n])
		b = b[4+n:]
		if s.closed {
			b = nil
		}
	}
	s.hand = append(s.hand[:0], b...)
	return contract.StopNone
}

func (p *parser) message(dir contract.Direction, kind byte, b []byte) {
	t := p.tx()
	switch {
	case kind == hsClientHello && dir == contract.ToServer:
		t.states |= stateClientHello
		if t.helloSeen {
			return // a second one after a retry request says the same
		}
		t.helloSeen = true
		t.readClientHello(b)
		t.raise(dir, clientHello)
	case kind == hsServerHello && dir == contract.ToClient:
		t.states |= stateServerHello
		t.readServerHello(b)
		t.raise(dir, serverHello)
		if t.version[1] >= 0x0304 && t.version[1] < 0x0400 || t.version[1]&0xff00 == 0x7f00 {
			p.v13 = true
		}
	case kind == hsCertificate:
		t.readCertificates(dir, b, p.now)
		t.raise(dir, 2)
	case kind == hsServerKeyx && dir == contract.ToClient:
		t.states |= stateServerKeyx
	case kind == hsServerDone && dir == contract.ToClient:
		t.raise(dir, serverHelloDone)
	case kind == hsClientKeyx && dir == contract.ToServer:
		t.states |= stateClientKeyx
	case kind > 24 && kind != 67 && kind != 254 || kind == 0 && len(b) > 0:
		t.AddEvent(evHandshake)
	}
}

// beat judges a heartbeat, RFC 6520 4. In the clear its length field shows the lie; encrypted, an answer
// larger than its request does.
func (p *parser) beat(dir contract.Direction, s *side, b []byte) {
	other := &p.sides[1-dir]
	if s.closed {
		if other.heartbeat > 0 {
			if len(b) > other.heartbeat {
				p.leak(dir, len(b))
			}
			other.heartbeat = 0
		} else {
			s.heartbeat = len(b)
		}
		return
	}
	t := p.tx()
	t.AddEvent(evHeartbeat)
	if len(b) < 3 || b[0] != 1 && b[0] != 2 {
		t.AddEvent(evHeartbeatInvalid)
		return
	}
	claimed := u16(b[1:])
	if b[0] == 1 {
		s.heartbeat, s.echoLimit = max(1, len(b)), len(b)
		if claimed+3 > len(b) {
			t.AddEvent(evHeartbeatOverflow)
			t.Facts = append(t.Facts, contract.Fact{Kind: contract.Heartbleed, Dir: dir, Size: uint32(claimed)})
		} else if claimed+3+paddingMin > len(b) {
			t.AddEvent(evHeartbeatInvalid) // whoever echoes it adds bytes of its own memory
		}
		return
	}
	if other.heartbeat > 0 && len(b) > other.echoLimit+16 {
		p.leak(dir, len(b))
	}
	other.heartbeat = 0
}

func (p *parser) leak(dir contract.Direction, size int) {
	t := p.tx()
	t.AddEvent(evHeartbeatLeak)
	t.Facts = append(t.Facts, contract.Fact{Kind: contract.Heartbleed, Dir: dir, Size: uint32(size), Code: 1})
}

// Reset makes the parser as new.
func (p *parser) Reset() {
	p.List.Reset()
	for i := range p.sides {
		hand := p.sides[i].hand[:0]
		if cap(hand) > 32<<10 {
			hand = nil
		}
		p.sides[i] = side{hand: hand}
	}
	p.v13, p.finished, p.now = false, false, 0
}
