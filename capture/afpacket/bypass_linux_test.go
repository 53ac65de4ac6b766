package afpacket

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/capture/cbpf"
	"github.com/dejpha/dejpha/capture/nettest"
)

// Ends of the tests' conversations.
var (
	ends4 = [2]netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.7")}
	ends6 = [2]netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8:7::9")}
)

// packetOf is a frame of a conversation from A, or back: from B.
func packetOf(c *capture.Conversation, back bool, flags byte, extra int) []byte {
	src, dst, sp, dp := c.A, c.B, c.PortA, c.PortB
	if back {
		src, dst, sp, dp = dst, src, dp, sp
	}
	b := []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}
	for i := range c.VLANs {
		b = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, 0x8100), 0xe000|c.VLAN[i])
	}
	l4 := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, sp), dp)
	l4 = append(l4, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0)
	l4 = append(l4, make([]byte, extra)...)
	if c.IPVersion == 4 {
		b = append(b, 8, 0, 0x45, 0, 0, byte(20+len(l4)), 0, 0, 0, 0, 64, c.Proto, 0, 0)
		b = append(append(b, src[12:]...), dst[12:]...)
	} else {
		b = append(b, 0x86, 0xdd, 0x60, 0, 0, 0, 0, byte(len(l4)), c.Proto, 64)
		b = append(append(b, src[:]...), dst[:]...)
	}
	return append(b, l4...)
}

func conversation(ends [2]netip.Addr, proto uint8, port uint16, vlans ...uint16) *capture.Conversation {
	c := &capture.Conversation{A: ends[0].As16(), B: ends[1].As16(), PortA: port, PortB: 443, Proto: proto, IPVersion: 6, VLANs: uint8(len(vlans))}
	if ends[0].Is4() {
		c.IPVersion = 4
	}
	copy(c.VLAN[:], vlans)
	return c
}

// taken counts what the sources show until they idle twice in a row.
func taken(t *testing.T, sources []capture.Live) (n uint64) {
	t.Helper()
	var f capture.Frame
	for _, s := range sources {
		for idle := 0; idle < 3; {
			switch err := s.Next(&f); {
			case err == nil:
				n, idle = n+1, 0
			case errors.Is(err, capture.ErrIdle):
				idle++
			default:
				t.Error(err)
				return n
			}
		}
	}
	return n
}

func bypassed(sources []capture.Live) (n, received uint64) {
	for _, s := range sources {
		x := s.Stats()
		n, received = n+x.Bypassed, received+x.Received
	}
	return n, received
}

// openSkipping opens sources in the namespace and skips the test where the kernel has no eBPF.
func openSkipping(t *testing.T, o Options, workers int) []capture.Live {
	t.Helper()
	o.Interfaces, o.Now, o.Bypass, o.NoPromisc = []string{here}, now, true, false
	o.BlockBytes, o.Blocks, o.Wait = blockLeast, 16, 25*time.Millisecond
	probe, err := newSkipper(1, 1, cbpf.SnapLen) // with one worker, the simplest
	if err != nil {
		t.Skipf("needs eBPF socket filters: %v", err)
	}
	probe.leave()
	sources, err := OpenGroup(o, workers)
	if err != nil {
		t.Fatal(err)
	}
	return sources
}

