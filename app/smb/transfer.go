package smb

import (
	"bytes"

	"github.com/dejpha/dejpha/app/contract"
)

// Bounds of what is held back for order and of what all transfers of a connection may keep.
const (
	pendingMax      = 64
	pendingBytesMax = 1 << 20 // out-of-order pieces of one file; clients read ahead by at most a few pieces
	bodiesMax       = 4 << 20 // windows of all transfers; past it each keeps smallWindow
	smallWindow     = 4 << 10
)

// mode says where the bytes of the piece in hand go.
type mode uint8

const (
	modeAppend mode = iota
	modeQueue       // into the last of pending
	modeDrop
)

// chunk is a piece of a file that came before its turn.
type chunk struct {
	offset uint64
	data   []byte
}

// transfer returns the running transfer of a file in a direction, opening one when there is none.
func (p *parser) transfer(h *head, f *file, dir contract.Direction, offset uint64) *tx {
	if t := f.transfer[dir]; t != nil {
		return t
	}
	t := p.begin(h, kindFile)
	if t == nil {
		return nil
	}
	t.req = false
	t.of, t.guid = f, f.id
	t.name = append(t.name[:0], f.name...)
	t.share = append(t.share[:0], f.share...)
	body := t.file.Body.Data[:0]
	p.fileID++
	t.file = contract.File{Name: t.name, Dir: dir, ID: p.fileID, Body: contract.Body{Data: body}}
	t.filePtr[0] = &t.file
	t.Files = t.filePtr[:]
	t.next = offset
	f.transfer[dir] = t
	return t
}

// piece begins a piece of length bytes at offset, of which data is there already, and leaves the rest to
// the half that is reading it.
func (p *parser) piece(h *head, f *file, dir contract.Direction, offset uint64, length int, data []byte) {
	t := p.transfer(h, f, dir, offset)
	if t == nil {
		p.half[dir].left = length - len(data)
		return
	}
	if h.status != 0 || dir == contract.ToClient {
		t.status, t.hasStatus = h.status, true
	}
	t.mode = modeAppend
	switch {
	case offset < t.next:
		p.event(t, evFileOverlap)
		t.mode = modeDrop
		if over := t.next - offset; over < uint64(len(data)) {
			t.mode = modeAppend
			data = data[over:]
			length -= int(over)
		}
	case offset > t.next:
		t.mode = modeQueue
		if len(t.pending) >= pendingMax || t.pendingBytes+length > pendingBytesMax {
			t.overflow(dir)
			t.skipTo(offset)
			t.mode = modeAppend
		} else {
			t.pending = append(t.pending, chunk{offset: offset})
		}
	}
	t.take(data)
	if rest := length - len(data); rest > 0 {
		p.half[dir].file, p.half[dir].left = t, rest
	}
	t.tell(dir)
}

func (t *tx) overflow(dir contract.Direction) {
	size, count := uint8(evWriteQueueSize), uint8(evWriteQueueCount)
	if dir == contract.ToClient {
		size, count = evReadQueueSize, evReadQueueCount
	}
	if len(t.pending) >= pendingMax {
		t.p.event(t, count)
	} else {
		t.p.event(t, size)
	}
}

// skipTo gives up on what is missing before offset: first what was held back, then the hole.
func (t *tx) skipTo(offset uint64) {
	t.drain(offset)
	if offset > t.next {
		t.hole(offset - t.next)
	}
}

// drain appends the held back pieces that begin at or before offset, with the holes between them.
func (t *tx) drain(offset uint64) {
	for len(t.pending) > 0 {
		i := t.earliest()
		c := t.pending[i]
		if c.offset > offset {
			break
		}
		if c.offset > t.next {
			t.hole(c.offset - t.next)
		}
		t.unqueue(i)
	}
}

func (t *tx) hole(n uint64) {
	t.file.Gaps = true
	t.file.Body.Data = t.file.Body.Data[:0]
	t.file.Body.Total += n
	t.file.Body.Offset = t.file.Body.Total
	t.file.Body.Seen = t.file.Body.Total
	t.next += n
}

func (t *tx) earliest() int {
	at := 0
	for i := range t.pending {
		if t.pending[i].offset < t.pending[at].offset {
			at = i
		}
	}
	return at
}

// unqueue appends the i-th held back piece as far as it is new.
func (t *tx) unqueue(i int) {
	c := t.pending[i]
	t.pending = append(t.pending[:i], t.pending[i+1:]...)
	t.pendingBytes -= len(c.data)
	if over := t.next - c.offset; over < uint64(len(c.data)) {
		t.append(c.data[over:])
	}
}

// take puts the next bytes of the piece in hand where they belong.
func (t *tx) take(b []byte) {
	switch t.mode {
	case modeAppend:
		t.append(b)
		for len(t.pending) > 0 {
			i := t.earliest()
			if t.pending[i].offset > t.next {
				break
			}
			t.unqueue(i)
		}
	case modeQueue:
		c := &t.pending[len(t.pending)-1]
		c.data = append(c.data, b...)
		t.pendingBytes += len(b)
	}
}

// lost notes that n bytes of the piece in hand are missing.
func (t *tx) lost(n int) {
	t.file.Gaps = true
	switch t.mode {
	case modeAppend:
		t.hole(uint64(n))
	case modeQueue:
		t.mode = modeDrop
	}
}

func (t *tx) append(b []byte) {
	body := &t.file.Body
	t.next += uint64(len(b))
	body.Total += uint64(len(b))
	window := t.p.limits.BodyBytes[t.file.Dir]
	if t.p.held > bodiesMax {
		window = smallWindow
	}
	if len(b) >= window {
		b = b[len(b)-window:]
		body.Data = body.Data[:0]
	}
	if len(body.Data)+len(b) > 2*window {
		keep := body.Data[len(body.Data)-(window-min(len(b), window)):]
		body.Data = body.Data[:copy(body.Data, keep)]
	}
	body.Data = append(body.Data, b...)
	body.Offset = body.Total - uint64(len(body.Data))
	t.p.held += len(body.Data) - t.charged
	t.charged = len(body.Data)
}

// closeFile ends the transfer.
func (t *tx) closeFile(state contract.FileState) {
	if t.file.State != contract.FileOpen || t.req && t.res {
		return
	}
	t.drain(^uint64(0))
	if t.file.Gaps {
		state = contract.FileTruncated
	}
	t.file.State = state
	t.file.Body.Done = true
	t.pending, t.pendingBytes = nil, 0
	t.p.unlink(t)
	t.req, t.res = true, true
}

// tell tells the own detectors once that a file is being written or read, as soon as its first bytes show
// what it is.
func (t *tx) tell(dir contract.Direction) {
	b := t.file.Body.Data
	if t.told || len(b) < 4 {
		return
	}
	t.told = true
	f := contract.Fact{Kind: contract.SMBFile, Dir: dir, Code: 2, Name: string(t.name), Text: string(t.share)}
	if dir == contract.ToClient {
		f.Code = 3
	}
	if t.file.Body.Offset == 0 && (b[0] == 'M' && b[1] == 'Z' || bytes.HasPrefix(b, elf)) {
		f.Size = 1
	}
	t.fact(f)
}

var elf = []byte("\x7fELF")
