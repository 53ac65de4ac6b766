// Package reject makes the frames by which a shield in the way tells both ends that a packet was stopped: a TCP reset, or an
// ICMP message that it is prohibited.
//
// In: the decoded packet that was stopped, and whom to tell. Out: whole frames with the link header of the packet's own, VLAN
// tags kept. Called by shield's workers, each with a Maker of its own. It never answers what must not be answered (a reset, an
// ICMP error, a later fragment, what was sent to or by many), and no more than a bounded number a second.
package reject

import (
	"encoding/binary"

	"github.com/dejpha/dejpha/decode"
)

// Ends are who is told. A reset goes to either; an ICMP message only to the sender: nobody else knows of the packet.
type Ends uint8

// Ends, as the rules' actions name them.
const (
	Source      Ends = 1 << iota // reject, rejectsrc: the sender of the packet
	Destination                  // rejectdst: its receiver
)

// Kinds of frames, as eve's verdict.reject names them.
const (
	TCPReset       = "tcp-reset"
	ICMPProhibited = "icmp-prohib"
)

const (
	perSecond     = 1000 // frames a second that one Maker makes, and at once after a silence
	second        = int64(1e9)
	hops          = 64
	frameLeast    = 60  // of Ethernet, without its checksum
	quoteMost4    = 548 // bytes of the packet in an ICMP message, so that it has 576 (RFC 1812 section 4.3.2.3)
	quoteMost6    = 1232
	ethernetBytes = 14
	tagBytes      = 4
)

// Maker makes frames. Not for concurrent use.
type Maker struct {
	Made    uint64 // frames
	Spared  uint64 // packets that would have been answered, but for the rate
	tokens  int64
	since   int64
	buffers [2][]byte
}

// Make returns the frames for the stopped packet p: one for its sender, one for its receiver, nil where none is due. They are
// valid until the next call. kind is TCPReset, ICMPProhibited, or "" where the packet must not be answered.
func (m *Maker) Make(p *decode.Packet, ends Ends) (toSource, toDestination []byte, kind string) {
	if ends == 0 || !answerable(p) {
		return nil, nil, ""
	}
	link := linkHeader(p)
	if link == nil {
		return nil, nil, ""
	}
	if p.Proto != decode.ProtoTCP {
		if ends&Source == 0 || !m.allowed(p.Time) {
			return nil, nil, ""
		}
		return m.icmp(p, link), nil, ICMPProhibited
	}
	if !m.allowed(p.Time) {
		return nil, nil, ""
	}
	t := &p.TCP
	if ends&Source != 0 {
		ack := t.Seq + uint32(len(p.Payload)) + uint32(t.Flags&decode.SYN>>1) + uint32(t.Flags&decode.FIN)
		seq := uint32(0)
		if t.Flags&decode.ACK != 0 {
			seq = t.Ack
		}
		toSource = m.reset(0, p, link, true, seq, ack, decode.RST|decode.ACK)
	}
	if ends&Destination != 0 {
		flags := uint8(decode.RST)
		ack := uint32(0)
		if t.Flags&decode.ACK != 0 {
			flags, ack = decode.RST|decode.ACK, t.Ack
		}
		toDestination = m.reset(1, p, link, false, t.Seq, ack, flags)
	}
	return toSource, toDestination, TCPReset
}

// answerable says whether an answer is in order at all.
func answerable(p *decode.Packet) bool {
	if p.IPVersion == 0 || p.Depth > 0 || p.Fragment && p.FragOffset > 0 || p.Undecodable != decode.ReasonNone || many(p.Src, p.IPVersion) || many(p.Dst, p.IPVersion) {
		return false
	}
	switch {
	case p.HasEthernet && (p.EthDst[0]|p.EthSrc[0])&1 != 0: // sent to many, whatever address stands in the packet
		return false
	case p.Proto == decode.ProtoTCP:
		return p.HasL4 && p.TCP.Flags&decode.RST == 0
	case p.Proto == decode.ProtoICMP: // only questions: 8 echo, 13 time, 15, 17
		return p.HasL4 && (p.ICMPType == 8 || p.ICMPType == 13 || p.ICMPType == 15 || p.ICMPType == 17)
	case p.Proto == decode.ProtoICMPv6: // only echo: neighbours must find each other
		return p.HasL4 && p.ICMPType == 128
	}
	return true
}

// many says whether an address is no single host's: unspecified, multicast, IPv4's broadcast and its block beyond 240.
func many(a decode.Addr, version uint8) bool {
	if version == 4 {
		return a[12] == 0 || a[12] >= 224 || a[12] == 127
	}
	return a[0] == 0xff || a == decode.Addr{} || a == decode.Addr{15: 1}
}

