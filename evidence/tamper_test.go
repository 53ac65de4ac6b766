package evidence

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/evidence/leaves"
	"github.com/dejpha/dejpha/evidence/segment"
)

// craft is what a tamperer can do beyond editing a file.
type craft int

const (
	plainly     craft = iota // frames whole again, no more
	remaking                 // tiles and offsets made to fit
	fitting                  // ordinals and totals, too: all but the signature
	resigning                // who holds the key, tiles and offsets made to fit
	counterfeit              // who holds the key and makes everything fit
	crafts
)

// image is a log in memory, as a tamperer sees it.
type image struct {
	dir    string
	key    Key
	leaves [][]byte
	hashes []tlog.Hash
	starts []int64  // first leaf of each segment
	heads  [][]byte // checkpoints that somebody kept, one for each twentieth of the log
}

const headsKept = 20

// madeLog seals n attacks into many segments, in batches of a thousand.
func madeLog(t *testing.T, n int, limit int64) *image {
	t.Helper()
	m := &image{dir: filepath.Join(t.TempDir(), "e"), key: testKey()}
	opt := options(Live, nil)
	opt.Rules, opt.Time = []byte("rules"), t0
	l, err := Open(m.dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	l.entries.Limit = limit
	for i := range n {
		r := record(i % 1350)
		r.ID, r.ClosedAt, r.Side = uint64(i+1), t0+int64(i)*50e6, [...]string{attack.Inside, attack.Outside}[i%2]
		r.FirstSeen, r.LastSeen, r.OpenedAt = r.ClosedAt-9e9, r.ClosedAt-5e9, r.ClosedAt-9e9
		var kept []byte
		if i%7 == 0 {
			kept = fmt.Appendf(nil, "packets of attack %d", i)
		}
		err := l.Totals(Ledger{Received: uint64(i), Inspected: uint64(i)}, r.ClosedAt)
		if err == nil {
			err = l.Seal(&r, kept)
		}
		if err == nil && i%997 == 5 {
			err = l.Event(CodeDecision, r.ClosedAt, r.Evidence.Leaf, []byte("{}"), []byte("whom"))
		}
		if err == nil && i%4096 == 4095 {
			_, err = l.Flush()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Close(); err != nil {
		t.Fatal(err)
	}
	m.read(t)
	return m
}

func (m *image) read(t *testing.T) {
	t.Helper()
	var tr tree
	number := -1
	end, err := segment.Scan(filepath.Join(m.dir, "entries"), func(i int64, pos uint64, b []byte) error {
		if n, _ := segment.Place(pos); n != number {
			number, m.starts = n, append(m.starts, i)
		}
		m.leaves = append(m.leaves, bytes.Clone(b))
		m.hashes = append(m.hashes, tr.leafHash(b))
		return nil
	})
	if err != nil || end.Bad {
		t.Fatal(err, end)
	}
	for i, h := range m.hashes {
		tr.add(h, func(int, tlog.Hash) {})
		if n := len(m.hashes) / headsKept; (i+1)%n == 0 {
			m.heads = append(m.heads, m.sign(t, &tr))
		}
	}
}

func (m *image) sign(t *testing.T, tr *tree) []byte {
	t.Helper()
	form, err := readFormat(m.dir)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := m.key.signer(form.Origin)
	if err != nil {
		t.Fatal(err)
	}
	b, err := note.Sign(&note.Note{Text: Checkpoint{form.Origin, tr.size, tr.root()}.text()}, signer)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// change is one tampering with the leaves: they differ from first on, up to last in another order or number.
type change struct {
	what        string
	first, last int64
	leaves      [][]byte
	hashes      []tlog.Hash
	private     bool // leaves stand where their private parts do
}

// tamper draws one change. Those that make ordinals and totals fit change attacks only.
func (m *image) tamper(rnd *rand.Rand, how string, attacksOnly bool) change {
	size := int64(len(m.leaves))
	i := rnd.Int64N(size - 1)
	for attacksOnly && (m.leaves[i][0] != leaves.TypeAttack || m.leaves[i+1][0] != leaves.TypeAttack) {
		i = rnd.Int64N(size - 1)
	}
	c := change{what: fmt.Sprintf("%s leaf %d", how, i), first: i, last: i}
	with := func(from, to int64, in ...[]byte) {
		c.leaves = slices.Concat(m.leaves[:from], in, m.leaves[to:])
		hashes := make([]tlog.Hash, len(in))
		var tr tree
		for k, b := range in {
			hashes[k] = tr.leafHash(b)
		}
		c.hashes = slices.Concat(m.hashes[:from], hashes, m.hashes[to:])
	}
	switch how {
	case "insert":
		from := m.leaves[rnd.Int64N(size)]
		if attacksOnly { // of its time
			from = m.leaves[i]
		}
		if bytes.Equal(from, m.leaves[i]) { // would be no change at i but one after it
			from = relabelled(rnd, from, 6)
		}
		with(i, i, from)
	case "remove":
		with(i, i+1)
	case "relabel":
		changes := 8
		if attacksOnly {
			changes = 6 // ordinals fit in the end, times must
		}
		with(i, i+1, relabelled(rnd, m.leaves[i], changes))
		c.private = true
	case "reorder":
		j := i + 1
		if !attacksOnly && rnd.IntN(2) == 0 {
			j = i + 1 + rnd.Int64N(size-i-1)
		}
		with(i, j+1, slices.Concat([][]byte{m.leaves[j]}, m.leaves[i+1:j], [][]byte{m.leaves[i]})...)
		c.last, c.private = j, true
	}
	return c
}

// relabelled is a leaf that says something else and is well formed: of an attack its class, outcome, risk, side,
// severity, times or sizes, of others a byte of what they hold.
func relabelled(rnd *rand.Rand, leaf []byte, changes int) []byte {
	for {
		b := bytes.Clone(leaf)
		if x, err := leaves.DecodeAttack(b); err == nil {
			switch rnd.IntN(changes) {
			case 0:
				x.Class = uint16(rnd.IntN(leaves.Classes))
			case 1:
				x.OutcomeResult = uint8(rnd.IntN(9))
			case 2:
				x.Flags ^= leaves.FlagSide
			case 3:
				x.Flags = x.Flags&^leaves.FlagRisk | uint16(rnd.IntN(3))
			case 4:
				x.Severity = uint8(1 + rnd.IntN(4))
			case 5:
				x.Bytes = rnd.Uint64N(1 << 40)
			case 6:
				x.ClosedAt += uint64(rnd.IntN(100))
			case 7:
				x.Ordinal += uint64(rnd.IntN(3))
			}
			b = x.Append(nil)
		} else {
			b[22+rnd.IntN(len(b)-22)] ^= byte(1 + rnd.IntN(255))
		}
		if !bytes.Equal(b, leaf) {
			return b
		}
	}
}

// fit makes ordinals, counters and the links of totals leaves fit again from a change on.
func (c *change) fit(t *testing.T, shift int) {
	t.Helper()
	var counts Counters
	var last int64
	var tr tree
	for i, b := range c.leaves {
		switch b[0] {
		case leaves.TypeAttack:
			x, err := leaves.DecodeAttack(b)
			if err != nil {
				t.Fatal(err)
			}
			counts[2*x.Cell()]++
			counts.Overflow(x.Flags, x.Class)
			if n := counts[2*x.Cell()]; n != x.Ordinal {
				x.Ordinal = n
				c.leaves[i] = x.Append(nil)
				c.hashes[i] = tr.leafHash(c.leaves[i])
			}
		case leaves.TypeTotals:
			if int64(i) > c.first {
				x, err := leaves.DecodeTotals(b)
				if err != nil {
					t.Fatal(err)
				}
				copy(x.Counters[:CounterEvents], counts[:CounterEvents])
				x.Previous = uint64(last)
				c.leaves[i] = x.Append(nil)
				c.hashes[i] = tr.leafHash(c.leaves[i])
			}
			last = int64(i)
		case leaves.TypeEvent:
			if x, err := leaves.DecodeEvent(b); err == nil && int64(x.Attack) > c.first+1 {
				x.Attack += uint64(shift)
				c.leaves[i] = x.Append(nil)
				c.hashes[i] = tr.leafHash(c.leaves[i])
			}
		}
	}
}

// beside makes a folder that has a log's files by name; those named are left out, for the caller to write.
func (m *image) beside(t *testing.T, without ...string) string {
	t.Helper()
	dir, err := os.MkdirTemp(t.TempDir(), "tampered")
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(m.dir, func(path string, d os.DirEntry, err error) error {
		name, _ := filepath.Rel(m.dir, path)
		switch {
		case err != nil || name == ".":
			return err
		case d.IsDir():
			return os.Mkdir(filepath.Join(dir, name), 0o755)
		case slices.Contains(without, name):
			return nil
		}
		return os.Symlink(path, filepath.Join(dir, name))
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func frames(leaves [][]byte) (out []byte) {
	for _, b := range leaves {
		at := len(out)
		out = be.AppendUint16(append(out, 0, 0, 0, 0), uint16(len(b)))
		out = append(out, b...)
		be.PutUint32(out[at:], crc32.Checksum(out[at+4:], crc32.MakeTable(crc32.Castagnoli)))
	}
	return out
}

func lay(t *testing.T, dir, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// segmentOf is the number of the segment that holds a leaf, and the leaves behind its last.
func (m *image) segmentOf(leaf int64) (n int, end int64) {
	n = sortedBefore(m.starts, leaf)
	if n+1 < len(m.starts) {
		return n, m.starts[n+1]
	}
	return n, int64(len(m.leaves))
}

func sortedBefore(starts []int64, leaf int64) int {
	n, found := slices.BinarySearch(starts, leaf)
	if !found {
		n--
	}
	return n
}

// write lays a change down. A tamperer who only edits writes the segments he touches; others all derived files.
func (m *image) write(t *testing.T, c *change, how craft) string {
	t.Helper()
	first, _ := m.segmentOf(c.first)
	to, _ := m.segmentOf(c.last)
	without := []string{}
	for n := first; n <= to; n++ {
		without = append(without, fmt.Sprintf("entries/%06d", n))
	}
	if how == fitting || how == counterfeit { // every later leaf may be another
		for n := first; n < len(m.starts); n++ {
			without = append(without, fmt.Sprintf("entries/%06d", n))
		}
		to = len(m.starts) - 1
	}
	if how != plainly {
		without = append(without, "offsets", "tile0", "tile1", "tile2", "tile3", "tile4")
	}
	if how >= resigning {
		without = append(without, "checkpoint")
	}
	dir := m.beside(t, without...)
	shift := int64(len(c.leaves) - len(m.leaves))
	for n := first; n <= to; n++ {
		from, end := m.starts[n], int64(len(m.leaves))
		if n+1 < len(m.starts) {
			end = m.starts[n+1]
		}
		if n > first {
			from += shift
		}
		lay(t, dir, fmt.Sprintf("entries/%06d", n), frames(c.leaves[from:end+shift]))
	}
	if how == plainly {
		return dir
	}
	var tr tree
	var tiles [tileLevels][]byte
	var offsets []byte
	number, at := -1, uint64(0)
	for i, h := range c.hashes {
		if number+1 < len(m.starts) && int64(i) == m.starts[number+1]+cond(number+1 > first, shift) {
			number++
			at = segment.Position(number, 0)
		}
		if i%bundle == 0 {
			offsets = be.AppendUint64(offsets, at)
		}
		at += uint64(6 + len(c.leaves[i]))
		tr.add(h, func(level int, h tlog.Hash) { tiles[level] = append(tiles[level], h[:]...) })
	}
	lay(t, dir, "offsets", offsets)
	for i, b := range tiles {
		lay(t, dir, fmt.Sprintf("tile%d", i), b)
	}
	if how >= resigning {
		lay(t, dir, "checkpoint", m.sign(t, &tr))
	}
	return dir
}

func cond(is bool, n int64) int64 {
	if is {
		return n
	}
	return 0
}

var leafNamed = regexp.MustCompile(`(?:leaf|of leaf) (\d+)`)
var rangeNamed = regexp.MustCompile(`leaves (\d+) to (\d+)`)

// named says whether a report names a leaf in a range, exactly or as a range of leaves that holds it and is no wider
// than between two of the heads kept.
func (m *image) named(r *Report, from, to int64, byRange bool) bool {
	for _, p := range r.Problems {
		if byRange {
			if x := rangeNamed.FindStringSubmatch(p); x != nil {
				a, _ := strconv.ParseInt(x[1], 10, 64)
				b, _ := strconv.ParseInt(x[2], 10, 64)
				if a <= to && b >= from && b-a <= int64(len(m.leaves)/headsKept) {
					return true
				}
			}
			continue
		}
		for _, x := range leafNamed.FindAllStringSubmatch(p, -1) {
			if n, _ := strconv.ParseInt(x[1], 10, 64); n >= from && n <= to {
				return true
			}
		}
	}
	return false
}

// totalsAfter is the first totals leaf at or behind a leaf.
func totalsAfter(entries [][]byte, i int64) int64 {
	for int(i) < len(entries)-1 && entries[i][0] != leaves.TypeTotals {
		i++
	}
	return i
}

// leafTrial is one tampering with leaves. It returns what was done, and what is wrong with the check of it.
func (m *image) leafTrial(t *testing.T, rnd *rand.Rand, how string, by craft, public bool) (what, wrong string) {
	c := m.tamper(rnd, how, by == fitting || by == counterfeit)
	if by == fitting || by == counterfeit {
		c.fit(t, len(c.leaves)-len(m.leaves))
	}
	dir := m.write(t, &c, by)
	defer os.RemoveAll(dir)
	what = fmt.Sprintf("%s, craft %d, public %v", c.what, by, public)
	r, err := Check(dir, CheckOptions{Public: public})
	if err != nil {
		return what, err.Error()
	}
	between := func() string {
		earlier, err := Check(dir, CheckOptions{Public: true, Earlier: m.heads})
		if err != nil || !m.named(&earlier, c.first, c.last, true) {
			return fmt.Sprintf("not between the heads kept: %v %q", err, earlier.Problems)
		}
		return ""
	}
	switch {
	case by == counterfeit && public && !r.OK():
		return what, fmt.Sprintf("files alone show it, which the documents deny: %q", r.Problems)
	case by == counterfeit:
		return what, between()
	case r.OK() && by != resigning:
		return what, "not found"
	case by == plainly && !m.named(&r, c.first, c.first, false):
		return what, fmt.Sprintf("not located: %q", r.Problems)
	case by == plainly, m.named(&r, c.first, totalsAfter(c.leaves, c.last), false):
		return what, ""
	case by != resigning && !slices.ContainsFunc(r.Problems, func(s string) bool { return strings.HasPrefix(s, "entries: ") }):
		return what, fmt.Sprintf("no file named: %q", r.Problems)
	}
	return what, between()
}

// fileTrial cuts a segment, swaps two, or turns a bit of any file.
func (m *image) fileTrial(t *testing.T, rnd *rand.Rand, how string, public bool) (what, wrong string) {
	n := rnd.IntN(len(m.starts))
	name := fmt.Sprintf("entries/%06d", n)
	first := m.starts[n]
	var dir string
	switch how {
	case "cut":
		b, _ := os.ReadFile(filepath.Join(m.dir, name))
		at := rnd.IntN(len(b))
		if rnd.IntN(2) == 0 { // between two frames: nothing is torn
			k := m.starts[n] + rnd.Int64N(int64(len(m.leaves))-m.starts[n])
			if _, end := m.segmentOf(first); k < end {
				at = len(frames(m.leaves[first:k]))
			}
		}
		dir = m.beside(t, name)
		lay(t, dir, name, b[:at])
		for pos := 0; first < int64(len(m.leaves)) && pos+6+len(m.leaves[first]) <= at; first++ {
			pos += 6 + len(m.leaves[first])
		}
		what = fmt.Sprintf("cut %s at byte %d", name, at)
	case "segment":
		if n == len(m.starts)-1 && rnd.IntN(2) == 0 || len(m.starts) < 2 {
			dir = m.beside(t, name)
			what = "take away " + name
			break
		}
		k := (n + 1 + rnd.IntN(len(m.starts)-1)) % len(m.starts)
		other := fmt.Sprintf("entries/%06d", k)
		dir = m.beside(t, name, other)
		_ = os.Symlink(filepath.Join(m.dir, name), filepath.Join(dir, other))
		_ = os.Symlink(filepath.Join(m.dir, other), filepath.Join(dir, name))
		first = min(first, m.starts[k])
		what = "swap " + name + " and " + other
	case "bit":
		return m.bitTrial(t, rnd, public)
	}
	defer os.RemoveAll(dir)
	return what, m.judged(dir, public, first, "\x00")
}

// bitTrial turns one bit of a file that is part of the evidence.
func (m *image) bitTrial(t *testing.T, rnd *rand.Rand, public bool) (what, wrong string) {
	names := []string{"entries/%06d", "entries/%06d", "entries/%06d", "tile0", "tile1", "offsets", "checkpoint", "format"}
	if !public {
		rules, _ := filepath.Glob(filepath.Join(m.dir, "rules", "*"))
		names = append(names, "seeds", "private/000000", "packets/000000", "rules/"+filepath.Base(rules[rnd.IntN(len(rules))]))
	}
	name := names[rnd.IntN(len(names))]
	first := int64(-1)
	if strings.Contains(name, "%") {
		name = fmt.Sprintf(name, rnd.IntN(len(m.starts)))
	}
	b, err := os.ReadFile(filepath.Join(m.dir, name))
	if err != nil || len(b) == 0 {
		return name, fmt.Sprint("cannot be read: ", err)
	}
	at := rnd.IntN(len(b))
	b[at] ^= 1 << rnd.IntN(8)
	if kind, number, _ := strings.Cut(name, "/"); kind == "entries" {
		n, _ := strconv.Atoi(number)
		first = m.starts[n]
		for pos := 6 + len(m.leaves[first]); pos <= at; pos += 6 + len(m.leaves[first]) {
			first++
		}
	}
	dir := m.beside(t, name)
	defer os.RemoveAll(dir)
	lay(t, dir, name, b)
	if kind, _, _ := strings.Cut(name, "/"); first < 0 && (kind == "seeds" || kind == "private" || kind == "packets" || kind == "rules") {
		name = "leaf"
	}
	return fmt.Sprintf("bit of byte %d of %s", at, name), m.judged(dir, public, first, name)
}

// Every byte of the file that says what the log is: another letter, or the same one in another case.
func TestEveryByteOfFormatIsFoundAndNamed(t *testing.T) {
	m := madeLog(t, 50, 5000)
	format, err := os.ReadFile(filepath.Join(m.dir, "format"))
	if err != nil {
		t.Fatal(err)
	}
	for at := range format {
		for _, bit := range []int{at % 5, 5} {
			b := bytes.Clone(format)
			b[at] ^= 1 << bit
			dir := m.beside(t, "format")
			lay(t, dir, "format", b)
			r, err := Check(dir, CheckOptions{Public: true})
			if said := fmt.Sprint(err, r.Problems); err == nil && r.OK() || !strings.Contains(said, "format") {
				t.Errorf("bit %d of byte %d: %s", bit, at, said)
			}
			_ = os.RemoveAll(dir)
		}
	}
}

// judged checks a folder that must be found wrong: at a leaf, or by a word.
func (m *image) judged(dir string, public bool, leaf int64, word string) string {
	r, err := Check(dir, CheckOptions{Public: public})
	switch {
	case err != nil:
		return err.Error()
	case r.OK():
		return "not found"
	case leaf >= 0 && m.named(&r, leaf, leaf, false):
		return ""
	case leaf < 0 && strings.Contains(strings.Join(r.Problems, "\n"), word):
		return ""
	}
	return fmt.Sprintf("not located at %d, %s: %q", leaf, word, r.Problems)
}

// TestTampering changes a log in every way there is, at random places, and demands that each change is found, and the
// leaf or the file named. DEJPHA_TAMPER is how many times, DEJPHA_TAMPER_LEAVES in how large a log; in ordinary runs few.
func TestTampering(t *testing.T) {
	number := func(name string, otherwise int) int {
		if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
			return n
		}
		return otherwise
	}
	trials := number("DEJPHA_TAMPER", 63)
	leaves := number("DEJPHA_TAMPER_LEAVES", 8_000)
	long := leaves > 100_000
	m := madeLog(t, leaves, min(segment.FileBytes, int64(leaves)*25))
	if r := whole(t, m.dir); r.Size != int64(len(m.leaves)) || len(m.starts) < 4 {
		t.Fatalf("%d leaves in %d segments", r.Size, len(m.starts))
	}
	rnd := rand.New(rand.NewPCG(uint64(number("DEJPHA_TAMPER_SEED", 1)), 11))
	kinds := []string{"insert", "remove", "relabel", "reorder", "cut", "segment", "bit"}
	found, tried := 0, map[string]int{}
	for i := range trials {
		how := kinds[i%len(kinds)]
		var what, wrong string
		public := long || i%3 > 0
		if i%len(kinds) < 4 {
			by := craft(rnd.IntN(int(crafts)))
			what, wrong = m.leafTrial(t, rnd, how, by, public)
			how = fmt.Sprintf("%s/%d", how, by)
		} else {
			what, wrong = m.fileTrial(t, rnd, how, public)
		}
		tried[how]++
		if wrong != "" {
			t.Errorf("trial %d, %s: %s", i, what, wrong)
			continue
		}
		found++
		if long && i%50 == 49 {
			t.Logf("%d of %d found and located", found, i+1)
		}
	}
	t.Logf("%d leaves in %d segments: %d of %d found and located; %v", len(m.leaves), len(m.starts), found, trials, tried)
}
