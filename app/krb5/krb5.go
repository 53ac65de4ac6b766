// Package krb5 reads Kerberos 5 (RFC 4120) over TCP and UDP.
//
// Messages come in by contract.Parser; who asked which ticket, with which encryption, and what the answer
// was come out, one transaction a message as in Suricata. Called by app's driver. It never decrypts.
package krb5

import (
	"errors"
	"strconv"
	"strings"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/app/der"
)

// Keyword indices.
const (
	kwType = iota
	kwCname
	kwSname
	kwError
	kwTicketEncryption
	kwRealm
	kwEtypes
	kwPreauth
)

// Event indices.
const (
	evMalformed = iota
	evWeak
	evTooMany
)

// Message types, RFC 4120 7.5.7.
const (
	asReq    = 10
	asRep    = 11
	tgsReq   = 12
	tgsRep   = 13
	apReq    = 14
	apRep    = 15
	krbError = 30
)

const (
	defaultMaxTx = 256
	freeMax      = 16        // released transactions kept for reuse
	recordMax    = 256 << 10 // a ticket with the largest PAC is near 64 KiB; RFC 4120 7.2.2 sets no limit
	namesMax     = 16        // parts of a principal name; krbtgt has two, DCOM services three
	nameMax      = 1024
	etypesMax    = 32 // a client offers fewer than ten
	padataMax    = 64
)

// Protocol is krb5's line of app's table.
//
//	keyword                 kind    meaning
//	krb5_msg_type           number  message type, by number or name
//	krb5.cname              multi   parts of the client's name
//	krb5.sname              multi   parts of the service's name
//	krb5_err_code           number  code of an error message
//	krb5.ticket_encryption  custom  encryption of the ticket: weak, !weak or a list of names and numbers
//	krb5.realm              buffer  (own) realm
//	krb5.etypes             number  (own) each encryption type that a request offers, as 32-bit two's complement
//	krb5.preauth            flag    (own) present when a request proves who sends it
func Protocol() contract.Protocol {
	return contract.Protocol{
		Name: "krb5", EventType: "krb5", Transport: contract.Both, ServerPorts: []uint16{88},
		Probe: probe, ProbeDatagram: probeDatagram, New: newParser,
		Keywords: []contract.Keyword{
			{Name: "krb5_msg_type", Kind: contract.KindNumber, Dirs: contract.OnBoth, Values: map[string]uint64{
				"as_req": asReq, "as_rep": asRep, "tgs_req": tgsReq, "tgs_rep": tgsRep, "ap_req": apReq, "ap_rep": apRep, "error": krbError,
				"reserved16": 16, "reserved17": 17, "safe": 20, "priv": 21, "cred": 22}},
			{Name: "krb5.cname", Aliases: []string{"krb5_cname"}, Kind: contract.KindMulti, Dirs: contract.OnBoth},
			{Name: "krb5.sname", Aliases: []string{"krb5_sname"}, Kind: contract.KindMulti, Dirs: contract.OnBoth},
			{Name: "krb5_err_code", Kind: contract.KindNumber, Dirs: contract.OnReply},
			{Name: "krb5.ticket_encryption", Kind: contract.KindCustom, Dirs: contract.OnReply},
			{Name: "krb5.realm", Kind: contract.KindBuffer, Dirs: contract.OnBoth},
			{Name: "krb5.etypes", Kind: contract.KindNumber, Dirs: contract.OnRequest},
			{Name: "krb5.preauth", Kind: contract.KindFlag, Dirs: contract.OnRequest},
		},
		Events:  []string{"malformed_data", "weak_encryption", "too_many_transactions"},
		Steps:   [2][]string{{"request_started", "request_complete"}, {"response_started", "response_complete"}},
		Compile: func(_ int, text string) (any, error) { return compileEncryption(text) },
		Limits:  contract.Limits{MaxTx: defaultMaxTx},
	}
}

// looksLike says whether b starts a Kerberos message: an application tag, a sequence, and version 5 first.
func looksLike(b []byte) contract.Verdict {
	if len(b) == 0 {
		return contract.Maybe
	}
	if t := b[0] &^ 0x20; t < 0x40|asReq || t > 0x40|apRep && t != 0x40|krbError || b[0]&0x20 == 0 {
		return contract.No
	}
	head, size, ok := der.Header(b)
	if !ok || len(b) < head+2 {
		if len(b) >= 6 {
			return contract.No
		}
		return contract.Maybe
	}
	if b[head] != 0x30 || size > recordMax {
		return contract.No
	}
	inner, _, ok := der.Header(b[head:])
	if !ok || len(b) < head+inner+5 {
		return contract.Maybe
	}
	v := b[head+inner:]
	if v[0]&0xfe != 0xa0 || v[1] != 3 || v[2] != 2 || v[3] != 1 || v[4] != 5 {
		return contract.No
	}
	return contract.Yes
}

func probe(b []byte, dir contract.Direction, port uint16) contract.Verdict {
	if len(b) < 5 {
		if len(b) > 0 && b[0] != 0 {
			return contract.No
		}
		return contract.Maybe
	}
	if n := recordLen(b); n < 16 || n > recordMax {
		return contract.No
	}
	return probeDatagram(b[4:], dir, port)
}

// probeDatagram judges a message without a record mark.
func probeDatagram(b []byte, dir contract.Direction, _ uint16) contract.Verdict {
	if v := looksLike(b); v != contract.Yes {
		return v
	}
	request := b[0]&0x1f == asReq || b[0]&0x1f == tgsReq || b[0]&0x1f == apReq
	if request != (dir == contract.ToServer) {
		return contract.YesReversed
	}
	return contract.Yes
}

func recordLen(b []byte) int {
	return int(b[0])<<24 | int(b[1])<<16 | int(b[2])<<8 | int(b[3])
}

var errEncryption = errors.New("expected weak, !weak or a list of encryption types")

// encryptionArg is what krb5.ticket_encryption asks for.
type encryptionArg struct {
	weak, not bool
	list      []int32
}

func (a *encryptionArg) match(etype int32) bool {
	if a.weak {
		return weak(etype) != a.not
	}
	for _, e := range a.list {
		if e == etype {
			return true
		}
	}
	return false
}

func compileEncryption(text string) (any, error) {
	text = strings.TrimSpace(text)
	if text == "weak" || text == "!weak" {
		return &encryptionArg{weak: true, not: text[0] == '!'}, nil
	}
	a := &encryptionArg{}
	for _, p := range strings.Split(text, ",") {
		p = strings.TrimSpace(p)
		if e, ok := etypeNumber(p); ok {
			a.list = append(a.list, e)
			continue
		}
		n, err := strconv.ParseInt(p, 10, 32)
		if err != nil {
			return nil, errEncryption
		}
		a.list = append(a.list, int32(n))
	}
	return a, nil
}

// weak says whether an encryption type is not one of the AES and Camellia ones.
func weak(etype int32) bool {
	switch etype {
	case 17, 18, 19, 20, 25, 26:
		return false
	}
	return true
}
