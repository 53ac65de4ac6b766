package stream

// Buffers come in classes of doubling size, 512 bytes to 4 MiB, and go back to the pool when they are empty.
const (
	poolClasses = 14
	poolLeast   = 512
	poolKeep    = 256 // idle buffers kept of a class
)

func class(n int) int {
	c := 0
	for size := poolLeast; size < n && c < poolClasses-1; size <<= 1 {
		c++
	}
	return c
}

// take returns an empty buffer for at least n bytes, nil when the budget is spent or n is beyond the largest class.
func (e *Engine) take(n int) []byte {
	c := class(n)
	size := poolLeast << c
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
	if len(e.pool[c]) < poolKeep {
		e.pool[c] = append(e.pool[c], b[:0])
		return
	}
	e.Counters.BufferBytes -= int64(cap(b))
}
