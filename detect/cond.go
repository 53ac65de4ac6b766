package detect

import (
	"strconv"
	"strings"

	"github.com/dejpha/dejpha/app"
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/detect/chain"
	"github.com/dejpha/dejpha/rule"
)

type condKind uint8

const (
	cdFlags condKind = iota
	cdNumber
	cdSameIP
	cdIPProto
	cdFragBits
	cdIPOpts
	cdFlowBits
	cdXBits
	cdFlowInt
	cdAppProtocol
	cdAppEvent
	cdDecodeEvent
	cdStreamEvent
	cdStreamSize
	cdFlowNumber
	cdNever
	cdAlways
	cdChecksum
)

// cond is one condition on the packet, the flow or the state.
type cond struct {
	kind    condKind
	negated bool
	op      rule.NumberOp
	field   packetField
	a, b    uint64
	flags   *rule.TCPFlags
	names   []uint16 // flow bits: any of them
	bit     bitOp
	xbit    *rule.XBits
	name    uint32
	flowInt *rule.FlowInt
	other   uint16 // flow variable on the right side of flowint
	apps    []uint16
	mode    string
	of      rule.Of // which VLAN layer
}

type bitOp uint8

const (
	bitSet bitOp = iota
	bitUnset
	bitToggle
	bitIsSet
	bitIsNotSet
)

var bitOps = map[string]bitOp{"set": bitSet, "unset": bitUnset, "toggle": bitToggle, "isset": bitIsSet, "isnotset": bitIsNotSet}

// packetField is a number of the packet or flow.
type packetField uint8

const (
	pfNone packetField = iota
	pfTTL
	pfID
	pfDsize
	pfIType
	pfICode
	pfICMPID
	pfICMPSeq
	pfSeq
	pfAck
	pfWindow
	pfTOS
	pfFragOffset
	pfMSS
	pfWScale
	pfVLANID
	pfVLANLayers
	pfMTU
	pfFlowAge
	pfFlowPktsTS
	pfFlowPktsTC
	pfFlowBytesTS
	pfFlowBytesTC
	pfFlowPktsEither
	pfFlowBytesEither
	pfIPProto
	pfUDPLen
)

var packetFields = map[string]packetField{
	"ttl": pfTTL, "id": pfID, "dsize": pfDsize, "itype": pfIType, "icode": pfICode, "icmp_id": pfICMPID, "icmp_seq": pfICMPSeq,
	"seq": pfSeq, "tcp.seq": pfSeq, "ack": pfAck, "tcp.ack": pfAck, "window": pfWindow, "tcp.window": pfWindow, "tos": pfTOS,
	"fragoffset": pfFragOffset, "tcp.mss": pfMSS, "tcp.wscale": pfWScale, "vlan.id": pfVLANID, "vlan.layers": pfVLANLayers,
	"icmpv6.mtu": pfMTU, "flow.age": pfFlowAge, "flow.pkts_toserver": pfFlowPktsTS, "flow.pkts_toclient": pfFlowPktsTC,
	"flow.bytes_toserver": pfFlowBytesTS, "flow.bytes_toclient": pfFlowBytesTC, "flow.pkts": pfFlowPktsEither, "flow.bytes": pfFlowBytesEither,
	"ip_proto": pfIPProto, "udp.len": pfUDPLen,
}

// fieldOf returns a number of the packet; ok false: the packet has none.
func (w *Worker) fieldOf(f packetField, in *Input) (uint64, bool) {
	if p := in.Packet; p != nil {
		if v, ok, mine := packetNumber(f, p); mine {
			return v, ok
		}
	}
	fl := in.Flow
	if fl == nil {
		return 0, false
	}
	switch f {
	case pfFlowAge:
		return uint64(in.Time-fl.First) / 1e9, true
	case pfFlowPktsTS:
		return fl.Packets[0], true
	case pfFlowPktsTC:
		return fl.Packets[1], true
	case pfFlowBytesTS:
		return fl.Bytes[0], true
	case pfFlowBytesTC:
		return fl.Bytes[1], true
	}
	return 0, false
}

