package evidence

import (
	"crypto/sha256"

	"golang.org/x/mod/sumdb/tlog"
)

// tileLevels is how many tile files there are: tile4 begins at 2^32 leaves.
const tileLevels = 5

// tree is the log's RFC 6962 tree as the roots of its complete subtrees, largest first.
type tree struct {
	size  int64
	stack []subtree
	buf   []byte
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

// nodeHash is tlog.NodeHash without its allocations.
func nodeHash(left, right *tlog.Hash) tlog.Hash {
	var b [1 + 2*tlog.HashSize]byte
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[1+tlog.HashSize:], right[:])
	return sha256.Sum256(b[:])
}

// add appends a leaf's hash; emit gets every hash that a tile file takes, of height 8*level.
func (t *tree) add(h tlog.Hash, emit func(level int, h tlog.Hash)) {
	t.size++
	t.grow(h, emit)
}

// grow is that for a leaf that size counts already.
func (t *tree) grow(h tlog.Hash, emit func(level int, h tlog.Hash)) {
	height := 0
	emit(0, h)
	for n := len(t.stack); n > 0 && t.stack[n-1].height == height; n-- {
		h = nodeHash(&t.stack[n-1].hash, &h)
		height++
		t.stack = t.stack[:n-1]
		if height%8 == 0 && height/8 < tileLevels {
			emit(height/8, h)
		}
	}
	t.stack = append(t.stack, subtree{height, h})
}

// root is the tree's head.
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
