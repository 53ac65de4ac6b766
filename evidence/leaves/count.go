package leaves

import "encoding/json"

// Ids of the counters that a totals leaf keeps beside those of the cells: of what is no attack and must not be missing.
// So what a log did not see over any window is two leaves, as its counts are.
const (
	CounterEvents      = 2700 // + code, of codes below 100: events of that code
	CounterGaps        = 2800 // microseconds of gaps, those before a start left out: they are in CounterAway
	CounterUnprotected = 2801 // microseconds without protection
	CounterAway        = 2802 // microseconds between a stop or crash and the next start
	CounterForgotten   = 2803 // observations given up because a table was full
	CounterStarts      = 2804 // starts, the leaf's own with them; 0: the log was begun by a version without these counters
	CounterUnclean     = 2805 // of them those after anything but a clean stop
	CounterMerged      = 2806 // attacks merged into overflow accounts
	CounterPassed      = 2807 // frames that passed uninspected without protection, where the kernel counted them
	CounterOverflow    = 2900 // + class: overflow accounts counted as attacks of that class

	CountersMost = CounterOverflow + Classes // one more than the highest id
	codesMax     = 100                       // events of higher codes are not counted
)

// Counters are running totals since leaf 0, by id: 2*cell attacks, 2*cell + 1 of them withdrawn, then what is no attack.
type Counters [CountersMost]uint64

// Event counts a leaf of type 4; started is the time of the last start, microseconds.
func (c *Counters) Event(e *Event, started uint64) {
	if e.Code < codesMax {
		c[CounterEvents+int(e.Code)]++
	}
	switch e.Code {
	case CodeGap:
		if len(e.Data) == 16 && be.Uint64(e.Data) >= started {
			c[CounterGaps] += since(be.Uint64(e.Data), be.Uint64(e.Data[8:]))
		}
	case CodeUnprotected:
		var x struct {
			From, To int64
			Passed   uint64
		}
		if json.Unmarshal(e.Data, &x) == nil {
			c[CounterUnprotected] += since(Micro(x.From), Micro(x.To))
			c[CounterPassed] += x.Passed
		}
	case CodeCaps:
		var x struct {
			Forgotten uint64 `json:"observations_forgotten"`
			Merged    uint64 `json:"attacks_merged"`
		}
		if json.Unmarshal(e.Data, &x) == nil {
			c[CounterForgotten] += x.Forgotten
			c[CounterMerged] += x.Merged
		}
	}
}

// since is the time between two, 0 if the second does not lie after the first.
func since(from, to uint64) uint64 { return max(from, to) - from }

// Start counts a totals leaf that says start; before is the time of the last leaf, or 0.
func (c *Counters) Start(flags uint16, before, now uint64) {
	if flags&FlagStart == 0 {
		return
	}
	c[CounterStarts]++
	if flags&FlagUnclean != 0 {
		c[CounterUnclean]++
	}
	if before > 0 {
		c[CounterAway] += since(before, now)
	}
}

// Overflow counts an attack's leaf if it stands for several.
func (c *Counters) Overflow(flags, class uint16) {
	if flags&FlagOverflow != 0 {
		c[CounterOverflow+int(class)]++
	}
}

// Withdrawn is how many corrections were counted.
func (c *Counters) Withdrawn() (n uint64) {
	for cell := range Cells {
		n += c[2*cell+1]
	}
	return n
}

// CellsOnly leaves out what logs begun by earlier versions do not count.
func (c *Counters) CellsOnly() { clear(c[CounterEvents:]) }
