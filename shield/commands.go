package shield

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/dejpha/dejpha/control"
	"github.com/dejpha/dejpha/figures"
	"github.com/dejpha/dejpha/shield/desk"
)

// attend opens the control socket of a run; nil if none is asked for. What a command does to the merge point's state
// goes through ask.
func (e *engine) attend(s *Setup, o *RunOptions, d *desk.Desk) (*control.Server, error) {
	if o.Socket == "" {
		return nil, nil
	}
	c := e.commands(o, time.Now())
	maps.Copy(c, figures.Commands(d.Figures))
	maps.Copy(c, s.rules.Commands(d.Reload))
	maps.Copy(c, d.Commands())
	return control.Serve(o.Socket, c)
}

// ask has f run at the merge point between two stretches, on an idle wire, too; it returns once f has run.
func (e *engine) ask(f func()) error { return e.merge.asks.Ask(f) }

// commands are those that the field knows by these names and forms, and our own.
func (e *engine) commands(o *RunOptions, began time.Time) map[string]control.Command {
	c := map[string]control.Command{
		"version":          func(json.RawMessage) (any, error) { return o.Version, nil },
		"uptime":           func(json.RawMessage) (any, error) { return int64(time.Since(began).Seconds()), nil },
		"running-mode":     func(json.RawMessage) (any, error) { return e.mode(), nil },
		"capture-mode":     func(json.RawMessage) (any, error) { return e.captureMode(o), nil },
		"reopen-log-files": func(json.RawMessage) (any, error) { return nil, e.reopen() },
	}
	if e.trial != nil {
		c["confirm"] = func(json.RawMessage) (any, error) { return nil, e.trial.Confirm() }
	}
	if o.Shutdown != nil {
		c["shutdown"] = func(json.RawMessage) (any, error) { o.Shutdown(); return "Closing dejpha", nil }
	}
	return c
}

func (e *engine) mode() string {
	if len(e.workers) > 1 {
		return "workers"
	}
	return "single"
}

func (e *engine) captureMode(o *RunOptions) string {
	if !e.set.live {
		return o.Kind.String()
	}
	if strings.HasPrefix(e.set.interfaces[0], "nfqueue:") {
		return "NFQ"
	}
	return "AF_PACKET_DEV"
}

// reopen goes on in a new record file; the old one was moved away.
func (e *engine) reopen() error {
	var answer <-chan error
	if err := e.ask(func() { answer = e.merge.again() }); err != nil {
		return err
	}
	if err := <-answer; err != nil {
		return fmt.Errorf("cannot go on in a new file: %w", err)
	}
	return nil
}
