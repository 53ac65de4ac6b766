package claim

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/evidence"
)

// told is an attack as one sensor tells it: when its first and last packet passed, minutes of the day.
type told struct {
	class, origin, group string
	first, last          int
	change               func(*attack.Record)
}

func unproven(sources ...string) func(*attack.Record) {
	return func(r *attack.Record) {
		r.Origin = attack.Origin{Count: uint64(len(sources))}
		for _, s := range sources {
			r.Origin.Sources = append(r.Origin.Sources, attack.Source{IP: s, Count: 1})
		}
	}
}

// seen makes the log of a sensor and its claim from midnight to an hour.
func seen(t *testing.T, sensor byte, until int, list ...told) (string, *Claim) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "e")
	opt := testOptions(t, evidence.Live, sensor)
	opt.Time = day.UnixNano()
	l, err := evidence.Open(dir, opt)
	must(t, err)
	now := 0
	for i, x := range list {
		r := record(i, 0)
		r.Class, r.Outcome = x.class, attack.Observed
		r.Origin = attack.Origin{IP: x.origin, Proven: true, Count: 1}
		r.Target.Group = x.group
		r.FirstSeen, r.LastSeen = day.Add(time.Duration(x.first)*time.Minute).UnixNano(), day.Add(time.Duration(x.last)*time.Minute).UnixNano()
		r.ClosedAt = r.LastSeen + int64(attack.Table()[attack.ClassIndex(x.class)].Gap)
		if x.change != nil {
			x.change(&r)
		}
		now = tick(t, l, now, int((r.ClosedAt-day.UnixNano())/60e9))
		must(t, l.Seal(&r, nil))
	}
	tick(t, l, now, 120)
	_, err = l.Close()
	must(t, err)
	c, err := Make(dir, Select{}, window(0, time.Duration(until)*time.Minute))
	must(t, err)
	return dir, c
}

// tick moves a log's clock on by minutes.
func tick(t *testing.T, l *evidence.Log, from, to int) int {
	for ; from <= to; from++ {
		must(t, l.Totals(evidence.Ledger{}, day.Add(time.Duration(from)*time.Minute).UnixNano()))
	}
	return from
}

const web, one, two, net = "web-attack", "192.0.2.1", "192.0.2.2", "10.0.0.0/24"

func TestWhatIsOneAttack(t *testing.T) {
	w := func(first, last int) told { return told{web, one, net, first, last, nil} }
	forged := func(first, last int, sources ...string) told {
		return told{web, "", net, first, last, unproven(sources...)}
	}
	with := func(x told, f func(*told)) told { f(&x); return x }
	for _, x := range []struct {
		what       string
		a, b       []told
		net, pairs int
	}{
		{"seen by both", []told{w(1, 2)}, []told{w(1, 2)}, 1, 1},
		{"a gap apart", []told{w(1, 2)}, []told{w(7, 9)}, 1, 1},
		{"more than a gap apart", []told{w(1, 2)}, []told{w(8, 9)}, 2, 0},
		{"split at one", []told{w(1, 2), w(10, 11)}, []told{w(1, 11)}, 1, 2},
		{"split at both", []told{w(1, 2), w(10, 15)}, []told{w(1, 8), w(19, 20)}, 1, 3},
		{"one inside another", []told{w(1, 20)}, []told{w(3, 4), w(11, 12)}, 1, 2},
		{"of other origins", []told{w(1, 2)}, []told{with(w(1, 2), func(x *told) { x.origin = two })}, 2, 0},
		{"on other targets", []told{w(1, 2)}, []told{with(w(1, 2), func(x *told) { x.group = "10.0.1.0/24" })}, 2, 0},
		{"of other classes", []told{w(1, 2)}, []told{with(w(1, 2), func(x *told) { x.class = "exploit" })}, 2, 0},
		{"of other subjects", []told{w(1, 2)}, []told{with(w(1, 2), func(x *told) { x.change = func(r *attack.Record) { r.Subject = one } })}, 2, 0},
		{"unproven at both", []told{forged(1, 2, "192.0.2.7")}, []told{forged(1, 2, "192.0.2.8")}, 1, 1},
		{"unproven at one", []told{w(1, 2)}, []told{forged(1, 2, one)}, 1, 1},
		{"unproven beside proven", []told{w(1, 2)}, []told{w(1, 2), forged(1, 2, one)}, 1, 2},
		{"unproven of two proven", []told{w(1, 2), {web, two, net, 1, 3, nil}}, []told{forged(1, 2, one, two)}, 2, 1},
		{"unproven of one more", []told{w(1, 2)}, []told{forged(1, 2, one, two)}, 2, 0},
		{"unproven without sources", []told{w(1, 2)}, []told{forged(1, 2)}, 2, 0},
		{"unproven long after", []told{w(1, 2)}, []told{forged(20, 22, one)}, 2, 0},
		{"unproven at both and proven", []told{w(1, 2), forged(2, 3, one)}, []told{forged(4, 5, one)}, 1, 2},
		{"overflow", []told{with(w(1, 2), func(x *told) { x.change = func(r *attack.Record) { r.Overflow = true } })}, []told{w(1, 2)}, 2, 0},
		{"closed after the window by one", []told{w(1, 40)}, []told{w(1, 41), w(55, 59)}, 1, 1},
		{"closed after the window by the other", []told{w(1, 50)}, []told{w(1, 58)}, 0, 1},
	} {
		dirA, a := seen(t, 1, 60, x.a...)
		dirB, b := seen(t, 2, 60, x.b...)
		m, err := Merge([]*Claim{a, b}, []string{dirB, dirA})
		must(t, err)
		if m.Count.Net != int64(x.net) || len(m.Pairs) != x.pairs {
			t.Errorf("%s: %+v, pairs %v", x.what, m.Count, m.Pairs)
		}
		f, err := Read(m.Encode())
		must(t, err)
		if r := f.Merged.Check(b.Log.Key, a.Log.Key); !r.OK() || r.SelfCertified {
			t.Errorf("%s: %+v", x.what, r)
		}
		if d, err := f.Merged.Draw([]string{dirA, dirB}, 10, nil); err != nil || len(d.Problems) > 0 || d.Drawn != x.pairs {
			t.Errorf("%s: drawn %+v %v", x.what, d, err)
		}
	}
}

