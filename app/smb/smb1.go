package smb

import (
	"bytes"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/app/ntlmssp"
)

// SMB1 commands, MS-CIFS 2.2.2.1.
const (
	c1Close         = 0x04
	c1Delete        = 0x06
	c1Rename        = 0x07
	c1Read          = 0x0a
	c1Write         = 0x0b
	c1Trans         = 0x25
	c1TransSecond   = 0x26
	c1OpenAndX      = 0x2d
	c1ReadAndX      = 0x2e
	c1WriteAndX     = 0x2f
	c1Trans2        = 0x32
	c1Trans2Second  = 0x33
	c1TreeDisc      = 0x71
	c1Negotiate     = 0x72
	c1SessionSetup  = 0x73
	c1Logoff        = 0x74
	c1TreeConnect   = 0x75
	c1NTTrans       = 0xa0
	c1NTTransSecond = 0xa1
	c1NTCreate      = 0xa2
	c1None          = 0xff
	head1Len        = 32
	andXMax         = 8 // commands chained in one message; MS-CIFS 2.2.3.4 lets few follow each other
	statusOfNT      = 0x4000
	unicodeFlag     = 0x8000
	extendedFlag    = 0x0800
)

// body1 is one command of a message: its words and bytes, and the message for offsets.
type body1 struct {
	m       []byte
	words   []byte
	bytes   []byte
	bytesAt int
	flags2  uint16
}

// u16 is the i-th word; 0 past the end.
func (c *body1) u16(at int) uint16 {
	if at+2 > len(c.words) {
		return 0
	}
	return le16(c.words[at:])
}

func (c *body1) u32(at int) uint32 {
	if at+4 > len(c.words) {
		return 0
	}
	return le32(c.words[at:])
}

func (c *body1) unicode() bool { return c.flags2&unicodeFlag != 0 }

// text reads a string at offset at of the bytes, and says where the next one starts.
func (c *body1) text(dst []byte, at int) ([]byte, int) {
	if at < 0 || at >= len(c.bytes) {
		return dst, len(c.bytes)
	}
	if c.unicode() {
		at += (c.bytesAt + at) & 1
		end := at
		for end+1 < len(c.bytes) && le16(c.bytes[end:]) != 0 {
			end += 2
		}
		if at > len(c.bytes) {
			return dst, len(c.bytes)
		}
		return ntlmssp.AppendUTF16(dst, c.bytes[at:min(end, at+2*nameMax)]), min(end+2, len(c.bytes))
	}
	b := c.bytes[at:]
	end := bytes.IndexByte(b, 0)
	if end < 0 {
		end = len(b)
	}
	return append(dst, b[:min(end, nameMax)]...), min(at+end+1, len(c.bytes))
}

// split cuts a command out of a message; false if its counts do not fit.
func split1(m []byte, at int) (c body1, ok bool) {
	if at >= len(m) {
		return c, false
	}
	n := 2 * int(m[at])
	if at+1+n > len(m) {
		return c, false
	}
	c = body1{m: m, words: m[at+1 : at+1+n], flags2: le16(m[10:])}
	at += 1 + n
	if at+2 <= len(m) {
		c.bytesAt = at + 2
		c.bytes = m[at+2 : min(len(m), at+2+int(le16(m[at:])))]
	}
	return c, true
}

// message1 reads a message with the commands chained in it.
func (p *parser) message1(dir contract.Direction, m []byte) {
	if len(m) < head1Len+1 {
		p.event(p.last(), evMalformedData)
		return
	}
	h := head{v1: true, cmd: uint16(m[4]), mid: uint64(le16(m[30:])), ssn: uint64(le16(m[28:])), tree: uint32(le16(m[24:]))}
	h.status = le32(m[5:])
	if le16(m[10:])&statusOfNT == 0 {
		h.dos = true
		h.status = uint32(m[5]) | uint32(le16(m[7:]))<<16
	}
	at := head1Len
	for range andXMax {
		c, ok := split1(m, at)
		if !ok {
			p.event(p.last(), evMalformedData)
			return
		}
		if dir == contract.ToServer {
			p.request1(&h, &c)
		} else {
			p.response1(&h, &c)
		}
		next := int(c.u16(2))
		if !chained(h.cmd) || len(c.words) < 4 || c.words[0] == c1None || c.words[0] == 0 || next <= at {
			return
		}
		h.cmd, at = uint16(c.words[0]), next
	}
}

func chained(cmd uint16) bool {
	switch cmd {
	case c1SessionSetup, c1TreeConnect, c1NTCreate, c1OpenAndX, c1ReadAndX, c1WriteAndX, c1Logoff:
		return true
	}
	return false
}

