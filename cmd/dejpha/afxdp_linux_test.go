package main

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/dejpha/dejpha/capture/nettest"
)

const datagramRules = `alert udp any any -> any 5300 (msg:"evil"; content:"evil deed"; classtype:web-application-attack; sid:1000003; rev:1;)
`

// The real program, confined, takes frames by AF_XDP, and takes an interface again that was made anew.
func TestWatchesThroughAFXDP(t *testing.T) {
	l := nettest.Routed(t)
	rules := filepath.Join(t.TempDir(), "datagrams.rules")
	if err := os.WriteFile(rules, []byte(datagramRules), 0o600); err != nil {
		t.Fatal(err)
	}
	p := launch(t, l, t.TempDir(), "--af-xdp", nettest.Left, "--workers", "2", "-k", "none", "-S", rules)
	p.expect(t, "left: frames are taken by AF_XDP")
	p.expect(t, "Watching left") // confined from here, in a build that can be
	attack := func() {
		t.Helper()
		// Nobody answers for the address: what is taken does not reach the machine.
		nettest.Must(t, "ip", "-n", l.Attacker, "neigh", "replace", "10.77.1.1", "lladdr", "02:00:00:00:00:01", "dev", "eth")
		nettest.In(t, l.Attacker, func() {
			c, err := net.Dial("udp4", "10.77.1.1:5300")
			if err == nil {
				_, err = c.Write([]byte("an evil deed"))
				c.Close()
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	attack()
	nettest.Must(t, "ip", "-n", l.Shield, "link", "del", nettest.Left)
	p.expect(t, "left is gone; waiting for one of that name")
	nettest.Must(t, "ip", "-n", l.Shield, "link", "add", nettest.Left, "type", "veth", "peer", "name", "eth", "netns", l.Attacker)
	nettest.Must(t, "ip", "-n", l.Attacker, "addr", "add", nettest.AttackerIP+"/24", "dev", "eth")
	nettest.Must(t, "ip", "-n", l.Attacker, "link", "set", "eth", "up")
	nettest.Must(t, "ip", "-n", l.Shield, "link", "set", nettest.Left, "up")
	p.expect(t, "left is back, by ")
	attack()
	if sum := p.stop(t); !regexp.MustCompile(`(?m)^\s*alerts +2\b`).MatchString(sum) {
		t.Error(sum)
	}
}
