package attack

import (
	"cmp"
	"encoding/json"
	"maps"
	"math"
	"slices"
)

// bag counts names within a bound. Full, it keeps the names of the smallest hashes, so that what it keeps
// is a function of the set of names and not of their order, and their spread tells how many there were
// (k minimum values). A name once out never returns, so the counts of those kept are exact.
type bag struct {
	counts map[string]uint64
	limit  int
	top    uint64 // largest hash kept; valid when full
}

func (b *bag) full() bool { return len(b.counts) >= b.limit }

func (b *bag) add(name string, n uint64) {
	if b.counts == nil {
		b.counts = map[string]uint64{}
	}
	if _, ok := b.counts[name]; ok {
		b.counts[name] += n
		return
	}
	if b.limit == 0 {
		b.limit = listMax
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

// last is the name of the largest hash.
func (b *bag) last() (name string, top uint64) {
	for k := range b.counts {
		if h := hash(k); h >= top {
			name, top = k, h
		}
	}
	return name, top
}

// merge takes another's names; of one named in both the counts are summed, or the larger stands.
func (b *bag) merge(o *bag, sum bool) {
	for k, n := range o.counts {
		if have, ok := b.counts[k]; ok && !sum {
			b.counts[k] = max(have, n)
			continue
		}
		b.add(k, n)
	}
}

// distinct is how many names there were; an estimate when full.
func (b *bag) distinct() uint64 {
	n := uint64(len(b.counts))
	if n == 0 || !b.full() {
		return n
	}
	_, top := b.last()
	return max(n, uint64(float64(n-1)*math.MaxUint64/float64(max(top, 1))))
}

// names returns the names kept, rising.
func (b *bag) names() []string { return slices.Sorted(maps.Keys(b.counts)) }

// most returns up to n names, the most frequent first.
func (b *bag) most(n int) []string {
	all := slices.SortedFunc(maps.Keys(b.counts), func(x, y string) int {
		return cmp.Or(cmp.Compare(b.counts[y], b.counts[x]), cmp.Compare(x, y))
	})
	return all[:min(n, len(all))]
}

// MarshalJSON writes the counts; maps are written in the order of their keys.
func (b bag) MarshalJSON() ([]byte, error) { return json.Marshal(b.counts) }

// UnmarshalJSON reads the counts; the limit is set by the owner.
func (b *bag) UnmarshalJSON(p []byte) error { return json.Unmarshal(p, &b.counts) }

// hash is FNV-1a with a final mix: fixed, so that every sensor keeps the same names.
func hash(s string) uint64 {
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
