// Package kept holds the packets that wait with open accounts, until their attacks are sealed or come to nothing.
//
// In: the packets of observations, copied. Out: a capture file an attack. Called by shield's merge point; not for several
// goroutines at once. Its memory is bounded: past the bounds packets are not kept, and the attack is counted all the same.
package kept

import (
	"slices"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/capture/file"
	"github.com/dejpha/dejpha/shield/recent"
)

// Bounds of the packets kept for one attack.
const (
	bytesMax   = 64 << 10
	packetsMax = 256
	openMax    = 32 << 20 // of all open attacks; past it new ones keep none
)

// Store keeps packets by account. The zero Store is empty and ready.
type Store struct {
	Sample uint64 // packets are kept of one account in so many; 0 and 1: of all

	runs  map[attack.Key][]*run
	bytes int
}

// run is a capture in the making: the packets of one run of an account's observations, which is one attack's if it
// becomes one.
type run struct {
	first, last int64 // times of the observations
	pcap        []byte
	link        uint16
	has         map[uint64]bool // numbers of the packets in it
}

// passed says that nothing is kept of an account: it is not in the sample.
func (s *Store) passed(key attack.Key) bool { return s.Sample > 1 && key.Hash()%s.Sample != 0 }

func (r *run) full() bool { return len(r.has) >= packetsMax || len(r.pcap) >= bytesMax }

// run is what is kept of the observations of an account that one at t belongs to; nil: nothing yet. The accounts draw the
// same line: at most a gap apart, and within one span of the grid.
func (s *Store) run(key attack.Key, t int64) *run {
	c := &attack.Table()[key.Class]
	for _, r := range s.runs[key] {
		if t >= r.first-int64(c.Gap) && t <= r.last+int64(c.Gap) && t/int64(c.Span) == r.first/int64(c.Span) {
			return r
		}
	}
	return nil
}

// Add adds packets to what is kept of an account's observations; t is that of the newest one, ns since 1970 UTC.
func (s *Store) Add(key attack.Key, t int64, packets []recent.Packet) {
	if s.passed(key) {
		return
	}
	r := s.run(key, t)
	if r != nil {
		r.first, r.last = min(r.first, t), max(r.last, t)
	}
	for i, p := range packets {
		if r == nil {
			if s.bytes > openMax {
				return
			}
			r = s.begin(key, t, p.LinkType)
		}
		if p.LinkType != r.link || r.has[p.Number] || r.full() {
			continue
		}
		if need := 16 + len(p.Data); cap(r.pcap)-len(r.pcap) < need {
			r.pcap = slices.Grow(r.pcap, min(size(packets[i:]), need+bytesMax))
		}
		before := len(r.pcap)
		r.pcap = file.AppendRecord(r.pcap, p.Data, p.Wire, p.Time)
		s.bytes += len(r.pcap) - before
		r.has[p.Number] = true
	}
}

// size is what packets take in a capture, bytes.
func size(packets []recent.Packet) (n int) {
	for i := range packets {
		n += 16 + len(packets[i].Data)
	}
	return n
}

func (s *Store) begin(key attack.Key, t int64, link uint16) *run {
	r := &run{first: t, last: t, pcap: file.AppendHeader(nil, link), link: link, has: map[uint64]bool{}}
	if s.runs == nil {
		s.runs = map[attack.Key][]*run{}
	}
	s.runs[key] = append(s.runs[key], r)
	s.bytes += len(r.pcap)
	return r
}

// Take returns what is kept of the observations between two times, and lets go of it and of what is older.
func (s *Store) Take(key attack.Key, first, last int64) (pcap []byte) {
	if s.passed(key) {
		return nil
	}
	var left []*run
	var link uint16
	for _, r := range s.runs[key] {
		if r.first > last {
			left = append(left, r)
			continue
		}
		s.bytes -= len(r.pcap)
		switch {
		case r.last < first: // of observations that came to nothing
		case pcap == nil:
			pcap, link = r.pcap, r.link
		case r.link == link:
			pcap = append(pcap, r.pcap[len(file.AppendHeader(nil, link)):]...)
		}
	}
	if left == nil {
		delete(s.runs, key)
	} else {
		s.runs[key] = left
	}
	return pcap
}

// Forget lets go of what is kept of observations that came to nothing: their account has closed by now, ns since 1970 UTC.
func (s *Store) Forget(now int64) {
	for key, runs := range s.runs {
		gap := int64(attack.Table()[key.Class].Gap)
		left := slices.DeleteFunc(runs, func(r *run) bool {
			gone := r.last+gap < now
			if gone {
				s.bytes -= len(r.pcap)
			}
			return gone
		})
		if s.runs[key] = left; len(left) == 0 {
			delete(s.runs, key)
		}
	}
}

// Full says whether nothing more is kept of the observations of an account that one at t, ns, belongs to.
func (s *Store) Full(key attack.Key, t int64) bool {
	if s.passed(key) {
		return true
	}
	r := s.run(key, t)
	return r != nil && r.full()
}

// Held is how many accounts packets are kept of, and their bytes.
func (s *Store) Held() (accounts, bytes int) { return len(s.runs), s.bytes }
