package dns

import (
	"strconv"

	"github.com/dejpha/dejpha/jsonline"
)

// Types with a form of their own.
const (
	typeA     = 1
	typeNS    = 2
	typeCNAME = 5
	typeSOA   = 6
	typeNULL  = 10
	typePTR   = 12
	typeMX    = 15
	typeTXT   = 16
	typeAAAA  = 28
	typeSRV   = 33
	typeOPT   = 41
	typeSSHFP = 44
)

var typeNames = [...]string{1: "A", 2: "NS", 3: "MD", 4: "MF", 5: "CNAME", 6: "SOA", 7: "MB", 8: "MG", 9: "MR", 10: "NULL", 11: "WKS", 12: "PTR",
	13: "HINFO", 14: "MINFO", 15: "MX", 16: "TXT", 17: "RP", 18: "AFSDB", 19: "X25", 20: "ISDN", 21: "RT", 22: "NSAP", 23: "NSAPPTR", 24: "SIG",
	25: "KEY", 26: "PX", 27: "GPOS", 28: "AAAA", 29: "LOC", 30: "NXT", 31: "EID", 32: "NIMLOC", 33: "SRV", 34: "ATMA", 35: "NAPTR", 36: "KX",
	37: "CERT", 38: "A6", 39: "DNAME", 40: "SINK", 41: "OPT", 42: "APL", 43: "DS", 44: "SSHFP", 45: "IPSECKEY", 46: "RRSIG", 47: "NSEC",
	48: "DNSKEY", 49: "DHCID", 50: "NSEC3", 51: "NSEC3PARAM", 52: "TLSA", 53: "SMIMEA", 55: "HIP", 59: "CDS", 60: "CDNSKEY", 61: "OPENPGPKEY",
	62: "CSYNC", 63: "ZONEMD", 64: "SVCB", 65: "HTTPS", 99: "SPF", 249: "TKEY", 250: "TSIG", 251: "IXFR", 252: "AXFR", 253: "MAILB",
	254: "MAILA", 255: "ANY", 256: "URI"}

var rcodes = [...]string{"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE"}

func numbered(names []string) map[string]uint64 {
	m := map[string]uint64{}
	for i, n := range names {
		if n != "" {
			m[n] = uint64(i)
		}
	}
	return m
}

func typeNumbers() map[string]uint64 { return numbered(typeNames[:]) }

func appendType(dst []byte, kind uint16) []byte {
	if int(kind) < len(typeNames) && typeNames[kind] != "" {
		return jsonline.AppendString(dst, typeNames[kind])
	}
	dst = append(dst, '"')
	dst = strconv.AppendUint(dst, uint64(kind), 10)
	return append(dst, '"')
}

// AppendRecord appends the fields of eve's dns record, version 3.
func (t *tx) AppendRecord(dst []byte) []byte {
	dst = append(dst, `"dns":{"version":3,"type":`...)
	if t.reply {
		dst = append(dst, `"response"`...)
	} else {
		dst = append(dst, `"request"`...)
	}
	dst = jsonline.KeyUint(dst, "tx_id", t.ID)
	dst = jsonline.KeyInt(dst, "id", int64(t.id))
	dst = append(dst, `,"flags":"`...)
	dst = strconv.AppendUint(dst, uint64(t.flags), 16)
	dst = append(dst, '"')
	for _, f := range [...]struct {
		bit int
		key string
	}{{0x8000, "qr"}, {0x0400, "aa"}, {0x0200, "tc"}, {0x0100, "rd"}, {0x0080, "ra"}, {0x0040, "z"}} {
		if t.flags&f.bit != 0 {
			dst = jsonline.KeyBool(dst, f.key, true)
		}
	}
	dst = jsonline.KeyInt(dst, "opcode", int64(t.flags>>11&15))
	dst = jsonline.AppendKey(dst, "rcode")
	if c := t.flags & 15; c < len(rcodes) {
		dst = jsonline.AppendString(dst, rcodes[c])
	} else {
		dst = append(dst, '"')
		dst = strconv.AppendInt(dst, int64(c), 10)
		dst = append(dst, '"')
	}
	for s, key := range [...]string{"queries", "answers", "authorities", "additionals"} {
		dst = t.appendSection(dst, s, key)
	}
	if t.reply {
		dst = t.appendGrouped(dst)
	}
	return append(dst, '}')
}

