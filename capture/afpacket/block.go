package afpacket

import "encoding/binary"

// Offsets in a TPACKET_V3 block and in the header of each packet (linux/if_packet.h: tpacket_block_desc,
// tpacket_hdr_v1, tpacket3_hdr, sockaddr_ll), all in the machine's own byte order.
const (
	blockStatus  = 8
	blockPackets = 12
	blockFirst   = 16
	blockHeader  = 48

	packetNext    = 0
	packetSeconds = 4
	packetNanos   = 8
	packetSnaplen = 12
	packetLength  = 16
	packetStatus  = 20
	packetMAC     = 24
	packetTCI     = 32
	packetTPID    = 36
	packetType    = 48 + 10 // sll_pkttype
	packetHeader  = 48 + 20 // with the address behind it
)

// Status bits.
const (
	statusUser         = 1 << 0
	statusUnsummed     = 1 << 3 // TP_STATUS_CSUMNOTREADY
	statusVLAN         = 1 << 4
	statusTPID         = 1 << 6
	typeOutgoing       = 4 // PACKET_OUTGOING
	tpidDefault        = 0x8100
	tagBytes           = 4
	addressBytes       = 12 // both MAC addresses
	nanosecondsASecond = 1e9
)

// walker goes through the packets of one block. It believes no offset: each packet lies behind the one before, so
// a block ends after at most as many steps as it has room for headers.
type walker struct {
	block []byte
	next  int    // offset of the next packet's header
	left  uint32 // packets that the block still claims
	tags  bool   // the link type has room for VLAN tags
}

// packet is one packet of a block; data is the block's.
type packet struct {
	data     []byte
	time     int64 // ns
	wire     uint32
	outgoing bool
	unsummed bool
}

// open begins a block. damaged: it claims packets that it cannot hold; none of them is read.
func (w *walker) open(block []byte) (damaged uint32) {
	w.block, w.left = block, 0
	if len(block) < blockHeader {
		return 0
	}
	n, first := u32(block[blockPackets:]), u32(block[blockFirst:])
	if n == 0 {
		return 0
	}
	if first < blockHeader || uint64(first)+packetHeader > uint64(len(block)) {
		return min(n, uint32(len(block)/packetHeader))
	}
	w.next, w.left = int(first), n
	return 0
}

// read yields the block's next packet; ok is false at the block's end. damaged counts packets that were claimed and
// cannot be read; then the block is at its end, too.
func (w *walker) read(p *packet) (ok bool, damaged uint32) {
	if w.left == 0 {
		return false, 0
	}
	h := w.block[w.next:]
	mac, snap := int(u16(h[packetMAC:])), u32(h[packetSnaplen:])
	if mac < packetHeader || uint64(mac)+uint64(snap) > uint64(len(h)) {
		return false, w.giveUp()
	}
	status := u32(h[packetStatus:])
	p.data = h[mac : mac+int(snap) : mac+int(snap)]
	p.time = int64(u32(h[packetSeconds:]))*nanosecondsASecond + int64(u32(h[packetNanos:]))
	p.wire = max(u32(h[packetLength:]), snap)
	p.outgoing = h[packetType] == typeOutgoing
	p.unsummed = status&statusUnsummed != 0
	if status&statusVLAN != 0 && w.tags && snap >= addressBytes {
		w.tag(p, h, mac, status)
	}
	step := u32(h[packetNext:])
	if w.left--; w.left == 0 {
		return true, 0
	}
	if step < packetHeader || uint64(step)+packetHeader > uint64(len(h)) {
		return true, w.giveUp()
	}
	w.next += int(step)
	return true, 0
}

// giveUp ends the block and says how many of its packets cannot be read.
func (w *walker) giveUp() uint32 {
	n := min(w.left, uint32(len(w.block)/packetHeader))
	w.left = 0
	return n
}

// tag puts the VLAN tag, which the kernel took out of the frame, back where it stood on the wire. The addresses move
// four bytes towards the header, into room that the ring reserves: 16 bytes are written, whatever the frame's length.
// Where the room is missing the frame stays untagged.
func (w *walker) tag(p *packet, h []byte, mac int, status uint32) {
	if mac < packetHeader+tagBytes {
		return
	}
	tpid := uint16(tpidDefault)
	if status&statusTPID != 0 {
		tpid = u16(h[packetTPID:])
	}
	end := mac + len(p.data)
	copy(h[mac-tagBytes:], h[mac:mac+addressBytes])
	binary.BigEndian.PutUint16(h[mac-tagBytes+addressBytes:], tpid)
	binary.BigEndian.PutUint16(h[mac-tagBytes+addressBytes+2:], uint16(u32(h[packetTCI:])))
	p.data = h[mac-tagBytes : end : end]
	p.wire = max(p.wire, p.wire+tagBytes) // a length that lies may wrap
}

func u16(b []byte) uint16 { return binary.NativeEndian.Uint16(b) }
func u32(b []byte) uint32 { return binary.NativeEndian.Uint32(b) }
