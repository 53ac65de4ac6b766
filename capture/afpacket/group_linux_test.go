package afpacket

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/capture/cbpf"
	"github.com/dejpha/dejpha/capture/nettest"
)

// Frames of the fanout tests end with their pair's number behind this mark.
const mark = 0x64657068

// team is several workers, each at its source, that note which pairs they saw.
type team struct {
	halt   chan struct{}
	done   sync.WaitGroup
	events chan string

	mu    sync.Mutex
	where map[uint32]int // pair -> worker
	count []uint64       // marked frames, by worker
	read  uint64
	stats capture.Stats
	split []string
}

// quiet keeps the kernel's own packets off the wire, so that every count is exact.
func (w wire) quiet(t *testing.T) {
	t.Helper()
	for _, n := range []string{w.a, w.b} {
		nettest.Must(t, "ip", "netns", "exec", n, "sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6")
	}
}

func (w wire) team(t *testing.T, o Options, n int, interfaces ...string) *team {
	t.Helper()
	m := &team{halt: make(chan struct{}), events: make(chan string, 64), where: map[uint32]int{}, count: make([]uint64, n)}
	o.Interfaces, o.Now, o.Say = interfaces, now, func(s string) { m.events <- s }
	var sources []capture.Live
	nettest.In(t, w.a, func() {
		var err error
		if sources, err = OpenGroup(o, n); err != nil {
			t.Error(err)
		}
	})
	for i, s := range sources {
		m.done.Add(1)
		go func() {
			defer m.done.Done()
			enter(t, w.a)
			m.follow(t, s, i)
		}()
	}
	return m
}

func (m *team) follow(t *testing.T, s capture.Live, worker int) {
	defer s.Close()
	var f capture.Frame
	halt := m.halt
	for {
		select {
		case <-halt:
			s.Stop()
			halt = nil
		default:
		}
		err := s.Next(&f)
		switch {
		case errors.Is(err, capture.ErrIdle):
			continue
		case errors.Is(err, io.EOF):
			m.mu.Lock()
			x := s.Stats()
			m.stats.Received += x.Received
			m.stats.Dropped += x.Dropped
			m.stats.Damaged += x.Damaged
			m.mu.Unlock()
			return
		case err != nil:
			t.Error(err)
			return
		}
		m.mu.Lock()
		m.note(f.Data, worker)
		m.mu.Unlock()
	}
}

func (m *team) note(b []byte, worker int) {
	m.read++
	n := len(b)
	if n < 12 || binary.BigEndian.Uint32(b[n-12:]) != mark {
		return
	}
	pair, kind := binary.BigEndian.Uint32(b[n-8:]), binary.BigEndian.Uint32(b[n-4:])
	m.count[worker]++
	if first, known := m.where[pair]; known && first != worker {
		m.split = append(m.split, fmt.Sprintf("pair %d: %s came to worker %d, others to %d", pair, kinds[kind].name, worker, first))
	} else {
		m.where[pair] = worker
	}
}

func (m *team) marked() (all uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range m.count {
		all += n
	}
	return all
}

// end stops the workers and checks that every frame has one fate and every pair one worker.
func (m *team) end(t *testing.T) {
	t.Helper()
	close(m.halt)
	m.done.Wait()
	if s := m.stats; s.Received != m.read+s.Dropped+s.Skipped || s.Damaged != 0 {
		t.Errorf("%d frames read, the kernel counts %+v", m.read, s)
	}
	for _, s := range m.split {
		t.Error(s)
	}
}

// host is the last byte of an address, each end of a pair in a network of its own.
type host byte

func (h host) four() []byte {
	if h < 100 {
		return []byte{10, 0, byte(h), 1}
	}
	return []byte{192, 0, 2, byte(h)}
}

func (h host) six() []byte {
	return []byte{0x20, 1, 0xd, 0xb8, 0, 0, 0, byte(h), 0, 0, 0, 0, 0, 0, 0, 1}
}

const router = host(255)

