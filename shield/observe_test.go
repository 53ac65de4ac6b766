package shield

import (
	"net/netip"
	"testing"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/behaviour"
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/rule"
)

func address(last byte, inside bool) decode.Addr {
	a := decode.Addr{10: 0xff, 11: 0xff, 12: 203, 15: last}
	if inside {
		a[12] = 10
	}
	return a
}

// matched is what the accounts are told of a rule's match in a flow from inside to outside.
func observed(t *testing.T, class, classtype string, change func(*match)) attack.Observation {
	t.Helper()
	set := &settings{protected: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	m := &merger{set: set, kinds: map[*rule.Rule]kindOfRule{}}
	x := &match{rule: &rule.Rule{SID: 1, Priority: 1, Classtype: classtype, Metadata: []rule.KeyValue{{Key: "attack_class", Value: class}}},
		hasFlow: true, ipVersion: 4, client: address(5, true), server: address(1, false), clientPort: 50000, serverPort: 53, proven: true}
	change(x)
	o, ok := m.observation(x)
	if !ok {
		t.Fatal("no observation")
	}
	return o
}

func TestAResolverIsNoOrigin(t *testing.T) {
	dns := func(x *match) { x.app, x.domain = "dns", "example.com" }
	if o := observed(t, "tunnel", "trojan-activity", dns); o.Origin.IsValid() || o.OriginDomain != "example.com" || o.Subject.String() != "10.0.0.5" {
		t.Errorf("a tunnel through DNS: %+v", o)
	}
	if o := observed(t, "tunnel", "trojan-activity", func(x *match) { x.app = "dns" }); o.Origin.String() != "203.0.0.1" || o.OriginDomain != "" {
		t.Errorf("a tunnel to a server asked for names that nobody registered: %+v", o)
	}
	if o := observed(t, "dga", "trojan-activity", dns); o.Origin.IsValid() || o.OriginDomain != "" || o.Subject.String() != "10.0.0.5" {
		t.Errorf("generated names: %+v", o)
	}
	if o := observed(t, "c2", "trojan-activity", func(x *match) { x.app = "tls" }); o.Origin.String() != "203.0.0.1" || o.Subject.String() != "10.0.0.5" {
		t.Errorf("orders over TLS: %+v", o)
	}
}

func TestAnswersTellTheResult(t *testing.T) {
	for classtype, want := range map[string]string{"successful-admin": attack.Succeeded, "unsuccessful-user": attack.Failed, "attempted-admin": ""} {
		if o := observed(t, "exploit", classtype, func(*match) {}); o.Result != want {
			t.Errorf("%s: result %q, want %q", classtype, o.Result, want)
		}
	}
	m := &merger{set: &settings{}}
	if o := m.fromFinding(&behaviour.Finding{Refused: true, Result: "unknown"}); !o.Refused || o.Result != "" {
		t.Errorf("refused by all: %+v", o)
	}
}
