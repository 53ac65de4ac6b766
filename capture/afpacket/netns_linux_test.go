package afpacket

import (
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/capture/cbpf"
	"github.com/dejpha/dejpha/capture/nettest"
)

// Tests on real interfaces run in two network namespaces of their own, joined by a veth pair, so that they see and
// touch nothing of the machine's.
const (
	experimental = 0x88b5 // EtherType for local experiments (IEEE 802)
	here, there  = "dv0", "dv1"
	patience     = 20 * time.Second
)

// wire is a pair of namespaces: a watches the interface here, b sends from the interface there.
type wire struct{ a, b string }

func newWire(t *testing.T) wire {
	t.Helper()
	n := nettest.Spaces(t, "a", "b")
	w := wire{n[0], n[1]}
	w.plug(t)
	return w
}

func (w wire) plug(t *testing.T) {
	t.Helper()
	nettest.Must(t, "ip", "-n", w.a, "link", "add", here, "type", "veth", "peer", "name", there, "netns", w.b)
	nettest.Must(t, "ip", "-n", w.a, "link", "set", here, "up")
	nettest.Must(t, "ip", "-n", w.b, "link", "set", there, "up")
}

// enter lets the calling goroutine live in a namespace; its thread ends with it.
func enter(t *testing.T, namespace string) {
	t.Helper()
	runtime.LockOSThread()
	fd, err := unix.Open("/run/netns/"+namespace, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		err = unix.Setns(fd, unix.CLONE_NEWNET)
		_ = unix.Close(fd)
	}
	if err != nil {
		t.Fatalf("cannot enter %s: %v", namespace, err)
	}
}

// frame makes a frame with a number in it; tci 0: without a tag.
func frame(number uint32, length int, tpid, tci uint16) []byte {
	b := []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}
	if tci != 0 {
		b = binary.BigEndian.AppendUint16(b, tpid)
		b = binary.BigEndian.AppendUint16(b, tci)
	}
	b = binary.BigEndian.AppendUint16(b, experimental)
	b = binary.BigEndian.AppendUint32(b, number)
	return append(b, make([]byte, max(length-len(b), 0))...)
}