// kinds make frames between two hosts, all of which one worker must see.
var kinds = []struct {
	name string
	six  bool // another pair, of IPv6
	make func(a, b host) []byte
}{
	{"UDP", false, func(a, b host) []byte { return ether(0x0800, ip4(17, 0, a, b, ports(a, b))) }},
	{"UDP back", false, func(a, b host) []byte { return ether(0x0800, ip4(17, 0, b, a, ports(b, 99))) }},
	{"TCP", false, func(a, b host) []byte { return ether(0x0800, ip4(6, 0, a, b, make([]byte, 20))) }},
	{"a later fragment", false, func(a, b host) []byte { return ether(0x0800, ip4(17, 0x2005, a, b, make([]byte, 32))) }},
	{"a later fragment that looks like an ICMP error", false, func(a, b host) []byte {
		return ether(0x0800, ip4(1, 5, a, b, append([]byte{3, 1, 0, 0, 0, 0, 0, 0}, ip4(17, 0, b, router, ports(a, b))...)))
	}},
	{"an echo", false, func(a, b host) []byte { return ether(0x0800, ip4(1, 0, a, b, []byte{8, 0, 0, 0, 0, 1, 0, 1})) }},
	{"an error of a router", false, func(a, b host) []byte {
		return ether(0x0800, ip4(1, 0, router, a, append([]byte{11, 0, 0, 0, 0, 0, 0, 0}, ip4(17, 0, a, b, ports(a, b))...)))
	}},
	{"VLAN", false, func(a, b host) []byte { return ether(0x8100, tagged(7, 0x0800, ip4(17, 0, a, b, ports(a, b)))) }},
	{"two VLAN tags", false, func(a, b host) []byte {
		return ether(0x88a8, tagged(7, 0x8100, tagged(8, 0x0800, ip4(17, 0, b, a, ports(a, b)))))
	}},
	{"three VLAN tags", false, func(a, b host) []byte {
		return ether(0x88a8, tagged(7, 0x8100, tagged(8, 0x8100, tagged(9, 0x0800, ip4(17, 0, b, a, ports(a, b))))))
	}},
	{"PPPoE", false, func(a, b host) []byte {
		return ether(0x8864, append([]byte{0x11, 0, 0, 1, 0, 60, 0, 0x21}, ip4(17, 0, a, b, ports(a, b))...))
	}},
	{"two MPLS labels", false, func(a, b host) []byte {
		return ether(0x8847, append([]byte{0, 1, 0, 64, 0, 2, 1, 64}, ip4(17, 0, a, b, ports(a, b))...))
	}},
	{"options", false, func(a, b host) []byte {
		p := ip4(17, 0, a, b, append([]byte{1, 1, 1, 0}, ports(a, b)...))
		p[0] = 0x46
		return ether(0x0800, p)
	}},
	{"a tunnel to another host", false, func(a, b host) []byte { return ether(0x0800, ip4(4, 0, a, b, ip4(17, 0, b, router, ports(a, b)))) }},
	{"UDP of IPv6", true, func(a, b host) []byte { return ether(0x86dd, ip6(17, a, b, ports(a, b))) }},
	{"UDP of IPv6 back", true, func(a, b host) []byte { return ether(0x86dd, ip6(17, b, a, ports(9, b))) }},
	{"a later fragment of IPv6", true, func(a, b host) []byte {
		return ether(0x86dd, ip6(44, a, b, []byte{17, 0, 0, 8, 0, 0, 0, 1, 7, 7, 7, 7, 7, 7, 7, 7}))
	}},
	{"an error of IPv6 of a router", true, func(a, b host) []byte {
		return ether(0x86dd, ip6(58, router, a, append([]byte{3, 0, 0, 0, 0, 0, 0, 0}, ip6(17, a, b, ports(a, b))...)))
	}},
	{"a neighbour's question", true, func(a, b host) []byte {
		return ether(0x86dd, ip6(58, b, a, append([]byte{135, 0}, make([]byte, 22)...)))
	}},
	{"VLAN of IPv6", true, func(a, b host) []byte { return ether(0x8100, tagged(5, 0x86dd, ip6(6, a, b, make([]byte, 20)))) }},
}

func ether(kind uint16, rest []byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}, kind), rest...)
}

func tagged(id, kind uint16, rest []byte) []byte {
	return append(binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, id), kind), rest...)
}

func ip4(proto byte, fragment uint16, src, dst host, rest []byte) []byte {
	p := []byte{0x45, 0, 0, byte(20 + len(rest)), 0, 1, byte(fragment >> 8), byte(fragment), 64, proto, 0, 0}
	return slices.Concat(p, src.four(), dst.four(), rest)
}

