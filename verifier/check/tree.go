package check

import (
	"crypto/sha256"
	"math/bits"
	"strings"
)

// Hash is a node of an RFC 6962 tree.
type Hash [sha256.Size]byte

// leafHash is SHA-256(0x00 | leaf); buf is scratch.
func leafHash(leaf, buf []byte) Hash {
	return sha256.Sum256(append(append(buf[:0], 0), leaf...))
}

func nodeHash(l, r Hash) Hash {
	var b [1 + 2*len(l)]byte
	b[0] = 1
	copy(b[1:], l[:])
	copy(b[1+len(l):], r[:])
	return sha256.Sum256(b[:])
}

// climb goes from a node up to the roots of two trees (RFC 9162, 2.1.3.2 and 2.1.4.2): that of which it is in the last
// part, and the whole. fn and sn are the places of the node and of the last one on its level.
func climb(fn, sn uint64, h Hash, path []Hash) (first, second Hash, whole bool) {
	first, second = h, h
	for _, p := range path {
		if sn == 0 {
			return first, second, false
		}
		if fn&1 == 1 || fn == sn {
			first, second = nodeHash(p, first), nodeHash(p, second)
			up := bits.TrailingZeros64(fn | 1<<63)
			fn, sn = fn>>up, sn>>up
		} else {
			second = nodeHash(second, p)
		}
		fn, sn = fn>>1, sn>>1
	}
	return first, second, sn == 0
}

// included checks an inclusion path (RFC 9162, 2.1.3.2).
func included(index, size int64, leaf Hash, path []Hash, root Hash) bool {
	if index < 0 || index >= size {
		return false
	}
	_, top, whole := climb(uint64(index), uint64(size-1), leaf, path)
	return whole && top == root
}

// consistent checks that the tree of the first size is a prefix of the second (RFC 9162, 2.1.4.2).
func consistent(size1, size2 int64, root1, root2 Hash, proof []Hash) bool {
	switch {
	case size1 < 0 || size1 > size2:
		return false
	case size1 == size2:
		return root1 == root2 && len(proof) == 0
	case size1 == 0:
		return root1 == sha256.Sum256(nil) && len(proof) == 0
	case size1&(size1-1) == 0:
		proof = append([]Hash{root1}, proof...)
	case len(proof) == 0:
		return false
	}
	up := bits.TrailingZeros64(uint64(size1))
	first, second, whole := climb(uint64(size1-1)>>up, uint64(size2-1)>>up, proof[0], proof[1:])
	return whole && first == root1 && second == root2
}

// hashLines reads a consistency proof, a hash in base64 a line up to an empty line; what is none is left out and missed.
func hashLines(text string) (proof []Hash) {
	text, _, _ = strings.Cut(text, "\n\n")
	for line := range strings.SplitSeq(text, "\n") {
		if b, ok := unbase(line); ok && len(b) == len(Hash{}) {
			proof = append(proof, Hash(b))
		}
	}
	return proof
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
	n := len(t.roots)
	if n == 0 {
		return sha256.Sum256(nil)
	}
	h := t.roots[n-1]
	for i := n - 2; i >= 0; i-- {
		h = nodeHash(t.roots[i], h)
	}
	return h
}
