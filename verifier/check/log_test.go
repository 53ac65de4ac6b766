package check

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
)

func TestWholeLogIsRecounted(t *testing.T) {
	m := sample(0)
	r, err := Log(m.folder(300), Options{})
	if err != nil || !r.OK() {
		t.Fatalf("%v %q", err, r.Problems)
	}
	if want := "This log (live) holds 1,000 attacks."; r.Sentence != want {
		t.Errorf("%q, want %q", r.Sentence, want)
	}
	if !strings.HasPrefix(r.Key, "self-certified, key ") {
		t.Errorf("key %q", r.Key)
	}
}

// refound is the folder with leaves changed and every frame, hash and signature made anew: what only its owner can do.
func refound(t *testing.T, change func(m *made)) Result {
	t.Helper()
	m := sample(1)
	change(m)
	r, err := Log(m.folder(1<<20), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestOwnersForgeriesAreFound(t *testing.T) {
	forgeries := map[string]func(m *made){
		"an attack is taken out":    func(m *made) { m.leaves = slices.Delete(m.leaves, 2, 3) },
		"an attack is put in":       func(m *made) { m.leaves = slices.Insert(m.leaves, 700, bytes.Clone(m.leaves[firstOf(m, leafAttack)])) },
		"two leaves change places":  func(m *made) { m.leaves[1], m.leaves[2] = m.leaves[2], m.leaves[1] },
		"an attack changes class":   func(m *made) { m.leaves[4][5]++ },
		"a class that is not":       func(m *made) { m.leaves[4][4] = 1 },
		"reserved bytes":            func(m *made) { m.leaves[4][94] = 1 },
		"an event is taken out":     func(m *made) { i := firstOf(m, leafEvent); m.leaves = slices.Delete(m.leaves, i, i+1) },
		"an event of another code":  func(m *made) { m.leaves[firstOf(m, leafEvent)][3]++ },
		"a correction is taken out": func(m *made) { i := firstOf(m, leafCorrection); m.leaves = slices.Delete(m.leaves, i, i+1) },
		"a correction of nothing":   func(m *made) { m.leaves[firstOf(m, leafCorrection)][9] = 0 },
		"the ledger":                func(m *made) { m.leaves[m.lastAt][39]++ },
		"the time":                  func(m *made) { m.leaves[m.lastAt][27]-- },
		"the number":                func(m *made) { m.leaves[m.lastAt][15]++ },
		"the leaf before":           func(m *made) { m.leaves[m.lastAt][23]-- },
		"the kind":                  func(m *made) { m.leaves[m.lastAt][2] = 2 },
		"a counter":                 func(m *made) { m.leaves[m.lastAt][totalsFixed+1]++ },
		"no totals leaf at the end": func(m *made) { m.attack(5, 0) },
		"the first leaf":            func(m *made) { m.leaves = m.leaves[1:] },
	}
	for name, change := range forgeries {
		if r := refound(t, change); r.OK() {
			t.Errorf("%s: not found", name)
		}
	}
	if r := refound(t, func(*made) {}); !r.OK() {
		t.Errorf("no forgery: %q", r.Problems)
	}
}

func firstOf(m *made, kind byte) int {
	return slices.IndexFunc(m.leaves, func(b []byte) bool { return b[0] == kind })
}

func TestEveryChangedByteOfALogIsFound(t *testing.T) {
	whole := sample(0).folder(500)
	r := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		for _, name := range []string{"entries/000000", "entries/000001", "checkpoint"} {
			changed := fstest.MapFS{}
			for n, f := range whole {
				changed[n] = &fstest.MapFile{Data: bytes.Clone(f.Data)}
			}
			b := changed[name].Data
			i := r.IntN(len(b))
			b[i] ^= byte(1 + r.IntN(255))
			if name != "checkpoint" && r.IntN(2) == 0 { // with a checksum that fits again
				mend(b)
			}
			if bytes.Equal(b, whole[name].Data) {
				continue
			}
			if got, err := Log(changed, Options{}); err == nil && got.OK() {
				t.Fatalf("byte %d of %s changed: not found", i, name)
			}
		}
	}
}

// mend makes the checksums of all frames anew.
func mend(b []byte) {
	for len(b) >= 6 && len(b) >= 6+int(be.Uint16(b[4:])) {
		n := 6 + int(be.Uint16(b[4:]))
		be.PutUint32(b, crc32.Checksum(b[4:n], crc32.MakeTable(crc32.Castagnoli)))
		b = b[n:]
	}
}

func TestEarlierCheckpointOfALog(t *testing.T) {
	m := sample(0)
	private, k := madeKey("log", "example.org/log", typeEd25519)
	for _, size := range []int{0, 1, 2, 777, 1024, len(m.leaves)} {
		if r, err := Log(m.folder(500), Options{Earlier: signed(private, k, int64(size), m.root(size))}); err != nil || !r.OK() {
			t.Errorf("size %d: %v %q", size, err, r.Problems)
		}
		if r, err := Log(m.folder(500), Options{Earlier: signed(private, k, int64(size), Hash{1})}); err != nil || r.OK() {
			t.Errorf("size %d: a fork was not found", size)
		}
	}
	if r, err := Log(m.folder(500), Options{Earlier: signed(private, k, int64(len(m.leaves)+1), Hash{1})}); err != nil || r.OK() {
		t.Error("a cut tail was not found")
	}
}

// BenchmarkRecount prints leaves/s of a whole log, hashes and counts; entries come from memory.
func BenchmarkRecount(b *testing.B) {
	m := newMade(0)
	for i := range 1 << 18 {
		m.time += 1e3
		m.attack(i*37%cells, 0)
		if i%1000 == 999 {
			m.totals(0)
		}
	}
	m.totals(0)
	fs := m.folder(300_000)
	took := processor(b, func() {
		if r, err := Log(fs, Options{}); err != nil || !r.OK() {
			b.Fatal(err, r.Problems)
		}
	})
	b.ReportMetric(float64(b.N*len(m.leaves))/b.Elapsed().Seconds(), "leaves/s")
	b.ReportMetric(float64(b.N*len(m.leaves))/took, "leaves/cpu-s")
}

// processor is how many seconds of a core the loop took: what a busy machine does not change.
func processor(b *testing.B, loop func()) float64 {
	var before, after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	for b.Loop() {
		loop()
	}
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	return float64(after.Utime.Nano()+after.Stime.Nano()-before.Utime.Nano()-before.Stime.Nano()) / 1e9
}

func TestInclusionAndConsistency(t *testing.T) {
	var hashes []Hash
	for i := range 70 {
		hashes = append(hashes, leafHash([]byte{byte(i)}, nil))
	}
	for size := 1; size <= len(hashes); size++ {
		root := rootOf(hashes[:size])
		for i := range size {
			p := path(hashes[:size], i)
			if !included(int64(i), int64(size), hashes[i], p, root) {
				t.Fatalf("leaf %d of %d is not found", i, size)
			}
			if included(int64(i), int64(size), hashes[i], append(slices.Clone(p), Hash{}), root) || i > 0 && included(int64(i-1), int64(size), hashes[i], p, root) ||
				len(p) > 0 && included(int64(i), int64(size), hashes[i], p[1:], root) || included(int64(i), int64(size), Hash{}, p, root) {
				t.Fatalf("leaf %d of %d: a wrong path is taken", i, size)
			}
		}
		for first := range size + 1 {
			var p []Hash
			if first > 0 {
				p = prefix(hashes[:size], first, true)
			}
			old := rootOf(hashes[:first])
			if !consistent(int64(first), int64(size), old, root, p) {
				t.Fatalf("%d is no prefix of %d", first, size)
			}
			if consistent(int64(first), int64(size), Hash{7}, root, p) || first < size && first > 0 && consistent(int64(first), int64(size), old, Hash{7}, p) ||
				consistent(int64(first), int64(size), old, root, append(slices.Clone(p), Hash{})) || len(p) > 0 && consistent(int64(first), int64(size), old, root, p[:len(p)-1]) {
				t.Fatalf("%d of %d: a wrong proof is taken", first, size)
			}
		}
	}
	if included(-1, 1, hashes[0], nil, hashes[0]) || consistent(2, 1, hashes[0], hashes[0], nil) || consistent(-1, 1, hashes[0], hashes[0], nil) {
		t.Error("sizes that cannot be are taken")
	}
}

func TestWitnessesAndKeys(t *testing.T) {
	private, k := madeKey("log", "example.org/log", typeEd25519)
	w1, k1 := madeKey("w1", "one.example/w", typeCosignature)
	w2, k2 := madeKey("w2", "two.example/w", typeCosignature)
	_, k3 := madeKey("w1", "again.example/w", typeCosignature)
	own, kOwn := madeKey("log", "example.org/log", typeCosignature)
	base := signed(private, k, 9, Hash{1})
	note := cosign(cosign(base, w1, k1, 1_700_000_000), w2, k2, 1_700_000_001)
	other := k
	other.Name = "else"
	mldsa := line("pq.example/w", 7, make([]byte, 8+2420))
	for _, c := range []struct {
		name, note, own string
		o               Options
		ok              bool
		quorum          string
	}{
		{"two of two", note, k.text(), Options{Witnesses: []Key{k1, k2}, Quorum: 2}, true, "met: 2 of the 2 "},
		{"one of two", cosign(base, w1, k1, 1), k.text(), Options{Witnesses: []Key{k1, k2}, Quorum: 1}, true, "met: 1 of the 2 "},
		{"none of one", base, k.text(), Options{Witnesses: []Key{k1}, Quorum: 1}, false, "not met: 0 of the 1 "},
		{"one key, two names", cosign(cosign(base, w1, k1, 1), w1, k3, 1), k.text(), Options{Witnesses: []Key{k1, k3}, Quorum: 2}, false, "not met: 1 of the 2 "},
		{"the log as its witness", cosign(base, own, kOwn, 1), k.text(), Options{Witnesses: []Key{kOwn}, Quorum: 1}, false, "not met: 0 "},
		{"another's signature", cosign(base, w2, k1, 1), k.text(), Options{Witnesses: []Key{k1}}, false, ""},
		{"post-quantum beside it", note + mldsa, k.text(), Options{Witnesses: []Key{k1}, Quorum: 1, Keys: []Key{other, k}}, true, "met: 1 "},
		{"another key", note, k.text(), Options{Keys: []Key{k1}}, false, ""},
		{"another name", note, k.text(), Options{Keys: []Key{other}}, false, ""},
		{"signed by another", signed(w1, k, 9, Hash{1}), k.text(), Options{}, false, ""},
		{"of a cosignature's type", note, k1.text(), Options{}, false, ""},
	} {
		r := Result{}
		_, _, ok := r.head(c.note, c.own, c.o)
		if (ok && r.OK()) != c.ok || !strings.HasPrefix(r.Quorum, c.quorum) {
			t.Errorf("%s: %v %q, quorum %q", c.name, ok, r.Problems, r.Quorum)
		}
		if c.name == "post-quantum beside it" && !strings.HasPrefix(r.Signers[3], "pq.example/w: unchecked: it has the length of ML-DSA-44") {
			t.Errorf("%+v", r.Signers)
		}
	}
	for _, bad := range []string{"", "a", "a+b", "a+00000000+AAAA", "a b+00000000+AQ==", k.text() + "=", strings.Replace(k.text(), "+", "x+", 1)} {
		if _, err := ParseKey(bad); err == nil {
			t.Errorf("key %q is taken", bad)
		}
	}
	if got, err := ParseKey(k.text()); err != nil || fmt.Sprint(got) != fmt.Sprint(k) {
		t.Errorf("%v %v", got, err)
	}
	for _, bad := range []string{"", "\n\n", base[1:], base + "x\n", strings.Replace(base, "\n9\n", "\n09\n", 1), strings.Replace(base, "\n9\n", "\n-9\n", 1),
		strings.Replace(base, "\n\n", "\nmore\n\n", 1), strings.Replace(base, " ", "  ", 1), base + "\n", strings.TrimSuffix(base, "\n"), strings.Replace(base, "o", "\t", 1), strings.Replace(base, "o", "\xff", 1)} {
		if c, err := ParseCheckpoint(bad); err == nil {
			if _, _, err := c.judge(k, nil); err == nil {
				t.Errorf("checkpoint %q is taken", bad)
			}
		}
	}
}
