package evidence

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/evidence/compact"
	"github.com/dejpha/dejpha/evidence/durable"
	"github.com/dejpha/dejpha/evidence/leaves"
	"github.com/dejpha/dejpha/evidence/segment"
)

// Each test holds the code to a sentence of docs/evidence.md.

// pattern is bytes of which each tells where it stands.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

// Every field of an attack's leaf stands where the format says; what is reserved is 0.
func TestAttackLeafByOffsets(t *testing.T) {
	b := pattern(leaves.AttackBytes)
	b[0], b[1] = 1, 1
	copy(b[2:], []byte{0, 0b11110, 0, 24, 8}) // flags, class, outcome*3 + result
	b[94], b[95] = 0, 0
	l, err := leaves.DecodeAttack(b)
	if err != nil {
		t.Fatal(err)
	}
	u64, u32 := binary.BigEndian.Uint64, binary.BigEndian.Uint32
	for i, x := range []uint64{l.Ordinal, l.ClosedAt, l.FirstSeen, l.LastSeen, l.Packets, l.PacketsStopped, l.Bytes, l.BytesStopped} {
		if at := 8 + 8*i; x != u64(b[at:]) {
			t.Errorf("the u64 at %d was read as %x", at, x)
		}
	}
	for i, x := range []uint32{l.Observations, l.Sensor, l.Technique, l.Rule} {
		if at := 72 + 4*i; x != u32(b[at:]) {
			t.Errorf("the u32 at %d was read as %x", at, x)
		}
	}
	if l.Severity != 7 || l.Family != 88 || l.Proto != 89 || l.Port != 90<<8|91 || l.Action != 92 || l.Stage != 93 || l.TimeToEffect != u64(b[96:]) {
		t.Errorf("%+v", l)
	}
	if !bytes.Equal(l.Ruleset[:], b[104:136]) || !bytes.Equal(l.Private[:], b[136:168]) || !bytes.Equal(l.Incident[:], b[168:]) {
		t.Errorf("hashes %x %x %x", l.Ruleset, l.Private, l.Incident)
	}
	if l.Flags != 2|leaves.FlagSide|leaves.FlagOverflow|leaves.FlagEnd || l.Class != 24 || l.Cell() != (((24*3+2)*3+2)*3+2)*2+1 || l.Cell() != leaves.Cells-1 {
		t.Errorf("flags %b, class %d, cell %d", l.Flags, l.Class, l.Cell())
	}
	for _, bad := range []struct {
		at   int
		to   byte
		what string
	}{{94, 1, "reserved byte"}, {95, 1, "reserved byte"}, {2, 1, "unknown flag"}, {3, 0b111110, "unknown flag"}, {3, 3, "risk"}, {5, 25, "class"}, {6, 9, "result"}, {1, 2, "version"}} {
		x := bytes.Clone(b)
		x[bad.at] = bad.to
		if _, err := leaves.DecodeAttack(x); err == nil {
			t.Errorf("%s: %d at byte %d is taken", bad.what, bad.to, bad.at)
		}
	}
}

