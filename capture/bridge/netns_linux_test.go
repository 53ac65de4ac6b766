package bridge

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/capture/nettest"
)

const (
	patience     = 20 * time.Second
	never        = patienceMost // a machine with much to do must not look like a silent process
	experimental = 0x88b5       // EtherType for local experiments (IEEE 802)
)

// pins is a folder of this test's own on the system's BPF file system.
func pins(t *testing.T) string {
	t.Helper()
	if err := bpfThere(bpfRoot); err != nil {
		t.Skip(err)
	}
	folder := filepath.Join(bpfRoot, fmt.Sprintf("dejpha-test-%d-%s", os.Getpid(), strings.ReplaceAll(t.Name(), "/", "-")))
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	return folder
}

func open(t *testing.T, l *nettest.Line, o Options) *source {
	t.Helper()
	o.Left, o.Right, o.Now = nettest.Left, nettest.Right, func() int64 { return time.Now().UnixNano() }
	o.Wait = 10 * time.Millisecond
	var src capture.Inline
	var err error
	nettest.In(t, l.Shield, func() { src, err = Open(o) })
	if errors.Is(err, ErrKernel) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = src.Close() })
	return src.(*source)
}

// carry runs a source with a judge until the returned function is called, which waits for its end.
func run(t *testing.T, s *source, judge func(*capture.Frame) capture.Verdict) (end func()) {
	t.Helper()
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		var f capture.Frame
		for halt := stop; ; {
			err := s.Next(&f)
			switch {
			case err == nil:
				err = s.Verdict(judge(&f))
			case errors.Is(err, capture.ErrIdle):
				err = nil
			case errors.Is(err, io.EOF):
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			select {
			case <-halt:
				s.Stop()
				halt = nil
			default:
			}
		}
	}()
	return sync.OnceFunc(func() { close(stop); <-done })
}

func accept(*capture.Frame) capture.Verdict { return capture.Accept }

// ethernet is a raw socket on an end's interface that sees frames of the experiments' type, tagged or not.
type ethernet struct{ fd, index int }

func raw(t *testing.T, namespace string) *ethernet {
	t.Helper()
	e := &ethernet{}
	nettest.In(t, namespace, func() {
		i, err := net.InterfaceByName("eth")
		if err == nil {
			e.index = i.Index
			e.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		}
		if err == nil {
			err = unix.SetsockoptInt(e.fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1)
		}
		if err == nil {
			err = unix.SetsockoptInt(e.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 32<<20)
		}
		if err == nil {
			err = unix.Bind(e.fd, &unix.SockaddrLinklayer{Protocol: bigEndian(unix.ETH_P_ALL), Ifindex: i.Index})
		}
		if err != nil {
			t.Errorf("a raw socket: %v", err)
		}
	})
	t.Cleanup(func() { unix.Close(e.fd) })
	return e
}

// numbered makes a frame with a number in it; tci 0: without a tag.
func numbered(number uint32, length int, tci uint16) []byte {
	b := []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}
	if tci != 0 {
		b = binary.BigEndian.AppendUint16(b, 0x8100)
		b = binary.BigEndian.AppendUint16(b, tci)
	}
	b = binary.BigEndian.AppendUint16(b, experimental)
	b = binary.BigEndian.AppendUint32(b, number)
	return append(b, make([]byte, max(length-len(b), 0))...)
}

func (e *ethernet) send(t *testing.T, from, to uint32, tci uint16) {
	t.Helper()
	for i := from; i < to; i++ {
		if err := unix.Sendto(e.fd, numbered(i, 60+int(i%1400), tci), 0, &unix.SockaddrLinklayer{Ifindex: e.index}); err != nil {
			t.Errorf("sending: %v", err)
			return
		}
	}
}

// receive returns numbers and tags of the experiments' frames that come until want of them did, and a moment longer.
func (e *ethernet) receive(t *testing.T, want int) (numbers []uint32, tags []uint16) {
	t.Helper()
	b, oob := make([]byte, 70000), make([]byte, 128)
	end := time.Now().Add(patience)
	for {
		wait := unix.Timeval{Sec: 0, Usec: 50000}
		if err := unix.SetsockoptTimeval(e.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
			t.Fatal(err)
		}
		n, on, _, from, err := unix.Recvmsg(e.fd, b, oob, 0)
		if err != nil && (len(numbers) >= want || time.Now().After(end)) {
			return numbers, tags
		}
		if at, ok := from.(*unix.SockaddrLinklayer); err != nil || n < 18 || ok && at.Pkttype == unix.PACKET_OUTGOING || binary.BigEndian.Uint16(b[12:]) != experimental {
			continue
		}
		var p port
		p.buffers = append(make([]byte, 16), b[:n]...)
		f := frame{data: p.buffers[16:], offload: new([offloadBytes]byte)}
		p.control(&f, oob[:on], 16)
		tag := uint16(0)
		if len(f.data) > n {
			tag = binary.BigEndian.Uint16(f.data[14:])
		}
		numbers, tags = append(numbers, binary.BigEndian.Uint32(b[14:])), append(tags, tag)
	}
}

