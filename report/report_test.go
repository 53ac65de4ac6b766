package report

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/claim"
	"github.com/dejpha/dejpha/evidence"
)

var (
	update = flag.Bool("update", false, "write the golden page anew")
	keep   = flag.String("keep", "", "the benchmark leaves its log in this folder, and takes it from there")
)

var (
	november = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	december = november.AddDate(0, 1, 0)
	month    = claim.Window{From: claim.TimeOf(november), To: claim.TimeOf(december)}
)

func must(t testing.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// made is the i-th of n attacks, spread over November and a day to both sides of it.
func made(i, n int) attack.Record {
	table := attack.Table()
	at := november.Add(-24*time.Hour + time.Duration(float64(32*24*time.Hour)*float64(i)/float64(n)))
	r := attack.Record{ID: uint64(i + 1), State: "closed", Class: table[i*i%len(table)].Name, Severity: uint8(i%4 + 1),
		Risk: []string{attack.Real, attack.Real, attack.Real, attack.Decoy, attack.Real, attack.NoRisk}[i%6], Side: []string{attack.Outside, attack.Outside, attack.Inside}[i%3],
		Outcome: []string{attack.Foiled, attack.Observed, attack.Foiled, attack.Contained}[i%4], Result: []string{attack.Unknown, attack.Failed, attack.Succeeded}[i%11%3],
		Origin:   attack.Origin{IP: fmt.Sprintf("198.%d.%d.%d", 18+i%2, i/7%256, i%251), Proven: i%9 != 0, Count: 1},
		Target:   attack.Target{Group: fmt.Sprintf("10.%d.%d.0/24", i%3, i%41), IPs: []string{fmt.Sprintf("10.%d.%d.7", i%3, i%41)}, Ports: []uint16{uint16(20 + i%53)}, Count: 1, Proto: 6},
		ClosedAt: at.UnixNano(), Observations: 3, Packets: 9, Bytes: 900, Evidence: attack.Evidence{Leaf: -1}}
	if !r.Origin.Proven {
		r.Origin.Sources = []attack.Source{{IP: r.Origin.IP, Count: 1}}
		r.Origin.IP = ""
	}
	r.FirstSeen, r.LastSeen = r.ClosedAt-900e9-5e9, r.ClosedAt-900e9
	return r
}

// makeLog writes a log of n attacks; its bytes are the same in every run.
func makeLog(t testing.TB, dir string, n int, kind evidence.Kind) {
	t.Helper()
	key, err := evidence.LoadKey(nil, filepath.Join(t.TempDir(), "key"), rand.NewChaCha8([32]byte{7}))
	must(t, err)
	l, err := evidence.Open(dir, evidence.Options{Kind: kind, Key: key, Rand: rand.NewChaCha8([32]byte{1}), Origin: "example.org/wall", Time: november.Add(-25 * time.Hour).UnixNano()})
	must(t, err)
	for i := range n {
		r := made(i, n)
		packets := uint64(i+1) * 100
		must(t, l.Totals(evidence.Ledger{Received: packets, Inspected: packets - uint64(i), Shed: uint64(i)}, r.ClosedAt), l.Seal(&r, nil))
		if i%1024 == 1023 {
			_, err := l.Flush()
			must(t, err)
		}
	}
	end := december.Add(25 * time.Hour).UnixNano()
	must(t, l.Totals(evidence.Ledger{Received: uint64(n) * 100, Inspected: uint64(n)*100 - uint64(n-1), Shed: uint64(n - 1)}, end))
	must(t, l.Event(evidence.CodeUnprotected, end, -1, []byte(`{"from":1,"to":2}`), nil))
	_, err = l.Close()
	must(t, err)
}

func options() Options {
	return Options{Window: month, Title: "November 2026", Origins: "country", Targets: "group", Top: 5, Country: func(a string) string {
		return map[bool]string{true: "AA", false: "BB"}[strings.HasPrefix(a, "198.18")]
	}, CountryName: "A made-up database."}
}

// expected counts the attacks that lie in November by the totals leaves' times, as docs/claims.md says.
func expected(n int) (all Figures, classes map[string]Figures, unproven Figures) {
	classes = map[string]Figures{}
	for i := range n {
		r := made(i, n)
		// A totals leaf is written before each of these attacks: what closed is counted by the next one's time.
		next := made(i+1, n).ClosedAt
		if i == n-1 || next <= november.UnixNano() || next > december.UnixNano() {
			continue
		}
		f := classes[r.Class]
		for _, x := range []*Figures{&all, &f} {
			count(x, &r)
		}
		if !r.Origin.Proven {
			count(&unproven, &r)
		}
		classes[r.Class] = f
	}
	return all, classes, unproven
}

func count(f *Figures, r *attack.Record) {
	switch {
	case r.Risk == attack.Decoy:
		f.Decoy++
	case r.Risk == attack.NoRisk:
		f.NoRisk++
	case r.Outcome == attack.Foiled:
		f.Foiled++
	case r.Outcome == attack.Contained:
		f.Contained++
	default:
		f.Observed++
	}
}

func table(t *testing.T, r *Report, by string) *Table {
	t.Helper()
	for _, x := range r.Tables {
		if x.By == by {
			return x
		}
	}
	t.Fatalf("no table by %s", by)
	return nil
}

func TestFiguresAgreeWithTheAttacks(t *testing.T) {
	dir, n := filepath.Join(t.TempDir(), "e"), 1500
	makeLog(t, dir, n, evidence.Live)
	r, err := Make(dir, options())
	must(t, err)
	all, classes, unproven := expected(n)
	if r.Figures != all {
		t.Errorf("%+v, want %+v", r.Figures, all)
	}
	for _, row := range table(t, r, "class").Rows {
		if row.Figures != classes[row.Name] {
			t.Errorf("%s: %+v, want %+v", row.Name, row.Figures, classes[row.Name])
		}
		delete(classes, row.Name)
	}
	if len(classes) > 0 {
		t.Errorf("classes without a row: %v", classes)
	}
	sums := map[string]Figures{}
	for _, x := range r.Tables {
		var s Figures
		for i := range x.Rows {
			s.plus(&x.Rows[i].Figures)
		}
		if x.Rest != nil {
			s.plus(x.Rest)
		}
		sums[x.By] = s
	}
	var weeks, steps Figures
	for i := range r.Weeks {
		weeks.plus(&r.Weeks[i].Figures)
		if c := r.Weeks[i].Claim; c == nil || !holds(c) {
			t.Errorf("%s has no claim that holds", r.Weeks[i].Name)
		}
	}
	for i := range r.Steps {
		steps.plus(&r.Steps[i].Figures)
	}
	sums["week"], sums["step"] = weeks, steps
	m := r.Outcomes
	if m[0].Real != all.Foiled || m[1].Real != all.Contained || m[2].Real != all.Observed || m[0].Decoy+m[1].Decoy+m[2].Decoy != all.Decoy || m[0].NoRisk+m[1].NoRisk+m[2].NoRisk != all.NoRisk {
		t.Errorf("by outcome and risk: %+v", m)
	}
	for by, s := range sums {
		if s != all {
			t.Errorf("the table by %s sums up to %+v, want %+v", by, s, all)
		}
	}
	for _, row := range table(t, r, "origin").Rows {
		if row.Name == "not proven" && row.Figures != unproven {
			t.Errorf("not proven: %+v, want %+v", row.Figures, unproven)
		}
	}
	if !holds(r.Claim) || r.Opened != all.weight() {
		t.Errorf("claim %v, %d private parts opened of %d", holds(r.Claim), r.Opened, all.weight())
	}
}

func holds(c *claim.Claim) bool {
	r := c.Check("")
	return r.OK()
}

// masked is a page without what follows from the bytes of leaves, which other rooms may change.
func masked(b []byte) string {
	return regexp.MustCompile(`base64,[^"]*"|(?s)<pre>\{.*?</pre>|[0-9a-f]{64}`).ReplaceAllString(string(b), "-")
}

// TestPageGolden holds the page to its bytes; what is in it is checked besides.
func TestPageGolden(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "e")
	makeLog(t, dir, 200, evidence.Live)
	opt := options()
	opt.Origins, opt.Targets = "prefix", "address"
	r, err := Make(dir, opt)
	must(t, err)
	var page, text bytes.Buffer
	must(t, r.WriteHTML(&page), r.WriteJSON(&text))
	if *update {
		must(t, os.WriteFile("testdata/page.html", page.Bytes(), 0o600))
	}
	want, err := os.ReadFile("testdata/page.html")
	if err != nil || masked(want) != masked(page.Bytes()) {
		t.Errorf("the page changed (%v): look at it, then go test ./report -update", err)
	}
	var back Report
	must(t, json.Unmarshal(text.Bytes(), &back))
	if back.Figures != r.Figures || back.Claim == nil || !holds(back.Claim) || len(back.Tables) != len(r.Tables) {
		t.Error("the JSON is not the report")
	}
	for _, x := range []string{"<script", "http://", "src=", "@import", "onload"} {
		if strings.Contains(page.String(), x) {
			t.Errorf("the page holds %q", x)
		}
	}
	if heads := strings.Count(page.String(), "<table"); heads != strings.Count(page.String(), "<caption>") || strings.Count(page.String(), "<th>") > 0 {
		t.Error("a table without a caption, or a heading without a scope")
	}
	// The claim inside the page is whole.
	m := regexp.MustCompile(`download="claim.json" href="data:application/json;base64,([^"]*)"`).FindStringSubmatch(page.String())
	if m == nil {
		t.Fatal("no claim in the page")
	}
	b, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(m[1], "&#43;", "+"))
	must(t, err)
	f, err := claim.Read(b)
	must(t, err)
	if !holds(f.One) {
		t.Error("the claim in the page does not hold")
	}
}

