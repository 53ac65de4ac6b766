package smb

import (
	"bytes"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/app/dcerpc"
	"github.com/dejpha/dejpha/app/ntlmssp"
)

// NetBIOS session packet types, RFC 1002 4.3.1.
const (
	nbMessage   = 0x00
	nbRequest   = 0x81
	nbPositive  = 0x82
	nbNegative  = 0x83
	nbRetarget  = 0x84
	nbKeepAlive = 0x85
	nbHead      = 4
	nbControl   = 1024 // a session request is 72 bytes; longer control packets are hostile
)

// half is where one direction stands in its bytes.
type half struct {
	gap  bool
	file *tx // takes the next left bytes
	left int
	skip int // bytes of the current message after those that nobody needs
}

type readReq struct {
	v1     bool
	write  bool // a write to a file, kept for its answer's status
	mid    uint64
	fid    fid
	offset uint64
	length uint32
}

type parser struct {
	limits                 contract.Limits
	txs                    []contract.Tx
	live                   []*tx
	free                   []*tx
	nextID                 uint64
	held                   int // stub bytes of live calls
	half                   [2]half
	trees                  map[uint32]*tree
	files                  map[fid]*file
	reads                  []readReq
	ntlm                   ntlmssp.Message
	dialect                uint16 // SMB2; 0 none
	words                  []byte // SMB1 dialect agreed on
	offered                [][]byte
	maxRead, maxWrite      uint32
	negotiated             bool
	trans2, ntTrans, trans uint64 // bit per multiplex id modulo 64 of transactions that may be continued
	told                   uint64 // bits like those, of continuations that were told
	fileID                 uint32
	scratch                dcerpc.Call // of PDUs that make no transaction
	alone                  uint64      // bits of events that were set without a transaction
}

func newParser(limits contract.Limits) contract.Parser {
	if limits.MaxTx <= 0 {
		limits.MaxTx = defaultMaxTx
	}
	if limits.BufferBytes <= 0 {
		limits.BufferBytes = stubMax
	}
	for i := range limits.BodyBytes {
		if limits.BodyBytes[i] <= 0 {
			limits.BodyBytes[i] = defaultWindow
		}
	}
	return &parser{limits: limits, trees: map[uint32]*tree{}, files: map[fid]*file{}}
}

// Feed reads the next bytes of one direction.
func (p *parser) Feed(in contract.Input) contract.Result {
	h := &p.half[in.Dir]
	b := in.Data
	used := 0
	if in.Gap > 0 {
		p.lose(in.Dir, in.Gap)
	}
	for {
		n, need := p.step(h, in.Dir, b)
		used += n
		b = b[n:]
		if n == 0 {
			return contract.Result{Consumed: used, Need: need}
		}
	}
}

// step takes one thing from the front of b and says how long it was; 0 when more bytes are needed.
func (p *parser) step(h *half, dir contract.Direction, b []byte) (n, need int) {
	switch {
	case len(b) == 0:
		return 0, 0
	case h.left > 0:
		n = min(h.left, len(b))
		h.left -= n
		if h.file != nil {
			h.file.take(b[:n])
		}
		if h.left == 0 {
			h.file = nil
		}
		return n, 0
	case h.skip > 0:
		n = min(h.skip, len(b))
		h.skip -= n
		return n, 0
	case h.gap:
		n, found := resync(b)
		h.gap = !found
		if found && n == 0 {
			return p.packet(h, dir, b)
		}
		return n, 8
	case len(b) < nbHead:
		return 0, nbHead
	}
	return p.packet(h, dir, b)
}

