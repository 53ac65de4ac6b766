package smb

import (
	"bytes"

	"github.com/dejpha/dejpha/app/contract"
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
	req := inside(b[i+len(krb5OID):], 0x6e, 0x30)
	for len(req) > 0 {
		tag, body, rest := der(req)
		if tag == 0xa3 {
			t.kerberos = p.ticketNames(t, inside(body, 0x61, 0x30))
			return
		}
		if rest == nil {
			return
		}
		req = rest
	}
}

func (p *parser) ticketNames(t *tx, b []byte) bool {
	for len(b) > 0 {
		tag, body, rest := der(b)
		switch tag {
		case 0xa1:
			if _, s, _ := der(body); s != nil {
				t.realm = append(t.realm[:0], s[:min(len(s), nameMax)]...)
			}
		case 0xa2:
			name := inside(body, 0x30)
			_, _, name = der(name)
			name = inside(name, 0xa1, 0x30)
			for len(name) > 0 && len(t.snames) < 8 {
				var s []byte
				_, s, name = der(name)
				t.snames = append(t.snames, bytes.Clone(s[:min(len(s), nameMax)]))
			}
			return true
		}
		b = rest
	}
	return false
}

// inside goes down through elements of the given tags; nil if they are not there.
func inside(b []byte, tags ...byte) []byte {
	for _, want := range tags {
		tag, body, _ := der(b)
		if tag != want {
			return nil
		}
		b = body
	}
	return b
}

// der splits the first element off b. A length that goes beyond b is cut to it; body and rest are nil when
// there is no element.
func der(b []byte) (tag byte, body, rest []byte) {
	if len(b) < 2 {
		return 0, nil, nil
	}
	n, at := int(b[1]), 2
	if n >= 0x80 {
		k := n & 0x7f
		if k == 0 || k > 4 || len(b) < 2+k {
			return 0, nil, nil
		}
		n = 0
		for _, c := range b[2 : 2+k] {
			n = n<<8 | int(c)
		}
		at += k
	}
	end := len(b)
	if n < end-at {
		end = at + n
	}
	return b[0], b[at:end], b[end:]
}
