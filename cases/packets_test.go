package cases

import (
	"encoding/binary"
	"net/netip"

	"github.com/dejpha/dejpha/capture/file"
)

// recorder writes the packets of conversations to a capture, a millisecond apart.
type recorder struct {
	out     []byte
	now     int64 // ns
	segment int   // the most bytes of a TCP segment
}

const (
	linkEthernet = 1
	segmentUsual = 1400
	segmentSmall = 7
	clientPort   = 40000
	protoICMP    = 1
	protoTCP     = 6
	protoUDP     = 17
	protoICMP6   = 58
	fin, syn     = 1, 2
	psh, ack     = 8, 16
)

func newRecorder(segment int) *recorder {
	return &recorder{out: file.AppendHeader(nil, linkEthernet), now: 1_700_000_000 * 1e9, segment: segment}
}

// addresses of the i-th conversation: documentation and private ranges, one pair each.
func addresses(i int, v6 bool) (client, server netip.Addr) {
	hi, lo := byte(i>>8), byte(i)
	if v6 {
		client, server = netip.MustParseAddr("fe80::c"), netip.MustParseAddr("fe80::5")
		c, s := client.As16(), server.As16()
		c[12], c[13], s[12], s[13] = hi, lo, hi, lo
		return netip.AddrFrom16(c), netip.AddrFrom16(s)
	}
	return netip.AddrFrom4([4]byte{10, 1, hi, lo}), netip.AddrFrom4([4]byte{10, 2, hi, lo})
}

// play records one conversation.
func (r *recorder) play(i int, k *kase, sends []send) {
	client, server := addresses(i, k.transport == "icmp6")
	switch k.transport {
	case "icmp", "icmp6":
		for _, s := range sends {
			from, to := ends(client, server, s.toServer)
			r.icmp(from, to, s.data)
		}
	case "udp":
		for _, s := range sends {
			from, to := ends(client, server, s.toServer)
			r.udp(from, to, s, k.port)
		}
	default:
		r.tcp(client, server, k.port, sends)
	}
}

func ends(client, server netip.Addr, toServer bool) (from, to netip.Addr) {
	if toServer {
		return client, server
	}
	return server, client
}

func (r *recorder) icmp(from, to netip.Addr, message []byte) {
	b := append([]byte(nil), message...)
	b[2], b[3] = 0, 0
	proto, sum := byte(protoICMP), checksum(0, b)
	if from.Is6() {
		proto, sum = protoICMP6, transportSum(from, to, protoICMP6, b)
	}
	binary.BigEndian.PutUint16(b[2:], sum)
	r.packet(from, to, proto, b)
}

func (r *recorder) udp(from, to netip.Addr, s send, port int) {
	b := make([]byte, 8, 8+len(s.data))
	putPorts(b, s.toServer, port)
	b = append(b, s.data...)
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)))
	binary.BigEndian.PutUint16(b[6:], transportSum(from, to, protoUDP, b))
	r.packet(from, to, protoUDP, b)
}

// tcp records a whole connection: handshake, every send acknowledged, and an orderly end.
func (r *recorder) tcp(client, server netip.Addr, port int, sends []send) {
	seq := [2]uint32{1000, 5000} // of the client, of the server
	segment := func(toServer bool, flags byte, data []byte) {
		from, to := ends(client, server, toServer)
		me, other := 0, 1
		if !toServer {
			me, other = 1, 0
		}
		b := make([]byte, 20, 20+len(data))
		putPorts(b, toServer, port)
		binary.BigEndian.PutUint32(b[4:], seq[me])
		if flags&ack != 0 {
			binary.BigEndian.PutUint32(b[8:], seq[other])
		}
		b[12], b[13] = 5<<4, flags
		binary.BigEndian.PutUint16(b[14:], 65535)
		b = append(b, data...)
		binary.BigEndian.PutUint16(b[16:], transportSum(from, to, protoTCP, b))
		seq[me] += uint32(len(data))
		if flags&(syn|fin) != 0 {
			seq[me]++
		}
		r.packet(from, to, protoTCP, b)
	}
	segment(true, syn, nil)
	segment(false, syn|ack, nil)
	segment(true, ack, nil)
	for _, s := range sends {
		for rest := s.data; len(rest) > 0; {
			n := min(len(rest), r.segment)
			segment(s.toServer, psh|ack, rest[:n])
			segment(!s.toServer, ack, nil)
			rest = rest[n:]
		}
	}
	segment(true, fin|ack, nil)
	segment(false, fin|ack, nil)
	segment(true, ack, nil)
}

func putPorts(b []byte, toServer bool, port int) {
	src, dst := clientPort, port
	if !toServer {
		src, dst = dst, src
	}
	binary.BigEndian.PutUint16(b, uint16(src))
	binary.BigEndian.PutUint16(b[2:], uint16(dst))
}

// packet records one frame.
func (r *recorder) packet(from, to netip.Addr, proto byte, body []byte) {
	frame := []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0}
	if from.Is6() {
		frame[12], frame[13] = 0x86, 0xdd
		frame = append(frame, 0x60, 0, 0, 0)
		frame = binary.BigEndian.AppendUint16(frame, uint16(len(body)))
		frame = append(frame, proto, 255)
		frame = append(append(frame, from.AsSlice()...), to.AsSlice()...)
	} else {
		head := []byte{0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, proto, 0, 0}
		binary.BigEndian.PutUint16(head[2:], uint16(20+len(body)))
		head = append(append(head, from.AsSlice()...), to.AsSlice()...)
		binary.BigEndian.PutUint16(head[10:], checksum(0, head))
		frame = append(frame, head...)
	}
	frame = append(frame, body...)
	r.out = file.AppendRecord(r.out, frame, uint32(len(frame)), r.now)
	r.now += 1e6
}

// transportSum is the checksum over pseudo header and b.
func transportSum(from, to netip.Addr, proto byte, b []byte) uint16 {
	pseudo := append(from.AsSlice(), to.AsSlice()...)
	pseudo = append(pseudo, 0, proto)
	pseudo = binary.BigEndian.AppendUint16(pseudo, uint16(len(b)))
	sum := checksum(uint32(^checksum(0, pseudo)), b)
	if sum == 0 && proto == protoUDP {
		return 0xffff
	}
	return sum
}

// checksum is the internet checksum (RFC 1071) of b, begun with sum.
func checksum(sum uint32, b []byte) uint16 {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
