// Package config reads dejpha.yaml and suricata.yaml into one checked struct.
//
// In: a file's name and the command line's overrides. Out: a Config with every default filled in, and
// warnings about what does not apply. Called by shield at start. It opens no other file than includes.
package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// Config is everything the engine can be told.
type Config struct {
	Suricata bool // read from a suricata.yaml

	AddressVars map[string]string
	PortVars    map[string]string

	ClassificationFile, ReferenceFile, ThresholdFile string
	RuleFiles                                        []string // with the default path put in front

	Midstream, AsyncOneSide, StreamInline bool
	StreamChecksums                       bool
	StreamDepth                           int64
	Bypass                                Bypass
	Checksums                             bool
	HostOSPolicy                          map[string][]string // policy name -> prefixes
	FlowTimeouts                          map[string]map[string]int64
	IgnoreVLAN                            bool
	NoTeredo, NoVXLAN, NoGeneve           bool

	AppEnabled  map[string]bool              // protocol name -> on
	AppSettings map[string]map[string]string // protocol name -> flattened settings

	EveTypes         map[string]bool // nil: all
	AttacksOnly      bool            // attack lines alone, not even alerts
	EveFile          string
	Payload          bool
	PayloadPrintable bool
	Packet           bool
	CommunityID      bool
	CommunityIDSeed  uint16
	PcapFilename     bool
	PayloadMax       int64 // bytes of a payload shown; 0: all
	References       bool
	Verdict          bool
	Ethernet         bool // records name the frame's addresses
	Bare             bool // alerts show neither the transaction nor the rule's metadata
	XFF              XFF

	ActionOrder []string
	AlertsMax   int

	Witnesses Witnesses

	StatsEvery int64 // ns between two records of statistics of a live run

	Memory      int64    // bytes the tables share
	Protected   []string // networks; empty: the private ranges
	Authorised  []string // origins whose attacks are shown and not counted
	Decoys      []string
	Zones       map[string][]string
	Guard       []string // addresses and networks that are never blocked
	Policy      Policy
	BlockMode   string // off, rehearse, on
	BlockWay    string // auto, xdp, nft, none
	BlockHosts  int    // blocked at once, of each IP version; 0: as many as the maps in the kernel hold
	Interfaces  []string
	Capture     string            // af-packet, af-xdp: the way they are watched
	Inside      map[string]bool   // interfaces behind which the protected networks lie
	Filters     map[string]string // by interface: what cbpf.ReadFilter takes
	Inline      Inline
	Copied      [][2]string // of a suricata.yaml: pairs of interfaces copied to each other, packets stopped between them
	Listen      string      // of the console
	CountryFile string      // MMDB of countries for the console; "": its own table
	State       string      // folder of the state

	KeepEve, KeepPackets, KeepPrivate Keep
	PacketsSample                     int // packets are kept of one attack in so many; 0: of all

	Operation

	said tree // what the file and the command line say
}

// XFF is how alerts take the client's address from a header that proxies add.
type XFF struct {
	On        bool
	Overwrite bool   // in the place of the packet's address; else beside it
	Reverse   bool   // the last proxy is ours and its entry, the last one, is believed; else the first
	Header    string // as configured
}

// Bypass says which conversations of a watched interface the kernel may skip, besides those that a rule says.
type Bypass struct {
	Depth    bool  // whose stream has reached its depth
	TLS, SSH bool  // that have gone over to encryption
	Bytes    int64 // that are longer; 0: none
}

// On says whether there are any.
func (b *Bypass) On() bool { return b.Depth || b.TLS || b.SSH || b.Bytes > 0 }

// Keep is how much of one store is kept: the oldest goes first.
type Keep struct {
	Bytes int64 // 0: no limit
	Days  int   // 0: no limit
}

// Bounds of the settings. Less memory than that holds no table of use; a store is deleted by whole files, of which
// the newest always stays.
const (
	memoryLeast = 32 << 20
	keepLeast   = 1 << 20
	bypassLeast = 1 << 20
	daysMost    = 36500
	sampleMost  = 1_000_000_000
	hostsMany   = 1 << 22 // of block.hosts
	statsEvery  = 8e9     // ns; Suricata's default
	statsMost   = 24 * 3600
)

