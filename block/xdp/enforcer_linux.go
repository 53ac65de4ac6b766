package xdp

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/dejpha/dejpha/block"
)

const batchMax = 4096 // entries a system call

// Enforcer holds blocks in an XDP program's maps. It is a block.Enforcer.
type Enforcer struct {
	t      *tables
	name   atomic.Pointer[string]
	sizes  block.Sizes
	groups map[netip.Prefix]*group // of the limits' targets; Apply's and Load's goroutine
	next   uint32                  // number of the next group

	o      Options
	folder string // of the pins
	links  map[string]attached
	fresh  map[string]bool // interfaces attached by this process, not taken over
}

// attached is the program on one interface.
type attached struct {
	l   link.Link
	way string
}

// group is a target in the kernel and how many limits it has.
type group struct {
	number uint32
	limits map[block.LimitKey]bool
}

func newEnforcer(t *tables, name string) *Enforcer {
	most := func(name string) int { return int(t.maps[name].MaxEntries()) }
	e := &Enforcer{t: t, links: map[string]attached{}, groups: map[netip.Prefix]*group{}, next: 1, sizes: block.Sizes{
		Hosts: min(most(mapHost4), most(mapHost6)), Prefixes: most(mapNets), Limits: most(mapLimits), Guard: most(mapGuard)}}
	e.name.Store(&name)
	return e
}

// Name says which way it is: "XDP (eth0 native, eth1 generic)".
func (e *Enforcer) Name() string { return *e.name.Load() }

// Sizes are what the maps hold, which a process before this one may have made.
func (e *Enforcer) Sizes() block.Sizes { return e.sizes }

// Program is what runs on the interfaces.
func (e *Enforcer) Program() *ebpf.Program { return e.t.prog }

// SetNext makes every packet that is not dropped go on into another XDP program (of a bridge, of AF_XDP); nil: it goes on into
// the kernel. It stays so after Close.
func (e *Enforcer) SetNext(p *ebpf.Program) error {
	m := e.t.maps[mapNext]
	if p == nil {
		if err := m.Delete(uint32(0)); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("taking out the program behind the blocks: %w", err)
		}
		return nil
	}
	if err := m.Put(uint32(0), p); err != nil {
		return fmt.Errorf("putting a program behind the blocks: %w", err)
	}
	return nil
}

// Close lets go of the maps, the program and the links. Pinned ones stay in force.
func (e *Enforcer) Close() error {
	e.t.close()
	for _, a := range e.links {
		_ = a.l.Close()
	}
	return nil
}

func clockAt(wall int64) clock {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) // it fails only for a clock that is not there
	return clock{wall, ts.Nano()}
}

