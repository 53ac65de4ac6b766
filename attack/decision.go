package attack

import (
	"fmt"
	"net/netip"
	"time"
)

// Actions of a Decision. Would-block and would-limit are what a recording or a rehearsal says instead of block, and
// of rate-limit.
const (
	ActionAlert      = "alert"
	ActionDrop       = "drop"
	ActionReset      = "reset"
	ActionRateLimit  = "rate-limit"
	ActionBlock      = "block"
	ActionUnblock    = "unblock"
	ActionAllow      = "allow"
	ActionWouldBlock = "would-block"
	ActionWouldLimit = "would-limit"
)

// Decision is what the shield did, or would have done on a recording or in a rehearsal.
type Decision struct {
	Time   int64  `json:"time"` // ns
	Action string `json:"action"`
	Until  int64  `json:"until,omitempty"` // ns; 0: it has no end of its own
	Origin string `json:"origin"`          // of the attack; "unproven" when a target's traffic is limited
	// Prefix is what is blocked or limited: a host, an IPv6 /64, or a network that was blocked whole. Invalid when
	// nothing is kept from anybody by name.
	Prefix netip.Prefix `json:"prefix,omitzero"`
	Rate   uint32       `json:"rate,omitempty"` // packets/s still let through; 0: none
	// Limit is set instead of Prefix where the origin is unproven: never by the source that a packet names.
	Limit  *Limit `json:"limit,omitempty"`
	Attack uint64 `json:"attack,omitempty"` // id; 0: a person's decision
	Class  string `json:"class,omitempty"`
	Points uint32 `json:"points"`
	Policy string `json:"policy"` // the line that decided
	Undo   string `json:"undo,omitempty"`
	By     string `json:"by,omitempty"` // the person's words; "": the policy
}

// Limit is how much of one kind of unproven packets a target still gets.
type Limit struct {
	Target netip.Prefix `json:"target"`
	Kind   LimitKind    `json:"kind"`
	Proto  uint8        `json:"proto"`
	Port   uint16       `json:"port,omitempty"` // of the target; 0: any
	Rate   uint32       `json:"rate"`           // packets/s
	Burst  uint32       `json:"burst"`          // packets
}

// Acts says whether a kernel is told of the decision.
func (d *Decision) Acts() bool { return d.Action == ActionBlock || d.Action == ActionRateLimit }

// Bounds of what the judge remembers. Past them the longest quiet are forgotten: their points, never the guard.
const (
	originsMax = 65536
	limitsMax  = 1024
	heldMax    = 65536 // hosts blocked at once, counted for their networks
	burstFor   = 1     // seconds of its rate that a limit lets through at once
)

// ceilingCell is the stretch over which blocks are counted for the ceiling.
const ceilingCell = int64(time.Minute)

// judge holds what decisions need to remember. Part of Accounts.
type judge struct {
	origins   map[netip.Prefix]*record
	networks  map[netip.Prefix]*network
	limits    map[Limit]int64 // what stands, without rate and burst, until when
	prefixes  int             // networks blocked whole, as of the last look
	cell      int64           // minute of spent
	spent     int
	decisions []Decision
}

// record of one origin.
type record struct {
	Points  uint32 `json:"points,omitempty"`
	Last    int64  `json:"last"`              // of its points
	Until   int64  `json:"until,omitempty"`   // of the decision in force
	Repeats uint32 `json:"repeats,omitempty"` // decisions so far
}

// network is the blocked hosts of a /24 or /48.
type network struct {
	Hosts map[netip.Prefix]int64 `json:"hosts"` // until when
	Until int64                  `json:"until,omitempty"`
}

func newJudge() judge {
	return judge{origins: map[netip.Prefix]*record{}, networks: map[netip.Prefix]*network{}, limits: map[Limit]int64{}}
}

// Decisions are those that the last Add led to; valid until the next.
func (a *Accounts) Decisions() []Decision { return a.judges.decisions }

// decide judges one observation of an account's piece. Only proven observations earn points: what an unproven one
// names as its source is nobody's guilt, so nothing here ever looks at it.
func (a *Accounts) decide(acc *account, p *piece, o *Observation) {
	j := &a.judges
	j.decisions = j.decisions[:0]
	if acc.key.Authorised || acc.key.Overflow {
		return
	}
	if o.Stopped && p.ID != 0 && p.Seen&sawTold == 0 {
		p.Seen |= sawTold
		a.verdict(acc, p, o)
	}
	line := &a.cfg.Policy.Classes[acc.key.Class]
	who, known := a.culprit(acc.key, o)
	switch {
	case known:
		a.charge(acc, p, o, line, who)
	case acc.key.Origin == "unproven" && line.Limit && p.ID != 0 && p.Seen&sawProven == 0:
		a.limit(acc, p, o)
	}
}

