package shield

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/behaviour"
	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/config"
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/flow"
	"github.com/dejpha/dejpha/shield/trial"
)

// between is a source in the traffic's way.
type between struct {
	quietWire
	verdicts []capture.Verdict
	injected []uint16
	released bool
	gap      *capture.Gap
}

func (w *between) Verdict(v capture.Verdict) error { w.verdicts = append(w.verdicts, v); return nil }
func (w *between) Inject(iface uint16, _ []byte) error {
	w.injected = append(w.injected, iface)
	return nil
}
func (w *between) Release() { w.released = true; w.Stop() }
func (w *between) Unprotected() (g capture.Gap, ok bool) {
	if w.gap == nil {
		return g, false
	}
	g, w.gap = *w.gap, nil
	return g, true
}

// conversation is the handshake of one connection and what the client says, as a live source has it.
func conversation(from int64, says ...string) (frames []capture.Frame) {
	x := &wire{seq: [2]uint32{1000, 9000}}
	add := func(b []byte) {
		frames = append(frames, capture.Frame{Data: b, WireLen: uint32(len(b)), LinkType: 1, Time: from + int64(len(frames))*1e6, Unsummed: true, Interface: uint16(b[11] - 1)})
	}
	add(x.frame(0, 2, nil))
	add(x.frame(1, 18, nil))
	add(x.frame(0, 16, nil))
	for _, s := range says {
		add(x.frame(0, 24, []byte(s)))
	}
	return frames
}

