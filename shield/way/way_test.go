package way

import (
	"errors"
	"testing"

	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/rule"
)

type sink struct {
	capture.Inline
	to   []uint16
	fail bool
}

func (s *sink) Inject(iface uint16, _ []byte) error {
	if s.fail {
		return errors.New("down")
	}
	s.to = append(s.to, iface)
	return nil
}

// Whoever a rule names is told once for a packet, on the interface where it is.
func TestNotice(t *testing.T) {
	frame := []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 40, 0, 9, 0, 0, 7, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2,
		0x9c, 0x40, 0, 80, 0, 0, 4, 0, 0, 0, 8, 0, 0x50, 16, 1, 0, 0, 0, 0, 0}
	var d decode.Decoder
	for _, k := range []struct {
		a    rule.Action
		want []uint16
	}{{rule.Drop, nil}, {rule.Reject, []uint16{1}}, {rule.RejectSrc, []uint16{1}}, {rule.RejectDst, []uint16{0}}, {rule.RejectBoth, []uint16{1, 0}}} {
		var n Notice
		p := decode.Packet{Time: 5e9}
		d.Decode(&p, decode.LinkEthernet, frame)
		n.Reset()
		if kind := n.Prepare(&p, k.a); (kind != "") != (k.want != nil) || n.Prepare(&p, k.a) != kind {
			t.Errorf("%d: %q", k.a, kind)
		}
		var s sink
		if told := n.Tell(&s, 1); told != uint64(len(k.want)) || len(s.to) != len(k.want) || len(s.to) > 0 && s.to[0] != k.want[0] {
			t.Errorf("%d: told on %v", k.a, s.to)
		}
		if n.Tell(&sink{fail: true}, 1) != 0 {
			t.Error("counted what was not sent")
		}
		n.Reset()
		if n.Tell(&s, 1) != 0 {
			t.Error("told of the packet before")
		}
	}
}

func TestWords(t *testing.T) {
	g := &capture.Gap{From: 1700000000e9, To: 1700000002.5e9, Passed: 3, Stopped: 4}
	if got := Words(g); got != "unprotected from 2023-11-14T22:13:20Z to 2023-11-14T22:13:22Z (2.5 s): 3 frames passed uninspected, 4 were stopped" {
		t.Error(got)
	}
	if b, err := Public(g); err != nil || string(b) != `{"from":1700000000000000000,"to":1700000002500000000,"passed":3,"stopped":4}` {
		t.Errorf("%s %v", b, err)
	}
}