// A day cut in windows counts each attack once, in the window of its last closing.
func TestMergedWindowsAddUp(t *testing.T) {
	list := func(more int) []told {
		return []told{{web, one, net, 1, 50 + more, nil}, {web, two, net, 58, 70 + more, nil}}
	}
	dirA, a := seen(t, 1, 60, list(0)...)
	dirB, b := seen(t, 2, 60, list(8)...)
	sum := int64(0)
	for _, w := range []Window{window(0, time.Hour), window(time.Hour, 2*time.Hour)} {
		var err error
		a, err = Make(dirA, Select{}, w)
		must(t, err)
		b, err = Make(dirB, Select{}, w)
		must(t, err)
		m, err := Merge([]*Claim{a, b}, []string{dirA, dirB})
		must(t, err)
		sum += m.Count.Net
	}
	if sum != 2 {
		t.Errorf("two attacks are counted %d times over two windows", sum)
	}
}

// A later piece of an attack that the longest span cut reaches as far as the attack.
func TestContinuedAttacksAreOne(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "e")
	opt := testOptions(t, evidence.Live, 1)
	opt.Time = day.UnixNano()
	l, err := evidence.Open(dir, opt)
	must(t, err)
	r := record(1, 5*time.Minute)
	r.Origin.IP, r.FirstSeen, r.LastSeen = one, day.UnixNano(), day.Add(5*time.Minute).UnixNano()
	piece := fmt.Appendf(nil, `{"id":2,"last_seen":%d}`, day.Add(17*time.Minute).UnixNano())
	must(t, l.Seal(&r, nil), l.Event(evidence.CodeContinuation, day.Add(30*time.Minute).UnixNano(), -1, nil, piece))
	tick(t, l, 30, 120)
	_, err = l.Close()
	must(t, err)
	a, err := Make(dir, Select{}, window(0, time.Hour))
	must(t, err)
	dirB, b := seen(t, 2, 60, told{web, one, net, 20, 22, nil})
	m, err := Merge([]*Claim{a, b}, []string{dir, dirB})
	must(t, err)
	if m.Count.Net != 1 {
		t.Errorf("%+v", m.Count)
	}
}

