package afxdp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// memory is what is shared with the kernel for one queue of an interface: frames, and the ring by which free ones are given
// to it. All workers' sockets of the queue use it.
type memory struct {
	frames []byte
	owner  int // the socket that it was registered with
	fill   ring
	mu     sync.Mutex // workers give frames back
	users  atomic.Int32
}

// socket is one worker's end of one queue.
type socket struct {
	fd    int
	mem   *memory
	rx    ring
	back  []uint64 // frames to give back
	ahead uint32   // filled places that were seen and not read
}

// ring is shared with the kernel: one side moves its producer, the other its consumer.
type ring struct {
	mapped             []byte
	producer, consumer *uint32
	at                 uint32 // our own of the two
	mask               uint32
	entries            unsafe.Pointer
}

const (
	addressSize    = 8  // an entry of the fill ring
	descriptorSize = 16 // an entry of a receive ring: address, length, options
	completionSize = 2  // entries: nothing is ever sent
)

// newSocket makes a socket without memory, with a receive ring for so many frames.
func newSocket(entries int) (int, error) {
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, refusal("an AF_XDP socket", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_XDP, unix.XDP_RX_RING, entries); err != nil {
		_ = unix.Close(fd)
		return -1, refusal("a receive ring (AF_XDP)", err)
	}
	return fd, nil
}

// share makes a queue's memory with the socket that is to own it.
func share(fd, frames int) (*memory, error) {
	m := &memory{owner: fd}
	var err error
	if m.frames, err = unix.Mmap(-1, 0, frames*frameSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_POPULATE); err != nil {
		return nil, fmt.Errorf("no memory for %d frames: %w", frames, err)
	}
	reg := unix.XDPUmemReg{Addr: uint64(uintptr(unsafe.Pointer(&m.frames[0]))), Len: uint64(len(m.frames)), Size: frameSize}
	err = setOption(fd, unix.XDP_UMEM_REG, unsafe.Pointer(&reg), unsafe.Sizeof(reg))
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_XDP, unix.XDP_UMEM_FILL_RING, frames)
	}
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_XDP, unix.XDP_UMEM_COMPLETION_RING, completionSize)
	}
	if err == nil {
		err = m.fill.open(fd, unix.XDP_UMEM_PGOFF_FILL_RING, frames, addressSize)
	}
	if err != nil {
		m.unmap()
		return nil, refusal("memory shared with AF_XDP (locked memory: ulimit -l)", err)
	}
	all := make([]uint64, frames)
	for i := range all {
		all[i] = uint64(i) * frameSize
	}
	m.give(all)
	return m, nil
}

// give hands frames to the kernel. There is always room: the ring has a place for each.
func (m *memory) give(frames []uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, a := range frames {
		*(*uint64)(m.fill.entry(m.fill.at+uint32(i), addressSize)) = a
	}
	m.fill.at += uint32(len(frames))
	atomic.StoreUint32(m.fill.producer, m.fill.at)
}

func (m *memory) unmap() {
	m.fill.close()
	if m.frames != nil {
		_ = unix.Munmap(m.frames)
		m.frames = nil
	}
}

// leave is called once by each socket of the queue.
func (m *memory) leave() {
	if m.users.Add(-1) == 0 {
		m.unmap()
	}
}

// bind joins a socket to a queue of an interface; the memory's owner comes first. The kernel takes the driver's way without
// a copy where there is one.
func (m *memory) bind(fd, index, queue, entries int) (*socket, error) {
	s := &socket{fd: fd, mem: m, back: make([]uint64, 0, returnBatch)}
	if err := s.rx.open(fd, unix.XDP_PGOFF_RX_RING, entries, descriptorSize); err != nil {
		return nil, refusal("a receive ring (AF_XDP)", err)
	}
	at := &unix.SockaddrXDP{Ifindex: uint32(index), QueueID: uint32(queue)}
	if fd != m.owner {
		at.Flags, at.SharedUmemFD = unix.XDP_SHARED_UMEM, uint32(m.owner)
	}
	if err := unix.Bind(fd, at); err != nil {
		s.rx.close()
		return nil, refusal(fmt.Sprintf("an AF_XDP socket at queue %d", queue), err)
	}
	m.users.Add(1)
	return s, nil
}