// streamable1 is streamable for SMB1.
func (p *parser) streamable1(dir contract.Direction, m []byte) bool {
	c, ok := split1(m, head1Len)
	if !ok {
		return false
	}
	switch cmd := uint16(m[4]); {
	case dir == contract.ToServer && cmd == c1WriteAndX && len(c.words) >= 24:
		return p.forFile(uint32(le16(m[24:])), fid1(c.u16(4)), m, int(c.u16(22)))
	case dir == contract.ToClient && cmd == c1ReadAndX:
		r, ok := p.readOf(true, uint64(le16(m[30:])), false)
		return ok && len(c.words) >= 24 && p.forFile(uint32(le16(m[24:])), r.fid, m, int(c.u16(12)))
	}
	return false
}

func fid1(n uint16) fid { return fid{low: uint64(n), v1: true} }

// quiet1 says whether a command makes no transaction of its own (Suricata counts alike).
func quiet1(cmd uint16) bool {
	switch cmd {
	case c1ReadAndX, c1WriteAndX, c1Trans, c1Trans2, c1Read, c1Write:
		return true
	}
	return false
}

func (p *parser) request1(h *head, c *body1) {
	switch h.cmd {
	case c1Trans:
		p.trans1(h, c)
		return
	case c1Trans2, c1NTTrans, c1Trans2Second, c1NTTransSecond, c1TransSecond:
		p.transaction1(h, c)
		return
	case c1WriteAndX:
		p.write1(h, c)
		return
	case c1ReadAndX:
		if len(c.words) >= 20 {
			p.wantRead(readReq{v1: true, mid: h.mid, fid: fid1(c.u16(4)), offset: offset1(c, 6, 20), length: uint32(c.u16(10))})
		}
		return
	}
	if quiet1(h.cmd) {
		return
	}
	t := p.begin(h, kindOther)
	if t == nil {
		return
	}
	t.fact(contract.Fact{Kind: contract.SMBCommand, Code: uint32(h.cmd), Text: "1"})
	switch h.cmd {
	case c1Negotiate:
		p.negotiateRequest1(t, c)
	case c1SessionSetup:
		p.sessionRequest1(t, c)
	case c1TreeConnect:
		p.treeRequest1(t, c)
	case c1NTCreate:
		p.createRequest1(t, c)
	case c1OpenAndX:
		t.kind = kindCreate
		t.name, _ = c.text(t.name[:0], 0)
	case c1Close:
		t.guid = fid1(c.u16(0))
		p.closeFile(t.guid, contract.FileClosed)
	case c1Rename:
		t.kind = kindRename
		var at int
		t.name, at = c.text(t.name[:0], 1)
		t.other, _ = c.text(t.other[:0], at+1)
	case c1Delete:
		t.name, _ = c.text(t.name[:0], 1)
		t.fact(contract.Fact{Kind: contract.SMBFile, Code: 4, Name: string(t.name), Text: string(t.share)})
	}
}

// offset1 is a 64-bit file offset in two halves, the high one only in the longer form.
func offset1(c *body1, low, high int) uint64 {
	return uint64(c.u32(low)) | uint64(c.u32(high))<<32
}

func (p *parser) negotiateRequest1(t *tx, c *body1) {
	t.kind = kindNegotiate
	p.offered = p.offered[:0]
	for b := c.bytes; len(b) > 0; {
		const dialectFormat, dialectsMax = 2, 64
		end := bytes.IndexByte(b, 0)
		if b[0] != dialectFormat || end < 0 || len(t.dialects) >= dialectsMax {
			p.event(t, evMalformedDialects)
			break
		}
		t.dialects = append(t.dialects, bytes.Clone(b[1:min(end, 1+64)]))
		b = b[end+1:]
	}
	p.offered = append(p.offered, t.dialects...)
}

func (p *parser) sessionRequest1(t *tx, c *body1) {
	t.kind = kindSession
	const extended, plain = 24, 26
	const capExtended = 0x80000000
	switch len(c.words) {
	case extended:
		n := int(c.u16(14))
		if n > len(c.bytes) {
			n = len(c.bytes)
		}
		// Twelve words without extended security on both sides make the server misread the lengths: the
		// allocation by which MS17-010 exploits shape the pool.
		if c.u32(20)&capExtended == 0 || c.flags2&extendedFlag == 0 {
			p.anomaly(t, evSessionSetupGroom, c.u32(20), uint32(len(c.bytes)), contract.ToServer)
		}
		p.blob(t, c.bytes[:n], contract.ToServer)
		p.hostNames(t, c, n, contract.ToServer)
	case plain:
		n := int(c.u16(14)) + int(c.u16(16))
		var at int
		t.user, at = c.text(t.user[:0], n)
		t.domain, at = c.text(t.domain[:0], at)
		t.anonymous = len(t.user) == 0
		p.hostNames(t, c, at, contract.ToServer)
	}
}

