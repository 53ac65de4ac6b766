package evidence

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"syscall"
	"testing"
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/evidence/durable"
	"github.com/dejpha/dejpha/evidence/leaves"
	"github.com/dejpha/dejpha/evidence/segment"
)

const t0 = int64(1_700_000_000e9)

func testKey() Key {
	var k Key
	copy(k.seed[:], "a key that only the tests may use")
	return k
}

func options(kind Kind, d *durable.Disk) Options {
	return Options{Kind: kind, Key: testKey(), Disk: d, Rand: rand.NewChaCha8([32]byte{1}), Origin: "example.org/" + kind.String()}
}

func record(i int) attack.Record {
	class := attack.Table()[i%25]
	at := t0 + int64(i)*7e9
	r := attack.Record{ID: uint64(i + 1), State: "closed", Class: class.Name, Techniques: class.Techniques[:1], Severity: class.Severity,
		Risk: attack.Real, Side: attack.Outside, Outcome: attack.Observed, Result: attack.Unknown, Incident: uint64(i + 1),
		Origin: attack.Origin{IP: fmt.Sprintf("192.0.2.%d", i%250), Proven: true, Count: 1}, Target: attack.Target{Group: "10.0.0.0/24", IPs: []string{"10.0.0.1"}, Ports: []uint16{80}, Count: 1, Proto: 6},
		FirstSeen: at - 9e9, LastSeen: at - 5e9, ClosedAt: at, OpenedAt: at - 9e9, Observations: 3, Flows: 1, Packets: 9, Bytes: 900,
		Alerts: []attack.AlertCount{{SID: 7, GID: 1, Rev: 2, Msg: fmt.Sprintf("message %d", i%9), Count: 3}}, Evidence: attack.Evidence{Leaf: -1}}
	r.Retell()
	return r
}

// fill seals n attacks, flushing every few, and returns the acknowledged ones.
func fill(l *Log, n int) (acked []attack.Record, err error) { return fillBy((*Log).Flush, l, n) }

// ways of flushing: at once, or behind what is sealed next.
var ways = map[string]func(*Log) ([]attack.Record, error){"at once": (*Log).Flush, "behind": (*Log).FlushBehind}

func fillBy(flush func(*Log) ([]attack.Record, error), l *Log, n int) (acked []attack.Record, err error) {
	for i := range n {
		r := record(i)
		if err := l.Totals(Ledger{Received: uint64(i) * 10, Inspected: uint64(i) * 10}, r.ClosedAt); err != nil {
			return acked, err
		}
		if err := l.Seal(&r, []byte(fmt.Sprintf("packets of attack %d", i))); err != nil {
			return acked, err
		}
		if i%5 == 4 {
			done, err := flush(l)
			acked = append(acked, done...)
			if err != nil {
				return acked, err
			}
		}
	}
	done, err := l.Close()
	return append(acked, done...), err
}

// whole checks a folder and fails on any problem.
func whole(t *testing.T, dir string) Report {
	t.Helper()
	r, err := CheckAll(dir, "")
	if err != nil || !r.OK() {
		t.Fatalf("check: %v, problems %q", err, r.Problems)
	}
	return r
}

