package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Inline is how the shield stands in the traffic's way. The zero value: it does not, it watches.
type Inline struct {
	Bridge   [2]string     // interfaces that are joined, "" both: none
	Queues   [2]int        // numbers of netfilter's queues, first and last, valid if HasQueue; each has a worker of its own
	HasQueue bool          // the shield stands there
	Block    [2]bool       // what comes in on that side of the bridge is dropped while the shield is silent; [0] is the queue's too
	Patience time.Duration // how long the shield may be silent; 0: 200 ms
}

// On says whether there is a way to stand in.
func (i *Inline) On() bool { return i.HasQueue || i.Bridge[0] != "" }

// ownInline is the section of dejpha.yaml.
type ownInline struct {
	Bridge    []string `yaml:"bridge"`
	Queue     string   `yaml:"queue"`
	OnFailure []string `yaml:"on-failure"`
	Patience  string   `yaml:"patience"`
}

// Bounds of the section's values.
const (
	queueMost     = 65535
	queuesMost    = 64 // at once
	patienceLeast = 20 * time.Millisecond
	patienceMost  = 60 * time.Second
)

// inline takes over the section.
func (o *ownInline) fill(c *Inline) error {
	switch len(o.Bridge) {
	case 0:
	case 2:
		if o.Bridge[0] == o.Bridge[1] || slices.Contains(o.Bridge, "") {
			return wrong{"inline.bridge", "a bridge joins two different interfaces; write [eth1, eth2]"}
		}
		c.Bridge = [2]string(o.Bridge)
	default:
		return wrong{"inline.bridge", fmt.Sprintf("a bridge joins two interfaces, not %d; write [eth1, eth2]", len(o.Bridge))}
	}
	if o.Queue != "" {
		var err error
		if c.Queues, err = Queues(o.Queue); err != nil {
			return wrong{"inline.queue", err.Error()}
		}
		if c.Bridge[0] != "" {
			return wrong{"inline.queue", "a shield stands at a bridge or at a queue, not at both"}
		}
		c.HasQueue = true
	}
	if err := c.onFailure(o.OnFailure); err != nil {
		return err
	}
	if o.Patience != "" {
		d, err := time.ParseDuration(o.Patience)
		if err != nil || d < patienceLeast || d > patienceMost {
			return wrong{"inline.patience", fmt.Sprintf("%q is not a time from %v to %v; write 200ms", o.Patience, patienceLeast, patienceMost)}
		}
		c.Patience = d
	}
	return nil
}

// Queues reads the number of a queue, or of the first and the last of several: 0, or 0:3 as iptables' --queue-balance.
func Queues(text string) (q [2]int, err error) {
	first, last, several := strings.Cut(text, ":")
	if q[0], err = strconv.Atoi(first); err == nil {
		q[1] = q[0]
		if several {
			q[1], err = strconv.Atoi(last)
		}
	}
	if err != nil || q[0] < 0 || q[1] < q[0] || q[1] > queueMost || q[1]-q[0] >= queuesMost {
		return q, fmt.Errorf("%q: expected a number from 0 to %d, or the first and the last of at most %d queues as in 0:3", text, queueMost, queuesMost)
	}
	return q, nil
}

// onFailure takes one word for both sides, or one for each.
func (i *Inline) onFailure(words []string) error {
	if len(words) > 2 {
		return wrong{"inline.on-failure", "one word for both interfaces, or one for each: [pass, block]"}
	}
	for n, word := range words {
		if word != "pass" && word != "block" {
			return wrong{fmt.Sprintf("inline.on-failure[%d]", n), fmt.Sprintf("%q: expected pass or block", word)}
		}
		i.Block[n] = word == "block"
		if len(words) == 1 {
			i.Block[1] = i.Block[0]
		}
	}
	return nil
}

// copies takes a suricata.yaml's pair of interfaces that are copied to each other (af-packet, copy-mode ips), and what its
// queue does when it is full.
func (c *Config) copies(t tree) {
	open := false
	t.flag("nfq.fail-open", &open)
	c.Inline.Block[0] = c.Inline.Block[0] || !open && c.Suricata
	list, _ := t["af-packet"].([]any)
	for _, entry := range list {
		m, _ := entry.(map[string]any)
		if text(m["copy-mode"]) == "ips" && text(m["interface"]) != "" && text(m["copy-iface"]) != "" {
			c.Copied = append(c.Copied, [2]string{text(m["interface"]), text(m["copy-iface"])})
		}
	}
}

// Watched takes the interfaces that a command line names: a pair that is copied to each other is a bridge.
func (c *Config) Watched(names []string) {
	for _, pair := range c.Copied {
		if len(names) > 0 && !slices.ContainsFunc(names, func(n string) bool { return n != pair[0] && n != pair[1] }) {
			c.Inline.Bridge = pair
		}
	}
}

func text(v any) string {
	s, _ := v.(string)
	return s
}
