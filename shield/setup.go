package shield

import (
	"fmt"
	"maps"
	"net/netip"
	"runtime"
	"slices"
	"sync/atomic"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/block/barred"
	"github.com/dejpha/dejpha/config"
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/defrag"
	"github.com/dejpha/dejpha/detect"
	"github.com/dejpha/dejpha/explain"
	"github.com/dejpha/dejpha/flow"
	"github.com/dejpha/dejpha/rule"
	"github.com/dejpha/dejpha/shield/heap"
	"github.com/dejpha/dejpha/shield/nets"
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
	options  SetupOptions

	rules     ruleset.Reloader
	heap      *heap.Keeper
	floor     map[string]uint64 // attacks by class that the detectors alone find on the built-in captures
	inspector atomic.Pointer[explain.Inspector]
}

// Workers is how many workers share the traffic.
func (s *Setup) Workers() int { return s.settings.workers }

// Bypasses says whether the configuration or a rule wishes that the kernel skips conversations.
func (s *Setup) Bypasses() bool {
	return s.settings.config.Bypass.On() || s.settings.set != nil && s.settings.set.Bypasses()
}

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
	answered   func(*flow.Flow) // tells it of a server that answered over UDP
	undecided  bool             // nobody is decided against
	guard      *policy.Guard    // of the configuration; a live run adds the machine's own
	recording  bool
	replay     bool  // nobody asks for figures meanwhile
	terse      bool  // a replay's attacks are told when they close, not when they open
	live       bool  // every worker has a live source of its own
	memory     int64 // of one worker
	stacks     nets.Stacks
	pcapName   string
	interfaces []string // of a live source
}

// zone is a named part of the protected networks.
type zone struct {
	name     string
	prefixes []netip.Prefix
}

// writes says whether records of an event type are written.
func (s *settings) writes(event string) bool {
	switch {
	case s.config.AttacksOnly:
		return event == "attack"
	case event == "alert":
		return true
	case s.alertsOnly:
		return event == "attack" || event == "decision" || event == "heartbeat"
	}
	return s.types == nil || s.types[event]
}

// NewSetup reads configuration and rules. Errors are the user's, with file and line; refused rules are in Refused.
func NewSetup(o SetupOptions) (*Setup, error) {
	c, warnings, err := config.Load(o.ConfigFile, o.Sets)
	if err != nil {
		return nil, err
	}
	s := &Setup{Config: c, Warnings: warnings, options: o, heap: heap.New(c.Memory)}
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
	s.options = o
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
	s.settings.undecided = c.BlockMode == "off"
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
	if s.settings.stacks, err = nets.ParseStacks(c.HostOSPolicy); err != nil {
		return nil, err
	}
	if o.NoRules {
		return s, nil
	}
	return s, s.load()
}

var privateRanges = []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8", "fc00::/7", "fe80::/10"}

func prefixes(texts, otherwise []string) ([]netip.Prefix, error) {
	return nets.Prefixes(texts, otherwise)
}

func contains(list []netip.Prefix, a netip.Addr) bool { return nets.Contain(list, a) }

// policyOf is a target's choice between segments.
func (s *settings) policyOf(a decode.Addr) stream.Policy { return s.stacks.Of(a).Segments }

// piecesOf is a target's choice between fragments.
func (s *settings) piecesOf(a decode.Addr) defrag.Policy { return s.stacks.Of(a).Pieces }

// ruleset is what of the options is about rules.
func (o *SetupOptions) ruleset() ruleset.Options {
	return ruleset.Options{ConfigFile: o.ConfigFile, Sets: o.Sets, Only: o.OnlyRules, More: o.MoreRules, Inline: o.SimulateIPS, Detectors: o.Detectors}
}

// load loads, checks and compiles the rules.
func (s *Setup) load() error {
	s.rules.Config, s.rules.Options, s.rules.Try = s.Config, s.options.ruleset(), s.try
	s.rules.Lift, s.rules.Settle = s.heap.Lift, func() { s.heap.Settle(s.rules.Current().Set.Len()) }
	l, err := ruleset.Load(s.Config, s.rules.Options, nil)
	if err != nil {
		return err
	}
	s.rules.First(l)
	s.adopt(l)
	s.Loaded, s.Refused = l.Set.Len(), l.Refused
	s.rules.Settle()
	return nil
}

// adopt takes rules as those in force.
func (s *Setup) adopt(l *ruleset.Loaded) {
	s.settings.set, s.settings.refused, s.settings.thresholds = l.Set, len(l.Refused), l.Thresholds
	if in := s.inspector.Load(); in != nil {
		in.Renew(l.Rules())
	}
}

// RefusedByKeyword lists the refusals a keyword a line, the most frequent first.
func (s *Setup) RefusedByKeyword() []string { return ruleset.ByKeyword(s.Refused) }
