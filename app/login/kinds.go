package login

import (
	"bytes"

	"github.com/dejpha/dejpha/app/contract"
)

func kinds() []kind {
	return []kind{
		{name: "pop3", ports: []uint16{110}, probe: greets("+OK", 110), read: readPOP3},
		{name: "imap", ports: []uint16{143}, probe: greets("* OK", 143), read: readIMAP},
		{name: "telnet", ports: []uint16{23}, probe: probeTelnet, read: readTelnet},
		{name: "mysql", ports: []uint16{3306}, probe: probeMySQL, frame: frameMySQL, read: readMySQL},
		{name: "pgsql", ports: []uint16{5432}, probe: probePgSQL, frame: framePgSQL, read: readPgSQL},
		{name: "tds", ports: []uint16{1433}, probe: probeTDS, frame: frameTDS, read: readTDS},
		{name: "redis", ports: []uint16{6379}, probe: probeRedis, read: readRedis},
		{name: "rdp", ports: []uint16{3389}, probe: probeRDP, frame: frameRDP, read: readRDP},
		{name: "snmp", ports: []uint16{161, 162}, udp: true, probe: probeSNMP, read: readSNMP},
		{name: "ntp", ports: []uint16{123}, udp: true, probe: probeNTP, read: readNTP},
	}
}

// greets recognises a server by the first line it sends; clients wait for it.
func greets(word string, usual uint16) func([]byte, contract.Direction, uint16) contract.Verdict {
	return func(b []byte, dir contract.Direction, port uint16) contract.Verdict {
		if dir == contract.ToServer {
			return contract.No
		}
		if n := min(len(b), len(word)); string(b[:n]) != word[:n] {
			return contract.No
		} else if n < len(word) {
			return contract.Maybe
		}
		return contract.Yes
	}
}

func fields(line []byte, skip int) (word, rest []byte) {
	line = bytes.TrimSpace(line)
	for ; skip > 0; skip-- {
		_, line, _ = bytes.Cut(line, []byte(" "))
	}
	word, rest, _ = bytes.Cut(line, []byte(" "))
	return word, rest
}

func is(word []byte, want string) bool { return bytes.EqualFold(word, []byte(want)) }

func clipped(b []byte) string { return string(b[:min(len(b), 256)]) }

func readPOP3(p *parser, dir contract.Direction, line []byte) {
	if dir == contract.ToServer {
		word, rest := fields(line, 0)
		if is(word, "USER") {
			p.user = clipped(rest)
		}
		p.asked = is(word, "PASS") || is(word, "APOP") || is(word, "AUTH")
		return
	}
	if p.asked && bytes.HasPrefix(line, []byte("-ERR")) {
		p.failed(0)
		p.asked = false
	} else if p.asked && bytes.HasPrefix(line, []byte("+OK")) {
		p.succeeded()
		p.asked = false
	}
}

func readIMAP(p *parser, dir contract.Direction, line []byte) {
	if dir == contract.ToServer {
		word, rest := fields(line, 1)
		if is(word, "LOGIN") {
			user, _, _ := bytes.Cut(rest, []byte(" "))
			p.user, p.asked = clipped(bytes.Trim(user, `"`)), true
		}
		p.asked = p.asked || is(word, "AUTHENTICATE")
		return
	}
	word, _ := fields(line, 1)
	if !p.asked || len(line) == 0 || line[0] == '*' || line[0] == '+' {
		return
	}
	switch {
	case is(word, "NO"), is(word, "BAD"):
		p.failed(0)
		p.asked = false
	case is(word, "OK"):
		p.succeeded()
		p.asked = false
	}
}

// probeTelnet looks for option negotiation, RFC 854.
func probeTelnet(b []byte, _ contract.Direction, _ uint16) contract.Verdict {
	if len(b) > 0 && b[0] != 0xff {
		return contract.No
	}
	if len(b) < 3 {
		return contract.Maybe
	}
	if b[1] < 0xfa || b[2] > 50 {
		return contract.No
	}
	return contract.Yes
}

func readTelnet(p *parser, dir contract.Direction, line []byte) {
	if dir == contract.ToServer {
		return
	}
	low := bytes.ToLower(line)
	for _, word := range [...]string{"login incorrect", "login failed", "authentication failed", "access denied", "bad password"} {
		if bytes.Contains(low, []byte(word)) {
			p.failed(0)
			return
		}
	}
	if bytes.Contains(low, []byte("last login")) {
		p.succeeded()
	}
}