// packetNumber reads a field of the packet; mine false: it is not a packet's field.
func packetNumber(f packetField, p *decode.Packet) (v uint64, ok, mine bool) {
	tcp := p.Proto == decode.ProtoTCP && p.HasL4
	icmp := (p.Proto == decode.ProtoICMP || p.Proto == decode.ProtoICMPv6) && p.HasL4
	switch f {
	case pfTTL:
		return uint64(p.TTL), p.IPVersion != 0, true
	case pfID:
		return uint64(p.IPID), p.IPVersion == 4, true
	case pfDsize:
		return uint64(len(p.Payload)), p.HasL4, true
	case pfIType:
		return uint64(p.ICMPType), icmp, true
	case pfICode:
		return uint64(p.ICMPCode), icmp, true
	case pfICMPID:
		return uint64(p.ICMPID), icmp && isEcho(p), true
	case pfICMPSeq:
		return uint64(p.ICMPSeq), icmp && isEcho(p), true
	case pfSeq:
		return uint64(p.TCP.Seq), tcp, true
	case pfAck:
		return uint64(p.TCP.Ack), tcp, true
	case pfWindow:
		return uint64(p.TCP.Window), tcp, true
	case pfTOS:
		return uint64(p.TOS), p.IPVersion == 4, true
	case pfFragOffset:
		return uint64(p.FragOffset) / 8, p.IPVersion != 0, true
	case pfMSS:
		return uint64(p.TCP.MSS), tcp && p.TCP.MSS != 0, true
	case pfWScale:
		return uint64(uint8(p.TCP.WScale)), tcp && p.TCP.WScale >= 0, true
	case pfVLANLayers:
		return uint64(p.VLANs), true, true
	case pfIPProto:
		return uint64(p.Proto), p.IPVersion != 0, true
	case pfMTU:
		if p.Proto == decode.ProtoICMPv6 && p.ICMPType == 2 && len(p.L4) >= 8 {
			return uint64(p.L4[4])<<24 | uint64(p.L4[5])<<16 | uint64(p.L4[6])<<8 | uint64(p.L4[7]), true, true
		}
		return 0, false, true
	case pfUDPLen:
		return uint64(len(p.L4)), p.Proto == decode.ProtoUDP && p.HasL4, true
	}
	return 0, false, false
}

func isEcho(p *decode.Packet) bool {
	if p.Proto == decode.ProtoICMPv6 {
		return p.ICMPType == 128 || p.ICMPType == 129
	}
	return p.ICMPType == 8 || p.ICMPType == 0 || p.ICMPType >= 13 && p.ICMPType <= 18
}

func (c *cond) numberHolds(w *Worker, in *Input) bool {
	if c.field == pfFlowPktsEither || c.field == pfFlowBytesEither {
		f := in.Flow
		if f == nil {
			return false
		}
		v := f.Packets
		if c.field == pfFlowBytesEither {
			v = f.Bytes
		}
		return chain.Compare(c.op, v[0], c.a, c.b) || chain.Compare(c.op, v[1], c.a, c.b)
	}
	if c.field == pfVLANID {
		return in.Packet != nil && c.vlanHolds(in.Packet)
	}
	v, ok := w.fieldOf(c.field, in)
	return ok && chain.Compare(c.op, v, c.a, c.b)
}

// vlanHolds judges the identifiers of a packet's VLAN layers.
func (c *cond) vlanHolds(p *decode.Packet) bool {
	return p.VLANs > 0 && severalHold(c.of, func(i int) (bool, bool) {
		if i >= int(p.VLANs) {
			return false, false
		}
		return chain.Compare(c.op, uint64(p.VLAN[i]), c.a, c.b), true
	})
}

// severalHold judges a comparison of several values; holds says of the i-th whether it does and whether there is one.
func severalHold(of rule.Of, holds func(i int) (hold, there bool)) bool {
	hits, n := 0, 0
	one := false
	for ; n < instancesMax; n++ {
		hold, there := holds(n)
		if !there {
			break
		}
		if hold {
			hits++
			if of == (rule.Of{}) {
				return true
			}
		}
		one = one || hold && n == of.At
	}
	switch {
	case of.One && of.At < 0:
		hold, there := holds(max(n+of.At, 0))
		return n+of.At >= 0 && there && hold
	case of.One:
		return one
	case of.All:
		return hits == n && (n > 0 || !of.Some)
	}
	return false
}

