// Package report writes what a log counted in a window for people: a page that prints well, and the same as JSON.
//
// In: the folder of a log, a window, and what of origins and targets may be shown. Out: figures by class, outcome, risk,
// side, week, origin and target, each with what binds it: a claim inside the page, the leaves, or the private records.
// Called by cmd. It writes no file, reads no clock, asks no network, and shows no figure without saying how sure it is.
package report

import (
	"fmt"
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/claim"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/evidence/leaves"
)

// Format names the format of the JSON.
const Format = "dejpha/report/1"

// Options of a report.
type Options struct {
	Window  claim.Window
	Title   string // "November 2026"
	Origins string // none, country, prefix or address
	Targets string // none, port, group or address
	Top     int    // rows of a table; the rest is counted
	// Country is the country of an address in text, two letters or "". Nil: none is known.
	Country     func(addr string) string
	CountryName string // of the database, with what its licence asks to be said
}

// OriginChoices and TargetChoices are what Options may show.
var (
	OriginChoices = []string{"none", "country", "prefix", "address"}
	TargetChoices = []string{"none", "port", "group", "address"}
)

// Figures are attacks by outcome, never added up across it. Foiled, Contained and Observed count what was at risk.
type Figures struct {
	Foiled    int64 `json:"foiled"`
	Contained int64 `json:"contained"`
	Observed  int64 `json:"observed"`
	Decoy     int64 `json:"decoy"`           // risk decoy, whatever the outcome
	NoRisk    int64 `json:"nothing_at_risk"` // risk none
}

// weight orders rows; it is shown nowhere.
func (f *Figures) weight() int64 { return f.Foiled + f.Contained + f.Observed + f.Decoy + f.NoRisk }

func (f *Figures) plus(o *Figures) {
	f.Foiled, f.Contained, f.Observed = f.Foiled+o.Foiled, f.Contained+o.Contained, f.Observed+o.Observed
	f.Decoy, f.NoRisk = f.Decoy+o.Decoy, f.NoRisk+o.NoRisk
}

// Outcome is the attacks of one outcome by what was at risk.
type Outcome struct {
	Name   string `json:"name"`
	Real   int64  `json:"real"`
	Decoy  int64  `json:"decoy"`
	NoRisk int64  `json:"none"`
}

// Row is one line of a table.
type Row struct {
	Name string `json:"name"`
	Figures
}

// Table is figures by one thing, with what binds them.
type Table struct {
	By      string   `json:"by"`
	Caption string   `json:"-"`
	Bound   string   `json:"bound"` // claim, leaves or private
	Rows    []Row    `json:"rows"`
	More    int      `json:"more,omitempty"` // rows left out
	Rest    *Figures `json:"rest,omitempty"` // what they count
	Unknown int64    `json:"erased,omitempty"`
	Note    string   `json:"note,omitempty"`
}

// Week is one calendar week, or the part of it that lies in the window, with a claim of its own.
type Week struct {
	Name   string       `json:"name"`
	Window claim.Window `json:"window"`
	Figures
	Claim   *claim.Claim `json:"claim,omitempty"`
	Outside string       `json:"outside,omitempty"` // why there is no claim
}

// Step is one step of the plot.
type Step struct {
	From time.Time `json:"from"`
	Name string    `json:"name"`
	Figures
}

// Event is what the log says of its own watching.
type Event struct {
	At   time.Time `json:"at"`
	Leaf int64     `json:"leaf"`
	Kind string    `json:"kind"`
	Text string    `json:"text"`
}

// Report is everything that a page shows.
type Report struct {
	Format     string         `json:"format"`
	Title      string         `json:"title"`
	Window     claim.Window   `json:"window"`
	Log        claim.Log      `json:"log"`
	Key        string         `json:"key_fingerprint"`
	Size       int64          `json:"checkpoint_size"`
	Root       string         `json:"checkpoint_root"`
	Figures    Figures        `json:"figures"`
	Outcomes   [3]Outcome     `json:"outcomes"`
	Withdrawn  uint64         `json:"withdrawn"`
	Authorised uint64         `json:"authorised"`
	Tables     []*Table       `json:"tables"`
	Weeks      []Week         `json:"weeks"`
	StepName   string         `json:"step"`
	Steps      []Step         `json:"steps"`
	Coverage   claim.Coverage `json:"coverage"`
	Events     []Event        `json:"events"`
	MoreEvents uint64         `json:"more_events,omitempty"`
	Caveats    []string       `json:"caveats"`
	Limits     string         `json:"limits"`
	Claim      *claim.Claim   `json:"claim"`
	Countries  string         `json:"country_database,omitempty"`
	Erased     int64          `json:"private_erased"`
	Opened     int64          `json:"private_opened"`
}

// Limits is said wherever a figure is shown.
const Limits = "A log cannot prove who stood behind an address, that an attack was not staged, what was never captured, or that what the sensor told the log is true."

