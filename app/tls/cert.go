package tls

import (
	"bytes"
	"crypto/sha1"
	"strconv"
	"strings"
	"time"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/app/der"
)

// chain is one side's certificates; the first is read.
type chain struct {
	count               int
	raw                 [][]byte
	subject, issuer     []byte
	serial, fingerprint []byte
	names               [][]byte
	notBefore, notAfter int64 // seconds since 1970
	dates               bool
	expired             bool
	selfSigned          bool
}

func (c *chain) clear() {
	*c = chain{raw: c.raw[:0], subject: c.subject[:0], issuer: c.issuer[:0], serial: c.serial[:0], fingerprint: c.fingerprint[:0], names: c.names[:0]}
}

// readCertificates reads a certificate message, RFC 5246 7.4.2.
func (t *tx) readCertificates(dir contract.Direction, b []byte, now int64) {
	c := &t.certs[dir]
	if c.count > 0 {
		return
	}
	list, _, ok := vec(b, 3)
	if !ok {
		t.AddEvent(evCertificate)
	}
	for len(list) > 0 {
		one, rest, ok := vec(list, 3)
		if !ok || len(one) == 0 {
			t.AddEvent(evCertLength)
			return
		}
		list = rest
		c.count++
		if len(c.raw) < certsMax {
			c.raw = append(c.raw, t.keep(one))
		}
		if c.count == 1 {
			t.readCertificate(c, one, now)
			f := contract.Fact{Kind: contract.TLSCertificate, Dir: dir, Name: common(c.subject), Text: common(c.issuer)}
			if c.selfSigned {
				f.Code = 1
			}
			t.Facts = append(t.Facts, f)
		}
	}
}

// common is the CN of a printed name.
func common(dn []byte) string {
	_, cn, ok := bytes.Cut(dn, []byte("CN="))
	if !ok {
		return ""
	}
	cn, _, _ = bytes.Cut(cn, []byte(", "))
	return string(cn)
}

// readCertificate reads one certificate, RFC 5280 4.1.
func (t *tx) readCertificate(c *chain, b []byte, now int64) {
	sum := sha1.Sum(b)
	c.fingerprint = appendColonHex(c.fingerprint[:0], sum[:], "0123456789abcdef")
	body := der.Inside(b, 0x30, 0x30)
	if body == nil {
		t.AddEvent(evCertDER)
		return
	}
	tag, v, rest, ok := der.Next(body)
	if ok && tag == 0xa0 {
		tag, v, rest, ok = der.Next(rest)
	}
	if !ok || tag != 2 {
		t.AddEvent(evCertSerial)
		return
	}
	c.serial = appendColonHex(c.serial[:0], v[:min(len(v), 64)], "0123456789ABCDEF")
	if _, _, rest, ok = der.Next(rest); !ok {
		t.AddEvent(evCertAlgorithm)
		return
	}
	_, issuer, rest, ok := der.Next(rest)
	if !ok {
		t.AddEvent(evCertIssuer)
		return
	}
	c.issuer = appendName(c.issuer[:0], issuer)
	_, validity, rest, ok := der.Next(rest)
	if !ok {
		t.AddEvent(evCertValidity)
		return
	}
	t.readValidity(c, validity, now)
	_, subject, rest, ok := der.Next(rest)
	if !ok {
		t.AddEvent(evCertSubject)
		return
	}
	c.subject = appendName(c.subject[:0], subject)
	c.selfSigned = bytes.Equal(subject, issuer)
	for len(rest) > 0 {
		tag, v, rest, ok = der.Next(rest)
		if !ok {
			t.AddEvent(evCertExtensions)
			return
		}
		if tag == 0xa3 {
			t.readExtensions(c, der.Inside(v, 0x30))
		}
	}
}

func (t *tx) readValidity(c *chain, b []byte, now int64) {
	tag, v, rest, ok := der.Next(b)
	from, ok1 := date(tag, v)
	tag, v, _, ok2 := der.Next(rest)
	to, ok3 := date(tag, v)
	if !ok || !ok1 || !ok2 || !ok3 {
		t.AddEvent(evCertDate)
		return
	}
	c.notBefore, c.notAfter, c.dates = from, to, true
	c.expired = now/1e9 > to
}

// date reads UTCTime and GeneralizedTime in the form of RFC 5280 4.1.2.5.
func date(tag byte, b []byte) (int64, bool) {
	var n [7]int
	var century int
	digits := b
	switch {
	case tag == 0x17 && len(b) >= 10:
		y, ok := pair(b)
		if !ok {
			return 0, false
		}
		century = 1900
		if y < 50 {
			century = 2000
		}
	case tag == 0x18 && len(b) >= 12:
		y, ok := pair(b)
		if !ok {
			return 0, false
		}
		century, digits = y*100, b[2:]
	default:
		return 0, false
	}
	for i := 0; i < 6 && len(digits) >= 2 && digits[0] != 'Z'; i++ {
		v, ok := pair(digits)
		if !ok {
			break
		}
		n[i], digits = v, digits[2:]
	}
	if n[1] < 1 || n[1] > 12 || n[2] < 1 || n[2] > 31 {
		return 0, false
	}
	return time.Date(century+n[0], time.Month(n[1]), n[2], n[3], n[4], n[5], 0, time.UTC).Unix(), true
}

