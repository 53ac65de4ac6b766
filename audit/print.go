package audit

import (
	"fmt"
	"io"

	"github.com/dejpha/dejpha/claim"
)

// Print writes the report for a person; its last line is the verdict.
func (r *Report) Print(w io.Writer) {
	line := liner(w)
	if r.Claim != nil {
		line("claim", "%s", r.Claim.Sentence)
		line("log", "%s, %s leaves in the window", r.Claim.Log.Origin, number(r.Leaves))
	}
	r.body(line)
	closing(w, r.ProblemCount, r.SelfCertified, r.Fingerprint)
}

// liner writes lines that begin with what they are about.
func liner(w io.Writer) func(what, f string, args ...any) {
	return func(what, f string, args ...any) {
		fmt.Fprintf(w, "%-11s%s\n", what, claim.Clean(fmt.Sprintf(f, args...)))
	}
}

// body tells what was looked at, and what is wrong.
func (r *Report) body(line func(string, string, ...any)) {
	if r.Drawn > 0 || r.Draws > 0 || r.Full != nil {
		r.found(line)
	}
	for _, p := range r.Problems {
		line("WRONG", "%s", p)
	}
	if left := r.ProblemCount - uint64(len(r.Problems)); left > 0 {
		line("WRONG", "and %d more", left)
	}
}

// closing says what no audit shows, and the verdict.
func closing(w io.Writer, problems uint64, selfCertified bool, fingerprint string) {
	line := liner(w)
	line("not shown", "who stood behind an address; that an attack was not staged; what was never captured; that no second log was kept")
	switch {
	case problems > 0:
		line(fmt.Sprintf("DOES NOT HOLD: %d problems", problems), "")
	case selfCertified:
		fmt.Fprintf(w, "holds as far as it was looked at; self-certified, key %s\n", fingerprint)
	default:
		fmt.Fprintf(w, "holds as far as it was looked at; key %s\n", fingerprint)
	}
}

// found tells what was looked at.
func (r *Report) found(line func(string, string, ...any)) {
	line("seed", "%s (the same draws again: --seed %s)", r.Seed, r.Seed)
	line("drawn", "%s of %s claimed attacks, %s wrong", number(r.Drawn), number(r.Claimed), number(r.Wrong))
	if r.Corrected > 0 {
		line("", "%s of them are corrections, which count an attack's leaf there again", number(r.Corrected))
	}
	if text := bound(r.Claimed, r.Drawn, "claimed attacks", "are invented"); r.Wrong == 0 && r.Full == nil && text != "" {
		line("so", "%s", text)
	}
	if r.Private && r.Drawn > 0 {
		line("private", "%s private parts opened and agree with their leaf; %s erased or fell to retention: their leaves and counts stand", number(r.Opened), number(r.Erased))
		line("packets", "%s have packets with the sealed hash; of %s they are gone; of %s none were kept", number(r.Kept), number(r.Gone), number(r.Opened-r.Kept-r.Gone))
		if r.Kept > 0 {
			line("re-run", "%s show their class again; %s were told by behaviour over more than was kept; %s could not be run%s", number(r.Found), number(r.Wider), number(r.NotRun), why(r.NotRunWhy))
		}
	} else if r.Drawn > 0 {
		line("private", "not opened: what is private is only in the log's own folder")
	}
	if r.Full != nil {
		if r.OK() {
			line("recounted", "all %s leaves under the checkpoint: every count is that of the leaves, every leaf is one that was signed", number(uint64(r.Full.Size)))
		}
		return
	}
	if r.Draws == 0 {
		return
	}
	line("stretches", "%d draws fell in %d stretches between totals leaves; recounted whole with %s leaves, %d wrong", r.Draws, r.Stretches, number(r.StretchLeaves), r.StretchWrong)
	if r.Unjudged > 0 {
		line("", "%d of them hold corrections that a stretch cannot judge; --full can", r.Unjudged)
	}
	if r.StretchWrong > 0 || r.Unjudged > 0 {
		return
	}
	if r.StretchLeaves >= r.Leaves {
		line("so", "every leaf of the window was recounted")
		return
	}
	line("so", "%s", bound(r.Leaves, uint64(r.Draws), "leaves", "lie in stretches that are counted wrongly"))
}

func why(text string) string {
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}