// Every frame goes through once and whole, both ways, whatever it holds: TCP in the large pieces that a kernel makes of it,
// frames of no known protocol, VLAN tags. What is dropped does not, and the counts are exact.
func TestFramesGoThrough(t *testing.T) {
	for name, classic := range map[string]bool{"TCX": false, "clsact": true} {
		t.Run(name, func(t *testing.T) { testFramesGoThrough(t, classic) })
	}
}

func testFramesGoThrough(t *testing.T, classic bool) {
	l := nettest.Joined(t)
	s := open(t, l, Options{Patience: never, Folder: pins(t), classic: classic})
	left, right := raw(t, l.Attacker), raw(t, l.Server)
	const all = 700
	dropped := uint64(0)
	end := run(t, s, func(f *capture.Frame) capture.Verdict {
		if n := len(f.Data); n > 18 && binary.BigEndian.Uint16(f.Data[12:]) == experimental && f.Data[17]%3 == 0 {
			dropped++
			return capture.Drop
		}
		return capture.Accept
	})
	defer end()
	left.send(t, 0, all, 0)
	right.send(t, 0, all, 0x2007)
	kept := 0
	for i := range all {
		if byte(i)%3 != 0 {
			kept++
		}
	}
	numbers, tags := right.receive(t, kept)
	for i, n := range numbers {
		if byte(n)%3 == 0 || tags[i] != 0 || i > 0 && numbers[i-1] >= n {
			t.Fatalf("frame %d, tag %x, reached the server", n, tags[i])
		}
	}
	if len(numbers) != kept {
		t.Errorf("%d frames reached the server, want %d", len(numbers), kept)
	}
	numbers, tags = left.receive(t, all)
	for i := range numbers {
		if numbers[i] != uint32(i) || tags[i] != 0x2007 {
			t.Fatalf("frame %d of the server came back as %d with tag %x", i, numbers[i], tags[i])
		}
	}
	if len(numbers) != all {
		t.Errorf("%d frames came back, want %d", len(numbers), all)
	}
	transfer(t, l, 8<<20)
	end()
	st := s.Stats()
	if st.Received != s.ports[0].yielded+s.ports[1].yielded+st.Dropped+st.Bypassed || st.Dropped+st.Damaged+st.Bypassed != 0 || dropped != uint64(all-kept) {
		t.Errorf("%+v, %d and %d yielded", st, s.ports[0].yielded, s.ports[1].yielded)
	}
	if n := s.ports[0].unsent + s.ports[1].unsent; n != 0 {
		t.Errorf("%d frames could not be sent on", n)
	}
}

