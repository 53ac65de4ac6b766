package report

import (
	_ "embed" // the page
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"strconv"
	"strings"

	"github.com/dejpha/dejpha/claim"
)

//go:embed page.html
var pageText string

// bounds say how sure a table is.
var bounds = map[string]string{
	"claim":   "proven by the claim at the end of this page: two totals leaves under the signed checkpoint.",
	"leaves":  "counted from the log's leaves one by one; their number agrees with the claim. Whoever has the log checks them with dejpha verify. The claim alone does not show this table.",
	"private": "counted from private records, each of which agreed with what its leaf had committed to. The claim does not show this table: the operator can open single records to an auditor (dejpha audit), and what was erased is missing.",
}

// page is a report as the template takes it.
type page struct {
	*Report
	Chart        template.HTML
	Link         template.URL
	ClaimText    string
	WeekRows     []weekRow
	CoverageRows [][2]string
}

type weekRow struct {
	Week
	Link template.URL
}

// WriteHTML writes the page: one file, without scripts, that asks nothing of any network.
func (r *Report) WriteHTML(w io.Writer) error {
	t, err := template.New("page").Funcs(template.FuncMap{
		"n": func(v int64) string { return commas(v) }, "nu": func(v uint64) string { return commas(int64(min(v, 1<<62))) },
		"n64": func(v int64) string { return commas(v) }, "stamp": stamp, "bound": func(b string) string { return bounds[b] },
	}).Parse(pageText)
	if err != nil {
		return fmt.Errorf("the page's template: %w", err)
	}
	p := page{Report: r, Chart: chart(r.Steps, r.StepName), Link: link(r.Claim), ClaimText: string(r.Claim.Encode()), CoverageRows: coverageRows(&r.Coverage)}
	for _, x := range r.Weeks {
		row := weekRow{Week: x}
		if x.Claim != nil {
			row.Link = link(x.Claim)
		}
		p.WeekRows = append(p.WeekRows, row)
	}
	return t.Execute(w, p)
}

// WriteJSON writes the same for programs.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	return e.Encode(r)
}

// link holds a claim itself, so that the page needs no second file.
func link(c *claim.Claim) template.URL {
	return template.URL("data:application/json;base64," + base64.StdEncoding.EncodeToString(c.Encode())) //nolint:gosec // base64 of our own JSON
}

