// Package board keeps the blocks of a running shield: it hands decisions on to the keeper of the kernel's tables, keeps
// the guard's list true to the machine, tells what was stopped for which attack, and answers those who ask.
//
// In: decisions of attack's policy, from the merge point, which never waits for it; requests of people, from the control
// socket and the console. Out: entries and limits for block's keeper, and what was stopped. Called by shield. It decides
// about nobody by itself, and in a rehearsal nothing that it keeps reaches a kernel.
package board

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/block"
	"github.com/dejpha/dejpha/block/barred"
	"github.com/dejpha/dejpha/figures"
	"github.com/dejpha/dejpha/shield/policy"
)

const (
	countEvery  = time.Second
	guardEvery  = time.Minute
	file        = "blocks.json"
	crowdLeast  = 1024
	flowFor     = 6 * time.Hour // that a proven flow is exempt from limits
	pairFor     = time.Hour     // and its client, for new ones
	answeredMax = 1 << 14
	pairRate    = 100 // packets/s of a proven client beyond its flows: so much gains who forges its address
)

// Options of a board.
type Options struct {
	Enforcer block.Enforcer // nil: nothing is enforced by the kernel
	Barred   *barred.Set    // whom a shield in the way drops by itself; nil: it stands beside
	Acts     bool           // false: a rehearsal
	Off      bool           // nobody is decided against
	State    string         // folder
	Guard    *policy.Guard
	Root     fs.FS        // of the machine's files; nil: its own
	Now      func() int64 // ns since 1970 UTC
	Say      func(string)
}

// Board is open from Open to Close. Its methods may be called from any goroutine.
type Board struct {
	o        Options
	keeper   *block.Keeper
	sessions []policy.Guarded // of administrators, as they were at the start
	quit     chan struct{}
	done     sync.WaitGroup

	mu      sync.Mutex
	last    map[netip.Prefix]block.Count
	attacks map[netip.Prefix]uint64 // what led to a block
	crowd   int                     // so many, and those that ended are forgotten
	limits  map[uint64]int64        // attacks that led to limits, until when
	total   block.Totals
	counted bool         // total is known
	newest  *block.Entry // the last block

	answered map[[2]netip.Addr]int64 // servers and those they answered, when the kernel was told
	stopped  map[uint64]Stopped
	fallen   uint64

	counting sync.Mutex
	seen     uint64 // packets dropped for their source when the entries were last asked
	asked    bool
	due      int64 // not asked again before, ns since 1970 UTC
}

// Stopped is what was kept from a target because of an attack since the last look.
type Stopped struct{ Packets, Bytes uint64 }

// Open starts a board with what an earlier one left in force.
func Open(o Options) (*Board, error) {
	if o.Root == nil {
		o.Root = os.DirFS("/")
	}
	b := &Board{o: o, quit: make(chan struct{}), last: map[netip.Prefix]block.Count{}, attacks: map[netip.Prefix]uint64{},
		crowd: crowdLeast, limits: map[uint64]int64{}, stopped: map[uint64]Stopped{}, answered: map[[2]netip.Addr]int64{}}
	b.sessions = policy.Sessions(o.Root, os.Getenv("SSH_CONNECTION"))
	o.Guard.Set(b.system())
	var enforcer block.Enforcer
	switch {
	case o.Acts && o.Enforcer != nil && o.Barred != nil:
		enforcer = &both{o.Enforcer, o.Barred}
	case o.Acts && o.Enforcer != nil:
		enforcer = o.Enforcer
	case o.Acts && o.Barred != nil:
		enforcer = &alone{o.Barred}
	}
	keeper, err := block.Open(block.Options{Enforcer: enforcer, File: filepath.Join(o.State, file), Guard: lines(o.Guard), Now: o.Now, Say: o.Say})
	if err != nil {
		return nil, err
	}
	b.keeper = keeper
	b.allowed()
	b.mu.Lock()
	for _, e := range keeper.List() {
		b.attacks[e.Prefix] = e.Attack
		b.latest(&e)
	}
	b.mu.Unlock()
	b.done.Add(1)
	go b.run()
	return b, nil
}

// system is whom the machine cannot do without now.
func (b *Board) system() []policy.Guarded {
	var own []netip.Prefix
	addresses, _ := net.InterfaceAddrs() // of a machine that does not tell them none is guarded by this
	for _, a := range addresses {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			own = append(own, p)
		}
	}
	return append(policy.System(b.o.Root, own), b.sessions...)
}

