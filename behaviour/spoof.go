package behaviour

import (
	"fmt"
	"net/netip"

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
	offers   *table[uint16, offerState]
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
	unasked window
	ips     seen[[4]byte]
	told    bool
}

type binding struct {
	mac [6]byte
	at  int64
	old [6]byte
}

type offerState struct{ servers seen[string] }

func newSpoof(c Config) Detector {
	return &spoof{newTable[bindingKey, binding](c.HostsMax), newTable[uint16, offerState](4096), newTable[bindingKey, int64](c.HostsMax), newTable[uint64, bool](c.HostsMax), newTable[[6]byte, claimant](c.HostsMax)}
}

// Name implements Detector.
func (*spoof) Name() string { return "spoofing" }

// Wants implements Detector.
func (*spoof) Wants() Kind { return ARPSeen | Said | Overlap }

// Dropped implements Detector.
func (d *spoof) Dropped() uint64 { return d.bindings.Dropped + d.asked.Dropped }

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
	back := b.old == a.SenderMAC // the address swings between two holders
	b.old, b.mac, b.at = b.mac, a.SenderMAC, s.Time
	if !unasked && !back || virtualRouter(a.SenderMAC) {
		return
	}
	report(d.claimFinding(s, fmt.Sprintf("%s claimed unasked for another hardware address than it had", netip.AddrFrom4(a.SenderIP))))
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
	if asked != nil && s.Time-*asked <= spoofAskedWindow || virtualRouter(a.SenderMAC) || a.SenderIP == a.TargetIP {
		return false
	}
	c, _ := d.claims.get(a.SenderMAC)
	c.ips.limit = 64
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

// offered notes each DHCP server of a network; a second one that offers other routers is a rogue.
func (d *spoof) offered(s *Signal, report func(Finding)) {
	st, _ := d.offers.get(s.VLAN)
	st.servers.limit = 64
	isNew := st.servers.add(s.Fact.Name+" "+s.Fact.Text, s.Time)
	if n := st.servers.since(s.Time - spoofOfferWindow); isNew && n >= 2 {
		f := finding("spoofing", "spoofing", []string{"T1557.003", "T1557"}, 3, fmt.Sprintf("%d DHCP servers offer different routers within a minute", n), s)
		f.Origin, f.Target, f.TargetPort, f.Proven = s.Server, s.Client, s.ClientPort, false
		report(f)
	}
}
