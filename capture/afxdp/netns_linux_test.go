package afxdp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/capture/cbpf"
	"github.com/dejpha/dejpha/capture/nettest"
)

const patience = 20 * time.Second

func now() int64 { return time.Now().UnixNano() }

// heard is what several workers, each at its source, saw.
type heard struct {
	mu    sync.Mutex
	pairs map[uint32]int // pair -> worker
	split []uint32       // pairs that two workers saw
	wrong []string
	count []uint64 // frames of ours, by worker
	stats capture.Stats
	said  []string
}

func (h *heard) say(s string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.said = append(h.said, s)
}

func (h *heard) total() (n uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.count {
		n += c
	}
	return n
}

// until waits for what will come; that it does not come is a failure, not a slow machine's fault.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// listen takes the frames of the shield's left interface until the returned function is called.
func listen(t *testing.T, l *nettest.Line, o Options, workers int) (*heard, func()) {
	t.Helper()
	h := &heard{pairs: map[uint32]int{}, count: make([]uint64, workers)}
	o.Interfaces, o.Now, o.Say, o.Wait = []string{nettest.Left}, now, h.say, 10*time.Millisecond
	var sources []capture.Live
	var err error
	nettest.In(t, l.Shield, func() { sources, err = OpenGroup(o, workers) })
	if errors.Is(err, ErrKernel) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var done sync.WaitGroup
	for w, s := range sources {
		done.Add(1)
		go func() {
			defer done.Done()
			nettest.In(t, l.Shield, func() { h.follow(s, w, stop) }) // the interface is opened anew from here
		}()
	}
	end := sync.OnceFunc(func() { close(stop); done.Wait() })
	t.Cleanup(end)
	return h, end
}

func (h *heard) follow(s capture.Live, w int, stop <-chan struct{}) {
	defer s.Close()
	var f capture.Frame
	for {
		select {
		case <-stop:
			s.Stop()
			stop = nil
		default:
		}
		err := s.Next(&f)
		if errors.Is(err, io.EOF) {
			st := s.Stats()
			h.mu.Lock()
			h.stats.Received += st.Received
			h.stats.Dropped += st.Dropped
			h.stats.Damaged += st.Damaged
			h.mu.Unlock()
			return
		}
		if err == nil {
			h.note(&f, w)
		}
	}
}

func (h *heard) note(f *capture.Frame, w int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.count[w]++
	pair := binary.BigEndian.Uint32(f.Data[len(f.Data)-4:])
	if at, seen := h.pairs[pair]; seen && at != w {
		h.split = append(h.split, pair)
	}
	h.pairs[pair] = w
	if late := now() - f.Time; late < -int64(time.Second) || late > int64(patience) {
		h.wrong = append(h.wrong, fmt.Sprintf("stamped %v ago", time.Duration(late)))
	}
	if want := datagram(pair, f.Data[14+15]&1 == 1, f.Data[37] == 53); string(want) != string(f.Data) {
		h.wrong = append(h.wrong, fmt.Sprintf("% x, sent % x", f.Data, want))
	}
}

// datagram is a frame of a pair of addresses, in one direction or the other, to port 53 or another.
func datagram(pair uint32, back, dns bool) []byte {
	b := make([]byte, 14+20+8+18)
	copy(b, "\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x01\x08\x00")
	ip := b[14:]
	copy(ip, "\x45\x00\x00\x2e\x00\x00\x00\x00\x40\x11\x00\x00")
	src, dst := ip[12:16], ip[16:20]
	if back {
		src, dst = dst, src
	}
	binary.BigEndian.PutUint32(src, 0xc6120000+pair*2)
	binary.BigEndian.PutUint32(dst, 0xc6130001+pair*2)
	port := uint16(9000)
	if dns {
		port = 53
	}
	binary.BigEndian.PutUint16(ip[20:], 40000)
	binary.BigEndian.PutUint16(ip[22:], port)
	binary.BigEndian.PutUint16(ip[24:], 26)
	binary.BigEndian.PutUint32(b[len(b)-4:], pair)
	return b
}

