package evidence

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/evidence/durable"
	"github.com/dejpha/dejpha/evidence/leaves"
	"github.com/dejpha/dejpha/evidence/segment"
)

// Open makes the log of a folder, or resumes it: what a crash left broken past the last checkpoint is cut and
// kept aside; damage before it is a CorruptError. A recording never resumes: its folder must be new.
func Open(dir string, opt Options) (*Log, error) {
	if opt.Disk == nil {
		opt.Disk = durable.OS()
	}
	if opt.Origin == "" {
		opt.Origin = "dejpha/" + opt.Kind.String() + "/" + Fingerprint(opt.Key.Verifier("x"))
	}
	l := &Log{dir: dir, opt: opt, disk: opt.Disk, incidents: opt.Key.incidents(), corrected: map[int64]int{}}
	if err := l.identify(); err != nil {
		return nil, err
	}
	var err error
	if l.lock, err = l.disk.Lock(filepath.Join(dir, "lock")); err != nil {
		return nil, fmt.Errorf("%s is written by another run: %w", dir, err)
	}
	if err = l.openFiles(); err == nil {
		err = l.firstRules()
	}
	if err == nil {
		err = l.resume()
	}
	if note, _ := ReadCosigned(dir); note != nil {
		l.Cosigned(note)
	}
	if err == nil && opt.Time != 0 {
		err = l.clock(leaves.Micro(opt.Time))
	}
	if err == nil && opt.Rules != nil {
		err = l.SetRules(opt.Rules, opt.Time)
	}
	if err != nil {
		l.letGo()
		return nil, err
	}
	return l, nil
}

// firstRules puts the rules in force into a log without leaves: what is there from the start is no change and no event.
func (l *Log) firstRules() (err error) {
	if l.opt.Rules == nil {
		return nil
	}
	dir := filepath.Join(l.dir, "entries")
	list, err := segment.List(dir)
	if err != nil {
		return err
	}
	for _, n := range list {
		if info, err := os.Stat(segment.Name(dir, n)); err != nil || info.Size() > 0 {
			return err
		}
	}
	l.ruleset, err = l.storeRules(l.opt.Rules)
	return err
}

// identify reads or writes the file that says whose log this is.
func (l *Log) identify() error {
	want := format{formatVersion, l.opt.Origin, l.opt.Kind.String(), l.opt.Key.Verifier(l.opt.Origin), attack.TableVersion}
	var err error
	if l.signer, err = l.opt.Key.signer(l.opt.Origin); err != nil {
		return fmt.Errorf("signing key for %q: %w", l.opt.Origin, err)
	}
	have, err := readFormat(l.dir)
	if errors.Is(err, os.ErrNotExist) {
		for _, d := range []string{l.dir, filepath.Join(l.dir, "rules")} {
			if err := l.disk.MkdirAll(d); err != nil {
				return err
			}
		}
		l.form = want
		b, _ := json.Marshal(want)
		return l.disk.Replace(filepath.Join(l.dir, "format"), append(b, '\n'))
	}
	if err != nil {
		return err
	}
	if have.Kind != want.Kind || have.Origin != want.Origin || l.opt.Kind == Recording && !l.opt.Eraser {
		return &OtherLogError{l.dir, have.Origin + " (" + have.Kind + ")", want.Kind}
	}
	if have.Key != want.Key {
		return fmt.Errorf("%s: the log %s was signed with another key (%s, not %s)", l.dir, have.Origin, Fingerprint(have.Key), Fingerprint(want.Key))
	}
	l.form = have
	return l.disk.MkdirAll(filepath.Join(l.dir, "rules"))
}

func readFormat(dir string) (f format, err error) {
	b, err := os.ReadFile(filepath.Join(dir, "format"))
	if err != nil {
		return f, fmt.Errorf("reading evidence: %w", err)
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return f, &CorruptError{"the file format cannot be read"}
	}
	if f.Format != formatVersion {
		return f, fmt.Errorf("%s: format %d, this program reads %d", dir, f.Format, formatVersion)
	}
	return f, nil
}

func (l *Log) openFiles() (err error) {
	for name, s := range map[string]**segment.Store{"entries": &l.entries, "private": &l.private, "packets": &l.packets} {
		if *s, err = segment.Open(l.disk, filepath.Join(l.dir, name)); err != nil {
			return err
		}
	}
	if err := l.openWords(); err != nil {
		return err
	}
	for name, f := range map[string]**durable.Append{"seeds": &l.slots, "offsets": &l.offsets} {
		if *f, err = l.disk.OpenAppend(filepath.Join(l.dir, name)); err != nil {
			return err
		}
	}
	for i := range l.tiles {
		if l.tiles[i], err = l.disk.OpenAppend(filepath.Join(l.dir, fmt.Sprintf("tile%d", i))); err != nil {
			return err
		}
	}
	return nil
}

