package config

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// suricata takes over what applies of a suricata.yaml. own: only the command line's overrides are in t.
func (c *Config) suricata(t tree, own bool) error {
	c.variables(t)
	t.text("classification-file", &c.ClassificationFile)
	t.text("reference-config-file", &c.ReferenceFile)
	t.text("threshold-file", &c.ThresholdFile)
	c.ruleFiles(t)
	t.flag("stream.midstream", &c.Midstream)
	t.flag("stream.async-oneside", &c.AsyncOneSide)
	t.flag("stream.inline", &c.StreamInline)
	t.flag("stream.checksum-validation", &c.StreamChecksums)
	t.flag("stream.bypass", &c.Bypass.Depth)
	if err := t.size("stream.reassembly.depth", &c.StreamDepth); err != nil {
		return err
	}
	if _, ok := t.get("stream.reassembly.depth"); ok && c.StreamDepth == 0 {
		c.StreamDepth = -1
	}
	tracking := true
	t.flag("vlan.use-for-tracking", &tracking)
	c.IgnoreVLAN = !tracking
	teredo, vxlan, geneve := true, true, true
	t.flag("decoder.teredo.enabled", &teredo)
	t.flag("decoder.vxlan.enabled", &vxlan)
	t.flag("decoder.geneve.enabled", &geneve)
	c.NoTeredo, c.NoVXLAN, c.NoGeneve = !teredo, !vxlan, !geneve
	if v, ok := t.get("pcap-file.checksum-checks"); ok {
		if b, known := truth(v); known {
			c.Checksums = b
		}
	}
	c.afPacket(t)
	if v, ok := t.get("stats.interval"); ok {
		n, err := strconv.ParseInt(fmt.Sprint(v), 10, 64)
		if err != nil || n < 1 || n > statsMost {
			return fmt.Errorf("stats.interval: %v is not a number of seconds from 1 to %d", v, statsMost)
		}
		c.StatsEvery = n * 1e9
	}
	c.policies(t)
	c.timeouts(t)
	c.protocols(t)
	c.outputs(t, own)
	c.unixCommand(t)
	c.copies(t)
	if v, ok := t.get("packet-alert-max"); ok {
		c.AlertsMax, _ = strconv.Atoi(fmt.Sprint(v))
	}
	if v, ok := t.get("action-order"); ok {
		if l, ok := v.([]any); ok {
			for _, a := range l {
				c.ActionOrder = append(c.ActionOrder, fmt.Sprint(a))
			}
		}
	}
	return nil
}

func (t tree) size(path string, to *int64) error {
	v, ok := t.get(path)
	if !ok {
		return nil
	}
	n, ok := Size(fmt.Sprint(v))
	if !ok {
		return fmt.Errorf("%s: %q is not a size; write 64kb, 1mb or a number of bytes", path, fmt.Sprint(v))
	}
	*to = n
	return nil
}

func (c *Config) variables(t tree) {
	for path, to := range map[string]map[string]string{"vars.address-groups": c.AddressVars, "vars.port-groups": c.PortVars} {
		if m, ok := t.get(path); ok {
			if m, ok := m.(map[string]any); ok {
				for k, v := range m {
					to[k] = fmt.Sprint(v)
				}
			}
		}
	}
}

func (c *Config) ruleFiles(t tree) {
	base := ""
	t.text("default-rule-path", &base)
	if v, ok := t.get("rule-files"); ok {
		if l, ok := v.([]any); ok {
			for _, f := range l {
				name := fmt.Sprint(f)
				if !filepath.IsAbs(name) {
					name = filepath.Join(base, name)
				}
				c.RuleFiles = append(c.RuleFiles, name)
			}
		}
	}
}

// afPacket takes over which interfaces are watched and their filters; "default" is a name for no interface,
// and what is copied to another interface is no tap.
func (c *Config) afPacket(t tree) {
	v, _ := t.get("af-packet")
	l, _ := v.([]any)
	for _, x := range l {
		m, _ := x.(map[string]any)
		name, filter := m["interface"], m["bpf-filter"]
		if filter == nil {
			filter = ""
		}
		if mode := m["copy-mode"]; name != nil && fmt.Sprint(name) != "default" && (mode == nil || fmt.Sprint(mode) == "none") {
			c.watch(fmt.Sprint(name), fmt.Sprint(filter))
		}
	}
}

func (c *Config) policies(t tree) {
	v, ok := t.get("host-os-policy")
	m, isMap := v.(map[string]any)
	if !ok || !isMap {
		return
	}
	c.HostOSPolicy = map[string][]string{}
	for policy, nets := range m {
		switch n := nets.(type) {
		case []any:
			for _, x := range n {
				c.HostOSPolicy[policy] = append(c.HostOSPolicy[policy], fmt.Sprint(x))
			}
		case nil:
		default:
			for _, x := range strings.Split(strings.Trim(fmt.Sprint(n), "[]"), ",") {
				c.HostOSPolicy[policy] = append(c.HostOSPolicy[policy], strings.TrimSpace(x))
			}
		}
	}
}

