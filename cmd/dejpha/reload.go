package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/dejpha/dejpha/config"
	"github.com/dejpha/dejpha/control"
)

// socketFlags are how a subcommand finds the running shield.
type socketFlags struct {
	Config string   `short:"c" placeholder:"FILE" help:"The running shield's configuration; it says where its socket stands."`
	Set    []string `name:"set" placeholder:"KEY=VALUE" sep:"none" help:"Override one setting of it, as for run. Repeatable."`
	Socket string   `placeholder:"PATH" help:"Its control socket. Default control.socket, else dejpha.socket in the state folder."`
}

// dial connects to the running shield.
func (f *socketFlags) dial() (*control.Client, error) {
	path := f.Socket
	if path == "" {
		c, _, err := config.Load(f.Config, f.Set)
		if err != nil {
			return nil, coded{exitUsage, err}
		}
		if path = c.Socket(c.State); path == "" {
			return nil, usage("control.socket is off in this configuration: a running shield cannot be spoken to")
		}
	}
	client, err := control.Dial(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, coded{exitPrivilege, err}
	case errors.Is(err, control.ErrNotRunning):
		if !filepath.IsAbs(path) {
			err = fmt.Errorf("%w; run this where it runs, or name its socket with --socket", err)
		}
		return nil, err
	}
	return client, err
}

type reloadCmd struct {
	socketFlags
}

// Help shows an example.
func (reloadCmd) Help() string { return "Example: dejpha reload" }

// Run has the running shield read its rules again.
func (c *reloadCmd) Run(w *world) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.Ask("reload-rules", nil, nil); err != nil {
		if errors.Is(err, control.ErrRefused) {
			return coded{exitUsage, fmt.Errorf("rules not reloaded, those in force stay: %w", err)}
		}
		return err
	}
	var stats []struct {
		Loaded  int     `json:"rules_loaded"`
		Failed  int     `json:"rules_failed"`
		Seconds float64 `json:"reload_seconds"`
	}
	if err := client.Ask("ruleset-stats", nil, &stats); err != nil {
		return err
	}
	for _, s := range stats {
		fmt.Fprintf(w.stdout, "rules reloaded in %.2f s: %d in force, %d refused\n", s.Seconds, s.Loaded, s.Failed)
	}
	return nil
}
