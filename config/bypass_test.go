package config

import (
	"os"
	"path/filepath"
	"testing"
)

func TestBypassInBothFormats(t *testing.T) {
	for _, x := range []struct {
		text string
		want Bypass
	}{
		{"memory: 64 MiB\n", Bypass{}},
		{"bypass: {depth: true, encrypted: true, bytes: 1 GiB}\n", Bypass{Depth: true, TLS: true, SSH: true, Bytes: 1 << 30}},
		{"stream:\n  bypass: yes\n", Bypass{Depth: true}},
		{"app-layer:\n  protocols:\n    tls:\n      encryption-handling: bypass\n    ssh:\n      encryption-handling: track-only\n", Bypass{TLS: true}},
		{"app-layer:\n  protocols:\n    ssh:\n      encryption-handling: bypass\n", Bypass{SSH: true}},
	} {
		name := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(name, []byte(x.text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, warnings, err := Load(name, nil)
		if err != nil || len(warnings) > 0 || c.Bypass != x.want {
			t.Errorf("%q: %+v %q %v", x.text, c, warnings, err)
		}
	}
	if _, _, err := Load("", []string{"bypass.bytes=1000"}); err == nil {
		t.Error("an elephant of 1,000 bytes is taken")
	}
}
