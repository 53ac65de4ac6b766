package stated

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Window is a stretch of time as it was stated.
type Window struct {
	Text     string
	From, To time.Time     // To is the first moment after it; both zero when only the length is known
	Slack    time.Duration // how far either end may lie from what the words say
	Days     float64
	Read     string // how words that are not dates were read, for a person
}

const day = 24 * time.Hour

func (w *Window) placed() bool { return !w.From.IsZero() && !w.To.IsZero() }

// same says whether two windows are one, as far as their words tell.
func (w *Window) same(o *Window) bool {
	slack := w.Slack + o.Slack
	return w.placed() && o.placed() && w.From.Sub(o.From).Abs() <= slack && w.To.Sub(o.To).Abs() <= slack
}

// holds says whether o lies in w and is not the same.
func (w *Window) holds(o *Window) bool {
	slack := w.Slack + o.Slack
	return w.placed() && o.placed() && !w.same(o) && !o.From.Before(w.From.Add(-slack)) && !o.To.After(w.To.Add(slack))
}

func (w *Window) meets(o *Window) bool {
	return w.placed() && o.placed() && w.From.Before(o.To) && o.From.Before(w.To)
}

// String names the window by its first and last day.
func (w *Window) String() string {
	if !w.placed() {
		return fmt.Sprintf("%s days", four(w.Days))
	}
	if w.From.Truncate(day) != w.From || w.To.Truncate(day) != w.To {
		return w.From.Format("2 Jan 2006 15:04") + " to " + w.To.Format("2 Jan 2006 15:04")
	}
	last := w.To
	if w.To.Equal(w.To.Truncate(day)) {
		last = w.To.Add(-day)
	}
	if !last.After(w.From) {
		return date(w.From)
	}
	return date(w.From) + " to " + date(last)
}

func date(t time.Time) string { return t.Format("2 Jan 2006") }

func between(from, to time.Time, slack time.Duration) *Window {
	return &Window{From: from, To: to, Slack: slack, Days: to.Sub(from).Hours() / 24}
}

var months = map[string]time.Month{
	"jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12,
	"january": 1, "february": 2, "march": 3, "april": 4, "june": 6, "july": 7, "august": 8, "september": 9, "sept": 9, "october": 10, "november": 11, "december": 12,
}

// solarYear is a year of the Solar Hijri calendar, counted from 1 Farvardin 1398, 21 March 2019, by the cycle of 33
// years that holds from 1244 to 1502.
func solarYear(y int) *Window {
	at := time.Date(2019, 3, 21, 0, 0, 0, 0, time.UTC)
	for n := 1398; n < y; n++ {
		at = at.AddDate(0, 0, solarDays(n))
	}
	for n := 1398; n > y; n-- {
		at = at.AddDate(0, 0, -solarDays(n-1))
	}
	w := between(at, at.AddDate(0, 0, solarDays(y)), 0)
	w.Read = fmt.Sprintf("the Solar Hijri year %d", y)
	return w
}

func solarDays(y int) int {
	switch y % 33 {
	case 1, 5, 9, 13, 17, 22, 26, 30:
		return 366
	}
	return 365
}

// span1 reads one date, month or year, as the stretch it names.
func span1(s string) *Window {
	s = strings.Trim(strings.TrimSpace(s), ".")
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04"} {
		if t, err := time.Parse(layout, strings.ToUpper(s)); err == nil {
			return between(t.UTC(), t.UTC(), 0)
		}
	}
	for _, layout := range []string{"2006-01-02", "2 January 2006", "2 Jan 2006", "January 2, 2006", "Jan 2, 2006", "2006/01/02", "02.01.2006"} {
		if t, err := time.Parse(layout, s); err == nil {
			return between(t, t.Add(day), 0)
		}
	}
	f := strings.Fields(strings.ReplaceAll(s, "-", " "))
	if len(f) == 2 {
		y, m := f[0], f[1]
		if _, err := strconv.Atoi(y); err != nil {
			y, m = f[1], f[0]
		}
		year, err := strconv.Atoi(y)
		month := months[strings.ToLower(m)]
		if n, e := strconv.Atoi(m); e == nil && n >= 1 && n <= 12 && len(m) == 2 {
			month = time.Month(n)
		}
		if err == nil && month > 0 && year > 1900 && year < 2200 {
			t := time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
			return between(t, t.AddDate(0, 1, 0), 0)
		}
	}
	if len(f) == 1 {
		if y, err := strconv.Atoi(f[0]); err == nil && len(f[0]) == 4 {
			if y >= 1300 && y < 1500 {
				return solarYear(y)
			}
			if y > 1900 && y < 2200 {
				t := time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC)
				return between(t, t.AddDate(1, 0, 0), 0)
			}
		}
	}
	return nil
}

// parseWindow reads a window as people write it; nil when the words name none. said and since may be missing.
func parseWindow(text string, said time.Time, since *Window) *Window {
	clean := strings.ToLower(strings.TrimSpace(text))
	clean = strings.NewReplacer("“", "", "”", "", `"`, "", "'", "").Replace(clean)
	clean = strings.NewReplacer("the last year", "past year", "the past year", "past year").Replace(clean)
	for _, p := range []string{"in the ", "in ", "during the ", "during ", "for ", "the ", "over ", "iranian year ", "solar year ", "year ", "between ", "from "} {
		clean = strings.TrimPrefix(clean, p)
	}
	w := span1(title(clean))
	if w == nil {
		w = fromTo(clean, said)
	}
	if w == nil {
		w = sinceWindow(clean, said, since)
	}
	if w == nil {
		w = relative(clean, said)
	}
	if w != nil {
		w.Text = text
	}
	return w
}

