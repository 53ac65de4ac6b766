package xdp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/dejpha/dejpha/block"
)

// scratch is an enforcer over maps that nothing pins and a program that no interface runs.
func scratch(t *testing.T, s block.Sizes) *Enforcer {
	t.Helper()
	tables, err := openTables("", s)
	if errors.Is(err, block.ErrKernel) {
		t.Skipf("needs BPF: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	e := newEnforcer(tables, "scratch")
	t.Cleanup(func() { _ = e.Close() })
	return e
}

func run(t *testing.T, e *Enforcer, frame []byte) (dropped bool) {
	t.Helper()
	r, err := e.t.prog.Run(&ebpf.RunOptions{Data: frame})
	if err != nil {
		t.Fatal(err)
	}
	if r != xdpDrop && r != xdpPass {
		t.Fatalf("verdict %d", r)
	}
	return r == xdpDrop
}

// packet is a frame to be made.
type packet struct {
	tags     []uint16 // tag protocol identifiers
	src, dst netip.Addr
	options  int    // 4-byte words of IPv4 options
	fragment uint16 // of IPv4: flags and offset
	headers  []byte // of IPv6: extension headers
	proto    byte
	sport    uint16
	dport    uint16
	flags    byte // of TCP; of ICMPv6 the type
	hops     byte
}

func (p packet) frame() []byte {
	b := []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}
	for i, t := range p.tags {
		b = binary.BigEndian.AppendUint16(b, t)
		b = binary.BigEndian.AppendUint16(b, uint16(i))
	}
	body := binary.BigEndian.AppendUint16(nil, p.sport)
	body = binary.BigEndian.AppendUint16(body, p.dport)
	body = append(body, make([]byte, 16)...)
	switch p.proto {
	case 6:
		body[12], body[13] = 0x50, p.flags
	case 58:
		body[0] = p.flags
	}
	if p.src.Is4() {
		b = append(b, 8, 0, byte(0x45+p.options), 0)
		b = binary.BigEndian.AppendUint16(b, uint16(20+4*p.options+len(body)))
		b = binary.BigEndian.AppendUint16(append(b, 0, 7), p.fragment)
		b = append(b, p.hops, p.proto, 0, 0)
		b = append(append(b, p.src.AsSlice()...), p.dst.AsSlice()...)
		b = append(b, make([]byte, 4*p.options)...)
		return append(b, body...)
	}
	var ext []byte
	first := p.proto
	for i, h := range p.headers {
		next := p.proto
		if i+1 < len(p.headers) {
			next = p.headers[i+1]
		}
		if i == 0 {
			first = h
		}
		ext = append(ext, extension(h, next)...)
	}
	b = append(b, 0x86, 0xdd, 0x60, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(ext)+len(body)))
	b = append(b, first, p.hops)
	b = append(append(b, p.src.AsSlice()...), p.dst.AsSlice()...)
	return append(append(b, ext...), body...)
}

