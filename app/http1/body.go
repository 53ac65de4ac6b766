package http1

import (
	"bytes"

	"github.com/dejpha/dejpha/app/contract"
)

// decoder undoes the content codings of one body, layer by layer.
type decoder struct {
	chain  []*layer
	broken bool // a layer failed: what follows passes as it is
}

// layer is one content coding.
type layer struct {
	z       inflater
	kind    coding
	head    []byte // all bytes so far, until the header is whole and something was given, or heldMax is passed
	started bool
	failed  bool
	done    bool
	given   uint64
}

// heldMax is how far into a coding that gives nothing a failure still lets all its bytes pass as they are. Twice as
// many are held, for a failure is seen only once a block's tables are whole, and these take 600 bytes at most.
const heldMax = 2 << 10

type coding uint8

const (
	gzip coding = iota
	deflate
)

func (d *decoder) drop() { *d = decoder{chain: d.chain[:0]} }

// take puts a body's layers back; the inflater's window of 32 KiB is what idle connections must not hold.
func (s *spares) take(d *decoder) {
	for _, l := range d.chain {
		if len(s.layers) < sparesMax {
			s.layers = append(s.layers, l)
		}
	}
	clear(d.chain)
	d.chain = d.chain[:0]
}

func (d *decoder) layers() int { return len(d.chain) }

// codings reads Content-Encoding into layers, the last one applied first.
func (d *decoder) codings(t *tx, v []byte, most int, idle *spares) {
	d.drop()
	words := bytes.FieldsFunc(bytes.ToLower(v), func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == ';' })
	for i := len(words) - 1; i >= 0; i-- {
		k := deflate
		switch {
		case bytes.Contains(words[i], []byte("gzip")):
			k = gzip
		case bytes.Contains(words[i], []byte("deflate")):
		case string(words[i]) == "identity":
			continue
		default:
			t.event(evAbnormalCE)
			continue
		}
		if len(d.chain) >= most {
			t.event(evTooManyLayers)
			return
		}
		d.chain = append(d.chain, idle.layer(k))
	}
}

// write passes bytes through all layers.
func (d *decoder) write(b []byte, out func([]byte)) {
	if d.broken || len(d.chain) == 0 {
		out(b)
		return
	}
	d.pass(0, b, out)
}

func (d *decoder) pass(i int, b []byte, out func([]byte)) {
	if i == len(d.chain) {
		out(b)
		return
	}
	d.chain[i].write(b, func(plain []byte) { d.pass(i+1, plain, out) })
}

// finish gives out what a layer held back because its header never came whole.
func (d *decoder) finish(out func([]byte)) {
	for i, l := range d.chain {
		if !l.started && len(l.head) > 0 {
			l.started, l.failed = true, true
			d.pass(i+1, l.head, out)
			l.head = l.head[:0]
		}
	}
}

// write undoes one layer. Bytes that are no such coding pass as they are, those after its failure too; what follows its
// proper end (a checksum, or anything) is no content. In whatever pieces the bytes come, the same is given.
func (l *layer) write(b []byte, out func([]byte)) {
	switch {
	case l.failed:
		out(b)
		return
	case l.done:
		return
	case !l.started:
		l.head = append(l.head, b...)
		n, whole, ok := l.header()
		if !whole {
			return
		}
		l.started = true
		if !ok {
			l.failed = true
			out(l.head)
			l.head = l.head[:0]
			return
		}
		b = l.head[n:]
		l.z.reset(func(plain []byte) bool { l.given += uint64(len(plain)); out(plain); return true })
	case len(l.head) > 0:
		l.head = append(l.head, b...)
	}
	done, ok := l.z.write(b)
	switch {
	case !ok && l.given == 0 && l.z.position() <= heldMax:
		l.failed = true
		out(l.head)
	case !ok:
		l.failed = true
		out(l.z.rest())
	}
	l.done = done
	if done || !ok || l.given > 0 || len(l.head) > 2*heldMax {
		l.head = l.head[:0]
	}
}

// header measures the coding's own header; ok false: it is not one.
func (l *layer) header() (n int, whole, ok bool) {
	h := l.head
	if l.kind == deflate {
		if len(h) < 2 {
			return 0, false, false
		}
		if h[0]&15 == 8 && (int(h[0])<<8|int(h[1]))%31 == 0 { // zlib (RFC 1950), which most servers mean
			return 2, true, true
		}
		return 0, true, true
	}
	if len(h) < 10 {
		return 0, len(h) > 1 && (h[0] != 0x1f || h[1] != 0x8b), false
	}
	if h[0] != 0x1f || h[1] != 0x8b {
		return 0, true, false
	}
	return gzipHeader(h)
}

// gzipHeader measures a gzip header (RFC 1952 section 2.3).
func gzipHeader(h []byte) (n int, whole, ok bool) {
	tooLong := len(h) >= maxHead
	h = h[:min(len(h), maxHead)]
	flags := h[3]
	n = 10
	if flags&4 != 0 {
		if len(h) < n+2 {
			return 0, tooLong, false
		}
		n += 2 + int(h[n]) + int(h[n+1])<<8
	}
	for _, bit := range [2]byte{8, 16} {
		if flags&bit == 0 {
			continue
		}
		if n > len(h) {
			return 0, tooLong, false
		}
		i := bytes.IndexByte(h[n:], 0)
		if i < 0 {
			return 0, tooLong, false
		}
		n += i + 1
	}
	if flags&2 != 0 {
		n += 2
	}
	return n, n <= len(h) || tooLong, n <= len(h)
}

