package index

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dejpha/dejpha/attack"
)

const t0 = int64(1_760_000_000_000) // ms

// nowhere places addresses by their last digit.
func nowhere(addr string) string {
	switch {
	case strings.HasSuffix(addr, "1"):
		return "NL"
	case strings.HasSuffix(addr, "2"):
		return "BR"
	}
	return ""
}

// made is an attack whose every field comes from its number, so that filters cut across each other.
func made(i int) attack.Record {
	at := (t0 + int64(i%97)*61_000) * 1e6
	r := attack.Record{
		ID: uint64(i), State: "closed", Class: attack.Table()[i%7].Name, Techniques: []string{"T1046"}, Severity: uint8(1 + i%4),
		Risk: []string{attack.Real, attack.Real, attack.Decoy, attack.NoRisk}[i/3%4], Side: []string{attack.Outside, attack.Inside}[i%2],
		Outcome: []string{attack.Observed, attack.Foiled, attack.Contained}[i/2%3], Result: []string{attack.Unknown, attack.Failed, attack.Succeeded}[i/5%3],
		Authorised: i%11 == 0, Origin: attack.Origin{IP: fmt.Sprintf("198.51.100.%d", i%13), Proven: true, Count: 1},
		Target:    attack.Target{Group: fmt.Sprintf("10.0.%d.0/24", i%5), IPs: []string{fmt.Sprintf("10.0.%d.%d", i%5, i%9), "10.0.9.9"}[:1+i%2], Count: 1, Proto: 6},
		FirstSeen: at, LastSeen: at + int64(i%8)*1e9, ClosedAt: at + 600e9, Packets: uint64(i * 7 % 23), Observations: 1, Incident: uint64(1 + i%6),
		Alerts: []attack.AlertCount{{SID: uint32(7000 + i%3), GID: 1, Msg: "probe", Count: 1}}, Evidence: attack.Evidence{Leaf: int64(i) * 2},
	}
	if i%10 == 0 {
		r.State, r.ClosedAt, r.Evidence.Leaf = "opened", 0, -1
	}
	r.Retell()
	return r
}

func madeAll(n int) []attack.Record {
	list := make([]attack.Record, 0, n)
	for i := 1; i <= n; i++ {
		list = append(list, made(i))
	}
	return list
}

func opened(t testing.TB, records ...attack.Record) *Index {
	t.Helper()
	x, fresh, err := Open(filepath.Join(t.TempDir(), "x.db"), "log", nowhere)
	if err != nil || !fresh {
		t.Fatal(fresh, err)
	}
	t.Cleanup(func() { _ = x.Close() })
	for part := range slices.Chunk(records, 500) {
		if err := x.Put(part); err != nil {
			t.Fatal(err)
		}
	}
	return x
}

func ids(list []attack.Record) []uint64 {
	out := []uint64{}
	for i := range list {
		out = append(out, list[i].ID)
	}
	return out
}