// Default is the configuration without a file.
func Default() *Config {
	return &Config{
		AddressVars: map[string]string{
			"HOME_NET": "[192.168.0.0/16,10.0.0.0/8,172.16.0.0/12]", "EXTERNAL_NET": "any",
			"HTTP_SERVERS": "$HOME_NET", "SMTP_SERVERS": "$HOME_NET", "SQL_SERVERS": "$HOME_NET", "DNS_SERVERS": "$HOME_NET", "TELNET_SERVERS": "$HOME_NET",
			"AIM_SERVERS": "$EXTERNAL_NET", "DC_SERVERS": "$HOME_NET", "DNP3_SERVER": "$HOME_NET", "DNP3_CLIENT": "$HOME_NET",
			"MODBUS_CLIENT": "$HOME_NET", "MODBUS_SERVER": "$HOME_NET", "ENIP_CLIENT": "$HOME_NET", "ENIP_SERVER": "$HOME_NET",
		},
		PortVars: map[string]string{
			"HTTP_PORTS": "80", "SHELLCODE_PORTS": "!80", "ORACLE_PORTS": "1521", "SSH_PORTS": "22", "DNP3_PORTS": "20000", "MODBUS_PORTS": "502",
			"FILE_DATA_PORTS": "[$HTTP_PORTS,110,143]", "FTP_PORTS": "21", "GENEVE_PORTS": "6081", "VXLAN_PORTS": "4789", "TEREDO_PORTS": "3544", "SIP_PORTS": "[5060, 5061]",
		},
		References: true, Midstream: true, StreamChecksums: true, Checksums: true,
		Capture: "af-packet", BlockMode: "rehearse", BlockWay: "auto", StatsEvery: statsEvery,
		EveFile: "eve.json", Memory: 512 << 20, Listen: "127.0.0.1:8470", State: "var",
	}
}

// Load reads a file, "" for the defaults, and applies overrides ("a.b.0=value"). Errors name file and line.
func Load(name string, sets []string) (c *Config, warnings []string, err error) {
	if name == "" {
		return loadOwn("--set", nil, sets)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read configuration: %w", err)
	}
	if !looksLikeSuricata(text) {
		return loadOwn(name, text, sets)
	}
	t := tree{}
	if err := t.load(name, text, 0); err != nil {
		return nil, nil, err
	}
	if err := t.override(sets); err != nil {
		return nil, nil, err
	}
	c = Default()
	c.Suricata, c.said = true, t
	c.Midstream, c.References = false, false
	c.AddressVars["EXTERNAL_NET"] = "!$HOME_NET"
	if err := c.suricata(t, false); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	if left := t.notApplied(); len(left) > 0 {
		warnings = []string{name + ": does not apply here: " + strings.Join(left, ", ")}
	}
	return c, warnings, nil
}

func looksLikeSuricata(text []byte) bool {
	s := "\n" + string(text)
	for _, mark := range []string{"%YAML 1.1", "\nvars:", "\napp-layer:", "\noutputs:", "\nstream:", "\naf-packet:", "\ndefault-log-dir:", "\nlogging:", "\nstats:", "\ndetect:", "\nrule-files:", "\ninclude:"} {
		if strings.Contains(s, mark) {
			return true
		}
	}
	return false
}

// tree is a parsed file: maps, lists and scalars.
type tree map[string]any

const includeDepthMax = 8

func (t tree) load(name string, text []byte, depth int) error {
	if depth > includeDepthMax {
		return fmt.Errorf("%s: includes refer to each other without end", name)
	}
	body := strings.TrimPrefix(string(text), "\ufeff")
	body = strings.Replace(body, "%YAML 1.1", "#YAML 1.1", 1)
	var m map[string]any
	if err := yaml.Unmarshal([]byte(body), &m); err != nil {
		return placed(name, err, nil)
	}
	if err := nested(name, m, depth); err != nil {
		return err
	}
	var order yaml.MapSlice // what stands later in the file wins over what an include brings, and the other way round
	if err := yaml.Unmarshal([]byte(body), &order); err != nil {
		return placed(name, err, nil)
	}
	for _, item := range order {
		k := fmt.Sprint(item.Key)
		if k != "include" {
			t[k] = m[k]
			continue
		}
		for _, i := range includesOf(m[k]) {
			if err := t.include(name, i, depth); err != nil {
				return err
			}
		}
	}
	return nil
}

