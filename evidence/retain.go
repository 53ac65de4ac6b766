package evidence

import (
	"fmt"
	"os"
	"time"

	"github.com/dejpha/dejpha/evidence/leaves"
	"github.com/dejpha/dejpha/evidence/segment"
)

// Limit is how much of one store is kept; 0 sets no limit.
type Limit struct {
	Bytes int64
	Age   time.Duration // by the log's clock
}

// Keep is what is kept of the stores that may be deleted. Entries, tiles and seeds are never deleted: counts stay provable.
type Keep struct{ Packets, Private Limit }

// rollParts: a store begins a new file after this part of what is kept, so that by whole files it can be deleted about
// to the limit.
const rollParts = 8

// Retain deletes the oldest files of packets and private parts past what is kept, each named by an event. Nothing
// may wait to be acknowledged.
func (l *Log) Retain(keep Keep, now int64) error {
	if l.err != nil {
		return l.err
	}
	if l.unsettled() {
		return errPending
	}
	for _, x := range []struct {
		name string
		s    *segment.Store
		most Limit
	}{{"packets", l.packets, keep.Packets}, {"private", l.private, keep.Private}} {
		if x.most == (Limit{}) {
			continue
		}
		if err := l.retain(x.name, x.s, x.most, leaves.Micro(now)); err != nil {
			return err
		}
	}
	return nil
}

func (l *Log) retain(name string, s *segment.Store, most Limit, now uint64) error {
	if l.ripe(s, most, now) {
		if l.keep(s.Roll()) != nil {
			return l.err
		}
	}
	list, err := segment.List(s.Dir)
	if err != nil {
		return err
	}
	total := int64(0)
	for _, n := range list {
		info, err := os.Stat(segment.Name(s.Dir, n))
		if err != nil {
			return fmt.Errorf("reading %s: %w", s.Dir, err)
		}
		total += info.Size()
	}
	for i, n := range list {
		path := segment.Name(s.Dir, n)
		info, err := os.Stat(path)
		if err != nil || n == s.Number {
			break // the newest stays
		}
		full := most.Bytes > 0 && total > most.Bytes
		if !full && (most.Age <= 0 || !l.older(path, segment.Name(s.Dir, list[i+1]), most.Age, now)) {
			break // the files after it are newer
		}
		if err := l.drop(path, fmt.Sprintf("%s/%06d", name, n), now); err != nil {
			return err
		}
		total -= info.Size()
	}
	return nil
}

// ripe says whether the file in hand shall be followed by a new one.
func (l *Log) ripe(s *segment.Store, most Limit, now uint64) bool {
	if s.Empty() {
		return false
	}
	if most.Bytes > 0 && s.File.Size() >= most.Bytes/rollParts {
		return true
	}
	if s.Began == 0 { // of an earlier run
		s.Began = l.timeOf(segment.FirstLeaf(segment.Name(s.Dir, s.Number)))
	}
	return most.Age > 0 && now-min(now, s.Began) > uint64((most.Age/rollParts).Microseconds())
}

// drop logs the deletion durably, then deletes: whatever a crash leaves undone is then named.
func (l *Log) drop(path, name string, now uint64) error {
	if err := l.Event(CodeRetention, int64(now)*1000, -1, []byte(name), nil); err != nil {
		return err
	}
	if _, err := l.flush(0); err != nil {
		return err
	}
	return l.keep(l.disk.Remove(path))
}

// older says whether even a file's last record is older than age. It is not newer than the next file's first one,
// which is quickly read.
func (l *Log) older(path, next string, age time.Duration, now uint64) bool {
	leaf := segment.FirstLeaf(next)
	if leaf < 0 {
		leaf = segment.LastLeaf(path)
	}
	return now-min(now, l.timeOf(leaf)) > uint64(age.Microseconds())
}

// timeOf is when a leaf was sealed; now if that cannot be told.
func (l *Log) timeOf(leaf int64) uint64 {
	if leaf >= 0 {
		if b, err := ReadLeaf(l.dir, leaf); err == nil && len(b) > 0 {
			switch b[0] {
			case leaves.TypeAttack:
				if x, err := leaves.DecodeAttack(b); err == nil {
					return x.ClosedAt
				}
			case leaves.TypeEvent:
				if x, err := leaves.DecodeEvent(b); err == nil {
					return x.Time
				}
			}
		}
	}
	return l.time
}
