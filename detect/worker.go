package detect

import (
	"slices"

	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/detect/chain"
	"github.com/dejpha/dejpha/detect/literal"
	"github.com/dejpha/dejpha/flow"
	"github.com/dejpha/dejpha/hoststate"
	"github.com/dejpha/dejpha/rule"
)

// Worker judges the packets of one worker. Not for concurrent use.
type Worker struct {
	set     *Set
	hits    literal.Hits
	eval    chain.Eval
	header  header
	matches []Match
	cand    []uint32
	counts  []RuleCounters
	bits    *hoststate.Bits
	flows   []flowState
	free    []uint32
	txs     []txState
	freeTxs []uint32
	txID    uint64
	// appEvents are app's own events that are new with this packet.
	appEvents []uint8
	frame     Frame // the last that a test held on
	passed    bool  // a pass rule has matched this packet
	data      streamData
	renewed   uint16 // sets that were gone over to, as transactions know it
	Stats     Stats
}

// Stats of a worker since it was made.
type Stats struct {
	Packets, Scanned, Candidates, Matches uint64
	Overflow                              uint64 // matches beyond AlertsMax in one packet
	RegexBudget                           uint64
	PendingDropped                        uint64 // rules forgotten because a transaction had too many half matched
}

// streamData is the piece of stream under inspection.
type streamData struct {
	bytes []byte
	seen  int // of them, looked at with an earlier packet
	keep  int // of them, to be looked at again with the next
	have  bool
}

// flowState is what detect remembers of a flow.
type flowState struct {
	bits   hoststate.FlowBits
	ints   hoststate.FlowInts
	txs    []uint32
	used   bool
	events int     // of app, looked at
	held   []held  // inline: matches on bytes that are looked at again
	known  [3]bool // protocol rules were tried: to server, to client, both
}

// hostBitsMax bounds the bits that outlive flows.
const hostBitsMax = 1 << 16

// NewWorker makes a worker. bits holds what outlives flows; nil: an own table of 64 Ki bits.
func (s *Set) NewWorker(bits *hoststate.Bits) *Worker {
	if bits == nil {
		bits = hoststate.NewBits(hostBitsMax)
	}
	w := &Worker{set: s, bits: bits, counts: make([]RuleCounters, len(s.rules)), flows: make([]flowState, 1), txs: make([]txState, 1)}
	w.eval.Vars = make([]uint64, s.vars)
	return w
}

// Counters of the rules, by index in the set's order; valid until the next Inspect.
func (w *Worker) Counters() []RuleCounters { return w.counts }

// FlowBits appends the names of the bits that are set on a flow, for records.
func (w *Worker) FlowBits(dst []string, f *flow.Flow) []string {
	if st := w.flowState(f, false); st != nil {
		for _, n := range st.bits.Names() {
			dst = append(dst, w.set.names.bitNames[n])
		}
	}
	return dst
}

func (w *Worker) flowState(f *flow.Flow, make bool) *flowState {
	if f == nil {
		return nil
	}
	if f.Detect != 0 && int(f.Detect) < len(w.flows) {
		return &w.flows[f.Detect]
	}
	if !make {
		return nil
	}
	if n := len(w.free); n > 0 {
		f.Detect, w.free = w.free[n-1], w.free[:n-1]
	} else {
		w.flows = append(w.flows, flowState{})
		f.Detect = uint32(len(w.flows) - 1)
	}
	st := &w.flows[f.Detect]
	st.used = true
	return st
}

// FlowEnd frees what is remembered of a flow; after the last Inspect on it.
func (w *Worker) FlowEnd(f *flow.Flow) {
	if f.Detect == 0 || int(f.Detect) >= len(w.flows) {
		return
	}
	st := &w.flows[f.Detect]
	for _, h := range st.txs {
		w.freeTx(h)
	}
	st.bits.Reset()
	st.ints.Reset()
	st.txs, st.held, st.used, st.events, st.known = st.txs[:0], st.held[:0], false, 0, [3]bool{}
	w.free = append(w.free, f.Detect)
	f.Detect = 0
}

