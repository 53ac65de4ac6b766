package stated

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// marks are the words that begin a finding's line.
var marks = map[Weight]string{Proves: "proves", Against: "against", Holds: "holds", Lacks: "lacks", Remark: "note"}

// limits is what no reading of figures can show; it ends every report.
const limits = "This reading compares words and numbers. It cannot show that a figure is true: only a claim over a sealed log, checked with the log's key, does that, and even that cannot prove who did it or that an attack was not staged."

// Print writes what was found for a person.
func Print(w io.Writer, list []Judged) {
	for i := range list {
		j := &list[i]
		f := j.Figure
		fmt.Fprintf(w, "%s  %s", f.ID, strings.ToUpper(string(j.Verdict)))
		if f.Sentence != "" {
			fmt.Fprintf(w, "  “%s”", safe(f.Sentence))
		}
		if who := f.said(); who != "" {
			fmt.Fprintf(w, " (%s)", safe(who))
		}
		fmt.Fprintln(w)
		for _, x := range j.Findings {
			fmt.Fprintf(w, "   %-8s %s\n", marks[x.Weight], safe(x.Text))
		}
		if j.More > 0 {
			fmt.Fprintf(w, "   and %d more findings\n", j.More)
		}
		if len(j.Findings) == 0 {
			fmt.Fprintf(w, "   note     There is nothing in it that could be compared or computed.\n")
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, Closing(list))
	fmt.Fprintln(w, limits)
}

// safe leaves no control characters in what others wrote: a terminal obeys them.
func safe(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return ' '
		}
		return r
	}, s)
}

// Closing counts the verdicts in one line.
func Closing(list []Judged) string {
	n := Count(list)
	return fmt.Sprintf("%d figures: %d proven, %d partly, %d unverifiable, %d contradictory.", len(list), n[Proven], n[Partly], n[Unverifiable], n[Contradictory])
}

// Count is how many figures have each verdict.
func Count(list []Judged) map[Verdict]int {
	n := map[Verdict]int{Proven: 0, Partly: 0, Unverifiable: 0, Contradictory: 0}
	for _, j := range list {
		n[j.Verdict]++
	}
	return n
}

// PrintJSON writes what was found for programs: one object with the list and the counts.
func PrintJSON(w io.Writer, list []Judged) error {
	type one struct {
		ID       string    `json:"id"`
		Line     int       `json:"line"`
		Sentence string    `json:"sentence,omitempty"`
		Said     string    `json:"said,omitempty"`
		Verdict  Verdict   `json:"verdict"`
		Findings []Finding `json:"findings"`
		More     int       `json:"more,omitempty"`
	}
	out := struct {
		Format  string          `json:"format"`
		Figures []one           `json:"figures"`
		Counts  map[Verdict]int `json:"counts"`
		Limits  string          `json:"limits"`
	}{Format: "dejpha/stated/1", Figures: []one{}, Counts: Count(list), Limits: limits}
	for _, j := range list {
		f := j.Findings
		if f == nil {
			f = []Finding{}
		}
		out.Figures = append(out.Figures, one{j.Figure.ID, j.Figure.Line, j.Figure.Sentence, j.Figure.said(), j.Verdict, f, j.More})
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(out)
}
