package xdp

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dejpha/dejpha/block"
	"github.com/dejpha/dejpha/capture/nettest"
)

// The tests on real interfaces run in two namespaces of their own, joined by a veth pair: a is blocked on, b sends.
type wire struct{ a, b, pins string }

func ip(t *testing.T, args ...string) {
	t.Helper()
	nettest.Must(t, "ip", args...)
}

func newWire(t *testing.T) wire {
	t.Helper()
	n := nettest.Spaces(t, "a", "b")
	w := wire{n[0], n[1], t.TempDir()}
	ip(t, "-n", w.a, "link", "add", "dx0", "type", "veth", "peer", "name", "dx1", "netns", w.b)
	ip(t, "-n", w.a, "addr", "add", "10.0.0.1/24", "dev", "dx0")
	ip(t, "-n", w.a, "link", "set", "dx0", "up")
	for _, a := range []string{"10.0.0.2/24", "10.0.0.3/24"} {
		ip(t, "-n", w.b, "addr", "add", a, "dev", "dx1")
	}
	ip(t, "-n", w.b, "link", "set", "dx1", "up")
	if err := unix.Mount("bpf", w.pins, "bpf", 0, ""); err != nil {
		t.Skipf("no BPF file system here: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(w.pins, unix.MNT_DETACH) })
	return w
}

// arrives says whether a datagram from an address of b comes to a. It is sent again until it does, or until the time is up.
func (w wire) arrives(t *testing.T, from string, within time.Duration) bool {
	t.Helper()
	var to net.PacketConn
	var by net.Conn
	var err error
	nettest.In(t, w.a, func() { to, err = net.ListenPacket("udp4", "10.0.0.1:0") })
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	nettest.In(t, w.b, func() {
		by, err = (&net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(from)}}).Dial("udp4", to.LocalAddr().String())
	})
	if err != nil {
		t.Fatal(err)
	}
	defer by.Close()
	for end := time.Now().Add(within); ; {
		_, _ = by.Write([]byte("hello"))
		_ = to.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
		if _, _, err := to.ReadFrom(make([]byte, 100)); err == nil {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

const patience = 10 * time.Second

func (w wire) open(t *testing.T, o Options) *Enforcer {
	t.Helper()
	var e *Enforcer
	var err error
	o.Interfaces, o.Folder = []string{"dx0"}, filepath.Join(w.pins, "dejpha")
	nettest.In(t, w.a, func() { e, err = Open(o) })
	if errors.Is(err, block.ErrKernel) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (w wire) links(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(w.pins, "dejpha", "*", "link-*"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(found, " ")
}

// On a real interface, both ways: blocks outlive the process that put them in, end without it, and are found again.
func TestBlocksOutliveTheProcessAndEndWithoutIt(t *testing.T) {
	for _, generic := range []bool{false, true} {
		t.Run(map[bool]string{false: "native", true: "generic"}[generic], func(t *testing.T) {
			w := newWire(t)
			e := w.open(t, Options{Generic: generic})
			t.Log(e.Name())
			if !w.arrives(t, "10.0.0.2", patience) || !w.arrives(t, "10.0.0.3", patience) {
				t.Fatal("the wire carries nothing")
			}
			first := addr("10.0.0.2")
			now := time.Now().UnixNano()
			until := now + 2*second
			if err := e.Apply(block.Changes{Now: now, Block: []block.Entry{{Prefix: block.Host(first), Until: until}, {Prefix: block.Host(addr("10.0.0.3")), Until: now + hour}}}); err != nil {
				t.Fatal(err)
			}
			before, err := e.Load(now)
			if err != nil {
				t.Fatal(err)
			}
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			// Nobody holds the maps now but their pins.
			if w.arrives(t, "10.0.0.2", 200*time.Millisecond) && time.Now().UnixNano() < until {
				t.Error("a block ended with its process")
			}
			if !w.arrives(t, "10.0.0.2", patience) {
				t.Error("a block did not end without its process")
			}
			if w.arrives(t, "10.0.0.3", 200*time.Millisecond) {
				t.Error("the block with a later end is gone as well")
			}
			e = w.open(t, Options{Generic: generic})
			after, err := e.Load(time.Now().UnixNano())
			if err != nil || after.ID != before.ID || len(after.Blocks) != 2 {
				t.Errorf("found again: %+v (%v), were %+v", after, err, before)
			}
			if w.arrives(t, "10.0.0.3", 200*time.Millisecond) {
				t.Error("taking over opened a gap")
			}
			if s, err := e.Totals(); err != nil || s.BlockPackets == 0 {
				t.Errorf("totals %+v, %v", s, err)
			}
			_ = e.Close()
			if err := Detach(Options{Folder: filepath.Join(w.pins, "dejpha")}); err != nil {
				t.Fatal(err)
			}
			if !w.arrives(t, "10.0.0.3", patience) {
				t.Error("detached, and still something is blocked")
			}
		})
	}
}

// Another version of the layout has maps of its own: the link is taken over, so that no packet passes unseen, and what the
// keeper knows is put in again.
func TestAnotherVersionIsTakenOver(t *testing.T) {
	w := newWire(t)
	e := w.open(t, Options{})
	before, err := e.Load(0)
	if err != nil {
		t.Fatal(err)
	}
	_ = e.Close()
	top := filepath.Join(w.pins, "dejpha")
	if err := os.Rename(filepath.Join(top, layoutVersion), filepath.Join(top, "v0")); err != nil {
		t.Fatal(err)
	}
	e = w.open(t, Options{})
	defer e.Close()
	after, err := e.Load(0)
	if err != nil || after.ID == before.ID {
		t.Errorf("the maps are the same: %+v %v", after, err)
	}
	if _, err := os.Stat(filepath.Join(top, "v0")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old version is still there: %v", err)
	}
	now := time.Now().UnixNano()
	if err := e.Apply(block.Changes{Now: now, Block: []block.Entry{{Prefix: block.Host(addr("10.0.0.2")), Until: now + hour}}}); err != nil {
		t.Fatal(err)
	}
	if w.arrives(t, "10.0.0.2", 200*time.Millisecond) {
		t.Error("the old program still runs")
	}
}

// Asked for another number of hosts, the tables are made anew, and the old ones' program makes room for the new.
func TestTablesOfAnotherSize(t *testing.T) {
	w := newWire(t)
	e := w.open(t, Options{Sizes: block.Sizes{Hosts: 1000}})
	before, err := e.Load(0)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UnixNano()
	entry := block.Changes{Now: now, Block: []block.Entry{{Prefix: block.Host(addr("10.0.0.2")), Until: now + hour}}}
	if err := e.Apply(entry); err != nil {
		t.Fatal(err)
	}
	_ = e.Close()
	for _, x := range []struct {
		what        string
		hosts, want int
		same        bool
	}{{"not asked", 0, 1025, true}, {"the same", 1000, 1025, true}, {"more", 5000, 5000, false}, {"not asked again", 0, 5000, false}} {
		e = w.open(t, Options{Sizes: block.Sizes{Hosts: x.hosts}})
		after, err := e.Load(0)
		if err != nil || (after.ID == before.ID) != x.same || (len(after.Blocks) == 1) != x.same || e.Sizes().Hosts != x.want {
			t.Errorf("%s: room for %d, %d blocks, same ID %v (%v)", x.what, e.Sizes().Hosts, len(after.Blocks), after.ID == before.ID, err)
		}
		_ = e.Close()
	}
	e = w.open(t, Options{})
	defer e.Close()
	if !w.arrives(t, "10.0.0.2", patience) {
		t.Error("the old program still runs")
	}
	if err := e.Apply(entry); err != nil || w.arrives(t, "10.0.0.2", 200*time.Millisecond) {
		t.Errorf("the new tables block nobody: %v", err)
	}
}

// An interface that went and came back gets the program anew; another one that is asked for instead lets go of the first.
func TestInterfacesComeAndGo(t *testing.T) {
	w := newWire(t)
	var said []string
	running := w.open(t, Options{Say: func(line string) { said = append(said, line) }})
	ip(t, "-n", w.a, "link", "set", "dx0", "down")
	ip(t, "-n", w.a, "link", "set", "dx0", "name", "dx5")
	tend := func() {
		t.Helper()
		nettest.In(t, w.a, func() {
			if err := running.Tend(); err != nil {
				t.Error(err)
			}
		})
	}
	tend() // renamed, it is still the same
	ip(t, "-n", w.a, "link", "del", "dx5")
	tend() // gone
	ip(t, "-n", w.a, "link", "add", "dx0", "type", "veth", "peer", "name", "dx1", "netns", w.b)
	ip(t, "-n", w.a, "addr", "add", "10.0.0.1/24", "dev", "dx0")
	ip(t, "-n", w.a, "link", "set", "dx0", "up")
	ip(t, "-n", w.b, "addr", "add", "10.0.0.2/24", "dev", "dx1")
	ip(t, "-n", w.b, "link", "set", "dx1", "up")
	if tend(); len(said) != 1 || !strings.Contains(said[0], "dx0 is back") {
		t.Errorf("said %q", said)
	}
	_ = running.Close()
	e := w.open(t, Options{})
	apply := func(p string) {
		now := time.Now().UnixNano()
		if err := e.Apply(block.Changes{Now: now, Block: []block.Entry{{Prefix: block.Host(addr(p)), Until: now + hour}}}); err != nil {
			t.Fatal(err)
		}
	}
	if !w.arrives(t, "10.0.0.2", patience) {
		t.Fatal("the new wire carries nothing")
	}
	if apply("10.0.0.2"); w.arrives(t, "10.0.0.2", 200*time.Millisecond) {
		t.Error("the new interface is not blocked on")
	}
	_ = e.Close()
	ip(t, "-n", w.a, "link", "add", "dx8.7", "type", "veth", "peer", "name", "dx9")
	var err error
	nettest.In(t, w.a, func() { e, err = Open(Options{Interfaces: []string{"dx8.7"}, Folder: filepath.Join(w.pins, "dejpha")}) })
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if l := w.links(t); strings.Contains(l, "dx0") || !strings.Contains(l, "dx8:7") {
		t.Errorf("linked: %s", l)
	}
	if !w.arrives(t, "10.0.0.2", patience) {
		t.Error("an interface that is no longer asked for is still blocked on")
	}
	nettest.In(t, w.a, func() {
		_, err = Open(Options{Interfaces: []string{"nosuch0"}, Folder: filepath.Join(w.pins, "dejpha")})
	})
	if err == nil || !strings.Contains(err.Error(), "nosuch0") {
		t.Errorf("an interface that is not there: %v", err)
	}
}

// A namespace gets the number of one that is gone, and must not find its pins.
func TestPinsAreOfOneNamespace(t *testing.T) {
	seen, numbers := map[string]bool{}, map[uint64]int{}
	for range 6 {
		t.Run("one", func(t *testing.T) {
			space := nettest.Spaces(t, "pins")[0]
			var first, second string
			var st unix.Stat_t
			nettest.In(t, space, func() {
				var err error
				if first, err = (Options{}).folder(); err != nil {
					t.Error(err)
				}
				second, _ = (Options{}).folder()
				err = unix.Stat("/proc/thread-self/ns/net", &st)
				if err != nil {
					t.Error(err)
				}
			})
			if strings.Contains(first, "block-i") {
				t.Skip("needs a kernel that numbers network namespaces (SO_NETNS_COOKIE, Linux 5.14)")
			}
			if first != second || first == "" {
				t.Errorf("%q, then %q", first, second)
			}
			if seen[first] {
				t.Errorf("%s was another namespace's", first)
			}
			seen[first] = true
			numbers[st.Ino]++
		})
	}
	t.Logf("%d namespaces had %d numbers of their files", len(seen), len(numbers))
}
