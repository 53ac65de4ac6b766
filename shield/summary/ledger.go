// Package summary is what a run counts, and what it tells a person at its end.
//
// In: figures of workers and merge point. Out: the ledger, which balances to the packet, and the summary in words.
// Called by shield and cmd. It counts nothing itself.
package summary

import "github.com/dejpha/dejpha/decode"

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

// DecodeCounters counts packets by decode event.
type DecodeCounters [len(decode.EventNames)]uint64

// Counters are a worker's own figures, added up for the summary.
type Counters struct {
	Bytes, Fragments, Flows, Matches, Records, DecodeEvents, StreamEvents uint64
	Decode                                                                DecodeCounters // packets by decode event
	Stopped, Barred, Told, Unsent                                         uint64         // inline: frames dropped; of those, for a block of their source; frames of ours to tell of it; accepted and lost on the way out
	Broken                                                                uint64         // packets whose trip was given up: a fault of ours, said loudly
	Undecodable                                                           [32]uint64     // by decode.Reason
}
