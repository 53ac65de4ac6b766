package block

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dejpha/dejpha/evidence/durable"
)

const (
	queueMax   = 32768                  // decisions that wait for the kernel; past it they fall and are counted
	provenMax  = 16384                  // proven contacts that wait
	batchMax   = 4096                   // of either, that go to the kernel together; also what one sweep takes out
	sweepEvery = 250 * time.Millisecond // how often what ended is taken out and what failed tried again
	tendEvery  = 4                      // sweeps between two looks of the enforcer at its interfaces
	retryMax   = 30 * time.Second       // the longest between two attempts at an enforcer that fails
)

// Options say what a Keeper keeps, and where.
type Options struct {
	Enforcer Enforcer          // nil: nothing is enforced; everything is kept, listed and written down all the same
	File     string            // of what is in force, blocks.json in the state's folder; "": it is not written down
	Disk     *durable.Disk     // nil: the machine's own
	Guard    []Guarded         // the fixed lines of the guard's list: system and configuration
	Now      func() int64      // ns since 1970 UTC; may be called from any goroutine
	Say      func(line string) // told what a person should know, each once; nil: nobody
}

// Keeper keeps the kernel to what was decided. One goroutine of its own does everything slow: Block, Limit and Prove never
// wait for it. All its methods may be called from any goroutine.
type Keeper struct {
	o       Options
	ops     chan op
	proofs  chan Proven
	guard   atomic.Pointer[Guard] // what Block asks at once; the book's own guard decides
	quit    chan struct{}
	gone    chan struct{}
	closing sync.Once
	closed  error // of Close
	journal *journal
	stats   stats

	mu   sync.RWMutex // the book
	book *Book

	// Of the keeper's goroutine.
	id       string // of the maps that were taken up
	unsaved  bool   // that the journal broke was said
	unknown  bool   // an Apply failed: what the kernel holds is to be asked
	ticks    int
	untended string // what was said last of an enforcer that could not look after its things
	retryAt  int64  // when it is tried again
	retry    time.Duration
}

// op is one thing to do to the book: block an entry, or anything else.
type op struct {
	entry Entry
	do    func(b *Book, now int64)
	done  chan struct{} // closed when everything before it is in the kernel and on its way to the disk
}

// Stats are running counts.
type Stats struct {
	Blocks   uint64 // put into force or changed
	Ended    uint64 // taken out because their time had come
	Guarded  uint64 // refused for the guard
	Refused  uint64 // refused for another reason: a full table, a prefix too wide, an end that has passed
	Fallen   uint64 // decisions that fell because too many waited
	Unproven uint64 // proven contacts that fell because too many waited: their packets are not exempt until told again
	Failed   uint64 // attempts at the enforcer that failed
	Unsaved  bool   // the journal cannot be written any more
	InForce  int    // blocks now
}

type stats struct{ blocks, ended, guarded, refused, fallen, unproven, failed atomic.Uint64 }

// Open takes up what a Keeper before it left in the kernel and in the file, less what ended or is guarded now, and starts.
// An error is one of the file; what the kernel refuses is said and tried again.
func Open(o Options) (*Keeper, error) {
	if o.Disk == nil {
		o.Disk = durable.OS()
	}
	var sizes Sizes
	if o.Enforcer != nil {
		sizes = o.Enforcer.Sizes()
	}
	k := &Keeper{o: o, ops: make(chan op, queueMax), proofs: make(chan Proven, provenMax), quit: make(chan struct{}), gone: make(chan struct{}), book: NewBook(sizes), retry: sweepEvery}
	saved, err := readJournal(o.File)
	if err != nil {
		return nil, err
	}
	if saved.damaged > 0 {
		k.say(fmt.Sprintf("%s: %d lines could not be read and are left out", o.File, saved.damaged))
	}
	k.reconcile(saved)
	k.publishGuard()
	if o.File != "" {
		if k.journal, err = openJournal(o.Disk, o.File, k.id, k.snapshot); err != nil {
			return nil, err
		}
	}
	go k.run()
	return k, nil
}

func (k *Keeper) say(line string) {
	if k.o.Say != nil {
		k.o.Say(line)
	}
}

// reconcile fills the book from the kernel and the file, and brings the kernel to it. In the same maps the kernel is right
// about what is in force, for it is changed before the file is; in others both count.
func (k *Keeper) reconcile(saved *saved) {
	now := k.o.Now()
	var kernel State
	if k.o.Enforcer != nil {
		var err error
		if kernel, err = k.o.Enforcer.Load(now); err != nil {
			k.failed(err, now)
		}
	}
	want, have := merge(saved, kernel, now)
	for _, g := range k.o.Guard {
		g.Fixed = true
		k.refusal(k.book.Guard(g, now))
	}
	for _, g := range want.guard {
		k.refusal(k.book.Guard(g, now))
	}
	k.book.fill(len(want.blocks))
	for _, e := range want.blocks {
		if _, err := k.book.Block(e, now); err != nil {
			k.refusal(err)
		}
	}
	for _, l := range want.limits {
		k.refusal(k.book.Limit(l, now))
	}
	k.book.mark()
	if k.o.Enforcer == nil || k.unknown {
		return
	}
	if c := Diff(have, k.book.Plan(), now); !c.Empty() {
		if err := k.o.Enforcer.Apply(c); err != nil {
			k.failed(err, now)
			return
		}
	}
	k.id = kernel.ID
}

