package reject

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/dejpha/dejpha/decode"
)

// build makes a frame: Ethernet, tags, IP and the upper layer.
func build(v6 bool, tags []uint16, proto uint8, upper []byte) []byte {
	b := []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}
	for _, t := range tags {
		b = binary.BigEndian.AppendUint16(b, 0x8100)
		b = binary.BigEndian.AppendUint16(b, t)
	}
	if v6 {
		b = binary.BigEndian.AppendUint16(b, 0x86dd)
		b = append(b, 0x60, 0, 0, 0, 0, byte(len(upper)), proto, 7)
		b = append(b, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2)
		return append(b, upper...)
	}
	b = binary.BigEndian.AppendUint16(b, 0x0800)
	b = append(b, 0x45, 0, 0, byte(20+len(upper)), 0, 9, 0, 0, 7, proto, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2)
	return append(b, upper...)
}

func tcp(flags uint8, data string) []byte {
	b := []byte{0x9c, 0x40, 0, 80, 0, 0, 4, 0, 0, 0, 8, 0, 5 << 4, flags, 1, 0, 0, 0, 0, 0}
	return append(b, data...)
}

func decoded(t *testing.T, frame []byte, link uint16) *decode.Packet {
	t.Helper()
	p := &decode.Packet{Time: 5e9}
	d := decode.Decoder{Checksums: true}
	d.Decode(p, link, frame)
	return p
}

// check decodes what was made and holds it to sound checksums and to the addresses that are due.
func check(t *testing.T, name string, b []byte, of *decode.Packet, back bool, link uint16) *decode.Packet {
	t.Helper()
	p := decoded(t, b, link)
	src, dst, eth := of.Src, of.Dst, of.EthDst
	if back {
		src, dst, eth = of.Dst, of.Src, of.EthSrc
	}
	if p.Undecodable != decode.ReasonNone || p.BadIPChecksum || p.BadL4Checksum || p.Src != src || p.Dst != dst || p.EthDst != eth ||
		p.VLAN != of.VLAN || p.VLANs != of.VLANs || link == decode.LinkEthernet && len(b) < 60 {
		t.Errorf("%s: % x", name, b)
	}
	return p
}

func TestResets(t *testing.T) {
	for name, k := range map[string]struct {
		v6   bool
		tags []uint16
	}{"IPv4": {}, "IPv6": {v6: true}, "in a VLAN": {tags: []uint16{7}}, "in two": {v6: true, tags: []uint16{7, 9}}} {
		var m Maker
		p := decoded(t, build(k.v6, k.tags, decode.ProtoTCP, tcp(decode.ACK|decode.PSH, "evil")), decode.LinkEthernet)
		src, dst, kind := m.Make(p, Source|Destination)
		if kind != TCPReset {
			t.Fatalf("%s: %q", name, kind)
		}
		r := check(t, name, src, p, true, decode.LinkEthernet)
		if r.TCP.Flags != decode.RST|decode.ACK || r.TCP.Seq != 0x800 || r.TCP.Ack != 0x404 || r.SrcPort != 80 || r.DstPort != 0x9c40 {
			t.Errorf("%s: to the sender %+v", name, r.TCP)
		}
		r = check(t, name, dst, p, false, decode.LinkEthernet)
		if r.TCP.Flags != decode.RST|decode.ACK || r.TCP.Seq != 0x400 || r.TCP.Ack != 0x800 || r.SrcPort != 0x9c40 || r.DstPort != 80 {
			t.Errorf("%s: to the receiver %+v", name, r.TCP)
		}
	}
	var m Maker
	p := decoded(t, build(false, nil, decode.ProtoTCP, tcp(decode.SYN, ""))[14:], decode.LinkRaw)
	src, dst, _ := m.Make(p, Source)
	if r := check(t, "a SYN", src, p, true, decode.LinkRaw); dst != nil || r.TCP.Seq != 0 || r.TCP.Ack != 0x401 || len(src) != 40 {
		t.Errorf("a SYN: %+v", r.TCP)
	}
}

