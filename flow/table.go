package flow

import (
	"cmp"
	"slices"

	"github.com/dejpha/dejpha/decode"
)

// Timeouts of idle flows of one protocol, seconds.
type Timeouts struct{ New, Established, Closed, Bypassed int64 }

// Config of a table.
type Config struct {
	MemoryBytes int64    // budget of records and slots; 0: 128 MiB
	Seed        uint64   // secret; results do not depend on it
	TCP         Timeouts // zero fields: Suricata's defaults
	UDP         Timeouts
	ICMP        Timeouts
	Other       Timeouts
	IgnoreVLAN  bool        // tags do not tell flows apart
	OnEnd       func(*Flow) // called before a record is used again; Reason says why
}

const (
	chunkFlows  = 1024
	recordBytes = 400 // of a record with its slots, for the budget
	wheelSlots  = 1024
	minFlows    = 1024
)

// place is where the table has a record.
type place struct {
	key   key
	tag   uint32 // of the key: the lower half of its hash
	index uint32 // own number, from 1
}

// links are the record's neighbours in the wheel.
type links struct {
	next, prev uint32
	slot       int32 // -1: none
}

// Counters of a table. Evicted made room for a new record, Relieved gave back what their conversations held.
type Counters struct{ Created, Evicted, Relieved, Live uint64 }

// Table holds the flows of one worker. Not for concurrent use.
type Table struct {
	cfg      Config
	limit    int
	slots    []uint64 // the record's tag << 32 | its index; 0 empty, linear probing from where the tag says
	mask     uint64
	chunks   [][]Flow
	free     []uint32
	wheel    [wheelSlots]uint32
	swept    int64 // second up to which the wheel was turned
	hand     uint32
	doomed   []candidate // found by evict, the least useful last
	closing  []*Flow     // left to end, once Close was called
	pinned   int
	Counters Counters
}

// NewTable makes a table.
func NewTable(cfg Config) *Table {
	if cfg.MemoryBytes == 0 {
		cfg.MemoryBytes = 128 << 20
	}
	fill(&cfg.TCP, Timeouts{60, 600, 60, 100})
	fill(&cfg.UDP, Timeouts{30, 300, 0, 100})
	fill(&cfg.ICMP, Timeouts{30, 300, 0, 100})
	fill(&cfg.Other, Timeouts{30, 300, 0, 100})
	t := &Table{cfg: cfg, limit: max(minFlows, int(cfg.MemoryBytes/recordBytes))}
	t.slots = make([]uint64, 2*minFlows)
	t.mask = uint64(len(t.slots) - 1)
	return t
}

func fill(t *Timeouts, d Timeouts) {
	t.New, t.Established = cmp.Or(t.New, d.New), cmp.Or(t.Established, d.Established)
	t.Closed, t.Bypassed = cmp.Or(t.Closed, d.Closed), cmp.Or(t.Bypassed, d.Bypassed)
}

func (t *Table) at(i uint32) *Flow { return &t.chunks[(i-1)/chunkFlows][(i-1)%chunkFlows] }

// timeout is how long f may be idle now, ns.
func (t *Table) timeout(f *Flow) int64 {
	to := &t.cfg.Other
	switch f.Proto {
	case decode.ProtoTCP:
		to = &t.cfg.TCP
	case decode.ProtoUDP:
		to = &t.cfg.UDP
	case decode.ProtoICMP, decode.ProtoICMPv6:
		to = &t.cfg.ICMP
	}
	s := to.New
	switch f.State {
	case Established:
		s = to.Established
	case Closed:
		s = to.Closed
	case Bypassed:
		s = to.Bypassed
	}
	return s * 1e9
}

// Lookup finds or makes the flow of a packet. f is nil for packets that belong to none (not IP, fragments,
// broken headers). The direction is the packet's within f.
func (t *Table) Lookup(p *decode.Packet) (f *Flow, dir Direction, fresh bool) {
	if p.IPVersion == 0 || p.Fragment || p.Undecodable != decode.ReasonNone {
		return nil, ToServer, false
	}
	vlan := t.vlan(p)
	if p.Embedded.Valid {
		if f, dir := t.quoted(p, vlan); f != nil {
			return f, dir, false
		}
	}
	if !p.HasL4 && (p.Proto == decode.ProtoTCP || p.Proto == decode.ProtoUDP) {
		return nil, ToServer, false
	}
	srcPort, dstPort := p.SrcPort, p.DstPort
	if p.Proto == decode.ProtoICMP || p.Proto == decode.ProtoICMPv6 {
		srcPort, dstPort = icmpPorts(p)
	}
	k, swapped := keyOf(p.Src, p.Dst, srcPort, dstPort, p.Proto, p.IPVersion, vlan)
	h := k.hash(t.cfg.Seed)
	if f = t.find(&k, h); f != nil {
		reason, over := t.over(f, p)
		if !over {
			dir = ToServer
			if swapped != (f.table.key.a != f.Client || f.table.key.portA != f.clientKeyPort()) {
				dir = ToClient
			}
			return f, dir, false
		}
		t.end(f, reason)
	}
	return t.create(p, k, h), ToServer, true
}

