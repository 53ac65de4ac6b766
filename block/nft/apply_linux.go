package nft

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"github.com/dejpha/dejpha/block"
)

// batch is elements to be put in or taken out, by set.
type batch map[kind][]nftables.SetElement

func (b batch) add(k kind, p netip.Prefix, until, now int64) {
	d, ok := timeout(until, now)
	if ok {
		b[k] = append(b[k], nftables.SetElement{Key: key(p), Timeout: d})
	}
}

// Apply does the changes. What ended is left to the kernel, which took it out itself. Limits on unproven traffic are not for
// this way of blocking, which is said once.
func (e *Enforcer) Apply(c block.Changes) error {
	if len(c.Limit) > 0 && !e.noSaid {
		e.noSaid = true
		e.o.say("nftables: limits on unproven traffic are only to be had with XDP; they are not enforced")
	}
	guard := batch{}
	for _, g := range c.Guard {
		guard.add(kind{guard: true, six: g.Prefix.Addr().Is6(), bits: g.Prefix.Bits()}, g.Prefix, g.Until, c.Now)
	}
	if err := e.replace(guard); err != nil {
		return err
	}
	for _, p := range c.Ended {
		delete(e.was, p)
	}
	out, in := batch{}, batch{}
	for _, p := range c.Unblock {
		k, ok := e.was[p]
		if !ok {
			k = kindFor(p, 0)
		}
		out[k] = append(out[k], nftables.SetElement{Key: key(p)})
		delete(e.was, p)
	}
	for _, x := range c.Block {
		k := kindFor(x.Prefix, x.Rate)
		in.add(k, x.Prefix, x.Until, c.Now)
		e.was[x.Prefix] = k
	}
	if err := errors.Join(e.remove(out), e.put(in)); err != nil {
		return err
	}
	if err := e.change(c.Change, c.Now); err != nil {
		return err
	}
	unguard := batch{}
	for _, p := range c.Unguard {
		k := kind{guard: true, six: p.Addr().Is6(), bits: p.Bits()}
		unguard[k] = append(unguard[k], nftables.SetElement{Key: key(p)})
	}
	return e.remove(unguard)
}

// change gives blocks another end or rate: into their new set first, then out of the old one. What they counted is lost.
func (e *Enforcer) change(all []block.Entry, now int64) error {
	same, out, in := batch{}, batch{}, batch{}
	for _, x := range all {
		k := kindFor(x.Prefix, x.Rate)
		if old, ok := e.was[x.Prefix]; ok && old != k {
			in.add(k, x.Prefix, x.Until, now)
			out[old] = append(out[old], nftables.SetElement{Key: key(x.Prefix)})
		} else {
			same.add(k, x.Prefix, x.Until, now)
		}
		e.was[x.Prefix] = k
	}
	if err := e.replace(same); err != nil {
		return err
	}
	return errors.Join(e.put(in), e.remove(out))
}

// each calls f with a set and some of its elements, and commits after a few of them: a transaction costs about as much for
// thousands of elements as for one.
func (e *Enforcer) each(b batch, f func(s *nftables.Set, some []nftables.SetElement) error) error {
	for k := range b {
		if _, err := e.set(k); err != nil { // commits by itself
			return err
		}
	}
	messages, elements := 0, 0
	for k, all := range b {
		s := e.sets[k]
		for some := range slices.Chunk(all, batchMax) {
			if err := f(s, some); err != nil {
				return fmt.Errorf("set %s: %w", s.Name, err)
			}
			messages, elements = messages+1, elements+len(some)
			if elements < batchMax*messageMax && messages < 8*messageMax {
				continue
			}
			if err := e.conn.Flush(); err != nil {
				return fmt.Errorf("set %s: %w", s.Name, err)
			}
			messages, elements = 0, 0
		}
	}
	if messages == 0 {
		return nil
	}
	if err := e.conn.Flush(); err != nil {
		return fmt.Errorf("sets: %w", err)
	}
	return nil
}

func (e *Enforcer) put(b batch) error { return e.each(b, e.conn.SetAddElements) }

// remove takes elements out. If one of them is gone already, which fails the whole transaction, they go one by one.
func (e *Enforcer) remove(b batch) error {
	for k, all := range b {
		if e.each(batch{k: all}, e.conn.SetDeleteElements) == nil {
			continue
		}
		for _, x := range all {
			if err := e.each(batch{k: {x}}, e.conn.SetDeleteElements); err != nil && !errors.Is(err, unix.ENOENT) {
				return err
			}
		}
	}
	return nil
}

// replace puts elements in with a new end, whether they are there or not: out and in within one transaction, so that there is
// no gap. An element that is not there is put in first, for it cannot be taken out.
func (e *Enforcer) replace(b batch) error {
	return e.each(b, func(s *nftables.Set, some []nftables.SetElement) error {
		return errors.Join(e.conn.SetAddElements(s, some), e.conn.SetDeleteElements(s, some), e.conn.SetAddElements(s, some))
	})
}

// Load is what the kernel holds: the blocks and the guard of the process before.
func (e *Enforcer) Load(now int64) (block.State, error) {
	s := block.State{ID: e.id}
	err := e.read(e.conn, func(k kind, p netip.Prefix, x nftables.SetElement) {
		until := block.Forever
		if x.Timeout != 0 {
			until = now + int64(x.Expires+early)
		}
		if k.guard {
			s.Guard = append(s.Guard, block.Guarded{Prefix: p, Until: until})
			return
		}
		e.was[p] = k
		s.Blocks = append(s.Blocks, block.Entry{Prefix: p, Until: until, Rate: k.rate})
	})
	return s, err
}

// read calls f with every element of every set.
func (e *Enforcer) read(conn *nftables.Conn, f func(kind, netip.Prefix, nftables.SetElement)) error {
	e.mu.RLock()
	sets := maps.Clone(e.sets)
	e.mu.RUnlock()
	for k, s := range sets {
		all, err := conn.GetSetElements(s)
		if err != nil {
			return fmt.Errorf("reading set %s: %w", s.Name, err)
		}
		for _, x := range all {
			if p, ok := k.prefix(x.Key); ok {
				f(k, p, x)
			}
		}
	}
	return nil
}

// Counters are the counts of the blocks that stopped something. nftables keeps no time of the last packet. Of a block with a
// rate the packets that were let through count as well.
func (e *Enforcer) Counters(now int64) ([]block.Count, error) {
	e.reading.Lock()
	defer e.reading.Unlock()
	var all []block.Count
	err := e.read(e.reader, func(k kind, p netip.Prefix, x nftables.SetElement) {
		if !k.guard && x.Counter != nil && x.Counter.Packets > 0 {
			all = append(all, block.Count{Prefix: p, Packets: x.Counter.Packets, Bytes: x.Counter.Bytes})
		}
	})
	return all, err
}
