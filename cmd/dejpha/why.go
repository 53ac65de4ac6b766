package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/dejpha/dejpha/control"
	"github.com/dejpha/dejpha/shield"
)

type whyCmd struct {
	runningFlags
	Address string `arg:"" help:"Address or prefix that somebody asks about."`
	JSON    bool   `name:"json" help:"The answer for other programs."`
}

// Help is shown by why -h.
func (whyCmd) Help() string {
	return "Example: dejpha why 192.0.2.7\n         dejpha why -d out 192.0.2.7"
}

// Run tells what stands about an address and what was decided about it, from the running shield and from the records.
func (c *whyCmd) Run(w *world) error {
	p, err := shield.ParseAddress(c.Address)
	if err != nil {
		return coded{exitUsage, err}
	}
	dir, socket, err := c.state()
	if err != nil {
		return err
	}
	var out struct {
		Now       *shield.Standing `json:"now,omitempty"` // absent: no shield answers
		Decisions []shield.Decided `json:"decisions"`
	}
	var now shield.Standing
	switch err := asked(socket, "why", shield.Request{Address: c.Address}, &now); {
	case err == nil:
		out.Now = &now
	case !errors.Is(err, control.ErrNotRunning):
		return err
	}
	if out.Decisions, err = shield.DecidedAbout(dir, p); err != nil {
		return err
	}
	if c.JSON {
		enc := json.NewEncoder(w.stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(out)
	}
	c.tell(w, out.Now, out.Decisions)
	if out.Now == nil && len(out.Decisions) == 0 {
		return coded{exitFailed, fmt.Errorf("nothing is known of %s: no shield answers at %s, and no record of %s names it", c.Address, socket, dir)}
	}
	return nil
}

func (c *whyCmd) tell(w *world, now *shield.Standing, decisions []shield.Decided) {
	if now == nil {
		fmt.Fprintf(w.stdout, "No shield answers; this is what its records say.\n")
	} else {
		tellNow(w, now)
	}
	for i := range decisions {
		d := &decisions[i]
		fmt.Fprintf(w.stdout, "%s UTC  %s", at(d.Time), d.Action)
		if d.Until > 0 {
			fmt.Fprintf(w.stdout, " until %s UTC", at(d.Until))
		}
		fmt.Fprintf(w.stdout, "\n  who       %s\n  line      %s\n", d.Who, d.Policy)
		if d.By != "" {
			fmt.Fprintf(w.stdout, "  by        %s\n", d.By)
		}
		if d.Attack > 0 {
			fmt.Fprintf(w.stdout, "  attack    %d, %s: %s\n", d.Attack, d.Class, d.Story)
			if d.Leaf >= 0 {
				fmt.Fprintf(w.stdout, "  evidence  leaf %d; dejpha verify --attack %d %s\n", d.Leaf, d.Leaf, d.Dir)
			} else {
				fmt.Fprintf(w.stdout, "  evidence  the attack is still open, or its record is gone\n")
			}
		}
		for _, rule := range d.Rules {
			fmt.Fprintf(w.stdout, "  rule      %s\n", rule)
		}
		if d.Undo != "" {
			fmt.Fprintf(w.stdout, "  undo      %s\n", d.Undo)
		}
	}
}

func tellNow(w *world, now *shield.Standing) {
	if now.Guard != "" {
		fmt.Fprintf(w.stdout, "%s is never blocked: %s\n", now.Address, now.Guard)
	}
	for _, b := range now.Blocks {
		end := "for good"
		if b.Until > 0 {
			end = "until " + at(b.Until) + " UTC"
		}
		what := "blocked"
		if b.Rate > 0 {
			what = fmt.Sprintf("limited to %d packets/s", b.Rate)
		}
		fmt.Fprintf(w.stdout, "%s is %s %s by %s; %d packets stopped; undo: %s\n", b.Prefix, what, end, b.By, b.Packets, b.Undo)
	}
	for _, l := range now.Limits {
		fmt.Fprintf(w.stdout, "%s gets %s\n", now.Address, l)
	}
	if now.Guard == "" && len(now.Blocks)+len(now.Limits) == 0 {
		fmt.Fprintf(w.stdout, "%s is not blocked now (%s)\n", now.Address, now.Way)
	}
}
