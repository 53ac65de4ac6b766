package eve

import (
	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/flow"
	"github.com/dejpha/dejpha/jsonline"
)

// Transaction is a protocol's own record: event type, the transaction, the direction its envelope shows.
type Transaction struct {
	Flow   *flow.Flow
	At     int64
	Number uint64
	Dir    flow.Direction
	Event  string
	Tx     contract.Tx
}

// AppendTransaction appends one protocol line with its newline.
func AppendTransaction(dst []byte, o *Options, t *Transaction) []byte {
	dst = beginFlow(dst, o, t.Flow, t.At, t.Number, t.Dir, t.Event)
	dst = append(dst, `,"pkt_src":"wire/pcap"`...)
	switch t.Event { // the others name their transaction inside their own object, or not at all
	case "http", "smb", "smtp":
		dst = jsonline.KeyUint(dst, "tx_id", t.Tx.State().ID)
	}
	dst = record(dst, t.Tx)
	return append(dst, "}\n"...)
}

// record appends a comma and the transaction's own object, or nothing where it has none.
func record(dst []byte, tx contract.Tx) []byte {
	start := len(dst)
	dst = append(dst, ',')
	dst = tx.AppendRecord(dst)
	if len(dst) == start+1 {
		return dst[:start]
	}
	return dst
}
