package stream

import (
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/flow"
)

const handshakeFlags = decode.SYN | decode.ACK | decode.RST | decode.FIN

// Segment takes one TCP packet of a flow.
func (e *Engine) Segment(f *flow.Flow, p *decode.Packet, dir flow.Direction) Outcome {
	e.events = e.events[:0]
	var o Outcome
	s := e.Session(f.Stream)
	if !e.checksum(s, p, dir) {
		e.Counters.Rejected++
		return o
	}
	if s == nil {
		if s = e.begin(f, p, &o); s == nil {
			o.Events = e.events
			return o
		}
		if o.Swapped {
			dir ^= 1
		}
	} else {
		e.linger(s)
		e.follow(s, f, p, dir, &o)
	}
	if o.Accepted {
		e.payload(s, f, p, dir, &o)
	}
	if s.State == Closed || s.State == TimeWait {
		f.State = flow.Closed
	} else if s.established() {
		f.State = flow.Established
	}
	o.Events = e.events
	return o
}

// checksum says whether a packet's checksum lets it through. A sender that got one right gets no wrong one through;
// one that never did sits on the capturing machine, whose card fills checksums in later.
func (e *Engine) checksum(s *Session, p *decode.Packet, dir flow.Direction) bool {
	if p.Unsummed {
		return true
	}
	if !p.BadL4Checksum {
		if s != nil {
			s.sides[dir].sums = true
		}
		return true
	}
	return e.cfg.BadChecksums || !e.cfg.StrictChecksums && (s == nil || !s.sides[dir].sums)
}

func (e *Engine) event(i uint8) { e.events = append(e.events, i) }

// begin opens a session on the first packet of a flow; nil: nothing to follow.
func (e *Engine) begin(f *flow.Flow, p *decode.Packet, o *Outcome) *Session {
	t := &p.TCP
	switch t.Flags & handshakeFlags {
	case decode.SYN:
		s := e.open(f)
		s.State = SynSent
		s.sides[0].sums = !p.BadL4Checksum
		s.sides[0].start(t)
		o.Accepted = true
		return s
	case decode.SYN | decode.ACK:
		if !e.cfg.Midstream && !e.cfg.AsyncOneSide {
			return nil
		}
		f.Swap()
		o.Swapped, o.Accepted = true, true
		s := e.open(f)
		s.State, s.Midstream, f.Midstream = SynRecv, true, true
		s.sides[1].start(t)
		s.sides[0].startAt(t.Ack)
		s.oneWay, s.oneDir = e.cfg.AsyncOneSide, flow.ToClient
		return s
	}
	if t.Flags&decode.RST != 0 {
		e.event(RstButNoSession)
		return nil
	}
	if t.Flags&decode.FIN != 0 && !e.cfg.Midstream {
		e.event(FinButNoSession)
		return nil
	}
	if !e.cfg.Midstream || t.Flags&(decode.SYN|decode.ACK) != decode.ACK {
		return nil
	}
	s := e.open(f)
	s.State, s.Midstream, f.Midstream = Established, true, true
	s.sides[0].startAt(t.Seq)
	s.sides[1].startAt(t.Ack)
	s.sides[0].window, s.sides[1].window = uint32(t.Window), 65535
	s.sides[0].scale, s.sides[1].scale = 14, 14
	s.oneWay, s.oneDir = e.cfg.AsyncOneSide, flow.ToServer
	o.Accepted = true
	return s
}

// start takes a side's SYN.
func (d *side) start(t *decode.TCP) {
	d.startAt(t.Seq + 1)
	d.window = uint32(t.Window)
	if t.WScale >= 0 {
		d.scale = uint8(t.WScale)
	}
}

// startAt sets the number of a side's first byte.
func (d *side) startAt(first uint32) {
	d.began, d.isn, d.first = true, first-1, first
	d.next, d.highest, d.base, d.acked = first, first, first, first
	d.read, d.offered = [2]uint32{first, first}, first
}

