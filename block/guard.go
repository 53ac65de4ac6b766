package block

import (
	"maps"
	"net/netip"
	"slices"
)

// Guarded is one line of the guard's list: addresses that are never blocked, whatever is asked.
type Guarded struct {
	Prefix netip.Prefix `json:"prefix"`
	Until  int64        `json:"until"` // ns since 1970 UTC; Forever: no end
	Why    string       `json:"why"`   // "gateway", "resolver", who allowed it
	Fixed  bool         `json:"-"`     // from the system or the configuration, not from a person's Allow
}

// Guard is a list of prefixes with a quick look-up. The zero value is empty. Not safe for writing beside reading: the
// Keeper changes copies.
type Guard struct {
	by    map[netip.Prefix]Guarded
	bits4 []int // lengths in use, longest first
	bits6 []int
}

// Len is the number of lines.
func (g *Guard) Len() int { return len(g.by) }

// List is every line, in order of address.
func (g *Guard) List() []Guarded {
	return slices.SortedFunc(maps.Values(g.by), func(a, b Guarded) int { return order(a.Prefix, b.Prefix) })
}

// Clone is a copy of its own.
func (g *Guard) Clone() *Guard {
	return &Guard{maps.Clone(g.by), slices.Clone(g.bits4), slices.Clone(g.bits6)}
}

// Put adds a line or changes it. A fixed line is not weakened by one that is not.
func (g *Guard) Put(e Guarded) {
	if old, ok := g.by[e.Prefix]; ok && old.Fixed && !e.Fixed && old.Until >= e.Until {
		return
	}
	if g.by == nil {
		g.by = map[netip.Prefix]Guarded{}
	}
	g.by[e.Prefix] = e
	g.count()
}

// Remove takes a line out.
func (g *Guard) Remove(p netip.Prefix) bool {
	_, ok := g.by[p]
	delete(g.by, p)
	g.count()
	return ok
}

func (g *Guard) count() {
	var has4 [33]bool
	var has6 [129]bool
	for p := range g.by {
		if p.Addr().Is4() {
			has4[p.Bits()] = true
		} else {
			has6[p.Bits()] = true
		}
	}
	g.bits4, g.bits6 = lengths(has4[:]), lengths(has6[:])
}

func lengths(has []bool) []int {
	var all []int
	for n := len(has) - 1; n >= 0; n-- {
		if has[n] {
			all = append(all, n)
		}
	}
	return all
}

// Holds is the longest line in force that holds the address. now: ns since 1970 UTC.
func (g *Guard) Holds(a netip.Addr, now int64) (Guarded, bool) {
	a = a.Unmap().WithZone("")
	if !a.IsValid() {
		return Guarded{}, false
	}
	return g.Covers(netip.PrefixFrom(a, a.BitLen()), now)
}

// Covers is the longest line in force that holds the whole prefix.
func (g *Guard) Covers(p netip.Prefix, now int64) (Guarded, bool) {
	bits := g.bits4
	if p.Addr().Is6() {
		bits = g.bits6
	}
	for _, n := range bits {
		if n > p.Bits() {
			continue
		}
		up, err := p.Addr().Prefix(n)
		if err != nil {
			continue
		}
		if e, ok := g.by[up]; ok && e.Until > now {
			return e, true
		}
	}
	return Guarded{}, false
}