// The same of totals and event leaves.
func TestTotalsAndEventLeavesByOffsets(t *testing.T) {
	b := pattern(leaves.TotalsFixed)
	b[0], b[1], b[2], b[3] = 2, 1, 2, 7
	clear(b[4:8])
	b = append(b, 0, 2, 0, 5, 0x81, 0x01, 1) // n; counter 0: 5; 129 further: 1
	l, err := leaves.DecodeTotals(b)
	if err != nil {
		t.Fatal(err)
	}
	u64 := binary.BigEndian.Uint64
	for i, x := range slices.Concat([]uint64{l.Number, l.Previous, l.Time}, func() []uint64 { f := l.Ledger.Fields(); return f[:] }()) {
		if at := 8 + 8*i; x != u64(b[at:]) {
			t.Errorf("the u64 at %d was read as %x", at, x)
		}
	}
	if !bytes.Equal(l.Cosigned[:], b[80:112]) || !bytes.Equal(l.TableID[:], b[112:144]) || l.Counters[0] != 5 || l.Counters[130] != 1 {
		t.Errorf("%x %x %v", l.Cosigned, l.TableID, l.Counters[:131])
	}
	if l.Flags != leaves.FlagStart|leaves.FlagStop|leaves.FlagUnclean|2<<leaves.KindShift {
		t.Errorf("flags %b", l.Flags)
	}
	bad := map[string][]byte{
		"reserved bytes": put(b, 7, 1), "an unknown flag": put(b, 3, 8), "an unknown flag above the kind": put(b, 2, 4), "another version": put(b, 1, 2),
		"a zero total":       append(bytes.Clone(b[:leaves.TotalsFixed]), 0, 1, 0, 0),
		"not shortest":       append(bytes.Clone(b[:leaves.TotalsFixed]), 0, 1, 0x80, 0, 5),
		"bytes left over":    append(bytes.Clone(b), 0),
		"a counter too many": append(bytes.Clone(b[:leaves.TotalsFixed]), append(binary.AppendUvarint([]byte{0, 1}, leaves.CountersMost), 1)...),
	}
	for what, x := range bad {
		if _, err := leaves.DecodeTotals(x); err == nil {
			t.Errorf("%s: taken", what)
		}
	}
	e := slices.Concat([]byte{4, 1, 0, 9}, pattern(16), []byte{0, 3}, []byte("abc"), pattern(32))
	x, err := leaves.DecodeEvent(e)
	if err != nil || x.Code != CodeRetention || x.Time != u64(e[4:]) || x.Attack != u64(e[12:]) || string(x.Data) != "abc" || x.Private[31] != 31 {
		t.Errorf("%+v, %v", x, err)
	}
}

func put(b []byte, at int, v byte) []byte {
	b = bytes.Clone(b)
	b[at] = v
	return b
}

// Numbers that leaves bear may never change their meaning.
func TestNumbersStand(t *testing.T) {
	for i, name := range []string{"decision", "unprotected", "gap", "clock jump", "restart", "caps", "continuation", "erasure", "retention", "rules changed", "authorised"} {
		if c := Code(i + 1); c.String() != name {
			t.Errorf("code %d is %q, want %q", i+1, c, name)
		}
	}
	for i, name := range []string{"live", "recording", "demo"} {
		if Kind(i).String() != name {
			t.Errorf("kind %d is %q", i, Kind(i))
		}
	}
	for n, name := range []string{"foiled", "contained", "observed"} {
		if place(outcomes, name) != n {
			t.Errorf("outcome %s is %d", name, place(outcomes, name))
		}
	}
	for n, name := range []string{"succeeded", "failed", "unknown"} {
		if place(results, name) != n {
			t.Errorf("result %s is %d", name, place(results, name))
		}
	}
	for n, name := range []string{"real", "decoy", "none"} {
		if place(risks, name) != n {
			t.Errorf("risk %s is %d", name, place(risks, name))
		}
	}
	names := strings.Fields(`scan enumeration brute-force web-attack exploit malware c2 tunnel dga spoofing lateral-movement credential-access exfiltration flood
		program-download program-upload plc-stop plc-start mode-change firmware-update unauthorized-write restart address-change replay malformed`)
	for i, c := range attack.Table() {
		if i >= len(names) || c.Name != names[i] {
			t.Errorf("class %d is %s", i, c.Name)
		}
	}
	if len(names) != leaves.Classes || fieldOrigin != 0 || fieldTarget != 1 || fieldAlerts != 2 || fieldPackets != 3 || fieldDetectors != 4 || fieldSubject != 5 || fieldRest != 6 || fieldIncident != 7 {
		t.Error("classes or fields of a private part were moved")
	}
	var k Key
	o := Options{Kind: Recording, Key: k}
	dir := filepath.Join(t.TempDir(), "e")
	l, err := Open(dir, o)
	if err != nil || l.Origin() != "dejpha/recording/"+Fingerprint(k.Verifier("x")) {
		t.Errorf("origin %s, %v", l.Origin(), err)
	}
	l.letGo()
}

