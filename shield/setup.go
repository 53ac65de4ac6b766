package shield

import (
	"fmt"
	"maps"
	"net/netip"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"sort"

	"github.com/dejpha/dejpha/app"
	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/block/barred"
	"github.com/dejpha/dejpha/config"
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/defrag"
	"github.com/dejpha/dejpha/detect"
	"github.com/dejpha/dejpha/flow"
	"github.com/dejpha/dejpha/rule"
	"github.com/dejpha/dejpha/shield/policy"
	"github.com/dejpha/dejpha/shield/ruleset"
	"github.com/dejpha/dejpha/stream"
)

// SetupOptions are the command line's part of a setup.
type SetupOptions struct {
	ConfigFile  string
	Sets        []string
	OnlyRules   []string // instead of the configured or own rules
	MoreRules   []string // besides them
	NoRules     bool
	SimulateIPS bool
	Running     bool     // for live traffic; then
	Inline      bool     // the shield stands in its way, whatever the configuration says
	Watch       []string // interfaces that the command line names
	Workers     int      // 0: one a core
	Checksums   string   // "all", "none" or "" for the configuration's
	Detectors   bool
	AlertsOnly  bool
	DataDir     string
}

// Setup is a checked configuration with its compiled rules, ready to run any number of times.
type Setup struct {
	Config   *config.Config
	Warnings []string
	Loaded   int
	Refused  []rule.Refusal
	settings settings
	loaded   *ruleset.Loaded // nil: no rules
}

// Workers is how many workers share the traffic.
func (s *Setup) Workers() int { return s.settings.workers }

// settings are what workers and merge point read; never written after the setup.
type settings struct {
	config     *config.Config
	workers    int
	detectors  bool
	inline     bool        // the stream is shown as it comes
	verdicts   bool        // rules stop packets
	stops      bool        // and so for real: the source stands in the way
	barred     *barred.Set // who is blocked; nil unless stops
	checksums  bool        // judged at all, for rules; the stream may be told to take wrong ones
	strict     bool        // -k all
	seed       uint64
	types      map[string]bool // eve types written; nil: all
	alertsOnly bool
	set        *detect.Set
	refused    int // rules
	thresholds ruleset.Thresholds
	protected  []netip.Prefix
	authorised []netip.Prefix
	decoys     []netip.Prefix
	zones      []zone
	policy     *attack.Policy
	enforce    bool             // decisions act; else they are rehearsed
	vouch      func(*flow.Flow) // tells the kernel of a proven flow; nil: no kernel holds limits
	undecided  bool             // nobody is decided against
	guard      *policy.Guard    // of the configuration; a live run adds the machine's own
	recording  bool
	live       bool  // every worker has a live source of its own
	memory     int64 // of one worker
	policies   []osPolicy
	pcapName   string
	interfaces []string // of a live source
}

// zone is a named part of the protected networks.
type zone struct {
	name     string
	prefixes []netip.Prefix
}

type osPolicy struct {
	prefix netip.Prefix
	policy stream.Policy
	pieces defrag.Policy
}

// writes says whether records of an event type are written.
func (s *settings) writes(event string) bool {
	if s.alertsOnly {
		return event == "alert" || event == "attack" || event == "decision" || event == "heartbeat"
	}
	return s.types == nil || s.types[event]
}

// gcPercent trades time for memory: a third of the live heap may be garbage.
const gcPercent = 35

// NewSetup reads configuration and rules. Errors are the user's, with file and line; refused rules are in Refused.
func NewSetup(o SetupOptions) (*Setup, error) {
	c, warnings, err := config.Load(o.ConfigFile, o.Sets)
	if err != nil {
		return nil, err
	}
	s := &Setup{Config: c, Warnings: warnings}
	// The tables are bounded by the configured memory; the collector is told to stay near it, at the price of time.
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(heapLimit(c))
	workers := o.Workers
	if workers <= 0 {
		workers = runtime.NumCPU()
	}
	if o.SimulateIPS {
		workers = 1
	}
	if o.Running {
		c.Watched(o.Watch)
	}
	o.SimulateIPS = o.SimulateIPS || o.Running && (o.Inline || c.Inline.On())
	checksums, strict := c.Checksums, false
	switch o.Checksums {
	case "all":
		checksums, strict = true, true
	case "none":
		checksums = false
	}
	s.settings = settings{
		config: c, workers: workers, detectors: o.Detectors, inline: o.SimulateIPS || c.StreamInline, verdicts: o.SimulateIPS, checksums: checksums, strict: strict,
		seed: randomSeed(), types: c.EveTypes, alertsOnly: o.AlertsOnly, recording: true, memory: c.Memory / int64(workers),
	}
	if s.settings.protected, err = prefixes(c.Protected, privateRanges); err != nil {
		return nil, fmt.Errorf("protected: %w", err)
	}
	if s.settings.authorised, err = prefixes(c.Authorised, nil); err != nil {
		return nil, fmt.Errorf("authorised: %w", err)
	}
	if s.settings.decoys, err = prefixes(c.Decoys, nil); err != nil {
		return nil, fmt.Errorf("decoys: %w", err)
	}
	if err := s.settings.decisions(c); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(c.Zones)) {
		list, err := prefixes(c.Zones[name], nil)
		if err != nil {
			return nil, fmt.Errorf("zones: %s: %w", name, err)
		}
		s.settings.zones = append(s.settings.zones, zone{name, list})
	}
	if s.settings.policies, err = osPolicies(c.HostOSPolicy); err != nil {
		return nil, err
	}
	if o.NoRules {
		return s, nil
	}
	return s, s.rules(o, nil)
}