// verdict tells of the first packet of an attack that a live verdict stopped.
func (a *Accounts) verdict(acc *account, p *piece, o *Observation) {
	d := a.decision(ActionDrop, acc, p, o)
	what := "dropped"
	if o.Reset {
		d.Action, what = ActionReset, "answered with a reset"
	}
	d.Policy = "verdict: rule " + fmt.Sprint(o.SID) + " has its packets " + what
	if o.SID == 0 {
		d.Policy = "verdict: its packets are " + what
	}
	a.judges.add(d)
}

func (a *Accounts) decision(action string, acc *account, p *piece, o *Observation) Decision {
	r := Record{Class: table[acc.key.Class].Name, Origin: p.origin(acc.key)}
	return Decision{Time: o.Time, Action: action, Origin: r.OriginText(), Attack: p.ID, Class: r.Class}
}

func (j *judge) add(d Decision) { j.decisions = append(j.decisions, d) }

// culprit is the address, or /64, behind a proven observation.
func (a *Accounts) culprit(k Key, o *Observation) (netip.Prefix, bool) {
	if !o.Proven || !o.Origin.IsValid() || len(k.Origin) < 3 || k.Origin[:3] != "ip " && k.Origin[:3] != "net" {
		return netip.Prefix{}, false
	}
	return HostPrefix(o.Origin), true
}

// HostPrefix is what stands for one host: an IPv4 address, or the /64 of an IPv6 one, whose hosts choose the rest
// themselves.
func HostPrefix(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, _ := a.Prefix(bits)
	return p
}

// charge adds an observation's points to its origin and decides when they suffice and there is an attack to name.
func (a *Accounts) charge(acc *account, p *piece, o *Observation, line *ClassPolicy, who netip.Prefix) {
	j, pol := &a.judges, a.cfg.Policy
	r := j.origin(who, o.Time, pol)
	if o.Time < r.Until {
		return // it is decided already; what still comes was on its way, or is stopped
	}
	if o.Time-r.Last > int64(pol.Window) {
		r.Points = 0
	}
	c := &table[acc.key.Class]
	severity := c.Severity
	if o.Severity != 0 {
		severity = max(severity, min(o.Severity, 4))
	}
	r.Last = o.Time
	r.Points = min(r.Points+pol.earned(line, severity, o.Detector != ""), 1<<30)
	if r.Points < pol.Points || p.ID == 0 {
		return
	}
	d := a.decision("", acc, p, o)
	d.Points, d.Prefix = r.Points, who
	a.sentence(&d, r, line, o)
}

// sentence chooses the action for an origin whose points suffice.
func (a *Accounts) sentence(d *Decision, r *record, line *ClassPolicy, o *Observation) {
	j, pol := &a.judges, a.cfg.Policy
	if o.Time-r.Until > int64(pol.Forget) {
		r.Repeats = 0
	}
	length := pol.length(r.Repeats)
	action, why := line.Action, ""
	if a.cfg.Protected(o.Origin.Unmap()) {
		action, why = line.Inside, ", an origin inside"
	}
	if action != ActionAlert && a.cfg.Shared(d.Prefix) {
		action, why = ActionRateLimit, ", a shared address"
	}
	if guard := a.cfg.Guard(d.Prefix); guard != "" {
		action, d.Policy = ActionAlert, "guard: "+guard+" is never blocked"
	} else if action == ActionAlert {
		d.Policy = fmt.Sprintf("%s%s: told, and left to a person", d.Class, why)
	}
	if action == ActionAlert {
		d.Action, d.Prefix = ActionAlert, netip.Prefix{}
		r.Points, r.Until = 0, d.Time+int64(pol.First) // told again when it goes on
		j.add(*d)
		return
	}
	if !a.spend(d) {
		return // its points stand: the next minute has room
	}
	points := r.Points
	r.Points, r.Until, r.Repeats = 0, d.Time+int64(length), r.Repeats+1
	d.Until, d.Undo = r.Until, "dejpha unblock "+prefixText(d.Prefix)
	d.Policy = fmt.Sprintf("%s%s: proven points %d of %d: block for %s", d.Class, why, points, pol.Points, short(length))
	if action == ActionRateLimit {
		d.Rate = pol.Rate
		d.Policy = fmt.Sprintf("%s%s: proven points %d of %d: at most %d packets/s for %s", d.Class, why, points, pol.Points, d.Rate, short(length))
	}
	d.Action = a.acting(action)
	j.add(*d)
	if action == ActionBlock {
		a.escalate(*d, length, o)
	}
}

// acting is the action, or what is said in its place where nothing acts.
func (a *Accounts) acting(action string) string {
	switch {
	case a.cfg.Enforce:
		return action
	case action == ActionRateLimit:
		return ActionWouldLimit
	}
	return ActionWouldBlock
}

