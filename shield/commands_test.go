package shield

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/control"
	"github.com/dejpha/dejpha/evidence"
)

// running is a shield on a quiet wire, spoken to over its socket.
type running struct {
	*control.Client
	t     *testing.T
	state string
	ended chan error
	sum   *Summary
}

// runQuiet starts it; o may say more.
func runQuiet(t *testing.T, so SetupOptions, o RunOptions) *running {
	t.Helper()
	r := &running{t: t, state: t.TempDir(), ended: make(chan error, 1)}
	so.Detectors = true
	setup, err := NewSetup(so)
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	now := time.Now().UnixNano()
	o.State, o.Kind, o.Stop, o.Version, o.Socket = r.state, evidence.Live, stop, "test", filepath.Join(r.state, "dejpha.socket")
	o.Shutdown = sync.OnceFunc(func() { close(stop) })
	if len(o.Live) == 0 {
		o.Live = []capture.Live{&quietWire{frames: framesOf(t, "../samples/portscan.pcap"), now: now, step: 1e6, until: 1 << 62}}
	}
	go func() {
		var err error
		r.sum, err = setup.Run(o)
		r.ended <- err
	}()
	t.Cleanup(func() { o.Shutdown() })
	for range 1000 {
		if r.Client, err = control.Dial(o.Socket); err == nil {
			return r
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal(err)
	return nil
}

// ask has a command carried out, which must be done.
func (r *running) ask(command string, arguments, answer any) {
	r.t.Helper()
	if err := r.Ask(command, arguments, answer); err != nil {
		r.t.Fatalf("%s: %v", command, err)
	}
}

// shutdown ends the run and returns its summary.
func (r *running) shutdown() *Summary {
	r.t.Helper()
	r.ask("shutdown", nil, nil)
	if err := <-r.ended; err != nil {
		r.t.Fatal(err)
	}
	return r.sum
}

func TestShieldIsSpokenToOverItsSocket(t *testing.T) {
	r := runQuiet(t, SetupOptions{}, RunOptions{})
	for command, want := range map[string]string{"version": "test", "running-mode": "single", "capture-mode": "AF_PACKET_DEV"} {
		var got string
		if r.ask(command, nil, &got); got != want {
			t.Errorf("%s: %q", command, got)
		}
	}
	var seconds int
	if r.ask("uptime", nil, &seconds); seconds < 0 || seconds > 600 {
		t.Error("uptime:", seconds)
	}
	path := filepath.Join(r.state, "eve.json")
	eventually(t, "the attack", func() bool {
		text, err := os.ReadFile(path)
		return err == nil && strings.Contains(string(text), `"event_type":"attack"`)
	})
	if err := os.Rename(path, path+".1"); err != nil { // as logrotate does
		t.Fatal(err)
	}
	r.ask("reopen-log-files", nil, nil)
	sum := r.shutdown()
	if sum.Ledger.Received == 0 {
		t.Error("no packets were seen")
	}
	old, err := os.ReadFile(path + ".1")
	fresh, err2 := os.ReadFile(path)
	if err != nil || err2 != nil || !strings.Contains(string(old), `"event_type":"attack"`) || !bytes.HasSuffix(old, []byte("\n")) || !strings.Contains(string(fresh), `"event_type":"heartbeat"`) {
		t.Errorf("%v, %v: %d bytes in the old file, %d in the new", err, err2, len(old), len(fresh))
	}
	if _, err := os.Lstat(filepath.Join(r.state, "dejpha.socket")); !os.IsNotExist(err) {
		t.Error("the socket is left behind")
	}
}