// resume walks the entries: tree, counters and tiles stand again as they were.
func (l *Log) resume() error {
	check, err := l.checkpoint()
	if err != nil {
		return err
	}
	atCheckpoint := check.Size == 0
	last := TotalsLeaf{}
	end, err := segment.Scan(filepath.Join(l.dir, "entries"), func(i int64, pos uint64, b []byte) error {
		if i >= check.Size && (l.opt.discard || !l.complete(i, b)) {
			return errHalf
		}
		if err := l.replayed(i, b, &last); err != nil {
			return err
		}
		l.link(b, pos)
		if l.tree.size == check.Size {
			if l.root() != check.Root {
				return &CorruptError{fmt.Sprintf("the first %d leaves are not those the checkpoint signed", check.Size)}
			}
			atCheckpoint = true
		}
		return nil
	})
	if errors.Is(err, errHalf) {
		end.Bad, err = true, nil
	}
	if err != nil {
		return err
	}
	if !atCheckpoint || end.Size < check.Size {
		return &CorruptError{fmt.Sprintf("leaf %d cannot be read, the checkpoint signed %d", end.Size, check.Size)}
	}
	return l.mend(check.Size, end, &last)
}

var errHalf = errors.New("a leaf without its private part")

// complete says whether all that a leaf hides is there. Past the checkpoint nothing was acknowledged, and pages may have
// reached the disk out of order: a leaf without its private part is as broken as a torn frame.
func (l *Log) complete(i int64, b []byte) bool {
	want := [32]byte{}
	switch b[0] {
	case leaves.TypeAttack:
		x, err := leaves.DecodeAttack(b)
		if err != nil {
			return false
		}
		want = x.Private
	case leaves.TypeEvent:
		if x, err := leaves.DecodeEvent(b); err == nil {
			want = x.Private
		}
	}
	if want == [32]byte{} {
		return true
	}
	s, err := readSlot(l.dir, i)
	if err != nil || s.private == 0 {
		return false
	}
	if s.erased() { // what nobody has acknowledged cannot be erased: a torn page
		return false
	}
	sealed, err := segment.ReadRecord(l.private.Dir, s.private-1, i)
	if errors.Is(err, os.ErrNotExist) {
		return true // retention
	}
	p, _, err2 := openPrivate(sealed, s.seed[:], &wordReader{dir: l.dir})
	if err != nil || err2 != nil || p.commitment(s.seed[:]) != want {
		return false
	}
	if s.packets == 0 {
		return b[0] != leaves.TypeAttack || p[fieldPackets] == nil
	}
	_, err = segment.ReadRecord(l.packets.Dir, s.packets-1, i)
	return err == nil || errors.Is(err, os.ErrNotExist)
}

func (l *Log) checkpoint() (Checkpoint, error) {
	b, err := os.ReadFile(filepath.Join(l.dir, "checkpoint"))
	if errors.Is(err, os.ErrNotExist) {
		return Checkpoint{Origin: l.form.Origin}, nil
	}
	if err != nil {
		return Checkpoint{}, fmt.Errorf("reading evidence: %w", err)
	}
	c, err := OpenCheckpoint(b, l.form.Key)
	if err != nil {
		return c, &CorruptError{err.Error()}
	}
	return c, nil
}

// replayed takes one old leaf into the counters.
func (l *Log) replayed(i int64, b []byte, last *TotalsLeaf) error {
	switch b[0] {
	case leaves.TypeAttack:
		x, err := leaves.DecodeAttack(b)
		if err != nil {
			return &CorruptError{fmt.Sprintf("leaf %d is malformed", i)}
		}
		l.counters[2*x.Cell()] = x.Ordinal
		l.counters.Overflow(x.Flags, x.Class)
		l.time = max(l.time, x.ClosedAt)
		l.ruleset = x.Ruleset
	case leaves.TypeTotals:
		t, err := leaves.DecodeTotals(b)
		if err != nil {
			return &CorruptError{fmt.Sprintf("leaf %d is malformed", i)}
		}
		*last = *t
		l.counters = t.Counters
		if l.plain = t.Counters[CounterStarts] == 0; t.Flags&leaves.FlagStart != 0 {
			l.started = t.Time
		}
		l.number, l.lastTotals, l.totalsTime, l.sinceTotals = t.Number+1, i, t.Time, -1
		l.time, l.base, l.ledger = max(l.time, t.Time), t.Ledger, t.Ledger
	case leaves.TypeCorrection:
		if err := l.recorrected(i, b); err != nil {
			return err
		}
	case leaves.TypeEvent:
		if e, err := leaves.DecodeEvent(b); err == nil {
			l.time = max(l.time, e.Time)
			l.counters.Event(&e, l.started)
			if e.Code == CodeRulesChanged {
				copy(l.ruleset[:], e.Data)
			}
		}
	}
	l.sinceTotals++
	return nil
}

