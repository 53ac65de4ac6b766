package main

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/dejpha/dejpha/config"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/samples"
	"github.com/dejpha/dejpha/shield"
	"github.com/dejpha/dejpha/shield/way"
)

type runCmd struct {
	engineFlags
	inlineFlags
	Watch  []string      `short:"i" name:"interface" placeholder:"IF" sep:"none" help:"Watch this interface. Repeatable. Default interfaces of the configuration; without any, the samples are played."`
	XDP    []string      `name:"af-xdp" placeholder:"IF" sep:"none" help:"Take this interface's frames through AF_XDP: fast in drivers that do it without a copy; the machine's own network does not see them. Repeatable. Default interfaces of the configuration with capture: af-xdp."`
	Pace   time.Duration `placeholder:"TIME" default:"120ms" help:"Time between two frames of the samples; 0: as fast as it goes."`
	Rounds int           `placeholder:"N" default:"1" help:"How often the samples are played; 0: until it is stopped."`
	Listen string        `placeholder:"ADDRESS:PORT" help:"Where the console listens; loopback only. Default console.listen, 127.0.0.1:8470."`
	NoPage bool          `name:"no-console" help:"No console: tell of attacks on the terminal only."`
	BPF    string        `name:"bpf" placeholder:"FILTER" help:"Look only at packets that match: an expression of pcap-filter(7), which tcpdump compiles, or file:NAME with what tcpdump -ddd printed. Default each interface's filter."`
	Skip   time.Duration `placeholder:"TIME" help:"How far the samples' clock jumps between two rounds, so that attacks end and are sealed."`

	Expression []string `arg:"" optional:"" name:"filter" help:"As --bpf."`
}

// Help is shown by run -h.
func (runCmd) Help() string {
	return "Example: dejpha run -i eth0\n         dejpha run -i eth0 --workers 4 not port 22\n         dejpha run --af-xdp eth2\n         dejpha run --bridge eth1,eth2\n         dejpha run -q 0\n         dejpha run --pace 20ms --rounds 0 --skip 20m"
}

// Run watches interfaces, or plays the project's own samples through the running shield, and tells of each attack.
func (c *runCmd) Run(w *world) error {
	setup, err := c.setup(w, c.options(append(c.Watch, c.XDP...)))
	if err != nil {
		return err
	}
	if c.Test {
		return checked(w, setup)
	}
	if err := refusals(w, setup, c.Fatal); err != nil {
		return err
	}
	at, err := c.way(setup.Config, c.Watch)
	if err != nil {
		return err
	}
	if at.On() {
		return c.inTheWay(w, setup, at)
	}
	names, xdp, err := c.watched(setup.Config)
	if err != nil {
		return err
	}
	if len(names) > 0 {
		return c.live(w, setup, names, xdp)
	}
	return c.samples(w, setup)
}

// live watches interfaces until it is interrupted.
func (c *runCmd) live(w *world, setup *shield.Setup, names []string, xdp bool) error {
	sources, err := c.listen(names, xdp, setup, w.say)
	if err != nil {
		return captureError(err)
	}
	defer func() {
		for _, s := range sources {
			_ = s.Close()
		}
	}()
	stop, quit := interrupts()
	state := setup.Config.State
	fmt.Fprintf(w.stdout, "Watching %s; what is counted is sealed in %s. Ctrl-C ends it.\n\n", strings.Join(names, ", "), filepath.Join(state, "evidence"))
	show := &display{w: w, setup: setup, state: state, kind: evidence.Live, source: strings.Join(names, ", "), listen: c.Listen, off: c.NoPage}
	return c.shielded(w, setup, show, shield.RunOptions{Live: sources, Stop: stop, Shutdown: quit})
}

// inTheWay stands between attackers and their targets until it is interrupted.
func (c *runCmd) inTheWay(w *world, setup *shield.Setup, at config.Inline) error {
	sources, err := way.Open(at, func() int64 { return time.Now().UnixNano() }, w.say)
	if err != nil {
		return captureError(err)
	}
	defer func() {
		for _, s := range sources {
			_ = s.Close()
		}
	}()
	if setup.Config.Bypass.On() {
		w.say("bypass does nothing here: a shield in the traffic's way inspects everything; take it out of the configuration, or watch with -i")
	}
	stop, quit := interrupts()
	state, name := setup.Config.State, words(&at)
	fmt.Fprintf(w.stdout, "Standing in the way at %s; what is counted is sealed in %s. Ctrl-C ends it.\n\n", name, filepath.Join(state, "evidence"))
	show := &display{w: w, setup: setup, state: state, kind: evidence.Live, source: name, listen: c.Listen, off: c.NoPage}
	err = c.shielded(w, setup, show, shield.RunOptions{Live: sources, Stop: stop, Shutdown: quit})
	if at.Bridge[0] != "" {
		w.say(fmt.Sprintf("%s go on as the kernel's bridge; `dejpha unbridge %s,%s` takes it away", name, at.Bridge[0], at.Bridge[1]))
	}
	return err
}

// samples plays the project's own captures.
func (c *runCmd) samples(w *world, setup *shield.Setup) error {
	stop, quit := interrupts()
	src, err := samples.Open(c.Pace, stop)
	if err != nil {
		return err
	}
	src.Rounds, src.Skip = c.Rounds, c.Skip
	state := filepath.Join(setup.Config.State, "demo")
	fmt.Fprintf(w.stdout, "No interface is named (-i). The built-in sample captures are played through the shield;\nwhat it counts is a demonstration, sealed as such in %s. Ctrl-C ends it.\n\n", state)
	show := &display{w: w, setup: setup, state: state, kind: evidence.Demo, source: "the project's own samples", listen: c.Listen, off: c.NoPage}
	return c.shielded(w, setup, show, shield.RunOptions{Source: src, Stop: stop, Shutdown: quit})
}

// shielded runs the shield over o's sources and prints what it found.
func (c *runCmd) shielded(w *world, setup *shield.Setup, show *display, o shield.RunOptions) error {
	o.State, o.Kind, o.Watch, o.Reopen, o.Say = show.state, show.kind, show.open, signals(syscall.SIGHUP), w.say
	o.Reload = signals(syscall.SIGUSR2)
	o.Socket, o.Version = setup.Config.Socket(setup.Config.State), version()
	k, err := newKeeper(w, setup.Config, &c.engineFlags, show.source, show.kind == evidence.Live, c.Queue != "" || c.Bridge != "")
	if err != nil {
		return err
	}
	defer k.close()
	_, k.xdp, _ = c.watched(setup.Config)
	k.skips = setup.Bypasses()
	o.Ready, o.Reloading = k.ready, k.reloading
	sum, err := setup.Run(o)
	if sum != nil {
		fmt.Fprintln(w.stdout)
		sum.Print(w.stdout)
	}
	if err == nil {
		show.stay(o.Stop)
	}
	if cerr := show.close(); err == nil && cerr != nil {
		err = cerr
	}
	return replayError(err)
}

// signals yields when a signal came: HUP says that the record file was moved away, as log rotation does, USR2 that the
// rules have changed. Those that come while one waits say nothing more.
func signals(which os.Signal) <-chan struct{} {
	came := make(chan struct{}, 1)
	in := make(chan os.Signal, 1)
	signal.Notify(in, which)
	go func() {
		for range in {
			select {
			case came <- struct{}{}:
			default: // it is on its way already
			}
		}
	}()
	return came
}

// say tells a person one line.
func (w *world) say(text string) { fmt.Fprintln(w.stderr, "dejpha:", text) }
