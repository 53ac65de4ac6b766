package main

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dejpha/dejpha/config"
	"github.com/dejpha/dejpha/confine"
	"github.com/dejpha/dejpha/figures"
)

// The running program under a service manager: it tells it how it stands, is confined, changes its rules and its record
// file, shows its figures, and ends cleanly.
func TestProgramUnderAManager(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	bin, manager := filepath.Join(dir, "dejpha"), filepath.Join(dir, "n")
	if err := os.Symlink(self, bin); err != nil {
		t.Fatal(err)
	}
	hears, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: manager, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer hears.Close()
	cmd := exec.Command(bin, "run", "--no-console", "--pace", "2ms", "--rounds", "0", "--skip", "20m", "--set", "state=var")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+manager, "WATCHDOG_USEC=60000")
	var says strings.Builder
	cmd.Stderr = &says
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	defer func() {
		if !ended {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}()
	heard := make(chan string, 10000)
	go func() {
		b := make([]byte, 1000)
		for {
			n, err := hears.Read(b)
			if err != nil {
				return
			}
			heard <- string(b[:n])
		}
	}()
	await := func(want string) {
		t.Helper()
		late := time.After(wait)
		for {
			select {
			case s := <-heard:
				if strings.HasPrefix(s, want) {
					return
				}
			case <-late:
				t.Fatalf("%s is not told", want)
			}
		}
	}
	await("READY=1\nSTATUS=watching ")
	await("WATCHDOG=1")
	confined(t, cmd.Process.Pid)

	ask := func(args ...string) string {
		t.Helper()
		c := exec.Command(bin, append(args, "--set", "state=var")...)
		c.Dir = dir
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	if out := ask("reload"); !strings.HasPrefix(out, "rules reloaded in ") {
		t.Error(out)
	}
	await("RELOADING=1\nMONOTONIC_USEC=")
	await("READY=1")
	if err := cmd.Process.Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	await("RELOADING=1")
	await("READY=1")
	var f figures.Figures
	if err := json.Unmarshal([]byte(ask("top", "--json")), &f); err != nil || f.Ledger.Received == 0 || f.Rules == 0 {
		t.Errorf("%v: %+v", err, f)
	}
	if out := ask("top", "--once", "--every", "200ms"); !strings.Contains(out, "/s") || !strings.Contains(out, "attacks ") {
		t.Error(out)
	}

	eve := filepath.Join(dir, "var", "demo", "eve.json")
	if err := os.Rename(eve, eve+".1"); err != nil { // as logrotate does, then its postrotate
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for late := time.Now().Add(wait); ; time.Sleep(10 * time.Millisecond) {
		if info, err := os.Stat(eve); err == nil && info.Size() > 0 {
			break
		}
		if time.Now().After(late) {
			t.Fatal("no new record file")
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	await("STOPPING=1")
	ended = true
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, says.String())
	}
	if n := strings.Count(says.String(), "dejpha: rules reloaded in "); n != 2 {
		t.Errorf("%d reloads are told:\n%s", n, says.String())
	}
	verify := exec.Command(bin, "verify", filepath.Join(dir, "var", "demo"))
	if out, err := verify.CombinedOutput(); err != nil {
		t.Errorf("verify: %v\n%s", err, out)
	}
}

// confined holds every thread of a process to what it shall have given up: confine's tests say what that means.
func confined(t *testing.T, pid int) {
	t.Helper()
	if _, _, e := syscall.AllThreadsSyscall(syscall.SYS_GETPID, 0, 0, 0); e == syscall.ENOTSUP {
		t.Log("built with cgo: it is not confined")
		return
	}
	names, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/status")
	if len(names) < 2 {
		t.Fatalf("%d threads", len(names))
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		for _, want := range []string{"NoNewPrivs:\t1\n", "Seccomp:\t2\n"} {
			if !strings.Contains(string(b), want) {
				t.Errorf("%s lacks %q", name, want)
			}
		}
	}
}

// What the program keeps fits what it does.
func TestBounds(t *testing.T) {
	for _, c := range []struct {
		sets []string
		live bool
		keep string
		bpf  bool
	}{
		{nil, false, "", false}, {nil, true, "CAP_NET_RAW", false},
		{[]string{"block.mode=on"}, true, "CAP_NET_RAW CAP_NET_ADMIN CAP_BPF CAP_PERFMON", true},
		{[]string{"bypass.depth=yes"}, true, "CAP_NET_RAW CAP_BPF", true}, {[]string{"bypass.depth=yes"}, false, "", false},
		{[]string{"inline.queue=3"}, true, "CAP_NET_RAW CAP_NET_ADMIN CAP_BPF CAP_PERFMON", true},
	} {
		k := &keeper{config: load(t, c.sets), flags: &engineFlags{Only: []string{"/somewhere/x.rules"}}, live: c.live}
		k.skips = k.config.Bypass.On()
		o := k.bounds()
		var names []string
		for _, p := range o.Keep {
			if p != confine.DACOverride {
				names = append(names, p.String())
			}
		}
		if strings.Join(names, " ") != c.keep || o.BPF != c.bpf || !strings.Contains(strings.Join(o.Read, " "), "/somewhere") {
			t.Errorf("%v: %v, %+v", c.sets, names, o)
		}
	}
}

func load(t *testing.T, sets []string) *config.Config {
	t.Helper()
	c, _, err := config.Load("", sets)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
