package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/dejpha/dejpha/config"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/evidence/durable"
	"github.com/dejpha/dejpha/shield"
	"github.com/dejpha/dejpha/witness/ask"
	"github.com/dejpha/dejpha/witness/tiles"
)

// evidenceCmd is what is done with a log besides checking it.
type evidenceCmd struct {
	Serve    evidenceServeCmd    `cmd:"" help:"Serve a log's tiles and checkpoint over HTTP, for whoever checks it (C2SP tlog-tiles)."`
	Request  evidenceRequestCmd  `cmd:"" help:"Write the request by which a witness cosigns the log's newest head, where no network leads."`
	Accept   evidenceAcceptCmd   `cmd:"" help:"Take the cosigned head that a witness gave back."`
	Erase    evidenceEraseCmd    `cmd:"" help:"Forget attacks, or a person, for good; counts stay, and stay provable."`
	Withdraw evidenceWithdrawCmd `cmd:"" help:"Withdraw attacks that were false alarms, by corrections; what was counted stays to be seen."`
}

type evidenceServeCmd struct {
	Dir    string `short:"d" required:"" placeholder:"DIR" help:"The folder of a log (evidence), or the folder it lies in."`
	Listen string `placeholder:"ADDRESS:PORT" default:"127.0.0.1:8472" help:"Where it listens."`
}

// Help is shown by evidence serve -h.
func (evidenceServeCmd) Help() string {
	return "Served is what is public: checkpoint, tree, leaves (counts, classes, times and sizes; never who or which packets).\n\nExample: dejpha evidence serve -d out --listen 127.0.0.1:8472"
}

// Run serves the log until it is interrupted.
func (c *evidenceServeCmd) Run(w *world) error {
	dir := shield.EvidenceFolder(c.Dir)
	p, err := evidence.ReadHead(dir)
	if err != nil {
		return usage("cannot read the log: %v", err)
	}
	stop, _ := interrupts()
	return served(c.Listen, tiles.Handler(dir), stop, func(at net.Addr) {
		fmt.Fprintf(w.stdout, "Serving %s at http://%s/checkpoint. Ctrl-C ends it.\n", p.Origin, at)
	})
}

type evidenceRequestCmd struct {
	Dir string `short:"d" required:"" placeholder:"DIR" help:"The folder of a log (evidence), or the folder it lies in."`
	Out string `short:"o" required:"" placeholder:"FILE" help:"The request, for dejpha witness cosign."`
	For string `placeholder:"NAME" help:"The witness, by the name of its key: the request goes on from what it signed last."`
	Old int64  `placeholder:"SIZE" default:"-1" help:"What it signed last, leaves, where that is not known here."`
}

// Help is shown by evidence request -h.
func (evidenceRequestCmd) Help() string {
	return "Example: dejpha evidence request -d out --for witness.example.org/w1 -o request.txt"
}

// Run writes the request.
func (c *evidenceRequestCmd) Run(w *world) error {
	dir := shield.EvidenceFolder(c.Dir)
	old := c.Old
	if old < 0 {
		old = ask.Known(dir, c.For)
	}
	b, head, err := ask.Request(dir, old)
	if err != nil {
		return evidenceError(err)
	}
	if err := durable.OS().Replace(c.Out, b); err != nil {
		return err
	}
	fmt.Fprintf(w.stdout, "%s asks to cosign %d leaves of %s, after %d.\n", c.Out, head.Size, head.Origin, old)
	return nil
}

// evidenceError gives an error of exchanging with witnesses its exit code.
func evidenceError(err error) error {
	var other *ask.OtherHistoryError
	if errors.As(err, &other) {
		return coded{exitWrong, err}
	}
	return coded{exitUsage, err}
}

type evidenceAcceptCmd struct {
	Dir    string   `short:"d" required:"" placeholder:"DIR" help:"The folder of a log (evidence), or the folder it lies in."`
	Config string   `short:"c" placeholder:"FILE" help:"Configuration that names the witnesses and their quorum."`
	Keys   []string `name:"witness" sep:"none" placeholder:"KEY" help:"Verifier key of a witness, besides those of the configuration. Repeatable."`
	File   string   `arg:"" help:"The cosigned head, from dejpha witness cosign."`
}

// Help is shown by evidence accept -h.
func (evidenceAcceptCmd) Help() string {
	return "Example: dejpha evidence accept -d out -c dejpha.yaml cosigned.txt"
}

// Run checks what came back and keeps it.
func (c *evidenceAcceptCmd) Run(w *world) error {
	conf, _, err := config.Load(c.Config, nil)
	if err != nil {
		return coded{exitUsage, err}
	}
	keys, urls := append(conf.Witnesses.Keys, c.Keys...), append(conf.Witnesses.URLs, make([]string, len(c.Keys))...)
	panel, err := ask.NewPanel(keys, urls, conf.Witnesses.Quorum)
	if err != nil {
		return coded{exitUsage, err}
	}
	if len(panel.Parties) == 0 {
		return usage("no witness is named: -c FILE with witnesses, or --witness KEY")
	}
	b, err := os.ReadFile(c.File)
	if err != nil {
		return usage("cannot read the cosigned head: %v", err)
	}
	k, err := panel.Keep(shield.EvidenceFolder(c.Dir), b)
	if err != nil {
		return evidenceError(err)
	}
	what := fmt.Sprintf("%d of %d that it takes; it is kept until more come", len(k.By), panel.Quorum)
	switch {
	case k.Newest:
		what = "it is the log's newest cosigned head"
	case k.Quorum:
		what = "a newer one is cosigned already"
	}
	fmt.Fprintf(w.stdout, "%d leaves, signed by %s: %s.\n", k.Head.Size, strings.Join(k.By, ", "), what)
	return nil
}
