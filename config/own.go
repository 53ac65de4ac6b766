package config

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// own is dejpha.yaml, key by key. Unknown keys are errors with file and line.
type own struct {
	Memory     string              `yaml:"memory"`
	State      string              `yaml:"state"`
	Protected  []string            `yaml:"protected"`
	Authorised []string            `yaml:"authorised"`
	Decoys     []string            `yaml:"decoys"`
	Zones      map[string][]string `yaml:"zones"`
	Interfaces []ownInterface      `yaml:"interfaces"`
	Capture    string              `yaml:"capture"`
	Inline     ownInline           `yaml:"inline"`
	Rules      []string            `yaml:"rules"`
	Guard      []string            `yaml:"guard"`
	Block      struct {
		Mode  string `yaml:"mode"`
		Way   string `yaml:"way"`
		Hosts *int   `yaml:"hosts"`
	} `yaml:"block"`
	Bypass struct {
		Depth     bool   `yaml:"depth"`
		Encrypted bool   `yaml:"encrypted"`
		Bytes     string `yaml:"bytes"`
	} `yaml:"bypass"`
	Policy    ownPolicy `yaml:"policy"`
	Variables struct {
		Addresses map[string]string `yaml:"addresses"`
		Ports     map[string]string `yaml:"ports"`
	} `yaml:"variables"`
	Console struct {
		Listen          string `yaml:"listen"`
		CountryDatabase string `yaml:"country-database"`
	} `yaml:"console"`
	Control   ownControl   `yaml:"control"`
	Metrics   ownMetrics   `yaml:"metrics"`
	Witnesses ownWitnesses `yaml:"witnesses"`
	Confine   string       `yaml:"confine"`
	User      string       `yaml:"user"`
	Keep      struct {
		Eve     ownKeep `yaml:"eve"`
		Packets struct {
			Bytes  string `yaml:"bytes"`
			Days   int    `yaml:"days"`
			Sample int    `yaml:"sample"`
		} `yaml:"packets"`
		Private ownKeep `yaml:"private"`
	} `yaml:"keep"`
	Records struct {
		Types       []string `yaml:"types"`
		Payload     bool     `yaml:"payload"`
		Packet      bool     `yaml:"packet"`
		CommunityID bool     `yaml:"community-id"`
		AttacksOnly bool     `yaml:"attacks-only"`
	} `yaml:"records"`
}

// ownInterface is one interface to watch: its name alone, or with more.
type ownInterface struct {
	Name   string `yaml:"name"`
	Filter string `yaml:"filter"`
	Inside bool   `yaml:"inside"`
}

// UnmarshalYAML implements yaml.InterfaceUnmarshaler.
func (x *ownInterface) UnmarshalYAML(unmarshal func(any) error) error {
	if unmarshal(&x.Name) == nil {
		return nil
	}
	type plain ownInterface
	return unmarshal((*plain)(x))
}

// watch adds an interface.
func (c *Config) watch(name, filter string) {
	c.Interfaces = append(c.Interfaces, name)
	if filter != "" {
		if c.Filters == nil {
			c.Filters = map[string]string{}
		}
		c.Filters[name] = filter
	}
}

// ownKeep is how much of one store is kept.
type ownKeep struct {
	Bytes string `yaml:"bytes"`
	Days  int    `yaml:"days"`
}

func loadOwn(name string, text []byte, sets []string) (*Config, []string, error) {
	var o own
	if err := yaml.UnmarshalWithOptions(text, &o, yaml.Strict()); err != nil {
		return nil, nil, placed(name, err, ownKeys())
	}
	c := Default()
	mine, warnings, err := o.override(c, sets)
	if err == nil {
		err = o.fill(c)
	}
	if w := (wrong{}); errors.As(err, &w) {
		err = w.placed(name, text, mine)
	}
	if err != nil {
		return nil, nil, err
	}
	c.remember(text, sets)
	return c, warnings, nil
}

