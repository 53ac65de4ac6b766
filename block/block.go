// Package block keeps what is blocked, what is limited and what must never be blocked, and has the kernel enforce it.
//
// In: decisions (Entry, Limit), the guard's list, proven contacts. Out: Changes for an Enforcer (block/xdp, block/nft),
// which put them into the kernel; a journal in the state's folder. Called by shield and by the commands of control.
// What the kernel should hold (Book) is computed apart from the putting, by code that knows neither clock nor kernel.
// It never decides whom to block: attack's policy and people do.
package block

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/netip"
)

// Forever is the Until of what has no end.
const Forever int64 = math.MaxInt64

// Entry is one block in force, or asked for.
type Entry struct {
	Prefix netip.Prefix `json:"prefix"`
	Until  int64        `json:"until"`            // ns since 1970 UTC; Forever: until it is taken out
	Rate   uint32       `json:"rate,omitempty"`   // packets/s let through; 0: none
	Attack uint64       `json:"attack,omitempty"` // the attack that caused it; 0: none
	By     string       `json:"by"`               // policy line or person
	Since  int64        `json:"since"`            // ns since 1970 UTC
}

// LimitKind is the kind of unproven packets that a Limit holds down.
type LimitKind uint8

// The kinds of unproven packets.
const (
	LimitSYN      LimitKind = 1 + iota // TCP with SYN and without ACK; Port is the destination's, 0: all together
	LimitUDP                           // UDP; Port is the destination's, 0: all ports together
	LimitICMP                          // ICMP and ICMPv6, but for neighbour discovery, which is never limited
	LimitFragment                      // every fragment of a datagram, first ones too
	LimitOther                         // all else: TCP without SYN, other protocols; Proto narrows it, 0: all together
)

// String names the kind.
func (k LimitKind) String() string {
	if k < LimitSYN || k > LimitOther {
		return fmt.Sprintf("kind %d", uint8(k))
	}
	return [...]string{"SYN", "UDP", "ICMP", "fragment", "other"}[k-1]
}

// Limit holds down unproven traffic to a target group: never by its source, which may be forged. Packets of proven
// contacts and of guarded sources are exempt.
type Limit struct {
	Target netip.Prefix `json:"target"`
	Proto  uint8        `json:"proto,omitempty"` // of LimitOther; 0: all
	Port   uint16       `json:"port,omitempty"`  // of LimitSYN and LimitUDP; 0: all
	Kind   LimitKind    `json:"kind"`
	Rate   uint32       `json:"rate"`  // packets/s let through, at least 1
	Burst  uint32       `json:"burst"` // packets let through at once; 0: as many as Rate
	Until  int64        `json:"until"` // ns since 1970 UTC; Forever: until it is taken out
}

// LimitKey is what makes two Limits the same one.
type LimitKey struct {
	Target netip.Prefix
	Kind   LimitKind
	Proto  uint8
	Port   uint16
}

// Key is the limit's key, without what its kind does not look at.
func (l Limit) Key() LimitKey {
	k := LimitKey{Target: l.Target.Masked(), Kind: l.Kind}
	switch l.Kind {
	case LimitSYN, LimitUDP:
		k.Port = l.Port
	case LimitOther:
		k.Proto = l.Proto
	}
	return k
}

// Proven is a contact that showed itself two-way: its packets are exempt from limits. With both ports it is one flow;
// with both ports 0 it is every packet of Proto from Src to Dst, of which Rate a second are exempt, so that somebody who
// forges a known client's address gains no more than that.
type Proven struct {
	Src, Dst         netip.Addr
	SrcPort, DstPort uint16
	Proto            uint8
	Rate             uint32 // packets/s exempt; 0: all
	Until            int64  // ns since 1970 UTC
}

// Changes is what an Enforcer does to the kernel, in the order of the fields: the guard grows first and shrinks last, so
// that at no moment a guarded address is blocked.
type Changes struct {
	Now     int64          // ns since 1970 UTC, when this was computed: what the ends are measured from
	Guard   []Guarded      // put into the guard, or given another end
	Ended   []netip.Prefix // taken out because their time came: what ends by itself may be left to it
	Unblock []netip.Prefix // taken out before it
	Block   []Entry        // new
	Change  []Entry        // in the kernel already: another end or rate, the same counters
	Unlimit []LimitKey
	Limit   []Limit // new, or changed
	Prove   []Proven
	Unguard []netip.Prefix
}