// The log of every start says how long nobody watched; a silence past it is named, a crash too.
func TestStartTellsHowLongNobodyWatched(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "e")
	now := t0
	run := func(pause int64, end func(*Log)) (first TotalsLeaf, gaps int) {
		now += pause
		o := options(Live, nil)
		o.Time = now
		l, err := Open(dir, o)
		if err != nil {
			t.Fatal(err)
		}
		size := l.Size()
		now += 5e9
		if err := l.Totals(Ledger{}, now); err != nil {
			t.Fatal(err)
		}
		end(l)
		whole(t, dir)
		_, _ = segment.Scan(filepath.Join(dir, "entries"), func(_ int64, _ uint64, b []byte) error {
			if x, err := leaves.DecodeTotals(b); err == nil && x.Flags&leaves.FlagStart != 0 {
				first = *x
			}
			if x, err := leaves.DecodeEvent(b); err == nil && x.Code == CodeGap {
				gaps++
			}
			return nil
		})
		if size > l.Size() {
			t.Error("the log shrank")
		}
		return first, gaps
	}
	stop := func(l *Log) {
		if _, err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	crash := func(l *Log) {
		if _, err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		l.Abandon()
	}
	for i, x := range []struct {
		pause   int64
		end     func(*Log)
		unclean bool
		gaps    int
	}{{0, stop, false, 0}, {90e9, crash, false, 0}, {90e9, stop, true, 0}, {600e9, stop, false, 1}} {
		began := now + x.pause
		first, gaps := run(x.pause, x.end)
		if first.Time != leaves.Micro(began) || gaps != x.gaps || first.Flags&leaves.FlagUnclean != 0 != x.unclean {
			t.Errorf("run %d: the start is said to be at %d, %d gaps, flags %b; want %d, %d", i, first.Time, gaps, first.Flags, leaves.Micro(began), x.gaps)
		}
	}
}

// A gap event is about a time in which there is no leaf.
func TestGapHoldsNoLeaf(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "e")
	l, err := Open(dir, options(Live, nil))
	if err != nil {
		t.Fatal(err)
	}
	r := record(0)
	r.ClosedAt = t0 + 30e9
	if err := errors.Join(l.Totals(Ledger{}, t0), l.Seal(&r, nil), l.Totals(Ledger{}, t0+400e9)); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Close(); err != nil {
		t.Fatal(err)
	}
	rep := whole(t, dir)
	if want := stamp(leaves.Micro(r.ClosedAt)); len(rep.Gaps) != 1 || !strings.HasPrefix(rep.Gaps[0], "no leaf between "+want) {
		t.Errorf("gaps %q, want one from %s", rep.Gaps, want)
	}
}

// hidden fails if a leaf reached the disk before what it hides.
func hidden(t *testing.T, dir, name string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, "entries")); err != nil {
		return // cut before there was any
	}
	_, _ = segment.Scan(filepath.Join(dir, "entries"), func(i int64, _ uint64, b []byte) error {
		if x, err := leaves.DecodeAttack(b); err == nil {
			if p, err := ReadPrivate(dir, i); err != nil || p[fieldOrigin] == nil || x.Ordinal == 0 {
				t.Fatalf("%s: leaf %d is on the disk, its private part is not: %v", name, i, err)
			}
			if _, err := ReadPackets(dir, i); err != nil {
				t.Fatalf("%s: leaf %d is on the disk, its packets are not: %v", name, i, err)
			}
		}
		return nil
	})
}

