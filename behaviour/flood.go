package behaviour

import (
	"fmt"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/decode"
)

// Bounds of the flood detector, a first form: packets of one kind to one target within two seconds that
// nobody asked for or that open nothing.
const (
	floodWindow       = 2 * second
	floodSYNMin       = 400
	floodSYNACKMin    = 100
	floodAnswerMin    = 60 // unasked answers of an amplifying service
	floodEchoMin      = 800
	floodDHCPMin      = 100
	floodDHCPWindow   = 5 * second
	floodSourcesMin   = 30 // services that ask and answer on one port: so many answerers at once were asked by somebody else
	floodPortsMax     = 8  // more distinct ports than this and it is a scan
	floodStallMin     = 60
	floodStallWindow  = 2 * minute
	floodMilestoneMin = 256
)

// amplifiers are services whose answers are larger than the questions, by port (CISA TA14-017A).
var amplifiers = map[uint16]string{
	17: "QOTD", 19: "chargen", 53: "DNS", 69: "TFTP", 111: "portmapper", 123: "NTP", 137: "NetBIOS", 161: "SNMP", 389: "CLDAP",
	427: "SLP", 500: "ISAKMP", 520: "RIP", 1900: "SSDP", 3283: "ARD", 3702: "WS-Discovery", 5353: "mDNS", 5683: "CoAP", 10001: "Ubiquiti",
	11211: "memcached", 27960: "Quake 3", 37810: "DVR",
}

// flood finds floods: SYN, SYN-ACK reflection, amplification, echo, DHCP, and connections held open with nothing to say.
type flood struct {
	targets *table[floodKey, floodState]
	stalls  *table[guessKey, stallState]
}

type floodKey struct {
	target decode.Addr
	kind   string
}

type floodState struct {
	n     window
	told  uint32
	ports seen[uint16]
	from  seen[decode.Addr]
}

type stallState struct {
	opened, spoke window
	told          uint32
}

func newFlood(c Config) Detector {
	return &flood{newTable[floodKey, floodState](c.HostsMax), newTable[guessKey, stallState](c.HostsMax)}
}

// Name implements Detector.
func (*flood) Name() string { return "flood" }

// Wants implements Detector.
func (*flood) Wants() Kind { return FlowStart | Established | Milestone | Echo | Said }

// Dropped implements Detector.
func (d *flood) Dropped() uint64 { return d.targets.Dropped + d.stalls.Dropped }

// Observe implements Detector.
func (d *flood) Observe(s *Signal, report func(Finding)) {
	switch s.Kind {
	case FlowStart:
		d.flowStart(s, report)
	case Milestone:
		name, known := amplifiers[s.ClientPort]
		if s.Proto == decode.ProtoUDP && known && s.Packets[1] == 0 && s.Packets[0] >= floodMilestoneMin && !group(s.Server, s.IPVersion) && s.ClientPort != s.ServerPort {
			report(d.finding(s, "T1498.002", fmt.Sprintf("%d unasked %s answers in one flow", s.Packets[0], name)))
		}
	case Echo:
		if s.Dir == 0 {
			d.count(s, "echo", floodEchoMin, 1, floodWindow, "T1498.001", "%d echo requests within two seconds", report)
		}
	case Established:
		if s.Proto == decode.ProtoTCP {
			d.stalled(s, report)
		}
	case Said:
		d.said(s, report)
	}
}

func (d *flood) flowStart(s *Signal, report func(Finding)) {
	switch {
	case s.Proto == decode.ProtoTCP && s.Flags&(decode.SYN|decode.ACK) == decode.SYN|decode.ACK:
		d.count(s, "syn-ack", floodSYNACKMin, 1, floodWindow, "T1498.002", "%d unasked SYN-ACK within two seconds, as reflected from others", report)
	case s.Proto == decode.ProtoTCP && s.Flags&(decode.SYN|decode.ACK|decode.RST|decode.FIN) == decode.SYN:
		d.count(s, "syn", floodSYNMin, 1, floodWindow, "T1498.001", "%d SYN within two seconds", report)
	case s.Proto == decode.ProtoUDP:
		name, known := amplifiers[s.ClientPort]
		if known && s.ServerPort != 53 && !group(s.Server, s.IPVersion) {
			d.count(s, name, floodAnswerMin, 1, floodWindow, "T1498.002", "%d unasked "+name+" answers within two seconds", report)
		}
	}
}

// count adds to a target's counter and reports at the bound and each fourfold of it.
func (d *flood) count(s *Signal, kind string, least, n uint32, span int64, technique, text string, report func(Finding)) {
	st, _ := d.targets.get(floodKey{s.Server, kind})
	if kind == "syn" {
		st.ports.limit = 4 * floodPortsMax
		st.ports.add(s.ServerPort, s.Time)
	}
	if s.Proto == decode.ProtoUDP && s.ClientPort == s.ServerPort {
		st.from.limit = 4 * floodSourcesMin
		st.from.add(s.Client, s.Time)
	}
	sum := st.n.add(s.Time, span, n)
	if sum < least {
		if sum < least/2 {
			st.told = 0
			st.ports.since(s.Time - span)
		}
		return
	}
	if st.told != 0 && sum < 4*st.told || kind == "syn" && st.ports.len() > floodPortsMax || s.Proto == decode.ProtoUDP && s.ClientPort == s.ServerPort && st.from.len() < floodSourcesMin {
		return
	}
	st.told = sum
	f := d.finding(s, technique, fmt.Sprintf(text, sum))
	f.Packets = uint64(sum)
	report(f)
}

func (d *flood) finding(s *Signal, technique, text string) Finding {
	f := finding("flood", "flood", []string{technique, "T1498", "T1499"}, 2, text, s)
	f.Proven = false
	return f
}

// stalled counts connections of one client to one service that were opened without ever finishing a request.
func (d *flood) stalled(s *Signal, report func(Finding)) {
	st, _ := d.stalls.get(guessKey{s.Client, s.Server, fmt.Sprint(s.ServerPort)})
	opened := st.opened.add(s.Time, floodStallWindow, 1)
	spoke := st.spoke.add(s.Time, floodStallWindow, 0)
	if opened < floodStallMin || spoke*5 > opened || s.ServerPort != 80 && s.ServerPort != 443 && s.ServerPort != 8080 && s.App != "http" {
		return
	}
	if st.told != 0 && opened < 4*st.told {
		return
	}
	st.told = opened
	f := finding("flood", "flood", []string{"T1499.001", "T1499.002", "T1499"}, 2, fmt.Sprintf("%d connections held open within two minutes, %d of them with a whole request", opened, spoke), s)
	report(f)
}

func (d *flood) said(s *Signal, report func(Finding)) {
	switch s.Fact.Kind {
	case contract.HTTPRequest, contract.TLSHello, contract.HTTPResponse:
		if st := d.stalls.find(guessKey{s.Client, s.Server, fmt.Sprint(s.ServerPort)}); st != nil {
			st.spoke.add(s.Time, floodStallWindow, 1)
		}
	case contract.DHCPOffer:
		if s.Fact.Dir == contract.ToServer {
			d.count(s, "dhcp", floodDHCPMin, 1, floodDHCPWindow, "T1499", "%d DHCP requests within five seconds", report)
		}
	}
}
