package detect

import (
	"sort"

	"github.com/dejpha/dejpha/detect/literal"
	"github.com/dejpha/dejpha/rule"
)

// Compile files the rules. Refused rules are absent from the set and named with the reason.
func Compile(rules []*rule.Rule, opts Options) (*Set, []Refusal) {
	return newCompiler(opts).all(rules)
}

func newCompiler(opts Options) *compiler {
	if opts.AlertsMax == 0 {
		opts.AlertsMax = 15
	}
	if opts.ChunkBytes == 0 {
		opts.ChunkBytes = 2560
	}
	s := &Set{opts: opts, names: newNames(), addresses: map[string]int32{}, matchers: map[[32]byte]*literal.Matcher{}, self: &lineage{}}
	return &compiler{set: s, shelf: shelf{now: s.matchers, counts: &s.counts}}
}

// all compiles and files the rules.
func (c *compiler) all(rules []*rule.Rule) (s *Set, refused []Refusal) {
	s = c.set
	s.rules = make([]sig, 0, len(rules))
	for _, r := range order(rules, s.opts.ActionOrder) {
		c.step()
		g, was := c.shared(r)
		if was < 0 {
			var why *Refusal
			if g, why = c.compile(r); why != nil {
				why.Rule = r
				refused = append(refused, *why)
				continue
			}
		}
		s.rules, s.was = append(s.rules, g), append(s.was, was)
		s.vars = max(s.vars, g.vars)
	}
	for i := range s.rules {
		s.rules[i].names = &s.names
	}
	if c.old == nil {
		s.fresh = len(s.addrs) + len(s.names.buffers)
	}
	c.old, c.index = nil, nil
	c.file()
	s.opts.Step = nil // the set outlives its compiling
	return s, refused
}

// step lets whoever compiles wait between two pieces of it.
func (c *compiler) step() {
	if c.set.opts.Step != nil {
		c.set.opts.Step()
	}
}

// order sorts rules as they take effect: by action, by what they set and ask for, by priority, by sid.
func order(rules []*rule.Rule, actions []rule.Action) []*rule.Rule {
	if len(actions) == 0 {
		actions = []rule.Action{rule.Pass, rule.Drop, rule.Reject, rule.Alert}
	}
	rank := map[rule.Action]int{}
	for i, a := range actions {
		rank[a] = i
		if a == rule.Reject {
			rank[rule.RejectSrc], rank[rule.RejectDst], rank[rule.RejectBoth] = i, i, i
		}
	}
	type keyed struct {
		r                *rule.Rule
		action           int
		flow, ints, host int
	}
	list := make([]keyed, len(rules))
	for i, r := range rules {
		all := allConditions(r)
		list[i] = keyed{r, rank[r.Action], stateClass(all, flowBitUse), stateClass(all, flowIntUse), stateClass(all, hostBitUse)}
	}
	sort.SliceStable(list, func(i, j int) bool {
		a, b := &list[i], &list[j]
		switch {
		case a.action != b.action:
			return a.action < b.action
		case a.flow != b.flow:
			return a.flow < b.flow
		case a.ints != b.ints:
			return a.ints < b.ints
		case a.host != b.host:
			return a.host < b.host
		case a.r.Priority != b.r.Priority:
			return a.r.Priority < b.r.Priority
		}
		return a.r.SID < b.r.SID
	})
	out := make([]*rule.Rule, len(list))
	for i := range list {
		out[i] = list[i].r
	}
	return out
}

func allConditions(r *rule.Rule) []rule.Condition {
	if len(r.Groups) == 1 {
		return r.Groups[0].Conditions
	}
	var out []rule.Condition
	for i := range r.Groups {
		out = append(out, r.Groups[i].Conditions...)
	}
	return out
}

func opUse(op string) (sets, reads bool) {
	reads = op == "isset" || op == "isnotset"
	return !reads, reads
}

func flowBitUse(c rule.Condition) (sets, reads bool) {
	if t, ok := c.(*rule.FlowBits); ok && t.Op != "noalert" {
		return opUse(t.Op)
	}
	return false, false
}

func hostBitUse(c rule.Condition) (sets, reads bool) {
	if t, ok := c.(*rule.XBits); ok {
		return opUse(t.Op)
	}
	return false, false
}

func flowIntUse(c rule.Condition) (sets, reads bool) {
	t, ok := c.(*rule.FlowInt)
	if !ok {
		return false, false
	}
	sets = t.Op == "=" || t.Op == "+" || t.Op == "-"
	return sets, !sets
}

type compiler struct {
	set      *Set
	keywords map[string]int // those that all protocols share
	shelf    shelf

	old   *Set // nil: nothing is shared
	index map[*rule.Rule]uint32
	twins map[*rule.Rule]*rule.Rule

	packet, stream litBuilder // room for the group in hand
}

func (c *compiler) address(a rule.Addresses) int32 {
	if len(a.Not) == 0 && (a.Any || len(a.In) == 0) {
		return -1
	}
	key := a.Text
	if key == "" {
		key = string(rune(len(c.set.addrs))) + "unnamed"
	}
	i, ok := c.set.addresses[key]
	if !ok {
		i = int32(len(c.set.addrs))
		c.set.addrs = append(c.set.addrs, makeAddresses(a))
		c.set.addresses[key] = i
	}
	return i
}

func anyPorts(p rule.Ports) rule.Ports {
	if !p.Any && len(p.In) == 0 && len(p.Not) == 0 {
		p.Any = true
	}
	return p
}

func (c *compiler) compile(r *rule.Rule) (sig, *Refusal) {
	s := sig{rule: r, action: r.Action, bothWays: r.Bidirectional, noAlert: r.NoAlert, txRule: r.TxRule, dirs: 3,
		protoMask: uint16(r.Proto.IP), src: c.address(r.Src), dst: c.address(r.Dst), srcPorts: anyPorts(r.SrcPorts), dstPorts: anyPorts(r.DstPorts)}
	s.anyHeader = s.src < 0 && s.dst < 0 && allPorts(&s.srcPorts) && allPorts(&s.dstPorts)
	s.fast.tx = -1
	b := builder{c: c, s: &s}
	for i := range r.Groups {
		if why := b.group(&r.Groups[i]); why != nil {
			return s, why
		}
	}
	if why := b.finish(); why != nil {
		return s, why
	}
	return s, nil
}
