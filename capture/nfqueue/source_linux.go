package nfqueue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/dejpha/dejpha/capture"
)

const (
	linkRaw       = 101 // LINKTYPE_RAW: IPv4 or IPv6 by its first byte
	batch         = 64  // packets fetched at once; the accepted ones among them are given back together
	messageMost   = 70 << 10
	packetMost    = 0xffff
	waitingMost   = 1 << 20 // packets the kernel lets wait; the buffer ends before, whose losses have numbers
	answerSeconds = 2
)

// source reads one queue.
type source struct {
	o        Options
	fd       int
	buffers  []byte
	vectors  [batch]unix.Iovec
	messages [batch]message
	have, at int    // messages fetched, and the next to look at
	rest     []byte // of the message in hand
	stamp    int64  // when they were fetched
	packet   queued
	open     bool // packet was yielded and is not decided
	accepted int  // packets not yet given back
	last     uint32
	out      [64]byte
	idle     bool
	stopping bool
	yielded  uint64
	damaged  uint64
	told     uint64 // of the lost, yielded as gaps
	calm     int64  // when none was lost that is not told, ns
	refused  uint64 // by the kernel: the queue had as many as it takes
	highest  uint64 // number of the latest packet: how many there were
	wide     uint32 // of it, as the kernel counts
	inject   [2]int // raw sockets for IPv4 and IPv6; -1: not open
}

// message is the kernel's mmsghdr.
type message struct {
	header unix.Msghdr
	length uint32
	_      [4]byte
}

// Open takes up a queue until Close. Its errors are ErrPrivilege, ErrKernel, ErrTaken, and those of a wrong option.
func Open(o Options) (capture.Inline, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	s := &source{o: o, inject: [2]int{-1, -1}}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, refusal(err)
	}
	s.fd = fd
	if err := s.arm(); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	s.stamp = o.Now()
	s.buffers = make([]byte, batch*messageMost)
	for i := range s.messages {
		s.vectors[i].Base = &s.buffers[i*messageMost]
		s.vectors[i].SetLen(messageMost)
		s.messages[i].header.Iov = &s.vectors[i]
		s.messages[i].header.SetIovlen(1)
	}
	return s, nil
}

// arm binds the queue: first the socket's own settings, so that no packet meets others.
func (s *source) arm() error {
	if err := unix.Bind(s.fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return refusal(err)
	}
	if unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, s.o.Buffer) != nil {
		_ = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, s.o.Buffer) // as much as the system lets us
	}
	if err := unix.SetsockoptTimeval(s.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: answerSeconds}); err != nil {
		return refusal(err)
	}
	params := binary.BigEndian.AppendUint32(nil, packetMost)
	for _, m := range [][]byte{
		finish(appendAttr(s.config(), configCmd, cmdBind, 0, 0, 0)),
		finish(appendAttr(s.config(), configParams, append(params, copyPacket)...)),
		s.limits(waitingMost, s.o.FailOpen),
	} {
		if err := s.ask(m); err != nil {
			return err
		}
	}
	return unix.SetNonblock(s.fd, true)
}

func (s *source) config() []byte { return appendMessage(nil, msgConfig, flagAck, s.o.Queue) }

// limits is the message that says how many packets may wait and what happens to more.
func (s *source) limits(most uint32, failOpen bool) []byte {
	flags := uint32(flagGSO)
	if failOpen {
		flags |= flagFailOpen
	}
	b := appendAttr(s.config(), configFlags, binary.BigEndian.AppendUint32(nil, flags)...)
	b = appendAttr(b, configMask, binary.BigEndian.AppendUint32(nil, flagGSO|flagFailOpen)...)
	return finish(appendAttr(b, configMost, binary.BigEndian.AppendUint32(nil, most)...))
}

// ask sends a message and waits for its answer. Packets that come before it are not lost: none come before the queue is
// set up, and Stop does not wait.
func (s *source) ask(m []byte) error {
	if _, err := unix.Write(s.fd, m); err != nil {
		return refusal(err)
	}
	b := make([]byte, 4096)
	for {
		n, err := unix.Read(s.fd, b)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%w: the kernel does not answer: %w", ErrKernel, err)
		}
		if kind, body, _, ok := next(b[:n]); ok && kind == msgError {
			if code := failure(body); code != 0 {
				return refusal(syscall.Errno(code))
			}
			return nil
		}
	}
}

