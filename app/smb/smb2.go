package smb

import (
	"bytes"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/app/dcerpc"
	"github.com/dejpha/dejpha/app/ntlmssp"
)

// SMB2 commands, MS-SMB2 2.2.1.
const (
	c2Negotiate = iota
	c2SessionSetup
	c2Logoff
	c2TreeConnect
	c2TreeDisconnect
	c2Create
	c2Close
	c2Flush
	c2Read
	c2Write
	c2Lock
	c2Ioctl
	c2Cancel
	c2KeepAlive
	c2Find
	c2Notify
	c2GetInfo
	c2SetInfo
	c2Break
)

const (
	head2Len   = 64
	chainMax   = 64  // messages compounded in one; MS-SMB2 sets no limit, Windows sends at most a handful
	streamHead = 128 // enough of a message to see whether it is a file transfer, and its offset and length
	flagAsync  = 2
)

// message2 reads a message and those compounded with it.
func (p *parser) message2(dir contract.Direction, m []byte) {
	var lastFile fid
	for range chainMax {
		if len(m) < head2Len {
			p.event(p.last(), evMalformedData)
			return
		}
		next := int(le32(m[20:]))
		one := m
		if next != 0 {
			if next < head2Len || next > len(m) {
				p.event(p.last(), evMalformedData)
				return
			}
			one = m[:next]
		}
		h := head{cmd: le16(m[12:]), status: le32(m[8:]), mid: le64(m[24:]), ssn: le64(m[40:])}
		if flags := le32(m[16:]); flags&flagAsync == 0 {
			h.tree = le32(m[36:])
		}
		if dir == contract.ToServer {
			h.status = 0
			p.request2(&h, one, &lastFile)
		} else {
			p.response2(&h, one)
		}
		if next == 0 {
			return
		}
		m = m[next:]
	}
}

// streamable says whether the front m of a longer message is a file transfer whose data can be taken as it comes.
func (p *parser) streamable(dir contract.Direction, m []byte) bool {
	if len(m) < streamHead {
		return false
	}
	if m[0] == idSMB1 {
		return p.streamable1(dir, m)
	}
	if m[0] != idSMB2 || le32(m[20:]) != 0 {
		return false
	}
	b := m[head2Len:]
	switch cmd := le16(m[12:]); {
	case dir == contract.ToServer && cmd == c2Write:
		return p.forFile(le32(m[36:]), fid{low: le64(b[16:]), high: le64(b[24:])}, m, int(le16(b[2:])))
	case dir == contract.ToClient && cmd == c2Read:
		r, ok := p.readOf(false, le64(m[24:]), false)
		return ok && p.forFile(le32(m[36:]), r.fid, m, int(b[2]))
	}
	return false
}

// forFile says that a read's or write's data, which begins at off in m, is a file's, and that enough of it is there to say so.
func (p *parser) forFile(tree uint32, id fid, m []byte, off int) bool {
	return off+2 <= len(m) && !p.isPipe(tree, id, m[off:])
}

func (p *parser) isPipe(tree uint32, id fid, data []byte) bool {
	f := p.files[id]
	if f != nil && f.pipe {
		return true
	}
	if tr := p.trees[tree]; tr != nil {
		return tr.ipc
	}
	if f != nil && f.transfer != [2]*tx{} {
		return false
	}
	return len(data) > 1 && data[0] == 5 && data[1] == 0 // the tree connect was before our time
}

// readOf returns the read request that a response answers, and forgets it if take is set.
func (p *parser) readOf(v1 bool, mid uint64, take bool) (readReq, bool) {
	for i, r := range p.reads {
		if r.mid == mid && r.v1 == v1 && !r.write {
			if take {
				p.reads = append(p.reads[:i], p.reads[i+1:]...)
			}
			return r, true
		}
	}
	return readReq{}, false
}

// written notes the status of the answer to a write.
func (p *parser) written(h *head) {
	for i, r := range p.reads {
		if !r.write || r.mid != h.mid || r.v1 != h.v1 {
			continue
		}
		p.reads = append(p.reads[:i], p.reads[i+1:]...)
		f := p.files[r.fid]
		if f == nil {
			return
		}
		if t := f.transfer[contract.ToServer]; t != nil && (!t.hasStatus || h.status != statusSuccess) {
			t.status, t.dos, t.hasStatus = h.status, h.dos, true
		}
		return
	}
}

