package figures

import (
	"encoding/json"
	"fmt"

	"github.com/dejpha/dejpha/control"
)

// Commands are the field's commands on figures, and ours.
func Commands(gather func() (*Figures, error)) map[string]control.Command {
	with := func(use func(f *Figures, arguments json.RawMessage) (any, error)) control.Command {
		return func(arguments json.RawMessage) (any, error) {
			f, err := gather()
			if err != nil {
				return nil, err
			}
			return use(f, arguments)
		}
	}
	return map[string]control.Command{
		"figures":       with(func(f *Figures, _ json.RawMessage) (any, error) { return f, nil }),
		"dump-counters": with(func(f *Figures, _ json.RawMessage) (any, error) { return f.Counters(), nil }),
		"iface-list": with(func(f *Figures, _ json.RawMessage) (any, error) {
			return map[string]any{"count": len(f.Interfaces), "ifaces": append([]string{}, f.Interfaces...)}, nil
		}),
		"iface-stat": with(ifaceStat),
	}
}

// ifaceStat tells of one interface. Several interfaces are counted together, which is said rather than guessed.
func ifaceStat(f *Figures, arguments json.RawMessage) (any, error) {
	var a struct {
		Iface string `json:"iface"`
	}
	if err := json.Unmarshal(arguments, &a); err != nil || a.Iface == "" {
		return nil, fmt.Errorf(`expected {"iface": NAME}`)
	}
	for _, name := range f.Interfaces {
		switch {
		case name != a.Iface:
		case len(f.Interfaces) > 1:
			return nil, fmt.Errorf("the %d interfaces are counted together: dump-counters has their sum", len(f.Interfaces))
		default:
			return map[string]any{"pkts": f.Ledger.Received, "drop": f.Ledger.KernelDrops, "bypassed": f.Ledger.Bypassed}, nil
		}
	}
	return nil, fmt.Errorf("%q is not watched; iface-list names those that are", a.Iface)
}
