package file

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/dejpha/dejpha/capture"
)

const pcapHeaderBytes = 24

// openPcap reads the file header (draft-ietf-opsawg-pcap section 4).
func (r *Reader) openPcap(magic uint32) error {
	r.order = binary.LittleEndian
	switch magic {
	case 0xd4c3b2a1, 0x4d3cb2a1, 0x34cdb2a1:
		r.order = binary.BigEndian
	}
	switch magic {
	case 0xa1b23c4d, 0x4d3cb2a1:
		r.nano = true
	case 0xa1b2cd34, 0x34cdb2a1:
		r.extra = 8 // Kuznetzov's format: index, protocol, packet type
	}
	h, err := r.take(pcapHeaderBytes)
	if err != nil {
		return fmt.Errorf("%s: %w: cut in its file header", r.name, capture.ErrNotCapture)
	}
	r.link = uint16(r.order.Uint32(h[20:]))
	r.next = r.nextPcap
	return nil
}

func (r *Reader) nextPcap(f *capture.Frame) error {
	h, err := r.take(16 + r.extra)
	if err != nil {
		return err
	}
	sec, frac := int64(r.order.Uint32(h)), int64(r.order.Uint32(h[4:]))
	length, wire := r.order.Uint32(h[8:]), r.order.Uint32(h[12:])
	if length > frameMax {
		return r.damaged("record of %d bytes", length)
	}
	if !r.nano {
		frac *= 1000
	}
	if f.Data, err = r.take(int(length)); err != nil {
		if err == io.EOF {
			r.truncated = true
		}
		return err
	}
	f.Time, f.WireLen, f.LinkType, f.Interface = sec*1e9+frac, max(wire, length), r.link, 0
	return nil
}
