package nft

import (
	"fmt"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"github.com/dejpha/dejpha/block"
)

// Totals are what the table dropped since it was made.
func (e *Enforcer) Totals() (block.Totals, error) {
	e.reading.Lock()
	defer e.reading.Unlock()
	var t block.Totals
	chains, err := e.reader.ListChainsOfTableFamily(e.table.Family)
	if err != nil {
		return t, fmt.Errorf("reading the table: %w", err)
	}
	for _, ch := range chains {
		if ch.Table.Name != e.table.Name || ch.Name != "hit" && !strings.HasPrefix(ch.Name, "over") {
			continue
		}
		rules, err := e.reader.GetRules(e.table, ch)
		if err != nil {
			return t, fmt.Errorf("reading chain %s: %w", ch.Name, err)
		}
		count(rules, &t)
	}
	return t, nil
}

func count(rules []*nftables.Rule, t *block.Totals) {
	for _, r := range rules {
		for _, x := range r.Exprs {
			if n, ok := x.(*expr.Counter); ok {
				t.BlockPackets += n.Packets
				t.BlockBytes += n.Bytes
			}
		}
	}
}
