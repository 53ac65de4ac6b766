package afxdp

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/dejpha/dejpha/capture"

	"github.com/dejpha/dejpha/capture/cbpf"
)

// port is one interface, whose queues are shared by all workers. When it is made anew, the first worker that notices takes
// it again for all; each holds the attachment it reads from until it has read what is left there.
type port struct {
	name    string
	workers int
	keys    cbpf.Keys

	mu  sync.Mutex
	now *attachment // nil: not taken
}

// attachment is what was made for an interface: program, tables, and the sockets of all workers.
type attachment struct {
	index    int
	queues   int
	way      string
	on       link.Link
	made     []interface{ Close() error } // programs and tables
	sockets  [][]*socket                  // by worker, then queue
	counts   *ebpf.Map                    // frames handed over, by queue and worker, for each processor
	promisc  int                          // a socket that keeps the interface promiscuous; -1: none
	users    atomic.Int32
	shutting sync.Once
}

var errDown = errors.New("it is down")

// take yields the attachment in force, made anew if it is none or the one that failed.
func (p *port) take(o *Options, failed *attachment) (*attachment, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now == nil || p.now == failed {
		a, err := attach(o, p)
		if err != nil {
			return nil, err
		}
		p.now = a
	}
	p.now.users.Add(1)
	return p.now, nil
}

func attach(o *Options, p *port) (*attachment, error) {
	dev, err := net.InterfaceByName(p.name)
	if err != nil {
		return nil, capture.UnknownInterface(p.name)
	}
	if dev.Flags&net.FlagUp == 0 {
		return nil, errDown
	}
	if len(dev.HardwareAddr) != 6 && dev.Flags&net.FlagLoopback == 0 {
		return nil, fmt.Errorf("%w: %s has no Ethernet frames; watch it without AF_XDP", ErrKernel, p.name)
	}
	if dev.MTU+ethernetMost > frameMost {
		return nil, fmt.Errorf("%w: frames of %s may have %d bytes (mtu %d), AF_XDP takes %d: set a smaller mtu, or watch it without AF_XDP", ErrKernel, p.name, dev.MTU+ethernetMost, dev.MTU, frameMost)
	}
	a := &attachment{index: dev.Index, queues: queues(p.name), promisc: -1}
	if a.queues*p.workers > queuesMost*workersMost/16 {
		return nil, fmt.Errorf("%d queues of %s for %d workers are more sockets than make sense: use fewer queues (ethtool -L)", a.queues, p.name, p.workers)
	}
	if err := a.open(o, p); err != nil {
		a.shut()
		return nil, err
	}
	return a, nil
}

const ethernetMost = 14 + 3*4 // header and VLAN tags

// channels is what a driver says of its queues (struct ethtool_channels, linux/ethtool.h).
type channels struct {
	command                                  uint32
	maxRx, maxTx, maxOther, maxCombined      uint32
	rxCount, txCount, otherCount, countsBoth uint32
}

const getChannels = 0x3c // ETHTOOL_GCHANNELS

// queues is how many receive queues an interface has in use.
func queues(name string) int {
	c := channels{command: getChannels}
	request := struct { // struct ifreq
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: unsafe.Pointer(&c)}
	copy(request.name[:unix.IFNAMSIZ-1], name)
	if fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err == nil {
		_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
		_ = unix.Close(fd)
		if n := int(c.rxCount + c.countsBoth); e == 0 && n > 0 {
			return min(n, queuesMost)
		}
	}
	found, _ := filepath.Glob(filepath.Join("/sys/class/net", name, "queues", "rx-*")) // the driver does not say
	return min(max(len(found), 1), queuesMost)
}

func (a *attachment) open(o *Options, p *port) error {
	total := uint32(a.queues * p.workers)
	table, err := ebpf.NewMap(&ebpf.MapSpec{Name: "dejpha_xsk", Type: ebpf.XSKMap, KeySize: 4, ValueSize: 4, MaxEntries: total})
	if err != nil {
		return refusal("a table of sockets (XSKMAP)", err)
	}
	a.made = append(a.made, table)
	if a.counts, err = ebpf.NewMap(&ebpf.MapSpec{Name: "dejpha_handed", Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 8, MaxEntries: total}); err != nil {
		return refusal("a table of counts", err)
	}
	a.made = append(a.made, a.counts)
	spread, ok := cbpf.Fanout(p.keys, true)
	if !ok {
		return errors.New("the fanout program cannot be made")
	}
	spec, err := program(o.Filters[p.name], spread, a.queues, p.workers, table, a.counts)
	if err != nil {
		return err
	}
	prog, err := ebpf.NewProgram(spec)
	if err != nil {
		return refusal("the program of AF_XDP", err)
	}
	a.made = append(a.made, prog)
	if err := a.promiscuous(); err != nil {
		return err
	}
	// Sockets first: a frame that the program hands to none would be lost.
	if err := a.listen(o, p, table); err != nil {
		return err
	}
	return a.load(o, p, prog)
}

