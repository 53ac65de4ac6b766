package check

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// claim makes a claim of a made log, as docs/claims.md has it.
func (m *made) claim(t testing.TB, s selection, from, to uint64) *claim {
	t.Helper()
	tree := dense(nil)
	var at []int
	for i, b := range m.leaves {
		tree.known, tree.leaf[int64(i)] = append(tree.known, int64(i)), leafHash(b, nil)
		if b[0] == leafTotals {
			at = append(at, i)
		}
	}
	tree.size = int64(len(m.leaves))
	four := make([]*int64, 4)
	set := func(i, n int) {
		if n >= 0 && n < len(at) {
			index := int64(at[n])
			four[i] = &index
		}
	}
	last := func(end uint64) int {
		n := -1
		for i := range at {
			if x, _ := decodeTotals(m.leaves[at[i]]); x.time <= end {
				n = i
			}
		}
		return n
	}
	set(0, last(from))
	set(1, last(from)+1)
	set(2, last(to))
	set(3, last(to)+1)
	c := claimOf(m.name, tree, m.kind, four, func(i int64) []byte { return m.leaves[i] })
	c.Select, c.Window = s, window{micros(from), micros(to)}
	fill(t, c)
	return c
}

// fill makes what follows from the leaves.
func fill(t testing.TB, c *claim) {
	t.Helper()
	f, err := c.derive(mustCheckpoint(t, c.Checkpoint))
	if err != nil {
		t.Fatal(err)
	}
	c.put(c.made(f))
}

func (c *claim) put(x []json.RawMessage) {
	c.Sentence, c.Definition, c.Unit, c.Count, c.Coverage, c.Caveats = x[0], x[1], x[2], x[3], x[4], x[5]
}

// claimOf has checkpoint, leaves and paths; the rest of the claim is still to be derived.
func claimOf(name string, tree *sparse, kind uint16, four []*int64, leafAt func(int64) []byte) *claim {
	private, k := madeKey(name, "example.org/"+name, typeEd25519)
	c := &claim{asked: asked{Claim: formatOne, Select: everything()}, Hashes: [][]byte{}, Log: origin{k.Name, kinds[kind], k.text(), []string{"sensor 1"}},
		Checkpoint: signed(private, k, tree.size, tree.hash(0, tree.size))}
	for i, to := range []**leaf{&c.Leaves.From, &c.Leaves.AfterFrom, &c.Leaves.To, &c.Leaves.AfterTo} {
		if four[i] == nil {
			continue
		}
		l := &leaf{Index: *four[i], Leaf: leafAt(*four[i]), Path: []int{}}
		for _, h := range tree.path(l.Index, 0, tree.size) {
			place := slices.IndexFunc(c.Hashes, func(b []byte) bool { return bytes.Equal(b, h[:]) })
			if place < 0 {
				place = len(c.Hashes)
				c.Hashes = append(c.Hashes, h[:])
			}
			l.Path = append(l.Path, place)
		}
		*to = l
	}
	return c
}

func everything() selection {
	return selection{[]string{}, []string{}, []string{}, []string{}, []string{}}
}

func second(n uint64) uint64 { return madeStart + n*1e6 }

func TestClaimsOfAMadeLog(t *testing.T) {
	guessing := everything()
	guessing.Class, guessing.Outcome = []string{"brute-force", "flood"}, []string{"foiled"}
	for _, x := range []struct {
		name     string
		from, to uint64
		s        selection
		kind     uint16
		sentence string
	}{
		{"in the middle", 1000, 9000, everything(), 0, "From 2026-11-01 00:16:40 to 2026-11-01 02:30 UTC this log (live) counted "},
		{"from before its begin", 0, 9000, everything(), 1, "From 2026-11-01 00:00 to 2026-11-01 02:30 UTC this log (recording) counted "},
		{"past its end", 1000, 900000, guessing, 2, "From 2026-11-01 00:16:40 to 2026-11-11 10:00 UTC this log (demo) counted "},
		{"between two neighbours", 1005, 1006, everything(), 0, "From 2026-11-01 00:16:45 to 2026-11-01 00:16:46 UTC this log (live) counted 0 attacks."},
	} {
		m := sample(x.kind)
		from := second(x.from)
		if x.from == 0 {
			from -= 60e6
			x.sentence = strings.Replace(x.sentence, "2026-11-01 00:00 ", "2026-10-31 23:59 ", 1)
		}
		c := m.claim(t, x.s, from, second(x.to))
		r, err := Claim(encode(c), Options{})
		if err != nil || !r.OK() {
			t.Errorf("%s: %v %q", x.name, err, r.Problems)
		}
		if !strings.HasPrefix(r.Sentence, x.sentence) {
			t.Errorf("%s: %q", x.name, r.Sentence)
		}
		if spaced := new(bytes.Buffer); json.Indent(spaced, encode(c), "", "\t") != nil {
			t.Error("cannot indent")
		} else if r, err := Claim(spaced.Bytes(), Options{}); err != nil || !r.OK() {
			t.Errorf("%s, spaced: %v %q", x.name, err, r.Problems)
		}
	}
}

