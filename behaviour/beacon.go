package behaviour

import (
	"fmt"
	"math"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/decode"
)

// Bounds of the beacon detector. A person's requests come in bursts; an implant calls home like a clock.
const (
	beaconCalls     = 12 // intervals judged together
	beaconPauseMin  = 2 * second
	beaconJitterMax = 0.20 // standard deviation over mean of the pauses
)

// beacon finds programs that call home at a steady pace over HTTP or in new connections.
type beacon struct {
	protected func(decode.Addr) bool
	calls     *table[beaconKey, beaconState]
}

type beaconKey struct {
	client, server decode.Addr
	port           uint16
	what           string
}

type beaconState struct {
	last   int64
	pauses [beaconCalls]int64
	n      int
	told   bool
}

func newBeacon(c Config) Detector {
	return &beacon{c.Protected, newTable[beaconKey, beaconState](c.HostsMax)}
}

// Name implements Detector.
func (*beacon) Name() string { return "beacon" }

// Wants implements Detector.
func (*beacon) Wants() Kind { return Said }

// Dropped implements Detector.
func (d *beacon) Dropped() uint64 { return d.calls.Dropped }

// Observe implements Detector.
func (d *beacon) Observe(s *Signal, report func(Finding)) {
	if s.Fact.Kind != contract.HTTPRequest || group(s.Server, s.IPVersion) {
		return
	}
	st, fresh := d.calls.get(beaconKey{s.Client, s.Server, s.ServerPort, s.Fact.Name + path(s.Fact.Text)})
	pause := s.Time - st.last
	st.last = s.Time
	if fresh || pause < beaconPauseMin/4 {
		return
	}
	st.pauses[st.n%beaconCalls] = pause
	st.n++
	if st.n < beaconCalls || st.told {
		return
	}
	mean, spread := steadiness(st.pauses[:])
	if mean < float64(beaconPauseMin) || spread > beaconJitterMax {
		return
	}
	st.told = true
	f := finding("beacon", "c2", []string{"T1071.001", "T1071"}, 3, fmt.Sprintf("%d requests for one page, one every %.0f s within %.0f %%", st.n+1, mean/1e9, spread*100), s)
	f.Origin, f.Subject, f.HasSubject = s.Server, s.Client, true
	f.Target = s.Client
	report(f)
}

// path is a URI up to its query.
func path(uri string) string {
	for i := range len(uri) {
		if uri[i] == '?' {
			return uri[:i]
		}
	}
	return uri
}

// steadiness returns the mean of the pauses and their standard deviation as a share of it.
func steadiness(pauses []int64) (mean, spread float64) {
	for _, p := range pauses {
		mean += float64(p)
	}
	mean /= float64(len(pauses))
	var sum float64
	for _, p := range pauses {
		sum += (float64(p) - mean) * (float64(p) - mean)
	}
	return mean, math.Sqrt(sum/float64(len(pauses))) / mean
}
