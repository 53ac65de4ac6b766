package shield

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/dejpha/dejpha/shield/inforce"
)

// inForce is what a log keeps of the rules and settings; nil where there are no rules.
func (s *Setup) inForce() []byte {
	if l := s.rules.Current(); l != nil {
		return l.InForce
	}
	return nil
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
