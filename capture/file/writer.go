package file

import (
	"encoding/binary"
	"io"
)

// Writer writes a pcap with nanoseconds, little-endian, one link type.
type Writer struct {
	w   io.Writer
	buf []byte
}

// NewWriter writes the file header.
func NewWriter(w io.Writer, linkType uint16) (*Writer, error) {
	return &Writer{w: w}, write(w, AppendHeader(nil, linkType))
}

// Write appends one record. time is ns since 1970 UTC.
func (w *Writer) Write(data []byte, wireLen uint32, time int64) error {
	w.buf = AppendRecord(w.buf[:0], data, wireLen, time)
	return write(w.w, w.buf)
}

// AppendHeader appends a pcap file header.
func AppendHeader(dst []byte, linkType uint16) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, 0xa1b23c4d)
	dst = append(dst, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	dst = binary.LittleEndian.AppendUint32(dst, 262144)
	return binary.LittleEndian.AppendUint32(dst, uint32(linkType))
}

// AppendRecord appends one record.
func AppendRecord(dst, data []byte, wireLen uint32, time int64) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(time/1e9))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(time%1e9))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(data)))
	dst = binary.LittleEndian.AppendUint32(dst, max(wireLen, uint32(len(data))))
	return append(dst, data...)
}

func write(w io.Writer, b []byte) error {
	_, err := w.Write(b)
	return err
}
