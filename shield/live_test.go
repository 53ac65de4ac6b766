package shield

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/evidence"
)

// quietWire is a live source: some frames, then nothing but passing time.
type quietWire struct {
	frames  []capture.Frame
	now     int64
	step    int64
	until   int64
	stop    chan struct{}
	stopped bool
	stats   capture.Stats
	read    uint64
}

func (q *quietWire) Next(f *capture.Frame) error {
	if len(q.frames) > 0 && !q.stopped {
		*f, q.frames = q.frames[0], q.frames[1:]
		q.read++
		return nil
	}
	if q.stopped {
		return io.EOF
	}
	if q.now += q.step; q.now > q.until && q.stop != nil {
		close(q.stop)
		q.stop = nil
	}
	f.Data, f.Time = nil, q.now
	return capture.ErrIdle
}

func (q *quietWire) Stop()        { q.stopped = true }
func (q *quietWire) Close() error { return nil }

func (q *quietWire) Interfaces() []string { return []string{"eth7"} }

func (q *quietWire) Stats() capture.Stats {
	s := q.stats
	s.Received = q.read + s.Dropped + s.Skipped + s.Damaged
	return s
}

// eveRecord is what the tests ask of a line of eve.json.
type eveRecord struct {
	Type   string `json:"event_type"`
	Iface  string `json:"in_iface"`
	Attack struct {
		Class, State string
		Origin       struct {
			Sources []struct{ IP string }
		}
	}
	Heartbeat struct {
		Ledger struct {
			Received, Inspected, Bypassed, Shed, Undecodable uint64
			KernelDrops                                      uint64 `json:"kernel_drops"`
		}
	}
}

// eveOf reads the records of a run.
func eveOf(t *testing.T, state string) (all []eveRecord) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(state, "eve.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range bytes.SplitAfter(text, []byte("\n")) {
		var r eveRecord
		if len(line) == 0 {
			continue
		}
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		all = append(all, r)
	}
	return all
}

// On a wire that falls silent attacks still end and are sealed, heartbeats go on, and what the kernel lost is told.
func TestTimePassesOnAQuietWire(t *testing.T) {
	frames := framesOf(t, "../samples/portscan.pcap")
	state, stop := t.TempDir(), make(chan struct{})
	begin := time.Now().UnixNano() + 1e9
	shift := begin - frames[0].Time
	for i := range frames {
		frames[i].Time += shift
	}
	last := frames[len(frames)-1].Time
	wire := &quietWire{frames: frames, now: last, step: 1e9, until: last + int64(25*time.Minute), stop: stop,
		stats: capture.Stats{Dropped: 7, Skipped: 3, Damaged: 2}}
	setup, err := NewSetup(SetupOptions{Detectors: true})
	if err != nil {
		t.Fatal(err)
	}
	sum, err := setup.Run(RunOptions{State: state, Kind: evidence.Live, Live: []capture.Live{wire}, Stop: stop})
	if err != nil {
		t.Fatal(err)
	}
	if l := sum.Ledger; !l.Balanced() || l.KernelDrops != 7 || l.Shed != 2 || l.Received != uint64(len(frames))+9 {
		t.Errorf("%+v", sum.Ledger)
	}
	if !wire.stopped || sum.ByClass["scan"] == 0 {
		t.Errorf("stopped %v, attacks %v", wire.stopped, sum.ByClass)
	}
	beats := 0
	for _, r := range eveOf(t, state) {
		if r.Type == "flow" && r.Iface != "eth7" {
			t.Errorf("a flow on %q", r.Iface)
		}
		if r.Type != "heartbeat" {
			continue
		}
		beats++
		l := r.Heartbeat.Ledger
		if l.KernelDrops != 7 || l.Received != l.Inspected+l.Bypassed+l.KernelDrops+l.Shed+l.Undecodable {
			t.Errorf("heartbeat %d: %+v", beats, l)
		}
	}
	if beats < 25 || beats > 27 {
		t.Errorf("%d heartbeats in 25 minutes", beats)
	}
	report, err := evidence.CheckAll(filepath.Join(state, "evidence"), "")
	if err != nil || !report.OK() || report.Attacks != sum.Attacks || report.Ledger.KernelDrops != 7 {
		t.Errorf("%v: %+v", err, report)
	}
}