// lines is the guard's list as the keeper holds it.
func lines(g *policy.Guard) (out []block.Guarded) {
	for _, x := range g.List() {
		if !x.Allowed {
			out = append(out, block.Guarded{Prefix: x.Prefix, Until: block.Forever, Why: x.Why, Fixed: true})
		}
	}
	return out
}

// allowed hands those that people allowed on to the guard that decisions ask.
func (b *Board) allowed() {
	var out []policy.Guarded
	for _, g := range b.keeper.Guard() {
		if !g.Fixed {
			out = append(out, policy.Guarded{Prefix: g.Prefix, Why: g.Why, Allowed: true})
		}
	}
	b.o.Guard.Allow(out)
}

// run looks at the kernel's counters and at the machine, until the board is closed.
func (b *Board) run() {
	defer b.done.Done()
	tick := time.NewTicker(countEvery)
	defer tick.Stop()
	for n := time.Duration(1); ; n++ {
		select {
		case <-b.quit:
			return
		case <-tick.C:
		}
		b.count()
		b.forget()
		b.allowed()
		if n%(guardEvery/countEvery) == 0 && b.o.Guard.Set(b.system()) {
			b.keeper.SetGuard(lines(b.o.Guard))
		}
	}
}

// Enforce hands on a decision that acts; it never waits. What the keeper does not take is counted.
func (b *Board) Enforce(d attack.Decision) {
	var err error
	b.mu.Lock()
	if d.Limit != nil {
		b.limits[d.Attack] = max(b.limits[d.Attack], d.Until)
	} else {
		b.attacks[d.Prefix] = d.Attack
	}
	b.mu.Unlock()
	e := block.Entry{Prefix: d.Prefix, Until: d.Until, Rate: d.Rate, Attack: d.Attack, By: d.Policy, Since: d.Time}
	if d.Limit != nil {
		err = b.keeper.Limit(limit(&d))
	} else {
		err = b.keeper.Block(e)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case err != nil:
		b.fallen++
	case d.Limit == nil:
		b.latest(&e)
	}
}

// latest remembers the last block; the lock is held.
func (b *Board) latest(e *block.Entry) {
	if b.newest == nil || e.Since >= b.newest.Since {
		x := *e
		b.newest = &x
	}
}

// Mode says what becomes of decisions: "on": they act, "rehearsal", or "off": there are none.
func (b *Board) Mode() string {
	switch {
	case b.o.Acts:
		return "on"
	case b.o.Off:
		return "off"
	}
	return "rehearsal"
}

// Figures are what stands now, without a look at every block.
func (b *Board) Figures() figures.Blocks {
	f := figures.Blocks{Mode: b.Mode(), Way: b.Way(), InForce: b.keeper.Stats().InForce, Limits: len(b.keeper.Limits())}
	b.mu.Lock()
	defer b.mu.Unlock()
	f.Dropped, f.Limited, f.Fallen = b.total.BlockPackets, b.total.LimitPackets, b.fallen
	if e := b.newest; e != nil {
		f.Last = &figures.Blocked{Prefix: Text(e.Prefix), By: e.By, Attack: e.Attack, Since: e.Since}
	}
	return f
}

// Vouch tells the kernel of a proven flow: its packets, both ways, are exempt from limits on unproven ones, and new ones of its
// client to that server are up to a rate, over UDP, too, where the service speaks both. It never waits; what the keeper does
// not take is counted there.
func (b *Board) Vouch(client, server netip.Addr, clientPort, serverPort uint16, proto uint8) {
	now := b.o.Now()
	there := block.Proven{Src: client, Dst: server, SrcPort: clientPort, DstPort: serverPort, Proto: proto, Until: now + int64(flowFor)}
	back := there
	back.Src, back.Dst, back.SrcPort, back.DstPort = server, client, serverPort, clientPort
	pair := block.Proven{Src: client, Dst: server, Proto: proto, Rate: pairRate, Until: now + int64(pairFor)}
	for _, p := range []block.Proven{there, back, pair} {
		b.keeper.Prove(p)
	}
	if proto == protoTCP && slices.Contains(alsoUDP[:], serverPort) {
		pair.Proto = protoUDP
		b.keeper.Prove(pair)
	}
}

