package hoststate

// Kind of a threshold.
type Kind uint8

// Kinds of thresholds; the words of the rule language.
const (
	Limit Kind = iota
	EachCount
	Both
	DetectionFilter
	RateFilter
	Suppress
	Backoff
)

// Track says what is counted together.
type Track uint8

// Tracks.
const (
	BySrc Track = iota
	ByDst
	ByBoth
	ByRule
	ByFlow
)

// Threshold is one condition on how often a rule matches.
type Threshold struct {
	Kind       Kind
	Track      Track
	Count      uint32
	Seconds    uint32
	Multiplier uint32 // Backoff
	Timeout    uint32 // RateFilter, seconds the new action holds
}

// Key names what a threshold counts. Leave out (zero) what Track does not use; Keyed does that.
type Key struct {
	SID, GID uint32
	Src, Dst [16]byte
	Flow     uint64
	Order    uint8 // of the threshold among a rule's, so that two do not share a counter
}

// Keyed returns k with only the parts that the track counts by.
func (k Key) Keyed(t Track) Key {
	switch t {
	case BySrc:
		k.Dst, k.Flow = [16]byte{}, 0
	case ByDst:
		k.Src, k.Flow = [16]byte{}, 0
	case ByBoth:
		k.Flow = 0
	case ByRule:
		k.Src, k.Dst, k.Flow = [16]byte{}, [16]byte{}, 0
	case ByFlow:
		k.Src, k.Dst = [16]byte{}, [16]byte{}
	}
	return k
}

// Verdict of a threshold.
type Verdict uint8

// Verdicts. Silent: the rule matched, its action holds, but no alert is written.
const (
	NoMatch Verdict = iota
	Alert
	Silent
	NewAction // RateFilter: alert with the new action
)

type counter struct {
	since, until int64
	count, next  uint32
}

// Thresholds counts matches. One owner.
type Thresholds struct{ t *table[Key, counter] }

// NewThresholds makes a table of at most max counters (about 150 bytes each); at least 1.
func NewThresholds(max int) *Thresholds {
	return &Thresholds{newTable[Key, counter](maxOf(max))}
}

func maxOf(n int) int { return max(n, 1) }

// Len returns the live counters, Evicted how many were pushed out by newer ones.
func (s *Thresholds) Len() int { return len(s.t.index) }

// Evicted returns how many counters were pushed out while they may still have been of use.
func (s *Thresholds) Evicted() uint64 { return s.t.Evicted }

// Check counts one match at time now (ns) and says what comes of it.
func (s *Thresholds) Check(key Key, th Threshold, now int64) Verdict {
	if th.Kind == Suppress {
		return Silent
	}
	key = key.Keyed(th.Track)
	c := s.t.find(key)
	if c == nil {
		c = s.t.put(key, counter{since: now, next: th.Count})
	} else if th.Kind != Backoff && now > c.since+int64(th.Seconds)*Second {
		c.since, c.count = now, 0
	}
	if c.count < ^uint32(0) {
		c.count++
	}
	switch th.Kind {
	case Limit:
		if c.count <= th.Count {
			return Alert
		}
		return Silent
	case EachCount:
		if c.count >= th.Count {
			c.count = 0
			return Alert
		}
		return NoMatch
	case Both:
		switch {
		case c.count == th.Count:
			return Alert
		case c.count > th.Count:
			return Silent
		}
		return NoMatch
	case DetectionFilter:
		if c.count > th.Count {
			return Alert
		}
		return NoMatch
	case Backoff:
		return backoff(c, th)
	}
	return rateFilter(c, th, now)
}

func backoff(c *counter, th Threshold) Verdict {
	if c.count != c.next {
		return Silent
	}
	if next := uint64(c.next) * uint64(max(th.Multiplier, 1)); next < 1<<32 {
		c.next = uint32(next)
	}
	return Alert
}

func rateFilter(c *counter, th Threshold, now int64) Verdict {
	if c.until != 0 {
		if th.Timeout == 0 || now <= c.until {
			return NewAction
		}
		c.until, c.since, c.count = 0, now, 1
	}
	if c.count > th.Count {
		c.until = now + int64(th.Timeout)*Second
		return NewAction
	}
	return Alert
}
