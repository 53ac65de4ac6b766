package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/dejpha/dejpha/capture/bridge"
	"github.com/dejpha/dejpha/capture/nfqueue"
	"github.com/dejpha/dejpha/config"
	"github.com/dejpha/dejpha/control"
	"github.com/dejpha/dejpha/shield"
)

// inlineFlags say how run stands in the traffic's way.
type inlineFlags struct {
	Queue     string `short:"q" name:"queue" placeholder:"N" help:"Stand in the way of what rules of the firewall hand to netfilter's queue N, or to queues N:M, and stop attacks there."`
	Bridge    string `placeholder:"IF,IF" help:"Join two interfaces and stand between them; attacks are stopped there."`
	OnFailure string `name:"on-failure" enum:"pass,block,as-configured" default:"as-configured" help:"What happens to traffic while the shield in its way is silent: pass or block. Default inline.on-failure, pass."`
}

// options are the flags' part of a setup.
func (f *inlineFlags) options(watch []string) func(*shield.SetupOptions) {
	return func(o *shield.SetupOptions) {
		o.Running, o.Inline, o.Watch = true, f.Queue != "" || f.Bridge != "", watch
	}
}

// way is where the shield stands, of flags and configuration.
func (f *inlineFlags) way(c *config.Config, watch []string) (config.Inline, error) {
	way := c.Inline
	if f.Queue != "" {
		q, err := config.Queues(f.Queue)
		if err != nil {
			return way, usage("-q %v", err)
		}
		way.Queues, way.HasQueue, way.Bridge = q, true, [2]string{}
	}
	if f.Bridge != "" {
		left, right, ok := strings.Cut(f.Bridge, ",")
		if !ok || left == "" || right == "" || left == right || strings.Contains(right, ",") {
			return way, usage("--bridge %s: expected two interfaces, as in --bridge eth1,eth2", f.Bridge)
		}
		if f.Queue != "" {
			return way, usage("-q and --bridge: a shield stands at a queue or at a bridge, not at both")
		}
		way.Bridge, way.HasQueue = [2]string{left, right}, false
	}
	if f.OnFailure != "as-configured" {
		block := f.OnFailure == "block"
		way.Block = [2]bool{block, block}
	}
	if way.On() && way.Bridge[0] == "" && len(watch) > 0 {
		return way, usage("-i watches, -q stands in the way: use one of them")
	}
	for _, name := range watch {
		if way.Bridge[0] != "" && name != way.Bridge[0] && name != way.Bridge[1] {
			return way, usage("-i %s: this shield stands between %s and %s; -i watches without standing in the way", name, way.Bridge[0], way.Bridge[1])
		}
	}
	return way, nil
}

// words name the way for a person.
func words(way *config.Inline) string {
	switch {
	case !way.HasQueue:
	case way.Queues[0] == way.Queues[1]:
		return fmt.Sprintf("netfilter's queue %d", way.Queues[0])
	default:
		return fmt.Sprintf("netfilter's queues %d to %d", way.Queues[0], way.Queues[1])
	}
	return way.Bridge[0] + " and " + way.Bridge[1]
}

// inlineError gives an error of opening the way its exit code and says what helps; nil: it is none of those.
func inlineError(err error) error {
	switch {
	case errors.Is(err, bridge.ErrInUse):
		return coded{exitUsage, err}
	case errors.Is(err, bridge.ErrPrivilege):
		return coded{exitPrivilege, fmt.Errorf("%w; it takes root, or CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF", err)}
	case errors.Is(err, nfqueue.ErrPrivilege):
		return coded{exitPrivilege, fmt.Errorf("%w, or another program reads it; it takes root or CAP_NET_ADMIN", err)}
	case errors.Is(err, nfqueue.ErrTaken):
		return coded{exitUsage, err}
	case errors.Is(err, bridge.ErrKernel), errors.Is(err, nfqueue.ErrKernel):
		return coded{exitPrivilege, err}
	}
	return nil
}

type confirmCmd struct {
	Config string   `short:"c" placeholder:"FILE" help:"The running shield's configuration; it says where its socket stands."`
	Set    []string `name:"set" placeholder:"KEY=VALUE" sep:"none" help:"Override one setting of it, as for run. Repeatable."`
}

// Help shows an example.
func (confirmCmd) Help() string {
	return "A shield that stands in the traffic's way for the first time steps aside after a minute, unless this is said.\n\nExample: dejpha confirm"
}

// Run tells the running shield that the line works.
func (c *confirmCmd) Run(w *world) error {
	conf, _, err := config.Load(c.Config, c.Set)
	if err != nil {
		return coded{exitUsage, err}
	}
	client, err := control.Dial(conf.Socket(conf.State))
	if errors.Is(err, fs.ErrPermission) {
		return coded{exitPrivilege, err}
	}
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.Ask("confirm", nil, nil); err != nil {
		return fmt.Errorf("not confirmed: %w", err)
	}
	fmt.Fprintln(w.stdout, "confirmed: the shield stays in the traffic's way")
	return nil
}

type unbridgeCmd struct {
	Pair string `arg:"" placeholder:"IF,IF" help:"The two interfaces, as run named them."`
}

// Help shows an example.
func (unbridgeCmd) Help() string {
	return "A bridge carries traffic on when the shield ends. This takes it away: nothing passes between the interfaces any more.\n\nExample: dejpha unbridge eth1,eth2"
}

// Run takes a bridge away.
func (c *unbridgeCmd) Run(w *world) error {
	left, right, ok := strings.Cut(c.Pair, ",")
	if !ok {
		return usage("%s: expected two interfaces, as in eth1,eth2", c.Pair)
	}
	err := bridge.Remove(left, right, "")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return coded{exitUsage, err}
	case err != nil && inlineError(err) != nil:
		return inlineError(err)
	case err != nil:
		return err
	}
	fmt.Fprintf(w.stdout, "%s and %s are no longer joined\n", left, right)
	return nil
}
