package recent

import (
	"cmp"
	"slices"

	"github.com/dejpha/dejpha/behaviour"
	"github.com/dejpha/dejpha/decode"
)

// FrameBytes is what is kept of a signal's frame.
const FrameBytes = 2 << 10

// Bounds of the packets behind signals, of which a detector's attack gets its evidence.
const (
	recentBytes   = 4 << 20
	recentEntries = 1 << 14
	recentLook    = 1 << 12 // entries looked at for one finding
	recentTaken   = 192     // packets taken for one
)

// Signals holds the packets that the latest signals came from, in merge order, so that it is the same for any number
// of workers. What a detector concludes rests on many flows; their packets are found here again.
type Signals struct {
	bytes   []byte
	at      int
	entries []recentEntry
	next    int // of the next entry; entry n lies at n % recentEntries
	oldest  int
}

type recentEntry struct {
	packet         Kept // its bytes are in Signals.bytes
	client, server decode.Addr
	eth            [6]byte
	vlan           uint16
}

// NewSignals makes an empty one.
func NewSignals() *Signals {
	return &Signals{bytes: make([]byte, recentBytes), entries: make([]recentEntry, recentEntries)}
}

// Add keeps the packet of a signal; a packet with several signals is kept once.
func (r *Signals) Add(s *behaviour.Signal, k *Kept, data []byte) {
	if r.next > r.oldest && r.entry(r.next-1).packet.Number == k.Number {
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
	e.packet.Start, e.packet.End = r.at, r.at+len(data)
	*r.entry(r.next) = e
	r.at += len(data)
	r.next++
}

func (r *Signals) entry(n int) *recentEntry { return &r.entries[n%recentEntries] }

// drop forgets the entries whose bytes lie in [from, to): always the oldest ones.
func (r *Signals) drop(from, to int) {
	for r.oldest < r.next {
		if p := &r.entry(r.oldest).packet; p.Start >= to || p.End <= from {
			return
		}
		r.oldest++
	}
}

// Of returns copies of the latest packets that a finding rests on, oldest first.
func (r *Signals) Of(f *behaviour.Finding) []Packet {
	var out []Packet
	for n := r.next - 1; n >= max(r.oldest, r.next-recentLook) && len(out) < recentTaken; n-- {
		if e := r.entry(n); e.about(f) {
			out = append(out, e.packet.Packet(r.bytes))
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
