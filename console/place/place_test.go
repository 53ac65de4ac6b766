package place

import (
	"os"
	"path/filepath"
	"testing"
)

func TestBuiltIn(t *testing.T) {
	p, err := Open("")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for addr, want := range map[string]string{"193.0.6.139": "NL", "2001:67c:2e8:22::c100:68b": "NL", "::ffff:193.0.6.139": "NL",
		"10.0.0.1": "", "192.0.2.1": "", "fe80::1%eth0": "", "2001:db8::1": "", "": "", "unproven": ""} {
		if got := p.Country(addr); got != want {
			t.Errorf("%s: %q, want %q", addr, got, want)
		}
	}
}

func TestBadFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x.mmdb")
	if err := os.WriteFile(name, []byte("not a database"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(name); err == nil {
		t.Error("a file that is no database was taken")
	}
}