func inTheWay(t *testing.T, rules string) *Setup {
	t.Helper()
	name := filepath.Join(t.TempDir(), "own.rules")
	if err := os.WriteFile(name, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	setup, err := NewSetup(SetupOptions{Detectors: true, Checksums: "none", OnlyRules: []string{name}, Running: true, Inline: true})
	if err != nil {
		t.Fatal(err)
	}
	return setup
}

// Every frame gets its verdict, what is rejected is told to both ends on their interfaces, an observation of what was stopped
// says so, and time without protection is in the log before the source forgets it.
func TestInTheWay(t *testing.T) {
	began := time.Now().UnixNano() + 1e9
	stop, recorded := make(chan struct{}), false
	frames := conversation(began, "fine", "an evil deed", "and more")
	src := &between{quietWire: quietWire{frames: frames, now: began + 1e9, step: 1e9, until: began + 5e9, stop: stop}}
	src.gap = &capture.Gap{From: began - 5e9, To: began - 3e9, Passed: 7, Stopped: 1, Done: func() { recorded = true }}
	setup := inTheWay(t, `rejectboth tcp any any -> any any (content:"evil deed"; classtype:web-application-attack; priority:1; sid:1;)`)
	state := t.TempDir()
	sum, err := setup.Run(RunOptions{State: state, Kind: evidence.Live, Live: []capture.Live{src}, Stop: stop})
	if err != nil {
		t.Fatal(err)
	}
	a, d := capture.Accept, capture.Drop
	if want := []capture.Verdict{a, a, a, a, d, d}; len(src.verdicts) != len(want) || src.verdicts[3] != a || src.verdicts[4] != d || src.verdicts[5] != d {
		t.Errorf("verdicts %v, want %v", src.verdicts, want)
	}
	if from := frames[4].Interface; len(src.injected) != 2 || src.injected[0] != from || src.injected[1] != 1-from {
		t.Errorf("told on interfaces %v", src.injected)
	}
	if sum.Counters.Stopped != 2 || sum.Counters.Told != 2 || sum.Unprotected != 2*time.Second || !recorded || !sum.Ledger.Balanced() {
		t.Errorf("%+v %+v, on record: %v", sum.Counters, sum.Ledger, recorded)
	}
}

// What came with the stopped packet as a whole is stopped; of what lies across packets a part has passed.
func TestStoppedAsAWhole(t *testing.T) {
	for _, k := range []struct {
		says []string
		want bool
	}{{[]string{"fine", "an evil deed"}, true}, {[]string{"an evil", " deed"}, false}} {
		setup := inTheWay(t, `drop tcp any any -> any any (content:"evil deed"; classtype:web-application-attack; sid:1;)`)
		setup.settings.stops, setup.settings.recording = true, false
		w := newWorker(&setup.settings, 0)
		w.out = &epoch{}
		for i, f := range conversation(1700000000e9, k.says...) {
			w.frame(&f, uint64(i+1), f.Time)
		}
		if len(w.out.matches) != 1 || w.out.matches[0].stopped != k.want {
			t.Errorf("%q: %d matches, stopped: %v", k.says, len(w.out.matches), len(w.out.matches) == 1 && w.out.matches[0].stopped)
		}
	}
}

// The kernel is told once of a flow whose ends both showed that they are there, and not of one that did not.
func TestAProvenFlowIsVouchedForOnce(t *testing.T) {
	for cut, want := range map[int]int{0: 1, 2: 0} { // of a handshake without its third segment nothing is known
		setup := inTheWay(t, `alert tcp any any -> any any (content:"never"; sid:1;)`)
		var told []string
		setup.settings.vouch = func(f *flow.Flow) { told = append(told, f.Client.Netip().String()) }
		w := newWorker(&setup.settings, 0)
		w.out = &epoch{}
		frames := conversation(1700000000e9, "one", "two", "three")
		if cut > 0 {
			frames = frames[:cut]
		}
		for i, f := range frames {
			w.frame(&f, uint64(i+1), f.Time)
		}
		if len(told) != want {
			t.Errorf("told %v, want %d", told, want)
		}
	}
}

// Who is blocked is dropped at once, without a look; whoever is not goes on.
func TestBarred(t *testing.T) {
	setup := inTheWay(t, `alert tcp any any -> any any (content:"never"; sid:1;)`)
	setup.settings.inTheWay([]capture.Live{&between{}})
	w := newWorker(&setup.settings, 0)
	w.out = &epoch{}
	m := &merger{set: &setup.settings}
	frames := conversation(1700000000e9, "fine")
	blocked := netip.PrefixFrom(netip.MustParseAddr("10.0.0.1"), 32)
	for i, f := range frames {
		if i == 3 && !m.bar(&attack.Decision{Action: attack.ActionBlock, Prefix: blocked, Time: f.Time, Until: f.Time + 1e9}) {
			t.Fatal("not barred")
		}
		if got := w.frame(&f, uint64(i+1), f.Time); (got == capture.Drop) != (i == 3) {
			t.Errorf("frame %d: %v", i, got)
		}
	}
	if l := w.out.ledger; w.counts.Barred != 1 || l.Shed != 1 || l.Inspected != 3 || !l.Balanced() {
		t.Errorf("%+v", l)
	}
	if m.bar(&attack.Decision{Action: attack.ActionBlock, Prefix: blocked, Rate: 5}) {
		t.Error("a limited source was barred")
	}
}

// A shield in the way that nobody confirms steps aside: everything passes, and the run says why it ended.
func TestUnconfirmed(t *testing.T) {
	began := time.Now().UnixNano() + 1e9
	src := &between{quietWire: quietWire{now: began, step: 1e6, until: 1 << 62}}
	setup := inTheWay(t, `alert tcp any any -> any any (content:"never"; sid:1;)`)
	_, err := setup.Run(RunOptions{State: t.TempDir(), Kind: evidence.Live, Live: []capture.Live{src}, Trial: time.Millisecond})
	if !errors.Is(err, trial.ErrUnconfirmed) || !src.released {
		t.Errorf("%v, released: %v", err, src.released)
	}
}

// What a detector concludes is foiled if every packet that it heard of was stopped, contained if some had gone on.
func TestDetectorsFindingsKnowWhatWasStopped(t *testing.T) {
	for _, x := range []struct{ name, rules, outcome string }{
		{"nothing", `alert tcp any any -> any any (content:"never"; sid:1;)`, attack.Observed},
		{"every SYN", `drop tcp any any -> any any (flags:S; classtype:misc-activity; sid:1;)`, attack.Foiled},
		{"SYNs to high ports", `drop tcp any any -> any 81:65535 (flags:S; classtype:misc-activity; sid:1;)`, attack.Contained},
	} {
		t.Run(x.name, func(t *testing.T) {
			began := time.Now().UnixNano() + 1e9
			frames := framesOf(t, "../samples/portscan.pcap")
			if x.outcome == attack.Foiled { // what never came is not answered
				frames = slices.DeleteFunc(frames, func(f capture.Frame) bool { return f.Data[47] != decode.SYN })
			}
			shift := began - frames[0].Time
			for i := range frames {
				frames[i].Time += shift
			}
			last := frames[len(frames)-1].Time
			stop := make(chan struct{})
			src := &between{quietWire: quietWire{frames: frames, now: last, step: 1e9, until: last + int64(40*time.Minute), stop: stop}}
			setup := inTheWay(t, x.rules)
			sum, err := setup.Run(RunOptions{State: t.TempDir(), Kind: evidence.Live, Live: []capture.Live{src}, Stop: stop, Trial: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			if sum.ByClass["scan"] != 1 || sum.Attacks != 1 || sum.ByOutcome[x.outcome] != 1 {
				t.Errorf("%v %v, %d frames stopped; expected one scan, %s", sum.ByClass, sum.ByOutcome, sum.Counters.Stopped, x.outcome)
			}
		})
	}
}

// Of an unproven origin the side is that of the interface.
func TestInsideIsTheInterfaces(t *testing.T) {
	s := &settings{config: &config.Config{Inside: map[string]bool{"eth2": true}}, interfaces: []string{"eth1", "eth2"}}
	for iface, want := range []bool{false, true, false} {
		if got := s.insideFrame(uint16(iface)); got != want {
			t.Errorf("interface %d: inside %v", iface, got)
		}
	}
	m := &merger{set: s}
	if o := m.fromFinding(&behaviour.Finding{Interface: 1}); !o.InsideFrame {
		t.Error("a finding does not know its interface's side")
	}
}

// The kernel is told of a server that answers the question that was asked, not of one that answers another.
func TestAnEchoProvesTheServer(t *testing.T) {
	message := func(id, flags byte) []byte {
		return append([]byte{0, id, flags, 0, 0, 1, 0, 0, 0, 0, 0, 0, 7}, "example\x00\x00\x01\x00\x01"...)
	}
	for answer, want := range map[byte]int{7: 1, 8: 0} {
		told := 0
		w := &worker{set: &settings{answered: func(*flow.Flow) { told++ }}}
		f := &flow.Flow{ServerPort: 53, Proto: decode.ProtoUDP}
		w.echoed(&decode.Packet{Payload: message(7, 1)}, f, flow.ToServer)
		for range 2 {
			w.echoed(&decode.Packet{Payload: message(answer, 0x81)}, f, flow.ToClient)
		}
		if told != want || f.Proven {
			t.Errorf("answer %d: told %d times, expected %d; the client is proven: %v", answer, told, want, f.Proven)
		}
	}
}
