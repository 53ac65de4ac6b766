// Package barred is the set of those who are blocked, for the workers of a shield in the way: they ask it about each packet's
// source, and drop at once what the kernel does not drop yet, or cannot.
//
// In: blocks as they come into force and end, and the guard's list. Out: one answer. Written by the one goroutine that blocks,
// read by all workers without a lock and without an allocation. It knows no clock: who asks says what time it is.
package barred

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/dejpha/dejpha/block"
	"github.com/dejpha/dejpha/decode"
)

const (
	shardsOf   = 256
	hostsMost  = 1 << 20 // past it a host is left to the kernel
	widerMost  = 4096    // likewise a prefix: each is asked in turn
	guardsMost = 4096
)

// Set is the set. The zero value is empty and ready.
type Set struct {
	mu     sync.Mutex // of writers
	shards [shardsOf]atomic.Pointer[map[decode.Addr]int64]
	wider  atomic.Pointer[[]wide]
	guard  atomic.Pointer[[]netip.Prefix]
	hosts  atomic.Int64
	Left   atomic.Uint64 // blocks that did not fit
}

// wide is a prefix that is no single host.
type wide struct {
	prefix netip.Prefix
	until  int64
}

// Blocked says whether packets from an address are to be dropped at a time, ns since 1970 UTC. The guard always wins.
func (s *Set) Blocked(a decode.Addr, now int64) bool {
	list := s.wider.Load()
	if s.hosts.Load() == 0 && list == nil {
		return false
	}
	if !s.host(a, now) && (list == nil || !inWide(*list, a.Netip(), now)) {
		return false
	}
	guard := s.guard.Load()
	return guard == nil || !contains(*guard, a.Netip())
}

// host looks for the address, of IPv6 for its /64.
func (s *Set) host(a decode.Addr, now int64) bool {
	k := key(a)
	m := s.shards[shard(k)].Load()
	if m == nil {
		return false
	}
	until, ok := (*m)[k]
	return ok && now < until
}

func inWide(list []wide, a netip.Addr, now int64) bool {
	for i := range list {
		if now < list[i].until && list[i].prefix.Contains(a) {
			return true
		}
	}
	return false
}

func contains(list []netip.Prefix, a netip.Addr) bool {
	for i := range list {
		if list[i].Contains(a) {
			return true
		}
	}
	return false
}

// key is the address of an origin: IPv4 in IPv6 as it is, else the first half.
func key(a decode.Addr) decode.Addr {
	if !a.Netip().Is4() {
		clear(a[8:])
	}
	return a
}

func shard(k decode.Addr) int {
	h := uint32(2166136261) // FNV-1a
	for _, b := range k {
		h = (h ^ uint32(b)) * 16777619
	}
	return int(h>>8) % shardsOf
}

// Apply does what an enforcer of the kernel is told to do. Blocks that let some packets through are the kernel's alone.
func (s *Set) Apply(c block.Changes) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.guardChanges(&c)
	until := map[netip.Prefix]int64{}
	for _, p := range c.Unblock {
		until[p.Masked()] = 0
	}
	for _, list := range [][]block.Entry{c.Block, c.Change} {
		for _, e := range list {
			until[e.Prefix.Masked()] = e.Until
			if e.Rate > 0 {
				until[e.Prefix.Masked()] = 0
			}
		}
	}
	s.set(until, c.Now)
}

func (s *Set) guardChanges(c *block.Changes) {
	if len(c.Guard)+len(c.Unguard) == 0 {
		return
	}
	var list []netip.Prefix
	if old := s.guard.Load(); old != nil {
		list = slices.Clone(*old)
	}
	for _, g := range c.Guard {
		if p := g.Prefix.Masked(); !slices.Contains(list, p) && len(list) < guardsMost {
			list = append(list, p)
		}
	}
	list = slices.DeleteFunc(list, func(p netip.Prefix) bool { return slices.Contains(c.Unguard, p) })
	s.guard.Store(&list)
}

// Block blocks a prefix until a time, ns since 1970 UTC. now: to forget what has ended.
func (s *Set) Block(p netip.Prefix, until, now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set(map[netip.Prefix]int64{p.Masked(): until}, now)
}

// Unblock takes a prefix out.
func (s *Set) Unblock(p netip.Prefix) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set(map[netip.Prefix]int64{p.Masked(): 0}, 0)
}

// set gives prefixes their ends, 0: none is blocked. Readers see each part of the set as it was or as it is.
func (s *Set) set(until map[netip.Prefix]int64, now int64) {
	byShard := map[int]map[decode.Addr]int64{}
	var wides []wide
	for p, end := range until {
		if !block.IsHost(p) {
			wides = append(wides, wide{p, end})
			continue
		}
		k := key(decode.AddrFrom(p.Addr()))
		if byShard[shard(k)] == nil {
			byShard[shard(k)] = map[decode.Addr]int64{}
		}
		byShard[shard(k)][k] = end
	}
	for i, changes := range byShard {
		s.setHosts(i, changes, now)
	}
	if len(wides) > 0 {
		s.setWide(wides, now)
	}
}

func (s *Set) setHosts(i int, changes map[decode.Addr]int64, now int64) {
	m := map[decode.Addr]int64{}
	before := 0
	if old := s.shards[i].Load(); old != nil {
		before = len(*old)
		for k, end := range *old {
			if _, changed := changes[k]; !changed && now < end {
				m[k] = end
			}
		}
	}
	for k, end := range changes {
		switch {
		case end <= now:
		case s.hosts.Load()-int64(before)+int64(len(m)) >= hostsMost:
			s.Left.Add(1)
		default:
			m[k] = end
		}
	}
	s.shards[i].Store(&m)
	s.hosts.Add(int64(len(m) - before))
}

func (s *Set) setWide(changes []wide, now int64) {
	var list []wide
	if old := s.wider.Load(); old != nil {
		for _, w := range *old {
			if now < w.until && !slices.ContainsFunc(changes, func(c wide) bool { return c.prefix == w.prefix }) {
				list = append(list, w)
			}
		}
	}
	for _, c := range changes {
		switch {
		case c.until <= now:
		case len(list) >= widerMost:
			s.Left.Add(1)
		default:
			list = append(list, c)
		}
	}
	if len(list) == 0 {
		s.wider.Store(nil)
		return
	}
	s.wider.Store(&list)
}
