package shield

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/console"
	"github.com/dejpha/dejpha/control"
)

// pairWire is a quiet wire of two interfaces, of which the second is down and has lost frames.
type pairWire struct{ quietWire }

func (*pairWire) Interfaces() []string { return []string{"eth7", "eth8"} }

func (w *pairWire) Faces(into []capture.Face) []capture.Face {
	return append(into, capture.Face{Name: "eth7", Mode: "tap", Stats: w.Stats()}, capture.Face{Name: "eth8", Mode: "tap", Down: true, Stats: capture.Stats{Received: 3, Dropped: 3}})
}

// onlooker takes what a console is told of whom to ask.
type onlooker struct {
	operator atomic.Pointer[console.Operator]
	blocker  atomic.Pointer[console.Blocker]
}

func (*onlooker) Attack(attack.Record)                 {}
func (*onlooker) Packets(uint64, []Packet)             {}
func (*onlooker) Ledger(Ledger, int, int64)            {}
func (o *onlooker) Operating(x console.Operator)       { o.operator.Store(&x) }
func (o *onlooker) Blocking(x console.Blocker)         { o.blocker.Store(&x) }
func (o *onlooker) watch(_, _ string) (Watcher, error) { return o, nil }

func TestInterfacesRulesAndSettingsAreTold(t *testing.T) {
	rules := filepath.Join(t.TempDir(), "a.rules")
	write := func(text string) {
		if err := os.WriteFile(rules, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const good = "alert tcp any any -> any any (msg:\"a\"; content:\"x\"; sid:1;)\n"
	write(good + "alert tcp any any -> any any (msg:\"b\"; contnet:\"x\"; sid:2;)\n")
	seen := &onlooker{}
	wire := &pairWire{quietWire{frames: framesOf(t, "../samples/portscan.pcap"), now: time.Now().UnixNano(), step: 1e6, until: 1 << 62}}
	n := uint64(len(wire.frames))
	r := runQuiet(t, SetupOptions{OnlyRules: []string{rules}, Workers: 1, Running: true, Sets: []string{"memory=64 MiB"}}, RunOptions{Live: []capture.Live{wire}, Watch: seen.watch})

	var value string
	if r.ask("conf-get", map[string]string{"variable": "memory"}, &value); value != "64 MiB" {
		t.Errorf("conf-get: %q", value)
	}
	for _, name := range []string{"", "state"} {
		if err := r.Ask("conf-get", map[string]string{"variable": name}, nil); !errors.Is(err, control.ErrRefused) {
			t.Errorf("conf-get %q: %v", name, err)
		}
	}
	var first, second struct{ Pkts, Drop uint64 }
	eventually(t, "all frames", func() bool {
		r.ask("iface-stat", map[string]string{"iface": "eth7"}, &first)
		r.ask("iface-stat", map[string]string{"iface": "eth8"}, &second)
		return first.Pkts == n && second.Drop == 3
	})
	operator := *seen.operator.Load()
	faces, err := operator.Interfaces()
	if err != nil || len(faces) != 2 || faces[0].Received != n || faces[0].Inspected+faces[0].Undecodable != n || !faces[0].Up || faces[1].Up || faces[1].Dropped != 3 || faces[1].Received != 3 {
		t.Errorf("%+v %v", faces, err)
	}
	set := operator.RuleSet()
	if !set.On || set.Loaded != 1 || set.Refused != 1 || len(set.Refusals) != 1 || set.Refusals[0].Line != 2 || set.Refusals[0].File != rules || set.Refusals[0].SID != 2 {
		t.Errorf("%+v", set)
	}
	write(good)
	if said, err := operator.Renew(); err != nil || !strings.Contains(said, "1 in force, 0 refused") {
		t.Errorf("%q %v", said, err)
	}
	write("alert tcp any any -> any any (contnet:\"x\"; sid:2;)\n")
	if _, err := operator.Renew(); err == nil || !strings.Contains(err.Error(), rules+":1:") {
		t.Errorf("a set without a rule: %v", err)
	}
	if set := operator.RuleSet(); set.Loaded != 1 || set.Refused != 0 {
		t.Errorf("after a reload that failed: %+v", set)
	}
	if b, err := (*seen.blocker.Load()).Blocks(); err != nil || b.Mode != "rehearsal" || b.Price == nil {
		t.Errorf("%+v %v", b, err)
	}
	r.shutdown()
}
