// Package tls reads the open part of SSL and TLS conversations (RFC 5246, 6520, 8446) up to encryption.
//
// Records come in by contract.Parser; hellos, certificates and their fingerprints come out, one transaction a
// conversation as in Suricata. Called by app's driver. It decrypts nothing and trusts or rejects no certificate.
package tls

import (
	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/app/pool"
)

// Keyword indices; those listed for each direction take two, the client's first.
const (
	kwSNI     = iota
	kwSubject // 2
	_
	kwIssuer
	_
	kwSerial
	_
	kwFingerprint
	_
	kwCerts
	_
	kwAltNames
	_
	kwALPN
	_
	kwRandom
	_
	kwRandomTime
	_
	kwRandomBytes
	_
	kwChainLen
	kwJA3
	kwJA3String
	kwJA3S
	kwJA3SString
	kwJA4
	kwVersion
	kwSSLVersion
	kwSSLState
	kwOldSubject
	kwOldIssuer
	kwOldFingerprint
	kwNotBefore
	kwNotAfter
	kwExpired
	kwValid
	kwStore
)

// Event indices.
const (
	evSSLv2Header = iota
	evTLSHeader
	evRecordVersion
	evRecordType
	evHandshake
	evHeartbeat
	evHeartbeatInvalid
	evHeartbeatOverflow
	evHeartbeatLeak
	evHandshakeLength
	evMultipleSNI
	evSNIType
	evSNILength
	evTooManyRecords
	evAlert
	evCertificate
	evCertLength
	evCertDER
	evCertVersion
	evCertSerial
	evCertAlgorithm
	evCertName
	evCertDate
	evCertExtensions
	evCertIssuer
	evCertSubject
	evCertValidity
	evRecord
	evPunycode
)

const (
	recordMax    = 16384 + 2048 // RFC 5246 6.2.3
	handshakeMax = 128 << 10    // of one message; chains with many names come near 32 KiB
	recordsMax   = 256          // in one segment: empty records cost us and not the sender
	certsMax     = 16
	namesMax     = 64
	punycodeMax  = 512 // CVE-2022-3602 overflows at 512 code points of one label
)

// Steps of the client and of the server.
const (
	clientHello     = 1
	clientCert      = 2
	clientHandshake = 3
	clientFinished  = 4
	serverHello     = 1
	serverCert      = 2
	serverHelloDone = 3
	serverHandshake = 4
	serverFinished  = 5
)

// Protocol is tls's line of app's table.
func Protocol() contract.Protocol {
	spare := &pool.Spare[tx, *tx]{}
	return contract.Protocol{
		Name: "tls", Aliases: []string{"ssl"}, EventType: "tls", Transport: contract.TCP,
		ServerPorts: []uint16{443, 465, 563, 636, 853, 989, 990, 993, 995, 5061, 8443},
		Probe:       probe, New: func(l contract.Limits) contract.Parser { return newParser(l, spare) }, Keywords: keywords(), Compile: compile,
		Events: []string{"invalid_sslv2_header", "invalid_tls_header", "invalid_record_version", "invalid_record_type", "invalid_handshake_message",
			"heartbeat_message", "invalid_heartbeat_message", "overflow_heartbeat_message", "dataleak_heartbeat_mismatch", "handshake_invalid_length",
			"multiple_sni_extensions", "invalid_sni_type", "invalid_sni_length", "too_many_records_in_packet", "error_message_encountered",
			"invalid_certificate", "certificate_invalid_length", "certificate_invalid_der", "certificate_invalid_version", "certificate_invalid_serial",
			"certificate_invalid_algorithmidentifier", "certificate_invalid_x509name", "certificate_invalid_date", "certificate_invalid_extensions",
			"certificate_invalid_issuer", "certificate_invalid_subject", "certificate_invalid_validity", "invalid_ssl_record", "certificate_overlong_punycode"},
		Steps: [2][]string{{"client_in_progress", "client_hello_done", "client_cert_done", "client_handshake_done", "client_finished"},
			{"server_in_progress", "server_hello", "server_cert_done", "server_hello_done", "server_handshake_done", "server_finished"}},
		Limits: contract.Limits{MaxTx: 8},
	}
}

