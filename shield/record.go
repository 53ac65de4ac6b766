package shield

import (
	"github.com/dejpha/dejpha/app"
	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/behaviour"
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/detect"
	"github.com/dejpha/dejpha/eve"
	"github.com/dejpha/dejpha/flow"
	"github.com/dejpha/dejpha/shield/recent"
	"github.com/dejpha/dejpha/stream"
)

// line adds what was appended to the epoch's bytes since start as a finding.
func (w *worker) line(start int, number, first uint64, p phase) {
	w.counts.Records++
	w.found(finding{number: number, first: first, phase: w.phaseOf(p), kind: foundLine, start: start, end: len(w.out.bytes)})
}

// matched turns one match of a rule into a finding with its line and its packets.
func (w *worker) matched(in *detect.Input, m *detect.Match) {
	w.counts.Matches++
	w.skip.Ask(m.Rule.Bypass && in.Packet != nil)
	o := w.out
	f := in.Flow
	where := eve.Where{Packet: in.Packet, Flow: f, Dir: in.Dir}
	if in.Packet == nil {
		where.Ending = true
		where.Packet = w.lastPacket(f, m)
	}
	if m.HasTx && m.Dir != in.Dir && in.Packet != nil {
		where.Packet, where.Dir = &w.packets[len(w.packets)-1], m.Dir
		in.Packet.Turn(where.Packet)
	}
	p := where.Packet
	a := eve.Alert{Where: where, Rule: m.Rule, Action: "allowed", TxID: m.TxID, HasTx: m.HasTx, Stream: m.Stream, Payload: p.Payload, Tx: m.Tx, TxDir: contract.Direction(m.Dir), Frame: m.Frame}
	if f != nil && f.Proto == decode.ProtoTCP && (m.Stream || m.HasTx) {
		a.Stream = true
		if w.eve.Payload || w.eve.PayloadPrintable {
			if w.shown = w.streams.Shown(w.shown[:0], f, m.Dir); len(w.shown) > 0 {
				a.Payload = w.shown
			}
		}
	}
	a.Verdict = "alert"
	if m.Passed {
		a.Verdict = "pass"
	}
	if m.Dropped {
		a.Action, a.Verdict = "blocked", "drop"
		if in.Packet != nil {
			a.Reject = w.stop(in.Packet, m.Action)
		}
	}
	start := len(o.bytes)
	alert := !m.Rule.NoAlert && !m.Silent
	if alert {
		if w.set.writes("alert") {
			o.bytes = eve.AppendAlert(o.bytes, &w.eve, &a)
		}
		if f != nil {
			f.Alerted = true
		}
	}
	x := match{rule: m.Rule, alert: alert, time: p.Time, src: p.Src, dst: p.Dst, srcPort: p.SrcPort, dstPort: p.DstPort,
		ipVersion: p.IPVersion, proto: p.Proto, iface: p.Interface, vlan: p.VLAN[0], packetBytes: p.WireLen, toClient: where.Dir == flow.ToClient, stopped: m.Alone && w.set.stops}
	end := len(o.bytes)
	if f != nil {
		x.hasFlow, x.flowID, x.proven, x.seen = true, f.ID, f.Proven, f.Last
		x.client, x.server, x.clientPort, x.serverPort = f.Client, f.Server, f.ClientPort, f.ServerPort
		x.app = w.apps.Name(f.AppProto)
		if x.app == "dns" && m.HasTx {
			x.domain = behaviour.Registrable(app.AskedName(w.apps.Protocol(f.AppProto), m.Tx))
		}
		if !m.Rule.NoAlert {
			w.flows.Pin(f)
		}
		x.keptFrom = len(o.kept)
		w.keep(f)
		x.keptTo = len(o.kept)
	}
	o.matches = append(o.matches, x)
	first := uint64(0)
	if f != nil {
		first = f.FirstNumber
	}
	w.found(finding{number: p.Number, first: first, sid: m.Rule.SID, phase: w.phaseOf(phaseRule), kind: foundMatch, index: int32(len(o.matches) - 1), start: start, end: end})
}

// keep copies the flow's packets that are still in the ring and were not taken before, oldest first.
func (w *worker) keep(f *flow.Flow) {
	w.chain(f, f.Kept, recent.ChainMax)
	f.Kept = f.Ring
}

// chain copies at most a number of the flow's latest packets out of the ring, those after an entry, oldest first.
func (w *worker) chain(f *flow.Flow, after uint64, most int) {
	w.out.bytes, w.out.kept = w.ring.Chain(w.out.bytes, w.out.kept, f.Ring, after, most)
}

// keepFrame copies the frame in hand for a signal; the result is its stretch of the epoch's kept packets, empty for
// none. A frame with several signals is copied once.
func (w *worker) keepFrame(s *behaviour.Signal) (from, to int) {
	f := w.inHand
	if f == nil || s.Kind&(behaviour.Milestone|behaviour.Ended) != 0 {
		return 0, 0
	}
	o := w.out
	if n := len(o.kept); n > 0 && o.framed == w.number {
		return o.framedAt, o.framedAt + 1
	}
	start := len(o.bytes)
	o.bytes = append(o.bytes, f.Data[:min(len(f.Data), recent.FrameBytes)]...)
	o.kept = append(o.kept, recent.Kept{Start: start, End: len(o.bytes), Wire: f.WireLen, Link: f.LinkType, Time: w.now, Number: w.number})
	o.framed, o.framedAt = w.number, len(o.kept)-1
	return o.framedAt, len(o.kept)
}

