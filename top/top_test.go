package top

import (
	"strings"
	"testing"

	"github.com/dejpha/dejpha/figures"
)

func TestLines(t *testing.T) {
	before := &figures.Figures{Uptime: 10, Ledger: figures.Ledger{Received: 1000, Inspected: 1000}}
	now := &figures.Figures{Uptime: 12, Kind: "live", Interfaces: []string{"eth0"}, Version: "v1", Rules: 7,
		Ledger: figures.Ledger{Received: 5000, Inspected: 4000, KernelDrops: 1000}, Workers: []figures.Worker{{Packets: 1, Bytes: 250}, {Packets: 2}},
		Attacks: 3, Open: 1, ByClass: map[string]uint64{"scan": 1, "exploit": 2}, ByOutcome: map[string]uint64{"observed": 3},
		Recent: []string{"evil \x1b[2J\u202e name"}, Memory: []figures.Pool{{Name: "heap", Bytes: 12_000_000}}}
	text := strings.Join(Lines(before, now, 0, 0), "\n")
	words := strings.Join(strings.Fields(text), " ")
	for _, want := range []string{"dejpha v1 eth0 up 12s", "packets 5000 2.00 k /s 1.00 k bit/s", "lost by kernel 1000 500 /s 20.00 %", "worker 1",
		"attacks 3 sealed; 1 open observed 3", "exploit 2, scan 1", "evil ?[2J? name", "heap 12.0 MB"} {
		if !strings.Contains(words, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.ContainsAny(text, "\x1b\u202e") {
		t.Error("bytes of traffic reach the terminal as they are")
	}
	for _, l := range Lines(nil, now, 40, 5) {
		if len([]rune(l)) > 40 {
			t.Errorf("%q is too long", l)
		}
		if strings.Contains(l, "/s") {
			t.Errorf("%q: a rate of one moment", l)
		}
	}
	if n := len(Lines(before, now, 40, 5)); n != 5 {
		t.Error(n, "lines")
	}
	if strings.Contains(strings.Join(Lines(now, before, 0, 0), "\n"), "/s") {
		t.Error("a rate over a new start")
	}
}