func ip6(next byte, src, dst host, rest []byte) []byte {
	return slices.Concat([]byte{0x60, 0, 0, 0, 0, byte(len(rest)), next, 64}, src.six(), dst.six(), rest)
}

func ports(a, b host) []byte { return []byte{4, byte(a), 0, byte(b), 0, 8, 0, 0} }

// put sends frames on an interface of a namespace.
func put(t *testing.T, namespace, name string, frames [][]byte) {
	t.Helper()
	nettest.In(t, namespace, func() {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Errorf("sending: %v", err)
			return
		}
		defer unix.Close(fd)
		index, _, err := lookUp(name)
		if err != nil {
			t.Errorf("sending: %v", err)
			return
		}
		for i, b := range frames {
			for tries := 0; ; tries++ {
				err := unix.Sendto(fd, b, 0, &unix.SockaddrLinklayer{Ifindex: index})
				if err == nil {
					break
				}
				if !errors.Is(err, unix.ENOBUFS) || tries == 1000 {
					t.Errorf("sending frame %d: %v", i, err)
					return
				}
				time.Sleep(time.Millisecond)
			}
		}
	})
}

const pairs = 64

// conversations are frames of every kind for each pair.
func conversations() (all [][]byte) {
	for n := range uint32(pairs) {
		for k, x := range kinds {
			pair := n
			if x.six {
				pair += pairs
			}
			all = append(all, marked(x.make(host(1+n), host(100+2*n)), pair, uint32(k)))
		}
	}
	return all
}

func marked(b []byte, pair, kind uint32) []byte {
	b = binary.BigEndian.AppendUint32(b, mark)
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, pair), kind)
}

func TestPairsStayWithTheirWorker(t *testing.T) {
	w := newWire(t)
	w.quiet(t)
	all := conversations()
	m := w.team(t, Options{}, 3, here)
	put(t, w.b, there, all)
	put(t, w.a, here, all) // what this machine sends is seen, too, and begins elsewhere in the kernel's buffer
	until(t, "all frames", func() bool { return m.marked() == uint64(2*len(all)) })
	m.end(t)
	if m.stats.Dropped != 0 || m.stats.Received != uint64(2*len(all)) {
		t.Errorf("%+v of %d", m.stats, 2*len(all))
	}
	for i, n := range m.count {
		if n == 0 {
			t.Errorf("worker %d got nothing", i)
		}
	}
	t.Logf("%v", m.count)
}

// What is not IP goes to the first worker, whatever it is.
func TestTheRestGoesToTheFirstWorker(t *testing.T) {
	w := newWire(t)
	w.quiet(t)
	m := w.team(t, Options{}, 3, here)
	var all [][]byte
	for range 50 { // the mark fills up headers that are cut short, but not as far as the addresses
		all = append(all, frame(1, 60, 0, 0), ether(0x0806, make([]byte, 28)), ether(0x0800, []byte{0x45, 0, 0}), ether(0x86dd, nil), ether(0x8100, []byte{0}))
	}
	for i := range all {
		all[i] = marked(all[i], uint32(i), 0)
	}
	put(t, w.b, there, all)
	until(t, "all frames", func() bool { return m.marked() == uint64(len(all)) })
	m.end(t)
	if m.count[0] != uint64(len(all)) {
		t.Errorf("%v", m.count)
	}
}

// Rings that nobody reads overflow; what the kernel counts as lost and what lies in the rings is all that was sent.
func TestLossOfSeveralRingsIsCounted(t *testing.T) {
	w := newWire(t)
	w.quiet(t)
	all := slices.Repeat(conversations(), 40)
	nettest.In(t, w.a, func() {
		sources, err := OpenGroup(Options{Interfaces: []string{here}, Now: now, BlockBytes: blockLeast, Blocks: blocksLeast}, 3)
		if err != nil {
			t.Error(err)
			return
		}
		put(t, w.b, there, all)
		var sum capture.Stats
		read := uint64(0)
		for _, s := range sources {
			s.Stop()
			var f capture.Frame
			for err = s.Next(&f); err == nil; err = s.Next(&f) {
				read++
			}
			x := s.Stats()
			if x.Dropped == 0 {
				t.Errorf("%+v", x)
			}
			sum.Received += x.Received
			sum.Dropped += x.Dropped
			_ = s.Close()
		}
		if sum.Received != uint64(len(all)) || read+sum.Dropped != uint64(len(all)) {
			t.Errorf("%d sent, %d read, %+v", len(all), read, sum)
		}
	})
}