func TestProhibited(t *testing.T) {
	for name, v6 := range map[string]bool{"IPv4": false, "IPv6": true} {
		var m Maker
		f := build(v6, []uint16{3}, decode.ProtoUDP, []byte{0, 9, 0, 53, 0, 12, 0, 0, 1, 2, 3, 4})
		p := decoded(t, f, decode.LinkEthernet)
		src, dst, kind := m.Make(p, Source|Destination)
		if kind != ICMPProhibited || dst != nil {
			t.Fatalf("%s: %q % x", name, kind, dst)
		}
		r := check(t, name, src, p, true, decode.LinkEthernet)
		want := [2]uint8{3, 13}
		if v6 {
			want = [2]uint8{1, 1}
		}
		if r.ICMPType != want[0] || r.ICMPCode != want[1] || !r.Embedded.Valid || r.Embedded.DstPort != 53 || !bytes.HasSuffix(src, f[18:]) {
			t.Errorf("%s: %+v", name, r)
		}
		if _, _, kind := m.Make(p, Destination); kind != "" {
			t.Errorf("%s: the receiver is told of a packet that it never saw", name)
		}
	}
}

// What must not be answered is not.
func TestSilent(t *testing.T) {
	multicast := build(false, nil, decode.ProtoUDP, []byte{0, 9, 0, 53, 0, 8, 0, 0})
	multicast[30] = 224
	group := build(false, nil, decode.ProtoUDP, []byte{0, 9, 0, 53, 0, 8, 0, 0})
	group[0] = 1
	fragment := build(false, nil, decode.ProtoUDP, []byte{0, 9, 0, 53, 0, 8, 0, 0})
	fragment[21] = 3
	for name, f := range map[string][]byte{
		"a reset":        build(false, nil, decode.ProtoTCP, tcp(decode.RST, "")),
		"an ICMP error":  build(false, nil, decode.ProtoICMP, append([]byte{3, 1, 0, 0, 0, 0, 0, 0}, build(false, nil, decode.ProtoUDP, make([]byte, 8))[14:]...)),
		"a neighbour":    build(true, nil, decode.ProtoICMPv6, append([]byte{135, 0, 0, 0}, make([]byte, 20)...)),
		"multicast":      multicast,
		"a group's MAC":  group,
		"a fragment":     fragment,
		"no IP":          {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5, 0, 0},
		"a cut TCP head": build(false, nil, decode.ProtoTCP, make([]byte, 6)),
	} {
		var m Maker
		src, dst, kind := m.Make(decoded(t, f, decode.LinkEthernet), Source|Destination)
		if kind != "" || src != nil || dst != nil {
			t.Errorf("%s was answered: % x", name, src)
		}
	}
}

// A flood is answered by a bounded number of frames, each without an allocation.
func TestRate(t *testing.T) {
	var m Maker
	p := decoded(t, build(false, nil, decode.ProtoTCP, tcp(decode.SYN, "")), decode.LinkEthernet)
	for range 5 * perSecond {
		m.Make(p, Source)
	}
	p.Time += second
	m.Make(p, Source)
	if m.Made != perSecond+1 || m.Spared != 4*perSecond {
		t.Errorf("%d made, %d spared", m.Made, m.Spared)
	}
	if n := testing.AllocsPerRun(1000, func() { p.Time += second; m.Make(p, Source|Destination) }); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

// Whatever is decoded, what is made of it is sound.
func FuzzMake(f *testing.F) {
	f.Add(build(false, nil, decode.ProtoTCP, tcp(decode.ACK, "x")), true)
	f.Add(build(true, []uint16{1}, decode.ProtoUDP, make([]byte, 8)), true)
	f.Add(build(false, nil, decode.ProtoICMP, []byte{8, 0, 0, 0, 0, 1, 0, 1})[14:], false)
	f.Fuzz(func(t *testing.T, b []byte, ethernet bool) {
		link := uint16(decode.LinkRaw)
		if ethernet {
			link = decode.LinkEthernet
		}
		p := decoded(t, b, link)
		var m Maker
		src, dst, _ := m.Make(p, Source|Destination)
		if src != nil {
			check(t, "to the sender", src, p, true, link)
		}
		if dst != nil {
			check(t, "to the receiver", dst, p, false, link)
		}
	})
}
