package index

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// plan is what SQLite says it will do.
func (x *Index) plan(t *testing.T, query string, args ...any) string {
	t.Helper()
	rows, err := x.db.Query("EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	var steps []string
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step)
	}
	return strings.Join(steps, "; ")
}

// A page of a list costs the same whether there are a thousand attacks or a million: it is read off an index in its
// order, sorted by nothing else.
func TestPagesAreReadOffAnIndex(t *testing.T) {
	x := opened(t, madeAll(2000)...)
	inner := func(where, sort string) string {
		return `SELECT id FROM attack` + where + ` ORDER BY ` + orders[sort] + ` LIMIT ? OFFSET ?`
	}
	for sort := range orders {
		if p := x.plan(t, inner("", sort), 50, 0); strings.Contains(p, "TEMP B-TREE") || sort != "id" && sort != "-id" && !strings.Contains(p, "COVERING INDEX") {
			t.Errorf("order %q: %s", sort, p)
		}
		if p := x.plan(t, page("", sort), 50, 0); !strings.Contains(p, "SEARCH attack USING INTEGER PRIMARY KEY") {
			t.Errorf("order %q: the records are read by %s", sort, p)
		}
	}
	for name, f := range map[string]Filter{
		"class": {Class: []string{"scan"}}, "outcome": {Outcome: []string{"foiled"}}, "result": {Result: []string{"failed"}}, "severity": {Severity: []string{"1"}},
		"country": {Country: []string{"NL"}}, "origin": {Origin: "198.51.100.3"},
		"a figure": {Outcome: []string{"observed"}, Risk: []string{"real"}, State: []string{"closed"}, Authorised: "0"},
	} {
		where, args := f.where()
		if p := x.plan(t, inner(where, ""), append(args, 50, 0)...); strings.Contains(p, "TEMP B-TREE") || !strings.Contains(p, "SEARCH attack USING COVERING INDEX") {
			t.Errorf("%s: %s", name, p)
		}
	}
	where, args := (&Filter{Target: "10.0.2.2"}).where()
	if p := x.plan(t, inner(where, ""), append(args, 50, 0)...); !strings.Contains(p, "SEARCH aim USING PRIMARY KEY (name=?)") {
		t.Errorf("target: %s", p)
	}
	where, args = (&Filter{Incident: "3"}).where()
	if p := x.plan(t, inner(where, "first_seen"), append(args, 50, 0)...); strings.Contains(p, "TEMP B-TREE") || !strings.Contains(p, "SEARCH") {
		t.Errorf("incident: %s", p)
	}
	if p := x.plan(t, wanted(" WHERE "+needs), 5); strings.Contains(p, "TEMP B-TREE") || !strings.Contains(p, "attack_needs") {
		t.Errorf("needs: %s", p)
	}
}

// Figures are counted in an index, never in the records, which are a hundred times as many bytes.
func TestFiguresAreCountedInAnIndex(t *testing.T) {
	x := opened(t, madeAll(2000)...)
	for name, query := range map[string]string{
		"total": countAll, "needs": countNeeds + " WHERE " + needs, "counts": countGroups + countBy, "origins": originsOf + strings.Replace(originsBy, "?", "10", 1), "countries": countriesOf + countriesBy,
		"timeline": strings.NewReplacer("first - ?", "first - 7", "/ ?", "/ 9").Replace(series) + seriesBy,
	} {
		if p := x.plan(t, query); !strings.Contains(p, "COVERING INDEX") && p != "SCAN attack USING INDEX attack_needs" { // which holds nothing else
			t.Errorf("%s: %s", name, p)
		}
	}
	for name, query := range map[string]string{"counts": countGroups + countBy, "countries": countriesOf + countriesBy} {
		if p := x.plan(t, query); strings.Contains(p, "TEMP B-TREE") {
			t.Errorf("%s sorts: %s", name, p)
		}
	}
	if p := x.plan(t, fmt.Sprintf(spanOf, "")); strings.Count(p, "SEARCH attack USING COVERING INDEX") != 2 {
		t.Errorf("span: %s", p)
	}
	if p := x.plan(t, `SELECT coalesce(max(leaf), -1) FROM attack`); !strings.Contains(p, "SEARCH attack USING COVERING INDEX attack_leaf") {
		t.Errorf("last leaf: %s", p)
	}
	if p := x.plan(t, `SELECT * FROM (SELECT * FROM minute ORDER BY at DESC LIMIT ?) ORDER BY at`, 10); strings.Count(p, "TEMP B-TREE") > 1 {
		t.Errorf("minutes: %s", p)
	}
}

// The first screen and the list over DEJPHA_ROWS attacks; 20,000 unless told.
func BenchmarkIndex(b *testing.B) {
	n, err := strconv.Atoi(os.Getenv("DEJPHA_ROWS"))
	if err != nil {
		n = 20_000
	}
	x := opened(b, madeAll(n)...)
	ctx := b.Context()
	f := &Filter{}
	for name, ask := range map[string]func() error{
		"counts":      func() error { _, err := x.Counts(ctx, f); return err },
		"needs":       func() error { _, _, err := x.Needs(ctx, f, 5); return err },
		"timeline":    func() error { _, err := x.Timeline(ctx, f, t0, 60_000, 120); return err },
		"page":        func() error { _, _, err := x.List(ctx, f, "", 50, 0); return err },
		"class page":  func() error { _, _, err := x.List(ctx, &Filter{Class: []string{"scan"}}, "", 50, 0); return err },
		"target page": func() error { _, _, err := x.List(ctx, &Filter{Target: "10.0.2.2"}, "", 50, 0); return err },
		"text page":   func() error { _, _, err := x.List(ctx, &Filter{Text: "198.51.100.7"}, "", 50, 0); return err },
		"origins":     func() error { _, err := x.Origins(ctx, f, 200); return err },
		"countries":   func() error { _, err := x.Countries(ctx, f); return err },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := ask(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