// hostNames reads the native system and LAN manager names that end a session setup.
func (p *parser) hostNames(t *tx, c *body1, at int, dir contract.Direction) {
	if at >= len(c.bytes) {
		return
	}
	t.os[dir], at = c.text(t.os[dir][:0], at)
	t.lm[dir], _ = c.text(t.lm[dir][:0], at)
	t.hasHost[dir] = true
}

func (p *parser) treeRequest1(t *tx, c *body1) {
	t.kind = kindTree
	var at int
	t.share, at = c.text(t.share[:0], int(c.u16(6)))
	service := c.bytes[min(at, len(c.bytes)):]
	if end := bytes.IndexByte(service, 0); end >= 0 {
		service = service[:end]
	}
	t.service[0], t.hasService[0] = append(t.service[0][:0], service...), true
	t.ipc = bytes.Equal(service, []byte("IPC")) || endsIPC(t.share)
	t.fact(contract.Fact{Kind: contract.SMBTree, Name: string(t.share)})
}

func (p *parser) createRequest1(t *tx, c *body1) {
	t.kind = kindCreate
	const directory, deleteOnClose = 1, 0x1000
	if len(c.words) < 48 {
		p.event(t, evMalformedData)
		return
	}
	w := c.words[5:] // after AndX and a reserved byte: NameLength
	options := le32(w[34:])
	t.disposition, t.directory, t.deleteOnClose = le32(w[30:]), options&directory != 0, options&deleteOnClose != 0
	t.name, _ = c.text(t.name[:0], 0)
}

func (p *parser) write1(h *head, c *body1) {
	if len(c.words) < 24 {
		p.event(p.last(), evMalformedData)
		return
	}
	length := int(c.u16(20)) | int(c.u16(18))<<16
	offset := uint64(c.u32(6))
	if len(c.words) >= 28 {
		offset = offset1(c, 6, 24)
	}
	p.data(h, contract.ToServer, fid1(c.u16(4)), offset, c.m, int(c.u16(22)), length)
}

func (p *parser) response1(h *head, c *body1) {
	switch h.cmd {
	case c1ReadAndX:
		r, ok := p.readOf(true, h.mid, true)
		if ok && len(c.words) >= 24 && (h.status == statusSuccess || h.status == statusBufferOverflow) {
			p.data(h, contract.ToClient, r.fid, r.offset, c.m, int(c.u16(12)), int(c.u16(10))|int(c.u16(14))<<16)
		}
		return
	case c1WriteAndX:
		p.written(h)
		return
	case c1Trans, c1Trans2, c1NTTrans:
		p.transactionAnswer1(h, c)
		return
	}
	t := p.find(true, h.cmd, h.mid)
	if t == nil {
		return
	}
	t.answer(h)
	ok := h.status == statusSuccess
	switch t.kind {
	case kindNegotiate:
		p.negotiateResponse1(t, c)
	case kindSession:
		p.sessionResponse1(t, c)
		t.loggedIn()
	case kindTree:
		if end := bytes.IndexByte(c.bytes, 0); end >= 0 {
			t.service[1], t.hasService[1] = append(t.service[1][:0], c.bytes[:end]...), true
			t.ipc = t.ipc || bytes.Equal(t.service[1], []byte("IPC"))
		}
		if ok {
			p.connect(h.tree, t.share, t.ipc)
		}
	case kindCreate:
		if ok && h.cmd == c1NTCreate && len(c.words) >= 66 {
			w := c.words
			t.guid = fid1(le16(w[5:]))
			t.times = [4]uint64{le64(w[11:]), le64(w[19:]), le64(w[27:]), le64(w[35:])}
			t.size = le64(w[55:])
			p.openFile(t.guid, t.name, t.share, t.ipc)
			t.created(le32(w[7:]))
		} else if ok && h.cmd == c1OpenAndX {
			t.guid = fid1(c.u16(4))
			p.openFile(t.guid, t.name, t.share, t.ipc)
			t.created(1)
		}
	}
	if h.cmd == c1TreeDisc {
		delete(p.trees, h.tree)
	}
}

func (p *parser) negotiateResponse1(t *tx, c *body1) {
	i := int(c.u16(0))
	p.dialect, p.words = 0, p.words[:0]
	if i < len(t.dialects) {
		p.words = append(p.words, t.dialects[i]...)
	}
	const ntWords, capExtended = 34, 0x80000000
	if len(c.words) >= ntWords && le32(c.words[19:])&capExtended != 0 && len(c.bytes) >= 16 {
		t.serverGUID = append(t.serverGUID[:0], c.bytes[:16]...)
	}
}

func (p *parser) sessionResponse1(t *tx, c *body1) {
	at := 0
	if len(c.words) >= 8 {
		at = min(int(c.u16(6)), len(c.bytes))
		p.blob(t, c.bytes[:at], contract.ToClient)
	}
	p.hostNames(t, c, at, contract.ToClient)
}
