package smb

import (
	"github.com/dejpha/dejpha/app/contract"
)

// Subcommands of MS-CIFS 2.2.5 to 2.2.7 and MS-SMB that matter here.
const (
	transPeekPipe      = 0x23
	transTransactPipe  = 0x26
	trans2SessionSetup = 0x0e
	trans2SetPathInfo  = 0x06
	trans2SetFileInfo  = 0x08
	trans2Last         = 0x11
	ntTransRename      = 0x05
	ntTransLast        = 0x08
	levelDisposition   = 1013
)

// trans1 reads a TRANSACTION request: a call in a named pipe, or one of the pipe functions.
func (p *parser) trans1(h *head, c *body1) {
	if len(c.words) < 28 {
		p.event(p.last(), evMalformedData)
		return
	}
	p.mark(&p.trans, h.mid)
	length, off := int(c.u16(22)), int(c.u16(24))
	setup := int(c.words[26])
	if setup < 2 || len(c.words) < 32 {
		return
	}
	function, id := c.u16(28), c.u16(30)
	switch function {
	case transTransactPipe:
		if off < head1Len || off+length > len(c.m) {
			p.event(p.last(), evMalformedData)
			return
		}
		p.wantRead(readReq{v1: true, mid: h.mid, fid: fid1(id)})
		data := c.m[off : off+length]
		f := p.fileOf(h, fid1(id), data)
		if f.pipe {
			p.rpc(h, f, contract.ToServer, data)
		}
	case transPeekPipe:
		if id != 0 {
			return
		}
		// No open pipe has the number 0 here: this is how scanners ask for MS17-010's error.
		if t := p.begin(h, kindOther); t != nil {
			t.sub, t.hasSub = uint32(function), true
			p.event(t, evPeekWithoutFile)
		}
	}
}

// mark notes that a transaction of one kind began under a multiplex id, which ends any other kind's under it.
func (p *parser) mark(set *uint64, mid uint64) {
	bit := uint64(1) << (mid % 64)
	p.trans, p.trans2, p.ntTrans = p.trans&^bit, p.trans2&^bit, p.ntTrans&^bit
	*set |= bit
}

func marked(set, mid uint64) bool { return set&(1<<(mid%64)) != 0 }

// transaction1 reads the other transaction requests and their continuations.
func (p *parser) transaction1(h *head, c *body1) {
	switch h.cmd {
	case c1Trans2:
		p.mark(&p.trans2, h.mid)
		p.trans2Request(h, c)
	case c1NTTrans:
		p.mark(&p.ntTrans, h.mid)
		p.ntTransRequest(h, c)
	case c1Trans2Second, c1NTTransSecond, c1TransSecond:
		p.secondary(h)
	}
}

// secondary files a continuation. One whose transaction began as another kind, or never, confuses the
// server's sizes (CVE-2017-0144); that is told once per multiplex id.
func (p *parser) secondary(h *head) {
	t := p.begin(h, kindOther)
	if t == nil {
		return
	}
	t.res = true
	set := p.trans2
	switch h.cmd {
	case c1NTTransSecond:
		set = p.ntTrans
	case c1TransSecond:
		set = p.trans
	}
	if !marked(set, h.mid) && !marked(p.told, h.mid) {
		p.told |= 1 << (h.mid % 64)
		p.anomaly(t, evSecondaryAlone, uint32(h.cmd), 0, contract.ToServer)
	}
}

func (p *parser) trans2Request(h *head, c *body1) {
	if len(c.words) < 30 {
		p.event(p.last(), evMalformedData)
		return
	}
	function := c.u16(28)
	switch {
	case function == trans2SessionSetup:
		if t := p.begin(h, kindOther); t != nil {
			t.sub, t.hasSub = uint32(function), true
			p.anomaly(t, evTrans2SessionSetup, uint32(h.mid), uint32(c.u16(2)), contract.ToServer)
		}
	case function == trans2SetFileInfo || function == trans2SetPathInfo:
		p.setInfo1(h, c, function)
	case function > trans2Last:
		if t := p.begin(h, kindOther); t != nil {
			t.sub, t.hasSub = uint32(function), true
		}
	}
}