// refusal counts an error of the book.
func (k *Keeper) refusal(err error) {
	switch {
	case err == nil:
	case errors.Is(err, ErrGuarded):
		k.stats.guarded.Add(1)
	default:
		k.stats.refused.Add(1)
	}
}

// failed notes that the kernel did not do what was asked: what it holds is asked again later, the longer the more often it
// failed.
func (k *Keeper) failed(err error, now int64) {
	k.stats.failed.Add(1)
	if !k.unknown {
		k.say(fmt.Sprintf("blocks: %s does not take them: %v; trying again", k.o.Enforcer.Name(), err))
	}
	k.unknown = true
	k.retryAt = now + int64(k.retry)
	k.retry = min(2*k.retry, retryMax)
}

func (k *Keeper) publishGuard() {
	k.mu.RLock()
	g := k.book.guard.Clone()
	k.mu.RUnlock()
	k.guard.Store(g)
}

// Block asks for a block. It does not wait: the kernel has it within milliseconds. The error is ErrGuarded, ErrBusy,
// ErrClosed, or says what is wrong with the entry; a table that is full shows in Stats only.
func (k *Keeper) Block(e Entry) error {
	now := k.o.Now()
	e, err := checkEntry(e, now)
	if err != nil {
		k.stats.refused.Add(1)
		return err
	}
	if g, ok := k.guard.Load().Covers(e.Prefix, now); ok {
		k.stats.guarded.Add(1)
		return fmt.Errorf("%s: %w (%s)", e.Prefix, ErrGuarded, g.Why)
	}
	return k.offer(op{entry: e})
}

// Limit asks for a limit on unproven traffic. It does not wait; the errors are Block's.
func (k *Keeper) Limit(l Limit) error {
	return k.offer(op{do: func(b *Book, now int64) { k.refusal(b.Limit(l, now)) }})
}

func (k *Keeper) offer(o op) error {
	select {
	case <-k.quit:
		return ErrClosed
	default:
	}
	select {
	case k.ops <- o:
		return nil
	default:
		k.stats.fallen.Add(1)
		return ErrBusy
	}
}

// Prove exempts a contact from limits. It does not wait; what falls is counted.
func (k *Keeper) Prove(p Proven) {
	select {
	case k.proofs <- p:
	default:
		k.stats.unproven.Add(1)
	}
}

// put hands over what a person asked for: it waits for room, and is lost only when the Keeper closes.
func (k *Keeper) put(o op) bool {
	select {
	case k.ops <- o:
		return true
	case <-k.quit:
		return false
	}
}

// Unblock takes a block out; false: there is none with exactly this prefix. Flush after it waits until the kernel knows.
func (k *Keeper) Unblock(p netip.Prefix) bool {
	p, err := Normal(p)
	if err != nil {
		return false
	}
	found := make(chan bool, 1)
	if !k.put(op{do: func(b *Book, now int64) { found <- b.Unblock(p) }}) {
		return false
	}
	select {
	case ok := <-found:
		return ok
	case <-k.gone:
		return false
	}
}

// Unlimit takes a limit out.
func (k *Keeper) Unlimit(key LimitKey) { k.put(op{do: func(b *Book, now int64) { b.Unlimit(key) }}) }

// Allow guards a prefix until a time (Forever: no end) and takes out the blocks inside it; it wins over every block, asked
// for before or after. The error says what is wrong with the prefix or the time. Flush after it waits until the kernel knows.
func (k *Keeper) Allow(p netip.Prefix, until int64, why string) error {
	p, err := Normal(p)
	if err != nil {
		return err
	}
	if until <= k.o.Now() {
		return fmt.Errorf("%s: the end of an allow has passed", p)
	}
	e := Guarded{Prefix: p, Until: until, Why: why}
	g := k.guard.Load().Clone()
	g.Put(e)
	k.guard.Store(g)
	failed := make(chan error, 1)
	if !k.put(op{do: func(b *Book, now int64) { failed <- b.Guard(e, now) }}) {
		return ErrClosed
	}
	select {
	case err := <-failed:
		k.refusal(err)
		return err
	case <-k.gone:
		return ErrClosed
	}
}

// Disallow takes back an Allow; false: there is none with exactly this prefix. Fixed lines stay.
func (k *Keeper) Disallow(p netip.Prefix) bool {
	p, err := Normal(p)
	if err != nil {
		return false
	}
	found := make(chan bool, 1)
	if !k.put(op{do: func(b *Book, now int64) { found <- !b.guard.by[p].Fixed && b.Unguard(p) }}) {
		return false
	}
	select {
	case ok := <-found:
		return ok
	case <-k.gone:
		return false
	}
}

