package policy

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// Guarded is one address or network that is never blocked, and why.
type Guarded struct {
	Prefix netip.Prefix
	Why    string // "the gateway", "a resolver", ...
	// Allowed by a person, maybe for a time.
	Allowed bool
}

// guardedMax bounds the list; a machine has few neighbours that it cannot do without.
const guardedMax = 4096

// Guard is the list of those who are never blocked. Read from any goroutine; changed by Set.
type Guard struct {
	fixed  []Guarded // of the configuration
	shared []netip.Prefix
	list   atomic.Pointer[[]Guarded]

	mu      sync.Mutex // of writers
	system  []Guarded
	allowed []Guarded
}

// NewGuard makes a list of the configured ones. shared are the networks of shared addresses, which are rate-limited
// at most.
func NewGuard(configured, shared []netip.Prefix) *Guard {
	g := &Guard{shared: append([]netip.Prefix{netip.MustParsePrefix("100.64.0.0/10")}, shared...)}
	for _, p := range configured {
		g.fixed = append(g.fixed, Guarded{Prefix: p, Why: "one named under guard"})
	}
	g.Set(nil)
	return g
}

// Set replaces what the machine says of itself, and says whether the list changed by it.
func (g *Guard) Set(system []Guarded) (changed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.system = system
	return g.merge()
}

// Allow replaces those that people allowed, and says whether the list changed by it.
func (g *Guard) Allow(allowed []Guarded) (changed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.allowed = allowed
	return g.merge()
}

func (g *Guard) merge() (changed bool) {
	all := slices.Concat(g.fixed, g.system, g.allowed)
	slices.SortStableFunc(all, func(x, y Guarded) int {
		return cmp.Or(x.Prefix.Addr().Compare(y.Prefix.Addr()), cmp.Compare(x.Prefix.Bits(), y.Prefix.Bits()))
	})
	all = slices.CompactFunc(all, func(x, y Guarded) bool { return x.Prefix == y.Prefix })
	all = all[:min(len(all), guardedMax)]
	old := g.list.Swap(&all)
	return old == nil || !slices.Equal(*old, all)
}

// List is everyone guarded; the caller must not change it.
func (g *Guard) List() []Guarded { return *g.list.Load() }

// Why says which guarded one a network holds or belongs to; "" none.
func (g *Guard) Why(p netip.Prefix) string {
	for _, x := range g.List() {
		if x.Prefix.Overlaps(p) {
			return x.Why
		}
	}
	return ""
}

// Shared says whether a network holds addresses that many people share.
func (g *Guard) Shared(p netip.Prefix) bool {
	return slices.ContainsFunc(g.shared, p.Overlaps)
}

// SharedRanges are the networks of shared addresses.
func (g *Guard) SharedRanges() []netip.Prefix { return g.shared }

// guarded adds one address, if it is one that packets can come from.
func guarded(list []Guarded, a netip.Addr, why string) []Guarded {
	a = a.Unmap().WithZone("")
	if !a.IsValid() || a.IsUnspecified() || a.IsLoopback() || len(list) >= guardedMax {
		return list
	}
	return append(list, Guarded{Prefix: netip.PrefixFrom(a, a.BitLen()), Why: why})
}

// System reads from a machine's files (root is /) whom it cannot do without: gateways, resolvers and its own addresses,
// which the caller hands in. What cannot be read adds nobody.
func System(root fs.FS, own []netip.Prefix) (out []Guarded) {
	add := func(a netip.Addr, why string) { out = guarded(out, a, why) }
	for _, p := range own {
		add(p.Addr(), "an address of this machine")
	}
	for _, a := range gateways(root) {
		add(a, "the gateway")
	}
	for _, a := range resolvers(root) {
		add(a, "a resolver")
	}
	return out
}

// Sessions are those who administer the machine over SSH now; session is $SSH_CONNECTION. It is asked once, when the
// shield starts: later anybody who reaches the port and guesses passwords would be guarded for it.
func Sessions(root fs.FS, session string) (out []Guarded) {
	add := func(a netip.Addr, why string) { out = guarded(out, a, why) }
	if f := strings.Fields(session); len(f) == 4 {
		if a, err := netip.ParseAddr(f[0]); err == nil {
			add(a, "an administrator's session")
		}
	}
	for _, name := range []string{"proc/net/tcp", "proc/net/tcp6"} {
		for _, a := range sessions(read(root, name)) {
			add(a, "an administrator's session")
		}
	}
	return out
}

// fileMax bounds what is read of one file.
const fileMax = 4 << 20

func read(root fs.FS, name string) []byte {
	f, err := root.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	b := make([]byte, 0, 4096)
	for len(b) < fileMax {
		n, err := f.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err != nil {
			break
		}
		if len(b) == cap(b) {
			b = slices.Grow(b, len(b))
		}
	}
	return b
}

// resolvers are the name servers of resolv.conf, and those behind the local stub of systemd-resolved.
func resolvers(root fs.FS) (out []netip.Addr) {
	for _, name := range []string{"etc/resolv.conf", "run/systemd/resolve/resolv.conf"} {
		s := bufio.NewScanner(bytes.NewReader(read(root, name)))
		for s.Scan() {
			f := strings.Fields(s.Text())
			if len(f) < 2 || f[0] != "nameserver" {
				continue
			}
			if a, err := netip.ParseAddr(f[1]); err == nil {
				out = append(out, a)
			}
		}
	}
	return out
}

// gateways are the next hops of the routing tables, IPv4's in the machine's byte order, IPv6's in the network's.
func gateways(root fs.FS) (out []netip.Addr) {
	for i, line := range strings.Split(string(read(root, "proc/net/route")), "\n") {
		f := strings.Fields(line)
		if i == 0 || len(f) < 3 {
			continue
		}
		if n, err := strconv.ParseUint(f[2], 16, 32); err == nil && n != 0 {
			out = append(out, native(uint32(n)))
		}
	}
	for _, line := range strings.Split(string(read(root, "proc/net/ipv6_route")), "\n") {
		f := strings.Fields(line)
		if len(f) < 5 {
			continue
		}
		if b, err := hex.DecodeString(f[4]); err == nil && len(b) == 16 {
			out = append(out, netip.AddrFrom16([16]byte(b)))
		}
	}
	return out
}

// native is an address that the kernel printed as a number of the machine's byte order.
func native(n uint32) netip.Addr {
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], n)
	return netip.AddrFrom4(b)
}

const (
	sshPort     = 22
	established = "01"
)

// sessions are the far ends of established connections to the SSH port, as /proc/net/tcp lists them.
func sessions(text []byte) (out []netip.Addr) {
	for i, line := range strings.Split(string(text), "\n") {
		f := strings.Fields(line)
		if i == 0 || len(f) < 4 || f[3] != established {
			continue
		}
		if _, port, ok := end(f[1]); !ok || port != sshPort {
			continue
		}
		if a, _, ok := end(f[2]); ok && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

// end reads "0100007F:0016" or its IPv6 form, whose four words each are in the machine's byte order.
func end(s string) (netip.Addr, uint16, bool) {
	host, port, ok := strings.Cut(s, ":")
	n, err := strconv.ParseUint(port, 16, 16)
	b, err2 := hex.DecodeString(host)
	if !ok || err != nil || err2 != nil || len(b) != 4 && len(b) != 16 {
		return netip.Addr{}, 0, false
	}
	for i := 0; i < len(b); i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}
	a, _ := netip.AddrFromSlice(b)
	return a.Unmap(), uint16(n), true
}

// String names a guarded one for a person.
func (g Guarded) String() string { return fmt.Sprintf("%s (%s)", g.Prefix, g.Why) }
