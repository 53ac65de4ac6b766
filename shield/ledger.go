package shield

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