func (p *parser) wantRead(r readReq) {
	if len(p.reads) >= readsMax {
		p.reads = append(p.reads[:0], p.reads[1:]...)
	}
	p.reads = append(p.reads, r)
}

func (p *parser) request2(h *head, m []byte, last *fid) {
	b := m[head2Len:]
	switch h.cmd {
	case c2Read:
		if len(b) >= 32 {
			p.wantRead(readReq{mid: h.mid, length: le32(b[4:]), offset: le64(b[8:]), fid: related(fid{low: le64(b[16:]), high: le64(b[24:])}, *last)})
			if p.maxRead > 0 && le32(b[4:]) > p.maxRead {
				p.event(p.last(), evReadRequestTooLarge)
			}
		}
		return
	case c2Write:
		p.write2(h, m, b, last)
		return
	case c2GetInfo:
		return
	case c2SetInfo:
		p.setInfo2(h, m, b, *last)
		return
	case c2Ioctl:
		p.ioctl2(h, m, b, last)
		return
	}
	t := p.begin(h, kindOther)
	if t == nil {
		return
	}
	t.fact(contract.Fact{Kind: contract.SMBCommand, Code: uint32(h.cmd), Text: "2"})
	switch h.cmd {
	case c2Negotiate:
		p.negotiateRequest2(t, b)
	case c2SessionSetup:
		t.kind = kindSession
		if blob := part(m, b, 12, 14); blob != nil {
			p.blob(t, blob, contract.ToServer)
		}
	case c2TreeConnect:
		p.treeRequest2(t, m, b)
	case c2Create:
		p.createRequest2(t, m, b)
		*last = fid{}
	case c2Close:
		if len(b) >= 24 {
			t.guid = related(fid{low: le64(b[8:]), high: le64(b[16:])}, *last)
			p.closeFile(t.guid, contract.FileClosed)
		}
	case c2Cancel:
		t.res = true
	}
}

// related is the file of a compounded request that says "the one before" by all ones.
func related(id, last fid) fid {
	if id.low == ^uint64(0) && id.high == ^uint64(0) {
		return last
	}
	return id
}

// part returns the bytes whose 16-bit offset (from the header) and length stand at the given places of b.
func part(m, b []byte, offset, length int) []byte {
	if len(b) < length+2 {
		return nil
	}
	off, n := int(le16(b[offset:])), int(le16(b[length:]))
	if off < head2Len || off+n > len(m) {
		return nil
	}
	return m[off : off+n]
}

func (p *parser) negotiateRequest2(t *tx, b []byte) {
	t.kind = kindNegotiate
	if len(b) < 36 {
		p.event(t, evMalformedDialects)
		return
	}
	t.clientGUID = append(t.clientGUID[:0], b[12:28]...)
	n := int(le16(b[2:]))
	if 36+2*n > len(b) {
		p.event(t, evMalformedDialects)
		n = (len(b) - 36) / 2
	}
	for i := 0; i < n && i < 16; i++ {
		t.dialects = append(t.dialects, appendDialect(nil, le16(b[36+2*i:])))
	}
}

func (p *parser) treeRequest2(t *tx, m, b []byte) {
	t.kind = kindTree
	path := part(m, b, 4, 6)
	t.share = ntlmssp.AppendUTF16(t.share[:0], path[:min(len(path), 2*nameMax)])
	t.ipc = endsIPC(t.share)
	t.fact(contract.Fact{Kind: contract.SMBTree, Name: string(t.share)})
}

func endsIPC(name []byte) bool {
	return len(name) >= 4 && bytes.EqualFold(name[len(name)-4:], []byte("IPC$"))
}

func (p *parser) createRequest2(t *tx, m, b []byte) {
	t.kind = kindCreate
	if len(b) < 56 {
		p.event(t, evMalformedData)
		return
	}
	const directory, deleteOnClose = 1, 0x1000
	options := le32(b[40:])
	t.disposition, t.directory, t.deleteOnClose = le32(b[36:]), options&directory != 0, options&deleteOnClose != 0
	name := part(m, b, 44, 46)
	t.name = ntlmssp.AppendUTF16(t.name[:0], name[:min(len(name), 2*nameMax)])
}

