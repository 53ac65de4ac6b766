package cbpf

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCompiledFilterIsRead(t *testing.T) {
	name := filepath.Join(t.TempDir(), "arp.bpf")
	if err := os.WriteFile(name, []byte("4\n40 0 0 12\n21 0 1 2054\n6 0 0 262144\n6 0 0 0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := ReadFilter("eth0", "file:"+name)
	want := []Instruction{{0x28, 0, 0, 12}, {0x15, 0, 1, 0x806}, {0x06, 0, 0, 262144}, {0x06, 0, 0, 0}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := ReadFilter("eth0", " "); got != nil || err != nil {
		t.Errorf("%v, %v", got, err)
	}
}

func TestWrongFilterIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"": "empty", "tcp port 80": "expected what", "0\n": "expected what", "2\n6 0 0 0\n": "expected what", "1\n6 0 0 0\n6 0 0 0\n": "expected what",
		"1\n6 0 0\n": "line 2", "1\n6 0 999 0\n": "line 2", "1\nx 0 0 0\n": "line 2", "5000" + strings.Repeat("\n6 0 0 0", 5000): "expected what", "-1\n": "expected what",
	} {
		name := filepath.Join(t.TempDir(), "wrong")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := ReadFilter("eth0", "file:"+name)
		var f *FilterError
		if !errors.As(err, &f) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	if _, err := ReadFilter("eth0", "file:/nothing/here"); err == nil {
		t.Error("a missing file was taken")
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := ReadFilter("eth7", "tcp"); err == nil || !strings.Contains(err.Error(), "tcpdump -ddd -i eth7") {
		t.Errorf("%v", err)
	}
}
