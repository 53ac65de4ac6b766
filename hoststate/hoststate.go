// Package hoststate remembers what was seen across packets and flows: thresholds, bits of hosts and pairs, bits and numbers of a flow.
//
// In: a key and the packet's time. Out: whether to alert, or whether a bit is set. Called by
// detect while it evaluates rules, and by shield's merge point for thresholds. Every table is
// bounded and evicts its least recently used entry, so an attacker who forges addresses costs
// a fixed amount of memory; what was evicted is counted. It never reads a clock of its own,
// and the same calls in the same order give the same answers.
package hoststate

// Second is one second in packet time, nanoseconds.
const Second = 1_000_000_000

// table is a map bounded to a number of entries; the least recently used one makes room.
type table[K comparable, V any] struct {
	index   map[K]int32
	slots   []slot[K, V]
	oldest  int32
	newest  int32
	free    int32
	max     int
	Evicted uint64
}

type slot[K comparable, V any] struct {
	key        K
	value      V
	prev, next int32
}

func newTable[K comparable, V any](max int) *table[K, V] {
	return &table[K, V]{index: make(map[K]int32), oldest: -1, newest: -1, free: -1, max: max}
}

// find returns the entry and makes it the most recently used, nil if there is none. Valid until the next put.
func (t *table[K, V]) find(k K) *V {
	i, ok := t.index[k]
	if !ok {
		return nil
	}
	t.unlink(i)
	t.link(i)
	return &t.slots[i].value
}

// put adds an entry that is not there yet.
func (t *table[K, V]) put(k K, v V) *V {
	if len(t.index) >= t.max {
		t.Evicted++
		t.drop(t.slots[t.oldest].key)
	}
	i := t.free
	if i >= 0 {
		t.free = t.slots[i].next
	} else {
		t.slots = append(t.slots, slot[K, V]{})
		i = int32(len(t.slots) - 1)
	}
	t.slots[i] = slot[K, V]{key: k, value: v}
	t.index[k] = i
	t.link(i)
	return &t.slots[i].value
}

func (t *table[K, V]) drop(k K) {
	i, ok := t.index[k]
	if !ok {
		return
	}
	delete(t.index, k)
	t.unlink(i)
	t.slots[i] = slot[K, V]{next: t.free}
	t.free = i
}

func (t *table[K, V]) unlink(i int32) {
	s := &t.slots[i]
	if s.prev >= 0 {
		t.slots[s.prev].next = s.next
	} else {
		t.oldest = s.next
	}
	if s.next >= 0 {
		t.slots[s.next].prev = s.prev
	} else {
		t.newest = s.prev
	}
}

func (t *table[K, V]) link(i int32) {
	s := &t.slots[i]
	s.prev, s.next = t.newest, -1
	if t.newest >= 0 {
		t.slots[t.newest].next = i
	} else {
		t.oldest = i
	}
	t.newest = i
}
