package nfqueue

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/capture/nettest"
)

const patience = 20 * time.Second

// queueLine is a routed line whose forwarded packets go through a queue.
func queueLine(t *testing.T) *nettest.Line {
	t.Helper()
	if _, err := exec.LookPath("iptables-legacy"); err != nil {
		t.Skip("needs iptables-legacy (Debian package iptables)")
	}
	l := nettest.Routed(t)
	out, err := exec.Command("ip", "netns", "exec", l.Shield, "iptables-legacy", "-A", "FORWARD", "-j", "NFQUEUE", "--queue-num", "7", "--queue-bypass").CombinedOutput()
	if err != nil {
		t.Skipf("the kernel lacks iptables' NFQUEUE target: %s", out)
	}
	return l
}

func openIn(t *testing.T, l *nettest.Line, o Options) capture.Inline {
	t.Helper()
	o.Queue, o.Now = 7, func() int64 { return time.Now().UnixNano() }
	if o.Wait == 0 {
		o.Wait = 10 * time.Millisecond
	}
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
	return src
}

// sockets makes a server's socket and a client's, both in their namespaces.
func sockets(t *testing.T, l *nettest.Line) (server net.PacketConn, client net.Conn) {
	t.Helper()
	var err error
	nettest.In(t, l.Server, func() {
		c := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
			return raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20) })
		}}
		if server, err = c.ListenPacket(context.Background(), "udp4", nettest.ServerIP+":9"); err != nil {
			return
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	nettest.In(t, l.Attacker, func() { client, err = net.Dial("udp4", nettest.ServerIP+":9") })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return server, client
}

// received reads the numbers that reached the server until it is quiet.
func received(t *testing.T, server net.PacketConn, want int) (got []uint32) {
	t.Helper()
	b := make([]byte, 2048)
	for len(got) < want {
		_ = server.SetReadDeadline(time.Now().Add(patience))
		n, _, err := server.ReadFrom(b)
		if err != nil || n < 4 {
			t.Fatalf("%d of %d datagrams reached the server: %v", len(got), want, err)
		}
		got = append(got, binary.BigEndian.Uint32(b))
	}
	_ = server.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, _, err := server.ReadFrom(b); err == nil {
		t.Errorf("a datagram too many reached the server: %x", b[:n])
	}
	return got
}

func send(t *testing.T, client net.Conn, from, to uint32) {
	t.Helper()
	for i := from; i < to; i++ {
		if _, err := client.Write(binary.BigEndian.AppendUint32(nil, i)); err != nil {
			t.Errorf("sending: %v", err)
			return
		}
	}
}

// Every packet is shown once, what is accepted reaches the server in order, what is dropped does not, and the counts are
// exact: runs of accepts with drops between them, and more packets than are fetched at once.
func TestVerdictsReachTheKernel(t *testing.T) {
	l := queueLine(t)
	src := openIn(t, l, Options{})
	server, client := sockets(t, l)
	const all = 1000
	go send(t, client, 0, all)
	var f capture.Frame
	var want []uint32
	for seen := 0; seen < all; {
		err := src.Next(&f)
		if errors.Is(err, capture.ErrIdle) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		number := binary.BigEndian.Uint32(f.Data[28:])
		if f.LinkType != linkRaw || f.WireLen != 32 || f.Time == 0 || number != uint32(seen) {
			t.Fatalf("packet %d: %+v", seen, f)
		}
		seen++
		v := capture.Accept
		if number%7 == 0 || number%7 == 1 || number > 900 && number < 990 {
			v = capture.Drop
		} else {
			want = append(want, number)
		}
		if err := src.Verdict(v); err != nil {
			t.Fatal(err)
		}
	}
	for err := error(nil); !errors.Is(err, capture.ErrIdle); err = src.Next(&f) { // gives back the last of them
	}
	if got := received(t, server, len(want)); !slices.Equal(got, want) {
		t.Errorf("the server got %d datagrams, want %d in order", len(got), len(want))
	}
	if s := src.Stats(); s != (capture.Stats{Received: all}) {
		t.Errorf("%+v", s)
	}
}

