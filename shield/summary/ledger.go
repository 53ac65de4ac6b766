// Package summary is what a run counts, and what it tells a person at its end.
//
// In: figures of workers and merge point. Out: the ledger, which balances to the packet, and the summary in words.
// Called by shield and cmd. It counts nothing itself.
package summary

import (
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/shield/ledger"
)

// Ledger is the fate of every packet.
type Ledger = ledger.Ledger

// Take adds the ledger of a stretch.
func (s *Summary) Take(p *ledger.Part) {
	s.Part.Add(p)
	s.Ledger = s.Part.Ledger
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
