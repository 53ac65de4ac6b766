package regex

import "bytes"

type frameKind uint8

const (
	fBranch frameKind = iota // resume at pc, pos
	fRunGreedy
	fRunLazy
	fCapture // restore capture slot a to b
	fCounter // restore counter a to b (count), c (last position)
	fKeep
	fLazyLoop // enter the body of the loop at pc once more
)

type frame struct {
	kind    frameKind
	pc, pos int32
	a, b    int32
}

// Machine is the scratch memory of one worker. It grows to the largest need and is reused; not for concurrent use.
type Machine struct {
	re     *Regex
	text   []byte
	from   int
	stack  []frame
	caps   []int32
	counts []counter
	keep   int32
	steps  int
	depth  int
	// Budget bounds the steps of all matches until it is set again; 0: each match has its own budget only.
	Budget  int
	Exceeds uint64 // matches given up because their budget was spent
	over    bool
}

type counter struct{ n, last int32 }

// Capture returns the bytes of group i of the last match; ok false if it took no part. Valid as long as the text.
func (m *Machine) Capture(i int) ([]byte, bool) {
	if 2*i+1 >= len(m.caps) || m.caps[2*i] < 0 || m.caps[2*i+1] < m.caps[2*i] {
		return nil, false
	}
	return m.text[m.caps[2*i]:m.caps[2*i+1]], true
}

// Exceeded says whether the last match was given up for its budget.
func (m *Machine) Exceeded() bool { return m.over }

// Match finds the first match that starts at from or later. Start and end are offsets into text.
func (m *Machine) Match(re *Regex, text []byte, from int) (start, end int, ok bool) {
	m.over = false
	if from < 0 || from > len(text) || len(text)-from < re.minLen || len(text) > 1<<30 {
		return 0, 0, false
	}
	if re.literal != nil && !re.hasLiteral(text[from:]) {
		return 0, 0, false
	}
	m.prepare(re, text, from)
	granted := m.steps
	defer m.spend(granted)
	last := len(text) - re.minLen
	for at := from; at <= last; at++ {
		if re.anchored && at > from {
			break
		}
		if at = m.nextStart(at, last); at < 0 {
			break
		}
		if e, found := m.tryAt(at); found {
			m.caps[1] = int32(e)
			if m.keep >= 0 {
				m.caps[0] = m.keep
			}
			return int(m.caps[0]), e, true
		}
		if m.over {
			m.Exceeds++
			break
		}
	}
	return 0, 0, false
}

// spend takes the steps of a match off the shared budget; a spent one leaves a single step to each match.
func (m *Machine) spend(granted int) {
	if m.Budget > 0 {
		m.Budget = max(m.Budget-(granted-max(m.steps, 0)), 1)
	}
}

func (m *Machine) prepare(re *Regex, text []byte, from int) {
	m.re, m.text, m.from = re, text, from
	m.steps = stepsBase + stepsByte*(len(text)-from)
	if m.Budget > 0 {
		m.steps = min(m.steps, m.Budget)
	}
	if n := 2 * (re.captures + 1); cap(m.caps) < n {
		m.caps = make([]int32, n)
	} else {
		m.caps = m.caps[:n]
	}
	if cap(m.counts) < re.counters {
		m.counts = make([]counter, re.counters)
	}
	m.counts = m.counts[:re.counters]
}

// hasLiteral checks the required literal.
func (re *Regex) hasLiteral(text []byte) bool {
	if !re.literalI {
		return bytes.Contains(text, re.literal)
	}
	lit := re.literal
	c := lit[0]
	for i := 0; i+len(lit) <= len(text); i++ {
		if lower(text[i]) == c && equalFold(text[i:i+len(lit)], lit) {
			return true
		}
	}
	return false
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 32
	}
	return c
}

// equalFold compares with lit, which is in lower case.
func equalFold(text, lit []byte) bool {
	for i, c := range lit {
		if lower(text[i]) != c {
			return false
		}
	}
	return true
}

// nextStart skips positions where no match can begin; -1: none left.
func (m *Machine) nextStart(at, last int) int {
	re := m.re
	if re.startLine && at > 0 && m.text[at-1] != '\n' && at != m.from {
		i := bytes.IndexByte(m.text[at:], '\n')
		if i < 0 || at+i+1 > last {
			return -1
		}
		at += i + 1
	}
	if re.firstValid && !re.startLine && !re.anchored {
		for at <= last && (at >= len(m.text) || !re.first.has(m.text[at])) {
			at++
		}
		if at > last {
			return -1
		}
	}
	return at
}

func (m *Machine) tryAt(at int) (int, bool) {
	for i := range m.caps {
		m.caps[i] = -1
	}
	m.stack = m.stack[:0]
	m.keep, m.depth = -1, 0
	return m.run(0, at, -1)
}

