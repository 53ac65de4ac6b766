package claim

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/evidence"
)

var update = flag.Bool("update", false, "write the golden sample anew")

// day is the midnight that the tests' logs begin at.
var day = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func at(d time.Duration) Time { return TimeOf(day.Add(d)) }

func window(from, to time.Duration) Window { return Window{at(from), at(to)} }

// testOptions of a log whose bytes are the same in every run but for its signing key, which keyFile fixes.
func testOptions(t testing.TB, kind evidence.Kind, seed byte) evidence.Options {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	key, err := evidence.LoadKey(nil, path, rand.NewChaCha8([32]byte{seed}))
	if err != nil {
		t.Fatal(err)
	}
	return evidence.Options{Kind: kind, Key: key, Rand: rand.NewChaCha8([32]byte{1}), Origin: fmt.Sprintf("example.org/sensor-%d", seed)}
}

// record is the i-th attack of a test: brute force and web attacks in turn, one in three foiled.
func record(i int, closed time.Duration) attack.Record {
	r := attack.Record{ID: uint64(i + 1), State: "closed", Class: []string{"brute-force", "web-attack"}[i%2], Severity: 2,
		Risk: attack.Real, Side: attack.Outside, Outcome: []string{attack.Foiled, attack.Observed, attack.Contained}[i%3], Result: attack.Unknown,
		Origin:   attack.Origin{IP: fmt.Sprintf("192.0.2.%d", i%250), Proven: true, Count: 1},
		Target:   attack.Target{Group: "10.0.0.0/24", IPs: []string{"10.0.0.1"}, Ports: []uint16{80}, Count: 1, Proto: 6},
		ClosedAt: day.Add(closed).UnixNano(), Observations: 3, Packets: 9, Bytes: 900, Evidence: attack.Evidence{Leaf: -1}}
	r.FirstSeen, r.LastSeen = r.ClosedAt-900e9-5e9, r.ClosedAt-900e9
	return r
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// hour makes a log of an hour with an attack each minute, flushed every few.
func hour(t testing.TB, opt evidence.Options) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "e")
	l, err := evidence.Open(dir, opt)
	must(t, err)
	for i := range 60 {
		now := time.Duration(i)*time.Minute + 30*time.Second
		r := record(i, now)
		n := uint64(i+1) * 100
		must(t, l.Totals(evidence.Ledger{Received: n, Inspected: n - uint64(i), Shed: uint64(i)}, day.Add(now).UnixNano()), l.Seal(&r, nil))
		if i%7 == 0 {
			_, err := l.Flush()
			must(t, err)
		}
	}
	must(t, l.Totals(evidence.Ledger{Received: 6000, Inspected: 5941, Shed: 59}, day.Add(time.Hour+30*time.Second).UnixNano()))
	_, err = l.Close()
	must(t, err)
	return dir
}

// holds checks a claim's file by the log's key and returns it as it was read.
func holds(t testing.TB, c *Claim) *Claim {
	t.Helper()
	f, err := Read(c.Encode())
	must(t, err)
	if r := f.One.Check(""); !r.OK() || !r.SelfCertified {
		t.Fatalf("problems %q", r.Problems)
	}
	return f.One
}

// A withdrawn attack stays counted where it was, and is withdrawn where the correction stands: 5, less 1, are 4.
func TestWithdrawnAttack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "e")
	l, err := evidence.Open(dir, testOptions(t, evidence.Live, 1))
	must(t, err)
	var first int64
	for i := range 5 {
		now := time.Duration(i)*time.Minute + 30*time.Second
		r := record(i, now)
		must(t, l.Totals(evidence.Ledger{}, day.Add(now).UnixNano()), l.Seal(&r, nil))
		if i == 0 {
			first = r.Evidence.Leaf
		}
	}
	must(t, l.Totals(evidence.Ledger{}, day.Add(10*time.Minute+time.Second).UnixNano()))
	_, err = l.Flush()
	must(t, err, l.Withdraw([]int64{first}, day.Add(20*time.Minute+time.Second).UnixNano(), "a false alarm"), l.Totals(evidence.Ledger{}, day.Add(30*time.Minute+time.Second).UnixNano()))
	_, err = l.Close()
	must(t, err)
	for _, x := range []struct {
		w        Window
		want     Count
		sentence string
	}{
		{window(0, 30*time.Minute), Count{Gross: 5, Withdrawn: 1, Net: 4}, "counted 5 attacks, and withdrew 1."},
		{window(0, 10*time.Minute), Count{Gross: 5, Net: 5}, "counted 5 attacks."},
		{window(10*time.Minute, 30*time.Minute), Count{Withdrawn: 1, Net: -1}, "counted 0 attacks, and withdrew 1."},
	} {
		c, err := Make(dir, Select{}, x.w)
		must(t, err)
		c = holds(t, c)
		if c.Count.Gross != x.want.Gross || c.Count.Withdrawn != x.want.Withdrawn || c.Count.Net != x.want.Net || !strings.HasSuffix(c.Sentence, x.sentence) {
			t.Errorf("%+v %q, want %+v", c.Count, c.Sentence, x.want)
		}
		if c.Count.Withdrawn > 0 { // a claim that keeps quiet about it does not hold
			c.Count.Withdrawn, c.Count.Net = 0, int64(c.Count.Gross)
			if r := c.Check(""); r.OK() {
				t.Error("a claim without what was withdrawn holds")
			}
		}
	}
}

