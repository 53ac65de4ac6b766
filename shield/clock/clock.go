// Package clock keeps the time of a capture.
//
// In: the stamps of packets as their capture says them. Out: a time that no forged stamp moves. Called by shield's engine
// for each frame; it never reads the machine's clock.
package clock

// Clock is the capture's clock: the highest packet time so far. Workers know no other.
//
// A jump of more than an hour forward counts only when the next packets confirm it, so that one
// forged stamp freezes no timer; until then the clock stands. Time that runs backwards is clamped
// and counted; when it stays an hour behind, the clock goes on from where it stands at the new pace.
type Clock struct {
	now     int64
	offset  int64 // added to stamps after a confirmed jump backwards
	seen    int   // packets, up to clockConfirm
	agreed  int   // of those, how many agreed with the clock
	ahead   int   // packets in a row that claim a jump forward
	aheadAt int64 // lowest claim of that row
	behind  int   // packets in a row more than clockJump behind
	Clamped uint64
	Doubted uint64 // packets whose jump was not (yet) believed
	Jumps   uint64 // confirmed jumps, either way
}

const (
	clockJump    = int64(3600e9) // ns; DESIGN section 4
	clockConfirm = 16            // packets that must agree
)

// Now is the clock's time, ns since 1970 UTC; 0 before the first packet.
func (c *Clock) Now() int64 { return c.now }

// Stamps is what packets stamped at the clock's time say, ns: less than Now since a confirmed jump backwards.
func (c *Clock) Stamps() int64 { return c.now - c.offset }

// Settled says that enough packets agreed on the time for timers to run on it.
func (c *Clock) Settled() bool { return c.seen >= clockConfirm }

// Begin starts the clock at a time that the machine's own clock says, ns; it is settled from then on.
func (c *Clock) Begin(t int64) { c.now, c.seen = t, clockConfirm }

// Add adds what another clock counted.
func (c *Clock) Add(o *Clock) {
	c.now = max(c.now, o.now)
	c.Clamped += o.Clamped
	c.Doubted += o.Doubted
	c.Jumps += o.Jumps
}

// Pass lets time go on to t without a packet. It judges t as Stamp does, but a t that lies behind is no oddity.
func (c *Clock) Pass(t int64) {
	if t+c.offset >= c.now || t+c.offset < c.now-clockJump {
		c.Stamp(t)
	}
}

// Stamp returns the time of a packet whose capture says t (ns), never less than any returned before once settled.
func (c *Clock) Stamp(t int64) int64 {
	raw := t
	t = max(t+c.offset, 0)
	if c.seen < clockConfirm {
		c.seen++
		if c.seen == 1 || t < c.now-clockJump {
			c.now = t // the first stamp may be the forged one
			c.ahead, c.behind, c.agreed = 0, 0, 1
			return c.now
		}
		if t <= c.now+clockJump {
			c.agreed++
		}
	}
	switch {
	case t > c.now+clockJump:
		return c.forward(t, raw)
	case t >= c.now:
		c.now = t
		c.ahead, c.behind = 0, 0
	case t < c.now-clockJump:
		return c.backward(t)
	default:
		c.Clamped++
		c.ahead, c.behind = 0, 0
	}
	return c.now
}

func (c *Clock) forward(t, raw int64) int64 {
	c.behind = 0
	if c.ahead == 0 || t < c.aheadAt {
		c.aheadAt = t
	}
	c.ahead++
	confirm := clockConfirm
	if !c.Settled() {
		confirm = c.agreed // of the first few packets the majority is believed
	}
	if c.ahead <= confirm {
		c.Doubted++
		return c.now
	}
	c.ahead, c.agreed = 0, c.ahead
	c.Jumps++
	if c.offset > 0 && raw >= c.now-clockJump { // what jumped back is put right again
		c.offset, t = 0, max(raw, c.now)
	}
	c.now = t
	return c.now
}

func (c *Clock) backward(t int64) int64 {
	c.ahead = 0
	c.Clamped++
	c.behind++
	if c.behind > clockConfirm {
		c.offset += c.now - t
		c.behind = 0
		c.Jumps++
	}
	return c.now
}