// transfer sends n bytes from the attacker's end to the server's and back.
func transfer(t *testing.T, l *nettest.Line, n int) {
	t.Helper()
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i * 7 >> 3)
	}
	var listener net.Listener
	var err error
	nettest.In(t, l.Server, func() { listener, err = net.Listen("tcp4", nettest.ServerIP+":80") })
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		c, err := listener.Accept()
		if err == nil {
			_, _ = io.Copy(c, c)
			_ = c.Close()
		}
	}()
	var c net.Conn
	nettest.In(t, l.Attacker, func() { c, err = net.DialTimeout("tcp4", nettest.ServerIP+":80", patience) })
	if err != nil {
		t.Fatalf("no connection: %v", err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	go func() {
		_, _ = io.Copy(c, bytes.NewReader(data))
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	h := sha256.New()
	got, err := io.Copy(h, c)
	if want := sha256.Sum256(data); err != nil || got != int64(n) || !bytes.Equal(h.Sum(nil), want[:]) {
		t.Fatalf("%d of %d bytes came back: %v", got, n, err)
	}
}

// While the process is silent, and after it stopped, the kernel carries frames or drops them, as told for each side. They are
// counted, and the time is told once. A process that comes later finds the bridge as it is.
func TestSilence(t *testing.T) {
	l := nettest.Joined(t)
	folder := pins(t)
	s := open(t, l, Options{Patience: patienceLeast, Block: [2]bool{false, true}, Folder: folder})
	began := time.Now().Add(-time.Second).UnixNano()
	left, right := raw(t, l.Attacker), raw(t, l.Server)
	time.Sleep(5 * patienceLeast) // nobody calls Next: it hangs
	left.send(t, 0, 100, 0)
	right.send(t, 0, 50, 0)
	if n, _ := right.receive(t, 100); len(n) != 100 {
		t.Errorf("%d frames passed, want 100", len(n))
	}
	if n, _ := left.receive(t, 0); len(n) != 0 {
		t.Errorf("%d frames passed a side that is to be shut", len(n))
	}
	g, ok := s.Unprotected()
	if !ok || g.Passed != 100 || g.Stopped != 50 || g.From < began || g.To < g.From || g.To > time.Now().UnixNano() {
		t.Errorf("%v %+v", ok, g)
	}
	if g, ok := s.Unprotected(); ok {
		t.Errorf("told twice: %+v", g)
	}
	g.Done()
	if st := s.Stats(); st.Received != 150 || st.Bypassed != 100 || st.Dropped != 50 {
		t.Errorf("%+v", st)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	left.send(t, 100, 130, 0)
	if n, _ := right.receive(t, 30); len(n) != 30 {
		t.Errorf("%d frames passed a stopped process, want 30", len(n))
	}
	s = open(t, l, Options{Patience: never, Folder: folder})
	if g, ok := s.Unprotected(); !ok || g.Passed != 30 || g.Stopped != 0 || g.To < g.From {
		t.Errorf("%v %+v", ok, g)
	} // and it dies before that is on record
	end := run(t, s, accept)
	left.send(t, 130, 140, 0)
	if n, _ := right.receive(t, 10); len(n) != 10 {
		t.Errorf("%d frames were carried, want 10", len(n))
	}
	end()
	_ = s.Close()
	s = open(t, l, Options{Patience: never, Folder: folder})
	if g, ok := s.Unprotected(); !ok || g.Passed != 30 {
		t.Errorf("a gap that was never on record is lost: %v %+v", ok, g)
	}
}

// An interface is in one bridge, a bridge has one process, and Remove ends it.
func TestOneBridge(t *testing.T) {
	for name, classic := range map[string]bool{"TCX": false, "clsact": true} {
		t.Run(name, func(t *testing.T) { testOneBridge(t, classic) })
	}
}

func testOneBridge(t *testing.T, classic bool) {
	l := nettest.Joined(t)
	folder := pins(t)
	s := open(t, l, Options{Patience: time.Second, Folder: folder, classic: classic})
	end := run(t, s, accept)
	try := func(left, right string) error {
		var src capture.Inline
		var err error
		nettest.In(t, l.Shield, func() {
			src, err = Open(Options{Left: left, Right: right, Now: s.o.Now, Folder: folder})
		})
		if err == nil {
			src.Close()
		}
		return err
	}
	if err := try(nettest.Left, nettest.Right); !errors.Is(err, ErrInUse) {
		t.Errorf("a second process: %v", err)
	}
	if err := try(nettest.Right, nettest.Left); !errors.Is(err, ErrInUse) {
		t.Errorf("the other way round: %v", err)
	}
	var unknown *capture.UnknownInterfaceError
	if err := try(nettest.Left, "nowhere"); !errors.As(err, &unknown) {
		t.Errorf("an unknown interface: %v", err)
	}
	if err := try(nettest.Left, "lo"); !errors.Is(err, ErrInUse) {
		t.Errorf("loopback: %v", err)
	}
	end()
	_ = s.Close()
	s = open(t, l, Options{Patience: time.Second, Folder: folder, classic: classic}) // takes up what is there
	_ = s.Close()
	passing, came := raw(t, l.Attacker), raw(t, l.Server)
	passing.send(t, 0, 10, 0)
	if n, _ := came.receive(t, 10); len(n) != 10 {
		t.Errorf("%d frames passed a bridge without a process, want each of 10 once", len(n))
	}
	var err, again error
	nettest.In(t, l.Shield, func() {
		err = Remove(nettest.Left, nettest.Right, folder)
		again = Remove(nettest.Left, nettest.Right, folder)
	})
	if err != nil || !errors.Is(again, os.ErrNotExist) {
		t.Errorf("removing it: %v, again: %v", err, again)
	}
	left, right := raw(t, l.Attacker), raw(t, l.Server)
	left.send(t, 0, 10, 0)
	if n, _ := right.receive(t, 0); len(n) != 0 {
		t.Errorf("%d frames passed a bridge that is gone", len(n))
	}
}

// An interface that goes down and comes up again is carried on with; one that is gone ends the bridge with a word about it.
func TestInterfaceDownAndGone(t *testing.T) {
	l := nettest.Joined(t)
	s := open(t, l, Options{Patience: never, Folder: pins(t)})
	gone := make(chan error, 1)
	go func() {
		var f capture.Frame
		for {
			err := s.Next(&f)
			if err == nil {
				err = s.Verdict(capture.Accept)
			}
			if err != nil && !errors.Is(err, capture.ErrIdle) {
				gone <- err
				return
			}
		}
	}()
	left, right := raw(t, l.Attacker), raw(t, l.Server)
	nettest.Must(t, "ip", "-n", l.Shield, "link", "set", nettest.Left, "down")
	time.Sleep(50 * time.Millisecond)
	nettest.Must(t, "ip", "-n", l.Shield, "link", "set", nettest.Left, "up")
	for end, came := time.Now().Add(patience), 0; came == 0; {
		if time.Now().After(end) {
			t.Fatal("nothing passes an interface that is up again")
		}
		left.send(t, 7, 8, 0)
		numbers, _ := right.receive(t, 0)
		came = len(numbers)
	}
	nettest.Must(t, "ip", "-n", l.Shield, "link", "del", nettest.Right)
	select {
	case err := <-gone:
		if !strings.Contains(err.Error(), "is gone") {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Error("an interface that is gone is waited for")
	}
}
