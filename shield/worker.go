package shield

import (
	"sync/atomic"

	"github.com/dejpha/dejpha/app"
	"github.com/dejpha/dejpha/behaviour"
	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/defrag"
	"github.com/dejpha/dejpha/detect"
	"github.com/dejpha/dejpha/eve"
	"github.com/dejpha/dejpha/figures"
	"github.com/dejpha/dejpha/flow"
	"github.com/dejpha/dejpha/shield/bypass"
	"github.com/dejpha/dejpha/shield/ledger"
	"github.com/dejpha/dejpha/shield/recent"
	"github.com/dejpha/dejpha/shield/way"
	"github.com/dejpha/dejpha/stream"
)

// tunnelDepth is how many packets inside one another are looked into; deeper ones are counted by decode.
const tunnelDepth = 8

// worker carries the packets of its pairs of addresses along the main way. Everything in it is its own.
type worker struct {
	set     *settings
	decoder decode.Decoder
	packets [tunnelDepth + 2]decode.Packet
	defrag  *defrag.Table
	flows   *flow.Table
	streams *stream.Engine
	apps    *app.Driver
	detect  *detect.Worker
	next    atomic.Pointer[renewal] // rules to go over to
	repose  repose
	gauges  atomic.Pointer[figures.Worker] // as of the last tick
	ring    *recent.Ring
	eve     eve.Options
	out     *epoch
	sums    bool           // rules ask for checksums
	shown   []byte         // a stream's bytes for the alert in hand
	number  uint64         // of the frame in hand
	inHand  *capture.Frame // nil between frames
	handed  capture.Frame  // the batch's one in hand; here, because a frame of its own would be an allocation each
	now     int64
	ending  phase // phase of findings made while flows end
	load    uint64
	counts  Counters
	verdict capture.Verdict // on the frame in hand, as far as it is decided
	skip    bypass.Keeper   // of what the kernel need not show
	notice  way.Notice      // to both ends, of what was stopped
}

// frame is the trip of one frame, from bytes to findings and to its fate. Unless the shield judges as if inline every
// frame is accepted.
func (w *worker) frame(f *capture.Frame, number uint64, now int64) capture.Verdict {
	if n := w.next.Load(); n != nil {
		w.renew(n)
	}
	w.number, w.now, w.verdict = number, now, capture.Accept
	w.notice.Reset()
	w.load++
	signals := len(w.out.signals)
	w.counts.Bytes += uint64(f.WireLen)
	p := &w.packets[0]
	p.Number, p.Time, p.WireLen, p.Interface = number, now, f.WireLen, f.Interface
	w.decoder.Checksums = w.set.checksums && (!f.Unsummed || w.sums)
	w.decoder.Decode(p, f.LinkType, f.Data)
	p.Unsummed = f.Unsummed
	switch {
	case w.barred(p):
		w.out.ledger.Count(f.Interface, ledger.Barred)
		w.verdict = capture.Drop
	case p.Undecodable != decode.ReasonNone:
		w.out.ledger.Count(f.Interface, ledger.Undecodable)
		w.counts.Undecodable[p.Undecodable&31]++
		w.carry(p, f)
	default:
		w.out.ledger.Count(f.Interface, ledger.Inspected)
		w.carry(p, f)
	}
	if w.verdict == capture.Drop {
		w.counts.Stopped++
		w.stopped(w.out.signals[signals:])
	}
	return w.verdict
}

// carry is the trip that one packet of a hostile kind must not end for all.
func (w *worker) carry(p *decode.Packet, f *capture.Frame) {
	w.inHand = f
	defer w.survive()
	w.trip(p, 0, f)
}

// survive counts a broken invariant of ours that a packet brought to light: one packet must not end the shield.
func (w *worker) survive() {
	w.inHand = nil
	if recover() != nil {
		w.counts.Broken++
	}
}

