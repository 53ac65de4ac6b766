package http1

import (
	"bytes"

	"github.com/dejpha/dejpha/app/contract"
)

const (
	partsMax    = 64
	partKeepMax = 100 << 10 // bytes kept of a part
)

// multipart reads the parts of an upload (RFC 7578) as they come.
type multipart struct {
	boundary []byte // with the dashes before it
	buf      []byte
	inPart   bool
	headers  bool
	files    []*contract.File
	current  *contract.File
	failed   bool
	over     bool // the last boundary was seen; what follows is no part
}

// begin reads the boundary of a Content-Type.
func (m *multipart) begin(contentType []byte) {
	lower := bytes.ToLower(contentType)
	i := bytes.Index(lower, []byte("boundary="))
	if !bytes.HasPrefix(lower, []byte("multipart/form-data")) || i < 0 {
		return
	}
	b := contentType[i+len("boundary="):]
	if j := bytes.IndexByte(b, ';'); j >= 0 {
		b = b[:j]
	}
	b = bytes.Trim(b, "\" \t")
	if len(b) > 0 && len(b) <= 200 {
		m.boundary = append([]byte("--"), b...)
	}
}

func (m *multipart) active(dir contract.Direction) bool {
	return dir == contract.ToServer && m.boundary != nil
}

// write takes bytes of the body.
func (m *multipart) write(t *tx, b []byte) {
	if m.boundary == nil || m.failed || m.over {
		return
	}
	m.buf = append(m.buf, b...)
	for m.advance(t) {
	}
	if len(m.buf) > maxHead {
		t.event(evMultipartError)
		m.failed = true
	}
}

// advance takes one step; false: more bytes are needed.
func (m *multipart) advance(t *tx) bool {
	if m.headers {
		return m.partHead(t)
	}
	i := bytes.Index(m.buf, m.boundary)
	if i < 0 {
		keepBack := len(m.boundary) + 4
		if n := len(m.buf) - keepBack; n > 0 {
			m.data(m.buf[:n])
			m.buf = m.buf[:copy(m.buf, m.buf[n:])]
		}
		return false
	}
	end := i + len(m.boundary)
	if len(m.buf) < end+2 {
		return false
	}
	m.data(bytes.TrimSuffix(bytes.TrimSuffix(m.buf[:i], []byte("\n")), []byte("\r")))
	m.close(contract.FileClosed)
	last := m.buf[end] == '-' && m.buf[end+1] == '-'
	m.buf = m.buf[:copy(m.buf, m.buf[end:])]
	if last {
		m.over = true
		return false
	}
	m.headers = true
	return true
}

// partHead reads a part's header lines.
func (m *multipart) partHead(t *tx) bool {
	end := bytes.Index(m.buf, []byte("\r\n\r\n"))
	n := 4
	if end < 0 {
		if end = bytes.Index(m.buf, []byte("\n\n")); end < 0 {
			return false
		}
		n = 2
	}
	name := dispositionName(m.buf[:end])
	m.buf = m.buf[:copy(m.buf, m.buf[end+n:])]
	m.headers = false
	if len(name) == 0 || len(m.files) >= partsMax {
		return true
	}
	m.current = &contract.File{Name: name, Dir: contract.ToServer}
	m.files = append(m.files, m.current)
	t.state.Files = append(t.state.Files, m.current)
	return true
}

func (m *multipart) data(b []byte) {
	if m.current != nil {
		keep(&m.current.Body, b, partKeepMax, false, nil)
	}
}

func (m *multipart) close(state contract.FileState) {
	if m.current != nil {
		m.current.Body.Done, m.current.State = true, state
		m.current = nil
	}
}

func (m *multipart) end(*tx) { m.close(contract.FileTruncated) }
