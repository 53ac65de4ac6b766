package config

import (
	"os"
	"path/filepath"
	"testing"
)

func TestPlaceOfTheControlSocket(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct{ text, set, want string }{
		{"", "", "var/dejpha.socket"},
		{"control: {socket: /run/d.sock}", "", "/run/d.sock"},
		{"control: {socket: off}", "", ""},
		{"", "control.socket=off", ""},
		{"", "control.socket=/x", "/x"},
		{"%YAML 1.1\n---\nunix-command:\n  enabled: auto\n", "", "var/dejpha.socket"},
		{"%YAML 1.1\n---\nunix-command:\n  enabled: no\n", "", ""},
		{"%YAML 1.1\n---\nunix-command:\n  enabled: yes\n  filename: /run/suricata-command.socket\n", "", "/run/suricata-command.socket"},
		{"%YAML 1.1\n---\nunix-command:\n  filename: custom.socket\n", "", "var/dejpha.socket"},
	} {
		name := ""
		if c.text != "" {
			name = filepath.Join(dir, "c.yaml")
			if err := os.WriteFile(name, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var sets []string
		if c.set != "" {
			sets = []string{c.set}
		}
		got, _, err := Load(name, sets)
		if err != nil {
			t.Errorf("%q %q: %v", c.text, c.set, err)
			continue
		}
		if s := got.Socket(got.State); s != c.want {
			t.Errorf("%q %q: %q, want %q", c.text, c.set, s, c.want)
		}
	}
}

func TestOperation(t *testing.T) {
	for _, c := range []struct{ set, want string }{
		{"confine=off", "off"}, {"confine=require", "require"}, {"confine=on", "on"},
		{"metrics.listen=9470", "127.0.0.1:9470"}, {"metrics.listen=[::1]:9470", "[::1]:9470"}, {"user=nobody", "nobody"},
		{"confine=maybe", "error"}, {"metrics.listen=here", "error"}, {"metrics.listen=:9", "error"}, {"metrics.listen=1.2.3.4:99999", "error"},
	} {
		got, _, err := Load("", []string{c.set})
		if err != nil {
			if c.want != "error" {
				t.Errorf("%s: %v", c.set, err)
			}
			continue
		}
		if o := got.Operation; o.Confine != c.want && o.MetricsListen != c.want && o.User != c.want {
			t.Errorf("%s: %+v", c.set, o)
		}
	}
}
