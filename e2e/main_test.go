package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// The stories run only when asked for, and inside namespaces of their own: the first process of them is this
// program, started once more.
const (
	asked  = "DEJPHA_E2E"        // set by make e2e
	inside = "DEJPHA_E2E_INSIDE" // set for the process inside; its value is the reason why there is no inside
)

func TestMain(m *testing.M) {
	if os.Getenv(asked) == "" || os.Getenv(inside) != "" {
		os.Exit(m.Run())
	}
	why := ""
	if os.Getuid() != 0 {
		why = "needs root"
	} else if code, err := enclosed(); err == nil {
		os.Exit(code)
	} else {
		why = "no namespaces here: " + err.Error()
	}
	os.Setenv(inside, why)
	os.Exit(m.Run())
}

// enclosed runs this program again in namespaces of its own, where whatever is started, mounted and connected ends
// with it.
func enclosed() (int, error) {
	runtime.LockOSThread() // the child dies with this thread
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	c := exec.Command(self, os.Args[1:]...)
	c.Env = append(os.Environ(), inside+"=yes")
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
		Pdeathsig:  syscall.SIGKILL,
		Setpgid:    true,
	}
	if err := c.Start(); err != nil {
		return 0, err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		<-stop
		_ = c.Process.Kill() // the first of its process namespace: all others go with it
		_ = c.Wait()
		os.Exit(130)
	}()
	err = c.Wait()
	if x := (*exec.ExitError)(nil); errors.As(err, &x) {
		return x.ExitCode(), nil
	}
	return 0, err
}

// furnish gives the process a house of its own: mounts that nobody else sees, /run, users and name servers.
func furnish() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mounts of one's own: %w", err)
	}
	for _, m := range []struct{ kind, to string }{{"proc", "/proc"}, {"tmpfs", "/run"}, {"tmpfs", "/var/log"}} {
		if err := unix.Mount(m.kind, m.to, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mounting %s: %w", m.to, err)
		}
	}
	_ = unix.Mount("bpf", "/sys/fs/bpf", "bpf", 0, "") // pinned maps of our own; without, the shield says so
	for _, d := range []string{"/run/sshd", "/run/netns", "/run/vsftpd/empty", "/run/lock", "/run/samba"} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp("/run", "etc")
	if err != nil {
		return err
	}
	for _, f := range []struct{ name, more string }{
		{"/etc/passwd", "honest:x:7001:7001::/run/home:/bin/sh\n"},
		{"/etc/group", "honest:x:7001:\n"},
		{"/etc/shadow", "honest:" + passwordHash + ":19000:0:99999:7:::\n"},
		{"/etc/resolv.conf", ""},
	} {
		b, err := os.ReadFile(f.name)
		if err != nil && f.more == "" {
			continue
		}
		if f.more == "" {
			b = []byte("nameserver " + addressOf["resolver"] + "\n")
		} else if err != nil {
			return err
		}
		own := filepath.Join(dir, filepath.Base(f.name))
		if err := os.WriteFile(own, append(b, f.more...), 0o644); err != nil {
			return err
		}
		if err := unix.Mount(own, f.name, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("%s of one's own: %w", f.name, err)
		}
	}
	if err := os.MkdirAll("/run/home", 0o755); err != nil {
		return err
	}
	return errors.Join(os.Chown("/run/home", 7001, 7001), os.Setenv("TMPDIR", "/run")) // the stories' folders go with the mounts
}

// tally counts how the stories ended.
type tally struct {
	mu                      sync.Mutex
	passed, failed, skipped int
}

// counted is testscript's view of a test, which tells how it ended in one line.
type counted struct {
	*testing.T
	tally *tally
	why   *string
	began *time.Time
}

// Parallel implements testscript.T; the time until its turn comes is not the story's.
func (c counted) Parallel() {
	c.T.Parallel()
	*c.began = time.Now()
}

// Run implements testscript.T.
func (c counted) Run(name string, f func(testscript.T)) {
	c.T.Run(name, func(t *testing.T) {
		why, began := "", time.Now()
		defer func() {
			took := time.Since(began).Seconds()
			c.tally.mu.Lock()
			defer c.tally.mu.Unlock()
			switch {
			case t.Skipped():
				c.tally.skipped++
				fmt.Printf("skipped %s (%s)\n", name, why)
			case t.Failed():
				c.tally.failed++
				fmt.Printf("FAILED  %s %.1f s\n", name, took)
			default:
				c.tally.passed++
				fmt.Printf("ok      %s %.1f s\n", name, took)
			}
		}()
		f(counted{t, c.tally, &why, &began})
	})
}

// Skip implements testscript.T.
func (c counted) Skip(args ...any) {
	*c.why = strings.TrimSpace(fmt.Sprintln(args...))
	c.T.Skip(args...)
}

// Verbose implements testscript.T.
func (c counted) Verbose() bool { return testing.Verbose() }

// TestStories tells every story of the folder.
func TestStories(t *testing.T) {
	lacks := os.Getenv(inside)
	if os.Getenv(asked) == "" {
		t.Skip("make e2e runs the stories")
	}
	if lacks == "yes" {
		if err := furnish(); err != nil {
			lacks = "no namespaces here: " + err.Error()
		} else if err := networkable(); err != nil {
			lacks = "no network namespaces here: " + err.Error()
		} else {
			lacks = ""
		}
	}
	sum := &tally{}
	defer func() { fmt.Printf("stories: %d passed, %d failed, %d skipped\n", sum.passed, sum.failed, sum.skipped) }()
	t.Run("stories", func(t *testing.T) {
		testscript.RunT(counted{t, sum, new(string), new(time.Time)}, testscript.Params{
			Dir: "stories",
			Setup: func(e *testscript.Env) error {
				if lacks != "" {
					e.T().Skip(lacks)
				}
				return begin(e)
			},
			Cmds: map[string]func(*testscript.TestScript, bool, []string){
				"network": cmdNetwork, "server": cmdServer, "shield": cmdShield, "client": cmdClient, "attacker": cmdAttacker, "host": cmdAttacker, "does": cmdAttack,
				"attack": cmdAttack, "expect": cmdExpect, "forge": cmdForge, "latency": cmdLatency,
			},
		})
	})
}
