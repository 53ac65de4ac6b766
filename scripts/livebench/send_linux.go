package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	batchMost = 64
	frameMost = 64 << 10
)

// sender puts frames on one interface, many with one call.
type sender struct {
	fd    int
	room  [batchMost][]byte
	iov   [batchMost]unix.Iovec
	msg   [batchMost]message
	batch [batchMost][]byte
	sent  uint64
}

// message is struct mmsghdr.
type message struct {
	header unix.Msghdr
	length uint32
	_      [4]byte
}

func open(name string) (*sender, error) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("a packet socket: %w", err)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1)
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: i.Index}); err != nil {
		return nil, fmt.Errorf("binding to %s: %w", name, err)
	}
	s := &sender{fd: fd}
	for i := range s.room {
		s.room[i] = make([]byte, 0, frameMost)
		s.msg[i].header.Iov, s.msg[i].header.Iovlen = &s.iov[i], 1
	}
	return s, nil
}

// buffers are n empty frames to be filled by append.
func (s *sender) buffers(n int) [][]byte {
	for i := range n {
		s.batch[i] = s.room[i][:0]
	}
	return s.batch[:n]
}

// put sends all of the frames, however often the kernel must be asked.
func (s *sender) put(frames [][]byte) error {
	for i, b := range frames {
		s.iov[i].Base, s.iov[i].Len = &b[0], uint64(len(b))
	}
	for done, tries := 0, 0; done < len(frames); {
		n, _, err := syscall.Syscall6(unix.SYS_SENDMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&s.msg[done])), uintptr(len(frames)-done), 0, 0, 0)
		if err != 0 {
			if tries++; !errors.Is(err, unix.ENOBUFS) && !errors.Is(err, unix.EINTR) || tries > 10000 {
				return fmt.Errorf("sending: %w", err)
			}
			time.Sleep(50 * time.Microsecond)
			continue
		}
		done += int(n)
		s.sent += uint64(n)
	}
	return nil
}

// kindOf is what fills frames with a kind of traffic.
func kindOf(traffic string) (func([][]byte), error) {
	switch traffic {
	case "udp":
		return udp(), nil
	case "flows":
		return flows(), nil
	}
	return recorded(traffic)
}

var mac = []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0}

func ip(b []byte, proto byte, length int, src, dst uint32) []byte {
	b = append(b, mac...)
	b = append(b, 0x45, 0, byte(length>>8), byte(length), 0, 1, 0x40, 0, 64, proto, 0, 0)
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, src), dst)
}

// udp is datagrams of 64 bytes on the wire, of a thousand flows between as many pairs.
func udp() func([][]byte) {
	n := uint32(0)
	return func(batch [][]byte) {
		for i := range batch {
			n++
			b := ip(batch[i], 17, 46, 0x0a000000+n%1000, 0xcb007100+n%200)
			b = binary.BigEndian.AppendUint16(b, uint16(20000+n%1000))
			b = append(b, 0x23, 0x28, 0, 26, 0, 0)
			batch[i] = append(b, "eighteen bytes now"...)
		}
	}
}

// flows is short conversations over HTTP, each of a new pair of ports, of eight segments.
func flows() func([][]byte) {
	n := uint32(0)
	return func(batch [][]byte) {
		for i := range batch {
			batch[i] = segment(batch[i], n/8, n%8)
			n++
		}
	}
}

const (
	question = "GET /index.html HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: livebench\r\nAccept: */*\r\n\r\n"
	answer   = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nhello\n"
)

func segment(b []byte, flow, step uint32) []byte {
	client, server := 0x0a000000+flow%50021, uint32(0xcb007100)+flow%200
	const q, a = uint32(len(question)), uint32(len(answer))
	s := []struct {
		back     bool
		flags    byte
		seq, ack uint32
		data     string
	}{
		{false, 0x02, 0, 0, ""}, {true, 0x12, 0, 1, ""}, {false, 0x10, 1, 1, ""}, {false, 0x18, 1, 1, question},
		{true, 0x18, 1, 1 + q, answer}, {false, 0x11, 1 + q, 1 + a, ""}, {true, 0x11, 1 + a, 2 + q, ""}, {false, 0x10, 2 + q, 2 + a, ""},
	}[step]
	near, far := uint16(1024+flow/7%60000), uint16(80)
	src, dst := client, server
	if s.back {
		src, dst, near, far = server, client, far, near
	}
	b = ip(b, 6, 40+len(s.data), src, dst)
	b = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, near), far)
	b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, 1000+s.seq), 9000*min(uint32(s.flags&0x10), 1)+s.ack)
	if s.back {
		binary.BigEndian.PutUint32(b[len(b)-8:], 9000+s.seq)
		binary.BigEndian.PutUint32(b[len(b)-4:], 1000+s.ack)
	}
	b = append(b, 0x50, s.flags, 0xff, 0xff, 0, 0, 0, 0)
	b = append(b, s.data...)
	for len(b) < 60 {
		b = append(b, 0)
	}
	return b
}
