package main

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/shield"
)

type runCmd struct {
	engineFlags
	Pace   time.Duration `placeholder:"TIME" default:"120ms" help:"Time between two frames of the samples; 0: as fast as it goes."`
	Rounds int           `placeholder:"N" default:"1" help:"How often the samples are played; 0: until it is stopped."`
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
	sum, err := setup.Run(shield.RunOptions{State: state, Kind: evidence.Demo, Source: src, Watcher: teller{w}, Stop: stop, Say: w.say})
	if sum != nil {
		fmt.Fprintln(w.stdout)
		sum.Print(w.stdout)
	}
	return replayError(err)
}

// say tells a person one line.
func (w *world) say(text string) { fmt.Fprintln(w.stderr, "dejpha:", text) }

// teller prints what a running shield counts.
type teller struct{ w *world }

// Attack implements shield.Watcher.
func (t teller) Attack(r attack.Record) {
	at := time.Unix(0, r.OpenedAt).UTC().Format("15:04:05")
	if r.State == "opened" {
		fmt.Fprintf(t.w.stdout, "%s  attack %d  %-12s severity %d  from %s on %s\n          %s\n", at, r.ID, r.Class, r.Severity, r.OriginText(), r.Target.Group, r.Story)
		return
	}
	fmt.Fprintf(t.w.stdout, "%s  attack %d  %s, sealed as leaf %d\n", at, r.ID, r.State, r.Evidence.Leaf)
}

// Packets implements shield.Watcher.
func (t teller) Packets(uint64, []shield.Packet) {}

// Ledger implements shield.Watcher.
func (t teller) Ledger(shield.Ledger, int, int64) {}
