package evidence

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/dejpha/dejpha/evidence/leaves"
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
	if len(l.pending) > 0 {
		return errPending
	}
	for _, x := range []struct {
		name string
		s    *store
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

func (l *Log) retain(name string, s *store, most Limit, now uint64) error {
	if l.ripe(s, most, now) {
		if l.keep(s.roll()) != nil {
			return l.err
		}
	}
	list, err := segments(s.dir)
	if err != nil {
		return err
	}
	total := int64(0)
	for _, n := range list {
		info, err := os.Stat(segmentName(s.dir, n))
		if err != nil {
			return fmt.Errorf("reading %s: %w", s.dir, err)
		}
		total += info.Size()
	}
	for i, n := range list {
		path := segmentName(s.dir, n)
		info, err := os.Stat(path)
		if err != nil || n == s.number {
			break // the newest stays
		}
		full := most.Bytes > 0 && total > most.Bytes
		if !full && (most.Age <= 0 || !l.older(path, segmentName(s.dir, list[i+1]), most.Age, now)) {
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
func (l *Log) ripe(s *store, most Limit, now uint64) bool {
	if s.empty() {
		return false
	}
	if most.Bytes > 0 && s.file.Size() >= most.Bytes/rollParts {
		return true
	}
	if s.began == 0 { // of an earlier run
		s.began = l.timeOf(firstLeaf(segmentName(s.dir, s.number)))
	}
	return most.Age > 0 && now-min(now, s.began) > uint64((most.Age/rollParts).Microseconds())
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
	leaf := firstLeaf(next)
	if leaf < 0 {
		leaf = lastLeaf(path)
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

// firstLeaf is the leaf of a file's first record, -1 if there is none.
func firstLeaf(path string) (leaf int64) {
	leaf = -1
	eachRecord(path, func(n int64) bool {
		leaf = n
		return false
	})
	return leaf
}

// lastLeaf is the leaf of a file's last record, -1 if there is none.
func lastLeaf(path string) (leaf int64) {
	leaf = -1
	eachRecord(path, func(n int64) bool {
		leaf = n
		return true
	})
	return leaf
}

// eachRecord walks the heads of a file's records until more says that it is enough.
func eachRecord(path string, more func(leaf int64) bool) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<16)
	var head [16]byte
	for {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return
		}
		if n := int(be.Uint32(head[4:])); n > segmentBytes {
			return
		} else if _, err := r.Discard(n); err != nil {
			return
		}
		if !more(int64(be.Uint64(head[8:]))) {
			return
		}
	}
}
