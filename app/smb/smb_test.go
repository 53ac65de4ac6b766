package smb

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/dejpha/dejpha/app/apptest"
	"github.com/dejpha/dejpha/app/contract"
)

func nb(m []byte) []byte {
	return append([]byte{0, byte(len(m) >> 16), byte(len(m) >> 8), byte(len(m))}, m...)
}

func wide(s string) []byte {
	var b []byte
	for _, c := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, c)
	}
	return b
}

type fields map[int]any // offset -> value

func put(n int, f fields, tail ...[]byte) []byte {
	b := make([]byte, n)
	for at, v := range f {
		switch v := v.(type) {
		case byte:
			b[at] = v
		case uint16:
			binary.LittleEndian.PutUint16(b[at:], v)
		case uint32:
			binary.LittleEndian.PutUint32(b[at:], v)
		case uint64:
			binary.LittleEndian.PutUint64(b[at:], v)
		}
	}
	return append(b, bytes.Join(tail, nil)...)
}

// two builds an SMB2 message.
func two(cmd uint16, mid uint64, tree, status uint32, answer bool, body []byte) apptest.Segment {
	flags := uint32(0)
	s := apptest.Segment{Dir: contract.ToServer}
	if answer {
		flags, s.Dir = 1, contract.ToClient
	}
	m := put(64, fields{4: uint16(64), 8: status, 12: cmd, 16: flags, 24: mid, 36: tree, 40: uint64(77)}, body)
	copy(m, "\xfeSMB")
	s.Data = nb(m)
	return s
}

// one builds an SMB1 message with unicode strings and NT statuses.
func one(cmd byte, mid uint16, status uint32, answer bool, words, data []byte) apptest.Segment {
	flags := byte(0)
	s := apptest.Segment{Dir: contract.ToServer}
	if answer {
		flags, s.Dir = 0x80, contract.ToClient
	}
	m := put(32, fields{4: cmd, 5: status, 9: flags, 10: uint16(0xc801), 24: uint16(9), 28: uint16(5), 30: mid})
	copy(m, "\xffSMB")
	m = append(m, byte(len(words)/2))
	m = append(m, words...)
	m = binary.LittleEndian.AppendUint16(m, uint16(len(data)))
	s.Data = nb(append(m, data...))
	return s
}

func treeConnect(mid uint64, tree uint32, path string) []apptest.Segment {
	p := wide(path)
	return []apptest.Segment{
		two(c2TreeConnect, mid, 0, 0, false, put(8, fields{0: uint16(9), 4: uint16(72), 6: uint16(len(p))}, p)),
		two(c2TreeConnect, mid, tree, 0, true, put(16, fields{0: uint16(16), 2: byte(1)})),
	}
}

func create(mid uint64, tree uint32, id uint64, name string) []apptest.Segment {
	n := wide(name)
	return []apptest.Segment{
		two(c2Create, mid, tree, 0, false, put(56, fields{0: uint16(57), 36: uint32(2), 44: uint16(120), 46: uint16(len(n))}, n)),
		two(c2Create, mid, tree, 0, true, put(88, fields{0: uint16(89), 4: uint32(2), 64: id, 72: id})),
	}
}

func write(mid uint64, tree uint32, id, offset uint64, data []byte) []apptest.Segment {
	return []apptest.Segment{
		two(c2Write, mid, tree, 0, false, put(48, fields{0: uint16(49), 2: uint16(112), 4: uint32(len(data)), 8: offset, 16: id, 24: id}, data)),
		two(c2Write, mid, tree, 0, true, put(16, fields{0: uint16(17), 4: uint32(len(data))})),
	}
}

func closeFile(mid uint64, tree uint32, id uint64) []apptest.Segment {
	return []apptest.Segment{
		two(c2Close, mid, tree, 0, false, put(24, fields{0: uint16(24), 8: id, 16: id})),
		two(c2Close, mid, tree, 0, true, put(60, fields{0: uint16(60)})),
	}
}

// rpcPDU builds a little-endian DCERPC PDU.
func rpcPDU(kind byte, call uint32, body []byte) []byte {
	return put(16, fields{0: byte(5), 2: kind, 3: byte(3), 4: byte(0x10), 8: uint16(16 + len(body)), 12: call}, body)
}

var svcctl = []byte{0x81, 0xbb, 0x7a, 0x36, 0x44, 0x98, 0xf1, 0x35, 0xad, 0x32, 0x98, 0xf0, 0x38, 0x00, 0x10, 0x03}

func bind(uuid []byte) []byte {
	return rpcPDU(11, 1, put(12, fields{8: byte(1)}, put(4, fields{2: byte(1)}), uuid, put(4, fields{0: uint16(2)}), make([]byte, 20)))
}

func bindAck() []byte {
	return rpcPDU(12, 1, put(12, fields{}, put(4, fields{0: byte(1)}), make([]byte, 24)))
}

