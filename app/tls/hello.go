package tls

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"

	"github.com/dejpha/dejpha/app/contract"
)

// Extension types.
const (
	extSNI       = 0
	extGroups    = 10
	extFormats   = 11
	extSigAlgs   = 13
	extALPN      = 16
	extSupported = 43
)

const listMax = 256 // values of one list that take part in a fingerprint; a hello of 16 KiB could hold 8000

// hello is what a client's hello offers, as far as fingerprints ask.
type hello struct {
	ciphers, exts, groups, formats, sigs []uint16
	versions                             []uint16
}

func (h *hello) clear() {
	*h = hello{h.ciphers[:0], h.exts[:0], h.groups[:0], h.formats[:0], h.sigs[:0], h.versions[:0]}
}

// grease says whether v is one of the meaningless values of RFC 8701.
func grease(v uint16) bool { return v&0x0f0f == 0x0a0a && v>>8 == v&0xff }

// values reads 16-bit values; grease is left out.
func values(dst []uint16, b []byte) []uint16 {
	for ; len(b) >= 2 && len(dst) < listMax; b = b[2:] {
		if v := uint16(u16(b)); !grease(v) {
			dst = append(dst, v)
		}
	}
	return dst
}

// vec splits a vector with a length of width bytes off b; one that is cut off is cut to what is there.
func vec(b []byte, width int) (v, rest []byte, ok bool) {
	if len(b) < width {
		return nil, nil, false
	}
	n := 0
	for _, c := range b[:width] {
		n = n<<8 | int(c)
	}
	b = b[width:]
	if n > len(b) {
		return b, nil, false
	}
	return b[:n], b[n:], true
}

func (t *tx) readClientHello(b []byte) {
	if len(b) < 34 {
		t.AddEvent(evHandshakeLength)
		return
	}
	h := &t.hello
	h.clear()
	t.version[0] = uint16(u16(b))
	t.random[0] = append(t.random[0][:0], b[2:34]...)
	_, b, ok1 := vec(b[34:], 1)
	ciphers, b, ok2 := vec(b, 2)
	_, b, ok3 := vec(b, 1)
	if !ok1 || !ok2 || !ok3 {
		t.AddEvent(evHandshakeLength)
	}
	h.ciphers = values(h.ciphers, ciphers)
	if len(b) > 0 {
		exts, _, ok := vec(b, 2)
		if !ok {
			t.AddEvent(evHandshakeLength)
		}
		t.clientExtensions(exts)
	}
	t.fingerprintClient()
	t.Facts = append(t.Facts, contract.Fact{Kind: contract.TLSHello, Name: string(t.sni), Text: string(t.ja3Hash)})
}

func (t *tx) clientExtensions(b []byte) {
	h := &t.hello
	for len(b) >= 4 && len(h.exts) < listMax {
		kind := uint16(u16(b))
		body, rest, ok := vec(b[2:], 2)
		if !ok {
			t.AddEvent(evHandshakeLength)
		}
		b = rest
		if grease(kind) {
			continue
		}
		h.exts = append(h.exts, kind)
		switch kind {
		case extSNI:
			t.readSNI(body)
		case extGroups:
			v, _, _ := vec(body, 2)
			h.groups = values(h.groups, v)
		case extFormats:
			v, _, _ := vec(body, 1)
			for _, c := range v {
				h.formats = append(h.formats, uint16(c))
			}
		case extSigAlgs:
			v, _, _ := vec(body, 2)
			h.sigs = values(h.sigs, v)
		case extALPN:
			t.readALPN(0, body)
		case extSupported:
			v, _, _ := vec(body, 1)
			h.versions = values(h.versions, v)
		}
	}
}

func (t *tx) readSNI(b []byte) {
	if len(b) == 0 {
		return
	}
	list, _, ok := vec(b, 2)
	if !ok || len(list) < 3 {
		t.AddEvent(evSNILength)
		return
	}
	if list[0] != 0 {
		t.AddEvent(evSNIType)
		return
	}
	name, _, ok := vec(list[1:], 2)
	if !ok || len(name) == 0 {
		t.AddEvent(evSNILength)
		return
	}
	if t.hasSNI {
		t.AddEvent(evMultipleSNI)
		return
	}
	t.sni, t.hasSNI = append(t.sni[:0], name...), true
}

func (t *tx) readALPN(side int, b []byte) {
	list, _, _ := vec(b, 2)
	for len(list) > 0 && len(t.alpn[side]) < 32 {
		one, rest, ok := vec(list, 1)
		if !ok {
			return
		}
		t.alpn[side] = append(t.alpn[side], t.keep(one))
		list = rest
	}
}