// spot is a value of a JSON text.
type spot struct {
	path       string
	start, end int
}

// spots finds every scalar, every element of a list and every member of an object of compact JSON.
func spots(b []byte) (scalars, elements []spot) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var walk func(path string)
	walk = func(path string) {
		before := int(d.InputOffset())
		tok, err := d.Token()
		if err != nil {
			return
		}
		if _, is := tok.(json.Delim); !is {
			start := before + bytes.IndexFunc(b[before:], func(r rune) bool { return r != ',' && r != ':' })
			scalars = append(scalars, spot{path, start, int(d.InputOffset())})
			return
		}
		list := tok == json.Delim('[')
		for i := 0; d.More(); i++ {
			start, inner := int(d.InputOffset()), fmt.Sprintf("%s[%d]", path, i)
			if !list {
				key, _ := d.Token()
				inner = strings.TrimPrefix(fmt.Sprintf("%s.%s", path, key), ".")
			}
			walk(inner)
			elements = append(elements, spot{inner, start, int(d.InputOffset())})
		}
		_, _ = d.Token()
	}
	walk("")
	return scalars, elements
}

// mutations are single changes of one value each; everything else of the text stays.
func mutations(b []byte) (out map[string][]byte) {
	out = map[string][]byte{}
	scalars, elements := spots(b)
	put := func(name string, s spot, with []byte) {
		if !bytes.Equal(b[s.start:s.end], with) {
			out[name] = slices.Concat(b[:s.start], with, b[s.end:])
		}
	}
	for _, s := range scalars {
		was := b[s.start:s.end]
		if was[0] != '"' {
			for i, other := range []string{"0", "1", "2", "-1", "9007199254740993", "1e3", "null", `"1"`, string(was) + "0", string(was) + "1", "1" + string(was)} {
				put(fmt.Sprintf("%s: number %d", s.path, i), s, []byte(other))
			}
			continue
		}
		for i, other := range []string{`""`, "null", "7", `"live"`, `"demo"`, `"scan"`, `"2026-11-01T00:00:00.000000Z"`, `"2026-11-01T00:00:01.000000Z"`} {
			put(fmt.Sprintf("%s: text %d", s.path, i), s, []byte(other))
		}
		for i := 1; i < len(was)-1; i++ {
			if was[i] == '\\' || was[i-1] == '\\' || was[i] >= 0x80 {
				continue
			}
			for _, c := range []byte{was[i] ^ 1, was[i] ^ 32}[:1+i%2] {
				if c >= ' ' && c != '"' && c != '\\' && c < 0x7f {
					put(fmt.Sprintf("%s: byte %d is %c", s.path, i, c), s, slices.Concat(was[:i], []byte{c}, was[i+1:]))
				}
			}
		}
		if raw, err := base64.StdEncoding.DecodeString(string(was[1 : len(was)-1])); err == nil && len(raw) > 20 {
			for i := range raw {
				for _, bit := range []byte{1, 0x80}[i%2 : i%2+1] {
					x := bytes.Clone(raw)
					x[i] ^= bit
					put(fmt.Sprintf("%s: raw byte %d, bit %d", s.path, i, bit), s, []byte(`"`+base64.StdEncoding.EncodeToString(x)+`"`))
				}
			}
		}
	}
	for _, e := range elements {
		was := b[e.start:e.end]
		gone := slices.Concat(b[:e.start], b[e.end:])
		if was[0] != ',' && e.end < len(b) && b[e.end] == ',' {
			gone = slices.Concat(b[:e.start], b[e.end+1:])
		}
		out[e.path+": taken out"] = gone
		twice := []byte(strings.TrimPrefix(string(was), ","))
		out[e.path+": twice"] = slices.Concat(b[:e.end], []byte(","), twice, b[e.end:])
	}
	return out
}