// override applies the command line: keys of this file to o, the other format's keys to c.
// Keys that are neither are named in a warning: commands written for the peer go on working. mine is what was
// said of this file's keys.
func (o *own) override(c *Config, sets []string) (mine tree, warnings []string, err error) {
	mine, other := tree{}, tree{}
	for _, s := range sets {
		to := other
		key, _, _ := strings.Cut(s, "=")
		first, _, _ := strings.Cut(strings.TrimSpace(key), ".")
		if slices.Contains(ownTop(), first) {
			to = mine
		}
		if err := to.override([]string{s}); err != nil {
			return nil, nil, err
		}
	}
	for _, key := range other.notApplied() {
		warnings = append(warnings, fmt.Sprintf("--set %s: does not apply here%s", key, hint(key, append(ownKeys(), applied...))))
	}
	if err := c.suricata(other, true); err != nil {
		return nil, nil, err
	}
	if len(mine) == 0 {
		return mine, warnings, nil
	}
	if err := mine.into(o); err != nil {
		for _, s := range sets { // which of them it was
			one := tree{}
			if key, _, _ := strings.Cut(s, "="); one.override([]string{s}) == nil && one.into(&own{}) != nil {
				return nil, nil, placed("--set "+strings.TrimSpace(key), one.into(&own{}), ownKeys())
			}
		}
		return nil, nil, placed("--set", err, ownKeys())
	}
	return mine, warnings, nil
}

// into reads the tree as dejpha.yaml.
func (t tree) into(o *own) error {
	text, err := yaml.Marshal(typed(map[string]any(t)))
	if err != nil {
		return err
	}
	return yaml.UnmarshalWithOptions(text, o, yaml.Strict())
}

// typed turns the command line's yes and no into booleans.
func typed(v any) any {
	switch x := v.(type) {
	case map[string]any:
		for k := range x {
			x[k] = typed(x[k])
		}
	case []any:
		for i := range x {
			x[i] = typed(x[i])
		}
	case string:
		if b, known := truth(x); known && x != "0" && x != "1" {
			return b
		}
	}
	return v
}

// fill takes over what was said and checks it. An error about a value is a wrong.
func (o *own) fill(c *Config) error {
	if err := o.sizes(c); err != nil {
		return err
	}
	if err := o.networks(); err != nil {
		return err
	}
	if err := errors.Join(o.Inline.fill(&c.Inline), o.Witnesses.fill(&c.Witnesses)); err != nil {
		return err
	}
	for k, v := range o.Variables.Addresses {
		c.AddressVars[k] = v
	}
	for k, v := range o.Variables.Ports {
		c.PortVars[k] = v
	}
	if err := o.Policy.fill(&c.Policy); err != nil {
		return err
	}
	c.Guard = o.Guard
	c.Bypass.Depth = c.Bypass.Depth || o.Bypass.Depth
	c.Bypass.TLS, c.Bypass.SSH = c.Bypass.TLS || o.Bypass.Encrypted, c.Bypass.SSH || o.Bypass.Encrypted
	if err := o.choices(c); err != nil {
		return err
	}
	c.Protected, c.Authorised, c.Decoys, c.Zones, c.RuleFiles = o.Protected, o.Authorised, o.Decoys, o.Zones, o.Rules
	c.AttacksOnly = o.Records.AttacksOnly
	c.Payload, c.Packet, c.CommunityID = o.Records.Payload, o.Records.Packet, o.Records.CommunityID
	for i, x := range o.Interfaces {
		if x.Name == "" {
			return wrong{fmt.Sprintf("interfaces[%d]", i), "an interface needs a name"}
		}
		c.watch(x.Name, x.Filter)
		if x.Inside {
			if c.Inside == nil {
				c.Inside = map[string]bool{}
			}
			c.Inside[x.Name] = true
		}
	}
	if o.State != "" {
		c.State = o.State
	}
	if o.Console.Listen != "" {
		c.Listen = o.Console.Listen
	}
	c.CountryFile = o.Console.CountryDatabase
	if err := o.operation(c); err != nil {
		return err
	}
	if len(o.Records.Types) > 0 {
		c.EveTypes = map[string]bool{"attack": true, "decision": true, "heartbeat": true}
		for _, n := range o.Records.Types {
			c.EveTypes[n] = true
		}
	}
	return nil
}

