package claim

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/evidence"
)

// sets are numbers joined to sets.
type sets struct{ up []int }

// add makes a set of a new number.
func (s *sets) add() int {
	s.up = append(s.up, len(s.up))
	return len(s.up) - 1
}

// root is the same for all numbers of a set: the least.
func (s *sets) root(n int) int {
	for s.up[n] != n {
		s.up[n] = s.up[s.up[n]]
		n = s.up[n]
	}
	return n
}

// join makes one set of two; false if they were one.
func (s *sets) join(a, b int) bool {
	x, y := s.root(a), s.root(b)
	s.up[max(x, y)] = min(x, y)
	return x != y
}

// node is one attack's leaf.
type node struct {
	part, leaf int64
	key        int    // class, origin, target group, subject
	first      uint64 // microseconds; last as wide as its continuations
	last       uint64
	gap        uint64
	later      bool     // closed after the window
	sources    []string // that an unproven one names, as origins
	proven     bool
	unproven   bool
}

// matching compares the leaves of several logs.
type matching struct {
	nodes []node
	sets  sets
	keys  map[string]int
	list  []joined
}

// joined is a pair and one of its nodes.
type joined struct {
	pair Pair
	node int
}

func (g *matching) number(s string) int {
	n, ok := g.keys[s]
	if !ok {
		n = len(g.keys)
		g.keys[s] = n
	}
	return n
}

// load reads the attacks of one part: those in its window and those after it that may belong to one in it.
func (g *matching) load(dir string, part int, c *Claim) (erased uint64, err error) {
	v, err := c.read(c.Log.Key)
	if err != nil {
		return 0, err
	}
	chosen := map[int]bool{}
	for _, cell := range c.Select.cells() {
		chosen[cell] = true
	}
	from := int64(0)
	if c.Leaves.From != nil {
		from = c.Leaves.From.Index
	}
	ids := map[uint64]int{} // numbers of attacks to their nodes
	walk := evidence.Walk(dir, from, func(i int64, b []byte) bool {
		if i >= v.point.Size {
			return false
		}
		if _, bad := evidence.ReadCorrectionLeaf(b); bad == nil {
			err = unmergeable("leaf %d of %s is a correction; logs with corrections in or after the window are not merged", i, c.Log.Origin)
			return false
		}
		g.continued(dir, i, b, ids)
		a, bad := evidence.ReadAttackLeaf(b)
		if bad != nil || !chosen[a.Cell()] || a.Overflow() {
			return true
		}
		later := i > c.Leaves.To.Index
		gap := uint64(attack.Table()[a.Class].Gap / time.Microsecond)
		if later && Time(a.FirstSeen) > c.Window.To+Time(gap) {
			return true
		}
		r, bad := evidence.ReadRecord(dir, i)
		if bad != nil && !errors.Is(bad, evidence.ErrErased) {
			err = bad
			return false
		}
		if bad != nil {
			if !later {
				erased++
			}
			return true
		}
		if len(g.nodes) >= nodesMax {
			err = unmergeable("more than %s attacks: merge shorter windows", number(nodesMax))
			return false
		}
		ids[r.ID] = len(g.nodes)
		g.add(&a, &r, int64(part), i, gap, later)
		return true
	})
	if err == nil {
		err = walk
	}
	return erased, err
}

// continued widens the span of an attack that a longest span cut: its later pieces are events.
func (g *matching) continued(dir string, i int64, b []byte, ids map[uint64]int) {
	e, err := evidence.ReadEventLeaf(b)
	if err != nil || e.Code != evidence.CodeContinuation {
		return
	}
	r, err := evidence.ReadContinuation(dir, i)
	if err != nil {
		return
	}
	if n, ok := ids[r.ID]; ok {
		g.nodes[n].last = max(g.nodes[n].last, uint64(max(r.LastSeen, 0)/1000))
	}
}

func (g *matching) add(a *evidence.AttackLeaf, r *attack.Record, part, leaf int64, gap uint64, later bool) {
	place := fmt.Sprintf("%d\x00%s\x00%s", a.Class, r.Target.Group, r.Subject)
	n := node{part: part, leaf: leaf, key: g.number(place + "\x00" + r.OriginText()), first: a.FirstSeen, last: a.LastSeen,
		gap: gap, later: later, proven: r.Origin.Proven, unproven: r.OriginText() == "unproven"}
	if n.unproven {
		for _, s := range r.Origin.Sources {
			n.sources = append(n.sources, place+"\x00"+originOf(s.IP))
		}
	}
	g.nodes = append(g.nodes, n)
	g.sets.add()
}

