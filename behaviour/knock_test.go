package behaviour

import (
	"testing"
)

func proven(found []Finding) (n int) {
	for _, f := range found {
		if f.Proven {
			n++
		}
	}
	return n
}

// Closed doors prove nothing, and others may knock at them in anybody's name: only handshakes that were left without a
// word prove a search.
func TestOnlyHandshakesProveASearch(t *testing.T) {
	me := out(1)
	var forged []Signal
	for i := range 200 {
		s := syn(int64(i)*second/100, me, v4(0, 7), 1+i)
		forged = append(forged, s, as(s, func(s *Signal) { s.Kind = Refused }))
	}
	spoke := as(knock(3*second, me, 80), func(s *Signal) { s.HasData = true })
	honest := join(forged, []Signal{spoke, as(spoke, func(s *Signal) { s.ServerPort = 443 }), as(spoke, func(s *Signal) { s.ServerPort = 25 }), knock(4*second, me, 80)})
	if n := proven(watch(t, "port-scan", honest)); n != 0 {
		t.Errorf("%d findings prove a search that others forged in the name of an honest client", n)
	}
	if n := proven(watch(t, "port-scan", join(forged, []Signal{knock(3*second, me, 80), knock(3*second, me, 22)}))); n != 1 {
		t.Errorf("%d findings prove a search that its own handshakes show", n)
	}
	var monitor []Signal
	for i := range 40 { // four services of a host, each minute: a look whether they live
		monitor = append(monitor, knock(int64(i/4)*minute, v4(0, 5), []int{22, 25, 80, 443}[i%4]))
	}
	if found := watch(t, "port-scan", monitor); len(found) > 0 {
		t.Errorf("monitoring: %s", found[0].Text)
	}
}
