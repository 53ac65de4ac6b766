package ssh

import (
	"strings"
	"testing"

	"github.com/dejpha/dejpha/app/apptest"
)

func packet(kind byte, body string) string {
	n := len(body) + 2
	return string([]byte{0, 0, byte(n >> 8), byte(n), 0, kind}) + body
}

func kex(lists ...string) string {
	s := strings.Repeat("c", 16)
	for _, l := range lists {
		s += string([]byte{0, 0, 0, byte(len(l))}) + l
	}
	return packet(msgKex, s+"\x00\x00\x00\x00\x00")
}

func conversations() [][]apptest.Segment {
	offer := kex("curve", "rsa", "aes-c", "aes-s", "mac-c", "mac-s", "none", "zlib", "", "")
	return [][]apptest.Segment{
		{apptest.S("SSH-2.0-OpenSSH_9.6 Debian\r\n"), apptest.C("SSH-2.0-paramiko\r\n" + offer), apptest.S(offer + packet(31, "k") + packet(msgNewKey, "")),
			apptest.C(packet(30, "k") + packet(msgNewKey, "") + "sealed"), apptest.S("sealed")},
		{apptest.C("SSH-2.0\r\n\xff\xff\xff\xff\xff\xff")},
	}
}

func TestContract(t *testing.T) { apptest.Run(t, Protocol(), conversations()) }

func TestWhatIsSaid(t *testing.T) {
	for i, wants := range [][]string{
		{`"server":{"proto_version":"2.0","software_version":"OpenSSH_9.6"`, `"string":"curve;aes-c;mac-c;none"`, `"string":"curve;aes-s;mac-s;zlib"`, `ssh.software[0] "paramiko"`},
		{"event invalid_banner", "event invalid_record"},
	} {
		said := strings.Join(apptest.Play(t, Protocol(), conversations()[i]), "")
		for _, want := range wants {
			if !strings.Contains(said, want) {
				t.Errorf("conversation %d: nothing says %s in\n%s", i, want, said)
			}
		}
	}
}

// guessed is a conversation whose server answers in encrypted turns of these sizes; the client's have its own.
func guessed(client int, server ...int) []apptest.Segment {
	c := conversations()[0][:3]
	c = append(c[:3:3], apptest.C(packet(30, "k")+packet(msgNewKey, "")+strings.Repeat("c", 64)))
	for i, n := range server {
		if i > 0 {
			c = append(c, apptest.C(strings.Repeat("c", client)))
		}
		c = append(c, apptest.S(strings.Repeat("s", n)))
	}
	return c
}

func TestLoginsByTheSizesOfAnswers(t *testing.T) {
	const failed, worked, attempt = "Kind:1 ", "Kind:2 ", "Kind:3 "
	for _, tt := range []struct {
		name                    string
		client                  int
		server                  []int
		failed, worked, attempt int
	}{
		{"three passwords refused", 96, []int{64, 80, 80, 80, 80}, 3, 0, 0},
		{"refused, then let in", 96, []int{64, 80, 80, 48, 64}, 1, 1, 0},
		{"a banner before the first refusal", 96, []int{64, 480, 80, 80, 80}, 2, 0, 0},
		{"questions between the refusals", 96, []int{64, 80, 112, 80, 112, 80, 112, 48}, 2, 1, 0},
		{"a key offered and taken", 200, []int{64, 80, 400, 48, 64}, 0, 1, 0},
		{"large keys refused are no passwords", 400, []int{64, 80, 80, 80}, 0, 0, 1},
		{"let in at once; echoes of keys are all alike", 40, []int{64, 80, 48, 64, 40, 40, 40, 40, 40, 40, 40}, 0, 1, 0},
		{"let in without asking; a session of many sizes", 96, []int{64, 48, 64, 300, 40, 40, 40, 40}, 0, 0, 0},
		{"gone after the first question", 96, []int{64, 80}, 0, 0, 1},
	} {
		said := strings.Join(apptest.Play(t, Protocol(), guessed(tt.client, tt.server...)), "")
		for what, want := range map[string]int{failed: tt.failed, worked: tt.worked, attempt: tt.attempt} {
			if n := strings.Count(said, "{"+what); n != want {
				t.Errorf("%s: %q told %d times, want %d in\n%s", tt.name, what, n, want, said)
			}
		}
		apptest.Run(t, Protocol(), [][]apptest.Segment{guessed(tt.client, tt.server...)})
	}
}

func FuzzSSH(f *testing.F) {
	apptest.Fuzz(f, apptest.Spoken{Protocol: Protocol(), Seeds: conversations()})
}
