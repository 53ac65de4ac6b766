package e2e

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/dejpha/dejpha/attack"
)

// soon is how long a story waits for what must come.
const soon = 15 * time.Second

const expectUsage = `usage:
  expect [!] attack CLASS[|CLASS] from NAME|unproven|anyone
  expect foiled|contained|stopped|observed CLASS from NAME|unproven|anyone (after shield stop)
  expect blocked|free NAME...
  expect unlisted NAME|ADDRESS...
  expect served CLIENT...`

// cmdExpect demands what must have come of it.
func cmdExpect(ts *testscript.TestScript, neg bool, args []string) {
	s := of(ts)
	if len(args) < 2 || s.shield == nil || neg && args[0] != "attack" {
		ts.Fatalf("after shield start, %s", expectUsage)
	}
	switch args[0] {
	case "attack", "foiled", "contained", "stopped", "observed":
		if len(args) != 4 || args[2] != "from" {
			ts.Fatalf("%s", expectUsage)
		}
		s.expectAttack(ts, neg, args[0], strings.Split(args[1], "|"), args[3])
	case "blocked", "free":
		for _, name := range args[1:] {
			ts.Check(s.expectDoor(name, args[0] == "blocked"))
		}
	case "unlisted":
		for _, name := range args[1:] {
			ts.Check(s.expectUnlisted(name))
		}
	case "served":
		for _, name := range args[1:] {
			s.expectServed(ts, name)
		}
	default:
		ts.Fatalf("%s", expectUsage)
	}
}

func (s *story) expectAttack(ts *testscript.TestScript, neg bool, how string, classes []string, who string) {
	for _, c := range classes {
		if attack.ClassIndex(c) < 0 && c != "any" {
			ts.Fatalf("no class %q", c)
		}
	}
	fits := func(r attackRecord) bool {
		right := how == "attack" || r.Outcome == how || how == "stopped" && (r.Outcome == attack.Foiled || r.Outcome == attack.Contained)
		return right && (slices.Contains(classes, r.Class) || classes[0] == "any") && s.from(&r, who)
	}
	if how != "attack" {
		all, err := s.outcomes()
		ts.Check(err)
		if !slices.ContainsFunc(all, fits) {
			ts.Fatalf("no %s attack of class %v from %s; there are:%s", how, classes, who, told(all))
		}
		return
	}
	var all []attackRecord
	for end := time.Now().Add(soon); ; time.Sleep(100 * time.Millisecond) {
		var err error
		all, err = s.attacks()
		ts.Check(err)
		if found := slices.ContainsFunc(all, fits); neg && found {
			ts.Fatalf("an attack of class %v from %s:%s", classes, who, told(all))
		} else if found || neg {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("no attack of class %v from %s; there are:%s", classes, who, told(all))
		}
	}
}

func told(all []attackRecord) string {
	var b strings.Builder
	for _, r := range all {
		fmt.Fprintf(&b, "\n  %d %s %s: %s", r.ID, r.Class, r.Outcome, r.Story)
	}
	if len(all) == 0 {
		return " none"
	}
	return b.String()
}

// expectDoor knocks at a server: whoever is blocked gets no answer at all.
func (s *story) expectDoor(name string, shut bool) error {
	if s.hosts[name] == "" {
		return fmt.Errorf("no host %q", name)
	}
	port := 0
	var at string
	for _, n := range serverNames {
		if s.served[n] {
			port, at = services[n].ports[0], addressOf[n]
			break
		}
	}
	if port == 0 {
		return errors.New("no server to knock at")
	}
	var err error
	for end := time.Now().Add(soon); ; time.Sleep(200 * time.Millisecond) {
		err = s.within(name, func() error {
			c, err := net.DialTimeout("tcp", fmt.Sprintf("%s:%d", at, port), 1500*time.Millisecond)
			if err == nil {
				_ = c.Close()
			}
			return err
		})
		if shut == (err != nil) {
			return nil
		}
		if time.Now().After(end) {
			break
		}
	}
	if shut {
		return fmt.Errorf("%s is not blocked: %s:%d answers", name, at, port)
	}
	return fmt.Errorf("%s is blocked: %w", name, err)
}

func (s *story) expectUnlisted(name string) error {
	address := name
	if a := s.hosts[name]; a != "" {
		address = a
	}
	why, err := s.listed(address)
	if err == nil && why != "" {
		err = fmt.Errorf("%s is listed: %s", name, why)
	}
	return err
}

// expectServed stops honest clients: every request was answered, and nobody counted them among the attackers.
func (s *story) expectServed(ts *testscript.TestScript, name string) {
	c := s.clients[name]
	if c == nil {
		ts.Fatalf("no client %q", name)
	}
	text, err := c.report()
	ts.Check(err)
	ts.Logf("%s", text)
	ts.Check(s.expectUnlisted(name))
	all, err := s.attacks()
	ts.Check(err)
	for i := range all {
		if s.hosts[name] == all[i].Origin.IP {
			ts.Fatalf("%s is called an attacker:%s", name, told(all[i:i+1]))
		}
	}
}
