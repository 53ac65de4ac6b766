package stream

import "math/bits"

// Buffers come in classes, two to a doubling, 128 bytes to 4 MiB, and go back to the pool when they are empty.
const (
	poolClasses = 31
	poolLeast   = 128
	poolKeep    = 1 << 20 // bytes idle in one class
)

// size of class c, bytes: 128, 192, 256, 384, 512, ...
func size(c int) int { return (poolLeast + poolLeast/2*(c&1)) << (c >> 1) }

// class is the smallest one that holds n bytes; the largest if none does.
func class(n int) int {
	if n <= poolLeast {
		return 0
	}
	c := 2 * bits.Len(uint((n-1)/poolLeast))
	if n <= size(c-1) {
		c--
	}
	return min(c, poolClasses-1)
}

// take returns an empty buffer for at least n bytes, nil when the budget is spent or n is beyond the largest class.
func (e *Engine) take(n int) []byte {
	c := class(n)
	size := size(c)
	if n > size {
		return nil
	}
	if l := len(e.pool[c]); l > 0 {
		b := e.pool[c][l-1]
		e.pool[c] = e.pool[c][:l-1]
		return b
	}
	if e.Counters.BufferBytes+int64(size) > e.cfg.MemoryBytes {
		e.Counters.MemoryFull++
		return nil
	}
	e.Counters.BufferBytes += int64(size)
	return make([]byte, 0, size)
}

func (e *Engine) give(b []byte) {
	if cap(b) == 0 {
		return
	}
	c := class(cap(b))
	if (len(e.pool[c])+1)*size(c) <= max(poolKeep, size(c)) {
		e.pool[c] = append(e.pool[c], b[:0])
		return
	}
	e.Counters.BufferBytes -= int64(cap(b))
}
