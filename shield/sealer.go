package shield

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/evidence/durable"
	"github.com/dejpha/dejpha/shield/kept"
)

// sealer hands closed attacks to the evidence, with the packets kept for each while it was open.
type sealer struct {
	log  *evidence.Log
	kept kept.Store
}

// openSealer opens or makes the log of a run in folder dir; its key lies beside the log, never in it.
// rules is what is in force; sample says of how many attacks one keeps its packets.
func openSealer(dir string, kind evidence.Kind, now int64, sample int, rules []byte) (*sealer, error) {
	disk := durable.OS()
	key, err := evidence.LoadKey(disk, filepath.Join(dir, "log.key"), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("cannot use the log's key: %w", err)
	}
	log, err := evidence.Open(filepath.Join(dir, "evidence"), evidence.Options{Kind: kind, Key: key, Rand: rand.Reader, Disk: disk, Time: now, Rules: rules})
	if err != nil {
		var other *evidence.OtherLogError
		if errors.As(err, &other) {
			return nil, fmt.Errorf("%w: %w", ErrOtherRun, err)
		}
		return nil, err
	}
	return &sealer{log: log, kept: kept.Store{Sample: uint64(sample)}}, nil
}

// freshFolder refuses a folder that already holds the log of another run.
func freshFolder(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "evidence")); err == nil {
		return fmt.Errorf("%w: %s; choose a new folder for -l, or remove it", ErrOtherRun, filepath.Join(dir, "evidence"))
	}
	return nil
}

// seal puts a closed attack into the log; it is acknowledged by a later flush.
func (s *sealer) seal(ev *attack.Event) error {
	r := ev.Record
	return s.log.Seal(&r, s.kept.Take(ev.Key, r.FirstSeen, r.LastSeen))
}

func (s *sealer) totals(now int64, l Ledger) error {
	return s.log.Totals(evidence.Ledger(l), now)
}

// flush writes what waits if it is due, or always, and returns what is acknowledged by now.
func (s *sealer) flush(now int64, always bool) ([]attack.Record, error) {
	if !always && !s.log.Due(now) {
		return nil, nil
	}
	return s.log.Flush()
}

func (s *sealer) close() ([]attack.Record, error) { return s.log.Close() }
