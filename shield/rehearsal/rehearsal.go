// Package rehearsal is the shadow of a shield that does not act: what its decisions would have stopped, and what
// ordinary traffic that would have cost.
//
// In: decisions, proven observations and ended flows, in merge order, so that a recording gives the same price for any
// number of workers. Out: a Price for a person, and bytes that a file keeps between two runs. Called by shield at its
// merge point; the command rehearse reads the file. It stops nothing and judges nobody.
package rehearsal

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/dejpha/dejpha/attack"
)

// Bounds of what is remembered.
const (
	casesMax     = 8192 // decisions told one by one; the oldest are summed up
	originsMax   = 8192 // origins whose attacked services are known
	servicesMax  = 64   // of one origin; past it every service counts as attacked
	flowsMax     = 256  // flows of one origin in which something was seen
	neighbourMax = 256  // hosts counted beside those blocked in a network
	// lateFlow is how long after a block's end a flow that was in it may still end: an idle TCP flow lives so long.
	lateFlow = int64(time.Hour)
)

// Flow is one conversation that ended.
type Flow struct {
	ID             uint64
	Client, Server netip.Addr
	Port           uint16 // of the server
	Proto          uint8
	First, Last    int64 // ns
	Packets, Bytes [2]uint64
	Seen           bool // a rule matched in it
	Whole          bool // both ends spoke, over TCP after a handshake
}

// Traffic is flows and what was sent in them.
type Traffic struct {
	Flows   uint64 `json:"flows"`
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}

func (t *Traffic) add(o Traffic) {
	t.Flows += o.Flows
	t.Packets += o.Packets
	t.Bytes += o.Bytes
}

// Toll is what one decision, or several, would have done. Stopped holds everything; the others are parts of it.
type Toll struct {
	Stopped Traffic `json:"stopped"` // sent by the blocked ends while the block stood
	Seen    Traffic `json:"seen"`    // of it, flows in which a rule or a detector saw something
	Cost    Traffic `json:"cost"`    // of it, completed sessions with services that were not attacked
	Perhaps Traffic `json:"perhaps"` // of it, completed sessions with attacked services in which nothing was seen
	Hosts   int     `json:"hosts"`   // other hosts of a network blocked whole
}

func (t *Toll) add(o *Toll) {
	t.Stopped.add(o.Stopped)
	t.Seen.add(o.Seen)
	t.Cost.add(o.Cost)
	t.Perhaps.add(o.Perhaps)
	t.Hosts += o.Hosts
}

// Case is one decision with its toll so far.
type Case struct {
	Time   int64        `json:"time"`  // ns
	Until  int64        `json:"until"` // ns
	Prefix netip.Prefix `json:"prefix"`
	Rate   uint32       `json:"rate,omitempty"` // packets/s still let through: its toll is what came, not what was stopped
	Attack uint64       `json:"attack"`
	Class  string       `json:"class"`
	Policy string       `json:"policy"`
	Toll
	Others []netip.Prefix `json:"others,omitempty"` // the other hosts
}

// Shadow follows a run. One owner; no locks. Use New.
type Shadow struct {
	cases   []*Case
	by      map[netip.Prefix][]*Case // those that a flow may still belong to, rising by Time
	origins map[netip.Prefix]*origin
	turn    []netip.Prefix // of origins, the oldest first
	sum     sums
}

// sums are what is not told one by one.
type sums struct {
	Since   int64  `json:"since"`   // first decision or flow, ns
	Until   int64  `json:"until"`   // last
	Limits  uint64 `json:"limits"`  // decisions to limit a target's unproven packets
	Refused uint64 `json:"refused"` // decisions that a guard or the ceiling turned into an alert
	Older   uint64 `json:"older"`   // cases summed up
	Toll    Toll   `json:"toll"`    // of them
}

// origin is what a proven origin was seen to attack.
type origin struct {
	Services map[string]bool `json:"services"`
	Flows    map[uint64]bool `json:"flows"`
}

// New returns a shadow that has seen nothing.
func New() *Shadow {
	return &Shadow{by: map[netip.Prefix][]*Case{}, origins: map[netip.Prefix]*origin{}}
}

func (s *Shadow) at(t int64) {
	if s.sum.Since == 0 || t < s.sum.Since {
		s.sum.Since = t
	}
	s.sum.Until = max(s.sum.Until, t)
}

// Saw takes note of a proven observation: what its origin attacks.
func (s *Shadow) Saw(o *attack.Observation) {
	if !o.Proven || !o.Origin.IsValid() {
		return
	}
	who := attack.HostPrefix(o.Origin)
	x := s.origins[who]
	if x == nil {
		if len(s.turn) >= originsMax {
			for _, old := range s.turn[:originsMax/16] {
				delete(s.origins, old)
			}
			s.turn = slices.Delete(s.turn, 0, originsMax/16)
		}
		x = &origin{map[string]bool{}, map[uint64]bool{}}
		s.origins[who] = x
		s.turn = append(s.turn, who)
	}
	if o.Target.IsValid() && len(x.Services) <= servicesMax {
		x.Services[service(o.Target, o.TargetPort)] = true
	}
	if o.FlowID != 0 && len(x.Flows) < flowsMax {
		x.Flows[o.FlowID] = true
	}
}

func service(a netip.Addr, port uint16) string {
	return netip.AddrPortFrom(a.Unmap().WithZone(""), port).String()
}

