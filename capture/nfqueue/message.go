package nfqueue

import "encoding/binary"

// Netlink and NFQUEUE as the kernel speaks them (linux/netlink.h, linux/netfilter/nfnetlink.h, nfnetlink_queue.h). Headers
// are in the machine's byte order, the queue's own fields in network order.
const (
	headerBytes  = 16 // nlmsghdr
	familyBytes  = 4  // nfgenmsg
	attrBytes    = 4  // nlattr
	subsystem    = 3 << 8
	msgPacket    = subsystem | 0
	msgVerdict   = subsystem | 1
	msgConfig    = subsystem | 2
	msgBatch     = subsystem | 3
	msgError     = 2
	flagRequest  = 1
	flagAck      = 4
	attrPacket   = 1  // NFQA_PACKET_HDR
	attrVerdict  = 2  // NFQA_VERDICT_HDR
	attrPayload  = 10 // NFQA_PAYLOAD
	attrWhole    = 13 // NFQA_CAP_LEN: the length before it was cut
	attrSkb      = 14 // NFQA_SKB_INFO
	skbUnsummed  = 1  // NFQA_SKB_CSUMNOTREADY
	configCmd    = 1
	configParams = 2
	configMost   = 3
	configMask   = 4
	configFlags  = 5
	cmdBind      = 1
	cmdUnbind    = 2
	copyPacket   = 2
	flagFailOpen = 1
	flagGSO      = 4 // packets that the kernel joined come whole
	verdictDrop  = 0
	verdictPass  = 1
	attrMask     = 0x3fff
)

// queued is one packet of the queue; data lies in the message.
type queued struct {
	id       uint32
	data     []byte
	wire     uint32
	unsummed bool
}

// next cuts the first message off b. ok is false at the end, and where a length lies.
func next(b []byte) (kind uint16, body, rest []byte, ok bool) {
	if len(b) < headerBytes {
		return 0, nil, nil, false
	}
	n := binary.NativeEndian.Uint32(b)
	if n < headerBytes || uint64(n) > uint64(len(b)) {
		return 0, nil, nil, false
	}
	end := min((int(n)+3)&^3, len(b))
	return binary.NativeEndian.Uint16(b[4:]), b[headerBytes:n], b[end:], true
}

// read takes a packet out of a message's body. ok is false where it has no number: nothing can be decided about it.
func (q *queued) read(body []byte) (ok bool) {
	*q = queued{}
	if len(body) < familyBytes {
		return false
	}
	whole := uint32(0)
	for b := body[familyBytes:]; len(b) >= attrBytes; {
		n, kind := int(binary.NativeEndian.Uint16(b)), binary.NativeEndian.Uint16(b[2:])&attrMask
		if n < attrBytes || n > len(b) {
			break
		}
		v := b[attrBytes:n]
		switch {
		case kind == attrPacket && len(v) >= 4:
			q.id, ok = binary.BigEndian.Uint32(v), true
		case kind == attrPayload:
			q.data = v
		case kind == attrWhole && len(v) >= 4:
			whole = binary.BigEndian.Uint32(v)
		case kind == attrSkb && len(v) >= 4:
			q.unsummed = binary.BigEndian.Uint32(v)&skbUnsummed != 0
		}
		b = b[min((n+3)&^3, len(b)):]
	}
	q.wire = max(whole, uint32(len(q.data)))
	return ok
}

// failure is the kernel's answer in an error message's body, a positive errno; 0: it was an acknowledgement.
func failure(body []byte) int {
	if len(body) < 4 {
		return 0
	}
	return -int(int32(binary.NativeEndian.Uint32(body)))
}

// appendMessage begins a message on a queue; finish puts in its length.
func appendMessage(b []byte, kind, flags, queue uint16) []byte {
	b = binary.NativeEndian.AppendUint32(b, 0)
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = binary.NativeEndian.AppendUint16(b, flagRequest|flags)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0) // sequence and port: nobody asks
	b = append(b, 0, 0)                   // family: any
	return binary.BigEndian.AppendUint16(b, queue)
}

func appendAttr(b []byte, kind uint16, value ...byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(attrBytes+len(value)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func finish(b []byte) []byte {
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	return b
}

// appendVerdict decides packet id, or with msgBatch every undecided packet up to it.
func appendVerdict(b []byte, kind, queue uint16, verdict, id uint32) []byte {
	b = appendMessage(b, kind, 0, queue)
	b = binary.NativeEndian.AppendUint16(b, attrBytes+8)
	b = binary.NativeEndian.AppendUint16(b, attrVerdict)
	b = binary.BigEndian.AppendUint32(b, verdict)
	return finish(binary.BigEndian.AppendUint32(b, id))
}
