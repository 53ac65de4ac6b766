package attack

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
	"strconv"
)

// Config is what the accounts need to know of the network. A nil function answers no.
type Config struct {
	Zone       func(netip.Addr) (string, bool) // configured zone of a target
	Protected  func(netip.Addr) bool           // nil: the private ranges
	Authorised func(netip.Addr) bool           // own and authorised origins
	Decoy      func(netip.Addr) bool           // configured decoys
	Guard      func(netip.Prefix) string       // why a part of it is never blocked; "": it may be
	Shared     func(netip.Prefix) bool         // many people behind one address: limited, never blocked; nil: 100.64.0.0/10
	Policy     *Policy                         // nil: DefaultPolicy
	Sensor     uint32                          // number of this sensor, for merging
	OpenMax    int                             // open accounts; 0: 65,536
	Live       bool                            // verdicts act: outcomes may be foiled or contained
	Enforce    bool                            // decisions act; else they say what they would have done
	Undecided  bool                            // nobody is decided against
	Terse      bool                            // what is told of an attack that opens is its number alone
}

// carrierShared are the addresses behind which carriers put many customers (RFC 6598).
var carrierShared = netip.MustParsePrefix("100.64.0.0/10")

// openMax bounds the memory that an attacker can take by inventing origins and targets (about 2 KB each).
const openMax = 65536

// Key names an account: what one attack is.
type Key struct {
	Class      uint8      `json:"c"`
	Authorised bool       `json:"a,omitempty"`
	Overflow   bool       `json:"v,omitempty"`
	Origin     string     `json:"o"` // "ip ...", "net ...", "mac ...", "dom ...", "unproven" or "none"
	Group      string     `json:"g"`
	Subject    netip.Addr `json:"s"`
}

func (k Key) compare(o Key) int {
	return cmp.Or(cmp.Compare(k.Class, o.Class), cmp.Compare(k.Origin, o.Origin), cmp.Compare(k.Group, o.Group),
		k.Subject.Compare(o.Subject), order(k.Authorised, o.Authorised), order(k.Overflow, o.Overflow))
}

// Hash is the same for the same key everywhere and always: a sample of accounts is chosen by it.
func (k *Key) Hash() uint64 {
	b := append(make([]byte, 0, 128), k.Class)
	b = append(append(b, k.Origin...), 0)
	b = append(append(b, k.Group...), 0)
	if k.Subject.IsValid() {
		a := k.Subject.As16()
		b = append(b, a[:]...)
	}
	return hash(b)
}

