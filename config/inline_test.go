package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func load(t *testing.T, text string) (*Config, []string, error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "given.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(name, nil)
}

func TestInline(t *testing.T) {
	c, _, err := load(t, "inline:\n  bridge: [eth1, eth2]\n  on-failure: [pass, block]\n  patience: 500ms\n")
	if want := (Inline{Bridge: [2]string{"eth1", "eth2"}, Block: [2]bool{false, true}, Patience: 500 * time.Millisecond}); err != nil || c.Inline != want || !c.Inline.On() {
		t.Errorf("%+v %v", c, err)
	}
	c, _, err = load(t, "inline:\n  queue: 0:3\n  on-failure: [block]\n")
	if want := (Inline{HasQueue: true, Queues: [2]int{0, 3}, Block: [2]bool{true, true}}); err != nil || c.Inline != want || !c.Inline.On() {
		t.Errorf("%+v %v", c, err)
	}
	if c, _, err = load(t, "inline:\n  queue: 7\n"); err != nil || c.Inline.Queues != [2]int{7, 7} {
		t.Errorf("%+v %v", c, err)
	}
	for _, text := range []string{"", "x", "-1", "3:2", "0:64", "1:", "1:2:3", "65536"} {
		if q, err := Queues(text); err == nil {
			t.Errorf("%q: %v", text, q)
		}
	}
	if Default().Inline.On() {
		t.Error("in the way without having been asked")
	}
	for text, want := range map[string]string{
		"inline:\n  bridge: [eth1]\n":                   "not 1",
		"inline:\n  bridge: [eth1, eth1]\n":             "two different",
		"inline:\n  queue: 65536\n":                     "from 0 to 65535",
		"inline:\n  bridge: [eth1, eth2]\n  queue: 1\n": "not at both",
		"inline:\n  on-failure: [open]\n":               "expected pass or block",
		"inline:\n  patience: 1ms\n":                    "write 200ms",
		"block:\n  hosts: 0\n":                          "block.hosts: 0 is not between 1 and 4194304",
		"block:\n  hosts: 5000000\n":                    "block.hosts",
		"inline:\n  brigde: [eth1, eth2]\n":             `did you mean "bridge"`,
	} {
		if _, _, err := load(t, text); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "given.yaml:") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A suricata.yaml names pairs of interfaces that it copies to each other, and its queue drops when it is full unless told.
func TestSuricataInline(t *testing.T) {
	c, warnings, err := load(t, "%YAML 1.1\n---\nvars:\n  address-groups:\n    HOME_NET: any\nnfq:\n  fail-open: yes\naf-packet:\n  - interface: eth1\n    copy-mode: ips\n    copy-iface: eth2\n  - interface: eth3\n    copy-mode: tap\n    copy-iface: eth4\n")
	if err != nil || len(c.Copied) != 1 || c.Copied[0] != [2]string{"eth1", "eth2"} || c.Inline.On() || c.Inline.Block[0] {
		t.Errorf("%+v %v", c, err)
	}
	for _, w := range warnings {
		if strings.Contains(w, "nfq.fail-open") || strings.Contains(w, "af-packet") {
			t.Error(w)
		}
	}
	if c, _, err = load(t, "%YAML 1.1\n---\nvars:\n  address-groups:\n    HOME_NET: any\n"); err != nil || !c.Inline.Block[0] {
		t.Errorf("%+v %v", c, err)
	}
}
