package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dejpha/dejpha/capture/afxdp"
	"github.com/dejpha/dejpha/capture/bridge"
	"github.com/dejpha/dejpha/capture/nettest"
)

// A shield in the way, as its user runs it: the real program in a namespace between an attacker and a server.

const (
	wait  = 30 * time.Second // for what must happen
	quiet = time.Second      // for what must not
)

const inlineRules = `drop tcp any any -> any 80 (msg:"evil"; content:"evil deed"; priority:1; classtype:web-application-attack; sid:1000001; rev:1;)
rejectboth tcp any any -> any 80 (msg:"rude"; content:"rude deed"; classtype:web-application-attack; sid:1000002; rev:1;)
`

// program is the running shield.
type program struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
	out   bytes.Buffer
	mu    sync.Mutex
	state string
	done  chan error
}

// start runs dejpha in the shield's namespace and waits until it stands there.
func start(t *testing.T, l *nettest.Line, state string, args ...string) *program {
	t.Helper()
	p := launch(t, l, state, args...)
	p.expect(t, "Standing in the way")
	return p
}

// launch runs dejpha in the shield's namespace.
func launch(t *testing.T, l *nettest.Line, state string, args ...string) *program {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	name, rules := filepath.Join(dir, "dejpha"), filepath.Join(dir, "own.rules")
	if err := errors.Join(os.Symlink(self, name), os.WriteFile(rules, []byte(inlineRules), 0o600)); err != nil {
		t.Fatal(err)
	}
	args = append([]string{"run", "--no-console", "-S", rules, "--set", "state=" + state}, args...)
	p := &program{cmd: exec.Command(name, args...), state: state, done: make(chan error, 1)}
	p.cmd.Stderr = p
	p.cmd.Stdout = p
	nettest.In(t, l.Shield, func() { err = p.cmd.Start() })
	if err != nil {
		t.Fatal(err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	return p
}

// Write takes what the program says.
func (p *program) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

func (p *program) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

func (p *program) expect(t *testing.T, text string) {
	t.Helper()
	for end := time.Now().Add(wait); !strings.Contains(p.said(), text); time.Sleep(10 * time.Millisecond) {
		select {
		case err := <-p.done:
			p.done <- err
			if strings.Contains(p.said(), bridge.ErrKernel.Error()) || strings.Contains(p.said(), afxdp.ErrKernel.Error()) {
				t.Skip(p.said())
			}
			t.Fatalf("the program ended (%v) and said:\n%s", err, p.said())
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("it never said %q:\n%s", text, p.said())
		}
	}
}

// stop ends the program as Ctrl-C does and returns its summary.
func (p *program) stop(t *testing.T) string {
	t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGINT)
	select {
	case err := <-p.done:
		if err != nil {
			t.Fatalf("%v\n%s", err, p.said())
		}
	case <-time.After(wait):
		t.Fatalf("it does not end:\n%s", p.said())
	}
	return p.said()
}

// web is a server that answers every line with the same line.
type web struct {
	mu  sync.Mutex
	got bytes.Buffer
	rst int
}

func serve(t *testing.T, l *nettest.Line) *web {
	t.Helper()
	s := &web{}
	var listener net.Listener
	var err error
	nettest.In(t, l.Server, func() { listener, err = net.Listen("tcp4", nettest.ServerIP+":80") })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go s.talk(c)
		}
	}()
	return s
}

func (s *web) talk(c net.Conn) {
	defer c.Close()
	b := make([]byte, 64<<10)
	for {
		n, err := c.Read(b)
		s.mu.Lock()
		s.got.Write(b[:n])
		if errors.Is(err, syscall.ECONNRESET) {
			s.rst++
		}
		s.mu.Unlock()
		if err != nil {
			return
		}
		if _, err := c.Write(b[:n]); err != nil {
			return
		}
	}
}

func (s *web) saw(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Contains(s.got.Bytes(), []byte(text))
}

func (s *web) resets() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rst
}

