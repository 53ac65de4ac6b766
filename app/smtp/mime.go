package smtp

import (
	"bytes"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/jsonline"
)

const (
	headerMax     = 8 << 10 // of one unfolded header; RFC 5322 sets none
	boundaryMax   = 254     // RFC 2046 5.1.1 says 70
	nestedMax     = 8       // parts within parts
	filesMax      = 64      // attachments of a mail
	nameMax       = 256
	addressesMax  = 64
	plain         = 0
	base64Coded   = 1
	quotedPrinted = 2
)

// mime is where the reading of a mail has come to.
type mime struct {
	begun    bool
	inBody   bool
	cont     bool // the next piece continues a line
	header   []byte
	bounds   [][]byte
	coding   uint8
	name     []byte
	file     *contract.File
	quad     [4]byte
	filled   int
	newline  []byte // held back: it may belong to the boundary
	headings bool   // the mail's own headers, not a part's
}

// tx is one mail.
type tx struct {
	contract.TxState
	sent        bool // to its end; the server's answer may be due
	done        bool
	helo, from  []byte
	to          [][]byte
	keepBody    int
	mime        mime
	urls        *urls
	headers     [5][]byte // from, subject, date, message-id, x-mailer
	toLine      []byte    // the To and Cc headers as they came
	ccLine      []byte
	recipients  [][]byte
	copies      [][]byte
	received    [][]byte
	links       [][]byte
	attachments [][]byte
}

// hole notes lost bytes within a mail.
func (m *mime) hole() {
	if m.file != nil {
		m.file.Gaps = true
	}
	m.filled = 0
}

// line takes a line of the mail, or a piece of one.
func (t *tx) line(piece []byte, whole bool) {
	m := &t.mime
	if !m.begun {
		m.begun, m.headings = true, true
	}
	continued := m.cont
	m.cont = !whole
	line := bytes.TrimRight(piece, "\r\n")
	if !continued && whole && bytes.HasPrefix(line, []byte("--")) && t.boundary(line[2:]) {
		return
	}
	if m.inBody {
		t.body(piece, line, whole)
		return
	}
	switch {
	case len(line) == 0 && !continued:
		t.readHeader()
		m.inBody, m.headings = true, false
		t.openFile()
	case continued || line[0] == ' ' || line[0] == '\t':
		m.header = append(m.header, line[:min(len(line), max(0, headerMax-len(m.header)))]...)
	default:
		t.readHeader()
		m.header = append(m.header[:0], line...)
	}
}

// boundary says whether line is one of the open boundaries, and acts on it.
func (t *tx) boundary(line []byte) bool {
	m := &t.mime
	for i := len(m.bounds) - 1; i >= 0; i-- {
		rest, ok := bytes.CutPrefix(line, m.bounds[i])
		rest = bytes.TrimRight(rest, " \t")
		last := string(rest) == "--"
		if !ok || len(rest) > 0 && !last {
			continue
		}
		t.closeFile()
		m.bounds = m.bounds[:i+1]
		m.inBody = last
		if last {
			m.bounds = m.bounds[:i]
		}
		m.coding, m.name, m.header = plain, m.name[:0], m.header[:0]
		return true
	}
	return false
}

// readHeader acts on the unfolded header.
func (t *tx) readHeader() {
	m := &t.mime
	key, value, ok := bytes.Cut(m.header, []byte(":"))
	value = bytes.TrimSpace(value)
	if !ok {
		if len(m.header) > 0 {
			t.AddEvent(evMimeMalformed)
		}
		m.header = m.header[:0]
		return
	}
	if len(m.header) >= headerMax {
		t.AddEvent(evMimeLongHeaderValue)
	}
	is := func(word string) bool { return bytes.EqualFold(bytes.TrimSpace(key), []byte(word)) }
	switch {
	case is("Content-Transfer-Encoding"):
		m.coding = plain
		if bytes.EqualFold(value, []byte("base64")) {
			m.coding = base64Coded
		} else if bytes.EqualFold(value, []byte("quoted-printable")) {
			m.coding = quotedPrinted
		}
	case is("Content-Type"):
		t.contentType(value)
	case is("Content-Disposition"):
		t.setName(parameter(value, "filename"))
	case !m.headings:
	case is("To"):
		t.toLine = append(t.toLine[:0], value...)
		t.recipients = addresses(t.recipients, value)
	case is("Cc"):
		t.ccLine = append(t.ccLine[:0], value...)
		t.copies = addresses(t.copies, value)
	case is("Received"):
		if len(t.received) < receivedMax {
			t.received = append(t.received, bytes.Clone(value))
		}
	default:
		for i, name := range headerNames {
			if is(name) {
				t.headers[i] = append(t.headers[i][:0], value...)
			}
		}
	}
	m.header = m.header[:0]
}