func request(opnum uint16, stub []byte) []byte {
	return rpcPDU(0, 2, put(8, fields{6: opnum}, stub))
}

func ioctl(mid uint64, tree uint32, id uint64, data []byte, answer bool) apptest.Segment {
	if answer {
		return two(c2Ioctl, mid, tree, 0, true, put(48, fields{4: uint32(pipeTransceive), 32: uint32(112), 36: uint32(len(data))}, data))
	}
	return two(c2Ioctl, mid, tree, 0, false, put(56, fields{4: uint32(pipeTransceive), 8: id, 16: id, 24: uint32(120), 28: uint32(len(data))}, data))
}

func sessionSetup2(mid uint64, user string, status uint32) []apptest.Segment {
	u := wide(user)
	tok := put(72, fields{8: uint32(3), 12: uint16(0), 20: uint16(24), 36: uint16(len(u)), 40: uint32(72), 60: uint32(1)}, u)
	copy(tok, "NTLMSSP\x00")
	return []apptest.Segment{
		two(c2SessionSetup, mid, 0, 0, false, put(24, fields{0: uint16(25), 12: uint16(88), 14: uint16(len(tok))}, tok)),
		two(c2SessionSetup, mid, 0, status, true, put(8, fields{0: uint16(9)})),
	}
}

func join(parts ...any) []apptest.Segment {
	var all []apptest.Segment
	for _, p := range parts {
		switch p := p.(type) {
		case apptest.Segment:
			all = append(all, p)
		case []apptest.Segment:
			all = append(all, p...)
		}
	}
	return all
}

func conversations() map[string][]apptest.Segment {
	pipe := join(treeConnect(1, 1, `\\host\IPC$`), create(2, 1, 8, "svcctl"))
	return map[string][]apptest.Segment{
		"file": join(sessionSetup2(1, "alice", 0), treeConnect(2, 3, `\\host\C$`), create(3, 3, 9, `Windows\a.exe`),
			write(4, 3, 9, 0, []byte("MZ"+strings.Repeat("a", 300))), write(5, 3, 9, 302, []byte("tail")), closeFile(6, 3, 9)),
		"reordered": join(treeConnect(2, 3, `\\host\data`), create(3, 3, 9, "b"), write(4, 3, 9, 0, []byte("one-")),
			write(5, 3, 9, 8, []byte("3rd!")), write(6, 3, 9, 4, []byte("two-")), closeFile(7, 3, 9)),
		"service": join(pipe, write(3, 1, 8, 0, bind(svcctl)),
			two(c2Read, 4, 1, 0, false, put(48, fields{4: uint32(1024), 16: uint64(8), 24: uint64(8)})),
			two(c2Read, 4, 1, 0, true, put(16, fields{2: byte(80), 4: uint32(len(bindAck()))}, bindAck())),
			ioctl(5, 1, 8, request(12, []byte("stub data")), false), ioctl(5, 1, 8, rpcPDU(2, 2, make([]byte, 12)), true)),
		"failed": join(sessionSetup2(1, "bob", 0xc000006d), sessionSetup2(2, "", 0)),
		"eternal": {
			one(c1Trans2, 65, 0, false, put(30, fields{26: byte(1), 28: uint16(trans2SessionSetup)}), nil),
			one(c1Trans2, 81, 0xc0000002, true, nil, nil),
			one(c1NTTrans, 65, 0, false, put(38, fields{35: byte(0), 36: uint16(0)}), nil),
			one(c1NTTrans, 65, 0, true, nil, nil),
			one(c1Trans2Second, 65, 0, false, put(18, fields{}), nil),
		},
		"ghost": {{Data: nb(append([]byte("\xfcSMB\xff\xff\xff\xff\x01\x00\x00\x00\x10\x00\x00\x00"), make([]byte, 8)...))}},
	}
}

func TestContract(t *testing.T) {
	all := conversations()
	var corpus [][]apptest.Segment
	for _, name := range []string{"file", "reordered", "service", "failed", "eternal", "ghost"} {
		corpus = append(corpus, all[name])
	}
	apptest.Run(t, Protocol(), corpus)
}