func TestSealAndCheck(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "e")
	l, err := Open(dir, options(Recording, nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.SetRules([]byte("rules"), t0-8e9); err != nil {
		t.Fatal(err)
	}
	acked, err := fill(l, 300)
	if err != nil || len(acked) != 300 {
		t.Fatalf("%d acknowledged, %v", len(acked), err)
	}
	r := whole(t, dir)
	if r.Attacks != 300 || r.ByClass[0] != 12 || r.PrivateOpen != 300 || r.Packets != 300 || !r.SelfCertified || r.Ledger.Received != 2990 {
		t.Errorf("report: %+v", r)
	}
	if r, _ := CheckAll(dir, l.Verifier()); !r.OK() || r.SelfCertified {
		t.Error("the log's own verifier key is not taken")
	}
	var other Key
	if r, _ := CheckAll(dir, other.Verifier("example.org/recording")); r.OK() {
		t.Error("another key verifies the log")
	}
	back, err := Records(dir, 0)
	if err != nil || !reflect.DeepEqual(back, acked) {
		t.Errorf("records read back differ: %v\n%+v\n%+v", err, back[0], acked[0])
	}
	if b, err := ReadPackets(dir, acked[3].Evidence.Leaf); err != nil || string(b) != "packets of attack 3" {
		t.Errorf("packets: %q %v", b, err)
	}
	var wrong *OtherLogError
	if _, err := Open(dir, options(Recording, nil)); !errors.As(err, &wrong) {
		t.Errorf("a second recording into the folder: %v", err)
	}
	if _, err := Open(dir, options(Live, nil)); !errors.As(err, &wrong) {
		t.Errorf("a live log into the folder of a recording: %v", err)
	}
}

func TestSameRunSamePublicBytes(t *testing.T) {
	var sizes [2]int64
	for i := range sizes {
		dir := filepath.Join(t.TempDir(), "e")
		l, err := Open(dir, options(Recording, nil))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fill(l, 100); err != nil {
			t.Fatal(err)
		}
		sizes[i] = l.Size()
	}
	if sizes[0] != sizes[1] {
		t.Errorf("sizes %v", sizes)
	}
}

func TestSilenceIsOneLeaf(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "e")
	l, err := Open(dir, options(Live, nil))
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Totals(Ledger{}, t0)
	if err := l.Totals(Ledger{Received: 1, Inspected: 1}, t0+30*365*24*3600e9); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if r := whole(t, dir); r.Size > 5 || len(r.Gaps) != 1 {
		t.Errorf("thirty silent years: %d leaves, gaps %q", r.Size, r.Gaps)
	}
}

func TestResumeAfterStopAndCrash(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "e")
	for run := range 3 {
		l, err := Open(dir, options(Live, nil))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 10 {
			r := record(run*10 + i)
			if err := errors.Join(l.Totals(Ledger{Received: 5, Inspected: 5}, r.ClosedAt), l.Seal(&r, nil)); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Snapshot([]byte("open accounts")); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if r := whole(t, dir); r.Attacks != uint64(run+1)*10 || r.Ledger.Received != uint64(run+1)*5 || len(r.Gaps) != 0 {
			t.Errorf("run %d: %d attacks, ledger %+v, gaps %q", run, r.Attacks, r.Ledger, r.Gaps)
		}
	}
	l, err := Open(dir, options(Live, nil))
	if err != nil {
		t.Fatal(err)
	}
	saved, since, err := l.Resume()
	if string(saved) != "open accounts" || err != nil || len(since) != 0 {
		t.Errorf("resume: %q, %d since, %v", saved, len(since), err)
	}
	if _, err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestFailAtEveryStep cuts the power at each change of the disk, with the change lost and landed: what was
// acknowledged is there after a restart, nothing is counted twice, and everything verifies.
func TestFailAtEveryStep(t *testing.T) {
	for name, flush := range ways {
		t.Run(name, func(t *testing.T) { failAtEveryStep(t, flush) })
	}
}

func failAtEveryStep(t *testing.T, flush func(*Log) ([]attack.Record, error)) {
	steps := 0
	for n := 1; ; n++ {
		fired := false
		for _, landed := range []bool{false, true} {
			dir := filepath.Join(t.TempDir(), "e")
			disk := durable.Faulty(n, landed)
			var acked []attack.Record
			l, err := Open(dir, options(Live, disk))
			if err == nil {
				acked, err = fillBy(flush, l, 12)
			}
			if err == nil {
				continue
			}
			if fired = true; !errors.Is(err, durable.ErrInjected) {
				t.Fatalf("step %d: %v", n, err)
			}
			if l != nil && l.lock != nil {
				_ = l.lock.Close()
			}
			again, err := Open(dir, options(Live, nil))
			if err != nil {
				t.Fatalf("step %d landed %v: restart: %v", n, landed, err)
			}
			have, err := again.Records(0)
			if err != nil {
				t.Fatalf("step %d landed %v: %v", n, landed, err)
			}
			for i, r := range acked {
				if i >= len(have) || !reflect.DeepEqual(have[i], r) {
					t.Fatalf("step %d landed %v: acknowledged attack %d is missing", n, landed, r.ID)
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
				t.Fatalf("step %d landed %v: %d counted, %d sealed", n, landed, r.Attacks, len(have)+1)
			}
		}
		if !fired {
			break
		}
		steps++
	}
	if steps < 40 {
		t.Errorf("only %d steps", steps)
	}
	t.Logf("%d steps, lost and landed", steps)
}

func TestLateClosingStaysInOrder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "e")
	o := options(Live, nil)
	o.Time = t0 + 3600e9
	l, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	r := record(1) // closed an hour before the start
	if err := l.Seal(&r, nil); err != nil || r.ClosedAt != o.Time {
		t.Errorf("closed at %d: %v", r.ClosedAt, err)
	}
	if _, err := l.Close(); err != nil {
		t.Fatal(err)
	}
	whole(t, dir)
}

