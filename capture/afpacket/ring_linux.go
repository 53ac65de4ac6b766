package afpacket

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/capture/cbpf"
)

// Link types (LINKTYPE_ numbers of libpcap).
const (
	linkEthernet = 1
	linkRaw      = 101
	link80211    = 105
	linkPrism    = 119
	linkRadiotap = 127
)

// ring is one interface as one worker sees it: what the kernel opened for it, and the packet at its head.
type ring struct {
	opened
	group  *group
	place  uint16 // among the interfaces
	member int    // among the workers; the first one speaks for all

	at   int // the block in hand, or the next to come
	held bool

	walk walker
	head packet
	full bool // head is valid

	pending bool // head was yielded; the next step lets go of it

	down    bool   // told; looked at again from time to time
	asked   int64  // when that was last done, ns
	told    string // the last reason why it cannot be opened again
	stats   capture.Stats
	yielded uint64
}

// opened is a packet socket with the memory shared with the kernel.
type opened struct {
	name  string
	index int
	link  uint16
	loop  bool
	skips bool // its filter is the bypass

	fd    int // -1: none, or the interface is gone
	mem   []byte
	size  int // of a block
	count int // of blocks
}

// open takes the group's ring for this worker.
func (r *ring) open(o *Options) error {
	x, err := r.group.take(o, r.member)
	r.opened = x
	if err != nil {
		return err
	}
	r.at, r.walk = 0, walker{tags: r.link == linkEthernet}
	return nil
}

// openRing opens a ring of the interface that has the name now. It is bound last, so that every packet it ever sees is
// counted; shut: it sees none yet.
func openRing(o *Options, name string, member int, shut bool) (opened, error) {
	r := opened{name: name, fd: -1}
	index, hardware, err := lookUp(name)
	if err != nil {
		return r, err
	}
	link, kind := linkOf(hardware)
	fd, err := unix.Socket(unix.AF_PACKET, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return r, refusal("a packet socket", err)
	}
	r.fd, r.index, r.link, r.loop = fd, index, link, hardware == unix.ARPHRD_LOOPBACK
	if err := r.arm(o, member, shut); err != nil {
		r.close()
		return r, err
	}
	return r, nil
}

// arm sets the socket up, maps the ring and binds it.
func (r *opened) arm(o *Options, member int, shut bool) (err error) {
	if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return refusal("TPACKET_V3", err)
	}
	if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_RESERVE, tagBytes); err != nil {
		return refusal("room for VLAN tags (PACKET_RESERVE)", err)
	}
	if r.loop { // an old kernel lacks it; then the reader leaves them out
		_ = unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1)
	}
	if shut {
		err = setFilter(r.fd, nothing)
	} else {
		r.skips, err = attach(o, r, member)
	}
	if err != nil {
		return refusedFilter(r.name, err)
	}
	if err := r.share(o); err != nil {
		return err
	}
	if !o.NoPromisc {
		m := unix.PacketMreq{Ifindex: int32(r.index), Type: unix.PACKET_MR_PROMISC}
		if err := unix.SetsockoptPacketMreq(r.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &m); err != nil {
			return refusal("promiscuous mode on "+r.name, err)
		}
	}
	if err := unix.Bind(r.fd, &unix.SockaddrLinklayer{Protocol: bigEndian(unix.ETH_P_ALL), Ifindex: r.index}); err != nil {
		return fmt.Errorf("cannot watch %s: %w", r.name, err)
	}
	return nil
}

