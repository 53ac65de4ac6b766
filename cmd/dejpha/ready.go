package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/dejpha/dejpha/config"
	"github.com/dejpha/dejpha/confine"
	"github.com/dejpha/dejpha/metrics"
	"github.com/dejpha/dejpha/notify"
	"github.com/dejpha/dejpha/shield"
)

// keeper watches over a running shield: it serves its metrics, confines the process and tells the service manager.
type keeper struct {
	w       *world
	config  *config.Config
	flags   *engineFlags
	manager *notify.Manager
	served  *metrics.Server
	stop    chan struct{}
	what    string // is watched
	live    bool
	diverts bool // it stands in the traffic's way
	xdp     bool // interfaces are watched through AF_XDP
	skips   bool // a rule or setting wishes that the kernel skips conversations
}

func newKeeper(w *world, c *config.Config, f *engineFlags, what string, live, diverts bool) (*keeper, error) {
	m, err := notify.Open()
	if err != nil {
		return nil, coded{exitUsage, err}
	}
	return &keeper{w: w, config: c, flags: f, manager: m, stop: make(chan struct{}), what: what, live: live, diverts: diverts}, nil
}

// ready is called when everything is open, before the first frame.
func (k *keeper) ready(r *shield.Running) (err error) {
	if address := k.config.MetricsListen; address != "" {
		if k.served, err = metrics.Listen(address, r.Figures); err != nil {
			return coded{exitUsage, err}
		}
		fmt.Fprintf(k.w.stderr, "Metrics: http://%s/metrics\n", k.served.Addr())
	}
	if err := k.confine(); err != nil {
		return err
	}
	k.manager.Tell("READY=1", "STATUS=watching "+k.what)
	go k.manager.Feed(r.Alive, k.stop)
	return nil
}

// reloading tells the manager that a reload begins or is over.
func (k *keeper) reloading(on bool) {
	if on {
		k.manager.Reloading()
	} else {
		k.manager.Tell("READY=1", "STATUS=watching "+k.what)
	}
}

func (k *keeper) close() {
	close(k.stop)
	k.manager.Tell("STOPPING=1")
	if k.served != nil {
		_ = k.served.Close()
	}
}

// confine gives up what is not needed any more.
func (k *keeper) confine() error {
	c := k.config
	if c.Confine == "off" && c.User == "" {
		return nil
	}
	report, err := confine.Apply(k.bounds())
	switch {
	case errors.Is(err, confine.ErrUser):
		return coded{exitUsage, err}
	case err != nil:
		return coded{exitPrivilege, fmt.Errorf("%w; `confine: off` runs without", err)}
	case len(report.Missing) > 0 && c.Confine == "require":
		return coded{exitPrivilege, fmt.Errorf("confine: require: %s", report.Missing[0])}
	}
	if report.Unable && !k.live {
		return nil // a demonstration: its own samples attack nobody
	}
	for _, m := range report.Missing {
		k.w.say(m)
	}
	if report.Unable {
		return nil
	}
	fmt.Fprintln(k.w.stderr, "Process "+report.Line()+".")
	return nil
}

// bounds are what the running shield still needs.
func (k *keeper) bounds() confine.Options {
	c := k.config
	o := confine.Options{Dial: c.Witnesses.Ports(), User: c.User, Own: []string{c.State}, Write: []string{c.State}, Off: c.Confine == "off",
		Read: []string{"/proc", "/sys", "/etc", "/run/systemd/resolve", "/usr/share/zoneinfo", "/dev/null", "/dev/urandom"}}
	if s := c.Socket(c.State); s != "" {
		o.Write = append(o.Write, filepath.Dir(s))
	}
	if filepath.IsAbs(c.EveFile) {
		o.Write = append(o.Write, filepath.Dir(c.EveFile))
	}
	for _, list := range [][]string{c.RuleFiles, k.flags.Only, k.flags.Besides, {k.flags.Config, c.ClassificationFile, c.ReferenceFile, c.ThresholdFile, c.CountryFile}} {
		for _, name := range list {
			if name == "" {
				continue
			}
			if real, err := filepath.EvalSymlinks(name); err == nil {
				o.Read = append(o.Read, filepath.Dir(real))
			}
			o.Read = append(o.Read, filepath.Dir(name))
		}
	}
	slices.Sort(o.Read)
	o.Read = slices.Compact(o.Read)
	if k.live {
		o.Keep = append(o.Keep, confine.NetRaw)
	}
	if k.live && k.xdp { // an interface that comes back is taken again
		o.Keep, o.BPF = append(o.Keep, confine.NetAdmin, confine.BPF, confine.PerfMon, confine.IPCLock), true
	} else if k.live && (k.diverts || blocksOrDiverts(c)) {
		o.Keep, o.BPF = append(o.Keep, confine.NetAdmin, confine.BPF, confine.PerfMon), true
		o.Write = append(o.Write, "/sys/fs/bpf")
	} else if k.live && k.skips {
		o.Keep, o.BPF = append(o.Keep, confine.BPF), true
	}
	if k.foreign() {
		o.Keep = append(o.Keep, confine.DACOverride)
	}
	return o
}

// foreign says whether files that are used belong to another user, so that root needs his privilege for them. One that
// becomes another user owns the state folder, and root's privilege would be no confinement to it.
func (k *keeper) foreign() bool {
	if k.config.User != "" {
		return false
	}
	for _, name := range append([]string{k.config.State, k.flags.Config}, slices.Concat(k.config.RuleFiles, k.flags.Only, k.flags.Besides)...) {
		info, err := os.Stat(name)
		if err != nil {
			continue
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if ok && int(st.Uid) != os.Geteuid() && (info.IsDir() || info.Mode()&0o004 == 0) {
			return true
		}
	}
	return false
}

// blocksOrDiverts says whether the running shield changes what the kernel does with traffic.
func blocksOrDiverts(c *config.Config) bool {
	return c.Inline.On() || c.BlockMode == "on"
}
