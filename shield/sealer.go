package shield

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/capture/file"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/evidence/durable"
)

// Bounds of the packets kept for one attack.
const (
	keptBytesMax   = 64 << 10
	keptPacketsMax = 256
	keptOpenMax    = 32 << 20 // of all open attacks; past it new ones keep none
)

// sealer hands closed attacks to the evidence, with the packets kept for each while it was open.
type sealer struct {
	log     *evidence.Log
	packets map[attack.Key][]*kept
	bytes   int
}

// kept is a capture in the making: the packets of one run of an account's observations, which is one attack's if it
// becomes one.
type kept struct {
	first, last int64 // times of the observations
	pcap        []byte
	link        uint16
	has         map[uint64]bool // numbers of the packets in it
}

// openSealer opens or makes the log of a run in folder dir; its key lies beside the log, never in it.
// rules is what is in force.
func openSealer(dir string, kind evidence.Kind, now int64, rules []byte) (*sealer, error) {
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
	return &sealer{log: log, packets: map[attack.Key][]*kept{}}, nil
}

// freshFolder refuses a folder that already holds the log of another run.
func freshFolder(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "evidence")); err == nil {
		return fmt.Errorf("%w: %s; choose a new folder for -l, or remove it", ErrOtherRun, filepath.Join(dir, "evidence"))
	}
	return nil
}

// run is what is kept of the observations of an account that one at t belongs to; nil: nothing yet. The accounts draw the
// same line: at most a gap apart, and within one span of the grid.
func (s *sealer) run(key attack.Key, t int64) *kept {
	c := &attack.Table()[key.Class]
	for _, k := range s.packets[key] {
		if t >= k.first-int64(c.Gap) && t <= k.last+int64(c.Gap) && t/int64(c.Span) == k.first/int64(c.Span) {
			return k
		}
	}
	return nil
}

// keep adds packets to what is kept of an account's observations; t is that of the newest one, ns.
func (s *sealer) keep(key attack.Key, t int64, packets []Packet) {
	k := s.run(key, t)
	if k != nil {
		k.first, k.last = min(k.first, t), max(k.last, t)
	}
	for _, p := range packets {
		if k == nil {
			if s.bytes > keptOpenMax {
				return
			}
			k = &kept{first: t, last: t, pcap: file.AppendHeader(nil, p.LinkType), link: p.LinkType, has: map[uint64]bool{}}
			s.packets[key] = append(s.packets[key], k)
			s.bytes += len(k.pcap)
		}
		if p.LinkType != k.link || k.has[p.Number] || k.full() {
			continue
		}
		before := len(k.pcap)
		k.pcap = file.AppendRecord(k.pcap, p.Data, p.Wire, p.Time)
		s.bytes += len(k.pcap) - before
		k.has[p.Number] = true
	}
}

// take returns what is kept of the observations between two times, and lets go of it and of what is older.
func (s *sealer) take(key attack.Key, first, last int64) (pcap []byte) {
	var left []*kept
	var link uint16
	for _, k := range s.packets[key] {
		if k.first > last {
			left = append(left, k)
			continue
		}
		s.bytes -= len(k.pcap)
		switch {
		case k.last < first: // of observations that came to nothing
		case pcap == nil:
			pcap, link = k.pcap, k.link
		case k.link == link:
			pcap = append(pcap, k.pcap[len(file.AppendHeader(nil, link)):]...)
		}
	}
	if s.packets[key] = left; left == nil {
		delete(s.packets, key)
	}
	return pcap
}

// forget lets go of what is kept of observations that came to nothing: their account has closed by now, ns.
func (s *sealer) forget(now int64) {
	for key, runs := range s.packets {
		gap := int64(attack.Table()[key.Class].Gap)
		left := slices.DeleteFunc(runs, func(k *kept) bool {
			gone := k.last+gap < now
			if gone {
				s.bytes -= len(k.pcap)
			}
			return gone
		})
		if s.packets[key] = left; len(left) == 0 {
			delete(s.packets, key)
		}
	}
}

func (k *kept) full() bool { return len(k.has) >= keptPacketsMax || len(k.pcap) >= keptBytesMax }

// full says whether nothing more is kept of the observations of an account that one at t belongs to.
func (s *sealer) full(key attack.Key, t int64) bool {
	k := s.run(key, t)
	return k != nil && k.full()
}

// seal puts a closed attack into the log; it is acknowledged by a later flush.
func (s *sealer) seal(ev *attack.Event) error {
	r := ev.Record
	return s.log.Seal(&r, s.take(ev.Key, r.FirstSeen, r.LastSeen))
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
