package shield

import (
	"math/bits"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/behaviour"
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/flow"
	"github.com/dejpha/dejpha/stream"
)

const (
	milestoneFirst = 32 // packets of a flow at its first milestone, then each doubling
	datagramsTold  = 4
)

// telling are the facts whose detectors conclude from few of them: the packets that led to each are kept.
var telling = [256]bool{contract.LoginFailed: true, contract.LoginSucceeded: true, contract.LoginAttempt: true, contract.Heartbleed: true, contract.RPCCall: true,
	contract.SMBFile: true, contract.KerberosRequest: true, contract.KerberosError: true, contract.DHCPOffer: true, contract.NTPMonlist: true}

const tellingPackets = 12 // of the flow, up to the fact's own

// signal adds a signal for the detectors, with the frame in hand.
func (w *worker) signal(s behaviour.Signal) {
	if w.set.detectors {
		from, to := w.keepFrame(&s)
		w.signalWith(s, from, to)
	}
}

// signalWith adds a signal with its packets, a stretch of the epoch's kept ones.
func (w *worker) signalWith(s behaviour.Signal, from, to int) {
	o := w.out
	o.signals = append(o.signals, s)
	w.found(finding{number: s.Number, first: s.FlowFirst, phase: w.phaseOf(phaseDetector), kind: foundSignal, index: int32(len(o.signals) - 1), start: from, end: to})
}

// phaseOf is p, but for what comes to light while flows end at a tick.
func (w *worker) phaseOf(p phase) phase {
	if w.ending == phaseTick {
		return phaseTick
	}
	return p
}

// stopped marks what was told of a packet that goes no further; a flow that ended for want of room is another's.
func (w *worker) stopped(signals []behaviour.Signal) {
	for i := range signals {
		signals[i].Stopped = w.set.stops && signals[i].Kind != behaviour.Ended
	}
}

func (w *worker) found(f finding) {
	f.order = w.out.order
	w.out.order++
	w.out.findings = append(w.out.findings, f)
}

// flowFields fills in what every signal about a flow says.
func (w *worker) flowFields(kind behaviour.Kind, f *flow.Flow, time int64, number uint64) behaviour.Signal {
	return behaviour.Signal{
		Kind: kind, Time: time, Number: number, FlowID: f.ID, FlowFirst: f.FirstNumber,
		Client: f.Client, Server: f.Server, ClientPort: f.ClientPort, ServerPort: f.ServerPort,
		IPVersion: f.IPVersion, Proto: f.Proto, Proven: f.Proven, Midstream: f.Midstream,
		App: w.apps.Name(f.AppProto), VLAN: f.VLAN[0], Packets: f.Packets, Bytes: f.Bytes, Interface: f.Interface,
	}
}

func packetFields(s *behaviour.Signal, p *decode.Packet) {
	s.EthSrc, s.EthDst, s.Interface = p.EthSrc, p.EthDst, p.Interface
	s.TTL, s.Size, s.HasData = p.TTL, uint32(len(p.Payload)), len(p.Payload) > 0
	if p.Proto == decode.ProtoTCP {
		s.Flags, s.Window = p.TCP.Flags, p.TCP.Window
	}
}

func (w *worker) flowStart(p *decode.Packet, f *flow.Flow) {
	s := w.flowFields(behaviour.FlowStart, f, p.Time, p.Number)
	packetFields(&s, p)
	s.Code = uint32(p.ICMPType)
	w.signal(s)
}

// flowSignals tells what one packet changed in its flow.
func (w *worker) flowSignals(p *decode.Packet, f *flow.Flow, dir flow.Direction) {
	if p.Proto == decode.ProtoICMP || p.Proto == decode.ProtoICMPv6 {
		w.icmpSignals(p, f, dir)
	} else if p.Proto != decode.ProtoTCP && dir == flow.ToClient && f.Packets[flow.ToClient] == 1 {
		s := w.flowFields(behaviour.Established, f, p.Time, p.Number)
		packetFields(&s, p)
		w.signal(s)
	}
	if n := f.Packets[0] + f.Packets[1]; n >= milestoneFirst && bits.OnesCount64(n) == 1 {
		s := w.flowFields(behaviour.Milestone, f, p.Time, p.Number)
		packetFields(&s, p)
		w.signal(s)
	}
	if p.Proto == decode.ProtoUDP && f.AppProto == 0 && f.Packets[dir] <= datagramsTold && len(p.Payload) > 0 {
		s := w.flowFields(behaviour.Datagram, f, p.Time, p.Number)
		packetFields(&s, p)
		s.Dir = uint8(dir)
		copy(s.Head[:], p.Payload)
		w.signal(s)
	}
}

