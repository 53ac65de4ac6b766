package check

import (
	"crypto/sha256"
	"math/bits"
)

// Hash is a node of an RFC 6962 tree.
type Hash [sha256.Size]byte

// leafHash is SHA-256(0x00 | leaf); buf is scratch of at least one byte more than the leaf.
func leafHash(leaf, buf []byte) Hash {
	buf = append(append(buf[:0], 0), leaf...)
	return sha256.Sum256(buf)
}

func nodeHash(l, r Hash) Hash {
	var b [1 + 2*len(l)]byte
	b[0] = 1
	copy(b[1:], l[:])
	copy(b[1+len(l):], r[:])
	return sha256.Sum256(b[:])
}

// included checks an inclusion path (RFC 9162, 2.1.3.2).
func included(index, size int64, leaf Hash, path []Hash, root Hash) bool {
	if index < 0 || index >= size {
		return false
	}
	fn, sn, r := uint64(index), uint64(size-1), leaf
	for _, p := range path {
		if sn == 0 {
			return false
		}
		if fn&1 == 1 || fn == sn {
			r = nodeHash(p, r)
			for fn&1 == 0 && fn != 0 {
				fn, sn = fn>>1, sn>>1
			}
		} else {
			r = nodeHash(r, p)
		}
		fn, sn = fn>>1, sn>>1
	}
	return sn == 0 && r == root
}

// consistent checks that the tree of the first size is a prefix of the second (RFC 9162, 2.1.4.2).
func consistent(size1, size2 int64, root1, root2 Hash, proof []Hash) bool {
	if size1 < 0 || size1 > size2 {
		return false
	}
	if size1 == size2 {
		return root1 == root2 && len(proof) == 0
	}
	if size1 == 0 {
		return root1 == sha256.Sum256(nil) && len(proof) == 0
	}
	if size1&(size1-1) == 0 {
		proof = append([]Hash{root1}, proof...)
	}
	if len(proof) == 0 {
		return false
	}
	fn, sn := uint64(size1-1), uint64(size2-1)
	up := bits.TrailingZeros64(^fn)
	fn, sn = fn>>up, sn>>up
	fr, sr := proof[0], proof[0]
	for _, c := range proof[1:] {
		if sn == 0 {
			return false
		}
		if fn&1 == 1 || fn == sn {
			fr, sr = nodeHash(c, fr), nodeHash(c, sr)
			for fn&1 == 0 && fn != 0 {
				fn, sn = fn>>1, sn>>1
			}
		} else {
			sr = nodeHash(sr, c)
		}
		fn, sn = fn>>1, sn>>1
	}
	return sn == 0 && fr == root1 && sr == root2
}

// tree is a growing tree as the roots of its complete subtrees, largest first: at most 63 of them.
type tree struct {
	size  uint64
	roots []Hash
}

func (t *tree) add(h Hash) {
	for n := t.size; n&1 == 1; n >>= 1 {
		h = nodeHash(t.roots[len(t.roots)-1], h)
		t.roots = t.roots[:len(t.roots)-1]
	}
	t.roots = append(t.roots, h)
	t.size++
}

func (t *tree) root() Hash {
	if len(t.roots) == 0 {
		return sha256.Sum256(nil)
	}
	h := t.roots[len(t.roots)-1]
	for i := len(t.roots) - 2; i >= 0; i-- {
		h = nodeHash(t.roots[i], h)
	}
	return h
}
