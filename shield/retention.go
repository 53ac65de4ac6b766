package shield

import (
	"path/filepath"
	"time"

	"github.com/dejpha/dejpha/config"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/shield/records"
)

// retain lets go of what the configuration no longer keeps: nothing of it may wait to be acknowledged. Each file's
// deletion is an event of the log before it is done.
func (m *merger) retain() error {
	c := m.set.config
	keep := evidence.Keep{Packets: limit(c.KeepPackets), Private: limit(c.KeepPrivate)}
	if err := m.sealer.log.Retain(keep, m.now); err != nil {
		return err
	}
	old, err := m.records.Outdated(records.Keep(c.KeepEve), m.now)
	if err != nil || len(old) == 0 {
		return err
	}
	for _, path := range old {
		if err := m.sealer.log.Event(evidence.CodeRetention, m.now, -1, []byte("eve/"+filepath.Base(path)), nil); err != nil {
			return err
		}
	}
	if _, err := m.sealer.log.Flush(); err != nil {
		return err
	}
	for _, path := range old {
		if err := m.records.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

func limit(k config.Keep) evidence.Limit {
	return evidence.Limit{Bytes: k.Bytes, Age: time.Duration(k.Days) * 24 * time.Hour}
}