// Make reads a log and makes its report. Errors: those of claim.Make; evidence.CorruptError when the leaves do not add up
// to their totals.
func Make(dir string, opt Options) (*Report, error) {
	c, err := claim.Make(dir, claim.Select{}, opt.Window)
	if err != nil {
		return nil, err
	}
	h, err := evidence.ReadHead(dir)
	if err != nil {
		return nil, err
	}
	r := &Report{Format: Format, Title: opt.Title, Window: opt.Window, Log: c.Log, Key: evidence.Fingerprint(c.Log.Key), Size: h.Size, Root: h.Root.String(),
		Withdrawn: c.Count.Withdrawn, Coverage: c.Coverage, Caveats: c.Caveats, Limits: Limits, Claim: c, Events: []Event{}}
	diff, err := difference(c)
	if err != nil {
		return nil, err
	}
	r.Figures = figuresOf(diff)
	r.Outcomes = outcomes(diff)
	r.Tables = fromTotals(diff)
	w := newWalk(dir, c, opt)
	if err := w.run(); err != nil {
		return nil, err
	}
	if err := w.compare(diff); err != nil {
		return nil, err
	}
	r.Steps, r.StepName = w.steps, w.stepName
	r.Events, r.MoreEvents, r.Authorised = append(r.Events, w.events...), w.moreEvents, w.authorised
	r.Opened, r.Erased = w.opened, w.erased
	r.Tables = append(r.Tables, w.tables()...)
	if opt.Origins == "country" {
		r.Countries = opt.CountryName
	}
	r.Weeks, err = weeks(dir, opt.Window)
	return r, err
}

// difference is what the claim's two totals leaves say was counted between them.
func difference(c *claim.Claim) (*evidence.Counters, error) {
	to, err := evidence.ReadTotalsLeaf(c.Leaves.To.Leaf)
	if err != nil {
		return nil, err
	}
	d := to.Counters
	if c.Leaves.From == nil {
		return &d, nil
	}
	from, err := evidence.ReadTotalsLeaf(c.Leaves.From.Leaf)
	if err != nil {
		return nil, err
	}
	for i := range d {
		d[i] -= from.Counters[i]
	}
	return &d, nil
}

// cell is a place in the log's counters; see docs/evidence.md.
type cell struct{ class, outcome, result, risk, side int }

func cellAt(n int) cell {
	return cell{class: n / 54, outcome: n / 18 % 3, result: n / 6 % 3, risk: n / 2 % 3, side: n % 2}
}

func (f *Figures) add(c cell, n int64) {
	switch {
	case c.risk == 1:
		f.Decoy += n
	case c.risk == 2:
		f.NoRisk += n
	case c.outcome == 0:
		f.Foiled += n
	case c.outcome == 1:
		f.Contained += n
	default:
		f.Observed += n
	}
}

// net is gross less withdrawn of one cell.
func net(d *evidence.Counters, n int) int64 { return int64(d[2*n]) - int64(d[2*n+1]) }

func figuresOf(d *evidence.Counters) (f Figures) {
	for n := range leaves.Cells {
		f.add(cellAt(n), net(d, n))
	}
	return f
}

func outcomes(d *evidence.Counters) [3]Outcome {
	out := [3]Outcome{{Name: attack.Foiled}, {Name: attack.Contained}, {Name: attack.Observed}}
	for n := range leaves.Cells {
		c := cellAt(n)
		o := &out[c.outcome]
		*[3]*int64{&o.Real, &o.Decoy, &o.NoRisk}[c.risk] += net(d, n)
	}
	return out
}

// fromTotals are the tables that follow from the two totals leaves alone.
func fromTotals(d *evidence.Counters) []*Table {
	classes := &Table{By: "class", Caption: "Attacks by class", Bound: "claim"}
	for _, c := range attack.Table() {
		classes.Rows = append(classes.Rows, Row{Name: c.Name})
	}
	results := &Table{By: "result", Caption: "Attacks by result, judged from the target's own answers", Bound: "claim",
		Rows: []Row{{Name: attack.Succeeded}, {Name: attack.Failed}, {Name: attack.Unknown}}}
	sides := &Table{By: "side", Caption: "Attacks by the side they came from", Bound: "claim", Rows: []Row{{Name: attack.Outside}, {Name: attack.Inside}}}
	for n := range leaves.Cells {
		c, v := cellAt(n), net(d, n)
		classes.Rows[c.class].add(c, v)
		results.Rows[c.result].add(c, v)
		sides.Rows[c.side].add(c, v)
	}
	kept := classes.Rows[:0]
	for _, r := range classes.Rows {
		if r.Figures != (Figures{}) {
			kept = append(kept, r)
		}
	}
	classes.Rows = kept
	return []*Table{classes, results, sides}
}

// weeksMax bounds the page: each week has a claim of some kilobytes.
const weeksMax = 60

// weeks cuts the window at Mondays and makes a claim of each piece.
func weeks(dir string, w claim.Window) ([]Week, error) {
	var out []Week
	end := w.To.Go()
	for from := w.From.Go(); from.Before(end) && len(out) < weeksMax; {
		day := time.Date(from.Year(), from.Month(), from.Day(), 0, 0, 0, 0, time.UTC)
		to := day.AddDate(0, 0, 7-(int(day.Weekday())+6)%7)
		if to.After(end) {
			to = end
		}
		year, n := from.ISOWeek()
		week := Week{Name: fmt.Sprintf("%d-W%02d", year, n), Window: claim.Window{From: claim.TimeOf(from), To: claim.TimeOf(to)}}
		c, err := claim.Make(dir, claim.Select{}, week.Window)
		if out, ok := outside(err); ok {
			week.Outside = out
		} else if err != nil {
			return nil, err
		} else {
			d, err := difference(c)
			if err != nil {
				return nil, err
			}
			week.Claim, week.Figures = c, figuresOf(d)
		}
		out = append(out, week)
		from = to
	}
	return out, nil
}
