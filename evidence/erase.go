package evidence

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/evidence/leaves"
	"github.com/dejpha/dejpha/evidence/segment"
)

// slot is one leaf's line in the file seeds.
type slot struct {
	seed             [seedBytes]byte
	private, packets uint64 // position + 1; 0: none
}

func (s slot) erased() bool { return s.private != 0 && s.seed == [seedBytes]byte{} }

func decodeSlot(b []byte) (s slot) {
	copy(s.seed[:], b)
	s.private, s.packets = be.Uint64(b[16:]), be.Uint64(b[24:])
	return s
}

func readSlot(dir string, leaf int64) (slot, error) {
	f, err := os.Open(filepath.Join(dir, "seeds"))
	if err != nil {
		return slot{}, fmt.Errorf("reading seeds: %w", err)
	}
	defer f.Close()
	var b [slotBytes]byte
	if _, err := f.ReadAt(b[:], leaf*slotBytes); err != nil {
		return slot{}, fmt.Errorf("reading seed of leaf %d: %w", leaf, err)
	}
	return decodeSlot(b[:]), nil
}

// ErrErased says that a private part or packets were erased or fell to retention.
var ErrErased = errors.New("erased")

// ReadPrivate opens the private part of a leaf.
func ReadPrivate(dir string, leaf int64) (Private, error) {
	p, _, err := readPrivate(dir, leaf, &wordReader{dir: dir})
	return p, err
}

func readPrivate(dir string, leaf int64, words *wordReader) (Private, *attack.Record, error) {
	s, err := readSlot(dir, leaf)
	if err != nil {
		return Private{}, nil, err
	}
	if s.private == 0 || s.erased() {
		return Private{}, nil, ErrErased
	}
	sealed, err := segment.ReadRecord(filepath.Join(dir, "private"), s.private-1, leaf)
	if errors.Is(err, os.ErrNotExist) {
		return Private{}, nil, ErrErased
	}
	if err != nil {
		return Private{}, nil, fmt.Errorf("private part of leaf %d: %w", leaf, err)
	}
	return openPrivate(sealed, s.seed[:], words)
}

// ReadPackets returns the capture file kept with an attack's leaf.
func ReadPackets(dir string, leaf int64) ([]byte, error) {
	s, err := readSlot(dir, leaf)
	if err != nil {
		return nil, err
	}
	if s.packets == 0 || s.erased() {
		return nil, ErrErased
	}
	b, err := segment.ReadRecord(filepath.Join(dir, "packets"), s.packets-1, leaf)
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrErased
	}
	return b, err
}

// ReadRecord is the sealed attack of a leaf, as eve shows it; ErrErased for a leaf of another kind, too.
func ReadRecord(dir string, leaf int64) (attack.Record, error) {
	if b, err := ReadLeaf(dir, leaf); err == nil && len(b) > 0 && b[0] != leaves.TypeAttack {
		return attack.Record{}, ErrErased
	}
	return readRecordOf(dir, leaf, &wordReader{dir: dir})
}

func readRecordOf(dir string, leaf int64, words *wordReader) (attack.Record, error) {
	p, r, err := readPrivate(dir, leaf, words)
	switch {
	case err != nil:
		return attack.Record{}, err
	case r == nil:
		return joined(&p, leaf)
	}
	r.Evidence.Leaf = leaf
	r.Retell()
	return *r, nil
}

// Sealed hands over the sealed attacks of a folder from a leaf on, one at a time, and what was authorised among them,
// which is not counted and whose Leaf is -1. Of an erased attack only the leaf's public part is there: no number, no
// origin, no target.
func Sealed(dir string, from int64, do func(r attack.Record, erased bool) error) error {
	words := &wordReader{dir: dir}
	_, err := segment.Scan(filepath.Join(dir, "entries"), func(i int64, _ uint64, b []byte) error {
		if i < from {
			return nil
		}
		if b[0] != leaves.TypeAttack {
			if r, ok := authorised(dir, i, b); ok {
				return do(r, false)
			}
			return nil
		}
		r, err := readRecordOf(dir, i, words)
		if err == nil {
			return do(r, false)
		}
		if !errors.Is(err, ErrErased) {
			return err
		}
		l, err := leaves.DecodeAttack(b)
		if err != nil {
			return &CorruptError{fmt.Sprintf("leaf %d cannot be read", i)}
		}
		return do(Public(&l, i), true)
	})
	return err
}

// authorised is the record of an event leaf that tells of authorised traffic; false if it is none, or erased.
func authorised(dir string, leaf int64, b []byte) (r attack.Record, ok bool) {
	if e, err := leaves.DecodeEvent(b); err != nil || e.Code != CodeAuthorised {
		return r, false
	}
	p, err := ReadPrivate(dir, leaf)
	if err != nil || json.Unmarshal(p[0], &r) != nil {
		return r, false
	}
	r.Evidence.Leaf = -1
	return r, r.Authorised
}

