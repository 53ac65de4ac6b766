package shield

import (
	"path/filepath"
	"time"

	"github.com/dejpha/dejpha/config"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/shield/clerk"
	"github.com/dejpha/dejpha/shield/records"
)

// writing is what a run's clerk is told.
func (s *Setup) writing(o *RunOptions, file *records.File, now int64) clerk.Options {
	c := s.settings.config
	return clerk.Options{Dir: o.State, Kind: o.Kind, Now: now, Rules: s.inForce(), Records: file, Disk: o.Disk, Shadow: filepath.Join(o.State, rehearsalFile),
		Keep: evidence.Keep{Packets: limit(c.KeepPackets), Private: limit(c.KeepPrivate)}, KeepEve: records.Keep(c.KeepEve)}
}

func limit(k config.Keep) evidence.Limit {
	return evidence.Limit{Bytes: k.Bytes, Age: time.Duration(k.Days) * 24 * time.Hour}
}
