package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"syscall"

	"github.com/dejpha/dejpha/block"
	"github.com/dejpha/dejpha/shield"
)

// engineFlags are what replay and run share, with Suricata's short names.
type engineFlags struct {
	Config        string   `short:"c" placeholder:"FILE" help:"dejpha.yaml, or a suricata.yaml honoured where it applies."`
	Only          []string `short:"S" placeholder:"RULES" sep:"none" help:"Only these rules instead of its own. Repeatable."`
	Besides       []string `short:"s" placeholder:"RULES" sep:"none" help:"These rules besides the configured or own ones. Repeatable."`
	Set           []string `name:"set" placeholder:"KEY=VALUE" sep:"none" help:"Override one setting of the configuration. Repeatable."`
	Checksums     string   `short:"k" placeholder:"all|none" help:"Check checksums, or not."`
	SimulateIPS   bool     `name:"simulate-ips" help:"Judge as if inline: verdicts take effect on the packets that follow."`
	Workers       int      `placeholder:"N" help:"Workers; 0: one a core."`
	Detectors     string   `enum:"on,off" default:"on" help:"Own detectors: on or off."`
	Test          bool     `short:"T" help:"Check configuration and rules, then stop."`
	Fatal         bool     `name:"init-errors-fatal" help:"A refused rule is an error."`
	NoDetection   bool     `name:"disable-detection" help:"No rules at all."`
	RunMode       string   `name:"runmode" help:"single: one worker; others as --workers."`
	DataDir       string   `name:"data-dir" placeholder:"DIR" help:"Where rules find their data sets."`
	NoRandom      bool     `name:"no-random" help:"Accepted; nothing here is random."`
	StrictWords   string   `name:"strict-rule-keywords" optional:"" help:"Accepted; unknown keywords are always refused."`
	FirewallRules string   `name:"firewall-rules-exclusive" placeholder:"FILE" help:"Firewall rules; not offered by this version."`
	Verbose       int      `short:"v" type:"counter" help:"Say more."`
	AlertsOnly    bool     `name:"alerts-only" help:"Write alerts and attacks to eve.json, no other records."`
	RefusedLines  bool     `name:"refused-lines" help:"With -T: print the line numbers of refused rules and nothing else."`
	LogFormat     string   `name:"log-format" enum:"text,json" default:"text" help:"Messages on stderr: text or json."`
}

type replayCmd struct {
	engineFlags
	Out      string   `short:"l" placeholder:"DIR" default:"." help:"Where eve.json and evidence/ go."`
	Captures []string `short:"r" placeholder:"CAPTURE" sep:"none" help:"A capture, or a folder of them. Repeatable."`
	Each     bool     `help:"Judge every capture alone, into OUT/<path>/."`
}

// Help is shown by replay -h.
func (replayCmd) Help() string {
	return "Example: dejpha replay -l out -r capture.pcap\n         dejpha replay -c suricata.yaml -S et.rules -k none -l out -r captures/"
}

// Run plays the captures.
func (c *replayCmd) Run(w *world) error {
	if c.FirewallRules != "" {
		return usage("--firewall-rules-exclusive: firewall rules are not offered by this version; use -S for detection rules")
	}
	setup, err := c.setup(w)
	if err != nil {
		return err
	}
	if c.Test && c.RefusedLines {
		for _, r := range setup.Refused {
			fmt.Fprintln(w.stdout, r.Line)
		}
		return nil
	}
	if c.Test {
		return checked(w, setup)
	}
	if err := refusals(w, setup, c.Fatal); err != nil {
		return err
	}
	files, root, err := captures(w, c.Captures)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		return fmt.Errorf("cannot make the output folder: %w", err)
	}
	stop, _ := interrupts()
	progress := newProgress(w.stderr)
	if !c.Each {
		sum, err := setup.Replay(files, c.Out, shield.ReplayOptions{Stop: stop, Progress: progress.show})
		progress.clear()
		if sum != nil {
			sum.Print(w.stdout)
		}
		return replayError(err)
	}
	return c.each(w, setup, files, root, stop, progress)
}

// each judges every capture alone; one bad capture does not stop the others.
func (c *replayCmd) each(w *world, setup *shield.Setup, files []string, root string, stop <-chan struct{}, progress *progress) error {
	var worst error
	total := shield.Summary{}
	for i, f := range files {
		rel, err := filepath.Rel(root, f)
		if err != nil || strings.HasPrefix(rel, "..") {
			rel = filepath.Base(f)
		}
		out := filepath.Join(c.Out, rel)
		if err := os.MkdirAll(out, 0o755); err != nil {
			return fmt.Errorf("cannot make the output folder: %w", err)
		}
		sum, err := setup.Replay([]string{f}, out, shield.ReplayOptions{Stop: stop})
		progress.files(i+1, len(files))
		if sum != nil {
			total.Add(sum)
		}
		if err = replayError(err); err != nil {
			fmt.Fprintln(w.stderr, "dejpha:", err)
			worst = worse(worst, err)
		}
		select {
		case <-stop:
			return worst
		default:
		}
	}
	progress.clear()
	total.Print(w.stdout)
	if worst != nil {
		return coded{codeOf(worst), errors.New("")}
	}
	return nil
}

