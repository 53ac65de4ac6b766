package figures

import (
	"encoding/json"
	"fmt"
	"slices"

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

// ifaceStat tells of one interface.
func ifaceStat(f *Figures, arguments json.RawMessage) (any, error) {
	var a struct {
		Iface string `json:"iface"`
	}
	if err := json.Unmarshal(arguments, &a); err != nil || a.Iface == "" {
		return nil, fmt.Errorf(`expected {"iface": NAME}; iface-list names them`)
	}
	for i := range f.Faces {
		if x := &f.Faces[i]; x.Name == a.Iface {
			return map[string]any{"pkts": x.Ledger.Received, "drop": x.Ledger.KernelDrops, "bypassed": x.Ledger.Bypassed, "dejpha": x}, nil
		}
	}
	if slices.Contains(f.Interfaces, a.Iface) { // its worker has not told of it yet
		return map[string]any{"pkts": 0, "drop": 0, "bypassed": 0}, nil
	}
	return nil, fmt.Errorf("%q is not watched; iface-list names those that are", a.Iface)
}
