package behaviour

// table is a bounded map that forgets its least recently touched key when full, and counts that.
// Recency is a doubly linked list threaded through the entries, so the order of forgetting is the
// order of the signals and nothing else.
type table[K comparable, V any] struct {
	limit   int
	byKey   map[K]*entry[K, V]
	newest  *entry[K, V]
	oldest  *entry[K, V]
	Dropped uint64
}

type entry[K comparable, V any] struct {
	key          K
	value        V
	newer, older *entry[K, V]
}

func newTable[K comparable, V any](limit int) *table[K, V] {
	return &table[K, V]{limit: limit, byKey: map[K]*entry[K, V]{}}
}

// get returns the value of key, made fresh if it is new, and marks it as touched. It is the key's until that is forgotten.
func (t *table[K, V]) get(key K) (v *V, fresh bool) {
	e := t.byKey[key]
	if e != nil {
		t.unlink(e)
		t.push(e)
		return &e.value, false
	}
	if len(t.byKey) >= t.limit {
		e = t.oldest
		t.unlink(e)
		delete(t.byKey, e.key)
		t.Dropped++
		*e = entry[K, V]{key: key}
	} else {
		e = &entry[K, V]{key: key}
	}
	t.byKey[key] = e
	t.push(e)
	return &e.value, true
}

// find returns the value of key without making or touching it, nil if there is none.
func (t *table[K, V]) find(key K) *V {
	if e := t.byKey[key]; e != nil {
		return &e.value
	}
	return nil
}

func (t *table[K, V]) remove(key K) {
	if e := t.byKey[key]; e != nil {
		t.unlink(e)
		delete(t.byKey, key)
	}
}

func (t *table[K, V]) push(e *entry[K, V]) {
	e.older, e.newer = t.newest, nil
	if t.newest != nil {
		t.newest.newer = e
	}
	t.newest = e
	if t.oldest == nil {
		t.oldest = e
	}
}

func (t *table[K, V]) unlink(e *entry[K, V]) {
	if e.newer != nil {
		e.newer.older = e.older
	} else {
		t.newest = e.older
	}
	if e.older != nil {
		e.older.newer = e.newer
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
