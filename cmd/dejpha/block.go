package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os/user"
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/config"
	"github.com/dejpha/dejpha/control"
	"github.com/dejpha/dejpha/shield"
)

// runningFlags find the running shield.
type runningFlags struct {
	Dir    string   `short:"d" placeholder:"DIR" help:"Folder of the shield's state. Default the configuration's."`
	Config string   `short:"c" placeholder:"FILE" help:"Configuration that names the state."`
	Set    []string `name:"set" placeholder:"KEY=VALUE" sep:"none" help:"Override one setting of the configuration. Repeatable."`
}

type blockCmd struct {
	runningFlags
	Address string        `arg:"" help:"Address or prefix; an IPv6 address stands for its /64."`
	For     time.Duration `placeholder:"TIME" default:"10m" help:"How long: 10m, 24h."`
	Rate    uint32        `placeholder:"N" help:"Let N packets a second through."`
	Why     string        `placeholder:"TEXT" help:"The reason, for those who ask later."`
}

type unblockCmd struct {
	runningFlags
	Address string `arg:"" help:"Address or prefix, as it is blocked."`
	Why     string `placeholder:"TEXT" help:"The reason, for those who ask later."`
}

type allowCmd struct {
	runningFlags
	Address string        `arg:"" help:"Address or prefix that shall never be blocked."`
	For     time.Duration `placeholder:"TIME" help:"How long: 10m, 24h. Default for good."`
	Why     string        `placeholder:"TEXT" help:"The reason, for those who ask later."`
}

// Help is shown by block -h.
func (blockCmd) Help() string {
	return "Example: dejpha block 192.0.2.7 --for 1h --why 'noise at the mail server'"
}

// Help is shown by unblock -h.
func (unblockCmd) Help() string { return "Example: dejpha unblock 192.0.2.7" }

// Help is shown by allow -h.
func (allowCmd) Help() string { return "Example: dejpha allow 198.51.100.0/24 --why 'our other site'" }

// Run has the running shield block.
func (c *blockCmd) Run(w *world) error {
	d, err := c.decide("block", shield.Request{Address: c.Address, For: c.For, Rate: c.Rate, Why: c.Why})
	if err != nil {
		return err
	}
	what := "blocked"
	if d.Rate > 0 {
		what = fmt.Sprintf("limited to %d packets/s", d.Rate)
	}
	fmt.Fprintf(w.stdout, "%s is %s until %s UTC; undo: %s\n", d.Origin, what, at(d.Until), d.Undo)
	return nil
}

// Run has the running shield end a block.
func (c *unblockCmd) Run(w *world) error {
	d, err := c.decide("unblock", shield.Request{Address: c.Address, Why: c.Why})
	if err != nil {
		return err
	}
	fmt.Fprintf(w.stdout, "%s is no longer blocked\n", d.Origin)
	return nil
}

// Run has the running shield never block somebody.
func (c *allowCmd) Run(w *world) error {
	d, err := c.decide("allow", shield.Request{Address: c.Address, For: c.For, Why: c.Why})
	if err != nil {
		return err
	}
	end := ""
	if d.Until > 0 {
		end = " until " + at(d.Until) + " UTC"
	}
	fmt.Fprintf(w.stdout, "%s is not blocked%s, whatever it does; what blocked it has ended\n", d.Origin, end)
	return nil
}

func at(ns int64) string { return time.Unix(0, ns).UTC().Format(time.DateTime) }

// state is the shield's folder, and the socket in it.
func (c *runningFlags) state() (dir, socket string, err error) {
	conf, _, err := config.Load(c.Config, c.Set)
	if err != nil {
		return "", "", coded{exitUsage, err}
	}
	dir = conf.State
	if c.Dir != "" {
		dir = c.Dir
	}
	return dir, conf.Socket(dir), nil
}

// decide asks the running shield for one decision.
func (c *runningFlags) decide(command string, r shield.Request) (d attack.Decision, err error) {
	if _, err := shield.ParseAddress(r.Address); err != nil {
		return d, coded{exitUsage, err}
	}
	_, socket, err := c.state()
	if err != nil {
		return d, err
	}
	r.Who = "a person"
	if u, err := user.Current(); err == nil {
		r.Who = u.Username
	}
	return d, asked(socket, command, r, &d)
}

// asked asks the shield at a socket; errors have their exit codes.
func asked(socket, command string, arguments, answer any) error {
	client, err := control.Dial(socket)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return coded{exitPrivilege, err}
	case errors.Is(err, control.ErrNotRunning):
		return coded{exitFailed, fmt.Errorf("%w; start it with dejpha run, or name its state's folder with -d", err)}
	case err != nil:
		return err
	}
	defer client.Close()
	return client.Ask(command, arguments, answer)
}