// dial opens a connection from the attacker's end.
func dial(t *testing.T, l *nettest.Line, most time.Duration) (net.Conn, error) {
	t.Helper()
	var c net.Conn
	var err error
	nettest.In(t, l.Attacker, func() { c, err = net.DialTimeout("tcp4", nettest.ServerIP+":80", most) })
	if err == nil {
		t.Cleanup(func() { c.Close() })
	}
	return c, err
}

// say sends lines one after the other and returns what came back of them; for the last one it waits a given time.
func say(t *testing.T, l *nettest.Line, most time.Duration, lines ...string) (string, error) {
	t.Helper()
	c, err := dial(t, l, wait)
	if err != nil {
		return "", err
	}
	var got bytes.Buffer
	b := make([]byte, 64<<10)
	for i, line := range lines {
		patience := wait
		if i == len(lines)-1 {
			patience = most
		}
		if _, err := c.Write([]byte(line)); err != nil {
			return got.String(), err
		}
		for want := got.Len() + len(line); got.Len() < want; {
			_ = c.SetReadDeadline(time.Now().Add(patience))
			n, err := c.Read(b)
			got.Write(b[:n])
			if err != nil {
				return got.String(), err
			}
		}
	}
	return got.String(), nil
}

// good is a conversation that must come through, whatever happens beside it.
func good(t *testing.T, l *nettest.Line) {
	t.Helper()
	lines := []string{"hello\n", strings.Repeat("a good deed\n", 5000), "bye\n"}
	if got, err := say(t, l, wait, lines...); err != nil || got != strings.Join(lines, "") {
		t.Errorf("a good conversation came back with %d bytes: %v", len(got), err)
	}
}

// stopped holds a shield to its rules.
func stopped(t *testing.T, l *nettest.Line, s *web) {
	t.Helper()
	good(t, l)
	if got, err := say(t, l, quiet, "before\n", "an evil deed\n"); !errors.Is(err, os.ErrDeadlineExceeded) || got != "before\n" {
		t.Errorf("dropped: %q came back: %v", got, err)
	}
	if got, err := say(t, l, quiet, "before\n", "an evil", " deed\n"); !errors.Is(err, os.ErrDeadlineExceeded) || got != "before\nan evil" {
		t.Errorf("dropped across two packets: %q came back: %v", got, err)
	}
	was := s.resets()
	if got, err := say(t, l, wait, "before\n", "a rude deed\n"); !errors.Is(err, syscall.ECONNRESET) || got != "before\n" {
		t.Errorf("rejected: %q came back: %v", got, err)
	}
	for end := time.Now().Add(wait); s.resets() == was; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the server was not told of the reset")
		}
	}
	if s.saw("evil deed") || s.saw("rude deed") {
		t.Error("the server saw what was to be stopped")
	}
	good(t, l)
}

var ledgerLine = regexp.MustCompile(`packets +(\d+) received = (\d+) inspected \+ 0 bypassed \+ 0 dropped by the kernel \+ 0 shed \+ \d+ undecodable\n`)

// account holds a run's summary and records to what happened.
func account(t *testing.T, p *program, summary string) {
	t.Helper()
	if !ledgerLine.MatchString(summary) || !strings.Contains(summary, "frames of ours told of it") {
		t.Errorf("the ledger:\n%s", summary)
	}
	text, err := os.ReadFile(filepath.Join(p.state, "eve.json"))
	if err != nil {
		t.Fatal(err)
	}
	actions := map[string]string{}
	for line := range bytes.Lines(text) {
		var e struct {
			Kind  string `json:"event_type"`
			Alert struct{ Action, Signature string }
		}
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		if e.Kind == "alert" {
			actions[e.Alert.Signature] = e.Alert.Action
		}
	}
	if actions["evil"] != "blocked" || actions["rude"] != "blocked" {
		t.Errorf("alerts: %v", actions)
	}
}