func probeMySQL(b []byte, dir contract.Direction, _ uint16) contract.Verdict {
	if dir == contract.ToServer {
		return contract.No
	}
	if len(b) < 6 {
		return contract.Maybe
	}
	if b[2] != 0 || b[3] != 0 || b[4] != 10 || b[5] < '3' || b[5] > '9' {
		return contract.No
	}
	const versionMax = 64
	if bytes.IndexByte(b[5:min(len(b), versionMax)], 0) < 0 {
		if len(b) < versionMax {
			return contract.Maybe
		}
		return contract.No
	}
	return contract.Yes
}

func frameMySQL(b []byte, _ contract.Direction, _ *parser) (size, head int) {
	if len(b) < 4 {
		return 0, 4
	}
	return 4 + (int(b[0]) | int(b[1])<<8 | int(b[2])<<16), 4
}

func readMySQL(p *parser, dir contract.Direction, unit []byte) {
	if dir == contract.ToServer {
		if !p.first[0] && len(unit) > 36 {
			user, _, _ := bytes.Cut(unit[36:], []byte{0})
			p.user, p.asked = clipped(user), true
		}
		if !p.first[0] && len(unit) == 36 {
			p.sealed = true // a request for TLS
		}
		return
	}
	if !p.asked || len(unit) < 5 {
		return
	}
	switch {
	case unit[4] == 0xff && len(unit) >= 7:
		p.failed(uint32(unit[5]) | uint32(unit[6])<<8)
		p.asked = false
	case unit[4] == 0:
		p.succeeded()
		p.asked = false
	}
}

func u32(b []byte) int { return int(b[0])<<24 | int(b[1])<<16 | int(b[2])<<8 | int(b[3]) }

func probePgSQL(b []byte, dir contract.Direction, _ uint16) contract.Verdict {
	if dir == contract.ToClient {
		return contract.No
	}
	if len(b) < 8 {
		if len(b) > 1 && (b[0] != 0 || b[1] != 0) {
			return contract.No
		}
		return contract.Maybe
	}
	if n, v := u32(b), u32(b[4:]); n < 8 || n > 10000 || v != 0x30000 && v != 80877103 && v != 80877104 {
		return contract.No
	}
	return contract.Yes
}

func framePgSQL(b []byte, dir contract.Direction, p *parser) (size, head int) {
	switch {
	case dir == contract.ToServer && !p.first[0]:
		if len(b) < 8 {
			return 0, 8
		}
		return u32(b), 8
	case dir == contract.ToClient && !p.first[1] && len(b) > 0 && (b[0] == 'S' || b[0] == 'N') && p.asked:
		return 1, 1
	case len(b) < 5:
		return 0, 5
	}
	return 1 + u32(b[1:]), 5
}

func readPgSQL(p *parser, dir contract.Direction, unit []byte) {
	if dir == contract.ToServer {
		if !p.first[0] && len(unit) >= 8 {
			p.asked = u32(unit[4:]) != 0x30000
			if _, user, ok := bytes.Cut(unit[8:], []byte("user\x00")); ok {
				user, _, _ = bytes.Cut(user, []byte{0})
				p.user = clipped(user)
			}
		}
		return
	}
	switch {
	case len(unit) == 1:
		p.sealed = true
	case unit[0] == 'E' && (bytes.Contains(unit, []byte("C28P01\x00")) || bytes.Contains(unit, []byte("C28000\x00"))):
		p.failed(28)
	case unit[0] == 'R' && len(unit) >= 9 && u32(unit[5:]) == 0:
		p.succeeded()
	}
}

func probeTDS(b []byte, dir contract.Direction, _ uint16) contract.Verdict {
	if dir == contract.ToClient || len(b) > 0 && b[0] != 18 {
		return contract.No
	}
	if len(b) < 9 {
		return contract.Maybe
	}
	if b[1] > 1 || int(b[2])<<8|int(b[3]) > 4096 || b[4] != 0 || b[5] != 0 || b[8] != 0 {
		return contract.No
	}
	return contract.Yes
}

func frameTDS(b []byte, _ contract.Direction, _ *parser) (size, head int) {
	if len(b) < 8 {
		return 0, 8
	}
	return int(b[2])<<8 | int(b[3]), 8
}

// readTDS looks for the ERROR token 18456 and for LOGINACK, MS-TDS 2.2.7.
func readTDS(p *parser, dir contract.Direction, unit []byte) {
	if dir == contract.ToServer {
		p.asked = p.asked || unit[0] == 16
		return
	}
	if unit[0] != 4 || len(unit) < 16 {
		return
	}
	if i := bytes.Index(unit, []byte{0x18, 0x48, 0, 0}); i >= 3 && unit[i-3] == 0xaa {
		p.failed(18456)
	} else if p.asked && (unit[8] == 0xad || unit[8] == 0xe3) {
		p.succeeded()
		p.asked = false
	}
}