// cutAt runs a log on a disk that fails, starts it again, and holds it to what it acknowledged. limit, if not 0, is where
// files of entries end; then what was written before the cut stays written, and its order is looked at, too.
func cutAt(t *testing.T, disk *durable.Disk, limit int64, flush func(*Log) ([]attack.Record, error), name string) (fired bool) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "e")
	var acked []attack.Record
	l, err := Open(dir, options(Live, disk))
	if err == nil {
		if limit > 0 {
			l.entries.Limit = limit
		}
		acked, err = fillBy(flush, l, 12)
	}
	if err == nil {
		return false
	}
	if !errors.Is(err, durable.ErrInjected) {
		t.Fatalf("%s: %v", name, err)
	}
	if l != nil && l.lock != nil {
		_ = l.lock.Close()
	}
	if limit > 0 {
		hidden(t, dir, name)
	}
	again, err := Open(dir, options(Live, nil))
	if err != nil {
		t.Fatalf("%s: restart: %v", name, err)
	}
	have, err := again.Records(0)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	for i, r := range acked {
		if i >= len(have) || have[i].ID != r.ID || have[i].Evidence != r.Evidence {
			t.Fatalf("%s: acknowledged attack %d is missing", name, r.ID)
		}
	}
	next := record(500)
	if err := again.Seal(&next, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if r := whole(t, dir); r.Attacks != uint64(len(have)+1) {
		t.Fatalf("%s: %d counted, %d sealed", name, r.Attacks, len(have)+1)
	}
	return true
}

// A power cut while a new file of entries is begun leaves no leaf whose private part is lost.
func TestFailBetweenFilesOfEntries(t *testing.T) {
	for way, flush := range ways {
		for n := 20; cutAt(t, durable.Faulty(n, true), 900, flush, fmt.Sprintf("%s, step %d", way, n)); n += every(2) {
		}
	}
}

// A power cut that tears: each file keeps a part of what was not synced, with zeros in it.
func TestTornAtEveryStep(t *testing.T) {
	for way, flush := range ways {
		for seed := range uint64(6 / every(6)) {
			for n := 1; cutAt(t, durable.Torn(n, seed), 0, flush, fmt.Sprintf("%s, step %d, seed %d", way, n, seed)); n++ {
			}
		}
	}
}

// every is 1, or n in a short run: each step costs the disk's syncs.
func every(n int) int {
	if testing.Short() {
		return n
	}
	return 1
}

// past makes a log whose last leaves lie past the checkpoint: the checkpoint's own writing failed.
func past(t *testing.T) (dir string, safe int64) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "e")
	l, err := Open(dir, options(Live, nil))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		r := record(i)
		if err := l.Seal(&r, []byte("packets")); err != nil {
			t.Fatal(err)
		}
		if i == 2 {
			if _, err := l.Flush(); err != nil {
				t.Fatal(err)
			}
			safe = l.Size()
		}
	}
	if err := l.syncAll(); err != nil {
		t.Fatal(err)
	}
	l.Abandon()
	return dir, safe
}

// Past the checkpoint a leaf whose private part did not reach the disk is cut like a torn frame; before it, that is damage.
func TestHalfALeafPastTheCheckpoint(t *testing.T) {
	for _, name := range []string{"seeds", "private/000000", "packets/000000"} {
		dir, safe := past(t)
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, info.Size()-5); err != nil {
			t.Fatal(err)
		}
		l, err := Open(dir, options(Live, nil))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if l.Size() <= safe || l.Cut() == 0 {
			t.Errorf("%s: %d leaves of more than %d, %d bytes cut", name, l.Size(), safe, l.Cut())
		}
		r := record(30)
		if err := l.Seal(&r, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Close(); err != nil {
			t.Fatal(err)
		}
		rep := whole(t, dir)
		if rep.Attacks != 6 || rep.RestartCount != 2 || !strings.Contains(rep.Restarts[1], "bytes that a crash left unfinished were cut") {
			t.Errorf("%s: %d attacks, restarts %q", name, rep.Attacks, rep.Restarts)
		}
	}
	var damaged *CorruptError
	for _, name := range []string{"seeds", "entries/000000"} {
		dir, safe := past(t)
		if err := os.Truncate(filepath.Join(dir, name), safe*slotBytes-40); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir, options(Live, nil)); !errors.As(err, &damaged) {
			t.Errorf("%s damaged below the checkpoint: %v", name, err)
		}
	}
}

