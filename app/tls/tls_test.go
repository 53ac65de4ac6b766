package tls

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/dejpha/dejpha/app/apptest"
)

func sized(width int, s string) string {
	n := len(s)
	b := make([]byte, width)
	for i := width - 1; i >= 0; i-- {
		b[i], n = byte(n), n>>8
	}
	return string(b) + s
}

func rec(kind byte, s string) string { return string(kind) + "\x03\x03" + sized(2, s) }

func ext(kind byte, s string) string { return "\x00" + string(kind) + sized(2, s) }

func clientHelloMessage() string {
	exts := "\x0a\x0a\x00\x00" + ext(0, sized(2, "\x00"+sized(2, "www.example.com"))) + ext(10, sized(2, "\x00\x1d\x00\x17")) + ext(11, "\x01\x00") +
		ext(16, sized(2, sized(1, "h2")+sized(1, "http/1.1"))) + ext(13, sized(2, "\x04\x03\x08\x04")) + ext(43, "\x04\x03\x04\x03\x03")
	return "\x01" + sized(3, "\x03\x03"+strings.Repeat("r", 32)+"\x00"+sized(2, "\x1a\x1a\x13\x01\xc0\x2f")+"\x01\x00"+sized(2, exts))
}

func certificate(t testing.TB) string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(0x0a0b0c), Subject: pkix.Name{Country: []string{"DE"}, Organization: []string{"Lab, Inc."}, CommonName: "www.example.com"},
		NotBefore: time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC), NotAfter: time.Date(2060, 1, 2, 3, 4, 5, 0, time.UTC), DNSNames: []string{"a.example.com"}}
	b, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func conversations(t testing.TB) [][]apptest.Segment {
	hello := clientHelloMessage()
	server := "\x02" + sized(3, "\x03\x03"+strings.Repeat("s", 32)+"\x00\xc0\x2f\x00"+sized(2, ext(16, sized(2, sized(1, "h2")))))
	cert := "\x0b" + sized(3, sized(3, sized(3, certificate(t))))
	return [][]apptest.Segment{
		{apptest.C(rec(22, hello[:60]) + rec(22, hello[60:])), apptest.S(rec(22, server+cert+"\x0e\x00\x00\x00")),
			apptest.C(rec(22, "\x10\x00\x00\x01k") + rec(20, "\x01") + rec(22, "garbage")), apptest.S(rec(20, "\x01") + rec(22, "garbage") + rec(23, "data"))},
		{apptest.C(rec(22, hello)), apptest.S(rec(22, server)), apptest.C(rec(24, "\x01\x40\x00")), apptest.S(rec(24, "\x02\x40\x00"+strings.Repeat("secret", 100)))},
	}
}

// RFC 6520 section 4 asks for 16 bytes of padding; a request with less is answered by nobody but who is weak.
func TestHeartbeatNeedsItsPadding(t *testing.T) {
	for padding, want := range map[int]bool{0: true, 15: true, 16: false, 40: false} {
		said := strings.Join(apptest.Play(t, Protocol(), []apptest.Segment{apptest.C(rec(22, clientHelloMessage())), apptest.C(rec(24, "\x01\x00\x04abcd"+strings.Repeat("p", padding)))}), "")
		if got := strings.Contains(said, "event invalid_heartbeat_message"); got != want || strings.Contains(said, "event overflow") {
			t.Errorf("%d bytes of padding: invalid %v, want %v in\n%s", padding, got, want, said)
		}
	}
}

func TestContract(t *testing.T) { apptest.Run(t, Protocol(), conversations(t)) }

func TestWhatIsSaid(t *testing.T) {
	for i, wants := range [][]string{
		{`"subject":"C=DE, O=Lab, Inc., CN=www.example.com"`, `"serial":"0A:0B:0C"`, `"sni":"www.example.com"`, `"version":"TLS 1.2"`,
			`"notbefore":"2020-01-02T03:04:05","notafter":"2060-01-02T03:04:05"`, `"string":"771,4865-49199,0-10-11-16-13-43,29-23,0"`,
			`"ja4":"t13d0206h2_`, `"server_alpns":["h2"]`, `tls.alpn[1] "http/1.1"`, "tls.cert_chain_len[0] 1", "Name:www.example.com Text:www.example.com"},
		{"event overflow_heartbeat_message", "event dataleak_heartbeat_mismatch", "Size:16384", "Code:1"},
	} {
		said := strings.Join(apptest.Play(t, Protocol(), conversations(t)[i]), "")
		for _, want := range wants {
			if !strings.Contains(said, want) {
				t.Errorf("conversation %d: nothing says %s in\n%s", i, want, said)
			}
		}
	}
}

func TestCompile(t *testing.T) {
	for _, c := range []struct {
		kw   int
		text string
		ok   bool
	}{
		{kwVersion, `"1.2"`, true}, {kwVersion, "9.9", false}, {kwSSLVersion, "tls1.0,!sslv3", true}, {kwSSLState, "client_hello|server_hello", true},
		{kwSSLState, "nonsense", false}, {kwNotAfter, ">2016-05-01 10:00", true}, {kwNotAfter, "2015<>2016", true}, {kwNotBefore, "x", false},
		{kwOldSubject, `"CN=x"`, true}, {kwOldSubject, "", false},
	} {
		if _, err := compile(c.kw, c.text); (err == nil) != c.ok {
			t.Errorf("%d %q: %v", c.kw, c.text, err)
		}
	}
}

func FuzzTLS(f *testing.F) {
	apptest.Fuzz(f, apptest.Spoken{Protocol: Protocol(), Seeds: conversations(f)})
}
