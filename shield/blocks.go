package shield

import (
	"net/netip"
	"os"
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/block"
	"github.com/dejpha/dejpha/block/way"
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/flow"
	"github.com/dejpha/dejpha/shield/board"
	"github.com/dejpha/dejpha/shield/desk"
	"github.com/dejpha/dejpha/shield/echo"
	"github.com/dejpha/dejpha/shield/rehearsal"
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
		kernel, err := way.Open(way.Options{Interfaces: way.Places(set.interfaces, c.Interfaces, os.DirFS("/")), Way: c.BlockWay, Sizes: block.Sizes{Hosts: c.BlockHosts}, Say: o.say})
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
		set.answered = func(f *flow.Flow) { out.Answered(f.Client.Netip(), f.Server.Netip(), f.ClientPort, f.ServerPort) }
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

// echoed tells the kernel of a server that answered a question which only it can have got: limits spare its answers. The
// client is not proven by that, for whoever forges an address gets it answers, too.
func (w *worker) echoed(p *decode.Packet, f *flow.Flow, dir flow.Direction) {
	switch {
	case w.set.answered == nil || f.Vouched:
	case dir == flow.ToServer:
		f.Echo = echo.Asked(f.ServerPort, p.Payload)
	case f.Echo != 0 && f.Echo == echo.Answered(f.ServerPort, p.Payload):
		f.Vouched, f.Echo = true, 0
		w.set.answered(f)
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

// byPerson carries out what a person asked for and has it written down.
func (e *engine) byPerson(do desk.Act, r board.Request) (attack.Decision, error) {
	if e.merge.board == nil {
		return attack.Decision{}, desk.ErrNoBoard
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

// desk is where the run is asked.
func (e *engine) desk(s *Setup, o *RunOptions, r *Running) *desk.Desk {
	d := &desk.Desk{Board: e.merge.board, Person: e.byPerson, Figures: r.Figures, Rules: &s.rules, Config: s.Config}
	d.Reload = func() error { return e.reloaded(s, o) }
	d.Price = func() (p *rehearsal.Price, err error) {
		err = e.ask(func() { p = e.merge.shadow.Price(0) })
		return p, err
	}
	return d
}
