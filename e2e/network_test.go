package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// A story's network: hosts of the internet hang on one bridge, the shield stands between it and the servers.
//
//	mallory ──┐
//	alice   ──┼─ internet (bridge) ── out0 [shield] in0 ── servers
//	...     ──┘
//
// Routed, the shield forwards as a router does; bridged, it is the only way between two wires and itself has no
// address.
const (
	outsideNet, outsideNet6 = "203.0.113.", "2001:db8:9::"
	insideNet, insideNet6   = "10.20.0.", "fd20::"
)

// addressOf names the machines that stories speak of. All servers share one namespace.
var addressOf = map[string]string{
	"gateway": outsideNet + "1", "resolver": outsideNet + "53",
	"web": insideNet + "80", "ssh": insideNet + "22", "ftp": insideNet + "21", "mail": insideNet + "25", "files": insideNet + "139", "dns": insideNet + "53",
}

var serverNames = []string{"web", "ssh", "ftp", "mail", "files", "dns"}

// story is one file's world.
type story struct {
	t         testscript.T
	name      string // of its file
	dir       string
	id        int64
	mode      string // routed or bridged
	mu        sync.Mutex
	processes []*process
	hosts     map[string]string // name to address
	clients   map[string]*client
	shield    *shield
	postfix   *process
	served    map[string]bool
}

type storyKey struct{}

var stories atomic.Int64

// begin sets a story up; what it makes ends with it.
func begin(e *testscript.Env) error {
	s := &story{t: e.T(), name: strings.TrimPrefix(filepath.Base(e.WorkDir), "script-"), dir: e.WorkDir, id: stories.Add(1), hosts: map[string]string{}, clients: map[string]*client{}, served: map[string]bool{}}
	for name, a := range addressOf {
		e.Setenv(strings.ToUpper(name), a)
	}
	program, err := theShield()
	if err != nil {
		return err
	}
	e.Setenv("DEJPHA", program)
	e.Setenv("OUTSIDE", outsideNet)
	e.Setenv("INSIDE", insideNet)
	e.Values[storyKey{}] = s
	e.Defer(s.end)
	return errors.Join(os.Chmod(e.WorkDir, 0o755), os.Chmod(filepath.Dir(e.WorkDir), 0o755)) // servers' own users look into it
}

func of(ts *testscript.TestScript) *story { return ts.Value(storyKey{}).(*story) }

func (s *story) end() {
	for _, c := range s.clients {
		c.halt()
	}
	s.mu.Lock()
	all := s.processes
	s.mu.Unlock()
	for _, p := range all {
		p.kill()
	}
	for name := range s.hosts {
		_ = exec.Command("ip", "netns", "del", s.ns(name)).Run()
	}
}

// ns is the full name of one of the story's network namespaces.
func (s *story) ns(host string) string { return fmt.Sprintf("e%d-%s", s.id, host) }

// networkable says whether the kernel gives what the stories' networks are made of.
func networkable() error {
	for _, args := range [][]string{
		{"netns", "add", "probe"}, {"-n", "probe", "link", "add", "probe0", "type", "veth", "peer", "name", "probe1"}, {"-n", "probe", "link", "add", "probe2", "type", "bridge"}, {"netns", "del", "probe"},
	} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}

// run runs a command that must succeed, in a host's namespace; "" is outside of all.
func (s *story) run(host, name string, args ...string) error {
	c := exec.Command(name, args...)
	var out strings.Builder
	c.Stdout, c.Stderr = &out, &out
	if err := s.within(host, c.Start); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := c.Wait(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(out.String()))
	}
	return nil
}

// within calls f on a thread that stands in a host's namespace; sockets made and processes started by f stay there.
func (s *story) within(host string, f func() error) error {
	if host == "" {
		return f()
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine, and with it the namespace it is in
		fd, err := unix.Open("/run/netns/"+s.ns(host), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Setns(fd, unix.CLONE_NEWNET)
			_ = unix.Close(fd)
		}
		if err != nil {
			done <- fmt.Errorf("entering %s: %w", host, err)
			return
		}
		done <- f()
	}()
	return <-done
}

// cmdNetwork: network routed|bridged
func cmdNetwork(ts *testscript.TestScript, neg bool, args []string) {
	s := of(ts)
	if neg || len(args) != 1 || args[0] != "routed" && args[0] != "bridged" {
		ts.Fatalf("usage: network routed|bridged")
	}
	s.mode = args[0]
	for _, n := range []string{"internet", "shield", "servers"} {
		ts.Check(s.newHost(n, ""))
	}
	ts.Check(s.run("internet", "ip", "link", "add", "br0", "type", "bridge"))
	ts.Check(s.run("internet", "ip", "link", "set", "br0", "up"))
	ts.Check(s.join("internet", "shield", "out0"))
	ts.Check(s.run("", "ip", "-n", s.ns("shield"), "link", "add", "in0", "type", "veth", "peer", "name", "eth0", "netns", s.ns("servers")))
	for _, a := range append([]string{"254"}, lastBytes()...) {
		ts.Check(s.run("servers", "ip", "address", "add", insideNet+a+"/24", "dev", "eth0"))
		ts.Check(s.run("servers", "ip", "address", "add", insideNet6+a+"/64", "dev", "eth0", "nodad"))
	}
	ts.Check(s.up("servers", "eth0"))
	ts.Check(s.up("shield", "in0"))
	ts.Check(s.up("shield", "out0"))
	if s.mode == "bridged" {
		ts.Check(s.run("servers", "ip", "route", "add", "default", "dev", "eth0"))
		ts.Check(s.run("servers", "ip", "-6", "route", "add", "default", "dev", "eth0"))
		return
	}
	for dev, a := range map[string][2]string{"out0": {outsideNet, outsideNet6}, "in0": {insideNet, insideNet6}} {
		ts.Check(s.run("shield", "ip", "address", "add", a[0]+"1/24", "dev", dev))
		ts.Check(s.run("shield", "ip", "address", "add", a[1]+"1/64", "dev", dev, "nodad"))
	}
	ts.Check(s.run("shield", "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding"))
	ts.Check(s.run("servers", "ip", "route", "add", "default", "via", insideNet+"1"))
	ts.Check(s.run("servers", "ip", "-6", "route", "add", "default", "via", insideNet6+"1"))
}

