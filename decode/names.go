package decode

// EventSet is a set of decode events, by index into EventNames.
type EventSet [4]uint64

// Add puts event i into the set.
func (s *EventSet) Add(i int) { s[i>>6] |= 1 << (i & 63) }

// Has says whether event i is in the set.
func (s *EventSet) Has(i int) bool { return s[i>>6]&(1<<(i&63)) != 0 }

// Reason says why a frame could not be decoded; a column of the ledger.
type Reason uint8

// ReasonNone: decodable.
const ReasonNone Reason = 0

// Tunnel is the kind of tunnel a packet carries.
type Tunnel uint8

// TunnelNone: no cargo.
const TunnelNone Tunnel = 0
