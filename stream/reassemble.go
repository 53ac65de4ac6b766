package stream

import (
	"bytes"

	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/flow"
)

// payload puts a packet's bytes in their place.
func (e *Engine) payload(s *Session, f *flow.Flow, p *decode.Packet, dir flow.Direction, o *Outcome) {
	d := &s.sides[dir]
	data := p.Payload
	seq := p.TCP.Seq
	if p.TCP.Flags&decode.SYN != 0 {
		seq++ // fast open carries bytes with the SYN (RFC 7413)
	}
	if len(data) == 0 || d.stopped || !d.began {
		d.highest = later(d.highest, seq)
		e.close(d)
		return
	}
	end := seq + uint32(len(data))
	d.highest = later(d.highest, end)
	if !after(end, d.base) {
		e.event(PktRetransmission)
		return
	}
	if after(d.base, seq) {
		data, seq = data[d.base-seq:], d.base
	}
	if e.cfg.Depth > 0 && d.total+uint64(len(data)) > uint64(e.cfg.Depth) {
		e.stop(d)
		e.Counters.DepthReached++
		e.event(ReassemblyDepthReached)
		return
	}
	switch {
	case seq == d.next && len(d.later) == 0:
		e.append(d, data)
	case after(seq, d.next):
		e.keepLater(d, seq, data, o)
	default:
		e.overlap(d, seq, data, o)
	}
	if o.OverlapBytes > 0 {
		e.Counters.Overlaps++
		e.event(ReassemblyOverlapDifferent)
	}
	e.close(d)
}

// close notes that all bytes up to FIN are there.
func (e *Engine) close(d *side) {
	if d.fin && d.next == d.finSeq {
		d.finDone = true
	}
}

// stop gives up on a direction; it is followed on, but nothing more is kept.
func (e *Engine) stop(d *side) {
	d.stopped = true
	for i := range d.later {
		e.give(d.later[i].data)
	}
	clear(d.later)
	d.later = d.later[:0]
}

// append adds bytes in order.
func (e *Engine) append(d *side, data []byte) bool {
	if len(d.buf)+len(data) > cap(d.buf) && !e.grow(d, len(data)) {
		e.stop(d)
		return false
	}
	from := d.next
	d.buf = append(d.buf, data...)
	d.next += uint32(len(data))
	d.total += uint64(len(data))
	if len(d.recent) == recentMax {
		d.recent = d.recent[:copy(d.recent, d.recent[recentMax/2:])]
	}
	d.recent = append(d.recent, span{from, d.next})
	return true
}

// grow makes room, first by moving what is left to the front.
func (e *Engine) grow(d *side, n int) bool {
	from := d.read[App]
	if after(from, d.read[Raw]) {
		from = d.read[Raw]
	}
	if passed := int(from - d.base); passed > 0 && len(d.buf) > 0 {
		d.buf = d.buf[:copy(d.buf, d.buf[passed:])]
		d.base, d.hole = from, 0
		if len(d.buf)+n <= cap(d.buf) {
			return true
		}
	}
	b := e.take(len(d.buf) + n)
	if b == nil {
		return false
	}
	b = append(b, d.buf...)
	e.give(d.buf)
	d.buf = b
	return true
}

// keepLater files bytes that came before their turn, in order of number; where they overlap others the policy decides.
func (e *Engine) keepLater(d *side, seq uint32, data []byte, o *Outcome) {
	if len(d.later) >= laterMax {
		e.Counters.LaterDropped++
		return
	}
	i := len(d.later)
	for i > 0 && after(d.later[i-1].seq, seq) {
		i--
	}
	if i > 0 && d.later[i-1].seq == seq && bytes.Equal(d.later[i-1].data, data) {
		e.event(PktRetransmission)
		return
	}
	b := e.take(len(data))
	if b == nil {
		return
	}
	b = append(b, data...)
	d.later = append(d.later, segment{})
	copy(d.later[i+1:], d.later[i:])
	d.later[i] = segment{seq, b}
	for j := range d.later {
		if j != i {
			o.OverlapBytes += settle(d.policy, &d.later[j], &d.later[i])
		}
	}
}

