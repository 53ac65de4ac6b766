package figures

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestCommands(t *testing.T) {
	f := &Figures{Interfaces: []string{"eth0", "eth1", "eth2"}, Faces: []Face{{Name: "eth0", Ledger: Ledger{Received: 10, KernelDrops: 2}}, {Name: "eth1", Ledger: Ledger{Received: 5, Bypassed: 1}, BypassedBy: map[string]uint64{"tls": 1}}}, Ledger: Ledger{Received: 10, Inspected: 7, KernelDrops: 2, Undecodable: 1}, Alerts: 3, Rules: 5,
		Workers: []Worker{{Bytes: 100, Flows: 2, Gaps: 1}, {Bytes: 50, Flows: 1}}}
	c := Commands(func() (*Figures, error) { return f, nil })
	ask := func(name, arguments string) string {
		v, err := c[name](json.RawMessage(arguments))
		if err != nil {
			return err.Error()
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for _, x := range []struct{ name, arguments, want string }{
		{"iface-list", "", `{"count":3,"ifaces":["eth0","eth1","eth2"]}`},
		{"iface-stat", `{"iface":"eth0"}`, `{"bypassed":0,"dejpha":{`},
		{"iface-stat", `{"iface":"eth0"}`, `"drop":2,"pkts":10}`},
		{"iface-stat", `{"iface":"eth1"}`, `"bypassed_by":{"tls":1}`},
		{"iface-stat", `{"iface":"eth2"}`, `{"bypassed":0,"drop":0,"pkts":0}`},
		{"iface-stat", `{"iface":"eth3"}`, `"eth3" is not watched`},
		{"iface-stat", "", "expected"},
		{"dump-counters", "", `"decoder":{"bytes":150,"invalid":1,"pkts":8}`},
		{"dump-counters", "", `"capture":{"kernel_drops":2,"kernel_packets":10}`},
		{"dump-counters", "", `"flow":{"active":0,"memuse":0,"total":3}`},
		{"dump-counters", "", `"alert":3`},
		{"figures", "", `"ledger":{"received":10,`},
	} {
		if got := ask(x.name, x.arguments); !strings.Contains(got, x.want) {
			t.Errorf("%s %s: %s lacks %s", x.name, x.arguments, got, x.want)
		}
	}
	c = Commands(func() (*Figures, error) { return nil, fmt.Errorf("busy") })
	if _, err := c["figures"](nil); err == nil || errors.Unwrap(err) != nil {
		t.Error(err)
	}
}
