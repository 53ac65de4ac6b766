package smb

import (
	"bytes"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/app/dcerpc"
)

// kind is what a transaction is about; the record and the buffers follow it.
type kind uint8

const (
	kindOther kind = iota
	kindNegotiate
	kindSession
	kindTree
	kindCreate
	kindFile
	kindRPC
	kindIoctl
	kindRename
	kindSetInfo
)

// fid names an open file: 16 bytes in SMB2, 2 in SMB1 (low).
type fid struct {
	low, high uint64
	v1        bool
}

// tree is a share that the client connected to.
type tree struct {
	name []byte
	ipc  bool
}

// file is an open file or pipe.
type file struct {
	id       fid
	name     []byte
	share    []byte
	pipe     bool
	session  *dcerpc.Session // of a pipe
	part     [2][]byte       // of a PDU that was cut over several writes or reads
	transfer [2]*tx          // by direction of the data
}

// tx is one command with its answer, one file transfer or one DCERPC call.
type tx struct {
	contract.TxState
	dcerpc.Call
	p                  *parser
	kind               kind
	v1                 bool
	cmd                uint16
	sub                uint32 // transaction function or control code
	hasSub             bool
	mid, ssn           uint64
	tree               uint32
	status             uint32
	hasStatus, dos     bool // dos: class in the low byte, code in the high half
	req, res           bool
	name, share, other []byte // path, share, second path
	ipc                bool
	user, domain, host []byte
	ntlm, anonymous    bool
	kerberos           bool
	ntlmVersion        [4]uint16
	hasVersion         bool
	realm              []byte
	snames             [][]byte
	os, lm             [2][]byte
	hasHost            [2]bool
	dialects           [][]byte
	clientGUID         []byte
	serverGUID         []byte
	disposition        uint32
	deleteOnClose      bool
	directory          bool
	times              [4]uint64
	size               uint64
	shareType          uint8
	service            [2][]byte
	hasService         [2]bool
	infoLevel          uint32
	guid               fid
	of                 *file
	session            *dcerpc.Session
	charged            int
	file               contract.File
	filePtr            [1]*contract.File
	next               uint64 // offset in the file that is expected next
	mode               mode
	pending            []chunk
	pendingBytes       int
	told               bool // the transfer was told to the detectors
}

func (t *tx) fact(f contract.Fact) {
	const factsMax = 64 // in one transaction between two calls of the shield
	if len(t.Facts) < factsMax {
		t.Facts = append(t.Facts, f)
	}
}

// finish makes both directions complete.
func (t *tx) finish() {
	if t.kind == kindFile {
		t.closeFile(contract.FileTruncated)
	}
	t.req, t.res = true, true
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
	body := t.file.Body.Data[:0]
	if cap(body) > keepCap {
		body = nil
	}
	*t = tx{p: t.p, Call: call, TxState: contract.TxState{Events: t.Events[:0], Facts: t.Facts[:0]},
		name: t.name[:0], share: t.share[:0], other: t.other[:0], user: t.user[:0], domain: t.domain[:0], host: t.host[:0],
		realm: t.realm[:0], snames: t.snames[:0], dialects: t.dialects[:0], clientGUID: t.clientGUID[:0], serverGUID: t.serverGUID[:0]}
	t.file.Body.Data = body
	return t
}

// State is the engine's part of the transaction.
func (t *tx) State() *contract.TxState { return &t.TxState }

// Progress is 1 when the direction has said all it had to say.
func (t *tx) Progress(dir contract.Direction) uint8 {
	if dir == contract.ToServer && t.req || dir == contract.ToClient && t.res {
		return 1
	}
	return 0
}

// Buffer returns a name or a stub.
func (t *tx) Buffer(kw, i int) ([]byte, bool) {
	if i != 0 {
		return nil, false
	}
	switch kw {
	case kwStubRequest, kwStubReply:
		b, _, ok := t.Call.Stub(kw)
		return b, ok && t.kind == kindRPC
	case kwNamedPipe:
		return t.share, t.kind == kindTree && t.ipc
	case kwShare:
		return t.share, t.kind == kindTree && !t.ipc
	case kwUser:
		return t.user, t.ntlm
	case kwDomain:
		return t.domain, t.ntlm
	case kwFilename:
		return t.name, t.kind == kindCreate || t.kind == kindFile || t.kind == kindSetInfo || t.kind == kindRename
	}
	return nil, false
}

