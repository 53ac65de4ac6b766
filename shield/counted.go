package shield

import "github.com/dejpha/dejpha/shield/summary"

// What a run counts.
type (
	Ledger   = summary.Ledger
	Counters = summary.Counters
	Summary  = summary.Summary
)