// back pops to the next branch above base. ok false: there is none.
func (m *Machine) back(base int) (pc, pos int, ok bool) {
	for len(m.stack) > base {
		f := &m.stack[len(m.stack)-1]
		switch f.kind {
		case fBranch:
			pc, pos = int(f.pc), int(f.pos)
			m.stack = m.stack[:len(m.stack)-1]
			return pc, pos, true
		case fRunGreedy: // a: least position
			pc = int(f.pc)
			f.pos--
			for need := m.re.prog[pc-1].w; f.pos > f.a && !m.may(need, int(f.pos)); f.pos-- {
				m.steps--
			}
			pos = int(f.pos)
			if f.pos <= f.a {
				m.stack = m.stack[:len(m.stack)-1]
			}
			return pc, pos, true
		case fRunLazy: // a: set, b: how many more may be taken (-1: any)
			pc, pos = int(f.pc), int(f.pos)
			if pos < len(m.text) && f.b != 0 && m.re.sets[f.a].has(m.text[pos]) {
				f.pos++
				f.b--
				return pc, pos + 1, true
			}
		case fLazyLoop:
			pc, pos = int(f.pc), int(f.pos)
			i := m.re.prog[pc].x
			c := m.counts[i]
			*f = frame{kind: fCounter, a: i, b: c.n, pos: c.last}
			m.counts[i] = counter{c.n + 1, int32(pos)}
			return pc + 1, pos, true
		case fCapture:
			m.caps[f.a] = f.b
		case fCounter:
			m.counts[f.a] = counter{f.b, f.pos}
		case fKeep:
			m.keep = f.b
		}
		m.stack = m.stack[:len(m.stack)-1]
	}
	return 0, 0, false
}

func (m *Machine) push(f frame) bool {
	if len(m.stack) >= stackMax {
		m.over = true
		return false
	}
	m.stack = append(m.stack, f)
	return true
}

// commit drops the branches above base but keeps what undoes captures, for an atomic group that has matched.
func (m *Machine) commit(base int) {
	out := base
	for i := base; i < len(m.stack); i++ {
		if k := m.stack[i].kind; k == fCapture || k == fCounter || k == fKeep {
			m.stack[out] = m.stack[i]
			out++
		}
	}
	m.stack = m.stack[:out]
}

// run matches from pc at pos. ret: the group whose opReturn ends a call, -1 none. It returns at opMatch, opEnd or that return.
func (m *Machine) run(pc, pos, ret int) (int, bool) {
	base := len(m.stack)
	text, prog := m.text, m.re.prog
	for {
		if m.steps--; m.steps < 0 || m.over {
			m.over = true
			m.stack = m.stack[:base]
			return 0, false
		}
		in := &prog[pc]
		ok := true
		switch in.op {
		case opByte:
			if ok = pos < len(text) && text[pos] == byte(in.x); ok {
				pc++
				pos++
			}
		case opSet:
			if ok = pos < len(text) && m.re.sets[in.x].has(text[pos]); ok {
				pc++
				pos++
			}
		case opRun:
			if pos, ok = m.setRun(in, pc, pos); ok {
				pc++
			}
		case opSplit:
			switch {
			case !m.may(in.z, pos):
				pc = int(in.y)
			case !m.may(in.w, pos):
				pc = int(in.x)
			default:
				ok = m.push(frame{kind: fBranch, pc: in.y, pos: int32(pos)})
				pc = int(in.x)
			}
		case opJump:
			pc = int(in.x)
		case opSave:
			ok = m.push(frame{kind: fCapture, a: in.x, b: m.caps[in.x]})
			m.caps[in.x] = int32(pos)
			pc++
		case opAssert:
			ok = m.holds(assertion(in.x), pos)
			pc++
		case opBack:
			pos -= int(in.x)
			ok = pos >= 0
			pc++
		case opLoopInit:
			old := m.counts[in.x]
			ok = m.push(frame{kind: fCounter, a: in.x, b: old.n, pos: old.last})
			m.counts[in.x] = counter{0, -1}
			pc++
		case opLoop:
			pc, ok = m.loop(in, pc, pos)
		case opKeep:
			ok = m.push(frame{kind: fKeep, b: m.keep})
			m.keep = int32(pos)
			pc++
		case opCondSet:
			if m.caps[2*in.x+1] < 0 {
				pc = int(in.y)
			} else {
				pc++
			}
		case opReturn:
			if ret >= 0 && int(in.x) == ret {
				return pos, true
			}
			pc++
		case opEnd, opMatch:
			return pos, true
		case opFail:
			ok = false
		default:
			pc, pos, ok = m.special(in, pc, pos)
		}
		if !ok {
			if pc, pos, ok = m.back(base); !ok {
				return 0, false
			}
		}
	}
}

