package check

import (
	"encoding/json"
	"fmt"
	"strings"
)

// The words of a claim, as docs/claims.md has them letter by letter.

const definitionText = "One attack is one origin (IPv6 by /64) trying one class of attack on one target group until it is quiet for the class's gap; " +
	"all traffic of one class on one target group whose sender is not proven is one attack together. " +
	"It is counted when it closes, once, whatever number of packets, flows and alerts it made. Traffic marked authorised is not counted."

// made are the fields that follow from the leaves: sentence, definition, unit, count, coverage, caveats.
func (c *claim) made(f *facts) []json.RawMessage {
	sec := func(us uint64) json.RawMessage { return encode(float64(us) / 1e6) }
	p := f.packets
	return []json.RawMessage{
		encode(c.sentence(f)),
		fmt.Appendf(nil, `{"text":%s,"version":1,"table":"%x"}`, encode(definitionText), c.Leaves.To.table),
		encode("attacks"),
		fmt.Appendf(nil, `{"gross":%d,"withdrawn":%d,"net":%d,"overflow":%s}`, f.gross, f.withdrawn, int64(f.gross)-int64(f.withdrawn), encode(f.overflow)),
		fmt.Appendf(nil, `{"from":%s,"to":%s,"seconds":%s,"watched":%s,"received":%d,"inspected":%d,"bypassed":%d,"dropped":%d,"shed":%d,"undecodable":%d,`+
			`"restarts":%d,"unclean":%d,"away_seconds":%s,"gaps":%d,"gap_seconds":%s,"unprotected_seconds":%s,"unprotected_frames":%d,`+
			`"clock_jumps":%d,"shed_records":%d,"merged_attacks":%d,"erasures":%d,"retention":%d}`,
			encode(f.begin), encode(f.end), sec(f.length), sec(f.watched), p[0], p[1], p[2], p[3], p[4], p[5],
			f.restarts, f.unclean, sec(f.away), f.gaps, sec(f.gapped), sec(f.unguarded), f.passed,
			f.jumps, f.forgotten, f.merged, f.erasures, f.retentions),
		encode(c.caveats(f)),
	}
}

// sentence is the claim in words, made from selection, window, kind and count alone.
func (c *claim) sentence(f *facts) string {
	s := fmt.Sprintf("From %s to %s UTC this log (%s) counted %s", minutes(c.Window.From), minutes(c.Window.To), c.Log.Kind, attacks(f.gross)) + c.Select.words()
	if f.withdrawn > 0 {
		s += ", and withdrew " + grouped(f.withdrawn)
	}
	return s + "."
}

func attacks(n uint64) string {
	if n == 1 {
		return "1 attack"
	}
	return grouped(n) + " attacks"
}

func (s *selection) words() (out string) {
	for _, x := range s.lists() {
		if len(x.chosen) > 0 {
			out += x.words + strings.Join(x.chosen, " or ")
		}
	}
	return out
}

func minutes(t micros) string { return strings.TrimSuffix(t.String(), ":00") }

// caveats are what the leaves demand to be said, in the format's order.
func (c *claim) caveats(f *facts) (out []string) {
	say := func(when bool, text string, args ...any) {
		for i, a := range args {
			if n, is := a.(uint64); is {
				args[i] = grouped(n)
			}
		}
		if when {
			out = append(out, fmt.Sprintf(text, args...))
		}
	}
	p, from, after := f.packets, c.Leaves.From, c.Leaves.AfterTo
	say(c.Log.Kind == "recording", "The log is of a recording: captures were played, the times are theirs, and nothing was stopped.")
	say(c.Log.Kind == "demo", "The log is a demo: samples of the program were played, no real traffic was counted.")
	say(from == nil, "The log begins at %v UTC and shows nothing of the window before that.", f.begin)
	say(after == nil && f.end < c.Window.To, "The log's last totals leaf is of %v UTC and it shows nothing of the window after that.", f.end)
	say(from != nil && f.begin != c.Window.From || after != nil && f.end != c.Window.To,
		"Counted is what closed between the log's totals leaves of %v and %v UTC, the last ones at or before the ends of the window.", f.begin, f.end)
	say(c.Leaves.To.total(idStarts) == 0, "The log was begun by a version that did not count silences, restarts and losses: only its packet ledger shows them.")
	say(f.watched < f.length, "Of %v seconds at least %v were watched: %v lie in silences, %v before restarts (%v), %v were unprotected.",
		f.length/1e6, f.watched/1e6, f.gapped/1e6, f.away/1e6, f.restarts, f.unguarded/1e6)
	say(f.unclean > 0, "%v of %v restarts came after a crash: what was open and not yet sealed then may be missing.", f.unclean, f.restarts)
	say(f.jumps > 0, "The clock jumped %v times.", f.jumps)
	say(p[1] != p[0], "Of %v packets %v were inspected; %v were bypassed, %v dropped by the kernel, %v shed, %v undecodable.", p[0], p[1], p[2], p[3], p[4], p[5])
	say(f.passed > 0, "%v frames passed uninspected while unprotected.", f.passed)
	say(f.forgotten > 0, "%v observations were given up because tables were full: attacks may be missing.", f.forgotten)
	say(f.merged > 0, "%v attacks were merged into overflow accounts because too many were open.", f.merged)
	for _, class := range classes {
		say(f.overflow[class] > 0, "%v counted as attacks of class %s are overflow accounts, which stand for several each; they are counted here whatever their outcome.", f.overflow[class], class)
	}
	say(f.withdrawn > 0, "%v were counted and %v withdrawn by corrections: %d are left.", f.gross, f.withdrawn, int64(f.gross)-int64(f.withdrawn))
	say(f.erasures+f.retentions > 0, "%v erasures and %v deletions by retention are in the log: counts stand, what was deleted can no longer be looked at.", f.erasures, f.retentions)
	say(true, "Not shown: who stood behind an address, that an attack was not staged, what was never captured, that what the sensor told the log is true.")
	return out
}
