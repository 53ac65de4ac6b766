// Package echo knows which answers over UDP show that whoever sends them got the question: they repeat what only that can
// tell.
//
// In: the first bytes of datagrams. Out: what an answer must repeat, and what one repeats. Called by shield's workers for
// traffic that the kernel limits. It proves the end that answers, never the one that asked: whose address is forged gets
// answers, too. It keeps nothing and allocates nothing.
package echo

import "encoding/binary"

// Ports of the protocols that are known here.
const (
	portDNS  = 53
	portNTP  = 123
	portQUIC = 443
	portSTUN = 3478
)

// hash is FNV-1a (RFC 9923), never 0. Nobody gains from two texts of one hash: he would have to know what was asked.
func hash(b []byte) uint64 {
	h := uint64(0xcbf29ce484222325)
	for _, c := range b {
		h = (h ^ uint64(c)) * 0x100000001b3
	}
	return max(h, 1)
}

// Asked is what the answer to a datagram that was sent to a port will repeat; 0: nothing that is known here.
func Asked(port uint16, b []byte) uint64 { return repeats(port, b, false) }

// Answered is what a datagram from a port repeats of the one that it answers; 0: nothing that is known here.
func Answered(port uint16, b []byte) uint64 { return repeats(port, b, true) }

func repeats(port uint16, b []byte, answer bool) uint64 {
	switch port {
	case portDNS:
		return dns(b, answer)
	case portNTP:
		return ntp(b, answer)
	case portQUIC:
		return quic(b, answer)
	case portSTUN:
		return stun(b, answer)
	}
	return 0
}

const (
	dnsHeader   = 12
	dnsQuestion = 260 // bytes of one at most, RFC 1035 3.1: a name of 255, type and class
)

// dns: the number of the question and the question itself (RFC 1035 4.1.1, RFC 5452 9.1). Servers keep its letters, but
// some change their case.
func dns(b []byte, answer bool) uint64 {
	if len(b) < dnsHeader+5 || answer != (b[2]&0x80 != 0) || binary.BigEndian.Uint16(b[4:]) != 1 {
		return 0
	}
	var text [2 + dnsQuestion]byte
	n := copy(text[:], b[:2])
	at := dnsHeader
	for at < len(b) && b[at] != 0 {
		if b[at] >= 64 { // no label
			return 0
		}
		at += 1 + int(b[at])
	}
	end := at + 5
	if end > len(b) || end-dnsHeader > dnsQuestion {
		return 0
	}
	for _, c := range b[dnsHeader:end] {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		text[n] = c
		n++
	}
	return hash(text[:n])
}

const (
	ntpLength   = 48
	ntpClient   = 3
	ntpServer   = 4
	ntpOrigin   = 24
	ntpTransmit = 40
)

// ntp: the time that the client wrote as that of its sending (RFC 5905 7.3, 8).
func ntp(b []byte, answer bool) uint64 {
	if len(b) < ntpLength {
		return 0
	}
	switch mode := b[0] & 7; {
	case answer && mode == ntpServer:
		return binary.BigEndian.Uint64(b[ntpOrigin:])
	case !answer && mode == ntpClient:
		return binary.BigEndian.Uint64(b[ntpTransmit:])
	}
	return 0
}

const (
	quicIDLeast = 4  // bytes of a connection's number that nobody guesses
	quicIDMost  = 20 // RFC 9000 17.2
)

// quic: the number that the client chose for its end of the connection (RFC 9000 17.2).
func quic(b []byte, answer bool) uint64 {
	if len(b) < 7 || b[0]&0x80 == 0 {
		return 0
	}
	to, rest, ok := take(b[5:])
	if !ok {
		return 0
	}
	from, _, ok := take(rest)
	id := from
	if answer {
		id = to
	}
	if !ok || len(id) < quicIDLeast || len(id) > quicIDMost {
		return 0
	}
	return hash(id)
}

// take cuts off bytes that stand behind their number.
func take(b []byte) (first, rest []byte, ok bool) {
	if len(b) == 0 || len(b) < 1+int(b[0]) {
		return nil, nil, false
	}
	return b[1 : 1+int(b[0])], b[1+int(b[0]):], true
}

const stunCookie = 0x2112a442

// stun: the number of the transaction (RFC 8489 5, 6).
func stun(b []byte, answer bool) uint64 {
	if len(b) < 20 || binary.BigEndian.Uint32(b[4:]) != stunCookie {
		return 0
	}
	kind := binary.BigEndian.Uint16(b)
	if kind&0xc000 != 0 || answer != (kind&0x0100 != 0) || !answer && kind&0x0110 != 0 {
		return 0
	}
	return hash(b[8:20])
}