// tampered counts how many single changes of a claim are refused, one of every few that there are. Only what harmless
// names may be taken.
func tampered(t *testing.T, name string, b []byte, every int, harmless func(string) bool) {
	t.Helper()
	if testing.Short() {
		every *= 8
	}
	if r, err := Claim(b, Options{}); err != nil || !r.OK() {
		t.Fatalf("%s: %v %q", name, err, r.Problems)
	}
	refused, wrong, taken := 0, 0, 0
	all := mutations(bytes.TrimSpace(b))
	for i, what := range slices.Sorted(maps.Keys(all)) {
		if i%every != 0 {
			continue
		}
		r, err := Claim(all[what], Options{})
		switch {
		case err != nil:
			refused++
		case !r.OK():
			wrong++
		case harmless(what):
			taken++
		default:
			t.Errorf("%s: %s: accepted", name, what)
		}
	}
	t.Logf("%s: %d single changes: %d are no claim file any more, %d found wrong, %d harmless", name, refused+wrong+taken, refused, wrong, taken)
	if wrong < 50 { // a short run leaves most out
		t.Errorf("%s: only %d changes came to the check itself", name, wrong)
	}
}

// sensorsOnly: the sensors are said by the claim, never proven, and shown as such; nothing else may be changed.
func sensorsOnly(what string) bool { return strings.HasPrefix(what, "log.sensors[") }

func TestEveryChangedFieldIsFound(t *testing.T) {
	few := everything()
	few.Class, few.Risk = []string{"scan", "brute-force"}, []string{"real"}
	tampered(t, "made", encode(sampleOf(0, 300, 10).claim(t, few, second(300), second(1500))), 5, sensorsOnly)
	b, err := os.ReadFile("../../claim/testdata/claim.json")
	if err != nil {
		t.Skip("no sample of claims beside the verifier")
	}
	tampered(t, "sample", b, 1, sensorsOnly)
}

// TestForgedByTheOwner: who holds the key can sign what he likes; what cannot be of one log is found all the same.
func TestForgedByTheOwner(t *testing.T) {
	for name, forge := range map[string]func(m *made, at []int){
		"a counter goes back":         func(m *made, at []int) { m.recount(at[len(at)-2], func(c *[idEnd]uint64) { c[0] = 0 }) },
		"more attacks than leaves":    func(m *made, at []int) { m.recountBoth(at, func(c *[idEnd]uint64) { c[0] += 1e6 }) },
		"more events than leaves":     func(m *made, at []int) { m.recountBoth(at, func(c *[idEnd]uint64) { c[idEvents+1] += 1e6 }) },
		"a total of 2^60":             func(m *made, at []int) { m.recountBoth(at, func(c *[idEnd]uint64) { c[0] = 1 << 60 }) },
		"the ledger does not balance": func(m *made, at []int) { m.leaves[at[len(at)-2]][39]++ },
		"another kind":                func(m *made, at []int) { m.leaves[at[len(at)-2]][2] = 1 },
		"a leaf was skipped":          func(m *made, at []int) { be.PutUint64(m.leaves[at[len(at)-1]][16:], uint64(at[len(at)-3])) },
		"a number was skipped":        func(m *made, at []int) { m.leaves[at[len(at)-1]][15]++ },
		"the time goes back":          func(m *made, at []int) { be.PutUint64(m.leaves[at[1]][24:], second(50000)) },
	} {
		m := sample(0)
		c := m.claim(t, everything(), second(1000), m.time-1e6)
		var at []int
		for i, b := range m.leaves {
			if x := int64(i); x == c.Leaves.From.Index || x == c.Leaves.AfterFrom.Index || x == c.Leaves.To.Index || x == c.Leaves.AfterTo.Index {
				at = append(at, i)
				m.leaves[i] = bytes.Clone(b)
			}
		}
		forge(m, at)
		var hashes []Hash
		for _, b := range m.leaves {
			hashes = append(hashes, leafHash(b, nil))
		}
		forged := claimOf("log", dense(hashes), m.kind, []*int64{&c.Leaves.From.Index, &c.Leaves.AfterFrom.Index, &c.Leaves.To.Index, &c.Leaves.AfterTo.Index},
			func(i int64) []byte { return m.leaves[i] })
		forged.Window = c.Window
		forged.put([]json.RawMessage{c.Sentence, c.Definition, c.Unit, c.Count, c.Coverage, c.Caveats})
		if f, err := forged.derive(mustCheckpoint(t, forged.Checkpoint)); err == nil {
			forged.put(forged.made(f)) // what follows from the leaves is made anew as well
		}
		r, err := Claim(encode(forged), Options{})
		if err != nil || r.OK() {
			t.Errorf("%s: not found (%v)", name, err)
		}
		if len(r.Problems) > 0 {
			t.Logf("%s: %s", name, r.Problems[0])
		}
	}
}

