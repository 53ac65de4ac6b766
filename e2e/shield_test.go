package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/dejpha/dejpha/attack"
)

// shield is the real program at work between the internet and the servers.
type shield struct {
	*process
	state string
	ended bool
}

// settings are those of a story that brings no dejpha.yaml of its own.
const settings = "protected: [10.20.0.0/24, \"fd20::/64\"]\n"

// lacking is the shield's exit code where a privilege or kernel feature is missing.
const lacking = 5

// acting has the shield do what it decides.
const acting = "block: {mode: on}\n"

// theShield is the program under test; DEJPHA names another than the one make built.
func theShield() (string, error) {
	if own := os.Getenv("DEJPHA"); own != "" {
		return filepath.Abs(own)
	}
	return filepath.Abs("../bin/dejpha")
}

// cmdShield: shield start [ARGS...] | shield stop | shield kill
func cmdShield(ts *testscript.TestScript, neg bool, args []string) {
	s := of(ts)
	if neg || len(args) == 0 || s.mode == "" || !slices.Contains([]string{"start", "stop", "kill"}, args[0]) {
		ts.Fatalf("usage, after network: shield start [ARGS...] | shield stop | shield kill")
	}
	if args[0] == "kill" {
		s.shield.kill()
		_ = os.Remove(filepath.Join(s.shield.state, "dejpha.socket")) // what it leaves must not pass for the next one's
		return
	}
	if args[0] == "stop" {
		ts.Check(s.stopShield())
		ts.Logf("%s", s.shield.said())
		return
	}
	ts.Check(s.startShield(args[1:]))
}

func (s *story) startShield(args []string) error {
	program, err := theShield()
	if err != nil {
		return err
	}
	config := filepath.Join(s.dir, "dejpha.yaml")
	text, err := os.ReadFile(config)
	if errors.Is(err, fs.ErrNotExist) {
		text = []byte(settings)
	} else if err != nil {
		return err
	}
	if !bytes.Contains(text, []byte("block:")) {
		text = append(text, acting...)
	}
	state := filepath.Join(s.dir, "state")
	if !bytes.Contains(text, []byte("\nstate:")) { // it may be started again
		text = append(text, "state: "+state+"\n"...)
	}
	if err := os.WriteFile(config, text, 0o644); err != nil {
		return err
	}
	if keep := os.Getenv("DEJPHA_E2E_KEEP"); keep != "" { // what was on the wire, for replay
		if _, err := s.start("shield", "tcpdump.out", "tcpdump", "-i", "out0", "-U", "-s", "0", "-w", filepath.Join(keep, s.name+".pcap")); err != nil {
			return err
		}
		time.Sleep(300 * time.Millisecond)
	}
	where := []string{"-i", "out0"}
	if slices.Contains(args, "--bridge") || slices.Contains(args, "-q") {
		where = nil
	}
	p, err := s.start("shield", "shield.out", slices.Concat([]string{program, "run", "-c", config, "--no-console"}, where, args)...)
	if err != nil {
		return err
	}
	s.shield = &shield{process: p, state: state}
	for range 300 {
		if said := p.said(); strings.Contains(said, "Watching") || strings.Contains(said, "Standing in the way") {
			if _, err := os.Stat(filepath.Join(state, "dejpha.socket")); err != nil { // it can be spoken to in a moment
				time.Sleep(50 * time.Millisecond)
				continue
			}
			return nil
		}
		if p.wait(50 * time.Millisecond) {
			break
		}
	}
	if x := (*exec.ExitError)(nil); errors.As(p.err, &x) && x.ExitCode() == lacking {
		s.t.Skip(strings.TrimSpace(p.said()))
	}
	return fmt.Errorf("the shield does not stand: %w: %s", p.err, p.said())
}

func (s *story) stopShield() error {
	if s.shield == nil {
		return errors.New("no shield was started")
	}
	if s.shield.ended {
		return nil
	}
	s.shield.ended = true
	if err := s.shield.cmd.Process.Signal(syscall.SIGINT); err != nil {
		return err
	}
	if !s.shield.wait(30 * time.Second) {
		s.shield.kill()
		return fmt.Errorf("the shield does not end: %s", s.shield.said())
	}
	if s.shield.err != nil {
		return fmt.Errorf("the shield failed: %w: %s", s.shield.err, s.shield.said())
	}
	return nil
}

// record is what the stories read of a line of eve.json.
type record struct {
	Type     string         `json:"event_type"`
	Attack   *attackRecord  `json:"attack"`
	Decision map[string]any `json:"decision"`
}