// What a crash left of packets and private parts that no leaf names is taken away: nobody could find it to erase it.
func TestNothingStaysThatNoLeafNames(t *testing.T) {
	dir, safe := past(t)
	entries := filepath.Join(dir, "entries", "000000")
	var end uint64
	_, _ = segment.Scan(filepath.Dir(entries), func(i int64, pos uint64, b []byte) error {
		if i == safe {
			end = pos
		}
		return nil
	})
	if err := os.Truncate(entries, int64(end)); err != nil { // the leaves are lost, what they hid is not
		t.Fatal(err)
	}
	l, err := Open(dir, options(Live, nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"private", "packets"} {
		leaves := 0
		segment.EachRecord(filepath.Join(dir, name, "000000"), func(int64) bool { leaves++; return true })
		if leaves != 3 {
			t.Errorf("%s: %d records are left, 3 are named", name, leaves)
		}
	}
	if _, err := l.Close(); err != nil {
		t.Fatal(err)
	}
	whole(t, dir)
}

// The side files of two crashes at the same leaf are both kept.
func TestEveryCutIsKept(t *testing.T) {
	dir, _ := past(t)
	path := filepath.Join(dir, "entries", "000000")
	for i := range 2 {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = f.WriteString(strings.Repeat("x", 10+i))
		_ = f.Close()
		l, err := Open(dir, options(Live, nil))
		if err != nil {
			t.Fatal(err)
		}
		l.Abandon() // before anything was written
	}
	names, _ := filepath.Glob(filepath.Join(dir, "cut-*"))
	if len(names) != 2 {
		t.Errorf("side files %q", names)
	}
}

// An older copy of the entries beside a newer snapshot is refused: going on would sign a second history.
func TestOlderCopyIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "e")
	var old string
	for i := range 2 {
		l, err := Open(dir, options(Live, nil))
		if err != nil {
			t.Fatal(err)
		}
		r := record(i)
		if err := l.Seal(&r, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := l.Snapshot([]byte("open")); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			old = copied(t, dir)
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, "accounts"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(old, "accounts"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := Open(old, options(Live, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Abandon()
	var damaged *CorruptError
	if _, _, err := l.Resume(); !errors.As(err, &damaged) {
		t.Errorf("resumed: %v", err)
	}
}

// The table id of a totals leaf is the hash of a file beside the log that names the classes and the rules in force.
func TestTableOfEachIDIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "e")
	o := options(Live, nil)
	o.Rules, o.Time = []byte("first"), t0
	l, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.SetRules([]byte("second"), t0+1e9); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Close(); err != nil {
		t.Fatal(err)
	}
	whole(t, dir)
	ids := map[[32]byte]bool{}
	_, _ = segment.Scan(filepath.Join(dir, "entries"), func(_ int64, _ uint64, b []byte) error {
		if x, err := leaves.DecodeTotals(b); err == nil {
			ids[x.TableID] = true
		}
		return nil
	})
	var rules []string
	for id := range ids {
		b, err := rulesOf(dir, id)
		if err != nil || !bytes.HasPrefix(b, []byte(attack.TableVersion)) {
			t.Fatalf("table %x: %.40q %v", id, b, err)
		}
		text, err := rulesOf(dir, [32]byte(b[len(b)-32:]))
		if err != nil {
			t.Fatal(err)
		}
		rules = append(rules, string(text))
	}
	if slices.Sort(rules); !slices.Equal(rules, []string{"first", "second"}) {
		t.Errorf("rules %q", rules)
	}
	for id := range ids { // of a log that an earlier version began there is only the hash
		_ = os.Remove(rulesFile(dir, id))
	}
	whole(t, dir)
}

// Bad makes a log in which one thing is not as it must be, with everything else in order.
func TestCheckFindsWhatTheSealerWouldNotWrite(t *testing.T) {
	seal := func(l *Log, i int) {
		r := record(i)
		_ = l.Seal(&r, nil)
	}
	for _, x := range []struct {
		want  string
		spoil func(l *Log)
	}{
		{"before that of leaves that precede it", func(l *Log) { seal(l, 3); l.time -= 5e6; _ = l.totals(0, l.time) }},
		{"says of a start", func(l *Log) { _ = l.totals(leaves.FlagStart, l.time) }},
		{"says of a start", func(l *Log) { _ = l.totals(leaves.FlagUnclean, l.time) }},
		{"goes on without a leaf", func(l *Log) { _ = l.totals(leaves.FlagStop, l.time); _ = l.event(CodeCaps, -1, nil, nil) }},
		{"before the totals leaf", func(l *Log) {
			e := EventLeaf{Code: CodeCaps, Time: 1}
			_ = l.append(e.Append(nil))
		}},
		{"does not balance", func(l *Log) { l.ledger.Received++ }},
		{"belongs to a later leaf", func(l *Log) { _ = l.event(CodeCaps, l.tree.size, nil, nil) }},
		{"ordinal 3", func(l *Log) { l.counters[2*cellOfRecord(l, 25)]++; seal(l, 25) }},
		{"corrects what is no counted attack", func(l *Log) { correct(l, 0, leaves.Cells) }},
		{"totals leaf 9 follows", func(l *Log) { l.number = 9 }},
	} {
		dir := filepath.Join(t.TempDir(), "e")
		l, err := Open(dir, options(Live, nil))
		if err != nil {
			t.Fatal(err)
		}
		seal(l, 0)
		x.spoil(l)
		if _, err := l.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := CheckAll(dir, "")
		if err != nil || r.OK() || !strings.Contains(strings.Join(r.Problems, "\n"), x.want) {
			t.Errorf("want %q: %v, problems %q", x.want, err, r.Problems)
		}
	}
}

func cellOfRecord(l *Log, i int) int {
	r := record(i)
	leaf, _ := l.leaf(&r)
	return leaf.Cell()
}

// correct appends a correction leaf of any kind, without counting it.
func correct(l *Log, leaf int64, cell uint32) {
	b := be.AppendUint64([]byte{leaves.TypeCorrection, leaves.Version}, uint64(leaf))
	b = be.AppendUint32(b, cell)
	_ = l.append(append(be.AppendUint16(b, 3), "why"...))
}

// Corrections are read, however far back they reach: gross and withdrawn only rise, net is their difference.
func TestCorrectionsAreCounted(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "e")
	l, err := Open(dir, options(Live, nil))
	if err != nil {
		t.Fatal(err)
	}
	var sealed []int64
	for i := range 3 {
		r := record(i)
		if err := l.Seal(&r, nil); err != nil {
			t.Fatal(err)
		}
		sealed = append(sealed, r.Evidence.Leaf)
	}
	if _, err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	from, to := cellOfRecord(l, 0), cellOfRecord(l, 1)
	correct(l, sealed[0], uint32(to))
	l.counters[2*from+1]++
	l.counters[2*to]++
	correct(l, sealed[0], leaves.Cells)
	l.counters[2*to+1]++
	if _, err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if r := whole(t, dir); r.Attacks != 2 || r.Counters[uint16(2*to)] != 2 || r.Counters[uint16(2*to+1)] != 1 || r.Counters[uint16(2*from+1)] != 1 {
		t.Errorf("%d attacks, counters %v", r.Attacks, r.Counters)
	}
}

// An erasure that a crash cut short can be done again, and one that cannot be done says so.
func TestEraseAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "e")
	l, err := Open(dir, options(Live, nil))
	if err != nil {
		t.Fatal(err)
	}
	r := record(1)
	if err := l.Seal(&r, []byte("packets of somebody")); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "packets", "000000")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	half := bytes.Clone(b)
	clear(half[16:20]) // a crash came after the first bytes
	if err := os.WriteFile(path, half, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := l.Erase(r.Evidence.Leaf, r.ClosedAt, ""); err != nil {
		t.Fatal(err)
	}
	if b, _ = os.ReadFile(path); bytes.Contains(b, []byte("somebody")) {
		t.Error("the packets are still there")
	}
	clear(b[8:16]) // the record is another leaf's
	b[15] = 77
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := l.Erase(r.Evidence.Leaf, r.ClosedAt, ""); err == nil {
		t.Error("packets that cannot be found are said to be erased")
	}
	_, _ = l.Close()
}

