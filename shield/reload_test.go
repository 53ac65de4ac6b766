package shield

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/evidence"
)

// pipe is a live source that yields what a test puts in.
type pipe struct {
	frames  chan capture.Frame
	idles   chan struct{} // each time nothing waits
	stop    chan struct{}
	read    uint64
	stopped bool
}

func newPipe() *pipe {
	return &pipe{frames: make(chan capture.Frame, 64), idles: make(chan struct{}, 1), stop: make(chan struct{})}
}

func (p *pipe) Next(f *capture.Frame) error {
	select {
	case *f = <-p.frames:
		p.read++
		f.Time = time.Now().UnixNano()
		return nil
	default:
	}
	if p.stopped {
		return io.EOF
	}
	select {
	case p.idles <- struct{}{}:
	case <-time.After(time.Millisecond):
	}
	f.Data, f.Time = nil, time.Now().UnixNano()
	return capture.ErrIdle
}

func (p *pipe) Stop()                { p.stopped = true }
func (p *pipe) Close() error         { return nil }
func (p *pipe) Interfaces() []string { return []string{"eth7"} }
func (p *pipe) Stats() capture.Stats { return capture.Stats{Received: p.read} }

// put hands a datagram of a client to a server and waits until the shield is through with it.
func (p *pipe) put(client byte, payload string) {
	p.frames <- datagram(client, payload)
	for range 2 { // the first may have been waiting since before
		<-p.idles
	}
}

func datagram(client byte, payload string) capture.Frame {
	b := make([]byte, 42, 42+len(payload))
	b[12] = 8
	ip := b[14:]
	ip[0], ip[8], ip[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(ip[2:], uint16(28+len(payload)))
	copy(ip[12:], []byte{198, 51, 100, client, 10, 0, 0, 1})
	binary.BigEndian.PutUint16(ip[20:], 4000)
	binary.BigEndian.PutUint16(ip[22:], 9999)
	binary.BigEndian.PutUint16(ip[24:], uint16(8+len(payload)))
	b = append(b, payload...)
	return capture.Frame{Data: b, WireLen: uint32(len(b)), LinkType: 1}
}

// alertsOf counts the alerts of a run by sid.
func alertsOf(t *testing.T, state string) map[int]int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(state, "eve.json"))
	if err != nil {
		t.Fatal(err)
	}
	n := map[int]int{}
	for _, line := range bytes.Split(text, []byte("\n")) {
		var r struct {
			Alert struct {
				SID int `json:"signature_id"`
			}
		}
		if json.Unmarshal(line, &r) == nil && r.Alert.SID != 0 {
			n[r.Alert.SID]++
		}
	}
	return n
}

type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) say(s string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, s)
}

