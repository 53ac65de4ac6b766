package dcerpc

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/dejpha/dejpha/app/apptest"
	"github.com/dejpha/dejpha/app/contract"
)

// pdu builds a connection-oriented PDU.
func pdu(kind, flags byte, call uint32, body []byte, big bool) []byte {
	var order binary.ByteOrder = binary.LittleEndian
	drep := byte(0x10)
	if big {
		order, drep = binary.BigEndian, 0
	}
	b := make([]byte, 16)
	b[0], b[2], b[3], b[4] = 5, kind, flags, drep
	order.PutUint16(b[8:], uint16(16+len(body)))
	order.PutUint32(b[12:], call)
	return append(b, body...)
}

var netlogonWire = []byte{0x78, 0x56, 0x34, 0x12, 0x34, 0x12, 0xcd, 0xab, 0xef, 0x00, 0x01, 0x23, 0x45, 0x67, 0xcf, 0xfb}

func bind(call uint32) []byte {
	b := make([]byte, 12)
	b[8] = 1
	b = append(b, 0, 0, 1, 0)
	b = append(b, netlogonWire...)
	b = append(b, 1, 0, 0, 0)
	return pdu(TypeBind, 3, call, append(b, make([]byte, 20)...), false)
}

func bindAck(call uint32) []byte {
	b := make([]byte, 12)
	b = append(b, 1, 0, 0, 0)
	return pdu(TypeBindAck, 3, call, append(b, make([]byte, 24)...), false)
}

func request(call uint32, opnum uint16, stub []byte) []byte {
	b := make([]byte, 8)
	binary.LittleEndian.PutUint16(b[6:], opnum)
	return pdu(TypeRequest, 3, call, append(b, stub...), false)
}

// ndrText is a conformant varying string.
func ndrText(s string) []byte {
	n := uint32(len(s) + 1)
	b := binary.LittleEndian.AppendUint32(nil, n)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint32(b, n)
	for _, c := range s + "\x00" {
		b = append(b, byte(c), 0)
	}
	return b
}

func challenge(value byte) []byte {
	b := append([]byte{0, 0, 2, 0}, ndrText(`\\DC`)...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	b = append(b, ndrText("WORK")...)
	return append(b, value, 0, 0, 0, 0, 0, 0, 0)
}

func conversations() [][]apptest.Segment {
	c := func(b ...[]byte) apptest.Segment {
		return apptest.Segment{Data: []byte(strings.Join(toStrings(b), ""))}
	}
	s := func(b []byte) apptest.Segment { return apptest.Segment{Dir: contract.ToClient, Data: b} }
	half := make([]byte, 8)
	half[6] = 9
	return [][]apptest.Segment{
		{c(bind(1)), s(bindAck(1)), c(request(2, 4, challenge(0))), s(pdu(TypeResponse, 3, 2, make([]byte, 20), false))},
		{c(bind(1)), s(bindAck(1)), c(request(2, 4, challenge(7))), s(pdu(TypeFault, 3, 2, make([]byte, 16), false))},
		{c(bind(1)), s(bindAck(1)), c(pdu(TypeRequest, 1, 5, append(half, "one "...), false), pdu(TypeRequest, 2, 5, append(make([]byte, 8), "two"...), false)),
			s(pdu(TypeResponse, 3, 5, []byte("01234567result"), false))},
		{s(pdu(TypeAlterAck, 3, 1, bindAck(1)[16:], false))},
	}
}

func toStrings(b [][]byte) (out []string) {
	for _, x := range b {
		out = append(out, string(x))
	}
	return out
}

func TestContract(t *testing.T) { apptest.Run(t, Protocol(), conversations()) }

func TestWhatIsSaid(t *testing.T) {
	for i, wants := range [][]string{
		{"event netlogon_zero_credential", `"interfaces":[{"uuid":"12345678-1234-abcd-ef00-01234567cffb","version":"1.0","ack_result":0}]`, "Code:4", "Text:tcp"},
		{`"response":"FAULT"`},
		{`dcerpc.stub_data[0] "one two"`, `dcerpc.stub_data[0] "result"`, `"frag_cnt":2`, `"opnum":9`},
		{`"request":"REQUEST_LOST","response":"ALTER_CONTEXT_RESP","call_id":1,"rpc_version":"5.0"`},
	} {
		said := strings.Join(apptest.Play(t, Protocol(), conversations()[i]), "")
		for _, want := range wants {
			if !strings.Contains(said, want) {
				t.Errorf("conversation %d: nothing says %s in\n%s", i, want, said)
			}
		}
		if i == 1 && strings.Contains(said, "zero_credential") {
			t.Errorf("a challenge that is not zero was taken for one")
		}
	}
}

func TestMatch(t *testing.T) {
	s := &Session{}
	var call Call
	h, _ := ParseHeader(bind(1))
	s.FromClient(h, bind(1), &call, 100)
	h, _ = ParseHeader(bindAck(1))
	s.FromServer(h, bindAck(1), &call, 100)
	call.Reset()
	r := request(2, 26, nil)
	h, _ = ParseHeader(r)
	s.FromClient(h, r, &call, 100)
	for _, c := range []struct {
		iface    bool
		text     string
		ok, want bool
	}{
		{true, netlogon, true, true},
		{true, netlogon + ",any_frag", true, true},
		{true, netlogon + ",=1", true, true},
		{true, netlogon + ",>1", true, false},
		{true, netlogon + ",!2,any_frag", true, true},
		{true, "367abb81-9844-35f1-ad32-98f038001003", true, false},
		{true, "not a uuid", false, false},
		{true, netlogon + ",any_frag,1", false, false},
		{false, "26", true, true},
		{false, "1,20-26,30", true, true},
		{false, "1,30", true, false},
		{false, ">25", true, true},
		{false, "<26", true, false},
		{false, "!26", true, false},
		{false, "26-20", false, false},
		{false, "x", false, false},
		{false, "70000", false, false},
	} {
		arg, err := Compile(c.iface, c.text)
		if (err == nil) != c.ok {
			t.Errorf("%q: error %v", c.text, err)
			continue
		}
		if err == nil && s.Match(&call, arg) != c.want {
			t.Errorf("%q: match %v", c.text, !c.want)
		}
	}
}

func TestDatagram(t *testing.T) {
	b := make([]byte, 80)
	b[0], b[4] = 4, 0x10
	copy(b[24:], netlogonWire)
	b[68] = 4
	b = append(b, "stub"...)
	b[74] = 4
	p := Protocol()
	if v := p.ProbeDatagram(b, contract.ToServer, 0); v != contract.Yes {
		t.Fatalf("probe says %d", v)
	}
	p.Transport = contract.UDP
	said := strings.Join(apptest.Play(t, p, []apptest.Segment{{Data: b}}), "")
	for _, want := range []string{`"opnum":4,"frag_cnt":1,"stub_data_size":4`, `"rpc_version":"4.0"`, "Name:" + netlogon, `dcerpc.stub_data[0] "stub"`} {
		if !strings.Contains(said, want) {
			t.Errorf("nothing says %s in\n%s", want, said)
		}
	}
}

func FuzzDCERPC(f *testing.F) {
	apptest.Fuzz(f, apptest.Spoken{Protocol: Protocol(), Seeds: conversations()})
}