// The key is its owner's alone.
func TestKeyThatOthersCanRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if _, err := LoadKey(durable.OS(), path, bytes.NewReader(pattern(32))); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKey(durable.OS(), path, io.LimitReader(nil, 0)); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that a group can read: %v", err)
	}
}

// Commitments by the format's own words, with no code of the sealer.
func TestCommitmentByTheFormat(t *testing.T) {
	seed := pattern(16)
	p := Private{[]byte("origin"), nil, {}, []byte("x")}
	all := []byte{0x21}
	for i, v := range p {
		salt := compact.NewSecrets(seed).Salt(i)
		c := FieldCommitment(i, salt[:], v)
		b := append([]byte{0x20, byte(i)}, aesSalt(seed, byte(i))...)
		if v != nil {
			b = append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
		}
		if want := sha256.Sum256(b); c != want {
			t.Errorf("field %d: %x, want %x", i, c, want)
		}
		all = append(all, c[:]...)
	}
	if p.commitment(seed) != sha256.Sum256(all) {
		t.Error("the commitment is not the hash of its fields")
	}
}

// aesSalt is AES-128 under the seed, of the field's number.
func aesSalt(seed []byte, i byte) []byte {
	block, _ := aes.NewCipher(seed)
	b := make([]byte, 16)
	b[15] = i
	block.Encrypt(b, b)
	return b
}

