// Package policy makes what an operator may say of decisions into what attack decides by: the policy, and who is
// never blocked.
//
// In: the configuration, and for the guard's list what the machine says of itself (routes, resolvers, addresses,
// sessions of its administrators). Out: an attack.Policy and a Guard. Called by shield. It blocks nobody, and the
// packets of a recording never meet the machine's own part of the list.
package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/config"
)

// From is the default policy with what the configuration says otherwise. An error names the key.
func From(c *config.Policy) (*attack.Policy, error) {
	p := attack.DefaultPolicy()
	over(&p.Points, c.Points)
	over(&p.Finding, c.Finding)
	over(&p.Window, c.Window)
	over(&p.First, c.First)
	over(&p.Longest, c.Longest)
	over(&p.Forget, c.Forget)
	over(&p.Hosts4, c.HostsIPv4)
	over(&p.Hosts6, c.HostsIPv6)
	over(&p.Prefixes, c.Prefixes)
	over(&p.PerMinute, c.PerMinute)
	over(&p.Rate, c.Rate)
	over(&p.LimitFor, c.LimitFor)
	if p.Longest < p.First {
		return nil, fmt.Errorf("policy.longest: %s is less than policy.first, %s", p.Longest, p.First)
	}
	for _, kind := range slices.Sorted(maps.Keys(c.Limits)) {
		k := attack.LimitKind(kind)
		if !slices.Contains(attack.LimitKinds, k) {
			return nil, fmt.Errorf("policy.limits.%s: unknown kind of packets; there are %v", kind, attack.LimitKinds)
		}
		p.Unproven[k] = c.Limits[kind]
	}
	for _, name := range slices.Sorted(maps.Keys(c.Classes)) {
		line := p.Class(name)
		if line == nil {
			return nil, fmt.Errorf("policy.classes.%s: there is no such class; `dejpha classes` lists them", name)
		}
		if err := class(line, c.Classes[name]); err != nil {
			return nil, fmt.Errorf("policy.classes.%s.%w", name, err)
		}
	}
	return p, nil
}

func over[T comparable](to *T, said *T) {
	if said != nil {
		*to = *said
	}
}

var actions = []string{attack.ActionAlert, attack.ActionRateLimit, attack.ActionBlock}

func class(to *attack.ClassPolicy, c config.ClassPolicy) error {
	for _, x := range []struct {
		key, said string
		to        *string
	}{{"action", c.Action, &to.Action}, {"inside", c.Inside, &to.Inside}} {
		if x.said == "" {
			continue
		}
		if !slices.Contains(actions, x.said) {
			return fmt.Errorf("%s: %q is none of %s", x.key, x.said, strings.Join(actions, ", "))
		}
		*x.to = x.said
	}
	if c.Points != nil {
		if len(c.Points) != len(to.Points) {
			return fmt.Errorf("points: expected four numbers, for severity 1 to 4, found %d", len(c.Points))
		}
		copy(to.Points[:], c.Points)
	}
	over(&to.Limit, c.Limit)
	return nil
}