// Inspect judges one packet, or a flow's end. The matches are in the order in which they take effect and valid until
// the next call. Rules that only keep state are among them, marked Silent. A pass rule ends the list.
func (w *Worker) Inspect(in *Input) []Match {
	w.Stats.Packets++
	w.matches = w.matches[:0]
	if f := in.Flow; f != nil && (f.Action == flow.ActionPass || w.set.opts.Inline && f.Action >= flow.ActionDrop) {
		w.skip(in)
		return nil
	}
	if in.Time == 0 && in.Packet != nil {
		in.Time = in.Packet.Time
	}
	w.passed = false
	if in.Ending {
		for in.Dir = flow.ToServer; in.Dir <= flow.ToClient; in.Dir++ {
			w.look(in)
		}
		in.Dir = flow.ToServer
	} else {
		w.look(in)
	}
	if len(w.matches) == 0 {
		return nil
	}
	return w.settle(in)
}

// skip lets go of a flow's stream that rules have no more business with: stream keeps what was not passed.
func (w *Worker) skip(in *Input) {
	if in.Stream == nil || in.Flow.Proto != decode.ProtoTCP {
		return
	}
	if data, _, _ := in.Stream.Raw(in.Flow, in.Dir); len(data) > 0 {
		in.Stream.RawDone(in.Flow, in.Dir, len(data))
	}
}

// look judges one direction.
func (w *Worker) look(in *Input) {
	w.setHeader(in)
	w.takeStream(in)
	w.packetRules(in)
	if in.Conversation != nil && in.Flow != nil && int(in.Flow.AppProto) < len(w.set.protos) {
		plan := &w.set.protos[in.Flow.AppProto]
		if plan.dirs[0].any || plan.dirs[1].any {
			w.transactions(in, plan)
		}
	}
	if w.data.have {
		w.letGo(in)
	}
}

// settle sorts the packet's matches, lets pass rules end them and bounds their number.
func (w *Worker) settle(in *Input) []Match {
	slices.SortStableFunc(w.matches, func(a, b Match) int {
		if a.Index != b.Index {
			return int(a.Index) - int(b.Index)
		}
		return int(int64(a.TxID) - int64(b.TxID))
	})
	kept, loud := 0, 0
	for i := range w.matches {
		m := w.matches[i]
		if !m.Silent {
			if loud++; loud > w.set.opts.AlertsMax {
				w.Stats.Overflow++
				continue
			}
		}
		if w.set.opts.Inline && m.Action >= rule.Drop {
			m.Dropped, m.Alone = true, w.alone(&m, in)
			if m.Flow && in.Flow != nil && in.Flow.Action == flow.ActionNone {
				in.Flow.Action = flow.ActionDrop
				if m.Action != rule.Drop {
					in.Flow.Action = flow.ActionReject
				}
			}
		}
		w.matches[kept] = m
		kept++
		if m.Action == rule.Pass {
			if m.Flow && in.Flow != nil {
				in.Flow.Action = flow.ActionPass
			}
			for j := range w.matches[:kept] {
				w.matches[j].Passed = !w.matches[j].Dropped
			}
			break
		}
	}
	w.matches = w.matches[:kept]
	w.Stats.Matches += uint64(loud)
	return w.matches
}

// matched notes a match and does what the rule sets.
func (w *Worker) matched(s *sig, index uint32, in *Input, m Match) {
	w.counts[index].Matches++
	for i := range s.posts {
		w.after(&s.posts[i], in)
	}
	m.Rule, m.Index, m.Action, m.Dir, m.Silent = s.rule, index, s.action, in.Dir, s.noAlert || s.action == rule.Pass && !s.rule.Loud
	if s.action == rule.Pass {
		w.passed = true
	}
	w.matches = append(w.matches, m)
}

