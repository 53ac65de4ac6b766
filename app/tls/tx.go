package tls

import (
	"strconv"
	"time"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/jsonline"
)

// tx is a conversation.
type tx struct {
	contract.TxState
	step      [2]uint8
	version   [2]uint16
	random    [2][]byte
	alpn      [2][][]byte
	certs     [2]chain
	sni       []byte
	hasSNI    bool
	helloSeen bool
	sessionID bool
	resumed   bool
	states    uint8
	ja3       []byte
	ja3Hash   []byte
	ja3s      []byte
	ja3sHash  []byte
	ja4       []byte
	hello     hello
	arena     []byte
}

// keep copies b into the transaction's own memory.
func (t *tx) keep(b []byte) []byte {
	from := len(t.arena)
	t.arena = append(t.arena, b...)
	return t.arena[from:len(t.arena):len(t.arena)]
}

func (t *tx) raise(dir contract.Direction, step uint8) { t.step[dir] = max(t.step[dir], step) }

// Reuse empties the transaction.
func (t *tx) Reuse() {
	t.hello.clear()
	arena := t.arena[:0]
	if cap(arena) > 64<<10 {
		arena = nil
	}
	for i := range t.certs {
		t.certs[i].clear()
	}
	*t = tx{TxState: t.TxState, random: [2][]byte{t.random[0][:0], t.random[1][:0]}, alpn: [2][][]byte{t.alpn[0][:0], t.alpn[1][:0]}, certs: t.certs,
		sni: t.sni[:0], ja3: t.ja3[:0], ja3Hash: t.ja3Hash[:0], ja3s: t.ja3s[:0], ja3sHash: t.ja3sHash[:0], ja4: t.ja4[:0], hello: t.hello, arena: arena}
}

// State is the engine's part of the transaction.
func (t *tx) State() *contract.TxState { return &t.TxState }

// Progress is the step a direction has reached.
func (t *tx) Progress(dir contract.Direction) uint8 { return t.step[dir] }

// Buffer returns the i-th instance of a keyword.
func (t *tx) Buffer(kw, i int) ([]byte, bool) {
	if kw >= kwSubject && kw < kwChainLen {
		side := (kw - kwSubject) & 1
		return t.sided(kw-side, side, i)
	}
	switch kw {
	case kwSNI:
		return t.sni, t.hasSNI
	case kwJA3:
		return t.ja3Hash, len(t.ja3Hash) > 0
	case kwJA3String:
		return t.ja3, len(t.ja3) > 0
	case kwJA3S:
		return t.ja3sHash, len(t.ja3sHash) > 0
	case kwJA3SString:
		return t.ja3s, len(t.ja3s) > 0
	case kwJA4:
		return t.ja4, len(t.ja4) > 0
	}
	return nil, false
}

func (t *tx) sided(kw, side, i int) ([]byte, bool) {
	c := &t.certs[side]
	var list [][]byte
	switch kw {
	case kwSubject:
		return c.subject, c.count > 0
	case kwIssuer:
		return c.issuer, c.count > 0
	case kwSerial:
		return c.serial, c.count > 0
	case kwFingerprint:
		return c.fingerprint, c.count > 0
	case kwRandom:
		return t.random[side], len(t.random[side]) > 0
	case kwRandomTime, kwRandomBytes:
		r := t.random[side]
		if len(r) < 32 {
			return nil, false
		}
		if kw == kwRandomTime {
			return r[:4], true
		}
		return r[4:], true
	case kwCerts:
		list = c.raw
	case kwAltNames:
		list = c.names
	case kwALPN:
		list = t.alpn[side]
	}
	if i < len(list) {
		return list[i], true
	}
	return nil, false
}

// Number returns the chain's length and the flags.
func (t *tx) Number(kw, i int) (uint64, bool) {
	c := &t.certs[1]
	if i > 0 || c.count == 0 {
		return 0, false
	}
	switch kw {
	case kwChainLen:
		return uint64(c.count), true
	case kwExpired:
		return 1, c.dates && c.expired
	case kwValid:
		return 1, c.dates && !c.expired
	case kwStore:
		return 1, true
	}
	return 0, false
}

