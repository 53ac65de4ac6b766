package shield

// ring keeps the most recent frames of one worker, so that an attack's packets can be sealed with it.
// Entries of one flow are chained from the newest back. Memory is fixed: the size it is made with and ringEntries.
type ring struct {
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

const (
	ringEntries  = 1 << 15
	ringBytes    = 16 << 20 // at most
	ringFrameMax = 64 << 10 // a longer frame is kept up to here
)

// newRing makes a ring for so many bytes of frames.
func newRing(size int) *ring {
	return &ring{bytes: make([]byte, max(size, ringFrameMax)), entries: make([]ringEntry, ringEntries), next: 1, oldest: 1}
}

// add keeps a copy of a frame and returns its entry's number. prev is the flow's entry before.
func (r *ring) add(data []byte, wire uint32, link uint16, time int64, number, prev uint64) uint64 {
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
func (r *ring) drop(from, to int) {
	for r.oldest < r.next {
		e := &r.entries[r.oldest&(ringEntries-1)]
		if e.start >= to || e.start+max(e.length, 1) <= from {
			return
		}
		r.oldest++
	}
}

// entry returns entry n, nil when it was overwritten.
func (r *ring) entry(n uint64) *ringEntry {
	if n < r.oldest || n >= r.next || n == 0 {
		return nil
	}
	return &r.entries[n&(ringEntries-1)]
}
