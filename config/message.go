package config

import (
	"bytes"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

var place = regexp.MustCompile(`^\[(\d+):(\d+)\] *`)
var unknownField = regexp.MustCompile(`^unknown field "(.*)"`)
var wrongType = regexp.MustCompile(`^cannot unmarshal (.+?) into Go (?:struct field \S+ of type|value of type) (\S+)`)

// placed says a YAML error the way all messages are said: file:line:column, what is wrong, the nearest known key.
func placed(name string, err error, keys []string) error {
	text, _, _ := strings.Cut(strings.TrimSpace(yaml.FormatError(err, false, false)), "\n")
	if m := place.FindStringSubmatch(text); m != nil {
		text = text[len(m[0]):]
		if !strings.HasPrefix(name, "--set") { // what was said on the command line stands in no line
			name += ":" + m[1] + ":" + m[2]
		}
	}
	if m := unknownField.FindStringSubmatch(text); m != nil {
		text = fmt.Sprintf("unknown key %q%s", m[1], hint(m[1], keys))
	} else if m := wrongType.FindStringSubmatch(text); m != nil {
		text = fmt.Sprintf("expected %s, found a %s", typeWords(m[2]), m[1])
	}
	return fmt.Errorf("%s: %s", name, text)
}

// wrong is a value that is not what its key asks for. path is dotted, items of lists by [i].
type wrong struct{ path, text string }

func (w wrong) Error() string { return w.path + ": " + w.text }

// placed says where the value stands: in the file's text, or on the command line if mine, what was said there, has it.
func (w wrong) placed(name string, text []byte, mine tree) error {
	key, _, _ := strings.Cut(w.path, "[")
	if _, said := mine.get(key); said {
		return fmt.Errorf("--set %s", w.Error())
	}
	if p, err := yaml.PathString("$." + w.path); err == nil {
		if node, err := p.ReadNode(bytes.NewReader(text)); err == nil && node.GetToken() != nil {
			at := node.GetToken().Position
			name = fmt.Sprintf("%s:%d:%d", name, at.Line, at.Column)
		}
	}
	return fmt.Errorf("%s: %s", name, w.Error())
}

func typeWords(name string) string {
	switch {
	case strings.HasPrefix(name, "int"), strings.HasPrefix(name, "uint"):
		return "a whole number"
	case name == "bool":
		return "true or false"
	case strings.HasPrefix(name, "[]"):
		return "a list"
	case strings.HasPrefix(name, "map"):
		return "keys and values"
	}
	return "a " + name
}

// ownTop are the keys at the top of dejpha.yaml.
func ownTop() (keys []string) {
	t := reflect.TypeFor[own]()
	for i := range t.NumField() {
		keys = append(keys, t.Field(i).Tag.Get("yaml"))
	}
	return keys
}

// ownKeys are all keys of dejpha.yaml, those inside a section with and without its name.
func ownKeys() (keys []string) {
	return keysOf(reflect.TypeFor[own](), "")
}

func keysOf(t reflect.Type, prefix string) (keys []string) {
	for i := range t.NumField() {
		name := t.Field(i).Tag.Get("yaml")
		if prefix != "" {
			keys = append(keys, prefix+name)
		}
		keys = append(keys, name)
		if s := t.Field(i).Type; s.Kind() == reflect.Struct {
			keys = append(keys, keysOf(s, prefix+name+".")...)
		}
	}
	return keys
}

// longestKey keeps a hint cheap.
const longestKey = 128

// hint is `; did you mean "x"?`, or nothing when no known key is near.
func hint(word string, known []string) string {
	if len(word) > longestKey {
		return ""
	}
	best, least := "", len(word)/2+1
	for _, k := range known {
		if d := edits(word, k); d < least {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// edits counts the insertions, deletions and changes from a to b.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost++
			}
			before = row[j+1]
			row[j+1] = min(cost, row[j]+1, before+1)
		}
	}
	return row[len(b)]
}

// applied are the paths of a suricata.yaml that are read, each with all below it.
var applied = []string{
	"vars.address-groups", "vars.port-groups", "classification-file", "reference-config-file", "threshold-file", "default-rule-path", "rule-files",
	"stream.midstream", "stream.async-oneside", "stream.inline", "stream.bypass", "stream.checksum-validation", "stream.reassembly.depth", "vlan.use-for-tracking",
	"decoder.teredo.enabled", "decoder.vxlan.enabled", "decoder.geneve.enabled", "pcap-file.checksum-checks", "host-os-policy", "flow-timeouts",
	"app-layer.protocols", "outputs", "packet-alert-max", "action-order", "stats.interval", "unix-command.enabled", "unix-command.filename", "nfq.fail-open", "af-packet",
}

// packetKeys are those of an interface below af-packet that are read, and those whose effect is there anyway.
var packetKeys = []string{"interface", "bpf-filter", "copy-mode", "copy-iface", "cluster-id", "cluster-type", "defrag", "use-mmap", "mmap-locked", "tpacket-v3", "checksum-checks"}

// notApplied names what the tree says and nobody reads: the shortest paths under which nothing is read, sorted.
func (t tree) notApplied() []string {
	left := below("", t)
	if l, ok := t["outputs"].([]any); ok {
		for _, o := range l {
			left = append(left, otherOutputs(o)...)
		}
	}
	if l, ok := t["af-packet"].([]any); ok {
		for _, x := range l {
			m, _ := x.(map[string]any)
			for k := range m {
				if !slices.Contains(packetKeys, k) {
					left = append(left, "af-packet."+k)
				}
			}
		}
	}
	slices.Sort(left)
	return slices.Compact(left)
}

func below(prefix string, m map[string]any) (left []string) {
	for k, v := range m {
		path := prefix + k
		if slices.Contains(applied, path) {
			continue
		}
		leads := slices.ContainsFunc(applied, func(a string) bool { return strings.HasPrefix(a, path+".") })
		if sub, ok := v.(map[string]any); ok && leads {
			left = append(left, below(path+".", sub)...)
		} else if v != nil {
			left = append(left, path)
		}
	}
	return left
}

// otherOutputs names the outputs that are switched on and are not eve-log.
func otherOutputs(v any) (left []string) {
	m, _ := v.(map[string]any)
	for name, settings := range m {
		s, _ := settings.(map[string]any)
		on := false
		tree(s).flag("enabled", &on)
		if on && name != "eve-log" {
			left = append(left, "outputs."+name)
		}
	}
	return left
}
