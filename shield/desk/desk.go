// Package desk answers those who ask a running shield: commands over its socket, and the console.
//
// In: a board of blocks, figures, rules and the configuration, and ways to the merge point, from shield. Out: answers in the
// forms of the field's commands and of the console. Called by shield. It decides nothing and keeps nothing.
package desk

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/config"
	"github.com/dejpha/dejpha/console"
	"github.com/dejpha/dejpha/control"
	"github.com/dejpha/dejpha/figures"
	"github.com/dejpha/dejpha/shield/board"
	"github.com/dejpha/dejpha/shield/rehearsal"
	"github.com/dejpha/dejpha/shield/ruleset"
)

// Desk is one running shield's. Its functions may be called from any goroutine.
type Desk struct {
	Board   *board.Board // nil: nobody is blocked by a run of this kind
	Person  func(Act, board.Request) (attack.Decision, error)
	Price   func() (*rehearsal.Price, error) // of a rehearsal
	Figures func() (*figures.Figures, error)
	Rules   *ruleset.Reloader
	Reload  func() error // and it says how it went
	Config  *config.Config

	last atomic.Pointer[figures.Figures] // as they stood when they were last asked for
}

// Act is what a person does to the blocks.
type Act func(*board.Board, board.Request) (attack.Decision, error)

// ErrNoBoard says that a run of this kind blocks nobody.
var ErrNoBoard = errors.New("nothing is blocked here: the samples are a demonstration")

// Commands are those about who is blocked, and about the configuration.
func (d *Desk) Commands() map[string]control.Command {
	c := map[string]control.Command{"conf-get": d.setting}
	for name, do := range map[string]Act{"block": (*board.Board).Block, "unblock": (*board.Board).Unblock, "allow": (*board.Board).Allow} {
		c[name] = func(arguments json.RawMessage) (any, error) {
			r, err := board.Read(arguments)
			if err != nil {
				return nil, err
			}
			return d.Person(do, r)
		}
	}
	c["why"] = func(arguments json.RawMessage) (any, error) {
		r, err := board.Read(arguments)
		if err != nil {
			return nil, err
		}
		if d.Board == nil {
			return nil, ErrNoBoard
		}
		return d.Board.Why(r.Address)
	}
	c["blocks"] = func(json.RawMessage) (any, error) {
		if d.Board == nil {
			return nil, ErrNoBoard
		}
		return d.Board.List(), nil
	}
	return c
}

// setting answers conf-get: what the configuration says under a dotted name.
func (d *Desk) setting(arguments json.RawMessage) (any, error) {
	var a struct {
		Variable string `json:"variable"`
	}
	if err := json.Unmarshal(arguments, &a); err != nil || a.Variable == "" {
		return nil, errors.New(`expected {"variable": NAME}, as in {"variable": "control.socket"}`)
	}
	v, ok := d.Config.Said(a.Variable)
	if !ok {
		return nil, fmt.Errorf("%.100q is not set; what is not set has its default", a.Variable)
	}
	return v, nil
}

// Blocks implements console.Blocker.
func (d *Desk) Blocks() (console.Blocks, error) {
	out := console.Blocks{Way: d.Board.Way(), Mode: d.Board.Mode()}
	for _, x := range d.Board.List() {
		out.Items = append(out.Items, console.Block{Prefix: x.Prefix, By: x.By, Attack: x.Attack, Since: x.Since / 1e6, Until: x.Until / 1e6, Rate: x.Rate, Packets: x.Packets, Bytes: x.Bytes})
	}
	if out.Mode != "rehearsal" {
		return out, nil
	}
	p, err := d.Price()
	if err != nil {
		return out, err
	}
	t := &p.Toll
	out.Price = &console.Price{Since: p.Since / 1e6, Blocks: p.Blocks, Hosts: p.Hosts, Stopped: t.Stopped.Packets, Cost: t.Cost.Flows, Perhaps: t.Perhaps.Flows, Besides: t.Hosts}
	return out, nil
}

// Undo implements console.Blocker.
func (d *Desk) Undo(prefix, why string) error {
	_, err := d.Person((*board.Board).Unblock, board.Request{Address: prefix, Why: why, Who: "the console"})
	if errors.Is(err, board.ErrNotBlocked) {
		err = fmt.Errorf("%w: %w", console.ErrNotBlocked, err)
	}
	return err
}

// Interfaces implements console.Operator.
func (d *Desk) Interfaces() ([]console.Interface, error) {
	f, err := d.Figures()
	switch {
	case err == nil:
		d.last.Store(f)
	case !errors.Is(err, control.ErrEnded):
		return nil, err
	default: // the console stays up after the run
		if f = d.last.Load(); f == nil {
			return nil, nil
		}
	}
	out := []console.Interface{}
	for i := range f.Faces {
		x := &f.Faces[i]
		l := &x.Ledger
		out = append(out, console.Interface{Name: x.Name, Mode: x.Mode, OnFailure: x.OnFailure, Filter: x.Filter, Up: x.Up,
			Received: l.Received, Inspected: l.Inspected, Bypassed: l.Bypassed, Dropped: l.KernelDrops, Shed: l.Shed, Undecodable: l.Undecodable,
			BypassedBy: console.Reasons(x.BypassedBy), ShedBy: console.Reasons(x.ShedBy)})
	}
	return out, nil
}

// RuleSet implements console.Operator.
func (d *Desk) RuleSet() console.RuleSet {
	out := console.RuleSet{Busy: d.Rules.Busy(), Since: d.Rules.Since().UnixMilli()}
	l := d.Rules.Current()
	if l == nil {
		return out
	}
	out.On, out.Loaded, out.Refused = true, l.Set.Len(), len(l.Refused)
	for i := range l.Refused[:min(len(l.Refused), console.RefusalsShown)] {
		r := &l.Refused[i]
		out.Refusals = append(out.Refusals, console.Refusal{File: r.File, Line: r.Line, Column: r.Column, Message: r.Message, SID: r.SID})
	}
	return out
}

// Renew implements console.Operator.
func (d *Desk) Renew() (string, error) {
	err := d.Reload()
	switch {
	case errors.Is(err, ruleset.ErrReloading):
		return "", fmt.Errorf("%w: %w", console.ErrBusy, err)
	case err != nil:
		return "", err
	}
	return d.Rules.Last().String(), nil
}

// Show tells a console, or whoever else can show it, whom to ask.
func (d *Desk) Show(to any) {
	if x, ok := to.(interface{ Operating(console.Operator) }); ok {
		x.Operating(d)
	}
	if x, ok := to.(interface{ Blocking(console.Blocker) }); ok && d.Board != nil {
		x.Blocking(d)
	}
}
