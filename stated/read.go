package stated

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// keys of a figure, as docs/stated.md lists them.
var keys = []string{
	"id", "sentence", "count", "unit", "window", "class", "outcome", "side", "source", "by", "said_on", "about", "event", "system", "system_since",
	"rate", "per", "mean", "duration", "total", "share", "direction", "change", "sides", "parts", "sources", "how", "claim",
}

// Read reads a file of figures. name is for messages. Errors are of type *FormatError.
func Read(name string, b []byte) ([]Figure, error) {
	root, err := parseTree(name, b)
	if err != nil {
		return nil, err
	}
	list := []*node{root}
	switch root.kind {
	case '[':
		list = root.values
	case '{':
		if f := root.get("figures"); f != nil {
			if f.kind != '[' {
				return nil, &FormatError{name, f.line, `"figures" must be a list: [ {...}, {...} ]`}
			}
			list = f.values
		}
	}
	if len(list) == 0 {
		return nil, &FormatError{name, root.line, "the list is empty; give at least one figure: [{\"sentence\": \"...\", \"count\": 1000, \"unit\": \"attacks\"}]"}
	}
	out := make([]Figure, 0, len(list))
	seen := map[string]int{}
	for i, n := range list {
		r := &figureReader{name: name, n: n, f: Figure{ID: strconv.Itoa(i + 1), Line: n.line}}
		r.read()
		if r.err != nil {
			return nil, r.err
		}
		if at := seen[r.f.ID]; at > 0 {
			return nil, &FormatError{name, n.line, fmt.Sprintf("two figures have the id %q; the other ends in line %d; give each an id of its own", r.f.ID, at)}
		}
		seen[r.f.ID] = n.line
		out = append(out, r.f)
	}
	sinceOfSystems(out)
	for i := range out {
		out[i].fill()
	}
	return out, nil
}

// sinceOfSystems gives every figure of a system the day it began, if any figure says so; of several the earliest.
func sinceOfSystems(list []Figure) {
	known := map[string]*Window{}
	for _, f := range list {
		if f.System != "" && f.Since != nil && (known[f.System] == nil || f.Since.From.Before(known[f.System].From)) {
			known[f.System] = f.Since
		}
	}
	for i := range list {
		if f := &list[i]; f.Since == nil && f.System != "" {
			f.Since = known[f.System]
		}
	}
}

type figureReader struct {
	name string
	n    *node
	f    Figure
	err  error
	raw  []*node // windows, read when the day it was said is known
}

func (r *figureReader) wrong(line int, f string, args ...any) {
	if r.err == nil {
		r.err = &FormatError{r.name, line, fmt.Sprintf(f, args...)}
	}
}

// read takes the fields over. Windows stay words until fill, for a system's first day may stand in another figure.
func (r *figureReader) read() {
	if r.n.kind != '{' {
		r.wrong(r.n.line, "a figure must be an object, {\"sentence\": \"...\", \"count\": 1000, \"unit\": \"attacks\"}")
		return
	}
	for i, k := range r.n.keys {
		if !slices.Contains(keys, k) {
			if near := nearest(k); near != "" {
				r.wrong(r.n.values[i].line, "unknown key %q; did you mean %q?", k, near)
			}
			r.f.Unread = append(r.f.Unread, k)
		}
	}
	f := &r.f
	for key, at := range map[string]*string{
		"id": &f.ID, "sentence": &f.Sentence, "class": &f.Class, "outcome": &f.Outcome, "side": &f.Side, "source": &f.Source, "by": &f.By,
		"said_on": &f.Said, "about": &f.About, "event": &f.Event, "system": &f.System, "claim": &f.Claim,
	} {
		r.words(key, at)
	}
	var unit, per, how string
	r.words("unit", &unit)
	r.words("per", &per)
	r.words("how", &how)
	if f.Said != "" {
		if w := span1(title(strings.ToLower(f.Said))); w == nil {
			r.wrong(r.n.get("said_on").line, "said_on: %q is no date; write 2019-06-24, 2019-06 or 2019", f.Said)
		} else {
			f.SaidOn = w.To.Add(-day)
			if w.To.Equal(w.From) {
				f.SaidOn = w.From
			}
		}
	}
	f.Unit = parseUnit(unit)
	if how != "" && !slices.Contains([]string{"about", "over", "under", "exactly"}, how) {
		r.wrong(r.n.get("how").line, "how: %q; write about, over, under or exactly", how)
	}
	r.numbers(unit, per, how)
	r.sums()
	r.windows()
	if r.err == nil && f.Sentence == "" && !f.any() {
		r.wrong(r.n.line, "a figure without sentence and without count says nothing; give at least \"sentence\"")
	}
}

