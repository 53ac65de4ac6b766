package rehearsal

import (
	"bytes"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/dejpha/dejpha/attack"
)

const begin = int64(1_700_000_000e9)

func at(s int64) int64 { return begin + s*1e9 }

func block(who string, from, to int64) *attack.Decision {
	return &attack.Decision{Time: at(from), Until: at(to), Action: attack.ActionWouldBlock, Prefix: netip.MustParsePrefix(who), Attack: 7, Class: "scan", Policy: "p"}
}

func conversation(id uint64, client, server string, port uint16, from, to int64) *Flow {
	return &Flow{ID: id, Client: netip.MustParseAddr(client), Server: netip.MustParseAddr(server), Port: port, Proto: 6, First: at(from), Last: at(to),
		Packets: [2]uint64{10, 8}, Bytes: [2]uint64{1000, 8000}, Whole: true}
}

func saw(id uint64, from, to string, port uint16) *attack.Observation {
	return &attack.Observation{Proven: true, Origin: netip.MustParseAddr(from), Target: netip.MustParseAddr(to), TargetPort: port, FlowID: id}
}

func change(f *Flow, g func(*Flow)) *Flow { g(f); return f }

func TestWhatABlockWouldHaveStopped(t *testing.T) {
	const bad, good = "203.0.113.7", "203.0.113.8"
	for _, tc := range []struct {
		name string
		flow *Flow
		want Toll
	}{
		{"the attack's own flow", conversation(1, bad, "10.0.0.1", 80, 10, 20), Toll{Stopped: Traffic{1, 10, 1000}, Seen: Traffic{1, 10, 1000}}},
		{"one in which a rule matched", change(conversation(2, bad, "10.0.0.9", 22, 10, 20), func(f *Flow) { f.Seen = true }), Toll{Stopped: Traffic{1, 10, 1000}, Seen: Traffic{1, 10, 1000}}},
		{"the attacked service, nothing seen", conversation(3, bad, "10.0.0.1", 80, 10, 20), Toll{Stopped: Traffic{1, 10, 1000}, Perhaps: Traffic{1, 10, 1000}}},
		{"another service", conversation(4, bad, "10.0.0.2", 25, 10, 20), Toll{Stopped: Traffic{1, 10, 1000}, Cost: Traffic{1, 10, 1000}}},
		{"a look that was no session", change(conversation(5, bad, "10.0.0.2", 25, 10, 20), func(f *Flow) { f.Whole = false }), Toll{Stopped: Traffic{1, 10, 1000}}},
		{"the blocked end answers", conversation(6, "10.0.0.1", bad, 443, 10, 20), Toll{Stopped: Traffic{1, 8, 8000}, Cost: Traffic{1, 8, 8000}}},
		{"half before the block", conversation(7, bad, "10.0.0.2", 25, -10, 10), Toll{Stopped: Traffic{1, 5, 500}, Cost: Traffic{1, 5, 500}}},
		{"half after its end", conversation(8, bad, "10.0.0.2", 25, 590, 610), Toll{Stopped: Traffic{1, 5, 500}, Cost: Traffic{1, 5, 500}}},
		{"over before", conversation(9, bad, "10.0.0.2", 25, -20, -10), Toll{}},
		{"begun after", conversation(10, bad, "10.0.0.2", 25, 600, 620), Toll{}},
		{"somebody else", conversation(11, good, "10.0.0.2", 25, 10, 20), Toll{}},
	} {
		s := New()
		s.Saw(saw(1, bad, "10.0.0.1", 80))
		s.Decided(block(bad+"/32", 0, 600))
		s.Ended(tc.flow)
		if got := s.Price(0).Toll; got != tc.want {
			t.Errorf("%s: %+v, want %+v", tc.name, got, tc.want)
		}
	}
}

func TestOtherHostsOfANetwork(t *testing.T) {
	s := New()
	s.Decided(block("203.0.113.7/32", 0, 600))
	s.Decided(block("203.0.113.0/24", 0, 600))
	s.Decided(block("2001:db8:1::/48", 0, 600))
	s.Ended(conversation(1, "203.0.113.7", "10.0.0.1", 80, 10, 20)) // blocked itself: no neighbour
	s.Ended(conversation(2, "203.0.113.99", "10.0.0.1", 80, 10, 20))
	s.Ended(conversation(3, "203.0.113.99", "10.0.0.1", 80, 30, 40))
	s.Ended(conversation(4, "2001:db8:1:5::9", "2001:db8:f::1", 80, 30, 40))
	p := s.Price(0)
	if p.Toll.Hosts != 2 || p.Whole != 2 || p.Hosts != 1 || p.Toll.Cost.Flows != 4 {
		t.Errorf("%+v", p)
	}
}

