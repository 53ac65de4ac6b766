package evidence

import (
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"

	"github.com/dejpha/dejpha/evidence/durable"
)

// segmentBytes is where a store begins a new file.
const segmentBytes = 64 << 20

// Positions are segment<<40 | offset.
const positionShift = 40

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// store is frames in numbered files that only grow. Frames: in entries u32 crc32c | u16 length | bytes,
// elsewhere u32 crc32c | u32 length | u64 leaf | bytes; the crc covers all after it.
type store struct {
	disk   *durable.Disk
	dir    string
	number int
	file   *durable.Append
	buf    []byte
	limit  int64  // where a new file is begun, bytes
	began  uint64 // the log's clock when the file in hand got its first record; private and packets only
}

func segmentName(dir string, n int) string { return filepath.Join(dir, fmt.Sprintf("%06d", n)) }

// segments lists the numbers of a store's files, rising.
func segments(dir string) ([]int, error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", dir, err)
	}
	var out []int
	for _, e := range list {
		var n int
		if _, err := fmt.Sscanf(e.Name(), "%06d", &n); err == nil && segmentName("", n) == e.Name() {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out, nil
}

func openStore(d *durable.Disk, dir string) (*store, error) {
	if err := d.MkdirAll(dir); err != nil {
		return nil, err
	}
	list, err := segments(dir)
	if err != nil {
		return nil, err
	}
	s := &store{disk: d, dir: dir, limit: segmentBytes}
	if len(list) > 0 {
		s.number = list[len(list)-1]
	}
	s.file, err = d.OpenAppend(segmentName(dir, s.number))
	return s, err
}

// next is the position of the next frame.
func (s *store) next() uint64 {
	return uint64(s.number)<<positionShift | uint64(s.file.Size()+int64(len(s.buf)))
}

// frame appends to the buffer; room says how long the whole frame is.
func (s *store) frame(head, body []byte) (pos uint64, err error) {
	if s.full() {
		if err := s.roll(); err != nil {
			return 0, err
		}
	}
	pos = s.next()
	at := len(s.buf)
	s.buf = append(append(append(s.buf, 0, 0, 0, 0), head...), body...)
	be.PutUint32(s.buf[at:], crc32.Checksum(s.buf[at+4:], castagnoli))
	return pos, nil
}

func (s *store) entry(b []byte) (uint64, error) {
	var head [2]byte
	be.PutUint16(head[:], uint16(len(b)))
	return s.frame(head[:], b)
}

func (s *store) record(leaf int64, b []byte) (uint64, error) {
	var head [12]byte
	be.PutUint32(head[:], uint32(len(b)))
	be.PutUint64(head[4:], uint64(leaf))
	return s.frame(head[:], b)
}

// full says whether the next frame begins a new file.
func (s *store) full() bool { return s.file.Size()+int64(len(s.buf)) >= s.limit }

func (s *store) empty() bool { return s.file.Size()+int64(len(s.buf)) == 0 }

func (s *store) roll() error {
	if err := s.sync(); err != nil {
		return err
	}
	if err := s.file.Close(); err != nil {
		return fmt.Errorf("closing %s: %w", s.dir, err)
	}
	s.number++
	var err error
	s.file, err = s.disk.OpenAppend(segmentName(s.dir, s.number))
	return err
}

// write hands everything to the system; it is safe only when the file is synced.
func (s *store) write() error { return writeOut(s.file, &s.buf) }

func writeOut(f *durable.Append, buf *[]byte) error {
	if len(*buf) == 0 {
		return nil
	}
	_, err := f.Write(*buf)
	*buf = (*buf)[:0]
	return err
}

func (s *store) sync() error {
	if err := s.write(); err != nil {
		return err
	}
	return s.file.Sync()
}

// cut ends the store at a position; later files are removed.
func (s *store) cut(pos uint64) error {
	number := int(pos >> positionShift)
	for n := s.number; n > number; n-- {
		_ = s.file.Close()
		if err := s.disk.Remove(segmentName(s.dir, n)); err != nil {
			return err
		}
		s.number = n - 1
		var err error
		if s.file, err = s.disk.OpenAppend(segmentName(s.dir, s.number)); err != nil {
			return err
		}
	}
	if size := int64(pos & (1<<positionShift - 1)); size < s.file.Size() {
		return s.file.Truncate(size)
	}
	return nil
}

var errFrame = errors.New("bad frame")

// readRecord reads one frame of private or packets.
func readRecord(dir string, pos uint64, leaf int64) ([]byte, error) {
	f, err := os.Open(segmentName(dir, int(pos>>positionShift)))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	offset := int64(pos & (1<<positionShift - 1))
	var head [16]byte
	if _, err := f.ReadAt(head[:], offset); err != nil {
		return nil, errFrame
	}
	n := int64(be.Uint32(head[4:]))
	if info, err := f.Stat(); err != nil || offset+16+n > info.Size() {
		return nil, errFrame
	}
	b := make([]byte, n)
	if _, err := f.ReadAt(b, offset+16); err != nil {
		return nil, errFrame
	}
	crc := crc32.Update(crc32.Checksum(head[4:], castagnoli), castagnoli, b)
	if crc != be.Uint32(head[:]) || int64(be.Uint64(head[8:])) != leaf {
		return nil, errFrame
	}
	return b, nil
}

// recordSize is how long the bytes of a frame of private or packets are, whatever they are by now: an erasure that a
// crash cut short must be possible again.
func recordSize(path string, offset int64, leaf int64) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var head [16]byte
	if _, err := f.ReadAt(head[:], offset); err != nil || int64(be.Uint64(head[8:])) != leaf {
		return 0, errFrame
	}
	n := int64(be.Uint32(head[4:]))
	if info, err := f.Stat(); err != nil || offset+16+n > info.Size() {
		return 0, errFrame
	}
	return n, nil
}

// scanned is how far a walk over the entries came.
type scanned struct {
	size int64
	pos  uint64 // where the next frame would begin
	bad  bool   // there are bytes at pos, but no whole frame
}

// scan walks all entries in order; the bytes are valid during the call.
func scan(dir string, each func(index int64, pos uint64, entry []byte) error) (scanned, error) {
	list, err := segments(dir)
	if err != nil {
		return scanned{}, err
	}
	var at scanned
	for i, n := range list {
		at.pos = uint64(n) << positionShift
		if n != i {
			at.bad = true
			return at, nil
		}
		if err := scanFile(segmentName(dir, n), 0, &at, each); err != nil || at.bad {
			return at, err
		}
	}
	return at, nil
}

// scanFile walks one segment from byte skip on.
func scanFile(path string, skip int64, at *scanned, each func(int64, uint64, []byte) error) error {
	w, err := openWindow(path)
	if err != nil {
		return fmt.Errorf("reading entries: %w", err)
	}
	defer w.close()
	for skip < w.size {
		b := w.get(skip, 6)
		if len(b) == 6 {
			b = w.get(skip, 6+int64(be.Uint16(b[4:])))
		}
		n := int64(len(b))
		if n <= 6 || n != 6+int64(be.Uint16(b[4:])) || crc32.Checksum(b[4:], castagnoli) != be.Uint32(b) {
			at.bad = true
			return nil
		}
		if err := each(at.size, at.pos, b[6:]); err != nil {
			return err
		}
		at.size++
		skip, at.pos = skip+n, at.pos+uint64(n)
	}
	return nil
}
