package evidence

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"path/filepath"
	"testing"
)

// root follows an inclusion path by RFC 9162 section 2.1.3.2, with no code of the sealer.
func root(leaf []byte, index, size int64, path [][]byte) []byte {
	h := sha256.Sum256(append([]byte{0}, leaf...))
	fn, sn := index, size-1
	node := func(l, r []byte) { h = sha256.Sum256(append(append([]byte{1}, l...), r...)) }
	for _, p := range path {
		if fn&1 == 1 || fn == sn {
			node(p, bytes.Clone(h[:]))
			for fn&1 == 0 && fn != 0 {
				fn, sn = fn>>1, sn>>1
			}
		} else {
			node(bytes.Clone(h[:]), p)
		}
		fn, sn = fn>>1, sn>>1
	}
	return h[:]
}

func TestProofOfEveryLeaf(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "e")
	l, err := Open(dir, options(Recording, nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fill(l, 700); err != nil {
		t.Fatal(err)
	}
	size := whole(t, dir).Size
	for i := range size {
		p, err := ReadProof(dir, i)
		if err != nil {
			t.Fatalf("leaf %d: %v", i, err)
		}
		if got := root(p.Leaf, p.Index, p.Size, p.Path); !bytes.Equal(got, p.Root) {
			t.Fatalf("leaf %d of %d: its path leads to %x, the root is %x", i, size, got, p.Root)
		}
	}
	if _, err := ReadProof(dir, size); !errors.Is(err, ErrUnsealed) {
		t.Errorf("leaf past the end: %v", err)
	}
}

func TestCommitmentsOpenTheLeaf(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "e")
	l, err := Open(dir, options(Recording, nil))
	if err != nil {
		t.Fatal(err)
	}
	acked, err := fill(l, 3)
	if err != nil {
		t.Fatal(err)
	}
	leaf := acked[1].Evidence.Leaf
	c, err := Commitments(dir, leaf)
	if err != nil {
		t.Fatal(err)
	}
	b := []byte{0x21}
	for _, x := range c {
		b = append(b, x[:]...)
	}
	raw, err := ReadLeaf(dir, leaf)
	if err != nil {
		t.Fatal(err)
	}
	a, err := ReadAttackLeaf(raw)
	if err != nil || a.Private != sha256.Sum256(b) {
		t.Errorf("the commitments do not hash to the leaf's: %v", err)
	}
}
