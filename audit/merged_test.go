package audit

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/claim"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/evidence/durable"
)

// seen is the log of a sensor that saw so many attacks, one each hour, each by an origin of its own.
func seen(t *testing.T, name byte, n int) (dir string, key string, c *claim.Claim) {
	t.Helper()
	random := rand.NewChaCha8([32]byte{name})
	root := t.TempDir()
	k, err := evidence.LoadKey(durable.OS(), filepath.Join(root, "key"), random)
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(root, "evidence")
	l, err := evidence.Open(dir, evidence.Options{Key: k, Rand: random, Origin: fmt.Sprintf("example.org/%c", name), Time: t0})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		at := t0 + int64(i)*3600e9 + 1800e9
		r := attack.Record{ID: uint64(i + 1), State: "closed", Class: "web-attack", Severity: 2, Risk: attack.Real, Side: attack.Outside, Outcome: attack.Observed, Result: attack.Unknown, Incident: uint64(i + 1),
			Origin: attack.Origin{IP: fmt.Sprintf("192.0.2.%d", i+1), Proven: true, Count: 1}, Target: attack.Target{Group: "10.0.0.0/24", IPs: []string{"10.0.0.1"}, Count: 1, Proto: 6},
			FirstSeen: at - 400e9, LastSeen: at - 300e9, ClosedAt: at, OpenedAt: at - 400e9, Observations: 3, Packets: 9, Bytes: 900, Evidence: attack.Evidence{Leaf: -1}}
		if err := l.Seal(&r, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Close(); err != nil {
		t.Fatal(err)
	}
	start := time.Unix(0, t0).UTC().Truncate(time.Hour)
	if c, err = claim.Make(dir, claim.Select{}, claim.Window{From: claim.TimeOf(start), To: claim.TimeOf(start.Add(24 * time.Hour))}); err != nil {
		t.Fatal(err)
	}
	return dir, l.Verifier(), c
}

// changed is a merged claim whose pairs somebody changed, with the count and sentence that follow from them.
func changed(t *testing.T, m *claim.Merged, pairs []claim.Pair, net int64) *claim.Merged {
	t.Helper()
	x := *m
	x.Pairs, x.Count.Net, x.Count.Twice = pairs, net, uint64(m.Count.Sum-net)
	x.Sentence = strings.Replace(m.Sentence, fmt.Sprintf("counted %d ", m.Count.Net), fmt.Sprintf("counted %d ", net), 1)
	if r := x.Check(); !r.OK() {
		t.Fatalf("the change shows in the file alone: %q", r.Problems)
	}
	return &x
}

func TestMergedClaim(t *testing.T) {
	east, key, a := seen(t, 'a', 6)
	west, _, b := seen(t, 'b', 5)
	m, err := claim.Merge([]*claim.Claim{a, b}, []string{west, east})
	if err != nil || m.Count.Net != 6 || len(m.Pairs) != 5 {
		t.Fatalf("%v %+v", err, m)
	}
	dirs := []string{east, west}
	full := Options{Sample: 3, Stretches: 3, Seed: []byte{1}, Full: true}
	audit := func(m *claim.Merged, opt Options, keys ...string) MergedReport {
		t.Helper()
		r, err := RunMerged(m, dirs, keys, opt, nil)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, opt := range []Options{full, {Sample: 3, Stretches: 3, Seed: []byte{2}}} {
		r := audit(m, opt, key)
		if !r.OK() || len(r.Parts) != 2 || r.Parts[0].Drawn != 3 || r.Parts[0].SelfCertified || !r.Parts[1].SelfCertified || !r.SelfCertified {
			t.Errorf("%q, %+v", r.First(), r)
		}
		if want := map[bool]int{true: 5, false: 3}[opt.Full]; r.Pairs.Drawn != want || (r.Again != "") != opt.Full {
			t.Errorf("%d pairs drawn, merging again %q", r.Pairs.Drawn, r.Again)
		}
		var out bytes.Buffer
		if r.Print(&out); !strings.Contains(out.String(), "holds as far as it was looked at; self-certified") || strings.Contains(out.String(), "WRONG") {
			t.Error(out.String())
		}
	}
	// A pair that is missing makes the count too high: only merging again shows it.
	more := changed(t, m, m.Pairs[1:], 7)
	if r := audit(more, Options{Sample: 9, Stretches: 3, Seed: []byte{1}}); !r.OK() {
		t.Errorf("nothing but merging again can show a missing pair, and yet: %q", r.First())
	}
	if r := audit(more, full); r.OK() || !strings.Contains(r.First(), "show 5 pairs and together 6 attacks, where it has 4 and counts 7") {
		t.Errorf("a missing pair: %q", r.First())
	}
	// A false pair makes it too low: drawing it shows it.
	false1 := slices.Clone(m.Pairs)
	false1[0], false1[1] = claim.Pair{0, m.Pairs[0][1], 1, m.Pairs[1][3]}, claim.Pair{0, m.Pairs[1][1], 1, m.Pairs[0][3]}
	r := audit(changed(t, m, false1, 6), Options{Sample: 5, Stretches: 3, Seed: []byte{1}})
	if r.OK() || len(r.Problems) != 2 {
		t.Errorf("two false pairs: %q", r.Problems)
	}
	var out bytes.Buffer
	if r.Print(&out); !strings.Contains(out.String(), "DOES NOT HOLD: 2 problems") {
		t.Error(out.String())
	}
	// One part's log with another history, the folders in the wrong order: the part says so.
	dirs = []string{west, east}
	if r := audit(m, full); r.OK() || !strings.HasPrefix(r.First(), "part 1: ") {
		t.Errorf("the wrong folders: %q", r.First())
	}
	dirs = []string{east, west}
	broken := *m
	broken.Count.Net++
	if r := audit(&broken, full); r.OK() || len(r.Parts) != 0 || !strings.Contains(r.First(), "the claim does not hold in itself") {
		t.Errorf("another count: %q", r.First())
	}
}
