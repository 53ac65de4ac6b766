package board

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/block"
)

// Request is what a person asks for, over the socket or from the console.
type Request struct {
	Address string        `json:"address"` // or prefix
	For     time.Duration `json:"for,omitempty"`
	Rate    uint32        `json:"rate,omitempty"` // packets/s still let through
	Why     string        `json:"why,omitempty"`
	Who     string        `json:"who,omitempty"` // the person
}

// blockFor is how long a person's block stands unless said.
const blockFor = 10 * time.Minute

// Bounds of what a person may say.
const (
	whyMax = 500
	forMax = 10 * 365 * 24 * time.Hour
)

func (r *Request) check() (netip.Prefix, error) {
	p, err := Parse(r.Address)
	if err != nil {
		return p, err
	}
	if len(r.Why) > whyMax || len(r.Who) > whyMax {
		return p, fmt.Errorf("a reason of more than %d bytes", whyMax)
	}
	if r.For < 0 || r.For > forMax {
		return p, fmt.Errorf("%s is no length; write 10m, 24h or 720h", r.For)
	}
	return p, nil
}

func (r *Request) by() string {
	by := r.Who
	if by == "" {
		by = "a person"
	}
	if r.Why != "" {
		by += ": " + r.Why
	}
	return by
}

// Block blocks for a person; the kernel has it when it returns. The decision is to be written down.
func (b *Board) Block(r Request) (attack.Decision, error) {
	p, err := r.check()
	if err != nil {
		return attack.Decision{}, err
	}
	if !b.o.Acts {
		return attack.Decision{}, ErrRehearsal
	}
	if r.For == 0 {
		r.For = blockFor
	}
	if r.Rate == 0 && b.o.Guard.Shared(p) {
		return attack.Decision{}, fmt.Errorf("%s: many people share it; limit it with --rate PACKETS instead", Text(p))
	}
	now := b.o.Now()
	d := attack.Decision{Time: now, Action: attack.ActionBlock, Until: now + int64(r.For), Origin: Text(p), Prefix: p, Rate: r.Rate, Policy: "by a person", By: r.by(), Undo: "dejpha unblock " + Text(p)}
	if r.Rate > 0 {
		d.Action = attack.ActionRateLimit
	}
	if why := b.o.Guard.Why(p); why != "" {
		return d, fmt.Errorf("%s: %w (%s)", Text(p), block.ErrGuarded, why)
	}
	e := block.Entry{Prefix: p, Until: d.Until, Rate: r.Rate, By: d.By, Since: now}
	if err := b.keeper.Block(e); err != nil {
		return d, err
	}
	b.keeper.Flush()
	b.mu.Lock()
	b.latest(&e)
	b.mu.Unlock()
	return d, nil
}

// ErrNotBlocked says that nothing is blocked by exactly this prefix.
var ErrNotBlocked = errors.New("is not blocked")

// Unblock ends a block for a person.
func (b *Board) Unblock(r Request) (attack.Decision, error) {
	p, err := r.check()
	if err != nil {
		return attack.Decision{}, err
	}
	d := attack.Decision{Time: b.o.Now(), Action: attack.ActionUnblock, Origin: Text(p), Prefix: p, Policy: "by a person", By: r.by(), Undo: "dejpha block " + Text(p)}
	if !b.keeper.Unblock(p) {
		return d, fmt.Errorf("%s %w%s", Text(p), ErrNotBlocked, b.wider(p))
	}
	b.keeper.Flush()
	return d, nil
}

// wider names the block that an address falls under.
func (b *Board) wider(p netip.Prefix) string {
	for _, r := range b.keeper.Why(p.Addr()) {
		if r.Block != nil {
			return ", " + Text(r.Block.Prefix) + " is, which holds it"
		}
	}
	return ""
}

// Allow has the guard hold a prefix for a person, for good unless said; blocks inside it end.
func (b *Board) Allow(r Request) (attack.Decision, error) {
	p, err := r.check()
	if err != nil {
		return attack.Decision{}, err
	}
	now := b.o.Now()
	d := attack.Decision{Time: now, Action: attack.ActionAllow, Origin: Text(p), Prefix: p, Policy: "by a person", By: r.by()}
	until := int64(block.Forever)
	if r.For > 0 {
		until = now + int64(r.For)
		d.Until = until
	}
	if err := b.keeper.Allow(p, until, "one allowed by "+d.By); err != nil {
		return d, err
	}
	b.keeper.Flush()
	b.allowed()
	return d, nil
}

// Answer is what stands about an address.
type Answer struct {
	Address string    `json:"address"`
	Way     string    `json:"way"`              // how the kernel blocks
	Guard   string    `json:"guard,omitempty"`  // why it is never blocked
	Blocks  []Blocked `json:"blocks,omitempty"` // the narrowest first
	Limits  []string  `json:"limits,omitempty"` // on what it gets, as a target
}

// Why is everything in force about an address.
func (b *Board) Why(text string) (Answer, error) {
	p, err := Parse(text)
	if err != nil {
		return Answer{}, err
	}
	a := Answer{Address: Text(p), Way: b.Way(), Guard: b.o.Guard.Why(p)}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.keeper.Why(p.Addr()) {
		switch {
		case r.Block != nil:
			a.Blocks = append(a.Blocks, b.shown(r.Block))
		case r.Limit != nil:
			l := r.Limit
			a.Limits = append(a.Limits, fmt.Sprintf("at most %d %s packets/s to %s until %s UTC", l.Rate, l.Kind, Text(l.Target), time.Unix(0, l.Until).UTC().Format(time.DateTime)))
		}
	}
	return a, nil
}

// Read is a request in a command's arguments.
func Read(arguments json.RawMessage) (r Request, err error) {
	if err := json.Unmarshal(arguments, &r); err != nil {
		return r, errors.New(`expected {"address": "192.0.2.7"} and, if wanted, "for" (ns), "rate", "why" and "who"`)
	}
	return r, nil
}
