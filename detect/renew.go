package detect

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"

	"github.com/dejpha/dejpha/detect/literal"
	"github.com/dejpha/dejpha/hoststate"
	"github.com/dejpha/dejpha/rule"
)

// A rule set is renewed by compiling the next one beside it. What did not change is shared, so that two sets take
// little more memory than one: rules, what was compiled of each, and the searches for a group's literals. Sharing works
// because the tables that a compiled rule points into (names, addresses, buffers) only ever grow from set to set.

// wornLeast and wornFactor say when those tables hold so much that no rule uses any more that the next set is made
// from scratch.
const (
	wornLeast  = 4096
	wornFactor = 2
)

// bitNamesMax bounds the names of flow bits and numbers, which are never forgotten from set to set: past it they are,
// and the flows' bits with them.
const bitNamesMax = 60000

// lineage tells a set from others without holding on to it.
type lineage struct{ _ byte }

// Recompile is Compile for a set that is to follow old. twins names, for each rule that reads like one in old, that
// one. Old is not changed; nothing of it that is not shared is held.
func Recompile(rules []*rule.Rule, opts Options, old *Set, twins map[*rule.Rule]*rule.Rule) (*Set, []Refusal) {
	c := newCompiler(opts)
	c.inherit(old, twins)
	return c.all(rules)
}

// inherit takes over what the new set may share with old.
func (c *compiler) inherit(old *Set, twins map[*rule.Rule]*rule.Rule) {
	s := c.set
	n := &s.names
	n.era = old.names.era + 1
	if len(old.names.flowBits) < bitNamesMax && len(old.names.flowInts) < bitNamesMax && len(old.names.hostBits) < bitNamesMax {
		n.era = old.names.era
		n.flowBits, n.flowInts, n.hostBits = maps.Clone(old.names.flowBits), maps.Clone(old.names.flowInts), maps.Clone(old.names.hostBits)
		n.bitNames = slices.Clip(old.names.bitNames)
	}
	if n.era != old.names.era || old.worn() || len(old.opts.Protocols) != len(s.opts.Protocols) {
		return
	}
	n.buffers, n.byBuffer = slices.Clip(old.names.buffers), maps.Clone(old.names.byBuffer)
	s.addrs, s.addresses, s.fresh = slices.Clip(old.addrs), maps.Clone(old.addresses), old.fresh
	c.old, c.shelf.old, s.from = old, old.matchers, old.self
	c.index = make(map[*rule.Rule]uint32, len(old.rules))
	for i := range old.rules {
		c.index[old.rules[i].rule] = uint32(i)
	}
	c.twins = twins
}

func (s *Set) worn() bool {
	return len(s.addrs)+len(s.names.buffers) > wornFactor*s.fresh+wornLeast
}

// shared returns what old made of the rule, and where it stood.
func (c *compiler) shared(r *rule.Rule) (sig, int32) {
	twin := r
	if t := c.twins[r]; t != nil {
		twin = t
	}
	i, ok := c.index[twin]
	if !ok {
		return sig{}, -1
	}
	g := c.old.rules[i]
	g.rule = r
	return g, int32(i)
}

// shelf keeps the matchers of a set by what they search for.
type shelf struct {
	old, now map[[32]byte]*literal.Matcher
	counts   *Counts
}

// matcher finds one that searches for the same, else makes it.
func (f *shelf) matcher(pats []literal.Pattern) *literal.Matcher {
	key := patternsKey(pats)
	m := f.now[key]
	if m != nil {
		f.counts.Matchers++
		return m
	}
	if m = f.old[key]; m == nil {
		m = literal.Build(pats)
	} else {
		f.counts.Shared++
	}
	f.now[key] = m
	f.counts.Matchers++
	f.counts.MatcherBytes += m.Bytes()
	return m
}

func patternsKey(pats []literal.Pattern) (key [32]byte) {
	h := sha256.New()
	b := make([]byte, 0, 512)
	for i := range pats {
		p := &pats[i]
		b = binary.LittleEndian.AppendUint32(b[:0], uint32(len(p.Bytes)))
		b = binary.LittleEndian.AppendUint32(b, p.Offset)
		b = binary.LittleEndian.AppendUint32(b, p.Depth)
		b = binary.LittleEndian.AppendUint32(b, p.ID)
		if p.NoCase {
			b = append(b, 1)
		}
		h.Write(append(b, p.Bytes...)) //nolint:errcheck // a hash cannot fail
	}
	h.Sum(key[:0])
	return key
}

// Renew goes over to another set between two packets. What is remembered of flows stays: their bits and numbers, and of
// transactions which unchanged rules matched or half matched. Transactions under way are looked at once more from their
// beginning, as far as it is still there, so that new rules see them too. Not within Inspect.
func (w *Worker) Renew(s *Set) {
	old := w.set
	w.set = s
	clear(w.matches[:cap(w.matches)]) // let go of old rules
	w.matches, w.cand, w.frame = w.matches[:0], w.cand[:0], Frame{}
	w.eval.Vars = make([]uint64, s.vars)
	if s.names.era != old.names.era {
		w.bits = hoststate.NewBits(hostBitsMax)
		for i := range w.flows {
			w.flows[i].bits.Reset()
			w.flows[i].ints.Reset()
		}
	}
	counts := make([]RuleCounters, len(s.rules))
	to := s.renumbered(old)
	for i, j := range to {
		if j >= 0 {
			counts[j] = w.counts[i]
		}
	}
	w.counts = counts
	w.renewed++
	for i := range w.txs {
		w.txs[i].renumber(to)
	}
}

// renumbered says where each rule of old stands in s, -1 if it is gone.
func (s *Set) renumbered(old *Set) []int32 {
	to := make([]int32, len(old.rules))
	for i := range to {
		to[i] = -1
	}
	if s.from == nil || s.from != old.self {
		return to
	}
	for j, i := range s.was {
		if i >= 0 {
			to[i] = int32(j)
		}
	}
	return to
}

func (t *txState) renumber(to []int32) {
	pending, matched := t.pending[:0], t.matched[:0]
	for _, p := range t.pending {
		if j := to[p.rule]; j >= 0 {
			p.rule = uint32(j)
			pending = append(pending, p)
		}
	}
	for _, m := range t.matched {
		if j := to[m>>1]; j >= 0 {
			matched = append(matched, uint64(j)<<1|m&1)
		}
	}
	t.pending, t.matched = pending, matched
}
