// Package file reads recorded captures: pcap and pcapng, both byte orders, micro- and nanoseconds.
//
// In: a file. Out: frames without an allocation each. Called by shield for replay and for the samples.
// It never trusts a length: records are bounded, and a damaged rest is said, not guessed at.
package file

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/dejpha/dejpha/capture"
)

// frameMax bounds one record's bytes; libpcap's own bound is 256 KiB (MAXIMUM_SNAPLEN).
const frameMax = 1 << 20

// blockMax bounds one pcapng block that is skipped or read.
const blockMax = 16 << 20

// Reader reads one capture file.
type Reader struct {
	name      string
	closer    io.Closer
	r         *bufio.Reader
	order     binary.ByteOrder
	next      func(*capture.Frame) error
	buf       []byte
	read      int64
	size      int64
	truncated bool
	link      uint16 // pcap
	nano      bool
	extra     int // bytes after pcap's record header (modified formats)
	ifaces    []iface
}

// iface is one pcapng interface.
type iface struct {
	link   uint16
	snap   uint32
	units  uint64 // per second
	offset int64  // seconds
}

// Open opens a capture file. The error names the file and says what was expected.
func Open(name string) (*Reader, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	size := int64(0)
	if info, err := f.Stat(); err == nil {
		size = info.Size()
	}
	r, err := New(name, f)
	if err != nil {
		f.Close()
		return nil, err
	}
	r.closer, r.size = f, size
	return r, nil
}

// New reads a capture from any stream; name is for messages.
func New(name string, in io.Reader) (*Reader, error) {
	r := &Reader{name: name, r: bufio.NewReaderSize(in, 128<<10)}
	head, err := r.r.Peek(4)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: shorter than a file header", name, capture.ErrNotCapture)
	}
	switch magic := binary.LittleEndian.Uint32(head); magic {
	case 0xa1b2c3d4, 0xa1b23c4d, 0xa1b2cd34, 0xd4c3b2a1, 0x4d3cb2a1, 0x34cdb2a1:
		err = r.openPcap(magic)
	case 0x0a0d0d0a:
		r.next = r.nextBlock
	default:
		err = fmt.Errorf("%s: %w: begins with %08x", name, capture.ErrNotCapture, magic)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Next implements capture.Source.
func (r *Reader) Next(f *capture.Frame) error { return r.next(f) }

// Close implements capture.Source.
func (r *Reader) Close() error {
	if r.closer == nil {
		return nil
	}
	return r.closer.Close()
}

// Truncated says whether the capture ended inside its last record, which is no damage but was counted.
func (r *Reader) Truncated() bool { return r.truncated }

// Position returns the bytes read and the file's size (0 if unknown).
func (r *Reader) Position() (read, size int64) { return r.read, r.size }

// takeStep is what is read at once at first: memory follows the bytes that are there, not what a length field promises.
const takeStep = 64 << 10

// take reads exactly n bytes into the reused buffer.
func (r *Reader) take(n int) ([]byte, error) {
	for got := 0; got < n; {
		to := min(n, max(takeStep, 2*got))
		if len(r.buf) < to {
			larger := make([]byte, to+to/2)
			copy(larger, r.buf[:got])
			r.buf = larger
		}
		m, err := io.ReadFull(r.r, r.buf[got:to])
		got += m
		r.read += int64(m)
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			r.truncated = got > 0 || r.truncated
			return nil, io.EOF
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.name, err)
		}
	}
	return r.buf[:n], nil
}

// damaged is the error for a rest that cannot be read.
func (r *Reader) damaged(format string, args ...any) error {
	return fmt.Errorf("%s: byte %d: %s: %w", r.name, r.read, fmt.Sprintf(format, args...), capture.ErrDamaged)
}
