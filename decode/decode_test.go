package decode

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/capture/captest"
)

// tcpFrame is an Ethernet frame with an IPv4 TCP segment; tag it with VLANs by the ids given.
func tcpFrame(payload string, vlans ...uint16) []byte {
	b := []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}
	for _, v := range vlans {
		b = append(b, 0x81, 0, byte(v>>8), byte(v))
	}
	b = append(b, 8, 0)
	ip := []byte{0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 7, 198, 51, 100, 2}
	binary.BigEndian.PutUint16(ip[2:], uint16(40+len(payload)))
	binary.BigEndian.PutUint16(ip[10:], checksum(ip, 0))
	tcp := []byte{0x0f, 0xa0, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 1, 0, 0, 0, 0, 0}
	return append(append(append(b, ip...), tcp...), payload...)
}

func TestLayers(t *testing.T) {
	var d Decoder
	var p Packet
	d.Decode(&p, LinkEthernet, tcpFrame("hello", 7, 9))
	if p.Undecodable != ReasonNone || p.VLANs != 2 || p.VLAN[0] != 7 || p.VLAN[1] != 9 {
		t.Errorf("tags: %v %v %v", p.Undecodable, p.VLANs, p.VLAN)
	}
	if p.Src.Netip().String() != "192.0.2.7" || p.DstPort != 80 || string(p.Payload) != "hello" || p.TCP.Flags != PSH|ACK {
		t.Errorf("%v:%d -> %v:%d %q %x", p.Src.Netip(), p.SrcPort, p.Dst.Netip(), p.DstPort, p.Payload, p.TCP.Flags)
	}
}

func TestChecksums(t *testing.T) {
	d := Decoder{Checksums: true}
	var p Packet
	frame := tcpFrame("hello")
	d.Decode(&p, LinkEthernet, frame)
	if p.BadIPChecksum || !p.BadL4Checksum {
		t.Errorf("IP %v, TCP %v; the TCP checksum of 0 is wrong, the IP one right", p.BadIPChecksum, p.BadL4Checksum)
	}
	binary.BigEndian.PutUint16(frame[14+20+16:], checksum(p.L4, p.pseudo(ProtoTCP)))
	d.Decode(&p, LinkEthernet, frame)
	if p.BadL4Checksum {
		t.Error("a right TCP checksum is called wrong")
	}
}

func TestEveryCutIsSurvived(t *testing.T) {
	var d Decoder
	var p, inner Packet
	whole := tcpFrame("some payload", 3)
	for n := range len(whole) {
		for link := range uint16(300) {
			d.Decode(&p, link, whole[:n])
			if p.Inner != nil {
				d.DecodeInner(&inner, &p)
			}
		}
	}
}

func TestDecodingAllocatesNothing(t *testing.T) {
	d := Decoder{Checksums: true}
	var p Packet
	frame := tcpFrame("hello", 7)
	if n := testing.AllocsPerRun(1000, func() { d.Decode(&p, LinkEthernet, frame) }); n != 0 {
		t.Errorf("%v allocations a packet, want 0", n)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(uint16(LinkEthernet), tcpFrame("hello", 7))
	f.Add(uint16(LinkRaw), tcpFrame("hello")[14:])
	n, of := 0, 0
	captest.Frames(func(first bool, fr *capture.Frame) bool {
		if first {
			of = 0
		}
		if len(fr.Data) <= 2000 {
			f.Add(fr.LinkType, bytes.Clone(fr.Data))
			n++
		}
		of++
		return n < 400 && of < 3
	})
	f.Fuzz(func(t *testing.T, link uint16, b []byte) {
		d := Decoder{Checksums: true}
		var p [depthMax + 2]Packet
		d.Decode(&p[0], LinkEthernet, tcpFrame("left over", 9)) // what is reused says nothing of what was there before
		d.Decode(&p[0], link, b)
		var fresh Packet
		d.Decode(&fresh, link, b)
		if what(&p[0]) != what(&fresh) {
			t.Fatalf("a packet used before says\n%s, a fresh one\n%s", what(&p[0]), what(&fresh))
		}
		for i := 0; ; i++ {
			x := &p[i]
			if len(x.L3) > len(x.Data) || len(x.Payload) > len(x.Data) || len(x.Inner) > len(x.Data) || x.HasL4 && len(x.Payload) > len(x.L4) || x.Undecodable == ReasonNone && x.IPVersion != 0 && x.IPHeader > len(x.L3) {
				t.Fatalf("layer %d: more inside than outside: %s", i, what(x))
			}
			if x.Inner == nil || i+1 == len(p) {
				break
			}
			d.DecodeInner(&p[i+1], x)
		}
	})
}

// what says all that is valid of a packet.
func what(p *Packet) string {
	s := fmt.Sprint(p.Undecodable, p.Events, p.HasEthernet, p.EtherType, p.VLANs, p.IPVersion, p.Fragment, p.HasL4, p.Depth, p.ARP.Valid)
	if p.IPVersion != 0 && p.Undecodable == ReasonNone {
		s += fmt.Sprint(p.Proto, p.Src, p.Dst, p.TTL, p.IPID, p.MoreFrags, p.FragOffset, p.SrcPort, p.DstPort)
		s += fmt.Sprintf(" %x %x %x", p.L3, p.Payload, p.Inner)
	}
	return s
}