// protocolKnown says whether the flow's protocol became known with this packet, by one direction or for the whole.
func (w *Worker) protocolKnown(f *flow.Flow) bool {
	now := [3]bool{f.AppProtoTS != 0, f.AppProtoTC != 0, f.AppProto != 0}
	if now == ([3]bool{}) {
		return false
	}
	st := w.flowState(f, true)
	if st.known == now {
		return false
	}
	st.known = now
	return true
}

// newAppEvents takes what app noticed of the flow since the last packet.
func (w *Worker) newAppEvents(in *Input) {
	if all := in.conversationEvents(); len(all) > 0 {
		st := w.flowState(in.Flow, true)
		w.appEvents = all[min(st.events, len(all)):]
		st.events = len(all)
	}
}

func transportOf(p *decode.Packet) int {
	switch p.Proto {
	case decode.ProtoTCP:
		return 0
	case decode.ProtoUDP:
		return 1
	}
	return 2
}

// gather adds a group's candidates for a text.
func (w *Worker) gather(g *litGroup, text []byte) {
	w.cand = append(w.cand, g.always...)
	if g.matcher == nil {
		return
	}
	w.Stats.Scanned += uint64(len(text))
	g.matcher.Scan(text, &w.hits)
	for _, id := range w.hits.IDs {
		w.cand = append(w.cand, g.rules[g.starts[id]:g.starts[id+1]]...)
	}
}

// candidates sorts and returns what was gathered, each rule once.
func (w *Worker) candidates() []uint32 {
	if len(w.cand) > 1 {
		slices.Sort(w.cand)
		w.cand = slices.Compact(w.cand)
	}
	w.Stats.Candidates += uint64(len(w.cand))
	return w.cand
}

// packetRules runs the rules on addresses, the packet, its events and the stream.
func (w *Worker) packetRules(in *Input) {
	w.cand = w.cand[:0]
	set := w.set
	p := in.Packet
	if p != nil && p.IPVersion != 0 && (in.Flow == nil || in.Flow.Packets[in.Dir] <= 1) {
		w.cand = append(w.cand, set.ipOnly...)
	}
	if len(set.protocol) > 0 && in.Flow != nil && w.protocolKnown(in.Flow) {
		w.cand = append(w.cand, set.protocol...)
	}
	w.appEvents = nil
	if set.onApp && in.Conversation != nil && in.Flow != nil {
		w.newAppEvents(in)
	}
	if len(set.events) > 0 && (len(in.StreamEvents) > 0 || len(w.appEvents) > 0 || p != nil && p.Events != (decode.EventSet{})) {
		w.cand = append(w.cand, set.events...)
	}
	var group *portGroup
	if p != nil && (p.IPVersion != 0 || len(set.packet[2][0].groups) > 0) {
		port := p.DstPort
		if in.Dir == flow.ToClient {
			port = p.SrcPort
		}
		group = set.packet[transportOf(p)][in.Dir].group(port)
	} else if p == nil && in.Flow.Proto == decode.ProtoTCP {
		group = set.packet[0][in.Dir].group(in.Flow.ServerPort)
	}
	if group != nil {
		w.gatherPayload(in, group)
	}
	for _, i := range w.candidates() {
		s := &set.rules[i]
		w.counts[i].Checks++
		if stream, ok := w.packetRule(s, i, in); ok {
			if stream && w.heldBefore(in, i) {
				continue
			}
			w.matched(s, i, in, Match{Stream: stream, Flow: s.kind == kindIPOnly || stream || s.apps != nil || s.headerOnly})
		}
	}
}

// takeStream fetches the stream's new bytes when enough have gathered. It does so whatever rules there are: stream
// keeps what was not passed.
func (w *Worker) takeStream(in *Input) {
	w.data = streamData{}
	if in.Stream == nil || in.Flow == nil || in.Flow.Proto != decode.ProtoTCP {
		return
	}
	data, flush, must := in.Stream.Raw(in.Flow, in.Dir)
	switch {
	case len(data) == 0:
	case in.encrypted():
		in.Stream.RawDone(in.Flow, in.Dir, len(data))
	case w.set.opts.Inline:
		w.takeInline(in, data, must)
	case must || len(data) >= w.set.opts.ChunkBytes || flush && in.flushes():
		w.data = streamData{bytes: data, have: true}
	}
}

