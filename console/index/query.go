package index

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/dejpha/dejpha/attack"
)

// Filter narrows attacks; empty fields let everything pass, several values of one field are alternatives.
type Filter struct {
	Class, Outcome, Risk, Result, Severity, Side, State []string
	Country                                             []string // "none": unknown
	Origin, Target, Text                                string
	Incident                                            string
	Authorised                                          string // "0", "1", "" both
	From, To                                            int64  // ms; seen at or after, first seen before; 0: open
}

// where is the filter as SQL with its arguments. Column names are constants; values are only ever arguments.
func (f *Filter) where() (string, []any) {
	var conds []string
	var args []any
	in := func(column string, values []string) {
		if len(values) == 0 {
			return
		}
		conds = append(conds, column+" IN (?"+strings.Repeat(",?", len(values)-1)+")")
		for _, v := range values {
			args = append(args, v)
		}
	}
	in("class", f.Class)
	in("outcome", f.Outcome)
	in("risk", f.Risk)
	in("result", f.Result)
	in("severity", f.Severity)
	in("side", f.Side)
	in("state", f.State)
	var countries []string
	for _, c := range f.Country {
		if c == "none" {
			c = ""
		}
		countries = append(countries, strings.ToUpper(c))
	}
	in("country", countries)
	one := func(cond string, values ...any) {
		conds = append(conds, cond)
		args = append(args, values...)
	}
	if f.Origin != "" {
		one("origin = ?", f.Origin)
	}
	if f.Target != "" {
		one("id IN (SELECT attack FROM aim WHERE name = ?)", f.Target)
	}
	if f.Incident != "" {
		one("incident = ?", f.Incident)
	}
	if f.Authorised != "" {
		one("authorised = ?", f.Authorised)
	}
	for _, w := range strings.Fields(strings.ToLower(f.Text)) {
		one("instr(words, ?) > 0", w)
	}
	if f.From != 0 {
		one("last >= ?", f.From)
	}
	if f.To != 0 {
		one("first < ?", f.To)
	}
	if len(conds) == 0 {
		return "", nil
	}
	return " WHERE " + strings.Join(conds, " AND "), args
}

// orders of a list, by their names in a URL. Each falls as it rises, the other way round, so that one index serves both.
var orders = map[string]string{
	"": "last DESC, id DESC", "-last_seen": "last DESC, id DESC", "last_seen": "last, id", "-first_seen": "first DESC, id DESC", "first_seen": "first, id",
	"severity": "severity, last DESC, id DESC", "-severity": "severity DESC, last, id", "-packets": "packets DESC, id DESC", "packets": "packets, id",
	"id": "id", "-id": "id DESC", "class": "class, last DESC, id DESC", "-class": "class DESC, last, id", "origin": "origin, last DESC, id DESC", "-origin": "origin DESC, last, id",
	"target": "target, last DESC, id DESC", "-target": "target DESC, last, id", "outcome": "outcome, last DESC, id DESC", "-outcome": "outcome DESC, last, id",
	"result": "result, last DESC, id DESC", "-result": "result DESC, last, id",
}

// KnownOrder says whether List takes a sort by this name.
func KnownOrder(sort string) bool { _, ok := orders[sort]; return ok }

// List is one page of attacks and how many there are in all.
func (x *Index) List(ctx context.Context, f *Filter, sort string, limit, offset int) (list []attack.Record, total int, err error) {
	if !KnownOrder(sort) {
		return nil, 0, fmt.Errorf("unknown order %q", sort)
	}
	where, args := f.where()
	if err := x.db.QueryRowContext(ctx, countAll+where, args...).Scan(&total); err != nil {
		return nil, 0, err
	}
	list, err = x.records(ctx, page(where, sort), append(args, limit, offset)...)
	return list, total, err
}

const countAll = `SELECT count(*) FROM attack`

// page finds the attacks of a page in an index before it reads any record.
func page(where, sort string) string {
	order := orders[sort]
	return `SELECT record FROM attack WHERE id IN (SELECT id FROM attack` + where + ` ORDER BY ` + order + ` LIMIT ? OFFSET ?) ORDER BY ` + order
}

// needs is what wants a person, in the words of the index attack_needs, which holds only these.
const needs = `severity <= 2 AND result <> 'failed' AND risk = 'real' AND authorised = 0 AND outcome <> 'foiled' AND state <> 'withdrawn'`

// Needs is what wants a person now: grave, and not known to have failed. total is how many there are in all.
func (x *Index) Needs(ctx context.Context, f *Filter, limit int) (list []attack.Record, total int, err error) {
	where, args := f.where()
	if where == "" {
		where = " WHERE 1"
	}
	where += " AND " + needs
	if err := x.db.QueryRowContext(ctx, countNeeds+where, args...).Scan(&total); err != nil {
		return nil, 0, err
	}
	list, err = x.records(ctx, wanted(where), append(args, limit)...)
	return list, total, err
}

const countNeeds = `SELECT count(*) FROM attack INDEXED BY attack_needs`

// wanted is a page of Needs: what succeeded before what may have.
func wanted(where string) string {
	return `SELECT record FROM attack INDEXED BY attack_needs` + where + ` ORDER BY result, severity, last DESC, id DESC LIMIT ?`
}

