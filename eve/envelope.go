// Package eve writes records for other tools: Suricata 8's envelope and event types, one type a file.
//
// In: packets, flows, transactions, matches and attacks, as the rooms on its left hold them.
// Out: JSON lines appended to a buffer the caller reuses. Called by shield's workers and its
// merge point. It opens no file, keeps no state between lines and reads no clock.
package eve

import (
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/flow"
	"github.com/dejpha/dejpha/jsonline"
)

// Options say which optional fields are written; they come from the eve-log output's configuration.
type Options struct {
	Payload, PayloadPrintable, Packet bool
	PayloadBytesMax                   int
	CommunityID                       bool
	Ethernet                          bool // the frame's addresses
	Bare                              bool // alerts: neither the transaction nor the rule's metadata
	XFF                               XFF
	References, Verdict               bool // alerts: the rule's references, the packet's fate
	CommunityIDSeed                   uint16
	Interfaces                        []string            // live: their names, written as in_iface; nil on recordings
	PcapFilename                      string              // written as pcap_filename when not empty
	PcapCount                         bool                // pcap_cnt: recordings only
	AppName                           func(uint16) string // a protocol number's app_proto
}

// Where is what an envelope needs: the packet at hand, the flow it belongs to (nil if none) and its direction.
type Where struct {
	Packet *decode.Packet
	Flow   *flow.Flow
	Dir    flow.Direction
	Ending bool // the flow ended: Packet stands in
}

// begin appends the envelope's fields of a packet's event, without the closing brace.
func begin(dst []byte, o *Options, w Where, event string) []byte {
	p := w.Packet
	dst = append(dst, '{')
	dst = jsonline.KeyTime(dst, "timestamp", p.Time)
	if w.Flow != nil {
		dst = jsonline.KeyUint(dst, "flow_id", w.Flow.ID)
	}
	dst = source(dst, o, p.Number, p.Interface)
	dst = append(dst, `,"event_type":"`...)
	dst = append(dst, event...)
	dst = append(dst, '"')
	dst = vlans(dst, p.VLAN, p.VLANs)
	if p.IPVersion != 0 {
		dst = endpoints(dst, p.Src, p.Dst, p.SrcPort, p.DstPort, p.Proto)
		dst = append(dst, `,"ip_v":`...)
		dst = append(dst, '0'+p.IPVersion)
		if p.Proto == decode.ProtoICMP || p.Proto == decode.ProtoICMPv6 {
			dst = icmp(dst, p.ICMPType, p.ICMPCode)
		}
	}
	dst = append(dst, `,"pkt_src":"`...)
	if w.Ending {
		dst = append(dst, "stream (flow timeout)"...)
	} else {
		dst = append(dst, PacketSource(p)...)
	}
	dst = append(dst, '"')
	if o.Ethernet && p.HasEthernet {
		dst = ether(dst, p)
	}
	return community(dst, o, p.Src, p.Dst, p.SrcPort, p.DstPort, p.Proto, p.IPVersion, p.ICMPType)
}

// beginFlow appends the envelope of an event of a whole flow, client first.
func beginFlow(dst []byte, o *Options, f *flow.Flow, at int64, number uint64, dir flow.Direction, event string) []byte {
	dst = append(dst, '{')
	dst = jsonline.KeyTime(dst, "timestamp", at)
	dst = jsonline.KeyUint(dst, "flow_id", f.ID)
	dst = source(dst, o, number, f.Interface)
	dst = append(dst, `,"event_type":"`...)
	dst = append(dst, event...)
	dst = append(dst, '"')
	dst = vlans(dst, f.VLAN, f.VLANs)
	if dir == flow.ToServer {
		dst = endpoints(dst, f.Client, f.Server, f.ClientPort, f.ServerPort, f.Proto)
	} else {
		dst = endpoints(dst, f.Server, f.Client, f.ServerPort, f.ClientPort, f.Proto)
	}
	dst = append(dst, `,"ip_v":`...)
	dst = append(dst, '0'+f.IPVersion)
	if f.Proto == decode.ProtoICMP || f.Proto == decode.ProtoICMPv6 {
		dst = icmp(dst, f.ICMPType, f.ICMPCode)
	}
	return community(dst, o, f.Client, f.Server, f.ClientPort, f.ServerPort, f.Proto, f.IPVersion, f.ICMPType)
}

func source(dst []byte, o *Options, number uint64, iface uint16) []byte {
	if int(iface) < len(o.Interfaces) {
		dst = jsonline.KeyString(dst, "in_iface", o.Interfaces[iface])
	}
	if o.PcapCount && number != 0 {
		dst = jsonline.KeyUint(dst, "pcap_cnt", number)
	}
	if o.PcapFilename != "" {
		dst = jsonline.KeyString(dst, "pcap_filename", o.PcapFilename)
	}
	return dst
}

