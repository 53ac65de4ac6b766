package dhcp

import (
	"strings"
	"testing"

	"github.com/dejpha/dejpha/app/apptest"
	"github.com/dejpha/dejpha/app/contract"
)

// message is a DHCP message with these options.
func message(op byte, options string) string {
	b := make([]byte, atOptions)
	b[0], b[1], b[2] = op, 1, 6
	copy(b[atXID:], "\x01\x02\x03\x04")
	copy(b[atHardware:], "\x00\x0b\x82\x01\xfc\x42")
	if op == opReply {
		copy(b[atYours:], "\xc0\xa8\x00\x0a")
	}
	copy(b[atCookie:], cookie[:])
	return string(b) + options
}

var (
	discover = message(opRequest, "\x35\x01\x01\x0c\x04host\x37\x04\x01\x03\x06\x2a\x3d\x07\x01\x00\x0b\x82\x01\xfc\x42\xff\x00\x00")
	offer    = message(opReply, "\x35\x01\x02\x01\x04\xff\xff\xff\x00\x03\x04\xc0\xa8\x00\x01\x06\x08\xc0\xa8\x00\x01\x08\x08\x08\x08\x33\x04\x00\x00\x0e\x10\x3a\x04\x00\x00\x07\x08\x36\x04\xc0\xa8\x00\x01\xff")
)

func conversations() [][]apptest.Segment {
	return [][]apptest.Segment{
		{apptest.C(discover), apptest.S(offer)},
		{apptest.C(message(opRequest, "\x35\x01\x01\x0c\xff")), apptest.C(message(opRequest, "\xff")), apptest.C(message(opRequest, "\x35\x01\x03\x33\x01\x00\xff"))},
	}
}

func TestContract(t *testing.T) { apptest.Run(t, Protocol(), conversations()) }

func TestWhatIsSaid(t *testing.T) {
	for i, wants := range [][]string{
		{`"dhcp":{"type":"request","id":16909060,"client_mac":"00:0b:82:01:fc:42","assigned_ip":"0.0.0.0"`, `"dhcp_type":"discover"`, `"hostname":"host"`,
			`"params":["subnet_mask","router","dns_server","ntp_server"]`, `"client_id":"01:00:0b:82:01:fc:42"`, "Name:000b8201fc42 Text:",
			`"dhcp":{"type":"reply"`, `"assigned_ip":"192.168.0.10"`, `"lease_time":3600,"renewal_time":1800`, `"routers":["192.168.0.1"],"dns_servers":["192.168.0.1","8.8.8.8"]`,
			"dhcp.leasetime[0] 3600", "Code:2 Size:16909060 Name:192.168.0.1 Text:192.168.0.1|192.168.0.1,8.8.8.8"},
		{"event truncated_options", "event missing_type", "event malformed_options"},
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
		{discover, contract.ToServer, contract.Yes},
		{offer, contract.ToClient, contract.Yes},
		{offer, contract.ToServer, contract.YesReversed},
		{discover[:atOptions-1], contract.ToServer, contract.No},
		{message(3, "\xff"), contract.ToServer, contract.No},
		{strings.Replace(discover, string(cookie[:]), "abcd", 1), contract.ToServer, contract.No},
	} {
		if got := Protocol().Probe([]byte(c.data), c.dir, serverPort); got != c.want {
			t.Errorf("%.8q: %d, want %d", c.data, got, c.want)
		}
	}
}

func TestManyOptionsAreBounded(t *testing.T) {
	said := strings.Join(apptest.Play(t, Protocol(), []apptest.Segment{apptest.C(message(opRequest, "\x35\x01\x01"+strings.Repeat("\x03\x04\x0a\x00\x00\x01", 9000)))}), "")
	if !strings.Contains(said, "event malformed_options") || strings.Count(said, "10.0.0.1") > 2*addressesMax {
		t.Errorf("thousands of options were read: %.300s", said)
	}
}

func FuzzDHCP(f *testing.F) {
	f.Add([]byte(discover), uint8(0))
	f.Add([]byte(offer), uint8(1))
	f.Fuzz(func(t *testing.T, b []byte, n uint8) {
		apptest.Play(t, Protocol(), []apptest.Segment{{Dir: contract.Direction(n & 1), Data: b}})
	})
}