// includesOf reads include's value: a name or a list of names.
func includesOf(v any) (names []string) {
	switch x := v.(type) {
	case nil:
	case []any:
		for _, i := range x {
			names = append(names, fmt.Sprint(i))
		}
	default:
		names = append(names, fmt.Sprint(x))
	}
	return names
}

// include puts another file's keys over the tree's; its name stands relative to the file that includes it.
func (t tree) include(from, name string, depth int) error {
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(from), name)
	}
	sub, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("%s: cannot read include: %w", from, err)
	}
	return t.load(name, sub, depth+1)
}

// nested reads the includes that stand inside a section; they fill that section.
func nested(name string, m map[string]any, depth int) error {
	for _, v := range m {
		section, ok := v.(map[string]any)
		if !ok {
			continue
		}
		includes := includesOf(section["include"])
		delete(section, "include")
		for _, i := range includes {
			if err := tree(section).include(name, i, depth); err != nil {
				return err
			}
		}
		if err := nested(name, section, depth); err != nil {
			return err
		}
	}
	return nil
}

// override applies KEY=VALUE with a dotted key; numbers index lists.
func (t tree) override(sets []string) error {
	for _, s := range sets {
		k, v, ok := strings.Cut(s, "=")
		if !ok || strings.TrimSpace(k) == "" {
			return fmt.Errorf("--set %s: expected KEY=VALUE", s)
		}
		put(t, strings.Split(strings.TrimSpace(k), "."), strings.TrimSpace(v))
	}
	return nil
}

func put(at any, path []string, value string) any {
	if len(path) == 0 {
		return value
	}
	if i, err := strconv.Atoi(path[0]); err == nil && i >= 0 && i < 1000 {
		l, _ := at.([]any)
		for len(l) <= i {
			l = append(l, nil)
		}
		l[i] = put(l[i], path[1:], value)
		return l
	}
	switch m := at.(type) {
	case tree:
		m[path[0]] = put(m[path[0]], path[1:], value)
		return m
	case map[string]any:
		m[path[0]] = put(m[path[0]], path[1:], value)
		return m
	}
	return map[string]any{path[0]: put(nil, path[1:], value)}
}

// get walks a dotted path.
func (t tree) get(path string) (any, bool) {
	var at any = map[string]any(t)
	for _, p := range strings.Split(path, ".") {
		m, ok := at.(map[string]any)
		if !ok {
			return nil, false
		}
		if at, ok = m[p]; !ok {
			return nil, false
		}
	}
	return at, at != nil
}

func (t tree) text(path string, to *string) {
	if v, ok := t.get(path); ok {
		*to = fmt.Sprint(v)
	}
}

func (t tree) flag(path string, to *bool) {
	if v, ok := t.get(path); ok {
		if b, known := truth(v); known {
			*to = b
		}
	}
}

// truth reads YAML 1.1's booleans.
func truth(v any) (value, known bool) {
	if b, ok := v.(bool); ok {
		return b, true
	}
	switch strings.ToLower(fmt.Sprint(v)) {
	case "yes", "true", "on", "1":
		return true, true
	case "no", "false", "off", "0":
		return false, true
	}
	return false, false
}

// sizeMax keeps sizes well inside 63 bits; an exbibyte is no memory of anything.
const sizeMax = 1 << 60

// Size reads "64kb", "1 MiB", "1000". Not ok: no number, negative, or an exbibyte and more.
func Size(s string) (int64, bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	unit := int64(1)
	for _, u := range []struct {
		suffix string
		n      int64
	}{{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30}, {"kb", 1 << 10}, {"mb", 1 << 20}, {"gb", 1 << 30}, {"k", 1 << 10}, {"m", 1 << 20}, {"g", 1 << 30}, {"b", 1}} {
		if strings.HasSuffix(s, u.suffix) {
			s, unit = strings.TrimSpace(strings.TrimSuffix(s, u.suffix)), u.n
			break
		}
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || !(v >= 0 && v*float64(unit) < sizeMax) { // not a number fails both
		return 0, false
	}
	return int64(v * float64(unit)), true
}
