package amend

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/evidence/durable"
	"github.com/dejpha/dejpha/evidence/leaves"
)

const t0 = int64(1_700_000_040e9)

// whole checks a log and fails on any problem.
func whole(t *testing.T, dir string) evidence.Report {
	t.Helper()
	r, err := evidence.CheckAll(dir, "")
	if err != nil || !r.OK() {
		t.Fatalf("check: %v, problems %q", err, r.Problems)
	}
	return r
}

// stopped makes a log of five attacks beside its key, closes it, and returns how it is found and their leaves.
func stopped(t *testing.T, kind evidence.Kind) (s Stopped, sealed []int64) {
	t.Helper()
	run := t.TempDir()
	random := rand.NewChaCha8([32]byte{1})
	key, err := evidence.LoadKey(durable.OS(), filepath.Join(run, "log.key"), random)
	if err != nil {
		t.Fatal(err)
	}
	l, err := evidence.Open(filepath.Join(run, "evidence"), evidence.Options{Kind: kind, Key: key, Rand: random, Origin: "example.org/x", Time: t0})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		at := t0 + int64(i)*40e9
		r := attack.Record{ID: uint64(i + 1), State: "closed", Class: attack.Table()[i].Name, Severity: 3, Risk: attack.Real, Side: attack.Outside, Outcome: attack.Observed, Result: attack.Unknown, Incident: 1,
			Origin: attack.Origin{IP: fmt.Sprintf("192.0.2.%d", 7+i), Proven: true, Count: 1}, Target: attack.Target{Group: "10.0.0.0/24", IPs: []string{"10.0.0.1"}, Count: 1, Proto: 6},
			FirstSeen: at - 9e9, LastSeen: at - 5e9, ClosedAt: at, OpenedAt: at - 9e9, Observations: 3, Packets: 9, Bytes: 900, Evidence: attack.Evidence{Leaf: -1}}
		if err := l.Seal(&r, []byte("packets")); err != nil {
			t.Fatal(err)
		}
		sealed = append(sealed, r.Evidence.Leaf)
	}
	if _, err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Find(run, ""); err != nil {
		t.Fatal(err)
	}
	return s, sealed
}

