package echo

import (
	"encoding/binary"
	"testing"
)

func dnsMessage(id uint16, answer bool, name string) []byte {
	b := binary.BigEndian.AppendUint16(nil, id)
	b = append(b, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0)
	if answer {
		b[2] |= 0x80
	}
	b = append(append(b, byte(len(name))), name...)
	return append(b, 0, 0, 1, 0, 1)
}

func ntpMessage(mode byte, origin, transmit uint64) []byte {
	b := make([]byte, 48)
	b[0] = 0x20 | mode
	binary.BigEndian.PutUint64(b[24:], origin)
	binary.BigEndian.PutUint64(b[40:], transmit)
	return b
}

func quicMessage(to, from string) []byte {
	b := []byte{0xc3, 0, 0, 0, 1}
	b = append(append(b, byte(len(to))), to...)
	return append(append(append(b, byte(len(from))), from...), 1, 2, 3)
}

func stunMessage(kind uint16, id string) []byte {
	b := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, kind), 0), stunCookie)
	return append(b, id...)
}

func TestAnAnswerRepeatsItsQuestion(t *testing.T) {
	for _, x := range []struct {
		name             string
		port             uint16
		question, answer []byte
		want             bool
	}{
		{"dns", 53, dnsMessage(7, false, "example"), append(dnsMessage(7, true, "example"), 1, 2, 3), true},
		{"dns, another case", 53, dnsMessage(7, false, "eXample"), dnsMessage(7, true, "example"), true},
		{"dns, another number", 53, dnsMessage(7, false, "example"), dnsMessage(8, true, "example"), false},
		{"dns, another question", 53, dnsMessage(7, false, "example"), dnsMessage(7, true, "exampla"), false},
		{"dns, a question for an answer", 53, dnsMessage(7, false, "example"), dnsMessage(7, false, "example"), false},
		{"ntp", 123, ntpMessage(3, 0, 99), ntpMessage(4, 99, 5), true},
		{"ntp, another time", 123, ntpMessage(3, 0, 99), ntpMessage(4, 98, 99), false},
		{"ntp without a time", 123, ntpMessage(3, 0, 0), ntpMessage(4, 0, 5), false},
		{"quic", 443, quicMessage("12345678", "abcdefgh"), quicMessage("abcdefgh", "server"), true},
		{"quic, another", 443, quicMessage("12345678", "abcdefgh"), quicMessage("12345678", "abcdefgh"), false},
		{"quic without a number", 443, quicMessage("12345678", ""), quicMessage("", "server"), false},
		{"stun", 3478, stunMessage(1, "abcdefghijkl"), stunMessage(0x101, "abcdefghijkl"), true},
		{"stun, an error", 3478, stunMessage(1, "abcdefghijkl"), stunMessage(0x111, "abcdefghijkl"), true},
		{"stun, another", 3478, stunMessage(1, "abcdefghijkl"), stunMessage(0x101, "abcdefghijkL"), false},
		{"another protocol", 5000, dnsMessage(7, false, "example"), dnsMessage(7, true, "example"), false},
	} {
		asked, answered := Asked(x.port, x.question), Answered(x.port, x.answer)
		if got := asked != 0 && asked == answered; got != x.want {
			t.Errorf("%s: %v", x.name, got)
		}
	}
}

func FuzzEcho(f *testing.F) {
	f.Add(uint16(53), dnsMessage(7, false, "example"))
	f.Add(uint16(123), ntpMessage(3, 0, 99))
	f.Add(uint16(443), quicMessage("12345678", "abcdefgh"))
	f.Add(uint16(3478), stunMessage(1, "abcdefghijkl"))
	f.Fuzz(func(t *testing.T, port uint16, b []byte) {
		if a, r := Asked(port, b), Answered(port, b); a != 0 && r != 0 && port != 443 {
			t.Errorf("a question and an answer at once: %x", b)
		}
		if n := testing.AllocsPerRun(1, func() { Asked(port, b) }); n > 0 {
			t.Errorf("%v allocations", n)
		}
	})
}