// clientKeyPort is the client's port as the key has it.
func (f *Flow) clientKeyPort() uint16 {
	if f.Proto == decode.ProtoICMP || f.Proto == decode.ProtoICMPv6 {
		return f.table.key.portA // both are equal
	}
	return f.ClientPort
}

// icmpPorts stands in for ports: echo and its answer share their identifier, everything else its type.
func icmpPorts(p *decode.Packet) (uint16, uint16) {
	switch {
	case p.Proto == decode.ProtoICMP && (p.ICMPType == 0 || p.ICMPType == 8), p.Proto == decode.ProtoICMPv6 && (p.ICMPType == 128 || p.ICMPType == 129):
		return p.ICMPID, p.ICMPID
	}
	v := uint16(p.ICMPType) | 0x8000
	return v, v
}

func (t *Table) vlan(p *decode.Packet) uint32 {
	if t.cfg.IgnoreVLAN || p.VLANs == 0 {
		return 0
	}
	return uint32(p.VLAN[0])<<16 | uint32(p.VLAN[1]) | 1<<31
}

// quoted finds the flow whose packet an ICMP error quotes: the error answers it.
func (t *Table) quoted(p *decode.Packet, vlan uint32) (*Flow, Direction) {
	e := &p.Embedded
	k, _ := keyOf(e.Src, e.Dst, e.SrcPort, e.DstPort, e.Proto, e.IPVersion, vlan)
	f := t.find(&k, k.hash(t.cfg.Seed))
	if f == nil || p.Time-f.Last > t.timeout(f) {
		return nil, ToServer
	}
	if e.Src == f.Client && e.SrcPort == f.ClientPort {
		return f, ToClient
	}
	return f, ToServer
}

// over says whether a packet of the same key begins a new conversation: after too long a silence, or a SYN on one that is closed or that nobody looks into.
func (t *Table) over(f *Flow, p *decode.Packet) (EndReason, bool) {
	if p.Time-f.Last > t.timeout(f) {
		return Timeout, true
	}
	if p.Proto == decode.ProtoTCP && (f.State == Closed || f.State == Bypassed) && p.TCP.Flags&(decode.SYN|decode.ACK) == decode.SYN {
		return Replaced, true
	}
	return Alive, false
}

func (t *Table) find(k *key, h uint64) *Flow {
	tag := h & 0xffffffff
	for i := h & t.mask; ; i = (i + 1) & t.mask {
		s := t.slots[i]
		if s == 0 {
			return nil
		}
		if s>>32 == tag {
			if f := t.at(uint32(s)); f.table.key.is(k) {
				return f
			}
		}
	}
}

func (t *Table) create(p *decode.Packet, k key, h uint64) *Flow {
	if int(t.Counters.Live) >= t.limit {
		t.evict()
	}
	if t.Counters.Live*2 >= uint64(len(t.slots)) {
		t.grow()
	}
	if len(t.free) == 0 {
		t.addChunk()
	}
	i := t.free[len(t.free)-1]
	t.free = t.free[:len(t.free)-1]
	f := t.at(i)
	*f = Flow{
		FirstNumber: p.Number, First: p.Time, Last: p.Time, Client: p.Src, Server: p.Dst, ClientPort: p.SrcPort, ServerPort: p.DstPort,
		VLAN: p.VLAN, VLANs: p.VLANs, IPVersion: p.IPVersion, Proto: p.Proto, Interface: p.Interface, ICMPType: p.ICMPType, ICMPCode: p.ICMPCode,
	}
	f.ID = identity(&k, p)
	f.table = place{key: k, tag: uint32(h), index: i}
	f.wheel.slot, f.live = -1, true
	t.put(uint64(uint32(h))<<32 | uint64(i))
	t.schedule(f)
	t.Counters.Created++
	t.Counters.Live++
	return f
}

// identity is the same in every run and for any number of workers: key, first time, first packet.
func identity(k *key, p *decode.Packet) uint64 {
	return mix(mix(k.hash(0x64656a706861), uint64(p.Time)), p.Number<<8|uint64(p.Depth)) >> 12 // 52 bits survive a JSON number
}