func addresses(dst [][]byte, b []byte) [][]byte {
	for len(b) > 0 && len(dst) < addressesMax {
		one, rest, _ := bytes.Cut(b, []byte(","))
		if one = bytes.TrimSpace(one); len(one) > 0 {
			dst = append(dst, bytes.Clone(one))
		}
		b = rest
	}
	return dst
}

func (t *tx) contentType(value []byte) {
	m := &t.mime
	t.setName(parameter(value, "name"))
	b := parameter(value, "boundary")
	if len(b) == 0 || len(m.bounds) >= nestedMax {
		return
	}
	if len(b) > boundaryMax {
		t.AddEvent(evMimeLongBoundary)
		return
	}
	m.bounds = append(m.bounds, bytes.Clone(b))
}

func (t *tx) setName(b []byte) {
	if len(b) == 0 {
		return
	}
	if len(b) > nameMax {
		t.AddEvent(evMimeLongFilename)
		b = b[:nameMax]
	}
	t.mime.name = append(t.mime.name[:0], b...)
}

// parameter finds ;key=value in a header's value, quoted or not.
func parameter(b []byte, key string) []byte {
	for {
		_, rest, ok := bytes.Cut(b, []byte(";"))
		if !ok {
			return nil
		}
		b = bytes.TrimLeft(rest, " \t")
		if len(b) <= len(key) || !bytes.EqualFold(b[:len(key)], []byte(key)) {
			continue
		}
		v, ok := bytes.CutPrefix(bytes.TrimLeft(b[len(key):], " \t*"), []byte("="))
		if !ok {
			continue
		}
		v = bytes.TrimLeft(v, " \t")
		if len(v) > 0 && v[0] == '"' {
			v, _, _ = bytes.Cut(v[1:], []byte(`"`))
			return v
		}
		v, _, _ = bytes.Cut(v, []byte(";"))
		return bytes.TrimSpace(v)
	}
}

func (t *tx) openFile() {
	m := &t.mime
	m.filled, m.newline = 0, m.newline[:0]
	if len(m.name) == 0 || len(t.Files) >= filesMax {
		return
	}
	m.file = &contract.File{Name: bytes.Clone(m.name)}
	t.Files = append(t.Files, m.file)
	t.attachments = append(t.attachments, m.file.Name)
}

func (t *tx) closeFile() {
	m := &t.mime
	if m.file == nil {
		return
	}
	if m.coding == base64Coded && m.filled > 1 {
		t.quad()
	}
	m.file.State, m.file.Body.Done = contract.FileClosed, true
	if m.file.Gaps {
		m.file.State = contract.FileTruncated
	}
	m.file = nil
}

// body takes a piece of a part's content.
func (t *tx) body(piece, line []byte, whole bool) {
	m := &t.mime
	if m.file == nil {
		t.findURLs(line)
		return
	}
	switch m.coding {
	case base64Coded:
		t.base64(line)
	case quotedPrinted:
		t.quoted(line, whole)
	default:
		m.file.Body.Append(m.newline, t.keepBody)
		m.file.Body.Append(line, t.keepBody)
		m.newline = append(m.newline[:0], piece[len(line):]...)
	}
}

func (t *tx) base64(line []byte) {
	m := &t.mime
	for _, c := range line {
		v := byte(0)
		switch {
		case c >= 'A' && c <= 'Z':
			v = c - 'A'
		case c >= 'a' && c <= 'z':
			v = c - 'a' + 26
		case c >= '0' && c <= '9':
			v = c - '0' + 52
		case c == '+':
			v = 62
		case c == '/':
			v = 63
		case c == '=' || c == ' ' || c == '\t':
			continue
		default:
			t.AddEvent(evMimeBase64)
			continue
		}
		m.quad[m.filled] = v
		if m.filled++; m.filled == 4 {
			t.quad()
		}
	}
}

