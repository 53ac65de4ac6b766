package shield

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/decode"
)

// verdictsOf takes a conversation of one connection through a worker: the handshake, then what the client says.
func verdictsOf(t *testing.T, rules string, inline bool, says ...string) (verdicts []capture.Verdict, matches uint64) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "own.rules")
	if err := os.WriteFile(name, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	setup, err := NewSetup(SetupOptions{Detectors: true, Workers: 1, Checksums: "none", OnlyRules: []string{name}, SimulateIPS: inline})
	if err != nil {
		t.Fatal(err)
	}
	if len(setup.Refused) > 0 {
		t.Fatal(setup.Refused)
	}
	w := newWorker(&setup.settings, 0)
	w.out = &epoch{}
	var got []capture.Verdict
	number := uint64(0)
	send := func(b []byte) {
		number++
		got = append(got, w.frame(&capture.Frame{Data: b, WireLen: uint32(len(b)), LinkType: 1}, number, 1700000000e9+int64(number)*1e6))
	}
	x := &wire{seq: [2]uint32{1000, 9000}}
	send(x.frame(0, decode.SYN, nil))
	send(x.frame(1, decode.SYN|decode.ACK, nil))
	send(x.frame(0, decode.ACK, nil))
	for _, s := range says {
		send(x.frame(0, decode.ACK|decode.PSH, []byte(s)))
	}
	return got, w.counts.Matches
}

// A drop rule on a stream stops the packet that completes its match and the rest of the flow, a rule on packets that packet
// alone; who only watches stops nothing, and a pass rule comes first.
func TestVerdicts(t *testing.T) {
	const a, d = capture.Accept, capture.Drop
	const stream, packet = `drop tcp any any -> any any (content:"evil deed"; sid:1;)` + "\n", `drop tcp-pkt any any -> any any (content:"evil deed"; sid:1;)` + "\n"
	says := []string{"fine", "an evil deed", "and more"}
	for name, k := range map[string]struct {
		rules  string
		inline bool
		says   []string
		want   []capture.Verdict
	}{
		"watching":          {stream, false, says, []capture.Verdict{a, a, a, a, a, a}},
		"on the stream":     {stream, true, says, []capture.Verdict{a, a, a, a, d, d}},
		"split over two":    {stream, true, []string{"an evil", " deed", "and more"}, []capture.Verdict{a, a, a, a, d, d}},
		"split over many":   {stream, true, []string{"e", "v", "i", "l", " d", "e", "e", "d", "and more"}, []capture.Verdict{a, a, a, a, a, a, a, a, a, a, d, d}},
		"alert rules alert": {`alert tcp any any -> any any (content:"evil deed"; sid:1;)`, true, says, []capture.Verdict{a, a, a, a, a, a}},
		"in one packet":     {packet, true, says, []capture.Verdict{a, a, a, a, d, a}},
		"a pass rule first": {stream + `pass tcp any any -> any 7777 (sid:2;)`, true, says, []capture.Verdict{a, a, a, a, a, a}},
		"reject":            {`reject tcp any any -> any any (content:"evil deed"; sid:1;)`, true, says, []capture.Verdict{a, a, a, a, d, d}},
	} {
		if got, _ := verdictsOf(t, k.rules, k.inline, k.says...); !slices.Equal(got, k.want) {
			t.Errorf("%s: %v, want %v", name, got, k.want)
		}
	}
}

// Bytes that are looked at again with the next packet raise no second alert; the same deed further on does.
func TestOneAlertADeed(t *testing.T) {
	rule := `alert tcp any any -> any any (content:"evil deed"; sid:1;)`
	if _, n := verdictsOf(t, rule, true, "an evil", " deed", "and more", "and more", "and more"); n != 1 {
		t.Errorf("%d matches of one deed", n)
	}
	long := strings.Repeat("nothing of interest ", 65)
	if _, n := verdictsOf(t, rule, true, "an evil deed", long, long, "an evil", " deed", "and more"); n != 2 {
		t.Errorf("%d matches of two deeds", n)
	}
}
