package ssh

import (
	"strings"
	"testing"

	"github.com/dejpha/dejpha/app/apptest"
	"github.com/dejpha/dejpha/app/contract"
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

func FuzzSSH(f *testing.F) {
	for _, s := range conversations()[0] {
		f.Add(s.Data, uint8(s.Dir))
	}
	f.Fuzz(func(t *testing.T, b []byte, n uint8) {
		apptest.Play(t, Protocol(), []apptest.Segment{{Dir: contract.Direction(n & 1), Data: b, Gap: int(n >> 7)}})
	})
}
