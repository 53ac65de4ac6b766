package shield

import (
	"path/filepath"
	"time"

	"github.com/dejpha/dejpha/config"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/shield/clerk"
	"github.com/dejpha/dejpha/shield/records"
	"github.com/dejpha/dejpha/witness/ask"
)

// writing is what a run's clerk is told.
func (s *Setup) writing(o *RunOptions, file *records.File, now int64) clerk.Options {
	c := s.settings.config
	return clerk.Options{Dir: o.State, Kind: o.Kind, Now: now, Rules: s.inForce(), Records: file, Disk: o.Disk, Say: o.say, Shadow: filepath.Join(o.State, rehearsalFile),
		Keep: evidence.Keep{Packets: limit(c.KeepPackets), Private: limit(c.KeepPrivate)}, KeepEve: records.Keep(c.KeepEve)}
}

// beginAt is how long a start waits for witnesses: one that knows more of this log than there is must be heard before
// anything is signed.
const beginAt = 5 * time.Second

// witnessed has those who witness the log of a folder look at its head, before anything is sealed.
func (s *Setup) witnessed(dir string, say func(string)) (*ask.Asker, error) {
	c := &s.Config.Witnesses
	panel, err := ask.NewPanel(c.Keys, c.URLs, c.Quorum)
	if err != nil {
		return nil, err
	}
	a := ask.New(filepath.Join(dir, "evidence"), panel, say)
	a.Round(beginAt)
	return a, a.Other()
}

func limit(k config.Keep) evidence.Limit {
	return evidence.Limit{Bytes: k.Bytes, Age: time.Duration(k.Days) * 24 * time.Hour}
}
