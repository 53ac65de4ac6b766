// Package compact writes an attack's record in few bytes, and as the values that a leaf's private part commits to.
//
// In: records of closed attacks. Out: bytes for the private store and back, and JSON values that anybody reads. Called by
// evidence only. Texts that come again and again are held once, elsewhere: here they are positions. It keeps no state.
package compact

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/netip"
	"strconv"
	"strings"

	"github.com/dejpha/dejpha/attack"
)

// Version is the first byte of what Append writes.
const Version = 1

// Flags of the second byte.
const (
	isOverflow = 1 << iota
	isEnd
	isProven
	hasPackets
	hasMerged
	hasStopped
	hasNanos // times are not whole microseconds
	hasDetectors
)

// Flags of the third byte, above the kind of the origin.
const (
	hasSources = 8 << iota
	hasPlace   // country, ASN
	hasVLAN
	hasGroup // the target's group is not the network of its first address
	hasSubject
	originMask = 7
)

// Kinds of an origin.
const (
	originNone = iota
	originIP
	originPrefix
	originMAC
	originDomain
)

var (
	states   = []string{"opened", "closed", "continued"}
	outcomes = []string{attack.Foiled, attack.Contained, attack.Observed}
	results  = []string{attack.Succeeded, attack.Failed, attack.Unknown}
	risks    = []string{attack.Real, attack.Decoy, attack.NoRisk}
	sides    = []string{attack.Outside, attack.Inside}
)

// find is a name's place among few, or -1.
func find(list []string, name string) int {
	for i, s := range list {
		if s == name {
			return i
		}
	}
	return -1
}

// ErrCannot says that a record has values that the short form does not know.
var ErrCannot = errors.New("a record with values of no class, state, outcome, result, risk or side")

// Append adds the short form of r: all but its story and its leaf, which are told from the rest, and whether it was
// authorised, which a sealed attack never is. ref gives the position of a text that is held elsewhere; false: it is not.
func Append(dst []byte, r *attack.Record, ref func(string) (uint64, bool)) ([]byte, error) {
	class, state := attack.ClassIndex(r.Class), find(states, r.State)
	outcome, result, risk, side := find(outcomes, r.Outcome), find(results, r.Result), find(risks, r.Risk), find(sides, r.Side)
	if class < 0 || state < 0 || outcome < 0 || result < 0 || risk < 0 || side < 0 || r.Authorised {
		return dst, ErrCannot
	}
	packets, err := hex.DecodeString(r.Evidence.Packets)
	if err != nil || len(packets) != 0 && len(packets) != 32 {
		return dst, ErrCannot
	}
	o, t := &r.Origin, &r.Target
	unit, first := int64(1000), byte(0)
	if r.FirstSeen%1000 != 0 || r.LastSeen%1000 != 0 || r.ClosedAt%1000 != 0 || r.OpenedAt%1000 != 0 ||
		apart(r.LastSeen, r.FirstSeen) || apart(r.OpenedAt, r.FirstSeen) || apart(r.ClosedAt, r.LastSeen) {
		unit, first = 1, hasNanos
	}
	set := func(to *byte, flag byte, yes bool) {
		if yes {
			*to |= flag
		}
	}
	set(&first, isOverflow, r.Overflow)
	set(&first, isEnd, r.EndOfInput)
	set(&first, isProven, o.Proven)
	set(&first, hasPackets, len(packets) > 0)
	set(&first, hasMerged, len(r.Merged) > 0)
	set(&first, hasStopped, r.PacketsStopped|r.BytesStopped != 0)
	set(&first, hasDetectors, len(r.Detectors) > 0)
	second, origin := originOf(o)
	set(&second, hasSources, len(o.Sources) > 0)
	set(&second, hasPlace, o.Country != "" || o.ASN != 0)
	set(&second, hasVLAN, o.VLAN != 0)
	set(&second, hasGroup, !ownGroup(t))
	set(&second, hasSubject, r.Subject != "")
	dst = append(dst, Version, first, second, byte(class), byte(state), byte(((outcome*3+result)*3+risk)*2+side), r.Severity, t.Proto)
	dst = appendTechniques(dst, r.Techniques)
	for _, v := range [...]uint64{r.ID, r.ID - r.Incident} {
		dst = binary.AppendVarint(dst, int64(v))
	}
	for _, v := range [...]int64{r.FirstSeen, r.LastSeen - r.FirstSeen, r.OpenedAt - r.FirstSeen, r.ClosedAt - r.LastSeen} {
		dst = binary.AppendVarint(dst, v/unit)
	}
	for _, v := range [...]uint64{r.Observations, r.Flows, r.Packets, r.Bytes, o.Count, t.Count} {
		dst = binary.AppendUvarint(dst, v)
	}
	if first&hasStopped != 0 {
		dst = binary.AppendUvarint(binary.AppendUvarint(dst, r.PacketsStopped), r.BytesStopped)
	}
	dst = appendOrigin(dst, o, second, origin)
	dst = appendTarget(dst, t, second)
	dst = appendAlerts(dst, r.Alerts, ref)
	if first&hasDetectors != 0 {
		dst = binary.AppendUvarint(dst, uint64(len(r.Detectors)))
		for _, d := range r.Detectors {
			dst = appendText(dst, d)
		}
	}
	if second&hasSubject != 0 {
		dst = appendAddr(dst, r.Subject)
	}
	if first&hasMerged != 0 {
		dst = binary.AppendUvarint(dst, uint64(len(r.Merged)))
		for _, id := range r.Merged {
			dst = binary.AppendUvarint(dst, id)
		}
	}
	return append(dst, packets...), nil
}