// ReadContinuation is the record of a later piece of a counted attack, from the event leaf that tells of it.
func ReadContinuation(dir string, leaf int64) (r attack.Record, err error) {
	p, err := ReadPrivate(dir, leaf)
	if err == nil {
		err = json.Unmarshal(p[0], &r)
	}
	return r, err
}

// Records returns the sealed attacks of a folder from a leaf on; erased ones are left out.
func Records(dir string, from int64) ([]attack.Record, error) {
	var out []attack.Record
	err := Sealed(dir, from, func(r attack.Record, erased bool) error {
		if !erased {
			out = append(out, r)
		}
		return nil
	})
	return out, err
}

// Public is what a leaf alone says of its attack, as it is left when the private part is erased.
func Public(l *AttackLeaf, leaf int64) attack.Record {
	name := func(names []string, n uint16) string {
		if int(n) < len(names) {
			return names[n]
		}
		return ""
	}
	r := attack.Record{
		State: "closed", Class: attack.Table()[l.Class].Name, Severity: l.Severity, Outcome: name(outcomes, uint16(l.OutcomeResult/3)), Result: name(results, uint16(l.OutcomeResult%3)),
		Side: attack.Outside, Overflow: l.Flags&leaves.FlagOverflow != 0, EndOfInput: l.Flags&leaves.FlagEnd != 0,
		FirstSeen: int64(l.FirstSeen) * 1000, LastSeen: int64(l.LastSeen) * 1000, ClosedAt: int64(l.ClosedAt) * 1000, OpenedAt: int64(l.FirstSeen) * 1000,
		Observations: uint64(l.Observations), Packets: l.Packets, Bytes: l.Bytes, PacketsStopped: l.PacketsStopped, BytesStopped: l.BytesStopped,
		Evidence: attack.Evidence{Leaf: leaf}, Story: "Who and what it was is erased; that it was, and how it was counted, stays proven.",
	}
	r.Risk = name(risks, l.Flags&leaves.FlagRisk)
	if l.Flags&leaves.FlagSide != 0 {
		r.Side = attack.Inside
	}
	if main, sub := l.Technique/1000, l.Technique%1000; sub != 0 {
		r.Techniques = []string{fmt.Sprintf("T%04d.%03d", main, sub)}
	} else if main != 0 {
		r.Techniques = []string{fmt.Sprintf("T%04d", main)}
	}
	return r
}

// PacketsLeft says whether a leaf was erased and a crash kept its packets from it: Erase again.
func PacketsLeft(dir string, leaf int64) bool {
	s, err := readSlot(dir, leaf)
	if err != nil || !s.erased() || s.packets == 0 {
		return false
	}
	path, from, n, err := segment.FindRecord(filepath.Join(dir, "packets"), s.packets-1, leaf)
	if err != nil {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	b := make([]byte, n)
	_, err = f.ReadAt(b, from)
	return err == nil && len(bytes.Trim(b, "\x00")) > 0
}

// errPending keeps acknowledged attacks from being lost on the way: Flush hands them over.
var errPending = errors.New("attacks wait to be acknowledged: flush first")

// Erase makes the private part and the packets of a flushed leaf unreadable and logs that it did, and why, which is
// public. The leaf, its ordinal and every count stay.
func (l *Log) Erase(leaf, now int64, why string) error {
	if l.err != nil {
		return l.err
	}
	if l.unsettled() {
		return errPending
	}
	s, err := readSlot(l.dir, leaf)
	if err != nil {
		return err
	}
	if s.private == 0 {
		return fmt.Errorf("leaf %d has no private part", leaf)
	}
	if !s.erased() { // else a crash came before the packets
		// The event first: whatever a crash leaves undone is then named.
		if err := l.Event(CodeErasure, now, leaf, []byte(why), nil); err != nil {
			return err
		}
		if _, err := l.flush(0); err != nil {
			return err
		}
		if err := l.keep(l.disk.Overwrite(filepath.Join(l.dir, "seeds"), leaf*slotBytes, make([]byte, seedBytes))); err != nil {
			return err
		}
	}
	if s.packets == 0 {
		return nil
	}
	path, from, n, err := segment.FindRecord(l.packets.Dir, s.packets-1, leaf)
	if errors.Is(err, os.ErrNotExist) {
		return nil // gone by retention
	}
	if err != nil {
		return fmt.Errorf("packets of leaf %d: %w", leaf, err)
	}
	return l.keep(l.disk.Overwrite(path, from, make([]byte, n)))
}
