package check

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// How a fact is known, and how many problems are named.
const (
	proven        = "recomputed"
	said          = "only said"
	problemsNamed = 100
)

// Options are what the caller holds beside the claim or the log.
type Options struct {
	Keys        []Key  // of logs, from elsewhere; none takes the one that the file brings, which proves no origin
	Witnesses   []Key  // of which Quorum must have cosigned
	Quorum      int    // below 0: all of them
	Earlier     string // a checkpoint of the same log kept from before; "" for none
	Consistency string // proof that leads from it to the newer one: a hash in base64 a line, up to an empty line; a first line "old SIZE" is skipped, so the body of a C2SP add-checkpoint request serves. A whole log needs none
}

// Fact is one line of what was found.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	How   string `json:"how"` // recomputed, or only said
}

// Result is what a check found. What was checked is proven when there is no problem.
type Result struct {
	What         string   `json:"what"` // claim, merged claim or log
	Sentence     string   `json:"sentence"`
	Problems     []string `json:"problems"` // at most 100 named
	ProblemCount int      `json:"problem_count"`
	Key          string   `json:"key"`
	Quorum       string   `json:"quorum"`
	Signers      []string `json:"signers"` // each signature under the checkpoint: good, wrong or unchecked, and why
	Facts        []Fact   `json:"facts"`
	Caveats      []string `json:"caveats"` // what it does not show
	Parts        []Result `json:"parts,omitempty"`
}

// OK says whether everything that was checked holds.
func (r *Result) OK() bool { return r.ProblemCount == 0 }

// wrong keeps a problem if it is one, and says whether it is.
func (r *Result) wrong(is bool, f string, args ...any) bool {
	if is {
		if r.ProblemCount++; len(r.Problems) < problemsNamed {
			r.Problems = append(r.Problems, fmt.Sprintf(f, args...))
		}
	}
	return is
}

// compare holds fields as a file has them against what they must be.
func (r *Result) compare(names string, have, want []json.RawMessage) {
	for i, name := range strings.Fields(names) {
		r.wrong(!bytes.Equal(have[i], want[i]), "its %s does not follow from what is proven: it says %.400s, that gives %.400s", name, have[i], want[i])
	}
}

func (r *Result) fact(name, how, f string, args ...any) {
	r.Facts = append(r.Facts, Fact{name, fmt.Sprintf(f, args...), how})
}

// head opens a checkpoint with the caller's key or the file's own, and judges its signatures and the earlier checkpoint.
// False when nothing below it can be believed.
func (r *Result) head(note, own string, o Options) (c Checkpoint, earlier *Checkpoint, ok bool) {
	var met int
	key, err := ParseKey(own)
	if err == nil {
		c, err = ParseCheckpoint(note)
	}
	if err == nil {
		r.Signers, met, err = c.judge(key, o.Witnesses)
	}
	r.Key = "self-certified, key " + key.Fingerprint()
	if err == nil && len(o.Keys) > 0 {
		r.Key = "key " + key.Fingerprint() + ", as given"
		if !slices.ContainsFunc(o.Keys, func(k Key) bool { return k.Name == key.Name && k.Fingerprint() == key.Fingerprint() }) {
			err = fmt.Errorf("it is of %s with key %s, and no such key was given", key.Name, key.Fingerprint())
		}
	}
	if err == nil && o.Earlier != "" {
		var e Checkpoint
		if e, err = ParseCheckpoint(o.Earlier); err == nil {
			_, _, err = e.judge(key, nil)
		}
		if err == nil && e.Size > c.Size {
			err = fmt.Errorf("it has %d leaves, this one %d: the log was cut, or this is older", e.Size, c.Size)
		}
		if earlier = &e; err != nil {
			err = fmt.Errorf("the earlier checkpoint: %w", err)
		}
	}
	if o.Quorum < 0 {
		o.Quorum = len(o.Witnesses)
	}
	r.Quorum = fmt.Sprintf("met: %d of the %d witnesses named cosigned, %d were demanded", met, len(o.Witnesses), o.Quorum)
	if r.wrong(met < o.Quorum, "quorum not %s", r.Quorum) {
		r.Quorum = "not " + r.Quorum
	} else if len(o.Witnesses) == 0 {
		r.Quorum = "unknown: no witness was named"
	}
	return c, earlier, !r.wrong(err != nil, "%v", err)
}

// Print writes a result for people. What files say cannot move the cursor or turn text around.
func (r *Result) Print(w io.Writer) {
	r.print(w, "")
	verdict := "PROVEN"
	if !r.OK() {
		verdict = fmt.Sprintf("WRONG (%d problems)", r.ProblemCount)
	}
	fmt.Fprintf(w, "%s: %s, %s\n", r.What, verdict, r.Key)
}

func (r *Result) print(w io.Writer, indent string) {
	lines := func(name string, texts ...string) {
		for _, text := range texts {
			text = strings.Map(func(c rune) rune {
				if unicode.IsPrint(c) {
					return c
				}
				return '\uFFFD'
			}, text)
			fmt.Fprintf(w, "%s%-19s %s\n", indent, name, text)
		}
	}
	lines("sentence", r.Sentence)
	for _, f := range r.Facts {
		lines(f.Name, f.Value+" ("+f.How+")")
	}
	lines("signature", r.Signers...)
	lines("quorum", r.Quorum)
	for i := range r.Parts {
		lines("part", strconv.Itoa(i+1))
		r.Parts[i].print(w, indent+"  ")
	}
	lines("WRONG", r.Problems...)
	lines("not shown", r.Caveats...)
}

// grouped writes a number for people: 1,234,567.
func grouped(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
