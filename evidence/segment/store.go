// Package segment is frames in numbered files that only grow.
//
// In: bytes of leaves, private parts, packets and texts. Out: files of frames, and from a frame's position its bytes, with
// the sum over them checked. Called by evidence. It knows nothing of what the bytes say, and syncs a file only as the next
// one begins; what else is synced, and when, its caller says (durable).
//
// Frames: of entries and texts u32 crc32c | u16 length | bytes, of records, which hide what a leaf commits to, u32 crc32c |
// u32 length | u64 leaf | bytes; the sum covers all after it (docs/evidence.md).
package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"

	"github.com/dejpha/dejpha/evidence/durable"
)

// FileBytes is where a store begins a new file.
const FileBytes = 64 << 20

// ErrFrame says that there is no whole frame at a position, or another one.
var ErrFrame = errors.New("bad frame")

var (
	be         = binary.BigEndian
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// A position is the number of a file and an offset in it.
const shift = 40

// Position of a byte in the n-th file.
func Position(n int, offset int64) uint64 { return uint64(n)<<shift | uint64(offset) }

// Place is the file of a position and the offset in it.
func Place(pos uint64) (n int, offset int64) { return int(pos >> shift), int64(pos & (1<<shift - 1)) }

// Store writes frames. One owner; no locks.
type Store struct {
	Dir    string
	Number int             // of the file in hand
	File   *durable.Append // the file in hand
	Limit  int64           // where a new file is begun, bytes
	Began  uint64          // for its owner: when the file in hand got its first record

	disk *durable.Disk
	buf  []byte
}

// Name is the path of a store's n-th file.
func Name(dir string, n int) string { return filepath.Join(dir, fmt.Sprintf("%06d", n)) }

// List lists the numbers of a store's files, rising.
func List(dir string) ([]int, error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", dir, err)
	}
	var out []int
	for _, e := range list {
		var n int
		if _, err := fmt.Sscanf(e.Name(), "%06d", &n); err == nil && Name("", n) == e.Name() {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out, nil
}

// Open makes a store, or goes on in its last file.
func Open(d *durable.Disk, dir string) (*Store, error) {
	if err := d.MkdirAll(dir); err != nil {
		return nil, err
	}
	list, err := List(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{disk: d, Dir: dir, Limit: FileBytes}
	if len(list) > 0 {
		s.Number = list[len(list)-1]
	}
	s.File, err = d.OpenAppend(Name(dir, s.Number))
	return s, err
}

// length of the file in hand, with what is not yet handed to the system.
func (s *Store) length() int64 { return s.File.Size() + int64(len(s.buf)) }

// frame appends to the buffer; the first four bytes become the sum.
func (s *Store) frame(head, body []byte) (pos uint64, err error) {
	if s.Full() {
		if err := s.Roll(); err != nil {
			return 0, err
		}
	}
	pos = Position(s.Number, s.length())
	at, size := len(s.buf), 4+len(head)+len(body)
	if cap(s.buf)-at < size { // doubled: append's small steps touch five times the memory
		s.buf = slices.Grow(s.buf, max(at, size))
	}
	s.buf = append(append(append(s.buf, 0, 0, 0, 0), head...), body...)
	be.PutUint32(s.buf[at:], crc32.Checksum(s.buf[at+4:], castagnoli))
	return pos, nil
}

// Entry appends an entry of at most 65,535 bytes and returns its position.
func (s *Store) Entry(b []byte) (uint64, error) {
	var head [2]byte
	be.PutUint16(head[:], uint16(len(b)))
	return s.frame(head[:], b)
}

// Record appends a record of a leaf and returns its position.
func (s *Store) Record(leaf int64, b []byte) (uint64, error) {
	var head [12]byte
	be.PutUint32(head[:], uint32(len(b)))
	be.PutUint64(head[4:], uint64(leaf))
	return s.frame(head[:], b)
}

// Full says whether the next frame begins a new file.
func (s *Store) Full() bool { return s.length() >= s.Limit }

// Empty says whether nothing is in the file in hand.
func (s *Store) Empty() bool { return s.length() == 0 }

// Buffered is how many bytes are not yet handed to the system.
func (s *Store) Buffered() int { return len(s.buf) }

// Roll makes the file in hand safe and begins a new one.
func (s *Store) Roll() error {
	if err := s.Write(); err != nil {
		return err
	}
	if err := s.File.Sync(); err != nil {
		return err
	}
	if err := s.File.Close(); err != nil {
		return fmt.Errorf("closing %s: %w", s.Dir, err)
	}
	s.Number++
	var err error
	s.File, err = s.disk.OpenAppend(Name(s.Dir, s.Number))
	return err
}

// Write hands everything to the system; it is safe only when the file is synced.
func (s *Store) Write() error { return WriteOut(s.File, &s.buf) }

// WriteOut appends a buffer to a file and empties it.
func WriteOut(f *durable.Append, buf *[]byte) error {
	if len(*buf) == 0 {
		return nil
	}
	_, err := f.Write(*buf)
	*buf = (*buf)[:0]
	return err
}

// Cut ends the store at a position; later files are removed.
func (s *Store) Cut(pos uint64) error {
	number, size := Place(pos)
	for n := s.Number; n > number; n-- {
		_ = s.File.Close()
		if err := s.disk.Remove(Name(s.Dir, n)); err != nil {
			return err
		}
		s.Number = n - 1
		var err error
		if s.File, err = s.disk.OpenAppend(Name(s.Dir, s.Number)); err != nil {
			return err
		}
	}
	if size < s.File.Size() {
		return s.File.Truncate(size)
	}
	return nil
}
