package e2e

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience is how long an honest client waits for one answer; pause lies between two requests.
const (
	patience = 15 * time.Second
	pause    = 150 * time.Millisecond
)

// use is what an honest client does with a server: one command that must succeed and say something.
type use struct {
	program, debian string
	args            []string
	says            string
}

var uses = map[string]use{
	"web": {"curl", "curl", []string{"-sS", "--fail", "http://10.20.0.80/"}, "hello"},
	"ssh": {"sshpass", "sshpass", []string{"-p", password, "ssh", "-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "PubkeyAuthentication=no",
		honest + "@10.20.0.22", "echo welcome"}, "welcome"},
	"ftp":   {"curl", "curl", []string{"-sS", "--user", honest + ":" + password, "ftp://10.20.0.21/welcome"}, "welcome"},
	"files": {"smbclient", "smbclient", []string{"--configfile=/dev/null", "-U", honest + "%" + password, "//10.20.0.139/plans", "-c", "get plan.txt /dev/stdout"}, "a plan"},
	"dns":   {"dig", "bind9-dnsutils", []string{"+short", "+tries=4", "+timeout=2", "@10.20.0.53", "www.example.org"}, "10.20.0.80"},
	"mail":  {"curl", "curl", []string{"-sS", "--user", honest + ":" + password, "imap://10.20.0.25/INBOX", "-X", "NOOP"}, ""},
	"smtp": {"swaks", "swaks", []string{"--server", "10.20.0.25", "--from", "honest@example.net", "--to", "honest@example.org", "--helo", "example.net",
		"--auth", "PLAIN", "--auth-user", honest, "--auth-password", password, "--hide-all", "--timeout", "10"}, ""},
}

// client is an honest user who uses services, one request after another, until the story ends or asks how it went.
type client struct {
	name   string
	stop   chan struct{}
	done   sync.WaitGroup
	mu     sync.Mutex
	served map[string]int
	failed []string
}

// cmdClient: client NAME LAST-BYTE SERVICE...
func cmdClient(ts *testscript.TestScript, neg bool, args []string) {
	s := of(ts)
	if neg || len(args) < 3 || s.mode == "" {
		ts.Fatalf("usage, after network: client NAME ADDRESS SERVICE...")
	}
	c := &client{name: args[0], stop: make(chan struct{}), served: map[string]int{}}
	for _, name := range args[2:] {
		u, known := uses[name]
		if !known {
			ts.Fatalf("no use %q", name)
		}
		for _, p := range append([]string{u.program}, map[string][]string{"ssh": {"ssh"}}[name]...) {
			if _, err := exec.LookPath(p); err != nil {
				s.t.Skip(fmt.Sprintf("needs %s (Debian package %s)", p, u.debian))
			}
		}
	}
	ts.Check(s.newHost(c.name, args[1]))
	s.clients[c.name] = c
	for _, name := range args[2:] {
		c.done.Add(1)
		go func() {
			defer c.done.Done()
			c.keepUsing(s, name)
		}()
	}
}

// keepUsing sends one request after another. One under way when the client is asked to stop is still waited for.
func (c *client) keepUsing(s *story, name string) {
	for n := 0; ; n++ {
		err := s.use(c.name, name)
		c.mu.Lock()
		if err == nil {
			c.served[name]++
		} else if len(c.failed) < 20 {
			c.failed = append(c.failed, fmt.Sprintf("%s %d: %v", name, n+1, err))
		}
		c.mu.Unlock()
		select {
		case <-c.stop:
			return
		case <-time.After(pause):
		}
	}
}

// use sends one request from a host.
func (s *story) use(host, name string) error {
	u := uses[name]
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, u.program, u.args...)
	var out, wrong strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &wrong
	cmd.Dir, cmd.Env = s.dir, []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + filepath.Join(s.dir, "home-"+host), "LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	if err := s.within(host, cmd.Start); err != nil {
		return err
	}
	err := cmd.Wait()
	if ctx.Err() != nil {
		err = errors.New("no answer within " + patience.String())
	}
	if err == nil && !strings.Contains(out.String(), u.says) {
		err = fmt.Errorf("an answer without %q", u.says)
	}
	if err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(out.String()+" "+wrong.String()))
	}
	return nil
}

// halt lets the request in hand end.
func (c *client) halt() {
	select {
	case <-c.stop:
	default:
		close(c.stop)
	}
	c.done.Wait()
}

// report stops the client and says how many requests were answered; an error if a single one was not.
func (c *client) report() (string, error) {
	c.halt()
	total := 0
	for _, n := range c.served {
		total += n
	}
	if len(c.failed) > 0 {
		return "", fmt.Errorf("%s: %d requests answered, these not: %s", c.name, total, strings.Join(c.failed, "; "))
	}
	return fmt.Sprintf("%s: all %d requests answered %v", c.name, total, c.served), nil
}
