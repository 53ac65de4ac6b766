package bridge

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/dejpha/dejpha/capture"
)

// Bounds of a port.
const (
	batch        = 64       // frames fetched at once, and sent on together
	frameMost    = 68 << 10 // of one frame: a packet of 64 KiB that the kernel joined, and its headers
	headroom     = 16       // before a frame, for its VLAN tag
	controlBytes = 128
	offloadBytes = 10 // struct virtio_net_hdr (linux/virtio_net.h)
	tagBytes     = 4
	addressBytes = 12 // both MAC addresses
	linkEthernet = 1  // LINKTYPE_ETHERNET
	tpidDefault  = 0x8100
)

// Places in struct virtio_net_hdr, and its flag of a frame whose checksum is still to be made.
const (
	offloadFlags    = 0
	offloadHeaders  = 2
	offloadSumStart = 6
	needsSum        = 1
)

// Places in struct tpacket_auxdata (linux/if_packet.h).
const (
	auxStatus = 0
	auxTCI    = 16
	auxTPID   = 18
	auxBytes  = 20

	statusUnsummed = 1 << 3
	statusVLAN     = 1 << 4
	statusTPID     = 1 << 6
)

// message is the kernel's mmsghdr.
type message struct {
	header unix.Msghdr
	length uint32
	_      [4]byte
}

// port is one interface: its socket, the frames fetched from it, and those to be sent out on it.
type port struct {
	name  string
	fd    int
	index int

	buffers  []byte // batch times headroom + frameMost
	offloads [batch][offloadBytes]byte
	controls [batch][controlBytes]byte
	vectors  [batch][2]unix.Iovec
	messages [batch]message
	have, at int
	frame    frame // the next one; valid if full
	full     bool
	down     bool // the kernel said so, and no frame came since

	outVectors [batch][2]unix.Iovec
	out        [batch]message
	outs       int

	received, lost, yielded, damaged, unsent uint64
}

// frame is one that was fetched.
type frame struct {
	data     []byte
	offload  *[offloadBytes]byte
	time     int64
	unsummed bool
}

// lookUp finds an interface and refuses what cannot be bridged.
func lookUp(name string) (int, error) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return 0, capture.UnknownInterface(name)
	}
	if i.Flags&net.FlagLoopback != 0 || len(i.HardwareAddr) != 6 {
		return 0, fmt.Errorf("%w: %s is no Ethernet interface", ErrInUse, name)
	}
	addrs, err := i.Addrs()
	if err != nil {
		return 0, fmt.Errorf("cannot read the addresses of %s: %w", name, err)
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLinkLocalUnicast() {
			return 0, fmt.Errorf("%w: %s has the address %s; an interface of a bridge has none, this machine would stop hearing on it", ErrInUse, name, n.IP)
		}
	}
	return i.Index, nil
}

// openPort opens a socket on an interface, which takes no frame yet: there is no heartbeat.
func openPort(o *Options, name string, index int, filter int) (*port, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, refusal("a packet socket", err)
	}
	p := &port{name: name, fd: fd, index: index}
	for _, s := range []struct {
		level, option, value int
		what                 string
	}{
		{unix.SOL_SOCKET, unix.SO_ATTACH_BPF, filter, "a filter at a socket"},
		{unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1, "PACKET_IGNORE_OUTGOING (Linux 4.20)"},
		{unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1, "PACKET_VNET_HDR"},
		{unix.SOL_PACKET, unix.PACKET_AUXDATA, 1, "PACKET_AUXDATA"},
		{unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1, "receive stamps"},
	} {
		if err := unix.SetsockoptInt(fd, s.level, s.option, s.value); err != nil {
			_ = unix.Close(fd)
			return nil, refusal(s.what, err)
		}
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, o.Buffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, o.Buffer) // as much as the system lets us
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, o.Buffer) // else the system's: more frames are lost in a burst
	if err := promiscuous(name); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: bigEndian(unix.ETH_P_ALL), Ifindex: index}); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("cannot take frames from %s: %w", name, err)
	}
	p.prepare()
	return p, nil
}

// prepare points the messages at their buffers.
func (p *port) prepare() {
	const room = headroom + frameMost
	p.buffers = make([]byte, batch*room)
	for i := range p.messages {
		v, h := &p.vectors[i], &p.messages[i].header
		v[0].Base = &p.offloads[i][0]
		v[0].SetLen(offloadBytes)
		v[1].Base = &p.buffers[i*room+headroom]
		v[1].SetLen(frameMost)
		h.Iov = &v[0]
		h.SetIovlen(2)
		h.Control = &p.controls[i][0]
		h.SetControllen(controlBytes)
		o := &p.out[i].header
		o.Iov = &p.outVectors[i][0]
		o.SetIovlen(2)
	}
}

// promiscuous makes an interface take frames for others, for good: when this process is gone the kernel still carries them.
func promiscuous(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return refusal("a socket", err)
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, r); err != nil {
		return refusal("the flags of "+name, err)
	}
	flags := r.Uint16()
	r.SetUint16(flags | unix.IFF_PROMISC | unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r); err != nil {
		return refusal("promiscuous mode on "+name, err)
	}
	return nil
}

// fetchTries bounds how often a fetch is tried that failed for a reason which passes.
const fetchTries = 8