// Number returns version, command, subcommand or status.
func (t *tx) Number(kw, i int) (uint64, bool) {
	if i != 0 {
		return 0, false
	}
	switch kw {
	case kwVersion:
		if t.v1 {
			return 1, true
		}
		return 2, true
	case kwCommand:
		return uint64(t.cmd), true
	case kwSubcommand:
		return uint64(t.sub), t.hasSub
	case kwStatus:
		return uint64(t.status), t.hasStatus && !t.dos
	}
	return 0, false
}

// BigEndian tells the byte order of a stub.
func (t *tx) BigEndian(kw int) bool {
	_, big, _ := t.Call.Stub(kw)
	return big
}

// MatchCustom decides dcerpc.iface and dcerpc.opnum.
func (t *tx) MatchCustom(_ int, arg any, _ contract.Direction) bool {
	return t.kind == kindRPC && t.session != nil && t.session.Match(&t.Call, arg)
}

// head is what commands of both versions have in common.
type head struct {
	v1     bool
	cmd    uint16
	mid    uint64
	ssn    uint64
	tree   uint32
	status uint32
	dos    bool
}

// begin opens a transaction for a request.
func (p *parser) begin(h *head, k kind) *tx {
	t := p.open()
	if t == nil {
		return nil
	}
	t.v1, t.cmd, t.mid, t.ssn, t.tree, t.kind, t.req = h.v1, h.cmd, h.mid, h.ssn, h.tree, k, true
	if tr := p.trees[h.tree]; tr != nil && k != kindTree {
		t.share = append(t.share[:0], tr.name...)
		t.ipc = tr.ipc
	}
	return t
}

// answer notes what a response's header says.
func (t *tx) answer(h *head) {
	t.status, t.dos, t.hasStatus = h.status, h.dos, true
	if h.ssn != 0 {
		t.ssn = h.ssn
	}
	if h.tree != 0 && t.kind != kindOther {
		t.tree = h.tree
	}
	t.res = true
}

// connect remembers a tree.
func (p *parser) connect(id uint32, name []byte, ipc bool) {
	if len(p.trees) >= treesMax {
		clear(p.trees)
	}
	p.trees[id] = &tree{name: bytes.Clone(name), ipc: ipc}
}

// openFile remembers an open file. At the limit the table starts anew: the oldest are mostly long closed
// without our seeing it.
func (p *parser) openFile(id fid, name, share []byte, pipe bool) *file {
	if len(p.files) >= filesMax {
		p.closeAll(func(*file) bool { return true }, contract.FileTruncated)
	}
	f := &file{id: id, name: bytes.Clone(name), share: bytes.Clone(share), pipe: pipe}
	if pipe {
		f.session = &dcerpc.Session{}
	}
	p.files[id] = f
	return f
}

// fileOf returns the open file of a read or write; of one that was opened before we came, a nameless one.
func (p *parser) fileOf(h *head, id fid, data []byte) *file {
	if f := p.files[id]; f != nil {
		return f
	}
	tr := p.trees[h.tree]
	pipe := tr != nil && tr.ipc
	var share []byte
	if tr != nil {
		share = tr.name
	} else if ph, ok := dcerpc.ParseHeader(data); ok && ph.FragLen >= len(data) {
		pipe = true
	}
	return p.openFile(id, nil, share, pipe)
}

// closeFile ends the transfers of a file and forgets it.
func (p *parser) closeFile(id fid, state contract.FileState) {
	f := p.files[id]
	if f == nil {
		return
	}
	for i, t := range f.transfer {
		if t != nil {
			t.closeFile(state)
			f.transfer[i] = nil
		}
	}
	delete(p.files, id)
}

// closeAll closes the files that is picks; in order of their ids, so that records come out the same each run.
func (p *parser) closeAll(is func(*file) bool, state contract.FileState) {
	for _, t := range p.live {
		if t.kind == kindFile && t.of != nil && is(t.of) {
			p.closeFile(t.of.id, state)
		}
	}
	for id, f := range p.files {
		if is(f) {
			delete(p.files, id)
		}
	}
}
