package shield

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/dejpha/dejpha/config"
	"github.com/dejpha/dejpha/shield/inforce"
)

// pack puts together what is in force. The same rules and settings give the same bytes.
func pack(c *config.Config, o SetupOptions, rules []ruleFile) ([]byte, error) {
	s := inforce.Set{Sets: o.Sets, Detectors: o.Detectors, Inline: o.SimulateIPS}
	for _, f := range []struct{ kind, name string }{{"config", o.ConfigFile}, {"classification-file", c.ClassificationFile},
		{"reference-config-file", c.ReferenceFile}, {"threshold-file", c.ThresholdFile}} {
		if f.name == "" {
			continue
		}
		text, err := os.ReadFile(f.name)
		if err != nil {
			continue // it was read before, or never was there: the rules tell the rest
		}
		s.Texts = append(s.Texts, inforce.Text{Kind: f.kind, Name: filepath.Base(f.name), Text: text})
	}
	for _, r := range rules {
		s.Texts = append(s.Texts, inforce.Text{Kind: "rules", Name: filepath.Base(r.name), Text: r.text})
	}
	return inforce.Pack(s)
}

// unpack makes the setup of what was in force again; its texts stand in folder dir meanwhile.
func unpack(packed []byte, dir string) (*Setup, error) {
	s, err := inforce.Unpack(packed)
	if err != nil {
		return nil, err
	}
	o := SetupOptions{Sets: s.Sets, Detectors: s.Detectors, SimulateIPS: s.Inline, Workers: 1, Checksums: "none"}
	for i, f := range s.Texts {
		name := filepath.Join(dir, fmt.Sprintf("%03d-%s", i, strings.Map(plain, f.Name)))
		if err := os.WriteFile(name, f.Text, 0o600); err != nil {
			return nil, err
		}
		switch f.Kind {
		case "config":
			o.ConfigFile = name
		case "rules":
			o.OnlyRules = append(o.OnlyRules, name)
		default:
			o.Sets = append(o.Sets, f.Kind+"="+name)
		}
	}
	o.NoRules = len(o.OnlyRules) == 0
	return NewSetup(o)
}

// plain leaves of a file's name what is safe in any folder.
func plain(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_' {
		return r
	}
	return '_'
}
