package regex

// aheadMax bounds the programs that are looked through; larger ones are matched without.
const aheadMax = 4096

// ahead is what must stand where a program goes on: one of the bytes, or, if any is set, anything or nothing.
type ahead struct {
	bytes set
	any   bool
}

func (a *ahead) union(o *ahead) {
	a.bytes.union(&o.bytes)
	a.any = a.any || o.any
}

// lookAhead writes into splits and runs what their ways on must begin with, so that a way that cannot match is not
// tried, and nothing has to be kept to come back to it.
func (c *compiler) lookAhead() {
	prog := c.re.prog
	if c.err != nil || len(prog) > aheadMax {
		return
	}
	called := false
	for i := range prog {
		called = called || prog[i].op == opCall
	}
	first := make([]ahead, len(prog)+1)
	first[len(prog)].any = true
	for changed := true; changed; { // the least solution: each round only adds
		changed = false
		for pc := len(prog) - 1; pc >= 0; pc-- {
			if next := c.begins(first, pc, called); next != first[pc] {
				first[pc], changed = next, true
			}
		}
	}
	need := func(pc int32) int32 { // a set's index + 1, or 0
		if first[pc].any {
			return 0
		}
		return c.setIndex(first[pc].bytes) + 1
	}
	for pc := range prog {
		switch in := &prog[pc]; in.op {
		case opSplit:
			in.z, in.w = need(in.x), need(in.y)
		case opRun:
			in.w = need(int32(pc + 1))
		}
	}
}

// begins is what must stand where the instruction at pc goes on, by what is known of those behind it so far.
func (c *compiler) begins(first []ahead, pc int, called bool) (a ahead) {
	in := &c.re.prog[pc]
	a = first[pc]
	switch in.op {
	case opByte:
		a.bytes.add(byte(in.x))
	case opSet:
		a.bytes.union(&c.re.sets[in.x])
	case opRun:
		a.bytes.union(&c.re.sets[in.x])
		if in.y == 0 {
			a.union(&first[pc+1])
		}
	case opSplit:
		a.union(&first[in.x])
		a.union(&first[in.y])
	case opJump, opLook: // behind a look-around, where it stood
		a.union(&first[in.x])
	case opSave, opAssert, opKeep, opLoopInit, opAtomic:
		a.union(&first[pc+1])
	case opLoop:
		a.union(&first[pc+1])
		a.union(&first[in.w])
	case opCondSet:
		a.union(&first[pc+1])
		a.union(&first[in.y])
	case opReturn:
		a.union(&first[pc+1])
		a.any = a.any || called
	case opFail:
	default:
		a.any = true
	}
	return a
}

// may says whether a way that must begin as need says can match at pos.
func (m *Machine) may(need int32, pos int) bool {
	return need == 0 || pos < len(m.text) && m.re.sets[need-1].has(m.text[pos])
}