// apart says whether two times lie so far from each other that their difference wraps around: it is whole in ns alone.
func apart(a, b int64) bool { return (a-b < 0) != (a < b) }

// originOf is the kind of an origin and its name.
func originOf(o *attack.Origin) (kind byte, name string) {
	switch {
	case o.IP != "":
		return originIP, o.IP
	case o.Prefix != "":
		return originPrefix, o.Prefix
	case o.MAC != "":
		return originMAC, o.MAC
	case o.Domain != "":
		return originDomain, o.Domain
	}
	return originNone, ""
}

func appendOrigin(dst []byte, o *attack.Origin, flags byte, name string) []byte {
	switch flags & originMask {
	case originIP:
		dst = appendAddr(dst, name)
	case originPrefix:
		dst = appendPrefix(dst, name)
	case originMAC, originDomain:
		dst = appendText(dst, name)
	}
	if flags&hasVLAN != 0 {
		dst = binary.AppendUvarint(dst, uint64(o.VLAN))
	}
	if flags&hasPlace != 0 {
		dst = binary.AppendUvarint(appendText(dst, o.Country), uint64(o.ASN))
	}
	if flags&hasSources != 0 {
		dst = binary.AppendUvarint(dst, uint64(len(o.Sources)))
		for _, s := range o.Sources {
			dst = binary.AppendUvarint(appendAddr(dst, s.IP), s.Count)
		}
	}
	return dst
}

func appendTarget(dst []byte, t *attack.Target, flags byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(t.IPs)))
	for _, ip := range t.IPs {
		dst = appendAddr(dst, ip)
	}
	dst = binary.AppendUvarint(dst, uint64(len(t.Ports)))
	for _, p := range t.Ports {
		dst = binary.AppendUvarint(dst, uint64(p))
	}
	if flags&hasGroup != 0 {
		dst = appendText(dst, t.Group)
	}
	return dst
}

// ownGroup says whether the group is that of groupOf, without writing it.
func ownGroup(t *attack.Target) bool {
	if len(t.IPs) == 0 {
		return t.Group == ""
	}
	if _, ok := Dotted(t.IPs[0]); ok {
		of := t.IPs[0][:strings.LastIndexByte(t.IPs[0], '.')+1]
		rest, same := strings.CutPrefix(t.Group, of)
		return same && rest == "0/24"
	}
	ip, err := netip.ParseAddr(t.IPs[0])
	if err != nil {
		return t.Group == ""
	}
	var written [64]byte
	return string(network(ip).AppendTo(written[:0])) == t.Group
}