// prefixText writes a host without its length.
func prefixText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// spend counts a block against the ceiling; false: it is reached, which is said once a minute.
func (a *Accounts) spend(d *Decision) bool {
	j, pol := &a.judges, a.cfg.Policy
	if cell := floorDiv(d.Time, ceilingCell); cell != j.cell {
		j.cell, j.spent = cell, 0
	}
	j.spent++
	if j.spent <= pol.PerMinute {
		return true
	}
	a.Counters.Ceiling++
	if j.spent == pol.PerMinute+1 {
		a.Counters.Runaways++
		x := *d
		x.Action, x.Prefix, x.Undo = ActionAlert, netip.Prefix{}, ""
		x.Policy = fmt.Sprintf("ceiling: %d blocks within a minute; no more until %s UTC", pol.PerMinute, clock((j.cell+1)*ceilingCell))
		j.add(x)
	}
	return false
}

// escalate counts a blocked host for its network and blocks the whole when enough of it are blocked at once.
func (a *Accounts) escalate(d Decision, length time.Duration, o *Observation) {
	j, pol := &a.judges, a.cfg.Policy
	bits, enough := 24, pol.Hosts4
	if d.Prefix.Addr().Is6() {
		bits, enough = 48, pol.Hosts6
	}
	if enough <= 0 {
		return
	}
	whole, _ := d.Prefix.Addr().Prefix(bits)
	n := j.networks[whole]
	if n == nil {
		if len(j.networks) >= heldMax/8 {
			j.forgetNetworks(d.Time)
		}
		n = &network{Hosts: map[netip.Prefix]int64{}}
		j.networks[whole] = n
	}
	for h, until := range n.Hosts {
		if until <= d.Time {
			delete(n.Hosts, h)
		}
	}
	if len(n.Hosts) < enough+256 {
		n.Hosts[d.Prefix] = d.Until
	}
	if len(n.Hosts) < enough || d.Time < n.Until || a.cfg.Protected(o.Origin.Unmap()) || a.cfg.Shared(whole) || a.cfg.Guard(whole) != "" {
		return
	}
	if j.whole(d.Time) >= pol.Prefixes {
		a.Counters.Uncapped++
		return
	}
	n.Until = d.Until
	d.Prefix, d.Undo = whole, "dejpha unblock "+whole.String()
	d.Policy = fmt.Sprintf("%d hosts of %s are blocked: block the whole for %s", len(n.Hosts), whole, short(length))
	j.add(d)
}

// whole is how many networks are blocked whole.
func (j *judge) whole(now int64) (n int) {
	for _, x := range j.networks {
		if now < x.Until {
			n++
		}
	}
	return n
}

// limit decides on the kind of unproven packets that attack a target group.
func (a *Accounts) limit(acc *account, p *piece, o *Observation) {
	j, pol := &a.judges, a.cfg.Policy
	if !o.Target.IsValid() || o.Target.IsMulticast() || o.Target.IsUnspecified() || o.Target.Unmap() == broadcast {
		return // everybody's traffic, not a target's
	}
	l := Limit{Target: HostPrefix(o.Target), Proto: o.Proto, Kind: kindOf(o.Proto)}
	if p.Targets.distinct() > 1 { // the group, not each of its hosts
		bits := 64
		if l.Target.Addr().Is4() {
			bits = 24
		}
		l.Target, _ = o.Target.Unmap().WithZone("").Prefix(bits)
	} else if l.Target.Addr().Is6() {
		l.Target = netip.PrefixFrom(o.Target.WithZone(""), 128)
	}
	if l.Kind == LimitUDP && p.Ports.distinct() == 1 {
		l.Port = o.TargetPort
	}
	until, stands := j.limits[l]
	if stands && o.Time < until-int64(pol.LimitFor)/2 {
		return
	}
	if !stands && len(j.limits) >= limitsMax {
		j.forgetLimits(o.Time)
		if len(j.limits) >= limitsMax {
			a.Counters.Unlimited++
			return
		}
	}
	until = o.Time + int64(pol.LimitFor)
	j.limits[l] = until
	l.Rate = pol.Unproven[l.Kind]
	l.Burst = l.Rate * burstFor
	d := a.decision(a.acting(ActionRateLimit), acc, p, o)
	d.Until, d.Rate, d.Limit = until, l.Rate, &l
	d.Policy = fmt.Sprintf("%s, unproven: at most %d %s packets/s to %s for %s", d.Class, l.Rate, l.Kind, prefixText(l.Target), short(pol.LimitFor))
	d.Undo = "it ends by itself; `dejpha allow` exempts a source"
	j.add(d)
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

func kindOf(proto uint8) LimitKind {
	switch proto {
	case 6:
		return LimitSYN
	case 17:
		return LimitUDP
	case 1, 58:
		return LimitICMP
	}
	return LimitOther
}

// Unblocked tells the accounts that a person ended a decision: what is seen of the origin from now on counts anew.
func (a *Accounts) Unblocked(p netip.Prefix) {
	if r := a.judges.origins[p]; r != nil {
		r.Points, r.Until = 0, 0
	}
	if n := a.judges.networks[p]; n != nil {
		n.Until, n.Hosts = 0, map[netip.Prefix]int64{}
	}
}