// flagsHold judges tcp.flags.
func flagsHold(t *rule.TCPFlags, flags uint8) bool {
	flags &^= t.Ignore
	switch t.Mode {
	case '+':
		return flags&t.Want == t.Want
	case '*':
		return flags&t.Want != 0
	case '!':
		return flags&t.Want == 0
	case '-':
		return flags&t.Want == 0
	}
	if t.Zero {
		return flags == 0
	}
	return flags == t.Want
}

// packetHolds judges a condition on the packet alone.
func (c *cond) packetHolds(w *Worker, in *Input) bool {
	p := in.Packet
	switch c.kind {
	case cdNumber:
		return c.numberHolds(w, in)
	case cdAppProtocol:
		return c.appProtocol(in)
	case cdStreamEvent:
		for _, e := range in.StreamEvents {
			if uint64(e) == c.a {
				return true
			}
		}
		return false
	case cdAppEvent:
		for _, e := range w.appEvents {
			if uint64(e) == c.a {
				return true
			}
		}
		return false
	case cdNever:
		return c.negated
	case cdAlways:
		return true
	}
	if p == nil {
		return false
	}
	switch c.kind {
	case cdFlags:
		return p.Proto == decode.ProtoTCP && p.HasL4 && flagsHold(c.flags, p.TCP.Flags)
	case cdSameIP:
		return p.IPVersion != 0 && p.Src == p.Dst
	case cdFragBits:
		return p.IPVersion == 4 && c.fragBits(p) != c.negated
	case cdIPOpts:
		return c.a == 0 && p.IPOptions != 0 || uint64(p.IPOptions)&c.a != 0
	case cdDecodeEvent:
		return p.Events.Has(int(c.a))
	case cdChecksum:
		return c.checksum(p)
	}
	return false
}

func (c *cond) fragBits(p *decode.Packet) bool {
	var have uint64
	if p.MoreFrags {
		have |= 1
	}
	if p.DontFrag {
		have |= 2
	}
	if p.ReservedBit {
		have |= 4
	}
	switch c.mode {
	case "+":
		return have&c.a == c.a
	case "*":
		return have&c.a != 0
	}
	return have == c.a
}

// checksum judges tcpv4-csum and its kin: a valid, or an invalid sum.
func (c *cond) checksum(p *decode.Packet) bool {
	version, proto, bad := uint8(4), uint8(0), p.BadL4Checksum
	switch c.mode {
	case "ipv4-csum":
		bad = p.BadIPChecksum
	case "tcpv4-csum":
		proto = decode.ProtoTCP
	case "udpv4-csum":
		proto = decode.ProtoUDP
	case "icmpv4-csum":
		proto = decode.ProtoICMP
	case "tcpv6-csum":
		version, proto = 6, decode.ProtoTCP
	case "udpv6-csum":
		version, proto = 6, decode.ProtoUDP
	case "icmpv6-csum":
		version, proto = 6, decode.ProtoICMPv6
	}
	if p.IPVersion != version || proto != 0 && (p.Proto != proto || !p.HasL4) {
		return false
	}
	return bad == (c.a == 1)
}

// appProtocol judges app-layer-protocol; before anything is known neither a name nor its negation holds.
func (c *cond) appProtocol(in *Input) bool {
	f := in.Flow
	if f == nil {
		return false
	}
	switch c.mode {
	case "toserver", "to_server":
		return c.appIs(f.AppProtoTS)
	case "toclient", "to_client":
		return c.appIs(f.AppProtoTC)
	case "either":
		return c.appIs(f.AppProtoTS) || c.appIs(f.AppProtoTC)
	case "original":
		if v, ok := in.Conversation.(*app.Conversation); ok && v != nil && v.Before != 0 {
			return c.appIs(v.Before)
		}
	}
	return c.appIs(f.AppProto)
}

func (c *cond) appIs(have uint16) bool {
	return have != app.Unknown && hasApp(c.apps, have) != c.negated
}

func hasApp(list []uint16, app uint16) bool {
	for _, a := range list {
		if a == app {
			return true
		}
	}
	return false
}

