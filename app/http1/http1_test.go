package http1

import (
	"fmt"
	"strings"
	"testing"

	"github.com/dejpha/dejpha/app/apptest"
	"github.com/dejpha/dejpha/app/contract"
)

const (
	request  = "GET /a/b.txt?q=%41 HTTP/1.1\r\nHost: Example.org:80\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n"
	chunks   = "4\r\nabcd\r\n3\r\nefg\r\n0\r\n\r\n"
	wholeMsg = "abcdefg"
)

// answers are heads that browsers read as of a chunked body: what a rule on the body must see is the body.
func answers() []string {
	return []string{
		"HTTP/1.1 200 ok\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks,
		"HTTP/1.1 200 ok\r\nTransfer-Encoding: chunked\r\n\r\n\r4\r\nabcd\r\n\r3\r\nefg\r\n0\r\n\r\n",
		"http/1.1 200 ok\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks,
		"HTTP/1.1 200 ok\rTransfer-Encoding: chunked\rX: y\r\n\r\n" + chunks,
		"HTTP/1.1\rTransfer-Encoding:chunked\r\nX: y\r\n\r\n" + chunks,
		"HTTP/1.1 200 ok\r\nX: y\r\n\r\r\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks,
		"HTTP/1.1 200 ok\r\nX: y\r\n\tTransfer-Encoding: chunked\r\n\r\n" + chunks,
		"HTTP/1.1 200 ok\r\nTransfer\x00-encoding:chun\x00ked\r\n\r\n" + chunks,
		"HTTP/1.1 200 ok\r\nTransfer-Encoding\r\n \r\n :\r\n chunked\r\n\r\n" + chunks,
		"HTTP/1.1 200 ok\r\nTransfer-Encoding:\n\x00chunked\r\n\r\n" + chunks,
		"HTTP/1.1 200 ok\r\nTransfer-Encoding: chunked\n\t\n" + chunks,
		"\x00HTTP/1.1 200 ok\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks,
		"\n\rHTTP/1.1 200 ok\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks,
		" foobar\r\nHTTP/1.1 200 ok\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks,
		"HTTP/1.1 204 ok\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks,
		"HTTP/1.1 304 ok\r\nContent-Length: 7\r\n\r\n" + wholeMsg,
		"HTTP/1.1 200 ok\r\nConnection: close\r\nContent-Length: 3( 7)\r\n\r\n" + wholeMsg,
		"HTTP/1.1 200 ok\r\nContent-Length: 7\n\r\r\n" + wholeMsg,
		"HTTP/1.1 200 ok\r\nContent-Length: 7\n\r\r\n\r\n" + wholeMsg,
	}
}

func TestContract(t *testing.T) {
	corpus := [][]apptest.Segment{
		{apptest.C(request + request), apptest.S("HTTP/1.1 304 no\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 ok\r\nContent-Length: 2\r\n\r\nhi")},
		{apptest.C("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"), apptest.S("HTTP/1.1 100 go\r\n\r\nHTTP/1.1 200 ok\r\n\r\nrest")},
	}
	for _, a := range answers() {
		corpus = append(corpus, []apptest.Segment{apptest.C(request), apptest.S(a)})
	}
	apptest.Run(t, Protocol(), corpus)
}

func TestForgivenAnswers(t *testing.T) {
	for _, a := range answers() {
		said := strings.Join(apptest.Play(t, Protocol(), []apptest.Segment{apptest.C(request), apptest.S(a)}), "\n")
		if !strings.Contains(said, `window "`+wholeMsg+`"`) || !strings.Contains(said, `file "/a/b.txt"`) {
			t.Errorf("%q:\n%s", a, said)
		}
	}
}

func TestOddRequests(t *testing.T) {
	for text, want := range map[string]string{
		"POST / HTTP/1.1\r\nHost: x\r\n\r\nlogin=foo":                          "request_body_unexpected",
		"GET /%2541 HTTP/1.1\r\nHost: x\r\n\r\n":                               "double_encoded_uri",
		"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Turbo x\r\n\r\n":          "request_auth_unrecognized",
		"POST / HTTP/1.1\r\nHost: x\r\n\r\nPOST / HTTP/1.1\r\nHost: x\r\n\r\n": "",
		"GET /%41 HTTP/1.1\r\nHost: x\r\nAuthorization: Basic eDp5\r\n\r\n":    "",
	} {
		p := Protocol()
		p.Limits.Settings = map[string]string{"libhtp.default-config.double-decode-path": "yes"}
		said := strings.Join(apptest.Play(t, p, []apptest.Segment{apptest.C(text), apptest.S("HTTP/1.1 200 ok\r\nContent-Length: 0\r\n\r\n")}), "\n")
		if want == "" && strings.Contains(said, "event ") || !strings.Contains(said, want) {
			t.Errorf("%q: wanted %q\n%s", text, want, said)
		}
	}
}

func TestFrames(t *testing.T) {
	p := Protocol()
	p.Limits.Frames = true
	answer := "HTTP/1.1 200 ok\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
	post := "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"
	said := strings.Join(apptest.Play(t, p, []apptest.Segment{apptest.C(post), apptest.S("HTTP/1.1 100 go\r\n\r\n" + answer)}), "\n")
	for _, want := range []string{fmt.Sprintf("frame:http.request body dir 0 total %d %q", len(post), post), fmt.Sprintf("frame:http.response body dir 1 total %d %q", len(answer), answer)} {
		if !strings.Contains(said, want) {
			t.Errorf("nothing says %s in\n%s", want, said)
		}
	}
}

func TestProxyHeader(t *testing.T) {
	p := Protocol()
	q := p.New(p.Limits)
	q.Feed(contract.Input{Data: []byte(request)})
	h, ok := q.Txs()[0].(interface {
		RequestHeader(string) ([]byte, bool)
	}).RequestHeader("X-FORWARDED-For")
	if !ok || string(h) != "10.0.0.1" {
		t.Errorf("got %q, %v", h, ok)
	}
}

func TestRequestTellsWhetherABodyFollows(t *testing.T) {
	for text, want := range map[string]uint32{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n":                                 0,
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n":           0,
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n":           1,
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3": 1,
	} {
		p := Protocol()
		q := p.New(p.Limits)
		q.Feed(contract.Input{Data: []byte(text)})
		facts := q.Txs()[0].State().Facts
		if len(facts) == 0 || facts[0].Kind != contract.HTTPRequest || facts[0].Size != want {
			t.Errorf("%q: %+v, want a request of size %d", text, facts, want)
		}
	}
}
