package attack

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
)

// bag counts names within a bound. Full, it keeps the names of the smallest hashes, so that what it keeps
// is a function of the set of names and not of their order, and their spread tells how many there were
// (k minimum values). A name once out never returns, so the counts of those kept are exact.
// Most bags of most attacks hold one name: a few lie in a list, the first of it in the bag itself.
type bag struct {
	few    []tally
	one    [1]tally
	counts map[string]uint64 // of more than fewMax; few is empty then
	limit  int
	top    uint64 // largest hash kept; valid when full
}

type tally struct {
	name string
	n    uint64
}

const fewMax = 8

func (b *bag) len() int { return len(b.few) + len(b.counts) }

func (b *bag) full() bool { return b.len() >= b.limit }

// each calls f for every name, in no order.
func (b *bag) each(f func(name string, n uint64)) {
	for i := range b.few {
		f(b.few[i].name, b.few[i].n)
	}
	for name, n := range b.counts {
		f(name, n)
	}
}

// has is where the count of a name stands in few, nil if it does not.
func (b *bag) has(name string) *tally {
	for i := range b.few {
		if b.few[i].name == name {
			return &b.few[i]
		}
	}
	return nil
}

// of is the count of a name that is kept.
func (b *bag) of(name string) uint64 {
	if t := b.has(name); t != nil {
		return t.n
	}
	return b.counts[name]
}

func (b *bag) add(name string, n uint64) {
	if b.limit == 0 {
		b.limit = listMax
	}
	if b.counts == nil {
		switch t := b.has(name); {
		case t != nil:
			t.n += n
			return
		case len(b.few) == 0:
			b.few = append(b.one[:0:1], tally{name, n})
			return
		case len(b.few) < min(fewMax, b.limit):
			b.few = append(b.few, tally{name, n})
			return
		}
		b.spread()
	}
	if _, ok := b.counts[name]; ok {
		b.counts[name] += n
		return
	}
	if b.full() {
		if b.top == 0 {
			_, b.top = b.last()
		}
		if hash(name) >= b.top {
			return
		}
		out, _ := b.last()
		delete(b.counts, out)
		b.counts[name] = n
		_, b.top = b.last()
		return
	}
	b.counts[name] = n
}

// spread moves the names from the list to the map.
func (b *bag) spread() {
	b.counts = make(map[string]uint64, 2*fewMax)
	for _, t := range b.few {
		b.counts[t.name] = t.n
	}
	b.few, b.one = nil, [1]tally{}
}

// last is the name of the largest hash.
func (b *bag) last() (name string, top uint64) {
	b.each(func(k string, _ uint64) {
		if h := hash(k); h >= top {
			name, top = k, h
		}
	})
	return name, top
}

// merge takes another's names; of one named in both the counts are summed, or the larger stands.
func (b *bag) merge(o *bag, sum bool) {
	o.each(func(k string, n uint64) {
		if have := b.of(k); have > 0 && !sum {
			n = max(have, n) - have
		}
		b.add(k, n)
	})
}

// distinct is how many names there were; an estimate when full.
func (b *bag) distinct() uint64 {
	n := uint64(b.len())
	if n == 0 || !b.full() {
		return n
	}
	_, top := b.last()
	return max(n, uint64(float64(n-1)*math.MaxUint64/float64(max(top, 1))))
}

// names returns the names kept, rising; nil for none.
func (b *bag) names() []string {
	if b.len() == 0 {
		return nil
	}
	out := make([]string, 0, b.len())
	b.each(func(name string, _ uint64) { out = append(out, name) })
	slices.Sort(out)
	return out
}

// least is the first of the names; "" for none.
func (b *bag) least() (name string) {
	first := true
	b.each(func(k string, _ uint64) {
		if first || k < name {
			name, first = k, false
		}
	})
	return name
}

// most returns up to n names, the most frequent first.
func (b *bag) most(n int) []string {
	all := b.names()
	slices.SortStableFunc(all, func(x, y string) int { return cmp.Compare(b.of(y), b.of(x)) })
	return all[:min(n, len(all))]
}

// MarshalJSON writes the counts; maps are written in the order of their keys.
func (b bag) MarshalJSON() ([]byte, error) {
	if len(b.few) > 0 {
		b.spread()
	}
	return json.Marshal(b.counts)
}

// UnmarshalJSON reads the counts; the limit is set by the owner.
func (b *bag) UnmarshalJSON(p []byte) error { return json.Unmarshal(p, &b.counts) }

// hash is FNV-1a with a final mix: fixed, so that every sensor keeps the same names.
func hash[T string | []byte](s T) uint64 {
	h := uint64(14695981039346656037)
	for i := 0; i < len(s); i++ {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}
