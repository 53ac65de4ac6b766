// Package capture says where packets come from: the frame and the source that every kind of capture offers.
//
// In: nothing of ours. Out: frames with time, lengths, link type and interface. Called by shield's reader.
// It never looks into a frame and never changes its time.
package capture

import "errors"

// Frame is one captured frame. Data is valid until the next call of the source's Next.
type Frame struct {
	Data      []byte
	Time      int64  // ns since 1970 UTC, as the capture says
	WireLen   uint32 // length on the wire, bytes; at least len(Data)
	LinkType  uint16 // LINKTYPE_ number
	Interface uint16 // index within the capture
}

// Source yields frames.
type Source interface {
	// Next fills f with the next frame. io.EOF at the end; ErrDamaged where the rest cannot be read.
	Next(f *Frame) error
	Close() error
}

// ErrDamaged says that a capture cannot be read to its end.
var ErrDamaged = errors.New("capture damaged before its end")

// ErrNotCapture says that a file is no capture in a format known here.
var ErrNotCapture = errors.New("not a pcap or pcapng capture")
