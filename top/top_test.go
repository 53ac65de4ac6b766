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
		Recent: []string{"evil \x1b[2J\u202e name"}, Memory: []figures.Pool{{Name: "heap", Bytes: 12_000_000}},
		Witnesses: []figures.Witness{{Name: "w.example", Behind: 30, At: 1_700_000_000}, {Name: "late.\x1b[2J", Behind: 99, Failed: 2, Error: "refused \x1b[2J"}},
		Faces:     []figures.Face{{Name: "eth0", Up: true, Ledger: figures.Ledger{Received: 4000, Bypassed: 8}, BypassedBy: map[string]uint64{"tls": 5, "rule": 3}}, {Name: "eth1", Ledger: figures.Ledger{Received: 1000, Shed: 40}, ShedBy: map[string]uint64{"blocked": 40}}},
		Blocks:    figures.Blocks{Mode: "on", Way: "XDP (eth0 native)", InForce: 12, Limits: 3, Dropped: 1000, Limited: 70, Last: &figures.Blocked{Prefix: "203.0.113.7", By: "exploit: \x1b[2J points", Attack: 5, Since: 3661e9}}}
	before.Faces = []figures.Face{{Ledger: figures.Ledger{Received: 2000}}, {}}
	before.Blocks = figures.Blocks{Mode: "on", Dropped: 540, Limited: 50}
	text := strings.Join(Lines(before, now, 0, 0), "\n")
	words := strings.Join(strings.Fields(text), " ")
	for _, want := range []string{"dejpha v1 eth0 up 12s", "packets 5000 2.00 k /s 1.00 k bit/s", "lost by kernel 1000 500 /s 20.00 %", "worker 1",
		"attacks 3 sealed; 1 open observed 3", "witness 30 leaves behind; signed last at 2023-11-14 22:13:20 UTC w.example",
		"witness 99 leaves behind; not asked with success yet late.?[2J fails 2 times: refused ?[2J", "exploit 2, scan 1", "evil ?[2J? name", "heap 12.0 MB",
		"tls 5, rule 3", "blocked 40", "eth0 4000 1.00 k /s 0 lost, 8 bypassed", "eth1 1000 500 /s 40 lost, 0 bypassed DOWN",
		"blocks 12 in force, 3 limits; by XDP (eth0 native)", "stopped 1040 250 /s and 70 by limits 10 /s", "last 01:01:01 203.0.113.7 exploit: ?[2J points (attack 5)"} {
		if !strings.Contains(words, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for mode, want := range map[string]string{"rehearsal": "the shield rehearses", "off": "blocks       off"} {
		if text := strings.Join(Lines(nil, &figures.Figures{Blocks: figures.Blocks{Mode: mode}}, 0, 0), "\n"); !strings.Contains(text, want) {
			t.Errorf("%s: no %q in\n%s", mode, want, text)
		}
	}
	if text := strings.Join(Lines(nil, &figures.Figures{}, 0, 0), "\n"); strings.Contains(text, "blocks") {
		t.Errorf("a demonstration has no blocks:\n%s", text)
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
