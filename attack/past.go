package attack

import "hash/maphash"

// pastFor is how long a closed attack is remembered for what is found late, ns; pastMax is of how many at most, the
// latest. A connection that went silent with a piece missing is looked at for the last time when it is idle for too
// long, by default after ten minutes.
const (
	pastFor = int64(15 * 60e9)
	pastMax = 65536
)

// past is the attacks that closed lately: what a connection's end brings to light of one of them is not a new one.
// Of a key the latest is found, by a hash that nobody outside can foresee: every attack comes in here, and hardly one
// is asked for.
type past struct {
	seed  maphash.Seed
	at    map[uint64]int // by hash: place in the queue, counted from the first ever
	queue []span         // by closing; those before head have gone
	head  int
	cut   int // how many were cut off the queue's beginning
}

// span is when a closed attack was seen, and when it closed, ns.
type span struct {
	key                 Key
	hash                uint64
	first, last, closed int64
}

// closed remembers an attack that was counted, and forgets what is too old.
func (p *past) closed(key Key, first, last, at int64) {
	if p.at == nil {
		p.at, p.seed = map[uint64]int{}, maphash.MakeSeed()
	}
	for p.head < len(p.queue) && (p.queue[p.head].closed+pastFor < at || len(p.queue)-p.head >= pastMax) {
		if old := p.queue[p.head].hash; p.at[old] == p.cut+p.head {
			delete(p.at, old)
		}
		p.head++
	}
	if p.head > len(p.queue)/2 {
		p.cut += p.head
		p.queue, p.head = append(p.queue[:0], p.queue[p.head:]...), 0
	}
	s := span{key, maphash.Comparable(p.seed, key), first, last, at}
	p.at[s.hash] = p.cut + len(p.queue)
	p.queue = append(p.queue, s)
}

// holds says whether what was seen at a time belongs to an attack of the key that has closed.
func (p *past) holds(key Key, seen int64) bool {
	if p.at == nil {
		return false
	}
	at, ok := p.at[maphash.Comparable(p.seed, key)]
	if !ok {
		return false
	}
	s, gap := &p.queue[at-p.cut], int64(table[key.Class].Gap)
	return s.key == key && seen >= s.first-gap && seen <= s.last+gap
}

// over says whether what was seen belongs to an attack that is only still open because the clock stands: it is over by
// the time of the finding.
func (acc *account) over(o *Observation) bool {
	if acc == nil {
		return false
	}
	gap := int64(table[acc.key.Class].Gap)
	for _, p := range acc.pieces {
		if p.ID != 0 && o.Seen >= p.First-gap && o.Seen <= p.Last+gap && o.Time > p.Last+gap {
			return true
		}
	}
	return false
}
