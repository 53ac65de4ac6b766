package attack

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
)

// origin finds or makes the record of an origin; of too many, a sixteenth is forgotten.
func (j *judge) origin(who netip.Prefix, now int64, pol *Policy) *record {
	if r := j.origins[who]; r != nil {
		return r
	}
	if len(j.origins) >= originsMax {
		j.forgetOrigins(now, pol)
	}
	r := &record{Last: now}
	j.origins[who] = r
	return r
}

// forgetOrigins lets go of the origins whose last point or decision is longest ago.
func (j *judge) forgetOrigins(now int64, pol *Policy) {
	for i, who := range byLast(j.origins, func(r *record) int64 { return max(r.Last, r.Until) }) {
		r := j.origins[who]
		if i >= originsMax/16 && (now < r.Until+int64(pol.Forget) || now-r.Last <= int64(pol.Window)) {
			continue
		}
		delete(j.origins, who)
	}
}

// forgetNetworks lets go of networks without a blocked host, else of those whose last block ends first.
func (j *judge) forgetNetworks(now int64) {
	last := func(n *network) (t int64) {
		for _, until := range n.Hosts {
			t = max(t, until)
		}
		return max(t, n.Until)
	}
	all := byLast(j.networks, last)
	for i, p := range all {
		if i < len(all)/16+1 || last(j.networks[p]) <= now {
			delete(j.networks, p)
		}
	}
}

func (j *judge) forgetLimits(now int64) {
	maps.DeleteFunc(j.limits, func(_ Limit, until int64) bool { return until <= now })
}

// byLast are the names of a map in the order of a time, which is asked once for each.
func byLast[T any](m map[netip.Prefix]T, last func(T) int64) []netip.Prefix {
	type named struct {
		at  int64
		who netip.Prefix
	}
	list := make([]named, 0, len(m))
	for who, x := range m {
		list = append(list, named{last(x), who})
	}
	slices.SortFunc(list, func(x, y named) int { return cmp.Or(cmp.Compare(x.at, y.at), comparePrefix(x.who, y.who)) })
	out := make([]netip.Prefix, len(list))
	for i := range list {
		out[i] = list[i].who
	}
	return out
}

func comparePrefix(x, y netip.Prefix) int {
	return cmp.Or(x.Addr().Compare(y.Addr()), cmp.Compare(x.Bits(), y.Bits()))
}

// savedJudge is a judge in a snapshot.
type savedJudge struct {
	Origins  map[netip.Prefix]*record  `json:"origins,omitempty"`
	Networks map[netip.Prefix]*network `json:"networks,omitempty"`
	Limits   []savedLimit              `json:"limits,omitempty"`
	Cell     int64                     `json:"cell,omitempty"`
	Spent    int                       `json:"spent,omitempty"`
}

type savedLimit struct {
	Limit Limit `json:"limit"`
	Until int64 `json:"until"`
}

func (j *judge) saved() savedJudge {
	s := savedJudge{Origins: j.origins, Networks: j.networks, Cell: j.cell, Spent: j.spent}
	for l, until := range j.limits {
		s.Limits = append(s.Limits, savedLimit{l, until})
	}
	slices.SortFunc(s.Limits, func(x, y savedLimit) int {
		return cmp.Or(comparePrefix(x.Limit.Target, y.Limit.Target), cmp.Compare(x.Limit.Kind, y.Limit.Kind),
			cmp.Compare(x.Limit.Proto, y.Limit.Proto), cmp.Compare(x.Limit.Port, y.Limit.Port))
	})
	return s
}

func (j *judge) restore(s *savedJudge) {
	*j = newJudge()
	j.cell, j.spent = s.Cell, s.Spent
	for p, r := range s.Origins {
		if r != nil {
			j.origins[p] = r
		}
	}
	for p, n := range s.Networks {
		if n != nil {
			j.networks[p] = n
			if n.Hosts == nil {
				n.Hosts = map[netip.Prefix]int64{}
			}
		}
	}
	for _, l := range s.Limits {
		j.limits[l.Limit] = l.Until
	}
}

// merge takes what another judge remembers: the larger of each figure, so that it is associative and idempotent.
func (j *judge) merge(o *judge) {
	for p, y := range o.origins {
		x := j.origins[p]
		if x == nil {
			x = &record{}
			j.origins[p] = x
		}
		x.Points, x.Last, x.Until, x.Repeats = max(x.Points, y.Points), max(x.Last, y.Last), max(x.Until, y.Until), max(x.Repeats, y.Repeats)
	}
	for p, y := range o.networks {
		x := j.networks[p]
		if x == nil {
			x = &network{Hosts: map[netip.Prefix]int64{}}
			j.networks[p] = x
		}
		x.Until = max(x.Until, y.Until)
		for h, until := range y.Hosts {
			x.Hosts[h] = max(x.Hosts[h], until)
		}
	}
	for l, until := range o.limits {
		j.limits[l] = max(j.limits[l], until)
	}
	if o.cell > j.cell {
		j.cell, j.spent = o.cell, o.spent
	} else if o.cell == j.cell {
		j.spent = max(j.spent, o.spent)
	}
}