func (f *Figure) any() bool {
	return f.Count != nil || f.Rate != nil || f.Mean != nil || f.Duration != nil || f.Total != nil || f.Share != nil || len(f.Factors) > 0 || len(f.Parts) > 0
}

func clip(s string) string {
	if len(s) > textMax {
		return strings.ToValidUTF8(s[:textMax], "")
	}
	return s
}

// words takes over a text; a number or a list of texts is written as one.
func (r *figureReader) words(key string, at *string) {
	n := r.n.get(key)
	if n == nil || n.kind == '0' {
		return
	}
	switch n.kind {
	case 's', 'n':
		*at = strings.TrimSpace(clip(n.text))
		return
	case '[':
		var list []string
		for _, v := range n.values {
			if v.kind == 's' {
				list = append(list, clip(v.text))
			}
		}
		if len(list) == len(n.values) {
			*at = clip(strings.Join(list, ", "))
			return
		}
	}
	r.wrong(n.line, "%s must be a text", key)
}

// amount reads a number with a unit: a number (the unit is the default one), a text ("36.43 GB/s"), or an object
// {"value": 36.43, "unit": "GB/s"}.
func (r *figureReader) amount(key string, n *node, unit string) *Quantity {
	if n == nil || n.kind == '0' {
		return nil
	}
	text := n.text
	if n.kind == '{' {
		v, u := n.get("value"), n.get("unit")
		if v == nil || v.kind != 'n' && v.kind != 's' || u != nil && u.kind != 's' {
			r.wrong(n.line, "%s: write {\"value\": 36.43, \"unit\": \"GB/s\"} or a text, \"36.43 GB/s\"", key)
			return nil
		}
		text = v.text
		if u != nil {
			unit = u.text
		}
	} else if n.kind != 'n' && n.kind != 's' {
		r.wrong(n.line, "%s must be a number, or a text such as \"36.43 GB/s\"", key)
		return nil
	}
	text = clip(text)
	if v, err := strconv.ParseFloat(text, 64); n.kind != 's' && err == nil {
		if v < 0 || math.IsInf(v, 0) || math.IsNaN(v) || v > 1e30 {
			r.wrong(n.line, "%s: %s is no amount; it must be 0 or more, and at most 1e30", key, text)
			return nil
		}
		text = plainNumber(text, v)
	}
	q, ok := measure(text, unit)
	if !ok {
		r.wrong(n.line, "%s: %q is no amount; write a number, or a number with its unit such as \"33 million\", \"36.43 GB/s\", \"4 min 37 s\", \"75 %%\"", key, text)
		return nil
	}
	if n.kind == 'n' {
		q.Text = "" // a bare number is shown with its commas
	}
	return q
}

