package behaviour

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/dejpha/dejpha/app/contract"
)

// Bounds of the spoofing detector.
const (
	spoofAskedWindow = 5 * second
	spoofBindingLife = 20 * minute
	spoofOfferWindow = minute
	spoofClaimsMin   = 6 // unasked answers within a minute
	spoofOverlapMin  = 8 // bytes of injected data that contradict; fewer are keep-alives and broken retransmissions
)

// spoof finds answers that somebody else gave: contradicting ARP claims, a second DHCP server, data injected into TCP.
type spoof struct {
	bindings *table[bindingKey, binding]
	offers   *table[offerKey, offer]
	asked    *table[bindingKey, int64]
	overlaps *table[uint64, bool]
	claims   *table[[6]byte, claimant]
}

type bindingKey struct {
	vlan uint16
	ip   [4]byte
}

// claimant is a hardware address that answered what nobody asked.
type claimant struct {
	unasked  window
	ips      seen[[4]byte]
	told     bool
	betrayed bool
}

type binding struct {
	mac          [6]byte
	at           int64
	old          [6]byte
	contradicted uint32
}

type offerKey struct {
	vlan  uint16
	asked uint32 // number of the request
}

type offer struct {
	server, routers string
	at              int64
	told            bool
}

func newSpoof(c Config) Detector {
	return &spoof{newTable[bindingKey, binding](c.HostsMax), newTable[offerKey, offer](c.HostsMax), newTable[bindingKey, int64](c.HostsMax), newTable[uint64, bool](c.HostsMax), newTable[[6]byte, claimant](c.HostsMax)}
}

// Name implements Detector.
func (*spoof) Name() string { return "spoofing" }

// Wants implements Detector.
func (*spoof) Wants() Kind { return ARPSeen | Said | Overlap }

// Dropped implements Detector.
func (d *spoof) Dropped() uint64 {
	return d.bindings.Dropped + d.offers.Dropped + d.asked.Dropped + d.overlaps.Dropped + d.claims.Dropped
}

// Observe implements Detector.
func (d *spoof) Observe(s *Signal, report func(Finding)) {
	switch {
	case s.Kind == ARPSeen:
		d.claim(s, report)
	case s.Kind == Overlap && s.Size >= spoofOverlapMin:
		if told, fresh := d.overlaps.get(s.FlowID); fresh {
			*told = true
			f := finding("spoofing", "spoofing", []string{"T1557"}, 2, fmt.Sprintf("%d bytes arrived twice with different content, as when an answer is injected", s.Size), s)
			f.Proven = false
			report(f)
		}
	case s.Kind == Said && s.Fact.Kind == contract.DHCPOffer && s.Fact.Dir == contract.ToClient && s.Fact.Name != "":
		d.offered(s, report)
	}
}

// claim judges an ARP sender's claim against what is known of the address.
func (d *spoof) claim(s *Signal, report func(Finding)) {
	a := &s.ARP
	if a.SenderIP == [4]byte{} || a.SenderMAC == [6]byte{} {
		return
	}
	if a.Op == 1 {
		if d.asksForOwn(s) {
			report(d.claimFinding(s, fmt.Sprintf("%s asked for by the hardware address that claims it", netip.AddrFrom4(a.TargetIP))))
		}
		at, _ := d.asked.get(bindingKey{s.VLAN, a.TargetIP})
		*at = s.Time
	}
	if a.Op == 2 && d.manyClaims(s) {
		report(d.claimFinding(s, fmt.Sprintf("%s and other addresses claimed again and again, unasked, by one hardware address", netip.AddrFrom4(a.SenderIP))))
	}
	b, fresh := d.bindings.get(bindingKey{s.VLAN, a.SenderIP})
	if fresh || s.Time-b.at > spoofBindingLife {
		*b = binding{mac: a.SenderMAC, at: s.Time}
		return
	}
	if b.mac == a.SenderMAC {
		b.at = s.Time
		return
	}
	asked := d.asked.find(bindingKey{s.VLAN, a.SenderIP})
	unasked := a.Op == 2 && (asked == nil || s.Time-*asked > spoofAskedWindow)
	back := b.old == a.SenderMAC                                      // the address swings between two holders
	announced := a.SenderIP == a.TargetIP || s.EthDst == broadcastMAC // as when a standby takes over: once, to all
	was := b.mac
	b.old, b.mac, b.at = b.mac, a.SenderMAC, s.Time
	if !back && (!unasked || announced) || virtualRouter(a.SenderMAC) || virtualRouter(was) {
		return
	}
	if b.contradicted++; b.contradicted&(b.contradicted-1) != 0 { // at each doubling
		return
	}
	report(d.claimFinding(s, fmt.Sprintf("%s claimed unasked for another hardware address than it had", netip.AddrFrom4(a.SenderIP))))
}

