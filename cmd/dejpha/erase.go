package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/dejpha/dejpha/forget"
)

type evidenceEraseCmd struct {
	Dir        string  `short:"d" required:"" placeholder:"DIR" help:"The run's folder: records and evidence."`
	Leaves     []int64 `arg:"" optional:"" help:"Leaves of attacks."`
	Address    string  `placeholder:"ADDRESS" help:"Whatever names this IP address, network or MAC address: attacks, decisions, records."`
	Why        string  `required:"" placeholder:"TEXT" help:"The reason. It stands in the log for all to read: name nobody."`
	SigningKey string  `placeholder:"FILE" help:"The log's signing key. Default log.key in the run's folder."`
}

// Help is shown by evidence erase -h.
func (evidenceEraseCmd) Help() string {
	return "Seeds and packets are overwritten, lines of eve.json blanked, the console's index is made anew at the next start.\n\n" +
		"Example: dejpha evidence erase -d out --address 192.0.2.7 --why 'request of 2026-11-27'\n         dejpha evidence erase -d out 12 17 --why 'a test that should not be kept'"
}

// Run erases and tells what is left.
func (c *evidenceEraseCmd) Run(w *world) error {
	o := forget.Options{Dir: c.Dir, Leaves: c.Leaves, Why: c.Why, Now: time.Now().UnixNano(), Key: c.SigningKey}
	if c.Address == "" && len(c.Leaves) == 0 {
		return usage("name leaves, or an address by --address: nothing to erase")
	}
	if c.Address != "" {
		var err error
		if o.Who, err = forget.ParseWho(c.Address); err != nil {
			return usage("--address: %v", err)
		}
	}
	r, err := forget.Do(o)
	var leaf *forget.LeafError
	var key *forget.KeyError
	switch {
	case errors.Is(err, forget.ErrInUse):
		return coded{exitFailed, fmt.Errorf("%w: stop it, erase, start it again; what is open meanwhile is kept", err)}
	case errors.As(err, &leaf), errors.As(err, &key):
		return coded{exitUsage, err}
	case err != nil && len(r.Leaves) == 0:
		return noLog(c.Dir, err)
	case err != nil:
		return fmt.Errorf("%d leaves are erased, not all that was asked for; call it again: %w", len(r.Leaves), err)
	}
	fmt.Fprintf(w.stdout, "erased     %d private parts with their packets, leaves %v; %d were erased before\n", len(r.Leaves), shorten(r.Leaves), r.Already)
	fmt.Fprintf(w.stdout, "records    %d lines of %d files blanked\n", r.Lines, r.Files)
	if r.Index {
		fmt.Fprintln(w.stdout, "console    its index is taken away, the next start makes it anew")
	}
	if c.Address == "" {
		fmt.Fprintln(w.stdout, "left       other records of the same traffic (alerts, flows): --address takes whatever names an address")
	}
	if r.Open {
		fmt.Fprintln(w.stdout, "left       attacks that are still open name the address: erase again once they are closed")
	}
	for _, name := range r.Named {
		fmt.Fprintf(w.stdout, "left       %s names the address; it is no record: remove it if it is no longer needed\n", name)
	}
	fmt.Fprintln(w.stdout, "left       copies of this folder, records sent elsewhere, old blocks of flash and copy-on-write disks; packets of others' attacks are not searched")
	return nil
}

// shorten leaves out what nobody reads.
func shorten(leaves []int64) string {
	if len(leaves) > 20 {
		return fmt.Sprintf("%v and %d more", leaves[:20], len(leaves)-20)
	}
	return fmt.Sprint(leaves)
}
