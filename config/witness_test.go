package config

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dejpha/dejpha/cosign"
)

func TestWitnesses(t *testing.T) {
	key, err := cosign.NewKey("w.example/1", bytes.Repeat([]byte{1}, cosign.SeedBytes))
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "c.yaml")
	load := func(text string) (*Config, error) {
		if err := os.WriteFile(name, []byte(strings.ReplaceAll(text, "KEY", key.Verifiers()[0])), 0o600); err != nil {
			t.Fatal(err)
		}
		c, _, err := Load(name, nil)
		return c, err
	}
	c, err := load("witnesses:\n  quorum: 1\n  every: 90s\n  list:\n    - key: KEY\n      url: https://w.example/1\n    - key: " + key.Verifiers()[1] + "\n    - key: KEY\n      url: http://127.0.0.1:8471\n")
	if err != nil {
		t.Fatal(err)
	}
	w := c.Witnesses
	if len(w.Keys) != 3 || w.URLs[1] != "" || w.Quorum != 1 || w.Every != 90*time.Second || !slices.Equal(w.Ports(), []uint16{443, 8471}) {
		t.Errorf("%+v, ports %v", w, w.Ports())
	}
	if c, err := load("state: x\n"); err != nil || len(c.Witnesses.Keys) != 0 || c.Witnesses.Every != time.Minute {
		t.Errorf("none: %+v %v", c.Witnesses, err)
	}
	for text, want := range map[string]string{
		"witnesses:\n  list:\n    - key: nonsense\n":                         "c.yaml:3",
		"witnesses:\n  list:\n    - key: KEY\n      url: ftp://x\n":          "no http or https address",
		"witnesses:\n  quorum: 2\n  list:\n    - key: KEY\n":                 "c.yaml:2",
		"witnesses:\n  every: 10ms\n":                                        "c.yaml:2",
		"witnesses:\n  list:\n    - key: KEY\n      uri: http://x.example\n": `unknown key "uri"`,
	} {
		if _, err := load(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
