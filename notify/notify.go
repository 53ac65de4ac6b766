// Package notify tells the service manager that started the program how it stands: systemd's protocol of datagrams.
//
// In: the environment. Out: READY, RELOADING, STOPPING, STATUS and the watchdog's heartbeat. Called by cmd. Without a
// manager it does nothing.
package notify

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// Manager is the service manager; a nil one hears nothing.
type Manager struct {
	conn     *net.UnixConn
	watchdog time.Duration
}

// Open finds the manager that the environment names; nil if there is none. The environment's words are taken out of it,
// so that no other program takes them for its own.
func Open() (*Manager, error) {
	name := os.Getenv("NOTIFY_SOCKET")
	usec, pid := os.Getenv("WATCHDOG_USEC"), os.Getenv("WATCHDOG_PID")
	for _, k := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} {
		_ = os.Unsetenv(k)
	}
	if name == "" {
		return nil, nil
	}
	if !strings.HasPrefix(name, "/") && !strings.HasPrefix(name, "@") {
		return nil, fmt.Errorf("NOTIFY_SOCKET=%s: expected a path or an abstract socket", name)
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("NOTIFY_SOCKET: %w", err)
	}
	m := &Manager{conn: conn}
	n, err := strconv.ParseInt(usec, 10, 64)
	if err == nil && n > 0 && (pid == "" || pid == strconv.Itoa(os.Getpid())) {
		m.watchdog = time.Duration(min(n, int64(time.Hour/time.Microsecond))) * time.Microsecond
	}
	return m, nil
}

// tellTime bounds how long a manager that does not listen holds up the one who tells.
const tellTime = time.Second

// Tell sends lines such as READY=1. What cannot be sent is lost: the manager notices by itself.
func (m *Manager) Tell(lines ...string) {
	if m == nil {
		return
	}
	_ = m.conn.SetWriteDeadline(time.Now().Add(tellTime))
	_, _ = m.conn.Write([]byte(strings.Join(lines, "\n")))
}

// Status shows a line in systemctl status.
func (m *Manager) Status(text string) { m.Tell("STATUS=" + strings.ReplaceAll(text, "\n", " ")) }

// Watchdog is how long the manager waits for a heartbeat; 0: it does not.
func (m *Manager) Watchdog() time.Duration {
	if m == nil {
		return 0
	}
	return m.watchdog
}

// Feed sends heartbeats, each time alive says so, until stop is closed.
func (m *Manager) Feed(alive func() bool, stop <-chan struct{}) {
	if m.Watchdog() == 0 {
		return
	}
	t := time.NewTicker(max(m.watchdog/3, time.Millisecond))
	defer t.Stop()
	for {
		select {
		case <-stop:
			return
		case <-t.C:
			if alive() {
				m.Tell("WATCHDOG=1")
			}
		}
	}
}
