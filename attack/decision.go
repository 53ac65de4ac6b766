package attack

import (
	"net/netip"
	"strconv"
	"time"
)

// Actions of a Decision.
const (
	ActionAlert      = "alert"
	ActionBlock      = "block"
	ActionWouldBlock = "would-block"
)

// Decision is what the shield did, or would have done on a recording.
type Decision struct {
	Time   int64  `json:"time"` // ns
	Action string `json:"action"`
	Until  int64  `json:"until,omitempty"` // ns; 0 for an alert
	Origin string `json:"origin"`
	Attack uint64 `json:"attack"`
	Class  string `json:"class"`
	Points uint32 `json:"points"`
	Policy string `json:"policy"` // the line that decided
	Undo   string `json:"undo,omitempty"`
}

// The first simple policy: an attack of severity 1 or 2 from a proven origin is worth a block for ten
// minutes, twice as long each time, at most a day.
const (
	pointsSevere = 100 // severity 1
	pointsHigh   = 50  // severity 2
	pointsBlock  = 50
	blockFirst   = 10 * time.Minute
	blockLongest = 24 * time.Hour
	repeatsMax   = 65536 // origins remembered; past it repetition is forgotten, never the guard
)

// Decide judges an attack that was opened. Only proven observations earn points: an unproven, authorised or
// layer 2 origin has none and gives no decision.
func (a *Accounts) Decide(r *Record) (Decision, bool) {
	if r.Severity > 2 || !r.Origin.Proven || r.Authorised || r.Overflow {
		return Decision{}, false
	}
	who := r.Origin.IP
	if who == "" {
		who = r.Origin.Prefix
	}
	if who == "" {
		return Decision{}, false
	}
	d := Decision{Time: r.OpenedAt, Action: ActionWouldBlock, Origin: who, Attack: r.ID, Class: r.Class, Points: pointsHigh}
	if r.Severity == 1 {
		d.Points = pointsSevere
	}
	if a.guarded(who) {
		d.Action, d.Policy = ActionAlert, "guard: this address is never blocked"
		return d, true
	}
	if a.cfg.Live {
		d.Action = ActionBlock
	}
	n := a.repeats[who]
	if len(a.repeats) >= repeatsMax {
		clear(a.repeats)
	}
	a.repeats[who] = n + 1
	length := min(blockFirst<<min(n, 10), blockLongest)
	d.Until = d.Time + int64(length)
	d.Policy = "proven points " + strconv.Itoa(int(d.Points)) + " of " + strconv.Itoa(pointsBlock) + ": block for " + short(length)
	d.Undo = "dejpha unblock " + who
	return d, true
}

func (a *Accounts) guarded(who string) bool {
	if ip, err := netip.ParseAddr(who); err == nil {
		return a.cfg.Guard(ip)
	}
	net, err := netip.ParsePrefix(who)
	return err == nil && a.cfg.Guard(net.Addr())
}
