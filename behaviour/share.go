package behaviour

import (
	"fmt"
	"strings"

	"github.com/dejpha/dejpha/app/contract"
)

const fileWritten = 2 // SMBFile's code

// share finds programs written to the shares that only administrators may write to: how tools are carried from one
// host to the next. It says so once a flow; whoever deploys software this way is to be named as authorised.
type share struct {
	told *table[uint64, bool]
}

func newShare(c Config) Detector { return &share{newTable[uint64, bool](c.HostsMax)} }

// Name implements Detector.
func (*share) Name() string { return "admin-share" }

// Wants implements Detector.
func (*share) Wants() Kind { return Said }

// Dropped implements Detector.
func (d *share) Dropped() uint64 { return d.told.Dropped }

// Observe implements Detector.
func (d *share) Observe(s *Signal, report func(Finding)) {
	f := &s.Fact
	if f.Kind != contract.SMBFile || f.Code != fileWritten || f.Size != 1 || !administrative(f.Text) {
		return
	}
	if told, fresh := d.told.get(s.FlowID); fresh {
		*told = true
		report(finding("admin-share", "lateral-movement", []string{"T1021.002", "T1570", "T1021"}, 2, fmt.Sprintf("program %s written to the administrators' share %s", f.Name, f.Text), s))
	}
}

// administrative says whether a share is one that Windows keeps for administrators: ADMIN$ and the drives.
func administrative(name string) bool {
	name = name[strings.LastIndexByte(name, '\\')+1:]
	return strings.EqualFold(name, "ADMIN$") || len(name) == 2 && name[1] == '$'
}
