package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/console"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/shield"
)

// display tells of attacks on the terminal and in the console.
type display struct {
	w       *world
	setup   *shield.Setup
	state   string
	kind    evidence.Kind
	source  string
	listen  string // from the command line
	off     bool   // no console
	console *console.Console
	shown   shown
}

// open starts the console when the log stands.
func (d *display) open(origin, verifier string) (shield.Watcher, error) {
	if d.off {
		return d, nil
	}
	listen := d.setup.Config.Listen
	if d.listen != "" {
		listen = d.listen
	}
	c, err := console.New(console.Options{
		State: d.state, Evidence: filepath.Join(d.state, "evidence"), Listen: listen, CountryFile: d.setup.Config.CountryFile,
		Inspector: d.setup.Inspector(), Now: time.Now,
		Status: console.Status{Kind: d.kind.String(), Source: d.source, Origin: origin, Verifier: verifier, Version: version()},
	})
	if errors.Is(err, console.ErrAddress) {
		return nil, coded{exitUsage, err}
	}
	if err != nil {
		return nil, err
	}
	if err := c.Serve(); err != nil {
		_ = c.Close()
		return nil, err
	}
	d.console, d.shown = c, shown{Console: c}
	if u := c.SetupURL(); u != "" {
		fmt.Fprintf(d.w.stderr, "Console: open %s once and choose a password.\n\n", u)
	} else {
		fmt.Fprintf(d.w.stderr, "Console: %s\n\n", c.URL())
	}
	return d, nil
}

// stay keeps the console up after its source has ended, until it is stopped.
func (d *display) stay(stop <-chan struct{}) {
	if d.console == nil {
		return
	}
	d.console.Stopped()
	select {
	case <-stop:
		return
	default:
	}
	fmt.Fprintf(d.w.stdout, "\nThe source has ended and everything is sealed. The console stays at %s until Ctrl-C.\n", d.console.URL())
	<-stop
}

func (d *display) close() error {
	if d.console == nil {
		return nil
	}
	return d.console.Close()
}

// Attack implements shield.Watcher.
func (d *display) Attack(r attack.Record) {
	at := time.Unix(0, r.OpenedAt).UTC().Format("15:04:05")
	if r.State == "opened" {
		fmt.Fprintf(d.w.stdout, "%s  attack %d  %-12s severity %d  from %s on %s\n          %s\n", at, r.ID, r.Class, r.Severity, r.OriginText(), r.Target.Group, r.Story)
	} else {
		fmt.Fprintf(d.w.stdout, "%s  attack %d  %s, sealed as leaf %d\n", at, r.ID, r.State, r.Evidence.Leaf)
	}
	if d.console != nil {
		d.shown.Attack(r)
	}
}

// Packets implements shield.Watcher.
func (d *display) Packets(id uint64, packets []shield.Packet) {
	if d.console != nil {
		d.shown.Packets(id, packets)
	}
}

// Ledger implements shield.Watcher.
func (d *display) Ledger(l shield.Ledger, open int, now int64) {
	if d.console != nil {
		d.shown.Ledger(l, open, now)
	}
}

// Blocking hands the console those who are blocked.
func (d *display) Blocking(b console.Blocker) {
	if d.console != nil {
		d.console.Blocking(b)
	}
}

// Operating hands the console who tells of interfaces and rules.
func (d *display) Operating(o console.Operator) {
	if d.console != nil {
		d.console.Operating(o)
	}
}
