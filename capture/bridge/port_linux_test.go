package bridge

import (
	"bytes"
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

// fetched makes a port with one frame as the kernel hands it over: stamp and notes beside it.
func fetched(frame []byte, status uint32, tci, tpid uint16) *port {
	p := &port{fd: -1}
	p.prepare()
	copy(p.buffers[headroom:], frame)
	p.messages[0].length = uint32(offloadBytes + len(frame))
	var c []byte
	add := func(level, kind int32, data []byte) {
		c = binary.NativeEndian.AppendUint64(c, uint64(unix.SizeofCmsghdr+len(data)))
		c = binary.NativeEndian.AppendUint32(c, uint32(level))
		c = binary.NativeEndian.AppendUint32(c, uint32(kind))
		c = append(c, data...)
		for len(c)%8 != 0 {
			c = append(c, 0)
		}
	}
	add(unix.SOL_SOCKET, unix.SCM_TIMESTAMPNS, binary.NativeEndian.AppendUint64(binary.NativeEndian.AppendUint64(nil, 7), 5))
	aux := make([]byte, auxBytes)
	binary.NativeEndian.PutUint32(aux[auxStatus:], status)
	binary.NativeEndian.PutUint16(aux[auxTCI:], tci)
	binary.NativeEndian.PutUint16(aux[auxTPID:], tpid)
	add(unix.SOL_PACKET, unix.PACKET_AUXDATA, aux)
	copy(p.controls[0][:], c)
	p.messages[0].header.SetControllen(len(c))
	return p
}

// What the kernel says beside a frame comes back into it: the tag to its place, and offsets behind it move along.
func TestNotesOfTheKernel(t *testing.T) {
	frame := []byte("ddddddssssss\x08\x00the rest")
	p := fetched(frame, statusVLAN|statusTPID|statusUnsummed, 0x2007, 0x88a8)
	binary.NativeEndian.PutUint16(p.offloads[0][offloadSumStart:], 34)
	p.have = 1
	p.step()
	if f := &p.frame; !p.full || string(f.data) != "ddddddssssss\x88\xa8\x20\x07\x08\x00the rest" || f.time != 7e9+5 || !f.unsummed ||
		binary.NativeEndian.Uint16(f.offload[offloadSumStart:]) != 38 || binary.NativeEndian.Uint16(f.offload[offloadHeaders:]) != 0 {
		t.Errorf("%v %q %+v", p.full, f.data, f)
	}
	p = fetched(frame, 0, 0, 0)
	p.have = 1
	p.step()
	if f := &p.frame; !p.full || !bytes.Equal(f.data, frame) || f.unsummed {
		t.Errorf("%v %q", p.full, f.data)
	}
	p.messages[0].header.Flags = unix.MSG_TRUNC
	p.at = 0
	if p.step(); p.full || p.damaged != 1 {
		t.Errorf("a frame that was cut is passed on")
	}
}

// A frame costs no allocation on its way through the process.
func TestFramesAllocateNothing(t *testing.T) {
	p := fetched([]byte("ddddddssssss\x08\x00the rest"), statusVLAN, 7, 0)
	out := &port{fd: -1}
	out.prepare()
	if n := testing.AllocsPerRun(1000, func() {
		p.have, p.at = 1, 0
		p.step()
		out.forward(&p.frame)
		out.outs = 0
	}); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}
