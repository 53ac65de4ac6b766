package regex

type op uint8

const (
	opByte     op = iota // x byte
	opSet                // x set
	opRun                // x set, y min, z max (-1 none), mode, w what must come behind (lookAhead)
	opSplit              // try x, then y; z, w what these begin with (lookAhead)
	opJump               // x
	opSave               // x slot
	opAssert             // x assertion
	opLook               // x end (pc behind), mode: bit 0 negative; body at pc+1 ends in opEnd
	opAtomic             // x end; body at pc+1 ends in opEnd
	opBack               // x bytes to step back
	opBackref            // x group, mode 1 without case
	opLoop               // x counter, y min, z max, w exit; body at pc+1 ends in a jump here
	opLoopInit           // x counter
	opCondSet            // x group, y pc if it is not set
	opCall               // x pc of the group
	opReturn             // end of a group's body when called
	opKeep
	opFail
	opEnd
	opMatch
)

// Modes of opRun and opLoop.
const (
	lazy uint8 = iota
	greedy
	possessive
)

type inst struct {
	op         op
	mode       uint8
	x, y, z, w int32
}

type fix struct {
	pc    int
	group int
}

type compiler struct {
	re      *Regex
	groupPC []int32
	calls   []fix
	sets    map[set]int32
	err     error
}

func (c *compiler) compile(n *node) error {
	c.sets = map[set]int32{}
	c.emit(inst{op: opSave, x: 0})
	c.groupPC[0] = int32(len(c.re.prog))
	c.gen(n)
	c.emit(inst{op: opReturn})
	c.emit(inst{op: opMatch})
	for _, f := range c.calls {
		c.re.prog[f.pc].x = c.groupPC[f.group]
	}
	return c.err
}

func (c *compiler) emit(i inst) int {
	if len(c.re.prog) >= programMax && c.err == nil {
		c.err = &Error{1, "expression is too large"}
	}
	if c.err != nil {
		return 0
	}
	c.re.prog = append(c.re.prog, i)
	return len(c.re.prog) - 1
}

func (c *compiler) here() int32 { return int32(len(c.re.prog)) }

func (c *compiler) setIndex(s set) int32 {
	i, ok := c.sets[s]
	if !ok {
		i = int32(len(c.re.sets))
		c.re.sets = append(c.re.sets, s)
		c.sets[s] = i
	}
	return i
}

func (c *compiler) at(pc int) *inst {
	if c.err != nil {
		return &inst{}
	}
	return &c.re.prog[pc]
}

func (c *compiler) gen(n *node) {
	switch n.kind {
	case kSet:
		if b, ok := n.set.single(); ok {
			c.emit(inst{op: opByte, x: int32(b)})
		} else {
			c.emit(inst{op: opSet, x: c.setIndex(n.set)})
		}
	case kCat:
		for _, s := range n.subs {
			c.gen(s)
		}
	case kAlt:
		c.genAlt(n.subs)
	case kGroup:
		c.emit(inst{op: opSave, x: int32(2 * n.index)})
		c.groupPC[n.index] = c.here()
		c.gen(n.subs[0])
		c.emit(inst{op: opReturn, x: int32(n.index)})
		c.emit(inst{op: opSave, x: int32(2*n.index + 1)})
	case kAssert:
		c.emit(inst{op: opAssert, x: int32(n.assert)})
	case kAtomic:
		pc := c.emit(inst{op: opAtomic})
		c.gen(n.subs[0])
		c.emit(inst{op: opEnd})
		c.at(pc).x = c.here()
	case kLook:
		c.genLook(n)
	case kBackref:
		m := uint8(0)
		if n.nocase {
			m = 1
		}
		c.emit(inst{op: opBackref, x: int32(n.index), mode: m})
	case kCond:
		c.genCond(n)
	case kCall:
		c.calls = append(c.calls, fix{c.emit(inst{op: opCall}), n.index})
	case kKeep:
		c.emit(inst{op: opKeep})
	case kFail:
		c.emit(inst{op: opFail})
	case kRepeat:
		c.genRepeat(n)
	}
}

