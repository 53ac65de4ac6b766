package e2e

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// debian names the package of a tool where it is called otherwise.
var debian = map[string]string{"smbclient": "smbclient", "dig": "bind9-dnsutils", "sqlmap": "sqlmap"}

// longest is how long a tool may go on.
const longest = 20 * time.Second

// cmdAttacker: attacker NAME ADDRESS
func cmdAttacker(ts *testscript.TestScript, neg bool, args []string) {
	s := of(ts)
	if neg || len(args) != 2 || s.mode == "" {
		ts.Fatalf("usage, after network: attacker NAME ADDRESS")
	}
	ts.Check(s.newHost(args[0], args[1]))
}

// cmdAttack: attack [-for TIME|-beside] NAME TOOL ARGS...
// One that is told to go on beside the story ends with it.
// How a tool ends is not asked: one that is stopped by the shield fails. With `!` it must not even start its work: no.
func cmdAttack(ts *testscript.TestScript, neg bool, args []string) {
	s, span := of(ts), longest
	if len(args) > 2 && args[0] == "-for" {
		d, err := time.ParseDuration(args[1])
		ts.Check(err)
		span, args = d, args[2:]
	}
	beside := len(args) > 2 && args[0] == "-beside"
	if beside {
		args = args[1:]
	}
	if neg || len(args) < 2 || s.hosts[args[0]] == "" {
		ts.Fatalf("usage: attack [-for TIME|-beside] NAME TOOL ARGS...; NAME is an attacker of this story")
	}
	began := time.Now()
	p, err := s.start(args[0], "tool-"+args[0]+".out", args[1:]...)
	if errors.Is(err, exec.ErrNotFound) {
		pkg := debian[args[1]]
		if pkg == "" {
			pkg = strings.TrimSpace(args[1])
			if strings.HasPrefix(pkg, "atk6-") {
				pkg = "thc-ipv6"
			}
		}
		s.t.Skip(fmt.Sprintf("needs %s (Debian package %s)", args[1], pkg))
	}
	ts.Check(err)
	if beside {
		return
	}
	if !p.wait(span) {
		p.kill()
	}
	ts.Logf("%s: %s took %.1f s: %v", args[0], args[1], time.Since(began).Seconds(), p.err)
	if said := p.said(); len(said) > 3000 {
		ts.Logf("%s...", said[:3000])
	} else {
		ts.Logf("%s", said)
	}
}