// share asks for the ring's memory, for half of it while there is not enough, and maps it.
func (r *opened) share(o *Options) error {
	var err error
	for blocks := o.Blocks; blocks >= blocksLeast; blocks /= 2 {
		req := unix.TpacketReq3{Block_size: uint32(o.BlockBytes), Block_nr: uint32(blocks), Frame_size: uint32(unix.Getpagesize()),
			Frame_nr: uint32(o.BlockBytes / unix.Getpagesize() * blocks), Retire_blk_tov: uint32(o.Retire.Milliseconds())}
		if err = unix.SetsockoptTpacketReq3(r.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req); err == nil {
			if blocks < o.Blocks {
				o.say("%s: the kernel has memory for %d of %d ring blocks of %d KiB", r.name, blocks, o.Blocks, o.BlockBytes>>10)
			}
			r.size, r.count = o.BlockBytes, blocks
			r.mem, err = unix.Mmap(r.fd, 0, r.size*r.count, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
			if err != nil {
				return fmt.Errorf("cannot map the ring of %s: %w", r.name, err)
			}
			return nil
		}
		if !errors.Is(err, unix.ENOMEM) {
			return refusal("a TPACKET_V3 ring", err)
		}
	}
	return fmt.Errorf("cannot watch %s: the kernel has no memory for a ring: %w", r.name, err)
}

// close gives the socket and its memory back.
func (r *opened) close() {
	if r.mem != nil {
		_ = unix.Munmap(r.mem)
		r.mem = nil
	}
	if r.fd >= 0 {
		_ = unix.Close(r.fd)
		r.fd = -1
	}
}

// close gives everything back; packets still in the ring are lost to the reader.
func (r *ring) close() {
	r.opened.close()
	r.full, r.held, r.pending = false, false, false
	r.walk.left = 0
}

// step lets go of a head that was yielded and brings up the next packet, if the kernel has handed one over.
func (r *ring) step() {
	if r.pending {
		r.pending, r.full = false, false
	}
	for !r.full && r.fd >= 0 {
		if !r.held && !r.take() {
			return
		}
		ok, damaged := r.walk.read(&r.head)
		r.stats.Damaged += uint64(damaged)
		switch {
		case !ok:
			r.give()
		case r.loop && r.head.outgoing:
			r.stats.Skipped++
		default:
			r.full = true
		}
	}
}

// take begins the next block if it is the reader's.
func (r *ring) take() bool {
	if atomic.LoadUint32(r.status())&statusUser == 0 {
		return false
	}
	r.held = true
	r.stats.Damaged += uint64(r.walk.open(r.mem[r.at*r.size : (r.at+1)*r.size : (r.at+1)*r.size]))
	return true
}

// give hands the block back to the kernel.
func (r *ring) give() {
	atomic.StoreUint32(r.status(), 0)
	r.held = false
	r.at = (r.at + 1) % r.count
}

// status is the word by which kernel and reader hand a block to each other; the mapping is page-aligned.
func (r *ring) status() *uint32 {
	return (*uint32)(unsafe.Pointer(&r.mem[r.at*r.size+blockStatus]))
}

// tally fetches the kernel's counters, which begin anew with each look.
func (r *ring) tally() {
	if r.fd < 0 {
		return
	}
	st, err := unix.GetsockoptTpacketStatsV3(r.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return
	}
	r.stats.Received += uint64(st.Packets) // the drops among them
	r.stats.Dropped += uint64(st.Drops)
}

// settled says whether everything the kernel counted has been accounted for.
func (r *ring) settled() bool {
	return r.stats.Received <= r.yielded+r.stats.Dropped+r.stats.Skipped+r.stats.Damaged+r.stats.Bypassed
}

// writeOff counts what the kernel put into a ring and nobody will read as dropped.
func (r *ring) writeOff() {
	r.tally()
	if !r.settled() {
		r.stats.Dropped = r.stats.Received - r.yielded - r.stats.Skipped - r.stats.Damaged - r.stats.Bypassed
	}
}

// filter is the user's, or one that keeps the first bytes of everything.
func filter(o *Options, name string) []unix.SockFilter {
	if len(o.Filters[name]) == 0 {
		return []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: o.Snaplen}}
	}
	return sockFilter(o.Filters[name])
}

// nothing lets no frame in, and the kernel counts none.
var nothing = []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}

func sockFilter(code []cbpf.Instruction) []unix.SockFilter {
	f := make([]unix.SockFilter, len(code))
	for i, x := range code {
		f[i] = unix.SockFilter{Code: x.Op, Jt: x.Jt, Jf: x.Jf, K: x.K}
	}
	return f
}

// refusedFilter says that the kernel's check found a program that it will not run.
func refusedFilter(name string, err error) error {
	if errors.Is(err, unix.EINVAL) {
		return &cbpf.FilterError{Filter: "of " + name, Why: "the kernel refuses this program: it was damaged, or is none for packets"}
	}
	return refusal("this packet filter", err)
}

func setFilter(fd int, f []unix.SockFilter) error {
	p := unix.SockFprog{Len: uint16(len(f)), Filter: &f[0]}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &p)
}

// linkOf says how the frames of a kind of hardware begin, and how to ask for them. A kind that is not known here is
// read from its network layer on.
func linkOf(hardware uint16) (link uint16, socket int) {
	switch hardware {
	case unix.ARPHRD_ETHER, unix.ARPHRD_LOOPBACK, unix.ARPHRD_IEEE802:
		return linkEthernet, unix.SOCK_RAW
	case unix.ARPHRD_NONE, unix.ARPHRD_RAWIP:
		return linkRaw, unix.SOCK_RAW
	case unix.ARPHRD_IEEE80211:
		return link80211, unix.SOCK_RAW
	case unix.ARPHRD_IEEE80211_PRISM:
		return linkPrism, unix.SOCK_RAW
	case unix.ARPHRD_IEEE80211_RADIOTAP:
		return linkRadiotap, unix.SOCK_RAW
	}
	return linkRaw, unix.SOCK_DGRAM
}

// refusal tells a missing privilege from a missing feature.
func refusal(what string, err error) error {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w: the kernel refused %s", ErrPrivilege, what)
	case errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.ENOPROTOOPT), errors.Is(err, unix.ESOCKTNOSUPPORT), errors.Is(err, unix.EPROTONOSUPPORT):
		return fmt.Errorf("%w: the kernel lacks %s", ErrKernel, what)
	}
	return fmt.Errorf("the kernel refused %s: %w", what, err)
}

func bigEndian(v uint16) uint16 {
	return binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, v))
}