// Values are encrypted by AES-128 in counter mode, from 2^127 on.
func TestValuesAreMaskedByTheFormat(t *testing.T) {
	for _, n := range []int{0, 1, 15, 16, 17, 1000} {
		seed, b, want := pattern(16), pattern(n), make([]byte, n)
		block, _ := aes.NewCipher(seed)
		cipher.NewCTR(block, append([]byte{0x80}, make([]byte, 15)...)).XORKeyStream(want, b)
		if compact.NewSecrets(seed).Mask(b, nil); !bytes.Equal(b, want) {
			t.Errorf("%d bytes: %x, want %x", n, b, want)
		}
	}
}

// A page of seeds that a power cut left empty is no erasure: past the checkpoint nothing could have been erased, so the leaf
// is as broken as a torn frame.
func TestATornSeedIsNoErasure(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "e")
	l, err := Open(dir, options(Live, nil))
	if err != nil {
		t.Fatal(err)
	}
	first, second := record(1), record(2)
	if err := l.Seal(&first, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Seal(&second, nil), l.syncAll()); err != nil {
		t.Fatal(err)
	}
	l.letGo()
	seeds := filepath.Join(dir, "seeds")
	b, err := os.ReadFile(seeds)
	if err != nil {
		t.Fatal(err)
	}
	clear(b[second.Evidence.Leaf*slotBytes:][:seedBytes])
	if err := os.WriteFile(seeds, b, 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := Open(dir, options(Live, nil))
	if err != nil {
		t.Fatal(err)
	}
	if have, err := again.Records(0); err != nil || len(have) != 1 || have[0].ID != first.ID {
		t.Errorf("sealed are %v, %v", have, err)
	}
	if _, err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if r := whole(t, dir); r.Attacks != 1 {
		t.Errorf("%d attacks are counted", r.Attacks)
	}
}
