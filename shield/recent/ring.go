// Package recent remembers the frames that just passed, so that an attack's packets can be sealed with it.
//
// In: frames, and the signals that detectors got of them. Out: copies, oldest first. Called by shield's workers (Ring, one
// each) and its merge point (Signals). Its memory is fixed; the oldest is overwritten.
package recent

// Packet is one frame kept for an attack's evidence.
type Packet struct {
	Data     []byte
	Wire     uint32 // length on the wire, bytes
	LinkType uint16 // LINKTYPE_ number
	Time     int64  // ns
	Number   uint64
}

// Kept is a frame that was copied for evidence into a buffer of the caller's.
type Kept struct {
	Start, End int // in the buffer
	Wire       uint32
	Link       uint16
	Time       int64
	Number     uint64
}

// Packet is a copy of its own of a kept frame.
func (k *Kept) Packet(buffer []byte) Packet {
	return Packet{append([]byte(nil), buffer[k.Start:k.End]...), k.Wire, k.Link, k.Time, k.Number}
}

// Ring keeps the most recent frames of one worker.
// Entries of one flow are chained from the newest back. Memory is fixed: the size it is made with and ringEntries.
type Ring struct {
	bytes   []byte
	at      int // where the next frame goes
	entries []ringEntry
	next    uint64 // number of the next entry, from 1; entry n lies at n & mask
	oldest  uint64 // entries below were overwritten
}

type ringEntry struct {
	start, length int
	wire          uint32
	link          uint16
	time          int64
	number        uint64
	prev          uint64 // the same flow's entry before, 0 none
}

// RingBytes is what a ring is made with at most.
const RingBytes = 16 << 20

const (
	ringEntries  = 1 << 15
	ringFrameMax = 64 << 10 // a longer frame is kept up to here
)

// NewRing makes a ring for so many bytes of frames.
func NewRing(size int) *Ring {
	return &Ring{bytes: make([]byte, max(size, ringFrameMax)), entries: make([]ringEntry, ringEntries), next: 1, oldest: 1}
}

// Add keeps a copy of a frame and returns its entry's number. prev is the flow's entry before.
func (r *Ring) Add(data []byte, wire uint32, link uint16, time int64, number, prev uint64) uint64 {
	n := min(len(data), ringFrameMax)
	if r.at+n > len(r.bytes) {
		r.drop(r.at, len(r.bytes))
		r.at = 0
	}
	r.drop(r.at, r.at+n)
	if r.next-r.oldest >= ringEntries {
		r.oldest = r.next - ringEntries + 1
	}
	copy(r.bytes[r.at:], data[:n])
	r.entries[r.next&(ringEntries-1)] = ringEntry{r.at, n, wire, link, time, number, prev}
	r.at += n
	r.next++
	return r.next - 1
}

// drop forgets the entries whose bytes lie in [from, to): always the oldest ones.
func (r *Ring) drop(from, to int) {
	for r.oldest < r.next {
		e := &r.entries[r.oldest&(ringEntries-1)]
		if e.start >= to || e.start+max(e.length, 1) <= from {
			return
		}
		r.oldest++
	}
}

// entry returns entry n, nil when it was overwritten.
func (r *Ring) entry(n uint64) *ringEntry {
	if n < r.oldest || n >= r.next || n == 0 {
		return nil
	}
	return &r.entries[n&(ringEntries-1)]
}

// Bytes is the memory that is held.
func (r *Ring) Bytes() int64 { return int64(len(r.bytes)) + ringEntries*56 }

// ChainMax bounds the packets that are copied for one match.
const ChainMax = 64

// Chain copies at most a number, up to ChainMax, of a flow's latest packets, those from entry at back to after, oldest
// first, to the ends of buffer and kept.
func (r *Ring) Chain(buffer []byte, kept []Kept, at, after uint64, most int) ([]byte, []Kept) {
	var chain [ChainMax]uint64
	n := 0
	for n < min(most, ChainMax) && at > after {
		e := r.entry(at)
		if e == nil {
			break
		}
		chain[n] = at
		n++
		at = e.prev
	}
	for i := n - 1; i >= 0; i-- {
		e := r.entry(chain[i])
		start := len(buffer)
		buffer = append(buffer, r.bytes[e.start:e.start+e.length]...)
		kept = append(kept, Kept{start, len(buffer), e.wire, e.link, e.time, e.number})
	}
	return buffer, kept
}