var privateRanges = []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8", "fc00::/7", "fe80::/10"}

func prefixes(texts, otherwise []string) ([]netip.Prefix, error) {
	if len(texts) == 0 {
		texts = otherwise
	}
	var out []netip.Prefix
	for _, t := range texts {
		p, err := netip.ParsePrefix(t)
		if err != nil {
			a, err2 := netip.ParseAddr(t)
			if err2 != nil {
				return nil, fmt.Errorf("%q is not an address or prefix", t)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

func contains(list []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
}

func osPolicies(m map[string][]string) ([]osPolicy, error) {
	var out []osPolicy
	for _, name := range slices.Sorted(maps.Keys(m)) {
		nets := m[name]
		policy, ok := stream.ParsePolicy(name)
		pieces, known := defrag.ParsePolicy(name)
		if !ok || !known {
			return nil, fmt.Errorf("host-os-policy: unknown policy %q", name)
		}
		list, err := prefixes(nets, []string{})
		if err != nil {
			return nil, fmt.Errorf("host-os-policy: %s: %w", name, err)
		}
		for _, p := range list {
			out = append(out, osPolicy{p, policy, pieces})
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].prefix.Bits() > out[j].prefix.Bits() })
	return out, nil
}

// osOf says how a target's stack puts things together: the policies of the longest prefix that holds it, else BSD's.
func (s *settings) osOf(a decode.Addr) osPolicy {
	n := a.Netip()
	for _, p := range s.policies {
		if p.prefix.Contains(n) {
			return p
		}
	}
	return osPolicy{}
}

// policyOf is a target's choice between segments.
func (s *settings) policyOf(a decode.Addr) stream.Policy { return s.osOf(a).policy }

// piecesOf is a target's choice between fragments.
func (s *settings) piecesOf(a decode.Addr) defrag.Policy { return s.osOf(a).pieces }

// rules loads, checks and compiles. old: what is in force, nil for nothing.
func (s *Setup) rules(o SetupOptions, old *ruleset.Loaded) error {
	l, err := ruleset.Load(s.Config, ruleset.Options{ConfigFile: o.ConfigFile, Sets: o.Sets, Only: o.OnlyRules, More: o.MoreRules, Inline: o.SimulateIPS, Detectors: o.Detectors}, old)
	if err != nil {
		return err
	}
	s.settings.set, s.settings.refused, s.settings.thresholds = l.Set, len(l.Refused), l.Thresholds
	s.loaded, s.Loaded, s.Refused = l, l.Set.Len(), l.Refused
	debug.SetMemoryLimit(heapLimit(s.Config) + heapLive())
	return nil
}

// heapLimit is where the collector begins to work harder: the tables fill about half of the configured memory on mixed
// traffic, and what lies between that and the limit is garbage and pages it has not given back.
func heapLimit(c *config.Config) int64 { return c.Memory / 32 * 21 }

// heapLive is what the collector's last cycle found in use: after loading, the rules. They do not count towards the
// configured memory, and a limit below what is in use would only make the collector run without end.
func heapLive() int64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64())
}

// RefusedByKeyword lists the refusals a keyword a line, the most frequent first.
func (s *Setup) RefusedByKeyword() []string {
	counts := map[string]int{}
	for _, r := range s.Refused {
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

func appConfig(c *config.Config) app.Config {
	return app.Config{
		Enabled:  func(name string) bool { on, said := c.AppEnabled[name]; return on || !said },
		Settings: c.AppSettings,
	}
}
