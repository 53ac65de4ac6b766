package evidence

import (
	"crypto/sha256"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// tileLevels is how many tile files there are: tile4 begins at 2^32 leaves.
const tileLevels = 5

// tree is the log's RFC 6962 tree as the roots of its complete subtrees, largest first. Two of one height make a node of
// it as soon as somebody hashes them: until then it is owed.
type tree struct {
	size    int64
	stack   []subtree
	settled int // no node is owed of the subtrees before this one
	buf     []byte
}

type subtree struct {
	height int
	hash   tlog.Hash
}

// leafHash is tlog.RecordHash without its allocations.
func (t *tree) leafHash(b []byte) tlog.Hash {
	t.buf = append(append(t.buf[:0], 0), b...)
	return sha256.Sum256(t.buf)
}

// nodeBytes is what a node is the hash of.
type nodeBytes [1 + 2*tlog.HashSize]byte

func node(left, right *tlog.Hash) (b nodeBytes) {
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[1+tlog.HashSize:], right[:])
	return b
}

// nodeHash is tlog.NodeHash without its allocations.
func nodeHash(left, right *tlog.Hash) tlog.Hash {
	b := node(left, right)
	return sha256.Sum256(b[:])
}

// emit gets every hash that a tile file takes, of height 8*level; those of one level in their order.
type emit func(level int, h tlog.Hash)

// add appends a leaf's hash and hashes every node that it completes.
func (t *tree) add(h tlog.Hash, to emit) {
	t.size++
	t.push(h, to)
	t.settle(to)
}

// push appends the hash of a leaf that size counts already; what nodes it completes is owed.
func (t *tree) push(h tlog.Hash, to emit) {
	to(0, h)
	t.stack = append(t.stack, subtree{0, h})
}

// owed is what the oldest node owed is the hash of, if there is one. Heights fall before it, so that its left side
// begins where a node of its height may.
func (t *tree) owed() (b nodeBytes, ok bool) {
	for ; t.settled+1 < len(t.stack); t.settled++ {
		if left, right := &t.stack[t.settled], &t.stack[t.settled+1]; left.height == right.height {
			return node(&left.hash, &right.hash), true
		}
	}
	return b, false
}

// pay takes the hash of the oldest node owed.
func (t *tree) pay(h tlog.Hash, to emit) {
	at := t.settled
	height := t.stack[at].height + 1
	t.stack[at] = subtree{height, h}
	t.stack = slices.Delete(t.stack, at+1, at+2)
	t.settled = max(0, at-1)
	if height%8 == 0 && height/8 < tileLevels {
		to(height/8, h)
	}
}

// settle hashes every node owed.
func (t *tree) settle(to emit) {
	for b, ok := t.owed(); ok; b, ok = t.owed() {
		t.pay(sha256.Sum256(b[:]), to)
	}
}

// root is the tree's head, once nothing is owed.
func (t *tree) root() tlog.Hash {
	n := len(t.stack)
	if n == 0 {
		h, _ := tlog.TreeHash(0, nil)
		return h
	}
	h := t.stack[n-1].hash
	for i := n - 2; i >= 0; i-- {
		h = nodeHash(&t.stack[i].hash, &h)
	}
	return h
}
