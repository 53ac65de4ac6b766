package evidence

import (
	"encoding/binary"

	"github.com/dejpha/dejpha/evidence/leaves"
)

var be = binary.BigEndian

// What a log holds, as it is written there.
type (
	AttackLeaf     = leaves.Attack
	TotalsLeaf     = leaves.Totals
	EventLeaf      = leaves.Event
	CorrectionLeaf = leaves.Correction
	Ledger         = leaves.Ledger
	Counters       = leaves.Counters
	Code           = leaves.Code
)

// Codes of events.
const (
	CodeDecision     = leaves.CodeDecision
	CodeUnprotected  = leaves.CodeUnprotected
	CodeGap          = leaves.CodeGap
	CodeClockJump    = leaves.CodeClockJump
	CodeRestart      = leaves.CodeRestart
	CodeCaps         = leaves.CodeCaps
	CodeContinuation = leaves.CodeContinuation
	CodeErasure      = leaves.CodeErasure
	CodeRetention    = leaves.CodeRetention
	CodeRulesChanged = leaves.CodeRulesChanged
	CodeAuthorised   = leaves.CodeAuthorised
	CodeUnkept       = leaves.CodeUnkept
)

// Ids of counters.
const (
	CounterEvents      = leaves.CounterEvents
	CounterGaps        = leaves.CounterGaps
	CounterUnprotected = leaves.CounterUnprotected
	CounterAway        = leaves.CounterAway
	CounterForgotten   = leaves.CounterForgotten
	CounterStarts      = leaves.CounterStarts
	CounterUnclean     = leaves.CounterUnclean
	CounterMerged      = leaves.CounterMerged
	CounterPassed      = leaves.CounterPassed
	CounterOverflow    = leaves.CounterOverflow
)