func commas(v int64) string {
	s := strconv.FormatInt(v, 10)
	sign := ""
	if v < 0 {
		sign, s = "−", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

func stamp(t claim.Time) string {
	g := t.Go().UTC()
	if g.Second() == 0 {
		return g.Format("2006-01-02 15:04")
	}
	return g.Format("2006-01-02 15:04:05")
}

// coverageRows are the figures of what was watched, in words.
func coverageRows(c *claim.Coverage) [][2]string {
	u := func(v uint64) string { return commas(int64(min(v, 1<<62))) }
	s := func(v float64) string { return commas(int64(v)) + " s" }
	share := "0 %"
	if c.Seconds > 0 {
		share = strconv.FormatFloat(100*c.Watched/c.Seconds, 'f', 2, 64) + " %"
	}
	return [][2]string{
		{"Counted between the totals leaves of", stamp(c.From) + " and " + stamp(c.To) + " UTC"},
		{"Of these seconds at least so many were watched", s(c.Watched) + " of " + s(c.Seconds) + " (" + share + ")"},
		{"Packets received", u(c.Received)}, {"of them inspected", u(c.Inspected)}, {"bypassed on purpose", u(c.Bypassed)},
		{"dropped by the kernel before they were seen", u(c.Dropped)}, {"shed under load", u(c.Shed)}, {"undecodable", u(c.Undecodable)},
		{"Restarts, of them after a crash", u(c.Restarts) + ", " + u(c.Unclean)}, {"Time before restarts in which nobody watched", s(c.Away)},
		{"Silences", u(c.Gaps) + ", " + s(c.GapSeconds)}, {"Time without protection, frames that passed meanwhile", s(c.Unprotected) + ", " + u(c.Passed)},
		{"Clock jumps", u(c.ClockJumps)}, {"Observations given up, attacks merged, because tables were full", u(c.ShedRecords) + ", " + u(c.Merged)},
		{"Erasures, deletions by retention", u(c.Erasures) + ", " + u(c.Retention)},
	}
}

// Size of the plot, in its own units.
const (
	chartWidth, chartHeight = 920, 250
	chartLeft, chartBottom  = 70, 34
	chartTop, chartRight    = 30, 20
	dotsMax                 = 48 // steps up to which each has its dot
)

// chart draws foiled, contained and observed by step: three lines that differ in colour, dashes and name. The table that
// follows it in the page says the same in text.
func chart(steps []Step, name string) template.HTML {
	if len(steps) == 0 {
		return ""
	}
	var top int64 = 1
	sum := Figures{}
	for i := range steps {
		top = max(top, steps[i].Foiled, steps[i].Contained, steps[i].Observed)
		sum.plus(&steps[i].Figures)
	}
	top = round(top)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" role="img" aria-labelledby="chart-title chart-words"><title id="chart-title">Attacks by %s</title>`, chartWidth, chartHeight, name)
	fmt.Fprintf(&b, `<desc id="chart-words">Three lines over %d steps: %s foiled, %s contained, %s observed in all. The table below has every figure.</desc>`, len(steps), commas(sum.Foiled), commas(sum.Contained), commas(sum.Observed))
	x := func(i int) float64 {
		return chartLeft + (float64(i)+0.5)*(chartWidth-chartLeft-chartRight)/float64(len(steps))
	}
	y := func(v int64) float64 {
		return chartHeight - chartBottom - float64(v)/float64(top)*(chartHeight-chartBottom-chartTop)
	}
	for _, v := range []int64{0, top / 2, top} {
		fmt.Fprintf(&b, `<line class="axis" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`, chartLeft, chartWidth-chartRight, y(v), y(v), chartLeft-8, y(v)+4, commas(v))
	}
	every := (len(steps) + 7) / 8
	for i := 0; i < len(steps); i += every {
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`, x(i), chartHeight-10, template.HTMLEscapeString(steps[i].Name))
	}
	for k, line := range []struct {
		name, dash string
		of         func(*Figures) int64
	}{
		{"foiled", "", func(f *Figures) int64 { return f.Foiled }},
		{"contained", "8 5", func(f *Figures) int64 { return f.Contained }},
		{"observed", "2 4", func(f *Figures) int64 { return f.Observed }},
	} {
		fmt.Fprintf(&b, `<polyline class="lines %s" stroke-dasharray="%s" points="`, line.name, line.dash)
		for i := range steps {
			fmt.Fprintf(&b, "%.1f,%.1f ", x(i), y(max(line.of(&steps[i].Figures), 0)))
		}
		b.WriteString(`"/>`)
		for i := 0; i < len(steps) && len(steps) <= dotsMax; i++ {
			fmt.Fprintf(&b, `<circle class="%s" cx="%.1f" cy="%.1f" r="3"/>`, line.name, x(i), y(max(line.of(&steps[i].Figures), 0)))
		}
		at := chartLeft + 130*k
		fmt.Fprintf(&b, `<line class="lines %s" stroke-dasharray="%s" x1="%d" x2="%d" y1="12" y2="12"/><text x="%d" y="16">%s</text>`, line.name, line.dash, at, at+34, at+40, line.name)
	}
	b.WriteString("</svg>\n")
	return template.HTML(b.String()) //nolint:gosec // numbers, and names that are escaped above
}

// round is the next even number with one digit before its zeros, so that its half is whole.
func round(v int64) int64 {
	for p := int64(1); p <= 1e17; p *= 10 {
		for _, m := range []int64{2, 4, 6, 8, 10} {
			if v <= m*p {
				return m * p
			}
		}
	}
	return v
}