// Two workers, each at its own wire: everything is in the one ledger and in each worker's part, and the attacks are those
// that one worker finds in the same packets.
func TestWorkersAtTheirOwnWires(t *testing.T) {
	state, stop := t.TempDir(), make(chan struct{})
	begin := time.Now().UnixNano() + 1e9
	var wires []capture.Live
	var counts []int
	through := []chan struct{}{make(chan struct{}), make(chan struct{})} // the frames and the time after them
	for i, name := range []string{"../samples/portscan.pcap", "../samples/web-attacks.pcap"} {
		frames := framesOf(t, name)
		shift := begin - frames[0].Time
		for i := range frames {
			frames[i].Time += shift
		}
		last := frames[len(frames)-1].Time
		w := &quietWire{frames: frames, now: last, step: 1e9, until: last + int64(40*time.Minute), stop: through[i], stats: capture.Stats{Dropped: uint64(3 + i)}}
		wires, counts = append(wires, w), append(counts, len(frames))
	}
	go func() {
		<-through[0]
		<-through[1]
		close(stop)
	}()
	setup, err := NewSetup(SetupOptions{Detectors: true})
	if err != nil {
		t.Fatal(err)
	}
	sum, err := setup.Run(RunOptions{State: state, Kind: evidence.Live, Live: wires, Stop: stop})
	if err != nil {
		t.Fatal(err)
	}
	if l := sum.Ledger; !l.Balanced() || l.KernelDrops != 7 || l.Received != uint64(counts[0]+counts[1]+7) {
		t.Errorf("%+v", sum.Ledger)
	}
	for i, l := range sum.Workers {
		if l.Received != uint64(counts[i]+3+i) || l.KernelDrops != uint64(3+i) {
			t.Errorf("worker %d: %+v of %d", i, l, counts[i])
		}
	}
	if len(sum.Workers) != 2 || sum.ByClass["scan"] != 1 || sum.ByClass["web-attack"] != 1 {
		t.Errorf("%v", sum.ByClass)
	}
}

// The real program on a real interface: somebody scans, it tells of it, and ends cleanly.
func TestScanOnARealInterface(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root for network namespaces")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs ip (Debian package iproute2)")
	}
	bin, state := buildBinary(t), t.TempDir()
	a, b := fmt.Sprintf("dejpha-s%d-a", os.Getpid()), fmt.Sprintf("dejpha-s%d-b", os.Getpid())
	for _, n := range []string{a, b} {
		if out, err := exec.Command("ip", "netns", "add", n).CombinedOutput(); err != nil {
			t.Skipf("no network namespaces here: %v %s", err, out)
		}
		t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", n).Run() })
	}
	for _, args := range [][]string{
		{"-n", a, "link", "add", "ds0", "type", "veth", "peer", "name", "ds1", "netns", b},
		{"-n", a, "addr", "add", "10.77.0.1/24", "dev", "ds0"}, {"-n", b, "addr", "add", "10.77.0.2/24", "dev", "ds1"},
		{"-n", a, "link", "set", "ds0", "up"}, {"-n", b, "link", "set", "ds1", "up"},
	} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v\n%s", args, err, out)
		}
	}
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
	scan := exec.Command("ip", "netns", "exec", b, os.Args[0], "-test.run=^TestScanAsAnotherProcess$")
	scan.Env = append(os.Environ(), "DEJPHA_SCAN=10.77.0.1")
	if out, err := scan.CombinedOutput(); err != nil {
		t.Fatalf("scanning: %v\n%s", err, out)
	}
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

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
