package main

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/shield"
)

type runCmd struct {
	engineFlags
	Pace   time.Duration `placeholder:"TIME" default:"120ms" help:"Time between two frames of the samples; 0: as fast as it goes."`
	Rounds int           `placeholder:"N" default:"1" help:"How often the samples are played; 0: until it is stopped."`
	Listen string        `placeholder:"ADDRESS:PORT" help:"Where the console listens; loopback only. Default console.listen, 127.0.0.1:8470."`
	NoPage bool          `name:"no-console" help:"No console: tell of attacks on the terminal only."`
	Skip   time.Duration `placeholder:"TIME" help:"How far the samples' clock jumps between two rounds, so that attacks end and are sealed."`
}

// Help is shown by run -h.
func (runCmd) Help() string {
	return "Example: dejpha run\n         dejpha run --pace 20ms --rounds 0 --skip 20m"
}

// Run plays the project's own samples through the running shield and tells of each attack.
func (c *runCmd) Run(w *world) error {
	setup, err := c.setup(w)
	if err != nil {
		return err
	}
	if c.Test {
		return checked(w, setup)
	}
	if err := refusals(w, setup, c.Fatal); err != nil {
		return err
	}
	stop := interrupts()
	src, err := shield.NewSamples(c.Pace, stop)
	if err != nil {
		return err
	}
	src.Rounds, src.Skip = c.Rounds, c.Skip
	state := filepath.Join(setup.Config.State, "demo")
	fmt.Fprintf(w.stdout, "This version watches no interface. It plays its own sample captures through the shield;\nwhat it counts is a demonstration, sealed as such in %s. Ctrl-C ends it.\n\n", state)
	show := &display{w: w, setup: setup, state: state, kind: evidence.Demo, source: "the project's own samples", listen: c.Listen, off: c.NoPage}
	sum, err := setup.Run(shield.RunOptions{State: state, Kind: evidence.Demo, Source: src, Watch: show.open, Stop: stop, Reopen: hangups(), Say: w.say})
	if sum != nil {
		fmt.Fprintln(w.stdout)
		sum.Print(w.stdout)
	}
	if err == nil {
		show.stay(stop)
	}
	if cerr := show.close(); err == nil && cerr != nil {
		err = cerr
	}
	return replayError(err)
}

// hangups yields when SIGHUP says that the record file was moved away, as log rotation does.
func hangups() <-chan struct{} {
	moved := make(chan struct{}, 1)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	go func() {
		for range signals {
			select {
			case moved <- struct{}{}:
			default: // it is on its way already
			}
		}
	}()
	return moved
}

// say tells a person one line.
func (w *world) say(text string) { fmt.Fprintln(w.stderr, "dejpha:", text) }