func (t *tx) appendSection(dst []byte, section int, key string) []byte {
	if len(t.sections[section]) == 0 {
		return dst
	}
	dst = append(jsonline.AppendKey(dst, key), '[')
	for i := range t.sections[section] {
		a := &t.sections[section][i]
		dst = append(jsonline.AppendComma(dst), '{')
		dst = jsonline.KeyString(dst, "rrname", t.at(a.name))
		dst = appendType(jsonline.AppendKey(dst, "rrtype"), a.kind)
		if section != queries {
			dst = jsonline.KeyUint(dst, "ttl", uint64(a.ttl))
			dst = t.appendData(dst, a)
		}
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

// appendData appends a record's data under the key its type has.
func (t *tx) appendData(dst []byte, a *record) []byte {
	switch a.kind {
	case typeSOA:
		dst = append(jsonline.AppendKey(dst, "soa"), '{')
		dst = jsonline.KeyString(dst, "mname", t.at(a.data))
		dst = jsonline.KeyString(dst, "rname", t.at(a.extra))
		for i, k := range [...]string{"serial", "refresh", "retry", "expire", "minimum"} {
			dst = jsonline.KeyUint(dst, k, uint64(a.nums[i]))
		}
		return append(dst, '}')
	case typeSRV:
		dst = append(jsonline.AppendKey(dst, "srv"), '{')
		for i, k := range [...]string{"priority", "weight", "port"} {
			dst = jsonline.KeyUint(dst, k, uint64(a.nums[i]))
		}
		dst = jsonline.KeyString(dst, "name", t.at(a.data))
		return append(dst, '}')
	case typeSSHFP:
		dst = append(jsonline.AppendKey(dst, "sshfp"), '{')
		dst = append(jsonline.AppendKey(dst, "fingerprint"), '"')
		dst = appendColonHex(dst, t.at(a.data))
		dst = append(dst, '"')
		dst = jsonline.KeyUint(dst, "algo", uint64(a.nums[0]))
		dst = jsonline.KeyUint(dst, "type", uint64(a.nums[1]))
		return append(dst, '}')
	case typeOPT:
		return t.appendOptions(dst, t.at(a.data))
	case typeA, typeAAAA, typeNS, typeCNAME, typePTR, typeMX, typeTXT, typeNULL:
		return t.appendValue(jsonline.AppendKey(dst, "rdata"), a)
	}
	return dst
}

// appendOptions appends EDNS options, RFC 6891 6.1.2.
func (t *tx) appendOptions(dst, b []byte) []byte {
	dst = append(jsonline.AppendKey(dst, "opt"), '[')
	for len(b) >= 4 {
		n := min(u16(b[2:]), len(b)-4)
		dst = append(jsonline.AppendComma(dst), '{')
		dst = jsonline.KeyInt(dst, "code", int64(u16(b)))
		dst = jsonline.AppendHex(jsonline.AppendKey(dst, "data"), b[4:4+n])
		dst = append(dst, '}')
		b = b[4+n:]
	}
	return append(dst, ']')
}

func (t *tx) appendValue(dst []byte, a *record) []byte {
	b := t.at(a.data)
	if a.kind == typeA || a.kind == typeAAAA {
		dst = append(dst, '"')
		dst = appendAddress(dst, b)
		return append(dst, '"')
	}
	return jsonline.AppendString(dst, b)
}

// appendGrouped appends the answers' values by type, types in the order they first come.
func (t *tx) appendGrouped(dst []byte) []byte {
	list := t.sections[answers]
	open := false
	for i := range list {
		kind := list[i].kind
		switch kind {
		case typeA, typeAAAA, typeNS, typeCNAME, typePTR, typeMX, typeTXT, typeNULL, typeSRV, typeSSHFP, typeSOA:
		default:
			continue
		}
		if typeBefore(list[:i], kind) {
			continue
		}
		if !open {
			dst, open = append(jsonline.AppendKey(dst, "grouped"), '{'), true
		}
		dst = append(jsonline.AppendKey(dst, typeNames[kind]), '[')
		for k := i; k < len(list); k++ {
			if list[k].kind == kind {
				dst = t.appendMember(jsonline.AppendComma(dst), &list[k])
			}
		}
		dst = append(dst, ']')
	}
	if open {
		dst = append(dst, '}')
	}
	return dst
}

// appendMember appends one value of a group; the types made of several parts are the object that their record has.
func (t *tx) appendMember(dst []byte, a *record) []byte {
	inner := 0
	switch a.kind {
	case typeSRV:
		inner = len(`{"srv":`)
	case typeSOA:
		inner = len(`{"soa":`)
	case typeSSHFP:
		inner = len(`{"sshfp":`)
	default:
		return t.appendValue(dst, a)
	}
	from := len(dst)
	dst = append(dst, '{')
	dst = t.appendData(dst, a)
	return append(dst[:from], dst[from+inner:]...)
}

func typeBefore(list []record, kind uint16) bool {
	for i := range list {
		if list[i].kind == kind {
			return true
		}
	}
	return false
}

const hexDigits = "0123456789abcdef"

// appendAddress writes an address in Suricata's form: IPv6 in full, without shortening.
func appendAddress(dst, b []byte) []byte {
	switch len(b) {
	case 4:
		for i, c := range b {
			if i > 0 {
				dst = append(dst, '.')
			}
			dst = strconv.AppendUint(dst, uint64(c), 10)
		}
	case 16:
		for i, c := range b {
			if i > 0 && i&1 == 0 {
				dst = append(dst, ':')
			}
			dst = append(dst, hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return dst
}

func appendColonHex(dst, b []byte) []byte {
	for i, c := range b {
		if i > 0 {
			dst = append(dst, ':')
		}
		dst = append(dst, hexDigits[c>>4], hexDigits[c&15])
	}
	return dst
}