// Next implements capture.Source. A packet that got no verdict is dropped.
func (s *source) Next(f *capture.Frame) error {
	if s.open {
		if err := s.Verdict(capture.Drop); err != nil {
			return err
		}
	}
	for {
		if s.step() {
			s.yielded++
			s.idle, s.open = false, true
			*f = capture.Frame{Data: s.packet.data, Time: s.stamp, WireLen: s.packet.wire, LinkType: linkRaw, Unsummed: s.packet.unsummed}
			return nil
		}
		if err := s.giveBack(); err != nil {
			return err
		}
		now := s.o.Now() // read before the look: what comes later is stamped later
		ok, err := s.fetch()
		switch {
		case err != nil:
			return err
		case ok:
			continue
		case s.stopping:
			s.total()
			return io.EOF
		case !s.idle:
			s.idle = true
			f.Data, f.Time = nil, now
			return capture.ErrIdle
		}
		s.wait()
		s.idle = false
	}
}

// step brings up the next packet of what was fetched.
func (s *source) step() bool {
	for {
		kind, body, rest, ok := next(s.rest)
		if !ok {
			if s.at == s.have {
				return false
			}
			start := s.at * messageMost
			s.rest = s.buffers[start : start+int(s.messages[s.at].length)]
			s.at++
			continue
		}
		s.rest = rest
		if kind != msgPacket {
			continue // the kernel's complaint about a verdict: the packet had gone with its interface
		}
		if !s.packet.read(body) {
			s.damaged++
			continue
		}
		s.highest += uint64(s.packet.id - s.wide)
		s.wide = s.packet.id
		return true
	}
}

// fetchTries bounds how often a fetch is tried that failed for a reason which passes.
const fetchTries = 8

// fetch takes what waits out of the kernel.
func (s *source) fetch() (bool, error) {
	s.have, s.at, s.rest = 0, 0, nil
	for range fetchTries {
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&s.messages[0])), batch, unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			if s.lost() == s.told {
				s.calm = s.stamp
			}
			s.have, s.stamp = int(n), s.o.Now()
			return n > 0, nil
		case unix.EAGAIN:
			return false, nil
		case unix.EINTR, unix.ENOBUFS: // the latter: something was lost, which the packets' numbers show
		default:
			return false, fmt.Errorf("queue %d cannot be read any more: %w", s.o.Queue, errno)
		}
	}
	return false, nil
}

func (s *source) wait() {
	p := [1]unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLIN}}
	_, _ = unix.Poll(p[:], int(s.o.Wait/time.Millisecond)) // interrupted: the caller looks again anyway
}

// Verdict implements capture.Inline. Accepted packets are given back together, before the next are fetched, so that each
// waits no longer than those fetched with it.
func (s *source) Verdict(v capture.Verdict) error {
	if !s.open {
		return nil
	}
	s.open, s.last = false, s.packet.id
	if v == capture.Accept {
		s.accepted++
	} else if err := s.tell(msgVerdict, verdictDrop); err != nil {
		return err
	}
	if s.at == s.have && len(s.rest) == 0 { // the caller may have much to do before it asks for more
		return s.giveBack()
	}
	return nil
}

// giveBack accepts every packet up to the last that was decided: those dropped are gone already.
func (s *source) giveBack() error {
	if s.accepted == 0 {
		return nil
	}
	s.accepted = 0
	return s.tell(msgBatch, verdictPass)
}

func (s *source) tell(kind uint16, verdict uint32) error {
	b := appendVerdict(s.out[:0], kind, s.o.Queue, verdict, s.last)
	for {
		_, err := unix.Write(s.fd, b)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EAGAIN):
			return fmt.Errorf("queue %d takes no verdicts any more: %w", s.o.Queue, err)
		}
	}
}

// Stop implements capture.Live: packets go past the queue from here on, accepted or dropped as FailOpen says.
func (s *source) Stop() {
	s.stopping = true
	_, _ = unix.Write(s.fd, s.limits(0, s.o.FailOpen)) // its answer is read, and passed over, by step
}

