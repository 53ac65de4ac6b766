package segment

import (
	"fmt"
	"hash/crc32"
	"os"
)

// Scanned is how far a walk over entries came.
type Scanned struct {
	Size int64
	Pos  uint64 // where the next frame would begin
	Bad  bool   // there are bytes at Pos, but no whole frame
}

// Scan walks all entries of a store in order; the bytes are valid during the call.
func Scan(dir string, each func(index int64, pos uint64, entry []byte) error) (Scanned, error) {
	list, err := List(dir)
	if err != nil {
		return Scanned{}, err
	}
	var at Scanned
	for i, n := range list {
		at.Pos = Position(n, 0)
		if n != i {
			at.Bad = true
			return at, nil
		}
		if err := ScanFile(Name(dir, n), 0, &at, each); err != nil || at.Bad {
			return at, err
		}
	}
	return at, nil
}

// ScanFile walks one file from byte skip on, which at tells where it is.
func ScanFile(path string, skip int64, at *Scanned, each func(int64, uint64, []byte) error) error {
	w, err := OpenWindow(path)
	if err != nil {
		return fmt.Errorf("reading entries: %w", err)
	}
	defer w.Close()
	for skip < w.size {
		b := w.Get(skip, 6)
		if len(b) == 6 {
			b = w.Get(skip, 6+int64(be.Uint16(b[4:])))
		}
		n := int64(len(b))
		if n <= 6 || n != 6+int64(be.Uint16(b[4:])) || crc32.Checksum(b[4:], castagnoli) != be.Uint32(b) {
			at.Bad = true
			return nil
		}
		if err := each(at.Size, at.Pos, b[6:]); err != nil {
			return err
		}
		at.Size++
		skip, at.Pos = skip+n, at.Pos+uint64(n)
	}
	return nil
}

// ReadEntry reads one entry of at most most bytes.
func ReadEntry(dir string, pos uint64, most int) ([]byte, error) {
	n, offset := Place(pos)
	f, err := os.Open(Name(dir, n))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, 6+most)
	got, _ := f.ReadAt(b, offset)
	if got < 6 {
		return nil, ErrFrame
	}
	end := 6 + int(be.Uint16(b[4:]))
	if end > got || crc32.Checksum(b[4:end], castagnoli) != be.Uint32(b) {
		return nil, ErrFrame
	}
	return b[6:end], nil
}
