package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// file writes text into a folder of the test's own.
func file(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOwnRefusals(t *testing.T) {
	for text, want := range map[string]string{
		"memory: 256 MiB\nmemry: 3\n":                  `dejpha.yaml:2:1: unknown key "memry"; did you mean "memory"?`,
		"memory: 1GiB\nkeep:\n  eve:\n    byts: 3":     `dejpha.yaml:4:5: unknown key "byts"; did you mean "bytes"?`,
		"keep: {eve: {days: abc}}\n":                   `dejpha.yaml:1:20: expected a whole number, found a string`,
		"state: v\nmemory: inf\n":                      `dejpha.yaml:2:9: memory: "inf" is not a size`,
		"memory: -1\n":                                 `dejpha.yaml:1:9: memory: "-1" is not a size`,
		"memory: 4 MiB\n":                              `dejpha.yaml:1:9: memory: "4 MiB" is too little; at least 32 MiB`,
		"keep:\n  packets:\n    bytes: 9999999999gb\n": `dejpha.yaml:3:12: keep.packets.bytes: "9999999999gb" is not a size`,
		"keep: {private: {days: -3}}\n":                `dejpha.yaml:1:24: keep.private.days: -3 is not between`,
		"decoys:\n - 10.0.0.1\n - 10.0.0.0/40\n":       `dejpha.yaml:3:4: decoys[1]: "10.0.0.0/40" is not an address or prefix`,
		"zones:\n  plant: [10.0.0.0/8, west]\n":        `dejpha.yaml:2:23: zones.plant[1]: "west" is not`,
		"zones:\n  a b.c: [west]\n":                    `dejpha.yaml: zones.a b.c[0]: "west" is not`,
		"memory: [1\n":                                 `dejpha.yaml:1:9: `,
	} {
		_, _, err := Load(file(t, t.TempDir(), "dejpha.yaml", text), nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func TestOwn(t *testing.T) {
	c, warnings, err := Load(file(t, t.TempDir(), "dejpha.yaml", "memory: 256 MiB\nprotected: [10.0.0.0/8]\nzones:\n  plant: [10.1.0.0/16]\nvariables:\n  addresses:\n    HOME_NET: \"10.0.0.0/8\"\nconsole:\n  listen: 127.0.0.1:9000\nkeep:\n  eve:\n    days: 7\n    bytes: 2gb\n"),
		[]string{"memory=300MiB", "records.payload=yes", "interfaces.0=eth0", "stream.midstream=no", "app-layer.protocols.dns.enabled=no"})
	if err != nil || len(warnings) != 0 {
		t.Fatal(err, warnings)
	}
	if c.Suricata || c.Memory != 300<<20 || !c.Payload || !slices.Equal(c.Interfaces, []string{"eth0"}) || c.Midstream || c.KeepEve != (Keep{2 << 30, 7}) {
		t.Errorf("%+v", c)
	}
	if on, said := c.AppEnabled["dns"]; on || !said {
		t.Errorf("dns stands as %v, %v", on, said)
	}
	if c.AddressVars["HOME_NET"] != "10.0.0.0/8" || c.AddressVars["EXTERNAL_NET"] != "any" || c.Listen != "127.0.0.1:9000" || !slices.Equal(c.Zones["plant"], []string{"10.1.0.0/16"}) {
		t.Errorf("%+v", c)
	}
}

func TestDefaults(t *testing.T) {
	c, warnings, err := Load("", []string{"nosuch.key=1", "stream.midstrem=yes"})
	if err != nil || c.Memory != 512<<20 || c.AddressVars["EXTERNAL_NET"] != "any" || !c.Midstream {
		t.Fatalf("%v %+v", err, c)
	}
	if len(warnings) != 2 || !strings.Contains(strings.Join(warnings, "\n"), `stream.midstrem: does not apply here; did you mean "stream.midstream"?`) {
		t.Errorf("warnings: %q", warnings)
	}
	if _, _, err := Load("", []string{"novalue"}); err == nil {
		t.Error("--set without = was taken")
	}
}

const peers = `%YAML 1.1
---
vars:
  address-groups:
    HOME_NET: "[10.0.0.0/8]"
    include: groups.yaml
  port-groups:
    HTTP_PORTS: "[80,8080]"
default-rule-path: /rules
rule-files: [a.rules, /b/c.rules]
stream:
  memcap: 64mb
  midstream: yes
  async-oneside: On
  checksum-validation: no
  reassembly:
    depth: 1 MiB
vlan:
  use-for-tracking: false
mpm-algo: ac
host-os-policy:
  windows: [0.0.0.0/0]
  linux: []
flow-timeouts:
  tcp: {new: 60, established: 600}
app-layer:
  protocols:
    dns: {enabled: no}
    http:
      enabled: yes
      libhtp: &lib
        default-config: {response-body-limit: 100kb}
        server-config:
          - apache: {address: [192.168.1.0/24]}
outputs:
  - fast: {enabled: yes}
  - eve-log:
      enabled: yes
      filename: other.json
      community-id: true
      community-id-seed: 7
      types:
        - alert: {payload: yes, packet: yes}
        - dns
        - stats: {enabled: no}
        - files
include: more.yaml
`

func TestPeers(t *testing.T) {
	dir := t.TempDir()
	file(t, dir, "groups.yaml", "DNS_SERVERS: 10.9.9.9\n")
	file(t, dir, "more.yaml", "action-order: [drop, alert]\n")
	c, warnings, err := Load(file(t, dir, "suricata.yaml", peers), []string{"app-layer.protocols.http.libhtp.server-config.0.apache.address.0=1.2.3.4", "stream.inline=yes"})
	if err != nil {
		t.Fatal(err)
	}
	if !c.Suricata || !c.Midstream || !c.AsyncOneSide || !c.StreamInline || c.StreamChecksums || c.StreamDepth != 1<<20 || !c.IgnoreVLAN {
		t.Errorf("stream: %+v", c)
	}
	if c.AddressVars["EXTERNAL_NET"] != "!$HOME_NET" || c.AddressVars["HOME_NET"] != "[10.0.0.0/8]" || c.AddressVars["DNS_SERVERS"] != "10.9.9.9" || c.PortVars["HTTP_PORTS"] != "[80,8080]" {
		t.Errorf("variables: %v %v", c.AddressVars, c.PortVars)
	}
	if !slices.Equal(c.RuleFiles, []string{"/rules/a.rules", "/b/c.rules"}) || !slices.Equal(c.ActionOrder, []string{"drop", "alert"}) {
		t.Errorf("rule files %v, order %v", c.RuleFiles, c.ActionOrder)
	}
	if c.FlowTimeouts["tcp"]["established"] != 600 || !slices.Equal(c.HostOSPolicy["windows"], []string{"0.0.0.0/0"}) {
		t.Errorf("timeouts %v, policy %v", c.FlowTimeouts, c.HostOSPolicy)
	}
	if c.AppEnabled["dns"] || !c.AppEnabled["http"] || c.AppSettings["http"]["libhtp.default-config.response-body-limit"] != "100kb" || c.AppSettings["http"]["libhtp.server-config.0.apache.address.0"] != "1.2.3.4" {
		t.Errorf("protocols %v %v", c.AppEnabled, c.AppSettings)
	}
	if c.EveFile != "other.json" || !c.CommunityID || c.CommunityIDSeed != 7 || !c.Payload || !c.Packet || !c.EveTypes["dns"] || c.EveTypes["stats"] || !c.EveTypes["fileinfo"] || !c.EveTypes["attack"] {
		t.Errorf("eve: %+v", c)
	}
	if len(warnings) != 1 || !strings.HasSuffix(warnings[0], "suricata.yaml: does not apply here: mpm-algo, outputs.fast, stream.memcap") {
		t.Errorf("warnings: %q", warnings)
	}
}

func TestPeersRefusals(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]string{
		"%YAML 1.1\n---\nstream:\n  reassembly: {depth: much}\n": `stream.reassembly.depth: "much" is not a size`,
		"vars: [\n":                        "suricata.yaml:1:",
		"vars: {}\ninclude: absent.yaml\n": "cannot read include",
		"vars: {}\ninclude: suricata.yaml": "includes refer to each other without end",
	} {
		_, _, err := Load(file(t, dir, "suricata.yaml", text), nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
	if _, _, err := Load(filepath.Join(dir, "no.yaml"), nil); err == nil {
		t.Error("a missing file was taken")
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]int64{"64kb": 64 << 10, "1 MiB": 1 << 20, "1000": 1000, "1.5g": 3 << 29, "0": 0, "7b": 7} {
		if got, ok := Size(text); !ok || got != want {
			t.Errorf("%q: got %d, %v, want %d", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "x", "-1", "nan", "inf", "1e300", "gb", "1 MiB x"} {
		if got, ok := Size(text); ok {
			t.Errorf("%q: got %d, want none", text, got)
		}
	}
}

// TestSharedFiles reads every configuration of the conformance tests.
func TestSharedFiles(t *testing.T) {
	files, _ := filepath.Glob("../../shared/verify/open/*/suricata.yaml")
	if len(files) == 0 {
		t.Skip("the shared configurations are absent")
	}
	for _, name := range append(files, "../../shared/verify/etc/suricata.yaml") {
		if c, _, err := Load(name, nil); err != nil || !c.Suricata {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(peers), "stream.midstream=yes")
	f.Add([]byte("memory: 256 MiB\nkeep: {eve: {days: 3}}\nzones: {a: [10.0.0.0/8]}\n"), "interfaces.0=eth0")
	f.Add([]byte("vars: [1]\noutputs: {a: b}\nstream: no\napp-layer: [x]\n"), "a.0.b.1=x")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte, set string) {
		if strings.Contains(string(text), "include") {
			return // opens files
		}
		name := filepath.Join(dir, "f.yaml")
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if c, _, err := Load(name, []string{set}); err == nil && c == nil {
			t.Error("neither a configuration nor an error")
		}
	})
}

// What stands later in a file wins, whether it is the file's own or comes with an include.
func TestIncludesTakeTheirTurn(t *testing.T) {
	dir := t.TempDir()
	file(t, dir, "base.yaml", "outputs:\n - eve-log: {filename: base.json}\n")
	own := "outputs:\n - eve-log:\n    filename: own.json\n    ethernet: yes\n    types:\n     - alert: {metadata: no, payload-buffer-size: 4kb, xff: {enabled: yes, mode: overwrite, deployment: forward}}\n"
	for text, want := range map[string]string{"%YAML 1.1\n---\ninclude: base.yaml\n" + own: "own.json", "%YAML 1.1\n---\n" + own + "include: base.yaml\n": "base.json"} {
		c, _, err := Load(file(t, dir, "suricata.yaml", text), nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.EveFile != want {
			t.Errorf("%q: got %s, want %s", text, c.EveFile, want)
		}
		if x := (XFF{On: true, Overwrite: true, Header: "X-Forwarded-For"}); want == "own.json" && (c.XFF != x || !c.Bare || !c.Ethernet || c.PayloadMax != 4096) {
			t.Errorf("got %+v, bare %v, ethernet %v, payload of %d bytes", c.XFF, c.Bare, c.Ethernet, c.PayloadMax)
		}
	}
}

func TestInterfacesHaveFilters(t *testing.T) {
	own := filepath.Join(t.TempDir(), "dejpha.yaml")
	other := filepath.Join(t.TempDir(), "suricata.yaml")
	write := func(name, text string) {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(own, "interfaces:\n  - eth0\n  - {name: eth1, filter: not port 22, inside: true}\n")
	write(other, "%YAML 1.1\n---\naf-packet:\n  - interface: eth0\n    cluster-id: 99\n    rollover: yes\n  - interface: eth1\n    bpf-filter: not port 22\n  - interface: default\nstats:\n  interval: 3\n")
	for _, name := range []string{own, other} {
		c, warnings, err := Load(name, nil)
		if err != nil || !slices.Equal(c.Interfaces, []string{"eth0", "eth1"}) || len(c.Filters) != 1 || c.Filters["eth1"] != "not port 22" {
			t.Errorf("%s: %v %v %v", name, err, c.Interfaces, c.Filters)
		}
		if inside := name == own; c.Inside["eth1"] != inside || c.Inside["eth0"] {
			t.Errorf("%s: inside %v", name, c.Inside)
		}
		if name == other && (len(warnings) != 1 || !strings.HasSuffix(warnings[0], "does not apply here: af-packet.rollover") || c.StatsEvery != 3e9) {
			t.Errorf("%q, statistics every %d ns", warnings, c.StatsEvery)
		}
	}
	for _, text := range []string{"interfaces: [{filter: tcp}]", "interfaces: [{name: eth0, filtre: tcp}]"} {
		write(own, text)
		if _, _, err := Load(own, nil); err == nil || !strings.Contains(err.Error(), ":1:") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