// mend brings every file to the length of the log that was read.
func (l *Log) mend(safe int64, end segment.Scanned, last *TotalsLeaf) error {
	if end.Bad {
		if err := l.cutEntries(end.Pos); err != nil {
			return err
		}
	}
	for i, f := range l.tiles {
		if err := refit(f, &l.tileBuf[i], (safe>>(8*i))*32); err != nil {
			return err
		}
	}
	if err := refit(l.offsets, &l.offsetBuf, (safe+bundle-1)/bundle*8); err != nil {
		return err
	}
	if l.slots.Size() < safe*slotBytes {
		return &CorruptError{"seeds is too short"}
	}
	// Shorter, it lacks lines of leaves that hide nothing, and may end within one: those are filled in when it is written.
	if err := l.slots.Truncate(min(l.slots.Size()/slotBytes, l.tree.size) * slotBytes); err != nil {
		return err
	}
	if err := errors.Join(l.trim(l.private, false), l.trim(l.packets, true)); err != nil {
		return err
	}
	l.start, l.safe = leaves.FlagStart, safe
	if l.tree.size > 0 && last.Flags&leaves.FlagStop == 0 || l.tree.size != l.lastTotals+1 && l.tree.size > 0 {
		l.start |= leaves.FlagUnclean
	}
	l.dirty = l.tree.size > safe
	return l.storeTable()
}

// trim takes away what a crash left in a store behind its last record that a leaf names: nobody could find it to erase it.
func (l *Log) trim(s *segment.Store, packets bool) error {
	list, err := segment.List(s.Dir)
	if err != nil {
		return err
	}
	end := segment.Position(list[0], 0)
	last, leaf, err := l.lastNamed(packets)
	switch {
	case err != nil:
		return err
	case leaf >= 0 && last < end: // it fell to retention
	case leaf >= 0:
		b, err := segment.ReadRecord(s.Dir, last, leaf)
		if err != nil {
			return nil // damage is for a check to tell, not for a start to cut
		}
		end = last + 16 + uint64(len(b))
	}
	return s.Cut(end)
}

// lastNamed is the last position that the seeds name, of private parts or of packets, and its leaf; -1: none.
func (l *Log) lastNamed(packets bool) (pos uint64, leaf int64, err error) {
	f, err := os.Open(filepath.Join(l.dir, "seeds"))
	if err != nil {
		return 0, -1, fmt.Errorf("reading seeds: %w", err)
	}
	defer f.Close()
	var buf [bundle * slotBytes]byte
	for left := l.slots.Size() / slotBytes; left > 0; {
		from := max(0, left-bundle)
		b := buf[:(left-from)*slotBytes]
		if _, err := f.ReadAt(b, from*slotBytes); err != nil {
			return 0, -1, fmt.Errorf("reading seeds: %w", err)
		}
		for ; left > from; left-- {
			s := decodeSlot(b[(left-1-from)*slotBytes:])
			at := s.private
			if packets {
				at = s.packets
			}
			if at != 0 {
				return at - 1, left - 1, nil
			}
		}
	}
	return 0, -1, nil
}

// refit cuts a derived file to what the checkpoint covers and keeps in buf what lies past it. A derived file
// that is too short is rebuilt from where it ends.
func refit(f *durable.Append, buf *[]byte, safe int64) error {
	keep := min(f.Size(), safe)
	if err := f.Truncate(keep); err != nil {
		return err
	}
	*buf = (*buf)[min(keep, int64(len(*buf))):]
	return nil
}

// cutEntries keeps the broken bytes in a side file and ends the entries before them.
func (l *Log) cutEntries(pos uint64) error {
	if l.opt.discard {
		return l.entries.Cut(pos)
	}
	number, offset := segment.Place(pos)
	var broken []byte
	for n := number; n <= l.entries.Number; n++ {
		b, err := os.ReadFile(segment.Name(l.entries.Dir, n))
		if err != nil {
			return fmt.Errorf("reading broken entries: %w", err)
		}
		if n == number {
			b = b[min(offset, int64(len(b))):]
		}
		broken = append(broken, b...)
	}
	l.cutBytes = int64(len(broken))
	side := filepath.Join(l.dir, fmt.Sprintf("cut-%d", l.tree.size))
	for n := 2; ; n++ { // of an earlier crash at the same leaf
		if _, err := os.Stat(side); err != nil {
			break
		}
		side = filepath.Join(l.dir, fmt.Sprintf("cut-%d-%d", l.tree.size, n))
	}
	if err := l.disk.Replace(side, broken); err != nil {
		return err
	}
	return l.entries.Cut(pos)
}