func (w *Worker) gatherPayload(in *Input, group *portGroup) {
	p := in.Packet
	if w.data.have {
		w.gather(&group.stream, w.data.bytes)
	}
	if p == nil {
		return
	}
	if in.encrypted() {
		in.NoPayload = true
	}
	if in.NoPayload || len(p.Payload) == 0 {
		w.cand = append(w.cand, group.packet.always...)
		return
	}
	w.gather(&group.packet, p.Payload)
	if p.Proto == decode.ProtoTCP && !in.Accepted {
		w.gather(&group.stream, p.Payload)
	}
}

// flowHolds judges flow's words.
func (s *sig) flowHolds(in *Input) bool {
	if in.Flow == nil {
		return s.flow&(needFlow|needEstablished|needOnlyStream) == 0 && s.fragHolds(in)
	}
	if s.dirs&(1<<in.Dir) == 0 {
		return false
	}
	if s.flow == 0 {
		return true
	}
	if s.flow&needEstablished != 0 && !in.established() || s.flow&needNotEstablished != 0 && in.established() {
		return false
	}
	return s.fragHolds(in)
}

func (s *sig) fragHolds(in *Input) bool {
	if s.flow&(needOnlyFrag|needNoFrag) == 0 || in.Packet == nil {
		return true
	}
	rebuilt := in.Packet.Rebuilt || in.Packet.Fragment
	return (s.flow&needOnlyFrag == 0 || rebuilt) && (s.flow&needNoFrag == 0 || !rebuilt)
}

// packetRule evaluates a rule on the packet; stream: it held on the reassembled stream.
func (w *Worker) packetRule(s *sig, index uint32, in *Input) (stream, ok bool) {
	if !s.flowHolds(in) || s.apps != nil && (in.Flow == nil || !hasApp(s.apps, in.Flow.AppProto)) || !w.headerHolds(s) {
		return false, false
	}
	if in.Ending && !s.hasPayload {
		return false, false
	}
	for i := range s.packet {
		if !s.packet[i].packetHolds(w, in) {
			return false, false
		}
	}
	for i := range s.buffers {
		t := &s.buffers[i]
		b, have := t.buffer.bytes(in.Packet)
		if !have || !w.chainHolds(&t.chain, w.eval.Apply(t.trans, b), index) {
			return false, false
		}
	}
	if s.hasPayload {
		if stream, ok = w.payload(s, index, in); !ok {
			return false, false
		}
	}
	for i := range s.state {
		if !w.stateHolds(&s.state[i], in) {
			return false, false
		}
	}
	return stream, true
}

// payload runs a rule's payload conditions on the stream's new bytes or on the packet's.
func (w *Worker) payload(s *sig, index uint32, in *Input) (stream, ok bool) {
	if s.inStream && w.data.have && w.chainsHold(s.payload, w.data.bytes, index) {
		return true, true
	}
	p := in.Packet
	if p == nil || in.NoPayload || !p.HasL4 && p.Payload == nil {
		return false, false
	}
	if p.Proto == decode.ProtoTCP && !s.inPacket && in.Accepted {
		return false, false
	}
	if s.flow&needOnlyStream != 0 || len(p.Payload) == 0 && p.Proto == decode.ProtoTCP {
		return false, false
	}
	return false, w.chainsHold(s.payload, p.Payload, index)
}

func (w *Worker) chainsHold(list []chain.Chain, buf []byte, index uint32) bool {
	for i := range list {
		if !w.chainHolds(&list[i], buf, index) {
			return false
		}
	}
	return true
}

func (w *Worker) chainHolds(c *chain.Chain, buf []byte, index uint32) bool {
	e := &w.eval
	e.Caught, e.Over = e.Caught[:0], false
	ok := e.Run(c, buf)
	if e.Over {
		w.counts[index].RegexBudget++
		w.Stats.RegexBudget++
	}
	return ok
}
