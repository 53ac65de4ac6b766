package shield

import (
	"cmp"
	"slices"

	"github.com/dejpha/dejpha/behaviour"
	"github.com/dejpha/dejpha/decode"
)

// Bounds of the packets behind signals, of which a detector's attack gets its evidence.
const (
	recentBytes   = 4 << 20
	recentEntries = 1 << 14
	recentLook    = 1 << 12 // entries looked at for one finding
	recentTaken   = 192     // packets taken for one
	recentFrame   = 2 << 10 // bytes kept of a frame
)

// recent holds the packets that the latest signals came from, in merge order, so that it is the same for any number
// of workers. What a detector concludes rests on many flows; their packets are found here again.
type recent struct {
	bytes   []byte
	at      int
	entries []recentEntry
	next    int // of the next entry; entry n lies at n % recentEntries
	oldest  int
}

type recentEntry struct {
	packet         keptPacket // start and end are in recent.bytes
	client, server decode.Addr
	eth            [6]byte
	vlan           uint16
}

func newRecent() *recent {
	return &recent{bytes: make([]byte, recentBytes), entries: make([]recentEntry, recentEntries)}
}

// add keeps the packet of a signal; a packet with several signals is kept once.
func (r *recent) add(s *behaviour.Signal, k *keptPacket, data []byte) {
	if r.next > r.oldest && r.entry(r.next-1).packet.number == k.number {
		return
	}
	if r.at+len(data) > len(r.bytes) {
		r.drop(r.at, len(r.bytes))
		r.at = 0
	}
	r.drop(r.at, r.at+len(data))
	r.oldest = max(r.oldest, r.next-recentEntries+1)
	copy(r.bytes[r.at:], data)
	e := recentEntry{packet: *k, client: s.Client, server: s.Server, eth: s.EthSrc, vlan: s.VLAN}
	e.packet.start, e.packet.end = r.at, r.at+len(data)
	*r.entry(r.next) = e
	r.at += len(data)
	r.next++
}

func (r *recent) entry(n int) *recentEntry { return &r.entries[n%recentEntries] }

// drop forgets the entries whose bytes lie in [from, to): always the oldest ones.
func (r *recent) drop(from, to int) {
	for r.oldest < r.next {
		if p := &r.entry(r.oldest).packet; p.start >= to || p.end <= from {
			return
		}
		r.oldest++
	}
}

// of returns copies of the latest packets that a finding rests on, oldest first.
func (r *recent) of(f *behaviour.Finding) []Packet {
	var out []Packet
	for n := r.next - 1; n >= max(r.oldest, r.next-recentLook) && len(out) < recentTaken; n-- {
		if e := r.entry(n); e.about(f) {
			p := e.packet
			out = append(out, Packet{slices.Clone(r.bytes[p.start:p.end]), p.wire, p.link, p.time, p.number})
		}
	}
	slices.SortStableFunc(out, func(a, b Packet) int { return cmp.Compare(a.Number, b.Number) })
	out = slices.CompactFunc(out, func(a, b Packet) bool { return a.Number == b.Number })
	return out
}

// about says whether an entry is between the ends that a finding names.
func (e *recentEntry) about(f *behaviour.Finding) bool {
	either := func(a decode.Addr) bool { return e.client == a || e.server == a }
	switch {
	case f.HasOriginMAC:
		return e.eth == f.OriginMAC && e.vlan == f.VLAN
	case f.HasSubject:
		return either(f.Subject) && (!f.HasOrigin || either(f.Origin))
	case f.HasOrigin && f.Proven:
		return either(f.Origin)
	case f.HasTarget:
		return either(f.Target)
	}
	return f.HasOrigin && either(f.Origin)
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
	o.bytes = append(o.bytes, f.Data[:min(len(f.Data), recentFrame)]...)
	o.kept = append(o.kept, keptPacket{start, len(o.bytes), f.WireLen, f.LinkType, w.now, w.number})
	o.framed, o.framedAt = w.number, len(o.kept)-1
	return o.framedAt, len(o.kept)
}
