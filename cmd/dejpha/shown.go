package main

import (
	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/console"
	"github.com/dejpha/dejpha/shield"
)

// shown tells a console what the shield counts.
type shown struct{ Console *console.Console }

// Attack implements shield.Watcher.
func (s shown) Attack(r attack.Record) { s.Console.Attack(r) }

// Packets implements shield.Watcher.
func (s shown) Packets(id uint64, packets []shield.Packet) {
	frames := make([]console.Frame, len(packets))
	for i, p := range packets {
		frames[i] = console.Frame{Data: p.Data, Wire: p.Wire, Link: p.LinkType, Time: p.Time}
	}
	s.Console.Packets(id, frames)
}

// Ledger implements shield.Watcher.
func (s shown) Ledger(l shield.Ledger, open int, now int64) {
	s.Console.Ledger(console.Ledger{Received: l.Received, Inspected: l.Inspected, Bypassed: l.Bypassed, Dropped: l.KernelDrops, Shed: l.Shed, Undecodable: l.Undecodable}, open, now)
}
