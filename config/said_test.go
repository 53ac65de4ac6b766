package config

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

func TestSaid(t *testing.T) {
	write := func(text string) string {
		name := filepath.Join(t.TempDir(), "x.yaml")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	own := write("memory: 64 MiB\ninterfaces:\n  - eth0\n  - name: eth1\n    filter: not port 22\nblock: {mode: on}\n")
	field := write("%YAML 1.1\n---\nstream:\n  reassembly:\n    depth: 1mb\naf-packet:\n  - interface: eth3\noutputs:\n  - eve-log: {enabled: yes}\n")
	for _, x := range []struct {
		file, name, want string // as JSON; "": not set
		sets             []string
	}{
		{own, "memory", `"64 MiB"`, nil},
		{own, "memory", `"128 MiB"`, []string{"memory=128 MiB"}},
		{own, "interfaces.0", `"eth0"`, nil},
		{own, "interfaces.1.filter", `"not port 22"`, nil},
		{own, "interfaces.2", "", nil},
		{own, "interfaces.x", "", nil},
		{own, "interfaces.-1", "", nil},
		{own, "block", `{"mode":"on"}`, nil},
		{own, "block.mode.x", "", nil},
		{own, "state", "", nil},
		{own, "", "", nil},
		{"", "memory", `"64 MiB"`, []string{"memory=64 MiB"}},
		{"", "memory", "", nil},
		{field, "stream.reassembly.depth", `"1mb"`, nil},
		{field, "stream.reassembly.depth", `"2mb"`, []string{"stream.reassembly.depth=2mb"}},
		{field, "af-packet.0.interface", `"eth3"`, nil},
	} {
		c, _, err := Load(x.file, x.sets)
		if err != nil {
			t.Fatal(err)
		}
		v, ok := c.Said(x.name)
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if ok != (x.want != "") || ok && string(text) != x.want {
			t.Errorf("%s %v: %s %v, expected %s", x.name, x.sets, text, ok, x.want)
		}
	}
}