const protoTCP, protoUDP = 6, 17

// alsoUDP are the ports of services over TCP whose clients speak UDP with the same server: DNS, Kerberos, LDAP, HTTP, STUN, SIP.
var alsoUDP = [...]uint16{53, 88, 389, 443, 3478, 5060}

// Answered tells the kernel of a server whose answer over UDP showed that it got the question: further packets of that
// conversation to the client are exempt, and others of the server to it up to a rate. Nothing is said of the client.
func (b *Board) Answered(client, server netip.Addr, clientPort, serverPort uint16) {
	now := b.o.Now()
	back := block.Proven{Src: server, Dst: client, SrcPort: serverPort, DstPort: clientPort, Proto: protoUDP, Until: now + int64(pairFor)}
	b.keeper.Prove(back)
	b.mu.Lock()
	key := [2]netip.Addr{server, client}
	again := b.answered[key] > now-int64(pairFor)/2
	if !again {
		if len(b.answered) >= answeredMax {
			clear(b.answered)
		}
		b.answered[key] = now
	}
	b.mu.Unlock()
	if !again {
		b.keeper.Prove(block.Proven{Src: server, Dst: client, Proto: protoUDP, Rate: pairRate, Until: now + int64(pairFor)})
	}
}

var kinds = map[attack.LimitKind]block.LimitKind{attack.LimitSYN: block.LimitSYN, attack.LimitUDP: block.LimitUDP, attack.LimitICMP: block.LimitICMP,
	attack.LimitFragment: block.LimitFragment, attack.LimitOther: block.LimitOther}

func limit(d *attack.Decision) block.Limit {
	l := d.Limit
	out := block.Limit{Target: l.Target, Proto: l.Proto, Port: l.Port, Kind: kinds[l.Kind], Rate: l.Rate, Burst: l.Burst, Until: d.Until}
	if out.Kind != block.LimitOther {
		out.Proto = 0
	}
	return out
}

// The time in which the kernel's entries are read is bounded: of busyShare parts at most one, unless it is quick.
const (
	busyShare = 10
	quick     = 20 * time.Millisecond
)

// count takes what the kernel stopped since the last look, by attack. Of limits only the sum over all is known: it is an
// attack's while the limits that stand are all of one. To read a million entries takes a good part of a second: that is
// done only when the sum over all has grown, and the more seldom the longer it takes.
func (b *Board) count() {
	b.counting.Lock()
	defer b.counting.Unlock()
	total, err2 := b.keeper.Totals()
	began := b.o.Now()
	var counts []block.Count
	err := err2
	grown := !b.asked || total.BlockPackets != b.seen
	if grown = grown && err == nil && began >= b.due; grown {
		counts, err = b.keeper.Counts()
		if took := b.o.Now() - began; took > int64(quick) {
			b.due = began + busyShare*took
		}
		b.seen, b.asked = total.BlockPackets, err == nil
	}
	now := b.o.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil && grown {
		for _, c := range counts {
			was := b.last[c.Prefix]
			if c.Packets < was.Packets { // a new entry of the same prefix
				was = block.Count{}
			}
			b.add(b.attacks[c.Prefix], c.Packets-was.Packets, c.Bytes-was.Bytes)
		}
		clear(b.last)
		for _, c := range counts {
			b.last[c.Prefix] = c
		}
	}
	if err2 != nil {
		return
	}
	if n := total.LimitPackets - b.total.LimitPackets; b.counted && total.LimitPackets > b.total.LimitPackets && len(b.limits) == 1 {
		for id := range b.limits {
			b.add(id, n, total.LimitBytes-b.total.LimitBytes)
		}
	}
	b.total, b.counted = total, true
	for id, until := range b.limits {
		if until <= now {
			delete(b.limits, id)
		}
	}
}