// Release implements capture.Inline. With the last of this process the firewall's rule decides: without its --queue-bypass
// nothing passes.
func (s *source) Release() {
	s.o.FailOpen = true
	s.Stop()
}

// Interfaces implements capture.Live.
func (s *source) Interfaces() []string { return []string{fmt.Sprintf("nfqueue:%d", s.o.Queue)} }

// Unprotected implements capture.Exposed: what found the queue full and went on. What the firewall did while no process was
// there the kernel does not count.
func (s *source) Unprotected() (capture.Gap, bool) {
	lost := s.lost()
	if !s.o.FailOpen || lost == s.told {
		return capture.Gap{}, false
	}
	g := capture.Gap{From: s.calm, To: s.stamp, Passed: lost - s.told, Done: func() {}}
	s.told, s.calm = lost, s.stamp
	return g, true
}

// lost is how many numbers of packets never came.
func (s *source) lost() uint64 { return s.highest - min(s.highest, s.yielded+s.damaged) }

// Stats implements capture.Live. The kernel numbers every packet that it queues: what is missing between those that came
// was lost to a full buffer.
func (s *source) Stats() capture.Stats {
	lost := s.lost()
	st := capture.Stats{Received: s.yielded + s.damaged + lost + s.refused, Damaged: s.damaged, Dropped: s.refused}
	if s.o.FailOpen {
		st.Bypassed = lost
		st.Why[capture.Overrun] = lost
	} else {
		st.Dropped += lost
	}
	return st
}

// Faces implements capture.Apart.
func (s *source) Faces(into []capture.Face) []capture.Face {
	f := capture.Face{Name: s.Interfaces()[0], Mode: "nfqueue", OnFailure: "block", Stats: s.Stats()}
	if s.o.FailOpen {
		f.OnFailure = "pass"
	}
	return append(into, f)
}

// total asks the kernel for its last count, once nothing waits any more: losses at the very end have no later number.
func (s *source) total() {
	b, err := os.ReadFile("/proc/thread-self/net/netfilter/nfnetlink_queue")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(b)) {
		var queue, port, total, mode, size, full, lost, id uint64
		n, _ := fmt.Sscan(line, &queue, &port, &total, &mode, &size, &full, &lost, &id)
		if n == 8 && queue == uint64(s.o.Queue) {
			s.highest += uint64(uint32(id) - s.wide)
			s.wide, s.refused = uint32(id), full
		}
	}
}

// Inject implements capture.Inline: the kernel routes it.
func (s *source) Inject(_ uint16, packet []byte) error {
	if len(packet) >= 20 && packet[0]>>4 == 4 {
		to := &unix.SockaddrInet4{Addr: [4]byte(packet[16:20])}
		return s.sendRaw(0, unix.AF_INET, packet, to)
	}
	if len(packet) >= 40 && packet[0]>>4 == 6 {
		to := &unix.SockaddrInet6{Addr: [16]byte(packet[24:40])}
		return s.sendRaw(1, unix.AF_INET6, packet, to)
	}
	return errors.New("not an IP packet")
}

func (s *source) sendRaw(which, family int, packet []byte, to unix.Sockaddr) error {
	if s.inject[which] < 0 {
		fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_RAW)
		if err != nil {
			return refusal(err)
		}
		s.inject[which] = fd
	}
	return unix.Sendto(s.inject[which], packet, 0, to)
}

// Close implements capture.Source.
func (s *source) Close() error {
	for i, fd := range s.inject {
		if fd >= 0 {
			_ = unix.Close(fd)
			s.inject[i] = -1
		}
	}
	if s.fd < 0 {
		return nil
	}
	_ = s.giveBack()
	_, _ = unix.Write(s.fd, finish(appendAttr(s.config(), configCmd, cmdUnbind, 0, 0, 0)))
	err := unix.Close(s.fd)
	s.fd = -1
	return err
}

var (
	_ capture.Exposed = (*source)(nil)
	_ capture.Apart   = (*source)(nil)
)

// refusal tells a missing privilege from a missing feature and from a queue in use.
func refusal(err error) error {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return ErrPrivilege
	case errors.Is(err, unix.EBUSY):
		return ErrTaken
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP):
		return ErrKernel
	}
	return fmt.Errorf("the kernel refused the queue: %w", err)
}