// send puts frames on the wire, from number first on; each tenth has a VLAN tag.
func (w wire) send(t *testing.T, first, n uint32) {
	t.Helper()
	nettest.In(t, w.b, func() {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Errorf("sending: %v", err)
			return
		}
		defer unix.Close(fd)
		index, _, err := lookUp(there)
		if err != nil {
			t.Errorf("sending: %v", err)
			return
		}
		to := &unix.SockaddrLinklayer{Ifindex: index}
		for i := first; i < first+n; i++ {
			b := frame(i, 60+int(i%1400), 0x8100, 0)
			if i%10 == 0 {
				b = frame(i, 60+int(i%1400), tpidOf(i), 0x2001)
			}
			for tries := 0; ; tries++ {
				err := unix.Sendto(fd, b, 0, to)
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

func tpidOf(number uint32) uint16 {
	if number%20 == 0 {
		return 0x88a8
	}
	return 0x8100
}

// seen checks one of our frames against what was sent; ok is false for what the kernel says by itself.
func seen(t *testing.T, f *capture.Frame) (number uint32, ok bool) {
	t.Helper()
	b := f.Data
	if len(b) < 22 || f.LinkType != linkEthernet {
		t.Fatalf("%d bytes, link type %d", len(b), f.LinkType)
	}
	kind, rest := binary.BigEndian.Uint16(b[12:]), b[14:]
	tpid, tci := uint16(0), uint16(0)
	if kind == 0x8100 || kind == 0x88a8 {
		tpid, tci, kind, rest = kind, binary.BigEndian.Uint16(rest), binary.BigEndian.Uint16(rest[2:]), rest[4:]
	}
	if kind != experimental {
		return 0, false
	}
	number = binary.BigEndian.Uint32(rest)
	if number%10 == 0 && (tci != 0x2001 || tpid != tpidOf(number)) || number%10 != 0 && tpid != 0 {
		t.Errorf("frame %d: tag %04x %04x", number, tpid, tci)
	}
	if len(b) != 60+int(number%1400) || int(f.WireLen) != len(b) {
		t.Errorf("frame %d: %d bytes, %d on the wire", number, len(b), f.WireLen)
	}
	return number, true
}

// listener reads a source in the watched namespace until told to end.
type listener struct {
	stop   chan struct{}
	ended  chan struct{}
	ours   atomic.Uint32
	idles  atomic.Uint32
	all    uint64
	stats  capture.Stats
	events chan string
}

func now() int64 { return time.Now().UnixNano() }

// listen checks that our frames come in order, each once, stamped when they came.
func (w wire) listen(t *testing.T, o Options, interfaces ...string) *listener {
	t.Helper()
	l := &listener{stop: make(chan struct{}), ended: make(chan struct{}), events: make(chan string, 64)}
	o.Interfaces, o.Now, o.Say = interfaces, now, func(s string) { l.events <- s }
	opened, began := make(chan error), now()
	go func() {
		defer close(l.ended)
		enter(t, w.a)
		src, err := Open(o)
		opened <- err
		if err == nil {
			l.read(t, src, began)
		}
	}()
	if err := <-opened; err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *listener) read(t *testing.T, src capture.Live, began int64) {
	defer src.Close()
	var f capture.Frame
	last := -1
	stop := l.stop
	for {
		select {
		case <-stop:
			src.Stop()
			stop = nil
		default:
		}
		switch err := src.Next(&f); {
		case errors.Is(err, io.EOF):
			l.stats = src.Stats()
			return
		case errors.Is(err, capture.ErrIdle):
			l.idles.Add(1)
			if f.Time < began-1e9 || f.Time > now() {
				t.Errorf("idle at %d, ns %d after the start", f.Time, f.Time-began)
			}
			continue
		case err != nil:
			t.Error(err)
			return
		}
		l.all++
		if t.Failed() {
			continue // once is enough
		}
		number, ours := seen(t, &f)
		if !ours {
			continue
		}
		if int(number) <= last {
			t.Errorf("frame %d after %d", number, last)
		}
		if f.Time < began-1e6 || f.Time > now() {
			t.Errorf("frame %d stamped %d ns after the start", number, f.Time-began)
		}
		last = int(number)
		l.ours.Add(1)
	}
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// told waits for a message about an interface.
func (l *listener) told(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-l.events:
		if !strings.Contains(got, want) {
			t.Fatalf("told %q, expected %q", got, want)
		}
	case <-time.After(patience):
		t.Fatalf("was not told %q", want)
	}
}

// end stops the listener and checks that every frame has one fate.
func (l *listener) end(t *testing.T) {
	t.Helper()
	close(l.stop)
	select {
	case <-l.ended:
	case <-time.After(patience):
		t.Fatal("does not stop")
	}
	if s := l.stats; s.Received != l.all+s.Dropped+s.Skipped+s.Damaged || s.Damaged != 0 {
		t.Errorf("%d frames read, the kernel counts %+v", l.all, s)
	}
	select {
	case e := <-l.events:
		t.Errorf("told %q besides", e)
	default:
	}
}

func TestEveryFrameIsRead(t *testing.T) {
	w := newWire(t)
	const n = 30000
	began := time.Now()
	l := w.listen(t, Options{}, here)
	w.send(t, 1, n)
	sent := time.Since(began)
	until(t, "all frames", func() bool { return l.ours.Load() == n })
	quiet := l.idles.Load()
	time.Sleep(350 * time.Millisecond)
	if l.idles.Load() == quiet {
		t.Error("time does not pass on a quiet wire")
	}
	began = time.Now()
	l.end(t)
	if d := time.Since(began); d > 2*time.Second {
		t.Errorf("took %v to stop", d)
	}
	if l.stats.Dropped != 0 {
		t.Errorf("%+v", l.stats)
	}
	t.Logf("%d frames in %v, none lost", n, sent)
}

// A ring that nobody reads overflows; the kernel's count of what was lost and the frames in the ring are everything.
func TestLossIsCounted(t *testing.T) {
	w := newWire(t)
	const n = 5000
	nettest.In(t, w.a, func() {
		src, err := Open(Options{Interfaces: []string{here}, Now: now, BlockBytes: blockLeast, Blocks: blocksLeast})
		if err != nil {
			t.Error(err)
			return
		}
		defer src.Close()
		w.send(t, 1, n)
		src.Stop()
		var f capture.Frame
		read, ours := uint64(0), uint64(0)
		for err = src.Next(&f); err == nil; err = src.Next(&f) {
			read++
			if _, ok := seen(t, &f); ok {
				ours++
			}
		}
		s := src.Stats()
		if !errors.Is(err, io.EOF) || s.Dropped == 0 || s.Received != read+s.Dropped || s.Received < n || ours == 0 {
			t.Errorf("%v: %d read, %d ours, %+v", err, read, ours, s)
		}
		t.Logf("%d sent, %d read, %d dropped", n, read, s.Dropped)
	})
}

func TestInterfaceComesAndGoes(t *testing.T) {
	w := newWire(t)
	l := w.listen(t, Options{}, here)
	next := uint32(1)
	arrive := func(what string) {
		t.Helper()
		w.send(t, next, 50)
		next += 50
		until(t, "frames "+what, func() bool { return l.ours.Load() == next-1 })
	}
	arrive("at first")
	nettest.Must(t, "ip", "-n", w.a, "link", "set", here, "down")
	l.told(t, here+" is down")
	nettest.Must(t, "ip", "-n", w.a, "link", "set", here, "up")
	l.told(t, here+" is up again")
	arrive("after it came up")

	nettest.Must(t, "ip", "-n", w.a, "link", "set", here, "down")
	nettest.Must(t, "ip", "-n", w.a, "link", "set", here, "name", "dv9")
	l.told(t, here+" is down")
	nettest.Must(t, "ip", "-n", w.a, "link", "set", "dv9", "up")
	l.told(t, here+" is up again")
	arrive("under another name")
	nettest.Must(t, "ip", "-n", w.a, "link", "set", "dv9", "down")
	l.told(t, here+" is down")
	nettest.Must(t, "ip", "-n", w.a, "link", "set", "dv9", "name", here)

	nettest.Must(t, "ip", "-n", w.a, "link", "del", here)
	l.told(t, here+" is gone")
	w.plug(t)
	l.told(t, here+" is back")
	arrive("from the new interface")
	l.end(t)
}

// What is not up yet is waited for, too.
func TestInterfaceThatIsDownAtFirst(t *testing.T) {
	w := newWire(t)
	nettest.Must(t, "ip", "-n", w.a, "link", "set", here, "down")
	l := w.listen(t, Options{}, here)
	l.told(t, here+" is down")
	nettest.Must(t, "ip", "-n", w.a, "link", "set", here, "up")
	l.told(t, here+" is up again")
	w.send(t, 1, 50)
	until(t, "frames", func() bool { return l.ours.Load() == 50 })
	l.end(t)
}

// On loopback every packet passes twice; it is read once.
func TestLoopbackIsReadOnce(t *testing.T) {
	w := newWire(t)
	nettest.Must(t, "ip", "-n", w.a, "link", "set", "lo", "up")
	nettest.In(t, w.a, func() {
		src, err := Open(Options{Interfaces: []string{"lo", here}, Now: now})
		if err != nil {
			t.Error(err)
			return
		}
		defer src.Close()
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer unix.Close(fd)
		const n = 100
		for range n { // nobody listens there: each is answered by an ICMP error, which is read, too
			_ = unix.Sendto(fd, []byte("once"), 0, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{127, 0, 0, 1}})
		}
		src.Stop()
		var f capture.Frame
		datagrams := 0
		for err = src.Next(&f); err == nil; err = src.Next(&f) {
			if f.LinkType != linkEthernet {
				t.Errorf("link type %d", f.LinkType)
			}
			if f.Interface == 0 && len(f.Data) == 14+20+8+4 && f.Data[14+9] == unix.IPPROTO_UDP {
				datagrams++
			}
		}
		if datagrams != n {
			t.Errorf("%d datagrams of %d", datagrams, n)
		}
	})
}

// Frames of several interfaces come in the order of their stamps, as far as all of them lie in the rings.
func TestInterfacesAreMerged(t *testing.T) {
	w := newWire(t)
	nettest.Must(t, "ip", "-n", w.a, "link", "set", "lo", "up")
	nettest.In(t, w.a, func() {
		src, err := Open(Options{Interfaces: []string{"lo", here}, Now: now})
		if err != nil {
			t.Error(err)
			return
		}
		defer src.Close()
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer unix.Close(fd)
		const rounds = 20
		for i := range uint32(rounds) {
			w.send(t, i+1, 1)
			_ = unix.Sendto(fd, []byte("between"), 0, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{127, 0, 0, 1}})
		}
		time.Sleep(10 * defaultRetire) // all blocks are handed over
		src.Stop()
		var f capture.Frame
		var order []byte
		last := int64(0)
		for err = src.Next(&f); err == nil; err = src.Next(&f) {
			if f.Time < last {
				t.Errorf("%s: %d ns back", src.Interfaces()[f.Interface], last-f.Time)
			}
			if last = f.Time; f.Interface == 0 && f.Data[14+9] == unix.IPPROTO_UDP {
				order = append(order, 'l')
			} else if _, ours := seen(t, &f); ours {
				order = append(order, 'w')
			}
		}
		if string(order) != strings.Repeat("wl", rounds) {
			t.Errorf("%s", order)
		}
	})
}

// A tunnel's packets begin with the IP header.
func TestTunnelIsRaw(t *testing.T) {
	w := newWire(t)
	nettest.In(t, w.a, func() {
		tun, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Skipf("no tunnels here: %v", err)
		}
		defer unix.Close(tun)
		ifr, _ := unix.NewIfreq("dt0")
		ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		if err := unix.IoctlIfreq(tun, unix.TUNSETIFF, ifr); err != nil {
			t.Skipf("no tunnels here: %v", err)
		}
		nettest.Must(t, "ip", "-n", w.a, "link", "set", "dt0", "up")
		src, err := Open(Options{Interfaces: []string{"dt0"}, Now: now})
		if err != nil {
			t.Error(err)
			return
		}
		defer src.Close()
		packet := []byte{0x45, 0, 0, 20, 0, 1, 0, 0, 64, 99, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2}
		if _, err := unix.Write(tun, packet); err != nil {
			t.Error(err)
		}
		src.Stop()
		var f capture.Frame
		found := false
		for err = src.Next(&f); err == nil; err = src.Next(&f) {
			found = found || string(f.Data) == string(packet) && f.LinkType == linkRaw
		}
		if !found {
			t.Error("the packet was not read as raw IP")
		}
	})
}

func TestFilterAndSnaplen(t *testing.T) {
	w := newWire(t)
	nettest.In(t, w.a, func() {
		ours := []cbpf.Instruction{{Op: 0x28, K: 12}, {Op: 0x15, Jf: 1, K: experimental}, {Op: 0x06, K: 40}, {Op: 0x06}}
		src, err := Open(Options{Interfaces: []string{here}, Now: now, Filters: map[string][]cbpf.Instruction{here: ours}})
		if err != nil {
			t.Error(err)
			return
		}
		defer src.Close()
		w.send(t, 1, 9)
		src.Stop()
		var f capture.Frame
		n := uint32(0)
		for err = src.Next(&f); err == nil; err = src.Next(&f) {
			if n++; len(f.Data) != 40 || f.WireLen != 60+n {
				t.Errorf("frame %d: %d bytes of %d", n, len(f.Data), f.WireLen)
			}
		}
		if n != 9 {
			t.Errorf("%d frames", n)
		}
	})
}

func TestWhatCannotBeWatched(t *testing.T) {
	w := newWire(t)
	nettest.In(t, w.a, func() {
		_, err := Open(Options{Interfaces: []string{"nothing0"}, Now: now})
		var unknown *capture.UnknownInterfaceError
		if !errors.As(err, &unknown) || !strings.Contains(err.Error(), here) {
			t.Errorf("%v", err)
		}
		_, err = Open(Options{Interfaces: []string{"a name much longer than any"}, Now: now})
		if !errors.As(err, &unknown) {
			t.Errorf("%v", err)
		}
	})
	for _, o := range []Options{
		{}, {Interfaces: []string{"lo"}}, {Interfaces: make([]string, interfacesMax+1), Now: now},
		{Interfaces: []string{"lo"}, Now: now, BlockBytes: 100000}, {Interfaces: []string{"lo"}, Now: now, Blocks: 1},
		{Interfaces: []string{"lo"}, Now: now, Filters: map[string][]cbpf.Instruction{"lo": make([]cbpf.Instruction, cbpf.InstructionsMost+1)}},
	} {
		if _, err := Open(o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}