// Apply does the changes, in the order in which they stand.
func (e *Enforcer) Apply(c block.Changes) error {
	k := clockAt(c.Now)
	steps := []func() error{
		func() error { return e.guard(c.Guard, k) },
		func() error { return e.unblock(c.Ended) },
		func() error { return e.unblock(c.Unblock) },
		func() error { return e.block(c.Block, k) },
		func() error { return e.change(c.Change, k) },
		func() error { return e.unlimit(c.Unlimit) },
		func() error { return e.limit(c.Limit, k) },
		func() error { return e.prove(c.Prove, k) },
		func() error { return e.unguard(c.Unguard) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (e *Enforcer) guard(all []block.Guarded, k clock) error {
	for _, g := range all {
		key := lpmKeyOf(g.Prefix)
		if err := e.t.maps[mapGuard].Put(key, guardValue{End: k.toBoot(g.Until), Bits: key.Bits}); err != nil {
			return fmt.Errorf("guarding %s: %w", g.Prefix, err)
		}
	}
	return nil
}

func (e *Enforcer) unguard(all []netip.Prefix) error {
	for _, p := range all {
		if err := remove(e.t.maps[mapGuard], lpmKeyOf(p)); err != nil {
			return fmt.Errorf("taking %s out of the guard: %w", p, err)
		}
	}
	return nil
}

// remove takes a key out of a map; one that is not there is no error.
func remove(m *ebpf.Map, key any) error {
	if err := m.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return err
	}
	return nil
}

// keys are prefixes sorted into the maps that hold them.
type keys struct {
	host4 [][4]byte
	host6 [][8]byte
	nets  []lpmKey
}

func (s *keys) add(p netip.Prefix) {
	switch {
	case !block.IsHost(p):
		s.nets = append(s.nets, lpmKeyOf(p))
	case p.Addr().Is4():
		s.host4 = append(s.host4, host4Key(p.Addr()))
	default:
		s.host6 = append(s.host6, host6Key(p.Addr()))
	}
}

func (e *Enforcer) unblock(all []netip.Prefix) error {
	var s keys
	for _, p := range all {
		s.add(p)
	}
	return errors.Join(removeAll(e.t.maps[mapHost4], s.host4), removeAll(e.t.maps[mapHost6], s.host6), removeAll(e.t.maps[mapNets], s.nets))
}

func removeAll[K any](m *ebpf.Map, all []K) error {
	for len(all) > 0 {
		n, err := m.BatchDelete(all[:min(len(all), batchMax)], nil)
		all = all[min(n, len(all)):]
		switch {
		case err == nil:
		case errors.Is(err, ebpf.ErrKeyNotExist) && len(all) > 0: // the batch stops at the first that is not there
			all = all[1:]
		case errors.Is(err, ebpf.ErrKeyNotExist):
		default:
			return fmt.Errorf("taking blocks out: %w", err)
		}
	}
	return nil
}

// block goes batch by batch through the same buffers: a million values at once would cost more than the kernel does.
func (e *Enforcer) block(all []block.Entry, k clock) error {
	var s keys
	var v4, v6, vn []value
	for some := range slices.Chunk(all, batchMax) {
		s.host4, s.host6, s.nets, v4, v6, vn = s.host4[:0], s.host6[:0], s.nets[:0], v4[:0], v6[:0], vn[:0]
		for _, x := range some {
			s.add(x.Prefix)
			v := valueOf(x, k)
			switch {
			case !block.IsHost(x.Prefix):
				vn = append(vn, v)
			case x.Prefix.Addr().Is4():
				v4 = append(v4, v)
			default:
				v6 = append(v6, v)
			}
		}
		err := errors.Join(putAll(e.t.maps[mapHost4], s.host4, v4), putAll(e.t.maps[mapHost6], s.host6, v6), putAll(e.t.maps[mapNets], s.nets, vn))
		if err != nil {
			return err
		}
	}
	return nil
}

func valueOf(x block.Entry, k clock) value {
	v := value{End: k.toBoot(x.Until), Bits: hostBits}
	if !block.IsHost(x.Prefix) {
		v.Bits = uint32(familyBits + x.Prefix.Bits())
	}
	v.Interval, v.Slack = bucket(x.Rate, x.Rate)
	return v
}

func putAll[K any](m *ebpf.Map, all []K, values []value) error {
	for tries := 0; len(all) > 0; {
		n := min(len(all), batchMax)
		done, err := m.BatchUpdate(all[:n], values[:n], nil)
		done = min(done, len(all))
		all, values = all[done:], values[done:]
		switch {
		case err == nil:
			tries = 0
		case errors.Is(err, unix.ENOMEM) && tries < 100: // the kernel refills its store of free elements beside us
			tries++
		default:
			return fmt.Errorf("putting blocks into %s: %w", m, err)
		}
	}
	return nil
}

// change gives entries another end or rate and keeps what they counted.
func (e *Enforcer) change(all []block.Entry, k clock) error {
	for _, x := range all {
		m, key := e.place(x.Prefix)
		var v value
		if err := m.Lookup(key, &v); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("changing the block of %s: %w", x.Prefix, err)
		}
		fresh := valueOf(x, k)
		v.End, v.Slack, v.Interval, v.Bits = fresh.End, fresh.Slack, fresh.Interval, fresh.Bits
		if err := m.Put(key, v); err != nil {
			return fmt.Errorf("changing the block of %s: %w", x.Prefix, err)
		}
	}
	return nil
}

// place is where the block of a prefix stands.
func (e *Enforcer) place(p netip.Prefix) (*ebpf.Map, any) {
	switch {
	case !block.IsHost(p):
		return e.t.maps[mapNets], lpmKeyOf(p)
	case p.Addr().Is4():
		return e.t.maps[mapHost4], host4Key(p.Addr())
	}
	return e.t.maps[mapHost6], host6Key(p.Addr())
}

func limitKeyOf(k block.LimitKey, group uint32) limitKey {
	return limitKey{Group: group, Kind: uint8(k.Kind), Proto: k.Proto, Port: port(k.Port)}
}

func (e *Enforcer) limit(all []block.Limit, k clock) error {
	for _, l := range all {
		g, known := e.groups[l.Key().Target]
		if !known {
			g = &group{e.next, map[block.LimitKey]bool{}}
		}
		key := limitKeyOf(l.Key(), g.number)
		var v value
		if err := e.t.maps[mapLimits].Lookup(key, &v); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("limit on %s: %w", l.Target, err)
		}
		v.End = k.toBoot(l.Until)
		v.Interval, v.Slack = bucket(l.Rate, l.Burst)
		if err := e.t.maps[mapLimits].Put(key, v); err != nil {
			return fmt.Errorf("limit on %s: %w", l.Target, err)
		}
		if !known {
			at := lpmKeyOf(l.Key().Target)
			if err := e.t.maps[mapTargets].Put(at, targetValue{g.number, at.Bits}); err != nil {
				return fmt.Errorf("limit on %s: %w", l.Target, err)
			}
			e.groups[l.Key().Target] = g
			e.next++
		}
		g.limits[l.Key()] = true
	}
	return nil
}