// setInfo1 reads a disposition (delete) set on a file or path.
func (p *parser) setInfo1(h *head, c *body1, function uint16) {
	pOff, pLen, dOff, dLen := int(c.u16(20)), int(c.u16(18)), int(c.u16(24)), int(c.u16(22))
	if pOff < head1Len || pOff+pLen > len(c.m) || dOff < head1Len || dOff+dLen > len(c.m) || pLen < 4 || dLen < 1 {
		return
	}
	params := c.m[pOff : pOff+pLen]
	level := le16(params[2:])
	if function == trans2SetPathInfo {
		level = le16(params)
	}
	if level != levelDisposition && level != 0x102 {
		return
	}
	t := p.begin(h, kindSetInfo)
	if t == nil {
		return
	}
	t.sub, t.hasSub, t.infoLevel, t.deleteOnClose = uint32(function), true, uint32(level), c.m[dOff]&1 != 0
	if function == trans2SetFileInfo {
		t.guid = fid1(le16(params))
		if f := p.files[t.guid]; f != nil {
			t.name = append(t.name[:0], f.name...)
		}
	} else if pLen > 6 {
		named := body1{m: c.m, bytes: params[6:], bytesAt: pOff + 6, flags2: c.flags2}
		t.name, _ = named.text(t.name[:0], 0)
	}
	if t.deleteOnClose {
		t.fact(contract.Fact{Kind: contract.SMBFile, Code: 4, Name: string(t.name), Text: string(t.share)})
	}
}

func (p *parser) ntTransRequest(h *head, c *body1) {
	t := p.begin(h, kindOther)
	if t == nil {
		return
	}
	if len(c.words) < 38 {
		p.event(t, evMalformedData)
		return
	}
	function := uint32(c.u16(36))
	t.sub, t.hasSub = function, true
	t.fact(contract.Fact{Kind: contract.SMBCommand, Code: uint32(h.cmd), Size: function, Text: "1"})
	total := le32(c.words[7:])
	switch {
	case function == 0 || function > ntTransLast:
		p.anomaly(t, evNTTransUnknown, function, total, contract.ToServer)
	case function == ntTransRename:
		p.anomaly(t, evNTTransRename, function, total, contract.ToServer)
	}
}

// transactionAnswer1 reads the answer to a transaction. A Trans2 SESSION_SETUP is answered by a DoublePulsar
// implant under a multiplex id that differs from the request's by its verdict.
func (p *parser) transactionAnswer1(h *head, c *body1) {
	if h.cmd == c1Trans {
		r, ok := p.readOf(true, h.mid, true)
		f := p.files[r.fid]
		if ok && f != nil && f.pipe && len(c.words) >= 20 && (h.status == statusSuccess || h.status == statusBufferOverflow) {
			n, off := int(c.u16(12)), int(c.u16(14))
			if off >= head1Len && off+n <= len(c.m) {
				p.rpc(h, f, contract.ToClient, c.m[off:off+n])
			}
			return
		}
	}
	t := p.find(true, h.cmd, h.mid)
	if t == nil && h.cmd == c1Trans2 {
		for i := len(p.live) - 1; i >= 0 && t == nil; i-- {
			if o := p.live[i]; o.v1 && o.cmd == c1Trans2 && o.sub == trans2SessionSetup && o.hasSub && !o.res {
				t = o
			}
		}
		if t != nil {
			p.anomaly(t, evTrans2SessionSetupAnswered, uint32(uint16(h.mid-t.mid)), h.status, contract.ToClient)
		}
	}
	if t == nil {
		return
	}
	t.answer(h)
	if t.kind == kindOther && t.sub == transPeekPipe && h.cmd == c1Trans {
		t.fact(contract.Fact{Kind: contract.SMBAnomaly, Dir: contract.ToClient, Code: h.status, Name: events[evPeekWithoutFile]})
	}
}
