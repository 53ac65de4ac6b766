package config

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// Said is what the file and the command line say under a dotted name, as in "stream.reassembly.depth" or
// "interfaces.0.name": a text, or, of a section, what it holds. Not ok: nothing is said, the default holds.
func (c *Config) Said(name string) (v any, ok bool) {
	var at any = map[string]any(c.said)
	for _, p := range strings.Split(name, ".") {
		switch x := at.(type) {
		case map[string]any:
			at = x[p]
		case []any:
			i, err := strconv.Atoi(p)
			if err != nil || i < 0 || i >= len(x) {
				return nil, false
			}
			at = x[i]
		default:
			return nil, false
		}
	}
	switch at.(type) {
	case nil:
		return nil, false
	case map[string]any, []any:
		return at, true
	}
	return fmt.Sprint(at), true
}

// remember keeps what a file of ours and the command line said; both were checked.
func (c *Config) remember(text []byte, sets []string) {
	c.said = tree{}
	if yaml.Unmarshal(text, (*map[string]any)(&c.said)) != nil || c.said == nil {
		c.said = tree{}
	}
	_ = c.said.override(sets)
}
