package compact

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/netip"

	"github.com/dejpha/dejpha/attack"
)

// ErrShort says that bytes are no record's short form.
var ErrShort = errors.New("a record's short form is damaged")

// listMost bounds the lists of a record; accounts keep far fewer.
const listMost = 4096

// reader takes values off the front; after the first error all are zero.
type reader struct {
	b    []byte
	err  error
	text func(uint64) (string, error)
}

func (r *reader) fail() {
	if r.err == nil {
		r.err = ErrShort
	}
	r.b = nil
}

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) byte() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count is the length of a list.
func (r *reader) count() int {
	n := r.uint()
	if n > listMost || n > uint64(len(r.b)) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *reader) string() string { return string(r.bytes(r.uint())) }

func (r *reader) addr() string {
	switch r.byte() {
	case 0:
		return r.string()
	case 4:
		if b := r.bytes(4); b != nil {
			return netip.AddrFrom4([4]byte(b)).String()
		}
	case 6:
		if b := r.bytes(16); b != nil {
			return netip.AddrFrom16([16]byte(b)).String()
		}
	default:
		r.fail()
	}
	return ""
}

func (r *reader) prefix() string {
	switch r.byte() {
	case 0:
		return r.string()
	case 6:
		if b := r.bytes(8); b != nil {
			var a [16]byte
			copy(a[:], b)
			return netip.PrefixFrom(netip.AddrFrom16(a), 64).String()
		}
	default:
		r.fail()
	}
	return ""
}

// pick is the name at a place among few.
func (r *reader) pick(list []string, i int) string {
	if i >= len(list) {
		r.fail()
		return ""
	}
	return list[i]
}

// Read is the record that Append wrote, without its story and with leaf -1. text gives what lies at a position.
func Read(b []byte, text func(uint64) (string, error)) (attack.Record, error) {
	r := reader{b: b, text: text}
	if r.byte() != Version {
		return attack.Record{}, ErrShort
	}
	first, second := r.byte(), r.byte()
	class, state, cell := int(r.byte()), int(r.byte()), int(r.byte())
	if class >= len(attack.Table()) {
		return attack.Record{}, ErrShort
	}
	x := attack.Record{
		Class: attack.Table()[class].Name, State: r.pick(states, state),
		Outcome: r.pick(outcomes, cell/18), Result: results[cell/6%3], Risk: risks[cell/2%3], Side: sides[cell%2],
		Overflow: first&isOverflow != 0, EndOfInput: first&isEnd != 0, Evidence: attack.Evidence{Leaf: -1},
	}
	x.Severity, x.Target.Proto = r.byte(), r.byte()
	r.techniques(&x)
	x.ID = uint64(r.int())
	x.Incident = x.ID - uint64(r.int())
	unit := int64(1000)
	if first&hasNanos != 0 {
		unit = 1
	}
	x.FirstSeen = r.int() * unit
	x.LastSeen = x.FirstSeen + r.int()*unit
	x.OpenedAt = x.FirstSeen + r.int()*unit
	x.ClosedAt = x.LastSeen + r.int()*unit
	for _, v := range [...]*uint64{&x.Observations, &x.Flows, &x.Packets, &x.Bytes, &x.Origin.Count, &x.Target.Count} {
		*v = r.uint()
	}
	if first&hasStopped != 0 {
		x.PacketsStopped, x.BytesStopped = r.uint(), r.uint()
	}
	x.Origin.Proven = first&isProven != 0
	r.origin(&x.Origin, second)
	r.target(&x.Target, second)
	r.alerts(&x)
	if first&hasDetectors != 0 {
		for range r.count() {
			x.Detectors = append(x.Detectors, r.string())
		}
	}
	if second&hasSubject != 0 {
		x.Subject = r.addr()
	}
	if first&hasMerged != 0 {
		for range r.count() {
			x.Merged = append(x.Merged, r.uint())
		}
	}
	if first&hasPackets != 0 {
		x.Evidence.Packets = hex.EncodeToString(r.bytes(32))
	}
	if r.err == nil && len(r.b) > 0 {
		r.fail()
	}
	return x, r.err
}

func (r *reader) techniques(x *attack.Record) {
	for range r.count() {
		n := r.uint()
		name := ""
		if n == 0 {
			name = r.string()
		} else {
			name = techniqueName(n)
		}
		x.Techniques = append(x.Techniques, name)
	}
}

func (r *reader) origin(o *attack.Origin, flags byte) {
	switch flags & originMask {
	case originNone:
	case originIP:
		o.IP = r.addr()
	case originPrefix:
		o.Prefix = r.prefix()
	case originMAC:
		o.MAC = r.string()
	case originDomain:
		o.Domain = r.string()
	default:
		r.fail()
	}
	if flags&hasVLAN != 0 {
		o.VLAN = uint16(r.uint())
	}
	if flags&hasPlace != 0 {
		o.Country, o.ASN = r.string(), uint32(r.uint())
	}
	if flags&hasSources != 0 {
		for range r.count() {
			ip := r.addr()
			o.Sources = append(o.Sources, attack.Source{IP: ip, Count: r.uint()})
		}
	}
}

func (r *reader) target(t *attack.Target, flags byte) {
	for range r.count() {
		t.IPs = append(t.IPs, r.addr())
	}
	for range r.count() {
		t.Ports = append(t.Ports, uint16(r.uint()))
	}
	if flags&hasGroup != 0 {
		t.Group = r.string()
	} else {
		t.Group = groupOf(t)
	}
}

func (r *reader) alerts(x *attack.Record) {
	for range r.count() {
		a := attack.AlertCount{SID: uint32(r.uint()), GID: uint32(r.uint()), Rev: uint32(r.uint()), Count: r.uint()}
		at := r.uint()
		if at == 0 {
			a.Msg = r.string()
		} else if text, err := r.text(at - 1); err == nil {
			a.Msg = text
		} else if r.err == nil {
			r.err, r.b = err, nil
		}
		x.Alerts = append(x.Alerts, a)
	}
}