func codeOf(err error) int {
	var c coded
	if errors.As(err, &c) {
		return c.code
	}
	return exitFailed
}

// worse keeps the error that says more: one of ours before damaged input.
func worse(a, b error) error {
	if a == nil || codeOf(a) == exitDamaged {
		return b
	}
	return a
}

// replayError gives an engine's error its exit code.
func replayError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.As(err, new(coded)):
		return err
	case errors.Is(err, shield.ErrInput):
		return coded{exitUsage, err}
	case errors.Is(err, shield.ErrDamaged):
		return coded{exitDamaged, err}
	case errors.Is(err, shield.ErrOtherRun):
		return coded{exitUsage, err}
	case errors.Is(err, block.ErrKernel):
		return coded{exitPrivilege, err}
	}
	return coded{exitFailed, err}
}

// captures expands folders, keeps the order given, and returns the folder that --each names files by.
func captures(w *world, names []string) (files []string, root string, err error) {
	if len(names) == 0 {
		return nil, "", usage("no capture given: -r FILE or -r FOLDER")
	}
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return nil, "", usage("cannot read capture %s: %v", name, errors.Unwrap(err))
		}
		if !info.IsDir() {
			files = append(files, name)
			continue
		}
		found, others, err := below(name)
		if err != nil {
			return nil, "", usage("cannot read captures: %v", err)
		}
		for _, o := range others {
			fmt.Fprintf(w.stderr, "dejpha: warning: %s is left out: not a pcap or pcapng capture\n", o)
		}
		if len(found) == 0 {
			return nil, "", usage("%s holds no captures", name)
		}
		files = append(files, found...)
	}
	root = names[0]
	if info, err := os.Stat(root); err == nil && !info.IsDir() {
		root = filepath.Dir(root)
	}
	return files, root, nil
}

// below lists the captures under a folder, whatever they are called: a capture is known by its first bytes. others are
// called captures and are none.
func below(dir string) (found, others []string, err error) {
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.Type().IsRegular() || d.Type()&os.ModeSymlink != 0 {
			switch ext := filepath.Ext(path); {
			case shield.IsCapture(path):
				found = append(found, path)
			case ext == ".pcap" || ext == ".pcapng" || ext == ".cap":
				others = append(others, path)
			}
		}
		return nil
	})
	sort.Strings(found)
	return found, others, err
}

// interrupts closes the channel at the first interrupt; the second ends the process at once. quit closes it, too.
func interrupts() (stop <-chan struct{}, quit func()) {
	ending := make(chan struct{})
	quit = sync.OnceFunc(func() { close(ending) })
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		quit()
		<-signals
		os.Exit(exitFailed)
	}()
	return ending, quit
}

// workersMax is more than any machine this runs on has use for; the memory is shared among the workers.
const workersMax = 256

// setup loads configuration and rules.
func (f *engineFlags) setup(w *world, more ...func(*shield.SetupOptions)) (*shield.Setup, error) {
	if f.Workers < 0 || f.Workers > workersMax {
		return nil, usage("--workers %d: expected 0 (one a core) to %d", f.Workers, workersMax)
	}
	o := shield.SetupOptions{
		ConfigFile: f.Config, Sets: f.Set, OnlyRules: f.Only, MoreRules: f.Besides,
		NoRules: f.NoDetection, SimulateIPS: f.SimulateIPS, Workers: f.Workers,
		Detectors: f.Detectors != "off", AlertsOnly: f.AlertsOnly, DataDir: f.DataDir,
	}
	if f.RunMode == "single" {
		o.Workers = 1
	}
	switch f.Checksums {
	case "", "all", "none":
		o.Checksums = f.Checksums
	default:
		return nil, usage("-k %s: expected all or none", f.Checksums)
	}
	for _, add := range more {
		add(&o)
	}
	setup, err := shield.NewSetup(o)
	if err != nil {
		return nil, coded{exitUsage, err}
	}
	for _, warning := range setup.Warnings {
		fmt.Fprintln(w.stderr, "dejpha: warning:", warning)
	}
	return setup, nil
}

const refusalsShown = 20

// refusals names the refused rules; with fatal any of them is an error.
func refusals(w *world, s *shield.Setup, fatal bool) error {
	for i, r := range s.Refused {
		if i == refusalsShown {
			fmt.Fprintf(w.stderr, "dejpha: ... and %d more\n", len(s.Refused)-refusalsShown)
			break
		}
		fmt.Fprintln(w.stderr, "dejpha:", r)
	}
	if len(s.Refused) > 0 {
		if fatal {
			return usage("%d of %d rules refused", len(s.Refused), len(s.Refused)+s.Loaded)
		}
		fmt.Fprintf(w.stderr, "dejpha: %d rules refused, %d loaded\n", len(s.Refused), s.Loaded)
	}
	return nil
}

// checked ends -T: the refusals by keyword, then the count.
func checked(w *world, s *shield.Setup) error {
	err := refusals(w, s, true)
	for _, line := range s.RefusedByKeyword() {
		fmt.Fprintln(w.stdout, line)
	}
	fmt.Fprintf(w.stdout, "rules: %d loaded, %d refused\n", s.Loaded, len(s.Refused))
	return err
}