// plainNumber writes 3.3e7 as 33000000.
func plainNumber(text string, v float64) string {
	if strings.ContainsAny(text, "eE") {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return text
}

// measure reads "33 million" with a unit from elsewhere, or "36.43 GB/s" with its own.
func measure(text, unit string) (*Quantity, bool) {
	for _, t := range []string{text, text + " " + unit} {
		if list := quantities(t); len(list) == 1 {
			return &list[0].Quantity, true
		}
	}
	// A number whose unit is a word that nothing here knows.
	list := quantities(text + " events")
	if len(list) != 1 || list[0].Dim != Things {
		return nil, false
	}
	q := list[0].Quantity
	q.Kinds, q.Text = parseUnit(unit).Kinds, strings.TrimSuffix(q.Text, " events")
	return &q, true
}

func (r *figureReader) numbers(unit, per, how string) {
	f := &r.f
	f.Count = r.amount("count", r.n.get("count"), unit)
	if q := f.Count; q != nil {
		if how != "" {
			q.Hedge = how
			q.again()
		}
		r.move(q)
	}
	things := unit
	if f.Unit.Per > 0 || f.Unit.Quantity {
		things = ""
	}
	if n := r.n.get("rate"); n != nil {
		suffix := things
		if per != "" {
			suffix = "per " + per
		}
		if f.Rate = r.amount("rate", n, suffix); f.Rate != nil && f.Rate.Per == 0 {
			r.wrong(n.line, "rate: %q has no time; write \"1130 a day\", \"36.43 GB/s\", or give \"per\": \"day\"", f.Rate.Text)
		}
	}
	if n := r.n.get("mean"); n != nil {
		if f.Mean = r.amount("mean", n, ""); f.Mean != nil && f.Mean.Per == 0 {
			r.wrong(n.line, "mean: %q has no time; write the mean rate, \"36.43 GB/s\"", f.Mean.Text)
		}
	}
	if n := r.n.get("duration"); n != nil {
		if f.Duration = r.amount("duration", n, "s"); f.Duration != nil && f.Duration.Dim != Time {
			r.wrong(n.line, "duration: %q is no time; write \"4 min 37 s\" or \"277 s\"", f.Duration.Text)
		}
	}
	f.Total = r.amount("total", r.n.get("total"), "")
	f.Sources = r.amount("sources", r.n.get("sources"), "sources")
	r.shareAndChange()
}

// move puts a count whose unit is no thing where it belongs: packets/s are a rate, hours a duration.
func (r *figureReader) move(q *Quantity) {
	f := &r.f
	switch {
	case q.Per > 0:
		f.Rate, f.Count = q, nil
	case q.Dim == Time:
		f.Duration, f.Count = q, nil
	case q.Dim == Data:
		f.Total, f.Count = q, nil
	case q.Dim == Percent:
		f.Share, f.Count = &Share{Quantity: *q}, nil
	case q.Dim == Times:
		f.Factors, f.Count = append(f.Factors, *q), nil
	}
}

func (r *figureReader) shareAndChange() {
	f := &r.f
	if n := r.n.get("share"); n != nil && n.kind != '0' {
		if q := r.amount("share", n, "%"); q != nil {
			if q.Dim != Percent {
				r.wrong(n.line, "share: %q is no percentage; write \"75 %%\" or 75", q.Text)
			}
			f.Share = &Share{Quantity: *q}
		}
	}
	var dir string
	r.words("direction", &dir)
	switch dir {
	case "":
	case "to", "at", "by":
		if f.Share != nil {
			f.Share.Direction = strings.Replace(dir, "at", "to", 1)
		}
	default:
		r.wrong(r.n.get("direction").line, "direction: %q; write to, at or by", dir)
	}
	n := r.n.get("change")
	if n == nil || n.kind == '0' {
		return
	}
	for _, v := range n.each() {
		var all []found
		if v.kind == 's' {
			all = quantities(clip(v.text))
		} else if v.kind == 'n' {
			all = quantities(v.text + " times")
		}
		q, ok := Quantity{}, false
		if len(all) == 1 {
			q, ok = change(all[0])
		}
		if !ok {
			r.wrong(v.line, "change: write \"30 times\" or \"+200 %%\", or a list of both")
			return
		}
		f.Factors = append(f.Factors, q)
	}
}

func (r *figureReader) sums() {
	for _, key := range []string{"sides", "parts"} {
		n := r.n.get(key)
		if n == nil || n.kind == '0' {
			continue
		}
		if n.kind != '{' {
			r.wrong(n.line, "%s must be an object of numbers, {\"inside\": 37000000, \"outside\": 375000000}", key)
			return
		}
		for i, v := range n.values {
			if q := r.amount(key+"."+n.keys[i], v, r.f.Unit.Text); q != nil {
				r.f.Parts = append(r.f.Parts, Part{clip(n.keys[i]), *q})
			}
		}
	}
}

// each is a list's values, or the one value that stands where a list may stand.
func (n *node) each() []*node {
	if n.kind == '[' {
		return n.values
	}
	return []*node{n}
}

// windows takes the words of windows over; fill reads them.
func (r *figureReader) windows() {
	if n := r.n.get("system_since"); n != nil && n.kind != '0' {
		if r.f.Since = span1(title(strings.ToLower(n.text))); r.f.Since == nil {
			r.wrong(n.line, "system_since: %q is no date; write 2019-05-18, 2019-05 or 2019", n.text)
		}
	}
	n := r.n.get("window")
	if n == nil || n.kind == '0' {
		return
	}
	for _, v := range n.each() {
		switch v.kind {
		case 's', 'n':
			r.f.Windows = append(r.f.Windows, Window{Text: clip(v.text)})
		case '{':
			r.window(v)
		default:
			r.wrong(v.line, "window: write {\"from\": \"2018-03-21\", \"to\": \"2019-03-20\"} or words such as \"2018\" or \"last year\"")
		}
	}
}

func (r *figureReader) window(n *node) {
	part := func(key string) *Window {
		v := n.get(key)
		if v == nil || v.kind == '0' {
			return nil
		}
		w := span1(title(strings.ToLower(v.text)))
		if w == nil {
			w = span1(v.text)
		}
		if w == nil {
			r.wrong(v.line, "window.%s: %q is no date; write 2018-03-21, 2018-03, 2018 or 2018-03-21T00:00:00Z", key, v.text)
		}
		return w
	}
	var text string
	if v := n.get("text"); v != nil {
		text = clip(v.text)
	}
	from, to := part("from"), part("to")
	if from != nil && to != nil {
		if !to.To.After(from.From) {
			r.wrong(n.line, "window: it ends (%s) before it begins (%s); exchange from and to", date(to.To), date(from.From))
			return
		}
		w := between(from.From, to.To, 0)
		w.Text = text
		r.f.Windows = append(r.f.Windows, *w)
		return
	}
	if d := n.get("days"); d != nil {
		v, err := strconv.ParseFloat(d.text, 64)
		if err != nil || v <= 0 || v > 1e6 {
			r.wrong(d.line, "window.days: %q is no number of days", d.text)
			return
		}
		r.f.Windows = append(r.f.Windows, Window{Text: text, Days: v, Slack: day / 2})
		return
	}
	if from != nil && r.err == nil {
		r.f.Windows = append(r.f.Windows, Window{Text: "since " + from.From.Format("2006-01-02")})
		return
	}
	if text != "" {
		r.f.Windows = append(r.f.Windows, Window{Text: text})
		return
	}
	if r.err == nil {
		r.wrong(n.line, "window: give from and to, or days: {\"from\": \"2018-03-21\", \"to\": \"2019-03-20\"}")
	}
}

// fill reads windows that are words, and takes from the sentence what the fields do not say.
func (f *Figure) fill() {
	var read []Window
	for _, w := range f.Windows {
		if w.Text != "" && !w.placed() && w.Days == 0 {
			if p := parseWindow(w.Text, f.SaidOn, f.Since); p != nil {
				read = append(read, *p)
			}
			continue
		}
		read = append(read, w)
	}
	f.Windows = read
	f.Unit.NoRisk = first(f.Unit.NoRisk, noRisk(f.Sentence))
	for _, q := range []*Quantity{f.Count, f.Rate} {
		if q != nil && q.Dim == Things && len(f.Unit.Kinds) > 0 && !f.Unit.Quantity && (len(q.Kinds) == 0 || q == f.Count) {
			q.Kinds = f.Unit.Kinds
		}
	}
	if f.Sentence == "" {
		return
	}
	if len(f.Windows) == 0 {
		if w := windowIn(f.Sentence, f.SaidOn, f.Since); w != nil {
			f.Windows = []Window{*w}
			f.FromSentence = append(f.FromSentence, "window")
		}
	}
	f.fromSentence(quantities(f.Sentence))
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// fromSentence takes quantities of the sentence where the fields are silent, and how they are meant.
func (f *Figure) fromSentence(list []found) {
	took := func(what string) { f.FromSentence = append(f.FromSentence, what) }
	for _, q := range list {
		q := q
		switch {
		case q.Dim == Things && q.Per == 0:
			if f.Count == nil && f.Rate == nil && f.Sources == nil || f.Count == nil && !slices.Contains(q.Kinds, "sources") {
				if len(f.Unit.Kinds) > 0 && !f.Unit.Quantity {
					q.Kinds = f.Unit.Kinds
				}
				f.Count = &q.Quantity
				took("count")
			} else if f.Sources == nil && slices.Contains(q.Kinds, "sources") && f.Rate != nil {
				f.Sources = &q.Quantity
				took("sources")
			} else if f.Count != nil && f.Count.Value == q.Value && f.Count.Hedge == "" && q.Hedge != "" {
				f.Count.Hedge = q.Hedge
				f.Count.again()
			}
		case q.Per > 0 && f.Rate == nil && f.Mean == nil:
			if len(q.Kinds) == 0 && q.Dim == Things && f.Count != nil {
				q.Kinds = f.Count.Kinds
			}
			f.Rate = &q.Quantity
			took("rate")
		case q.Dim == Time && f.Duration == nil:
			f.Duration = &q.Quantity
			took("duration")
		case q.Dim == Data && q.Per == 0 && f.Total == nil:
			f.Total = &q.Quantity
			took("total")
		case q.Dim == Percent && f.Share == nil && (q.before == "at" || q.before == "to" || q.before == "by"):
			f.Share = &Share{Quantity: q.Quantity}
			took("share")
		case q.Dim == Times && len(f.Factors) == 0:
			c, _ := change(q)
			f.Factors = append(f.Factors, c)
			took("change")
		}
	}
}

// nearest is the known key that a slip of at most two letters away, or "".
func nearest(key string) string {
	best, at := "", 3
	for _, k := range keys {
		if d := distance(strings.ToLower(key), k); d < at && d*3 <= len(k) {
			best, at = k, d
		}
	}
	return best
}

// distance is how many letters must be changed, put in or left out.
func distance(a, b string) int {
	if len(a) > 30 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal, row[j] = row[j], min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}

// said is the figure in short, for sentences about it.
func (f *Figure) said() string {
	var who []string
	for _, s := range []string{f.By, f.Source} {
		if s != "" {
			who = append(who, s)
		}
	}
	if len(f.Said) == len("2006-01-02") && !f.SaidOn.IsZero() {
		who = append(who, date(f.SaidOn))
	} else if f.Said != "" {
		who = append(who, f.Said)
	}
	return strings.Join(who, "; ")
}
