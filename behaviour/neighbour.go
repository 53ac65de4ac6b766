package behaviour

import (
	"fmt"
	"net/netip"

	"github.com/dejpha/dejpha/decode"
)

// Bounds of the neighbour detector. A network has a router or two, and who takes over an address says so once.
const (
	neighbourRoutersMin = 10  // routers that advertise themselves on one network
	neighbourClaimsMin  = 100 // addresses claimed unasked on one network
	neighbourTakenMin   = 3   // fresh addresses that one hardware address says it has already
	neighbourWindow     = 5 * second
	neighbourTakenSpan  = 10 * minute
	neighbourHopLimit   = 255 // what came through a router is no neighbour's word, RFC 4861
)

// ICMPv6 types of neighbour discovery and the flag of an answer that was asked for (RFC 4861).
const (
	icmp6RouterAdvert    = 134
	icmp6NeighbourAsk    = 135
	icmp6NeighbourAdvert = 136
	neighbourSolicited   = 0x40
)

// neighbour finds what ARP's forgers do over IPv6: floods of advertised routers and addresses, an address claimed for
// another hardware address than it has, and hosts kept from taking any address.
type neighbour struct {
	routers, claims *table[uint16, sweepState[[22]byte]]
	holders         *table[holderKey, holder]
	fresh           *table[holderKey, int64] // addresses that somebody asks about before taking them
	takers          *table[leaseKey, sweepState[decode.Addr]]
}

type holderKey struct {
	vlan uint16
	ip   decode.Addr
}

type holder struct {
	mac, old     [6]byte
	at           int64
	contradicted uint32
}

func newNeighbour(c Config) Detector {
	return &neighbour{newTable[uint16, sweepState[[22]byte]](4096), newTable[uint16, sweepState[[22]byte]](4096),
		newTable[holderKey, holder](c.HostsMax), newTable[holderKey, int64](c.HostsMax), newTable[leaseKey, sweepState[decode.Addr]](c.HostsMax)}
}

// Name implements Detector.
func (*neighbour) Name() string { return "neighbours" }

// Wants implements Detector.
func (*neighbour) Wants() Kind { return NeighbourSeen }

// Dropped implements Detector.
func (d *neighbour) Dropped() uint64 {
	return d.routers.Dropped + d.claims.Dropped + d.holders.Dropped + d.fresh.Dropped + d.takers.Dropped
}

// Observe implements Detector.
func (d *neighbour) Observe(s *Signal, report func(Finding)) {
	if s.TTL != neighbourHopLimit || virtualRouter(s.EthSrc) {
		return
	}
	target := decode.Addr(s.Head)
	switch s.Code {
	case icmp6RouterAdvert:
		d.many(d.routers, s, s.Client, neighbourRoutersMin, "%d routers advertised on one network within five seconds", report)
		d.held(s, s.Client, report)
	case icmp6NeighbourAsk:
		if s.Client == (decode.Addr{}) { // it means to take the address
			at, _ := d.fresh.get(holderKey{s.VLAN, target})
			*at = s.Time
			return
		}
		d.held(s, s.Client, report)
	case icmp6NeighbourAdvert:
		if s.Flags&neighbourSolicited == 0 {
			d.many(d.claims, s, target, neighbourClaimsMin, "%d addresses claimed unasked on one network within five seconds", report)
			d.taken(s, target, report)
		}
		d.held(s, target, report)
	}
}

// many counts the distinct speakers of one network.
func (d *neighbour) many(of *table[uint16, sweepState[[22]byte]], s *Signal, ip decode.Addr, least int, text string, report func(Finding)) {
	st, _ := of.get(s.VLAN)
	who := [22]byte{}
	copy(who[copy(who[:], ip[:]):], s.EthSrc[:])
	n, yes := st.note(who, s.Time, neighbourWindow, least)
	if !yes {
		return
	}
	f := finding("neighbours", "flood", []string{"T1499.001", "T1498.001", "T1499"}, 2, fmt.Sprintf(text, n), s)
	f.Proven, f.Packets = false, uint64(n)
	report(f)
}

// taken tells of a hardware address that answers whoever wants a fresh address that it is in use.
func (d *neighbour) taken(s *Signal, target decode.Addr, report func(Finding)) {
	at := d.fresh.find(holderKey{s.VLAN, target})
	if at == nil || s.Time-*at > neighbourWindow {
		return
	}
	st, _ := d.takers.get(leaseKey{s.VLAN, string(s.EthSrc[:])})
	if n, yes := st.note(target, s.Time, neighbourTakenSpan, neighbourTakenMin); yes {
		report(d.forged(s, target, fmt.Sprintf("%d fresh addresses said to be in use by one hardware address", n)))
	}
}

// held notes who speaks for an address, and tells when it swings back to whom it had before: two speak for it. A
// router that takes over from another is heard once, and not contradicted.
func (d *neighbour) held(s *Signal, ip decode.Addr, report func(Finding)) {
	h, fresh := d.holders.get(holderKey{s.VLAN, ip})
	if fresh || s.Time-h.at > spoofBindingLife {
		*h = holder{mac: s.EthSrc, at: s.Time}
		return
	}
	h.at = s.Time
	if h.mac == s.EthSrc {
		return
	}
	back := h.old == s.EthSrc
	h.old, h.mac = h.mac, s.EthSrc
	if !back {
		return
	}
	if h.contradicted++; h.contradicted&(h.contradicted-1) == 0 { // at each doubling
		report(d.forged(s, ip, fmt.Sprintf("%s claimed by two hardware addresses in turn", netip.AddrFrom16(ip))))
	}
}

// forged names nobody: which of the two hardware addresses lies, no packet shows.
func (d *neighbour) forged(s *Signal, target decode.Addr, text string) Finding {
	f := finding("neighbours", "spoofing", []string{"T1557", "T1557.002"}, 2, text, s)
	f.HasOrigin, f.OriginMAC, f.HasOriginMAC, f.Proven = false, s.EthSrc, true, false
	f.Target, f.HasTarget = target, true
	return f
}
