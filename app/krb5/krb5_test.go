package krb5

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/dejpha/dejpha/app/apptest"
	"github.com/dejpha/dejpha/app/contract"
)

// el builds an element.
func el(tag byte, parts ...string) string {
	body := strings.Join(parts, "")
	if len(body) < 0x80 {
		return string([]byte{tag, byte(len(body))}) + body
	}
	return string([]byte{tag, 0x82, byte(len(body) >> 8), byte(len(body))}) + body
}

func num(v byte) string { return el(2, string([]byte{v})) }

func principal(parts ...string) string {
	var list string
	for _, p := range parts {
		list += el(0x1b, p)
	}
	return el(0x30, el(0xa0, num(1)), el(0xa1, el(0x30, list)))
}

func asRequest(user string, proof bool) string {
	pa := el(0x30, el(0xa1, el(2, "\x00\x80")), el(0xa2, el(4, "x")))
	if proof {
		pa += el(0x30, el(0xa1, num(2)), el(0xa2, el(4, "x")))
	}
	body := el(0x30, el(0xa0, el(3, "\x00\x00\x00\x00\x00")), el(0xa1, principal(user)), el(0xa2, el(0x1b, "LAB")),
		el(0xa3, principal("krbtgt", "LAB")), el(0xa8, el(0x30, num(23), num(18))))
	return el(0x6a, el(0x30, el(0xa1, num(5)), el(0xa2, num(10)), el(0xa3, el(0x30, pa)), el(0xa4, body)))
}

func asReply(etype byte) string {
	ticket := el(0x61, el(0x30, el(0xa0, num(5)), el(0xa1, el(0x1b, "LAB")), el(0xa2, principal("krbtgt", "LAB")), el(0xa3, el(0x30, el(0xa0, num(18)), el(0xa2, el(4, "c"))))))
	return el(0x6b, el(0x30, el(0xa0, num(5)), el(0xa1, num(11)), el(0xa3, el(0x1b, "LAB")), el(0xa4, principal("bob")), el(0xa5, ticket),
		el(0xa6, el(0x30, el(0xa0, num(etype)), el(0xa2, el(4, "c"))))))
}

func failure(code byte) string {
	return el(0x7e, el(0x30, el(0xa0, num(5)), el(0xa1, num(30)), el(0xa6, num(code)), el(0xa9, el(0x1b, "LAB")), el(0xaa, principal("krbtgt", "LAB"))))
}

func record(m string) string { return string(binary.BigEndian.AppendUint32(nil, uint32(len(m)))) + m }

func conversations() [][]apptest.Segment {
	return [][]apptest.Segment{
		{apptest.C(record(asRequest("bob", false))), apptest.S(record(failure(25))), apptest.C(record(asRequest("bob", true))), apptest.S(record(asReply(18)))},
		{apptest.C(record(asRequest("bob", false))), apptest.S(record(asReply(23)))},
	}
}

func TestContract(t *testing.T) { apptest.Run(t, Protocol(), conversations()) }

func TestWhatIsSaid(t *testing.T) {
	for i, wants := range [][]string{
		{`"failed_request":"KRB_AS_REQ","error_code":"KDC_ERR_PREAUTH_REQUIRED"`, `"cname":"bob","realm":"LAB","sname":"krbtgt/LAB","encryption":"AES256_CTS_HMAC_SHA1_96","weak_encryption":false`,
			"krb5.etypes[1] 18", "Code:25", "Code:11 Size:1 Name:bob Text:18"},
		{"event weak_encryption", "Code:11 Size:0 Name:bob Text:23", "Code:10 Size:0 Name:bob Text:23,18", `"encryption":"RC4_HMAC","weak_encryption":true,"ticket_encryption":"AES256`},
	} {
		said := strings.Join(apptest.Play(t, Protocol(), conversations()[i]), "")
		for _, want := range wants {
			if !strings.Contains(said, want) {
				t.Errorf("conversation %d: nothing says %s in\n%s", i, want, said)
			}
		}
	}
}

func TestProbe(t *testing.T) {
	for _, c := range []struct {
		data string
		dir  contract.Direction
		want contract.Verdict
	}{
		{record(asRequest("x", false)), contract.ToServer, contract.Yes},
		{asRequest("x", false), contract.ToServer, contract.No},
		{record(asReply(18)), contract.ToServer, contract.YesReversed},
		{"\x00\x00\x01", contract.ToServer, contract.Maybe},
		{"GET / HTTP/1.0", contract.ToServer, contract.No},
		{"", contract.ToServer, contract.Maybe},
	} {
		if got := Protocol().Probe([]byte(c.data), c.dir, 88); got != c.want {
			t.Errorf("%q: %d, want %d", c.data, got, c.want)
		}
	}
	if got := Protocol().ProbeDatagram([]byte(asRequest("x", false)), contract.ToServer, 88); got != contract.Yes {
		t.Errorf("a datagram is judged %d", got)
	}
}

func TestTicketEncryption(t *testing.T) {
	for _, c := range []struct {
		text  string
		etype int32
		ok    bool
		want  bool
	}{
		{"weak", 23, true, true}, {"!weak", 23, true, false}, {"weak", 18, true, false}, {"rc4-hmac, 18", 18, true, true},
		{"-128,2", -128, true, true}, {"1,2", 3, true, false}, {"nonsense", 0, false, false},
	} {
		a, err := compileEncryption(c.text)
		if (err == nil) != c.ok {
			t.Errorf("%q: %v", c.text, err)
		} else if err == nil && a.(*encryptionArg).match(c.etype) != c.want {
			t.Errorf("%q matches %d: %v", c.text, c.etype, !c.want)
		}
	}
}

func FuzzKrb5(f *testing.F) {
	apptest.Fuzz(f, apptest.Spoken{Protocol: Protocol(), Seeds: conversations()})
}
