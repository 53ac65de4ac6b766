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
	floodDHCPMin      = 50  // messages of one client: a healthy one waits seconds between two, RFC 2131 section 4.1
	floodDHCPNames    = 250 // clients of one network that ask within the window
	floodDHCPWindow   = 5 * second
	floodReflectedMin = 100 // answers from one port of many hosts to many ports of one
	floodReflectors   = 50
	floodEphemeral    = 32768 // ports below are those of services
	floodSourcesMin   = 30    // services that ask and answer on one port: so many answerers at once were asked by somebody else
	floodPortsMax     = 8     // more distinct ports than this and it is a scan
	floodStallMin     = 60
	floodStallWindow  = 2 * minute
	floodMilestoneMin = 256
)

// amplifiers are services whose answers are larger than the questions, by port (CISA TA14-017A).
var amplifiers = map[uint16]string{
	17: "QOTD", 19: "chargen", 53: "DNS", 69: "TFTP", 111: "portmapper", 123: "NTP", 137: "NetBIOS", 161: "SNMP", 389: "CLDAP",
	427: "SLP", 500: "ISAKMP", 623: "IPMI", 1194: "OpenVPN", 1434: "SQL Server resolution", 1701: "L2TP", 3478: "STUN", 4500: "IPsec NAT traversal", 520: "RIP", 1900: "SSDP", 3283: "ARD", 3702: "WS-Discovery", 5353: "mDNS", 5683: "CoAP", 10001: "Ubiquiti",
	10074: "Mitel", 11211: "memcached", 27015: "Steam", 30718: "Lantronix", 32414: "Plex", 27960: "Quake 3", 37810: "DVR",
}

// flood finds floods: SYN, SYN-ACK reflection, amplification, echo, DHCP, and connections held open with nothing to say.
type flood struct {
	targets  *table[floodKey, floodState]
	stalls   *table[stallKey, stallState]
	clients  *table[leaseKey, floodState]
	networks *table[uint16, sweepState[string]]
}

type floodKey struct {
	target decode.Addr
	kind   string
	port   uint16
}

type floodState struct {
	n        window
	answered window // by the target: it is in conversation, nobody forged its name
	told     uint32
	ports    seen[uint16]
	from     seen[decode.Addr]
}

type stallKey struct {
	client, server decode.Addr
	port           uint16
}

type stallState struct {
	opened, spoke, closed window
	told                  uint32
}

func newFlood(c Config) Detector {
	return &flood{newTable[floodKey, floodState](c.HostsMax), newTable[stallKey, stallState](c.HostsMax),
		newTable[leaseKey, floodState](c.HostsMax), newTable[uint16, sweepState[string]](4096)}
}

// Name implements Detector.
func (*flood) Name() string { return "flood" }

// Wants implements Detector.
func (*flood) Wants() Kind { return FlowStart | Established | Milestone | Echo | Said | Hangup }

// Dropped implements Detector.
func (d *flood) Dropped() uint64 {
	return d.targets.Dropped + d.stalls.Dropped + d.clients.Dropped + d.networks.Dropped
}

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
		d.answered(s)
		if s.Proto == decode.ProtoTCP {
			d.stalled(s, report)
		}
	case Hangup:
		if st := d.stalls.find(stallKey{s.Client, s.Server, s.ServerPort}); st != nil {
			st.closed.add(s.Time, floodStallWindow, 1)
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
		switch {
		case s.ServerPort == 53 || group(s.Server, s.IPVersion):
		case known:
			d.count(s, name, floodAnswerMin, 1, floodWindow, "T1498.002", "%d unasked "+name+" answers within two seconds", report)
		case s.ClientPort < floodEphemeral:
			d.count(s, reflected, floodReflectedMin, 1, floodWindow, "T1498.002", "%d unasked answers within two seconds, from one port of many hosts", report)
		}
	}
}

// reflected is the kind of answers whose service has no name here.
const reflected = "reflected"

// answered notes that a target took up a conversation: what it answers was meant for it.
func (d *flood) answered(s *Signal) {
	kind := "syn"
	if s.Proto == decode.ProtoUDP {
		kind = reflected
		if name, known := amplifiers[s.ClientPort]; known {
			kind = name
		}
	}
	if st := d.targets.find(floodKey{s.Server, kind, portOf(s, kind)}); st != nil {
		st.answered.add(s.Time, floodWindow, 1)
	}
}

// portOf is the source port for a kind that is told by it.
func portOf(s *Signal, kind string) uint16 {
	if kind == reflected {
		return s.ClientPort
	}
	return 0
}

