package claim

import (
	"math"
	"path/filepath"
	"testing"
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/evidence"
)

// long makes a log of n attacks over a day in forty cells, flushed as a recording is.
func long(t testing.TB, n int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "e")
	l, err := evidence.Open(dir, testOptions(t, evidence.Recording, 1))
	must(t, err)
	for i := range n {
		r := record(i, time.Duration(i)*(24*time.Hour/time.Duration(n)))
		r.Class = attack.Table()[i%20].Name
		must(t, l.Totals(evidence.Ledger{Received: uint64(i), Inspected: uint64(i)}, r.ClosedAt), l.Seal(&r, nil))
		if l.Due(r.ClosedAt) {
			_, err := l.Flush()
			must(t, err)
		}
	}
	_, err = l.Close()
	must(t, err)
	return dir
}

// proof is the bytes of a claim's file that are its proof: checkpoint, leaves, hashes.
func proof(c *Claim) int {
	return len(encode(c.Checkpoint)) + len(encode(c.Leaves)) + len(encode(c.Hashes))
}

// A proof grows with the logarithm of the log: each doubling puts a level over each end of the window, which a leaf and
// the one after it share: two hashes of 47 bytes in the file, and four places of 4. So what a log of this size takes tells
// what one of 33,000,000 attacks takes.
func TestProofIsSmall(t *testing.T) {
	n := 1_000_000
	if testing.Short() {
		n = 20_000
	}
	dir := long(t, n)
	h, err := evidence.ReadHead(dir)
	must(t, err)
	began := time.Now()
	c, err := Make(dir, Select{Class: []string{"brute-force"}}, window(7*time.Hour, 15*time.Hour))
	must(t, err)
	made := time.Since(began)
	began = time.Now()
	c = holds(t, c)
	checked := time.Since(began)
	grown := proof(c) + int(math.Ceil(math.Log2(33e6*1.1/float64(h.Size))))*(2*47+4*4)
	t.Logf("%d leaves: proof %d bytes of %d, %d hashes; made in %v, read and checked in %v; at 36 million leaves about %d bytes",
		h.Size, proof(c), len(c.Encode()), len(c.Hashes), made, checked, grown)
	if grown > 6*1024 {
		t.Errorf("%d bytes at 36 million leaves", grown)
	}
	// Every window is found, whatever end lies where.
	for i := range 40 {
		w := window(time.Duration(i)*33*time.Minute, time.Duration(i)*33*time.Minute+11*time.Hour)
		c, err := Make(dir, Select{}, w)
		if err != nil {
			t.Fatalf("%d: %v", i, err)
		}
		holds(t, c)
	}
	all, err := Whole(dir)
	must(t, err)
	if c, err = Make(dir, Select{}, all); err != nil || c.Count.Net != int64(n) {
		t.Errorf("all: %v %+v", err, c.Count)
	}
}
