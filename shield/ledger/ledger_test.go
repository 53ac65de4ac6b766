package ledger

import (
	"reflect"
	"testing"

	"github.com/dejpha/dejpha/capture"
)

// wire tells its interfaces apart; plain does not.
type plain struct {
	capture.Live
	names []string
	stats capture.Stats
}

func (p *plain) Interfaces() []string { return p.names }
func (p *plain) Stats() capture.Stats { return p.stats }

type wire struct {
	plain
	faces []capture.Face
}

func (w *wire) Faces(into []capture.Face) []capture.Face { return append(into, w.faces...) }

func TestNames(t *testing.T) {
	of := func(names ...string) capture.Live { return &plain{names: names} }
	for _, x := range []struct {
		sources []capture.Live
		names   []string
		first   []int
	}{
		{[]capture.Live{of("a", "b"), of("a", "b")}, []string{"a", "b"}, []int{0, 0}},
		{[]capture.Live{of("nfqueue:0"), of("nfqueue:1"), of("nfqueue:2")}, []string{"nfqueue:0", "nfqueue:1", "nfqueue:2"}, []int{0, 1, 2}},
		{nil, nil, nil},
	} {
		if names, first := Names(x.sources); !reflect.DeepEqual(names, x.names) || !reflect.DeepEqual(first, x.first) {
			t.Errorf("%v %v, expected %v %v", names, first, x.names, x.first)
		}
	}
}

// Every packet has one fate, in all and on its interface, however often the source is asked.
func TestPartBalancesByInterface(t *testing.T) {
	w := &wire{faces: []capture.Face{{Name: "eth0", Mode: "tap", Filter: "not port 22"}, {Name: "eth1", Mode: "tap", Down: true}}}
	var tally, other Tally
	tally.Open(w, 0)
	other.Open(&plain{names: []string{"nfqueue:1"}, stats: capture.Stats{Received: 9, Dropped: 4}}, 2)
	p, sum := Part{Faces: make([]Face, 2)}, Part{}
	for range 2 {
		p.Count(0, Inspected)
		p.Count(0, Barred)
		p.Count(1, Undecodable)
		for i := range w.faces {
			s := &w.faces[i].Stats
			s.Received += 10
			s.Bypassed += 2
			s.Why[capture.ByTLS]++
			s.Why[capture.ByRule]++
			s.Dropped += uint64(i)
			s.Damaged++
		}
		tally.Look(&p)
		other.Look(&p)
		sum.Add(&p)
		p.Reset()
		if p.Received != 0 || p.Faces[0].Received != 0 {
			t.Errorf("something is left: %+v", p)
		}
	}
	var all Ledger
	for i := range sum.Faces {
		all.Add(sum.Faces[i].Ledger)
		if !sum.Faces[i].Balanced() {
			t.Errorf("%+v", sum.Faces[i])
		}
	}
	if want := (Ledger{Received: 24, Inspected: 2, Bypassed: 8, KernelDrops: 6, Shed: 6, Undecodable: 2}); all != want || sum.Ledger != want {
		t.Errorf("interfaces %+v, in all %+v, expected %+v", all, sum.Ledger, want)
	}
	f := sum.Figures()
	if len(f) != 3 || f[0].Name != "eth0" || f[0].Filter != "not port 22" || !f[0].Up || f[1].Up || f[2].Name != "nfqueue:1" || f[2].Ledger.KernelDrops != 4 {
		t.Errorf("%+v", f)
	}
	if want := map[string]uint64{"tls": 2, "rule": 2}; !reflect.DeepEqual(f[0].BypassedBy, want) {
		t.Errorf("bypassed by %v, expected %v", f[0].BypassedBy, want)
	}
	if want := map[string]uint64{"blocked": 2, "damaged": 2}; !reflect.DeepEqual(f[0].ShedBy, want) {
		t.Errorf("shed by %v, expected %v", f[0].ShedBy, want)
	}
	if got := sum.WhyBypassed(); got["tls"] != 4 || got["rule"] != 4 || len(got) != 2 {
		t.Errorf("%v", got)
	}
	if got := sum.WhyShed(); got["blocked"] != 2 || got["damaged"] != 4 {
		t.Errorf("%v", got)
	}
	if (&Part{}).WhyBypassed() != nil {
		t.Error("a reason of nothing")
	}
}

// A source that does not tell its interfaces apart still names them.
func TestEveryInterfaceHasItsName(t *testing.T) {
	var tally Tally
	tally.Open(&plain{names: []string{"eth0", "eth1"}, stats: capture.Stats{Received: 3, Dropped: 3}}, 0)
	var p Part
	tally.Look(&p)
	if f := p.Figures(); len(f) != 2 || f[0].Name != "eth0" || f[1].Name != "eth1" || f[0].Ledger.KernelDrops != 3 || p.KernelDrops != 3 {
		t.Errorf("%+v", f)
	}
}

// A recording's frames name interfaces by the thousand: they are not told apart.
func TestRecordingHasNoInterfaces(t *testing.T) {
	var p Part
	p.Count(65535, Inspected)
	if p.Inspected != 1 || len(p.Faces) != 0 {
		t.Errorf("%+v", p)
	}
}

func TestReasonsAreNamed(t *testing.T) {
	for r := range capture.Reasons {
		if capture.Reason(r).String() == "" {
			t.Errorf("reason %d has no name", r)
		}
	}
	if capture.Reasons > 8 || capture.Reason(200).String() != "" {
		t.Error("a kernel program has room for 8")
	}
}
