package evidence

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dejpha/dejpha/evidence/durable"
	"github.com/dejpha/dejpha/evidence/leaves"
)

// A log's heads, proofs, tiles and bundles are those of its tree, at every size.
func TestWhatALogPublishes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "e")
	l, err := Open(dir, options(Live, nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fill(l, 300); err != nil {
		t.Fatal(err)
	}
	p, err := ReadHead(dir)
	if err != nil || p.Size != l.Size() || p.Key != l.Verifier() || p.Size <= TileWidth {
		t.Fatalf("%+v %v", p.Checkpoint, err)
	}
	var leaves [][]byte
	for i := range p.Size {
		b, err := ReadLeaf(dir, i)
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, b)
	}
	for _, old := range []int64{0, 1, 2, 255, 256, 257, p.Size - 1, p.Size} {
		before, err := RootAt(dir, old)
		if err != nil {
			t.Fatal(err)
		}
		proof, err := Consistency(dir, old, p.Size)
		if err != nil || old > 0 && tlog.CheckTree(proof, p.Size, p.Root, old, before) != nil || old == 0 && proof != nil {
			t.Errorf("from %d: %v", old, err)
		}
	}
	if _, err := Consistency(dir, p.Size+1, p.Size); err == nil {
		t.Error("a proof back in time")
	}
	for n := int64(0); n*TileWidth < p.Size; n++ {
		want := min(TileWidth, p.Size-n*TileWidth)
		tile, err1 := ReadTile(dir, p.Size, 0, n, want)
		entries, err2 := ReadBundle(dir, p.Size, n, want)
		if err1 != nil || err2 != nil || len(tile) != int(want)*32 {
			t.Fatal(err1, err2)
		}
		for i := range want {
			leaf := leaves[n*TileWidth+i]
			h := tlog.RecordHash(leaf)
			if !bytes.Equal(tile[i*32:][:32], h[:]) || int(be.Uint16(entries)) != len(leaf) || !bytes.Equal(entries[2:][:len(leaf)], leaf) {
				t.Fatalf("tile %d, entry %d", n, i)
			}
			entries = entries[2+len(leaf):]
		}
		if len(entries) != 0 {
			t.Error("a bundle holds more than was asked for")
		}
	}
	for _, x := range []struct {
		level   int
		n, want int64
	}{{0, 0, 257}, {0, 0, 0}, {0, -1, 1}, {-1, 0, 1}, {5, 0, 1}, {1, 0, 3}, {0, 2, 256}, {0, 1 << 60, 1}, {2, 0, 1}} {
		if _, err := ReadTile(dir, p.Size, x.level, x.n, x.want); !errors.Is(err, ErrNoTile) {
			t.Errorf("%+v: %v", x, err)
		}
		if _, err := ReadBundle(dir, p.Size, x.n, x.want); x.level == 0 && !errors.Is(err, ErrNoTile) {
			t.Errorf("%+v: %v", x, err)
		}
	}
}

// A log names the newest cosigned checkpoint in its totals leaves, also after a start, and a check holds it against the
// leaves.
func TestCosignedCheckpointIsNamedAndChecked(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "e")
	l, err := Open(dir, options(Live, nil))
	if err != nil {
		t.Fatal(err)
	}
	last := func() *TotalsLeaf {
		b, err := ReadLeaf(dir, l.Size()-1)
		if err != nil {
			t.Fatal(err)
		}
		x, err := leaves.DecodeTotals(b)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	if b, err := ReadCosigned(dir); b != nil || err != nil {
		t.Fatalf("%q %v", b, err)
	}
	_ = l.Totals(Ledger{}, t0)
	if _, err := l.Flush(); err != nil || last().Cosigned != [32]byte{} {
		t.Fatal(err, last().Cosigned)
	}
	head, err := ReadHead(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := KeepCosigned(durable.OS(), dir, head.Note); err != nil {
		t.Fatal(err)
	}
	l.Cosigned(head.Note)
	_ = l.Totals(Ledger{}, t0+100e9)
	if _, err := l.Close(); err != nil || last().Cosigned != sha256.Sum256(head.Note) {
		t.Fatal(err, last().Cosigned)
	}
	if l, err = Open(dir, options(Live, nil)); err != nil {
		t.Fatal(err)
	}
	_ = l.Totals(Ledger{}, t0+200e9)
	if _, err := l.Close(); err != nil || last().Cosigned != sha256.Sum256(head.Note) {
		t.Fatal(err, last().Cosigned)
	}
	if r := whole(t, dir); r.Cosigned != head.Size {
		t.Errorf("cosigned: %d", r.Cosigned)
	}
	// Another run with the same key is another history: what witnesses signed of it does not fit.
	for what, other := range map[string]int{"another history": 0, "the log was cut": 300} {
		far := filepath.Join(t.TempDir(), "e")
		o, err := Open(far, options(Live, nil))
		if err != nil {
			t.Fatal(err)
		}
		if other == 0 {
			_ = o.Totals(Ledger{Received: 1, Inspected: 1}, t0)
			_, _ = o.Flush()
		}
		if _, err := fill(o, other); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(far, "checkpoint"))
		if err != nil {
			t.Fatal(err)
		}
		if err := KeepCosigned(durable.OS(), dir, b); err != nil {
			t.Fatal(err)
		}
		c, _ := OpenCheckpoint(b, o.Verifier())
		if r, err := CheckAll(dir, ""); err != nil || r.OK() || !strings.Contains(r.Problems[0], what) {
			t.Errorf("%d leaves: %v %q, want %q", c.Size, err, r.Problems, what)
		}
	}
	if err := KeepCosigned(durable.OS(), dir, []byte("nonsense")); err != nil {
		t.Fatal(err)
	}
	if r, err := CheckAll(dir, ""); err != nil || r.OK() {
		t.Errorf("nonsense is accepted: %v", err)
	}
}