func copied(t *testing.T, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "e")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

// TestTamperingIsFound flips a bit, cuts the end off or swaps two stretches in every file of a log.
func TestTamperingIsFound(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "e")
	opt := options(Recording, nil)
	opt.Rules = []byte("alert tcp any any -> any any (sid:1;)")
	l, err := Open(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fill(l, 40); err != nil {
		t.Fatal(err)
	}
	whole(t, dir)
	r := rand.New(rand.NewPCG(5, 6))
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, path)
		if err != nil || d.IsDir() || name == "lock" {
			return err
		}
		b, _ := os.ReadFile(path)
		if len(b) == 0 {
			return nil
		}
		for try := range 12 {
			bad := bytes.Clone(b)
			switch i := r.IntN(len(b)); {
			case try < 8:
				bad[i] ^= 1 << r.IntN(8)
			case try < 10:
				bad = bad[:i]
			default:
				half := len(bad) / 2
				bad = append(append([]byte{}, bad[half:]...), bad[:half]...)
			}
			if bytes.Equal(bad, b) || quiet(name, b, bad) {
				continue
			}
			tampered := copied(t, dir)
			if err := os.WriteFile(filepath.Join(tampered, name), bad, 0o600); err != nil {
				t.Fatal(err)
			}
			if rep, err := CheckAll(tampered, l.Verifier()); err == nil && rep.OK() {
				t.Errorf("%s: tampering %d was not found", name, try)
			}
		}
		return nil
	})
}

// quiet names the bytes that carry nothing: seeds of leaves without a private part.
func quiet(name string, a, b []byte) bool {
	if name == "format" { // the fields that only a person reads
		return true
	}
	if name != "seeds" || len(a) != len(b) {
		return false
	}
	for i := 0; i+slotBytes <= len(a); i += slotBytes {
		if !bytes.Equal(a[i:i+slotBytes], b[i:i+slotBytes]) && decodeSlot(a[i:]).private != 0 {
			return false
		}
	}
	return true
}

func TestEraseAndRetain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "e")
	l, err := Open(dir, options(Live, nil))
	if err != nil {
		t.Fatal(err)
	}
	r := record(1)
	if err := l.Seal(&r, []byte("packets")); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := l.Erase(r.Evidence.Leaf, r.ClosedAt, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadRecord(dir, r.Evidence.Leaf); !errors.Is(err, ErrErased) {
		t.Errorf("erased record: %v", err)
	}
	if b, _ := os.ReadFile(segment.Name(filepath.Join(dir, "packets"), 0)); bytes.Contains(b, []byte("packets")) {
		t.Error("the packets are still there")
	}
	if rep := whole(t, dir); rep.Attacks != 1 || rep.Erased != 1 || rep.NotRerun != 1 {
		t.Errorf("report: %+v", rep)
	}
	// without the event, the same hole is a finding
	quietly := filepath.Join(t.TempDir(), "q")
	l, _ = Open(quietly, options(Live, nil))
	r = record(1)
	_ = l.Seal(&r, []byte("packets"))
	_, _ = l.Close()
	_ = durable.OS().Overwrite(filepath.Join(quietly, "seeds"), r.Evidence.Leaf*slotBytes, make([]byte, seedBytes))
	if rep, _ := CheckAll(quietly, ""); rep.OK() {
		t.Error("an erasure that the log does not name was not found")
	}
}

