package audit

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/claim"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/witness/tiles"
)

var be = binary.BigEndian

// leavesOf are the bytes of all leaves of a folder.
func leavesOf(t *testing.T, dir string) (out [][]byte) {
	t.Helper()
	err := evidence.Walk(dir, 0, func(_ int64, b []byte) bool {
		out = append(out, slices.Clone(b))
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// told writes the log of a keeper who signs whatever leaves he likes; private parts stay those of the honest log.
func told(t *testing.T, honest string, leaves [][]byte) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "evidence")
	if err := os.CopyFS(dir, os.DirFS(honest)); err != nil {
		t.Fatal(err)
	}
	var entries, offsets []byte
	var levels [5][]byte
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(at []int64) (out []tlog.Hash, err error) {
		for _, i := range at {
			out = append(out, stored[i])
		}
		return out, nil
	})
	for i, b := range leaves {
		if i%256 == 0 {
			offsets = be.AppendUint64(offsets, uint64(len(entries)))
		}
		body := append(be.AppendUint16(nil, uint16(len(b))), b...)
		entries = append(be.AppendUint32(entries, crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli))), body...)
		hashes, err := tlog.StoredHashes(int64(i), b, reader)
		if err != nil {
			t.Fatal(err)
		}
		for k, h := range hashes {
			if k%8 == 0 {
				levels[k/8] = append(levels[k/8], h[:]...)
			}
		}
		stored = append(stored, hashes...)
	}
	root, err := tlog.TreeHash(int64(len(leaves)), reader)
	if err != nil {
		t.Fatal(err)
	}
	head, err := evidence.ReadHead(honest)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%s\n%d\n%s\n", head.Origin, len(leaves), base64.StdEncoding.EncodeToString(root[:]))
	signed, err := note.Sign(&note.Note{Text: text}, signer(t, filepath.Join(filepath.Dir(honest), "key"), head.Key))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"entries/000000": entries, "offsets": offsets, "checkpoint": signed}
	for i, b := range levels {
		files[fmt.Sprintf("tile%d", i)] = b
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// signer signs as the log does, from its key's file.
func signer(t *testing.T, path, verifier string) note.Signer {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(strings.TrimSpace(string(b)), " ")
	seed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.SplitN(verifier, "+", 3)
	s, err := note.NewSigner("PRIVATE+KEY+" + parts[0] + "+" + parts[1] + "+" + base64.StdEncoding.EncodeToString(append([]byte{1}, seed...)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// more is a totals leaf that counts n more of a cell.
func more(t *testing.T, leaf []byte, cell int, n int64) []byte {
	t.Helper()
	x, err := evidence.ReadTotalsLeaf(leaf)
	if err != nil {
		t.Fatal(err)
	}
	x.Counters[2*cell] += uint64(n)
	out, count, last := append(slices.Clone(leaf[:144]), 0, 0), 0, -1
	for id, v := range x.Counters {
		if v != 0 {
			out = binary.AppendUvarint(binary.AppendUvarint(out, uint64(id-last-1)), v)
			count, last = count+1, id
		}
	}
	be.PutUint16(out[144:], uint16(count))
	return out
}

// claimed makes the claim of a log over all it has.
func claimed(t *testing.T, dir string, s claim.Select) *claim.Claim {
	t.Helper()
	w, err := claim.Whole(dir)
	if err != nil {
		t.Fatal(err)
	}
	c, err := claim.Make(dir, s, w)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func audited(t *testing.T, c *claim.Claim, src Source, opt Options) Report {
	t.Helper()
	if opt.Seed == nil {
		opt.Seed = []byte("a seed")
	}
	r, err := Run(c, src, opt)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestHonestLogHolds(t *testing.T) {
	dir := makeLog(t, t.TempDir(), evidence.Live, 3000, 10)
	server := httptest.NewServer(tiles.Handler(dir))
	defer server.Close()
	c := claimed(t, dir, claim.Select{Outcome: []string{attack.Foiled}})
	part, err := claim.Make(dir, claim.Select{Side: []string{attack.Inside}}, claim.Window{From: claim.Time(t0/1000 + 60e6), To: claim.Time(t0/1000 + 120e6)})
	if err != nil {
		t.Fatal(err)
	}
	for name, src := range map[string]Source{"folder": Folder(dir), "web": &Web{Address: server.URL}} {
		for _, full := range []bool{false, true} {
			r := audited(t, c, src, Options{Sample: 400, Stretches: 40, Full: full})
			if !r.OK() || r.Claimed != 2000 || r.Drawn != 400 || r.Wrong != 0 {
				t.Errorf("%s, full %v: %d of %d drawn, %q", name, full, r.Drawn, r.Claimed, r.Problems)
			}
			if name == "folder" && (r.Opened != 400 || r.Kept < 20) {
				t.Errorf("%d private parts, %d packets", r.Opened, r.Kept)
			}
		}
		if r := audited(t, part, src, Options{Sample: 10000, Stretches: 10000}); !r.OK() || r.Drawn != r.Claimed || r.Claimed != 600 || r.StretchLeaves != r.Leaves {
			t.Errorf("%s: of a window %d of %d drawn, %d of %d leaves recounted, %q", name, r.Drawn, r.Claimed, r.StretchLeaves, r.Leaves, r.Problems)
		}
	}
	again := audited(t, c, Folder(dir), Options{Sample: 400, Rerun: func(leaf int64) (Again, error) {
		switch leaf % 4 {
		case 0:
			return Again{}, errors.New("no rules")
		case 1:
			return Again{Wider: true}, nil
		}
		return Again{Found: true}, nil
	}})
	if !again.OK() || again.Found == 0 || again.Wider == 0 || again.NotRun == 0 || again.Found+again.Wider+again.NotRun != again.Kept || again.NotRunWhy != "no rules" {
		t.Errorf("run again: %+v", again)
	}
	if r := audited(t, c, Folder(dir), Options{Sample: 100, Rerun: func(int64) (Again, error) { return Again{Text: "nothing"}, nil }}); r.OK() || r.Wrong != r.Kept {
		t.Errorf("packets that show nothing: %d of %d wrong", r.Wrong, r.Kept)
	}
}

// Lies of a keeper who holds the key and signs them: each claim holds in itself, and each is found.
func TestLiesAreFound(t *testing.T) {
	honest := makeLog(t, t.TempDir(), evidence.Live, 3000, 0)
	leaves := leavesOf(t, honest)
	attackAt := func(i int) int {
		for leaves[i][0] != typeAttack {
			i++
		}
		return i
	}
	x, err := evidence.ReadAttackLeaf(leaves[attackAt(100)])
	if err != nil {
		t.Fatal(err)
	}
	cell := x.Cell()
	r := evidence.Public(&x, 0)
	of := claim.Select{Class: []string{r.Class}, Outcome: []string{r.Outcome}, Result: []string{r.Result}, Risk: []string{r.Risk}, Side: []string{r.Side}}
	lies := map[string]struct {
		tell  func(i int, b []byte) []byte
		wants string
		draws bool // the sample of attacks finds it; else that of stretches
	}{
		"attacks that are counted and are not there": {func(i int, b []byte) []byte {
			if b[0] == typeTotals && i > 1500 {
				return more(t, b, cell, 7)
			}
			return b
		}, "none of the leaves before it is that attack", true},
		"attacks that are there and are not counted": {func(i int, b []byte) []byte {
			if b[0] == typeTotals && i > 1500 {
				return more(t, b, cell, -1)
			}
			return b
		}, "its totals are not those of the leaves before it", false},
		"one ordinal twice": {func(i int, b []byte) []byte {
			if y, err := evidence.ReadAttackLeaf(b); err == nil && y.Cell() == cell && y.Ordinal == 30 {
				b = slices.Clone(b)
				be.PutUint64(b[8:], 29)
			}
			return b
		}, "its ordinal is not that of its place", true},
		"closed outside the window": {func(i int, b []byte) []byte {
			if i == attackAt(100) {
				b = slices.Clone(b)
				be.PutUint64(b[16:], 1)
			}
			return b
		}, "closed outside the claim's window", true},
		"severity that the private part denies": {func(i int, b []byte) []byte {
			if i == attackAt(100) {
				b = slices.Clone(b)
				b[7]++
			}
			return b
		}, "does not say what its private part says", true},
		"a private part that is another": {func(i int, b []byte) []byte {
			if i == attackAt(100) {
				b = slices.Clone(b)
				b[140]++
			}
			return b
		}, "not what the leaf committed to", true},
	}
	for name, lie := range lies {
		t.Run(name, func(t *testing.T) {
			var all [][]byte
			for i, b := range leaves {
				all = append(all, lie.tell(i, b))
			}
			dir := told(t, honest, all)
			c := claimed(t, dir, of)
			if res := c.Check(""); !res.OK() {
				t.Fatalf("the lie does not hold in itself: %q", res.Problems)
			}
			r := audited(t, c, Folder(dir), Options{Sample: 1 << 20, Stretches: 1 << 20})
			if text := strings.Join(r.Problems, "\n"); !strings.Contains(text, lie.wants) || lie.draws && r.Wrong == 0 || !lie.draws && r.StretchWrong == 0 {
				t.Errorf("%d attacks, %d stretches wrong: %q", r.Wrong, r.StretchWrong, r.Problems)
			}
			if name == "severity that the private part denies" || name == "a private part that is another" {
				return // is in the folder alone
			}
			server := httptest.NewServer(tiles.Handler(dir))
			defer server.Close()
			if r := audited(t, c, &Web{Address: server.URL}, Options{Sample: 1 << 20, Stretches: 1 << 20}); r.OK() {
				t.Error("not found over the web")
			}
			if full := audited(t, c, Folder(dir), Options{Full: true}); full.OK() {
				t.Error("not found by a full recount")
			}
		})
	}
}

// One per cent is invented: 290 draws of 5,050 find it in about 95 of 100 audits.
func TestSampleFindsWhatItSays(t *testing.T) {
	honest := makeLog(t, t.TempDir(), evidence.Live, 5000, 0)
	leaves := leavesOf(t, honest)
	x, err := evidence.ReadAttackLeaf(leaves[2000])
	if err != nil {
		t.Fatal(err)
	}
	leaves[len(leaves)-1] = more(t, leaves[len(leaves)-1], x.Cell(), 50)
	dir := told(t, honest, leaves)
	c := claimed(t, dir, claim.Select{})
	const audits = 40
	found := 0
	for seed := range audits {
		if r := audited(t, c, Folder(dir), Options{Sample: 290, Seed: []byte{byte(seed)}}); !r.OK() {
			found++
		}
	}
	if due := (1 - missed(5050, 290, 50)) * audits; math.Abs(float64(found)-due) > 4 {
		t.Errorf("found in %d of %d audits, %.1f are due", found, audits, due)
	}
}

func TestSourceMustShowWhatWasSigned(t *testing.T) {
	dir := makeLog(t, t.TempDir(), evidence.Live, 2500, 0)
	c := claimed(t, dir, claim.Select{})
	for _, name := range []string{"entries/000000", "tile0"} {
		spoilt := filepath.Join(t.TempDir(), "evidence")
		if err := os.CopyFS(spoilt, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		b, _ := os.ReadFile(filepath.Join(spoilt, name))
		b[len(b)*9/10] ^= 4
		if err := os.WriteFile(filepath.Join(spoilt, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
		if r := audited(t, c, Folder(spoilt), Options{Sample: 1000}); r.OK() || r.Wrong == 0 || r.Wrong == r.Drawn {
			t.Errorf("a bit of %s: %d of %d drawn wrong, %q", name, r.Wrong, r.Drawn, r.Problems)
		}
	}
	other := makeLog(t, t.TempDir(), evidence.Live, 2400, 0)
	if r := audited(t, c, Folder(other), Options{Sample: 50}); r.OK() || r.Wrong != 50 {
		t.Errorf("another log: %d of 50 wrong", r.Wrong)
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	if _, err := Run(c, &Web{Address: gone.URL}, Options{Sample: 1, Seed: []byte{1}}); err == nil {
		t.Error("a server that is not there shows that a claim is wrong")
	}
	c.Sentence = "From nowhere."
	if r := audited(t, c, Folder(dir), Options{Sample: 5}); r.OK() || r.Drawn != 0 {
		t.Errorf("a claim that does not hold in itself: %+v", r)
	}
}

func TestSeedDraws(t *testing.T) {
	dir := makeLog(t, t.TempDir(), evidence.Live, 800, 0)
	c := claimed(t, dir, claim.Select{})
	draws := func(seed string) (out []int64) {
		src := &counting{Folder: Folder(dir)}
		audited(t, c, src, Options{Sample: 20, Seed: []byte(seed)})
		return src.asked
	}
	if a, b := draws("one"), draws("one"); !slices.Equal(a, b) {
		t.Error("one seed, two samples")
	}
	if a, b := draws("one"), draws("two"); slices.Equal(a, b) {
		t.Error("two seeds, one sample")
	}
}

type counting struct {
	Folder
	asked []int64
}

func (c *counting) Bundle(size, n, width int64) ([]byte, error) {
	c.asked = append(c.asked, n)
	return c.Folder.Bundle(size, n, width)
}

// The bound is the exact one: against all ways to draw, and against the formula for large numbers.
func TestBound(t *testing.T) {
	choose := func(n, k uint64) float64 {
		if k > n {
			return 0
		}
		v := 1.0
		for i := range k {
			v = v * float64(n-i) / float64(i+1)
		}
		return v
	}
	for all := uint64(1); all < 30; all++ {
		for k := uint64(1); k <= all; k++ {
			for bad := range all + 1 {
				if got, want := missed(all, k, bad), choose(all-bad, k)/choose(all, k); math.Abs(got-want) > 1e-9 {
					t.Fatalf("missed(%d, %d, %d) = %g, it is %g", all, k, bad, got, want)
				}
			}
			if n := fewerThan(all, k); missed(all, k, n) > 0.05 || missed(all, k, n-1) <= 0.05 {
				t.Fatalf("%d of %d: %d is not the least", k, all, n)
			}
		}
	}
	n := fewerThan(33_000_000, 300)
	if e := float64(n) / 33e6; math.Abs(1-math.Pow(1-e, 300)-0.95) > 1e-4 {
		t.Errorf("300 of 33 M: %d, %g", n, e)
	}
	for _, x := range []struct {
		all, drawn uint64
		wants      string
	}{{33_000_000, 300, "with 95 % confidence fewer than 1.00 % (327,890 of 33,000,000) of the claimed attacks are invented"},
		{2, 2, "every one"}, {1000, 0, "none of the claimed attacks was looked at"}, {10, 9, "fewer than 20 % (2 of 10)"}, {0, 0, ""}} {
		if got := bound(x.all, x.drawn, "claimed attacks", "are invented"); !strings.Contains(got, x.wants) {
			t.Errorf("%d of %d: %q", x.drawn, x.all, got)
		}
	}
}