func (c *compiler) genAlt(subs []*node) {
	var ends []int
	for i, s := range subs {
		if i == len(subs)-1 {
			c.gen(s)
			break
		}
		split := c.emit(inst{op: opSplit})
		c.at(split).x = c.here()
		c.gen(s)
		ends = append(ends, c.emit(inst{op: opJump}))
		c.at(split).y = c.here()
	}
	for _, e := range ends {
		c.at(e).x = c.here()
	}
}

func (c *compiler) genLook(n *node) {
	m := uint8(0)
	if n.negative {
		m = 1
	}
	pc := c.emit(inst{op: opLook, mode: m})
	if !n.behind {
		c.gen(n.subs[0])
	} else {
		alts := []*node{n.subs[0]}
		if n.subs[0].kind == kAlt {
			alts = n.subs[0].subs
		}
		c.genBehind(alts, n.col)
	}
	c.emit(inst{op: opEnd})
	c.at(pc).x = c.here()
}

func (c *compiler) genBehind(alts []*node, col int) {
	var ends []int
	for i, a := range alts {
		l, ok := fixedLen(a)
		if !ok && c.err == nil {
			c.err = &Error{col + 1, "look-behind is not of fixed length"}
		}
		split := -1
		if i < len(alts)-1 {
			split = c.emit(inst{op: opSplit})
			c.at(split).x = c.here()
		}
		c.emit(inst{op: opBack, x: int32(l)})
		c.gen(a)
		if split >= 0 {
			ends = append(ends, c.emit(inst{op: opJump}))
			c.at(split).y = c.here()
		}
	}
	for _, e := range ends {
		c.at(e).x = c.here()
	}
}

func (c *compiler) genCond(n *node) {
	if n.subs[0] == nil {
		pc := c.emit(inst{op: opCondSet, x: int32(n.index)})
		c.gen(n.subs[1])
		j := c.emit(inst{op: opJump})
		c.at(pc).y = c.here()
		c.gen(n.subs[2])
		c.at(j).x = c.here()
		return
	}
	// A look-around is a condition: yes behind it, else no behind its opposite.
	opposite := *n.subs[0]
	opposite.negative = !opposite.negative
	c.genAlt([]*node{
		{kind: kCat, subs: []*node{n.subs[0], n.subs[1]}},
		{kind: kCat, subs: []*node{&opposite, n.subs[2]}},
	})
}

func (c *compiler) genRepeat(n *node) {
	mode := lazy
	if n.greedy {
		mode = greedy
	}
	if n.possess {
		mode = possessive
	}
	sub := n.subs[0]
	if sub.kind == kSet {
		if n.min == 1 && n.max == 1 {
			c.gen(sub)
			return
		}
		c.emit(inst{op: opRun, x: c.setIndex(sub.set), y: int32(n.min), z: int32(n.max), mode: mode})
		return
	}
	if n.possess {
		plain := *n
		plain.possess = false
		c.gen(&node{kind: kAtomic, subs: []*node{&plain}})
		return
	}
	if n.min == 0 && n.max == 1 {
		split := c.emit(inst{op: opSplit})
		body := c.here()
		c.gen(sub)
		s := c.at(split)
		s.x, s.y = body, c.here()
		if mode == lazy {
			s.x, s.y = s.y, s.x
		}
		return
	}
	if n.max == 0 {
		return
	}
	counter := int32(c.re.counters)
	c.re.counters++
	c.emit(inst{op: opLoopInit, x: counter})
	pc := c.emit(inst{op: opLoop, x: counter, y: int32(n.min), z: int32(n.max), mode: mode})
	c.gen(sub)
	c.emit(inst{op: opJump, x: int32(pc)})
	c.at(pc).w = c.here()
}