func pair(b []byte) (int, bool) {
	if b[0] < '0' || b[0] > '9' || b[1] < '0' || b[1] > '9' {
		return 0, false
	}
	return int(b[0]-'0')*10 + int(b[1]-'0'), true
}

// readExtensions looks for alternative names and for constraints that overflow a decoder.
func (t *tx) readExtensions(c *chain, b []byte) {
	for len(b) > 0 {
		_, ext, rest, ok := der.Next(b)
		if !ok {
			t.AddEvent(evCertExtensions)
			return
		}
		b = rest
		_, oid, ext, ok := der.Next(ext)
		if !ok || len(oid) != 3 || oid[0] != 0x55 || oid[1] != 0x1d {
			continue
		}
		tag, v, ext, _ := der.Next(ext)
		if tag == 1 {
			_, v, _, _ = der.Next(ext)
		}
		switch oid[2] {
		case 17:
			t.readAltNames(c, der.Inside(v, 0x30))
		case 30:
			t.findPunycode(v)
		}
	}
}

func (t *tx) readAltNames(c *chain, b []byte) {
	for len(b) > 0 && len(c.names) < namesMax {
		tag, v, rest, ok := der.Next(b)
		if !ok {
			return
		}
		switch tag {
		case 0x81, 0x82, 0x86:
			c.names = append(c.names, t.keep(v))
			t.findPunycode(v)
		case 0x87:
			c.names = append(c.names, t.keep(appendIP(nil, v)))
		}
		b = rest
	}
}

// findPunycode looks for a label of encoded characters longer than any name may be (CVE-2022-3602).
func (t *tx) findPunycode(b []byte) {
	for {
		i := bytes.Index(b, []byte("xn--"))
		if i < 0 {
			return
		}
		b = b[i+4:]
		n := bytes.IndexByte(b, '.')
		if n < 0 {
			n = len(b)
		}
		if n >= punycodeMax {
			t.AddEvent(evPunycode)
			return
		}
	}
}

func appendIP(dst, b []byte) []byte {
	for i, c := range b {
		switch {
		case len(b) == 4 && i > 0:
			dst = append(dst, '.')
		case len(b) == 16 && i > 0 && i&1 == 0:
			dst = append(dst, ':')
		}
		if len(b) == 4 {
			dst = strconv.AppendUint(dst, uint64(c), 10)
		} else {
			dst = append(dst, "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
		}
	}
	return dst
}

func appendColonHex(dst, b []byte, digits string) []byte {
	for i, c := range b {
		if i > 0 {
			dst = append(dst, ':')
		}
		dst = append(dst, digits[c>>4], digits[c&15])
	}
	return dst
}

// appendName prints a distinguished name: "C=US, O=Example, CN=www.example.com".
func appendName(dst, b []byte) []byte {
	for range namesMax {
		_, set, rest, ok := der.Next(b)
		if !ok {
			break
		}
		b = rest
		for i := 0; len(set) > 0 && i < 8; i++ {
			_, attribute, more, ok := der.Next(set)
			if !ok {
				break
			}
			set = more
			if i > 0 {
				dst = append(dst, " + "...)
			} else if len(dst) > 0 {
				dst = append(dst, ", "...)
			}
			_, oid, value, _ := der.Next(attribute)
			_, text, _, _ := der.Next(value)
			dst = append(appendOID(dst, oid), '=')
			dst = append(dst, text[:min(len(text), 1024)]...)
		}
	}
	return dst
}

// appendOID prints an attribute's short name, or its number.
func appendOID(dst, oid []byte) []byte {
	if len(oid) == 3 && oid[0] == 0x55 && oid[1] == 4 {
		names := [...]string{3: "CN", 4: "SN", 5: "serialNumber", 6: "C", 7: "L", 8: "ST", 9: "street", 10: "O", 11: "OU", 12: "title",
			13: "description", 15: "businessCategory", 17: "postalCode", 41: "name", 42: "GN", 43: "initials", 46: "dnQualifier"}
		if int(oid[2]) < len(names) && names[oid[2]] != "" {
			return append(dst, names[oid[2]]...)
		}
	}
	switch string(oid) {
	case "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01":
		return append(dst, "emailAddress"...)
	case "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19":
		return append(dst, "DC"...)
	case "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01":
		return append(dst, "UID"...)
	}
	v, first := uint64(0), true
	for _, c := range oid[:min(len(oid), 32)] {
		v = v<<7 | uint64(c&0x7f)
		if c&0x80 != 0 {
			continue
		}
		if first {
			top := min(v/40, 2)
			dst = strconv.AppendUint(dst, top, 10)
			v, first = v-40*top, false
		}
		dst = strconv.AppendUint(append(dst, '.'), v, 10)
		v = 0
	}
	return dst
}

// trimmed takes an argument's quotes and negation off.
func trimmed(text string) (arg string, not bool) {
	text = strings.TrimSpace(text)
	if rest, ok := strings.CutPrefix(text, "!"); ok {
		text, not = strings.TrimSpace(rest), true
	}
	return strings.Trim(text, `"`), not
}