// ICMP types (RFC 792, RFC 4443, RFC 4861) that the detectors hear of.
const (
	icmpEchoReply, icmpUnreachable, icmpEcho      = 0, 3, 8
	icmp6Unreachable, icmp6Echo, icmp6EchoReply   = 1, 128, 129
	icmp6RouterSolicitation, icmp6NeighbourAdvert = 133, 136
)

func (w *worker) icmpSignals(p *decode.Packet, f *flow.Flow, dir flow.Direction) {
	v6 := p.Proto == decode.ProtoICMPv6
	var s behaviour.Signal
	switch t := p.ICMPType; {
	case p.Embedded.Valid && (!v6 && t == icmpUnreachable || v6 && t == icmp6Unreachable):
		s = w.flowFields(behaviour.Refused, f, p.Time, p.Number)
		s.Code = uint32(p.ICMPCode) + 1
		if e := &p.Embedded; f.Proto == p.Proto && e.Proto != p.Proto { // the flow it is about was never seen
			s.Client, s.Server, s.ClientPort, s.ServerPort, s.Proto = e.Src, e.Dst, e.SrcPort, e.DstPort, e.Proto
		} else {
			f.Refused = true
		}
	case !v6 && (t == icmpEcho || t == icmpEchoReply) || v6 && (t == icmp6Echo || t == icmp6EchoReply):
		s = w.flowFields(behaviour.Echo, f, p.Time, p.Number)
		packetFields(&s, p)
		s.Dir, s.Code = uint8(dir), uint32(t)
	case v6 && t >= icmp6RouterSolicitation && t <= icmp6NeighbourAdvert:
		s = w.flowFields(behaviour.NeighbourSeen, f, p.Time, p.Number)
		packetFields(&s, p)
		s.Client, s.Server = p.Src, p.Dst // neighbours ask and answer on flows of their own
		s.Code, s.Flags = uint32(t), p.L4[4]
		copy(s.Head[:], p.Payload)
	default:
		return
	}
	w.signal(s)
}

// streamSignals tells what a TCP packet changed: a finished handshake, a refusal, contradicting data.
func (w *worker) streamSignals(p *decode.Packet, f *flow.Flow, dir flow.Direction, o *stream.Outcome) {
	switch {
	case o.Established:
		s := w.flowFields(behaviour.Established, f, p.Time, p.Number)
		packetFields(&s, p)
		w.signal(s)
	case dir == flow.ToClient && p.TCP.Flags&decode.RST != 0 && f.Packets[flow.ToClient] == 1 && f.Packets[flow.ToServer] <= 3:
		f.Refused = true
		s := w.flowFields(behaviour.Refused, f, p.Time, p.Number)
		packetFields(&s, p)
		w.signal(s)
	}
	if o.OverlapBytes > 0 {
		s := w.flowFields(behaviour.Overlap, f, p.Time, p.Number)
		packetFields(&s, p)
		s.Dir, s.Size = uint8(dir), uint32(o.OverlapBytes)
		w.signal(s)
	}
}

// linkSignals tells of packets without a flow: ARP.
func (w *worker) linkSignals(p *decode.Packet) {
	if !p.ARP.Valid {
		return
	}
	s := behaviour.Signal{Kind: behaviour.ARPSeen, Time: p.Time, Number: p.Number, ARP: p.ARP, VLAN: p.VLAN[0],
		EthSrc: p.EthSrc, EthDst: p.EthDst, Interface: p.Interface}
	w.signal(s)
}

// facts takes what the protocol's parser reported since the last call.
func (w *worker) facts(f *flow.Flow, time int64, number uint64) {
	c := w.apps.Conversation(f)
	if c == nil || !w.set.detectors {
		return
	}
	for _, tx := range c.Txs() {
		st := tx.State()
		if len(st.Facts) == 0 {
			continue
		}
		for _, fact := range st.Facts {
			s := w.flowFields(behaviour.Said, f, time, number)
			s.Fact, s.Dir = fact, uint8(fact.Dir)
			if !telling[fact.Kind] {
				w.signal(s)
				continue
			}
			from := len(w.out.kept)
			w.chain(f, 0, tellingPackets)
			w.signalWith(s, from, len(w.out.kept))
		}
		clear(st.Facts)
		st.Facts = st.Facts[:0]
	}
}

// flowSignal tells of a flow that ended.
func (w *worker) flowSignal(f *flow.Flow) {
	w.signal(w.flowFields(behaviour.Ended, f, w.now, w.number))
}
