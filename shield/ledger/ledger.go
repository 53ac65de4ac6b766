// Package ledger is the account of packets: each has exactly one fate, in all and on the interface that it came from.
//
// In: the fate of each frame, from workers, and the counts of live sources. Out: figures that balance to the packet.
// Called by shield. It looks into no packet and holds none.
package ledger

// Ledger is the fate of every packet. It balances:
// Received = Inspected + Bypassed + KernelDrops + Shed + Undecodable.
type Ledger struct {
	Received    uint64 // by the kernel, or read from a recording
	Inspected   uint64
	Bypassed    uint64
	KernelDrops uint64
	Shed        uint64
	Undecodable uint64
}

// Balanced says whether every packet has exactly one fate.
func (l Ledger) Balanced() bool {
	return l.Received == l.Inspected+l.Bypassed+l.KernelDrops+l.Shed+l.Undecodable
}

// Add adds another part's figures.
func (l *Ledger) Add(o Ledger) {
	l.Received += o.Received
	l.Inspected += o.Inspected
	l.Bypassed += o.Bypassed
	l.KernelDrops += o.KernelDrops
	l.Shed += o.Shed
	l.Undecodable += o.Undecodable
}

// Fate is what happened to a frame that came to a worker.
type Fate uint8

// Fates.
const (
	Inspected Fate = iota
	Undecodable
	Barred // shed: its source is blocked
)

// count adds one frame.
func (l *Ledger) count(f Fate) {
	l.Received++
	switch f {
	case Inspected:
		l.Inspected++
	case Undecodable:
		l.Undecodable++
	default:
		l.Shed++
	}
}