func (c *Config) timeouts(t tree) {
	v, _ := t.get("flow-timeouts")
	m, ok := v.(map[string]any)
	if !ok {
		return
	}
	c.FlowTimeouts = map[string]map[string]int64{}
	for proto, states := range m {
		s, ok := states.(map[string]any)
		if !ok {
			continue
		}
		c.FlowTimeouts[proto] = map[string]int64{}
		for state, n := range s {
			if sec, err := strconv.ParseInt(fmt.Sprint(n), 10, 64); err == nil {
				c.FlowTimeouts[proto][state] = sec
			}
		}
	}
}

// protocols flattens app-layer.protocols.
func (c *Config) protocols(t tree) {
	c.AppEnabled, c.AppSettings = map[string]bool{}, map[string]map[string]string{}
	v, _ := t.get("app-layer.protocols")
	m, _ := v.(map[string]any)
	for name, settings := range m {
		s, ok := settings.(map[string]any)
		if !ok {
			continue
		}
		flat := map[string]string{}
		flatten("", s, flat)
		if e, ok := flat["enabled"]; ok && e != "detection-only" {
			if b, known := truth(e); known {
				c.AppEnabled[name] = b
			}
		}
		c.AppSettings[name] = flat
		switch past := flat["encryption-handling"] == "bypass"; name {
		case "tls":
			c.Bypass.TLS = c.Bypass.TLS || past
		case "ssh":
			c.Bypass.SSH = c.Bypass.SSH || past
		}
	}
}

func flatten(prefix string, m map[string]any, to map[string]string) {
	for k, v := range m {
		switch x := v.(type) {
		case map[string]any:
			flatten(prefix+k+".", x, to)
		case []any:
			for i, e := range x {
				if sub, ok := e.(map[string]any); ok {
					flatten(prefix+k+"."+strconv.Itoa(i)+".", sub, to)
				} else {
					to[prefix+k+"."+strconv.Itoa(i)] = fmt.Sprint(e)
				}
			}
		case nil:
		default:
			to[prefix+k] = fmt.Sprint(x)
		}
	}
}

// outputs reads the eve-log output; a configuration without one writes every type.
func (c *Config) outputs(t tree, own bool) {
	v, _ := t.get("outputs")
	l, _ := v.([]any)
	for _, o := range l {
		m, _ := o.(map[string]any)
		e, ok := m["eve-log"].(map[string]any)
		if !ok {
			continue
		}
		eve := tree(e)
		on := true
		eve.flag("enabled", &on)
		if !on {
			continue
		}
		if name, ok := e["filename"]; ok {
			c.EveFile = fmt.Sprint(name)
		}
		eve.flag("community-id", &c.CommunityID)
		if s, ok := e["community-id-seed"]; ok {
			n, _ := strconv.ParseUint(fmt.Sprint(s), 10, 16)
			c.CommunityIDSeed = uint16(n)
		}
		eve.flag("pcap-file", &c.PcapFilename)
		eve.flag("ethernet", &c.Ethernet)
		c.xff(eve)
		c.eveTypes(e["types"])
		return
	}
}

func (c *Config) eveTypes(v any) {
	l, ok := v.([]any)
	if !ok {
		return
	}
	c.EveTypes = map[string]bool{"attack": true, "decision": true, "heartbeat": true}
	for _, x := range l {
		switch e := x.(type) {
		case map[string]any:
			for name, settings := range e {
				s, _ := settings.(map[string]any)
				on := true
				tree(s).flag("enabled", &on)
				c.eveType(name, on)
				if name == "alert" {
					c.alerts(s)
				}
				if name == "files" {
					c.eveType("fileinfo", on)
				}
			}
		default:
			c.eveType(fmt.Sprint(e), true)
			if fmt.Sprint(e) == "files" {
				c.eveType("fileinfo", true)
			}
		}
	}
}

// alerts reads what an alert's record shows.
func (c *Config) alerts(t tree) {
	t.flag("payload", &c.Payload)
	t.flag("payload-printable", &c.PayloadPrintable)
	if v, ok := t.get("payload-buffer-size"); ok {
		c.PayloadMax, _ = Size(fmt.Sprint(v))
	}
	t.flag("packet", &c.Packet)
	t.flag("reference", &c.References)
	t.flag("metadata.rule.reference", &c.References)
	t.flag("verdict", &c.Verdict)
	if v, ok := t.get("metadata"); ok {
		if on, known := truth(v); known {
			c.Bare = !on
		}
	}
	c.xff(t)
}

// xff reads how the client's address is taken from a header; the alert's own setting comes after the output's.
func (c *Config) xff(t tree) {
	if _, ok := t.get("xff"); !ok {
		return
	}
	x := XFF{Header: "X-Forwarded-For"}
	mode, deployment := "extra-data", "reverse"
	t.flag("xff.enabled", &x.On)
	t.text("xff.header", &x.Header)
	t.text("xff.mode", &mode)
	t.text("xff.deployment", &deployment)
	x.Overwrite, x.Reverse = mode == "overwrite", deployment != "forward"
	c.XFF = x
}

func (c *Config) eveType(name string, on bool) {
	c.EveTypes[name] = on
	if name == "ftp" {
		c.EveTypes["ftp_data"] = on
	}
}
