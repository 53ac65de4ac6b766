package block

import (
	"container/heap"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

// Sizes are how many of each an enforcer holds. 0 takes the default.
type Sizes struct {
	Hosts    int // single addresses (IPv4 /32 and IPv6 /64), each family; default 262,144, at most 4 M
	Prefixes int // other prefixes; default 65,536, at most 1 M
	Limits   int // default 4,096
	Guard    int // default 4,096
}

// Defaults are the sizes with each 0 replaced and too large ones cut.
func (s Sizes) Defaults() Sizes {
	fill := func(v *int, usual, most int) {
		if *v <= 0 {
			*v = usual
		}
		*v = min(*v, most)
	}
	fill(&s.Hosts, 1<<18, 1<<22)
	fill(&s.Prefixes, 1<<16, 1<<20)
	fill(&s.Limits, 4096, 65536)
	fill(&s.Guard, 4096, 65536)
	return s
}

// Book is the plan: what the kernel should hold. It knows no clock and no kernel; each change of it is answered with the
// Changes that bring the kernel from the book's old state to its new one. Not safe for several goroutines.
type Book struct {
	sizes   Sizes
	entries map[netip.Prefix]Entry
	guard   *Guard
	limits  map[LimitKey]Limit
	ends    ends
	hosts4  int
	hosts6  int
	nets    int
	was     before
}

// before is what a step found, of everything that it touched: the difference to what it leaves is its Changes.
type before struct {
	entries map[netip.Prefix]Entry // Until 0: was not there
	guard   map[netip.Prefix]Guarded
	limits  map[LimitKey]Limit
}

// NewBook is an empty book.
func NewBook(s Sizes) *Book {
	b := &Book{sizes: s.Defaults(), entries: map[netip.Prefix]Entry{}, guard: &Guard{}, limits: map[LimitKey]Limit{}}
	b.mark()
	return b
}

func (b *Book) mark() {
	b.was = before{map[netip.Prefix]Entry{}, map[netip.Prefix]Guarded{}, map[LimitKey]Limit{}}
}

// Block puts an entry in, or lengthens or sharpens the one that is there: a later decision never shortens or weakens an
// earlier one. A rate on what is wholly blocked changes nothing. changed: the book is not as before.
// The error is ErrGuarded, ErrFull, or says what is wrong with the entry.
func (b *Book) Block(e Entry, now int64) (changed bool, err error) {
	if e, err = checkEntry(e, now); err != nil {
		return false, err
	}
	if g, ok := b.guard.Covers(e.Prefix, now); ok {
		return false, fmt.Errorf("%s: %w (%s)", e.Prefix, ErrGuarded, g.Why)
	}
	old, there := b.entries[e.Prefix]
	if there && old.Until > now {
		if e.Since = old.Since; old.Rate == 0 && e.Rate > 0 {
			return false, nil
		}
		if old.Rate == e.Rate || e.Rate > 0 {
			e.Until = max(e.Until, old.Until)
		}
		if e.Rate > 0 {
			e.Rate = min(e.Rate, old.Rate)
		}
		if e == old {
			return false, nil
		}
	}
	if !there && b.full(e.Prefix) {
		return false, fmt.Errorf("%s: %w", e.Prefix, ErrFull)
	}
	b.touch(e.Prefix)
	if !there {
		*b.counter(e.Prefix)++
	}
	b.entries[e.Prefix] = e
	if !there || e.Until < old.Until {
		b.ends.push(end{at: e.Until, prefix: e.Prefix, kind: endOfBlock})
	}
	return true, nil
}

func checkEntry(e Entry, now int64) (Entry, error) {
	p, err := Normal(e.Prefix)
	if err != nil {
		return e, err
	}
	e.Prefix = p
	if tooWide(p) {
		return e, fmt.Errorf("%s: too wide to block; at least /%d for IPv4, /%d for IPv6", p, widest4, widest6)
	}
	if e.Until <= now {
		return e, fmt.Errorf("%s: its end has passed", p)
	}
	if e.Since == 0 {
		e.Since = now
	}
	return e, nil
}

func (b *Book) counter(p netip.Prefix) *int {
	switch {
	case !IsHost(p):
		return &b.nets
	case p.Addr().Is4():
		return &b.hosts4
	}
	return &b.hosts6
}

func (b *Book) full(p netip.Prefix) bool {
	if IsHost(p) {
		return *b.counter(p) >= b.sizes.Hosts
	}
	return b.nets >= b.sizes.Prefixes
}

// fill makes room for so many blocks, which are put in and not remembered as changes until mark.
func (b *Book) fill(blocks int) {
	b.entries = make(map[netip.Prefix]Entry, blocks)
	b.ends = make(ends, 0, blocks)
	b.was.entries = nil
}

func (b *Book) touch(p netip.Prefix) {
	if b.was.entries == nil {
		return
	}
	if _, ok := b.was.entries[p]; !ok {
		b.was.entries[p] = b.entries[p]
	}
}

// Unblock takes an entry out; false: there is none with exactly this prefix.
func (b *Book) Unblock(p netip.Prefix) bool {
	if _, ok := b.entries[p]; !ok {
		return false
	}
	b.touch(p)
	delete(b.entries, p)
	*b.counter(p)--
	return true
}

// Guard puts a line into the guard's list and takes out every block that lies wholly inside it. Of a wider block the
// enforcers let the guarded part through.
func (b *Book) Guard(e Guarded, now int64) error {
	p, err := Normal(e.Prefix)
	if err != nil {
		return err
	}
	if e.Prefix = p; e.Until <= now {
		return fmt.Errorf("%s: its end has passed", p)
	}
	old, there := b.guard.by[p]
	if !there && b.guard.Len() >= b.sizes.Guard {
		return fmt.Errorf("guard's list, %s: %w", p, ErrFull)
	}
	b.touchGuard(p)
	b.guard.Put(e)
	if !there || e.Until < old.Until {
		b.ends.push(end{at: e.Until, prefix: p, kind: endOfGuard})
	}
	if p.IsSingleIP() {
		b.Unblock(p)
		return nil
	}
	for q := range b.entries {
		if within(q, p) {
			b.Unblock(q)
		}
	}
	return nil
}

func (b *Book) touchGuard(p netip.Prefix) {
	if _, ok := b.was.guard[p]; !ok {
		b.was.guard[p] = b.guard.by[p]
	}
}

// Unguard takes a line out of the guard's list.
func (b *Book) Unguard(p netip.Prefix) bool {
	b.touchGuard(p)
	return b.guard.Remove(p)
}

// Limit puts a limit in or replaces the one with the same key.
func (b *Book) Limit(l Limit, now int64) error {
	p, err := Normal(l.Target)
	if err != nil {
		return err
	}
	l.Target = p
	switch {
	case l.Kind < LimitSYN || l.Kind > LimitOther:
		return fmt.Errorf("limit on %s: unknown %s", p, l.Kind)
	case l.Rate == 0:
		return fmt.Errorf("limit on %s: a rate of 0 would cut it off; at least 1 packet/s", p)
	case l.Until <= now:
		return fmt.Errorf("limit on %s: its end has passed", p)
	}
	if l.Burst == 0 {
		l.Burst = l.Rate
	}
	k := l.Key()
	old, there := b.limits[k]
	if !there && len(b.limits) >= b.sizes.Limits {
		return fmt.Errorf("limit on %s: %w", p, ErrFull)
	}
	b.touchLimit(k)
	b.limits[k] = l
	if !there || l.Until < old.Until {
		b.ends.push(end{at: l.Until, prefix: p, kind: endOfLimit, limit: k.Kind, proto: k.Proto, port: k.Port})
	}
	return nil
}

func (b *Book) touchLimit(k LimitKey) {
	if _, ok := b.was.limits[k]; !ok {
		b.was.limits[k] = b.limits[k]
	}
}

// Unlimit takes a limit out.
func (b *Book) Unlimit(k LimitKey) bool {
	if _, ok := b.limits[k]; !ok {
		return false
	}
	b.touchLimit(k)
	delete(b.limits, k)
	return true
}

// Sweep takes out what ended, at most n. The enforcers compare the ends themselves: sweeping only frees room.
func (b *Book) Sweep(now int64, n int) (blocks int) {
	for ; n > 0 && len(b.ends) > 0 && b.ends[0].at <= now; n-- {
		e := b.ends[0]
		later := b.ended(e, now, &blocks)
		if later > now && later != Forever {
			b.ends[0].at = later
			heap.Fix(&b.ends, 0)
		} else {
			heap.Pop(&b.ends)
		}
	}
	return blocks
}

// ended takes out what has this end, unless it was given a later one, which is returned.
func (b *Book) ended(e end, now int64, blocks *int) (later int64) {
	switch e.kind {
	case endOfBlock:
		if v, ok := b.entries[e.prefix]; ok && v.Until > now {
			return v.Until
		} else if ok && b.Unblock(e.prefix) {
			*blocks++
		}
	case endOfGuard:
		if v, ok := b.guard.by[e.prefix]; ok && v.Until > now {
			return v.Until
		} else if ok {
			b.Unguard(e.prefix)
		}
	case endOfLimit:
		k := LimitKey{e.prefix, e.limit, e.proto, e.port}
		if v, ok := b.limits[k]; ok && v.Until > now {
			return v.Until
		} else if ok {
			b.Unlimit(k)
		}
	}
	return 0
}

// Changes are what was changed since the last call, or since the book was made.
func (b *Book) Changes(now int64) Changes {
	c := Changes{Now: now}
	for p, old := range b.was.entries {
		v, there := b.entries[p]
		switch had := old.Until != 0; {
		case there && !had:
			c.Block = append(c.Block, v)
		case !there && had && old.Until <= now:
			c.Ended = append(c.Ended, p)
		case !there && had:
			c.Unblock = append(c.Unblock, p)
		case there && (old.Until != v.Until || old.Rate != v.Rate):
			c.Change = append(c.Change, v)
		}
	}
	for p, old := range b.was.guard {
		v, there := b.guard.by[p]
		switch had := old.Until != 0; {
		case there && (!had || old.Until != v.Until):
			c.Guard = append(c.Guard, v)
		case !there && had:
			c.Unguard = append(c.Unguard, p)
		}
	}
	for k, old := range b.was.limits {
		v, there := b.limits[k]
		switch had := old.Until != 0; {
		case there && (!had || old != v):
			c.Limit = append(c.Limit, v)
		case !there && had:
			c.Unlimit = append(c.Unlimit, k)
		}
	}
	b.mark()
	return c
}

// Plan is what the kernel should hold, as a value of its own.
func (b *Book) Plan() Plan {
	p := Plan{maps.Clone(b.entries), map[netip.Prefix]int64{}, maps.Clone(b.limits)}
	for q, g := range b.guard.by {
		p.Guard[q] = g.Until
	}
	return p
}

// List is every entry, in order of address.
func (b *Book) List() []Entry {
	return slices.SortedFunc(maps.Values(b.entries), func(x, y Entry) int { return order(x.Prefix, y.Prefix) })
}

// Plan is what the kernel's maps hold, or should hold.
type Plan struct {
	Blocks map[netip.Prefix]Entry
	Guard  map[netip.Prefix]int64 // their ends, ns since 1970 UTC
	Limits map[LimitKey]Limit
}

// Diff is what brings the kernel from one plan to another.
func Diff(have, want Plan, now int64) Changes {
	c := Changes{Now: now, Block: make([]Entry, 0, max(0, len(want.Blocks)-len(have.Blocks)))}
	for p, v := range want.Blocks {
		if old, ok := have.Blocks[p]; !ok {
			c.Block = append(c.Block, v)
		} else if old.Until != v.Until || old.Rate != v.Rate {
			c.Change = append(c.Change, v)
		}
	}
	for p, old := range have.Blocks {
		if _, ok := want.Blocks[p]; ok {
			continue
		}
		if old.Until <= now {
			c.Ended = append(c.Ended, p)
		} else {
			c.Unblock = append(c.Unblock, p)
		}
	}
	for p, until := range want.Guard {
		if old, ok := have.Guard[p]; !ok || old != until {
			c.Guard = append(c.Guard, Guarded{Prefix: p, Until: until})
		}
	}
	for p := range have.Guard {
		if _, ok := want.Guard[p]; !ok {
			c.Unguard = append(c.Unguard, p)
		}
	}
	for k, v := range want.Limits {
		if old, ok := have.Limits[k]; !ok || old != v {
			c.Limit = append(c.Limit, v)
		}
	}
	for k := range have.Limits {
		if _, ok := want.Limits[k]; !ok {
			c.Unlimit = append(c.Unlimit, k)
		}
	}
	return c
}

// Do is the plan after the changes. The error names a change that does not fit: a new block that is there already.
func (p Plan) Do(c Changes) error {
	for _, e := range c.Guard {
		p.Guard[e.Prefix] = e.Until
	}
	for _, q := range slices.Concat(c.Ended, c.Unblock) {
		if _, ok := p.Blocks[q]; !ok {
			return fmt.Errorf("%s is taken out and was not in", q)
		}
		delete(p.Blocks, q)
	}
	for _, e := range c.Block {
		if _, ok := p.Blocks[e.Prefix]; ok {
			return fmt.Errorf("%s is new and was in already", e.Prefix)
		}
		p.Blocks[e.Prefix] = e
	}
	for _, e := range c.Change {
		if _, ok := p.Blocks[e.Prefix]; !ok {
			return fmt.Errorf("%s is changed and was not in", e.Prefix)
		}
		p.Blocks[e.Prefix] = e
	}
	for _, k := range c.Unlimit {
		delete(p.Limits, k)
	}
	for _, l := range c.Limit {
		p.Limits[l.Key()] = l
	}
	for _, q := range c.Unguard {
		if _, ok := p.Guard[q]; !ok {
			return errors.New(q.String() + " leaves the guard and was not in it")
		}
		delete(p.Guard, q)
	}
	return nil
}

// end is a moment at which something in the book may end. What was given a later end meanwhile is looked at again then.
type end struct {
	at     int64
	prefix netip.Prefix // of a limit: its target
	kind   uint8
	limit  LimitKind
	proto  uint8
	port   uint16
}

const (
	endOfBlock = iota
	endOfGuard
	endOfLimit
)

type ends []end

func (e *ends) push(x end) {
	if x.at != Forever {
		heap.Push(e, x)
	}
}

func (e ends) Len() int           { return len(e) }
func (e ends) Less(i, j int) bool { return e[i].at < e[j].at }
func (e ends) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }

// Push is container/heap's; push is called instead.
func (e *ends) Push(x any) { *e = append(*e, x.(end)) }

// Pop is container/heap's.
func (e *ends) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}