func (e *Enforcer) unlimit(all []block.LimitKey) error {
	for _, k := range all {
		g, ok := e.groups[k.Target]
		if !ok || !g.limits[k] {
			continue
		}
		if len(g.limits) == 1 {
			if err := remove(e.t.maps[mapTargets], lpmKeyOf(k.Target)); err != nil {
				return fmt.Errorf("taking out the limit on %s: %w", k.Target, err)
			}
		}
		if err := remove(e.t.maps[mapLimits], limitKeyOf(k, g.number)); err != nil {
			return fmt.Errorf("taking out the limit on %s: %w", k.Target, err)
		}
		if delete(g.limits, k); len(g.limits) == 0 {
			delete(e.groups, k.Target)
		}
	}
	return nil
}

func provenKeyOf(p block.Proven) provenKey {
	k := provenKey{SrcPort: port(p.SrcPort), DstPort: port(p.DstPort), Proto: p.Proto}
	family, src := familyAddr(p.Src.Unmap())
	_, dst := familyAddr(p.Dst.Unmap())
	k.Src, k.Dst, k.Family = src, dst, uint8(family)
	return k
}

func (e *Enforcer) prove(all []block.Proven, k clock) error {
	m := e.t.maps[mapProven]
	for len(all) > 0 {
		n := min(len(all), batchMax)
		keys, values := make([]provenKey, n), make([]provenValue, n)
		for i, p := range all[:n] {
			keys[i], values[i] = provenKeyOf(p), provenValue{End: k.toBoot(p.Until)}
			if values[i].Interval, values[i].Slack = bucket(p.Rate, p.Rate); p.Rate > 0 {
				var old provenValue
				if m.Lookup(keys[i], &old) == nil {
					values[i].Next = old.Next // telling of a contact again fills nobody's bucket
				}
			}
		}
		if _, err := m.BatchUpdate(keys, values, nil); err != nil {
			return fmt.Errorf("proven contacts: %w", err)
		}
		all = all[n:]
	}
	return nil
}