// settle makes two kept segments agree where they overlap: old came first. It returns how many bytes contradicted.
func settle(p Policy, old, fresh *segment) (differing int) {
	from, to := later(old.seq, fresh.seq), old.seq+uint32(len(old.data))
	if end := fresh.seq + uint32(len(fresh.data)); after(to, end) {
		to = end
	}
	if !after(to, from) {
		return 0
	}
	a, b := old.data[from-old.seq:to-old.seq], fresh.data[from-fresh.seq:to-fresh.seq]
	if differing = differ(a, b); differing == 0 {
		return 0
	}
	if p.favoursNew(old.seq, old.seq+uint32(len(old.data)), fresh.seq, fresh.seq+uint32(len(fresh.data))) {
		copy(a, b)
	} else {
		copy(b, a)
	}
	return differing
}

func differ(a, b []byte) int {
	if bytes.Equal(a, b) {
		return 0
	}
	n := 0
	for i := range a {
		if a[i] != b[i] {
			n++
		}
	}
	return n
}

// overlap takes bytes that begin before the next expected one.
func (e *Engine) overlap(d *side, seq uint32, data []byte, o *Outcome) {
	end := seq + uint32(len(data))
	if after(d.next, seq) {
		to := d.next
		if after(to, end) {
			to = end
		}
		old, fresh := d.buf[seq-d.base:to-d.base], data[:to-seq]
		if n := differ(old, fresh); n > 0 {
			o.OverlapBytes += n
			e.replace(d, seq, end, old, fresh)
		} else if !after(end, d.next) {
			e.event(PktRetransmission)
		}
	}
	if !after(end, d.next) {
		return
	}
	data, seq = data[d.next-seq:], d.next
	if len(d.later) > 0 && after(end, d.later[0].seq) {
		fresh := segment{seq, data}
		for j := range d.later {
			o.OverlapBytes += settleView(d.policy, &d.later[j], &fresh)
		}
	}
	if e.append(d, data) {
		e.drain(d)
	}
}

// settleView is settle for bytes of the packet itself, which must not be written to: the kept segment's copy of
// the overlap is changed, or cut off by drain where the kept one wins.
func settleView(p Policy, old, fresh *segment) int {
	from, to := later(old.seq, fresh.seq), old.seq+uint32(len(old.data))
	if end := fresh.seq + uint32(len(fresh.data)); after(to, end) {
		to = end
	}
	if !after(to, from) {
		return 0
	}
	a, b := old.data[from-old.seq:to-old.seq], fresh.data[from-fresh.seq:to-fresh.seq]
	n := differ(a, b)
	if n > 0 && p.favoursNew(old.seq, old.seq+uint32(len(old.data)), fresh.seq, fresh.seq+uint32(len(fresh.data))) {
		copy(a, b)
	}
	return n
}

// replace lets new bytes take the place of old ones within buf where the policy favours them, segment by segment.
func (e *Engine) replace(d *side, seq, end uint32, old, fresh []byte) {
	if e.cfg.Inline {
		return // what was shown must be what the target reads
	}
	to := seq + uint32(len(old))
	for _, r := range d.recent {
		from, upto := later(r.from, seq), r.to
		if after(upto, to) {
			upto = to
		}
		if after(upto, from) && d.policy.favoursNew(r.from, r.to, seq, end) {
			copy(old[from-seq:upto-seq], fresh[from-seq:upto-seq])
		}
	}
}

// drain moves kept segments whose turn has come behind the bytes in order.
func (e *Engine) drain(d *side) {
	n := 0
	for ; n < len(d.later); n++ {
		l := &d.later[n]
		if after(l.seq, d.next) {
			break
		}
		end := l.seq + uint32(len(l.data))
		if after(d.next, l.seq) && !after(d.base, l.seq) {
			// The overlap was settled when the second copy came: the kept segment's bytes are the ones to read.
			upto := d.next
			if after(upto, end) {
				upto = end
			}
			copy(d.buf[l.seq-d.base:upto-d.base], l.data)
		}
		if after(end, d.next) && !e.append(d, l.data[d.next-l.seq:]) {
			return
		}
		e.give(l.data)
		l.data = nil
	}
	d.later = d.later[:copy(d.later, d.later[n:])]
	e.close(d)
}
