package main

import (
	"fmt"
	"net"

	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/shield"
	"github.com/dejpha/dejpha/witness/tiles"
)

// evidenceCmd is what is done with a log besides checking it.
type evidenceCmd struct {
	Serve evidenceServeCmd `cmd:"" help:"Serve a log's tiles and checkpoint over HTTP, for whoever checks it (C2SP tlog-tiles)."`
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
	p, err := evidence.ReadCheckpoint(dir)
	if err != nil {
		return usage("cannot read the log: %v", err)
	}
	stop, _ := interrupts()
	return served(c.Listen, tiles.Handler(dir), stop, func(at net.Addr) {
		fmt.Fprintf(w.stdout, "Serving %s at http://%s/checkpoint. Ctrl-C ends it.\n", p.Origin, at)
	})
}
