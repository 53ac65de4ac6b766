package afpacket

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// forged makes blocks byte by byte, as the kernel would or would not.
type forged struct {
	b     []byte
	last  int // header of the last packet
	count uint32
}

const forgedFirst = 48

func newForged(size int) *forged { return &forged{b: make([]byte, size)} }

func put32(b []byte, v uint32) { binary.NativeEndian.PutUint32(b, v) }
func put16(b []byte, v uint16) { binary.NativeEndian.PutUint16(b, v) }

// add appends a packet behind the last one and returns its header's offset.
func (f *forged) add(data []byte, status uint32, tci, tpid uint16) int {
	at := forgedFirst
	if f.count > 0 {
		at = f.last + 96 + int(u32(f.b[f.last+packetSnaplen:])+15)&^15
		put32(f.b[f.last+packetNext:], uint32(at-f.last))
	}
	h := f.b[at:]
	put32(h[packetSeconds:], 1700000000)
	put32(h[packetNanos:], 5+f.count)
	put32(h[packetSnaplen:], uint32(len(data)))
	put32(h[packetLength:], uint32(len(data)))
	put32(h[packetStatus:], status)
	put16(h[packetMAC:], 86)
	put32(h[packetTCI:], uint32(tci))
	put16(h[packetTPID:], tpid)
	copy(h[86:], data)
	f.last = at
	f.count++
	put32(f.b[blockPackets:], f.count)
	put32(f.b[blockFirst:], forgedFirst)
	put32(f.b[blockStatus:], 1)
	return at
}

// walked reads a block to its end.
func walked(block []byte, tags bool) (packets []packet, damaged uint32) {
	w := walker{tags: tags}
	damaged = w.open(block)
	for {
		var p packet
		ok, d := w.read(&p)
		damaged += d
		if !ok {
			return packets, damaged
		}
		packets = append(packets, p)
	}
}

var frames = [][]byte{[]byte("destinsourcetya frame"), []byte("destinsourcetyanother"), []byte("x"), bytes.Repeat([]byte("long"), 100)}

func three() *forged {
	f := newForged(4096)
	for _, x := range frames[:3] {
		f.add(x, 1, 0, 0)
	}
	return f
}

func TestBlockIsReadWhole(t *testing.T) {
	f := newForged(4096)
	for _, x := range frames {
		f.add(x, 1, 0, 0)
	}
	packets, damaged := walked(f.b, true)
	if len(packets) != len(frames) || damaged != 0 {
		t.Fatalf("%d packets, %d damaged", len(packets), damaged)
	}
	for i, p := range packets {
		if !bytes.Equal(p.data, frames[i]) || p.wire != uint32(len(frames[i])) || p.time != 1700000000e9+5+int64(i) || p.outgoing || p.unsummed {
			t.Errorf("packet %d: %+v", i, p)
		}
	}
}

func TestTagIsPutBack(t *testing.T) {
	for _, c := range []struct {
		name      string
		status    uint32
		tci, tpid uint16
		tags      bool
		want      string
	}{
		{"tag", statusVLAN | statusTPID, 0x602a, 0x8100, true, "destinsource\x81\x00\x60\x2atya frame"},
		{"service tag", statusVLAN | statusTPID, 42, 0x88a8, true, "destinsource\x88\xa8\x00\x2atya frame"},
		{"an old kernel does not say which", statusVLAN, 42, 0, true, "destinsource\x81\x00\x00\x2atya frame"},
		{"priority tag of 0", statusVLAN | statusTPID, 0, 0x8100, true, "destinsource\x81\x00\x00\x00tya frame"},
		{"no tag", 1, 42, 0x8100, true, "destinsourcetya frame"},
		{"a link without tags", statusVLAN | statusTPID, 42, 0x8100, false, "destinsourcetya frame"},
	} {
		f := newForged(1024)
		f.add(frames[0], c.status, c.tci, c.tpid)
		packets, damaged := walked(f.b, c.tags)
		if len(packets) != 1 || damaged != 0 || string(packets[0].data) != c.want || int(packets[0].wire) != len(c.want) {
			t.Errorf("%s: %+v, %d damaged", c.name, packets, damaged)
		}
	}
	f := newForged(1024)
	f.add([]byte("too short"), statusVLAN, 42, 0x8100)
	put16(f.b[forgedFirst+packetMAC:], packetHeader) // and no room
	if packets, damaged := walked(f.b, true); len(packets) != 1 || damaged != 0 || len(packets[0].data) != 9 {
		t.Errorf("%+v, %d damaged", packets, damaged)
	}
}