// fromTo reads "21 mar 2018 to 20 mar 2019".
func fromTo(s string, said time.Time) *Window {
	for _, sep := range []string{" to ", " until ", " till ", " – ", " - ", " and ", "/", "..", "–"} {
		a, b, ok := strings.Cut(s, sep)
		if !ok {
			continue
		}
		from, to := span1(title(a)), span1(title(b))
		if strings.TrimSpace(b) == "now" || strings.TrimSpace(b) == "today" {
			if to = nil; !said.IsZero() {
				to = between(said, said.Add(day), 0)
			}
		}
		if from != nil && to != nil && to.To.After(from.From) {
			return between(from.From, to.To, 0)
		}
	}
	return nil
}

func title(s string) string {
	f := strings.Fields(s)
	for i, w := range f {
		if months[w] > 0 {
			f[i] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	return strings.Join(f, " ")
}

// sinceWindow reads "since may 2019" and "since the start of the system": up to the day it was said.
func sinceWindow(s string, said time.Time, since *Window) *Window {
	rest, ok := strings.CutPrefix(s, "since ")
	if !ok || said.IsZero() {
		return nil
	}
	start := span1(title(rest))
	if start == nil && since != nil && hasAny(rest, "start", "launch", "beginning", "system", "unveil", "introduction", "operation") {
		start = since
	}
	if start == nil {
		return nil
	}
	// Within a month that is named, any day may be meant; the day it was said may be some days off what it covers.
	w := between(start.From, said.Add(day), min(start.To.Sub(start.From), 31*day)+7*day)
	w.Read = fmt.Sprintf("from %s to the day it was said, %s", date(start.From), date(said))
	return w
}

func hasAny(s string, words ...string) bool {
	for _, w := range words {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}

// relative reads what depends on the day it was said, and lengths without a place ("90 days", "one winter").
func relative(s string, said time.Time) *Window {
	s = strings.TrimPrefix(s, "the ")
	if said.IsZero() {
		return lengthOnly(s)
	}
	year := func(y int) *Window { return span1(strconv.Itoa(y)) }
	var w *Window
	switch s {
	case "last year", "previous year", "last calendar year":
		w = year(said.Year() - 1)
		w.Read = fmt.Sprintf("the calendar year before it was said (%s); other calendars would give other windows", date(said))
	case "past year", "last 12 months", "past 12 months", "last twelve months", "past twelve months":
		w = between(said.AddDate(-1, 0, 0), said.Add(day), 7*day)
		w.Read = "the twelve months before it was said"
	case "this year", "current year", "year so far":
		w = between(time.Date(said.Year(), 1, 1, 0, 0, 0, 0, time.UTC), said.Add(day), 7*day)
		w.Read = "from 1 January to the day it was said"
	case "last month", "previous month":
		first := time.Date(said.Year(), said.Month(), 1, 0, 0, 0, 0, time.UTC)
		w = between(first.AddDate(0, -1, 0), first, 0)
		w.Read = "the calendar month before it was said"
	case "yesterday":
		w = between(said.Add(-day), said, 0)
	case "today", "same day":
		w = between(said, said.Add(day), 0)
	default:
		for _, p := range []string{"last ", "past ", "previous "} {
			if rest, ok := strings.CutPrefix(s, p); ok {
				if l := lengthOnly(rest); l != nil {
					from := said.Add(-time.Duration(l.Days * float64(day)))
					w = between(from, said.Add(day), time.Duration(l.Days*float64(day)/20)+day)
					w.Read = "up to the day it was said"
				}
			}
		}
	}
	if w == nil {
		return lengthOnly(s)
	}
	return w
}

// lengthOnly reads a length that lies nowhere: "90 days", "one winter".
func lengthOnly(s string) *Window {
	s = strings.TrimPrefix(strings.TrimPrefix(s, "a "), "one ")
	switch s {
	case "winter", "spring", "summer", "autumn", "season", "quarter":
		return &Window{Days: 90, Slack: 3 * day, Read: "about 90 days (a season has 89 to 93)"}
	case "night":
		return &Window{Days: 0.5, Slack: 6 * time.Hour, Read: "about half a day"}
	}
	q := quantities(s)
	if len(q) == 0 {
		q = quantities("1 " + s)
	}
	if len(q) == 1 && q[0].Dim == Time && q[0].Value <= 1000*365*86400 {
		return &Window{Days: q[0].Value / 86400}
	}
	return nil
}

const phraseTokens = 18 // "from 2026-11-01 00:10 to 2026-11-01 00:40"

// windowIn looks for the words of a window in a sentence.
func windowIn(sentence string, said time.Time, since *Window) *Window {
	t := tokens(sentence)
	low := strings.ToLower(sentence)
	for i := range t {
		switch low[t[i].at:t[i].end] {
		case "in", "since", "from", "between", "during", "last", "past", "the", "yesterday", "this", "over", "for", "within":
		default:
			continue
		}
		// The longest phrase that is a window counts.
		for n := min(len(t), i+phraseTokens); n > i; n-- {
			phrase := strings.TrimSpace(sentence[t[i].at:t[n-1].end])
			if w := parseWindow(phrase, said, since); w != nil && w.placed() {
				return w
			}
		}
	}
	return nil
}
