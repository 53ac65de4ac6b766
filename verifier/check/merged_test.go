package check

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// mergedOf makes a merged claim of claims of the same attacks, some of which pairs say to be one.
func mergedOf(t testing.TB, pairs [][4]int64, unmatched []uint64, kinds ...uint16) *merged {
	t.Helper()
	s := everything()
	s.Class, s.Risk = []string{"scan"}, []string{"real"}
	m := &merged{asked: asked{Claim: formatMerged, Select: s, Window: window{micros(second(60)), micros(second(400))}}, Unmatched: unmatched, Pairs: pairs}
	for i, kind := range kinds {
		log := newMade(kind)
		log.name = string(rune('a' + i))
		for n := range 60 {
			log.time += 10e6
			log.attack(n%4, uint16(n/50*8))
			log.totals(0)
		}
		m.Parts = append(m.Parts, *log.claim(t, s, second(60), second(400)))
	}
	m.fill(t)
	return m
}

// fill makes what follows from the parts, as docs/claims.md has it.
func (m *merged) fill(t testing.TB) {
	t.Helper()
	r := Result{}
	m.check(&r, Options{})
	var shown []*facts
	sum := int64(0)
	for i := range m.Parts {
		f, err := m.Parts[i].derive(mustCheckpoint(t, m.Parts[i].Checkpoint))
		if err != nil {
			t.Fatal(err)
		}
		shown = append(shown, f)
		sum += int64(f.gross)
	}
	twice, err := m.twice(shown)
	if err != nil {
		t.Fatal(err)
	}
	m.Sentence, m.Caveats = encode(r.Sentence), encode(m.caveats(shown))
	m.Definition, m.Unit, m.Rule = []byte(`{"text":`+string(encode(definitionText))+`,"version":1,"table":""}`), encode("attacks"), []byte(ruleText)
	m.Count = encode(struct {
		Sum   int64 `json:"sum"`
		Twice int64 `json:"twice"`
		Net   int64 `json:"net"`
	}{sum, twice, sum - twice})
}

// threeInOne: leaf 2n+1 is attack n. Attack 8 was seen by all three, 9 by two; 33 is in the window at one log and later at another.
var threeInOne = [][4]int64{{0, 17, 1, 17}, {0, 19, 2, 19}, {0, 67, 1, 101}, {1, 17, 2, 17}}

func TestMergedClaims(t *testing.T) {
	m := mergedOf(t, threeInOne, []uint64{0, 2, 0}, 0, 0, 0)
	r, err := Claim(encode(m), Options{})
	if err != nil || !r.OK() {
		t.Fatalf("%v %q", err, r.Problems)
	}
	// 16 at each of three logs; a set of three takes 2, one of two 1, one that closed later at another log 1.
	if got := string(m.Count); got != `{"sum":48,"twice":4,"net":44}` {
		t.Errorf("count %s", got)
	}
	if want := "From 2026-11-01 00:01 to 2026-11-01 00:06:40 UTC 3 logs (live) together counted 44 attacks of class scan, risk real; what several of them saw is counted once."; r.Sentence != want {
		t.Errorf("%q", r.Sentence)
	}
	if len(r.Parts) != 3 || !strings.HasPrefix(r.Key, "self-certified") || !strings.Contains(strings.Join(r.Caveats, " "), "2 attacks of part 2 (example.org/b)") {
		t.Errorf("%+v", r)
	}
	var keys []Key
	for _, name := range []string{"a", "b", "c"} {
		_, k := madeKey(name, "example.org/"+name, typeEd25519)
		keys = append(keys, k)
	}
	if r, err := Claim(encode(m), Options{Keys: keys}); err != nil || !r.OK() || r.Key != "keys as given" {
		t.Errorf("%v %q %q", err, r.Problems, r.Key)
	}
	if r, err := Claim(encode(m), Options{Keys: keys[:2]}); err != nil || r.OK() {
		t.Error("a part by another key is taken")
	}
	if r, err := Claim(encode(mergedOf(t, [][4]int64{}, []uint64{0, 0}, 1, 2)), Options{}); err != nil || !r.OK() || !strings.Contains(r.Sentence, "2 logs (recording, demo)") {
		t.Errorf("%v %q %q", err, r.Problems, r.Sentence)
	}
}

func TestMergedClaimsThatAreWrong(t *testing.T) {
	for name, change := range map[string]func(m *merged){
		"a pair twice":               func(m *merged) { m.Pairs = append(m.Pairs, m.Pairs[3]) },
		"pairs out of order":         func(m *merged) { m.Pairs[0], m.Pairs[1] = m.Pairs[1], m.Pairs[0] },
		"a pair of what is one":      func(m *merged) { m.Pairs = append(m.Pairs, [4]int64{2, 17, 0, 17}) },
		"a part that is not":         func(m *merged) { m.Pairs = append(m.Pairs, [4]int64{2, 17, 3, 17}) },
		"a part below 0":             func(m *merged) { m.Pairs = [][4]int64{{-1, 17, 0, 17}} },
		"a leaf before the window":   func(m *merged) { m.Pairs = [][4]int64{{0, 3, 1, 3}} },
		"a leaf past the checkpoint": func(m *merged) { m.Pairs = [][4]int64{{0, 17, 1, 1700}} },
		"leaves after the window":    func(m *merged) { m.Pairs = [][4]int64{{0, 101, 1, 101}} },
		"the same log twice":         func(m *merged) { m.Parts[1] = m.Parts[0] },
		"one part":                   func(m *merged) { m.Parts, m.Unmatched, m.Pairs = m.Parts[:1], m.Unmatched[:1], m.Pairs[:0] },
		"seventeen parts":            func(m *merged) { m.Parts = slices.Repeat(m.Parts, 6)[:17]; m.Unmatched = make([]uint64, 17) },
		"another window":             func(m *merged) { m.Window.To += 1e6 },
		"another selection":          func(m *merged) { m.Select.Side = []string{"inside"} },
		"a part that does not hold": func(m *merged) {
			m.Parts[2].Count = json.RawMessage(strings.Replace(string(m.Parts[2].Count), "16", "17", 1))
		},
		"no word of what was not put": func(m *merged) { m.Unmatched = m.Unmatched[:2] },
	} {
		m := mergedOf(t, slices.Clone(threeInOne), []uint64{0, 2, 0}, 0, 0, 0)
		change(m)
		if r, err := Claim(encode(m), Options{}); err != nil || r.OK() {
			t.Errorf("%s: not found (%v)", name, err)
		}
	}
	if _, err := Claim(encode(mergedOf(t, threeInOne, []uint64{0, 0, 0}, 0, 0, 0)), Options{Earlier: "x"}); err == nil {
		t.Error("an earlier checkpoint of one log is taken for a claim of several")
	}
}

func TestEveryChangedFieldOfAMergedClaimIsFound(t *testing.T) {
	tampered(t, "merged", encode(mergedOf(t, threeInOne[:3], []uint64{0, 2, 0}, 0, 0, 0)), 23, func(what string) bool {
		// which leaves are one attack is said, and so is what could not be compared, where no word follows from it
		return strings.Contains(what, "log.sensors[") || strings.HasPrefix(what, "pairs[")
	})
}