// Decided takes a decision.
func (s *Shadow) Decided(d *attack.Decision) {
	s.at(d.Time)
	switch {
	case d.Action == attack.ActionAlert:
		s.sum.Refused++
	case d.Limit != nil:
		s.sum.Limits++
	case d.Prefix.IsValid() && (d.Action == attack.ActionWouldBlock || d.Action == attack.ActionWouldLimit):
		c := &Case{Time: d.Time, Until: d.Until, Prefix: d.Prefix, Rate: d.Rate, Attack: d.Attack, Class: d.Class, Policy: d.Policy}
		s.cases = append(s.cases, c)
		s.file(c)
		if len(s.cases) > casesMax {
			s.sumUp(casesMax / 16)
		}
	}
}

// file lets flows find a case, and lets go of earlier ones of the same prefix.
func (s *Shadow) file(c *Case) {
	left := slices.DeleteFunc(s.by[c.Prefix], func(x *Case) bool { return x.Until+lateFlow < c.Time })
	s.by[c.Prefix] = append(left, c)
}

// sumUp folds the n oldest cases into one figure.
func (s *Shadow) sumUp(n int) {
	for _, c := range s.cases[:n] {
		s.sum.Older++
		s.sum.Toll.add(&c.Toll)
		left := slices.DeleteFunc(s.by[c.Prefix], func(x *Case) bool { return x == c })
		if s.by[c.Prefix] = left; len(left) == 0 {
			delete(s.by, c.Prefix)
		}
	}
	s.cases = slices.Delete(s.cases, 0, n)
}

// Ended takes a flow that ended: what of it a block would have stopped.
func (s *Shadow) Ended(f *Flow) {
	if len(s.by) == 0 {
		return
	}
	s.at(f.Last)
	for i, end := range []netip.Addr{f.Client, f.Server} {
		if !end.IsValid() {
			continue
		}
		host := attack.HostPrefix(end)
		charged := false
		for _, c := range s.by[host] {
			charged = s.charge(c, f, i, host) || charged
		}
		if charged {
			continue
		}
		for _, c := range s.by[network(host)] {
			if s.charge(c, f, i, host) {
				c.beside(host)
			}
		}
	}
}

// network is the one that is blocked whole when many of its hosts are.
func network(host netip.Prefix) netip.Prefix {
	bits := 24
	if host.Addr().Is6() {
		bits = 48
	}
	p, _ := host.Addr().Prefix(bits)
	return p
}

func (c *Case) beside(host netip.Prefix) {
	if len(c.Others) < neighbourMax && !slices.Contains(c.Others, host) {
		c.Others = append(c.Others, host)
		c.Hosts = len(c.Others)
	}
}

// charge adds to a case what the flow's blocked end sent while the block stood; false: nothing.
func (s *Shadow) charge(c *Case, f *Flow, end int, host netip.Prefix) bool {
	if f.Last < c.Time || f.First >= c.Until || f.Packets[end] == 0 {
		return false
	}
	t := Traffic{1, part(f.Packets[end], f, c), part(f.Bytes[end], f, c)}
	c.Stopped.add(t)
	x := s.origins[host]
	switch {
	case f.Seen || x != nil && x.Flows[f.ID]:
		c.Seen.add(t)
	case !f.Whole:
	case x != nil && end == 0 && (len(x.Services) > servicesMax || x.Services[service(f.Server, f.Port)]):
		c.Perhaps.add(t)
	default:
		c.Cost.add(t)
	}
	return true
}

// part is the share of n that falls into the case's time. Of a flow that was open when the block began or ended only
// the sums are known: they are shared out evenly over its time.
func part(n uint64, f *Flow, c *Case) uint64 {
	from, to := max(f.First, c.Time), min(f.Last, c.Until)
	if f.Last <= f.First || from == f.First && to == f.Last {
		return n
	}
	return uint64(float64(n) * float64(to-from) / float64(f.Last-f.First))
}

// state is a shadow as it is kept.
type state struct {
	Version int                      `json:"version"`
	Sum     sums                     `json:"sum"`
	Cases   []*Case                  `json:"cases"`
	Origins map[netip.Prefix]*origin `json:"origins"`
	Turn    []netip.Prefix           `json:"turn"`
}

const version = 1

// Save is the shadow as bytes.
func (s *Shadow) Save() ([]byte, error) {
	b, err := json.Marshal(&state{version, s.sum, s.cases, s.origins, s.turn})
	if err != nil {
		return nil, fmt.Errorf("writing the rehearsal: %w", err)
	}
	return b, nil
}

// Load reads what Save wrote.
func Load(b []byte) (*Shadow, error) {
	var x state
	if err := json.Unmarshal(b, &x); err != nil {
		return nil, fmt.Errorf("reading the rehearsal: %w", err)
	}
	if x.Version != version {
		return nil, fmt.Errorf("reading the rehearsal: version %d, this program knows %d", x.Version, version)
	}
	s := New()
	s.sum = x.Sum
	for _, c := range x.Cases {
		if c != nil {
			s.cases = append(s.cases, c)
			s.file(c)
		}
	}
	for _, p := range x.Turn {
		if o := x.Origins[p]; o != nil && o.Services != nil && o.Flows != nil {
			s.origins[p] = o
			s.turn = append(s.turn, p)
		}
	}
	return s, nil
}
