package smb

import (
	"bytes"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/app/der"
	"github.com/dejpha/dejpha/app/ntlmssp"
)

// NT statuses that the parser itself acts on.
const (
	statusSuccess        = 0
	statusPending        = 0x103
	statusBufferOverflow = 0x80000005
	statusMoreProcessing = 0xc0000016
)

// blob reads the security blob of a session setup.
func (p *parser) blob(t *tx, b []byte, dir contract.Direction) {
	if tok := ntlmssp.Find(b); tok != nil {
		if !ntlmssp.Parse(tok, &p.ntlm) || p.ntlm.Bad {
			e := uint8(evMalformedNTLMRequest)
			if dir == contract.ToClient {
				e = evMalformedNTLMResponse
			}
			p.event(t, e)
		}
		if m := &p.ntlm; m.Type == ntlmssp.Authenticate {
			t.ntlm, t.anonymous = true, m.Anonymous
			t.user = append(t.user[:0], m.User...)
			t.domain = append(t.domain[:0], m.Domain...)
			t.host = append(t.host[:0], m.Host...)
			t.hasVersion = m.HasVersion
			t.ntlmVersion = [4]uint16{uint16(m.Major), uint16(m.Minor), m.Build, uint16(m.Revision)}
		}
		return
	}
	if dir == contract.ToServer {
		p.ticket(t, b)
	}
}

// loggedIn tells the own detectors how a session setup ended.
func (t *tx) loggedIn() {
	if t.dos && t.status == 0 || !t.dos && t.status == statusSuccess {
		text := ""
		if t.anonymous {
			text = "anonymous"
		}
		t.fact(contract.Fact{Kind: contract.LoginSucceeded, Dir: contract.ToClient, Name: string(t.user), Text: text})
		return
	}
	if t.status == statusMoreProcessing && !t.dos {
		return
	}
	text := string(t.domain)
	if t.anonymous {
		text = "anonymous"
	}
	t.fact(contract.Fact{Kind: contract.LoginFailed, Dir: contract.ToClient, Name: string(t.user), Code: t.status, Text: text})
}

// krb5OID and the token id in front of an AP-REQ, RFC 4121 4.1.
var krb5OID = []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02, 0x01, 0x00}

// ticket reads realm and service name of the Kerberos ticket in a blob.
func (p *parser) ticket(t *tx, b []byte) {
	i := bytes.Index(b, krb5OID)
	if i < 0 {
		return
	}
	req := der.Inside(b[i+len(krb5OID):], 0x6e, 0x30)
	for len(req) > 0 {
		tag, body, rest, ok := der.Next(req)
		if tag == 0xa3 {
			t.kerberos = p.ticketNames(t, der.Inside(body, 0x61, 0x30))
			return
		}
		if !ok {
			return
		}
		req = rest
	}
}

func (p *parser) ticketNames(t *tx, b []byte) bool {
	for len(b) > 0 {
		tag, body, rest, ok := der.Next(b)
		if !ok {
			return false
		}
		switch tag {
		case 0xa1:
			if _, s, _, ok := der.Next(body); ok {
				t.realm = append(t.realm[:0], s[:min(len(s), nameMax)]...)
			}
		case 0xa2:
			name := der.Inside(body, 0x30)
			_, _, name, _ = der.Next(name)
			name = der.Inside(name, 0xa1, 0x30)
			for len(name) > 0 && len(t.snames) < 8 {
				var s []byte
				if _, s, name, ok = der.Next(name); !ok {
					break
				}
				t.snames = append(t.snames, bytes.Clone(s[:min(len(s), nameMax)]))
			}
			return true
		}
		b = rest
	}
	return false
}