func TestThePriceInWords(t *testing.T) {
	s := New()
	s.Saw(saw(1, "203.0.113.7", "10.0.0.1", 80))
	s.Decided(block("203.0.113.7/32", 0, 600))
	s.Decided(&attack.Decision{Time: at(1), Action: attack.ActionAlert, Origin: "192.0.2.1"})
	s.Decided(&attack.Decision{Time: at(1), Action: attack.ActionWouldLimit, Limit: &attack.Limit{}})
	s.Ended(conversation(2, "203.0.113.7", "10.0.0.2", 25, 10, 20))
	var b bytes.Buffer
	s.Price(0).Print(&b)
	for _, want := range []string{"Nothing was stopped.", "blocked 1 host (1 time decided)", "unproven traffic to a target 1 time", "1 decision more stopped at the guard",
		"surely   1 completed session with services that were not attacked (1000 B)", "perhaps  0 completed sessions", "203.0.113.7"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if l := s.Price(0).Line(); l != "1 block would have stopped 1 flow, 10 packets, 1000 B; price: 1 ordinary session" {
		t.Error(l)
	}
	if p := s.Price(at(5)); len(p.Cases) != 0 || p.Line() != "nobody would have been blocked" {
		t.Errorf("since later: %+v", p)
	}
	b.Reset()
	if New().Price(0).Print(&b); !strings.Contains(b.String(), "nothing yet") {
		t.Error(b.String())
	}
}

func TestKeptOverAStop(t *testing.T) {
	run := func(stop bool) *Price {
		s := New()
		for i := range 300 {
			who := fmt.Sprintf("203.0.%d.%d", i%3, i%7)
			s.Saw(saw(uint64(i), who, "10.0.0.1", 80))
			s.Decided(block(who+"/32", int64(i), int64(i+50)))
			s.Ended(conversation(uint64(i), who, "10.0.0.1", uint16(80+i%2), int64(i), int64(i+9)))
			if stop && i%50 == 25 {
				b, err := s.Save()
				if err != nil {
					t.Fatal(err)
				}
				if s, err = Load(b); err != nil {
					t.Fatal(err)
				}
			}
		}
		return s.Price(0)
	}
	if a, b := run(false), run(true); !reflect.DeepEqual(a, b) || a.Toll.Perhaps.Flows == 0 {
		t.Errorf("with stops %+v, without %+v", b.Toll, a.Toll)
	}
	for _, bad := range []string{"", "{", `{"version":9}`} {
		if _, err := Load([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestBounds(t *testing.T) {
	s := New()
	for i := range 3 * casesMax {
		who := fmt.Sprintf("203.%d.%d.%d", i>>16, i>>8&255, i&255)
		s.Saw(saw(uint64(i), who, "10.0.0.1", 80))
		s.Decided(block(who+"/32", int64(i), int64(i+600)))
	}
	if len(s.cases) > casesMax || len(s.by) > casesMax || len(s.origins) > originsMax || len(s.turn) > originsMax {
		t.Errorf("%d cases, %d prefixes, %d origins", len(s.cases), len(s.by), len(s.origins))
	}
	if p := s.Price(0); p.Blocks != 3*casesMax || p.Older == 0 {
		t.Errorf("%d blocks, %d older", p.Blocks, p.Older)
	}
	o := saw(1, "203.0.113.7", "10.0.0.1", 80)
	for i := range 1000 {
		o.TargetPort, o.FlowID = uint16(i), uint64(i+1)
		s.Saw(o)
	}
	if x := s.origins[netip.MustParsePrefix("203.0.113.7/32")]; len(x.Services) > servicesMax+1 || len(x.Flows) > flowsMax {
		t.Error("an origin's lists grow without end")
	}
}

func FuzzLoad(f *testing.F) {
	s := New()
	s.Saw(saw(1, "203.0.113.7", "10.0.0.1", 80))
	s.Decided(block("203.0.113.7/32", 0, 600))
	b, _ := s.Save()
	f.Add(b)
	f.Fuzz(func(_ *testing.T, b []byte) {
		if s, err := Load(b); err == nil {
			s.Ended(conversation(1, "203.0.113.7", "10.0.0.1", 80, 0, 1))
			s.Price(0).Print(&bytes.Buffer{})
		}
	})
}
