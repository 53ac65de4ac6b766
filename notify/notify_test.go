package notify

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func manager(t *testing.T) (*net.UnixConn, string) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "n")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	return c, name
}

func heard(t *testing.T, c *net.UnixConn) string {
	t.Helper()
	b := make([]byte, 500)
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

func TestManagerHears(t *testing.T) {
	c, name := manager(t)
	t.Setenv("NOTIFY_SOCKET", name)
	t.Setenv("WATCHDOG_USEC", "30000")
	m, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	m.Tell("READY=1", "STATUS=watching")
	if s := heard(t, c); s != "READY=1\nSTATUS=watching" {
		t.Errorf("%q", s)
	}
	m.Reloading()
	if s := heard(t, c); !strings.HasPrefix(s, "RELOADING=1\nMONOTONIC_USEC=") {
		t.Errorf("%q", s)
	}
	m.Status("two\nlines")
	if s := heard(t, c); s != "STATUS=two lines" {
		t.Errorf("%q", s)
	}
	// It is fed when the shield is alive, and only then.
	stop, ended, asked := make(chan struct{}), make(chan struct{}), 0
	go func() {
		m.Feed(func() bool { asked++; return asked > 3 }, stop)
		close(ended)
	}()
	if s := heard(t, c); s != "WATCHDOG=1" {
		t.Errorf("%q", s)
	}
	close(stop)
	<-ended
	if asked < 4 {
		t.Error("fed without being alive:", asked)
	}
}

func TestNoManager(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	m, err := Open()
	if m != nil || err != nil {
		t.Fatal(m, err)
	}
	m.Tell("READY=1")
	m.Reloading()
	m.Feed(nil, nil)
	t.Setenv("NOTIFY_SOCKET", "vsock:1:2")
	if _, err := Open(); err == nil {
		t.Error("an address of another kind is taken")
	}
	t.Setenv("NOTIFY_SOCKET", "/not/there")
	if _, err := Open(); err == nil {
		t.Error("a socket that is not there is taken")
	}
}

func TestWatchdogOfAnotherProcess(t *testing.T) {
	_, name := manager(t)
	t.Setenv("NOTIFY_SOCKET", name)
	t.Setenv("WATCHDOG_USEC", "30000")
	t.Setenv("WATCHDOG_PID", "1")
	if m, err := Open(); err != nil || m.Watchdog() != 0 {
		t.Error(m, err)
	}
}

// A manager that does not listen holds nobody up.
func TestManagerThatDoesNotListen(t *testing.T) {
	_, name := manager(t)
	t.Setenv("NOTIFY_SOCKET", name)
	m, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan bool)
	go func() {
		_ = m.conn.SetWriteBuffer(1)
		for range 5 {
			_ = m.conn.SetWriteDeadline(time.Now())
			for range 2000 {
				if _, err := m.conn.Write(make([]byte, 1000)); err != nil {
					break
				}
			}
		}
		m.Tell("READY=1")
		close(told)
	}()
	select {
	case <-told:
	case <-time.After(20 * time.Second):
		t.Fatal("it waits for ever")
	}
}
