package claim

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/dejpha/dejpha/attack"
)

// definitionText is what one attack is, in three sentences; docs/claims.md has it letter by letter.
const (
	definitionVersion = 1
	definitionText    = "One attack is one origin (IPv6 by /64) trying one class of attack on one target group until it is quiet for the class's gap; " +
		"all traffic of one class on one target group whose sender is not proven is one attack together. " +
		"It is counted when it closes, once, whatever number of packets, flows and alerts it made. Traffic marked authorised is not counted."
	unit = "attacks"
)

// sentence says what is claimed, from the selection, the window and the count alone.
func sentence(s *Select, w Window, kind string, n *Count) string {
	var b strings.Builder
	fmt.Fprintf(&b, "From %s to %s UTC this log (%s) counted %s", minutes(w.From), minutes(w.To), kind, attacks(n.Gross))
	selected(&b, s)
	if n.Withdrawn > 0 {
		fmt.Fprintf(&b, ", and withdrew %s", number(n.Withdrawn))
	}
	b.WriteByte('.')
	return b.String()
}

func selected(b *strings.Builder, s *Select) {
	for _, x := range []struct {
		words string
		names []string
	}{{" of class ", s.Class}, {" that were ", s.Outcome}, {", result ", s.Result}, {", risk ", s.Risk}, {", side ", s.Side}} {
		if len(x.names) > 0 {
			b.WriteString(x.words + strings.Join(x.names, " or "))
		}
	}
}

func attacks(n uint64) string {
	if n == 1 {
		return "1 attack"
	}
	return number(n) + " attacks"
}

// number has a comma before each three digits.
func number(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// minutes is a time without its seconds where they are 0.
func minutes(t Time) string {
	if t%60e6 == 0 {
		return t.Go().Format("2006-01-02 15:04")
	}
	return t.Go().Format("2006-01-02 15:04:05")
}

func seconds(t Time) string { return t.Go().Format("2006-01-02 15:04:05") }

// whole is a number of seconds, cut to whole ones.
func whole(s float64) string { return number(uint64(s)) }

// notShown is the last caveat of every claim.
const notShown = "Not shown: who stood behind an address, that an attack was not staged, what was never captured, that what the sensor told the log is true."

// caveats are what the claim does not show, in a fixed order.
func (c *Claim) caveats(v *view) []string {
	out := []string{}
	say := func(when bool, f string, args ...any) {
		if when {
			out = append(out, fmt.Sprintf(f, args...))
		}
	}
	x, n := &c.Coverage, &c.Count
	say(c.Log.Kind == "recording", "The log is of a recording: captures were played, the times are theirs, and nothing was stopped.")
	say(c.Log.Kind == "demo", "The log is a demo: samples of the program were played, no real traffic was counted.")
	say(v.from == nil, "The log begins at %s UTC and shows nothing of the window before that.", seconds(x.From))
	say(v.afterTo == nil && x.To < c.Window.To, "The log's last totals leaf is of %s UTC and it shows nothing of the window after that.", seconds(x.To))
	say(v.from != nil && x.From != c.Window.From || v.afterTo != nil && x.To != c.Window.To,
		"Counted is what closed between the log's totals leaves of %s and %s UTC, the last ones at or before the ends of the window.", seconds(x.From), seconds(x.To))
	say(v.old, "The log was begun by a version that did not count silences, restarts and losses: only its packet ledger shows them.")
	say(x.Watched < x.Seconds, "Of %s seconds at least %s were watched: %s lie in silences, %s before restarts (%s), %s were unprotected.", whole(x.Seconds), whole(x.Watched),
		whole(x.GapSeconds), whole(x.Away), number(x.Restarts), whole(x.Unprotected))
	say(x.Unclean > 0, "%s of %s restarts came after a crash: what was open and not yet sealed then may be missing.", number(x.Unclean), number(x.Restarts))
	say(x.ClockJumps > 0, "The clock jumped %s times.", number(x.ClockJumps))
	say(x.Inspected != x.Received, "Of %s packets %s were inspected; %s were bypassed, %s dropped by the kernel, %s shed, %s undecodable.", number(x.Received), number(x.Inspected),
		number(x.Bypassed), number(x.Dropped), number(x.Shed), number(x.Undecodable))
	say(x.Passed > 0, "%s frames passed uninspected while unprotected.", number(x.Passed))
	say(x.ShedRecords > 0, "%s observations were given up because tables were full: attacks may be missing.", number(x.ShedRecords))
	say(x.Merged > 0, "%s attacks were merged into overflow accounts because too many were open.", number(x.Merged))
	for _, class := range attack.Table() {
		say(n.Overflow[class.Name] > 0, "%s counted as attacks of class %s are overflow accounts, which stand for several each; they are counted here whatever their outcome.", number(n.Overflow[class.Name]), class.Name)
	}
	say(n.Withdrawn > 0, "%s were counted and %s withdrawn by corrections: %d are left.", number(n.Gross), number(n.Withdrawn), n.Net)
	say(x.Erasures+x.Retention > 0, "%s erasures and %s deletions by retention are in the log: counts stand, what was deleted can no longer be looked at.", number(x.Erasures), number(x.Retention))
	say(true, notShown)
	return out
}
