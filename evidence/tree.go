package evidence

import (
	"crypto/sha256"

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

// add appends a leaf's hash and hashes every node that it completes; none is owed before it.
func (t *tree) add(h tlog.Hash, to emit) {
	t.size++
	height := 0
	to(0, h)
	for n := len(t.stack); n > 0 && t.stack[n-1].height == height; n-- {
		h = nodeHash(&t.stack[n-1].hash, &h)
		height++
		t.stack = t.stack[:n-1]
		toLevel(height, h, to)
	}
	t.stack = append(t.stack, subtree{height, h})
}

// toLevel emits a node's hash if a tile file takes it.
func toLevel(height int, h tlog.Hash, to emit) {
	if height%8 == 0 && height/8 < tileLevels {
		to(height/8, h)
	}
}

// push appends the hash of a leaf that size counts already; what nodes it completes is owed.
func (t *tree) push(h tlog.Hash, to emit) {
	to(0, h)
	t.stack = append(t.stack, subtree{0, h})
}

// owes looks for the oldest node owed. Heights fall before it, so that its left side begins where a node of its height may.
func (t *tree) owes() bool {
	for ; t.settled+1 < len(t.stack); t.settled++ {
		if t.stack[t.settled].height == t.stack[t.settled+1].height {
			return true
		}
	}
	return false
}

// owed is what the oldest node owed is the hash of, if there is one.
func (t *tree) owed() (b nodeBytes, ok bool) {
	if !t.owes() {
		return b, false
	}
	return node(&t.stack[t.settled].hash, &t.stack[t.settled+1].hash), true
}

// pay takes the hash of the oldest node owed.
func (t *tree) pay(h tlog.Hash, to emit) {
	at := t.settled
	height := t.stack[at].height + 1
	t.stack[at] = subtree{height, h}
	t.stack = append(t.stack[:at+1], t.stack[at+2:]...)
	t.settled = max(0, at-1)
	toLevel(height, h, to)
}

// settle hashes every node owed.
func (t *tree) settle(to emit) {
	for t.owes() {
		t.pay(nodeHash(&t.stack[t.settled].hash, &t.stack[t.settled+1].hash), to)
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