func (p *parser) write2(h *head, m, b []byte, last *fid) {
	if len(b) < 48 {
		p.event(p.last(), evMalformedData)
		return
	}
	off, length := int(le16(b[2:])), int(le32(b[4:]))
	id := related(fid{low: le64(b[16:]), high: le64(b[24:])}, *last)
	if p.maxWrite > 0 && uint32(length) > p.maxWrite {
		p.event(p.last(), evWriteRequestTooLarge)
	}
	p.data(h, contract.ToServer, id, le64(b[8:]), m, off, length)
}

// data hands on the bytes of a write or read: to the pipe's calls or to the file.
func (p *parser) data(h *head, dir contract.Direction, id fid, offset uint64, m []byte, off, length int) {
	const longest = 16 << 20 // a session message carries no more
	if off > len(m) || length < 0 || length > longest {
		p.event(p.last(), evMalformedData)
		return
	}
	data := m[off:min(len(m), off+length)]
	f := p.fileOf(h, id, data)
	if !f.pipe && p.trees[h.tree] == nil && f.transfer == [2]*tx{} {
		if ph, ok := dcerpc.ParseHeader(data); ok && ph.FragLen >= len(data) {
			f.pipe, f.session = true, &dcerpc.Session{}
		}
	}
	if f.pipe {
		p.rpc(h, f, dir, data)
		return
	}
	if dir == contract.ToServer {
		p.wantRead(readReq{v1: h.v1, write: true, mid: h.mid, fid: id})
	}
	if length > 0 {
		p.piece(h, f, dir, offset, length, data)
	}
}

func (p *parser) setInfo2(h *head, m, b []byte, last fid) {
	if len(b) < 32 {
		return
	}
	off, n := int(le16(b[8:])), int(le32(b[4:]))
	if off+n > len(m) || off < head2Len || n < 0 {
		return
	}
	data := m[off : off+n]
	id := related(fid{low: le64(b[16:]), high: le64(b[24:])}, last)
	const fileInfo, renameInfo, dispositionInfo = 1, 10, 13
	switch f := p.files[id]; {
	case b[2] == fileInfo && b[3] == renameInfo && len(data) >= 20:
		t := p.begin(h, kindRename)
		if t == nil {
			return
		}
		t.guid = id
		if f != nil {
			t.name = append(t.name[:0], f.name...)
		}
		name := data[20:]
		name = name[:min(len(name), int(le32(data[16:])), 2*nameMax)]
		t.other = ntlmssp.AppendUTF16(t.other[:0], name)
	case b[2] == fileInfo && b[3] == dispositionInfo && len(data) >= 1:
		t := p.begin(h, kindSetInfo)
		if t == nil {
			return
		}
		t.guid, t.deleteOnClose = id, data[0]&1 != 0
		if f != nil {
			t.name = append(t.name[:0], f.name...)
		}
		if t.deleteOnClose {
			t.fact(contract.Fact{Kind: contract.SMBFile, Code: 4, Name: string(t.name), Text: string(t.share)})
		}
	}
}

// pipeTransceive is FSCTL_PIPE_TRANSCEIVE: a write to a pipe with the answer read at once.
const pipeTransceive = 0x0011c017

func (p *parser) ioctl2(h *head, m, b []byte, last *fid) {
	if len(b) < 56 {
		p.event(p.last(), evMalformedData)
		return
	}
	code := le32(b[4:])
	off, n := int(le32(b[24:])), int(le32(b[28:]))
	id := related(fid{low: le64(b[8:]), high: le64(b[16:])}, *last)
	if code == pipeTransceive && off >= head2Len && n >= 0 && off+n <= len(m) {
		p.wantRead(readReq{mid: h.mid, fid: id})
		if f := p.fileOf(h, id, m[off:off+n]); f.pipe && p.rpc(h, f, contract.ToServer, m[off:off+n]) {
			return
		}
	}
	if t := p.begin(h, kindIoctl); t != nil {
		t.sub, t.hasSub = code, true
	}
}

