package behaviour

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// model is a table as one would write it without caring for time: keys by recency, the newest last.
type model struct {
	limit   int
	keys    []int
	values  map[int]int
	dropped uint64
}

func (m *model) get(k int) (v int, fresh bool) {
	if i := slices.Index(m.keys, k); i >= 0 {
		m.keys = append(slices.Delete(m.keys, i, i+1), k)
		return m.values[k], false
	}
	if len(m.keys) >= m.limit {
		delete(m.values, m.keys[0])
		m.keys = m.keys[1:]
		m.dropped++
	}
	m.keys = append(m.keys, k)
	m.values[k] = 0
	return 0, true
}

// Random work on tables of many sizes, few keys and many, gives what the model gives.
func TestTableIsItsModel(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for _, limit := range []int{1, 2, 7, 8, 9, 63, 64, 65, 200} {
		for _, keys := range []int{limit, 2*limit + 1, 20 * limit} {
			tb, m := newTable[int, int](limit), model{limit: limit, values: map[int]int{}}
			for step := range 4000 {
				k := r.IntN(keys)
				switch r.IntN(8) {
				case 0:
					if v := tb.find(k); (v != nil) != slices.Contains(m.keys, k) || v != nil && *v != m.values[k] {
						t.Fatalf("limit %d, step %d: found %v", limit, step, v)
					}
				case 1:
					tb.remove(k)
					m.keys = slices.DeleteFunc(m.keys, func(x int) bool { return x == k })
					delete(m.values, k)
				default:
					v, fresh := tb.get(k)
					want, wantFresh := m.get(k)
					if *v != want || fresh != wantFresh {
						t.Fatalf("limit %d, step %d: %d %v, want %d %v", limit, step, *v, fresh, want, wantFresh)
					}
					*v, m.values[k] = step, step
				}
				if tb.count != len(m.keys) || tb.Dropped != m.dropped {
					t.Fatalf("limit %d, step %d: %d keys, %d dropped, want %d, %d", limit, step, tb.count, tb.Dropped, len(m.keys), m.dropped)
				}
			}
			for _, k := range m.keys { // the oldest first, and nothing besides
				if e := tb.at(tb.oldest); e.key != k {
					t.Fatalf("limit %d: %d is the oldest, want %d", limit, e.key, k)
				}
				tb.remove(k)
			}
			if tb.count != 0 || tb.oldest != 0 || tb.newest != 0 || slices.ContainsFunc(tb.slots, func(s slot) bool { return s.entry != 0 }) {
				t.Fatalf("limit %d: something is left", limit)
			}
			if most := (limit/slabEntries + 1) * slabEntries; len(tb.slabs)*slabEntries > most {
				t.Errorf("limit %d: room for %d entries", limit, len(tb.slabs)*slabEntries)
			}
		}
	}
}