func TestWorkersFollowTheInterface(t *testing.T) {
	w := newWire(t)
	w.quiet(t)
	all := conversations()
	m := w.team(t, Options{}, 3, here)
	l := listener{events: m.events}
	sent := uint64(0)
	arrive := func(what string) {
		t.Helper()
		put(t, w.b, there, all)
		sent += uint64(len(all))
		until(t, "frames "+what, func() bool { return m.marked() == sent })
	}
	arrive("at first")
	nettest.Must(t, "ip", "-n", w.a, "link", "set", here, "down")
	l.told(t, here+" is down")
	nettest.Must(t, "ip", "-n", w.a, "link", "set", here, "name", "dv9")
	nettest.Must(t, "ip", "-n", w.a, "link", "set", "dv9", "up")
	l.told(t, here+" is up again")
	arrive("under another name")
	m.mu.Lock()
	if len(m.split) > 0 {
		t.Errorf("pairs changed their worker: %s", m.split[0])
	}
	m.mu.Unlock()
	nettest.Must(t, "ip", "-n", w.a, "link", "set", "dv9", "down")
	l.told(t, here+" is down")
	nettest.Must(t, "ip", "-n", w.a, "link", "set", "dv9", "name", here)
	nettest.Must(t, "ip", "-n", w.a, "link", "del", here)
	l.told(t, here+" is gone")
	w.plug(t)
	l.told(t, here+" is back")
	time.Sleep(2 * time.Duration(askEvery)) // the other workers look, too
	arrive("from the new interface")
	m.end(t)
}

// An interface that is down at the start is watched once it is up, by all workers.
func TestWorkersWaitForTheInterface(t *testing.T) {
	w := newWire(t)
	w.quiet(t)
	nettest.Must(t, "ip", "-n", w.a, "link", "set", here, "down")
	m := w.team(t, Options{}, 2, here)
	l := listener{events: m.events}
	l.told(t, here+" is down")
	nettest.Must(t, "ip", "-n", w.a, "link", "set", here, "up")
	l.told(t, here+" is")
	time.Sleep(2 * time.Duration(askEvery))
	all := conversations()
	put(t, w.b, there, all)
	until(t, "frames", func() bool { return m.marked() == uint64(len(all)) })
	m.end(t)
}

// An expression is compiled for the interface it stands for, and each worker's ring has it.
func TestExpressionFiltersForAllWorkers(t *testing.T) {
	if _, err := exec.LookPath("tcpdump"); err != nil {
		t.Skip("needs tcpdump (Debian package)")
	}
	w := newWire(t)
	w.quiet(t)
	var code []cbpf.Instruction
	nettest.In(t, w.a, func() {
		var err error
		if code, err = cbpf.ReadFilter(here, "udp and net 10.0.0.0/8"); err != nil {
			t.Error(err)
		}
		var wrong *cbpf.FilterError
		if _, err = cbpf.ReadFilter(here, "no such thing"); !errors.As(err, &wrong) {
			t.Errorf("%v", err)
		}
	})
	m := w.team(t, Options{Filters: map[string][]cbpf.Instruction{here: code}}, 3, here)
	var all [][]byte
	for n := range uint32(pairs) {
		all = append(all, marked(kinds[0].make(host(1+n), host(100+2*n)), n, 0), marked(kinds[2].make(host(1+n), host(100+2*n)), n, 2))
	}
	put(t, w.b, there, all)
	until(t, "the datagrams", func() bool { return m.marked() == pairs })
	m.end(t)
	if m.stats.Received != pairs {
		t.Errorf("%+v", m.stats)
	}
}

// A program that the kernel will not run is the user's mistake.
func TestKernelRefusesADamagedFilter(t *testing.T) {
	w := newWire(t)
	nettest.In(t, w.a, func() {
		for _, n := range []int{1, 2} {
			_, err := OpenGroup(Options{Interfaces: []string{here}, Now: now, Filters: map[string][]cbpf.Instruction{here: {{Op: 0x28, K: 12}}}}, n)
			var wrong *cbpf.FilterError
			if !errors.As(err, &wrong) {
				t.Errorf("%d workers: %v", n, err)
			}
		}
	})
}