// unbridge takes the bridge away when the test is over, so that nothing of it stays pinned.
func unbridge(t *testing.T, l *nettest.Line) {
	t.Cleanup(func() {
		nettest.In(t, l.Shield, func() {
			if err := bridge.Remove(nettest.Left, nettest.Right, ""); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Error(err)
			}
		})
	})
}

// confirmed is a state folder whose shield a person has confirmed.
func confirmed(t *testing.T) string {
	t.Helper()
	state := t.TempDir()
	if err := os.WriteFile(filepath.Join(state, "inline-confirmed"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return state
}

var between = nettest.Left + "," + nettest.Right

// Between two interfaces attacks are stopped before they reach the server, and nothing else is.
func TestBridgeStopsAttacks(t *testing.T) {
	l := nettest.Joined(t)
	unbridge(t, l)
	state := t.TempDir()
	p := start(t, l, state, "--bridge", between, "--set", "inline.patience=60s")
	p.expect(t, "for the first time")
	var out bytes.Buffer
	if code := run([]string{"confirm", "--set", "state=" + state}, &out, &out); code != 0 {
		t.Fatalf("confirm: %s", out.String())
	}
	stopped(t, l, serve(t, l))
	account(t, p, p.stop(t))
	if !strings.Contains(p.said(), "dejpha unbridge left,right") {
		t.Errorf("nobody says how the bridge ends:\n%s", p.said())
	}
	good(t, l) // the kernel goes on
}

// At netfilter's queues the same.
func TestQueueStopsAttacks(t *testing.T) {
	if _, err := exec.LookPath("iptables-legacy"); err != nil {
		t.Skip("needs iptables-legacy (Debian package iptables)")
	}
	l := nettest.Routed(t)
	out, err := exec.Command("ip", "netns", "exec", l.Shield, "iptables-legacy", "-A", "FORWARD", "-j", "NFQUEUE", "--queue-balance", "3:4", "--queue-bypass").CombinedOutput()
	if err != nil {
		t.Skipf("the kernel lacks iptables' NFQUEUE target: %s", out)
	}
	p := start(t, l, confirmed(t), "-q", "3:4")
	stopped(t, l, serve(t, l))
	account(t, p, p.stop(t))
	good(t, l)
}

// A process that is killed, or hangs, leaves the line as it was told to; when it is back, the time without it is on record.
func TestLineOutlivesProcess(t *testing.T) {
	for _, way := range []struct {
		name, failure string
		signal        syscall.Signal
	}{{"killed, pass", "pass", syscall.SIGKILL}, {"hung, pass", "pass", syscall.SIGSTOP}, {"killed, block", "block", syscall.SIGKILL}, {"hung, block", "block", syscall.SIGSTOP}} {
		t.Run(way.name, func(t *testing.T) {
			l := nettest.Joined(t)
			unbridge(t, l)
			state := confirmed(t)
			p := start(t, l, state, "--bridge", between, "--on-failure", way.failure)
			serve(t, l)
			good(t, l)
			if err := p.cmd.Process.Signal(way.signal); err != nil {
				t.Fatal(err)
			}
			if way.failure == "pass" {
				good(t, l)
			} else {
				time.Sleep(quiet) // more than its patience
				if _, err := dial(t, l, quiet); err == nil {
					t.Error("a connection in spite of block")
				}
			}
			if way.signal == syscall.SIGSTOP {
				_ = p.cmd.Process.Signal(syscall.SIGCONT)
			} else {
				<-p.done
				p = start(t, l, state, "--bridge", between, "--on-failure", way.failure)
			}
			p.expect(t, "unprotected from")
			good(t, l)
			if summary := p.stop(t); strings.Contains(summary, "BALANCE") || !regexp.MustCompile(`unprotected [0-9.]+ s`).MatchString(summary) {
				t.Errorf("summary:\n%s", summary)
			}
			var out bytes.Buffer
			if code := run([]string{"verify", state}, &out, io.Discard); code != 0 {
				t.Errorf("the log does not verify: %s", out.String())
			}
		})
	}
}