// filters by name, each with what it lets pass, judged without the index.
var filters = map[string]struct {
	f    Filter
	pass func(r *attack.Record) bool
}{
	"nothing":          {Filter{}, func(*attack.Record) bool { return true }},
	"class":            {Filter{Class: []string{"scan"}}, func(r *attack.Record) bool { return r.Class == "scan" }},
	"two classes":      {Filter{Class: []string{"scan", "c2"}}, func(r *attack.Record) bool { return r.Class == "scan" || r.Class == "c2" }},
	"outcome":          {Filter{Outcome: []string{"foiled"}}, func(r *attack.Record) bool { return r.Outcome == "foiled" }},
	"risk":             {Filter{Risk: []string{"decoy"}}, func(r *attack.Record) bool { return r.Risk == "decoy" }},
	"result":           {Filter{Result: []string{"failed", "unknown"}}, func(r *attack.Record) bool { return r.Result != "succeeded" }},
	"severity":         {Filter{Severity: []string{"1", "2"}}, func(r *attack.Record) bool { return r.Severity <= 2 }},
	"side":             {Filter{Side: []string{"inside"}}, func(r *attack.Record) bool { return r.Side == "inside" }},
	"state":            {Filter{State: []string{"opened"}}, func(r *attack.Record) bool { return r.State == "opened" }},
	"country":          {Filter{Country: []string{"nl"}}, func(r *attack.Record) bool { return strings.HasSuffix(r.Origin.IP, "1") }},
	"no country":       {Filter{Country: []string{"none"}}, func(r *attack.Record) bool { return nowhere(r.Origin.IP) == "" }},
	"origin":           {Filter{Origin: "198.51.100.3"}, func(r *attack.Record) bool { return r.Origin.IP == "198.51.100.3" }},
	"part of origin":   {Filter{Origin: "198.51.100"}, func(*attack.Record) bool { return false }},
	"target":           {Filter{Target: "10.0.2.0/24"}, func(r *attack.Record) bool { return r.Target.Group == "10.0.2.0/24" }},
	"target's address": {Filter{Target: "10.0.9.9"}, func(r *attack.Record) bool { return len(r.Target.IPs) == 2 }},
	"incident":         {Filter{Incident: "4"}, func(r *attack.Record) bool { return r.Incident == 4 }},
	"authorised":       {Filter{Authorised: "1"}, func(r *attack.Record) bool { return r.Authorised }},
	"not authorised":   {Filter{Authorised: "0"}, func(r *attack.Record) bool { return !r.Authorised }},
	"text":             {Filter{Text: "PROBE 198.51.100.12"}, func(r *attack.Record) bool { return r.Origin.IP == "198.51.100.12" }},
	"rule's number":    {Filter{Text: "7002"}, func(r *attack.Record) bool { return r.Alerts[0].SID == 7002 }},
	"from":             {Filter{From: t0 + 3_000_000}, func(r *attack.Record) bool { return r.LastSeen/1e6 >= t0+3_000_000 }},
	"to":               {Filter{To: t0 + 3_000_000}, func(r *attack.Record) bool { return r.FirstSeen/1e6 < t0+3_000_000 }},
	"many": {Filter{Class: []string{"scan", "enumeration", "exploit"}, Severity: []string{"1", "3"}, Side: []string{"outside", "inside"}, Authorised: "0", From: t0 + 600_000, Text: "probe"},
		func(r *attack.Record) bool {
			return slices.Contains([]string{"scan", "enumeration", "exploit"}, r.Class) && r.Severity%2 == 1 && !r.Authorised && r.LastSeen/1e6 >= t0+600_000
		}},
}

func TestEveryFilter(t *testing.T) {
	all := madeAll(600)
	x := opened(t, all...)
	for name, c := range filters {
		var want []attack.Record
		groups, places, firsts := map[Count]int64{}, map[string]int64{}, map[string]int64{}
		var first, last int64
		for i := range all {
			r := &all[i]
			if !c.pass(r) {
				continue
			}
			want = append(want, *r)
			groups[Count{r.Class, r.State, r.Outcome, r.Risk, r.Authorised, 0}]++
			places[nowhere(r.Origin.IP)]++
			firsts[r.Class]++
			if first == 0 || r.FirstSeen/1e6 < first {
				first = r.FirstSeen / 1e6
			}
			last = max(last, r.LastSeen/1e6)
		}
		list, total, err := x.List(t.Context(), &c.f, "id", 1000, 0)
		if err != nil || total != len(want) || !slices.Equal(ids(list), ids(want)) {
			t.Errorf("%s: %d of %d attacks, %v", name, len(list), len(want), err)
		}
		counts, err := x.Counts(t.Context(), &c.f)
		got := map[Count]int64{}
		for _, n := range counts {
			k := n
			k.N = 0
			got[k] = n.N
		}
		if err != nil || !maps.Equal(got, groups) {
			t.Errorf("%s: counts %v, want %v, %v", name, got, groups, err)
		}
		if got, err := x.Countries(t.Context(), &c.f); err != nil || !maps.Equal(got, places) {
			t.Errorf("%s: countries %v, want %v, %v", name, got, places, err)
		}
		if a, b, err := x.Span(t.Context(), &c.f); err != nil || a != first || b != last {
			t.Errorf("%s: span %d to %d, want %d to %d, %v", name, a, b, first, last, err)
		}
		series, err := x.Timeline(t.Context(), &c.f, t0+1_000_000, 700_000, 5) // begins late, ends early
		sums := map[string]int64{}
		for class, counts := range series {
			for _, n := range counts {
				sums[class] += n
			}
		}
		if err != nil || !maps.Equal(sums, firsts) {
			t.Errorf("%s: series %v, want %v, %v", name, sums, firsts, err)
		}
		origins, err := x.Origins(t.Context(), &c.f, 1000)
		sum := int64(0)
		for i, o := range origins {
			sum += o.Attacks
			if i > 0 && o.Attacks > origins[i-1].Attacks {
				t.Errorf("%s: origins do not fall", name)
			}
		}
		if err != nil || sum != int64(len(want)) {
			t.Errorf("%s: origins have %d attacks, want %d, %v", name, sum, len(want), err)
		}
	}
}

