package file

import (
	"encoding/binary"
	"io"
	"math/bits"

	"github.com/dejpha/dejpha/capture"
)

// Block types and options (draft-ietf-opsawg-pcapng section 4).
// secondsMax is the last whole second that int64 nanoseconds hold (year 2262); later stamps are forged.
const secondsMax = 9223372035

const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockPacket    = 2 // obsolete
	blockSimple    = 3
	blockEnhanced  = 6
	optEnd         = 0
	optResolution  = 9
	optOffset      = 14
	ifacesMax      = 1 << 12 // a section that describes more is hostile
)

// nextBlock reads blocks until one holds a packet.
func (r *Reader) nextBlock(f *capture.Frame) error {
	for {
		head, err := r.r.Peek(12)
		if err != nil {
			r.truncated = r.truncated || len(head) > 0
			return io.EOF
		}
		kind := binary.LittleEndian.Uint32(head)
		if kind == blockSection {
			switch binary.LittleEndian.Uint32(head[8:]) {
			case 0x1a2b3c4d:
				r.order = binary.LittleEndian
			case 0x4d3c2b1a:
				r.order = binary.BigEndian
			default:
				return r.damaged("section header without its byte-order magic")
			}
			r.ifaces = r.ifaces[:0]
		} else {
			kind = r.order.Uint32(head)
		}
		length := r.order.Uint32(head[4:])
		if length < 12 || length > blockMax {
			return r.damaged("block of %d bytes", length)
		}
		b, err := r.take(int(length+3) &^ 3)
		if err != nil {
			r.truncated = true
			return err
		}
		done, err := r.block(kind, b[8:length-4], f)
		if done || err != nil {
			return err
		}
	}
}

// block acts on one block's body; done: f holds a packet.
func (r *Reader) block(kind uint32, body []byte, f *capture.Frame) (done bool, err error) {
	switch kind {
	case blockInterface:
		return false, r.describe(body)
	case blockEnhanced:
		if len(body) < 20 {
			return false, r.damaged("enhanced packet block of %d bytes", len(body))
		}
		return r.packet(f, r.order.Uint32(body), body[4:12], r.order.Uint32(body[12:]), r.order.Uint32(body[16:]), body[20:])
	case blockPacket:
		if len(body) < 20 {
			return false, r.damaged("packet block of %d bytes", len(body))
		}
		return r.packet(f, uint32(r.order.Uint16(body)), body[4:12], r.order.Uint32(body[12:]), r.order.Uint32(body[16:]), body[20:])
	case blockSimple:
		if len(body) < 4 || len(r.ifaces) == 0 {
			return false, r.damaged("simple packet block of %d bytes", len(body))
		}
		wire := r.order.Uint32(body)
		length := min(wire, uint32(len(body)-4))
		if s := r.ifaces[0].snap; s != 0 {
			length = min(length, s)
		}
		var noTime [8]byte
		return r.packet(f, 0, noTime[:], length, wire, body[4:])
	}
	return false, nil
}

// packet fills f.
func (r *Reader) packet(f *capture.Frame, index uint32, stamp []byte, length, wire uint32, data []byte) (bool, error) {
	if int(index) >= len(r.ifaces) {
		return false, r.damaged("packet of interface %d, which was not described", index)
	}
	if length > uint32(len(data)) {
		return false, r.damaged("packet of %d bytes in a block of %d", length, len(data))
	}
	i := &r.ifaces[index]
	ticks := uint64(r.order.Uint32(stamp))<<32 | uint64(r.order.Uint32(stamp[4:]))
	seconds, rest := ticks/i.units, ticks%i.units
	hi, lo := bits.Mul64(rest, 1e9)
	frac, _ := bits.Div64(hi, lo, i.units)
	f.Time = min(max(int64(min(seconds, secondsMax))+i.offset, 0), secondsMax)*1e9 + int64(frac)
	f.Data, f.WireLen, f.LinkType, f.Interface = data[:length], max(wire, length), i.link, uint16(index)
	return true, nil
}

// describe reads an interface description block.
func (r *Reader) describe(body []byte) error {
	if len(body) < 8 || len(r.ifaces) >= ifacesMax {
		return r.damaged("interface description of %d bytes", len(body))
	}
	i := iface{link: r.order.Uint16(body), snap: r.order.Uint32(body[4:]), units: 1e6}
	for o := body[8:]; len(o) >= 4; {
		code, n := r.order.Uint16(o), int(r.order.Uint16(o[2:]))
		if code == optEnd || len(o) < 4+n {
			break
		}
		v := o[4 : 4+n]
		switch {
		case code == optResolution && n >= 1:
			i.units = resolution(v[0])
		case code == optOffset && n >= 8:
			i.offset = int64(r.order.Uint64(v))
		}
		o = o[min(len(o), 4+(n+3)&^3):]
	}
	r.ifaces = append(r.ifaces, i)
	return nil
}

// resolution is if_tsresol's ticks per second; one that cannot be held is taken for microseconds.
func resolution(v byte) uint64 {
	power := v & 0x7f
	if v&0x80 != 0 {
		if power > 62 {
			return 1e6
		}
		return 1 << power
	}
	if power > 18 {
		return 1e6
	}
	u := uint64(1)
	for range power {
		u *= 10
	}
	return u
}
