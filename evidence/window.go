package evidence

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
)

// windowBytes is how much of a file is read at once by who walks it.
const windowBytes = 64 << 10

// window reads a file through one buffer that moves along: a walk costs one call of the system for many pieces.
type window struct {
	f    *os.File
	size int64 // of the file, as it was opened
	at   int64 // where the buffer begins in it
	buf  []byte
}

func openWindow(path string) (*window, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return &window{f: f, size: info.Size()}, nil
}

// get is n bytes at an offset, fewer at the file's end; valid until the next call.
func (w *window) get(offset, n int64) []byte {
	if offset < 0 || offset >= w.size {
		return nil
	}
	n = min(n, w.size-offset)
	if offset < w.at || offset+n > w.at+int64(len(w.buf)) {
		want := min(max(n, windowBytes), w.size-offset)
		if int64(cap(w.buf)) < want {
			w.buf = make([]byte, want)
		}
		got, err := w.f.ReadAt(w.buf[:want], offset)
		if err != nil && !errors.Is(err, io.EOF) {
			got = 0
		}
		w.at, w.buf = offset, w.buf[:got]
	}
	from := offset - w.at
	return w.buf[from:min(from+n, int64(len(w.buf)))]
}

func (w *window) close() {
	if w != nil {
		_ = w.f.Close()
	}
}

// records reads frames of private or packets as a walk over the leaves needs them: mostly one after the other.
type records struct {
	dir    string
	number int
	w      *window
}

// read is readRecord; the bytes are valid until the next call.
func (x *records) read(pos uint64, leaf int64) ([]byte, error) {
	if n := int(pos >> positionShift); x.w == nil || n != x.number {
		x.w.close()
		var err error
		if x.w, err = openWindow(segmentName(x.dir, n)); err != nil {
			x.w = nil
			return nil, err
		}
		x.number = n
	}
	offset := int64(pos & (1<<positionShift - 1))
	head := x.w.get(offset, 16)
	if len(head) < 16 {
		return nil, errFrame
	}
	n := int64(be.Uint32(head[4:]))
	if offset+16+n > x.w.size {
		return nil, errFrame
	}
	b := x.w.get(offset, 16+n)
	if int64(len(b)) < 16+n || crc32.Checksum(b[4:], castagnoli) != be.Uint32(b) || int64(be.Uint64(b[8:])) != leaf {
		return nil, errFrame
	}
	return b[16:], nil
}
