package behaviour

import (
	"fmt"

	"github.com/dejpha/dejpha/decode"
)

// Bounds of the sweep detector: a host asks for its neighbours one by one, never for forty of them in a minute.
const (
	sweepHostsMin    = 40
	sweepEchoMin     = 20
	sweepWindow      = minute
	sweepProtocols   = 8 // distinct IP protocols from one host to another
	sweepRememberMax = 256
)

// sweep finds searches below and beside the ports: ARP and neighbour sweeps, echo sweeps, searches
// through the IP protocol numbers, and the odd packets by which a stack is told from another.
type sweep struct {
	arp       *table[[6]byte, sweepState[[4]byte]]
	echo      *table[decode.Addr, sweepState[decode.Addr]]
	protocols *table[[2]decode.Addr, sweepState[uint8]]
	odd       *table[[2]decode.Addr, sweepState[uint8]]
}

type sweepState[K comparable] struct {
	met      seen[K]
	reported int
}

// met notes k and says whether the count of distinct things has reached least, once for each doubling.
func (s *sweepState[K]) note(k K, now, span int64, least int) (int, bool) {
	s.met.limit, s.met.life = sweepRememberMax, span
	if !s.met.add(k, now) {
		return 0, false
	}
	if s.met.len() < least {
		return 0, false
	}
	n := s.met.since(now - span)
	if n < least {
		s.reported = 0
		return n, false
	}
	if s.reported != 0 && n < 2*s.reported {
		return n, false
	}
	s.reported = n
	return n, true
}

func newSweep(c Config) Detector {
	return &sweep{
		newTable[[6]byte, sweepState[[4]byte]](c.HostsMax),
		newTable[decode.Addr, sweepState[decode.Addr]](c.HostsMax),
		newTable[[2]decode.Addr, sweepState[uint8]](c.HostsMax),
		newTable[[2]decode.Addr, sweepState[uint8]](c.HostsMax),
	}
}

// Name implements Detector.
func (*sweep) Name() string { return "sweep" }

// Wants implements Detector.
func (*sweep) Wants() Kind { return FlowStart | ARPSeen | Echo | Refused }

// Dropped implements Detector.
func (d *sweep) Dropped() uint64 {
	return d.arp.Dropped + d.echo.Dropped + d.protocols.Dropped + d.odd.Dropped
}

// Observe implements Detector.
func (d *sweep) Observe(s *Signal, report func(Finding)) {
	switch s.Kind {
	case ARPSeen:
		d.askedForNeighbour(s, report)
	case Echo:
		if s.Dir == 0 && !group(s.Server, s.IPVersion) {
			src, _ := d.echo.get(s.Client)
			if n, yes := src.note(s.Server, s.Time, sweepWindow, sweepEchoMin); yes {
				report(finding("sweep", "scan", []string{"T1018", "T1595.001", "T1046"}, 2, fmt.Sprintf("%d hosts asked for an echo within a minute", n), s))
			}
		}
	case Refused:
		if s.Code == protocolUnreachable+1 {
			d.protocol(s, report)
		}
	case FlowStart:
		d.flowStart(s, report)
	}
}

func (d *sweep) askedForNeighbour(s *Signal, report func(Finding)) {
	if s.ARP.Op != 1 || s.ARP.SenderIP == s.ARP.TargetIP {
		return
	}
	src, _ := d.arp.get(s.ARP.SenderMAC)
	if n, yes := src.note(s.ARP.TargetIP, s.Time, sweepWindow, sweepHostsMin); yes {
		f := finding("sweep", "scan", []string{"T1018", "T1046", "T1595.001"}, 2, fmt.Sprintf("%d neighbours asked for by ARP within a minute", n), s)
		f.HasOrigin, f.OriginMAC, f.HasOriginMAC, f.Proven = false, s.ARP.SenderMAC, true, false
		f.Target, f.HasTarget = mapped(s.ARP.TargetIP), true
		report(f)
	}
}

// protocolUnreachable is the ICMP code (RFC 792).
const protocolUnreachable = 2

// protocol counts the IP protocols that one host tries on another.
func (d *sweep) protocol(s *Signal, report func(Finding)) {
	src, _ := d.protocols.get([2]decode.Addr{s.Client, s.Server})
	if n, yes := src.note(s.Proto, s.Time, sweepWindow, sweepProtocols); yes {
		report(finding("sweep", "scan", []string{"T1046", "T1595.001"}, 2, fmt.Sprintf("%d IP protocols tried on one host", n), s))
	}
}

func (d *sweep) flowStart(s *Signal, report func(Finding)) {
	pair := [2]decode.Addr{s.Client, s.Server}
	if s.Proto != decode.ProtoTCP {
		d.protocol(s, report)
		return
	}
	if !oddFlags(s.Flags) {
		return
	}
	src, _ := d.odd.get(pair)
	if n, yes := src.note(s.Flags, s.Time, sweepWindow, 2); yes {
		report(finding("sweep", "scan", []string{"T1595", "T1046", "T1592"}, 2, fmt.Sprintf("%d kinds of packets that no healthy stack sends, as for telling systems apart", n), s))
	}
}

// oddFlags are flag sets that open no connection and answer none: none at all, FIN without ACK, SYN with FIN or URG.
func oddFlags(flags uint8) bool {
	f := flags &^ (decode.ECE | decode.CWR)
	switch {
	case f == 0, f&(decode.SYN|decode.FIN) == decode.SYN|decode.FIN:
		return true
	case f&decode.FIN != 0 && f&(decode.ACK|decode.RST) == 0:
		return true
	}
	return f&decode.SYN != 0 && f&(decode.URG|decode.PSH) != 0
}

func mapped(a [4]byte) decode.Addr {
	return decode.Addr{10: 0xff, 11: 0xff, 12: a[0], 13: a[1], 14: a[2], 15: a[3]}
}