func writeRules(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestReload(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.rules")
	writeRules(t, file, `alert udp any any -> any 9999 (msg:"a"; content:"alpha"; flowbits:set,seen; noalert; sid:1;)
alert udp any any -> any 9999 (msg:"limited"; content:"limit"; threshold:type limit, track by_src, count 1, seconds 600; sid:4;)
`)
	wire, said := newPipe(), &lines{}
	r := runQuiet(t, SetupOptions{OnlyRules: []string{file}, Checksums: "none"}, RunOptions{Live: []capture.Live{wire}, Say: said.say})
	wire.put(1, "alpha limit")
	wire.put(1, "beta")

	// A set that cannot be read, one without a good rule, and one that is not there: nothing changes.
	writeRules(t, file, "alert udp any any -> any any (msg:\"x\"; contnet:\"y\"; sid:9;)\n")
	if err := r.Ask("reload-rules", nil, nil); err == nil || !strings.Contains(err.Error(), "no rule was loaded, 1 were refused") {
		t.Error(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := r.Ask("reload-rules", nil, nil); err == nil || !strings.Contains(err.Error(), "cannot read rules") {
		t.Error(err)
	}
	var stats []struct {
		Loaded int `json:"rules_loaded"`
		Failed int `json:"rules_failed"`
	}
	if r.ask("ruleset-stats", nil, &stats); stats[0].Loaded != 2 || stats[0].Failed != 0 {
		t.Errorf("%+v", stats)
	}
	if len(said.all) != 2 || !strings.HasPrefix(said.all[0], "rules not reloaded, those in force stay: ") {
		t.Errorf("%q", said.all)
	}

	writeRules(t, file, `# the second one
alert udp any any -> any 9999 (msg:"b"; content:"beta"; flowbits:isset,seen; sid:2;)
alert udp any any -> any 9999 (msg:"limited"; content:"limit"; threshold:type limit, track by_src, count 1, seconds 600; sid:4;)
alert udp any any -> any 9999 (msg:"wrong"; nothing; sid:5;)
`)
	r.ask("reload-rules", nil, nil)
	wire.put(1, "beta limit") // the flow's bit and the threshold's count are still there
	wire.put(2, "beta")
	if r.ask("ruleset-stats", nil, &stats); stats[0].Loaded != 2 || stats[0].Failed != 1 {
		t.Errorf("%+v", stats)
	}
	var failed []struct {
		Line  int
		Error string
	}
	if r.ask("ruleset-failed-rules", nil, &failed); len(failed) != 1 || failed[0].Line != 4 || !strings.Contains(failed[0].Error, `"nothing"`) {
		t.Errorf("%+v", failed)
	}
	sum := r.shutdown()
	if l := sum.Ledger; !l.Balanced() || l.Inspected != 4 || sum.Counters.Broken != 0 {
		t.Errorf("%+v", sum.Ledger)
	}
	if n := alertsOf(t, r.state); fmt.Sprint(n) != "map[2:1 4:1]" {
		t.Errorf("alerts by sid: %v", n)
	}
	report, err := evidence.CheckAll(filepath.Join(r.state, "evidence"), "")
	if err != nil || !report.OK() {
		t.Fatal(err, report.Problems)
	}
	if n := leavesWith(t, r.state, evidence.CodeRulesChanged); n != 1 {
		t.Errorf("the log names %d changes of rules", n)
	}
}

// leavesWith counts the log's events of a code.
func leavesWith(t *testing.T, state string, code evidence.Code) (n int) {
	t.Helper()
	dir := filepath.Join(state, "evidence")
	report, err := evidence.CheckAll(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	for leaf := range report.Size {
		b, err := evidence.ReadLeaf(dir, leaf)
		if err != nil {
			t.Fatal(err)
		}
		const header = 2 // type and version
		if b[0] == 4 && evidence.Code(binary.BigEndian.Uint16(b[header:])) == code {
			n++
		}
	}
	return n
}

// A rule set that blinds the shield on its own captures is not taken.
func TestReloadIsTriedFirst(t *testing.T) {
	setup, err := NewSetup(SetupOptions{Detectors: true})
	if err != nil {
		t.Fatal(err)
	}
	l := setup.rules.Current()
	packets, err := setup.try(l)
	if err != nil || packets < 100 || len(setup.floor) < 2 {
		t.Fatalf("%v: %d packets, %v", err, packets, setup.floor)
	}
	setup.floor["made-up"] = 1
	if _, err := setup.try(l); err == nil || !strings.Contains(err.Error(), "does not find made-up any more") {
		t.Fatal(err)
	}
}

// While traffic flows rules change again and again: no packet is lost, none breaks, and each is judged.
func TestReloadsUnderTraffic(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.rules")
	set := func(i int) {
		writeRules(t, file, fmt.Sprintf("alert udp any any -> any 9999 (msg:\"all\"; content:\"every\"; sid:1;)\nalert udp any any -> any 9999 (msg:\"turn\"; content:\"turn%d\"; sid:%d;)\n", i, 10+i%7))
	}
	set(0)
	wire, other := newPipe(), newPipe()
	r := runQuiet(t, SetupOptions{OnlyRules: []string{file}, Checksums: "none"}, RunOptions{Live: []capture.Live{wire, other}})
	done, sent := make(chan struct{}), 0
	var sender sync.WaitGroup
	sender.Go(func() {
		for {
			select {
			case <-done:
				return
			case wire.frames <- datagram(byte(sent%100), "every one"):
				sent++
			case other.frames <- datagram(byte(100+sent%100), "every one"):
				sent++
			}
			time.Sleep(100 * time.Microsecond)
		}
	})
	for i := range 8 {
		set(i + 1)
		r.ask("reload-rules", nil, nil)
	}
	close(done)
	sender.Wait()
	sum := r.shutdown()
	if l := sum.Ledger; !l.Balanced() || l.Inspected != uint64(sent) || sum.Counters.Broken != 0 {
		t.Errorf("%d sent; %+v, broken %d", sent, l, sum.Counters.Broken)
	}
	if n := alertsOf(t, r.state); n[1] != sent {
		t.Errorf("%d packets, %d alerts", sent, n[1])
	}
}