func TestCountsByWindowAndCell(t *testing.T) {
	dir := hour(t, testOptions(t, evidence.Live, 1))
	for _, x := range []struct {
		s        Select
		w        Window
		want     uint64
		sentence string
	}{
		{Select{}, window(0, time.Hour), 60, "From 2026-11-01 00:00 to 2026-11-01 01:00 UTC this log (live) counted 60 attacks."},
		{Select{Class: []string{"web-attack", "brute-force"}, Outcome: []string{"foiled"}}, window(10*time.Minute, 40*time.Minute), 10,
			"From 2026-11-01 00:10 to 2026-11-01 00:40 UTC this log (live) counted 10 attacks of class brute-force or web-attack that were foiled."},
		{Select{Class: []string{"web-attack"}, Outcome: []string{"observed"}, Result: []string{"unknown"}, Risk: []string{"real"}, Side: []string{"outside"}}, window(time.Minute, 2*time.Minute), 1,
			"From 2026-11-01 00:01 to 2026-11-01 00:02 UTC this log (live) counted 1 attack of class web-attack that were observed, result unknown, risk real, side outside."},
		{Select{Side: []string{"inside"}}, window(0, time.Hour), 0, "From 2026-11-01 00:00 to 2026-11-01 01:00 UTC this log (live) counted 0 attacks, side inside."},
		{Select{}, window(10*time.Second, 20*time.Minute+45*time.Second), 20, "From 2026-11-01 00:00:10 to 2026-11-01 00:20:45 UTC this log (live) counted 20 attacks."},
	} {
		c, err := Make(dir, x.s, x.w)
		must(t, err)
		if c = holds(t, c); c.Count.Net != int64(x.want) || c.Count.Gross != x.want || c.Sentence != x.sentence {
			t.Errorf("%+v counted, %q", c.Count, c.Sentence)
		}
	}
}

// The golden sample is what others read this format by; -update writes it anew. Its log is of its day: what private parts
// hide and the table of classes may have changed since, and with them hashes and table id.
func TestGolden(t *testing.T) {
	dir := hour(t, testOptions(t, evidence.Live, 1))
	c, err := Make(dir, Select{Class: []string{"brute-force"}, Outcome: []string{"foiled"}}, window(10*time.Minute, 40*time.Minute), "sensor 1")
	must(t, err)
	path := filepath.Join("testdata", "claim.json")
	if *update {
		must(t, os.WriteFile(path, c.Encode(), 0o644))
	}
	b, err := os.ReadFile(path)
	must(t, err)
	sample, err := Read(b)
	must(t, err)
	holds(t, c)
	want := *holds(t, sample.One)
	if len(want.Leaves.To.Path) != len(c.Leaves.To.Path) || want.Leaves.AfterTo.Index != c.Leaves.AfterTo.Index {
		t.Errorf("the sample's leaves are %+v, made are %+v", want.Leaves, c.Leaves)
	}
	want.Checkpoint, want.Leaves, want.Hashes, want.Definition.Table = c.Checkpoint, c.Leaves, c.Hashes, c.Definition.Table
	if !bytes.Equal(want.Encode(), c.Encode()) {
		t.Errorf("the sample has\n%s\nmade is\n%s", want.Encode(), c.Encode())
	}
	if r := c.Check(c.Log.Key); r.SelfCertified || !r.OK() {
		t.Errorf("by its key: %+v", r)
	}
	other := testOptions(t, evidence.Live, 2)
	if r := c.Check(other.Key.Verifier(c.Log.Origin)); r.OK() {
		t.Error("another key verifies the claim")
	}
}

