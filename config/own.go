package config

import (
	"fmt"
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
	Interfaces []string            `yaml:"interfaces"`
	Rules      []string            `yaml:"rules"`
	Variables  struct {
		Addresses map[string]string `yaml:"addresses"`
		Ports     map[string]string `yaml:"ports"`
	} `yaml:"variables"`
	Console struct {
		Listen          string `yaml:"listen"`
		CountryDatabase string `yaml:"country-database"`
	} `yaml:"console"`
	Keep struct {
		Bytes string `yaml:"bytes"`
		Days  int    `yaml:"days"`
	} `yaml:"keep"`
	Records struct {
		Types       []string `yaml:"types"`
		Payload     bool     `yaml:"payload"`
		Packet      bool     `yaml:"packet"`
		CommunityID bool     `yaml:"community-id"`
	} `yaml:"records"`
}

func loadOwn(name string, text []byte, sets []string) (*Config, []string, error) {
	var o own
	if err := yaml.UnmarshalWithOptions(text, &o, yaml.Strict()); err != nil {
		return nil, nil, placed(name, err, ownKeys())
	}
	c := Default()
	warnings, err := o.override(c, sets)
	if err == nil {
		err = o.fill(c, name)
	}
	if err != nil {
		return nil, nil, err
	}
	return c, warnings, nil
}

// override applies the command line: keys of this file to o, the other format's keys to c.
// Keys that are neither are named in a warning: commands written for the peer go on working.
func (o *own) override(c *Config, sets []string) (warnings []string, err error) {
	mine, other := tree{}, tree{}
	for _, s := range sets {
		to := other
		key, _, _ := strings.Cut(s, "=")
		first, _, _ := strings.Cut(strings.TrimSpace(key), ".")
		if slices.Contains(ownTop(), first) {
			to = mine
		}
		if err := to.override([]string{s}); err != nil {
			return nil, err
		}
	}
	for _, key := range other.notApplied() {
		warnings = append(warnings, fmt.Sprintf("--set %s: does not apply here%s", key, hint(key, append(ownKeys(), applied...))))
	}
	if err := c.suricata(other, true); err != nil {
		return nil, err
	}
	if len(mine) == 0 {
		return warnings, nil
	}
	text, err := yaml.Marshal(typed(map[string]any(mine)))
	if err != nil {
		return nil, fmt.Errorf("--set: %w", err)
	}
	if err := yaml.UnmarshalWithOptions(text, o, yaml.Strict()); err != nil {
		return nil, placed("--set", err, ownKeys())
	}
	return warnings, nil
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

// fill takes over what was said and checks it.
func (o *own) fill(c *Config, name string) error {
	for _, s := range []struct {
		key, text string
		to        *int64
	}{{"memory", o.Memory, &c.Memory}, {"keep.bytes", o.Keep.Bytes, &c.KeepBytes}} {
		if s.text == "" {
			continue
		}
		n, ok := Size(s.text)
		if !ok {
			return fmt.Errorf("%s: %s: %q is not a size; write 512 MiB or a number of bytes", name, s.key, s.text)
		}
		*s.to = n
	}
	for k, v := range o.Variables.Addresses {
		c.AddressVars[k] = v
	}
	for k, v := range o.Variables.Ports {
		c.PortVars[k] = v
	}
	c.Protected, c.Authorised, c.Decoys, c.Zones, c.Interfaces, c.RuleFiles = o.Protected, o.Authorised, o.Decoys, o.Zones, o.Interfaces, o.Rules
	c.KeepDays = o.Keep.Days
	c.Payload, c.Packet, c.CommunityID = o.Records.Payload, o.Records.Packet, o.Records.CommunityID
	if o.State != "" {
		c.State = o.State
	}
	if o.Console.Listen != "" {
		c.Listen = o.Console.Listen
	}
	c.CountryFile = o.Console.CountryDatabase
	if len(o.Records.Types) > 0 {
		c.EveTypes = map[string]bool{"attack": true, "decision": true, "heartbeat": true}
		for _, n := range o.Records.Types {
			c.EveTypes[n] = true
		}
	}
	return nil
}