func keywords() []contract.Keyword {
	list := []contract.Keyword{{Name: "tls.sni", Aliases: []string{"tls_sni"}, Dirs: contract.OnRequest, Step: [2]uint8{clientHello, 0}}}
	for _, k := range []contract.Keyword{
		{Name: "tls.cert_subject", Aliases: []string{"tls_cert_subject"}, Step: [2]uint8{clientCert, serverCert}},
		{Name: "tls.cert_issuer", Aliases: []string{"tls_cert_issuer"}, Step: [2]uint8{clientCert, serverCert}},
		{Name: "tls.cert_serial", Aliases: []string{"tls_cert_serial"}, Step: [2]uint8{clientCert, serverCert}},
		{Name: "tls.cert_fingerprint", Aliases: []string{"tls_cert_fingerprint"}, Step: [2]uint8{clientCert, serverCert}},
		{Name: "tls.certs", Aliases: []string{"tls_certs"}, Kind: contract.KindMulti, Step: [2]uint8{clientCert, serverCert}},
		{Name: "tls.subjectaltname", Kind: contract.KindMulti, Step: [2]uint8{clientCert, serverCert}},
		{Name: "tls.alpn", Kind: contract.KindMulti, Step: [2]uint8{clientHello, serverHello}},
		{Name: "tls.random", Step: [2]uint8{clientHello, serverHello}},
		{Name: "tls.random_time", Step: [2]uint8{clientHello, serverHello}},
		{Name: "tls.random_bytes", Step: [2]uint8{clientHello, serverHello}},
	} {
		client, server := k, k
		client.Dirs, client.Step[1] = contract.OnRequest, 0
		server.Dirs, server.Step[0] = contract.OnReply, 0
		list = append(list, client, server)
	}
	certs, hello := [2]uint8{0, serverCert}, [2]uint8{clientHello, 0}
	return append(list,
		contract.Keyword{Name: "tls.cert_chain_len", Kind: contract.KindNumber, Dirs: contract.OnReply, Step: certs},
		contract.Keyword{Name: "ja3.hash", Aliases: []string{"ja3_hash"}, Dirs: contract.OnRequest, Step: hello},
		contract.Keyword{Name: "ja3.string", Aliases: []string{"ja3_string"}, Dirs: contract.OnRequest, Step: hello},
		contract.Keyword{Name: "ja3s.hash", Dirs: contract.OnReply, Step: [2]uint8{0, serverHello}},
		contract.Keyword{Name: "ja3s.string", Dirs: contract.OnReply, Step: [2]uint8{0, serverHello}},
		contract.Keyword{Name: "ja4.hash", Dirs: contract.OnRequest, Step: hello},
		contract.Keyword{Name: "tls.version", Kind: contract.KindCustom, Dirs: contract.OnBoth},
		contract.Keyword{Name: "ssl_version", Kind: contract.KindCustom, Dirs: contract.OnBoth},
		contract.Keyword{Name: "ssl_state", Kind: contract.KindCustom, Dirs: contract.OnBoth},
		contract.Keyword{Name: "tls.subject", Kind: contract.KindCustom, Dirs: contract.OnReply, Step: certs},
		contract.Keyword{Name: "tls.issuerdn", Kind: contract.KindCustom, Dirs: contract.OnReply, Step: certs},
		contract.Keyword{Name: "tls.fingerprint", Kind: contract.KindCustom, Dirs: contract.OnReply, Step: certs},
		contract.Keyword{Name: "tls_cert_notbefore", Kind: contract.KindCustom, Dirs: contract.OnReply, Step: certs},
		contract.Keyword{Name: "tls_cert_notafter", Kind: contract.KindCustom, Dirs: contract.OnReply, Step: certs},
		contract.Keyword{Name: "tls_cert_expired", Kind: contract.KindFlag, Dirs: contract.OnReply, Step: certs},
		contract.Keyword{Name: "tls_cert_valid", Kind: contract.KindFlag, Dirs: contract.OnReply, Step: certs},
		contract.Keyword{Name: "tls.store", Aliases: []string{"tls_store"}, Kind: contract.KindFlag, Dirs: contract.OnReply, Step: certs},
	)
}

func probe(b []byte, dir contract.Direction, _ uint16) contract.Verdict {
	if len(b) > 0 && b[0]&0x80 != 0 {
		return probeV2(b, dir)
	}
	want := [...]byte{0x16, 3}
	for i, c := range want {
		if i < len(b) && b[i] != c {
			return contract.No
		}
	}
	if len(b) >= 3 && b[2] > 4 {
		return contract.No
	}
	if len(b) < 6 {
		return contract.Maybe
	}
	if n := u16(b[3:]); n == 0 || n > recordMax {
		return contract.No
	}
	switch b[5] {
	case hsClientHello:
		if dir == contract.ToClient {
			return contract.YesReversed
		}
		return contract.Yes
	case hsServerHello:
		if dir == contract.ToServer {
			return contract.YesReversed
		}
		return contract.Yes
	case 0:
		return contract.Yes
	}
	return contract.No
}

// probeV2 recognises the hello of SSL 2 (and of clients that still offer it), RFC 5246 E.2.
func probeV2(b []byte, dir contract.Direction) contract.Verdict {
	if len(b) < 7 {
		return contract.Maybe
	}
	if b[2] != 1 || b[3] > 3 || b[3] == 3 && b[4] > 4 || b[3] == 0 && b[4] != 2 || b[3] == 1 || b[3] == 2 && b[4] != 0 ||
		dir == contract.ToClient || u16(b[5:])%3 != 0 || u16(b[5:]) == 0 || int(b[0]&0x7f)<<8|int(b[1]) < 9+u16(b[5:]) {
		return contract.No
	}
	return contract.Yes
}

func u16(b []byte) int { return int(b[0])<<8 | int(b[1]) }

func u24(b []byte) int { return int(b[0])<<16 | int(b[1])<<8 | int(b[2]) }
