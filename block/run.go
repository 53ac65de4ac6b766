package block

import (
	"errors"
	"fmt"
	"time"
)

// run is the keeper's goroutine.
func (k *Keeper) run() {
	defer close(k.gone)
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		var ops []op
		var proofs []Proven
		select {
		case o := <-k.ops:
			ops = append(ops, o)
		case p := <-k.proofs:
			proofs = append(proofs, p)
		case <-tick.C:
			k.tend()
		case <-k.quit:
			for len(k.ops) > 0 || len(k.proofs) > 0 {
				k.step(take(k.ops, nil), take(k.proofs, nil))
			}
			return
		}
		k.step(take(k.ops, ops), take(k.proofs, proofs))
	}
}

// tend lets an enforcer that has something to look after do so.
func (k *Keeper) tend() {
	t, ok := k.o.Enforcer.(interface{ Tend() error })
	if k.ticks++; !ok || k.ticks%tendEvery != 0 {
		return
	}
	if err := t.Tend(); err != nil {
		k.stats.failed.Add(1)
		if text := err.Error(); text != k.untended {
			k.untended = text
			k.say("blocks: " + text)
		}
	}
}

// take adds what waits in a channel, up to a batch.
func take[T any](from chan T, batch []T) []T {
	for len(batch) < batchMax {
		select {
		case x := <-from:
			batch = append(batch, x)
		default:
			return batch
		}
	}
	return batch
}

// step does a batch to the book, brings the kernel to it and writes it down.
func (k *Keeper) step(ops []op, proofs []Proven) {
	now := k.o.Now()
	k.mu.Lock()
	for _, o := range ops {
		switch {
		case o.do != nil:
			o.do(k.book, now)
		case o.done == nil:
			changed, err := k.book.Block(o.entry, now)
			if changed {
				k.stats.blocks.Add(1)
			}
			k.refusal(err)
		}
	}
	k.stats.ended.Add(uint64(k.book.Sweep(now, batchMax)))
	c := k.book.Changes(now)
	k.mu.Unlock()
	c.Prove = proofs
	if len(c.Guard)+len(c.Unguard) > 0 {
		k.publishGuard()
	}
	k.enforce(c)
	k.journal.add(&c)
	k.tellUnsaved()
	for _, o := range ops {
		if o.done != nil {
			close(o.done)
		}
	}
}

// tellUnsaved says once that the journal broke.
func (k *Keeper) tellUnsaved() {
	if err := k.journal.broken(); err != nil && !k.unsaved {
		k.unsaved = true
		k.say("blocks: " + err.Error())
	}
}

// enforce brings the kernel along. Once it failed, it is asked what it holds and given the difference.
func (k *Keeper) enforce(c Changes) {
	if k.o.Enforcer == nil || c.Empty() && !k.unknown {
		return
	}
	if !k.unknown {
		if err := k.o.Enforcer.Apply(c); err != nil {
			k.failed(err, c.Now)
			k.journal.identity("")
		}
		return
	}
	if c.Now < k.retryAt {
		return
	}
	if err := k.again(c); err != nil {
		k.failed(err, c.Now)
		return
	}
	k.unknown, k.retry = false, sweepEvery
	k.say(fmt.Sprintf("blocks: %s takes them again", k.o.Enforcer.Name()))
}

func (k *Keeper) again(c Changes) error {
	kernel, err := k.o.Enforcer.Load(c.Now)
	if err != nil {
		return err
	}
	k.mu.RLock()
	want := k.book.Plan()
	k.mu.RUnlock()
	have := planOf(kernel)
	for p, e := range have.Blocks {
		if w, ok := want.Blocks[p]; ok && alike(e.Until, w.Until) && alikeRate(e.Rate, w.Rate) {
			have.Blocks[p] = w
		}
	}
	d := Diff(have, want, c.Now)
	d.Prove = c.Prove
	if err := k.o.Enforcer.Apply(d); err != nil {
		return err
	}
	k.journal.identity(kernel.ID)
	return nil
}

func planOf(s State) Plan {
	p := NewBook(Sizes{}).Plan()
	for _, e := range s.Blocks {
		p.Blocks[e.Prefix] = e
	}
	for _, g := range s.Guard {
		p.Guard[g.Prefix] = g.Until
	}
	for _, l := range s.Limits {
		p.Limits[l.Key()] = l
	}
	return p
}

// near is how far an end read back from the kernel may be from the one that was put in: clocks run apart, some enforcers
// round.
const near = int64(2 * time.Second)

// alike says that an end read back may be the one that was put in.
func alike(a, b int64) bool { return a == b || a-b < near && b-a < near }

// alikeRate says that a rate read back may be the one that was put in: enforcers round.
func alikeRate(a, b uint32) bool { return (a == 0) == (b == 0) && max(a, b)/3 <= min(a, b) }

// inForce is what a Keeper takes up.
type inForce struct {
	blocks []Entry
	guard  []Guarded
	limits []Limit
}

// merge is what is in force according to the kernel and the file, and what of it the kernel holds as it should.
func merge(saved *saved, kernel State, now int64) (inForce, Plan) {
	same := saved.id != "" && saved.id == kernel.ID
	have := planOf(kernel)
	want := inForce{blocks: make([]Entry, 0, len(saved.blocks)+len(kernel.Blocks))}
	for p, e := range saved.blocks {
		old, there := have.Blocks[p]
		switch {
		case !there && same:
			continue // taken out, which the file was not told any more
		case there && alike(old.Until, e.Until) && alikeRate(old.Rate, e.Rate):
			have.Blocks[p] = e
		case there && same:
			e.Until, e.Rate = old.Until, old.Rate
		}
		if e.Until > now {
			want.blocks = append(want.blocks, e)
		}
	}
	for p, e := range have.Blocks {
		if _, ok := saved.blocks[p]; !ok && e.Until > now {
			e.By, e.Since = "found in the kernel", now
			want.blocks = append(want.blocks, e)
		}
	}
	for p, g := range saved.guard {
		if until, there := have.Guard[p]; there && alike(until, g.Until) {
			have.Guard[p] = g.Until
		} else if !there && same {
			continue
		}
		if g.Until > now {
			want.guard = append(want.guard, g)
		}
	}
	for p, until := range have.Guard {
		// One without an end that the file does not know was a fixed line, which the configuration gives again if it stands.
		if _, ok := saved.guard[p]; !ok && until > now && until != Forever {
			want.guard = append(want.guard, Guarded{Prefix: p, Until: until, Why: "found in the kernel"})
		}
	}
	mergeLimits(&want, have, saved, same, now)
	return want, have
}

func mergeLimits(want *inForce, have Plan, saved *saved, same bool, now int64) {
	for key, l := range saved.limits {
		old, there := have.Limits[key]
		if !there && same {
			continue
		}
		if there && alike(old.Until, l.Until) && alikeRate(old.Rate, l.Rate) && alikeRate(old.Burst, l.Burst) {
			have.Limits[key] = l
		}
		if l.Until > now {
			want.limits = append(want.limits, l)
		}
	}
	for key, l := range have.Limits {
		if _, ok := saved.limits[key]; !ok && l.Until > now {
			want.limits = append(want.limits, l)
		}
	}
}

var errJournal = errors.New("the file of what is in force cannot be written any more; blocks go on")
