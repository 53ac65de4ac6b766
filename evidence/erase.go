package evidence

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dejpha/dejpha/attack"
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
	s, err := readSlot(dir, leaf)
	if err != nil {
		return Private{}, err
	}
	if s.private == 0 || s.erased() {
		return Private{}, ErrErased
	}
	sealed, err := readRecord(filepath.Join(dir, "private"), s.private-1, leaf)
	if errors.Is(err, os.ErrNotExist) {
		return Private{}, ErrErased
	}
	if err != nil {
		return Private{}, fmt.Errorf("private part of leaf %d: %w", leaf, err)
	}
	return openPrivate(sealed, s.seed[:])
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
	b, err := readRecord(filepath.Join(dir, "packets"), s.packets-1, leaf)
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrErased
	}
	return b, err
}

// ReadRecord is the sealed attack of a leaf, as eve shows it.
func ReadRecord(dir string, leaf int64) (attack.Record, error) {
	p, err := ReadPrivate(dir, leaf)
	if err != nil {
		return attack.Record{}, err
	}
	return joined(&p, leaf)
}

// Records returns the sealed attacks of a folder from a leaf on; erased ones are left out.
func Records(dir string, from int64) ([]attack.Record, error) {
	var out []attack.Record
	_, err := scan(filepath.Join(dir, "entries"), func(i int64, _ uint64, b []byte) error {
		if i < from || b[0] != typeAttack {
			return nil
		}
		r, err := ReadRecord(dir, i)
		if errors.Is(err, ErrErased) {
			return nil
		}
		out = append(out, r)
		return err
	})
	return out, err
}

// errPending keeps acknowledged attacks from being lost on the way: Flush hands them over.
var errPending = errors.New("attacks wait to be acknowledged: flush first")

// Erase makes the private part and the packets of a flushed leaf unreadable and logs that it did. The leaf, its
// ordinal and every count stay.
func (l *Log) Erase(leaf, now int64) error {
	if l.err != nil {
		return l.err
	}
	if len(l.pending) > 0 {
		return errPending
	}
	s, err := readSlot(l.dir, leaf)
	if err != nil {
		return err
	}
	if s.private == 0 {
		return fmt.Errorf("leaf %d has no private part", leaf)
	}
	// The event first: whatever a crash leaves undone is then named.
	if err := l.Event(CodeErasure, now, leaf, nil, nil); err != nil {
		return err
	}
	if _, err := l.flush(0); err != nil {
		return err
	}
	if err := l.keep(l.disk.Overwrite(filepath.Join(l.dir, "seeds"), leaf*slotBytes, make([]byte, seedBytes))); err != nil {
		return err
	}
	if s.packets == 0 {
		return nil
	}
	pos := s.packets - 1
	b, err := readRecord(l.packets.dir, pos, leaf)
	if err != nil {
		return nil // gone by retention
	}
	return l.keep(l.disk.Overwrite(segmentName(l.packets.dir, int(pos>>positionShift)), int64(pos&(1<<positionShift-1))+16, make([]byte, len(b))))
}
