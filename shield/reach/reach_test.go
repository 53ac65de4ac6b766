package reach

import (
	"net/netip"
	"testing"
	"time"

	"github.com/dejpha/dejpha/behaviour"
	"github.com/dejpha/dejpha/decode"
)

func host(s string) decode.Addr { return decode.AddrFrom(netip.MustParseAddr(s)) }

func TestOnlyWhatWasWhollyStoppedIsStopped(t *testing.T) {
	type sign struct {
		at      time.Duration
		client  string
		stopped bool
	}
	proven := behaviour.Finding{Detector: "guess", Class: "brute-force", Proven: true, HasOrigin: true}
	unproven := behaviour.Finding{Detector: "flood", Class: "flood", HasOrigin: true}
	for _, x := range []struct {
		name            string
		signs           []sign // the last is the one that the finding came from
		f               behaviour.Finding
		stopped, passed bool
	}{
		{"all stopped", []sign{{0, "203.0.113.7", true}, {1, "203.0.113.7", true}}, proven, true, false},
		{"none stopped", []sign{{0, "203.0.113.7", false}, {1, "203.0.113.7", false}}, proven, false, false},
		{"the last one stopped", []sign{{0, "203.0.113.7", false}, {1, "203.0.113.7", true}}, proven, true, true},
		{"the last one passed", []sign{{0, "203.0.113.7", true}, {1, "203.0.113.7", false}}, proven, false, false},
		{"another's passed", []sign{{0, "203.0.113.8", false}, {1, "203.0.113.7", true}}, proven, true, false},
		{"one long before passed", []sign{{0, "203.0.113.7", false}, {time.Hour, "203.0.113.7", true}}, proven, true, false},
		{"unproven, another's passed", []sign{{0, "203.0.113.8", false}, {1, "203.0.113.7", true}}, unproven, true, true},
		{"unproven, all stopped", []sign{{0, "203.0.113.8", true}, {1, "203.0.113.7", true}}, unproven, true, false},
	} {
		table := New()
		var last behaviour.Signal
		for _, s := range x.signs {
			last = behaviour.Signal{Time: int64(time.Hour) + int64(s.at), Client: host(s.client), Server: host("10.0.0.1"), Stopped: s.stopped}
			table.Heard(x.f.Detector, &last)
			table.Heard("another", &behaviour.Signal{Time: last.Time, Client: last.Client, Server: last.Server})
		}
		if stopped, passed := table.Of(&x.f, &last); stopped != x.stopped || passed != x.passed {
			t.Errorf("%s: stopped %v, passed %v", x.name, stopped, passed)
		}
	}
}

// What a detector concludes when a flow ends rests on the packets before.
func TestAnEndIsNoPacket(t *testing.T) {
	for _, stopped := range []bool{true, false} {
		table := New()
		f := behaviour.Finding{Detector: "scan", Class: "scan", Proven: true, HasOrigin: true}
		s := behaviour.Signal{Time: int64(time.Hour), Client: host("203.0.113.7"), Server: host("10.0.0.1"), Stopped: stopped}
		table.Heard("scan", &s)
		s.Kind, s.Stopped = behaviour.Ended, false
		table.Heard("scan", &s)
		if got, passed := table.Of(&f, &s); got != stopped || passed {
			t.Errorf("stopped %v, expected %v; passed %v", got, stopped, passed)
		}
	}
}

// What was forgotten may have gone on.
func TestForgottenCountsAsPassed(t *testing.T) {
	table := New()
	for i := range most {
		table.Heard("guess", &behaviour.Signal{Time: int64(time.Hour), Client: decode.Addr{byte(i), byte(i >> 8), byte(i >> 16)}})
	}
	if len(table.last) > most {
		t.Error(len(table.last), "ends are remembered")
	}
	f := behaviour.Finding{Detector: "guess", Class: "brute-force", Proven: true, HasOrigin: true}
	for wait, want := range map[time.Duration]bool{time.Minute: true, time.Hour: false} {
		s := behaviour.Signal{Time: int64(time.Hour + wait), Client: host("203.0.113.7"), Stopped: true}
		if stopped, passed := table.Of(&f, &s); !stopped || passed != want {
			t.Errorf("after %v: stopped %v, passed %v", wait, stopped, passed)
		}
	}
}