// AppendRecord appends the fields of eve's tls record, in its extended form.
func (t *tx) AppendRecord(dst []byte) []byte {
	dst = append(dst, `"tls":{`...)
	if t.resumed {
		dst = jsonline.KeyBool(dst, "session_resumed", true)
	}
	dst = appendChain(dst, &t.certs[1])
	if t.hasSNI {
		dst = jsonline.KeyString(dst, "sni", t.sni)
	}
	version := t.version[1]
	if version == 0 {
		version = t.version[0]
	}
	dst = appendVersion(jsonline.AppendKey(dst, "version"), version)
	dst = appendDates(dst, &t.certs[1])
	if len(t.ja4) > 0 {
		dst = jsonline.KeyString(dst, "ja4", t.ja4)
	}
	dst = appendFingerprint(dst, "ja3", t.ja3Hash, t.ja3)
	dst = appendFingerprint(dst, "ja3s", t.ja3sHash, t.ja3s)
	dst = appendTexts(dst, "client_alpns", t.alpn[0])
	dst = appendTexts(dst, "server_alpns", t.alpn[1])
	if t.certs[0].count > 0 {
		dst = append(jsonline.AppendKey(dst, "client"), '{')
		dst = appendDates(appendChain(dst, &t.certs[0]), &t.certs[0])
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

func appendChain(dst []byte, c *chain) []byte {
	if c.count == 0 {
		return dst
	}
	dst = jsonline.KeyString(dst, "subject", c.subject)
	dst = jsonline.KeyString(dst, "issuerdn", c.issuer)
	dst = appendTexts(dst, "subjectaltname", c.names)
	dst = jsonline.KeyString(dst, "serial", c.serial)
	return jsonline.KeyString(dst, "fingerprint", c.fingerprint)
}

func appendDates(dst []byte, c *chain) []byte {
	if !c.dates {
		return dst
	}
	const layout = `"2006-01-02T15:04:05"`
	dst = time.Unix(c.notBefore, 0).UTC().AppendFormat(jsonline.AppendKey(dst, "notbefore"), layout)
	return time.Unix(c.notAfter, 0).UTC().AppendFormat(jsonline.AppendKey(dst, "notafter"), layout)
}

func appendFingerprint(dst []byte, key string, hash, text []byte) []byte {
	if len(hash) == 0 {
		return dst
	}
	dst = append(jsonline.AppendKey(dst, key), '{')
	dst = jsonline.KeyString(dst, "hash", hash)
	dst = jsonline.KeyString(dst, "string", text)
	return append(dst, '}')
}

func appendTexts(dst []byte, key string, list [][]byte) []byte {
	if len(list) == 0 {
		return dst
	}
	dst = append(jsonline.AppendKey(dst, key), '[')
	for _, s := range list {
		dst = jsonline.AppendString(jsonline.AppendComma(dst), s)
	}
	return append(dst, ']')
}

func appendVersion(dst []byte, v uint16) []byte {
	switch v {
	case 0:
		return append(dst, `"UNDETERMINED"`...)
	case 2, 0x0200:
		return append(dst, `"SSLv2"`...)
	case 0x0300:
		return append(dst, `"SSLv3"`...)
	case 0x0301:
		return append(dst, `"TLSv1"`...)
	case 0x0302:
		return append(dst, `"TLS 1.1"`...)
	case 0x0303:
		return append(dst, `"TLS 1.2"`...)
	case 0x0304:
		return append(dst, `"TLS 1.3"`...)
	}
	if v>>8 == 0x7f {
		dst = append(dst, `"TLS 1.3 draft-`...)
		return append(strconv.AppendUint(dst, uint64(v&0xff), 10), '"')
	}
	dst = append(dst, `"0x`...)
	for shift := 12; shift >= 0; shift -= 4 {
		dst = append(dst, "0123456789abcdef"[v>>shift&15])
	}
	return append(dst, '"')
}
