// Package nft blocks with nftables where XDP is not to be had: sets with timeouts in a table of its own.
//
// In: block.Changes. Out: elements of sets, each of which the kernel itself takes out at its end; counts of what they dropped.
// Called by block's keeper, opened by block/way. There is one hash set for each length of prefix, asked with the address
// masked to it: unlike an interval set it takes prefixes that lie in each other, and a change costs the same however many there
// are. A miss never asks for the guard. It never decides and touches no table but its own.
package nft

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/dejpha/dejpha/block"
)

// Options say where to block.
type Options struct {
	Interfaces []string // by name, in this network namespace
	Table      string   // "": dejpha
	Sizes      block.Sizes
	Inet       bool              // in the inet family, behind the interface's receive path, even where netdev is to be had
	Say        func(line string) // told once of each way that could not be taken; nil: nobody
}

func (o Options) table() string {
	if o.Table == "" {
		return "dejpha"
	}
	return o.Table
}

func (o Options) say(line string) {
	if o.Say != nil {
		o.Say(line)
	}
}

// kind is one set: what its elements do, to which family, with which length of prefix, at which rate.
type kind struct {
	guard bool
	six   bool
	bits  int
	rate  uint32
}

// name is the set's name: block4_32, guard6_64, rate4_24_100. It is read back by kindOf.
func (k kind) name() string {
	family := 4
	if k.six {
		family = 6
	}
	switch {
	case k.guard:
		return fmt.Sprintf("guard%d_%d", family, k.bits)
	case k.rate > 0:
		return fmt.Sprintf("rate%d_%d_%d", family, k.bits, k.rate)
	}
	return fmt.Sprintf("block%d_%d", family, k.bits)
}

func kindOf(name string) (k kind, ok bool) {
	var family int
	switch {
	case scan(name, "guard%d_%d", &family, &k.bits):
		k.guard = true
	case scan(name, "block%d_%d", &family, &k.bits), scan(name, "rate%d_%d_%d", &family, &k.bits, &k.rate):
	default:
		return k, false
	}
	k.six = family == 6
	return k, k.name() == name
}

func scan(name, format string, to ...any) bool {
	n, err := fmt.Sscanf(name, format, to...)
	return err == nil && n == len(to)
}

// rateOf rounds a rate down to 1, 2 or 5 times a power of ten, so that there are few sets.
func rateOf(rate uint32) uint32 {
	for step := uint32(1_000_000_000); step > 1; step /= 10 {
		for _, n := range []uint32{step, step / 2, step / 5} {
			if rate >= n {
				return n
			}
		}
	}
	return min(rate, 1)
}

func kindFor(p netip.Prefix, rate uint32) kind {
	return kind{six: p.Addr().Is6(), bits: p.Bits(), rate: rateOf(rate)}
}

// key is the element of a prefix, and prefix the way back.
func key(p netip.Prefix) []byte { return p.Addr().AsSlice() }

func (k kind) prefix(key []byte) (netip.Prefix, bool) {
	a, ok := netip.AddrFromSlice(key)
	if !ok || a.Is6() != k.six {
		return netip.Prefix{}, false
	}
	p, err := a.Prefix(k.bits)
	return p, err == nil
}

func (k kind) mask() []byte {
	n := 4
	if k.six {
		n = 16
	}
	m := make([]byte, n)
	for i := range k.bits {
		m[i/8] |= 0x80 >> (i % 8)
	}
	return m
}

// early is how much before its time an element ends, so that the kernel has surely let go of it when its prefix is blocked
// again right after its end: it counts in ticks of up to 10 ms.
const early = 20 * time.Millisecond

// longest is the longest timeout that is given to the kernel. What ends later has none there; the keeper takes it out.
const longest = 10 * 365 * 24 * time.Hour

// timeout is how long an element stays; ok false: its end has come. 0: for ever.
func timeout(until, now int64) (d time.Duration, ok bool) {
	if until == block.Forever {
		return 0, true
	}
	d = time.Duration(until-now) - early
	if d > longest {
		return 0, true
	}
	return d, d >= time.Millisecond
}
