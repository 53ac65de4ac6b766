package ldap

import (
	"strings"
	"testing"

	"github.com/dejpha/dejpha/app/apptest"
	"github.com/dejpha/dejpha/app/contract"
)

func el(tag byte, parts ...string) string {
	body := strings.Join(parts, "")
	if len(body) < 0x80 {
		return string([]byte{tag, byte(len(body))}) + body
	}
	return string([]byte{tag, 0x82, byte(len(body) >> 8), byte(len(body))}) + body
}

func num(v byte) string             { return el(2, string([]byte{v})) }
func enum(v byte) string            { return el(10, string([]byte{v})) }
func str(s string) string           { return el(4, s) }
func msg(id byte, op string) string { return el(0x30, num(id), op) }

func result(tag, code byte, dn, message string) string {
	return el(tag, enum(code), str(dn), str(message))
}

func search(base string) string {
	filter := el(0xa0, el(0xa3, str("objectClass"), str("user")), el(0xa4, str("cn"), el(0x30, el(0x80, "a"), el(0x81, "b"))), el(0xa2, el(0x87, "mail")))
	return el(0x63, str(base), enum(2), enum(0), num(0), num(0), el(1, "\x00"), filter, el(0x30, str("cn"), str("servicePrincipalName")))
}

func entry(dn string) string {
	return el(0x64, str(dn), el(0x30, el(0x30, str("cn"), el(0x31, str("x"), str("y"))), el(0x30, str("sn"), el(0x31))))
}

func bind(name, pass string) string { return el(0x60, num(3), str(name), el(0x80, pass)) }

func conversations() [][]apptest.Segment {
	return [][]apptest.Segment{
		{apptest.C(msg(1, bind("cn=a", "x"))), apptest.S(msg(1, result(0x61, 49, "", "no"))),
			apptest.C(msg(2, search("dc=lab"))), apptest.S(msg(2, entry("cn=x,dc=lab")) + msg(2, entry("cn=y,dc=lab")) + msg(2, result(0x65, 4, "", "too many"))),
			apptest.C(msg(3, el(0x42)))},
		{apptest.C(msg(4, el(0x68, str("CN=WIN10,CN=Servers"), el(0x30, el(0x30, str("objectClass"), el(0x31, str("server"))))))), apptest.S(msg(4, result(0x69, 0, "", "")))},
		{apptest.C(msg(5, el(0x66, str("cn=q"), el(0x30, el(0x30, enum(2), el(0x30, str("pw"), el(0x31, str("v")))))))), apptest.S(msg(9, result(0x67, 0, "", "")))},
	}
}

func TestContract(t *testing.T) { apptest.Run(t, Protocol(), conversations()) }

func TestWhatIsSaid(t *testing.T) {
	for i, wants := range [][]string{
		{`"bind_response":{"result_code":"invalid_credentials","matched_dn":"","message":"no"}`, "Kind:1 Dir:1 Code:49 Size:0 Name:cn=a",
			`ldap.request.filter[0] "(&(objectClass=user)(cn=a*b*)(!(mail=*)))"`, `ldap.responses.dn[1] "cn=y,dc=lab"`, "ldap.responses.count[0] 3",
			`ldap.request.attribute_type[1] "servicePrincipalName"`, `ldap.responses.attribute_type[3] "sn"`, `ldap.responses.message[0] "too many"`,
			`{"type":"cn","values":["x","y"]}`, `"operation":"unbind_request"`, "Code:5 Size:2 Name:dc=lab"},
		{`"add_request":{"entry":"CN=WIN10,CN=Servers","attributes":[{"name":"objectClass","values":["server"]}]}`, "Code:8 Size:0 Name:CN=WIN10,CN=Servers"},
		{"event request_not_found", `"changes":[{"operation":"replace","modification":{"attribute_type":"pw","attribute_values":["v"]}}]`, `"message_id":9`},
	} {
		said := strings.Join(apptest.Play(t, Protocol(), conversations()[i]), "")
		for _, want := range wants {
			if !strings.Contains(said, want) {
				t.Errorf("conversation %d: nothing says %s in\n%s", i, want, said)
			}
		}
	}
}

// TestWrapped reads an addition that a SASL layer signed but did not seal.
func TestWrapped(t *testing.T) {
	sasl := msg(1, el(0x60, num(3), str(""), el(0xa3, str("GSS-SPNEGO"), str("tok"))))
	add := strings.Repeat("\x01", 16) + msg(2, el(0x68, str("CN=X"), el(0x30)))
	frame := string([]byte{0, 0, 0, byte(len(add))}) + add
	said := strings.Join(apptest.Play(t, Protocol(), []apptest.Segment{apptest.C(sasl), apptest.S(msg(1, result(0x61, 0, "", ""))), apptest.C(frame)}), "")
	if !strings.Contains(said, `"add_request":{"entry":"CN=X"`) {
		t.Errorf("nothing says the entry in\n%s", said)
	}
}

func TestIndex(t *testing.T) {
	p := newParser(contract.Limits{}).(*parser)
	p.Feed(contract.Input{Data: []byte(msg(2, search("dc=lab")))})
	p.Feed(contract.Input{Dir: contract.ToClient, Data: []byte(msg(2, entry("cn=x")) + msg(2, result(0x65, 4, "", "")))})
	x := p.live[0]
	for _, c := range []struct {
		kw       int
		text     string
		ok, want bool
	}{
		{kwResOperation, "search_result_done", true, true},
		{kwResOperation, "search_result_done,0", true, false},
		{kwResOperation, "search_result_done,1", true, true},
		{kwResOperation, "search_result_done,-1", true, true},
		{kwResOperation, "search_result_done,all", true, false},
		{kwResOperation, ">3,all", true, true},
		{kwResOperation, "nonsense", false, false},
		{kwResCode, "size_limit_exceeded", true, true},
		{kwResCode, "4,1", true, true},
		{kwResCode, "0", true, false},
		{kwResCode, "4,x", false, false},
	} {
		arg, err := compile(c.kw, c.text)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.text, err)
		} else if err == nil && x.MatchCustom(c.kw, arg, contract.ToClient) != c.want {
			t.Errorf("%s: match %v", c.text, !c.want)
		}
	}
}

func TestStartTLS(t *testing.T) {
	p := newParser(contract.Limits{})
	p.Feed(contract.Input{Data: []byte(msg(1, el(0x77, el(0x80, string(startTLS)))))})
	if r := p.Feed(contract.Input{Dir: contract.ToClient, Data: []byte(msg(1, result(0x78, 0, "", "")))}); r.Upgrade != "tls" {
		t.Errorf("got %+v", r)
	}
}

func FuzzLDAP(f *testing.F) {
	apptest.Fuzz(f, apptest.Spoken{Protocol: Protocol(), Seeds: conversations()})
}
