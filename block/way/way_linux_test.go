package way

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/dejpha/dejpha/block"
	"github.com/dejpha/dejpha/capture/nettest"
)

// namespace is a network namespace of the test's own, with a pair of interfaces, and a place for pins.
func namespace(t *testing.T) (name, pins string) {
	t.Helper()
	name = nettest.Spaces(t, "way")[0]
	nettest.Must(t, "ip", "-n", name, "link", "add", "dw0", "type", "veth", "peer", "name", "dw1")
	pins = t.TempDir()
	if err := unix.Mount("bpf", pins, "bpf", 0, ""); err != nil {
		t.Skipf("no BPF file system here: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(pins, unix.MNT_DETACH) })
	return name, pins
}

// in runs f in a namespace, without any privilege if bare.
func in(t *testing.T, namespace string, bare bool, f func()) {
	t.Helper()
	nettest.In(t, namespace, func() {
		var none [2]unix.CapUserData
		if bare {
			if err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0]); err != nil {
				t.Error(err)
				return
			}
		}
		f()
	})
}

func TestTheBestWayIsTakenAndRefusalsAreSaid(t *testing.T) {
	name, pins := namespace(t)
	for _, c := range []struct {
		way, device string
		bare        bool
		name        string // of the enforcer; "": none
		kernel      bool   // the error is of the kernel
		said        []string
	}{
		{way: Auto, device: "dw0", name: "XDP (dw0 native)"},
		{way: Auto, device: "lo", name: "XDP (lo generic)", said: []string{"native XDP on lo"}},
		{way: NFT, device: "dw0", name: "nftables, netdev ingress (dw0)"},
		{way: None, device: "dw0"},
		{way: Auto, device: "dw0", bare: true, said: []string{"no XDP", "no nftables", "nothing is blocked"}},
		{way: XDP, device: "dw0", bare: true, kernel: true},
		{way: NFT, device: "dw0", bare: true, kernel: true},
	} {
		var said []string
		var e block.Enforcer
		var err error
		o := Options{Interfaces: []string{c.device}, Way: c.way, Pins: filepath.Join(pins, "dejpha"), Say: func(line string) { said = append(said, line) }}
		in(t, name, c.bare, func() { e, err = Open(o) })
		got := ""
		if e != nil {
			got = e.Name()
			_ = e.Close()
		}
		if got != c.name || errors.Is(err, block.ErrKernel) != c.kernel || !c.kernel && err != nil {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
		if c.kernel && !strings.Contains(err.Error(), "CAP_") {
			t.Errorf("%+v does not say what is missing: %v", c, err)
		}
		for i, want := range c.said {
			if len(said) != len(c.said) || !strings.Contains(said[i], want) {
				t.Errorf("%+v said %q", c, said)
				break
			}
		}
		in(t, name, false, func() { err = Detach(o) })
		if err != nil {
			t.Error(err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(pins, "dejpha*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestWhatCannotBeAskedFor(t *testing.T) {
	for _, o := range []Options{{Way: "magic", Interfaces: []string{"lo"}}, {Way: Auto}, {Way: Auto, Interfaces: []string{"nosuch0"}}} {
		if _, err := Open(o); err == nil {
			t.Errorf("%+v was opened", o)
		}
	}
}