// lastBytes are the servers' addresses behind the network's prefix.
func lastBytes() (all []string) {
	for _, n := range serverNames {
		all = append(all, strings.TrimPrefix(addressOf[n], insideNet))
	}
	return all
}

// newHost makes a namespace; with an address it is a host of the internet.
func (s *story) newHost(name, address string) error {
	if s.hosts[name] != "" {
		return errors.New(name + " is here already")
	}
	if err := s.run("", "ip", "netns", "add", s.ns(name)); err != nil {
		return err
	}
	s.hosts[name] = "-"
	if err := s.up(name, "lo"); err != nil || address == "" {
		return err
	}
	s.hosts[name] = address
	if err := s.join("internet", name, "eth0"); err != nil {
		return err
	}
	last := address[strings.LastIndexByte(address, '.')+1:]
	steps := [][]string{
		{"address", "add", address + "/24", "dev", "eth0"}, {"address", "add", outsideNet6 + last + "/64", "dev", "eth0", "nodad"}, {"link", "set", "eth0", "up"},
	}
	if s.mode == "bridged" {
		steps = append(steps, []string{"route", "add", insideNet + "0/24", "dev", "eth0"}, []string{"-6", "route", "add", insideNet6 + "/64", "dev", "eth0"})
	} else {
		steps = append(steps, []string{"route", "add", "default", "via", outsideNet + "1"}, []string{"-6", "route", "add", "default", "via", outsideNet6 + "1"})
	}
	for _, args := range steps {
		if err := s.run(name, "ip", args...); err != nil {
			return err
		}
	}
	return nil
}

// join plugs a host's new interface into the internet's bridge.
func (s *story) join(bridge, host, dev string) error {
	port := "p" + fmt.Sprint(len(s.hosts))
	if err := s.run("", "ip", "-n", s.ns(bridge), "link", "add", port, "type", "veth", "peer", "name", dev, "netns", s.ns(host)); err != nil {
		return err
	}
	return errors.Join(s.run(bridge, "ip", "link", "set", port, "master", "br0"), s.up(bridge, port))
}

// up brings a link up without the offloads that real wires would have done away with by then.
func (s *story) up(host, dev string) error {
	if dev != "lo" {
		_ = s.within(host, func() error { return noOffload(dev) })
	}
	return s.run(host, "ip", "link", "set", dev, "up")
}

// noOffload has the kernel finish checksums and segments before a frame leaves, as they would be on a real wire.
func noOffload(dev string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for _, off := range []uint32{unix.ETHTOOL_STXCSUM, unix.ETHTOOL_STSO, unix.ETHTOOL_SGSO, unix.ETHTOOL_SGRO} {
		value := struct{ cmd, data uint32 }{off, 0}
		request := struct {
			name [unix.IFNAMSIZ]byte
			data unsafe.Pointer
			_    [16]byte
		}{data: unsafe.Pointer(&value)}
		copy(request.name[:], dev)
		if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); e != 0 {
			return e
		}
	}
	return nil
}

// process is one started in a namespace.
type process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{}
	err  error
}

// start starts a process in a host's namespace; its output goes to a file.
func (s *story) start(host, log string, args ...string) (*process, error) {
	if _, err := exec.LookPath(args[0]); err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(args[0], args[1:]...), log: filepath.Join(s.dir, log), done: make(chan struct{})}
	f, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.Dir = f, f, s.dir
	p.cmd.Env = append(os.Environ(), "HOME="+s.dir, "LC_ALL=C")
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.WaitDelay = 2 * time.Second
	if err := s.within(host, p.cmd.Start); err != nil {
		return nil, err
	}
	go func() { p.err = p.cmd.Wait(); close(p.done) }()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.processes = append(s.processes, p)
	return p, nil
}

// wait lets a process have its time; false when that was too short.
func (p *process) wait(d time.Duration) bool {
	select {
	case <-p.done:
		return true
	case <-time.After(d):
		return false
	}
}

// kill ends a process and its children.
func (p *process) kill() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	p.wait(5 * time.Second)
}

// said is what a process wrote so far.
func (p *process) said() string {
	b, _ := os.ReadFile(p.log)
	return string(b)
}
