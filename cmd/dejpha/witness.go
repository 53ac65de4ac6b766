package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/dejpha/dejpha/cosign"
	"github.com/dejpha/dejpha/evidence/durable"
	"github.com/dejpha/dejpha/witness"
)

// witnessCmd cosigns other people's logs.
type witnessCmd struct {
	Run    witnessRunCmd    `cmd:"" help:"Cosign the checkpoints of logs, over HTTP (C2SP tlog-witness)."`
	Cosign witnessCosignCmd `cmd:"" help:"Cosign one checkpoint from a file, where no network leads."`
	Show   witnessShowCmd   `cmd:"" help:"Show what a witness cosigned, and which heads it refused."`
}

// witnessFlags are a witness's own.
type witnessFlags struct {
	Dir  string   `short:"d" required:"" placeholder:"DIR" help:"The witness's folder: its key, what it cosigned, what it refused."`
	Name string   `placeholder:"NAME" help:"Name of the key that is made at the first start, such as witness.example.org/w1."`
	Logs []string `name:"log" sep:"none" placeholder:"KEY" help:"Verifier key of a log to witness, as its evidence/format tells it. Repeatable; those in DIR/logs, one a line, are witnessed, too."`
}

// open opens the witness.
func (f *witnessFlags) open(w *world) (*witness.Witness, error) {
	x, err := witness.Open(witness.Options{Dir: f.Dir, Name: f.Name, Logs: f.Logs, Rand: rand.Reader, Now: func() int64 { return time.Now().Unix() }, Say: w.say})
	switch {
	case errors.Is(err, witness.ErrUsage), errors.Is(err, durable.ErrLocked):
		return nil, coded{exitUsage, err}
	case err != nil:
		return nil, err
	}
	if x.Logs() == 0 {
		x.Close()
		return nil, usage("no log to witness is named: --log KEY, or a line in %s/logs", f.Dir)
	}
	return x, nil
}

type witnessRunCmd struct {
	witnessFlags
	Listen string `placeholder:"ADDRESS:PORT" default:"127.0.0.1:8471" help:"Where it listens."`
}

// Help is shown by witness run -h.
func (witnessRunCmd) Help() string {
	return "Example: dejpha witness run -d /var/lib/dejpha-witness --name witness.example.org/w1 --log \"$(jq -r .key evidence/format)\""
}

// Run serves the witness until it is interrupted.
func (c *witnessRunCmd) Run(w *world) error {
	x, err := c.open(w)
	if err != nil {
		return err
	}
	defer x.Close()
	keys := x.Keys()
	stop, _ := interrupts()
	return served(c.Listen, x.Handler(), stop, func(at net.Addr) {
		fmt.Fprintf(w.stdout, "Witnessing %d logs at http://%s/add-checkpoint. Ctrl-C ends it.\nkey %s\nkey %s\n", x.Logs(), at, keys[0], keys[1])
	})
}

// served serves a handler to whoever comes, within bounds, until stop is closed.
func served(address string, h http.Handler, stop <-chan struct{}, ready func(at net.Addr)) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return usage("cannot listen at %s: %v", address, err)
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 20 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 8 << 10}
	ready(l.Addr())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-stop:
	}
	within, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if s.Shutdown(within) != nil {
		_ = s.Close()
	}
	return nil
}

type witnessCosignCmd struct {
	witnessFlags
	Request string `arg:"" help:"The log's request, from dejpha evidence request."`
	Out     string `short:"o" required:"" placeholder:"FILE" help:"The cosigned checkpoint, for dejpha evidence accept."`
}

// Help is shown by witness cosign -h.
func (witnessCosignCmd) Help() string {
	return "Example: dejpha witness cosign -d DIR request.txt -o cosigned.txt"
}

// Run cosigns a request from a file.
func (c *witnessCosignCmd) Run(w *world) error {
	b, err := os.ReadFile(c.Request)
	if err != nil {
		return usage("cannot read the request: %v", err)
	}
	x, err := c.open(w)
	if err != nil {
		return err
	}
	defer x.Close()
	lines, err := x.Add(b)
	var no *witness.Refusal
	switch {
	case errors.As(err, &no) && no.Code == http.StatusConflict && no.What == "":
		return coded{exitUsage, fmt.Errorf("not cosigned: %w; make the request with --old %d", no, no.Size)}
	case errors.As(err, &no) && no.What != "":
		return coded{exitWrong, fmt.Errorf("not cosigned: %w; dejpha witness show -d %s shows both heads", no, c.Dir)}
	case errors.As(err, &no):
		return coded{exitUsage, fmt.Errorf("not cosigned: %w", no)}
	case err != nil:
		return err
	}
	r, err := cosign.ParseRequest(b)
	if err != nil {
		return coded{exitUsage, err}
	}
	if err := durable.OS().Replace(c.Out, append(r.Checkpoint, lines...)); err != nil {
		return err
	}
	fmt.Fprintf(w.stdout, "Cosigned; %s is for dejpha evidence accept.\n", c.Out)
	return nil
}

type witnessShowCmd struct {
	Dir string `short:"d" required:"" placeholder:"DIR" help:"The witness's folder."`
}

// Help is shown by witness show -h.
func (witnessShowCmd) Help() string { return "Example: dejpha witness show -d /var/lib/dejpha-witness" }

// Run shows what the folder holds; exit code 4 where a log has shown two histories.
func (c *witnessShowCmd) Run(w *world) error {
	s, err := witness.Read(c.Dir)
	if err != nil {
		return coded{exitUsage, err}
	}
	s.Print(w.stdout)
	if s.Proven > 0 {
		return coded{exitWrong, fmt.Errorf("%d proven forks: what the log signed cannot all be true", s.Proven)}
	}
	return nil
}
