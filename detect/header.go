package detect

import (
	"bytes"
	"sort"

	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/flow"
	"github.com/dejpha/dejpha/rule"
)

// addressSet is a header's side: sorted, merged ranges minus others.
type addressSet struct {
	in, not []rule.Prefix
	any     bool // in is everything
}

func sortPrefixes(p []rule.Prefix) []rule.Prefix {
	out := append([]rule.Prefix(nil), p...)
	sort.Slice(out, func(i, j int) bool { return bytes.Compare(out[i].Lo[:], out[j].Lo[:]) < 0 })
	merged := out[:0]
	for _, r := range out {
		if n := len(merged); n > 0 && bytes.Compare(r.Lo[:], merged[n-1].Hi[:]) <= 0 && r.V4 == merged[n-1].V4 {
			if bytes.Compare(r.Hi[:], merged[n-1].Hi[:]) > 0 {
				merged[n-1].Hi = r.Hi
			}
			continue
		}
		merged = append(merged, r)
	}
	return merged
}

func makeAddresses(a rule.Addresses) addressSet {
	return addressSet{in: sortPrefixes(a.In), not: sortPrefixes(a.Not), any: a.Any || len(a.In) == 0}
}

func inPrefixes(list []rule.Prefix, a *decode.Addr) bool {
	lo, hi := 0, len(list)
	for lo < hi {
		mid := (lo + hi) / 2
		if bytes.Compare(list[mid].Hi[:], a[:]) < 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo < len(list) && bytes.Compare(list[lo].Lo[:], a[:]) <= 0
}

func (s *addressSet) has(a *decode.Addr) bool {
	return (s.any || inPrefixes(s.in, a)) && !inPrefixes(s.not, a)
}

// allPorts says whether a side accepts every port, and packets that have none.
func allPorts(p *rule.Ports) bool { return p.Any && len(p.Not) == 0 }

func portsHave(p *rule.Ports, port uint16) bool {
	for _, r := range p.Not {
		if port >= r.Lo && port <= r.Hi {
			return false
		}
	}
	for _, r := range p.In {
		if port >= r.Lo && port <= r.Hi {
			return true
		}
	}
	return p.Any || len(p.In) == 0
}

// header is what rules' headers are compared with.
type header struct {
	src, dst         decode.Addr
	srcPort, dstPort uint16
	mask             uint16 // transports that accept the packet
	ports            bool   // the ports are valid
}

func protoBits(version, proto uint8) rule.IPProto {
	var m rule.IPProto
	switch version {
	case 4:
		m = rule.IPv4
	case 6:
		m = rule.IPv6
	}
	switch proto {
	case decode.ProtoTCP:
		m |= rule.TCP
	case decode.ProtoUDP:
		m |= rule.UDP
	case decode.ProtoICMP:
		m |= rule.ICMP
	case decode.ProtoICMPv6:
		m |= rule.ICMPv6 | rule.ICMP
	case decode.ProtoSCTP:
		m |= rule.SCTP
	}
	return m
}

const etherTypeARP = 0x0806

func (w *Worker) setHeader(in *Input) {
	h := &w.header
	if p := in.Packet; p != nil {
		h.src, h.dst = p.Src, p.Dst
		h.srcPort, h.dstPort = p.SrcPort, p.DstPort
		h.ports = p.HasL4
		h.mask = uint16(protoBits(p.IPVersion, p.Proto))
		if p.HasEthernet {
			h.mask |= uint16(rule.Ether)
		}
		if p.EtherType == etherTypeARP {
			h.mask |= uint16(rule.ARP)
		}
		return
	}
	f := in.Flow
	h.src, h.dst, h.srcPort, h.dstPort = f.Client, f.Server, f.ClientPort, f.ServerPort
	if in.Dir == flow.ToClient {
		h.src, h.dst, h.srcPort, h.dstPort = f.Server, f.Client, f.ServerPort, f.ClientPort
	}
	h.ports = true
	h.mask = uint16(protoBits(f.IPVersion, f.Proto))
}

// headerHolds compares a rule's header with the packet's.
func (w *Worker) headerHolds(s *sig) bool {
	h := &w.header
	if s.protoMask != 0 && s.protoMask&h.mask == 0 {
		return false
	}
	if s.anyHeader {
		return true
	}
	return w.ends(s, h, false) || s.bothWays && w.ends(s, h, true)
}

func (w *Worker) ends(s *sig, h *header, swapped bool) bool {
	src, dst, sp, dp := &h.src, &h.dst, h.srcPort, h.dstPort
	if swapped {
		src, dst, sp, dp = dst, src, dp, sp
	}
	if !allPorts(&s.srcPorts) && !(h.ports && portsHave(&s.srcPorts, sp)) || !allPorts(&s.dstPorts) && !(h.ports && portsHave(&s.dstPorts, dp)) {
		return false
	}
	return (s.src < 0 || w.set.addrs[s.src].has(src)) && (s.dst < 0 || w.set.addrs[s.dst].has(dst))
}
