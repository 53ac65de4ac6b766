package rehearsal

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"
)

// Price is what prevention would have done over a time, for a person who thinks of turning it on.
type Price struct {
	Since   int64   `json:"since"`  // ns
	Until   int64   `json:"until"`  // ns
	Blocks  int     `json:"blocks"` // decisions to block a host or a network
	Hosts   int     `json:"hosts"`  // distinct ones among them
	Whole   int     `json:"networks"`
	Rates   int     `json:"limited"` // decisions to limit a shared address
	Limits  uint64  `json:"limits"`  // decisions to limit a target's unproven packets
	Refused uint64  `json:"refused"` // decisions that a guard or the ceiling turned into an alert
	Toll    Toll    `json:"toll"`
	Older   uint64  `json:"older,omitempty"` // decisions of which only the sums are kept
	Cases   []*Case `json:"cases"`           // those that cost most first
}

// Price sums up what was decided at or after since, ns; 0: everything. The cases belong to the shadow.
func (s *Shadow) Price(since int64) *Price {
	p := &Price{Since: max(s.sum.Since, since), Until: s.sum.Until, Limits: s.sum.Limits, Refused: s.sum.Refused}
	hosts := map[string]bool{}
	for _, c := range s.cases {
		if c.Time < since {
			continue
		}
		p.Cases = append(p.Cases, c)
		p.Toll.add(&c.Toll)
		switch {
		case c.Rate > 0:
			p.Rates++
		case c.Prefix == network(c.Prefix):
			p.Blocks++
			p.Whole++
		default:
			p.Blocks++
			hosts[c.Prefix.String()] = true
		}
	}
	p.Hosts = len(hosts)
	if since <= s.sum.Since {
		p.Older = s.sum.Older
		p.Blocks += int(s.sum.Older)
		p.Toll.add(&s.sum.Toll)
	}
	slices.SortStableFunc(p.Cases, func(x, y *Case) int {
		return cmp.Or(cmp.Compare(y.Cost.Flows, x.Cost.Flows), cmp.Compare(y.Perhaps.Flows, x.Perhaps.Flows), cmp.Compare(y.Stopped.Packets, x.Stopped.Packets))
	})
	return p
}

// Line is the price in one line, for the summary of a run.
func (p *Price) Line() string {
	if p.Blocks+p.Rates == 0 {
		return "nobody would have been blocked"
	}
	return fmt.Sprintf("%s would have stopped %s; price: %s", plural(uint64(p.Blocks+p.Rates), "block"), p.Toll.Stopped.words(), p.cost())
}

func (p *Price) cost() string {
	c, q := &p.Toll.Cost, &p.Toll.Perhaps
	switch {
	case c.Flows == 0 && q.Flows == 0:
		return "no ordinary session"
	case q.Flows == 0:
		return plural(c.Flows, "ordinary session")
	case c.Flows == 0:
		return fmt.Sprintf("no session with other services, %s with the attacked ones in which nothing was seen", plural(q.Flows, "session"))
	}
	return fmt.Sprintf("%s with other services, and %d with the attacked ones in which nothing was seen", plural(c.Flows, "ordinary session"), q.Flows)
}

// casesShown of the table; all are in the JSON.
const casesShown = 20

// Print writes the price in plain words, and a table of what would have cost most.
func (p *Price) Print(w io.Writer) {
	if p.Since == 0 {
		fmt.Fprintln(w, "The rehearsal has seen nothing yet: no decision was taken.")
		return
	}
	fmt.Fprintf(w, "Rehearsed from %s to %s UTC. Nothing was stopped.\n\n", clock(p.Since), clock(p.Until))
	fmt.Fprintf(w, "Prevention would have blocked %s (%s decided)", plural(uint64(p.Hosts), "host"), plural(uint64(p.Blocks), "time"))
	if p.Whole > 0 {
		fmt.Fprintf(w, " and %s whole", plural(uint64(p.Whole), "network"))
	}
	fmt.Fprintf(w, ", limited a shared address %s, and unproven traffic to a target %s.\n", plural(uint64(p.Rates), "time"), plural(p.Limits, "time"))
	if p.Refused > 0 {
		fmt.Fprintf(w, "%s more stopped at the guard, the ceiling or the policy, and would only have been told.\n", plural(p.Refused, "decision"))
	}
	t := &p.Toll
	fmt.Fprintf(w, "It would have stopped %s. In %s of these something was seen.\n\n", t.Stopped.words(), plural(t.Seen.Flows, "flow"))
	fmt.Fprintln(w, "The price:")
	fmt.Fprintf(w, "  surely   %s with services that were not attacked (%s)\n", plural(t.Cost.Flows, "completed session"), size(t.Cost.Bytes))
	fmt.Fprintf(w, "  perhaps  %s with attacked services in which nothing was seen (%s): the attack's own, or of others behind the same address\n", plural(t.Perhaps.Flows, "completed session"), size(t.Perhaps.Bytes))
	fmt.Fprintf(w, "  besides  %s of networks that would have been blocked whole\n", plural(uint64(t.Hosts), "other host"))
	p.table(w)
}

func (p *Price) table(w io.Writer) {
	if len(p.Cases) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%-19s  %-24s %-17s %9s %11s %7s %8s\n", "from (UTC)", "who", "class", "attack", "stopped", "surely", "perhaps")
	for i, c := range p.Cases {
		if i == casesShown {
			fmt.Fprintf(w, "and %d more; --json has them all\n", len(p.Cases)-casesShown)
			break
		}
		fmt.Fprintf(w, "%-19s  %-24s %-17s %9d %8d pk %7d %8d\n", clock(c.Time), c.Who(), c.Class, c.Attack, c.Stopped.Packets, c.Cost.Flows, c.Perhaps.Flows)
	}
	if p.Older > 0 {
		fmt.Fprintf(w, "%d older decisions are in the sums only\n", p.Older)
	}
}

// Who is the prefix as a person writes it.
func (c *Case) Who() string {
	if c.Prefix.IsSingleIP() {
		return c.Prefix.Addr().String()
	}
	return c.Prefix.String()
}

func (t *Traffic) words() string {
	return fmt.Sprintf("%s, %s, %s", plural(t.Flows, "flow"), plural(t.Packets, "packet"), size(t.Bytes))
}

func clock(ns int64) string { return time.Unix(0, ns).UTC().Format("2006-01-02 15:04:05") }

func plural(n uint64, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

func size(n uint64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	f := float64(n)
	for _, u := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if f /= unit; f < unit {
			return fmt.Sprintf("%.1f %s", f, u)
		}
	}
	return fmt.Sprintf("%.1f PiB", f/unit)
}
