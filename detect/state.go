package detect

import (
	"github.com/dejpha/dejpha/detect/chain"
	"github.com/dejpha/dejpha/flow"
	"github.com/dejpha/dejpha/hoststate"
	"github.com/dejpha/dejpha/rule"
)

// stateHolds judges a condition on what was remembered.
func (w *Worker) stateHolds(c *cond, in *Input) bool {
	switch c.kind {
	case cdFlowBits:
		f := w.flowState(in.Flow, false)
		for _, n := range c.names {
			if f != nil && f.bits.Has(n) {
				return c.bit == bitIsSet
			}
		}
		return c.bit == bitIsNotSet && in.Flow != nil
	case cdXBits:
		k, ok := w.bitKey(c, in)
		return ok && w.bits.IsSet(k, in.Time) == (c.bit == bitIsSet)
	case cdFlowInt:
		return w.flowInt(c, in)
	case cdStreamSize:
		return w.streamSize(c, in)
	}
	return false
}

// after carries out what a matched rule sets.
func (w *Worker) after(c *cond, in *Input) {
	switch c.kind {
	case cdFlowBits:
		f := w.flowState(in.Flow, true)
		if f == nil {
			return
		}
		for _, n := range c.names {
			switch {
			case c.bit == bitSet || c.bit == bitToggle && !f.bits.Has(n):
				f.bits.Set(n)
			default:
				f.bits.Unset(n)
			}
		}
	case cdXBits:
		k, ok := w.bitKey(c, in)
		if !ok {
			return
		}
		switch c.bit {
		case bitSet:
			w.bits.Set(k, in.Time, uint32(c.xbit.ExpireSec))
		case bitUnset:
			w.bits.Unset(k)
		case bitToggle:
			w.bits.Toggle(k, in.Time, uint32(c.xbit.ExpireSec))
		}
	}
}

func (w *Worker) bitKey(c *cond, in *Input) (hoststate.BitKey, bool) {
	h := &w.header
	switch c.xbit.Track {
	case "ip_dst", "dst", "by_dst":
		return hoststate.BitKey{A: h.dst, Name: c.name}, true
	case "ip_pair", "both", "by_both":
		return hoststate.PairKey(h.src, h.dst, c.name), true
	case "tx":
		if in.Flow == nil {
			return hoststate.BitKey{}, false
		}
		k := hoststate.BitKey{Pair: true, Name: c.name}
		for i := 0; i < 8; i++ {
			k.A[i] = byte(in.Flow.ID >> (8 * i))
			k.B[i] = byte(w.txID >> (8 * i))
		}
		k.A[15] = 1
		return k, true
	}
	return hoststate.BitKey{A: h.src, Name: c.name}, true
}

// flowInt judges and, for its setting forms, changes a flow's number; Suricata does it in the order of evaluation.
func (w *Worker) flowInt(c *cond, in *Input) bool {
	if in.Flow == nil {
		return false
	}
	t := c.flowInt
	f := w.flowState(in.Flow, true)
	name := uint16(c.name)
	have, set := f.ints.Get(name)
	value := uint32(t.Value.Value)
	if t.Value.Var != "" {
		v, ok := f.ints.Get(c.other)
		if !ok {
			return false
		}
		value = v
	}
	switch t.Op {
	case "isset":
		return set
	case "notset", "isnotset":
		return !set
	case "=":
		f.ints.Set(name, value)
		return true
	case "+", "-":
		if t.Op == "-" {
			value = -value
		}
		f.ints.Set(name, have+value)
		return true
	}
	if !set {
		return false
	}
	switch t.Op {
	case "<":
		return have < value
	case ">":
		return have > value
	case "==":
		return have == value
	case "!=":
		return have != value
	case "<=":
		return have <= value
	case ">=":
		return have >= value
	}
	return false
}

func (w *Worker) streamSize(c *cond, in *Input) bool {
	sizes, ok := in.Stream.(interface {
		Size(f *flow.Flow, dir flow.Direction) uint64
	})
	if !ok || in.Flow == nil {
		return false
	}
	server := chain.Compare(c.op, sizes.Size(in.Flow, flow.ToServer), c.a, 0)
	client := chain.Compare(c.op, sizes.Size(in.Flow, flow.ToClient), c.a, 0)
	switch c.mode {
	case "client": // what the client sent
		return server
	case "server":
		return client
	case "both":
		return server && client
	}
	return server || client
}

// stateClass orders rules so that those that set what others ask for come first.
func stateClass(conds []rule.Condition, pick func(rule.Condition) (sets, reads bool)) int {
	sets, reads := false, false
	for _, c := range conds {
		s, r := pick(c)
		sets, reads = sets || s, reads || r
	}
	switch {
	case sets && reads:
		return 1
	case sets:
		return 0
	case reads:
		return 2
	}
	return 3
}
