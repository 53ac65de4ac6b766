package attack

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// Policy says how the points of proven observations become decisions. It is data: what an operator may change stands
// here and in the table of ClassPolicy, and nowhere in the code.
type Policy struct {
	Classes []ClassPolicy // one a class, in the order of Table
	// Points that earn an origin its block.
	Points uint32
	// Finding is what a detector's finding earns, unless it is a mere note (severity 4): it stands for many.
	Finding uint32
	// Window of quiet after which an origin's points are forgotten.
	Window time.Duration
	// First is the first block's length; each further one is twice as long, at most Longest. An origin that was
	// not blocked for Forget begins anew.
	First, Longest, Forget time.Duration
	// Hosts4 blocked at once in one /24, or Hosts6 /64 in one /48, and the whole is blocked. 0: never.
	Hosts4, Hosts6 int
	// Prefixes is how many may be blocked whole at once; a cap against those who provoke it.
	Prefixes int
	// PerMinute is the ceiling of blocks: past it none until the minute is over, which is said.
	PerMinute int
	// Rate is what a rate-limited address may still send, packets/s.
	Rate uint32
	// Unproven is what a target group gets of each kind of unproven packets while it is attacked, packets/s.
	Unproven map[LimitKind]uint32
	// LimitFor is how long such a limit stands, and is renewed for while the attack goes on.
	LimitFor time.Duration
}

// ClassPolicy is what is done about one class.
type ClassPolicy struct {
	Class string
	// Points that one proven observation earns, by its severity, 1 to 4.
	Points [4]uint32
	// Action when the points suffice: ActionBlock, ActionRateLimit or ActionAlert.
	Action string
	// Inside is the action for origins of the protected networks.
	Inside string
	// Limit says that unproven attacks of the class limit their kind of packets to the target group.
	Limit bool
}

// LimitKind is a kind of unproven packets.
type LimitKind string

// Kinds of packets that a Limit may name.
const (
	LimitSYN      LimitKind = "syn"
	LimitUDP      LimitKind = "udp"
	LimitICMP     LimitKind = "icmp"
	LimitFragment LimitKind = "fragment"
	LimitOther    LimitKind = "other"
)

// LimitKinds are all kinds, in the order they are shown.
var LimitKinds = []LimitKind{LimitSYN, LimitUDP, LimitICMP, LimitFragment, LimitOther}

// pointsBlock is what a block takes by default. What makes an attack at once, severity 1 and 2, is worth it at once:
// one request may be all there is. Weaker observations earn it when they pass their class's threshold.
const pointsBlock = 100

// DefaultPolicy is the policy without a configuration.
func DefaultPolicy() *Policy {
	p := &Policy{
		Points: pointsBlock, Finding: pointsBlock, Window: time.Hour, First: 10 * time.Minute, Longest: 24 * time.Hour, Forget: 7 * 24 * time.Hour,
		Hosts4: 16, Hosts6: 16, Prefixes: 64, PerMinute: 600, Rate: 50, LimitFor: 5 * time.Minute,
		Unproven: map[LimitKind]uint32{LimitSYN: 200, LimitUDP: 500, LimitICMP: 50, LimitFragment: 50, LimitOther: 100},
	}
	for i := range table {
		c := &table[i]
		x := ClassPolicy{Class: c.Name, Points: [4]uint32{pointsBlock, pointsBlock}, Action: ActionBlock, Inside: ActionBlock}
		x.Points[2] = uint32((pointsBlock + c.Threshold.Observations - 1) / c.Threshold.Observations)
		x.Points[3] = max(1, x.Points[2]/2)
		if c.Industrial { // a machine must not cut a plant's own stations off: a person decides
			x.Inside = ActionAlert
		}
		switch c.Name {
		case "scan", "flood", "enumeration":
			x.Limit = true
		}
		p.Classes = append(p.Classes, x)
	}
	return p
}

// Class is a class's line, or nil.
func (p *Policy) Class(name string) *ClassPolicy {
	i := slices.IndexFunc(p.Classes, func(c ClassPolicy) bool { return c.Class == name })
	if i < 0 {
		return nil
	}
	return &p.Classes[i]
}

// earned is what a proven observation is worth.
func (p *Policy) earned(c *ClassPolicy, severity uint8, finding bool) uint32 {
	if finding && severity <= 3 {
		return p.Finding
	}
	return c.Points[min(max(severity, 1), 4)-1]
}

// length of an origin's n-th block, n from 0.
func (p *Policy) length(n uint32) time.Duration {
	d := p.First
	for ; n > 0 && d < p.Longest; n-- {
		d *= 2
	}
	return min(d, p.Longest)
}

// Print writes the policy's table for a person.
func (p *Policy) Print(w io.Writer) {
	fmt.Fprintf(w, "a block takes %d points of proven observations, forgotten after %s of quiet; it lasts %s, twice as long each time, at most %s\n",
		p.Points, short(p.Window), short(p.First), short(p.Longest))
	fmt.Fprintf(w, "%-19s %-19s %-11s %-13s %s\n", "class", "points by severity", "outside", "inside", "unproven")
	for _, c := range p.Classes {
		limit := "-"
		if c.Limit {
			limit = "limit"
		}
		fmt.Fprintf(w, "%-19s %-19s %-11s %-13s %s\n", c.Class, fmt.Sprint(c.Points), c.Action, c.Inside, limit)
	}
}
