// Package pool keeps a conversation's live transactions in order and reuses those released.
//
// Protocols' parsers open transactions here and hand Txs to the driver. It reads no bytes and knows no protocol.
package pool

import "github.com/dejpha/dejpha/app/contract"

// keepFree bounds the spare transactions of a parser at rest in the driver's pool.
const keepFree = 8

// Tx is a pointer to a transaction type; Reuse empties its own fields and keeps their memory.
type Tx[T any] interface {
	*T
	contract.Tx
	Reuse()
}

// Spare is what the conversations of one worker share: transactions released by one serve the next. Without
// it every idle conversation would hold on to its own.
type Spare[T any, P Tx[T]] struct{ free []P }

// spareMax bounds the transactions that lie idle.
const spareMax = 4096

func (s *Spare[T, P]) put(t P) {
	if len(s.free) < spareMax {
		s.free = append(s.free, t)
	}
}

// List is one conversation's transactions. Max bounds those alive (pipelining without answers); 0 means 256.
type List[T any, P Tx[T]] struct {
	Max   int
	Spare *Spare[T, P] // nil: the list keeps its own
	txs   []contract.Tx
	live  []P
	free  []P
	next  uint64
}

// Open starts a transaction; nil while too many wait to be released.
func (l *List[T, P]) Open() P {
	limit := l.Max
	if limit <= 0 {
		limit = 256
	}
	if len(l.live) >= limit {
		return nil
	}
	var t P
	free := &l.free
	if l.Spare != nil {
		free = &l.Spare.free
	}
	if n := len(*free); n > 0 {
		t, *free = (*free)[n-1], (*free)[:n-1]
	} else {
		t = P(new(T))
	}
	t.State().ID = l.next
	l.next++
	l.live = append(l.live, t)
	l.txs = append(l.txs, t)
	return t
}

// Begun is how many transactions were opened since the last Reset.
func (l *List[T, P]) Begun() uint64 { return l.next }

// SetBegun makes the numbering go on as after n transactions.
func (l *List[T, P]) SetBegun(n uint64) { l.next = n }

// Last is the youngest live transaction, nil if there is none.
func (l *List[T, P]) Last() P {
	if n := len(l.live); n > 0 {
		return l.live[n-1]
	}
	return nil
}

// Live lists the live transactions, oldest first, until the next Open or Release.
func (l *List[T, P]) Live() []P { return l.live }

// Txs returns the live transactions for the driver, oldest first.
func (l *List[T, P]) Txs() []contract.Tx { return l.txs }

// Release takes the first n transactions back.
func (l *List[T, P]) Release(n int) {
	n = min(n, len(l.live))
	for _, t := range l.live[:n] {
		t.State().Clear()
		t.Reuse()
		if l.Spare != nil {
			l.Spare.put(t)
			continue
		}
		l.free = append(l.free, t)
	}
	l.live = append(l.live[:0], l.live[n:]...)
	l.txs = append(l.txs[:0], l.txs[n:]...)
}

// Reset releases all and counts from zero again.
func (l *List[T, P]) Reset() {
	l.Release(len(l.live))
	if len(l.free) > keepFree {
		l.free = append([]P(nil), l.free[:keepFree]...)
	}
	l.next = 0
}
