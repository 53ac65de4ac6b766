package check

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
)

// How a fact is known.
const (
	proven = "recomputed"
	said   = "only said"
)

// Options are what the caller holds beside the claim or the log.
type Options struct {
	Key         *Key  // the log's, from elsewhere; nil takes the one that the file brings, which proves no origin
	Witnesses   []Key // of which Quorum must have cosigned
	Quorum      int
	Earlier     string // a checkpoint of the same log kept from before; "" for none
	Consistency []Hash // proof that leads from it to the newer one; not needed for a whole log
}

// Fact is one line of what was found.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	How   string `json:"how"` // recomputed, or only said
}

// Result is what a check found. The claim is proven when there is no problem.
type Result struct {
	What         string   `json:"what"` // claim, merged claim or log
	Sentence     string   `json:"sentence"`
	Problems     []string `json:"problems"` // at most 100 named
	ProblemCount int      `json:"problem_count"`
	Key          string   `json:"key"`
	Quorum       string   `json:"quorum"`
	Signers      []Signer `json:"signers"`
	Facts        []Fact   `json:"facts"`
	Caveats      []string `json:"caveats"` // what it does not show
	Parts        []Result `json:"parts,omitempty"`
}

// OK says whether everything that was checked holds.
func (r *Result) OK() bool { return r.ProblemCount == 0 }

func (r *Result) problem(f string, args ...any) {
	if r.ProblemCount++; len(r.Problems) < problemsNamed {
		r.Problems = append(r.Problems, fmt.Sprintf(f, args...))
	}
}

func (r *Result) fact(name, how, f string, args ...any) {
	r.Facts = append(r.Facts, Fact{name, fmt.Sprintf(f, args...), how})
}

// head opens a checkpoint with the caller's key or the file's own, judges its signatures and the earlier checkpoint.
// An error means that nothing below it can be believed.
func (r *Result) head(note, own string, o Options) (c Checkpoint, earlier *Checkpoint, err error) {
	if c, err = ParseCheckpoint(note); err != nil {
		return c, nil, err
	}
	key, err := ParseKey(own)
	if err != nil {
		return c, nil, err
	}
	r.Key = "self-certified, key " + key.Fingerprint()
	if o.Key != nil {
		if o.Key.Fingerprint() != key.Fingerprint() || o.Key.Name != key.Name {
			return c, nil, fmt.Errorf("it is of the log %s with key %s, not of %s with key %s, which was given", key.Name, key.Fingerprint(), o.Key.Name, o.Key.Fingerprint())
		}
		r.Key = "key " + key.Fingerprint() + ", as given"
	}
	if err := c.signedBy(key); err != nil {
		return c, nil, err
	}
	var met int
	var wrong []string
	r.Signers, met, wrong = c.signers(key, o.Witnesses)
	for _, w := range wrong {
		r.problem("%s", w)
	}
	switch {
	case len(o.Witnesses) == 0:
		r.Quorum = "no witness was named, so none was counted"
	case met < o.Quorum:
		r.Quorum = fmt.Sprintf("not met: %d of the %d witnesses named cosigned, %d were demanded", met, len(o.Witnesses), o.Quorum)
		r.problem("quorum %s", r.Quorum)
	default:
		r.Quorum = fmt.Sprintf("met: %d of the %d witnesses named cosigned, %d were demanded", met, len(o.Witnesses), o.Quorum)
	}
	if o.Earlier == "" {
		return c, nil, nil
	}
	e, err := ParseCheckpoint(o.Earlier)
	if err == nil {
		err = e.signedBy(key)
	}
	if err != nil {
		return c, nil, fmt.Errorf("the earlier one: %w", err)
	}
	if e.Size > c.Size {
		return c, nil, fmt.Errorf("the earlier checkpoint has %d leaves, this one %d: the log was cut, or this is older", e.Size, c.Size)
	}
	return c, &e, nil
}

// leads holds a claim's checkpoint against the earlier one.
func (r *Result) leads(c Checkpoint, earlier *Checkpoint, proof []Hash) {
	switch {
	case earlier == nil:
	case consistent(earlier.Size, c.Size, earlier.Root, c.Root, proof):
		r.fact("earlier checkpoint", proven, "its %d leaves are the first of this one", earlier.Size)
	case len(proof) == 0 && earlier.Size < c.Size:
		r.problem("no consistency proof leads from the earlier checkpoint (%d leaves) to this one (%d)", earlier.Size, c.Size)
	default:
		r.problem("the earlier checkpoint (%d leaves) is of another history than this one (%d): two histories bear one name, or the proof is of other sizes", earlier.Size, c.Size)
	}
}

// ParseConsistency reads a consistency proof: a hash in base64 on each line, "old SIZE" before them or not, up to an empty
// line or the end; so the body of a C2SP add-checkpoint request serves as it is.
func ParseConsistency(text string) (proof []Hash, err error) {
	lines := strings.Split(text, "\n")
	if strings.HasPrefix(lines[0], "old ") {
		lines = lines[1:]
	}
	for _, line := range lines {
		if line == "" {
			break
		}
		h, ok := hashOf(line)
		if !ok || len(proof) == 64 {
			return nil, errors.New("not a consistency proof: at most 64 lines of a hash in base64")
		}
		proof = append(proof, h)
	}
	return proof, nil
}

// grouped writes a number for people: 1,234,567.
func grouped(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Print writes a result for people; private bytes never come into it, and what a file says is quoted where it could
// bear control characters.
func (r *Result) Print(w io.Writer) {
	r.body(w, "")
	verdict := "PROVEN"
	if !r.OK() {
		verdict = fmt.Sprintf("WRONG: %d problems", r.ProblemCount)
	}
	fmt.Fprintf(w, "%s: %s (%s)\n", r.What, verdict, r.Key)
}

func (r *Result) body(w io.Writer, indent string) {
	line := func(name, f string, args ...any) {
		fmt.Fprintf(w, "%s%-19s %s\n", indent, name, plain(fmt.Sprintf(f, args...)))
	}
	if r.Sentence != "" {
		line("sentence", "%s", r.Sentence)
	}
	for _, f := range r.Facts {
		line(f.Name, "%s (%s)", f.Value, f.How)
	}
	for _, s := range r.Signers {
		line("signature", "%s: %s", s.Name, s.Says)
	}
	line("quorum", "%s", r.Quorum)
	for i := range r.Parts {
		fmt.Fprintf(w, "%spart %d\n", indent, i+1)
		r.Parts[i].body(w, indent+"  ")
	}
	for _, p := range r.Problems {
		line("WRONG", "%s", p)
	}
	if left := r.ProblemCount - len(r.Problems); left > 0 {
		line("WRONG", "and %d more", left)
	}
	for _, c := range r.Caveats {
		line("not shown", "%s", c)
	}
}

// plain takes out what could move a terminal's cursor or turn text around.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, s)
}

func hashOf(s string) (h Hash, ok bool) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != len(h) || len(s) != 44 {
		return h, false
	}
	return Hash(b), true
}