func TestMarksOfPackets(t *testing.T) {
	f := newForged(1024)
	at := f.add(frames[0], statusUnsummed, 0, 0)
	f.b[at+packetType] = typeOutgoing
	put32(f.b[at+packetLength:], 9000)
	packets, _ := walked(f.b, true)
	if len(packets) != 1 || !packets[0].unsummed || !packets[0].outgoing || packets[0].wire != 9000 {
		t.Errorf("%+v", packets)
	}
	put32(f.b[at+packetLength:], 3) // less than there is
	if packets, _ = walked(f.b, true); packets[0].wire != uint32(len(frames[0])) {
		t.Errorf("%d bytes on the wire", packets[0].wire)
	}
}

// Offsets that lie end a block; what was read before stays read, the rest is counted.
func TestLyingBlocks(t *testing.T) {
	second := func(f *forged) int { return forgedFirst + int(u32(f.b[forgedFirst+packetNext:])) }
	for _, c := range []struct {
		name          string
		spoil         func(f *forged)
		read, damaged uint32
	}{
		{"nothing in it", func(f *forged) { put32(f.b[blockPackets:], 0) }, 0, 0},
		{"fewer than there are", func(f *forged) { put32(f.b[blockPackets:], 2) }, 2, 0},
		{"more than there are", func(f *forged) { put32(f.b[blockPackets:], 9) }, 3, 6},
		{"more than could be", func(f *forged) { put32(f.b[blockPackets:], 1<<31) }, 3, 4096 / packetHeader},
		{"first packet in the block's header", func(f *forged) { put32(f.b[blockFirst:], 8) }, 0, 3},
		{"first packet behind the block", func(f *forged) { put32(f.b[blockFirst:], 1<<31) }, 0, 3},
		{"first packet cut by the block's end", func(f *forged) { put32(f.b[blockFirst:], 4096-packetHeader+1) }, 0, 3},
		{"next packet in this one's header", func(f *forged) { put32(f.b[forgedFirst+packetNext:], 16) }, 1, 2},
		{"next packet is this one", func(f *forged) { put32(f.b[second(f)+packetNext:], 0) }, 2, 1},
		{"next packet behind the block", func(f *forged) { put32(f.b[second(f)+packetNext:], 4096) }, 2, 1},
		{"next packet far behind", func(f *forged) { put32(f.b[second(f)+packetNext:], 0xffffffff) }, 2, 1},
		{"frame in the header", func(f *forged) { put16(f.b[second(f)+packetMAC:], packetHeader-1) }, 1, 2},
		{"frame behind the block", func(f *forged) { put16(f.b[second(f)+packetMAC:], 0xffff) }, 1, 2},
		{"frame longer than the block", func(f *forged) { put32(f.b[second(f)+packetSnaplen:], 4096) }, 1, 2},
		{"frame of 4 GiB", func(f *forged) { put32(f.b[second(f)+packetSnaplen:], 0xffffffff) }, 1, 2},
	} {
		f := three()
		c.spoil(f)
		packets, damaged := walked(f.b, true)
		if uint32(len(packets)) != c.read || damaged != c.damaged {
			t.Errorf("%s: %d read, %d damaged; expected %d and %d", c.name, len(packets), damaged, c.read, c.damaged)
		}
	}
	f := three()
	for n := range len(f.b) { // cut anywhere
		if packets, damaged := walked(f.b[:n], true); len(packets)+int(damaged) > 3 {
			t.Fatalf("cut at %d: %d read, %d damaged", n, len(packets), damaged)
		}
	}
}

func TestWalkAllocatesNothing(t *testing.T) {
	f := newForged(1 << 16)
	for range 200 {
		f.add(frames[0], statusVLAN|statusTPID, 42, 0x8100)
	}
	w, p := walker{tags: true}, packet{}
	if n := testing.AllocsPerRun(100, func() {
		w.open(f.b)
		for ok := true; ok; ok, _ = w.read(&p) {
		}
	}); n != 0 {
		t.Errorf("%v allocations a block", n)
	}
}

func FuzzBlock(f *testing.F) {
	f.Add(three().b[:600], true)
	tagged := newForged(512)
	tagged.add(frames[0], statusVLAN|statusTPID, 42, 0x8100)
	f.Add(tagged.b, true)
	f.Add([]byte{}, false)
	f.Fuzz(func(t *testing.T, block []byte, tags bool) {
		block = bytes.Clone(block) // the walker writes tags into it
		w := walker{tags: tags}
		w.open(block)
		var p packet
		for n := 0; ; n++ {
			ok, _ := w.read(&p)
			if !ok {
				break
			}
			if n > len(block)/packetHeader {
				t.Fatalf("%d packets of a block of %d bytes", n, len(block))
			}
			if len(p.data) > len(block) || uint32(len(p.data)) > p.wire {
				t.Fatalf("%d bytes of %d in a block of %d", len(p.data), p.wire, len(block))
			}
		}
		if ok, _ := w.read(&p); ok {
			t.Fatal("goes on after its end")
		}
	})
}