// quad writes the bytes of the collected digits.
func (t *tx) quad() {
	m := &t.mime
	q := m.quad
	out := [3]byte{q[0]<<2 | q[1]>>4, q[1]<<4 | q[2]>>2, q[2]<<6 | q[3]}
	m.file.Body.Append(out[:m.filled-1], t.keepBody)
	m.filled = 0
}

func (t *tx) quoted(line []byte, whole bool) {
	m := &t.mime
	m.file.Body.Append(m.newline, t.keepBody)
	m.newline = m.newline[:0]
	soft := false
	for i := 0; i < len(line); i++ {
		c := line[i : i+1]
		if c[0] == '=' {
			if i+1 == len(line) {
				soft = true
				break
			}
			if i+2 < len(line) && unhex(line[i+1]) >= 0 && unhex(line[i+2]) >= 0 {
				m.file.Body.Append([]byte{byte(unhex(line[i+1])<<4 | unhex(line[i+2]))}, t.keepBody)
				i += 2
				continue
			}
			t.AddEvent(evMimeQP)
		}
		m.file.Body.Append(c, t.keepBody)
	}
	if !soft && whole {
		m.newline = append(m.newline, "\r\n"...)
	}
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

func (t *tx) endMail() {
	if !t.mime.inBody {
		t.readHeader()
	}
	t.closeFile()
}

// Reuse empties the transaction.
func (t *tx) Reuse() {
	*t = tx{TxState: t.TxState, helo: t.helo[:0], from: t.from[:0], to: t.to[:0], headers: t.headers, toLine: t.toLine[:0], ccLine: t.ccLine[:0],
		mime: mime{header: t.mime.header[:0], name: t.mime.name[:0]}}
	for i := range t.headers {
		t.headers[i] = t.headers[i][:0]
	}
}

// State is the engine's part of the transaction.
func (t *tx) State() *contract.TxState { return &t.TxState }

// Progress is complete when the mail is.
func (t *tx) Progress(dir contract.Direction) uint8 {
	if t.done || t.sent && dir == contract.ToServer {
		return 1
	}
	return 0
}

// Buffer returns the i-th instance of a keyword.
func (t *tx) Buffer(kw, i int) ([]byte, bool) {
	switch kw {
	case kwHelo:
		return t.helo, len(t.helo) > 0
	case kwFrom:
		return t.from, len(t.from) > 0
	case kwTo:
		return nth(t.to, i)
	case kwEmailReceived:
		return nth(t.received, i)
	case kwEmailURL:
		return nth(t.links, i)
	case kwEmailTo:
		return t.toLine, len(t.toLine) > 0
	case kwEmailCC:
		return t.ccLine, len(t.ccLine) > 0
	}
	h := t.headers[kw-kwEmailFrom]
	return h, len(h) > 0
}

func nth(list [][]byte, i int) ([]byte, bool) {
	if i >= len(list) {
		return nil, false
	}
	return list[i], true
}

// Number has nothing to say.
func (t *tx) Number(int, int) (uint64, bool) { return 0, false }

// AppendRecord appends the fields of eve's smtp and email objects.
func (t *tx) AppendRecord(dst []byte) []byte {
	dst = append(dst, `"smtp":{`...)
	if len(t.helo) > 0 {
		dst = jsonline.KeyString(dst, "helo", t.helo)
	}
	if len(t.from) > 0 {
		dst = jsonline.KeyString(dst, "mail_from", t.from)
	}
	dst = append(appendTexts(dst, "rcpt_to", t.to), '}')
	if !t.mime.begun {
		return dst
	}
	dst = append(dst, `,"email":{`...)
	status := "PARSE_DONE"
	if !t.done && !t.sent {
		status = "BODY_STARTED"
	}
	dst = jsonline.KeyString(dst, "status", status)
	for i, key := range headerKeys {
		if v := t.headers[i]; len(v) > 0 {
			dst = jsonline.KeyString(dst, key, v)
		}
	}
	dst = appendTexts(dst, "to", t.recipients)
	dst = appendTexts(dst, "cc", t.copies)
	dst = appendTexts(dst, "received", t.received)
	dst = appendTexts(dst, "url", latestFirst(t.links))
	return append(appendTexts(dst, "attachment", t.attachments), '}')
}

func appendTexts(dst []byte, key string, list [][]byte) []byte {
	if len(list) == 0 {
		return dst
	}
	dst = append(jsonline.AppendKey(dst, key), '[')
	for _, s := range list {
		dst = jsonline.AppendString(jsonline.AppendComma(dst), s)
	}
	return append(dst, ']')
}