// follow takes a packet of a known session through its states.
func (e *Engine) follow(s *Session, f *flow.Flow, p *decode.Packet, dir flow.Direction, o *Outcome) {
	t := &p.TCP
	from, to := &s.sides[dir], &s.sides[dir^1]
	switch {
	case t.Flags&decode.RST != 0:
		e.reset(s, f, p, dir, o)
		return
	case t.Flags&decode.SYN != 0 && t.Flags&decode.ACK == 0:
		e.again(s, t, dir, o)
		return
	case t.Flags&decode.SYN != 0:
		e.answer(s, f, t, dir, o)
		return
	}
	if s.State == SynSent {
		e.beforeAnswer(s, f, p, dir, o)
		return
	}
	if !from.began {
		from.startAt(t.Seq)
	}
	if t.Flags&decode.ACK == 0 && t.Flags&decode.FIN == 0 && len(p.Payload) == 0 {
		e.event(PktBrokenAck)
		return
	}
	if !e.inWindow(s, from, to, t, len(p.Payload)) {
		e.event(EstPacketOutOfWindow)
		return
	}
	if t.Flags&decode.ACK != 0 && !e.acknowledge(s, f, from, to, t, dir) {
		return
	}
	s.oneWay = s.oneWay && dir == s.oneDir
	if s.State == SynRecv && (dir == flow.ToServer || s.oneWay) && t.Flags&decode.ACK != 0 {
		s.State = Established
		o.Established = true
	}
	o.Accepted = true
	from.window = uint32(t.Window)
	if t.Flags&decode.FIN != 0 {
		s.finish(from, dir, t.Seq+uint32(len(p.Payload)))
	}
}

// again takes a SYN of a session that has one.
func (e *Engine) again(s *Session, t *decode.TCP, dir flow.Direction, o *Outcome) {
	switch {
	case s.State == SynSent && dir == flow.ToServer:
		if t.Seq != s.sides[0].isn {
			s.sides[0].start(t) // nobody answered the first one
		}
		o.Accepted = true
	case s.State == SynSent:
		s.sides[1].start(t) // both open at once (RFC 9293 section 3.5)
		o.Accepted = true
	case s.State == SynRecv:
		if dir == flow.ToClient {
			e.event(SynToClientOnSynRecv)
		} else if t.Seq != s.sides[0].isn {
			e.event(SynResendDiffSeqOnSynRecv)
		} else {
			o.Accepted = true
		}
	case dir == flow.ToClient:
		e.event(EstSynToClient)
	case t.Seq != s.sides[0].isn:
		e.event(EstSynResendDiffSeq)
	default:
		e.event(EstSynResend)
	}
}

// answer takes a SYN-ACK.
func (e *Engine) answer(s *Session, f *flow.Flow, t *decode.TCP, dir flow.Direction, o *Outcome) {
	client, server := &s.sides[0], &s.sides[1]
	switch {
	case s.State == SynSent && dir == flow.ToClient:
		if t.Ack != client.first && !(after(t.Ack, client.first) && !after(t.Ack, client.highest)) {
			e.event(SynAckWrongAck)
			return
		}
		server.start(t)
		client.acked, client.hasAck = t.Ack, true
		s.State = SynRecv
		o.Accepted = true
	case s.State == SynSent:
		if client.began && server.began { // both opened at once
			s.State = SynRecv
			o.Accepted = true
			return
		}
		e.event(SynAckInWrongDirection)
	case s.State == SynRecv && dir == flow.ToServer:
		e.event(SynAckToServerOnSynRecv)
	case s.State == SynRecv:
		switch {
		case t.Ack != client.acked:
			e.event(SynAckResendDifferentAck)
		case t.Seq != server.isn:
			e.event(SynAckResendDiffSeq)
			server.start(t)
			o.Accepted = true
		default:
			o.Accepted = true
		}
	case dir == flow.ToServer:
		e.event(EstSynAckToServer)
	case t.Ack != client.first && t.Ack != client.acked:
		e.event(EstSynAckResendDifferentAck)
	case t.Seq != server.isn:
		e.event(EstSynAckResendDiffSeq)
	default:
		e.event(EstSynAckResend)
		o.Accepted = true
	}
}

// beforeAnswer takes a packet after a SYN whose SYN-ACK was not seen: one-way traffic, or an early one.
func (e *Engine) beforeAnswer(s *Session, f *flow.Flow, p *decode.Packet, dir flow.Direction, o *Outcome) {
	t := &p.TCP
	if dir == flow.ToClient {
		if e.cfg.Midstream {
			s.sides[1].startAt(t.Seq)
			s.State, s.Midstream, f.Midstream = Established, true, true
			e.acknowledge(s, f, &s.sides[1], &s.sides[0], t, dir)
			o.Accepted = true
		}
		return
	}
	if f.Packets[flow.ToClient] > 0 || !e.cfg.AsyncOneSide && !e.cfg.Midstream {
		return
	}
	if t.Seq != s.sides[0].next && !after(t.Seq, s.sides[0].next) {
		e.event(AsyncWrongSeq)
		return
	}
	s.State, s.Midstream, f.Midstream = Established, true, true
	s.oneWay, s.oneDir = e.cfg.AsyncOneSide, flow.ToServer
	s.sides[1].startAt(t.Ack)
	o.Accepted = true
}