func extension(kind, next byte) []byte {
	switch kind {
	case 44:
		return []byte{next, 0, 0, 1, 0, 0, 0, 9}
	case 51:
		return append([]byte{next, 2}, make([]byte, 14)...)
	}
	return append([]byte{next, 1}, make([]byte, 14)...)
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

const wall = int64(1_700_000_000_000_000_000)

func apply(t *testing.T, e *Enforcer, c block.Changes) {
	t.Helper()
	c.Now = wall
	if err := e.Apply(c); err != nil {
		t.Fatal(err)
	}
}

const hour = int64(3600) * second

func TestEveryKindOfPacketIsDroppedForItsSource(t *testing.T) {
	e := scratch(t, block.Sizes{})
	var entries []block.Entry
	for _, p := range []string{"192.0.2.7/32", "198.51.100.0/24", "2001:db8:1:2::/64", "2001:db8:9::/48", "2001:db8:1:3::5/128"} {
		entries = append(entries, block.Entry{Prefix: netip.MustParsePrefix(p), Until: wall + hour})
	}
	apply(t, e, block.Changes{Block: entries})
	four, six := addr("203.0.113.1"), addr("2001:db8:ffff::1")
	var want uint64
	for _, c := range []struct {
		src  string
		drop bool
	}{
		{"192.0.2.7", true}, {"192.0.2.8", false}, {"198.51.100.0", true}, {"198.51.100.255", true}, {"198.51.101.0", false},
		{"2001:db8:1:2::1", true}, {"2001:db8:1:2:ffff::9", true}, {"2001:db8:1:3::5", true}, {"2001:db8:1:3::6", false},
		{"2001:db8:9:1::1", true}, {"2001:db8:a::1", false}, {"c000:207::1", false},
	} {
		for _, tags := range [][]uint16{nil, {0x8100}, {0x88a8, 0x8100}, {0x9100, 0x8100}} {
			for _, proto := range []byte{1, 6, 17, 47, 58} {
				p := packet{tags: tags, src: addr(c.src), dst: four, proto: proto, flags: 2}
				if p.src.Is6() {
					p.dst, p.headers = six, []byte{0, 43, 60, 51}
				}
				if got := run(t, e, p.frame()); got != c.drop {
					t.Errorf("%+v: dropped %v, want %v", p, got, c.drop)
				}
				if c.drop {
					want++
				}
			}
		}
	}
	got, err := e.Totals()
	if err != nil || got.BlockPackets != want || got.BlockBytes == 0 || got.LimitPackets+got.Guarded != 0 {
		t.Errorf("totals %+v %v, want %d packets", got, err, want)
	}
	counts, err := e.Counters(wall)
	var sum uint64
	for _, c := range counts {
		sum += c.Packets
	}
	if err != nil || len(counts) != len(entries) || sum != want {
		t.Errorf("%d blocks counted %d packets (%v), want %d and %d", len(counts), sum, err, len(entries), want)
	}
}

func TestEndsGuardAndWiderPrefixes(t *testing.T) {
	e := scratch(t, block.Sizes{})
	pre := netip.MustParsePrefix
	apply(t, e, block.Changes{
		Guard: []block.Guarded{
			{Prefix: pre("10.1.1.1/32"), Until: block.Forever}, {Prefix: pre("10.9.0.0/16"), Until: wall + hour}, {Prefix: pre("10.9.9.0/24"), Until: wall},
			{Prefix: pre("10.1.2.0/24"), Until: wall},
		},
		Block: []block.Entry{
			{Prefix: pre("10.1.1.1/32"), Until: wall + hour}, // guarded: whatever the maps say, it is not dropped
			{Prefix: pre("10.1.2.3/32"), Until: wall + hour}, // its guard has ended
			{Prefix: pre("10.9.9.9/32"), Until: wall + hour}, // the narrower guard has ended, the wider one holds
			{Prefix: pre("10.2.2.2/32"), Until: wall},        // ended: nobody swept
			{Prefix: pre("10.3.0.0/16"), Until: wall + hour}, {Prefix: pre("10.3.3.0/24"), Until: wall}, {Prefix: pre("10.3.3.3/32"), Until: wall},
			{Prefix: pre("10.4.4.0/24"), Until: wall},
		},
	})
	for src, drop := range map[string]bool{
		"10.1.1.1": false, "10.1.2.3": true, "10.9.9.9": false, "10.2.2.2": false, "10.3.3.3": true, "10.3.3.4": true, "10.3.9.9": true, "10.4.4.4": false,
	} {
		p := packet{src: addr(src), dst: addr("203.0.113.1"), proto: 17}
		if got := run(t, e, p.frame()); got != drop {
			t.Errorf("%s: dropped %v, want %v", src, got, drop)
		}
	}
	if s, _ := e.Totals(); s.Guarded != 2 {
		t.Errorf("%d packets were let through for the guard, want 2", s.Guarded)
	}
}

func TestARateLetsItsPacketsThroughAndNoMore(t *testing.T) {
	e := scratch(t, block.Sizes{})
	p := packet{src: addr("192.0.2.1"), dst: addr("203.0.113.1"), proto: 17}
	apply(t, e, block.Changes{Block: []block.Entry{{Prefix: block.Host(p.src), Until: wall + hour, Rate: 5}}})
	start, passed := clockAt(0).boot, 0
	for range 200 {
		if !run(t, e, p.frame()) {
			passed++
		}
	}
	// What may pass follows from the time that went by, whatever it is.
	if most := 5 + int((clockAt(0).boot-start)*5/second) + 1; passed < 5 || passed > most {
		t.Errorf("%d passed, want 5 to %d", passed, most)
	}
}

func TestLimitsHoldTheTargetsKindsAndSpareProvenContacts(t *testing.T) {
	e := scratch(t, block.Sizes{})
	web, six := addr("203.0.113.5"), addr("2001:db8:5::5")
	group, group6 := netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8:5::/64")
	limit := func(p netip.Prefix, k block.LimitKind, port uint16) block.Limit {
		return block.Limit{Target: p, Kind: k, Port: port, Rate: 1, Burst: 1, Until: wall + hour}
	}
	all := []block.Limit{
		limit(group, block.LimitSYN, 80), limit(group, block.LimitUDP, 0), limit(group, block.LimitICMP, 0), limit(group, block.LimitFragment, 0), limit(group, block.LimitOther, 0),
		limit(group6, block.LimitSYN, 0), limit(group6, block.LimitUDP, 53), limit(group6, block.LimitICMP, 0), limit(group6, block.LimitFragment, 0),
	}
	friend, flow := addr("198.51.100.9"), addr("198.51.100.10")
	apply(t, e, block.Changes{Limit: all, Guard: []block.Guarded{{Prefix: netip.MustParsePrefix("198.51.100.1/32"), Until: block.Forever}}, Prove: []block.Proven{
		{Src: friend, Dst: web, Proto: 6, Until: wall + hour},
		{Src: flow, Dst: web, Proto: 6, SrcPort: 4000, DstPort: 80, Until: wall + hour},
		{Src: addr("198.51.100.11"), Dst: web, Proto: 6, Until: wall},
	}})
	for _, c := range []struct {
		name string
		p    packet
		held bool
	}{
		{"SYN", packet{src: addr("192.0.2.1"), dst: web, proto: 6, flags: 2, dport: 80}, true},
		{"SYN to a port without a limit", packet{src: addr("192.0.2.1"), dst: web, proto: 6, flags: 2, dport: 81}, false},
		{"UDP", packet{src: addr("192.0.2.1"), dst: web, proto: 17, dport: 9}, true},
		{"ICMP", packet{src: addr("192.0.2.1"), dst: web, proto: 1}, true},
		{"first fragment", packet{src: addr("192.0.2.1"), dst: web, proto: 6, fragment: 0x2000, flags: 2, dport: 81}, true},
		{"last fragment", packet{src: addr("192.0.2.1"), dst: web, proto: 17, fragment: 0x0001}, true},
		{"ACK", packet{src: addr("192.0.2.1"), dst: web, proto: 6, flags: 0x10}, true},
		{"GRE with options", packet{src: addr("192.0.2.1"), dst: web, proto: 47, options: 3}, true},
		{"do not fragment", packet{src: addr("192.0.2.1"), dst: web, proto: 6, fragment: 0x4000, flags: 2, dport: 81}, false},
		{"another target", packet{src: addr("192.0.2.1"), dst: addr("203.0.114.5"), proto: 17}, false},
		{"guarded source", packet{src: addr("198.51.100.1"), dst: web, proto: 17}, false},
		{"proven pair", packet{src: friend, dst: web, proto: 6, flags: 2, sport: 77, dport: 80}, false},
		{"proven pair, another protocol", packet{src: friend, dst: web, proto: 17}, true},
		{"proven flow", packet{src: flow, dst: web, proto: 6, flags: 0x10, sport: 4000, dport: 80}, false},
		{"another flow of that source", packet{src: flow, dst: web, proto: 6, flags: 0x10, sport: 4001, dport: 80}, true},
		{"proof that ended", packet{src: addr("198.51.100.11"), dst: web, proto: 6, flags: 2, dport: 80}, true},
		{"SYN over IPv6", packet{src: addr("2001:db8::1"), dst: six, proto: 6, flags: 2, dport: 443}, true},
		{"SYN behind headers", packet{src: addr("2001:db8::1"), dst: six, proto: 6, flags: 2, headers: []byte{0, 43, 60, 51}}, true},
		{"UDP over IPv6", packet{src: addr("2001:db8::1"), dst: six, proto: 17, dport: 53}, true},
		{"UDP to another port", packet{src: addr("2001:db8::1"), dst: six, proto: 17, dport: 54}, false},
		{"fragment over IPv6", packet{src: addr("2001:db8::1"), dst: six, proto: 17, dport: 54, headers: []byte{60, 44}}, true},
		{"ping over IPv6", packet{src: addr("2001:db8::1"), dst: six, proto: 58, flags: 128, hops: 255}, true},
		{"neighbour solicitation", packet{src: addr("2001:db8::1"), dst: six, proto: 58, flags: 135, hops: 255}, false},
		{"neighbour solicitation from afar", packet{src: addr("2001:db8::1"), dst: six, proto: 58, flags: 135, hops: 64}, true},
		{"other over IPv6", packet{src: addr("2001:db8::1"), dst: six, proto: 47}, false},
	} {
		dropped := 0
		for range 20 {
			if run(t, e, c.p.frame()) {
				dropped++
			}
		}
		// A slow machine may let a packet a second through; it never drops what is not limited.
		if c.held && dropped == 0 || !c.held && dropped > 0 {
			t.Errorf("%s: %d of 20 dropped, held down: %v", c.name, dropped, c.held)
		}
	}
	s, err := e.Load(wall)
	if err != nil || len(s.Limits) != len(all) {
		t.Fatalf("%d limits found again, want %d (%v)", len(s.Limits), len(all), err)
	}
	for _, l := range s.Limits {
		want := slices.IndexFunc(all, func(x block.Limit) bool { return x.Key() == l.Key() })
		if want < 0 || l.Rate != 1 || l.Burst != 1 {
			t.Errorf("found again as %+v", l)
		}
	}
	var off []block.LimitKey
	for _, l := range all {
		off = append(off, l.Key())
	}
	apply(t, e, block.Changes{Unlimit: off})
	p := packet{src: addr("192.0.2.1"), dst: web, proto: 17, dport: 9}
	for range 20 {
		if run(t, e, p.frame()) {
			t.Fatal("a limit that was taken out holds on")
		}
	}
}

// What is not dropped goes on into the program behind the blocks, if there is one.
func TestAnotherProgramBehindTheBlocks(t *testing.T) {
	e := scratch(t, block.Sizes{})
	behind, err := e.t.load(bare(3)) // XDP_TX, which nothing here says otherwise
	if err != nil {
		t.Fatal(err)
	}
	defer behind.Close()
	blocked, free := packet{src: addr("192.0.2.7"), dst: addr("203.0.113.1"), proto: 17}, packet{src: addr("192.0.2.8"), dst: addr("203.0.113.1"), proto: 17}
	apply(t, e, block.Changes{Block: []block.Entry{{Prefix: block.Host(blocked.src), Until: wall + hour}}})
	for _, c := range []struct {
		next *ebpf.Program
		want uint32
	}{{nil, xdpPass}, {behind, 3}, {nil, xdpPass}} {
		if err := e.SetNext(c.next); err != nil {
			t.Fatal(err)
		}
		for p, want := range map[*packet]uint32{&blocked: xdpDrop, &free: c.want} {
			if got, err := e.Program().Run(&ebpf.RunOptions{Data: p.frame()}); err != nil || got != want {
				t.Errorf("verdict %d (%v), want %d", got, err, want)
			}
		}
	}
}

// Neighbour discovery (133 to 137, only ever with 255 hops) passes every limit; what stands beside it does not.
func TestNeighbourDiscoveryIsNeverLimited(t *testing.T) {
	e := scratch(t, block.Sizes{})
	six := addr("2001:db8:5::5")
	apply(t, e, block.Changes{Limit: []block.Limit{{Target: netip.MustParsePrefix("2001:db8:5::/64"), Kind: block.LimitICMP, Rate: 1, Burst: 1, Until: wall + hour}}})
	for kind := byte(131); kind < 140; kind++ {
		dropped := 0
		for range 20 {
			if run(t, e, packet{src: addr("2001:db8::1"), dst: six, proto: 58, flags: kind, hops: 255}.frame()) {
				dropped++
			}
		}
		if free := kind >= 133 && kind <= 137; free != (dropped == 0) {
			t.Errorf("type %d: %d of 20 dropped", kind, dropped)
		}
	}
}

// Every limit that holds the target counts: what the narrowest lets through, a wider one may still hold down.
func TestLimitsInsideLimits(t *testing.T) {
	e := scratch(t, block.Sizes{})
	p := packet{src: addr("192.0.2.1"), dst: addr("10.1.1.1"), proto: 17}
	var all []block.Limit
	for i, target := range []string{"10.1.1.1/32", "10.1.1.0/24", "10.0.0.0/8"} {
		l := block.Limit{Target: netip.MustParsePrefix(target), Kind: block.LimitUDP, Rate: 1_000_000, Burst: 1_000_000, Until: wall + hour}
		if i == 2 {
			l.Rate, l.Burst = 1, 1
		}
		all = append(all, l)
	}
	apply(t, e, block.Changes{Limit: all})
	for range 20 {
		if run(t, e, p.frame()) {
			return
		}
	}
	t.Error("the widest limit holds nothing down")
}

// A bucket under the pressure of several processors gives out what it should, which the compare-and-swap decides.
func TestABucketIsOneWord(t *testing.T) {
	for rate := uint32(1); rate < 2_000_000_000; rate = rate*3 + 1 {
		interval, slack := bucket(rate, rate)
		if got := slack / uint64(interval); got != uint64(max(rate, 1)) {
			t.Errorf("rate %d: a burst of %d", rate, got)
		}
	}
}

// state is what the maps of the fuzz hold, as its twin sees it.
type state struct {
	host4  map[[4]byte]*value
	host6  map[[8]byte]*value
	nets   map[lpmKey]*value
	guard  map[lpmKey]guardValue
	target map[lpmKey]targetValue
	limit  map[limitKey]*value
	proven map[provenKey]provenValue
}

const (
	ended = 1
	ahead = uint64(1) << 62
)

// randomValue has a rate that time does not change: one that nothing is within, or one that everything is.
func randomValue(r *rand.Rand, bits uint32) *value {
	v := &value{End: []uint64{ended, ahead, ahead}[r.IntN(3)], Bits: bits}
	switch r.IntN(3) {
	case 0: // a rate that nothing is within
		v.Interval, v.Next = 1_000_000_000, ahead
	case 1: // one that all is within
		v.Interval, v.Slack = 1, ahead
	}
	return v
}

func randomAddr(r *rand.Rand) netip.Addr {
	if r.IntN(2) == 0 {
		return netip.AddrFrom4([4]byte{10, byte(r.IntN(2)), byte(r.IntN(2)), byte(r.IntN(2))})
	}
	return netip.AddrFrom16([16]byte{10, byte(r.IntN(2)), 0, byte(r.IntN(2)), 0, 0, 0, byte(r.IntN(2)), 15: byte(r.IntN(2))})
}

func randomLpm(r *rand.Rand) lpmKey {
	a := randomAddr(r)
	bits := []int{8, 16, 24, 31, 32}
	if a.Is6() {
		bits = []int{16, 32, 48, 64, 127, 128}
	}
	p, _ := a.Prefix(bits[r.IntN(len(bits))])
	return lpmKeyOf(p)
}

func randomState(t *testing.T, r *rand.Rand, e *Enforcer) *state {
	t.Helper()
	s := &state{map[[4]byte]*value{}, map[[8]byte]*value{}, map[lpmKey]*value{}, map[lpmKey]guardValue{}, map[lpmKey]targetValue{}, map[limitKey]*value{}, map[provenKey]provenValue{}}
	for range r.IntN(6) {
		if a := randomAddr(r); a.Is4() {
			s.host4[host4Key(a)] = randomValue(r, hostBits)
		} else {
			s.host6[host6Key(a)] = randomValue(r, hostBits)
		}
	}
	for range r.IntN(16) {
		k := randomLpm(r)
		s.nets[k] = randomValue(r, k.Bits)
	}
	for range r.IntN(3) {
		k := randomLpm(r)
		s.guard[k] = guardValue{End: []uint64{ended, ahead}[r.IntN(2)], Bits: k.Bits}
	}
	for i := range uint32(r.IntN(5)) {
		k := randomLpm(r)
		s.target[k] = targetValue{i, k.Bits}
		for range 1 + r.IntN(5) {
			v := randomValue(r, 0)
			for v.Interval == 0 { // a limit has a rate
				v = randomValue(r, 0)
			}
			s.limit[limitKey{i, uint8(1 + r.IntN(5)), []byte{0, 0, 6, 17, 50}[r.IntN(5)], port(uint16(r.IntN(3)))}] = v
		}
	}
	for range r.IntN(4) {
		a, b := randomAddr(r), randomAddr(r)
		p := block.Proven{Src: a, Dst: b, Proto: []byte{1, 6, 17, 58}[r.IntN(4)], SrcPort: uint16(r.IntN(2)), DstPort: uint16(r.IntN(2))}
		v := randomValue(r, 0)
		s.proven[provenKeyOf(p)] = provenValue{End: v.End, Next: v.Next, Slack: v.Slack, Interval: v.Interval}
	}
	fill(t, e.t.maps[mapHost4], s.host4)
	fill(t, e.t.maps[mapHost6], s.host6)
	fill(t, e.t.maps[mapNets], s.nets)
	fill(t, e.t.maps[mapGuard], s.guard)
	fill(t, e.t.maps[mapTargets], s.target)
	fill(t, e.t.maps[mapLimits], s.limit)
	fill(t, e.t.maps[mapProven], s.proven)
	return s
}

func fill[K comparable, V any](t *testing.T, m *ebpf.Map, want map[K]V) {
	t.Helper()
	var k K
	for m.NextKey(nil, &k) == nil {
		if err := m.Delete(k); err != nil {
			t.Fatal(err)
		}
	}
	for k, v := range want {
		var err error
		if p, ok := any(v).(*value); ok {
			err = m.Put(k, *p)
		} else {
			err = m.Put(k, v)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func randomPacket(r *rand.Rand) packet {
	p := packet{src: randomAddr(r), dst: randomAddr(r), proto: []byte{1, 6, 6, 17, 17, 47, 50, 58}[r.IntN(8)],
		sport: uint16(r.IntN(2)), dport: uint16(r.IntN(3)), flags: byte([]int{2, 0x10, 0x12, 0, 128, 135}[r.IntN(6)]), hops: byte([]int{64, 255}[r.IntN(2)])}
	if p.proto == 58 && r.IntN(2) == 0 {
		p.flags = byte(132 + r.IntN(7))
	}
	for range r.IntN(4) {
		p.tags = append(p.tags, []uint16{0x8100, 0x88a8, 0x9100}[r.IntN(3)])
	}
	if p.src.Is4() != p.dst.Is4() {
		p.dst = p.src
	}
	p.options = r.IntN(3)
	p.fragment = []uint16{0, 0, 0x4000, 0x2000, 1}[r.IntN(5)]
	for range max(0, r.IntN(14)-6) {
		p.headers = append(p.headers, []byte{0, 43, 44, 51, 60}[r.IntN(5)])
	}
	return p
}

// The program against the same thing in Go: random maps, random frames, cut and spoilt. Verdicts and all counters agree.
func TestProgramAgainstItsTwin(t *testing.T) {
	e := scratch(t, block.Sizes{})
	drops := 0
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 11))
		s := randomState(t, r, e)
		for range 150 {
			b := randomPacket(r).frame()
			switch r.IntN(6) {
			case 0:
				b = b[:max(14, r.IntN(len(b)))]
			case 1:
				b[12+r.IntN(len(b)-12)] = byte(r.Uint32())
			}
			want := s.judge(b)
			if want {
				drops++
			}
			if got := run(t, e, b); got != want {
				t.Fatalf("seed %d: dropped %v, want %v\n%x\n%s", seed, got, want, b, s)
			}
		}
		same(t, e.t.maps[mapHost4], s.host4)
		same(t, e.t.maps[mapHost6], s.host6)
		same(t, e.t.maps[mapNets], s.nets)
		same(t, e.t.maps[mapLimits], s.limit)
	}
	if drops < 1000 {
		t.Errorf("only %d drops were tried", drops)
	}
}

func same[K comparable](t *testing.T, m *ebpf.Map, want map[K]*value) {
	t.Helper()
	for k, v := range want {
		var got value
		if err := m.Lookup(k, &got); err != nil || got.Packets != v.Packets || got.Bytes != v.Bytes {
			t.Fatalf("%s %v: counted %d %d (%v), want %d %d", m, k, got.Packets, got.Bytes, err, v.Packets, v.Bytes)
		}
	}
}

func (s *state) String() string {
	return fmt.Sprintf("host4 %v\nhost6 %v\nnets %v\nguard %v\ntargets %v\nlimits %v\nproven %v",
		s.host4, s.host6, s.nets, s.guard, s.target, s.limit, s.proven)
}
