package dns

// span is a piece of a transaction's text.
type span struct {
	from, to int
	broken   bool // a loop or too many labels
}

// record is one resource record or question; name and data lie in the text.
type record struct {
	name, data span
	kind       uint16
	class      uint16
	ttl        uint32
	nums       [5]uint32 // of SOA, SRV, SSHFP, MX
	extra      span      // second name of SOA
}

// Sections of a message.
const (
	queries = iota
	answers
	authorities
	additionals
)

// reader reads one message's records into text.
type reader struct {
	msg    []byte
	text   []byte
	events uint32 // bits by event index
	walk   bool   // names are walked through and not kept
}

// name reads the name at off; next is the place after it. ok is false if it is cut off.
func (r *reader) name(off int) (s span, next int, ok bool) {
	s.from = len(r.text)
	pos, hops := off, 0
	for labels := 0; ; {
		if pos >= len(r.msg) {
			return s, off, false
		}
		c := int(r.msg[pos])
		switch {
		case c == 0:
			if next == 0 {
				next = pos + 1
			}
			s.to = len(r.text)
			return s, next, true
		case c&0xc0 == 0xc0:
			if pos+2 > len(r.msg) {
				return s, off, false
			}
			if next == 0 {
				next = pos + 2
			}
			if hops++; hops > hopsMax {
				r.events |= 1 << evLoop
				s.to, s.broken = len(r.text), true
				return s, next, true
			}
			pos = u16(r.msg[pos:]) & 0x3fff
			continue
		case c&0xc0 != 0:
			return s, off, false
		}
		if pos+1+c > len(r.msg) {
			return s, off, false
		}
		if labels++; labels > labelsMax {
			r.events |= 1 << evLabels
			s.to, s.broken = len(r.text), true
			return s, max(next, pos), true
		}
		r.label(s.from, r.msg[pos+1:pos+1+c])
		pos += 1 + c
	}
}

// label appends one label, within the bounds of a name and of the message's whole text.
func (r *reader) label(from int, b []byte) {
	if r.walk || len(r.text) >= textMax {
		return
	}
	if len(r.text) > from {
		r.text = append(r.text, '.')
	}
	if room := nameMax - (len(r.text) - from); len(b) > room {
		r.events |= 1 << evNameTooLong
		b = b[:max(room, 0)]
	}
	r.text = append(r.text, b...)
}

// question reads a question at off.
func (r *reader) question(off int) (q record, next int, ok bool) {
	q.name, next, ok = r.name(off)
	if !ok || next+4 > len(r.msg) {
		return q, off, false
	}
	q.kind, q.class = uint16(u16(r.msg[next:])), uint16(u16(r.msg[next+2:]))
	return q, next + 4, true
}

// answer reads a resource record at off.
func (r *reader) answer(off int) (a record, next int, ok bool) {
	a.name, next, ok = r.name(off)
	if !ok || next+10 > len(r.msg) {
		return a, off, false
	}
	h := r.msg[next:]
	a.kind, a.class, a.ttl = uint16(u16(h)), uint16(u16(h[2:])), u32(h[4:])
	n := u16(h[8:])
	from := next + 10
	if from+n > len(r.msg) {
		return a, off, false
	}
	return a, from + n, r.data(&a, from, from+n)
}

func (r *reader) copied(b []byte) span {
	from := len(r.text)
	b = b[:min(len(b), max(0, textMax-from))]
	r.text = append(r.text, b...)
	return span{from: from, to: len(r.text)}
}

// data reads a record's own part; ok is false if it is malformed.
func (r *reader) data(a *record, from, to int) (ok bool) {
	b := r.msg[from:to]
	ok = true
	switch a.kind {
	case typeNS, typeCNAME, typePTR:
		a.data, _, ok = r.name(from)
	case typeMX:
		if len(b) < 3 {
			return false
		}
		a.nums[0] = uint32(u16(b))
		a.data, _, ok = r.name(from + 2)
	case typeSOA:
		var at int
		if a.data, at, ok = r.name(from); !ok {
			return false
		}
		if a.extra, at, ok = r.name(at); !ok || at+20 > to {
			return false
		}
		for i := range a.nums {
			a.nums[i] = u32(r.msg[at+4*i:])
		}
	case typeSRV:
		if len(b) < 7 {
			return false
		}
		a.nums[0], a.nums[1], a.nums[2] = uint32(u16(b)), uint32(u16(b[2:])), uint32(u16(b[4:]))
		a.data, _, ok = r.name(from + 6)
	case typeSSHFP:
		if len(b) < 2 {
			return false
		}
		a.nums[0], a.nums[1] = uint32(b[0]), uint32(b[1])
		a.data = r.copied(b[2:])
	case typeTXT:
		a.data.from = len(r.text)
		for len(b) > 0 {
			n := min(int(b[0]), len(b)-1)
			r.copied(b[1 : 1+n])
			b = b[1+n:]
		}
		a.data.to = len(r.text)
	default:
		a.data = r.copied(b)
	}
	return ok
}
