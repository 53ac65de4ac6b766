// Package ruleset reads the rules that a configuration and a command line name, and compiles them, beside a set that is
// in force and sharing with it what did not change.
//
// In: a checked configuration. Out: rules ready to run, the refused ones named, thresholds, and the bytes that a log
// keeps of all that. Called by shield at start and at each reload. It runs no rule.
package ruleset

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"

	"github.com/dejpha/dejpha/app"
	"github.com/dejpha/dejpha/config"
	"github.com/dejpha/dejpha/detect"
	"github.com/dejpha/dejpha/rule"
	"github.com/dejpha/dejpha/rules"
	"github.com/dejpha/dejpha/shield/inforce"
)

// Options are the command line's part.
type Options struct {
	ConfigFile string
	Sets       []string
	Only       []string // rule files instead of the configured or own rules
	More       []string // besides them
	Inline     bool     // drop and reject rules stop traffic
	Detectors  bool     // for what a log keeps
	Pace       *Pace    // nil: as fast as it goes
}

// Loaded is a rule set with all that belongs to it. Immutable.
type Loaded struct {
	Set        *detect.Set
	Refused    []rule.Refusal
	Thresholds Thresholds
	InForce    []byte   // what a log keeps of the rules and settings
	Files      []string // that were read
	env        [32]byte // hash of what rules are read in
}

// file is one source of rules.
type file struct {
	name string
	text []byte
}

// Load reads, checks and compiles. old: a set to share with, nil for none; it stays as it is. An error is the user's;
// a rule that is refused is none.
func Load(c *config.Config, o Options, old *Loaded) (*Loaded, error) {
	l := &Loaded{}
	env, err := environment(c)
	if err != nil {
		return nil, err
	}
	env.Step = o.Pace.Step
	l.env = hashOf(env)
	if old != nil && old.env == l.env {
		env.Known, env.Twins = old.known(o.Pace.Step), map[*rule.Rule]*rule.Rule{}
	} else {
		old = nil
	}
	files, err := read(c, o)
	if err != nil {
		return nil, err
	}
	if l.InForce, err = pack(c, o, files); err != nil {
		return nil, err
	}
	var all []*rule.Rule
	seen := map[[2]uint32]bool{}
	for i := range files {
		f := &files[i]
		good, bad := rule.ParseFile(f.name, f.text, env)
		f.text = nil
		l.Files = append(l.Files, f.name)
		for _, r := range good {
			id := [2]uint32{r.GID, r.SID}
			if seen[id] {
				bad = append(bad, rule.Refusal{File: f.name, Line: r.Line, Column: 1, Keyword: "sid", SID: r.SID, Message: fmt.Sprintf("sid %d stands in another rule file too", r.SID)})
				continue
			}
			seen[id] = true
			all = append(all, r)
		}
		l.Refused = append(l.Refused, bad...)
	}
	opts := detect.Options{Protocols: app.Protocols(), FirstProtocol: app.FirstProtocol, AlertsMax: c.AlertsMax, Inline: o.Inline, Step: o.Pace.Step}
	if opts.ActionOrder, err = actionOrder(c.ActionOrder); err != nil {
		return nil, err
	}
	var refused []detect.Refusal
	if old == nil {
		l.Set, refused = detect.Compile(all, opts)
	} else {
		l.Set, refused = detect.Recompile(all, opts, old.Set, env.Twins)
	}
	for _, r := range refused {
		l.Refused = append(l.Refused, rule.Refusal{File: r.Rule.File, Line: max(r.Pos.Line, r.Rule.Line), Column: max(r.Pos.Column, 1), Message: r.Why, SID: r.Rule.SID, Keyword: firstWord(r.Why)})
	}
	return l, l.Thresholds.load(c.ThresholdFile)
}

// environment is what rules are read in.
func environment(c *config.Config) (*rule.Environment, error) {
	driver := app.New(AppConfig(c))
	env := &rule.Environment{AddressVars: c.AddressVars, PortVars: c.PortVars, Vocabulary: vocabulary{driver.Vocabulary()},
		Classifications: builtinClassifications(), References: builtinReferences()}
	env.ReadList = rule.ReadBeside
	if err := readInto(c.ClassificationFile, func(b []byte) { env.Classifications = rule.ParseClassifications(b) }); err != nil {
		return nil, err
	}
	return env, readInto(c.ReferenceFile, func(b []byte) { env.References = rule.ParseReferences(b) })
}

