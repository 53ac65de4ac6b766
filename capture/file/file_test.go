package file

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/dejpha/dejpha/capture"
)

// all reads a capture to its end.
func all(t *testing.T, b []byte) (frames [][]byte, times []int64, err error) {
	t.Helper()
	r, err := New("test", bytes.NewReader(b))
	if err != nil {
		return nil, nil, err
	}
	var f capture.Frame
	for {
		if err = r.Next(&f); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return frames, times, err
		}
		frames, times = append(frames, bytes.Clone(f.Data)), append(times, f.Time)
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	b := AppendHeader(nil, 1)
	b = AppendRecord(b, []byte("one"), 3, 1_500_000_000_123_456_789)
	b = AppendRecord(b, []byte("two!"), 60, 1_500_000_001_000_000_001)
	frames, times, err := all(t, b)
	if err != nil || len(frames) != 2 || string(frames[1]) != "two!" || times[0] != 1_500_000_000_123_456_789 {
		t.Errorf("%q %v %v", frames, times, err)
	}
	frames, _, err = all(t, b[:len(b)-2])
	if err != nil || len(frames) != 1 {
		t.Errorf("cut in its last record: %d frames, %v", len(frames), err)
	}
}

// ng builds a pcapng with one interface of the given resolution and one packet, in either byte order.
func ng(order binary.AppendByteOrder, resolution byte, ticks uint64, data string) []byte {
	b := block(order, nil, blockSection, append(order.AppendUint32(nil, 0x1a2b3c4d), 0, 1, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255)...)
	idb := order.AppendUint32(order.AppendUint16(order.AppendUint16(nil, 1), 0), 65535)
	idb = append(order.AppendUint16(order.AppendUint16(idb, optResolution), 1), resolution, 0, 0, 0)
	b = block(order, b, blockInterface, append(idb, 0, 0, 0, 0)...)
	epb := order.AppendUint32(nil, 0)
	epb = order.AppendUint32(order.AppendUint32(epb, uint32(ticks>>32)), uint32(ticks))
	epb = order.AppendUint32(order.AppendUint32(epb, uint32(len(data))), uint32(len(data)))
	return block(order, b, blockEnhanced, append(epb, data...)...)
}

func TestPcapng(t *testing.T) {
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		for resolution, ticks := range map[byte]uint64{6: 1_500_000_000_250_000, 9: 1_500_000_000_250_000_000, 0x80 | 10: 1_500_000_000<<10 | 256} {
			frames, times, err := all(t, ng(order, resolution, ticks, "hello"))
			if err != nil || len(frames) != 1 || string(frames[0]) != "hello" || times[0] != 1_500_000_000_250_000_000 {
				t.Errorf("%v resolution %x: %q %v %v", order, resolution, frames, times, err)
			}
		}
	}
}

