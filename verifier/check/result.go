package check

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// How a fact is known.
const (
	proven = "recomputed"
	said   = "only said"
)

const problemsNamed = 100

// Options are what the caller holds beside the claim or the log.
type Options struct {
	Keys        []Key // of logs, from elsewhere; none takes the one that the file brings, which proves no origin
	Witnesses   []Key // of which Quorum must have cosigned
	Quorum      int
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

// JSON is the result for programs, with the verdict before the rest.
func (r *Result) JSON() []byte {
	return encode(struct {
		Proven bool `json:"proven"`
		*Result
	}{r.OK(), r})
}

// wrong keeps a problem if it is one, and says whether it is.
func (r *Result) wrong(is bool, f string, args ...any) bool {
	if is {
		if r.ProblemCount++; len(r.Problems) < problemsNamed {
			r.Problems = append(r.Problems, fmt.Sprintf(f, args...))
		}
	}
	return is
}

func (r *Result) fact(name, how, f string, args ...any) {
	r.Facts = append(r.Facts, Fact{name, fmt.Sprintf(f, args...), how})
}

// head opens a checkpoint with the caller's key or the file's own, and judges its signatures and the earlier checkpoint.
// False when nothing below it can be believed.
func (r *Result) head(note, own string, o Options) (c Checkpoint, earlier *Checkpoint, ok bool) {
	key, err := ParseKey(own)
	if err == nil {
		c, err = ParseCheckpoint(note)
	}
	if err == nil {
		err = c.signedBy(key)
	}
	if r.wrong(err != nil, "%v", err) {
		return c, nil, false
	}
	r.Key = "self-certified, key " + key.Fingerprint()
	if len(o.Keys) > 0 {
		r.Key = "key " + key.Fingerprint() + ", as given"
		given := slices.ContainsFunc(o.Keys, func(k Key) bool { return k.Name == key.Name && k.Fingerprint() == key.Fingerprint() })
		if r.wrong(!given, "it is of %s with key %s, and no such key was given", key.Name, key.Fingerprint()) {
			return c, nil, false
		}
	}
	var met, bad int
	r.Signers, met, bad = c.signers(key, o.Witnesses)
	r.wrong(bad > 0, "%d cosignatures of witnesses do not fit the checkpoint", bad)
	r.Quorum = fmt.Sprintf("%d of the %d witnesses named cosigned, %d were demanded", met, len(o.Witnesses), o.Quorum)
	if len(o.Witnesses) == 0 {
		r.Quorum = "unknown: no witness was named"
	} else if r.Quorum = "met: " + r.Quorum; met < o.Quorum {
		r.Quorum = "not " + r.Quorum
		r.wrong(true, "quorum %s", r.Quorum)
	}
	if o.Earlier == "" {
		return c, nil, true
	}
	e, err := ParseCheckpoint(o.Earlier)
	if err == nil {
		err = e.signedBy(key)
	}
	if err == nil && e.Size > c.Size {
		err = fmt.Errorf("it has %d leaves, this one %d: the log was cut, or this is older", e.Size, c.Size)
	}
	return c, &e, !r.wrong(err != nil, "the earlier checkpoint: %v", err)
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
	line := func(name, text string) {
		text = strings.Map(func(c rune) rune {
			if unicode.IsPrint(c) {
				return c
			}
			return '\uFFFD'
		}, text)
		fmt.Fprintf(w, "%s%-19s %s\n", indent, name, text)
	}
	line("sentence", r.Sentence)
	for _, f := range r.Facts {
		line(f.Name, f.Value+" ("+f.How+")")
	}
	for _, s := range r.Signers {
		line("signature", s)
	}
	line("quorum", r.Quorum)
	for i := range r.Parts {
		line("part", strconv.Itoa(i+1))
		r.Parts[i].print(w, indent+"  ")
	}
	for _, p := range r.Problems {
		line("WRONG", p)
	}
	for _, c := range r.Caveats {
		line("not shown", c)
	}
}

// grouped writes a number for people: 1,234,567.
func grouped(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