// packet reads one NetBIOS session packet, or as much of it as can be handed on already.
func (p *parser) packet(h *half, dir contract.Direction, b []byte) (n, need int) {
	size := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
	switch b[0] {
	case nbMessage:
	case nbRequest, nbPositive, nbNegative, nbRetarget, nbKeepAlive:
		if size > nbControl {
			p.event(p.last(), evNetBIOSName)
			h.skip = size
			return nbHead, 0
		}
		if len(b) < nbHead+size {
			return 0, nbHead + size
		}
		if b[0] == nbRequest {
			p.sessionRequest(b[nbHead : nbHead+size])
		}
		return nbHead + size, 0
	default:
		p.event(p.last(), evMalformedData)
		h.gap = true
		return 1, 0
	}
	if size == 0 {
		return nbHead, 0
	}
	if len(b) < min(nbHead+size, 8) {
		return 0, min(nbHead+size, 8)
	}
	if !isSMB(b[nbHead:]) {
		p.event(p.last(), evMalformedData)
		h.gap = true
		return 1, 0
	}
	m := b[nbHead:min(len(b), nbHead+size)]
	if len(m) < size && !p.streamable(dir, m) {
		want := nbHead + min(size, wholeMax)
		if len(m) < streamHead {
			want = nbHead + min(size, streamHead)
		}
		if len(b) < want {
			return 0, want
		}
		if len(m) < wholeMax {
			return 0, nbHead + min(size, wholeMax)
		}
	}
	p.message(dir, m, size)
	if h.left == 0 {
		h.skip = size - len(m)
	} else {
		h.skip = max(size-len(m)-h.left, 0)
	}
	return nbHead + len(m), 0
}

// lose notes that n bytes of a direction are missing: of a file transfer under way only these bytes, else
// everything up to the next message.
func (p *parser) lose(dir contract.Direction, n int) {
	h := &p.half[dir]
	if h.left+h.skip >= n && h.left+h.skip > 0 {
		lost := min(h.left, n)
		if h.file != nil {
			h.file.lost(lost)
		}
		h.left -= lost
		h.skip -= n - lost
		return
	}
	if h.file != nil {
		h.file.lost(h.left)
	}
	*h = half{gap: true}
	for _, t := range p.live {
		if t.kind != kindFile {
			t.req = t.req || dir == contract.ToServer
			if dir == contract.ToClient {
				t.req, t.res = true, true
			}
		}
	}
	p.reads = p.reads[:0]
}

var smbWord = []byte("SMB")

// resync finds the next session message in b. n bytes before it are passed over; the last few bytes, which
// may begin one, stay.
func resync(b []byte) (n int, found bool) {
	for at := 5; at < len(b); {
		i := bytes.Index(b[at:], smbWord)
		if i < 0 {
			break
		}
		at += i
		if b[at-1] >= idCompressed && b[at-5] == nbMessage {
			return at - 5, true
		}
		at++
	}
	return max(len(b)-7, 0), false
}

// sessionRequest checks the two NetBIOS names, each a length of 32, 32 half bytes in letters, and a scope.
func (p *parser) sessionRequest(b []byte) {
	for range 2 {
		if len(b) < 34 || b[0] != 32 {
			p.anomaly(p.last(), evNetBIOSName, 0, uint32(len(b)), contract.ToServer)
			return
		}
		for _, c := range b[1:33] {
			if c < 'A' || c > 'P' {
				p.anomaly(p.last(), evNetBIOSName, uint32(c), uint32(len(b)), contract.ToServer)
				return
			}
		}
		end := bytes.IndexByte(b[33:], 0)
		if end < 0 {
			p.anomaly(p.last(), evNetBIOSName, 0, uint32(len(b)), contract.ToServer)
			return
		}
		b = b[33+end+1:]
	}
}

// message files one message of which m is there and size bytes were announced.
func (p *parser) message(dir contract.Direction, m []byte, size int) {
	if response, known := isResponse(m); known && response != (dir == contract.ToClient) {
		if response {
			p.event(p.last(), evResponseToServer)
		} else {
			p.event(p.last(), evRequestToClient)
		}
		return
	}
	switch m[0] {
	case idSMB1:
		p.message1(dir, m)
	case idSMB2:
		p.message2(dir, m)
	case idCompressed:
		p.compressed(dir, m, size)
	}
}

