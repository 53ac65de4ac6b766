package ntlmssp

import "testing"

func message(user string, bad bool) []byte {
	b := make([]byte, 72)
	copy(b, "NTLMSSP\x00")
	b[8] = Authenticate
	b[20] = 24
	b[36], b[40] = byte(2*len(user)), 72
	b[60] = 1
	b[63] = 2
	b[64], b[65], b[66], b[71] = 10, 0, 0x61, 15
	for _, c := range user {
		b = append(b, byte(c), 0)
	}
	if bad {
		b[40] = 200
	}
	return b
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []byte
		ok   bool
		want Message
	}{
		{"user", message("alice", false), true, Message{Type: Authenticate, User: []byte("alice"), HasVersion: true, Major: 10}},
		{"field outside", message("alice", true), true, Message{Type: Authenticate, Bad: true, Major: 10}},
		{"short", []byte("NTLMSSP\x00\x03"), false, Message{}},
		{"other", make([]byte, 80), false, Message{}},
		{"cut", message("alice", false)[:40], true, Message{Type: Authenticate, Bad: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var m Message
			if ok := Parse(c.in, &m); ok != c.ok {
				t.Fatalf("ok %v", ok)
			}
			if string(m.User) != string(c.want.User) || m.Bad != c.want.Bad || m.Type != c.want.Type || m.Major != c.want.Major {
				t.Errorf("got %+v", m)
			}
		})
	}
}

func TestAppendUTF16(t *testing.T) {
	if got := string(AppendUTF16(nil, []byte{'a', 0, 0x3d, 0xd8, 0, 0xde, 0, 0xd8, 'b', 0, 'c'})); got != "a\U0001f600\ufffdb" {
		t.Errorf("got %q", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(message("x", false))
	f.Fuzz(func(t *testing.T, b []byte) {
		var m Message
		if tok := Find(b); tok != nil {
			Parse(tok, &m)
		}
		Parse(b, &m)
	})
}