// originOf is the origin that an address stands for: IPv6 by /64.
func originOf(ip string) string {
	a, err := netip.ParseAddr(ip)
	if err != nil || a.Is4() {
		return ip
	}
	p, _ := a.Prefix(64)
	return p.String()
}

// join makes two nodes one attack.
func (g *matching) join(a, b int) {
	if !g.sets.join(a, b) {
		return
	}
	p, q := &g.nodes[a], &g.nodes[b]
	if cmp.Or(cmp.Compare(p.part, q.part), cmp.Compare(p.leaf, q.leaf)) > 0 {
		p, q = q, p
	}
	g.list = append(g.list, joined{Pair{p.part, p.leaf, q.part, q.leaf}, a})
}

// near says whether two spans are at most a gap apart.
func (n *node) near(o *node) bool { return n.first <= o.last+n.gap && o.first <= n.last+n.gap }

// pairs joins what is one attack and returns a pair for each joining, in order.
func (g *matching) pairs() []Pair {
	order := make([]int, len(g.nodes))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		x, y := &g.nodes[a], &g.nodes[b]
		return cmp.Or(cmp.Compare(x.key, y.key), cmp.Compare(x.first, y.first), cmp.Compare(x.part, y.part), cmp.Compare(x.leaf, y.leaf))
	})
	var latest [partsMax]int // of each part, its attack of the key that lasts longest
	for i, n := range order {
		x := &g.nodes[n]
		if i == 0 || g.nodes[order[i-1]].key != x.key {
			for p := range latest {
				latest[p] = -1
			}
		}
		for p, m := range latest {
			if int64(p) != x.part && m >= 0 && g.nodes[m].near(x) {
				g.join(m, n)
			}
		}
		if m := latest[x.part]; m < 0 || g.nodes[m].last < x.last {
			latest[x.part] = n
		}
	}
	g.explain(order)
	counts := map[int]bool{} // of groups, those that the window counts
	for n, x := range g.nodes {
		if !x.later {
			counts[g.sets.root(n)] = true
		}
	}
	g.list = slices.DeleteFunc(g.list, func(p joined) bool { return !counts[g.sets.root(p.node)] })
	slices.SortFunc(g.list, func(a, b joined) int { return slices.Compare(a.pair[:], b.pair[:]) })
	out := []Pair{}
	for _, x := range g.list {
		out = append(out, x.pair)
	}
	return out
}

// explain finds unproven attacks whose every named source is the origin of a proven one: sensors that lost a handshake
// tell the same packets as unproven.
func (g *matching) explain(order []int) {
	of := map[int][]int{} // proven nodes by key
	for _, n := range order {
		if x := &g.nodes[n]; x.proven {
			of[x.key] = append(of[x.key], n)
		}
	}
	by := map[int]int{}     // unproven group: a proven node that explains one of its sources
	whole := map[int]bool{} // and whether all are explained
	at := map[int]int{}     // and the member that names that source
	for _, n := range order {
		x := &g.nodes[n]
		if !x.unproven {
			continue
		}
		group := g.sets.root(n)
		if known, seen := whole[group]; !seen || len(x.sources) == 0 {
			whole[group] = (known || !seen) && len(x.sources) > 0
		}
		for _, s := range x.sources {
			m := g.witness(x, of, s)
			if m < 0 {
				whole[group] = false
				break
			}
			if _, have := by[group]; !have {
				by[group], at[group] = m, n
			}
		}
	}
	for _, n := range order {
		if group := g.sets.root(n); group == n && whole[group] {
			g.join(at[group], by[group])
		}
	}
}

// witness is a proven attack of an origin, named as its key, near an unproven one; -1 if there is none.
func (g *matching) witness(x *node, of map[int][]int, origin string) int {
	key, ok := g.keys[origin]
	if !ok {
		return -1
	}
	for _, m := range of[key] {
		if g.nodes[m].near(x) {
			return m
		}
	}
	return -1
}