// Empty says that there is nothing to do.
func (c *Changes) Empty() bool {
	return len(c.Guard)+len(c.Ended)+len(c.Unblock)+len(c.Block)+len(c.Change)+len(c.Unlimit)+len(c.Limit)+len(c.Prove)+len(c.Unguard) == 0
}

// Count is what one block has stopped since it was put into the kernel.
type Count struct {
	Prefix  netip.Prefix
	Packets uint64
	Bytes   uint64 // of frames, as the kernel saw them
	Last    int64  // ns since 1970 UTC of the last packet; 0: none yet
}

// State is what an Enforcer found in the kernel when it was opened: what a process before it left there.
type State struct {
	ID     string // made at random with the maps: the same maps have the same ID
	Blocks []Entry
	Guard  []Guarded
	Limits []Limit
}

// Totals are an Enforcer's sums over everything, since its maps were made.
type Totals struct {
	BlockPackets, BlockBytes uint64 // dropped for their source
	LimitPackets, LimitBytes uint64 // dropped by a limit
	Guarded                  uint64 // would have been dropped and were let through for the guard
}

// Enforcer is one way of the kernel to block. Apply and Load are called by one goroutine, Counters and Totals by any.
type Enforcer interface {
	// Name says which way it is, for people: "XDP native on eth0".
	Name() string
	// Sizes are how many of each it holds.
	Sizes() Sizes
	// Load is what the kernel holds now. now: ns since 1970 UTC.
	Load(now int64) (State, error)
	// Apply does the changes. After an error some of them may have been done: the caller tries again, all are repeatable.
	Apply(c Changes) error
	// Counters are the counts of the blocks that stopped something. now: ns since 1970 UTC.
	Counters(now int64) ([]Count, error)
	// Totals are the sums over everything.
	Totals() (Totals, error)
	// Close lets go of the kernel's things, which stay in force.
	Close() error
}

// Errors of what is asked for.
var (
	ErrGuarded = errors.New("guarded: this address is never blocked")
	ErrFull    = errors.New("the table is full")
	ErrBusy    = errors.New("too many decisions wait for the kernel")
	ErrClosed  = errors.New("closed")
	ErrKernel  = errors.New("not to be had from this kernel") // exit code 5: a privilege or a feature is missing, the text says which
)

// The widest prefixes that may be blocked: a wider one is a slip, or somebody's attempt to cut the line.
const (
	widest4 = 8
	widest6 = 16
)

// Normal is the prefix as it is kept and enforced: masked, IPv4 in IPv6 as IPv4. A single IPv6 address stays one; it is
// the policy that blocks by /64. An error says what is wrong with it.
func Normal(p netip.Prefix) (netip.Prefix, error) {
	if !p.IsValid() {
		return p, errors.New("not a prefix; write 192.0.2.7, 192.0.2.0/24 or 2001:db8::/64")
	}
	if a := p.Addr(); a.Is4In6() {
		if p.Bits() < 96 {
			return p, fmt.Errorf("%s: an IPv4 address in IPv6 with fewer than 96 bits; write it as IPv4", p)
		}
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return netip.PrefixFrom(p.Addr().WithZone(""), p.Bits()).Masked(), nil
}

// Host is the prefix that names one origin of an address: IPv4 /32, IPv6 /64.
func Host(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	n := 32
	if a.Is6() {
		n = 64
	}
	p, _ := a.Prefix(n)
	return p
}

// IsHost says that the prefix is one origin: IPv4 /32 or IPv6 /64, which enforcers hold in hashes.
func IsHost(p netip.Prefix) bool {
	return p.Addr().Is4() && p.Bits() == 32 || p.Addr().Is6() && p.Bits() == 64
}

func tooWide(p netip.Prefix) bool {
	return p.Addr().Is4() && p.Bits() < widest4 || p.Addr().Is6() && p.Bits() < widest6
}

// within says that a lies wholly inside b.
func within(a, b netip.Prefix) bool { return a.Bits() >= b.Bits() && b.Contains(a.Addr()) }

// order is the order of prefixes in lists: by family and address, the wider first.
func order(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), a.Bits()-b.Bits())
}
