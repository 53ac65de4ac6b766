package login

import (
	"strings"
	"testing"

	"github.com/dejpha/dejpha/app/apptest"
	"github.com/dejpha/dejpha/app/contract"
)

func cases() map[string][]apptest.Segment {
	return map[string][]apptest.Segment{
		"pop3":   {apptest.S("+OK hi\r\n"), apptest.C("USER bob\r\n"), apptest.S("+OK\r\n"), apptest.C("PASS x\r\n"), apptest.S("-ERR no\r\n")},
		"imap":   {apptest.S("* OK hi\r\n"), apptest.C("a LOGIN bob x\r\n"), apptest.S("a NO [AUTHENTICATIONFAILED]\r\n")},
		"telnet": {apptest.S("\xff\xfd\x18login: "), apptest.C("bob\r\n"), apptest.S("\r\nLogin incorrect\r\n")},
		"mysql":  {apptest.S("\x06\x00\x00\x00\x0a8.0.1\x00"[:10]), apptest.C("\x28\x00\x00\x01" + strings.Repeat("c", 32) + "bob\x00\x00\x00\x00\x00"), apptest.S("\x05\x00\x00\x02\xff\x15\x04no")},
		"pgsql":  {apptest.C("\x00\x00\x00\x12\x00\x03\x00\x00user\x00bob\x00\x00"), apptest.S("E\x00\x00\x00\x0cC28P01\x00\x00")},
		"redis":  {apptest.C("*2\r\n$4\r\nAUTH\r\n$3\r\nabc\r\n"), apptest.S("-WRONGPASS invalid username-password pair\r\n")},
		"tds":    {apptest.C("\x10\x01\x00\x09\x00\x00\x00\x00x"), apptest.S("\x04\x01\x00\x10\x00\x00\x00\x00\xaa\x05\x00\x18\x48\x00\x00x")},
	}
}

func TestContractAndFacts(t *testing.T) {
	for _, p := range Protocols() {
		c := cases()[p.Name]
		if p.Transport == contract.UDP || c == nil {
			continue
		}
		t.Run(p.Name, func(t *testing.T) {
			apptest.Run(t, p, [][]apptest.Segment{c})
			if said := strings.Join(apptest.Play(t, p, c), ""); !strings.Contains(said, "Kind:1 Dir:1") {
				t.Errorf("no failed login told: %s", said)
			}
		})
	}
}

func TestRedisIsToldFromItsKin(t *testing.T) {
	for data, want := range map[string]contract.Verdict{"*2\r\n$4\r\nAUTH": contract.Yes, "*": contract.Maybe, "*12\r\n": contract.Maybe, "* OK IMAP": contract.No, "*2\r\nA": contract.No,
		"*\r\n$4": contract.No, "GET / HTTP": contract.No} {
		if got := probeRedis([]byte(data), contract.ToServer, 6379); got != want {
			t.Errorf("%q: %d, want %d", data, got, want)
		}
	}
	ok := apptest.Play(t, redis(t), []apptest.Segment{apptest.C("*2\r\n$4\r\nAUTH\r\n$3\r\nabc\r\n"), apptest.S("+OK\r\n"), apptest.C("*1\r\n$4\r\nPING\r\n"), apptest.S("-ERR invalid password\r\n")})
	if said := strings.Join(ok, ""); !strings.Contains(said, "Kind:2 ") || strings.Contains(said, "Kind:1 ") {
		t.Errorf("a log-in that worked: %s", said)
	}
}

func redis(t *testing.T) contract.Protocol {
	t.Helper()
	for _, p := range Protocols() {
		if p.Name == "redis" {
			return p
		}
	}
	t.Fatal("no redis")
	return contract.Protocol{}
}

func FuzzLogin(f *testing.F) {
	var all []apptest.Spoken
	for _, p := range Protocols() {
		s := apptest.Spoken{Protocol: p}
		for _, c := range cases() {
			s.Seeds = append(s.Seeds, c)
		}
		all = append(all, s)
	}
	apptest.Fuzz(f, all...)
}