// network is what groups a target's addresses.
func network(ip netip.Addr) netip.Prefix {
	bits := 64
	if ip.Is4() {
		bits = 24
	}
	p, _ := ip.Prefix(bits)
	return p
}

// groupOf is the group of a target in no zone: the network of its first address.
func groupOf(t *attack.Target) string {
	if len(t.IPs) == 0 {
		return ""
	}
	ip, err := netip.ParseAddr(t.IPs[0])
	if err != nil {
		return ""
	}
	return network(ip).String()
}

func appendAlerts(dst []byte, list []attack.AlertCount, ref func(string) (uint64, bool)) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	for i := range list {
		a := &list[i]
		for _, v := range [...]uint64{uint64(a.SID), uint64(a.GID), uint64(a.Rev), a.Count} {
			dst = binary.AppendUvarint(dst, v)
		}
		if at, ok := ref(a.Msg); ok {
			dst = binary.AppendUvarint(dst, at+1)
			continue
		}
		dst = appendText(append(dst, 0), a.Msg)
	}
	return dst
}

// appendTechniques writes techniques as numbers, and what is none as 0 and its text.
func appendTechniques(dst []byte, list []string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	for _, id := range list {
		n := TechniqueNumber(id)
		dst = binary.AppendUvarint(dst, n)
		if n == 0 {
			dst = appendText(dst, id)
		}
	}
	return dst
}

// TechniqueNumber writes T1110.001 as 1110001, and is 0 for what techniqueName does not write again.
func TechniqueNumber(id string) uint64 {
	digits := func(s string) (n uint64) {
		for i := range len(s) {
			if s[i] < '0' || s[i] > '9' {
				return 0
			}
			n = n*10 + uint64(s[i]-'0')
		}
		return n
	}
	switch {
	case len(id) == 5 && id[0] == 'T':
		return digits(id[1:]) * 1000
	case len(id) == 9 && id[0] == 'T' && id[5] == '.':
		if main, sub := digits(id[1:5]), digits(id[6:]); main != 0 && sub != 0 {
			return main*1000 + sub
		}
	}
	return 0
}

func techniqueName(n uint64) string {
	b := append(make([]byte, 0, 9), 'T')
	pad := func(v, width uint64) {
		for ; width > 0; width /= 10 {
			b = append(b, byte('0'+v/width%10))
		}
	}
	pad(n/1000, 1000)
	if n%1000 != 0 {
		b = append(b, '.')
		pad(n%1000, 100)
	}
	return string(b)
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// appendAddr writes an address as 4 or 6 and its bytes, and what is not written as the system writes one as 0 and its text.
func appendAddr(dst []byte, s string) []byte {
	if b, ok := Dotted(s); ok {
		return append(append(dst, 4), b[:]...)
	}
	var written [64]byte
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" || !a.Is6() || a.Is4In6() || string(a.AppendTo(written[:0])) != s {
		return appendText(append(dst, 0), s)
	}
	b := a.As16()
	return append(append(dst, 6), b[:]...)
}

// appendPrefix writes a /64 as 6 and its eight bytes, anything else as 0 and its text.
func appendPrefix(dst []byte, s string) []byte {
	if name, length, ok := strings.Cut(s, "/"); ok && length == "64" {
		if a, err := netip.ParseAddr(name); err == nil && a.Is6() && a.Zone() == "" {
			b := a.As16()
			if p, _ := a.Prefix(64); p.String() == s {
				return append(append(dst, 6), b[:8]...)
			}
		}
	}
	return appendText(append(dst, 0), s)
}

// appendUint is for values.
func appendUint(dst []byte, v uint64) []byte { return strconv.AppendUint(dst, v, 10) }