var broadcastMAC = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// asksForOwn says, once, that a hardware address asks who holds an address that it claimed to hold itself a moment
// ago, unasked and to one host alone: it needs the true holder to pass on what it took.
func (d *spoof) asksForOwn(s *Signal) bool {
	a := &s.ARP
	c := d.claims.find(a.SenderMAC)
	if c == nil || c.betrayed || a.SenderIP == a.TargetIP {
		return false
	}
	at, claimed := c.ips.times[a.TargetIP]
	c.betrayed = claimed && s.Time-at <= minute
	return c.betrayed
}

func (d *spoof) claimFinding(s *Signal, text string) Finding {
	f := finding("spoofing", "spoofing", []string{"T1557.002", "T1557"}, 2, text, s)
	f.HasOrigin, f.OriginMAC, f.HasOriginMAC, f.Proven = false, s.ARP.SenderMAC, true, false
	f.Target, f.HasTarget = mapped(s.ARP.TargetIP), true
	return f
}

// manyClaims says, once, that a hardware address keeps answering for several addresses what nobody asked.
func (d *spoof) manyClaims(s *Signal) bool {
	a := &s.ARP
	asked := d.asked.find(bindingKey{s.VLAN, a.SenderIP})
	if asked != nil && s.Time-*asked <= spoofAskedWindow || virtualRouter(a.SenderMAC) || a.SenderIP == a.TargetIP || s.EthDst == broadcastMAC {
		return false
	}
	c, _ := d.claims.get(a.SenderMAC)
	c.ips.limit, c.ips.life = 64, spoofBindingLife
	c.ips.add(a.SenderIP, s.Time)
	n := c.unasked.add(s.Time, minute, 1)
	if c.told || n < spoofClaimsMin || c.ips.len() < 2 {
		return false
	}
	c.told = true
	return true
}

// virtualRouter says whether mac belongs to a redundancy protocol, which moves by design: VRRP (RFC 5798), HSRP, GLBP, CARP.
func virtualRouter(m [6]byte) bool {
	return m[0] == 0 && m[1] == 0 && m[2] == 0x5e || m[0] == 0 && m[1] == 0 && m[2] == 0x0c && m[3] == 0x07 || m[0] == 0 && m[1] == 0x07 && m[2] == 0xb4
}

// offered compares the servers that answer one and the same request: two that name different routers are not of one
// house. Servers that stand in for each other name the same, and requests of other networks have other numbers.
func (d *spoof) offered(s *Signal, report func(Finding)) {
	st, fresh := d.offers.get(offerKey{s.VLAN, s.Fact.Size})
	routers, _, _ := strings.Cut(s.Fact.Text, "|")
	if fresh || s.Time-st.at > spoofOfferWindow {
		*st = offer{server: s.Fact.Name, routers: routers, at: s.Time}
		return
	}
	if st.told || st.server == s.Fact.Name || st.routers == routers || routers == "" || st.routers == "" {
		return
	}
	st.told = true
	f := finding("spoofing", "spoofing", []string{"T1557.003", "T1557"}, 2, fmt.Sprintf("DHCP servers %s and %s answer one request with different routers", st.server, s.Fact.Name), s)
	f.Origin, f.Target, f.TargetPort, f.Proven = s.Server, s.Client, s.ClientPort, false
	report(f)
}