// compressed checks a compression transform header (MS-SMB2 2.2.42): the sizes that overflow in CVE-2020-0796.
func (p *parser) compressed(dir contract.Direction, m []byte, size int) {
	const head = 16
	if len(m) < head {
		return
	}
	original, chained, offset := le32(m[4:]), le16(m[10:])&1 != 0, le32(m[12:])
	const originalMax = 16 << 20 // twice the largest read or write Windows negotiates
	if original > originalMax || !chained && uint64(offset) > uint64(size-head) {
		p.anomaly(nil, evCompressionOverflow, offset, original, dir)
	}
}

// Txs returns the live transactions, oldest first.
func (p *parser) Txs() []contract.Tx { return p.txs }

// Release takes the first n transactions back into the pool.
func (p *parser) Release(n int) {
	n = min(n, len(p.live))
	for _, t := range p.live[:n] {
		p.held -= t.charged
		p.unlink(t)
		if len(p.free) < freeMax {
			p.free = append(p.free, t.recycle())
		}
	}
	p.live = append(p.live[:0], p.live[n:]...)
	p.txs = append(p.txs[:0], p.txs[n:]...)
}

// unlink makes nobody write to t any more.
func (p *parser) unlink(t *tx) {
	for i := range p.half {
		if p.half[i].file == t {
			p.half[i].file = nil
		}
	}
	if f := t.of; f != nil {
		for i := range f.transfer {
			if f.transfer[i] == t {
				f.transfer[i] = nil
			}
		}
	}
}

// Reset makes the parser as new.
func (p *parser) Reset() {
	p.Release(len(p.live))
	clear(p.trees)
	clear(p.files)
	*p = parser{limits: p.limits, txs: p.txs[:0], live: p.live[:0], free: p.free, trees: p.trees, files: p.files, reads: p.reads[:0], words: p.words[:0], ntlm: p.ntlm}
	p.ntlm.Reset()
	p.scratch.Reset()
}

func (p *parser) last() *tx {
	if len(p.live) == 0 {
		return nil
	}
	return p.live[len(p.live)-1]
}

// find returns the newest live transaction that is waits for.
func (p *parser) find(v1 bool, cmd uint16, mid uint64) *tx {
	for i := len(p.live) - 1; i >= 0; i-- {
		if t := p.live[i]; t.mid == mid && t.v1 == v1 && t.cmd == cmd && !t.res && t.kind != kindFile {
			return t
		}
	}
	return nil
}

// open starts a transaction. At the limit the oldest unfinished ones are closed, so that requests never
// answered cannot hold memory; nil while twice as many wait to be released.
func (p *parser) open() *tx {
	if n := len(p.live); n >= p.limits.MaxTx {
		if n >= 2*p.limits.MaxTx {
			return nil
		}
		old := p.live[n-p.limits.MaxTx]
		old.finish()
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

// noCommand is the command of a transaction that only carries an event.
const noCommand = 0xffff

// event sets e on t; without a transaction, on one opened for it, once per event and connection: garbage
// must not make a record a message.
func (p *parser) event(t *tx, e uint8) *tx {
	if t == nil {
		if p.alone&(1<<e) != 0 {
			return nil
		}
		p.alone |= 1 << e
		if t = p.open(); t == nil {
			return nil
		}
		t.cmd, t.req, t.res = noCommand, true, true
	}
	if len(t.Events) < 16 && bytes.IndexByte(t.Events, e) < 0 {
		t.Events = append(t.Events, e)
	}
	return t
}

// anomaly sets an event and tells the own detectors.
func (p *parser) anomaly(t *tx, e uint8, code, size uint32, dir contract.Direction) {
	if t = p.event(t, e); t != nil {
		t.fact(contract.Fact{Kind: contract.SMBAnomaly, Dir: dir, Code: code, Size: size, Name: events[e]})
	}
}
