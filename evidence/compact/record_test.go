package compact

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/dejpha/dejpha/attack"
)

// odd are strings that no parser and no quoting may trip over.
var odd = []string{"", "x", "10.0.0.1", "10.0.0.0/24", "2001:db8::/64", "2001:DB8::1", "2001:db8::1", "fe80::1%eth0", "::ffff:10.0.0.1", "2001:db8::1/64", "2001:db8::/48",
	"010.0.0.1", "a \"quote\" \\ and <tag> & more\n", "\xff\xfe broken", "\u2028 é 日本", "T1110.001", "T0046", "T0000", "T1110.000", "T11100", "t1110", "T1110.1", "unproven", "example.org", "aa:bb:cc:dd:ee:ff"}

func made(r *rand.Rand) attack.Record {
	word := func() string { return odd[r.IntN(len(odd))] }
	words := func(most int) (out []string) {
		for range r.IntN(most) {
			out = append(out, word())
		}
		return out
	}
	pick := func(list []string) string { return list[r.IntN(len(list))] }
	num := func() uint64 { return r.Uint64() >> r.IntN(64) }
	x := attack.Record{
		ID: num(), State: pick(states), Class: attack.Table()[r.IntN(len(attack.Table()))].Name, Techniques: words(3), Severity: uint8(r.IntN(5)),
		Risk: pick(risks), Side: pick(sides), Outcome: pick(outcomes), Result: pick(results), Overflow: r.IntN(2) == 0, EndOfInput: r.IntN(2) == 0,
		FirstSeen: int64(num() >> 1), LastSeen: int64(num() >> 1), ClosedAt: int64(num() >> 1), OpenedAt: int64(num() >> 1),
		Observations: num(), Flows: num(), Packets: num(), Bytes: num(), PacketsStopped: num(), BytesStopped: num() * uint64(r.IntN(2)), Incident: num(),
		Subject: word(), Detectors: words(3), Evidence: attack.Evidence{Leaf: -1},
		Target: attack.Target{Group: word(), IPs: words(4), Count: num(), Proto: uint8(r.IntN(256))},
	}
	if r.IntN(2) == 0 {
		x.FirstSeen, x.LastSeen, x.ClosedAt, x.OpenedAt = x.FirstSeen/1000*1000, x.LastSeen/1000*1000, x.ClosedAt/1000*1000, x.OpenedAt/1000*1000
	}
	switch r.IntN(5) {
	case 0:
		x.Origin.IP = word()
	case 1:
		x.Origin.Prefix = word()
	case 2:
		x.Origin.MAC, x.Origin.VLAN = word(), uint16(num())
	case 3:
		x.Origin.Domain = word()
	}
	x.Origin.Proven, x.Origin.Count, x.Origin.Country, x.Origin.ASN = r.IntN(2) == 0, num(), word(), uint32(num())
	for range r.IntN(3) {
		x.Origin.Sources = append(x.Origin.Sources, attack.Source{IP: word(), Count: num()})
		x.Target.Ports = append(x.Target.Ports, uint16(num()))
		x.Merged = append(x.Merged, num())
		x.Alerts = append(x.Alerts, attack.AlertCount{SID: uint32(num()), GID: uint32(num()), Rev: uint32(num()), Msg: word(), Count: num()})
	}
	if r.IntN(2) == 0 {
		x.Evidence.Packets = fmt.Sprintf("%064x", num())
	}
	return x
}

// held gives every other text a position.
type held struct{ list []string }

func (h *held) ref(s string) (uint64, bool) {
	if len(s)%2 == 1 {
		return 0, false
	}
	h.list = append(h.list, s)
	return uint64(len(h.list) - 1), true
}

func (h *held) text(at uint64) (string, error) {
	if at >= uint64(len(h.list)) {
		return "", ErrShort
	}
	return h.list[at], nil
}

func rounds() int {
	if testing.Short() {
		return 1000
	}
	return 20000
}

func TestShortFormGivesTheRecordBack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range rounds() {
		x, h := made(r), held{}
		b, err := Append(nil, &x, h.ref)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Read(b, h.text)
		if err != nil || !reflect.DeepEqual(back, x) {
			t.Fatalf("record %d: %v\n%+v\n%+v", i, err, x, back)
		}
		for n := range b {
			if _, err := Read(b[:n], h.text); err == nil {
				t.Fatalf("record %d is read from %d of %d bytes", i, n, len(b))
			}
		}
	}
}

func TestValuesAreThoseOfEncodingJSON(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var v Values
	for range rounds() {
		x := made(r)
		v.Append(&x)
		rest := x
		rest.Origin, rest.Target, rest.Alerts, rest.Detectors, rest.Subject, rest.Story = attack.Origin{}, attack.Target{}, nil, nil, "", ""
		rest.Evidence = attack.Evidence{}
		for name, p := range map[string]struct {
			have []byte
			of   any
		}{"origin": {v.Origin, x.Origin}, "target": {v.Target, x.Target}, "alerts": {v.Alerts, x.Alerts}, "detectors": {v.Detectors, x.Detectors}, "rest": {v.Rest, rest}} {
			if want, _ := json.Marshal(p.of); string(want) != string(p.have) {
				t.Fatalf("%s:\n%s\n%s", name, p.have, want)
			}
		}
	}
}

func FuzzRead(f *testing.F) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 20 {
		x, h := made(r), held{}
		b, _ := Append(nil, &x, h.ref)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h := held{list: odd}
		x, err := Read(b, h.text)
		if err != nil {
			return
		}
		again, err := Append(nil, &x, func(string) (uint64, bool) { return 0, false })
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if y, err := Read(again, h.text); err != nil || !reflect.DeepEqual(x, y) {
			t.Fatalf("%v\n%+v\n%+v", err, x, y)
		}
	})
}

func TestSizeOfAnOrdinaryAttack(t *testing.T) {
	at := int64(1_767_225_600_123_456_000)
	x := attack.Record{ID: 33_000_000, State: "closed", Class: "web-attack", Techniques: []string{"T1190"}, Severity: 2, Risk: attack.Real, Side: attack.Outside, Outcome: attack.Observed, Result: attack.Unknown,
		Origin: attack.Origin{IP: "203.0.113.7", Proven: true, Count: 1}, Target: attack.Target{Group: "10.1.2.0/24", IPs: []string{"10.1.2.3"}, Ports: []uint16{443}, Count: 1, Proto: 6},
		FirstSeen: at, LastSeen: at, OpenedAt: at, ClosedAt: at + 300e9, Observations: 1, Flows: 1, Packets: 1, Bytes: 300, Incident: 32_000_000,
		Alerts: []attack.AlertCount{{SID: 7000001, GID: 1, Rev: 1, Msg: "dejpha SQL injection: UNION SELECT in URI", Count: 1}}}
	b, err := Append(nil, &x, func(string) (uint64, bool) { return 12345, true })
	if err != nil || len(b) > 80 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}