func order(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// Counters say what the accounts did not take as it came.
type Counters struct {
	None      uint64 // observations of no class
	Late      uint64 // older than the clock: stamped with it
	After     uint64 // found after the attack that they belong to had closed
	Forgotten uint64 // weak observations dropped at the cap
	Overflown uint64 // attacks merged into an overflow account
	Ceiling   uint64 // blocks that the ceiling stopped
	Runaways  uint64 // minutes in which it did
	Uncapped  uint64 // networks not blocked whole: as many as may be are
	Unlimited uint64 // limits not set: as many as may be stand
}

// Accounts holds the open accounts. One owner; no locks. The zero value is not ready: use New.
type Accounts struct {
	cfg      Config
	now      int64
	lastID   uint64
	open     map[Key]*account
	pieces   int
	due      dueHeap
	ripe     []dueItem // room for what closes at once
	spare    []*piece  // closed ones, to be used again
	alerts   map[rule]alertText
	events   []Event
	stories  incidents
	past     past
	judges   judge
	added    Key            // of the last Add; its class is none if that had none
	ids      map[uint64]Key // of open attacks
	Counters Counters
}

// account is the pieces of one key that are open, rising by First, and what a span cut left behind.
type account struct {
	key    Key
	pieces []*piece
	one    [1]*piece // room for the first
	tail   *tail
}

func newAccount(key Key) *account {
	acc := &account{key: key}
	acc.pieces = acc.one[:0]
	return acc
}

// tail is a piece cut at a grid line: the next one within a gap of it is the same attack.
type tail struct {
	Cell     int64  `json:"cell"`
	Last     int64  `json:"last"`
	ID       uint64 `json:"id"`
	Passed   bool   `json:"passed"`
	Incident uint64 `json:"incident"`
	Weak     []weak `json:"weak,omitempty"`
}

// New returns empty accounts.
func New(cfg Config) *Accounts {
	if cfg.OpenMax <= 0 {
		cfg.OpenMax = openMax
	}
	if cfg.Protected == nil {
		cfg.Protected = func(a netip.Addr) bool { return a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsLoopback() }
	}
	no := func(netip.Addr) bool { return false }
	for _, f := range []*func(netip.Addr) bool{&cfg.Authorised, &cfg.Decoy} {
		if *f == nil {
			*f = no
		}
	}
	if cfg.Guard == nil {
		cfg.Guard = func(netip.Prefix) string { return "" }
	}
	if cfg.Shared == nil {
		cfg.Shared = carrierShared.Overlaps
	}
	if cfg.Policy == nil {
		cfg.Policy = DefaultPolicy()
	}
	if cfg.Zone == nil {
		cfg.Zone = func(netip.Addr) (string, bool) { return "", false }
	}
	return &Accounts{cfg: cfg, now: math.MinInt64, open: map[Key]*account{}, judges: newJudge(), ids: map[uint64]Key{}}
}

// Open is how many accounts are open, those of weak observations included.
func (a *Accounts) Open() int { return a.pieces }

// Now is the accounts' clock, ns.
func (a *Accounts) Now() int64 { return a.now }

// Added names the account of the observation that Add took last, one of some class.
func (a *Accounts) Added() Key { return a.added }

// Key names the account that o belongs to; false for an observation of no class.
func (a *Accounts) Key(o *Observation) (Key, bool) {
	class := ClassIndex(o.Class)
	if class < 0 {
		return Key{}, false
	}
	k := Key{Class: uint8(class), Origin: origin(o), Group: a.group(o, class)}
	if subjects(class) {
		k.Subject = o.Subject.Unmap()
	}
	// A scan's packets prove nothing, its own scanners' no more than others'; who forges their name gets no answer.
	k.Authorised = o.Origin.IsValid() && (o.Proven || o.Class == "scan") && a.cfg.Authorised(o.Origin.Unmap())
	return k, true
}

// subjects says whether the class is about a protected host's own doing.
func subjects(class int) bool {
	switch table[class].Name {
	case "c2", "tunnel", "dga", "exfiltration":
		return true
	}
	return false
}

func origin(o *Observation) string {
	switch {
	case o.OriginMAC != "":
		return "mac " + o.OriginMAC + " " + strconv.Itoa(int(o.VLAN))
	case o.OriginDomain != "":
		return "dom " + o.OriginDomain
	case !o.Origin.IsValid() && o.Class == "dga":
		return "none"
	case !o.Origin.IsValid() || !o.Proven:
		return "unproven"
	}
	if ip := o.Origin.Unmap(); ip.Is4() {
		return string(ip.AppendTo(append(make([]byte, 0, 24), "ip "...)))
	}
	net, _ := o.Origin.WithZone("").Prefix(64)
	return "net " + net.String()
}

func (a *Accounts) group(o *Observation, class int) string {
	t := o.Target
	if !t.IsValid() {
		t = o.Subject
	}
	if !t.IsValid() {
		return "none"
	}
	t = t.Unmap().WithZone("")
	if table[class].Industrial || o.TargetSpokeICS {
		return t.String()
	}
	if z, ok := a.cfg.Zone(t); ok {
		return z
	}
	bits := 64
	if t.Is4() {
		bits = 24
	}
	net, _ := t.Prefix(bits)
	return net.String()
}

// Add takes one observation. It does not move the clock. The events are valid until the next call.
func (a *Accounts) Add(o Observation) []Event {
	a.events, a.judges.decisions = a.events[:0], a.judges.decisions[:0]
	key, ok := a.Key(&o)
	if a.added = key; !ok {
		a.Counters.None++
		return nil
	}
	if o.Time < a.now {
		o.Time = a.now
		a.Counters.Late++
	}
	acc := a.open[key]
	if o.Seen != 0 && o.Seen < o.Time && (a.past.holds(key, o.Seen) || acc.over(&o)) {
		a.Counters.After++
		return nil
	}
	if acc == nil {
		acc = newAccount(key)
		a.open[key] = acc
	}
	p := a.place(acc, o.Time)
	weakly := a.fill(p, &o)
	prev := acc.before(p)
	a.judge(acc, p, prev, weakly, o.Time)
	if !a.cfg.Undecided {
		a.decide(acc, p, &o)
	}
	if a.pieces > a.cfg.OpenMax {
		a.shed()
	}
	return a.events
}

// place finds or makes the piece of the account that an observation at t belongs to, joining those it links.
func (a *Accounts) place(acc *account, t int64) *piece {
	c := &table[acc.key.Class]
	cell := floorDiv(t, int64(c.Span))
	var found *piece
	keep := acc.pieces[:0]
	for _, p := range acc.pieces {
		if p.Cell != cell || t < p.First-int64(c.Gap) || t > p.Last+int64(c.Gap) {
			keep = append(keep, p)
			continue
		}
		if found == nil {
			found = p
			keep = append(keep, p)
			continue
		}
		found.join(p, true)
		p.dead = true
		a.pieces--
	}
	clear(acc.pieces[len(keep):])
	acc.pieces = keep
	if found == nil {
		found = a.newPiece(cell, t)
		a.push(acc, found)
	}
	found.First, found.Last = min(found.First, t), max(found.Last, t)
	return found
}

func (a *Accounts) push(acc *account, p *piece) {
	at, _ := slices.BinarySearchFunc(acc.pieces, p.First, func(x *piece, t int64) int { return cmp.Compare(x.First, t) })
	acc.pieces = slices.Insert(acc.pieces, at, p)
	a.pieces++
	a.due.add(dueItem{p.closing(acc.key.Class), acc, p})
}

// before is the link to the piece's earlier part across a grid line, or nil.
func (acc *account) before(p *piece) *tail {
	c := &table[acc.key.Class]
	if t := acc.tail; t != nil && t.Cell == p.Cell-1 && p.First-t.Last <= int64(c.Gap) {
		return t
	}
	for _, q := range acc.pieces {
		if q.Cell == p.Cell-1 && p.First-q.Last <= int64(c.Gap) {
			return &tail{q.Cell, q.Last, q.ID, q.Passed, q.Incident, q.Weak}
		}
	}
	return nil
}

// judge opens the piece's attack when it has become one.
func (a *Accounts) judge(acc *account, p *piece, prev *tail, weakly bool, t int64) {
	if prev != nil && prev.Passed && prev.ID != 0 && p.ID == 0 {
		p.continueFrom(prev)
		a.known(acc, p)
	}
	if !p.Passed && weakly {
		list := p.Weak
		if prev != nil {
			list = slices.Concat(prev.Weak, list)
		}
		p.Passed = reaches(list, table[acc.key.Class].Threshold)
	}
	if p.Passed && p.ID == 0 {
		a.opened(acc, p, t)
	}
}

func (a *Accounts) opened(acc *account, p *piece, t int64) {
	a.lastID++
	p.ID, p.Opened = a.lastID, t
	a.known(acc, p)
	p.Weak = nil
	p.Incident = a.stories.of(acc.key, p, t)
	if a.cfg.Terse {
		a.events = append(a.events, Event{Opened, acc.key, Record{ID: p.ID, State: "opened"}})
		return
	}
	a.events = append(a.events, Event{Opened, acc.key, a.record(acc, p, "opened")})
}

// Advance moves the clock to now and closes what has been quiet for longer than its gap, ordered by
// closed_at, then id. The clock never goes back. The events are valid until the next call.
func (a *Accounts) Advance(now int64) []Event {
	a.events = a.events[:0]
	if now > a.now {
		a.now = now
	}
	a.closeBefore(a.now, math.MaxInt64)
	return a.events
}

// Finish ends a recording: the clock moves on to each closed_at in turn until nothing is open.
func (a *Accounts) Finish() []Event {
	a.events = a.events[:0]
	end := a.now
	for len(a.due) > 0 {
		a.closeBefore(math.MaxInt64, end)
	}
	return a.events
}

// closeBefore closes pieces whose closing lies before limit; those closing after end did so by the end of input.
func (a *Accounts) closeBefore(limit, end int64) {
	ripe := a.ripe[:0]
	for len(a.due) > 0 && a.due[0].at < limit {
		it := a.due[0]
		if it.p != nil && it.p.dead {
			a.due.pop()
			continue
		}
		if it.p != nil {
			if at := it.p.closing(it.acc.key.Class); at > it.at {
				a.due[0].at = at
				a.due.sink()
				continue
			}
		}
		ripe = append(ripe, a.due.pop())
	}
	slices.SortFunc(ripe, func(x, y dueItem) int {
		return cmp.Or(cmp.Compare(x.at, y.at), cmp.Compare(x.id(), y.id()), x.acc.key.compare(y.acc.key))
	})
	for _, it := range ripe {
		if it.p == nil {
			a.dropTail(it)
			continue
		}
		it.p.EndOfInput = it.at > end
		a.close(it.acc, it.p, it.at)
	}
	clear(ripe)
	a.ripe = ripe[:0]
}

func (a *Accounts) dropTail(it dueItem) {
	if it.acc.tail != nil && it.acc.tail.Last+int64(table[it.acc.key.Class].Gap) <= it.at {
		gone := piece{ID: it.acc.tail.ID}
		it.acc.tail = nil
		if !slices.ContainsFunc(it.acc.pieces, func(p *piece) bool { return p.ID == gone.ID }) {
			a.unknown(it.acc, &gone)
		}
	}
	a.forget(it.acc)
}

func (a *Accounts) forget(acc *account) {
	if len(acc.pieces) == 0 && acc.tail == nil {
		delete(a.open, acc.key)
	}
}

// close ends one piece at its closing and hands what continues to the next.
func (a *Accounts) close(acc *account, p *piece, at int64) {
	c := &table[acc.key.Class]
	if p.Passed && p.ID == 0 { // became an attack by a merge
		a.opened(acc, p, p.Last)
	}
	if p.ID != 0 {
		p.ClosedAt = at
		a.past.closed(acc.key, p.First, p.Last, at)
		kind, state := Closed, "closed"
		if p.Continues {
			kind, state = Continued, "continued"
		}
		a.events = append(a.events, Event{kind, acc.key, a.record(acc, p, state)})
	}
	p.dead = true
	a.pieces--
	acc.pieces = slices.DeleteFunc(acc.pieces, func(q *piece) bool { return q == p })
	quiet := p.Last + int64(c.Gap)
	if at < quiet { // cut at the grid line
		acc.tail = &tail{p.Cell, p.Last, p.ID, p.Passed, p.Incident, p.Weak}
		a.due.add(dueItem{quiet, acc, nil})
		for _, q := range acc.pieces {
			if prev := acc.before(q); prev == acc.tail && prev.ID != 0 && q.ID != prev.ID {
				q.continueFrom(prev)
				a.known(acc, q)
			} else if prev == acc.tail {
				a.judge(acc, q, prev, true, q.First)
			}
		}
	}
	a.unknown(acc, p)
	a.forget(acc)
	if len(a.spare) < spareMost {
		a.spare = append(a.spare, p)
	}
}

// shed merges the smallest sixteenth of the accounts into the overflow accounts of their classes.
func (a *Accounts) shed() {
	type small struct {
		acc *account
		p   *piece
	}
	var all []small
	for _, acc := range a.open {
		if !acc.key.Overflow {
			for _, p := range acc.pieces {
				all = append(all, small{acc, p})
			}
		}
	}
	slices.SortFunc(all, func(x, y small) int {
		return cmp.Or(order(x.p.ID != 0, y.p.ID != 0), cmp.Compare(x.p.total().Observations, y.p.total().Observations),
			cmp.Compare(x.p.Last, y.p.Last), x.acc.key.compare(y.acc.key), cmp.Compare(x.p.First, y.p.First))
	})
	for _, s := range all[:min(len(all), max(1, a.cfg.OpenMax/16))] {
		s.p.dead = true
		a.pieces--
		s.acc.pieces = slices.DeleteFunc(s.acc.pieces, func(q *piece) bool { return q == s.p })
		if s.p.ID == 0 {
			a.Counters.Forgotten += s.p.total().Observations
		} else if !s.p.Continues {
			a.overflow(s.acc.key, s.p)
		}
		a.unknown(s.acc, s.p)
		a.forget(s.acc)
	}
}

func (a *Accounts) overflow(from Key, p *piece) {
	a.Counters.Overflown++
	key := Key{Class: from.Class, Authorised: from.Authorised, Overflow: true, Origin: "overflow", Group: "overflow"}
	acc := a.open[key]
	if acc == nil {
		acc = newAccount(key)
		a.open[key] = acc
	}
	if len(acc.pieces) == 0 {
		p.dead = false
		moved := *p
		p.dead = true
		a.push(acc, &moved)
		return
	}
	into := acc.pieces[len(acc.pieces)-1]
	id := into.ID
	into.join(p, true)
	into.ID = id
	if len(into.Merged) < listMax {
		into.Merged = append(into.Merged, p.ID)
	}
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
