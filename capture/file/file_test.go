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
	block := func(dst []byte, kind uint32, body []byte) []byte {
		for len(body)%4 != 0 {
			body = append(body, 0)
		}
		n := uint32(12 + len(body))
		dst = order.AppendUint32(order.AppendUint32(dst, kind), n)
		return order.AppendUint32(append(dst, body...), n)
	}
	b := block(nil, blockSection, append(order.AppendUint32(nil, 0x1a2b3c4d), 0, 1, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255))
	idb := order.AppendUint32(order.AppendUint16(order.AppendUint16(nil, 1), 0), 65535)
	idb = append(order.AppendUint16(order.AppendUint16(idb, optResolution), 1), resolution, 0, 0, 0)
	b = block(b, blockInterface, append(idb, 0, 0, 0, 0))
	epb := order.AppendUint32(nil, 0)
	epb = order.AppendUint32(order.AppendUint32(epb, uint32(ticks>>32)), uint32(ticks))
	epb = order.AppendUint32(order.AppendUint32(epb, uint32(len(data))), uint32(len(data)))
	return block(b, blockEnhanced, append(epb, data...))
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
