package shield

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
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

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
