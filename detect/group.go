package detect

import (
	"encoding/binary"
	"hash/fnv"
	"slices"
	"sort"
	"strconv"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/detect/chain"
	"github.com/dejpha/dejpha/detect/literal"
	"github.com/dejpha/dejpha/rule"
)

// litGroup is all rules that look for a literal in one buffer: one scan finds the candidates.
type litGroup struct {
	matcher *literal.Matcher // nil: no literal
	starts  []uint32         // pattern id p: rules[starts[p]:starts[p+1]]
	rules   []uint32
	always  []uint32 // rules without a literal that are tried whenever the buffer is there
}

// litBuilder gathers a group; equal literals share an id. It may be used for one group after the other: hundreds of them
// are built for a large set, each of many literals.
type litBuilder struct {
	ids    map[string]int // by what tells two literals apart
	pats   []literal.Pattern
	lists  [][]uint32
	always []uint32
	key    []byte
}

// begin begins another group with the room of the one before.
func (b *litBuilder) begin() {
	clear(b.ids)
	b.pats, b.lists, b.always = b.pats[:0], b.lists[:0], nil
}

func (b *litBuilder) add(f *chain.Fast, index uint32, bounds bool) {
	p := literal.Pattern{Bytes: f.Bytes, NoCase: f.NoCase}
	if bounds {
		p.Offset, p.Depth = f.Offset, f.Depth
	}
	b.key = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(b.key[:0], p.Offset), p.Depth)
	b.key = append(strconv.AppendBool(b.key, f.NoCase), f.Bytes...) // "true" or "false" before: neither begins the other
	if b.ids == nil {
		b.ids = map[string]int{}
	}
	id, ok := b.ids[string(b.key)]
	if !ok {
		id = len(b.pats)
		b.ids[string(b.key)] = id
		p.ID = uint32(id)
		b.pats = append(b.pats, p)
		if id < cap(b.lists) {
			b.lists = b.lists[:id+1]
			b.lists[id] = b.lists[id][:0]
		} else {
			b.lists = append(b.lists, nil)
		}
	}
	if l := b.lists[id]; len(l) == 0 || l[len(l)-1] != index {
		b.lists[id] = append(l, index)
	}
}

func (b *litBuilder) build(f *shelf) litGroup {
	g := litGroup{always: b.always}
	if len(b.pats) == 0 {
		return g
	}
	g.matcher = f.matcher(b.pats)
	g.starts = make([]uint32, len(b.lists)+1)
	for i, l := range b.lists {
		g.rules = append(g.rules, l...)
		g.starts[i+1] = uint32(len(g.rules))
	}
	g.rules = slices.Clip(g.rules)
	f.counts.Literals += len(b.pats)
	f.counts.MatcherBytes += 4*len(g.rules) + 4*len(g.starts)
	return g
}

// ports maps a port to its group.
type ports struct {
	table  []uint16 // by port; nil: group 0 for all
	groups []portGroup
}

// portGroup is what is tried on a packet of one port.
type portGroup struct {
	packet litGroup // literals in the packet's payload; always: rules without payload literal
	stream litGroup // literals in the stream
}

func (p *ports) group(port uint16) *portGroup {
	if len(p.groups) == 0 {
		return nil
	}
	if p.table == nil {
		return &p.groups[0]
	}
	return &p.groups[p.table[port]]
}

// portGroupsMax bounds the memory of port groups: past it, the ports left share one group with all their rules.
const portGroupsMax = 120

// file puts every rule where it will be found.
func (c *compiler) file() {
	s := c.set
	first := int(s.opts.FirstProtocol)
	plans := make([]planBuilder, first+len(s.opts.Protocols))
	var packet [3][2][]uint32
	for i := range s.rules {
		g := &s.rules[i]
		s.counts.Rules++
		switch {
		case g.kind == kindTx:
			s.counts.Transaction++
			for _, a := range g.apps {
				plans[a].add(s, g, uint32(i), int(a))
			}
		case g.kind == kindIPOnly:
			s.counts.IPOnly++
			s.ipOnly = append(s.ipOnly, uint32(i))
		case g.kind == kindProtocol:
			s.protocol = append(s.protocol, uint32(i))
		case g.onEvent():
			s.events = append(s.events, uint32(i))
			for j := range g.packet {
				s.onApp = s.onApp || g.packet[j].kind == cdAppEvent
			}
		default:
			s.counts.Packet++
			c.filePacket(g, uint32(i), &packet)
		}
	}
	for t := range packet {
		for d := range packet[t] {
			s.packet[t][d] = c.buildPorts(packet[t][d], t, d)
		}
	}
	s.protos = make([]protoPlan, len(plans))
	for a := range plans {
		s.protos[a] = plans[a].build(&c.shelf)
	}
}