// put takes in a slot, which is not there yet.
func (t *Table) put(slot uint64) {
	i := slot >> 32 & t.mask
	for t.slots[i] != 0 {
		i = (i + 1) & t.mask
	}
	t.slots[i] = slot
}

func (t *Table) addChunk() {
	base := uint32(len(t.chunks) * chunkFlows)
	t.chunks = append(t.chunks, make([]Flow, chunkFlows))
	for i := uint32(chunkFlows); i > 0; i-- {
		t.free = append(t.free, base+i)
	}
}

func (t *Table) grow() {
	old := t.slots
	t.slots = make([]uint64, 2*len(old))
	t.mask = uint64(len(t.slots) - 1)
	for _, s := range old {
		if s != 0 {
			t.put(s)
		}
	}
}

// end hands a flow over and frees its record.
func (t *Table) end(f *Flow, why EndReason) {
	f.Reason = why
	if t.cfg.OnEnd != nil {
		t.cfg.OnEnd(f)
	}
	t.unschedule(f)
	t.take(f)
	if f.Pinned {
		t.pinned--
	}
	f.live = false
	t.free = append(t.free, f.table.index)
	t.Counters.Live--
}

// take removes a flow's slot and closes the hole that linear probing would trip over.
func (t *Table) take(f *Flow) {
	i := uint64(f.table.tag) & t.mask
	for uint32(t.slots[i]) != f.table.index {
		i = (i + 1) & t.mask
	}
	for j := i; ; {
		j = (j + 1) & t.mask
		s := t.slots[j]
		if s == 0 {
			break
		}
		home := s >> 32 & t.mask
		if (j-home)&t.mask >= (j-i)&t.mask {
			t.slots[i] = s
			i = j
		}
	}
	t.slots[i] = 0
}

// pinnedPart: one flow in so many may be kept from eviction, so that nobody fills the table with such.
const pinnedPart = 4

// Pin keeps a flow from being evicted or relieved: an attack was seen in it.
func (t *Table) Pin(f *Flow) {
	if !f.Pinned && t.pinned < t.limit/pinnedPart {
		f.Pinned = true
		t.pinned++
	}
}

// Of so many records that evict compares it takes so many: looking at a record that no packet came for costs more than
// comparing it.
const (
	evictLook = 32
	evictTake = 4
)

// candidate is a flow that may be evicted, as it was when it was found.
type candidate struct {
	index uint32
	state State
	last  int64
}

// evict ends the least useful of some flows: closed before new before established, oldest first, pinned never. One that
// had a packet since it was found stays.
func (t *Table) evict() {
	for range 2 {
		for len(t.doomed) > 0 {
			c := t.doomed[len(t.doomed)-1]
			t.doomed = t.doomed[:len(t.doomed)-1]
			if f := t.at(c.index); f.live && !f.Pinned && f.State == c.state && f.Last == c.last {
				t.Counters.Evicted++
				t.end(f, Forced)
				return
			}
		}
		t.doom()
	}
}

// doom finds the least useful of the records that come next.
func (t *Table) doom() {
	for looked := 0; looked < evictLook || len(t.doomed) == 0 && looked < 4*chunkFlows; looked++ {
		t.hand = (t.hand + 1) % uint32(len(t.chunks)*chunkFlows)
		f := t.at(t.hand + 1)
		if !f.live || f.Pinned {
			continue
		}
		c := candidate{f.table.index, f.State, f.Last}
		at, _ := slices.BinarySearchFunc(t.doomed, c, moreUseful)
		switch {
		case len(t.doomed) < evictTake:
			t.doomed = slices.Insert(t.doomed, at, c)
		case at > 0:
			copy(t.doomed, t.doomed[1:at])
			t.doomed[at-1] = c
		}
	}
}

// ranks of states, by how much is lost with a flow.
var ranks = [...]int{New: 1, Established: 2, Closed: 0, Bypassed: 1}

// moreUseful sorts candidates, those of most use first.
func moreUseful(a, b candidate) int {
	return cmp.Or(cmp.Compare(ranks[b.state], ranks[a.state]), cmp.Compare(b.last, a.last))
}

// Update counts a packet of f. stream sets the state of TCP flows; the others are established by an answer.
func (t *Table) Update(f *Flow, p *decode.Packet, dir Direction) {
	f.Last = max(f.Last, p.Time)
	f.LastDir[dir] = p.Time
	f.Packets[dir]++
	f.Bytes[dir] += uint64(p.WireLen)
	if p.Proto == decode.ProtoTCP {
		f.TCPFlags[dir] |= p.TCP.Flags
		return
	}
	if dir == ToClient {
		f.ReplyType, f.ReplyCode = p.ICMPType, p.ICMPCode
	}
	if f.State == New && f.Packets[0] > 0 && f.Packets[1] > 0 && f.Proto == p.Proto {
		f.State = Established
	}
}

