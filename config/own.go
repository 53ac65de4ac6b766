package config

import (
	"fmt"
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
		Listen string `yaml:"listen"`
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
		return nil, nil, fmt.Errorf("%s:%s", name, strings.ReplaceAll(strings.TrimSpace(firstLine(yaml.FormatError(err, false, false))), "\n", " "))
	}
	c := Default()
	if len(sets) > 0 {
		t := tree{}
		if err := t.override(sets); err != nil {
			return nil, nil, err
		}
		if err := c.suricata(t, true); err != nil {
			return nil, nil, err
		}
	}
	for _, s := range []struct {
		key, text string
		to        *int64
	}{{"memory", o.Memory, &c.Memory}, {"keep.bytes", o.Keep.Bytes, &c.KeepBytes}} {
		if s.text == "" {
			continue
		}
		n, ok := Size(s.text)
		if !ok {
			return nil, nil, fmt.Errorf("%s: %s: %q is not a size; write 512 MiB or a number of bytes", name, s.key, s.text)
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
	if len(o.Records.Types) > 0 {
		c.EveTypes = map[string]bool{"attack": true, "decision": true, "heartbeat": true}
		for _, n := range o.Records.Types {
			c.EveTypes[n] = true
		}
	}
	return c, nil, nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
