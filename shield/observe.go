package shield

import (
	"net"
	"net/netip"
	"strings"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/behaviour"
	"github.com/dejpha/dejpha/rule"
	"github.com/dejpha/dejpha/shield/recent"
)

// Packet is one frame kept for an attack's evidence.
type Packet = recent.Packet

// keptPackets copies the packets of a match out of its epoch, which is used again.
func keptPackets(e *epoch, x *match) []Packet {
	if x.keptTo == x.keptFrom {
		return nil
	}
	out := make([]Packet, 0, x.keptTo-x.keptFrom)
	for i := x.keptFrom; i < x.keptTo; i++ {
		out = append(out, e.kept[i].Packet(e.bytes))
	}
	return out
}

// kindOfRule is what the accounts ask of a rule, worked out once.
type kindOfRule struct {
	class      string
	techniques []string
}

// classify maps a rule to its class: own metadata, ATT&CK id, classtype.
func (m *merger) classify(r *rule.Rule) kindOfRule {
	if k, ok := m.kinds[r]; ok {
		return k
	}
	var k kindOfRule
	own := ""
	for _, kv := range r.Metadata {
		switch kv.Key {
		case "attack_class":
			own = kv.Value
		case "mitre_technique_id":
			k.techniques = append(k.techniques, kv.Value)
		}
	}
	k.class = attack.RuleClass(own, k.techniques, r.Classtype)
	m.kinds[r] = k
	return k
}

// subjects are the classes whose protected host is the subject, and whose origin is the outside end.
var subjects = map[string]bool{"c2": true, "tunnel": true, "dga": true, "exfiltration": true}

// observation makes of a rule's match what the accounts count.
func (m *merger) observation(x *match) (attack.Observation, bool) {
	k := m.classify(x.rule)
	if k.class == "none" || k.class == "" {
		return attack.Observation{}, false
	}
	o := attack.Observation{
		Time: x.time, Seen: x.seen, Class: k.class, Proven: x.proven, VLAN: x.vlan, Proto: x.proto, Techniques: k.techniques,
		Severity: uint8(min(max(x.rule.Priority, 1), 4)), SID: x.rule.SID, GID: x.rule.GID, Rev: x.rule.Rev, Msg: x.rule.Msg,
		FlowID: x.flowID, Packets: 1, Bytes: uint64(x.packetBytes), Stopped: x.stopped, InsideFrame: m.set.insideFrame(x.iface),
	}
	switch {
	case strings.HasPrefix(x.rule.Classtype, "successful-"): // such a rule matches the target's answer
		o.Result = attack.Succeeded
	case strings.HasPrefix(x.rule.Classtype, "unsuccessful-"):
		o.Result = attack.Failed
	}
	origin, target, port := x.src, x.dst, x.dstPort
	if x.hasFlow {
		origin, target, port = x.client, x.server, x.serverPort
	}
	switch x.rule.Target {
	case rule.TargetSrc:
		origin, target, port = x.dst, x.src, x.srcPort
	case rule.TargetDst:
		origin, target, port = x.src, x.dst, x.dstPort
	default:
		if m.sentByServer(k.class, x) {
			origin, target, port = target, origin, x.clientPort
		}
	}
	if x.ipVersion != 0 {
		o.Origin, o.Target, o.TargetPort = origin.Netip(), target.Netip(), port
	}
	if subjects[k.class] {
		m.outsideEnd(&o, x)
	}
	return o, true
}

// sentByServer says whether the server is the attacker: malware and exploits against clients come in answers.
func (m *merger) sentByServer(class string, x *match) bool {
	return x.toClient && x.hasFlow && (class == "malware" || class == "exploit") && m.protects(x.client.Netip()) && !m.protects(x.server.Netip())
}

// outsideEnd sets subject and origin of the classes about a protected host that talks outwards.
func (m *merger) outsideEnd(o *attack.Observation, x *match) {
	if !x.hasFlow {
		return
	}
	inner, outer, port := x.client, x.server, x.clientPort
	if !m.protects(inner.Netip()) && m.protects(outer.Netip()) {
		inner, outer, port = outer, inner, x.serverPort
	}
	o.Subject, o.Target, o.Origin, o.TargetPort = inner.Netip(), inner.Netip(), outer.Netip(), port
	switch { // the other end of DNS is a resolver, which is never an origin, unless it is asked what no resolver can find
	case x.app == "dns" && o.Class == "dga":
		o.Origin = netip.Addr{}
	case x.app == "dns" && x.domain != "":
		o.Origin, o.OriginDomain = netip.Addr{}, x.domain
	}
}

// fromFinding makes an observation of a detector's finding.
func (m *merger) fromFinding(f *behaviour.Finding) attack.Observation {
	o := attack.Observation{
		Time: f.Time, Number: f.Number, Class: f.Class, Proven: f.Proven, VLAN: f.VLAN, Proto: f.Proto, Techniques: f.Technique,
		Severity: f.Severity, Detector: f.Detector, Text: f.Text, FlowID: f.FlowID, Packets: max(f.Packets, 1), Bytes: f.Bytes, Result: f.Result, Refused: f.Refused, InsideFrame: m.set.insideFrame(f.Interface),
	}
	o.Stopped, o.Passed = m.reach.Of(f, &m.seen)
	if f.HasOrigin {
		o.Origin = f.Origin.Netip()
	}
	if f.HasOriginMAC {
		o.OriginMAC = net.HardwareAddr(f.OriginMAC[:]).String()
	}
	o.OriginDomain = f.OriginDomain
	if f.HasTarget {
		o.Target, o.TargetPort = f.Target.Netip(), f.TargetPort
	}
	if f.HasSubject {
		o.Subject = f.Subject.Netip()
	}
	if o.Result == "unknown" {
		o.Result = ""
	}
	return o
}

// insideFrame says whether an interface is marked inside.
func (s *settings) insideFrame(iface uint16) bool {
	return int(iface) < len(s.interfaces) && s.config.Inside[s.interfaces[iface]]
}

// protects says whether an address belongs to the protected networks.
func (m *merger) protects(a netip.Addr) bool { return contains(m.set.protected, a) }

// accountsConfig is what the accounts need to know of the network.
func accountsConfig(set *settings) attack.Config {
	return attack.Config{
		Zone: set.zone, Protected: func(a netip.Addr) bool { return contains(set.protected, a) },
		Authorised: func(a netip.Addr) bool { return contains(set.authorised, a) },
		Decoy:      func(a netip.Addr) bool { return contains(set.decoys, a) },
		Guard:      set.guard.Why, Shared: set.guard.Shared, Policy: set.policy,
		Live: !set.recording, Enforce: set.enforce, Undecided: set.undecided, Terse: set.terse,
	}
}

// zone is the configured zone of a target.
func (s *settings) zone(a netip.Addr) (string, bool) {
	for _, z := range s.zones {
		if contains(z.prefixes, a) {
			return z.name, true
		}
	}
	return "", false
}
