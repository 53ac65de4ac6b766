package xdp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"

	"github.com/dejpha/dejpha/block"
)

// each calls f with every block in the kernel. The maps may change meanwhile: an entry may be missed, none is made up.
func (e *Enforcer) each(f func(netip.Prefix, value)) error {
	err := eachOf(e.t.maps[mapHost4], func(k [4]byte, v value) { f(host4Prefix(k), v) })
	if err == nil {
		err = eachOf(e.t.maps[mapHost6], func(k [8]byte, v value) { f(host6Prefix(k), v) })
	}
	if err == nil {
		err = eachOf(e.t.maps[mapNets], func(k lpmKey, v value) { f(k.prefix(), v) })
	}
	return err
}

func eachOf[K, V any](m *ebpf.Map, f func(K, V)) error {
	keys, values := make([]K, batchMax), make([]V, batchMax)
	var cursor ebpf.MapBatchCursor
	for {
		n, err := m.BatchLookup(&cursor, keys, values, nil)
		for i := range n {
			f(keys[i], values[i])
		}
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", m, err)
		}
	}
}

// Load is what the kernel holds: the blocks, the guard and the limits of the process before.
func (e *Enforcer) Load(now int64) (block.State, error) {
	k := clockAt(now)
	s := block.State{ID: e.t.id}
	err := e.each(func(p netip.Prefix, v value) {
		s.Blocks = append(s.Blocks, block.Entry{Prefix: p, Until: k.toWall(v.End), Rate: rateOf(v)})
	})
	if err != nil {
		return s, err
	}
	err = eachOf(e.t.maps[mapGuard], func(key lpmKey, v guardValue) {
		s.Guard = append(s.Guard, block.Guarded{Prefix: key.prefix(), Until: k.toWall(v.End)})
	})
	if err != nil {
		return s, err
	}
	return s, e.loadLimits(&s, k)
}

func rateOf(v value) uint32 {
	if v.Interval == 0 {
		return 0
	}
	return second / v.Interval
}

// loadLimits reads targets and buckets. A bucket without a target, which a crash may leave, is taken out.
func (e *Enforcer) loadLimits(s *block.State, k clock) error {
	targets := map[uint32]netip.Prefix{}
	err := eachOf(e.t.maps[mapTargets], func(key lpmKey, v targetValue) {
		targets[v.Group] = key.prefix()
		e.groups[key.prefix()] = &group{v.Group, map[block.LimitKey]bool{}}
		e.next = max(e.next, v.Group+1)
	})
	if err != nil {
		return err
	}
	var lost []limitKey
	err = eachOf(e.t.maps[mapLimits], func(key limitKey, v value) {
		p, ok := targets[key.Group]
		if !ok {
			lost = append(lost, key)
			return
		}
		l := block.Limit{Target: p, Kind: block.LimitKind(key.Kind), Proto: key.Proto, Port: binary.BigEndian.Uint16(key.Port[:]), Rate: rateOf(v), Until: k.toWall(v.End)}
		if v.Interval > 0 {
			l.Burst = uint32(v.Slack / uint64(v.Interval))
		}
		e.groups[p].limits[l.Key()] = true
		s.Limits = append(s.Limits, l)
	})
	for _, key := range lost {
		err = errors.Join(err, remove(e.t.maps[mapLimits], key))
	}
	return err
}

// Counters are the counts of the blocks that stopped something.
func (e *Enforcer) Counters(now int64) ([]block.Count, error) {
	k := clockAt(now)
	var all []block.Count
	err := e.each(func(p netip.Prefix, v value) {
		if v.Packets > 0 {
			all = append(all, block.Count{Prefix: p, Packets: v.Packets, Bytes: v.Bytes, Last: k.toWall(v.Last)})
		}
	})
	return all, err
}

// Totals are the sums over all processors.
func (e *Enforcer) Totals() (block.Totals, error) {
	var each []totals
	if err := e.t.maps[mapTotals].Lookup(uint32(0), &each); err != nil {
		return block.Totals{}, fmt.Errorf("reading the totals: %w", err)
	}
	var s block.Totals
	for _, t := range each {
		s.BlockPackets += t.BlockPackets
		s.BlockBytes += t.BlockBytes
		s.LimitPackets += t.LimitPackets
		s.LimitBytes += t.LimitBytes
		s.Guarded += t.Guarded
	}
	return s, nil
}