// inWindow says whether a packet may be meant for this connection (RFC 9293 section 3.4).
func (e *Engine) inWindow(s *Session, from, to *side, t *decode.TCP, n int) bool {
	if s.Midstream {
		return int32(t.Seq-from.next) < windowSlack*8 && int32(from.next-t.Seq) < windowSlack*8
	}
	window := to.window << min(to.scale, 14)
	right := later(from.acked, from.next) + max(window, 65535) + windowSlack/16
	return !after(t.Seq, right) && !after(from.next-windowSlack*4, t.Seq+uint32(n))
}

// acknowledge takes what from acknowledges of to's bytes; false: the number is impossible.
func (e *Engine) acknowledge(s *Session, f *flow.Flow, from, to *side, t *decode.TCP, dir flow.Direction) bool {
	if !to.began {
		to.startAt(t.Ack)
	}
	if after(t.Ack, to.highest+windowSlack*4) {
		e.event(PktInvalidAck)
		e.event(EstInvalidAck)
		return false
	}
	if after(t.Ack, to.acked) || !to.hasAck && !after(to.first, t.Ack) {
		to.acked, to.hasAck = t.Ack, true
	}
	if to.fin && after(t.Ack, to.finSeq) {
		s.finAcked(dir ^ 1)
	}
	e.prove(s, f, from, to, t, dir)
	return true
}

// prove notes two-way contact (DESIGN section 2): after a handshake, the client acknowledged the server's first
// number; midstream, both acknowledged bytes that were seen to leave the other.
func (e *Engine) prove(s *Session, f *flow.Flow, from, to *side, t *decode.TCP, dir flow.Direction) {
	if f.Proven {
		return
	}
	if !s.Midstream {
		f.Proven = dir == flow.ToServer && s.State >= SynRecv && after(t.Ack, to.isn) && !after(t.Ack, to.highest)
		return
	}
	one := func(d *side) bool { return d.hasAck && after(d.acked, d.first) && !after(d.acked, d.highest) }
	f.Proven = one(from) && one(to)
}

// reset takes an RST: only one inside the window ends the connection (RFC 5961 section 3).
func (e *Engine) reset(s *Session, f *flow.Flow, p *decode.Packet, dir flow.Direction, o *Outcome) {
	t := &p.TCP
	from, to := &s.sides[dir], &s.sides[dir^1]
	if s.State == SynSent && dir == flow.ToClient {
		if t.Flags&decode.ACK != 0 && t.Ack != to.first && t.Ack != to.isn+1 && t.Ack != to.highest {
			e.event(RstInvalidAck)
			return
		}
	} else if from.began && !s.Midstream {
		window := max(to.window<<min(to.scale, 14), 65535)
		if after(from.next-1, t.Seq) && after(from.acked-1, t.Seq) || after(t.Seq, from.next+window) {
			e.event(SuspectedRstInject)
			return
		}
	}
	o.Accepted = true
	s.State = Closed
	from.rst, to.rst = true, true
}

// finish notes a FIN of one direction at number seq.
func (s *Session) finish(from *side, dir flow.Direction, seq uint32) {
	if from.fin {
		return
	}
	from.fin, from.finSeq = true, seq
	from.finDone = from.next == seq
	switch s.State {
	case Established, SynRecv:
		if dir == flow.ToServer {
			s.State = FinWait1
		} else {
			s.State = CloseWait
		}
	case FinWait1:
		s.State = Closing
	case FinWait2:
		s.State = TimeWait
	case CloseWait:
		s.State = LastAck
	}
}

// finAcked notes that the FIN of direction dir was acknowledged.
func (s *Session) finAcked(dir flow.Direction) {
	switch {
	case s.State == FinWait1 && dir == flow.ToServer:
		s.State = FinWait2
	case s.State == Closing:
		s.State = TimeWait
	case s.State == LastAck && s.sides[0].fin && s.sides[1].fin:
		s.State = Closed
	}
}