// onEvent says whether the rule needs a decode, stream or app event of the packet.
func (s *sig) onEvent() bool {
	for i := range s.packet {
		if k := s.packet[i].kind; k == cdDecodeEvent || k == cdStreamEvent || k == cdAppEvent {
			return true
		}
	}
	return false
}

func (c *compiler) filePacket(g *sig, index uint32, packet *[3][2][]uint32) {
	for t, m := range [3]uint16{uint16(rule.TCP), uint16(rule.UDP), 0} {
		switch {
		case g.protoMask == 0:
		case m != 0 && g.protoMask&(m|uint16(rule.IPv4|rule.IPv6|rule.Ether)) != 0:
		case m == 0 && g.protoMask&^uint16(rule.TCP|rule.UDP) != 0:
		default:
			continue
		}
		for d := 0; d < 2; d++ {
			if g.dirs&(1<<d) != 0 {
				packet[t][d] = append(packet[t][d], index)
			}
		}
	}
}

// serverPorts returns the port ranges a rule can meet on the server's side in a direction; nil: any.
func (s *sig) serverPorts(d int) []rule.PortRange {
	p, q := &s.dstPorts, &s.srcPorts
	if d == 1 {
		p, q = q, p
	}
	if p.Any || len(p.In) == 0 {
		return nil
	}
	if !s.bothWays {
		return p.In
	}
	if q.Any || len(q.In) == 0 {
		return nil
	}
	return append(append([]rule.PortRange(nil), p.In...), q.In...)
}

// buildPorts groups the rules of a transport and direction by the server's port.
func (c *compiler) buildPorts(rules []uint32, transport, d int) ports {
	var p ports
	if len(rules) == 0 {
		return p
	}
	var wide []uint32 // rules for any port
	narrow := map[uint32][]rule.PortRange{}
	cuts := map[int]bool{0: true}
	if transport == 2 {
		p.groups = []portGroup{c.buildGroup(rules, transport)}
		return p
	}
	for _, i := range rules {
		r := c.set.rules[i].serverPorts(d)
		if r == nil || span(r) > 30000 {
			wide = append(wide, i)
			continue
		}
		narrow[i] = r
		for _, x := range r {
			cuts[int(x.Lo)] = true
			cuts[int(x.Hi)+1] = true
		}
	}
	c.assignPorts(&p, rules, narrow, wide, cuts, transport)
	return p
}

func span(r []rule.PortRange) int {
	n := 0
	for _, x := range r {
		n += int(x.Hi) - int(x.Lo) + 1
	}
	return n
}

// assignPorts gives each stretch of ports between two cuts the group of the rules that name it.
func (c *compiler) assignPorts(p *ports, rules []uint32, narrow map[uint32][]rule.PortRange, wide []uint32, cuts map[int]bool, transport int) {
	var edges []int
	for x := range cuts {
		if x < 1<<16 {
			edges = append(edges, x)
		}
	}
	sort.Ints(edges)
	p.table = make([]uint16, 1<<16)
	byHash := map[uint64]uint16{}
	p.groups = append(p.groups, c.buildGroup(wide, transport))
	byHash[hashList(nil)] = 0
	rest := -1
	for e, lo := range edges {
		hi := 1 << 16
		if e+1 < len(edges) {
			hi = edges[e+1]
		}
		members := namers(rules, narrow, lo)
		h := hashList(members)
		g, ok := byHash[h]
		if !ok && len(p.groups) >= portGroupsMax {
			if rest < 0 {
				rest = len(p.groups)
				p.groups = append(p.groups, c.buildGroup(rules, transport))
			}
			g, ok = uint16(rest), true
		}
		if !ok {
			g = uint16(len(p.groups))
			all := append(append([]uint32(nil), wide...), members...)
			sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
			p.groups = append(p.groups, c.buildGroup(all, transport))
			byHash[h] = g
		}
		for x := lo; x < hi; x++ {
			p.table[x] = g
		}
	}
}

// namers are the rules that name a port.
func namers(rules []uint32, narrow map[uint32][]rule.PortRange, port int) []uint32 {
	var out []uint32
	for _, i := range rules {
		for _, r := range narrow[i] {
			if port >= int(r.Lo) && port <= int(r.Hi) {
				out = append(out, i)
				break
			}
		}
	}
	return out
}

func hashList(list []uint32) uint64 {
	h := fnv.New64a()
	for _, i := range list {
		h.Write([]byte{byte(i), byte(i >> 8), byte(i >> 16), byte(i >> 24)}) //nolint:errcheck // a hash cannot fail
	}
	return h.Sum64()
}

