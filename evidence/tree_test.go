package evidence

import (
	"crypto/sha256"
	"math/rand/v2"
	"reflect"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// However late the nodes owed are hashed, the tree and its tiles come out as if each had been hashed at once, and few are
// owed where one is paid with each leaf.
func TestNodesOwed(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	for _, paid := range []int{0, 1, 2, -1} { // with each leaf; -1: now and then some
		var once, late tree
		var tilesOnce, tilesLate [tileLevels][]tlog.Hash
		toOnce := func(level int, h tlog.Hash) { tilesOnce[level] = append(tilesOnce[level], h) }
		toLate := func(level int, h tlog.Hash) { tilesLate[level] = append(tilesLate[level], h) }
		for i := range 70_000 {
			h := tlog.Hash{byte(i), byte(i >> 8), byte(i >> 16)}
			once.add(h, toOnce)
			n := paid
			if paid < 0 {
				n = rnd.IntN(4)
			}
			for ; n > 0; n-- {
				if b, ok := late.owed(); ok {
					late.pay(sha256.Sum256(b[:]), toLate)
				}
			}
			late.size++
			late.push(h, toLate)
			if paid == 1 && len(late.stack) > 40 {
				t.Fatalf("%d subtrees after %d leaves", len(late.stack), i+1)
			}
			if i%9973 == 0 || i == 69_999 {
				late.settle(toLate)
				if late.root() != once.root() || !reflect.DeepEqual(late.stack, once.stack) {
					t.Fatalf("%d paid with each: another tree after %d leaves", paid, i+1)
				}
			}
		}
		if !reflect.DeepEqual(tilesLate, tilesOnce) {
			t.Errorf("%d paid with each: other tiles", paid)
		}
	}
}
