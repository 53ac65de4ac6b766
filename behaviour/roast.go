package behaviour

import (
	"fmt"
	"strings"

	"github.com/dejpha/dejpha/app/contract"
)

// Bounds of the roasting detector. A ticket under RC4 can be guessed offline; clients of today ask for AES too, and a
// person needs few services at a time.
const (
	roastAskedMin   = 3 // services for which tickets under RC4 alone are asked
	roastGrantedMin = 8 // services for which tickets under RC4 are granted, whoever else still uses it
	roastUnproven   = 3 // accounts whose keys are handed out under RC4 without a proof
	roastWindow     = 5 * minute
	etypeRC4        = "23" // RFC 4757
)

// Kerberos message types (RFC 4120 section 7.5.7).
const (
	kerberosASReply  = 11
	kerberosTGS      = 12
	kerberosTGSReply = 13
)

// roast finds tickets collected to guess the passwords behind them: of services (kerberoasting) and of accounts that
// need no proof (AS-REP roasting).
type roast struct {
	pairs *table[guessKey, roastState]
}

type roastState struct {
	asked, granted, unproven sweepState[string]
	alone                    seen[string] // accounts asked for under RC4 alone
}

func newRoast(c Config) Detector { return &roast{newTable[guessKey, roastState](c.HostsMax)} }

// Name implements Detector.
func (*roast) Name() string { return "ticket-roasting" }

// Wants implements Detector.
func (*roast) Wants() Kind { return Said }

// Dropped implements Detector.
func (d *roast) Dropped() uint64 { return d.pairs.Dropped }

// Observe implements Detector.
func (d *roast) Observe(s *Signal, report func(Finding)) {
	f := &s.Fact
	if f.Kind != contract.KerberosRequest || f.Text != etypeRC4 || f.Name == "" || strings.HasPrefix(f.Name, "krbtgt") {
		return
	}
	st, _ := d.pairs.get(guessKey{client: s.Client, server: s.Server})
	switch f.Code {
	case kerberosAS:
		st.alone.limit, st.alone.life = guessUsersMax, roastWindow
		st.alone.add(f.Name, s.Time)
	case kerberosTGS:
		d.tell(&st.asked, roastAskedMin, "T1558.003", "tickets for %d services asked for under RC4 alone within five minutes", s, report)
	case kerberosTGSReply:
		d.tell(&st.granted, roastGrantedMin, "T1558.003", "tickets for %d services granted under RC4 within five minutes", s, report)
	case kerberosASReply:
		if _, alone := st.alone.times[f.Name]; alone && f.Size == 0 {
			d.tell(&st.unproven, roastUnproven, "T1558.004", "keys of %d accounts handed out under RC4, as asked, without a proof within five minutes", s, report)
		}
	}
}

func (d *roast) tell(set *sweepState[string], least int, technique, text string, s *Signal, report func(Finding)) {
	if n, yes := set.note(s.Fact.Name, s.Time, roastWindow, least); yes {
		report(finding("ticket-roasting", "credential-access", []string{technique, "T1558"}, 2, fmt.Sprintf(text, n), s))
	}
}