func mustCheckpoint(t testing.TB, note string) Checkpoint {
	t.Helper()
	c, err := ParseCheckpoint(note)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (m *made) recountBoth(at []int, change func(*[idEnd]uint64)) {
	m.recount(at[len(at)-1], change)
	m.recount(at[len(at)-2], change)
}

// recount writes a totals leaf anew with other counters.
func (m *made) recount(i int, change func(*[idEnd]uint64)) {
	x, _ := decodeTotals(m.leaves[i])
	n := &made{kind: m.kind, number: x.number, lastAt: int(x.previous), time: x.time, ledger: x.ledger}
	for _, c := range x.counters {
		n.counts[c.id] = c.value
	}
	change(&n.counts)
	n.totals(x.flags & 7)
	m.leaves[i] = n.leaves[0]
}

func TestClaimAndAnEarlierCheckpoint(t *testing.T) {
	m := sample(0)
	private, k := madeKey("log", "example.org/log", typeEd25519)
	b := encode(m.claim(t, everything(), second(1000), second(9000)))
	var hashes []Hash
	for _, x := range m.leaves {
		hashes = append(hashes, leafHash(x, nil))
	}
	for _, size := range []int{1, 512, 777, len(hashes)} {
		proof := prefix(hashes, size, true)
		text := fmt.Sprintf("old %d\n", size)
		for _, h := range proof {
			text += base64.StdEncoding.EncodeToString(h[:]) + "\n"
		}
		o := Options{Earlier: signed(private, k, int64(size), rootOf(hashes[:size])), Consistency: text + "\nthe rest", Keys: []Key{k}}
		if r, err := Claim(b, o); err != nil || !r.OK() {
			t.Errorf("%d: %v %q", size, err, r.Problems)
		}
		o.Earlier = signed(private, k, int64(size), Hash{9})
		if r, err := Claim(b, o); err != nil || r.OK() {
			t.Errorf("%d: a fork is taken", size)
		}
		if o = (Options{Earlier: signed(private, k, int64(size), rootOf(hashes[:size]))}); size < len(hashes) {
			if r, err := Claim(b, o); err != nil || r.OK() {
				t.Errorf("%d: no proof is needed", size)
			}
		}
	}
	for _, bad := range []string{"x", "old 3\nAAAA", strings.Repeat(base64.StdEncoding.EncodeToString(make([]byte, 32))+"\n", 1000)} {
		o := Options{Earlier: signed(private, k, 777, rootOf(hashes[:777])), Consistency: bad}
		if r, err := Claim(b, o); err != nil || r.OK() {
			t.Errorf("%q is taken", bad)
		}
	}
}

// TestProofOver33MillionLeaves makes a claim over a year in a tree of which only what the claim needs is made up.
func TestProofOver33MillionLeaves(t *testing.T) {
	b, c := yearsClaim(t)
	r, err := Claim(b, Options{})
	if err != nil || !r.OK() || !strings.Contains(r.Sentence, "counted 29,999,940 attacks") {
		t.Fatalf("%v %q %s", err, r.Problems, r.Sentence)
	}
	proof := len(c.Checkpoint) + 32*len(c.Hashes)
	for _, l := range []*leaf{c.Leaves.From, c.Leaves.AfterFrom, c.Leaves.To, c.Leaves.AfterTo} {
		proof += 8 + len(l.Leaf) + len(l.Path)
	}
	t.Logf("over 33,525,601 leaves: proof %d bytes (%d hashes, leaf %d bytes), file %d bytes", proof, len(c.Hashes), len(c.Leaves.To.Leaf), len(b))
	if proof > 6<<10 {
		t.Errorf("the proof has %d bytes, at most 6 KiB", proof)
	}
}

// yearsClaim is over 33 M attacks in 60 cells in a year, a totals leaf each minute, three witnesses.
func yearsClaim(t testing.TB) ([]byte, *claim) {
	const size, minutes, perMinute = 33_525_601, 525_600, 63
	leaf := func(n uint64) []byte {
		m := &made{number: n, lastAt: int(max(n, 1)-1) * (perMinute + 1), time: madeStart + n*60e6}
		m.counts[idStarts] = 1
		for i := range 60 {
			m.counts[2*(i*23%cells)] = n * perMinute / 60
		}
		m.ledger = [6]uint64{n * 1e5, n * 1e5}
		m.totals(0)
		return m.leaves[0]
	}
	index := func(n uint64) *int64 { i := int64(n) * (perMinute + 1); return &i }
	tree := &sparse{leaf: map[int64]Hash{}, size: size}
	from, to := uint64(20_000), uint64(20_000+30_000_000/perMinute)
	for _, n := range []uint64{from, from + 1, to, to + 1} {
		tree.known, tree.leaf[*index(n)] = append(tree.known, *index(n)), leafHash(leaf(n), nil)
	}
	c := claimOf("log", tree, 0, []*int64{index(from), index(from + 1), index(to), index(to + 1)}, func(i int64) []byte { return leaf(uint64(i) / (perMinute + 1)) })
	for _, name := range []string{"one", "two", "three"} {
		private, k := madeKey(name, "witness.example/"+name, typeCosignature)
		c.Checkpoint = cosign(c.Checkpoint, private, k, 1_800_000_000)
	}
	c.Window = window{micros(madeStart + from*60e6), micros(madeStart + to*60e6)}
	fill(t, c)
	return encode(c), c
}

// BenchmarkClaim checks that claim, three witnesses' signatures with it.
func BenchmarkClaim(b *testing.B) {
	file, _ := yearsClaim(b)
	o := Options{Quorum: 3}
	for _, name := range []string{"one", "two", "three"} {
		_, k := madeKey(name, "witness.example/"+name, typeCosignature)
		o.Witnesses = append(o.Witnesses, k)
	}
	took := processor(b, func() {
		if r, err := Claim(file, o); err != nil || !r.OK() {
			b.Fatal(err, r.Problems)
		}
	})
	b.ReportMetric(took/float64(b.N)*1e3, "cpu-ms/op")
}

// FuzzClaim: no bytes make the check panic or take long, and a claim that is proven is written again as it was read.
func FuzzClaim(f *testing.F) {
	f.Add(encode(sampleOf(1, 20, 7).claim(f, everything(), second(30), second(90))))
	f.Add([]byte(`{"claim":"dejpha/claim/1"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := Claim(b, Options{}); err == nil && r.OK() && (r.Sentence == "" || !json.Valid(b)) {
			t.Errorf("proven without a sentence: %q", b)
		}
	})
}

// FuzzTotals: a totals leaf that is taken has no other form.
func FuzzTotals(f *testing.F) {
	f.Add(sample(0).leaves[0])
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := decodeTotals(b)
		if err != nil {
			return
		}
		n := &made{number: x.number, lastAt: int(x.previous), time: x.time, ledger: x.ledger, kind: x.flags >> 8}
		for _, c := range x.counters {
			if c.id >= idEnd {
				return
			}
			n.counts[c.id] = c.value
		}
		n.totals(x.flags & 7)
		copy(n.leaves[0][80:144], b[80:144])
		if !bytes.Equal(n.leaves[0], b) {
			t.Errorf("%x is taken, written again it is %x", b, n.leaves[0])
		}
	})
}

// FuzzNote: no bytes make the parsers of notes and keys panic; a checkpoint that is taken is in its one form.
func FuzzNote(f *testing.F) {
	private, k := madeKey("log", "example.org/log", typeEd25519)
	f.Add(signed(private, k, 7, Hash{1}), k.text())
	f.Fuzz(func(t *testing.T, note, key string) {
		parsed, err := ParseKey(key)
		if err == nil && parsed.text() != key {
			t.Errorf("key %q is taken, written again it is %q", key, parsed.text())
		}
		c, err := ParseCheckpoint(note)
		if err != nil {
			return
		}
		if again := fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, base64.StdEncoding.EncodeToString(c.Root[:])); again != c.text || !strings.HasPrefix(note, again+"\n") {
			t.Errorf("checkpoint %q is taken", note)
		}
		_, _, _ = c.judge(parsed, []Key{k})
	})
}
