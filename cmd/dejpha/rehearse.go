package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/dejpha/dejpha/config"
	"github.com/dejpha/dejpha/shield"
)

type rehearseCmd struct {
	Dir    string   `short:"d" placeholder:"DIR" help:"Folder of a run's state, or of a replay. Default the configuration's state."`
	Since  string   `placeholder:"TIME" help:"Only what was decided since: a length (24h), or a time in UTC (2026-11-24 14:30)."`
	JSON   bool     `name:"json" help:"Every decision with its toll, for other programs."`
	Config string   `short:"c" placeholder:"FILE" help:"Configuration that names the state."`
	Set    []string `name:"set" placeholder:"KEY=VALUE" sep:"none" help:"Override one setting of the configuration. Repeatable."`
}

// Help is shown by rehearse -h.
func (rehearseCmd) Help() string {
	return "Example: dejpha rehearse -d var --since 24h\n         dejpha rehearse -d out --json"
}

// Run prints the price of prevention.
func (c *rehearseCmd) Run(w *world) error {
	since, err := sinceTime(c.Since, time.Now())
	if err != nil {
		return err
	}
	if c.Dir == "" {
		conf, _, err := config.Load(c.Config, c.Set)
		if err != nil {
			return coded{exitUsage, err}
		}
		c.Dir = conf.State
	}
	price, err := shield.Rehearsed(c.Dir, since)
	if errors.Is(err, fs.ErrNotExist) {
		return usage("%s holds no rehearsal; name the state's folder of a run, or a replay's, with -d", c.Dir)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		out := json.NewEncoder(w.stdout)
		out.SetIndent("", "  ")
		return out.Encode(price)
	}
	price.Print(w.stdout)
	return nil
}

// sinceTime reads a length back from now, or a time in UTC. "" is 0, everything.
func sinceTime(text string, now time.Time) (int64, error) {
	if text == "" {
		return 0, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d).UnixNano(), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UnixNano(), nil
		}
	}
	return 0, usage("--since %q: write a length as 24h or 90m, or a time in UTC as %q", text, fmt.Sprint("2026-11-24 14:30"))
}