// choices takes over what is one of a few words.
func (o *own) choices(c *Config) error {
	for _, x := range []struct {
		key, text string
		to        *string
		known     []string
	}{{"capture", o.Capture, &c.Capture, []string{"af-packet", "af-xdp"}}, {"block.mode", o.Block.Mode, &c.BlockMode, []string{"off", "rehearse", "on"}}, {"block.way", o.Block.Way, &c.BlockWay, []string{"auto", "xdp", "nft", "none"}}} {
		switch x.text { // YAML's words for the two
		case "":
			continue
		case "true":
			x.text = "on"
		case "false":
			x.text = "off"
		}
		if !slices.Contains(x.known, x.text) {
			return wrong{x.key, fmt.Sprintf("%q is none of %s", x.text, strings.Join(x.known, ", "))}
		}
		*x.to = x.text
	}
	return nil
}

// sizes takes over the sizes and days.
func (o *own) sizes(c *Config) error {
	for _, x := range []struct {
		key, text   string
		to          *int64
		least, most int64
	}{
		{"memory", o.Memory, &c.Memory, memoryLeast, sizeMax},
		{"bypass.bytes", o.Bypass.Bytes, &c.Bypass.Bytes, bypassLeast, sizeMax},
		{"keep.eve.bytes", o.Keep.Eve.Bytes, &c.KeepEve.Bytes, keepLeast, sizeMax},
		{"keep.packets.bytes", o.Keep.Packets.Bytes, &c.KeepPackets.Bytes, keepLeast, sizeMax},
		{"keep.private.bytes", o.Keep.Private.Bytes, &c.KeepPrivate.Bytes, keepLeast, sizeMax},
	} {
		if x.text == "" {
			continue
		}
		n, ok := Size(x.text)
		if !ok {
			return wrong{x.key, fmt.Sprintf("%q is not a size; write 512 MiB or a number of bytes", x.text)}
		}
		if n < x.least && (n != 0 || x.to == &c.Memory) {
			return wrong{x.key, fmt.Sprintf("%q is too little; at least %d MiB", x.text, x.least>>20)}
		}
		*x.to = n
	}
	for _, x := range []struct {
		key string
		n   int
		to  *int
	}{{"keep.eve.days", o.Keep.Eve.Days, &c.KeepEve.Days}, {"keep.packets.days", o.Keep.Packets.Days, &c.KeepPackets.Days}, {"keep.private.days", o.Keep.Private.Days, &c.KeepPrivate.Days}} {
		if x.n < 0 || x.n > daysMost {
			return wrong{x.key, fmt.Sprintf("%d is not between 0 (no limit) and %d", x.n, daysMost)}
		}
		*x.to = x.n
	}
	if n := o.Block.Hosts; n != nil {
		if *n < 1 || *n > hostsMany {
			return wrong{"block.hosts", fmt.Sprintf("%d is not between 1 and %d", *n, hostsMany)}
		}
		c.BlockHosts = *n
	}
	if c.PacketsSample = o.Keep.Packets.Sample; c.PacketsSample < 0 || c.PacketsSample > sampleMost {
		return wrong{"keep.packets.sample", fmt.Sprintf("%d is not between 0 (of all) and %d", c.PacketsSample, sampleMost)}
	}
	return nil
}

// networks checks every address and prefix, so that a slip is named where it stands.
func (o *own) networks() error {
	lists := map[string][]string{"protected": o.Protected, "authorised": o.Authorised, "decoys": o.Decoys, "guard": o.Guard, "policy.shared": o.Policy.Shared}
	for name, l := range o.Zones {
		lists["zones."+name] = l
	}
	for _, name := range slices.Sorted(maps.Keys(lists)) {
		for i, text := range lists[name] {
			_, err := netip.ParsePrefix(text)
			if _, err2 := netip.ParseAddr(text); err != nil && err2 != nil {
				return wrong{fmt.Sprintf("%s[%d]", name, i), fmt.Sprintf("%q is not an address or prefix; write 10.0.0.0/8 or 192.0.2.1", text)}
			}
		}
	}
	return nil
}