// startBody makes a body's decoder and file.
func (p *parser) startBody(s *reader, dir contract.Direction) {
	t := s.tx
	m := &t.side[dir]
	if v, ok := m.get("content-encoding"); ok {
		t.decoders[dir].codings(t, v, p.cfg.layers, p.idle)
	}
	if dir == contract.ToServer {
		if v, ok := m.get("content-type"); ok {
			t.multi.begin(v)
		}
	}
}

// body takes bytes of a body as they came.
func (p *parser) body(s *reader, dir contract.Direction, b []byte) {
	t := s.tx
	t.side[dir].length += uint64(len(b))
	p.framed(t, dir, b)
	t.decoders[dir].write(b, func(plain []byte) { p.decoded(t, dir, plain) })
}

// framed keeps bytes of a message as they came.
func (p *parser) framed(t *tx, dir contract.Direction, b []byte) {
	if p.limits.Frames {
		keep(&t.side[dir].frame, b, p.cfg.body[dir], p.cfg.unlimited[dir], p.idle)
	}
}

// bombRatio: output beyond the bomb limit that is so many times its input is given up.
const bombRatio = 2048

// decoded takes bytes of a body with its codings undone.
func (p *parser) decoded(t *tx, dir contract.Direction, b []byte) {
	m := &t.side[dir]
	if m.body.Total > p.cfg.bomb && m.body.Total > m.length*bombRatio {
		t.event(evBomb)
		return
	}
	if m.file == nil && len(b) > 0 && !t.multi.active(dir) {
		p.openFile(t, dir)
	}
	keep(&m.body, b, p.cfg.body[dir], p.cfg.unlimited[dir], p.idle)
	if m.file != nil {
		m.file.Body = share(m)
	}
	if dir == contract.ToServer {
		t.multi.write(t, b)
	}
}

// keep appends to a body's window within its limit. idle may lend memory; nil: none to lend.
func keep(body *contract.Body, b []byte, limit int, unlimited bool, idle *spares) {
	body.Total += uint64(len(b))
	if unlimited && len(body.Data)+len(b) > limit {
		drop := min(len(body.Data), len(body.Data)+len(b)-limit/2)
		body.Data = body.Data[:copy(body.Data, body.Data[drop:])]
		body.Offset += uint64(drop)
	}
	if room := limit - len(body.Data); room < len(b) {
		b = b[:max(room, 0)]
	}
	if n := len(body.Data) + len(b); n > cap(body.Data) {
		body.Data = idle.grow(body.Data, n, limit)
	}
	body.Data = append(body.Data, b...)
}

// grow moves a body to more memory: of a spare one if it is large, else by half as much again, never past its limit.
func (s *spares) grow(data []byte, n, limit int) []byte {
	if s != nil && n > bodySmall && len(s.bodies) > 0 && cap(s.bodies[len(s.bodies)-1]) >= n {
		last := len(s.bodies) - 1
		larger := append(s.bodies[last], data...)
		s.bodies = s.bodies[:last]
		return larger
	}
	return append(make([]byte, 0, max(n, min(n+n/2, limit))), data...)
}

// rest takes the memory of a body that has ended; a small one stays with its transaction.
func (s *spares) rest(data []byte) []byte {
	if cap(data) <= bodySmall {
		return data[:0]
	}
	if len(s.bodies) < bodiesMax {
		s.bodies = append(s.bodies, data[:0])
	}
	return nil
}

// openFile starts the file that a body is: named by its disposition or by the path.
func (p *parser) openFile(t *tx, dir contract.Direction) {
	if dir == contract.ToServer {
		if m := string(t.side[0].bytes(t.method)); m != "PUT" && m != "POST" {
			return
		}
	}
	f := &t.files[dir]
	*f = contract.File{Dir: dir}
	f.Name = append([]byte(nil), t.uri...)
	if v, ok := t.side[dir].get("content-disposition"); ok {
		if name := dispositionName(v); name != nil {
			f.Name = name
		}
	}
	if i := bytes.IndexByte(f.Name, '?'); i >= 0 && bytes.Equal(f.Name, t.uri) {
		f.Name = f.Name[:i]
	}
	t.side[dir].file = f
	t.state.Files = append(t.state.Files, f)
}

// dispositionName is the filename of a Content-Disposition, nil if none.
func dispositionName(v []byte) []byte {
	i := bytes.Index(bytes.ToLower(v), []byte("filename="))
	if i < 0 {
		return nil
	}
	name := bytes.TrimSpace(v[i+len("filename="):])
	if len(name) > 0 && name[0] == '"' {
		name = name[1:]
		if j := bytes.IndexByte(name, '"'); j >= 0 {
			name = name[:j]
		}
	} else if j := bytes.IndexByte(name, ';'); j >= 0 {
		name = name[:j]
	}
	return append([]byte(nil), bytes.TrimSpace(name)...)
}

// share is a body's window as its file shows it; what detect has seen of the file stays noted.
func share(m *message) contract.Body {
	b := m.body
	b.Seen = m.file.Body.Seen
	return b
}

func (p *parser) endBody(t *tx, dir contract.Direction) {
	m := &t.side[dir]
	m.body.Done, m.frame.Done = true, true
	if f := m.file; f != nil {
		f.Body = share(m)
		if f.State == contract.FileOpen {
			f.State = contract.FileClosed
			if uint64(len(m.body.Data))+m.body.Offset < m.body.Total {
				f.State = contract.FileTruncated
			}
		}
	}
	if dir == contract.ToServer {
		t.multi.end(t)
	}
}