func TestMergedClaimsThatDoNotHold(t *testing.T) {
	dirA, a := seen(t, 1, 60, told{web, one, net, 1, 2, nil}, told{web, two, net, 2, 3, nil})
	dirB, b := seen(t, 2, 60, told{web, one, net, 1, 2, nil}, told{web, two, net, 2, 3, nil})
	good, err := Merge([]*Claim{a, b}, []string{dirA, dirB})
	must(t, err)
	if *update {
		must(t, os.WriteFile(filepath.Join("testdata", "merged.json"), good.Encode(), 0o644))
	}
	for what, spoil := range map[string]func(m *Merged){
		"count":       func(m *Merged) { m.Count.Net++ },
		"fewer pairs": func(m *Merged) { m.Pairs = m.Pairs[1:] },
		"a pair more": func(m *Merged) { m.Pairs = append(m.Pairs, Pair{1, 90, 1, 91}) },
		"twice":       func(m *Merged) { m.Pairs = append(m.Pairs, m.Pairs[1]) },
		"of no part":  func(m *Merged) { m.Pairs[1][2] = 7 },
		"below none":  func(m *Merged) { m.Pairs[0][0] = -1 },
		"in itself":   func(m *Merged) { m.Pairs[0][2], m.Pairs[0][3] = m.Pairs[0][0], m.Pairs[0][1] },
		"past it":     func(m *Merged) { m.Pairs[1][3] = 1 << 40 },
		"sentence":    func(m *Merged) { m.Sentence += "!" },
		"rule":        func(m *Merged) { m.Rule.Text = "" },
		"caveats":     func(m *Merged) { m.Caveats = nil },
		"one part":    func(m *Merged) { m.Parts = m.Parts[:1] },
		"no part":     func(m *Merged) { m.Parts[0] = nil },
		"same part":   func(m *Merged) { m.Parts[1] = m.Parts[0] },
		"a part":      func(m *Merged) { m.Parts[0].Count.Gross++ },
		"unmatched":   func(m *Merged) { m.Unmatched = nil },
		"window":      func(m *Merged) { m.Window.From += 1e6 },
	} {
		f, err := Read(good.Encode())
		must(t, err)
		spoil(f.Merged)
		if r := f.Merged.Check(); r.OK() {
			t.Errorf("%s: taken", what)
		}
	}
	// Pairs that the rule does not make are found when they are drawn.
	f, err := Read(good.Encode())
	must(t, err)
	p := f.Merged.Pairs
	p[0][3], p[1][3] = p[1][3], p[0][3]
	if r := f.Merged.Check(); !r.OK() {
		t.Errorf("the file alone cannot show it: %q", r.Problems)
	}
	d, err := f.Merged.Draw([]string{dirA, dirB}, 1, []byte("auditor"))
	if err != nil || len(d.Problems) != 1 || !strings.Contains(d.Problems[0], "different origins") {
		t.Errorf("%+v %v", d, err)
	}
	f.Merged.Pairs[0][3]-- // a totals leaf
	if d, err := f.Merged.Draw([]string{dirA, dirB}, 9, nil); err != nil || len(d.Problems) != 2 {
		t.Errorf("%+v %v", d, err)
	}
	if _, err := Merge([]*Claim{a, b}, []string{dirA}); err == nil {
		t.Error("merged without a folder")
	}
}

// What was erased cannot be compared, and the claim says so.
func TestErasedAttacksAreSaid(t *testing.T) {
	dirA, a := seen(t, 1, 60, told{web, one, net, 1, 2, nil})
	dirB, b := seen(t, 2, 60, told{web, one, net, 1, 2, nil})
	opt := testOptions(t, evidence.Live, 2)
	opt.Time = day.Add(25 * time.Hour).UnixNano()
	l, err := evidence.Open(dirB, opt)
	must(t, err)
	r, err := evidence.Records(dirB, 0)
	must(t, err)
	must(t, l.Erase(r[0].Evidence.Leaf, opt.Time, ""))
	_, err = l.Close()
	must(t, err)
	m, err := Merge([]*Claim{a, b}, []string{dirA, dirB})
	must(t, err)
	if m.Count.Net != 2 || m.Unmatched[1] != 1 || !strings.Contains(strings.Join(m.Caveats, "\n"), "1 attacks of part 2 (example.org/sensor-2) could not be compared") {
		t.Errorf("%+v %v %q", m.Count, m.Unmatched, m.Caveats)
	}
}
