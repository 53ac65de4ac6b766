package shield

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"

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
	packets map[attack.Key]*kept
	bytes   int
}

// kept is a capture in the making.
type kept struct {
	pcap []byte
	link uint16
	has  map[uint64]bool // numbers of the packets in it
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
	return &sealer{log: log, packets: map[attack.Key]*kept{}}, nil
}

// freshFolder refuses a folder that already holds the log of another run.
func freshFolder(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "evidence")); err == nil {
		return fmt.Errorf("%w: %s; choose a new folder for -l, or remove it", ErrOtherRun, filepath.Join(dir, "evidence"))
	}
	return nil
}

// keep adds packets to what is kept of an open attack.
func (s *sealer) keep(key attack.Key, packets []Packet) {
	k := s.packets[key]
	for _, p := range packets {
		if k == nil {
			if s.bytes > keptOpenMax {
				return
			}
			k = &kept{pcap: file.AppendHeader(nil, p.LinkType), link: p.LinkType, has: map[uint64]bool{}}
			s.packets[key] = k
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

func (k *kept) full() bool { return len(k.has) >= keptPacketsMax || len(k.pcap) >= keptBytesMax }

// full says whether nothing more is kept for an attack.
func (s *sealer) full(key attack.Key, known bool) bool {
	k := s.packets[key]
	return !known || k != nil && k.full()
}

// seal puts a closed attack into the log; it is acknowledged by a later flush.
func (s *sealer) seal(ev *attack.Event) error {
	var pcap []byte
	if k := s.packets[ev.Key]; k != nil {
		pcap = k.pcap
		s.bytes -= len(pcap)
		delete(s.packets, ev.Key)
	}
	r := ev.Record
	return s.log.Seal(&r, pcap)
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