func (x *Index) records(ctx context.Context, query string, args ...any) ([]attack.Record, error) {
	rows, err := x.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []attack.Record
	for rows.Next() {
		var b []byte
		var r attack.Record
		if err := rows.Scan(&b); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(b, &r); err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, rows.Err()
}

// Get is one attack by its number; nil if there is none.
func (x *Index) Get(ctx context.Context, id uint64) (*attack.Record, error) {
	list, err := x.records(ctx, `SELECT record FROM attack WHERE id = ?`, int64(min(id, 1<<62)))
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

// Count is how many attacks fall together in all its fields.
type Count struct {
	Class, State, Outcome, Risk string
	Authorised                  bool
	N                           int64
}

const (
	countGroups = `SELECT class, state, outcome, risk, authorised, count(*) FROM attack`
	countBy     = ` GROUP BY state, authorised, risk, outcome, class`
	spanOf      = `SELECT coalesce((SELECT min(first) FROM attack%[1]s), 0), coalesce((SELECT max(last) FROM attack%[1]s), 0)`
	series      = `SELECT class, (first - ?) / ? AS at, count(*) FROM attack`
	seriesBy    = ` GROUP BY 1, 2`
	originsOf   = `SELECT origin, kind, country, count(*) AS n, min(severity), max(last) FROM attack`
	originsBy   = ` GROUP BY 1, 2, 3 ORDER BY n DESC, 6 DESC, 1 LIMIT ?`
	countriesOf = `SELECT country, count(*) FROM attack`
	countriesBy = ` GROUP BY 1`
)

// Counts groups the attacks that pass a filter.
func (x *Index) Counts(ctx context.Context, f *Filter) ([]Count, error) {
	where, args := f.where()
	rows, err := x.db.QueryContext(ctx, countGroups+where+countBy, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Count
	for rows.Next() {
		var c Count
		if err := rows.Scan(&c.Class, &c.State, &c.Outcome, &c.Risk, &c.Authorised, &c.N); err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, rows.Err()
}

// Span is the time of the first and last attack that pass a filter, ms; 0, 0 if none does.
func (x *Index) Span(ctx context.Context, f *Filter) (first, last int64, err error) {
	where, args := f.where()
	err = x.db.QueryRowContext(ctx, fmt.Sprintf(spanOf, where), append(args, args...)...).Scan(&first, &last)
	return first, last, err
}

// Timeline counts attacks by class in equal steps of time from a start on, by the time they were first seen.
func (x *Index) Timeline(ctx context.Context, f *Filter, from, step int64, steps int) (map[string][]int64, error) {
	where, args := f.where()
	rows, err := x.db.QueryContext(ctx, series+where+seriesBy, append([]any{from, step}, args...)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	counts := map[string][]int64{}
	for rows.Next() {
		var class string
		var at, n int64
		if err := rows.Scan(&class, &at, &n); err != nil {
			return nil, err
		}
		if counts[class] == nil {
			counts[class] = make([]int64, steps)
		}
		counts[class][max(0, min(at, int64(steps-1)))] += n // before the window: still going on in it
	}
	return counts, rows.Err()
}

// Origin is one origin with its attacks.
type Origin struct {
	Origin   string `json:"origin"`
	Kind     string `json:"kind"`
	Country  string `json:"country"`
	Attacks  int64  `json:"attacks"`
	Severity int    `json:"severity"` // the gravest
	Last     int64  `json:"last_ms"`
}

// Origins lists who attacked, the busiest first.
func (x *Index) Origins(ctx context.Context, f *Filter, limit int) ([]Origin, error) {
	where, args := f.where()
	rows, err := x.db.QueryContext(ctx, originsOf+where+originsBy, append(args, limit)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list := []Origin{}
	for rows.Next() {
		var o Origin
		if err := rows.Scan(&o.Origin, &o.Kind, &o.Country, &o.Attacks, &o.Severity, &o.Last); err != nil {
			return nil, err
		}
		list = append(list, o)
	}
	return list, rows.Err()
}

// Countries counts attacks by country; "" is unknown.
func (x *Index) Countries(ctx context.Context, f *Filter) (map[string]int64, error) {
	where, args := f.where()
	rows, err := x.db.QueryContext(ctx, countriesOf+where+countriesBy, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string]int64{}
	for rows.Next() {
		var c string
		var n int64
		if err := rows.Scan(&c, &n); err != nil {
			return nil, err
		}
		out[c] = n
	}
	return out, rows.Err()
}

// Minute is the ledger of one minute.
type Minute struct {
	At          int64  `json:"at_ms"`
	Received    uint64 `json:"received"`
	Inspected   uint64 `json:"inspected"`
	Bypassed    uint64 `json:"bypassed"`
	Dropped     uint64 `json:"dropped"`
	Shed        uint64 `json:"shed"`
	Undecodable uint64 `json:"undecodable"`
	Open        int    `json:"open"`
}

// Minutes are the last n minutes of the ledger, oldest first.
func (x *Index) Minutes(ctx context.Context, n int) ([]Minute, error) {
	rows, err := x.db.QueryContext(ctx, `SELECT * FROM (SELECT * FROM minute ORDER BY at DESC LIMIT ?) ORDER BY at`, n)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list := []Minute{}
	for rows.Next() {
		var m Minute
		if err := rows.Scan(&m.At, &m.Received, &m.Inspected, &m.Bypassed, &m.Dropped, &m.Shed, &m.Undecodable, &m.Open); err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, rows.Err()
}
