package ledger

import (
	"slices"

	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/figures"
)

// Face is one interface of a live run: what it is, and the fate of its packets.
type Face struct {
	Name, Mode, OnFailure, Filter string // as capture.Face has them
	Down                          bool
	Ledger
	Why             [capture.Reasons]uint64 // of those bypassed
	Barred, Damaged uint64                  // of those shed: their source is blocked; their ring block's headers lie
}

// Part is the ledger of some stretch of packets, in all and, of live traffic, by interface.
type Part struct {
	Ledger
	Faces []Face
}

// Count adds a frame that came in on an interface; of a recording interfaces are not told apart.
func (p *Part) Count(iface uint16, f Fate) {
	p.Ledger.count(f)
	if int(iface) < len(p.Faces) {
		x := &p.Faces[iface]
		x.count(f)
		if f == Barred {
			x.Barred++
		}
	}
}

// Add adds another part.
func (p *Part) Add(o *Part) {
	p.Ledger.Add(o.Ledger)
	for len(p.Faces) < len(o.Faces) {
		p.Faces = append(p.Faces, Face{})
	}
	for i := range o.Faces {
		x, y := &p.Faces[i], &o.Faces[i]
		x.Ledger.Add(y.Ledger)
		x.Barred += y.Barred
		x.Damaged += y.Damaged
		for why, n := range y.Why {
			x.Why[why] += n
		}
		if y.Name != "" { // its source was asked
			x.Name, x.Mode, x.OnFailure, x.Filter, x.Down = y.Name, y.Mode, y.OnFailure, y.Filter, y.Down
		}
	}
}

// Reset empties the part for another stretch.
func (p *Part) Reset() {
	p.Ledger = Ledger{}
	clear(p.Faces)
}

// WhyBypassed are all packets that were let through uninspected, by why; nil for none.
func (p *Part) WhyBypassed() map[string]uint64 {
	var all [capture.Reasons]uint64
	for i := range p.Faces {
		for why, n := range p.Faces[i].Why {
			all[why] += n
		}
	}
	return reasons(&all)
}

// WhyShed are all packets that were taken and not inspected, by why; nil for none.
func (p *Part) WhyShed() map[string]uint64 {
	var barred, damaged uint64
	for i := range p.Faces {
		barred, damaged = barred+p.Faces[i].Barred, damaged+p.Faces[i].Damaged
	}
	return shed(barred, damaged)
}

func reasons(why *[capture.Reasons]uint64) (m map[string]uint64) {
	for i, n := range why {
		m = put(m, capture.Reason(i).String(), n)
	}
	return m
}

func shed(barred, damaged uint64) map[string]uint64 {
	return put(put(nil, "blocked", barred), "damaged", damaged)
}

func put(m map[string]uint64, name string, n uint64) map[string]uint64 {
	if n == 0 {
		return m
	}
	if m == nil {
		m = map[string]uint64{}
	}
	m[name] = n
	return m
}

// Figures are the interfaces as others read them.
func (p *Part) Figures() []figures.Face {
	all := make([]figures.Face, 0, len(p.Faces))
	for i := range p.Faces {
		f := &p.Faces[i]
		all = append(all, figures.Face{Name: f.Name, Mode: f.Mode, OnFailure: f.OnFailure, Filter: f.Filter, Up: !f.Down,
			Ledger: figures.Ledger(f.Ledger), BypassedBy: reasons(&f.Why), ShedBy: shed(f.Barred, f.Damaged)})
	}
	return all
}

// Names are the interfaces of live sources side by side, and where those of each source begin among them: sources that
// share interfaces, as workers do, name them in the same order.
func Names(sources []capture.Live) (names []string, first []int) {
	for _, s := range sources {
		own := s.Interfaces()
		at := 0
		if len(names) > 0 && !slices.Equal(own, names[:min(len(own), len(names))]) {
			at = len(names)
		}
		if at == len(names) {
			names = append(names, own...)
		}
		first = append(first, at)
	}
	return names, first
}

// Tally takes over what a live source counts. Owner: the source's goroutine.
type Tally struct {
	source capture.Live
	first  int
	now    []capture.Face
	last   []capture.Stats
	Unsent uint64 // frames that were accepted and could not be sent on
}

// Open takes a source whose interfaces begin at first.
func (t *Tally) Open(source capture.Live, first int) { t.source, t.first = source, first }

// Look adds what the source counted since the last look and no worker sees to p. A source that does not tell its
// interfaces apart has all of that on the first.
func (t *Tally) Look(p *Part) {
	if x, ok := t.source.(capture.Apart); ok {
		t.now = x.Faces(t.now[:0])
	} else {
		t.now = t.now[:0]
		for _, name := range t.source.Interfaces() {
			t.now = append(t.now, capture.Face{Name: name})
		}
		t.now[0].Stats = t.source.Stats()
	}
	for len(t.last) < len(t.now) {
		t.last = append(t.last, capture.Stats{})
	}
	for len(p.Faces) < t.first+len(t.now) {
		p.Faces = append(p.Faces, Face{})
	}
	t.Unsent = 0
	for i := range t.now {
		f, was := &t.now[i], &t.last[i]
		l := Ledger{Bypassed: f.Bypassed - was.Bypassed, KernelDrops: f.Dropped - was.Dropped, Shed: f.Damaged - was.Damaged}
		l.Received = l.Bypassed + l.KernelDrops + l.Shed
		p.Ledger.Add(l)
		x := &p.Faces[t.first+i]
		x.Ledger.Add(l)
		x.Damaged += l.Shed
		for why, n := range f.Why {
			x.Why[why] += n - was.Why[why]
		}
		x.Name, x.Mode, x.OnFailure, x.Filter, x.Down = f.Name, f.Mode, f.OnFailure, f.Filter, f.Down
		*was = f.Stats
		t.Unsent += f.Unsent
	}
}
