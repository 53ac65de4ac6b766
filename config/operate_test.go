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