func (t *tx) readServerHello(b []byte) {
	if len(b) < 38 {
		t.AddEvent(evHandshakeLength)
		return
	}
	t.version[1] = uint16(u16(b))
	legacy := t.version[1]
	t.random[1] = append(t.random[1][:0], b[2:34]...)
	id, b, ok := vec(b[34:], 1)
	if !ok || len(b) < 3 {
		t.AddEvent(evHandshakeLength)
		return
	}
	t.sessionID = len(id) > 0
	cipher := uint16(u16(b))
	h := &t.hello
	h.exts = h.exts[:0]
	exts, _, _ := vec(b[3:], 2)
	for len(exts) >= 4 && len(h.exts) < listMax {
		kind := uint16(u16(exts))
		body, rest, _ := vec(exts[2:], 2)
		exts = rest
		h.exts = append(h.exts, kind)
		switch kind {
		case extALPN:
			t.alpn[1] = t.alpn[1][:0]
			t.readALPN(1, body)
		case extSupported:
			if len(body) >= 2 {
				t.version[1] = uint16(u16(body))
			}
		}
	}
	s := strconv.AppendUint(t.ja3s[:0], uint64(legacy), 10)
	s = strconv.AppendUint(append(s, ','), uint64(cipher), 10)
	t.ja3s = appendList(append(s, ','), h.exts)
	sum := md5.Sum(t.ja3s)
	t.ja3sHash = hex.AppendEncode(t.ja3sHash[:0], sum[:])
	t.Facts = append(t.Facts, contract.Fact{Kind: contract.TLSServerHello, Dir: contract.ToClient, Text: string(t.ja3sHash)})
}

func appendList(dst []byte, list []uint16) []byte {
	for i, v := range list {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = strconv.AppendUint(dst, uint64(v), 10)
	}
	return dst
}

// fingerprintClient makes JA3 and JA4.
func (t *tx) fingerprintClient() {
	h := &t.hello
	s := strconv.AppendUint(t.ja3[:0], uint64(t.version[0]), 10)
	for _, list := range [...][]uint16{h.ciphers, h.exts, h.groups, h.formats} {
		s = appendList(append(s, ','), list)
	}
	t.ja3 = s
	sum := md5.Sum(s)
	t.ja3Hash = hex.AppendEncode(t.ja3Hash[:0], sum[:])
	t.fingerprintJA4()
}

func (t *tx) fingerprintJA4() {
	h := &t.hello
	version := t.version[0]
	if len(h.versions) > 0 {
		version = slices.Max(h.versions)
	}
	b := append(t.ja4[:0], 't')
	switch version {
	case 0x0304:
		b = append(b, "13"...)
	case 0x0303:
		b = append(b, "12"...)
	case 0x0302:
		b = append(b, "11"...)
	case 0x0301:
		b = append(b, "10"...)
	case 0x0300:
		b = append(b, "s3"...)
	case 0x0002:
		b = append(b, "s2"...)
	default:
		b = append(b, "00"...)
	}
	if t.hasSNI {
		b = append(b, 'd')
	} else {
		b = append(b, 'i')
	}
	b = appendTwo(b, len(h.ciphers))
	b = appendTwo(b, len(h.exts))
	b = appendALPN(b, t.alpn[0])
	slices.Sort(h.ciphers)
	b = appendShort(append(b, '_'), h.ciphers, nil)
	kept := h.exts[:0]
	for _, e := range h.exts {
		if e != extSNI && e != extALPN {
			kept = append(kept, e)
		}
	}
	slices.Sort(kept)
	t.ja4 = appendShort(append(b, '_'), kept, h.sigs)
}

func appendTwo(dst []byte, n int) []byte {
	n = min(n, 99)
	return append(dst, '0'+byte(n/10), '0'+byte(n%10))
}

func appendALPN(dst []byte, list [][]byte) []byte {
	if len(list) == 0 || len(list[0]) == 0 {
		return append(dst, "00"...)
	}
	first, last := list[0][0], list[0][len(list[0])-1]
	if !alnum(first) || !alnum(last) {
		const digits = "0123456789abcdef"
		return append(dst, digits[first>>4], digits[last&15])
	}
	return append(dst, first, last)
}

func alnum(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' }

// appendShort appends twelve hex digits of the digest over the lists in four hex digits each.
func appendShort(dst []byte, list, after []uint16) []byte {
	if len(list) == 0 {
		return append(dst, "000000000000"...)
	}
	var room [10 * listMax]byte
	text := appendHexList(room[:0], list)
	if len(after) > 0 {
		text = appendHexList(append(text, '_'), after)
	}
	sum := sha256.Sum256(text)
	return hex.AppendEncode(dst, sum[:6])
}

func appendHexList(dst []byte, list []uint16) []byte {
	for i, v := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = hex.AppendEncode(dst, []byte{byte(v >> 8), byte(v)})
	}
	return dst
}
