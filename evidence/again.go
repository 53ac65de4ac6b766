package evidence

import (
	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/evidence/durable"
)

// Again opens a log anew whose disk had failed, within the same run. What no checkpoint covers is cut, for after a failed
// sync nothing is known of it, and what the kernel still holds of it may never reach the disk: the caller hands it over
// again. covered says that the last checkpoint did reach the disk, though its writing failed: then everything handed over
// before that flush began is sealed, and these are its attacks. The old log is of no use afterwards, unless there is an
// error: then it may be tried once more.
func (l *Log) Again(d *durable.Disk) (n *Log, sealed []attack.Record, covered bool, err error) {
	l.letGo()
	opt := l.opt
	opt.Disk, opt.Time, opt.Rules, opt.discard = d, 0, nil, true
	if n, err = Open(l.dir, opt); err != nil {
		return nil, nil, false, err
	}
	n.opt.discard, n.base = false, l.base
	if n.ruleset == [32]byte{} {
		n.ruleset = l.ruleset
	}
	if err = n.storeTable(); err != nil {
		n.letGo()
		return nil, nil, false, err
	}
	if covered = n.tree.size > l.safe; covered {
		sealed = l.under.attacks
	}
	return n, sealed, covered, nil
}