// TestOnlyWhatMayBeShownIsShown: no address leaves the log unless asked for.
func TestOnlyWhatMayBeShownIsShown(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "e")
	makeLog(t, dir, 400, evidence.Live)
	for _, c := range []struct {
		origins, targets string
		shown, hidden    []string
	}{
		{"none", "none", nil, []string{"198.1", "10.0.", "10.1.", "AA<", "tcp/"}},
		{"country", "port", []string{"AA<", "tcp/"}, []string{"198.1", "10.0.", "10.1."}},
		{"prefix", "group", []string{"198.18.", "/24", "10.1."}, []string{"10.1.16.7"}},
		{"address", "address", []string{".7<"}, nil},
	} {
		opt := options()
		opt.Origins, opt.Targets, opt.Top = c.origins, c.targets, 1000
		r, err := Make(dir, opt)
		must(t, err)
		var page, text bytes.Buffer
		must(t, r.WriteHTML(&page), r.WriteJSON(&text))
		body := regexp.MustCompile(`base64,[^"]*"|(?s)<pre>.*?</pre>|<style>.*?</style>|"(leaf|checkpoint)": "[^"]*"`).ReplaceAllString(page.String()+text.String(), "")
		for _, x := range c.shown {
			if !strings.Contains(body, x) {
				t.Errorf("%s, %s: %q is not shown", c.origins, c.targets, x)
			}
		}
		for _, x := range c.hidden {
			if at := strings.Index(body, x); at >= 0 && c.origins != "address" {
				t.Errorf("%s, %s: %q is shown: %s", c.origins, c.targets, x, body[max(at-60, 0):min(at+60, len(body))])
			}
		}
	}
}

