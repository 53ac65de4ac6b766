package app

import "github.com/dejpha/dejpha/app/contract"

// Conversation is one flow as its protocol sees it. Owner: the worker's Driver; valid until Forget.
type Conversation struct {
	Protocol    *contract.Protocol // nil until identified
	ID          uint16             // its number; Unknown until identified
	Before      uint16             // the protocol before an upgrade, 0 none
	FirstNumber uint64             // packet that brought the first bytes
	Events      []uint8            // indices into Events(): oddities of identification
	Expect      *contract.Expect   // announced by the last Feed
	EventsSeen  int                // of Events, written as records; shield's
	Stopped     contract.Stop      // why the parser has finished, StopNone while it runs
	Panicked    bool               // the parser panicked; there are no transactions to read
	Again       bool               // offer both directions' rest at once, see Driver.Feed
	Swap        bool               // exchange the flow's ends and feed again, see Driver.Feed

	parser    contract.Parser
	limits    *contract.Limits
	announced *contract.Expect
	pending   string // protocol to change to at the next Feed
	need      [2]int
	skipped   [2]int // bytes dropped while unidentified, told to the parser as a gap
	waiting   [2]int // bytes seen while unidentified
	gaveUp    [2]bool
	ended     [2]bool
	finished  bool
}

// Txs returns the live transactions, oldest first; valid until the next call on the driver for this flow.
func (c *Conversation) Txs() []contract.Tx {
	if c.parser == nil || c.Panicked {
		return nil
	}
	return c.parser.Txs()
}

// Encrypted says that both directions have gone over to encryption, or that the parser has seen all that it looks for.
func (c *Conversation) Encrypted() bool {
	s, ok := c.parser.(contract.Secret)
	return c.Stopped == contract.StopDone || ok && s.Encrypted()
}

// Active reports whether a parser still reads this conversation.
func (c *Conversation) Active() bool { return c.parser != nil && !c.finished }

// Limits are the bounds the parser runs under, nil until identified.
func (c *Conversation) Limits() *contract.Limits { return c.limits }

// CompleteIn reports whether nothing more will come of tx in direction dir.
func (c *Conversation) CompleteIn(tx contract.Tx, dir contract.Direction) bool {
	s := tx.State()
	if s.Done[dir] || s.OneWay == 1 && dir == contract.ToClient || s.OneWay == 2 && dir == contract.ToServer {
		return true
	}
	last := len(c.Protocol.Steps[dir]) - 1
	return last >= 0 && int(tx.Progress(dir)) >= last
}

// Complete reports whether nothing more will come of tx in either direction.
func (c *Conversation) Complete(tx contract.Tx) bool {
	return c.CompleteIn(tx, contract.ToServer) && c.CompleteIn(tx, contract.ToClient)
}

// note stamps new transactions with the packet that made them.
func (c *Conversation) note(in *contract.Input) {
	txs := c.parser.Txs()
	for i := len(txs) - 1; i >= 0; i-- {
		s := txs[i].State()
		if s.FirstNumber != 0 {
			break
		}
		s.FirstNumber = in.Number
	}
}

func (c *Conversation) finishAll() {
	if c.parser == nil {
		return
	}
	for _, tx := range c.parser.Txs() {
		tx.State().Done = [2]bool{true, true}
	}
}

func (c *Conversation) endDirection(dir contract.Direction) {
	c.ended[dir] = true
	for _, tx := range c.parser.Txs() {
		tx.State().Done[dir] = true
	}
	if c.ended[0] && c.ended[1] {
		c.finishAll()
	}
}
