package policy

import (
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/config"
)

func ptr[T any](v T) *T { return &v }

func TestThePolicyIsTheDefaultUnlessSaid(t *testing.T) {
	p, err := From(&config.Policy{})
	if err != nil || p.Points != attack.DefaultPolicy().Points || len(p.Classes) != len(attack.Table()) {
		t.Fatalf("%+v, %v", p, err)
	}
	p, err = From(&config.Policy{First: ptr(time.Minute), PerMinute: ptr(3), Limits: map[string]uint32{"syn": 7},
		Classes: map[string]config.ClassPolicy{"scan": {Action: "alert", Points: []uint32{4, 3, 2, 1}, Limit: ptr(false)}, "flood": {Inside: "rate-limit"}}})
	if err != nil {
		t.Fatal(err)
	}
	scan, flood := p.Class("scan"), p.Class("flood")
	if p.First != time.Minute || p.PerMinute != 3 || p.Unproven[attack.LimitSYN] != 7 || scan.Action != "alert" || scan.Inside != "block" ||
		scan.Points != [4]uint32{4, 3, 2, 1} || scan.Limit || flood.Inside != "rate-limit" || flood.Action != "block" {
		t.Errorf("%+v", p)
	}
	for want, c := range map[string]config.Policy{
		"policy.longest: ":                  {First: ptr(48 * time.Hour)},
		"policy.classes.scam: there is no":  {Classes: map[string]config.ClassPolicy{"scam": {}}},
		`policy.classes.scan.action: "dro"`: {Classes: map[string]config.ClassPolicy{"scan": {Action: "dro"}}},
		"policy.classes.scan.points: exp":   {Classes: map[string]config.ClassPolicy{"scan": {Points: []uint32{1}}}},
		"policy.limits.sin: unknown kind":   {Limits: map[string]uint32{"sin": 1}},
	} {
		if _, err := From(&c); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// machine is a little-endian machine's files; the test is told so where it is not.
func machine() fstest.MapFS {
	return fstest.MapFS{
		"proc/net/route": {Data: []byte("Iface\tDestination\tGateway \tFlags\neth0\t00000000\t010200C0\t0003\neth0\t000200C0\t00000000\t0001\n")},
		"proc/net/ipv6_route": {Data: []byte("00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003 eth0\n" +
			"broken\n")},
		"etc/resolv.conf":                 {Data: []byte("# by hand\nnameserver 192.0.2.53\nnameserver 127.0.0.53\nnameserver fe80::5%eth0\nnameserver nonsense\n")},
		"run/systemd/resolve/resolv.conf": {Data: []byte("nameserver 192.0.2.54\n")},
		"proc/net/tcp": {Data: []byte("  sl  local_address rem_address   st\n" +
			"   0: 050200C0:0016 090200C0:D431 01 00000000:00000000\n" + // established to port 22
			"   1: 050200C0:0050 0A0200C0:D431 01 00000000:00000000\n" + // to another
			"   2: 050200C0:0016 0B0200C0:D431 06 00000000:00000000\n" + // no longer
			"   3: zz:0016 0B0200C0 01\n")},
		"proc/net/tcp6": {Data: []byte("  sl  local_address rem_address st\n" +
			"   0: 0000000000000000FFFF0000050200C0:0016 0000000000000000FFFF00000C0200C0:D431 01 0\n")},
	}
}

func everyone(own []netip.Prefix) []Guarded {
	return append(System(machine(), own), Sessions(machine(), "192.0.2.77 50000 192.0.2.5 22")...)
}

func TestWhomAMachineCannotDoWithout(t *testing.T) {
	if native(1) != netip.AddrFrom4([4]byte{1, 0, 0, 0}) {
		t.Skip("the files are a little-endian machine's")
	}
	g := NewGuard([]netip.Prefix{netip.MustParsePrefix("203.0.113.0/28")}, []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")})
	own := []netip.Prefix{netip.MustParsePrefix("192.0.2.5/24"), netip.MustParsePrefix("127.0.0.1/8")}
	if !g.Set(everyone(own)) {
		t.Error("the first list is no change")
	}
	if g.Set(everyone(own)) {
		t.Error("the same list is a change")
	}
	for who, why := range map[string]string{
		"192.0.2.1": "the gateway", "fe80::1": "the gateway", "192.0.2.53": "a resolver", "192.0.2.54": "a resolver", "fe80::5": "a resolver",
		"192.0.2.5": "an address of this machine", "192.0.2.9": "an administrator's session", "192.0.2.12": "an administrator's session",
		"192.0.2.77": "an administrator's session", "203.0.113.15": "one named under guard",
		"192.0.2.10": "", "192.0.2.11": "", "203.0.113.16": "", "127.0.0.1": "",
	} {
		a := netip.MustParseAddr(who)
		if got := g.Why(netip.PrefixFrom(a, a.BitLen())); got != why {
			t.Errorf("%s: %q, want %q", who, got, why)
		}
	}
	friend := netip.MustParsePrefix("198.18.7.7/32")
	if !g.Allow([]Guarded{{Prefix: friend, Why: "one allowed", Allowed: true}}) || g.Why(friend) != "one allowed" || !g.Allow(nil) || g.Why(friend) != "" {
		t.Error("an allowed one is not guarded for as long as it is allowed")
	}
	if g.Why(netip.MustParsePrefix("192.0.2.0/24")) == "" || g.Why(netip.MustParsePrefix("198.18.0.0/15")) != "" {
		t.Error("a network with a guarded host in it is guarded, one without is not")
	}
	for who, want := range map[string]bool{"100.64.0.1/32": true, "100.128.0.1/32": false, "198.51.100.7/32": true, "100.0.0.0/8": true} {
		if g.Shared(netip.MustParsePrefix(who)) != want {
			t.Errorf("shared %s is not %v", who, want)
		}
	}
	if len(System(fstest.MapFS{}, nil)) != 0 {
		t.Error("a machine without files guards somebody")
	}
}

func FuzzSystem(f *testing.F) {
	f.Add([]byte("   0: 050200C0:0016 090200C0:D431 01\n"), "a b c d")
	f.Fuzz(func(_ *testing.T, b []byte, session string) {
		files := fstest.MapFS{}
		for name := range machine() {
			files[name] = &fstest.MapFile{Data: b}
		}
		g := NewGuard(nil, nil)
		g.Set(append(System(files, nil), Sessions(files, session)...))
		g.Why(netip.MustParsePrefix("192.0.2.0/24"))
	})
}
