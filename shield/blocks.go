package shield

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/block/way"
	"github.com/dejpha/dejpha/console"
	"github.com/dejpha/dejpha/control"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/flow"
	"github.com/dejpha/dejpha/shield/board"
)

// blocks opens the board of a live run, as its mode says; nil for any other run.
func (s *Setup) blocks(set *settings, o *RunOptions) (*board.Board, error) {
	if o.Kind != evidence.Live {
		return nil, nil
	}
	c := set.config
	b := board.Options{State: o.State, Guard: set.guard, Barred: set.barred, Now: func() int64 { return time.Now().UnixNano() }, Say: o.say}
	switch c.BlockMode {
	case "on":
		kernel, err := way.Open(way.Options{Interfaces: set.interfaces, Way: c.BlockWay, Say: o.say})
		if err != nil && (set.barred == nil || c.BlockWay != way.Auto) {
			return nil, err
		}
		if err != nil {
			o.say("blocks: " + err.Error() + "; verdicts alone stop what is blocked")
		}
		b.Enforcer, b.Acts = kernel, kernel != nil || set.barred != nil
		if !b.Acts {
			o.say("blocks: nothing here can act on a decision: they are rehearsed")
		}
	}
	set.enforce = b.Acts
	out, err := board.Open(b)
	if err == nil && b.Acts && b.Enforcer != nil {
		set.vouch = func(f *flow.Flow) { out.Vouch(f.Client.Netip(), f.Server.Netip(), f.ClientPort, f.ServerPort, f.Proto) }
	}
	return out, err
}

// vouch tells the kernel once that a flow is proven, so that limits on unproven packets spare it.
func (w *worker) vouch(f *flow.Flow) {
	if f.Proven && !f.Vouched && w.set.vouch != nil {
		f.Vouched = true
		w.set.vouch(f)
	}
}

// heed has decisions handed to a board; nil: there is none.
func (m *merger) heed(b *board.Board) {
	if m.board = b; b != nil && m.set.enforce {
		m.enforcer = b
	}
}

// stopped adds what blocks and limits kept from their targets to the attacks that led to them.
func (m *merger) stopped() {
	if m.board == nil {
		return
	}
	for id, s := range m.board.Take() {
		m.accounts.Stopped(id, s.Packets, s.Bytes)
	}
}

var errNoBoard = errors.New("nothing is blocked here: the samples are a demonstration")

// blockCommands are those about who is blocked.
func (e *engine) blockCommands(c map[string]control.Command) {
	for name, do := range map[string]func(*board.Board, board.Request) (attack.Decision, error){
		"block": (*board.Board).Block, "unblock": (*board.Board).Unblock, "allow": (*board.Board).Allow,
	} {
		c[name] = func(arguments json.RawMessage) (any, error) {
			r, err := board.Read(arguments)
			if err != nil {
				return nil, err
			}
			return e.byPerson(do, r)
		}
	}
	c["why"] = func(arguments json.RawMessage) (any, error) {
		r, err := board.Read(arguments)
		if err != nil {
			return nil, err
		}
		if e.merge.board == nil {
			return nil, errNoBoard
		}
		return e.merge.board.Why(r.Address)
	}
	c["blocks"] = func(json.RawMessage) (any, error) {
		if e.merge.board == nil {
			return nil, errNoBoard
		}
		return e.merge.board.List(), nil
	}
}

// byPerson carries out what a person asked for and has it written down.
func (e *engine) byPerson(do func(*board.Board, board.Request) (attack.Decision, error), r board.Request) (attack.Decision, error) {
	if e.merge.board == nil {
		return attack.Decision{}, errNoBoard
	}
	d, err := do(e.merge.board, r)
	if err != nil {
		return d, err
	}
	return d, e.ask(func() {
		if d.Action == attack.ActionUnblock || d.Action == attack.ActionAllow {
			e.merge.accounts.Unblocked(d.Prefix)
		}
		e.merge.decision(&d)
	})
}

// Request, Standing and Decided are what the commands about blocks ask and are told.
type (
	Request  = board.Request
	Standing = board.Answer
	Decided  = board.Decided
)

// ParseAddress reads an address or prefix that a person wrote; the error says what to write.
func ParseAddress(text string) (netip.Prefix, error) { return board.Parse(text) }

// DecidedAbout is what the records of a run or replay say was decided about an address or network, the oldest first.
func DecidedAbout(dir string, who netip.Prefix) ([]Decided, error) {
	return board.Recall(dir, "eve.json", who)
}

// blocking answers the console; it asks the merge point.
type blocking struct{ e *engine }

// Blocks implements console.Blocker.
func (b blocking) Blocks() (console.Blocks, error) {
	set := b.e.set
	out := console.Blocks{Way: b.e.merge.board.Way(), Mode: "rehearsal"}
	for _, x := range b.e.merge.board.List() {
		out.Items = append(out.Items, console.Block{Prefix: x.Prefix, By: x.By, Attack: x.Attack, Since: x.Since / 1e6, Until: x.Until / 1e6, Rate: x.Rate, Packets: x.Packets, Bytes: x.Bytes})
	}
	switch {
	case set.enforce:
		out.Mode = "on"
		return out, nil
	case set.undecided:
		out.Mode = "off"
		return out, nil
	}
	return out, b.e.ask(func() {
		p := b.e.merge.shadow.Price(0)
		t := &p.Toll
		out.Price = &console.Price{Since: p.Since / 1e6, Blocks: p.Blocks, Hosts: p.Hosts, Stopped: t.Stopped.Packets, Cost: t.Cost.Flows, Perhaps: t.Perhaps.Flows, Besides: t.Hosts}
	})
}

// Undo implements console.Blocker.
func (b blocking) Undo(prefix, why string) error {
	_, err := b.e.byPerson((*board.Board).Unblock, board.Request{Address: prefix, Why: why, Who: "the console"})
	if errors.Is(err, board.ErrNotBlocked) {
		err = fmt.Errorf("%w: %w", console.ErrNotBlocked, err)
	}
	return err
}

// showBlocks tells a watcher who can show them of the blocks.
func (e *engine) showBlocks() {
	if x, ok := e.merge.watcher.(interface{ Blocking(console.Blocker) }); ok && e.merge.board != nil {
		x.Blocking(blocking{e})
	}
}
