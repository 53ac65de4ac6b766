// Package stated judges figures that somebody stated: "33 million attacks foiled last year".
//
// In: a file of figures (JSON) and, for figures that name a claim file, what its check found. Out: for each figure a
// verdict (proven, partly, unverifiable, contradictory) and the findings behind it, in sentences that name the figures
// and the arithmetic (docs/stated.md). Called by cmd. It is pure: it opens no file, knows no network and no clock, and
// says nothing about who is right, only about what can hold together.
package stated

import (
	"fmt"
	"time"
)

// Verdict on one figure.
type Verdict string

// Verdicts.
const (
	Proven        Verdict = "proven"        // a claim file binds it, and that checks
	Partly        Verdict = "partly"        // something about it can be checked, and holds
	Unverifiable  Verdict = "unverifiable"  // nothing about it can be checked
	Contradictory Verdict = "contradictory" // it cannot hold as it was stated
)

// Weight of a finding: what it does to the verdict.
type Weight string

// Weights.
const (
	Proves   Weight = "proves"
	Against  Weight = "against"
	Holds    Weight = "holds"
	Lacks    Weight = "lacks"
	Remark   Weight = "note"
	findings        = 40 // kept of one figure; more are counted
)

// Finding is one thing found about a figure.
type Finding struct {
	Rule   string   `json:"rule"` // its name in docs/stated.md
	Weight Weight   `json:"weight"`
	Text   string   `json:"text"`
	With   []string `json:"with,omitempty"` // the other figures it takes
}

// Judged is a figure with what was found.
type Judged struct {
	Figure   *Figure
	Verdict  Verdict
	Findings []Finding
	More     int // findings left out
}

// Figure is one statement as it was read.
type Figure struct {
	ID       string
	Line     int // in the file
	Sentence string
	Source   string
	By       string
	Said     string // as written
	SaidOn   time.Time

	About, Event, System string // what it is about; the narrowest that is set groups figures
	Class, Outcome, Side string

	Count, Rate, Mean, Duration, Total, Sources *Quantity
	Share                                       *Share
	Factors                                     []Quantity // "30 times", "+200 %" (as 3 times)
	Parts                                       []Part     // inside and outside, or any others that are added up
	Unit                                        Unit
	Windows                                     []Window // one, or several that the same words allow
	Since                                       *Window  // when the system began
	Claim                                       string   // the file that is said to prove it
	Unread                                      []string // keys that mean nothing here
	FromSentence                                []string // fields that were missing and read from the sentence
}

// Share is a percentage and what it is said to be: at or to so much, or by so much.
type Share struct {
	Quantity
	Direction string // "to", "by" or ""
}

// Part is one part of a sum.
type Part struct {
	Name string
	Quantity
}

// Proof is what a claim file shows, as its own check found it.
type Proof struct {
	Err           string // why it could not be read or does not hold; "" if it holds
	Key           string // fingerprint of the key that signed
	SelfCertified bool   // the key came from the claim itself
	Kind          string // live, recording, demo
	Unit          string
	Net           uint64
	From, To      time.Time
	Classes       []string // empty: all
	Outcomes      []string
	Sides         []string
	Risks         []string
	Results       []string
	Sentence      string
	Coverage      string // in words
	Said          string // what the count rests on that the file says and does not prove; "": nothing
}

// Judge judges figures, each alone and each beside the others. proofs holds what the claim files show, by their names.
func Judge(figures []Figure, proofs map[string]Proof) []Judged {
	out := make([]Judged, len(figures))
	for i := range figures {
		out[i].Figure = &figures[i]
		for _, rule := range alone {
			rule(&out[i])
		}
	}
	together(out)
	for i := range out {
		if name := out[i].Figure.Claim; name != "" {
			if p, ok := proofs[name]; ok {
				out[i].proof(p)
			} else {
				out[i].add("proof", Lacks, fmt.Sprintf("The claim file %s was not checked.", name))
			}
		}
		out[i].Verdict = verdict(out[i].Findings)
	}
	return out
}

// verdict follows from the findings alone. What is proven is not shaken by another figure that says otherwise, only by
// its own arithmetic.
func verdict(list []Finding) Verdict {
	has := map[Weight]bool{}
	for _, f := range list {
		if f.Weight == Against && len(f.With) == 0 {
			return Contradictory
		}
		has[f.Weight] = true
	}
	switch {
	case has[Proves]:
		return Proven
	case has[Against]:
		return Contradictory
	case has[Holds]:
		return Partly
	}
	return Unverifiable
}

func (j *Judged) add(rule string, w Weight, text string, with ...string) {
	if len(j.Findings) >= findings {
		j.More++
		return
	}
	j.Findings = append(j.Findings, Finding{rule, w, text, with})
}