func TestWhatIsNoCaptureIsSaid(t *testing.T) {
	for _, text := range []string{"", "abc", "GIF89a and more"} {
		if _, err := New("x", bytes.NewReader([]byte(text))); !errors.Is(err, capture.ErrNotCapture) {
			t.Errorf("%q: %v", text, err)
		}
	}
	huge := append(AppendHeader(nil, 1), bytes.Repeat([]byte{0xff}, 64)...)
	if _, _, err := all(t, huge); !errors.Is(err, capture.ErrDamaged) {
		t.Errorf("a record of 4 GiB: %v", err)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(AppendRecord(AppendHeader(nil, 1), []byte("one"), 3, 1))
	f.Add(ng(binary.LittleEndian, 6, 5, "hello"))
	f.Add(ng(binary.BigEndian, 0x85, 5, "hello"))
	for _, pattern := range []string{"../../samples/*.pcap", "../../../shared/corpora/*/*.pcap*", "../../../shared/verify/open/*/*.pcap*"} {
		found, _ := filepath.Glob(pattern)
		for i := 0; i < len(found); i += 1 + len(found)/40 {
			if text, err := os.ReadFile(found[i]); err == nil {
				f.Add(text[:min(len(text), 2000)])
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := New("fuzz", bytes.NewReader(b))
		if err != nil {
			return
		}
		var frame capture.Frame
		for range 1000 {
			if r.Next(&frame) != nil {
				return
			}
			if len(frame.Data) > len(b) || frame.Time < 0 || int(frame.WireLen) < len(frame.Data) {
				t.Fatalf("time %d, %d bytes of %d", frame.Time, len(frame.Data), frame.WireLen)
			}
		}
	})
}

// Memory follows the bytes that are there: a block that claims 15 MB at the end of a small file costs no such buffer.
func TestAClaimedLengthIsNotAllocated(t *testing.T) {
	text := ng(binary.LittleEndian, 6, 5, "hello")
	text = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(text, blockEnhanced), 15<<20)
	text = append(text, make([]byte, 100)...)
	r, err := New("x", bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var f capture.Frame
	for n := 0; ; n++ {
		if err := r.Next(&f); err != nil {
			if n != 1 || !r.Truncated() || len(r.buf) > 4*takeStep {
				t.Errorf("%d frames, cut %v, a buffer of %d bytes; %v", n, r.Truncated(), len(r.buf), err)
			}
			return
		}
	}
}

// block appends a pcapng block.
func block(order binary.AppendByteOrder, dst []byte, kind uint32, body ...byte) []byte {
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	n := uint32(12 + len(body))
	dst = order.AppendUint32(order.AppendUint32(dst, kind), n)
	return order.AppendUint32(append(dst, body...), n)
}

// TestOldAndSimpleBlocks: packets of several interfaces, each by its own link type and clock; a simple packet has no
// time and is cut to the first interface's length; the next section forgets all of them.
func TestOldAndSimpleBlocks(t *testing.T) {
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		u16, u32 := order.AppendUint16, order.AppendUint32
		section := func(dst []byte) []byte {
			return block(order, dst, blockSection, append(u32(nil, 0x1a2b3c4d), 0, 1, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255)...)
		}
		described := func(dst []byte, link uint16, snap uint32, options ...byte) []byte {
			return block(order, dst, blockInterface, append(u32(u16(u16(nil, link), 0), snap), options...)...)
		}
		b := described(section(nil), 1, 4)
		b = described(b, 101, 0, append(u16(u16(nil, optOffset), 8), order.AppendUint64(nil, 1000)...)...)
		b = block(order, b, blockSimple, append(u32(nil, 9), "simple"...)...)
		old := u32(u32(u32(u32(u16(u16(nil, 1), 7), 0), 2_000_000), 3), 60) // interface 1, 7 drops, 2 s, 3 of 60 bytes
		b = block(order, b, blockPacket, append(old, "old"...)...)
		b = block(order, b, 0x0bad, 1, 2, 3) // unknown: skipped
		b = block(order, section(b), blockSimple, u32(nil, 0)...)
		r, err := New("x", bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		var f capture.Frame
		if err := r.Next(&f); err != nil || string(f.Data) != "simp" || f.WireLen != 9 || f.Time != 0 || f.LinkType != 1 || f.Interface != 0 {
			t.Errorf("simple: %q %+v %v", f.Data, f, err)
		}
		if err := r.Next(&f); err != nil || string(f.Data) != "old" || f.WireLen != 60 || f.Time != 1002e9 || f.LinkType != 101 || f.Interface != 1 {
			t.Errorf("old: %q %+v %v", f.Data, f, err)
		}
		if err := r.Next(&f); !errors.Is(err, capture.ErrDamaged) {
			t.Errorf("a simple packet of a section without interfaces: %v", err)
		}
	}
}

// TestKuznetzov: the modified format has eight more bytes in each record's header.
func TestKuznetzov(t *testing.T) {
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		b := order.AppendUint32(nil, 0xa1b2cd34)
		b = append(b, make([]byte, 16)...)
		b = order.AppendUint32(b, 113)
		for _, text := range []string{"one", "second"} {
			for _, v := range []uint32{1_500_000_000, 250_000, uint32(len(text)), 70, 2} {
				b = order.AppendUint32(b, v)
			}
			b = append(append(b, 8, 0, 0, 0), text...)
		}
		frames, times, err := all(t, b)
		if err != nil || len(frames) != 2 || string(frames[0]) != "one" || string(frames[1]) != "second" || times[1] != 1_500_000_000_250_000_000 {
			t.Errorf("%v: %q %v %v", order, frames, times, err)
		}
	}
}