func (p *parser) response2(h *head, m []byte) {
	if h.status == statusPending {
		return
	}
	b := m[head2Len:]
	switch h.cmd {
	case c2Read:
		p.read2(h, m, b)
		return
	case c2Write:
		p.written(h)
		return
	case c2Ioctl:
		if r, ok := p.readOf(false, h.mid, true); ok && (h.status == statusSuccess || h.status == statusBufferOverflow) && len(b) >= 48 {
			off, n := int(le32(b[32:])), int(le32(b[36:]))
			if f := p.files[r.fid]; f != nil && f.pipe && off >= head2Len && n >= 0 && off+n <= len(m) {
				p.rpc(h, f, contract.ToClient, m[off:off+n])
				return
			}
		}
	case c2Negotiate:
		p.negotiateResponse2(h, m, b)
		return
	}
	t := p.find(false, h.cmd, h.mid)
	if t == nil {
		return
	}
	t.answer(h)
	switch {
	case t.kind == kindSession:
		if blob := part(m, b, 4, 6); blob != nil {
			p.blob(t, blob, contract.ToClient)
		}
		t.loggedIn()
	case t.kind == kindTree && h.status == statusSuccess && len(b) >= 16:
		t.shareType = b[2]
		const pipeShare = 2
		t.ipc = t.ipc || b[2] == pipeShare
		p.connect(h.tree, t.share, t.ipc)
	case t.kind == kindCreate && h.status == statusSuccess && len(b) >= 80:
		p.createResponse2(t, b)
	case h.cmd == c2TreeDisconnect:
		delete(p.trees, h.tree)
	}
}

func (p *parser) createResponse2(t *tx, b []byte) {
	t.times = [4]uint64{le64(b[8:]), le64(b[16:]), le64(b[24:]), le64(b[32:])}
	t.size = le64(b[48:])
	t.guid = fid{low: le64(b[64:]), high: le64(b[72:])}
	p.openFile(t.guid, t.name, t.share, t.ipc)
	t.created(le32(b[4:]))
}

// created tells that a file was opened; action is CreateAction of MS-SMB2 2.2.14.
func (t *tx) created(action uint32) {
	f := contract.Fact{Kind: contract.SMBFile, Name: string(t.name), Text: string(t.share)}
	const opened = 1
	if action != opened {
		f.Code = 1
	}
	t.fact(f)
	if t.deleteOnClose {
		f.Code = 4
		t.fact(f)
	}
}

func (p *parser) read2(h *head, m, b []byte) {
	r, ok := p.readOf(false, h.mid, true)
	if !ok || h.status != statusSuccess && h.status != statusBufferOverflow || len(b) < 16 {
		return
	}
	p.data(h, contract.ToClient, r.fid, r.offset, m, int(b[2]), int(le32(b[4:])))
}

func (p *parser) negotiateResponse2(h *head, m, b []byte) {
	t := p.find(false, c2Negotiate, h.mid)
	if t == nil {
		// An SMB1 negotiate may be answered in SMB2 (MS-SMB2 3.3.5.3.1).
		if t = p.find(true, c1Negotiate, 0); t == nil {
			for _, o := range p.live {
				if o.kind == kindNegotiate && !o.res {
					t = o
				}
			}
		}
	}
	if t == nil {
		if t = p.begin(h, kindNegotiate); t == nil {
			return
		}
	}
	t.v1, t.cmd = false, c2Negotiate
	t.answer(h)
	if h.status != statusSuccess || len(b) < 64 {
		return
	}
	const wildcard, sizeLimit = 0x2ff, 16 << 20
	if p.dialect = le16(b[4:]); p.dialect != wildcard && p.negotiated {
		p.event(t, evDuplicateNegotiate)
	}
	p.negotiated = p.dialect != wildcard
	t.serverGUID = append(t.serverGUID[:0], b[8:24]...)
	p.maxRead, p.maxWrite = le32(b[32:]), le32(b[36:])
	if p.maxRead > sizeLimit {
		p.event(t, evMaxReadTooLarge)
	}
	if p.maxWrite > sizeLimit {
		p.event(t, evMaxWriteTooLarge)
	}
}

func appendDialect(dst []byte, d uint16) []byte {
	switch d {
	case 0x2ff:
		return append(dst, "2.??"...)
	case 0:
		return append(dst, "unknown"...)
	}
	const digits = "0123456789abcdef"
	return append(dst, digits[d>>8&15], '.', digits[d>>4&15], digits[d&15])
}
