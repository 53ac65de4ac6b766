package evidence

import (
	"errors"
	"path/filepath"

	"golang.org/x/mod/sumdb/note"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/evidence/durable"
	"github.com/dejpha/dejpha/evidence/segment"
)

// flushing is a flush under way: its leaves are handed to the system, and a checkpoint over them follows once the disk
// has them. Meanwhile the log goes on.
type flushing struct {
	size    int64 // leaves, all under the checkpoint
	attacks []attack.Record
	work    func() error // nil: it was waited for
	done    chan error   // work's; nil: the disk makes one change after the other, and work waits until it is asked for
}

// Due says whether the pending attacks should be flushed at now, ns. On recordings only their number counts,
// so that batches are the same in every run.
func (l *Log) Due(now int64) bool {
	if l.opt.Kind == Recording {
		return len(l.pending) >= batchLeaves
	}
	return len(l.pending) >= batchLeaves || len(l.pending) > 0 && now-l.waiting >= batchLive
}

// Flush makes everything durable under a signed checkpoint and returns the attacks that are acknowledged and were not
// told of before, with their leaves, in the log's order; with an error, too. The slice is valid until the next Seal.
func (l *Log) Flush() ([]attack.Record, error) {
	l.await()
	if l.err != nil || !l.dirty {
		return l.tell(), l.err
	}
	return l.flush(0)
}

// FlushBehind begins a Flush and returns before the disk has done its part, which goes on behind whoever seals the next
// attacks. What it makes durable is told of by the next FlushBehind, Flush, Await or Close; one is under way at a time.
func (l *Log) FlushBehind() ([]attack.Record, error) {
	l.await()
	done := l.tell()
	if l.err == nil && l.dirty {
		l.beginFlush(0)
	}
	return done, l.err
}

// Await waits until nothing is under way and tells as Flush does.
func (l *Log) Await() ([]attack.Record, error) {
	l.await()
	return l.tell(), l.err
}

// Safe is how many leaves lie under the last durable checkpoint, as far as was told.
func (l *Log) Safe() int64 { return l.safe }

// unsettled says whether attacks wait to be acknowledged or to be told of.
func (l *Log) unsettled() bool { return len(l.pending)+len(l.told) > 0 || l.under != nil }

// flush is a whole flush with a totals leaf of these flags.
func (l *Log) flush(flags uint16) ([]attack.Record, error) {
	l.await()
	if l.err == nil {
		l.beginFlush(flags)
		l.await()
	}
	return l.tell(), l.err
}

// tell returns what is acknowledged and was not told of.
func (l *Log) tell() []attack.Record {
	done := l.told
	l.told = nil
	return done
}

// beginFlush hands everything to the system and has the checkpoint follow it to the disk.
func (l *Log) beginFlush(flags uint16) {
	if !l.begun { // leaves that a crash left whole wait for a checkpoint
		if l.begin(l.time) != nil {
			return
		}
	}
	if l.totals(flags, l.time) != nil {
		return
	}
	held, err := l.write()
	if l.keep(err) != nil {
		return
	}
	c := Checkpoint{l.form.Origin, l.tree.size, l.root()}
	f := &flushing{size: c.Size, attacks: l.pending, work: func() error { return l.seal(c, held) }}
	l.pending, l.spare, l.dirty, l.under = l.spare[:0], nil, false, f
	if l.disk.Beside() {
		f.done = make(chan error, 1)
		go func() { f.done <- f.work() }()
	}
}

// seal signs what is safe; the goroutine of a flush calls it, too: it touches nothing that changes.
func (l *Log) seal(c Checkpoint, held *durable.Held) error {
	if err := held.Sync(); err != nil { // a signature over what a crash may take away would stand against the log that goes on
		return err
	}
	msg, err := note.Sign(&note.Note{Text: c.text()}, l.signer)
	if err != nil {
		return err
	}
	return l.disk.Replace(filepath.Join(l.dir, "checkpoint"), msg)
}

// await waits for the flush under way. One that failed stays, for its checkpoint may have reached the disk (Again).
func (l *Log) await() {
	f := l.under
	if f == nil || f.work == nil {
		return
	}
	var err error
	if f.done != nil {
		err = <-f.done
	} else {
		err = f.work()
	}
	if f.work = nil; err != nil {
		_ = l.keep(err)
		return
	}
	l.safe, l.under, l.spare = f.size, nil, f.attacks
	if len(l.told) == 0 {
		l.told = f.attacks
	} else {
		l.told = append(l.told, f.attacks...)
	}
}

// beforeRoll waits for the flush under way where the next frame of a store begins a new file: it may wait for the old one.
func (l *Log) beforeRoll(s *segment.Store) {
	if s.Full() {
		l.await()
	}
}

// syncAll makes everything durable, under no signature.
func (l *Log) syncAll() error {
	held, err := l.write()
	if err != nil {
		return err
	}
	return held.Sync()
}

// write hands everything to the system and returns what is to be synced before it is signed. The files wait for the disk
// at the same time: a leaf that comes to rest before what it hides is cut off at the next start, and was not acknowledged.
func (l *Log) write() (*durable.Held, error) {
	l.settle()
	l.slotsUpTo(l.tree.size)
	if err := errors.Join(l.words.Write(), l.packets.Write(), l.private.Write(), segment.WriteOut(l.slots, &l.slotBuf),
		l.entries.Write(), segment.WriteOut(l.offsets, &l.offsetBuf)); err != nil {
		return nil, err
	}
	files := []*durable.Append{l.words.File, l.packets.File, l.private.File, l.slots, l.entries.File, l.offsets}
	for i, f := range l.tiles {
		if err := segment.WriteOut(f, &l.tileBuf[i]); err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return l.disk.Hold(files...), nil
}