// count adds to a target's counter and reports at the bound and each fourfold of it.
func (d *flood) count(s *Signal, kind string, least, n uint32, span int64, technique, text string, report func(Finding)) {
	st, _ := d.targets.get(floodKey{s.Server, kind, portOf(s, kind)})
	if kind == "syn" || kind == reflected {
		st.ports.limit, st.ports.life = 4*floodPortsMax, span
		st.ports.add(s.ServerPort, s.Time)
	}
	if s.Proto == decode.ProtoUDP && (s.ClientPort == s.ServerPort || kind == reflected) {
		st.from.limit, st.from.life = 4*floodSourcesMin, span
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
	if st.told != 0 && sum < 4*st.told || !st.isFlood(s, kind, sum) {
		return
	}
	st.told = sum
	f := d.finding(s, technique, fmt.Sprintf(text, sum))
	f.Packets = uint64(sum)
	report(f)
}

// isFlood leaves out what only looks like a flood: a scan of many ports, a busy service that finishes its handshakes,
// peers that ask and answer on one port, a host that answers what it gets.
func (st *floodState) isFlood(s *Signal, kind string, sum uint32) bool {
	answered := st.answered.add(s.Time, floodWindow, 0)
	switch {
	case kind == "syn":
		return st.ports.len() <= floodPortsMax && 2*answered < sum
	case s.Proto != decode.ProtoUDP || kind == "dhcp":
		return true
	case answered*10 > sum:
		return false
	case kind == reflected:
		return st.from.len() >= floodReflectors && st.ports.len() >= floodPortsMax
	case s.ClientPort == s.ServerPort:
		return st.from.len() >= floodSourcesMin
	}
	return true
}

func (d *flood) finding(s *Signal, technique, text string) Finding {
	f := finding("flood", "flood", []string{technique, "T1498", "T1499"}, 2, text, s)
	f.Proven = false
	return f
}

// stalled counts connections of one client to one service that were opened without ever finishing a request.
func (d *flood) stalled(s *Signal, report func(Finding)) {
	st, _ := d.stalls.get(stallKey{s.Client, s.Server, s.ServerPort})
	opened := st.opened.add(s.Time, floodStallWindow, 1)
	spoke := st.spoke.add(s.Time, floodStallWindow, 0)
	held := opened - min(opened, st.closed.add(s.Time, floodStallWindow, 0)) // a look whether the door opens is over at once
	if held < floodStallMin || spoke*5 > opened || s.ServerPort != 80 && s.ServerPort != 443 && s.ServerPort != 8080 && s.App != "http" {
		return
	}
	if st.told != 0 && opened < 4*st.told {
		return
	}
	st.told = opened
	f := finding("flood", "flood", []string{"T1499.001", "T1499.002", "T1499"}, 2, fmt.Sprintf("%d connections held open within two minutes, %d requests finished", held, spoke), s)
	report(f)
}

func (d *flood) said(s *Signal, report func(Finding)) {
	switch s.Fact.Kind {
	case contract.HTTPRequest, contract.TLSHello, contract.HTTPResponse:
		if s.Fact.Kind == contract.HTTPRequest && s.Fact.Size != 0 {
			return // its body is to come, perhaps a byte a minute: the answer shows that it came
		}
		if st := d.stalls.find(stallKey{s.Client, s.Server, s.ServerPort}); st != nil {
			st.spoke.add(s.Time, floodStallWindow, 1)
		}
	case contract.DHCPOffer:
		if s.Fact.Dir == contract.ToServer && s.Fact.Text == "" {
			d.leases(s, report)
		}
	}
}

// leases counts the messages of one DHCP client, and the clients of one network: both empty a server's addresses.
// What a relay sends stands for a network elsewhere and is left to the sensor there.
func (d *flood) leases(s *Signal, report func(Finding)) {
	st, _ := d.clients.get(leaseKey{s.VLAN, s.Fact.Name})
	if n := st.n.add(s.Time, floodDHCPWindow, 1); n >= floodDHCPMin && (st.told == 0 || n >= 4*st.told) {
		st.told = n
		f := d.finding(s, "T1499", fmt.Sprintf("%d DHCP messages of one client within five seconds", n))
		f.Packets = uint64(n)
		report(f)
	} else if n < floodDHCPMin/2 {
		st.told = 0
	}
	net, _ := d.networks.get(s.VLAN)
	net.met.limit, net.met.life = 4*floodDHCPNames, floodDHCPWindow
	if !net.met.add(s.Fact.Name, s.Time) || net.met.len() < floodDHCPNames {
		return
	}
	n := net.met.since(s.Time - floodDHCPWindow)
	if n < floodDHCPNames {
		net.reported = 0
	} else if net.reported == 0 {
		net.reported = n
		f := d.finding(s, "T1499", fmt.Sprintf("%d hardware addresses ask for leases within five seconds", n))
		f.Packets = uint64(n)
		report(f)
	}
}

type leaseKey struct {
	vlan   uint16
	client string
}
