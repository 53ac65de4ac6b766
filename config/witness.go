package config

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/dejpha/dejpha/cosign"
)

// Witnesses are those who cosign the log's heads.
type Witnesses struct {
	Keys   []string // verifier keys
	URLs   []string // beside them: where each is asked; "": by file
	Quorum int      // how many must have signed a head; 0: one
	Every  time.Duration
}

// ownWitnesses is section witnesses.
type ownWitnesses struct {
	Quorum int          `yaml:"quorum"`
	Every  string       `yaml:"every"`
	List   []ownWitness `yaml:"list"`
}

// ownWitness is one witness: a key, or several of one name, and where it is asked.
type ownWitness struct {
	Key string `yaml:"key"`
	URL string `yaml:"url"`
}

const (
	everyUsual = time.Minute
	everyLeast = time.Second
	everyMost  = 24 * time.Hour
)

// fill takes over and checks what was said.
func (o *ownWitnesses) fill(c *Witnesses) error {
	names := map[string]bool{}
	for i, x := range o.List {
		key := fmt.Sprintf("witnesses.list[%d]", i)
		v, err := cosign.NewVerifier(strings.TrimSpace(x.Key))
		if err != nil || !v.Witness() {
			return wrong{key, fmt.Sprintf("%q is no witness's verifier key; dejpha witness run prints it", x.Key)}
		}
		if u, err := url.Parse(x.URL); x.URL != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "") {
			return wrong{key, fmt.Sprintf("%q is no http or https address", x.URL)}
		}
		names[v.Name()] = true
		c.Keys, c.URLs = append(c.Keys, v.String()), append(c.URLs, x.URL)
	}
	if c.Quorum = o.Quorum; o.Quorum < 0 || o.Quorum > max(1, len(names)) {
		return wrong{"witnesses.quorum", fmt.Sprintf("%d of %d witnesses cannot be", o.Quorum, len(names))}
	}
	c.Every = everyUsual
	if o.Every == "" {
		return nil
	}
	d, err := time.ParseDuration(o.Every)
	if err != nil || d < everyLeast || d > everyMost {
		return wrong{"witnesses.every", fmt.Sprintf("%q is not a time between %s and %s; write 60s", o.Every, everyLeast, everyMost)}
	}
	c.Every = d
	return nil
}

// Ports are those that witnesses are asked at, each once.
func (c *Witnesses) Ports() (list []uint16) {
	seen := map[uint16]bool{}
	for _, text := range c.URLs {
		u, err := url.Parse(text)
		if err != nil || text == "" {
			continue
		}
		port := u.Port()
		if port == "" {
			port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
		}
		if n, err := strconv.ParseUint(port, 10, 16); err == nil && !seen[uint16(n)] {
			seen[uint16(n)] = true
			list = append(list, uint16(n))
		}
	}
	return list
}
