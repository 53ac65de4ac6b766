package sip

import (
	"strings"
	"testing"

	"github.com/dejpha/dejpha/app/apptest"
	"github.com/dejpha/dejpha/app/contract"
)

const (
	invite  = "INVITE sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/TCP 10.0.0.1\r\nf: <sip:alice@example.org>\r\nTo: <sip:bob@example.org>\r\nSubject: two\r\n lines\r\nContent-Type: application/sdp\r\nl: 5\r\n\r\nv=0\r\n"
	ringing = "SIP/2.0 180 Ringing\r\nVia: SIP/2.0/TCP 10.0.0.1\r\nFrom: <sip:alice@example.org>\r\nContent-Length: 0\r\n\r\n"
	okay    = "SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"
)

func TestContract(t *testing.T) {
	apptest.Run(t, Protocol(), [][]apptest.Segment{
		{apptest.C(invite), apptest.S(ringing + okay)},
		{apptest.C("\r\n\r\n" + invite + invite)},
		{apptest.C("OPTIONS sip:x SIP/2.0\r\nContent-Length: 99999999999999\r\n\r\n"), apptest.S("SIP/2.0 abc\r\n\r\n")},
	})
}

// feed plays one direction at once and returns the transactions.
func feed(data string, udp bool) []contract.Tx {
	p := Protocol()
	q := p.New(p.Limits)
	q.Feed(contract.Input{Data: []byte(data), UDP: udp, Dir: contract.ToServer, End: !udp})
	return q.Txs()
}

func TestParts(t *testing.T) {
	txs := feed(invite, true)
	if len(txs) != 1 {
		t.Fatalf("%d transactions", len(txs))
	}
	for kw, want := range map[int]string{
		kwMethod: "INVITE", kwURI: "sip:bob@example.org", kwProtocol: "SIP/2.0", kwFrom: "<sip:alice@example.org>", kwContentLength: "5",
		kwRequestLine: "INVITE sip:bob@example.org SIP/2.0", kwRequestLineFrame: "INVITE sip:bob@example.org SIP/2.0\r\n", kwRequestBody: "v=0\r\n", kwPDU: invite,
	} {
		if got, ok := txs[0].Buffer(kw, 0); !ok || string(got) != want {
			t.Errorf("keyword %d: %q, %v", kw, got, ok)
		}
	}
	headers, _ := txs[0].Buffer(kwRequestHeaders, 0)
	if !strings.HasPrefix(string(headers), "Via:") || !strings.HasSuffix(string(headers), "l: 5\r\n") {
		t.Errorf("headers %q", headers)
	}
	if b, ok := txs[0].Buffer(kwCode, 0); ok {
		t.Errorf("a request has the code %q", b)
	}
	if got := string(txs[0].AppendRecord(nil)); got != `"sip":{"version":"SIP/2.0","method":"INVITE","uri":"sip:bob@example.org","request_line":"INVITE sip:bob@example.org SIP/2.0"}` {
		t.Errorf("record %s", got)
	}
}

func TestLongBodyIsPassedOver(t *testing.T) {
	long := strings.Repeat("x", bodyMax+1)
	txs := feed("MESSAGE sip:b SIP/2.0\r\nContent-Length: 65537\r\n\r\n"+long+invite, false)
	if len(txs) != 2 {
		t.Fatalf("%d transactions, want 2", len(txs))
	}
	if _, ok := txs[0].Buffer(kwRequestBody, 0); ok {
		t.Error("a body beyond the bound was kept")
	}
}

func TestProbe(t *testing.T) {
	for text, want := range map[string]contract.Verdict{
		"INVITE sip:b SIP/2.0\r\n": contract.Yes, "SIP/2.0 200 OK\r\n": contract.YesReversed, "INV": contract.Maybe, "OPTIONS / HTTP/1.1\r\n": contract.No,
		"NOTIFY * HTTP/1.1\r\n": contract.No, "OPTIONS sip:x": contract.Maybe, "SIP/1": contract.No, "GET / HTTP/1.0\r\n": contract.No,
	} {
		if got := probe([]byte(text), contract.ToServer, 5060); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

func FuzzSIP(f *testing.F) {
	apptest.Fuzz(f, apptest.Spoken{Protocol: Protocol(), Seeds: [][]apptest.Segment{{apptest.C(invite), apptest.S(ringing + okay)}}})
}