// special runs look-around, atomic groups, calls and back-references.
func (m *Machine) special(in *inst, pc, pos int) (int, int, bool) {
	if in.op == opBackref {
		n, ok := m.backref(in, pos)
		return pc + 1, pos + n, ok
	}
	if m.depth >= recurseMax {
		m.over = true
		return pc, pos, false
	}
	base := len(m.stack)
	m.depth++
	defer func() { m.depth-- }()
	switch in.op {
	case opLook:
		_, ok := m.run(pc+1, pos, -1)
		if m.over {
			return pc, pos, false
		}
		if in.mode&1 != 0 {
			if ok {
				m.undo(base)
			}
			return int(in.x), pos, !ok
		}
		m.commit(base)
		return int(in.x), pos, ok
	case opAtomic:
		end, ok := m.run(pc+1, pos, -1)
		if ok {
			m.commit(base)
		}
		return int(in.x), end, ok
	case opCall:
		group := 0
		if in.x > 0 && m.re.prog[in.x-1].op == opSave {
			group = int(m.re.prog[in.x-1].x / 2)
		}
		caps, counts := append([]int32(nil), m.caps...), append([]counter(nil), m.counts...)
		end, ok := m.run(int(in.x), pos, group)
		m.stack = m.stack[:base]
		copy(m.caps, caps)
		copy(m.counts, counts)
		return pc + 1, end, ok
	}
	return pc, pos, false
}

// undo takes everything above base back.
func (m *Machine) undo(base int) {
	for i := len(m.stack) - 1; i >= base; i-- {
		switch f := m.stack[i]; f.kind {
		case fCapture:
			m.caps[f.a] = f.b
		case fCounter:
			m.counts[f.a] = counter{f.b, f.pos}
		case fKeep:
			m.keep = f.b
		}
	}
	m.stack = m.stack[:base]
}

func (m *Machine) setRun(in *inst, pc, pos int) (int, bool) {
	s := &m.re.sets[in.x]
	limit := len(m.text) - pos
	if in.z >= 0 {
		limit = min(limit, int(in.z))
	}
	want := limit
	if in.mode == lazy {
		want = min(limit, int(in.y))
	}
	n := 0
	for n < want && s.has(m.text[pos+n]) {
		n++
	}
	m.steps -= n >> 3
	if n < int(in.y) {
		return pos, false
	}
	ok := true
	if in.mode == greedy { // the longest end at which what follows can begin
		for ; n > int(in.y) && !m.may(in.w, pos+n); n-- {
			m.steps--
		}
	}
	if in.mode == greedy && n > int(in.y) {
		ok = m.push(frame{kind: fRunGreedy, pc: int32(pc + 1), pos: int32(pos + n), a: int32(pos) + in.y})
	}
	if in.mode == lazy && in.z != in.y {
		more := int32(-1)
		if in.z >= 0 {
			more = in.z - in.y
		}
		ok = m.push(frame{kind: fRunLazy, pc: int32(pc + 1), pos: int32(pos + n), a: in.x, b: more})
	}
	return pos + n, ok
}

func (m *Machine) loop(in *inst, pc, pos int) (int, bool) {
	c := m.counts[in.x]
	save := frame{kind: fCounter, a: in.x, b: c.n, pos: c.last}
	next := counter{c.n + 1, int32(pos)}
	switch {
	case c.n >= in.y && (in.z >= 0 && c.n >= in.z || c.last == int32(pos)):
		return int(in.w), true
	case c.n < in.y:
		if c.last == int32(pos) { // an empty round: the rest of the least count is empty too
			return int(in.w), true
		}
		ok := m.push(save)
		m.counts[in.x] = next
		return pc + 1, ok
	case in.mode == lazy:
		return int(in.w), m.push(frame{kind: fLazyLoop, pc: int32(pc), pos: int32(pos)})
	}
	ok := m.push(frame{kind: fBranch, pc: in.w, pos: int32(pos)}) && m.push(save)
	m.counts[in.x] = next
	return pc + 1, ok
}

// backref returns how many bytes the group's text takes at pos.
func (m *Machine) backref(in *inst, pos int) (int, bool) {
	lo, hi := m.caps[2*in.x], m.caps[2*in.x+1]
	if lo < 0 || hi < lo {
		return 0, false
	}
	g := m.text[lo:hi]
	if len(m.text)-pos < len(g) {
		return 0, false
	}
	m.steps -= len(g) >> 3
	t := m.text[pos : pos+len(g)]
	if in.mode == 0 {
		return len(g), bytes.Equal(g, t)
	}
	for i := range g {
		if lower(g[i]) != lower(t[i]) {
			return 0, false
		}
	}
	return len(g), true
}

func isWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
}

func (m *Machine) holds(a assertion, pos int) bool {
	t := m.text
	switch a {
	case assertBegin:
		return pos == 0
	case assertLine:
		return pos == 0 || t[pos-1] == '\n' && pos < len(t)
	case assertEnd:
		return pos == len(t)
	case assertEndNL:
		return pos == len(t) || pos == len(t)-1 && t[pos] == '\n'
	case assertLineEnd:
		return pos == len(t) || t[pos] == '\n'
	case assertFrom:
		return pos == m.from
	}
	word := (pos > 0 && isWord(t[pos-1])) != (pos < len(t) && isWord(t[pos]))
	return word == (a == assertWord)
}
