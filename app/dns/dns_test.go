package dns

import (
	"strings"
	"testing"

	"github.com/dejpha/dejpha/app/apptest"
	"github.com/dejpha/dejpha/app/contract"
)

const (
	ask    = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07Example\x03com\x00\x00\x01\x00\x01"
	tell   = "\x12\x34\x81\x80\x00\x01\x00\x02\x00\x00\x00\x00\x03www\x07Example\x03com\x00\x00\x01\x00\x01\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x04\x01a\xc0\x10\xc0\x2d\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x00\x00\x01"
	looped = "\x12\x34\x01\x40\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01"
)

func framed(m string) string { return string([]byte{byte(len(m) >> 8), byte(len(m))}) + m }

func conversations() [][]apptest.Segment {
	return [][]apptest.Segment{
		{apptest.C(framed(ask)), apptest.S(framed(tell))},
		{apptest.C(framed(looped)), apptest.S(framed(ask))},
	}
}

func TestContract(t *testing.T) { apptest.Run(t, Protocol(), conversations()) }

func TestWhatIsSaid(t *testing.T) {
	for i, wants := range [][]string{
		{`"type":"request"`, `"flags":"100","rd":true`, `"rrname":"www.Example.com","rrtype":"A"}`, `"rrtype":"CNAME","ttl":60,"rdata":"a.Example.com"`,
			`"grouped":{"CNAME":["a.Example.com"],"A":["10.0.0.1"]}`, `dns.response.rrname[2] "a.Example.com"`, "Name:www.example.com Text:10.0.0.1"},
		{"event infinite_loop", "event z_flag_set", "event not_a_response"},
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
		{ask, contract.ToServer, contract.No},
		{framed(ask), contract.ToServer, contract.Yes},
		{framed(ask)[:2], contract.ToServer, contract.Maybe},
		{framed(ask)[:20], contract.ToServer, contract.Maybe},
		{framed(tell), contract.ToServer, contract.YesReversed},
		{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", contract.ToServer, contract.No},
		{"\x16\x03\x01\x00\xc0\x01\x00\x00\xbc\x03\x03aaaaaaaaaaaaaa", contract.ToServer, contract.No},
	} {
		if got := Protocol().Probe([]byte(c.data), c.dir, 9999); got != c.want {
			t.Errorf("%q: %d, want %d", c.data, got, c.want)
		}
	}
	if got := Protocol().ProbeDatagram([]byte(ask), contract.ToServer, 9999); got != contract.Yes {
		t.Errorf("a datagram is judged %d", got)
	}
}

func FuzzDNS(f *testing.F) {
	apptest.Fuzz(f, apptest.Spoken{Protocol: Protocol(), Seeds: append(conversations(), []apptest.Segment{apptest.C(ask), apptest.S(tell)})})
}
