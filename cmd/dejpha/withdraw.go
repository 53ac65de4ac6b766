package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/evidence/amend"
	"github.com/dejpha/dejpha/evidence/durable"
)

type evidenceWithdrawCmd struct {
	Dir        string  `short:"d" required:"" placeholder:"DIR" help:"The run's folder, or the log's own."`
	Leaves     []int64 `arg:"" placeholder:"LEAF" help:"Leaves of attacks, as eve.json and the console name them."`
	Why        string  `required:"" placeholder:"TEXT" help:"The reason. It stands in the log for all to read: name nobody."`
	SigningKey string  `placeholder:"FILE" help:"The log's signing key. Default log.key in the run's folder."`
}

// Help is shown by evidence withdraw -h.
func (evidenceWithdrawCmd) Help() string {
	return "An attack's leaf is never changed: a correction is sealed beside it, and counts show both, gross and withdrawn. It cannot be taken back.\n\n" +
		"Example: dejpha evidence withdraw -d out 12 17 --why 'a scanner of our own that was not configured'"
}

// Run seals the corrections: for all of the leaves, or for none.
func (c *evidenceWithdrawCmd) Run(w *world) error {
	if err := evidence.CheckReason(c.Why); err != nil {
		return usage("--why: %v", err)
	}
	list := slices.Clone(c.Leaves)
	slices.Sort(list)
	list = slices.Compact(list)
	at, err := amend.Find(c.Dir, c.SigningKey)
	if err == nil {
		err = at.Withdraw(durable.OS(), list, time.Now().UnixNano(), c.Why)
	}
	if err != nil {
		var leaf *evidence.WithdrawError
		var key *amend.KeyError
		switch {
		case errors.Is(err, amend.ErrInUse):
			return coded{exitFailed, fmt.Errorf("%w: stop it, withdraw, start it again; what is open meanwhile is kept", err)}
		case errors.As(err, &leaf):
			return coded{exitUsage, fmt.Errorf("%w; nothing was withdrawn", err)}
		case errors.As(err, &key):
			return coded{exitUsage, err}
		}
		return noLog(c.Dir, err)
	}
	what := fmt.Sprintf("%d attacks", len(list))
	if len(list) == 1 {
		what = "1 attack"
	}
	fmt.Fprintf(w.stdout, "withdrawn  %s, leaves %v; claims over this time say how many were counted, and how many of them withdrawn\n", what, shorten(list))
	fmt.Fprintln(w.stdout, "left       the leaves, packets and records as they are: evidence erase forgets those")
	return nil
}