func ether(dst []byte, p *decode.Packet) []byte {
	dst = append(dst, `,"ether":{"dest_mac":"`...)
	dst = appendMAC(dst, p.EthDst)
	dst = append(dst, `","src_mac":"`...)
	return append(appendMAC(dst, p.EthSrc), `"}`...)
}

func appendMAC(dst []byte, a [6]byte) []byte {
	for i, b := range a {
		if i > 0 {
			dst = append(dst, ':')
		}
		dst = hexByte(dst, b)
	}
	return dst
}

func vlans(dst []byte, tags [3]uint16, n uint8) []byte {
	if n == 0 {
		return dst
	}
	dst = append(dst, `,"vlan":[`...)
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = jsonline.AppendUint(dst, uint64(tags[i]))
	}
	return append(dst, ']')
}

func endpoints(dst []byte, src, to decode.Addr, srcPort, dstPort uint16, proto uint8) []byte {
	dst = append(dst, `,"src_ip":"`...)
	dst = AppendAddr(dst, src)
	dst = append(dst, '"')
	ports := hasPorts(proto)
	if ports {
		dst = jsonline.KeyUint(dst, "src_port", uint64(srcPort))
	}
	dst = append(dst, `,"dest_ip":"`...)
	dst = AppendAddr(dst, to)
	dst = append(dst, '"')
	if ports {
		dst = jsonline.KeyUint(dst, "dest_port", uint64(dstPort))
	}
	dst = append(dst, `,"proto":"`...)
	dst = AppendProto(dst, proto)
	return append(dst, '"')
}

func hasPorts(proto uint8) bool {
	return proto == decode.ProtoTCP || proto == decode.ProtoUDP || proto == decode.ProtoSCTP
}

func icmp(dst []byte, kind, code uint8) []byte {
	dst = jsonline.KeyUint(dst, "icmp_type", uint64(kind))
	return jsonline.KeyUint(dst, "icmp_code", uint64(code))
}

// AppendAddr appends an address in eve's spelling: dotted for IPv4, eight full groups for IPv6.
func AppendAddr(dst []byte, a decode.Addr) []byte {
	n := a.Netip()
	if n.Is4() {
		return n.AppendTo(dst)
	}
	const hex = "0123456789abcdef"
	for i, b := range a {
		if i > 0 && i%2 == 0 {
			dst = append(dst, ':')
		}
		dst = append(dst, hex[b>>4], hex[b&15])
	}
	return dst
}

// protoNames are the protocols (IANA numbers) that eve writes as words.
var protoNames = [...]string{0: "HOPOPT", 1: "ICMP", 2: "IGMP", 3: "GGP", 4: "IP-in-IP", 5: "ST", 6: "TCP", 7: "CBT", 8: "EGP", 9: "IGP",
	17: "UDP", 27: "RDP", 33: "DCCP", 41: "IPv6", 43: "IPv6-Route", 44: "IPv6-Frag", 46: "RSVP", 47: "GRE", 50: "ESP", 51: "AH",
	58: "IPv6-ICMP", 59: "IPv6-NoNxt", 60: "IPv6-Opts", 88: "EIGRP", 89: "OSPF", 94: "IPIP", 103: "PIM", 112: "VRRP", 115: "L2TP",
	132: "SCTP", 136: "UDPLite", 137: "MPLS-in-IP"}

// AppendProto appends the name of an IP protocol as eve spells it, or its number.
func AppendProto(dst []byte, proto uint8) []byte {
	if int(proto) < len(protoNames) && protoNames[proto] != "" {
		return append(dst, protoNames[proto]...)
	}
	return jsonline.AppendUint(dst, uint64(proto))
}

// PacketSource names where a packet came from, as eve's pkt_src does.
func PacketSource(p *decode.Packet) string {
	switch {
	case p.Rebuilt:
		return "defrag"
	case p.Depth > 0:
		return p.Tunnel.String()
	}
	return "wire/pcap"
}

// appProto appends `,"app_proto":"name"` and its two sides where they differ.
func appProto(dst []byte, o *Options, f *flow.Flow) []byte {
	if f == nil || f.AppProto == 0 && f.AppProtoTS == 0 && f.AppProtoTC == 0 {
		return dst
	}
	dst = append(dst, `,"app_proto":"`...)
	dst = append(dst, o.AppName(f.AppProto)...)
	dst = append(dst, '"')
	if f.AppProtoTS != 0 && f.AppProtoTS != f.AppProto {
		dst = append(dst, `,"app_proto_ts":"`...)
		dst = append(append(dst, o.AppName(f.AppProtoTS)...), '"')
	}
	if f.AppProtoTC != 0 && f.AppProtoTC != f.AppProto {
		dst = append(dst, `,"app_proto_tc":"`...)
		dst = append(append(dst, o.AppName(f.AppProtoTC)...), '"')
	}
	return dst
}
