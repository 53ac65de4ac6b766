package shield

import (
	"encoding/binary"
	"testing"

	"github.com/dejpha/dejpha/decode"
)

// wire makes the frames of one TCP connection.
type wire struct {
	seq [2]uint32
}

// frame returns the next segment of a direction, Ethernet and all.
func (w *wire) frame(dir int, flags uint8, data []byte) []byte {
	const ethernet, ip, tcp = 14, 20, 20
	b := make([]byte, ethernet+ip+tcp, ethernet+ip+tcp+len(data))
	b = append(b, data...)
	b[5], b[11], b[12] = byte(1+dir), byte(2-dir), 8
	l3 := b[ethernet:]
	l3[0], l3[8], l3[9] = 0x45, 64, 6
	binary.BigEndian.PutUint16(l3[2:], uint16(len(l3)))
	copy(l3[12:], []byte{10, 0, 0, byte(1 + dir), 10, 0, 0, byte(2 - dir)})
	l4 := l3[ip:]
	ports := [2]uint16{40000, 7777}
	binary.BigEndian.PutUint16(l4, ports[dir])
	binary.BigEndian.PutUint16(l4[2:], ports[1-dir])
	binary.BigEndian.PutUint32(l4[4:], w.seq[dir])
	binary.BigEndian.PutUint32(l4[8:], w.seq[1-dir])
	l4[12], l4[13] = 5<<4, flags
	binary.BigEndian.PutUint16(l4[14:], 65535)
	w.seq[dir] += uint32(len(data))
	if flags&decode.SYN != 0 {
		w.seq[dir]++
	}
	return b
}

// The whole trip of a segment in order, of a flow that meets no rule, allocates nothing: neither the segment nor its
// acknowledgement, whether app knows the protocol or not.
func TestTripInOrderAllocatesNothing(t *testing.T) {
	for name, first := range map[string][2]string{
		"unknown": {"\x01\x80\x93\x07 hello", "\x02\x84\x95\x06 hello"},
		"ssh":     {"SSH-2.0-OpenSSH_9.2\r\n", "SSH-2.0-OpenSSH_9.2\r\n"},
	} {
		testTripAllocatesNothing(t, name, first, SetupOptions{Detectors: true, Workers: 1, Checksums: "none"})
		testTripAllocatesNothing(t, name+" inline", first, SetupOptions{Detectors: true, Checksums: "none", SimulateIPS: true})
	}
}

func testTripAllocatesNothing(t *testing.T, name string, first [2]string, o SetupOptions) {
	t.Helper()
	setup, err := NewSetup(o)
	if err != nil {
		t.Fatal(err)
	}
	setup.settings.config.StreamDepth = -1 // no end
	w := newWorker(&setup.settings, 0)
	w.out = &epoch{}
	now, number := int64(1700000000e9), uint64(0)
	var in batch
	send := func(b []byte) {
		number++
		now += 1e6
		in.bytes = append(in.bytes[:0], b...)
		in.frames = append(in.frames[:0], batchFrame{end: len(b), wire: uint32(len(b)), link: 1, number: number, now: now})
		w.run(&in)
		if number%stretchPackets == 0 {
			w.out.reset()
		}
	}
	x := &wire{seq: [2]uint32{1000, 9000}}
	send(x.frame(0, decode.SYN, nil))
	send(x.frame(1, decode.SYN|decode.ACK, nil))
	send(x.frame(0, decode.ACK, nil))
	send(x.frame(0, decode.ACK|decode.PSH, []byte(first[0])))
	send(x.frame(1, decode.ACK|decode.PSH, []byte(first[1])))
	data := make([]byte, 1400)
	for i := range data {
		data[i] = byte(i*7 + i>>3)
	}
	segment, answer := x.frame(0, decode.ACK, data), x.frame(1, decode.ACK, nil)
	step := func() {
		send(segment)
		binary.BigEndian.PutUint32(answer[14+20+8:], x.seq[0])
		send(answer)
		binary.BigEndian.PutUint32(segment[14+20+4:], x.seq[0])
		x.seq[0] += uint32(len(data))
	}
	for range 4000 { // tables, rings and buffers grow to what they need
		step()
	}
	if w.counts.Flows != 1 || w.counts.Matches != 0 {
		t.Fatalf("%s: %d flows and %d matches, want one and none", name, w.counts.Flows, w.counts.Matches)
	}
	if n := testing.AllocsPerRun(2000, step); n != 0 {
		t.Errorf("%s: %v allocations a segment and its acknowledgement, want 0", name, n)
	}
	if c := w.streams.Counters; c.DepthReached+c.LaterDropped+c.Gaps+c.Rejected != 0 {
		t.Errorf("%s: the segments were not all taken in order: %+v", name, c)
	}
}