func TestKernelSkipsConversationsAndCounts(t *testing.T) {
	w := newWire(t)
	w.quiet(t)
	skip := []*capture.Conversation{
		conversation(ends4, 6, 1001), conversation(ends4, 17, 1002), conversation(ends6, 6, 1003), conversation(ends6, 17, 1004),
		conversation(ends4, 6, 1005, 7), conversation(ends6, 17, 1006, 7, 4000), conversation(ends4, 17, 1007, 1, 2, 3),
	}
	show := []*capture.Conversation{
		conversation(ends4, 6, 2001), conversation(ends6, 17, 1003), conversation(ends4, 6, 1001, 7), conversation(ends4, 6, 1005), conversation(ends4, 6, 1005, 8),
		conversation(ends6, 17, 1006, 7), conversation(ends6, 17, 1006, 4000, 7),
	}
	const each = 20
	var sources []capture.Live
	nettest.In(t, w.a, func() { sources = openSkipping(t, Options{}, 2) })
	defer func() {
		for _, s := range sources {
			_ = s.Close()
		}
	}()
	for i, c := range skip {
		if !sources[i%2].(capture.Bypasser).Bypass(0, c, capture.ByTLS) { // the map is all workers'
			t.Fatalf("conversation %d is not skipped", i)
		}
	}
	if sources[0].(capture.Bypasser).Bypass(1, skip[0], capture.ByTLS) {
		t.Error("an interface that is not there is skipped")
	}
	frames := func(of []*capture.Conversation, flags byte, n int) (all [][]byte) {
		for range n {
			for _, c := range of {
				all = append(all, packetOf(c, false, flags, 6), packetOf(c, true, flags, 60))
			}
		}
		return all
	}
	put(t, w.b, there, frames(skip, 0x10, 1)) // the first of each direction shows that it lives
	if n := taken(t, sources); n != uint64(2*len(skip)) {
		t.Errorf("%d signs of life, expected %d", n, 2*len(skip))
	}
	put(t, w.b, there, append(frames(skip, 0x10, each), frames(show, 0x10, each)...))
	sent, seen := uint64(2*each*(len(skip)+len(show))), taken(t, sources)
	count, received := bypassed(sources)
	if seen != uint64(2*each*len(show)) || seen+count != sent || received != sent+uint64(2*len(skip)) {
		t.Errorf("%d sent = %d seen + %d bypassed? received %d", sent, seen, count, received)
	}
	var why uint64
	for _, s := range sources {
		f := s.(capture.Apart).Faces(nil)
		if len(f) != 1 || f[0].Name != here || f[0].Mode != "tap" || f[0].Down || f[0].Stats != s.Stats() {
			t.Errorf("interfaces %+v, in all %+v", f, s.Stats())
		}
		why += f[0].Why[capture.ByTLS]
	}
	if why != count {
		t.Errorf("%d of %d bypassed have the reason that was given", why, count)
	}
	for _, flags := range []byte{0x11, 0x02, 0x14} { // FIN, SYN, RST; UDP has none of them
		put(t, w.b, there, frames(skip[:1], flags, each))
		if n := taken(t, sources); n != 2*each {
			t.Errorf("flags %#x: %d seen", flags, n)
		}
	}
	for i, c := range skip {
		a, b := sources[0].(capture.Bypasser).Resume(c)
		length := uint64(len(packetOf(c, false, 0, 6)))
		if a.Packets != each || b.Packets != each || a.Bytes != each*length || b.Bytes != each*(length+54) {
			t.Errorf("conversation %d: %+v %+v of %d bytes", i, a, b, length)
		}
	}
	put(t, w.b, there, frames(skip, 0x10, each))
	if n := taken(t, sources); n != uint64(2*each*len(skip)) {
		t.Errorf("%d seen after the bypass ended", n)
	}
	for _, s := range sources {
		s.Stop()
	}
}

// What is no whole IP packet is shown, whatever its addresses.
func TestFragmentsAndDamageAreShown(t *testing.T) {
	w := newWire(t)
	w.quiet(t)
	c := conversation(ends4, 17, 1001)
	var sources []capture.Live
	nettest.In(t, w.a, func() { sources = openSkipping(t, Options{}, 1) })
	defer sources[0].Close()
	if !sources[0].(capture.Bypasser).Bypass(0, c, capture.ByTLS) {
		t.Fatal("not skipped")
	}
	whole := packetOf(c, false, 0, 30)
	put(t, w.b, there, [][]byte{whole})
	if n := taken(t, sources); n != 1 {
		t.Errorf("%d signs of life", n)
	}
	first, later, cut, short := append([]byte(nil), whole...), append([]byte(nil), whole...), whole[:14+20+3], append([]byte(nil), whole...)
	first[20], later[21], short[14] = 0x20, 5, 0x44
	put(t, w.b, there, [][]byte{first, later, cut, short, whole})
	if n := taken(t, sources); n != 4 {
		t.Errorf("%d of 4 shown", n)
	}
}

func TestSkippedConversationsAreBounded(t *testing.T) {
	w := newWire(t)
	var sources []capture.Live
	nettest.In(t, w.a, func() { sources = openSkipping(t, Options{}, 1) })
	defer sources[0].Close()
	c := conversation(ends4, 6, 0)
	for i := range skippedMost {
		c.PortA, c.PortB = uint16(i), 80
		if !sources[0].(capture.Bypasser).Bypass(0, c, capture.ByTLS) {
			t.Fatalf("refused after %d", i)
		}
	}
	var k skipKey
	var v skipValue
	n := 0
	for it := sources[0].(*source).o.skip.flows.Iterate(); it.Next(&k, &v); {
		n++
	}
	if n > skippedMost || n == 0 {
		t.Errorf("%d directions held, at most %d", n, skippedMost)
	}
}

// A socket has one filter: where the user's stands nothing is skipped, which is said once.
func TestFilterTurnsTheBypassOff(t *testing.T) {
	w := newWire(t)
	w.quiet(t)
	var told []string
	var sources []capture.Live
	nettest.In(t, w.a, func() {
		sources = openSkipping(t, Options{Say: func(s string) { told = append(told, s) }, Filters: map[string][]cbpf.Instruction{here: {{Op: 0x06, K: cbpf.SnapLen}}}}, 2)
	})
	defer func() {
		for _, s := range sources {
			_ = s.Close()
		}
	}()
	c := conversation(ends4, 6, 1001)
	if len(told) != 1 || !strings.Contains(told[0], "bypass is off") || sources[0].(capture.Bypasser).Bypass(0, c, capture.ByTLS) {
		t.Errorf("%q", told)
	}
	put(t, w.b, there, [][]byte{packetOf(c, false, 0x10, 0), packetOf(c, true, 0x10, 0)})
	if n := taken(t, sources); n != 2 {
		t.Errorf("%d seen", n)
	}
}