// forget lets go of the reasons of blocks that are no longer in force, each time there are twice as many as were left
// the last time: a look costs as much as there are blocks, and decisions must not wait for it.
func (b *Board) forget() {
	b.mu.Lock()
	if len(b.attacks) < b.crowd {
		b.mu.Unlock()
		return
	}
	gone := maps.Clone(b.attacks)
	b.mu.Unlock()
	for _, e := range b.keeper.List() {
		delete(gone, e.Prefix)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for p := range gone {
		delete(b.attacks, p)
	}
	b.crowd = 2*len(b.attacks) + crowdLeast
}

func (b *Board) add(id, packets, bytes uint64) {
	if id == 0 || packets == 0 {
		return
	}
	s := b.stopped[id]
	b.stopped[id] = Stopped{s.Packets + packets, s.Bytes + bytes}
}

// Take returns what was stopped since the last call, by attack.
func (b *Board) Take() map[uint64]Stopped {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.stopped) == 0 {
		return nil
	}
	s := b.stopped
	b.stopped = map[uint64]Stopped{}
	return s
}

// Fallen is how many decisions the keeper did not take.
func (b *Board) Fallen() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.fallen
}

// Close leaves what is in force as it is. A nil board has nothing.
func (b *Board) Close() error {
	if b == nil {
		return nil
	}
	close(b.quit)
	b.done.Wait()
	return b.keeper.Close()
}

// both puts changes into the kernel and tells the workers.
type both struct {
	block.Enforcer
	barred *barred.Set
}

// Apply implements block.Enforcer: the workers first, they need no kernel.
func (t *both) Apply(c block.Changes) error {
	t.barred.Apply(c)
	return t.Enforcer.Apply(c)
}

// Tend lets the kernel's part look after its interfaces.
func (t *both) Tend() error {
	if x, ok := t.Enforcer.(interface{ Tend() error }); ok {
		return x.Tend()
	}
	return nil
}

// alone tells the workers only: there is no way for the kernel to block.
type alone struct{ barred *barred.Set }

// Name implements block.Enforcer.
func (*alone) Name() string { return "verdicts" }

// Sizes implements block.Enforcer.
func (*alone) Sizes() block.Sizes { return block.Sizes{} }

// Load implements block.Enforcer.
func (*alone) Load(int64) (block.State, error) { return block.State{}, nil }

// Apply implements block.Enforcer.
func (t *alone) Apply(c block.Changes) error { t.barred.Apply(c); return nil }

// Counters implements block.Enforcer.
func (*alone) Counters(int64) ([]block.Count, error) { return nil, nil }

// Totals implements block.Enforcer.
func (*alone) Totals() (block.Totals, error) { return block.Totals{}, nil }

// Close implements block.Enforcer.
func (*alone) Close() error { return nil }

// ErrRehearsal says that a person asked a rehearsing shield to act.
var ErrRehearsal = errors.New("this shield rehearses: it blocks nobody; start it with block.mode on")

// blockedOrder sorts blocks for a person: the newest first.
func blockedOrder(x, y Blocked) int { return cmp.Compare(y.Since, x.Since) }

// Blocked is one block as it is shown.
type Blocked struct {
	Prefix  string `json:"prefix"`
	Until   int64  `json:"until"` // ns; 0: no end
	Since   int64  `json:"since"`
	Rate    uint32 `json:"rate,omitempty"`
	Attack  uint64 `json:"attack,omitempty"`
	By      string `json:"by"`
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
	Undo    string `json:"undo"`
}

// List is what is blocked, the newest first.
func (b *Board) List() []Blocked {
	out := []Blocked{}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.keeper.List() {
		out = append(out, b.shown(&e))
	}
	slices.SortStableFunc(out, blockedOrder)
	return out
}

// shown is an entry for a person; the lock is held.
func (b *Board) shown(e *block.Entry) Blocked {
	x := Blocked{Prefix: Text(e.Prefix), Until: e.Until, Since: e.Since, Rate: e.Rate, Attack: e.Attack, By: e.By, Undo: "dejpha unblock " + Text(e.Prefix)}
	if e.Until == block.Forever {
		x.Until = 0
	}
	c := b.last[e.Prefix]
	x.Packets, x.Bytes = c.Packets, c.Bytes
	return x
}

// Text writes a host without its length.
func Text(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// Way names how the kernel blocks.
func (b *Board) Way() string {
	if !b.o.Acts {
		return "rehearsal"
	}
	return b.keeper.Enforcer()
}

// Parse reads an address or a prefix that a person wrote; an IPv6 address stands for its /64.
func Parse(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		return attack.HostPrefix(a), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, fmt.Errorf("%q is not an address or prefix; write 192.0.2.7, 192.0.2.0/24 or 2001:db8::/64", text)
	}
	return block.Normal(p)
}