func TestNeeds(t *testing.T) {
	all := madeAll(600)
	x := opened(t, all...)
	f := &Filter{Side: []string{"outside"}}
	n := 0
	for i := range all {
		if r := &all[i]; r.Side == "outside" && r.Severity <= 2 && r.Result != attack.Failed && r.Risk == attack.Real && !r.Authorised && r.Outcome != attack.Foiled {
			n++
		}
	}
	list, total, err := x.Needs(t.Context(), f, 1000)
	if err != nil || total != n || len(list) != n || n == 0 {
		t.Fatalf("%d, %d in all, want %d, %v", len(list), total, n, err)
	}
	rank := func(r *attack.Record) int {
		return map[string]int{attack.Succeeded: 0, attack.Unknown: 1}[r.Result]*10 + int(r.Severity)
	}
	for i := range list[1:] {
		if rank(&list[i]) > rank(&list[i+1]) {
			t.Errorf("attack %d stands before %d", list[i].ID, list[i+1].ID)
		}
	}
	if few, total, err := x.Needs(t.Context(), f, 2); err != nil || len(few) != 2 || total != n || few[0].ID != list[0].ID {
		t.Errorf("two of them: %v of %d, %v", ids(few), total, err)
	}
}

func TestPagesHoldEveryAttackOnce(t *testing.T) {
	x := opened(t, madeAll(157)...)
	for sort := range orders {
		var seen []uint64
		for offset := 0; offset < 200; offset += 10 {
			list, total, err := x.List(t.Context(), &Filter{}, sort, 10, offset)
			if err != nil || total != 157 {
				t.Fatal(sort, total, err)
			}
			seen = append(seen, ids(list)...)
		}
		whole, _, err := x.List(t.Context(), &Filter{}, sort, 1000, 0)
		if err != nil || !slices.Equal(seen, ids(whole)) {
			t.Errorf("%q: pages and the whole list differ, %v", sort, err)
		}
		slices.Sort(seen)
		if n := len(slices.Compact(seen)); n != 157 {
			t.Errorf("%q: %d attacks in all pages", sort, n)
		}
		other, rising := strings.CutPrefix(sort, "-")
		if sort == "" {
			continue
		}
		if !rising {
			other = "-" + sort
		}
		back, _, err := x.List(t.Context(), &Filter{}, other, 1000, 0)
		slices.Reverse(back)
		if err != nil || !slices.Equal(ids(back), ids(whole)) {
			t.Errorf("%q is not %q the other way round, %v", other, sort, err)
		}
	}
	if _, _, err := x.List(t.Context(), &Filter{}, "id; DROP TABLE attack", 1, 0); err == nil {
		t.Error("an unknown order was taken")
	}
}

