package stream

import (
	"strconv"

	"github.com/dejpha/dejpha/flow"
)

// visible is the number after the last byte that may be shown.
func (s *Session) visible(d *side, inline bool) uint32 {
	if inline || s.ended || d.rst || d.finDone || s.oneWay {
		return d.next
	}
	if !d.hasAck {
		return d.base
	}
	if after(d.acked, d.next) {
		return d.next
	}
	return d.acked
}

// Next returns the bytes that reader c of direction dir has not passed yet, and how many bytes are missing just
// before them. end: nothing will follow. The bytes are valid until the next packet of the session.
func (e *Engine) Next(s *Session, dir flow.Direction, c Cursor) (data []byte, gap int, end bool) {
	d := &s.sides[dir]
	e.skipHole(s, d)
	limit := s.visible(d, e.cfg.Inline)
	from := d.read[c]
	if after(limit, from) && !after(d.base, from) {
		data = d.buf[from-d.base : min(int(limit-d.base), len(d.buf))]
	}
	if c == App {
		gap = int(d.told)
		d.offered = from + uint32(len(data))
	}
	end = s.ended && len(d.later) == 0 || d.finDone && d.read[c]+uint32(len(data)) == d.next || d.rst
	return data, gap, end
}

// skipHole gives up on bytes that were acknowledged but never seen, or that can no longer come.
func (e *Engine) skipHole(s *Session, d *side) {
	lost := d.hasAck && after(d.acked, d.next) && len(d.later) > 0 && !after(d.later[0].seq, d.acked)
	lost = lost || d.hasAck && after(d.acked, d.next) && len(d.later) == 0 && after(d.highest, d.next)
	if !lost && !(s.ended && len(d.later) > 0) {
		return
	}
	if after(d.next, d.offered) || d.unread > 0 {
		return // the parser, or rules, have not had their turn on what lies before the hole
	}
	to := d.acked
	if len(d.later) > 0 {
		to = d.later[0].seq
	}
	if !after(to, d.next) {
		return
	}
	d.told += to - d.read[App]
	d.gap = true
	e.Counters.Gaps++
	e.setAside(d, to-d.next)
	d.base, d.next = to, to
	d.read, d.offered = [2]uint32{to, to}, to
	d.recent = d.recent[:0]
	e.drain(d)
}

// setAside keeps what stands before a hole of n bytes for rules that have not looked at it yet.
func (e *Engine) setAside(d *side, n uint32) {
	e.give(d.before)
	d.before, d.hole = nil, n
	d.unread = min(int(d.next-d.read[Raw]), len(d.buf))
	if d.unread > 0 || e.cfg.Linger && len(d.buf) > 0 {
		d.before, d.buf = d.buf, nil
	}
	d.buf = d.buf[:0]
}

// Held says whether something of an ended session waits for rules to have had their turn.
func (s *Session) Held() bool {
	for i := range s.sides {
		if d := &s.sides[i]; d.unread > 0 || s.ended && len(d.later) > 0 {
			return true
		}
	}
	return false
}

// Advance says that reader c of direction dir has passed n bytes of what Next returned.
func (e *Engine) Advance(s *Session, dir flow.Direction, c Cursor, n int) {
	d := &s.sides[dir]
	d.read[c] += uint32(n)
	if c == App {
		d.told = 0
		d.app = d.app || n > 0
	}
	if !e.cfg.Linger {
		e.trim(d)
	}
}

// linger lets go of what was kept for Shown since the last packet.
func (e *Engine) linger(s *Session) {
	if e.cfg.Linger {
		e.trim(&s.sides[0])
		e.trim(&s.sides[1])
	}
}

// trim drops the bytes that both readers have passed.
func (e *Engine) trim(d *side) {
	from := d.read[App]
	if after(from, d.read[Raw]) {
		from = d.read[Raw]
	}
	n := int(from - d.base)
	switch {
	case n <= 0:
		return
	case n >= len(d.buf):
		e.give(d.buf)
		d.buf = nil
		d.base, d.hole = d.next, 0
	case n >= cap(d.buf)/2:
		e.shrink(d, d.buf[n:])
		d.base, d.hole = from, 0
	}
}

// shrink keeps only what is left of a buffer: in a smaller one where most of it would lie empty, as it may for long
// when a receiver's last acknowledgement never comes.
func (e *Engine) shrink(d *side, left []byte) {
	if size(class(len(left))) <= cap(d.buf)/2 {
		if b := e.take(len(left)); b != nil {
			b = append(b, left...)
			e.give(d.buf)
			d.buf = b
			return
		}
	}
	d.buf = d.buf[:copy(d.buf, left)]
}

// Raw returns the bytes of a direction that rules have not looked at. flush: look now, however few they are, if that
// does not cut the protocol's own units; must: in any case, for nothing will follow them without a hole.
func (e *Engine) Raw(f *flow.Flow, dir flow.Direction) (data []byte, flush, must bool) {
	s := e.Session(f.Stream)
	if s == nil {
		return nil, false, false
	}
	d := &s.sides[dir]
	if d.unread > 0 {
		return d.before[len(d.before)-d.unread:], true, true
	}
	data, _, end := e.Next(s, dir, Raw)
	if d.unread > 0 { // asking for more has found a hole
		return d.before[len(d.before)-d.unread:], true, true
	}
	return data, end || d.app, false
}

// Shown appends what is kept of a direction, with a note where bytes are missing: what an alert on the stream shows.
// It is whole only with Config.Linger.
func (e *Engine) Shown(dst []byte, f *flow.Flow, dir flow.Direction) []byte {
	s := e.Session(f.Stream)
	if s == nil {
		return dst
	}
	d := &s.sides[dir]
	dst = append(dst, d.before...)
	if d.hole > 0 {
		dst = append(strconv.AppendUint(append(dst, '['), uint64(d.hole), 10), " bytes missing]"...)
	}
	n := len(d.buf)
	if limit := s.visible(d, e.cfg.Inline); after(d.next, limit) {
		n = max(n-int(d.next-limit), 0)
	}
	return append(dst, d.buf[:n]...)
}

// RawDone says that rules looked at n bytes of what Raw returned.
func (e *Engine) RawDone(f *flow.Flow, dir flow.Direction, n int) {
	if s := e.Session(f.Stream); s != nil {
		d := &s.sides[dir]
		d.kept = 0
		if d.unread > 0 {
			d.unread = 0
			if !e.cfg.Linger {
				e.give(d.before)
				d.before = nil
			}
			return
		}
		d.app = false
		e.Advance(s, dir, Raw, n)
	}
}

// RawKeep says that n bytes were looked at and that the last keep of them are to be shown again with those that follow: who
// stands inline looks at every packet at once, and what he looks for may lie across two.
func (e *Engine) RawKeep(f *flow.Flow, dir flow.Direction, n, keep int) {
	s := e.Session(f.Stream)
	if s == nil || s.sides[dir].unread > 0 {
		e.RawDone(f, dir, n)
		return
	}
	e.RawDone(f, dir, n-keep)
	s.sides[dir].kept = keep
}

// RawKept returns how many bytes at the beginning of what Raw returns were looked at before.
func (e *Engine) RawKept(f *flow.Flow, dir flow.Direction) int {
	if s := e.Session(f.Stream); s != nil {
		return s.sides[dir].kept
	}
	return 0
}

// Size returns how many bytes of a direction were put in order so far.
func (e *Engine) Size(f *flow.Flow, dir flow.Direction) uint64 {
	s := e.Session(f.Stream)
	if s == nil {
		return 0
	}
	return s.sides[dir].total
}