// hashOf tells environments apart in which the same text may be another rule.
func hashOf(env *rule.Environment) [32]byte {
	var b bytes.Buffer
	for _, m := range []map[string]string{env.AddressVars, env.PortVars, env.References} {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			fmt.Fprintf(&b, "%q=%q\n", k, m[k])
		}
		b.WriteByte(0)
	}
	for _, k := range slices.Sorted(maps.Keys(env.Classifications)) {
		fmt.Fprintf(&b, "%q=%+v\n", k, env.Classifications[k])
	}
	return sha256.Sum256(b.Bytes())
}

// known are the set's rules by their text, but for those that say something else when another file changes.
func (l *Loaded) known(step func()) map[string]*rule.Rule {
	m := make(map[string]*rule.Rule, l.Set.Len())
	for i := range l.Set.Len() {
		step()
		if r := l.Set.Rule(i); !r.ReadsFiles() {
			m[r.Text] = r
		}
	}
	return m
}

// Rules are the set's rules, in the order of evaluation.
func (l *Loaded) Rules() []*rule.Rule {
	if l == nil || l.Set == nil {
		return nil
	}
	list := make([]*rule.Rule, l.Set.Len())
	for i := range list {
		list[i] = l.Set.Rule(i)
	}
	return list
}

// pack puts together what is in force. The same rules and settings give the same bytes.
func pack(c *config.Config, o Options, files []file) ([]byte, error) {
	s := inforce.Set{Sets: o.Sets, Detectors: o.Detectors, Inline: o.Inline}
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
	for _, r := range files {
		s.Texts = append(s.Texts, inforce.Text{Kind: "rules", Name: filepath.Base(r.name), Text: r.text})
	}
	return inforce.Pack(s, o.Pace.Step)
}

func firstWord(s string) string {
	for i := range len(s) {
		if s[i] == ' ' || s[i] == ':' {
			return s[:i]
		}
	}
	return s
}

func readInto(name string, use func([]byte)) error {
	if name == "" {
		return nil
	}
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	use(b)
	return nil
}

// read reads the files that the options and the configuration name, else the own rules.
func read(c *config.Config, o Options) ([]file, error) {
	var names []string
	own := len(o.Only) == 0
	switch {
	case !own:
		names = o.Only
	case c.Suricata:
		names = c.RuleFiles
	default:
		names = append(names, c.RuleFiles...)
	}
	names = append(slices.Clone(names), o.More...)
	var files []file
	if own {
		list, err := fs.Glob(rules.Files, "*.rules")
		if err != nil {
			return nil, err
		}
		for _, n := range list {
			b, err := rules.Files.ReadFile(n)
			if err != nil {
				return nil, err
			}
			files = append(files, file{"rules/" + n, b})
		}
	}
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			if own && !slices.Contains(o.More, n) && errors.Is(err, fs.ErrNotExist) {
				continue // a stock configuration names rule files that are not installed
			}
			return nil, fmt.Errorf("cannot read rules: %w", err)
		}
		files = append(files, file{n, b})
	}
	return files, nil
}

func actionOrder(names []string) ([]rule.Action, error) {
	var out []rule.Action
	for _, n := range names {
		a, ok := map[string]rule.Action{"pass": rule.Pass, "drop": rule.Drop, "reject": rule.Reject, "alert": rule.Alert}[n]
		if !ok {
			return nil, fmt.Errorf("action-order: unknown action %q", n)
		}
		out = append(out, a)
	}
	return out, nil
}

// AppConfig is what a configuration says of protocols.
func AppConfig(c *config.Config) app.Config {
	return app.Config{
		Enabled:  func(name string) bool { on, said := c.AppEnabled[name]; return on || !said },
		Settings: c.AppSettings,
	}
}

// ByKeyword lists the refusals a keyword a line, the most frequent first.
func ByKeyword(refused []rule.Refusal) []string {
	counts := map[string]int{}
	for _, r := range refused {
		k := r.Keyword
		if k == "" {
			k = "(header)"
		}
		counts[k]++
	}
	names := make([]string, 0, len(counts))
	for k := range counts {
		names = append(names, k)
	}
	sort.Slice(names, func(i, j int) bool {
		a, b := names[i], names[j]
		return counts[a] > counts[b] || counts[a] == counts[b] && a < b
	})
	for i, k := range names {
		names[i] = fmt.Sprintf("refused: %5d %s", counts[k], k)
	}
	return names
}
