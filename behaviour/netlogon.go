package behaviour

import (
	"fmt"

	"github.com/dejpha/dejpha/app/contract"
)

// Bounds of the Netlogon detector. A member sets up one secure channel and keeps it; Zerologon (CVE-2020-1472)
// tries about 256 times until a credential of zeros is right by chance.
const (
	netlogonTries  = 20
	netlogonWindow = minute
	netlogonUUID   = "12345678-1234-abcd-ef00-01234567cffb"
)

// netlogon finds series of Netlogon handshakes, whatever is encrypted around them (MS-NRPC opnums 4, 15, 26).
type netlogon struct {
	pairs *table[guessKey, netlogonState]
}

type netlogonState struct {
	tries window
	told  bool
}

func newNetlogon(c Config) Detector {
	return &netlogon{newTable[guessKey, netlogonState](c.HostsMax)}
}

// Name implements Detector.
func (*netlogon) Name() string { return "netlogon" }

// Wants implements Detector.
func (*netlogon) Wants() Kind { return Said }

// Dropped implements Detector.
func (d *netlogon) Dropped() uint64 { return d.pairs.Dropped }

// Observe implements Detector.
func (d *netlogon) Observe(s *Signal, report func(Finding)) {
	f := &s.Fact
	if f.Kind != contract.RPCCall || f.Name != netlogonUUID || f.Code != 4 && f.Code != 15 && f.Code != 26 {
		return
	}
	st, _ := d.pairs.get(guessKey{client: s.Client, server: s.Server})
	n := st.tries.add(s.Time, netlogonWindow, 1)
	if st.told || n < netlogonTries {
		return
	}
	st.told = true
	report(finding("netlogon", "exploit", []string{"T1210", "T1212"}, 2, fmt.Sprintf("%d Netlogon handshakes within a minute, as when a credential is tried until it fits", n), s))
}