// linkHeader is what stands before the IP header: nothing, or Ethernet with VLAN tags alone, where no length has to fit. nil:
// something else.
func linkHeader(p *decode.Packet) []byte {
	if !p.HasEthernet {
		if p.IPAt != 0 {
			return nil
		}
		return p.Data[:0:0]
	}
	b, at := p.Data, p.IPAt
	if p.Rebuilt {
		b, at = p.Link, len(p.Link)
	}
	if at > len(b) || at < ethernetBytes || (at-ethernetBytes)%tagBytes != 0 {
		return nil
	}
	want := uint16(0x0800)
	if p.IPVersion == 6 {
		want = 0x86dd
	}
	if binary.BigEndian.Uint16(b[at-2:]) != want {
		return nil
	}
	for i := ethernetBytes - 2; i < at-2; i += tagBytes {
		if t := binary.BigEndian.Uint16(b[i:]); t != 0x8100 && t != 0x88a8 && t != 0x9100 {
			return nil
		}
	}
	return b[:at]
}

// allowed takes one answer off the second's.
func (m *Maker) allowed(now int64) bool {
	if d := now - m.since; d < 0 || d >= second {
		m.tokens, m.since = perSecond, now
	}
	if m.tokens == 0 {
		m.Spared++
		return false
	}
	m.tokens--
	return true
}

// begin starts a frame: the link header, towards the sender or as it was, and an IP header without its length.
func (m *Maker) begin(which int, p *decode.Packet, link []byte, back bool, proto uint8) (b []byte, ip int) {
	b = append(m.buffers[which][:0], link...)
	if back && len(link) >= 12 {
		copy(b[0:6], link[6:12])
		copy(b[6:12], link[0:6])
	}
	ip = len(b)
	src, dst := p.Src, p.Dst
	if back {
		src, dst = dst, src
	}
	if p.IPVersion == 4 {
		b = append(b, 0x45, 0, 0, 0, 0, 0, 0x40, 0, hops, proto, 0, 0)
		b = append(append(b, src[12:]...), dst[12:]...)
		return b, ip
	}
	b = append(b, 0x60, 0, 0, 0, 0, 0, proto, hops)
	b = append(append(b, src[:]...), dst[:]...)
	return b, ip
}

// finish fills in lengths and checksums; the upper layer begins at l4, its checksum's place is sum bytes into it.
func (m *Maker) finish(which int, b []byte, version uint8, ip, l4, sum int, pseudo bool) []byte {
	upper := b[l4:]
	if version == 4 {
		h := b[ip:l4]
		binary.BigEndian.PutUint16(h[2:], uint16(len(b)-ip))
		binary.BigEndian.PutUint16(h[10:], ^fold(add(0, h)))
	} else {
		binary.BigEndian.PutUint16(b[ip+4:], uint16(len(upper)))
	}
	n := uint32(0)
	if pseudo {
		addrs, proto := b[ip+12:ip+20], b[ip+9]
		if version == 6 {
			addrs, proto = b[ip+8:ip+40], b[ip+6]
		}
		n = add(uint32(len(upper))+uint32(proto), addrs)
	}
	binary.BigEndian.PutUint16(upper[sum:], ^fold(add(n, upper)))
	for ip > 0 && len(b) < frameLeast {
		b = append(b, 0)
	}
	m.Made++
	m.buffers[which] = b
	return b
}

func (m *Maker) reset(which int, p *decode.Packet, link []byte, back bool, seq, ack uint32, flags uint8) []byte {
	b, ip := m.begin(which, p, link, back, decode.ProtoTCP)
	l4 := len(b)
	from, to := p.SrcPort, p.DstPort
	if back {
		from, to = to, from
	}
	b = binary.BigEndian.AppendUint16(b, from)
	b = binary.BigEndian.AppendUint16(b, to)
	b = binary.BigEndian.AppendUint32(b, seq)
	b = binary.BigEndian.AppendUint32(b, ack)
	b = append(b, 5<<4, flags, 0, 0, 0, 0, 0, 0)
	return m.finish(which, b, p.IPVersion, ip, l4, 16, true)
}

// ICMP's words for "prohibited by an administrator": RFC 1812 section 5.2.7.1, RFC 4443 section 3.1.
const (
	unreachable4, prohibited4 = 3, 13
	unreachable6, prohibited6 = 1, 1
)

func (m *Maker) icmp(p *decode.Packet, link []byte) []byte {
	proto, kind, code, most := uint8(decode.ProtoICMP), uint8(unreachable4), uint8(prohibited4), quoteMost4
	if p.IPVersion == 6 {
		proto, kind, code, most = decode.ProtoICMPv6, unreachable6, prohibited6, quoteMost6
	}
	b, ip := m.begin(0, p, link, true, proto)
	l4 := len(b)
	b = append(b, kind, code, 0, 0, 0, 0, 0, 0)
	b = append(b, p.L3[:min(len(p.L3), most)]...)
	return m.finish(0, b, p.IPVersion, ip, l4, 2, p.IPVersion == 6)
}

// add adds bytes to an Internet checksum (RFC 1071).
func add(n uint32, b []byte) uint32 {
	for len(b) >= 2 {
		n += uint32(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		n += uint32(b[0]) << 8
	}
	return n
}

func fold(n uint32) uint16 {
	for n > 0xffff {
		n = n>>16 + n&0xffff
	}
	return uint16(n)
}