func TestWhatIsSaid(t *testing.T) {
	for _, c := range []struct {
		name  string
		wants []string
	}{
		{"file", []string{`"user":"alice"`, `smb.share[0] "\\\\host\\C$"`, `"filename":"Windows\\a.exe"`, "total 306", "state 1",
			`Kind:16 Dir:0 Code:2 Size:1 Name:Windows\a.exe Text:\\host\C$`}},
		{"reordered", []string{`"one-two-3rd!"`, "gaps false"}},
		{"service", []string{`smb.named_pipe[0] "\\\\host\\IPC$"`, `"uuid":"367abb81-9844-35f1-ad32-98f038001003","version":"2.0","ack_result":0`,
			`dcerpc.stub_data[0] "stub data"`, "Code:12 Size:9 Name:367abb81-9844-35f1-ad32-98f038001003 Text:svcctl", `"response":"RESPONSE"`}},
		{"failed", []string{`STATUS_LOGON_FAILURE`, "Kind:1 Dir:1 Code:3221225581 Size:0 Name:bob", "Kind:2 Dir:1 Code:0 Size:0 Name: Text:"}},
		{"eternal", []string{"event trans2_session_setup\n", "Code:16 Size:3221225474 Name:trans2_session_setup_answered",
			"event nt_trans_unknown_function", "event secondary_without_primary"}},
		{"ghost", []string{"event compression_header_overflow", "Code:16 Size:4294967295"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			said := strings.Join(apptest.Play(t, Protocol(), conversations()[c.name]), "")
			for _, want := range c.wants {
				if !strings.Contains(said, want) {
					t.Errorf("nothing says %s in\n%s", want, said)
				}
			}
		})
	}
}

func TestProbe(t *testing.T) {
	p := Protocol()
	for _, c := range []struct {
		data string
		dir  contract.Direction
		want contract.Verdict
	}{
		{"", contract.ToServer, contract.Maybe},
		{"\x00\x00\x00\x40\xfeSM", contract.ToServer, contract.Maybe},
		{"\x00\x00\x00\x40\xfeSMB", contract.ToServer, contract.Yes},
		{"\x00\x00\x00\x40\xffSMBr\x00\x00\x00\x00\x80", contract.ToServer, contract.YesReversed},
		{"GET / HTTP/1.1\r\n", contract.ToServer, contract.No},
		{"\x81\x00\x00\x44\x20", contract.ToServer, contract.Yes},
	} {
		if got := p.Probe([]byte(c.data), c.dir, 445); got != c.want {
			t.Errorf("%q: %d, want %d", c.data, got, c.want)
		}
	}
}

// TestGapInsideFile loses bytes in the middle of a write: the file goes on, the next message is read.
func TestGapInsideFile(t *testing.T) {
	w := write(4, 3, 9, 0, bytes.Repeat([]byte("x"), 4000))
	first := w[0]
	cut := []apptest.Segment{{Dir: first.Dir, Data: first.Data[:1000]}, {Dir: first.Dir, Data: first.Data[2000:], Gap: 1000}}
	said := strings.Join(apptest.Play(t, Protocol(), join(treeConnect(2, 3, `\\host\C$`), create(3, 3, 9, "f"), cut, w[1:], closeFile(6, 3, 9))), "")
	for _, want := range []string{"total 4000", "gaps true", "state 2", "SMB2_COMMAND_CLOSE"} {
		if !strings.Contains(said, want) {
			t.Errorf("nothing says %s in\n%s", want, said)
		}
	}
}

func FuzzSMB(f *testing.F) {
	var seeds [][]apptest.Segment
	for _, name := range slices.Sorted(maps.Keys(conversations())) {
		seeds = append(seeds, conversations()[name])
	}
	apptest.Fuzz(f, apptest.Spoken{Protocol: Protocol(), Seeds: seeds})
}

// TestTransferDoesNotAllocate holds the in-order way of a file transfer to no allocation.
func TestTransferDoesNotAllocate(t *testing.T) {
	p := newParser(Protocol().Limits)
	for _, s := range join(treeConnect(2, 3, `\\host\data`), create(3, 3, 9, "f")) {
		p.Feed(contract.Input{Dir: s.Dir, Data: s.Data})
	}
	pair := write(4, 3, 9, 0, make([]byte, 1400))
	offset := uint64(0)
	step := func() {
		binary.LittleEndian.PutUint64(pair[0].Data[4+64+8:], offset)
		offset += 1400
		for _, s := range pair {
			p.Feed(contract.Input{Dir: s.Dir, Data: s.Data})
		}
	}
	for range 300 {
		step()
	}
	if n := testing.AllocsPerRun(500, step); n != 0 {
		t.Errorf("%v allocations a write", n)
	}
	if n := len(p.(*parser).live[2].file.Body.Data); n > 3*defaultWindow {
		t.Errorf("%d bytes kept", n)
	}
}

// TestOpenRequestsAreBounded sends requests that nobody answers.
func TestOpenRequestsAreBounded(t *testing.T) {
	l := Protocol().Limits
	l.MaxTx = 16
	p := newParser(l)
	for i := range 1000 {
		s := two(c2KeepAlive, uint64(i), 0, 0, false, make([]byte, 4))
		p.Feed(contract.Input{Data: s.Data})
	}
	if n := len(p.Txs()); n > 32 {
		t.Errorf("%d live transactions", n)
	}
	if e := p.Txs()[0].State().Events; len(e) == 0 || e[0] != evTooMany {
		t.Errorf("events %v", e)
	}
}