// makeWord compiles a packet keyword given as a word.
func makeWord(t *rule.Word) (cond, *Refusal) {
	switch t.Name {
	case "tag", "bypass", "prefilter", "filestore", "noalert":
		return cond{kind: cdAlways}, nil // they say what to do with a match, not whether there is one
	case "sameip":
		return cond{kind: cdSameIP}, nil
	case "ip_proto":
		return ipProto(t)
	case "fragbits":
		return fragBits(t), nil
	case "ipopts":
		bit, ok := ipOptionBit(t.Arg)
		if !ok {
			return cond{}, &Refusal{Pos: t.Pos, Why: "ipopts: unknown option"}
		}
		return cond{kind: cdIPOpts, a: uint64(bit)}, nil
	case "ipv4-csum", "tcpv4-csum", "udpv4-csum", "icmpv4-csum", "tcpv6-csum", "udpv6-csum", "icmpv6-csum":
		c := cond{kind: cdChecksum, mode: t.Name}
		if strings.Trim(t.Arg, `" `) == "invalid" {
			c.a = 1
		}
		return c, nil
	case "stream_size":
		return streamSize(t)
	}
	return cond{}, &Refusal{Pos: t.Pos, Why: t.Name + " is not supported yet"}
}

var protoNumbers = map[string]uint64{"icmp": 1, "igmp": 2, "ipip": 4, "tcp": 6, "udp": 17, "ipv6": 41, "gre": 47, "esp": 50, "ah": 51, "icmpv6": 58, "ipv6-icmp": 58, "ospf": 89, "pim": 103, "sctp": 132}

func ipProto(t *rule.Word) (cond, *Refusal) {
	arg := strings.TrimSpace(t.Arg)
	c := cond{kind: cdNumber, field: pfIPProto, op: rule.Eq}
	for _, o := range []struct {
		sign string
		op   rule.NumberOp
	}{{"!", rule.Ne}, {"<", rule.Lt}, {">", rule.Gt}} {
		if strings.HasPrefix(arg, o.sign) {
			c.op, arg = o.op, strings.TrimSpace(arg[1:])
		}
	}
	if t.Negated {
		c.op = rule.Ne
	}
	n, ok := protoNumbers[strings.ToLower(arg)]
	if !ok {
		v, err := strconv.ParseUint(arg, 10, 8)
		if err != nil {
			return c, &Refusal{Pos: t.Pos, Why: "ip_proto: not a protocol"}
		}
		n = v
	}
	c.a = n
	return c, nil
}

func fragBits(t *rule.Word) cond {
	c := cond{kind: cdFragBits, negated: t.Negated}
	for _, b := range t.Arg {
		switch b {
		case 'M':
			c.a |= 1
		case 'D':
			c.a |= 2
		case 'R':
			c.a |= 4
		case '+', '*':
			c.mode = string(b)
		case '!':
			c.negated = true
		}
	}
	return c
}

// streamSize compiles server|client|both|either, operator, bytes.
func streamSize(t *rule.Word) (cond, *Refusal) {
	part := strings.Split(t.Arg, ",")
	if len(part) < 3 {
		return cond{}, &Refusal{Pos: t.Pos, Why: "stream_size: expected direction,operator,number"}
	}
	n, err := strconv.ParseUint(strings.TrimSpace(part[2]), 10, 32)
	op, ok := map[string]rule.NumberOp{"<": rule.Lt, ">": rule.Gt, "=": rule.Eq, "!=": rule.Ne, "<=": rule.Le, ">=": rule.Ge}[strings.TrimSpace(part[1])]
	if err != nil || !ok {
		return cond{}, &Refusal{Pos: t.Pos, Why: "stream_size: expected direction,operator,number"}
	}
	return cond{kind: cdStreamSize, mode: strings.TrimSpace(part[0]), op: op, a: n}, nil
}

// ipOptionBit is the bit of Packet.IPOptions for an ipopts word; 0 with ok: any option.
func ipOptionBit(name string) (uint32, bool) {
	n, ok := map[string]uint32{"any": 0, "rr": 7, "eol": 0, "nop": 1, "ts": 68 & 31, "sec": 130 & 31, "esec": 133 & 31, "lsrr": 131 & 31, "ssrr": 137 & 31, "satid": 136 & 31}[name]
	if name == "any" || !ok {
		return 0, ok
	}
	return 1 << n, true
}
