package stated

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// told is what was found, in short: "1 contradictory two-figures:against" for each figure; notes are left out.
func told(list []Judged) string {
	var lines []string
	for _, j := range list {
		line := j.Figure.ID + " " + string(j.Verdict)
		for _, f := range j.Findings {
			if f.Weight != Remark {
				line += fmt.Sprintf(" %s:%s", f.Rule, f.Weight)
			}
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

var ruleCases = []struct{ name, file, want string }{
	{"nothing to hold on to", `[{"sentence":"Many attacks were foiled."}]`, "1 unverifiable"},
	{"no window", `[{"count":8000,"unit":"attacks"}]`, "1 unverifiable no-window:lacks"},
	{"no unit", `[{"count":8000,"window":"2020"}]`, "1 unverifiable no-unit:lacks"},
	{"window before the system", `[{"count":5000,"unit":"attacks","window":"2019","system_since":"2020-03-01"}]`, "1 contradictory before-system:against"},
	{"the system's last day before is too early, its first is not", `[{"count":5000,"unit":"attacks","window":{"from":"2020-03-01","to":"2020-03-31"},"system_since":"2020-03-01"}]`, "1 unverifiable"},
	{"window partly before the system", `[{"count":5000,"unit":"attacks","window":"2020","system_since":"2020-03-01"}]`, "1 unverifiable before-system-partly:lacks"},
	{"since is known from another figure of the system", `[{"id":"a","count":5000,"unit":"attacks","window":"2018","system":"wall"},{"id":"b","count":1,"unit":"alerts","window":"2021","system":"wall","system_since":"2020"}]`,
		"a contradictory before-system:against\nb unverifiable"},
	{"said before its window", `[{"count":5000,"unit":"attacks","window":"2021","said_on":"2020-12-01"}]`, "1 contradictory before-window:against"},
	{"said within its window", `[{"count":5000,"unit":"attacks","window":"2020","said_on":"2020-06-01"}]`, "1 unverifiable window-not-over:lacks"},
	{"two figures", `[{"count":5000,"unit":"attacks","window":"2020"},{"count":7000,"unit":"attacks","window":{"from":"2020-01-01","to":"2020-12-31"}}]`,
		"1 contradictory two-figures:against\n2 contradictory two-figures:against"},
	{"two figures of two matters", `[{"count":5000,"unit":"attacks","window":"2020","about":"north"},{"count":7000,"unit":"attacks","window":"2020","about":"south"}]`, "1 unverifiable\n2 unverifiable"},
	{"two figures of two classes", `[{"count":5000,"unit":"attacks","window":"2020","class":"scan"},{"count":7000,"unit":"attacks","window":"2020","class":"flood"}]`, "1 unverifiable\n2 unverifiable"},
	{"two figures that rounding joins", `[{"count":5000,"unit":"attacks","window":"2020"},{"count":5312,"unit":"attacks","window":"2020"}]`, "1 unverifiable\n2 unverifiable"},
	{"more than what was said to be exceeded", `[{"count":5000,"how":"over","unit":"attacks","window":"2020"},{"count":5999,"unit":"attacks","window":"2020"}]`, "1 unverifiable\n2 unverifiable"},
	{"a class with more than all classes", `[{"count":9000,"unit":"attacks","window":"2020","class":"scan"},{"count":7000,"unit":"attacks","window":"2020"}]`,
		"1 contradictory part-over-whole:against\n2 contradictory part-over-whole:against"},
	{"a month with more than its year", `[{"count":9000,"unit":"attacks","window":"2020-03"},{"count":7000,"unit":"attacks","window":"2020"}]`,
		"1 contradictory part-over-whole:against\n2 contradictory part-over-whole:against"},
	{"a month with less than its year", `[{"count":900,"unit":"attacks","window":"2020-03"},{"count":7000,"unit":"attacks","window":"2020"}]`, "1 unverifiable\n2 unverifiable"},
	{"one number under two windows", `[{"count":33000000,"unit":"attacks","window":"2018"},{"count":"33 million","unit":"attacks","window":"March 2018 to March 2019"}]`,
		"1 contradictory one-number-many-windows:against\n2 contradictory one-number-many-windows:against"},
	{"one number in months that follow each other", `[{"count":2000,"unit":"attacks","window":"2018-01"},{"count":2000,"unit":"attacks","window":"2018-02"}]`, "1 unverifiable\n2 unverifiable"},
	{"one number, two units", `[{"count":412000000,"unit":"malware in honeypots","window":"2019"},{"count":412000000,"unit":"attacks","window":"2019"}]`,
		"1 contradictory one-number-two-units:against\n2 contradictory one-number-two-units:against"},
	{"mixed units", `[{"count":39000000,"unit":"attacks and suspicious events","window":"2019"}]`, "1 unverifiable mixed-units:lacks"},
	{"alerts called attacks", `[{"sentence":"4,000 alerts in 2019","count":4000,"unit":"attacks","window":"2019"}]`, "1 contradictory mixed-units:against"},
	{"sentence and field differ", `[{"sentence":"4,000 attacks in 2019","count":40000,"unit":"attacks","window":"2019"}]`, "1 contradictory sentence:against"},
	{"a million a day", `[{"count":412000000,"unit":"attacks","rate":"one million a day","window":"2019"}]`, "1 partly rate-times-window:holds"},
	{"a million a day, of two figures", `[{"count":9000000,"unit":"attacks","window":"2019"},{"sentence":"about one million attacks a day","window":"2019"}]`,
		"1 contradictory rate-times-window:against\n2 contradictory rate-times-window:against"},
	{"product in bits", `[{"count":1000,"unit":"attacks","window":"2019","duration":"60 s","mean":"8 Gbit/s","total":"60 TB"}]`, "1 partly product:holds"},
	{"product that does not follow", `[{"count":1111,"unit":"attacks","window":"2019","duration":"60 s","mean":"8.00 Gbit/s","total":"60.0 TB"}]`, "1 contradictory product:against"},
	{"product of packets", `[{"count":10,"unit":"floods","window":"2019","duration":"100 s","mean":"2.0 Mpps","total":"2.0 billion packets"}]`, "1 partly product:holds"},
	{"sides that add up", `[{"count":412000000,"unit":"attacks","window":"2019","sides":{"inside":37000000,"outside":375000000}}]`, "1 partly sum:holds"},
	{"sides that do not", `[{"count":412000000,"unit":"attacks","window":"2019","sides":{"inside":137000000,"outside":375000000}}]`, "1 contradictory sum:against"},
	{"times and percent", `[{"change":["three times","+200 %"],"window":"2019"}]`, "1 partly times:holds times:lacks"},
	{"times and percent that differ", `[{"change":["three times","+300 %"],"window":"2019"}]`, "1 contradictory times:against times:lacks"},
	{"three times more may be four times as much", `[{"change":["three times more","+300 %"],"window":"2019"}]`, "1 partly times:holds times:lacks"},
	{"to and by", `[{"sentence":"at 75 % of normal","event":"x"},{"sentence":"fell by 75 %","event":"x"}]`, "1 contradictory to-against-by:against\n2 contradictory to-against-by:against"},
	{"to and by that agree", `[{"sentence":"at 75 % of normal","event":"x"},{"sentence":"fell by 25 %","event":"x"}]`, "1 partly to-against-by:holds\n2 partly to-against-by:holds"},
	{"at and by in one", `[{"sentence":"at 75 % of normal","share":75,"direction":"by","event":"x"}]`, "1 contradictory to-against-by:against"},
	{"two rates", `[{"rate":"180 million packets/s","event":"x"},{"count":1000000,"unit":"packets/s","event":"x"}]`,
		"1 contradictory no-duration:lacks two-rates:against\n2 contradictory no-duration:lacks two-rates:against"},
	{"more than a line carries", `[{"rate":"720 Gbit/s","sources":12,"duration":"1 h","event":"x"}]`, "1 unverifiable per-source:lacks"},
	{"a claim file that nobody checked", `[{"count":5,"unit":"attacks","window":"2020","claim":"c.json"}]`, "1 unverifiable proof:lacks"},
}

func TestRules(t *testing.T) {
	for _, c := range ruleCases {
		t.Run(c.name, func(t *testing.T) {
			list, err := Read("f.json", []byte(c.file))
			if err != nil {
				t.Fatal(err)
			}
			if got := told(Judge(list, nil)); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestProof(t *testing.T) {
	at := func(s string) time.Time { w := span1(s); return w.From }
	good := Proof{Key: "k", Kind: "live", Unit: "attacks", Net: 1234, From: at("2026-11-01"), To: at("2026-12-01"), Outcomes: []string{"foiled"}}
	figure := `[{"count":1234,"unit":"attacks","outcome":"foiled","window":"2026-11","claim":"c"},{"count":9000,"unit":"attacks","outcome":"foiled","window":"2026-11"}]`
	for _, c := range []struct {
		name string
		with func(*Proof)
		want Verdict
	}{
		{"as stated", func(*Proof) {}, Proven},
		{"broken", func(p *Proof) { p.Err = "the path does not lead to the root" }, Contradictory},
		{"another count", func(p *Proof) { p.Net++ }, Contradictory},
		{"another window", func(p *Proof) { p.To = at("2026-11-30") }, Contradictory},
		{"another outcome", func(p *Proof) { p.Outcomes = []string{"observed"} }, Contradictory},
		{"all outcomes", func(p *Proof) { p.Outcomes = nil }, Contradictory},
		{"of a recording", func(p *Proof) { p.Kind = "recording" }, Contradictory}, // unproven, and the other figure says otherwise
		{"under its own key", func(p *Proof) { p.SelfCertified = true }, Contradictory},
	} {
		p := good
		c.with(&p)
		list, err := Read("f.json", []byte(figure))
		if err != nil {
			t.Fatal(err)
		}
		got := Judge(list, map[string]Proof{"c": p})
		if got[0].Verdict != c.want || got[1].Verdict != Contradictory {
			t.Errorf("%s: %s, want %s; %s", c.name, got[0].Verdict, c.want, told(got))
		}
	}
	// Alone, an own key and a recording prove nothing and contradict nothing.
	list, _ := Read("f.json", []byte(`{"count":1234,"unit":"attacks","outcome":"foiled","window":"2026-11","claim":"c"}`))
	if got := Judge(list, map[string]Proof{"c": good}); got[0].Verdict != Proven {
		t.Errorf("not proven: %s", told(got))
	}
	p := good
	p.Classes = []string{"scan"}
	if got := Judge(list, map[string]Proof{"c": p}); got[0].Verdict != Partly {
		t.Errorf("a claim of one class: %s", told(got))
	}
	p = good
	p.SelfCertified = true
	if got := Judge(list, map[string]Proof{"c": p}); got[0].Verdict != Partly {
		t.Errorf("under its own key: %s", told(got))
	}
	for want, with := range map[Verdict]func(*Proof){Partly: func(p *Proof) { p.Said = "which attacks 2 logs saw in common" }, Unverifiable: func(p *Proof) { p.Kind = "demo" }} {
		p := good
		with(&p)
		if got := Judge(list, map[string]Proof{"c": p}); got[0].Verdict != want {
			t.Errorf("got %s, want %s: %s", got[0].Verdict, want, told(got))
		}
	}
}

func TestWindows(t *testing.T) {
	said := span1("2019-10-29").From
	for text, want := range map[string]string{
		"2018": "1 Jan 2018 to 31 Dec 2018", "2018-03": "1 Mar 2018 to 31 Mar 2018", "March 2018": "1 Mar 2018 to 31 Mar 2018", "in March 2018": "1 Mar 2018 to 31 Mar 2018",
		"21 Mar 2018 to 20 Mar 2019": "21 Mar 2018 to 20 Mar 2019", "from 2018-03-21 until 2019-03-20": "21 Mar 2018 to 20 Mar 2019", "last year": "1 Jan 2018 to 31 Dec 2018",
		"the last year": "29 Oct 2018 to 29 Oct 2019", "1398": "21 Mar 2019 to 19 Mar 2020", "1399": "20 Mar 2020 to 20 Mar 2021", "1403": "20 Mar 2024 to 20 Mar 2025",
		"since May 2019": "1 May 2019 to 29 Oct 2019", "yesterday": "28 Oct 2019", "the past 7 days": "22 Oct 2019 to 29 Oct 2019", "last month": "1 Sep 2019 to 30 Sep 2019",
		"90 days": "90 days", "one winter": "90 days", "2018-01-01T00:00:00Z to 2018-02-01T00:00:00Z": "1 Jan 2018 to 31 Jan 2018",
	} {
		w := parseWindow(text, said, nil)
		if w == nil || w.String() != want {
			t.Errorf("%q: %v, want %s", text, w, want)
		}
	}
	for _, text := range []string{"", "unknown", "some time", "0", "in 12345", "to", "since", "last"} {
		if w := parseWindow(text, said, nil); w != nil {
			t.Errorf("%q is read as %v", text, w)
		}
	}
}

func TestQuantities(t *testing.T) {
	for text, want := range map[string]string{
		"33 million attacks": "33,000,000", "over 8,000 DDoS attacks": "8,000", "4 min 37 s": "277 s", "36.43 GB/s": "36.43 GB/s", "12.58 PB": "12.58 PB", "1,130 a day": "1,130 a day",
		"2.3 Tbps": "2.3 Tbit/s", "75 %": "75 %", "30 times": "30 times", "180 million packets/s": "180,000,000 a second", "3 Mpps": "3,000,000 a second", "seven hours": "7 h",
		"one million probes a day": "1,000,000 a day", "1 GiB": "1.074 GB", "twice": "2 times",
	} {
		list := quantities(text)
		if len(list) != 1 || list[0].show(list[0].Value) != want {
			t.Errorf("%q: %+v, want %s", text, list, want)
		}
	}
	for _, text := range []string{"2018", "1,23 attacks", "24 countries", "5 o'clock", "1.2.3.4"} {
		if list := quantities(text); len(list) != 0 {
			t.Errorf("%q is read as %+v", text, list)
		}
	}
}

func TestWrongFilesAreNamedByLine(t *testing.T) {
	for file, want := range map[string]string{
		"":                             "f.json:1: the file ends too early",
		"[\n{\"sentence\": \"x\",\n}]": "f.json:3: this is not JSON",
		"[]":                           "f.json:1: the list is empty",
		"[1]":                          "f.json:1: a figure must be an object",
		"[{}]":                         "f.json:1: a figure without sentence and without count",
		"[\n{\"sentense\": \"x\"}]":    `f.json:2: unknown key "sentense"; did you mean "sentence"?`,
		"[{\"count\": \"many\"}]":      "f.json:1: count: \"many\" is no amount",
		"[{\"count\": -1}]":            "f.json:1: count: -1 is no amount",
		"[{\"count\": 1e99}]":          "f.json:1: count: 1e99 is no amount",
		"[{\"count\":1,\n\"said_on\": \"soon\"}]":              "f.json:2: said_on: \"soon\" is no date",
		"[{\"count\":1,\"count\":2}]":                          `f.json:1: the key "count" stands twice`,
		"[{\"count\":1},\n{\"id\":\"1\",\"count\":2}]":         `f.json:2: two figures have the id "1"`,
		"[{\"count\":1}] {}":                                   "f.json:1: something follows the end of the list",
		"[{\"window\":{\"from\":\"2020\",\"to\":\"2019\"}}]":   "f.json:1: window: it ends",
		"[{\"window\":{\"from\":\"2020\",\"to\":\"soon\"}}]":   "f.json:1: window.to: \"soon\" is no date",
		"[{\"share\":\"much\"}]":                               "f.json:1: share: \"much\" is no amount",
		"[{\"direction\":\"up\",\"share\":5}]":                 "f.json:1: direction: \"up\"; write to, at or by",
		"{\"figures\":1}":                                      "f.json:1: \"figures\" must be a list",
		"[[[[[[[[[[[]]]]]]]]]]]":                               "f.json:1: values are nested",
		"[{\"rate\":5,\"unit\":\"attacks\"}]":                  "f.json:1: rate: \"\" has no time",
		"[{\"duration\":\"5 %\"}]":                             "f.json:1: duration: \"5 %\" is no time",
		"[{\"sentence\":{\"x\":1}}]":                           "f.json:1: sentence must be a text",
		"[{\"change\":\"much\"}]":                              "f.json:1: change: write",
		"[{\"parts\":[1]}]":                                    "f.json:1: parts must be an object",
		"[{\"system_since\":\"long ago\",\"sentence\":\"x\"}]": "f.json:1: system_since: \"long ago\" is no date",
	} {
		_, err := Read("f.json", []byte(file))
		if e := (*FormatError)(nil); !errors.As(err, &e) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", file, err, want)
		}
	}
}

// TestManyFiguresTakeLittle: each is compared with each, and what is said of one is bounded.
func TestManyFiguresTakeLittle(t *testing.T) {
	var b strings.Builder
	for i := range figuresMax {
		fmt.Fprintf(&b, `%s{"count":%d,"unit":"attacks","window":"2020"}`, []string{",", "["}[boolInt(i == 0)], 1001+2*i)
	}
	list, err := Read("f.json", []byte(b.String()+"]"))
	if err != nil {
		t.Fatal(err)
	}
	out := Judge(list, nil)
	if len(out[0].Findings) != findings || out[0].More != figuresMax-1-findings+1 {
		t.Errorf("%d findings and %d more", len(out[0].Findings), out[0].More)
	}
	if _, err := Read("f.json", []byte(b.String()+`,{"count":1}]`)); err == nil {
		t.Error("a file with more figures than allowed was read")
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func FuzzRead(f *testing.F) {
	for _, c := range ruleCases {
		f.Add(c.file)
	}
	f.Add(`[{"sentence":"57,218 floods of 4 min 37 s on average at 36.43 GB/s, 12.58 PB in all, since May 2019","said_on":"2019-09"}]`)
	f.Fuzz(func(t *testing.T, text string) {
		list, err := Read("f.json", []byte(text))
		if err != nil {
			if e := (*FormatError)(nil); !errors.As(err, &e) || e.Line < 1 || e.Line > strings.Count(text, "\n")+1 {
				t.Fatalf("%v", err)
			}
			return
		}
		out := Judge(list, nil)
		if len(out) != len(list) {
			t.Fatal("a figure was lost")
		}
		for _, j := range out {
			if !slices.Contains([]Verdict{Partly, Unverifiable, Contradictory}, j.Verdict) {
				t.Fatalf("%s without a proof", j.Verdict)
			}
			for _, x := range j.Findings {
				if strings.Contains(x.Text, "NaN") || strings.Contains(x.Text, "Inf") || strings.Contains(x.Text, "%!") {
					t.Fatalf("%q", x.Text)
				}
			}
		}
	})
}
