package config

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Policy is what is said of decisions. Nil: not said.
type Policy struct {
	Points, Finding        *uint32
	Window, First, Longest *time.Duration
	Forget, LimitFor       *time.Duration
	HostsIPv4, HostsIPv6   *int
	Prefixes, PerMinute    *int
	Rate                   *uint32           // packets/s
	Limits                 map[string]uint32 // kind of packets -> packets/s
	Classes                map[string]ClassPolicy
	Shared                 []string // networks behind whose addresses many people sit
}

// ClassPolicy is what is said of one class; "" and nil: nothing.
type ClassPolicy struct {
	Action string   `yaml:"action"`
	Inside string   `yaml:"inside"`
	Points []uint32 `yaml:"points"`
	Limit  *bool    `yaml:"limit"`
}

// ownPolicy is the section of dejpha.yaml.
type ownPolicy struct {
	Points    *uint32                `yaml:"points"`
	Finding   *uint32                `yaml:"finding"`
	Window    string                 `yaml:"window"`
	First     string                 `yaml:"first"`
	Longest   string                 `yaml:"longest"`
	Forget    string                 `yaml:"forget"`
	HostsIPv4 *int                   `yaml:"hosts-ipv4"`
	HostsIPv6 *int                   `yaml:"hosts-ipv6"`
	Prefixes  *int                   `yaml:"prefixes"`
	PerMinute *int                   `yaml:"per-minute"`
	Rate      *uint32                `yaml:"rate"`
	LimitFor  string                 `yaml:"limit-for"`
	Limits    map[string]uint32      `yaml:"limits"`
	Classes   map[string]ClassPolicy `yaml:"classes"`
	Shared    []string               `yaml:"shared"`
}

// Bounds of the policy's numbers.
const (
	pointsMost    = 1_000_000
	perMinuteMost = 600_000 // ten thousand a second, what a kernel takes
	hostsMost     = 256
	prefixesMost  = 200_000
	lengthLeast   = time.Second
	lengthMost    = 365 * 24 * time.Hour
)

// fill takes over the section.
func (o *ownPolicy) fill(c *Policy) error {
	*c = Policy{Points: o.Points, Finding: o.Finding, HostsIPv4: o.HostsIPv4, HostsIPv6: o.HostsIPv6, Prefixes: o.Prefixes, PerMinute: o.PerMinute,
		Rate: o.Rate, Limits: o.Limits, Classes: o.Classes, Shared: o.Shared}
	for _, x := range []struct {
		key, text string
		to        **time.Duration
	}{{"window", o.Window, &c.Window}, {"first", o.First, &c.First}, {"longest", o.Longest, &c.Longest}, {"forget", o.Forget, &c.Forget}, {"limit-for", o.LimitFor, &c.LimitFor}} {
		if x.text == "" {
			continue
		}
		d, err := time.ParseDuration(x.text)
		if err != nil || d < lengthLeast || d > lengthMost {
			return wrong{"policy." + x.key, fmt.Sprintf("%q is not a time between %s and %s; write 10m or 24h", x.text, lengthLeast, lengthMost)}
		}
		*x.to = &d
	}
	for _, x := range []struct {
		key   string
		n     *int
		least int
		most  int
	}{{"hosts-ipv4", o.HostsIPv4, 0, hostsMost}, {"hosts-ipv6", o.HostsIPv6, 0, hostsMost}, {"prefixes", o.Prefixes, 0, prefixesMost}, {"per-minute", o.PerMinute, 1, perMinuteMost}} {
		if x.n != nil && (*x.n < x.least || *x.n > x.most) {
			return wrong{"policy." + x.key, fmt.Sprintf("%d is not between %d and %d", *x.n, x.least, x.most)}
		}
	}
	for _, x := range []struct {
		key string
		n   *uint32
	}{{"points", o.Points}, {"finding", o.Finding}, {"rate", o.Rate}} {
		if x.n != nil && (*x.n == 0 || *x.n > pointsMost) {
			return wrong{"policy." + x.key, fmt.Sprintf("%d is not between 1 and %d", *x.n, pointsMost)}
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(o.Limits)) {
		if n := o.Limits[kind]; n == 0 || n > pointsMost {
			return wrong{"policy.limits." + kind, fmt.Sprintf("%d is not between 1 and %d packets/s", n, pointsMost)}
		}
	}
	return nil
}