// SetGuard replaces the fixed lines of the guard's list: the system's or the configuration's addresses have changed.
func (k *Keeper) SetGuard(all []Guarded) {
	all = slices.Clone(all)
	k.put(op{do: func(b *Book, now int64) {
		keep := map[netip.Prefix]bool{}
		for _, g := range all {
			g.Fixed = true
			if p, err := Normal(g.Prefix); err == nil {
				keep[p] = true
			}
			k.refusal(b.Guard(g, now))
		}
		for _, g := range b.guard.List() {
			if g.Fixed && !keep[g.Prefix] {
				b.Unguard(g.Prefix)
			}
		}
	}})
}

// Flush waits until everything asked for before is in the kernel and on the disk.
func (k *Keeper) Flush() {
	done := make(chan struct{})
	if k.put(op{done: done}) {
		select {
		case <-done:
		case <-k.gone:
		}
	}
	k.journal.flush()
}

// List is every block in force, in order of address.
func (k *Keeper) List() []Entry {
	now := k.o.Now()
	k.mu.RLock()
	all := make([]Entry, 0, len(k.book.entries))
	for _, e := range k.book.entries {
		if e.Until > now {
			all = append(all, e)
		}
	}
	k.mu.RUnlock()
	slices.SortFunc(all, func(a, b Entry) int { return order(a.Prefix, b.Prefix) })
	return all
}

// Guard is every line of the guard's list in force, in order of address.
func (k *Keeper) Guard() []Guarded {
	now := k.o.Now()
	k.mu.RLock()
	defer k.mu.RUnlock()
	return slices.DeleteFunc(k.book.guard.List(), func(g Guarded) bool { return g.Until <= now })
}

// Limits is every limit in force, by target.
func (k *Keeper) Limits() []Limit {
	now := k.o.Now()
	k.mu.RLock()
	defer k.mu.RUnlock()
	var all []Limit
	for _, l := range k.book.limits {
		if l.Until > now {
			all = append(all, l)
		}
	}
	slices.SortFunc(all, limitOrder)
	return all
}

// Reason is one thing that decides over an address. One of its fields is set.
type Reason struct {
	Guard *Guarded // its line, and then no block counts
	Block *Entry   // as a source
	Limit *Limit   // as a target
}

// Why is everything in force that an address falls under: the guard first, then blocks and limits, the narrowest first.
func (k *Keeper) Why(a netip.Addr) []Reason {
	now := k.o.Now()
	a = a.Unmap().WithZone("")
	k.mu.RLock()
	defer k.mu.RUnlock()
	var all []Reason
	if g, ok := k.book.guard.Holds(a, now); ok {
		all = append(all, Reason{Guard: &g})
	}
	for n := a.BitLen(); n >= 0 && a.IsValid(); n-- {
		p, err := a.Prefix(n)
		if err != nil {
			return all
		}
		if e, ok := k.book.entries[p]; ok && e.Until > now {
			all = append(all, Reason{Block: &e})
		}
	}
	var limits []Limit
	for key, l := range k.book.limits {
		if key.Target.Contains(a) && l.Until > now {
			limits = append(limits, l)
		}
	}
	slices.SortFunc(limits, func(x, y Limit) int { return -limitOrder(x, y) })
	for _, l := range limits {
		all = append(all, Reason{Limit: &l})
	}
	return all
}

func limitOrder(a, b Limit) int {
	if c := order(a.Target, b.Target); c != 0 {
		return c
	}
	if a.Kind != b.Kind {
		return int(a.Kind) - int(b.Kind)
	}
	return int(a.Port) + int(a.Proto) - int(b.Port) - int(b.Proto)
}

// Counts are what the blocks stopped so far; those that stopped nothing are left out. It reads the kernel's tables in the
// caller's time.
func (k *Keeper) Counts() ([]Count, error) {
	if k.o.Enforcer == nil {
		return nil, nil
	}
	return k.o.Enforcer.Counters(k.o.Now())
}

// Totals are the sums over everything that was ever blocked here, ended or not.
func (k *Keeper) Totals() (Totals, error) {
	if k.o.Enforcer == nil {
		return Totals{}, nil
	}
	return k.o.Enforcer.Totals()
}

// Enforcer names the way in which the kernel blocks; "none": it does not.
func (k *Keeper) Enforcer() string {
	if k.o.Enforcer == nil {
		return "none"
	}
	return k.o.Enforcer.Name()
}

// Stats are the running counts.
func (k *Keeper) Stats() Stats {
	s := Stats{k.stats.blocks.Load(), k.stats.ended.Load(), k.stats.guarded.Load(), k.stats.refused.Load(), k.stats.fallen.Load(),
		k.stats.unproven.Load(), k.stats.failed.Load(), k.journal.broken() != nil, 0}
	k.mu.RLock()
	s.InForce = len(k.book.entries)
	k.mu.RUnlock()
	return s
}

// Close does what waits, writes it down and lets go of the kernel: what is in force stays so.
func (k *Keeper) Close() error {
	k.closing.Do(func() {
		close(k.quit)
		<-k.gone
		k.closed = k.journal.close()
		k.tellUnsaved()
		if k.o.Enforcer != nil {
			k.closed = errors.Join(k.closed, k.o.Enforcer.Close())
		}
	})
	return k.closed
}
