package app

import (
	"testing"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/flow"
)

// A DNS conversation over UDP holds nothing between its messages, and its numbering goes on all the same.
func TestDatagramConversationsHoldNothingWhileTheyWait(t *testing.T) {
	query := []byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03org\x00\x00\x01\x00\x01")
	d := New(Config{})
	f := &flow.Flow{Proto: decode.ProtoUDP, ClientPort: 40000, ServerPort: 53}
	for i := range uint64(3) {
		d.Datagram(f, flow.ToServer, query, int64(i), i+1)
		c := d.Conversation(f)
		if c == nil || len(c.Txs()) != 1 || c.Txs()[0].State().ID != i {
			t.Fatalf("message %d: its transaction is missing or misnumbered", i)
		}
		d.Settle(f)
		if d.Conversation(f) != nil || f.App != 0 {
			t.Fatalf("message %d: something is held after it", i)
		}
	}
	if id := d.ID("dns"); f.AppProto != id || d.Counters(id).Flows != 1 || d.Counters(id).Transactions != 3 {
		t.Errorf("protocol %q, %+v; want one flow with three transactions", d.Name(f.AppProto), d.Counters(id))
	}
	var parser contract.Parser = d.pools[d.ID("dns")-first][0]
	if _, ok := parser.(contract.Waiting); !ok || len(d.pools[d.ID("dns")-first]) != 1 {
		t.Error("more than one parser served the conversation")
	}
}
