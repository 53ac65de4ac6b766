package http1

import (
	"bytes"
	gz "compress/gzip"
	"fmt"
	"strings"
	"testing"

	"github.com/dejpha/dejpha/app/apptest"
)

func zipped(s string) string {
	var b bytes.Buffer
	w := gz.NewWriter(&b)
	w.Write([]byte(s))
	w.Close()
	return b.String()
}

func hostile() [][]apptest.Segment {
	z := zipped("<html>" + strings.Repeat("well packed ", 50) + "</html>")
	form := "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.php\"\r\nContent-Type: text/plain\r\n\r\n<?php ?>\r\n--b--\r\n"
	return [][]apptest.Segment{
		{apptest.C("GET /a%2e/../b?q=%41+x HTTP/1.1\r\nHost: a.test:80\r\nCookie: c=1\r\nUser-Agent: u\r\n\r\n"),
			apptest.S("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n" + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(z)) + z)},
		{apptest.C("POST /up HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\n" + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(form)) + form +
			"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"),
			apptest.S("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\nHTTP/1.1 204 No\r\n\r\n")},
		{apptest.C("GET /old\r\n"), apptest.S("<html>no head at all</html>")},
		{apptest.C("PUT /f HTTP/1.0\r\n folded: x\r\n\ty\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
			apptest.S("HTTP/1.0 401 Denied\nWWW-Authenticate: Basic realm=x\n\nuntil the end")},
		{apptest.C("POST /z HTTP/1.1\r\nHost: a\r\nContent-Encoding: deflate\r\nContent-Length: 6\r\nAuthorization: Basic Ym9iOng=\r\n\r\nabcdef"),
			apptest.S("HTTP/1.1 206 Part\r\nContent-Range: bytes 0-2/10\r\nContent-Encoding: gzip, deflate\r\nContent-Length: 3\r\n\r\nabc")},
	}
}

func TestHostileKeepsTheContract(t *testing.T) { apptest.Run(t, Protocol(), hostile()) }

func TestWhatIsSaidOfHostile(t *testing.T) {
	for i, wants := range [][]string{
		{`http.uri[0] "/b?q=A`, `"status":200`, `well packed well packed`},
		{`"http_method":"POST"`, `file "a.php"`, `<?php ?>`, `"url":"/next"`, `hello`},
	} {
		said := strings.Join(apptest.Play(t, Protocol(), hostile()[i]), "")
		for _, want := range wants {
			if !strings.Contains(said, want) {
				t.Errorf("conversation %d: nothing says %s in\n%s", i, want, said)
			}
		}
	}
}

// An answer whose request fell to the limit of transactions is still read to its end.
func TestAnswerOutlivesItsRequest(t *testing.T) {
	p := Protocol()
	p.Limits.MaxTx = 4
	ask := strings.Repeat("GET /a HTTP/1.1\r\nHost: a\r\n\r\n", 9)
	apptest.Play(t, p, []apptest.Segment{apptest.C("GET /first HTTP/1.1\r\nHost: a\r\n\r\n"), apptest.S("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234"),
		apptest.C(ask), apptest.S("56789"), apptest.S("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01"), apptest.C(ask), {Dir: 1, Data: []byte("34\r\n0\r\n\r\n"), Gap: 1}})
}

func FuzzHTTP(f *testing.F) {
	connect := []apptest.Segment{apptest.C("CONNECT a:443 HTTP/1.1\r\n\r\n"), apptest.S("HTTP/1.1 200 OK\r\n\r\n"), apptest.C("\x16\x03\x01")}
	upgrade := []apptest.Segment{apptest.C("GET /w HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"), apptest.S("HTTP/1.1 101 Go\r\nUpgrade: websocket\r\n\r\n\x81\x01a")}
	apptest.Fuzz(f, apptest.Spoken{Protocol: Protocol(), Seeds: append(hostile(), connect, upgrade)})
}
