package nfqueue

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// packetMessage is what the kernel sends for one packet.
func packetMessage(id uint32, data []byte, whole uint32) []byte {
	b := appendMessage(nil, msgPacket, 0, 7)
	b = appendAttr(b, attrPacket, binary.BigEndian.AppendUint32(nil, id)...)
	b = appendAttr(b, attrWhole, binary.BigEndian.AppendUint32(nil, whole)...)
	b = appendAttr(b, attrSkb, 0, 0, 0, 3)
	return finish(appendAttr(b, attrPayload|0x8000, data...))
}

func TestMessages(t *testing.T) {
	data := []byte("twenty-one bytes long")
	b := append(packetMessage(5, data, 3000), packetMessage(6, nil, 0)...)
	kind, body, rest, ok := next(b)
	var q queued
	if !ok || kind != msgPacket || !q.read(body) || q.id != 5 || !bytes.Equal(q.data, data) || q.wire != 3000 || !q.unsummed {
		t.Errorf("%v %d %+v", ok, kind, q)
	}
	if _, body, rest, ok = next(rest); !ok || !q.read(body) || q.id != 6 || len(q.data) != 0 || len(rest) != 0 {
		t.Errorf("%+v and %d bytes", q, len(rest))
	}
	if _, _, _, ok = next(rest); ok {
		t.Error("a message out of nothing")
	}
	if q.read(finish(appendAttr(appendMessage(nil, msgPacket, 0, 7), attrPayload, 1, 2))[headerBytes:]) {
		t.Error("a packet without a number can be decided")
	}
	minus := int32(-16)
	if n := failure(binary.NativeEndian.AppendUint32(nil, uint32(minus))); n != 16 {
		t.Errorf("errno %d", n)
	}
	want := []byte{0, 0, 0, 0, 0, 7, 12, 0, 2, 0, 0, 0, 0, 1, 0, 0, 0, 9}
	if v := appendVerdict(nil, msgBatch, 7, verdictPass, 9); len(v) != 32 || binary.NativeEndian.Uint32(v) != 32 || !bytes.Equal(v[14:], want) {
		t.Errorf("% x", v)
	}
}

// Reading packets and deciding them allocates nothing.
func TestMessagesAllocateNothing(t *testing.T) {
	m := packetMessage(5, make([]byte, 1400), 1400)
	s := &source{buffers: make([]byte, batch*messageMost)}
	copy(s.buffers, m)
	if n := testing.AllocsPerRun(1000, func() {
		s.at, s.have, s.messages[0].length = 0, 1, uint32(len(m))
		if !s.step() || len(appendVerdict(s.out[:0], msgVerdict, 7, verdictDrop, s.packet.id)) != 32 {
			t.Fatal("no packet")
		}
	}); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}

// Whatever stands in a message, reading ends, and what it yields lies in the message.
func FuzzMessages(f *testing.F) {
	f.Add(packetMessage(5, []byte("some bytes"), 10))
	f.Fuzz(func(t *testing.T, b []byte) {
		left := len(b)
		for {
			_, body, rest, ok := next(b)
			if !ok {
				return
			}
			if b = rest; len(b) >= left {
				t.Fatal("no progress")
			}
			left = len(b)
			var q queued
			q.read(body)
			if len(q.data) > len(body) || int(q.wire) < len(q.data) {
				t.Fatalf("%d bytes of %d, %d on the wire", len(q.data), len(body), q.wire)
			}
		}
	})
}