// fetch takes what waits out of the kernel.
func (p *port) fetch() error {
	p.have, p.at, p.full = 0, 0, false
	for i := range p.messages {
		p.messages[i].header.SetControllen(controlBytes)
	}
	for range fetchTries {
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(p.fd), uintptr(unsafe.Pointer(&p.messages[0])), batch, unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			p.have, p.down = int(n), false
			p.step()
			return nil
		case unix.EAGAIN:
			return nil
		case unix.ENETDOWN: // said once; it may come up again
			p.down = true
			return nil
		case unix.EINTR, unix.ENOBUFS:
		default:
			return fmt.Errorf("%s cannot be read any more: %w", p.name, errno)
		}
	}
	return nil
}

// step brings up the next frame of what was fetched.
func (p *port) step() {
	p.full = false
	for !p.full && p.at < p.have {
		i := p.at
		p.at++
		m := &p.messages[i]
		n := int(m.length) - offloadBytes
		if n < 0 || n > frameMost || m.header.Flags&unix.MSG_TRUNC != 0 {
			p.damaged++
			continue
		}
		const room = headroom + frameMost
		start := i*room + headroom
		f := &p.frame
		f.data, f.offload, f.time, f.unsummed = p.buffers[start:start+n:start+n], &p.offloads[i], 0, false
		p.control(f, p.controls[i][:min(int(m.header.Controllen), controlBytes)], start)
		p.full = true
	}
}

// control reads what the kernel says beside a frame: its stamp, its checksum's state and its VLAN tag, which goes back to
// where it stood on the wire.
func (p *port) control(f *frame, b []byte, start int) {
	f.unsummed = f.offload[offloadFlags]&needsSum != 0
	for len(b) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
		n := int(h.Len)
		if n < unix.SizeofCmsghdr || n > len(b) {
			return
		}
		v := b[unix.SizeofCmsghdr:n]
		switch {
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SCM_TIMESTAMPNS && len(v) >= 16:
			f.time = int64(binary.NativeEndian.Uint64(v))*1e9 + int64(binary.NativeEndian.Uint64(v[8:]))
		case h.Level == unix.SOL_PACKET && h.Type == unix.PACKET_AUXDATA && len(v) >= auxBytes:
			status := binary.NativeEndian.Uint32(v[auxStatus:])
			f.unsummed = f.unsummed || status&statusUnsummed != 0
			if status&statusVLAN != 0 && len(f.data) >= addressBytes {
				p.tag(f, v, status, start)
			}
		}
		b = b[min((n+7)&^7, len(b)):]
	}
}

func (p *port) tag(f *frame, aux []byte, status uint32, start int) {
	tpid := uint16(tpidDefault)
	if status&statusTPID != 0 {
		tpid = binary.NativeEndian.Uint16(aux[auxTPID:])
	}
	b := p.buffers[start-tagBytes : start+len(f.data) : start+len(f.data)]
	copy(b, f.data[:addressBytes])
	binary.BigEndian.PutUint16(b[addressBytes:], tpid)
	binary.BigEndian.PutUint16(b[addressBytes+2:], binary.NativeEndian.Uint16(aux[auxTCI:]))
	f.data = b
	for _, field := range [2]int{offloadHeaders, offloadSumStart} { // counted from the frame's beginning
		if n := binary.NativeEndian.Uint16(f.offload[field:]); n > 0 {
			binary.NativeEndian.PutUint16(f.offload[field:], n+tagBytes)
		}
	}
}

// forward takes a frame to be sent out on this port; its bytes must stay until flush.
func (p *port) forward(f *frame) {
	if p.outs == batch {
		p.flush()
	}
	v := &p.outVectors[p.outs]
	v[0].Base = &f.offload[0]
	v[0].SetLen(offloadBytes)
	v[1].Base = unsafe.SliceData(f.data)
	v[1].SetLen(len(f.data))
	p.outs++
}

// flush sends what was taken. What the interface does not take, because it is down, its queue is full or the frame is longer
// than it sends, is lost as on any wire, and counted.
func (p *port) flush() {
	for from, tries := 0, 0; from < p.outs; {
		n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(p.fd), uintptr(unsafe.Pointer(&p.out[from])), uintptr(p.outs-from), unix.MSG_DONTWAIT, 0, 0)
		switch {
		case errno == 0:
			from, tries = from+int(n), 0
		case (errno == unix.EINTR || errno == unix.EAGAIN || errno == unix.ENOBUFS) && tries < fetchTries:
			tries++
		default:
			p.unsent++
			from, tries = from+1, 0
		}
	}
	p.outs = 0
}

// send sends one frame of ours.
func (p *port) send(b []byte) error {
	p.flush()
	whole := append(make([]byte, offloadBytes, offloadBytes+len(b)), b...)
	_, err := unix.Write(p.fd, whole)
	return err
}

// tally fetches the kernel's counters, which begin anew with each look.
func (p *port) tally() {
	st, err := unix.GetsockoptTpacketStats(p.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err == nil {
		p.received += uint64(st.Packets) // the drops among them
		p.lost += uint64(st.Drops)
	}
}

// gone says whether the interface that was bound to is no more.
func (p *port) gone() bool {
	bound, err := unix.Getsockname(p.fd)
	at, ok := bound.(*unix.SockaddrLinklayer)
	return err != nil || !ok || at.Ifindex != p.index
}

func (p *port) close() {
	if p.fd >= 0 {
		_ = unix.Close(p.fd)
		p.fd = -1
	}
}

func bigEndian(v uint16) uint16 {
	return binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, v))
}

var errNoPort = errors.New("no such interface")
