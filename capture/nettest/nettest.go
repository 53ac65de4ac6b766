//go:build linux

// Package nettest lays a line for tests: three network namespaces, attacker - shield - server, that see and touch nothing of
// the machine's own network.
//
// In: a test. Out: namespaces joined by veth pairs, and a way to run code and programs in them. Called by tests only. What
// the machine lacks is the test's skip, by name.
package nettest

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// Line is the three namespaces. The shield's interfaces are Left, towards the attacker, and Right, towards the server; the
// others' are both called "eth".
type Line struct{ Attacker, Shield, Server string }

// Names of the shield's interfaces.
const (
	Left  = "left"
	Right = "right"
)

// Addresses of both ends, in both ways of joining them.
const (
	AttackerIP = "10.77.1.2"
	ServerIP   = "10.77.2.2"
)

var lines atomic.Uint32

// Routed lays a line on which the shield's machine is a router.
func Routed(t *testing.T) *Line {
	t.Helper()
	l := lay(t)
	Must(t, "ip", "-n", l.Shield, "addr", "add", "10.77.1.1/24", "dev", Left)
	Must(t, "ip", "-n", l.Shield, "addr", "add", "10.77.2.1/24", "dev", Right)
	Must(t, "ip", "-n", l.Attacker, "addr", "add", AttackerIP+"/24", "dev", "eth")
	Must(t, "ip", "-n", l.Server, "addr", "add", ServerIP+"/24", "dev", "eth")
	Must(t, "ip", "-n", l.Attacker, "route", "add", "default", "via", "10.77.1.1")
	Must(t, "ip", "-n", l.Server, "route", "add", "default", "via", "10.77.2.1")
	Must(t, "ip", "netns", "exec", l.Shield, "sysctl", "-qw", "net.ipv4.ip_forward=1")
	return l
}

// Joined lays a line whose two ends are one network: nothing passes unless the shield carries it.
func Joined(t *testing.T) *Line {
	t.Helper()
	l := lay(t)
	Must(t, "ip", "-n", l.Attacker, "addr", "add", AttackerIP+"/16", "dev", "eth")
	Must(t, "ip", "-n", l.Server, "addr", "add", ServerIP+"/16", "dev", "eth")
	return l
}

func lay(t *testing.T) *Line {
	t.Helper()
	n := Spaces(t, "attacker", "shield", "server")
	l := &Line{n[0], n[1], n[2]}
	for _, n := range n {
		Must(t, "ip", "-n", n, "link", "set", "lo", "up")
		// The kernel's own words (router and neighbour discovery) would stand among the counted frames.
		Must(t, "ip", "netns", "exec", n, "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")
	}
	for name, end := range map[string]string{Left: l.Attacker, Right: l.Server} {
		Must(t, "ip", "-n", l.Shield, "link", "add", name, "type", "veth", "peer", "name", "eth", "netns", end)
		Must(t, "ip", "-n", l.Shield, "link", "set", name, "up")
		Must(t, "ip", "-n", end, "link", "set", "eth", "up")
	}
	return l
}

// Spaces makes empty network namespaces, removes them after the test, and returns their full names.
func Spaces(t *testing.T, names ...string) []string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root for network namespaces")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs ip (Debian package iproute2)")
	}
	stem := fmt.Sprintf("dejpha-%d-%d-", os.Getpid(), lines.Add(1))
	full := make([]string, len(names))
	for i, name := range names {
		full[i] = stem + name
		if out, err := exec.Command("ip", "netns", "add", full[i]).CombinedOutput(); err != nil {
			t.Skipf("no network namespaces here: %v %s", err, out)
		}
		t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", full[i]).Run() })
	}
	return full
}

// Must runs a program and fails the test with its words if it fails.
func Must(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// In runs f on a thread of its own in a namespace and waits for it. The thread ends with f: f may start goroutines, but they
// live in the machine's namespace; sockets that f opened stay where they were made.
func In(t *testing.T, namespace string, f func()) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		fd, err := unix.Open("/run/netns/"+namespace, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Setns(fd, unix.CLONE_NEWNET)
			_ = unix.Close(fd)
		}
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatalf("cannot enter %s: %v", namespace, err)
	}
}
