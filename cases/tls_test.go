package cases

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// clientHello is a TLS 1.2 hello that names a server.
func clientHello(name string) []byte {
	b := append([]byte{3, 3}, make([]byte, 32)...)
	b = append(b, 0, 0, 4, 0xc0, 0x2b, 0xc0, 0x2f, 1, 0)
	sni := binary.BigEndian.AppendUint16(nil, uint16(len(name)+3))
	sni = append(binary.BigEndian.AppendUint16(append(sni, 0), uint16(len(name))), name...)
	ext := binary.BigEndian.AppendUint16([]byte{0, 0}, uint16(len(sni)))
	ext = append(ext, sni...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(ext)))
	return record(22, handshake(1, append(b, ext...)))
}

// serverCertificate is a TLS 1.2 server's hello, a certificate made of "serial=HEX, C=.., O=.., OU=.., CN=.." with the
// names in that order, and the end of its turn.
func serverCertificate(text string) ([]byte, error) {
	der, err := certificate(text)
	if err != nil {
		return nil, err
	}
	hello := append([]byte{3, 3}, make([]byte, 32)...)
	hello = append(hello, 0, 0xc0, 0x2b, 0)
	n := len(der)
	list := append([]byte{0, byte((n + 3) >> 8), byte(n + 3), 0, byte(n >> 8), byte(n)}, der...)
	out := record(22, handshake(2, hello))
	out = append(out, record(22, handshake(11, list))...)
	return append(out, record(22, handshake(14, nil))...), nil
}

func certificate(text string) ([]byte, error) {
	names := map[string]asn1.ObjectIdentifier{"C": {2, 5, 4, 6}, "O": {2, 5, 4, 10}, "OU": {2, 5, 4, 11}, "CN": {2, 5, 4, 3}}
	serial := big.NewInt(0x5eed)
	var subject pkix.Name
	var rdns pkix.RDNSequence
	for _, part := range strings.Split(text, ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		if key == "serial" {
			serial.SetString(value, 16)
			continue
		}
		oid, known := names[key]
		if !known {
			return nil, fmt.Errorf("certificate: %q is none of serial, C, O, OU, CN", part)
		}
		rdns = append(rdns, pkix.RelativeDistinguishedNameSET{{Type: oid, Value: value}})
	}
	raw, err := asn1.Marshal(rdns)
	if err != nil {
		return nil, err
	}
	subject.FillFromRDNSequence(&rdns)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	began := time.Date(2023, 1, 1, 0, 0, 0, 0, time.UTC)
	c := &x509.Certificate{SerialNumber: serial, RawSubject: raw, Subject: subject, NotBefore: began, NotAfter: began.AddDate(1, 0, 0)}
	return x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
}

func handshake(kind byte, body []byte) []byte {
	n := len(body)
	return append([]byte{kind, byte(n >> 16), byte(n >> 8), byte(n)}, body...)
}

func record(kind byte, body []byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{kind, 3, 3}, uint16(len(body))), body...)
}