// probeRedis looks for a command as an array of texts, RESP: "*2\r\n$4\r\nAUTH\r\n".
func probeRedis(b []byte, dir contract.Direction, _ uint16) contract.Verdict {
	if dir == contract.ToClient || len(b) > 0 && b[0] != '*' {
		return contract.No
	}
	head, rest, whole := bytes.Cut(b[:min(len(b), 8)], []byte("\r\n"))
	if len(head) > 1 && len(bytes.Trim(head[1:], "0123456789\r")) > 0 {
		return contract.No
	}
	switch {
	case whole && len(rest) > 0 && rest[0] == '$' && len(head) > 1:
		return contract.Yes
	case len(b) >= 8 || whole && len(rest) > 0:
		return contract.No
	}
	return contract.Maybe
}

// readRedis looks at what follows AUTH, as a word of an array or of a line, and a HELLO that may hold one.
func readRedis(p *parser, dir contract.Direction, line []byte) {
	if dir == contract.ToServer {
		word, _ := fields(line, 0)
		p.asked = p.asked || is(word, "AUTH")
		return
	}
	if !p.asked || len(line) == 0 {
		return
	}
	p.asked = false
	switch {
	case bytes.HasPrefix(line, []byte("-WRONGPASS")), bytes.HasPrefix(line, []byte("-ERR invalid password")):
		p.failed(0)
	case bytes.HasPrefix(line, []byte("+OK")), line[0] == '%', line[0] == '*':
		p.succeeded()
	}
}

func probeRDP(b []byte, dir contract.Direction, _ uint16) contract.Verdict {
	if len(b) > 0 && b[0] != 3 || dir == contract.ToClient {
		return contract.No
	}
	if len(b) < 7 {
		return contract.Maybe
	}
	if b[1] != 0 || b[2] != 0 || b[5] != 0xe0 || int(b[4])+5 != int(b[3]) || b[3] < 11 {
		return contract.No
	}
	if b[3] == 11 || bytes.Contains(b, []byte("Cookie: mstshash=")) || len(b) >= 19 && b[11] == 1 {
		return contract.Yes
	}
	if len(b) < int(b[3]) {
		return contract.Maybe
	}
	return contract.No
}

func frameRDP(b []byte, _ contract.Direction, _ *parser) (size, head int) {
	if len(b) < 4 {
		return 0, 4
	}
	return int(b[2])<<8 | int(b[3]), 4
}

func readRDP(p *parser, dir contract.Direction, unit []byte) {
	if dir == contract.ToClient {
		p.sealed = true
		return
	}
	if _, user, ok := bytes.Cut(unit, []byte("mstshash=")); ok {
		user, _, _ = bytes.Cut(user, []byte("\r"))
		p.user = clipped(user)
	}
	if !p.first[0] {
		p.tell(contract.Fact{Kind: contract.LoginAttempt, Name: p.user})
	}
}

func probeSNMP(b []byte, dir contract.Direction, _ uint16) contract.Verdict {
	if len(b) < 8 || b[0] != 0x30 {
		return contract.No
	}
	at := 2
	if b[1]&0x80 != 0 {
		at += int(b[1] & 0x7f)
	}
	if at > 6 || len(b) < at+4 || b[at] != 2 || b[at+1] != 1 || b[at+2] > 3 || b[at+3] != 4 && b[at+3] != 0x30 {
		return contract.No
	}
	return contract.Yes
}

func readSNMP(p *parser, dir contract.Direction, b []byte) {
	if dir == contract.ToClient {
		p.tell(contract.Fact{Kind: contract.SNMPReply, Dir: dir, Size: uint32(len(b))})
	}
}

func probeNTP(b []byte, _ contract.Direction, port uint16) contract.Verdict {
	if port != 123 || len(b) < 8 || b[0]>>3&7 == 0 || b[0]>>3&7 > 4 {
		return contract.No
	}
	return contract.Yes
}

// readNTP tells of answers in modes 6 and 7 (monlist), which reflectors are abused for (CVE-2013-5211).
func readNTP(p *parser, dir contract.Direction, b []byte) {
	if len(b) == 0 {
		return
	}
	if mode := b[0] & 7; dir == contract.ToClient && (mode == 6 || mode == 7) {
		p.tell(contract.Fact{Kind: contract.NTPMonlist, Dir: dir, Size: uint32(len(b)), Code: uint32(mode)})
	}
}