// After Stop packets go past the queue at once, what waited is still shown, and nothing is lost on the way out. Then, with
// nobody at the queue, they go on as the firewall's rule says.
func TestStopLetsEverythingPass(t *testing.T) {
	l := queueLine(t)
	src := openIn(t, l, Options{FailOpen: true})
	server, client := sockets(t, l)
	send(t, client, 0, 100)
	src.Stop()
	send(t, client, 100, 200)
	var f capture.Frame
	seen := 0
	for {
		err := src.Next(&f)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		seen++
		if err := src.Verdict(capture.Accept); err != nil {
			t.Fatal(err)
		}
	}
	if err := src.Close(); err != nil {
		t.Fatal(err)
	}
	send(t, client, 200, 300)
	got := received(t, server, 300)
	slices.Sort(got) // those that passed at once came before those that waited
	if seen != 100 || len(slices.Compact(got)) != 300 {
		t.Errorf("%d packets shown, %d reached the server", seen, len(got))
	}
}

// A reader that is too slow loses packets, and every one of them is counted by its fate.
func TestLossesHaveNumbers(t *testing.T) {
	for _, open := range []bool{false, true} {
		l := queueLine(t)
		began := time.Now().UnixNano()
		src := openIn(t, l, Options{FailOpen: open, Buffer: bufferLeast})
		server, client := sockets(t, l)
		const all = 5000
		send(t, client, 0, all)
		src.Stop()
		shown := 0
		nettest.In(t, l.Shield, func() { // the kernel's last count is its namespace's
			var f capture.Frame
			var err error
			for err = src.Next(&f); err == nil; err = src.Next(&f) {
				shown++
				if err := src.Verdict(capture.Accept); err != nil {
					t.Error(err)
				}
			}
			if !errors.Is(err, io.EOF) {
				t.Error(err)
			}
		})
		s := src.Stats()
		lost := uint64(all - shown)
		want := capture.Stats{Received: all, Dropped: lost}
		reach := shown
		if open {
			want, reach = capture.Stats{Received: all, Bypassed: lost}, all
			want.Why[capture.Overrun] = lost
		}
		g, told := src.(capture.Exposed).Unprotected()
		if told != open || open && (g.Passed != lost || g.From < began || g.To < g.From || g.To > time.Now().UnixNano()) {
			t.Errorf("fail-open %v: %v %+v", open, told, g)
		}
		if lost == 0 || s != want {
			t.Errorf("fail-open %v: %d shown, %+v", open, shown, s)
		}
		received(t, server, reach)
	}
}

// What we inject reaches its receiver, whatever source it names.
func TestInject(t *testing.T) {
	l := queueLine(t)
	src := openIn(t, l, Options{})
	server, _ := sockets(t, l)
	p := []byte{0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 10, 77, 1, 99, 10, 77, 2, 2, 0, 5, 0, 9, 0, 12, 0, 0, 0, 0, 0, 42}
	var err error
	nettest.In(t, l.Shield, func() { err = src.Inject(0, p) })
	if err != nil {
		t.Fatal(err)
	}
	if got := received(t, server, 1); got[0] != 42 {
		t.Errorf("%d", got[0])
	}
	if src.Inject(0, []byte{0x50}) == nil {
		t.Error("what is no IP packet was sent")
	}
}

// A queue has one reader.
func TestTaken(t *testing.T) {
	l := queueLine(t)
	openIn(t, l, Options{})
	var err error
	nettest.In(t, l.Shield, func() { _, err = Open(Options{Queue: 7, Now: func() int64 { return 0 }}) })
	if !errors.Is(err, ErrTaken) && !errors.Is(err, ErrPrivilege) {
		t.Errorf("%v", err)
	}
}