// lastPacket stands in for the packet where a flow's end brought a match to light.
func (w *worker) lastPacket(f *flow.Flow, m *detect.Match) *decode.Packet {
	p := &w.packets[len(w.packets)-1]
	*p = decode.Packet{Number: w.number, Time: w.now, IPVersion: f.IPVersion, Proto: f.Proto, VLAN: f.VLAN, VLANs: f.VLANs}
	p.Src, p.Dst, p.SrcPort, p.DstPort = f.Client, f.Server, f.ClientPort, f.ServerPort
	if m.Dir == flow.ToClient {
		p.Src, p.Dst, p.SrcPort, p.DstPort = f.Server, f.Client, f.ServerPort, f.ClientPort
	}
	return p
}

// endRules looks once more at what a flow's end brought to light.
func (w *worker) endRules(in *detect.Input) {
	if w.detect == nil {
		return
	}
	for _, m := range w.detect.Inspect(in) {
		in.Dir = m.Dir
		w.matched(in, &m)
	}
}

// transactions writes the records of transactions and files that are finished and not yet written.
func (w *worker) transactions(f *flow.Flow, c *app.Conversation, time int64, number uint64) {
	proto := c.Protocol
	if proto == nil {
		return
	}
	w.conversationEvents(f, c, time, number)
	for _, tx := range c.Txs() {
		st := tx.State()
		w.txEvents(f, proto, tx, time, number)
		if st.Logged || !c.Complete(tx) {
			continue
		}
		st.Logged = true
		if proto.EventType != "" && w.set.writes(proto.EventType) {
			dir := flow.ToServer
			if st.OneWay == 2 {
				dir = flow.ToClient
			}
			t := eve.Transaction{Flow: f, At: time, Number: number, Dir: dir, Event: proto.EventType, Tx: tx}
			start := len(w.out.bytes)
			w.out.bytes = eve.AppendTransaction(w.out.bytes, &w.eve, &t)
			w.line(start, number, f.FirstNumber, phaseRecord)
		}
		w.files(f, tx, time, number)
	}
}

// files writes a fileinfo record for each finished file of a finished transaction.
func (w *worker) files(f *flow.Flow, tx contract.Tx, time int64, number uint64) {
	if !w.set.writes("fileinfo") {
		return
	}
	for _, file := range tx.State().Files {
		if file.Logged {
			continue
		}
		file.Logged = true
		i := eve.FileInfo{Flow: f, At: time, Number: number, Tx: tx, File: file}
		start := len(w.out.bytes)
		w.out.bytes = eve.AppendFileInfo(w.out.bytes, &w.eve, &i)
		w.line(start, number, f.FirstNumber, phaseRecord)
	}
}

// txEvents writes an anomaly for each new event of a transaction.
func (w *worker) txEvents(f *flow.Flow, proto *contract.Protocol, tx contract.Tx, time int64, number uint64) {
	st := tx.State()
	for st.EventsSeen < len(st.Events) {
		e := st.Events[st.EventsSeen]
		st.EventsSeen++
		if !w.set.writes("anomaly") || int(e) >= len(proto.Events) {
			continue
		}
		a := eve.Anomaly{Type: "applayer", Event: proto.Events[e], Layer: "proto_parser", TxID: st.ID, HasTx: true}
		start := len(w.out.bytes)
		w.out.bytes = eve.AppendFlowAnomaly(w.out.bytes, &w.eve, f, time, number, flow.ToServer, &a)
		w.line(start, number, f.FirstNumber, phaseApp)
	}
}

// conversationEvents writes an anomaly for each oddity of identification.
func (w *worker) conversationEvents(f *flow.Flow, c *app.Conversation, time int64, number uint64) {
	names := app.Events()
	for ; c.EventsSeen < len(c.Events); c.EventsSeen++ {
		if !w.set.writes("anomaly") {
			continue
		}
		a := eve.Anomaly{Type: "applayer", Event: names[c.Events[c.EventsSeen]], Layer: "proto_detect"}
		start := len(w.out.bytes)
		w.out.bytes = eve.AppendFlowAnomaly(w.out.bytes, &w.eve, f, time, number, flow.ToServer, &a)
		w.line(start, number, f.FirstNumber, phaseApp)
	}
}

// decodeEvents writes an anomaly for each decode event of a packet.
func (w *worker) decodeEvents(p *decode.Packet, f *flow.Flow, dir flow.Direction) {
	if p.Events == (decode.EventSet{}) {
		return
	}
	w.counts.DecodeEvents++
	for i := range decode.EventNames {
		if p.Events.Has(i) {
			w.counts.Decode[i]++
		}
	}
	if !w.set.writes("anomaly") {
		return
	}
	for i, name := range decode.EventNames {
		if !p.Events.Has(i) {
			continue
		}
		a := eve.Anomaly{Type: "decode", Event: "decoder." + name}
		start := len(w.out.bytes)
		w.out.bytes = eve.AppendPacketAnomaly(w.out.bytes, &w.eve, eve.Where{Packet: p, Flow: f, Dir: dir}, &a)
		w.line(start, p.Number, firstOf(f), phaseDecode)
	}
}

func firstOf(f *flow.Flow) uint64 {
	if f == nil {
		return 0
	}
	return f.FirstNumber
}

// flowRecord writes a flow's record.
func (w *worker) flowRecord(f *flow.Flow) {
	if !w.set.writes("flow") {
		return
	}
	e := eve.FlowEnd{Flow: f, At: w.now}
	if f.Proto == decode.ProtoTCP {
		e.TCPState, e.Gaps = stream.State(f.TCPState).String(), f.Gaps
	}
	start := len(w.out.bytes)
	w.out.bytes = eve.AppendFlow(w.out.bytes, &w.eve, &e)
	w.line(start, w.number, f.FirstNumber, phaseRecord)
}
