package shield

import (
	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/console"
	"github.com/dejpha/dejpha/explain"
)

// Shown tells a console what the shield counts.
type Shown struct{ Console *console.Console }

// Attack implements Watcher.
func (s Shown) Attack(r attack.Record) { s.Console.Attack(r) }

// Packets implements Watcher.
func (s Shown) Packets(id uint64, packets []Packet) {
	frames := make([]console.Frame, len(packets))
	for i, p := range packets {
		frames[i] = console.Frame{Data: p.Data, Wire: p.Wire, Link: p.LinkType, Time: p.Time}
	}
	s.Console.Packets(id, frames)
}

// Ledger implements Watcher.
func (s Shown) Ledger(l Ledger, open int, now int64) {
	s.Console.Ledger(console.Ledger{Received: l.Received, Inspected: l.Inspected, Bypassed: l.Bypassed, Dropped: l.KernelDrops, Shed: l.Shed, Undecodable: l.Undecodable}, open, now)
}

// Inspector of the setup's rules, for a console.
func (s *Setup) Inspector() console.Inspector {
	return explain.New(s.loaded.Rules())
}