func TestWindowsOutsideTheLog(t *testing.T) {
	dir := hour(t, testOptions(t, evidence.Recording, 1))
	var outside *OutsideError
	var wrong *WindowError
	for _, w := range []Window{window(-3*time.Hour, -time.Hour), window(2*time.Hour, 3*time.Hour)} {
		if _, err := Make(dir, Select{}, w); !errors.As(err, &outside) {
			t.Errorf("%v: %v", w, err)
		}
	}
	for _, w := range []Window{window(time.Hour, 0), window(0, 0), {1, 2_000_000}, {0, timeMax + 1}} {
		if _, err := Make(dir, Select{}, w); !errors.As(err, &wrong) {
			t.Errorf("%v: %v", w, err)
		}
	}
	c, err := Make(dir, Select{}, window(-time.Hour, 3*time.Hour))
	must(t, err)
	c = holds(t, c)
	if c.Count.Net != 60 || c.Leaves.From != nil || c.Leaves.AfterFrom.Index != 0 || c.Leaves.AfterTo != nil || c.Coverage.Seconds != 3600 {
		t.Errorf("%+v %+v", c.Count, c.Coverage)
	}
	text := strings.Join(c.Caveats, "\n")
	for _, want := range []string{"of a recording", "begins at 2026-11-01 00:00:30 UTC", "last totals leaf is of 2026-11-01 01:00:30 UTC", "59 shed"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
	var unknown *NameError
	if _, err := Make(dir, Select{Class: []string{"brute-farce"}}, window(0, time.Hour)); !errors.As(err, &unknown) || unknown.Nearest != "brute-force" {
		t.Errorf("%v", err)
	}
}

// Every change of what a claim says is found, and every change of what it stands on.
func TestTamperedClaims(t *testing.T) {
	dir := hour(t, testOptions(t, evidence.Live, 1))
	good, err := Make(dir, Select{}, window(10*time.Minute, 40*time.Minute))
	must(t, err)
	wider, err := Make(dir, Select{}, window(10*time.Minute, 41*time.Minute))
	must(t, err)
	early, err := Make(dir, Select{}, window(-time.Minute, 41*time.Minute))
	must(t, err)
	for what, spoil := range map[string]func(c *Claim){
		"count":      func(c *Claim) { c.Count.Gross++; c.Count.Net++ },
		"sentence":   func(c *Claim) { c.Sentence += " " },
		"class":      func(c *Claim) { c.Select.Class = []string{"scan"} },
		"kind":       func(c *Claim) { c.Log.Kind = "recording" },
		"window":     func(c *Claim) { c.Window.To += 60e6 },
		"coverage":   func(c *Claim) { c.Coverage.Shed = 0 },
		"watched":    func(c *Claim) { c.Coverage.Watched++ },
		"caveats":    func(c *Claim) { c.Caveats = c.Caveats[:1] },
		"definition": func(c *Claim) { c.Definition.Text = "An attack is a packet." },
		"table":      func(c *Claim) { c.Definition.Table = strings.Repeat("0", 64) },
		"unit":       func(c *Claim) { c.Unit = "packets" },
		"origin":     func(c *Claim) { c.Log.Origin = "example.com" },
		"totals":     func(c *Claim) { c.Leaves.To.Leaf[len(c.Leaves.To.Leaf)-1]++ },
		"index":      func(c *Claim) { c.Leaves.From.Index++ },
		"path":       func(c *Claim) { c.Leaves.From.Path[0] = 99 },
		"no path":    func(c *Claim) { c.Leaves.From.Path = nil },
		"hash":       func(c *Claim) { c.Hashes[0][3] ^= 1 },
		"checkpoint": func(c *Claim) { c.Checkpoint = strings.Replace(c.Checkpoint, "\n", "0\n", 1) },
		"no from":    func(c *Claim) { c.Leaves.From = nil },
		"no to":      func(c *Claim) { c.Leaves.To = nil },
		"no after":   func(c *Claim) { c.Leaves.AfterTo = nil },
		"later to":   func(c *Claim) { c.Leaves.To, c.Hashes = wider.Leaves.To, wider.Hashes },
		"skipped":    func(c *Claim) { c.Leaves.AfterFrom = c.Leaves.AfterTo },
		"turned": func(c *Claim) {
			l := &c.Leaves
			l.From, l.AfterFrom, l.To, l.AfterTo = l.To, l.AfterTo, l.From, l.AfterFrom
		},
		"early": func(c *Claim) {
			c.Leaves.From, c.Leaves.AfterFrom, c.Hashes = nil, early.Leaves.AfterFrom, early.Hashes
		},
	} {
		f, err := Read(good.Encode())
		must(t, err)
		spoil(f.One)
		if r := f.One.Check(""); r.OK() {
			t.Errorf("%s: taken", what)
		}
	}
}

// A file has one reading: fields twice, in another order, unknown, or written otherwise are refused.
func TestFilesOfOneReading(t *testing.T) {
	dir := hour(t, testOptions(t, evidence.Live, 1))
	c, err := Make(dir, Select{}, window(10*time.Minute, 40*time.Minute))
	must(t, err)
	text := string(c.Encode())
	var pretty bytes.Buffer
	must(t, json.Indent(&pretty, c.Encode(), "", "  "))
	if _, err := Read(pretty.Bytes()); err != nil {
		t.Errorf("white space: %v", err)
	}
	for what, s := range map[string]string{
		"twice":    strings.Replace(text, `"sentence":`, `"sentence":"all is well","sentence":`, 1),
		"case":     strings.Replace(text, `"sentence":`, `"Sentence":`, 1),
		"unknown":  strings.Replace(text, `"sentence":`, `"more":1,"sentence":`, 1),
		"escaped":  strings.Replace(text, `"sentence":"F`, `"sentence":"\u0046`, 1),
		"behind":   text + "{}",
		"time":     strings.Replace(text, ".000000Z", "Z", 1),
		"negative": strings.Replace(text, `"gross":`, `"gross":-`, 1),
		"version":  strings.Replace(text, "claim/1", "claim/2", 1),
		"empty":    "",
		"null":     "null",
		"large":    text + strings.Repeat(" ", claimMax),
	} {
		var format *FormatError
		if _, err := Read([]byte(s)); !errors.As(err, &format) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A log that was cut, stopped, crashed and filled says so in every claim over it, and only there.
func TestCoverage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "e")
	opt := testOptions(t, evidence.Live, 3)
	open := func(d time.Duration) *evidence.Log {
		opt.Time = day.Add(d).UnixNano()
		l, err := evidence.Open(dir, opt)
		must(t, err)
		return l
	}
	l := open(0)
	ns := func(d time.Duration) int64 { return day.Add(d).UnixNano() }
	must(t, l.Event(evidence.CodeUnprotected, ns(time.Minute), -1, fmt.Appendf(nil, `{"from":%d,"to":%d,"passed":7,"stopped":0}`, ns(0), ns(30*time.Second)), nil),
		l.Event(evidence.CodeCaps, ns(2*time.Minute), -1, []byte(`{"observations_forgotten":5,"attacks_merged":3}`), nil))
	r := record(0, 3*time.Minute)
	r.Overflow = true
	must(t, l.Seal(&r, nil))
	_, err := l.Flush()
	must(t, err)
	l.Abandon()
	l = open(20 * time.Minute)
	must(t, l.Totals(evidence.Ledger{}, ns(50*time.Minute)), l.Event(evidence.CodeClockJump, ns(50*time.Minute), -1, make([]byte, 16), nil), l.Totals(evidence.Ledger{}, ns(60*time.Minute)))
	_, err = l.Close()
	must(t, err)
	c, err := Make(dir, Select{Class: []string{"brute-force"}}, window(0, time.Hour))
	must(t, err)
	x := holds(t, c).Coverage
	want := Coverage{From: at(0), To: at(time.Hour), Seconds: 3600, Watched: 3600 - 30 - 17*60 - 30*60 - 10*60, Restarts: 1, Unclean: 1, Away: 17 * 60,
		Gaps: 3, GapSeconds: 40 * 60, Unprotected: 30, Passed: 7, ClockJumps: 1, ShedRecords: 5, Merged: 3}
	if x != want {
		t.Errorf("%+v\nwant %+v", x, want)
	}
	if c.Count.Overflow["brute-force"] != 1 || len(c.Count.Overflow) != 1 {
		t.Errorf("overflow %v", c.Count.Overflow)
	}
	text := strings.Join(c.Caveats, "\n")
	for _, want := range []string{"Of 3,600 seconds at least 150 were watched: 2,400 lie in silences, 1,020 before restarts (1), 30 were unprotected.", "1 of 1 restarts came after a crash",
		"The clock jumped 1 times", "7 frames passed", "5 observations", "3 attacks were merged", "1 counted as attacks of class brute-force are overflow accounts"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	c, err = Make(dir, Select{Class: []string{"scan"}}, window(5*time.Minute, 15*time.Minute))
	must(t, err)
	if x := holds(t, c).Coverage; x.Seconds != 0 || x.Passed != 0 || c.Count.Net != 0 || len(c.Count.Overflow) != 0 {
		t.Errorf("a window while nobody watched: %+v %+v", x, c.Count)
	}
}
