package hoststate

// BitKey names a bit of a host, or of a pair of hosts (two addresses, in a fixed order).
type BitKey struct {
	A, B [16]byte
	Pair bool
	Name uint32
}

// PairKey makes the key of a pair; the order of the addresses does not matter.
func PairKey(a, b [16]byte, name uint32) BitKey {
	for i := range a {
		if a[i] != b[i] {
			if a[i] > b[i] {
				a, b = b, a
			}
			break
		}
	}
	return BitKey{A: a, B: b, Pair: true, Name: name}
}

// Bits holds bits that outlive a flow until they expire (xbits, hostbits). One owner.
type Bits struct{ t *table[BitKey, int64] }

// NewBits makes a table of at most max bits (about 130 bytes each); at least 1.
func NewBits(max int) *Bits { return &Bits{newTable[BitKey, int64](maxOf(max))} }

// Evicted returns how many bits were pushed out by newer ones.
func (b *Bits) Evicted() uint64 { return b.t.Evicted }

// Set sets a bit until now + seconds; a bit that is set gets the new end.
func (b *Bits) Set(k BitKey, now int64, seconds uint32) {
	end := now + int64(seconds)*Second
	if v := b.t.find(k); v != nil {
		*v = end
		return
	}
	b.t.put(k, end)
}

// Unset clears a bit.
func (b *Bits) Unset(k BitKey) { b.t.drop(k) }

// IsSet says whether a bit is set and has not expired.
func (b *Bits) IsSet(k BitKey, now int64) bool {
	v := b.t.find(k)
	if v == nil {
		return false
	}
	if *v < now {
		b.t.drop(k)
		return false
	}
	return true
}

// Toggle clears a set bit and sets a clear one.
func (b *Bits) Toggle(k BitKey, now int64, seconds uint32) {
	if b.IsSet(k, now) {
		b.Unset(k)
		return
	}
	b.Set(k, now, seconds)
}

// flowBitsMax bounds what a rule set can make one flow remember.
const flowBitsMax = 256

// FlowBits are the bits of one flow, a few out of many names. The zero value has none set.
type FlowBits struct{ names []uint16 }

// Has says whether the bit is set.
func (f *FlowBits) Has(name uint16) bool {
	for _, n := range f.names {
		if n == name {
			return true
		}
	}
	return false
}

// Set sets the bit; beyond 256 bits in a flow it does nothing and returns false.
func (f *FlowBits) Set(name uint16) bool {
	if f.Has(name) {
		return true
	}
	if len(f.names) >= flowBitsMax {
		return false
	}
	f.names = append(f.names, name)
	return true
}

// Unset clears the bit.
func (f *FlowBits) Unset(name uint16) {
	for i, n := range f.names {
		if n == name {
			f.names = append(f.names[:i], f.names[i+1:]...)
			return
		}
	}
}

// Names returns the set bits in the order they were set; valid until the next change.
func (f *FlowBits) Names() []uint16 { return f.names }

// Reset clears all bits and keeps the memory.
func (f *FlowBits) Reset() { f.names = f.names[:0] }

type flowInt struct {
	name  uint16
	value uint32
}

// FlowInts are the numbers of one flow. The zero value has none set.
type FlowInts struct{ values []flowInt }

// Get returns a number; ok false if it was never set.
func (f *FlowInts) Get(name uint16) (value uint32, ok bool) {
	for i := range f.values {
		if f.values[i].name == name {
			return f.values[i].value, true
		}
	}
	return 0, false
}

// Set stores a number; beyond 256 numbers in a flow it does nothing.
func (f *FlowInts) Set(name uint16, value uint32) {
	for i := range f.values {
		if f.values[i].name == name {
			f.values[i].value = value
			return
		}
	}
	if len(f.values) < flowBitsMax {
		f.values = append(f.values, flowInt{name, value})
	}
}

// Reset forgets all numbers and keeps the memory.
func (f *FlowInts) Reset() { f.values = f.values[:0] }