func (c *compiler) buildGroup(rules []uint32, transport int) portGroup {
	packet, stream := &c.packet, &c.stream
	packet.begin()
	stream.begin()
	for _, i := range rules {
		c.step()
		g := &c.set.rules[i]
		tcp := transport == 0
		if g.fast.Content == nil {
			if g.hasPayload && tcp && g.inStream {
				stream.always = append(stream.always, i)
			}
			if !g.hasPayload || g.inPacket || !tcp || g.inStream {
				packet.always = append(packet.always, i)
			}
			continue
		}
		if !tcp || g.inPacket {
			packet.add(&g.fast.Fast, i, true)
		}
		if tcp && g.inStream {
			stream.add(&g.fast.Fast, i, true)
		}
	}
	return portGroup{packet: packet.build(&c.shelf), stream: stream.build(&c.shelf)}
}

// protoPlan is what is looked at in transactions of one protocol, by direction.
type protoPlan struct {
	dirs [2]dirPlan
}

type dirPlan struct {
	entries   []planEntry
	events    map[uint8][]uint32
	streaming int // entries that grow
	any       bool
}

// planEntry is one buffer of a protocol in one direction, or a number or flag (buffer -1).
type planEntry struct {
	buffer    int // index into names.buffers
	kw        int16
	step      uint8
	streaming bool
	multi     bool
	grows     bool  // scanned again until the direction is complete
	slot      uint8 // of a growing buffer
	trans     []chain.Transform
	group     litGroup
}

type planKey struct {
	buffer int
	kw     int16
}

type planBuilder struct {
	dirs [2]struct {
		entries map[planKey]*entryBuilder
		events  map[uint8][]uint32
	}
}

type entryBuilder struct {
	planEntry
	lits litBuilder
}

// add files a rule under one test of its, for protocol number a.
func (b *planBuilder) add(s *Set, g *sig, index uint32, a int) {
	proto := &s.opts.Protocols[a-int(s.opts.FirstProtocol)]
	at := g.fast.tx
	if at < 0 {
		at = g.cheapest()
	}
	t := &g.tx[at]
	for d := contract.ToServer; d <= contract.ToClient; d++ {
		kw := t.kw[a][d]
		if g.dirs&dirBit(d) == 0 || kw < 0 {
			continue
		}
		x := &b.dirs[d]
		if t.kind == txEvent {
			if x.events == nil {
				x.events = map[uint8][]uint32{}
			}
			x.events[uint8(t.event)] = append(x.events[uint8(t.event)], index)
			continue
		}
		k := planKey{-1, kw}
		if t.kind == txBuffer {
			k.buffer = t.buffer
		}
		if x.entries == nil {
			x.entries = map[planKey]*entryBuilder{}
		}
		e := x.entries[k]
		if e == nil {
			e = &entryBuilder{planEntry: makeEntry(s, proto, k, d)}
			x.entries[k] = e
		}
		if g.fast.tx >= 0 {
			e.lits.add(&g.fast.Fast, index, !e.streaming && len(e.trans) == 0)
		} else {
			e.lits.always = append(e.lits.always, index)
		}
	}
}

func makeEntry(s *Set, proto *contract.Protocol, k planKey, d contract.Direction) planEntry {
	e := planEntry{buffer: k.buffer, kw: k.kw}
	if k.buffer >= 0 {
		e.trans = s.names.buffers[k.buffer].trans
	}
	if k.kw >= sharedBase {
		e.streaming, e.multi = true, true
		return e
	}
	kw := &proto.Keywords[k.kw]
	e.step, e.streaming, e.multi, e.grows = kw.Step[d], kw.Streaming, kw.Kind == contract.KindMulti, kw.Grows
	return e
}

// cheapest is the test to file a rule under that has no literal.
func (s *sig) cheapest() int {
	best, cost := 0, 99
	for i := range s.tx {
		c := map[txKind]int{txEvent: 0, txNumber: 1, txFlag: 2, txCustom: 3, txBuffer: 4}[s.tx[i].kind]
		if c < cost {
			best, cost = i, c
		}
	}
	return best
}

func (b *planBuilder) build(f *shelf) protoPlan {
	var p protoPlan
	for d := range b.dirs {
		x := &b.dirs[d]
		dp := &p.dirs[d]
		dp.events = x.events
		for _, e := range x.entries {
			e.group = e.lits.build(f)
			dp.entries = append(dp.entries, e.planEntry)
		}
		sort.Slice(dp.entries, func(i, j int) bool {
			a, b := &dp.entries[i], &dp.entries[j]
			if a.step != b.step {
				return a.step < b.step
			}
			if a.kw != b.kw {
				return a.kw < b.kw
			}
			return a.buffer < b.buffer
		})
		for i := range dp.entries {
			if dp.entries[i].streaming {
				dp.entries[i].slot = uint8(min(dp.streaming, streamSlots-1))
				dp.streaming++
			}
		}
		dp.any = len(dp.entries) > 0 || len(dp.events) > 0
	}
	return p
}
