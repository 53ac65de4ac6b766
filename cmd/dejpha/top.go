package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dejpha/dejpha/control"
	"github.com/dejpha/dejpha/figures"
	"github.com/dejpha/dejpha/top"
)

type topCmd struct {
	socketFlags
	Once  bool          `help:"Once, as text; rates are over the interval."`
	JSON  bool          `name:"json" help:"Once, as JSON."`
	Every time.Duration `placeholder:"TIME" default:"1s" help:"Between two looks."`
}

// Help shows an example.
func (topCmd) Help() string { return "Example: dejpha top\n         dejpha top --json | jq .ledger" }

// Run shows the running shield's figures until it is interrupted.
func (c *topCmd) Run(w *world) error {
	if c.Every < 100*time.Millisecond || c.Every > time.Hour {
		return usage("--every %s: expected 100ms to 1h", c.Every)
	}
	client, err := c.dial()
	if err != nil {
		return err
	}
	defer client.Close()
	client.Patience = 30 * time.Second
	if c.JSON {
		var f json.RawMessage
		if err := client.Ask("figures", nil, &f); err != nil {
			return err
		}
		_, err := fmt.Fprintf(w.stdout, "%s\n", f)
		return err
	}
	width, height := terminal(w)
	if !c.Once && width == 0 {
		return usage("top draws on a terminal; use --once or --json in a pipe")
	}
	return c.follow(w, client, width, height)
}

// follow draws again and again.
func (c *topCmd) follow(w *world, client *control.Client, width, height int) error {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(ended)
	var before *figures.Figures
	if !c.Once {
		fmt.Fprint(w.stdout, "\x1b[?1049h\x1b[?25l") // a screen of its own, without a cursor
		defer fmt.Fprint(w.stdout, "\x1b[?25h\x1b[?1049l")
	}
	for {
		now := &figures.Figures{}
		if err := client.Ask("figures", nil, now); err != nil && !(errors.Is(err, control.ErrRefused) && before != nil) {
			return err
		} else if err != nil {
			now = before // busy: what is shown stays
		}
		switch {
		case !c.Once:
			width, height = terminal(w)
			text := strings.Join(top.Lines(before, now, width, height-1), "\x1b[K\r\n")
			fmt.Fprint(w.stdout, "\x1b[H"+text+"\x1b[K\x1b[J")
		case before != nil:
			_, err := fmt.Fprintln(w.stdout, strings.Join(top.Lines(before, now, 0, 0), "\n"))
			return err
		}
		before = now
		select {
		case <-ended:
			return nil
		case <-time.After(c.Every):
		}
	}
}

// terminal is the size of the terminal that is written to; 0 if it is none.
func terminal(w *world) (width, height int) {
	f, ok := w.stdout.(*os.File)
	if !ok {
		return 0, 0
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, 0
	}
	return int(size.Col), int(size.Row)
}
