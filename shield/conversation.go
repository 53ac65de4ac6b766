package shield

import (
	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/detect"
	"github.com/dejpha/dejpha/flow"
	"github.com/dejpha/dejpha/stream"
)

// feedRounds bounds how often one packet may make the two directions take turns (STARTTLS, swapped ends).
const feedRounds = 8

// segment gives a TCP packet to stream, and what became readable to app.
func (w *worker) segment(p *decode.Packet, f *flow.Flow, dir flow.Direction, in *detect.Input) {
	if f.Stream == 0 && f.State == flow.Closed {
		return // what follows a closed connection belongs to none
	}
	o := w.streams.Segment(f, p, dir)
	in.StreamEvents, in.Accepted, in.Handshake = o.Events, o.Accepted, o.Established
	if o.Swapped {
		in.Dir ^= 1
		dir ^= 1
	}
	if w.set.stops && o.OverlapBytes > 0 { // the target may choose the copy that nobody looked at
		w.verdict = capture.Drop
	}
	w.streamSignals(p, f, dir, &o)
	s := w.streams.Session(f.Stream)
	if s == nil {
		return
	}
	in.Stream = w.streams
	w.feed(f, s, p.Time, p.Number)
}

// feed offers both directions' readable bytes to app until nothing moves.
func (w *worker) feed(f *flow.Flow, s *stream.Session, time int64, number uint64) {
	for range feedRounds {
		moved := false
		for dir := flow.ToServer; dir <= flow.ToClient; dir++ {
			again, took := w.feedDirection(f, s, dir, time, number)
			moved = moved || took
			if again {
				w.afterwards(f, time, number)
				moved = true
				break
			}
		}
		if !moved {
			return
		}
	}
}

// feedDirection offers one direction's bytes. again: the ends were swapped or the protocol changed, start over.
func (w *worker) feedDirection(f *flow.Flow, s *stream.Session, dir flow.Direction, time int64, number uint64) (again, took bool) {
	data, gap, end := w.streams.Next(s, dir, stream.App)
	if len(data) == 0 && gap == 0 && !end {
		return false, false
	}
	n := w.apps.Feed(f, dir, data, gap, end, time, number)
	c := w.apps.Conversation(f)
	if c != nil && c.Swap {
		s.Swap()
		f.Swap()
		return true, true
	}
	w.streams.Advance(s, dir, stream.App, n)
	w.facts(f, time, number)
	if c != nil && c.Again {
		return true, true
	}
	return false, n > 0 || gap > 0
}

// datagram gives the payload of a packet that is not TCP to app.
func (w *worker) datagram(p *decode.Packet, f *flow.Flow, dir flow.Direction) {
	if p.Proto != decode.ProtoUDP || !p.HasL4 {
		return
	}
	w.echoed(p, f, dir)
	w.apps.Datagram(f, dir, p.Payload, p.Time, p.Number)
	if c := w.apps.Conversation(f); c != nil && c.Swap {
		f.Swap()
		dir ^= 1
		w.apps.Datagram(f, dir, p.Payload, p.Time, p.Number)
	}
	w.facts(f, p.Time, p.Number)
}

// afterwards writes the records of finished transactions and lets go of them.
func (w *worker) afterwards(f *flow.Flow, time int64, number uint64) {
	c := w.apps.Conversation(f)
	if c == nil {
		return
	}
	w.transactions(f, c, time, number)
	w.apps.Settle(f)
}

// flowEnded is called by the flow table before a record is used again.
func (w *worker) flowEnded(f *flow.Flow) {
	w.contentEnded(f)
	w.skip.Ended(f)
	w.flowSignal(f)
	w.rehearse(f)
	w.flowRecord(f)
	if w.detect != nil {
		w.detect.FlowEnd(f)
	}
}

// holesMax bounds the holes of an ended connection behind which its bytes are still looked at.
const holesMax = 64

// beforeHoles lets rules look at what stands before each hole of an ended connection, and app read what follows it.
func (w *worker) beforeHoles(f *flow.Flow, s *stream.Session, in detect.Input) {
	for range holesMax {
		if !s.Held() {
			return
		}
		if c := w.apps.Conversation(f); c != nil {
			in.Conversation = c
		}
		w.endRules(&in)
		w.feed(f, s, w.now, in.Number)
	}
}

// contentEnded takes the last look at what a flow carried and frees it; the record lives on until it is idle for
// too long. Called when a connection is closed, else at the flow's end.
func (w *worker) contentEnded(f *flow.Flow) {
	number := w.number
	in := detect.Input{Flow: f, Ending: true, Time: w.now, Number: number}
	if f.Stream != 0 {
		w.streams.End(f)
		if s := w.streams.Session(f.Stream); s != nil {
			in.Stream = w.streams
			w.feed(f, s, w.now, number)
			w.beforeHoles(f, s, in)
			f.TCPState, f.Gaps = uint8(s.State), s.Gaps()
		}
	}
	w.apps.End(f, w.now, number)
	w.facts(f, w.now, number)
	if c := w.apps.Conversation(f); c != nil {
		in.Conversation = c
	}
	w.endRules(&in)
	if c := w.apps.Conversation(f); c != nil {
		w.transactions(f, c, w.now, number)
	}
	w.apps.Forget(f)
	w.streams.Forget(f)
}
