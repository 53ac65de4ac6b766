package shield

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/dejpha/dejpha/capture/nettest"
	"github.com/dejpha/dejpha/evidence"
)

// The real program on a real interface: somebody scans, it tells of it, and ends cleanly.
func TestScanOnARealInterface(t *testing.T) {
	bin, state := buildBinary(t), t.TempDir()
	n := nettest.Spaces(t, "shield", "attacker")
	a, b := n[0], n[1]
	nettest.Must(t, "ip", "-n", a, "link", "add", "ds0", "type", "veth", "peer", "name", "ds1", "netns", b)
	nettest.Must(t, "ip", "-n", a, "addr", "add", "10.77.0.1/24", "dev", "ds0")
	nettest.Must(t, "ip", "-n", b, "addr", "add", "10.77.0.2/24", "dev", "ds1")
	nettest.Must(t, "ip", "-n", a, "link", "set", "ds0", "up")
	nettest.Must(t, "ip", "-n", b, "link", "set", "ds1", "up")
	var says, tells bytes.Buffer
	cmd := exec.Command("ip", "netns", "exec", a, bin, "run", "-i", "ds0", "--no-console", "--set", "state="+state)
	cmd.Stdout, cmd.Stderr = &tells, &says
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		if t.Failed() {
			t.Logf("it said:\n%s%s", tells.String(), says.String())
		}
	})
	eventually(t, "the start", func() bool { // the records are opened when the interface is watched
		_, err := os.Stat(filepath.Join(state, "eve.json"))
		return err == nil
	})
	nettest.In(t, b, func() {
		for port := 1; port <= 100; port++ {
			c, err := net.DialTimeout("tcp4", fmt.Sprintf("10.77.0.1:%d", port), 5*time.Second)
			if err == nil {
				_ = c.Close()
				t.Errorf("port %d is open", port)
			} else if !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("port %d: %v", port, err)
				return
			}
		}
	})
	eventually(t, "the attack", func() bool {
		text, err := os.ReadFile(filepath.Join(state, "eve.json"))
		return err == nil && bytes.Contains(text, []byte(`"class":"scan"`))
	})
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, says.String())
	}
	if !bytes.Contains(tells.Bytes(), []byte(" 0 dropped by the kernel")) || bytes.Contains(tells.Bytes(), []byte("NOT BALANCE")) {
		t.Errorf("%s", tells.String())
	}
	scans := 0
	for _, r := range eveOf(t, state) {
		if r.Type == "attack" && r.Attack.Class == "scan" {
			scans++
			if len(r.Attack.Origin.Sources) != 1 || r.Attack.Origin.Sources[0].IP != "10.77.0.2" {
				t.Errorf("%+v", r.Attack)
			}
		}
	}
	if scans != 1 {
		t.Errorf("%d attacks of class scan", scans)
	}
	report, err := evidence.CheckAll(filepath.Join(state, "evidence"), "")
	if err != nil || !report.OK() || report.Ledger.Received < 200 {
		t.Errorf("%v: %+v", err, report)
	}
}