// listen opens a socket for each worker at each queue.
func (a *attachment) listen(o *Options, p *port, table *ebpf.Map) error {
	a.sockets = make([][]*socket, p.workers)
	for q := range a.queues {
		var mem *memory
		for w := range p.workers {
			fd, err := newSocket(o.Frames)
			if err != nil {
				return err
			}
			if mem == nil {
				mem, err = share(fd, o.Frames)
			}
			var s *socket
			if err == nil {
				s, err = mem.bind(fd, a.index, q, o.Frames)
			}
			if err != nil {
				_ = unix.Close(fd)
				if mem != nil && mem.users.Load() == 0 {
					mem.unmap()
				}
				if errors.Is(err, unix.EBUSY) {
					return p.taken()
				}
				return err
			}
			a.sockets[w] = append(a.sockets[w], s)
			if err := table.Put(uint32(q*p.workers+w), uint32(fd)); err != nil {
				return refusal("a socket in the table (XSKMAP)", err)
			}
		}
	}
	return nil
}

// load puts the program on the interface, by the driver's way where it has one.
func (a *attachment) load(o *Options, p *port, prog *ebpf.Program) error {
	native := !o.Generic
	if native {
		l, err := link.AttachXDP(link.XDPOptions{Program: prog, Interface: a.index, Flags: link.XDPDriverMode})
		if err == nil {
			a.on, a.way = l, "native XDP"
			return nil
		}
		if errors.Is(err, unix.EBUSY) {
			return p.taken()
		}
		o.say("%s: its driver has no XDP of its own (%v); the kernel's generic way is used, which is slower than watching without AF_XDP", p.name, err)
	}
	l, err := link.AttachXDP(link.XDPOptions{Program: prog, Interface: a.index, Flags: link.XDPGenericMode})
	if errors.Is(err, unix.EBUSY) {
		return p.taken()
	}
	if err != nil {
		return refusal("XDP on "+p.name, err)
	}
	a.on, a.way = l, "generic XDP"
	return nil
}

func (p *port) taken() error {
	return fmt.Errorf("%w %s (see ip link show %s): end the program that put it there, or watch it without AF_XDP", ErrTaken, p.name, p.name)
}

// promiscuous has the interface take every frame for as long as the attachment lives.
func (a *attachment) promiscuous() error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0) // protocol 0: it receives nothing
	if err != nil {
		return refusal("a packet socket, for promiscuous mode", err)
	}
	a.promisc = fd
	m := unix.PacketMreq{Ifindex: int32(a.index), Type: unix.PACKET_MR_PROMISC}
	if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &m); err != nil {
		return refusal("promiscuous mode", err)
	}
	return nil
}

// detach lets no further frame in, for all workers.
func (a *attachment) detach() {
	a.shutting.Do(func() {
		if a.on != nil {
			_ = a.on.Close()
		}
	})
}

// handed is how many frames the program gave to a worker.
func (a *attachment) handed(worker, workers int) (n uint64) {
	var each []uint64
	for q := range a.queues {
		if a.counts.Lookup(uint32(q*workers+worker), &each) == nil {
			for _, x := range each {
				n += x
			}
		}
	}
	return n
}

// leave closes a worker's sockets; the last one shuts the attachment.
func (a *attachment) leave(worker int) {
	for _, s := range a.sockets[worker] {
		s.close()
	}
	a.sockets[worker] = nil
	if a.users.Add(-1) == 0 {
		a.shut()
	}
}

func (a *attachment) shut() {
	a.detach()
	for w := range a.sockets {
		for _, s := range a.sockets[w] {
			s.close()
		}
		a.sockets[w] = nil
	}
	for _, x := range a.made {
		_ = x.Close()
	}
	if a.promisc >= 0 {
		_ = unix.Close(a.promisc)
		a.promisc = -1
	}
}