// Swap exchanges the ends of a flow that was met from the wrong side.
func (f *Flow) Swap() {
	f.Client, f.Server = f.Server, f.Client
	f.ClientPort, f.ServerPort = f.ServerPort, f.ClientPort
	f.Packets[0], f.Packets[1] = f.Packets[1], f.Packets[0]
	f.Bytes[0], f.Bytes[1] = f.Bytes[1], f.Bytes[0]
	f.LastDir[0], f.LastDir[1] = f.LastDir[1], f.LastDir[0]
	f.TCPFlags[0], f.TCPFlags[1] = f.TCPFlags[1], f.TCPFlags[0]
	f.Swapped = !f.Swapped
}

// schedule puts a flow where the wheel will come by when it may have been idle for too long.
func (t *Table) schedule(f *Flow) {
	due := (f.Last + t.timeout(f)) / 1e9
	due = max(due, t.swept+1, 0)
	slot := int32(min(due, t.swept+wheelSlots-1) % wheelSlots)
	l := &f.wheel
	l.slot, l.prev, l.next = slot, 0, t.wheel[slot]
	if l.next != 0 {
		t.at(l.next).wheel.prev = f.table.index
	}
	t.wheel[slot] = f.table.index
}

func (t *Table) unschedule(f *Flow) {
	l := &f.wheel
	if l.slot < 0 {
		return
	}
	if l.prev != 0 {
		t.at(l.prev).wheel.next = l.next
	} else {
		t.wheel[l.slot] = l.next
	}
	if l.next != 0 {
		t.at(l.next).wheel.prev = l.prev
	}
	l.slot = -1
}

// Sweep ends every flow that was idle for too long at now, ns. What it ends depends on the flows and now
// alone, so any number of workers that sweep at the same packet end the same flows.
func (t *Table) Sweep(now int64) {
	second := now / 1e9
	if t.swept == 0 || second-t.swept > wheelSlots {
		t.swept = max(0, second-wheelSlots)
	}
	for t.swept < second {
		t.swept++
		slot := int32(t.swept % wheelSlots)
		for i := t.wheel[slot]; i != 0; {
			f := t.at(i)
			i = f.wheel.next
			if now-f.Last > t.timeout(f) {
				t.end(f, Timeout)
				continue
			}
			t.unschedule(f)
			t.schedule(f)
		}
	}
}

// relieveLook bounds the records that one call of Relieve passes over.
const relieveLook = 1 << 14

// Relieve ends flows that were idle for at least idle ns at now, those that were to end soonest first, for as long as
// it is pressed: under pressure timeouts are shorter. It returns how many it ended. Like Sweep, what it ends depends on
// the flows and now alone.
func (t *Table) Relieve(now, idle int64, pressed func() bool) (ended int) {
	passed := 0
	for ahead := int64(1); ahead < wheelSlots; ahead++ {
		for i := t.wheel[(t.swept+ahead)%wheelSlots]; i != 0; {
			f := t.at(i)
			i = f.wheel.next
			if now-f.Last < idle || f.Pinned {
				if passed++; passed > relieveLook {
					return ended
				}
				continue
			}
			if !pressed() {
				return ended
			}
			t.Counters.Relieved++
			t.end(f, Forced)
			ended++
		}
	}
	return ended
}

// Close ends the flows whose first packet's number is at most upTo, in the order of their first packets. It may be
// called again with higher numbers, so that what the flows' ends bring can be taken away in between; no packet may
// come after the first call.
func (t *Table) Close(upTo uint64) {
	if t.closing == nil {
		t.closing = t.all()
	}
	n := 0
	for n < len(t.closing) && t.closing[n].FirstNumber <= upTo {
		t.end(t.closing[n], Shutdown)
		n++
	}
	t.closing = t.closing[n:]
}

// all lists the live flows in the order of their first packets.
func (t *Table) all() []*Flow {
	all := make([]*Flow, 0, t.Counters.Live)
	for c := range t.chunks {
		for i := range t.chunks[c] {
			if f := &t.chunks[c][i]; f.live {
				all = append(all, f)
			}
		}
	}
	slices.SortFunc(all, func(a, b *Flow) int {
		return cmp.Or(cmp.Compare(a.FirstNumber, b.FirstNumber), cmp.Compare(a.ID, b.ID))
	})
	return all
}