// A withdrawn attack counts no longer, its leaf and its cell's count stay, and no attack is withdrawn twice: not in one
// run, not in the next, and not one that is none. What is refused leaves the log as it was.
func TestWithdraw(t *testing.T) {
	for _, kind := range []evidence.Kind{evidence.Live, evidence.Recording, evidence.Demo} {
		s, sealed := stopped(t, kind)
		before := whole(t, s.Log)
		for wrong, want := range map[int64]string{0: "is not an attack's", before.Size: "is not in the log", -1: "is not in the log"} {
			var no *evidence.WithdrawError
			if err := s.Withdraw(durable.OS(), []int64{sealed[0], wrong}, t0, "why"); !errors.As(err, &no) || no.Leaf != wrong || !strings.Contains(err.Error(), want) {
				t.Errorf("%d: %v, want %q", wrong, err, want)
			}
		}
		if after := whole(t, s.Log); after.Size != before.Size {
			t.Errorf("what was refused wrote %d leaves", after.Size-before.Size)
		}
		l, err := s.Open(durable.OS(), t0+3600e9)
		if err != nil {
			t.Fatal(err)
		}
		var no *evidence.WithdrawError
		for _, list := range [][]int64{{sealed[0], 0}, {sealed[0], l.Size()}, {sealed[0], sealed[0]}} {
			if err := l.Withdraw(list, l.Now(), "why"); !errors.As(err, &no) {
				t.Errorf("%v: %v", list, err)
			}
		}
		if err := l.Withdraw([]int64{sealed[3]}, l.Now(), "a false alarm"); err != nil {
			t.Fatal(err)
		}
		if err := l.Withdraw([]int64{sealed[3]}, l.Now(), "again"); !errors.As(err, &no) {
			t.Errorf("twice in one run: %v", err)
		}
		if _, err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if err := s.Withdraw(durable.OS(), sealed[3:4], t0, "why"); !errors.As(err, &no) {
			t.Errorf("asked for again: %v", err)
		}
		if l, err = s.Open(durable.OS(), t0+7200e9); err != nil {
			t.Fatal(err)
		}
		if err := l.Withdraw(sealed[3:4], l.Now(), "again"); !errors.As(err, &no) {
			t.Errorf("twice over a start: %v", err)
		}
		if err := l.Withdraw(sealed[4:], l.Now(), "another"); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Close(); err != nil {
			t.Fatal(err)
		}
		after := whole(t, s.Log)
		b, err := evidence.ReadLeaf(s.Log, sealed[3])
		if err != nil {
			t.Fatal(err)
		}
		x, err := evidence.ReadAttackLeaf(b)
		if err != nil {
			t.Fatal(err)
		}
		if after.Attacks != 3 || after.Withdrawn != 2 || after.Counters[uint16(2*x.Cell())] != before.Counters[uint16(2*x.Cell())] || after.Counters[uint16(2*x.Cell()+1)] != 1 {
			t.Errorf("%s: %d attacks, %d withdrawn", kind, after.Attacks, after.Withdrawn)
		}
		gone, err := Corrections(s.Log)
		if err != nil || len(gone) != 2 || gone[sealed[3]].Reason != "a false alarm" || gone[sealed[4]].Reason != "another" {
			t.Errorf("%v %v", gone, err)
		}
		if b, err := evidence.ReadLeaf(s.Log, gone[sealed[3]].Leaf); err != nil || b[0] != leaves.TypeCorrection {
			t.Errorf("the correction's leaf: %v %v", b, err)
		}
		// Tampering with it is found, whichever byte it is.
		entries := filepath.Join(s.Log, "entries", "000000")
		was, err := os.ReadFile(entries)
		if err != nil {
			t.Fatal(err)
		}
		bytes := slices.Clone(was)
		at := strings.Index(string(bytes), "a false alarm")
		for i := at - 16; i < at+13; i++ {
			bytes[i] ^= 1
			if err := os.WriteFile(entries, bytes, 0o600); err != nil {
				t.Fatal(err)
			}
			if r, err := evidence.CheckAll(s.Log, ""); err == nil && r.OK() {
				t.Errorf("byte %d of the correction changed, and nothing is wrong", i-at+16)
			}
			bytes[i] ^= 1
		}
	}
}

// Corrections that a crash left whole past the checkpoint are covered by the next one, counted as they were.
func TestCorrectionOverACrash(t *testing.T) {
	for _, cut := range []bool{false, true} { // the file offsets, too
		s, sealed := stopped(t, evidence.Live)
		point, err := os.ReadFile(filepath.Join(s.Log, "checkpoint"))
		if err != nil {
			t.Fatal(err)
		}
		l, err := s.Open(durable.OS(), t0+3600e9)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Withdraw(sealed[1:3], l.Now(), "why"); err != nil {
			t.Fatal(err)
		}
		last := l.Size() - 1 // the totals leaf behind them never came
		l.Abandon()
		name := filepath.Join(s.Log, "entries", "000000")
		end := int64(0)
		if err := evidence.Walk(s.Log, 0, func(i int64, b []byte) bool {
			end += int64(6 + len(b))
			return i+1 < last
		}); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.Truncate(name, end), os.WriteFile(filepath.Join(s.Log, "checkpoint"), point, 0o600)); err != nil {
			t.Fatal(err)
		}
		if cut {
			if err := os.Truncate(filepath.Join(s.Log, "offsets"), 0); err != nil {
				t.Fatal(err)
			}
		}
		if l, err = s.Open(durable.OS(), t0+7200e9); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if r := whole(t, s.Log); r.Attacks != 3 || r.Withdrawn != 2 {
			t.Errorf("%d attacks, %d withdrawn", r.Attacks, r.Withdrawn)
		}
	}
}