// trip takes one decoded packet through flow, stream, app and detect, then what it carries.
func (w *worker) trip(p *decode.Packet, level int, frame *capture.Frame) {
	if p.Fragment && level+1 < len(w.packets) {
		w.counts.Fragments++
		if datagram, done := w.defrag.Insert(p); done {
			whole := &w.packets[level+1]
			w.decoder.DecodeDatagram(whole, datagram, p)
			w.inspect(p, frame)
			w.trip(whole, level+1, frame)
			return
		}
	}
	w.inspect(p, frame)
	if p.Inner != nil && level+1 < len(w.packets) {
		inner := &w.packets[level+1]
		w.decoder.DecodeInner(inner, p)
		w.trip(inner, level+1, frame)
	}
}

// inspect is the trip of one packet without its cargo.
func (w *worker) inspect(p *decode.Packet, frame *capture.Frame) {
	f, dir, fresh := w.flows.Lookup(p)
	in := detect.Input{Packet: p, Flow: f, Dir: dir}
	if f != nil {
		w.flows.Update(f, p, dir)
		if w.set.verdicts && f.Action >= flow.ActionDrop {
			w.verdict = capture.Drop
		}
		f.Ring = w.ring.Add(frame.Data, frame.WireLen, frame.LinkType, p.Time, p.Number, f.Ring)
		if fresh {
			w.counts.Flows++
			w.flowStart(p, f)
		}
	}
	w.decodeEvents(p, f, dir)
	in.NoPayload = w.skip.Over(f)
	switch {
	case f == nil:
		w.linkSignals(p)
	case in.NoPayload:
	case p.Proto == decode.ProtoTCP && p.HasL4:
		w.segment(p, f, dir, &in)
	default:
		w.datagram(p, f, dir)
	}
	if f != nil {
		w.flowSignals(p, f, dir)
		w.vouch(f)
	}
	w.rules(&in)
	if f != nil {
		w.afterwards(f, p.Time, p.Number)
		if f.Stream != 0 && f.State == flow.Closed {
			s := w.flowFields(behaviour.Hangup, f, p.Time, p.Number)
			s.HasData, s.Size = w.streams.Size(f, flow.ToServer) > 0, uint32(min(w.streams.Size(f, flow.ToClient), 1<<31))
			w.signal(s)
			w.contentEnded(f)
		}
		if w.skip.Begin(p, f, in.StreamEvents, w.apps.Conversation(f)) {
			w.contentEnded(f)
			f.State = flow.Bypassed
		}
	}
}

// rules asks detect for the matches of the packet and of what it brought.
func (w *worker) rules(in *detect.Input) {
	if w.detect == nil {
		return
	}
	if in.Flow != nil {
		if c := w.apps.Conversation(in.Flow); c != nil {
			in.Conversation = c
		}
	}
	for _, m := range w.detect.Inspect(in) {
		w.matched(in, &m)
	}
}

// tick ends the flows whose time has come; called at the same packet for every worker.
func (w *worker) tick(now int64) {
	if n := w.next.Load(); n != nil { // no packet brought it in
		w.renew(n)
	}
	w.now = now
	w.ending = phaseTick
	w.flows.Sweep(now)
	if !w.set.replay {
		w.gauge()
	}
	if w.pressed() {
		w.flows.Relieve(now, pressedIdle, w.pressed)
	}
	w.ending = phaseRecord
}

// Pressure. What a conversation makes protocols and rules hold is not counted byte by byte; these are averages over
// mixed traffic, on the high side. While all conversations together are past a fifth of the worker's memory, those
// idle for longest end early, as Suricata's do in its emergency mode.
const (
	flowBytes    = 768
	sessionBytes = 3 << 10
	pressedIdle  = int64(30e9) // ns; a conversation that paused for less is never ended early
)

func (w *worker) pressed() bool {
	s := &w.streams.Counters
	held := int64(w.flows.Counters.Live)*flowBytes + int64(s.Live)*sessionBytes + s.BufferBytes
	return held > w.set.memory/5
}

// close ends the flows whose first packet came at the latest as number upTo, in the order of their first packets.
func (w *worker) close(upTo uint64) {
	w.ending = phaseTick
	w.flows.Close(upTo)
}
