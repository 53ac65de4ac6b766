package claim

import (
	"fmt"
	"io"
	"strings"
)

// Print writes a claim and what a check of it found for a person; its last line is the verdict.
func (c *Claim) Print(w io.Writer, r *Result) {
	x := &c.Coverage
	line := func(what, f string, args ...any) {
		fmt.Fprintf(w, "%-11s%s\n", what, Clean(fmt.Sprintf(f, args...)))
	}
	if r.OK() {
		line("claim", "%s", c.Sentence)
		line("count", "%s: %s counted, %s withdrawn", attacksLeft(&c.Count), number(c.Count.Gross), number(c.Count.Withdrawn))
		line("one attack", "%s", c.Definition.Text)
		line("log", "%s, table %s", c.Log.Origin, c.Definition.Table)
		line("covered", "%s to %s UTC, at least %s of %s seconds watched", seconds(x.From), seconds(x.To), whole(x.Watched), whole(x.Seconds))
		line("packets", "%s received, %s inspected", number(x.Received), number(x.Inspected))
		for _, text := range c.Caveats {
			line("but", "%s", text)
		}
		line("only said", "the sensors: %s", strings.Join(c.Log.Sensors, ", "))
	}
	r.print(w)
}

// Print writes a merged claim and what a check of it found for a person; its last line is the verdict.
func (m *Merged) Print(w io.Writer, r *Result) {
	line := func(what, f string, args ...any) {
		fmt.Fprintf(w, "%-11s%s\n", what, Clean(fmt.Sprintf(f, args...)))
	}
	if r.OK() {
		line("claim", "%s", m.Sentence)
		line("count", "%s: the parts' sum is %d, %s of it counted already", attacks(uint64(max(m.Count.Net, 0))), m.Count.Sum, number(m.Count.Twice))
		line("rule", "%s: %s", m.Rule.Name, m.Rule.Text)
		line("one attack", "%s", m.Definition.Text)
		for i, c := range m.Parts {
			line(fmt.Sprintf("part %d", i+1), "%s (%s)", c.Sentence, c.Log.Origin)
			for _, text := range c.Caveats[:len(c.Caveats)-1] {
				line("but", "%s", text)
			}
		}
		for _, text := range m.Caveats {
			line("but", "%s", text)
		}
		line("but", "%s", notShown)
	}
	r.print(w)
}

func attacksLeft(n *Count) string {
	if n.Net < 0 {
		return fmt.Sprintf("%d attacks", n.Net)
	}
	return attacks(uint64(n.Net))
}

// print writes what is wrong and the verdict.
func (r *Result) print(w io.Writer) {
	for _, p := range r.Problems {
		fmt.Fprintf(w, "%-11s%s\n", "WRONG", Clean(p))
	}
	switch {
	case !r.OK():
		fmt.Fprintln(w, "NOT VERIFIED: nothing that the file says is shown by it")
	case r.SelfCertified:
		fmt.Fprintf(w, "self-certified, key %s: who signed is not known from elsewhere\n", r.Fingerprint)
	default:
		fmt.Fprintf(w, "verified, key %s\n", r.Fingerprint)
	}
}

// Clean is a text of a stranger's file as a terminal may show it: without control characters, cut to what one reads.
func Clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '?'
		}
		return r
	}, s)
	if len(s) > 2000 {
		s = strings.ToValidUTF8(s[:2000], "") + "..."
	}
	return s
}
