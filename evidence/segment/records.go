package segment

import (
	"bufio"
	"hash/crc32"
	"io"
	"os"
)

// recordHead is how long a record's frame is without its bytes.
const recordHead = 16

// ReadRecord reads the record of a leaf. os.ErrNotExist: its file is not there.
func ReadRecord(dir string, pos uint64, leaf int64) ([]byte, error) {
	number, offset := Place(pos)
	f, err := os.Open(Name(dir, number))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	n, head, err := recordAt(f, offset, leaf)
	if err != nil {
		return nil, err
	}
	b := make([]byte, n)
	if _, err := f.ReadAt(b, offset+recordHead); err != nil {
		return nil, ErrFrame
	}
	if crc32.Update(crc32.Checksum(head[4:], castagnoli), castagnoli, b) != be.Uint32(head[:]) {
		return nil, ErrFrame
	}
	return b, nil
}

// FindRecord is where the bytes of a leaf's record lie and how many they are, whatever they are by now: an erasure that a
// crash cut short must be possible again.
func FindRecord(dir string, pos uint64, leaf int64) (path string, from, n int64, err error) {
	number, offset := Place(pos)
	path = Name(dir, number)
	f, err := os.Open(path)
	if err != nil {
		return path, 0, 0, err
	}
	defer f.Close()
	n, _, err = recordAt(f, offset, leaf)
	return path, offset + recordHead, n, err
}

// recordAt reads a record's head, of which the file must hold the bytes, too.
func recordAt(f *os.File, offset, leaf int64) (n int64, head [recordHead]byte, err error) {
	if _, err := f.ReadAt(head[:], offset); err != nil || int64(be.Uint64(head[8:])) != leaf {
		return 0, head, ErrFrame
	}
	n = int64(be.Uint32(head[4:]))
	if info, err := f.Stat(); err != nil || offset+recordHead+n > info.Size() {
		return 0, head, ErrFrame
	}
	return n, head, nil
}

// Records reads records as a walk over the leaves needs them, mostly one after the other: files stay open between them.
type Records struct {
	Dir string

	number int
	w      *Window
}

// Read is ReadRecord; the bytes are valid until the next call.
func (x *Records) Read(pos uint64, leaf int64) ([]byte, error) {
	number, offset := Place(pos)
	if x.w == nil || number != x.number {
		x.Close()
		var err error
		if x.w, err = OpenWindow(Name(x.Dir, number)); err != nil {
			x.w = nil
			return nil, err
		}
		x.number = number
	}
	head := x.w.Get(offset, recordHead)
	if len(head) < recordHead {
		return nil, ErrFrame
	}
	n := recordHead + int64(be.Uint32(head[4:]))
	if offset+n > x.w.size {
		return nil, ErrFrame
	}
	b := x.w.Get(offset, n)
	if int64(len(b)) < n || crc32.Checksum(b[4:], castagnoli) != be.Uint32(b) || int64(be.Uint64(b[8:])) != leaf {
		return nil, ErrFrame
	}
	return b[recordHead:], nil
}

// Close gives the file in hand back.
func (x *Records) Close() { x.w.Close() }

// FirstLeaf is the leaf of a file's first record, -1 if there is none.
func FirstLeaf(path string) (leaf int64) {
	leaf = -1
	EachRecord(path, func(n int64) bool {
		leaf = n
		return false
	})
	return leaf
}

// LastLeaf is the leaf of a file's last record, -1 if there is none.
func LastLeaf(path string) (leaf int64) {
	leaf = -1
	EachRecord(path, func(n int64) bool {
		leaf = n
		return true
	})
	return leaf
}

// EachRecord walks the heads of a file's records, as far as they are whole, until more says that it is enough.
func EachRecord(path string, more func(leaf int64) bool) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<16)
	var head [recordHead]byte
	for {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return
		}
		if n := int(be.Uint32(head[4:])); n > FileBytes {
			return
		} else if _, err := r.Discard(n); err != nil {
			return
		}
		if !more(int64(be.Uint64(head[8:]))) {
			return
		}
	}
}