func TestKnownLeaves(t *testing.T) {
	l := AttackLeaf{Flags: leaves.FlagSide, Class: 13, OutcomeResult: 8, Severity: 2, Ordinal: 1, ClosedAt: 2, Technique: techniqueNumber("T1110.001"), Port: 443}
	b := l.Append(nil)
	if len(b) != 200 || hex.EncodeToString(b[:16]) != "01010004000d08020000000000000001" || hex.EncodeToString(b[80:92]) != "0010eff100000000"+"0000"+"01bb" {
		t.Errorf("%d bytes, %x %x", len(b), b[:16], b[80:92])
	}
	if want := (((13*3+2)*3+2)*3+0)*2 + 1; l.Cell() != want {
		t.Errorf("cell %d, want %d", l.Cell(), want)
	}
	tl := TotalsLeaf{Flags: leaves.FlagStart, Number: 3, Previous: 9, Time: 5}
	tl.Counters[0], tl.Counters[10] = 1, 300
	if b := tl.Append(nil); len(b) != 151 || hex.EncodeToString(b[144:]) != "0002"+"0001"+"09ac02" {
		t.Errorf("totals: %d bytes, %x", len(b), b[144:])
	}
}

func FuzzLeaves(f *testing.F) {
	f.Add((&AttackLeaf{Ordinal: 1}).Append(nil))
	tl := TotalsLeaf{Number: 1}
	tl.Counters[5] = 7
	f.Add(tl.Append(nil))
	f.Add((&EventLeaf{Code: CodeGap, Data: []byte("x")}).Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, err := leaves.DecodeAttack(b); err == nil && !bytes.Equal(l.Append(nil), b) {
			t.Error("attack leaf does not encode back")
		}
		if l, err := leaves.DecodeTotals(b); err == nil && !bytes.Equal(l.Append(nil), b) {
			t.Error("totals leaf does not encode back")
		}
		if l, err := leaves.DecodeEvent(b); err == nil && !bytes.Equal(l.Append(nil), b) {
			t.Error("event leaf does not encode back")
		}
		_, _ = leaves.DecodeCorrection(b)
		_, _, _ = openPrivate(b, []byte("a seed of 16 byt"), &wordReader{})
		_, _ = parseCheckpoint(string(b))
	})
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k", "key")
	k, err := LoadKey(durable.OS(), path, rand.NewChaCha8([32]byte{2}))
	if err != nil {
		t.Fatal(err)
	}
	again, err := LoadKey(durable.OS(), path, io.LimitReader(nil, 0))
	if info, _ := os.Stat(path); err != nil || again != k || info.Mode().Perm() != 0o600 {
		t.Errorf("read again: %v", err)
	}
}

// BenchmarkSeal seals attacks of a year, one a second, as a live log does, with the disk's own syncs. Waiting for the disk
// is in leaves/s, not in leaves/cpu-s. max-ms is the longest time from an attack's closing to its acknowledgement.
func BenchmarkSeal(b *testing.B) {
	l, err := Open(filepath.Join(b.TempDir(), "e"), options(Live, nil))
	if err != nil {
		b.Fatal(err)
	}
	kinds := make([]attack.Record, 1000)
	for i := range kinds {
		kinds[i] = record(i)
	}
	var worst, since, under time.Duration // closing of the oldest that waits, and of the oldest whose flush is under way
	flush := func(do func() ([]attack.Record, error)) {
		done, err := do()
		if err != nil {
			b.Fatal(err)
		}
		if len(done) > 0 {
			worst = max(worst, b.Elapsed()-under)
		}
	}
	processor := used(b)
	b.ResetTimer()
	for i := range b.N {
		r := kinds[i%len(kinds)]
		r.ID, r.Incident = uint64(i+1), uint64(i+1)
		r.ClosedAt = t0 + int64(i)*1e9
		r.FirstSeen, r.LastSeen, r.OpenedAt = r.ClosedAt-300e9, r.ClosedAt-300e9, r.ClosedAt-300e9
		if len(l.pending) == 0 {
			since = b.Elapsed()
		}
		if err := l.Seal(&r, nil); err != nil {
			b.Fatal(err)
		}
		if len(l.pending) >= batchLeaves || i == b.N-1 || b.Elapsed()-since >= time.Duration(batchLive) {
			flush(l.FlushBehind)
			under = since
		}
	}
	flush(l.Await)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "leaves/s")
	b.ReportMetric(float64(b.N)/(used(b)-processor).Seconds(), "leaves/cpu-s")
	b.ReportMetric(float64(worst.Microseconds())/1000, "max-ms")
}

// used is the processor time that this process took so far.
func used(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