type attackRecord struct {
	ID      uint64
	State   string
	Class   string
	Outcome string
	Result  string
	Origin  struct {
		IP, Prefix, MAC, Domain string
		Proven                  bool
	}
	Target struct{ IPs []string }
	Story  string
}

// records reads what the shield has written so far.
func (s *story) records() ([]record, error) {
	names, err := filepath.Glob(filepath.Join(s.shield.state, "eve*.json"))
	if err != nil {
		return nil, err
	}
	var all []record
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		for line := range bytes.Lines(b) {
			if !bytes.HasSuffix(line, []byte("\n")) || !bytes.Contains(line, []byte(`"event_type":"attack"`)) && !bytes.Contains(line, []byte(`"event_type":"decision"`)) {
				continue
			}
			var r record
			if err := json.Unmarshal(line, &r); err != nil {
				return nil, fmt.Errorf("%s: %w", line, err)
			}
			all = append(all, r)
		}
	}
	return all, nil
}

// attacks are those opened so far, closed or not.
func (s *story) attacks() ([]attackRecord, error) {
	records, err := s.records()
	var all []attackRecord
	for _, r := range records {
		if r.Attack != nil && r.Attack.State == "opened" {
			all = append(all, *r.Attack)
		}
	}
	return all, err
}

// outcomes are the attacks as the stopped shield left them: what is open as it would be sealed.
func (s *story) outcomes() ([]attackRecord, error) {
	if !s.shield.ended {
		return nil, errors.New("outcomes stand when the shield has stopped: put `shield stop` before")
	}
	records, err := s.records()
	if err != nil {
		return nil, err
	}
	var all []attackRecord
	for _, r := range records {
		if r.Attack != nil && r.Attack.State == "closed" {
			all = append(all, *r.Attack)
		}
	}
	b, err := os.ReadFile(filepath.Join(s.shield.state, "evidence", "accounts"))
	if err != nil {
		return nil, err
	}
	var saved struct{ Accounts []byte }
	var open struct{ Accounts json.RawMessage }
	if err := errors.Join(json.Unmarshal(b, &saved), json.Unmarshal(saved.Accounts, &open)); err != nil {
		return nil, err
	}
	accounts := attack.New(attack.Config{Live: true})
	if err := accounts.Restore(open.Accounts); err != nil {
		return nil, err
	}
	for _, ev := range accounts.Attacks() {
		r := &ev.Record
		x := attackRecord{ID: r.ID, State: r.State, Class: r.Class, Outcome: r.Outcome, Result: r.Result, Story: r.Story}
		x.Origin.IP, x.Origin.Prefix, x.Origin.MAC, x.Origin.Domain, x.Origin.Proven = r.Origin.IP, r.Origin.Prefix, r.Origin.MAC, r.Origin.Domain, r.Origin.Proven
		x.Target.IPs = r.Target.IPs
		all = append(all, x)
	}
	return all, nil
}

// from says whether an attack comes from one that a story names: a host, an address, "unproven" or "anyone".
func (s *story) from(r *attackRecord, who string) bool {
	o := &r.Origin
	switch who {
	case "anyone":
		return true
	case "unproven":
		return o.IP == "" && o.Prefix == "" && o.Domain == ""
	}
	if a := s.hosts[who]; a != "" {
		return o.Proven && (o.IP == a || o.Prefix == outsideNet6+"/64" || o.Domain == who) // all hosts share a /64: stories over IPv6 have one attacker
	}
	a, err := netip.ParseAddr(who)
	return err == nil && o.Proven && o.IP == a.String()
}

// listed says what the shield did or keeps against an address, or "".
func (s *story) listed(address string) (string, error) {
	records, err := s.records()
	if err != nil {
		return "", err
	}
	for _, r := range records {
		if r.Decision == nil {
			continue
		}
		action := fmt.Sprint(r.Decision["action"])
		if who := fmt.Sprint(r.Decision["origin"], " ", r.Decision["prefix"]); action != "alert" && action != "rate-limit" && names(who, address) {
			return fmt.Sprint(r.Decision), nil
		}
	}
	b, err := os.ReadFile(filepath.Join(s.shield.state, "blocks.json"))
	if err == nil && names(string(b), address) {
		return "blocks.json: " + string(b), nil
	}
	return "", nil
}

// names says whether a text holds an address as a word.
func names(text, address string) bool {
	words := strings.FieldsFunc(text, func(r rune) bool { return !strings.ContainsRune("0123456789abcdefABCDEF.:", r) })
	return slices.ContainsFunc(words, func(w string) bool { return strings.Trim(w, ".:") == address })
}
