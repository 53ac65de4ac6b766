package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/capture/afpacket"
	"github.com/dejpha/dejpha/capture/afxdp"
	"github.com/dejpha/dejpha/capture/cbpf"
	"github.com/dejpha/dejpha/config"
	"github.com/dejpha/dejpha/shield"
)

// watched is what interfaces are watched, each named once, and whether through AF_XDP.
func (c *runCmd) watched(of *config.Config) (names []string, xdp bool, err error) {
	all := of.Interfaces
	switch xdp = of.Capture == "af-xdp"; {
	case len(c.Watch) > 0 && len(c.XDP) > 0:
		return nil, false, usage("-i and --af-xdp: interfaces are watched in one way; run a second shield for the others")
	case len(c.XDP) > 0:
		all, xdp = c.XDP, true
	case len(c.Watch) > 0:
		all = c.Watch
	}
	for _, name := range all {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if xdp && len(names) > 0 && of.BlockMode == "on" {
		return nil, false, usage("AF_XDP takes all frames of %s, so that there is nothing to block: set block.mode to rehearse or off, or watch without AF_XDP", strings.Join(names, ", "))
	}
	return names, xdp && len(names) > 0, nil
}

// listen opens a source a worker for interfaces.
func (c *runCmd) listen(names []string, xdp bool, setup *shield.Setup, say func(string)) ([]capture.Live, error) {
	clock := func() int64 { return time.Now().UnixNano() }
	filters, texts := map[string][]cbpf.Instruction{}, map[string]string{}
	for _, name := range names {
		text := setup.Config.Filters[name]
		if c.BPF != "" {
			text = c.BPF
		} else if len(c.Expression) > 0 {
			text = strings.Join(c.Expression, " ")
		}
		of := name
		if xdp {
			of = "" // frames as they are on the wire
		}
		code, err := cbpf.ReadFilter(of, text)
		if err != nil {
			return nil, err
		}
		filters[name], texts[name] = code, text
	}
	if !xdp {
		return afpacket.OpenGroup(afpacket.Options{Interfaces: names, Now: clock, Say: say, Filters: filters, Texts: texts, Bypass: setup.Bypasses()}, setup.Workers())
	}
	if setup.Bypasses() {
		say("bypass is off, everything is inspected: it works at packet sockets, not with AF_XDP")
	}
	return afxdp.OpenGroup(afxdp.Options{Interfaces: names, Now: clock, Say: say, Filters: filters, Texts: texts}, setup.Workers())
}

// captureError gives an error of opening interfaces its exit code and says what helps.
func captureError(err error) error {
	if err := inlineError(err); err != nil {
		return err
	}
	var unknown *capture.UnknownInterfaceError
	var filter *cbpf.FilterError
	switch {
	case errors.As(err, &unknown), errors.As(err, &filter), errors.Is(err, afxdp.ErrTaken):
		return coded{exitUsage, err}
	case errors.Is(err, afpacket.ErrPrivilege):
		return coded{exitPrivilege, fmt.Errorf("%w; it takes CAP_NET_RAW: run as root, or once `setcap cap_net_raw+ep` on this program", err)}
	case errors.Is(err, afxdp.ErrPrivilege):
		return coded{exitPrivilege, fmt.Errorf("%w; it takes CAP_NET_RAW, CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON and CAP_IPC_LOCK: run as root", err)}
	case errors.Is(err, afpacket.ErrKernel), errors.Is(err, afxdp.ErrKernel):
		return coded{exitPrivilege, err}
	}
	return coded{exitFailed, err}
}
