package behaviour

import "hash/maphash"

// table is a bounded map that forgets its least recently touched key when full, and counts that.
// Recency is a doubly linked list threaded through the entries, so the order of forgetting is the
// order of the signals and nothing else. Keys are found by open addressing, with the entries apart: a full table, as every
// busy network's is, gives an old entry away for each new key, and must not touch more memory than that takes.
type table[K comparable, V any] struct {
	limit   int
	count   int
	seed    maphash.Seed
	slots   []slot // a power of two, at most half of them taken
	slabs   [][]entry[K, V]
	free    int32 // the first of the entries that were removed, chained by older; none: 0
	newest  int32
	oldest  int32
	Dropped uint64
}

// slot is where a key is found: the lower half of its hash, and its entry's number; 0: empty.
type slot struct {
	hash  uint32
	entry int32
}

// entry numbers count from 1. An entry never moves, so what get returned stays where it is.
type entry[K comparable, V any] struct {
	key          K
	value        V
	hash         uint32
	newer, older int32
}

const slabEntries = 64

func newTable[K comparable, V any](limit int) *table[K, V] {
	return &table[K, V]{limit: limit, seed: maphash.MakeSeed(), slots: make([]slot, 16)}
}

func (t *table[K, V]) at(n int32) *entry[K, V] {
	return &t.slabs[(n-1)/slabEntries][(n-1)%slabEntries]
}

// look is the entry of a key, or 0 and the empty slot where it would be found.
func (t *table[K, V]) look(key *K, hash uint32) (entry int32, where int) {
	mask := len(t.slots) - 1
	for where = int(hash) & mask; ; where = (where + 1) & mask {
		s := t.slots[where]
		if s.entry == 0 || s.hash == hash && t.at(s.entry).key == *key {
			return s.entry, where
		}
	}
}

func (t *table[K, V]) hash(key *K) uint32 { return uint32(maphash.Comparable(t.seed, *key)) }

// get returns the value of key, made fresh if it is new, and marks it as touched. It is the key's until that is forgotten.
func (t *table[K, V]) get(key K) (v *V, fresh bool) {
	hash := t.hash(&key)
	n, where := t.look(&key, hash)
	if n != 0 {
		e := t.at(n)
		if n != t.newest {
			t.unlink(e)
			t.push(n, e)
		}
		return &e.value, false
	}
	if t.count >= t.limit && t.count > 0 {
		t.drop(t.oldest)
		t.Dropped++
		_, where = t.look(&key, hash) // others may have moved up
	} else if 2*(t.count+1) > len(t.slots) {
		t.grow()
		_, where = t.look(&key, hash)
	}
	n = t.take()
	e := t.at(n)
	*e = entry[K, V]{key: key, hash: hash}
	t.slots[where] = slot{hash, n}
	t.count++
	t.push(n, e)
	return &e.value, true
}

// find returns the value of key without making or touching it, nil if there is none.
func (t *table[K, V]) find(key K) *V {
	if n, _ := t.look(&key, t.hash(&key)); n != 0 {
		return &t.at(n).value
	}
	return nil
}

func (t *table[K, V]) remove(key K) {
	if n, _ := t.look(&key, t.hash(&key)); n != 0 {
		t.drop(n)
	}
}

// take is the number of an entry that nobody uses.
func (t *table[K, V]) take() int32 {
	if n := t.free; n != 0 {
		t.free = t.at(n).older
		return n
	}
	last := len(t.slabs) - 1
	if last < 0 || len(t.slabs[last]) == slabEntries {
		t.slabs = append(t.slabs, make([]entry[K, V], 0, slabEntries))
		last++
	}
	t.slabs[last] = t.slabs[last][:len(t.slabs[last])+1]
	return int32(last*slabEntries + len(t.slabs[last]))
}

// drop forgets an entry. The slots behind it move up, so that no search ends before its key.
func (t *table[K, V]) drop(n int32) {
	e := t.at(n)
	_, hole := t.look(&e.key, e.hash)
	mask := len(t.slots) - 1
	for i := (hole + 1) & mask; t.slots[i].entry != 0; i = (i + 1) & mask {
		if home := int(t.slots[i].hash) & mask; (i-home)&mask >= (i-hole)&mask {
			t.slots[hole] = t.slots[i]
			hole = i
		}
	}
	t.slots[hole] = slot{}
	t.unlink(e)
	*e = entry[K, V]{older: t.free}
	t.free = n
	t.count--
}

func (t *table[K, V]) grow() {
	old := t.slots
	t.slots = make([]slot, 2*len(old))
	mask := len(t.slots) - 1
	for _, s := range old {
		if s.entry == 0 {
			continue
		}
		i := int(s.hash) & mask
		for t.slots[i].entry != 0 {
			i = (i + 1) & mask
		}
		t.slots[i] = s
	}
}

func (t *table[K, V]) push(n int32, e *entry[K, V]) {
	e.older, e.newer = t.newest, 0
	if t.newest != 0 {
		t.at(t.newest).newer = n
	}
	t.newest = n
	if t.oldest == 0 {
		t.oldest = n
	}
}

func (t *table[K, V]) unlink(e *entry[K, V]) {
	if e.newer != 0 {
		t.at(e.newer).older = e.older
	} else {
		t.newest = e.older
	}
	if e.older != 0 {
		t.at(e.older).newer = e.newer
	} else {
		t.oldest = e.newer
	}
}

// seen is a bounded set of distinct things with the time each was last met.
// Full, it first forgets what is older than life, if it has one.
type seen[K comparable] struct {
	limit  int
	life   int64
	times  map[K]int64
	pruned int64
}

// add notes k at time now and says whether it is new. Past the limit nothing is added: the count stays at the limit.
func (s *seen[K]) add(k K, now int64) bool {
	if s.times == nil {
		s.times = map[K]int64{}
	}
	_, old := s.times[k]
	if !old && len(s.times) >= s.limit && s.life > 0 && now-s.pruned > s.life/8 { // each pruning costs the whole set
		s.pruned = now
		s.since(now - s.life)
	}
	if !old && len(s.times) >= s.limit {
		return false
	}
	s.times[k] = now
	return !old
}

// since forgets what was last met before from, and returns how many are left.
func (s *seen[K]) since(from int64) int {
	for k, at := range s.times {
		if at < from {
			delete(s.times, k)
		}
	}
	return len(s.times)
}

func (s *seen[K]) len() int { return len(s.times) }

// window counts events within the last span, in eight slices.
type window struct {
	slices [8]uint32
	at     int64 // slice number of the newest
}

// add counts n events at time now and returns the sum of the last span ns.
func (w *window) add(now, span int64, n uint32) uint32 {
	slice := now / (span / int64(len(w.slices)))
	if slice-w.at >= int64(len(w.slices)) || slice < w.at-int64(len(w.slices)) {
		w.slices = [8]uint32{}
		w.at = slice
	}
	for w.at < slice {
		w.at++
		w.slices[w.at&7] = 0
	}
	w.slices[slice&7] += n
	var sum uint32
	for _, c := range w.slices {
		sum += c
	}
	return sum
}

// take undoes n of the newest events.
func (w *window) take(n uint32) {
	for i := range int64(len(w.slices)) {
		c := &w.slices[(w.at-i)&7]
		less := min(*c, n)
		*c, n = *c-less, n-less
	}
}

const second = int64(1e9)
const minute = 60 * second
