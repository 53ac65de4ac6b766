package behaviour

import (
	"fmt"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/decode"
)

// Bounds of the guessing detector: nobody mistypes a password eight times in ten minutes, nor are six
// names refused to one host within a minute by accident.
const (
	guessFailedMin  = 8
	guessBlindMin   = 8 // connections that end before a session, where the refusal itself is encrypted
	guessUsersMin   = 6
	guessWindow     = 10 * minute
	guessUserWindow = minute
	guessUsersMax   = 256
	guessFastMin    = 5 // refusals by a service that people type at, in several connections at once
	guessFastFlows  = 4
	guessFastWindow = 10 * second
	guessForgiven   = 5  // refusals before the log-in of one SSH connection: methods and keys that a client tries in turn (servers allow six tries)
	guessProbedMin  = 12 // names for which a ticket is asked and the proof is never given
)

// guess finds password guessing and spraying, on every protocol whose parser reports log-ins.
type guess struct {
	pairs *table[guessKey, guessState]
}

type guessKey struct {
	client, server decode.Addr
	app            string
}

type guessState struct {
	failed, blind window
	users, probed sweepState[string]
	quick         window
	flows         seen[uint64]
	tries         map[uint64]uint32 // refusals of SSH connections that may still log in
	told          uint32
	succeeded     bool
}

func newGuess(c Config) Detector { return &guess{newTable[guessKey, guessState](c.HostsMax)} }

// Name implements Detector.
func (*guess) Name() string { return "password-guessing" }

// Wants implements Detector.
func (*guess) Wants() Kind { return Said }

// Dropped implements Detector.
func (d *guess) Dropped() uint64 { return d.pairs.Dropped }

// Kerberos error codes (RFC 4120 section 7.5.9) that answer a guess.
const (
	kdcUnknownPrincipal = 6
	kdcRevoked          = 18
	kdcPreauthFailed    = 24
	kdcPreauthRequired  = 25
	kerberosAS          = 10 // message type
)

// Observe implements Detector.
func (d *guess) Observe(s *Signal, report func(Finding)) {
	f := &s.Fact
	switch f.Kind {
	case contract.LoginFailed:
		d.refused(s, report)
	case contract.LoginAttempt:
		st, _ := d.pairs.get(guessKey{s.Client, s.Server, s.App})
		n := st.blind.add(s.Time, guessWindow, 1)
		d.tell(st, n, guessBlindMin, fmt.Sprintf("%d %s connections within ten minutes that ended before a session", n, s.App), s, report)
	case contract.LoginSucceeded:
		if st := d.pairs.find(guessKey{s.Client, s.Server, s.App}); st != nil {
			st.succeeded = true
			st.forgive(s.FlowID)
		}
	case contract.KerberosError:
		d.kerberos(s, report)
	case contract.KerberosRequest:
		if st := d.pairs.find(guessKey{s.Client, s.Server, "krb5"}); st != nil && f.Code == kerberosAS && f.Size == 1 {
			delete(st.probed.met.times, f.Name)
		}
	}
}

func (d *guess) refused(s *Signal, report func(Finding)) {
	st, _ := d.pairs.get(guessKey{s.Client, s.Server, s.App})
	n := st.failed.add(s.Time, guessWindow, 1)
	if s.Fact.Name != "" {
		if users, yes := st.users.note(s.Fact.Name, s.Time, guessUserWindow, guessUsersMin); yes {
			report(d.finding(st, fmt.Sprintf("%d names refused by %s within a minute", users, s.App), "T1110.003", s))
		}
	}
	if s.App == "ssh" {
		st.tried(s.FlowID)
		st.flows.limit, st.flows.life = 4*guessFastFlows, guessFastWindow
		st.flows.add(s.FlowID, s.Time)
		quick := st.quick.add(s.Time, guessFastWindow, 1)
		if st.told == 0 && n < guessFailedMin && quick >= guessFastMin && st.flows.since(s.Time-guessFastWindow) >= guessFastFlows {
			st.told = n
			report(d.finding(st, fmt.Sprintf("%d log-ins in %d connections refused by %s within ten seconds", quick, st.flows.len(), s.App), "T1110.001", s))
			return
		}
		if st.told != 0 && n < guessFailedMin {
			return
		}
	}
	d.tell(st, n, guessFailedMin, fmt.Sprintf("%d log-ins refused by %s within ten minutes", n, s.App), s, report)
}

// tried notes a refusal in an SSH connection. Elsewhere names are seen, and one may be guessed between log-ins of another.
func (st *guessState) tried(flow uint64) {
	if st.tries == nil || len(st.tries) >= 4*guessFastFlows {
		st.tries = map[uint64]uint32{}
	}
	st.tries[flow]++
}

// forgive takes back the refusals of an SSH connection that then logged in: its client tried its methods and keys in
// turn, and the next log-in of the same user will do so again.
func (st *guessState) forgive(flow uint64) {
	if n := st.tries[flow]; n <= guessForgiven {
		st.failed.take(n)
		st.quick.take(n)
	}
	delete(st.tries, flow)
}

// kerberos counts the names that a host asks tickets for and is refused, or only probes: a name whose proof follows
// was no probe, and a host of many users gives many proofs.
func (d *guess) kerberos(s *Signal, report func(Finding)) {
	if c := s.Fact.Code; c != kdcUnknownPrincipal && c != kdcPreauthFailed && c != kdcPreauthRequired && c != kdcRevoked || s.Fact.Name == "" {
		return
	}
	st, _ := d.pairs.get(guessKey{s.Client, s.Server, "krb5"})
	if s.Fact.Code == kdcPreauthRequired {
		if users, yes := st.probed.note(s.Fact.Name, s.Time, guessUserWindow, guessProbedMin); yes {
			report(d.finding(st, fmt.Sprintf("%d names asked of the key distribution centre within a minute and never proven", users), "T1110.003", s))
		}
		return
	}
	if users, yes := st.users.note(s.Fact.Name, s.Time, guessUserWindow, guessUsersMin); yes {
		report(d.finding(st, fmt.Sprintf("tickets for %d names refused within a minute", users), "T1110.003", s))
	}
	if s.Fact.Code == kdcPreauthFailed {
		n := st.failed.add(s.Time, guessWindow, 1)
		d.tell(st, n, guessFailedMin, fmt.Sprintf("%d log-ins refused by the key distribution centre within ten minutes", n), s, report)
	}
}

// tell reports at the bound and at each doubling after it.
func (d *guess) tell(st *guessState, n, least uint32, text string, s *Signal, report func(Finding)) {
	if n < least {
		st.told = 0
		return
	}
	if st.told != 0 && n < 2*st.told {
		return
	}
	st.told = n
	report(d.finding(st, text, "T1110.001", s))
}

func (d *guess) finding(st *guessState, text, technique string, s *Signal) Finding {
	f := finding("password-guessing", "brute-force", []string{technique, "T1110"}, 2, text, s)
	f.Result = "failed"
	if st.succeeded {
		f.Result = "succeeded"
	}
	return f
}