// send puts frames on the wire from the attacker's end.
func send(t *testing.T, l *nettest.Line, frames [][]byte) {
	t.Helper()
	nettest.In(t, l.Attacker, func() {
		dev, err := net.InterfaceByName("eth")
		if err != nil {
			t.Error(err)
			return
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer unix.Close(fd)
		to := &unix.SockaddrLinklayer{Ifindex: dev.Index}
		for _, f := range frames {
			err := unix.Sendto(fd, f, 0, to)
			for errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.EAGAIN) {
				time.Sleep(time.Millisecond)
				err = unix.Sendto(fd, f, 0, to)
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
}

func traffic(frames, pairs int) [][]byte {
	all := make([][]byte, frames)
	for i := range all {
		all[i] = datagram(uint32(i%pairs), i/pairs%2 == 1, i/pairs%3 == 1)
	}
	return all
}

// Each frame comes once, whole and stamped, all of a pair to one worker, and the counts are the sender's.
func TestFramesAreTaken(t *testing.T) {
	for _, generic := range []bool{false, true} {
		for _, workers := range []int{1, 3} {
			t.Run(fmt.Sprintf("generic=%v,workers=%d", generic, workers), func(t *testing.T) {
				l := nettest.Routed(t)
				h, end := listen(t, l, Options{Generic: generic}, workers)
				const n = 6000
				all := traffic(n, 200)
				for len(all) > 0 { // less at once than a ring holds
					send(t, l, all[:500])
					all = all[500:]
					sent := uint64(n - len(all))
					until(t, fmt.Sprintf("%d frames", sent), func() bool { return h.total() >= sent })
				}
				end()
				if len(h.wrong) > 0 {
					t.Errorf("%d wrong frames, one of them: %s", len(h.wrong), h.wrong[0])
				}
				if len(h.split) > 0 || len(h.pairs) != 200 {
					t.Errorf("%d pairs, of which %d came to two workers", len(h.pairs), len(h.split))
				}
				if h.total() != n || h.stats != (capture.Stats{Received: n}) {
					t.Errorf("%d frames, %+v, of %d", h.total(), h.stats, n)
				}
				for w, c := range h.count {
					if c == 0 {
						t.Errorf("worker %d had nothing", w)
					}
				}
			})
		}
	}
}

// What does not fit the rings is counted: received is what was sent, and what is not yielded was dropped.
func TestLossIsCounted(t *testing.T) {
	l := nettest.Routed(t)
	var sources []capture.Live
	var err error
	nettest.In(t, l.Shield, func() {
		sources, err = OpenGroup(Options{Interfaces: []string{nettest.Left}, Now: now, Frames: framesLeast}, 1)
	})
	if errors.Is(err, ErrKernel) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	s := sources[0]
	defer s.Close()
	const n = 3000
	send(t, l, traffic(n, 10))
	until(t, "all frames were handed over", func() bool { return s.Stats().Received == n })
	if d := s.Stats().Dropped; d != n-framesLeast {
		t.Errorf("%d dropped while it runs, expected %d", d, n-framesLeast)
	}
	s.Stop()
	yielded := 0
	var f capture.Frame
	for err = s.Next(&f); err == nil || errors.Is(err, capture.ErrIdle); err = s.Next(&f) {
		if err == nil {
			yielded++
		}
	}
	if want := (capture.Stats{Received: n, Dropped: n - framesLeast}); yielded != framesLeast || s.Stats() != want || !errors.Is(err, io.EOF) {
		t.Errorf("%d yielded, %+v, %v", yielded, s.Stats(), err)
	}
}

// A reader that never idles gives frames back, too.
func TestABusyReaderGivesFramesBack(t *testing.T) {
	l := nettest.Routed(t)
	var sources []capture.Live
	var err error
	nettest.In(t, l.Shield, func() {
		sources, err = OpenGroup(Options{Interfaces: []string{nettest.Left}, Now: now, Frames: framesLeast}, 1)
	})
	if errors.Is(err, ErrKernel) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	s := sources[0]
	defer s.Close()
	var f capture.Frame
	for i, n := range []int{framesLeast, framesLeast - 2*returnBatch, framesLeast - 2*returnBatch} {
		before := s.Stats().Received
		send(t, l, traffic(n, 10))
		until(t, "they were handed over", func() bool { return s.Stats().Received == before+uint64(n) })
		for range n {
			if err := s.Next(&f); err != nil {
				t.Fatalf("burst %d: %v, %+v", i, err, s.Stats())
			}
		}
	}
	if d := s.Stats().Dropped; d != 0 {
		t.Errorf("%d dropped", d)
	}
}

// What the filter does not match goes on into the machine's own network.
func TestTheFilterLeavesTheRestToTheMachine(t *testing.T) {
	l := nettest.Routed(t)
	filter := []cbpf.Instruction{{Op: 0x28, K: 36}, {Op: 0x15, Jf: 1, K: 53}, {Op: 0x06, K: 1}, {Op: 0x06}} // to port 53
	h, end := listen(t, l, Options{Filters: map[string][]cbpf.Instruction{nettest.Left: filter}}, 1)
	heard := make(chan string, 1)
	nettest.In(t, l.Shield, func() {
		c, err := net.ListenPacket("udp4", "10.77.1.1:9999")
		if err != nil {
			t.Error(err)
			return
		}
		go func() {
			defer c.Close()
			_ = c.SetReadDeadline(time.Now().Add(patience))
			b := make([]byte, 100)
			n, _, err := c.ReadFrom(b)
			if err != nil {
				t.Error(err)
			}
			heard <- string(b[:n])
		}()
	})
	send(t, l, traffic(300, 100))
	nettest.In(t, l.Attacker, func() {
		c, err := net.Dial("udp4", "10.77.1.1:9999")
		if err == nil {
			_, err = c.Write([]byte("for the machine"))
			c.Close()
		}
		if err != nil {
			t.Error(err)
		}
	})
	if got := <-heard; got != "for the machine" {
		t.Errorf("%q", got)
	}
	until(t, "100 frames", func() bool { return h.total() >= 100 })
	end()
	if h.total() != 100 || h.stats.Received != 100 {
		t.Errorf("%d frames, %+v", h.total(), h.stats)
	}
}

// An interface that goes down goes on when it is up; one that was made anew is taken anew, and nothing is counted twice.
func TestAnInterfaceThatComesBackIsTakenAgain(t *testing.T) {
	l := nettest.Routed(t)
	h, end := listen(t, l, Options{}, 2)
	sent := uint64(0)
	burst := func() {
		t.Helper()
		send(t, l, traffic(300, 100))
		sent += 300
		until(t, fmt.Sprintf("%d frames", sent), func() bool { return h.total() >= sent })
	}
	burst()
	nettest.Must(t, "ip", "-n", l.Shield, "link", "set", nettest.Left, "down")
	nettest.Must(t, "ip", "-n", l.Shield, "link", "set", nettest.Left, "up")
	burst()
	nettest.Must(t, "ip", "-n", l.Shield, "link", "del", nettest.Left)
	nettest.Must(t, "ip", "-n", l.Shield, "link", "add", nettest.Left, "type", "veth", "peer", "name", "eth", "netns", l.Attacker)
	nettest.Must(t, "ip", "-n", l.Attacker, "link", "set", "eth", "up")
	nettest.Must(t, "ip", "-n", l.Shield, "link", "set", nettest.Left, "up")
	until(t, "it is back", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return strings.Contains(strings.Join(h.said, "\n"), "is back")
	})
	time.Sleep(50 * time.Millisecond) // the other worker looks after it, too
	burst()
	end()
	if len(h.wrong) > 0 || h.stats != (capture.Stats{Received: sent}) {
		t.Errorf("%v %+v of %d; %q", h.wrong, h.stats, sent, h.said)
	}
}

func TestWhatCannotBeTakenIsNamed(t *testing.T) {
	l := nettest.Routed(t)
	open := func(o Options, n int) (err error) {
		o.Now = now
		nettest.In(t, l.Shield, func() {
			var all []capture.Live
			if all, err = OpenGroup(o, n); err == nil {
				for _, s := range all {
					_ = s.Close()
				}
			}
		})
		return err
	}
	here := []string{nettest.Left}
	if err := open(Options{Interfaces: here}, 1); errors.Is(err, ErrKernel) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	var unknown *capture.UnknownInterfaceError
	if err := open(Options{Interfaces: []string{"left1"}}, 1); !errors.As(err, &unknown) || !strings.Contains(err.Error(), nettest.Left) {
		t.Errorf("%v", err)
	}
	var filter *cbpf.FilterError
	if err := open(Options{Interfaces: here, Filters: map[string][]cbpf.Instruction{nettest.Left: {{Op: 0x20, K: 0xfffff02c}, {Op: 6}}}}, 1); !errors.As(err, &filter) {
		t.Errorf("%v", err)
	}
	for _, o := range []Options{{}, {Interfaces: here, Frames: 300}, {Interfaces: here, Frames: 1 << 20}, {Interfaces: make([]string, 65)}} {
		if err := open(o, 1); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	_, stop := listen(t, l, Options{}, 1)
	if err := open(Options{Interfaces: here}, 1); !errors.Is(err, ErrTaken) {
		t.Errorf("%v", err)
	}
	stop()
	nettest.Must(t, "ip", "-n", l.Shield, "link", "set", nettest.Left, "mtu", "9000")
	if err := open(Options{Interfaces: here}, 1); !errors.Is(err, ErrKernel) || !strings.Contains(err.Error(), "9000") {
		t.Errorf("%v", err)
	}
}
