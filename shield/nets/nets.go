// Package nets reads networks as configurations write them, and what is said of the machines in them.
//
// In: texts. Out: prefixes, and for a target how its stack puts segments and fragments together. Called by shield at
// start.
package nets

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sort"

	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/defrag"
	"github.com/dejpha/dejpha/stream"
)

// Prefixes reads addresses and networks; without any, those said otherwise.
func Prefixes(texts, otherwise []string) ([]netip.Prefix, error) {
	if len(texts) == 0 {
		texts = otherwise
	}
	var out []netip.Prefix
	for _, t := range texts {
		p, err := netip.ParsePrefix(t)
		if err != nil {
			a, err2 := netip.ParseAddr(t)
			if err2 != nil {
				return nil, fmt.Errorf("%q is not an address or prefix", t)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// Contain says whether one of the networks holds an address.
func Contain(list []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
}

// Stack is how the machines of a network put things together.
type Stack struct {
	Prefix   netip.Prefix
	Segments stream.Policy
	Pieces   defrag.Policy
}

// Stacks are the longest networks first.
type Stacks []Stack

// ParseStacks reads a configuration's networks by the name of a policy.
func ParseStacks(m map[string][]string) (Stacks, error) {
	var out Stacks
	for _, name := range slices.Sorted(maps.Keys(m)) {
		nets := m[name]
		policy, ok := stream.ParsePolicy(name)
		pieces, known := defrag.ParsePolicy(name)
		if !ok || !known {
			return nil, fmt.Errorf("host-os-policy: unknown policy %q", name)
		}
		list, err := Prefixes(nets, []string{})
		if err != nil {
			return nil, fmt.Errorf("host-os-policy: %s: %w", name, err)
		}
		for _, p := range list {
			out = append(out, Stack{p, policy, pieces})
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].Prefix.Bits() > out[j].Prefix.Bits() })
	return out, nil
}

// Of is how a target's stack does it: as the longest network that holds it, else as BSD's.
func (s Stacks) Of(a decode.Addr) Stack {
	n := a.Netip()
	for _, p := range s {
		if p.Prefix.Contains(n) {
			return p
		}
	}
	return Stack{}
}
