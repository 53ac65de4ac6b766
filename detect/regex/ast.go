package regex

type kind uint8

const (
	kEmpty kind = iota
	kSet
	kCat
	kAlt
	kRepeat
	kGroup  // capturing
	kAssert // zero width
	kLook
	kBackref
	kAtomic
	kCond
	kCall
	kKeep // \K
	kFail
)

type assertion uint8

const (
	assertBegin   assertion = iota // \A, ^ without m
	assertLine                     // ^ with m
	assertEnd                      // \z, $ with E
	assertEndNL                    // \Z, $ without m
	assertLineEnd                  // $ with m
	assertWord
	assertNotWord
	assertFrom // \G
)

type node struct {
	kind     kind
	set      set
	subs     []*node
	min, max int // repeat; max -1 = no bound
	greedy   bool
	possess  bool
	index    int // group, back-reference, call
	name     string
	assert   assertion
	behind   bool
	negative bool
	nocase   bool
	col      int
}

func cat(subs []*node) *node {
	if len(subs) == 1 {
		return subs[0]
	}
	return &node{kind: kCat, subs: subs}
}

// anchoredAt says whether every match must begin with the assertion (begin counts for line).
func anchoredAt(n *node, a assertion) bool {
	switch n.kind {
	case kAssert:
		return n.assert == a || a == assertLine && n.assert == assertBegin || a == assertBegin && n.assert == assertFrom
	case kCat:
		for _, s := range n.subs {
			if anchoredAt(s, a) {
				return true
			}
			if s.kind != kAssert && s.kind != kLook && s.kind != kEmpty {
				return false
			}
		}
		return false
	case kAlt:
		for _, s := range n.subs {
			if !anchoredAt(s, a) {
				return false
			}
		}
		return len(n.subs) > 0
	case kGroup, kAtomic:
		return anchoredAt(n.subs[0], a)
	case kRepeat:
		return n.min > 0 && anchoredAt(n.subs[0], a)
	}
	return false
}

const lenMax = 1 << 30

// minLen is the least number of bytes a match takes.
func minLen(n *node) int {
	switch n.kind {
	case kSet:
		return 1
	case kCat:
		t := 0
		for _, s := range n.subs {
			t = min(t+minLen(s), lenMax)
		}
		return t
	case kAlt:
		t := lenMax
		for _, s := range n.subs {
			t = min(t, minLen(s))
		}
		return t
	case kGroup, kAtomic:
		return minLen(n.subs[0])
	case kRepeat:
		return min(minLen(n.subs[0])*n.min, lenMax)
	}
	return 0
}

// fixedLen is the exact length of a match, ok false if it varies.
func fixedLen(n *node) (int, bool) {
	switch n.kind {
	case kSet:
		return 1, true
	case kEmpty, kAssert, kLook, kFail, kKeep:
		return 0, true
	case kCat:
		t := 0
		for _, s := range n.subs {
			l, ok := fixedLen(s)
			if !ok {
				return 0, false
			}
			t += l
		}
		return t, true
	case kAlt:
		l0, ok := fixedLen(n.subs[0])
		for _, s := range n.subs[1:] {
			l, ok2 := fixedLen(s)
			ok = ok && ok2 && l == l0
		}
		return l0, ok
	case kGroup, kAtomic:
		return fixedLen(n.subs[0])
	case kRepeat:
		l, ok := fixedLen(n.subs[0])
		return l * n.min, ok && n.min == n.max
	}
	return 0, false
}

// firstSet adds the bytes that a match can start with; true: n can match without taking a byte.
func firstSet(n *node, out *set) bool {
	switch n.kind {
	case kSet:
		out.union(&n.set)
		return false
	case kCat:
		for _, s := range n.subs {
			if !firstSet(s, out) {
				return false
			}
		}
		return true
	case kAlt:
		empty := false
		for _, s := range n.subs {
			if firstSet(s, out) {
				empty = true
			}
		}
		return empty
	case kGroup, kAtomic:
		return firstSet(n.subs[0], out)
	case kRepeat:
		e := firstSet(n.subs[0], out)
		return e || n.min == 0
	case kFail:
		return false
	case kEmpty, kAssert, kLook, kKeep:
		return true
	}
	for i := range out {
		out[i] = ^uint64(0)
	}
	return true
}

// litRun gathers runs of single bytes along the path every match takes.
type litRun struct {
	cur, best   []byte
	curI, bestI bool
}

func (r *litRun) flush() {
	if len(r.cur) > len(r.best) {
		r.best, r.bestI = append([]byte(nil), r.cur...), r.curI
	}
	r.cur, r.curI = r.cur[:0], false
}

func (r *litRun) byteSet(s *set) {
	if b, ok := s.single(); ok {
		r.cur = append(r.cur, b)
		return
	}
	for c := byte('a'); c <= 'z'; c++ {
		var two set
		two.add(c)
		two.add(c - 32)
		if *s == two {
			r.cur, r.curI = append(r.cur, c), true
			return
		}
	}
	r.flush()
}

func (r *litRun) walk(n *node) {
	switch n.kind {
	case kSet:
		r.byteSet(&n.set)
	case kCat:
		for _, s := range n.subs {
			r.walk(s)
		}
	case kGroup, kAtomic:
		r.walk(n.subs[0])
	case kRepeat:
		if n.min > 0 && n.subs[0].kind == kSet {
			for i := 0; i < min(n.min, literalMax); i++ {
				r.byteSet(&n.subs[0].set)
			}
			if n.max != n.min || n.min > literalMax {
				r.flush()
			}
			return
		}
		r.flush()
		if n.min > 0 {
			r.walk(n.subs[0])
			r.flush()
		}
	case kEmpty, kAssert, kLook, kKeep:
	default:
		r.flush()
	}
}

// requiredLiteral returns the longest run of bytes that every match holds, lower case if its case is free.
func requiredLiteral(n *node) ([]byte, bool) {
	var r litRun
	r.walk(n)
	r.flush()
	if len(r.best) > literalMax {
		r.best = r.best[:literalMax]
	}
	if len(r.best) < 2 {
		return nil, false
	}
	if r.bestI {
		for i, c := range r.best {
			if c >= 'A' && c <= 'Z' {
				r.best[i] = c + 32
			}
		}
	}
	return r.best, r.bestI
}