func TestKindsAndErasuresAreSaid(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "e")
	makeLog(t, dir, 300, evidence.Demo)
	seeds, err := os.ReadFile(filepath.Join(dir, "seeds"))
	must(t, err)
	// As an erasure leaves it: the seed of a leaf is overwritten.
	i := 100
	for ; seeds[32*i+23] == 0; i++ {
	}
	copy(seeds[32*i:], make([]byte, 16))
	must(t, os.WriteFile(filepath.Join(dir, "seeds"), seeds, 0o600))
	r, err := Make(dir, options())
	must(t, err)
	var page bytes.Buffer
	must(t, r.WriteHTML(&page))
	for _, want := range []string{"This log is a demo.", "1 attacks are missing here: their private parts were erased", Limits} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	// A private part that is not what its leaf committed to ends the report.
	copy(seeds[32*i:], strings.Repeat("x", 16))
	must(t, os.WriteFile(filepath.Join(dir, "seeds"), seeds, 0o600))
	var damaged *evidence.CorruptError
	if _, err := Make(dir, options()); !errors.As(err, &damaged) {
		t.Errorf("a changed private part: %v", err)
	}
}

func TestHostileNamesStayText(t *testing.T) {
	r := &Report{Claim: &claim.Claim{Leaves: claim.Leaves{To: &claim.Leaf{}}}, Title: `<script>alert(1)</script>`, Tables: []*Table{{By: "origin", Caption: "x", Bound: "private", Rows: []Row{{Name: `"><img src=x onerror=alert(1)>`}}}},
		Steps: []Step{{Name: `</text><script>`}}, Events: []Event{{Text: `<b onclick=x>`}}}
	var page bytes.Buffer
	must(t, r.WriteHTML(&page))
	for _, x := range []string{"<script", "<img", "<b onclick"} {
		if strings.Contains(page.String(), x) {
			t.Errorf("%q came through", x)
		}
	}
}

func TestChartHasItsWords(t *testing.T) {
	c := string(chart([]Step{{Name: "1 Nov", Figures: Figures{Foiled: 3, Observed: 7}}, {Name: "2 Nov"}}, "day"))
	for _, want := range []string{`role="img"`, "<title", "3 foiled, 0 contained, 7 observed"} {
		if !strings.Contains(c, want) {
			t.Errorf("the plot lacks %q: %s", want, c)
		}
	}
	for v, want := range map[int64]int64{1: 2, 2: 2, 3: 4, 9: 10, 11: 20, 1234: 2000, 99999: 100000} {
		if got := round(v); got != want {
			t.Errorf("round(%d) = %d, want %d", v, got, want)
		}
	}
}

// BenchmarkMonth makes the report of a month with DEJPHA_REPORT_ATTACKS attacks (1,000,000 in `make bench-report`).
func BenchmarkMonth(b *testing.B) {
	n := 20_000
	if s := os.Getenv("DEJPHA_REPORT_ATTACKS"); s != "" {
		var err error
		n, err = strconv.Atoi(s)
		must(b, err)
	}
	dir := *keep
	if dir == "" {
		dir = b.TempDir()
	}
	dir = filepath.Join(dir, "evidence")
	if _, err := os.Stat(dir); err != nil {
		must(b, os.MkdirAll(filepath.Dir(dir), 0o755))
		makeLog(b, dir, n, evidence.Live)
	}
	opt := options()
	opt.Top = 20
	var page, text bytes.Buffer
	n = 0
	for b.Loop() {
		r, err := Make(dir, opt)
		must(b, err)
		n += int(r.Figures.weight())
		page.Reset()
		text.Reset()
		must(b, r.WriteHTML(&page), r.WriteJSON(&text))
	}
	b.ReportMetric(float64(page.Len()), "page-B")
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "attacks/s")
}
