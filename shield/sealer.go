package shield

import "github.com/dejpha/dejpha/attack"

type sealer struct{}

func (*sealer) keep(attack.Key, []Packet)                  {}
func (*sealer) totals(int64, Ledger) error                 { return nil }
func (*sealer) flush(int64, bool) ([]attack.Record, error) { return nil, nil }
func (*sealer) seal(*attack.Event) error                   { return nil }
func (*sealer) close() error                               { return nil }