func TestHostileStrings(t *testing.T) {
	hostile := []string{`'; DROP TABLE attack; --`, `" OR ""="`, "%", "_", "a\x00b", "\xff\xfe", "*", `\`, "💥", strings.Repeat("x", 1<<16), "NULL", "?1", "$1", ") OR 1=1"}
	var all []attack.Record
	for i, s := range hostile {
		r := made(i + 1)
		r.State, r.Origin, r.Target.Group, r.Subject = "closed", attack.Origin{Domain: s, Proven: true}, s, s
		r.Alerts[0].Msg = s
		all = append(all, r)
	}
	x := opened(t, all...)
	for i, s := range hostile {
		for name, f := range map[string]Filter{"origin": {Origin: s}, "target": {Target: s}} {
			list, total, err := x.List(t.Context(), &f, "", 10, 0)
			if err != nil || total != 1 || list[0].ID != uint64(i+1) {
				t.Errorf("%s %.20q: %d attacks, %v", name, s, total, err)
			}
		}
		for _, f := range []Filter{{Class: []string{s}}, {Severity: []string{s}}, {State: []string{s}}, {Country: []string{s}}, {Incident: s}, {Authorised: s}} {
			if _, total, err := x.List(t.Context(), &f, "", 10, 0); err != nil || total != 0 {
				t.Errorf("%.20q as a filter: %d attacks, %v", s, total, err)
			}
		}
	}
	for text, want := range map[string]int{"%": 1, "drop table": 1, "💥": 1, "observation": len(hostile)} { // every story has that word in it
		if _, total, err := x.List(t.Context(), &Filter{Text: text}, "", 10, 0); err != nil || total != want {
			t.Errorf("text %q: %d attacks, want %d, %v", text, total, want, err)
		}
	}
}

// What is told of an attack's opening may come after its end: the queue was full, the end was read from the evidence.
func TestOpeningNeverReplacesTheEnd(t *testing.T) {
	end := made(3)
	begin := end
	begin.State, begin.Evidence.Leaf = "opened", -1
	for name, order := range map[string][]attack.Record{"in order": {begin, end}, "late": {end, begin}, "twice": {begin, end, begin, end}} {
		x := opened(t, order...)
		if r, err := x.Get(t.Context(), 3); err != nil || r == nil || r.State != "closed" || r.Evidence.Leaf != 6 {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

func TestOpenedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		harm  func(file string) error
		fresh bool
	}{
		"whole":         {func(string) error { return nil }, false},
		"deleted":       {os.Remove, true},
		"broken":        {func(f string) error { return os.WriteFile(f, bytes.Repeat([]byte("broken "), 1000), 0o600) }, true},
		"empty":         {func(f string) error { return os.Truncate(f, 0) }, true},
		"no index":      {func(f string) error { return os.WriteFile(f, nil, 0o600) }, true},
		"a log beside":  {func(f string) error { return os.WriteFile(f+"-wal", []byte("not a log"), 0o600) }, false},
		"older version": {func(f string) error { return run(f, `UPDATE meta SET value = '1' WHERE key = 'version'`) }, true},
		"another log's": {func(f string) error { return run(f, `UPDATE meta SET value = 'x' WHERE key = 'origin'`) }, true},
		"lacks a table": {func(f string) error { return run(f, `DROP TABLE attack`) }, true},
	} {
		file := filepath.Join(t.TempDir(), "x.db")
		x, _, err := Open(file, "log", nowhere)
		if err != nil {
			t.Fatal(err)
		}
		if err := x.Put(madeAll(20)); err != nil {
			t.Fatal(err)
		}
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		if err := c.harm(file); err != nil {
			t.Fatal(err)
		}
		x, fresh, err := Open(file, "log", nowhere)
		if err != nil || fresh != c.fresh {
			t.Errorf("%s: fresh %v, %v", name, fresh, err)
			continue
		}
		_, total, err := x.List(t.Context(), &Filter{}, "", 1, 0)
		want := 18 // two were open; what is still open now is told again
		if c.fresh {
			want = 0
		}
		if leaf, lerr := x.LastLeaf(); err != nil || total != want || lerr != nil || leaf != map[bool]int64{true: -1, false: 38}[c.fresh] {
			t.Errorf("%s: %d attacks, last leaf %d, %v %v", name, total, leaf, err, lerr)
		}
		if err := x.Put(madeAll(3)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		_ = x.Close()
	}
	if _, _, err := Open(filepath.Join(t.TempDir(), "no", "such", "folder.db"), "log", nowhere); err == nil {
		t.Error("a folder that is not there was taken")
	}
}

func run(file, query string) error {
	x, err := connect(file, nowhere)
	if err != nil {
		return err
	}
	defer x.Close()
	_, err = x.db.Exec(query)
	return err
}

func TestMinutesAddUp(t *testing.T) {
	x := opened(t)
	for i := range int64(10) {
		for range 2 {
			if err := x.Minute(t0+i*60_000, Ledger{Received: 5, Inspected: 3, Dropped: 2}, int(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	list, err := x.Minutes(t.Context(), 4)
	if err != nil || len(list) != 4 || list[0].At != t0+6*60_000 || list[3] != (Minute{t0 + 9*60_000, 10, 6, 0, 4, 0, 0, 9}) {
		t.Errorf("%+v, %v", list, err)
	}
	if err := x.Clear(); err != nil {
		t.Fatal(err)
	}
	if list, err := x.Minutes(t.Context(), 4); err != nil || list == nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
}