// peek brings up the next frame: its bytes, and its stamp on the monotonic clock, 0: none.
func (s *socket) peek() (data []byte, stamped uint64, ok bool) {
	if s.ahead == 0 {
		if s.ahead = atomic.LoadUint32(s.rx.producer) - s.rx.at; s.ahead == 0 {
			return nil, 0, false
		}
	}
	d := (*unix.XDPDesc)(s.rx.entry(s.rx.at, descriptorSize))
	a, n := d.Addr, uint64(d.Len)
	if a+n > uint64(len(s.mem.frames)) { // never from a sound kernel
		return nil, 0, true
	}
	if a >= stamp {
		stamped = binary.NativeEndian.Uint64(s.mem.frames[a-stamp:])
	}
	return s.mem.frames[a : a+n : a+n], stamped, true
}

// step lets go of the frame that peek brought up.
func (s *socket) step() {
	a := (*unix.XDPDesc)(s.rx.entry(s.rx.at, descriptorSize)).Addr
	s.rx.at++
	s.ahead--
	atomic.StoreUint32(s.rx.consumer, s.rx.at)
	if s.back = append(s.back, a&^(frameSize-1)); len(s.back) == returnBatch {
		s.flush()
	}
}

// flush gives the frames back that wait for it.
func (s *socket) flush() {
	if len(s.back) > 0 {
		s.mem.give(s.back)
		s.back = s.back[:0]
	}
}

// lost is how many frames the kernel could not put into the ring.
func (s *socket) lost() uint64 {
	var st unix.XDPStatistics
	size := uint32(unsafe.Sizeof(st))
	_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(s.fd), unix.SOL_XDP, unix.XDP_STATISTICS, uintptr(unsafe.Pointer(&st)), uintptr(unsafe.Pointer(&size)), 0)
	if e != 0 {
		return 0
	}
	return st.Rx_dropped + st.Rx_ring_full // a frame for which none was free is among the first
}

func (s *socket) close() {
	s.rx.close()
	_ = unix.Close(s.fd)
	s.mem.leave()
}

func (r *ring) open(fd int, offset int64, entries, size int) error {
	var at unix.XDPMmapOffsets
	n := uint32(unsafe.Sizeof(at))
	_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_XDP, unix.XDP_MMAP_OFFSETS, uintptr(unsafe.Pointer(&at)), uintptr(unsafe.Pointer(&n)), 0)
	if e != 0 {
		return e
	}
	where, ours := at.Rx, false
	if offset == unix.XDP_UMEM_PGOFF_FILL_RING {
		where, ours = at.Fr, true
	}
	var err error
	r.mapped, err = unix.Mmap(fd, offset, int(where.Desc)+entries*size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return err
	}
	r.producer, r.consumer = (*uint32)(unsafe.Pointer(&r.mapped[where.Producer])), (*uint32)(unsafe.Pointer(&r.mapped[where.Consumer]))
	r.entries, r.mask = unsafe.Pointer(&r.mapped[where.Desc]), uint32(entries-1)
	if r.at = atomic.LoadUint32(r.consumer); ours {
		r.at = atomic.LoadUint32(r.producer)
	}
	return nil
}

func (r *ring) entry(i uint32, size uintptr) unsafe.Pointer {
	return unsafe.Add(r.entries, uintptr(i&r.mask)*size)
}

func (r *ring) close() {
	if r.mapped != nil {
		_ = unix.Munmap(r.mapped)
		r.mapped = nil
	}
}

func setOption(fd, option int, p unsafe.Pointer, size uintptr) error {
	if _, _, e := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_XDP, uintptr(option), uintptr(p), size, 0); e != 0 {
		return e
	}
	return nil
}

// refusal tells a missing privilege from a missing feature.
func refusal(what string, err error) error {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w: the kernel refused %s", ErrPrivilege, what)
	case errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.ENOPROTOOPT), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EINVAL):
		return fmt.Errorf("%w: the kernel lacks %s: %v", ErrKernel, what, err)
	}
	return fmt.Errorf("the kernel refused %s: %w", what, err)
}
