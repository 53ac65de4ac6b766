package segment

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// windowBytes is how much of a file is read at once by who walks it.
const windowBytes = 64 << 10

// Window reads a file through one buffer that moves along: a walk costs one call of the system for many pieces.
type Window struct {
	f    *os.File
	size int64 // of the file, as it was opened
	at   int64 // where the buffer begins in it
	buf  []byte
}

// OpenWindow opens a file to be read as it is long now.
func OpenWindow(path string) (*Window, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return &Window{f: f, size: info.Size()}, nil
}

// Get is n bytes at an offset, fewer at the file's end; valid until the next call.
func (w *Window) Get(offset, n int64) []byte {
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

// Size is how long the file was when it was opened, bytes.
func (w *Window) Size() int64 { return w.size }

// Close gives the file back; of nil it does nothing.
func (w *Window) Close() {
	if w != nil {
		_ = w.f.Close()
	}
}
