package attack

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
	"strconv"
)

// Bounds of what one account keeps, against attackers who invent names.
const (
	listMax    = 128  // targets, ports, alerts, techniques
	flowsMax   = 256  // flows counted exactly
	sourcesMax = 1024 // claimed sources counted exactly
	sourcesTop = 100  // shown
)

// piece is a maximal chain of observations of one key inside one cell of the span's grid.
type piece struct {
	Cell       int64    `json:"cell"`
	First      int64    `json:"first"`
	Last       int64    `json:"last"`
	ClosedAt   int64    `json:"closed_at,omitempty"`
	Opened     int64    `json:"opened,omitempty"`
	ID         uint64   `json:"id,omitempty"`
	Passed     bool     `json:"passed,omitempty"`    // an attack: one strong observation, or the threshold
	Continues  bool     `json:"continues,omitempty"` // already counted before the grid line
	EndOfInput bool     `json:"end,omitempty"`
	Severity   uint8    `json:"severity"`
	Incident   uint64   `json:"incident,omitempty"`
	Merged     []uint64 `json:"merged,omitempty"`
	Weak       []weak   `json:"weak,omitempty"`
	Parts      []part   `json:"parts"`
	Proto      uint8    `json:"proto,omitempty"` // of the smallest number seen
	Seen       flags    `json:"seen"`
	Targets    bag      `json:"targets"`
	Ports      bag      `json:"ports"`
	Sources    bag      `json:"sources"`
	Alerts     bag      `json:"alerts"`
	Techniques bag      `json:"techniques"`
	Detectors  bag      `json:"detectors"`
	Flows      bag      `json:"flows"`
	dead       bool
	one        [1]part // room for the first of Parts
}

// flags are what any observation of a piece showed.
type flags uint16

const (
	sawSucceeded flags = 1 << iota
	sawFailed
	sawDecoy
	sawReal // a target that is no decoy
	sawRefused
	sawUnrefused
	sawStopped
	sawPassed
	sawInside
	sawOutside
	sawProven
	sawTold // the verdict's decision was told
	sawCut  // the shield cut it off: a block or limit acts because of it
)

// weak is a weak observation (or N of one time and target), kept until the threshold is passed.
type weak struct {
	T      int64      `json:"t"`
	Target netip.Addr `json:"a"`
	N      uint32     `json:"n"`
}

// part is the figures of one sensor; Serial tells apart pieces of one sensor that were joined later.
type part struct {
	Sensor         uint32 `json:"sensor"`
	Serial         uint64 `json:"serial"` // smallest packet number
	Observations   uint64 `json:"n"`
	Packets        uint64 `json:"packets"`
	Bytes          uint64 `json:"bytes"`
	PacketsStopped uint64 `json:"packets_stopped,omitempty"`
	BytesStopped   uint64 `json:"bytes_stopped,omitempty"`
}

// spareMost is how many closed pieces are kept to be used again.
const spareMost = 256

func (a *Accounts) newPiece(cell, t int64) *piece {
	p := (*piece)(nil)
	if n := len(a.spare); n > 0 {
		p, a.spare = a.spare[n-1], a.spare[:n-1]
	} else {
		p = &piece{}
	}
	*p = piece{Cell: cell, First: t, Last: t, Severity: 4}
	p.Parts = p.one[:0]
	p.limits()
	return p
}

func (p *piece) limits() {
	p.Targets.limit, p.Ports.limit, p.Alerts.limit, p.Techniques.limit, p.Detectors.limit = listMax, listMax, listMax, listMax, listMax
	p.Flows.limit, p.Sources.limit = flowsMax, sourcesMax
}

// closing is when the piece closes if nothing more comes: after its gap, at the latest at the grid line.
func (p *piece) closing(class uint8) int64 {
	c := &table[class]
	return min(p.Last+int64(c.Gap), (p.Cell+1)*int64(c.Span))
}

// fill takes an observation into the piece and reports whether it was a weak one that may pass the threshold.
func (a *Accounts) fill(p *piece, o *Observation) (weakly bool) {
	c := &table[ClassIndex(o.Class)]
	severity := c.Severity
	if o.Severity != 0 {
		severity = max(severity, min(o.Severity, 4))
	}
	p.Severity = min(p.Severity, severity)
	a.count(p, o)
	a.lists(p, o, c)
	p.Seen |= a.flags(o)
	switch {
	case p.Passed:
	case severity <= 2, o.Detector != "" && severity == 3:
		p.Passed = true
	default:
		p.remember(weak{o.Time, o.Target.Unmap(), 1}, c.Threshold.Observations)
		return true
	}
	return false
}

func (a *Accounts) count(p *piece, o *Observation) {
	i := slices.IndexFunc(p.Parts, func(x part) bool { return x.Sensor == a.cfg.Sensor })
	if i < 0 {
		i = len(p.Parts)
		p.Parts = append(p.Parts, part{Sensor: a.cfg.Sensor, Serial: o.Number})
		p.Proto = o.Proto
	}
	x := &p.Parts[i]
	if o.Number < x.Serial {
		x.Serial, p.Proto = o.Number, o.Proto
	}
	x.Observations++
	x.Packets += o.Packets
	x.Bytes += o.Bytes
	if o.Stopped {
		x.PacketsStopped += o.Packets
		x.BytesStopped += o.Bytes
	}
}

func (a *Accounts) lists(p *piece, o *Observation, c *Class) {
	if o.Target.IsValid() {
		p.Targets.add(o.Target.Unmap().String(), 1)
	}
	if o.TargetPort != 0 {
		p.Ports.add(strconv.Itoa(int(o.TargetPort)), 1)
	}
	if o.Origin.IsValid() {
		p.Sources.add(o.Origin.Unmap().String(), 1)
	}
	if o.SID != 0 {
		p.Alerts.add(a.alertName(o), 1)
	}
	for _, t := range o.Techniques {
		p.Techniques.add(t, 1)
	}
	if len(o.Techniques) == 0 {
		p.Techniques.add(c.Techniques[0], 1)
	}
	if o.Detector != "" {
		p.Detectors.add(o.Detector+": "+o.Text, 1)
	}
	if o.FlowID != 0 {
		p.Flows.add(strconv.FormatUint(o.FlowID, 36), 1)
	}
}

func (a *Accounts) flags(o *Observation) (f flags) {
	set := func(yes bool, is, not flags) {
		if yes {
			f |= is
		} else {
			f |= not
		}
	}
	set(o.Result == Succeeded, sawSucceeded, 0)
	set(o.Result == Failed, sawFailed, 0)
	set(o.Target.IsValid() && a.cfg.Decoy(o.Target.Unmap()), sawDecoy, sawReal)
	set(o.Refused && !o.Stopped, sawRefused, sawUnrefused)
	set(o.Stopped, sawStopped, sawPassed)
	set(o.Passed, sawPassed, 0)
	set(a.inside(o), sawInside, sawOutside)
	set(o.Proven, sawProven, 0)
	return f
}

func (a *Accounts) inside(o *Observation) bool {
	switch {
	case o.Class == "dga":
		return o.Subject.IsValid() && a.cfg.Protected(o.Subject.Unmap())
	case o.Proven && o.Origin.IsValid():
		return a.cfg.Protected(o.Origin.Unmap())
	}
	return o.InsideFrame
}

// remember keeps a weak observation, sorted; of too many the newest stay.
func (p *piece) remember(w weak, need int) {
	at, same := slices.BinarySearchFunc(p.Weak, w, weak.compare)
	if same {
		p.Weak[at].N += w.N
	} else {
		p.Weak = slices.Insert(p.Weak, at, w)
	}
	p.Weak = bounded(p.Weak, need)
}

func bounded(list []weak, need int) []weak {
	if most := 4*need + 64; len(list) > most {
		list = slices.Delete(list, 0, len(list)-most)
	}
	return list
}

func (w weak) compare(o weak) int { return cmp.Or(cmp.Compare(w.T, o.T), w.Target.Compare(o.Target)) }

// reaches says whether some window of the list, which is sorted, reaches the threshold.
func reaches(list []weak, th Threshold) bool {
	left, n := 0, 0
	targets := map[netip.Addr]int{}
	for _, w := range list {
		n += int(w.N)
		targets[w.Target]++
		for w.T-list[left].T > int64(th.Window) {
			out := list[left]
			n -= int(out.N)
			if targets[out.Target]--; targets[out.Target] == 0 {
				delete(targets, out.Target)
			}
			left++
		}
		if n >= th.Observations && len(targets) >= th.Targets {
			return true
		}
	}
	return false
}

// total is the piece's figures: of each sensor the sum of its parts, of the sensors the largest,
// for they may have seen the same packets.
func (p *piece) total() part {
	var best, sum part
	for i, x := range p.Parts {
		if i > 0 && x.Sensor != p.Parts[i-1].Sensor {
			sum = part{}
		}
		sum.Sensor = x.Sensor
		sum.add(x)
		best = part{
			Observations: max(best.Observations, sum.Observations), Packets: max(best.Packets, sum.Packets), Bytes: max(best.Bytes, sum.Bytes),
			PacketsStopped: max(best.PacketsStopped, sum.PacketsStopped), BytesStopped: max(best.BytesStopped, sum.BytesStopped),
		}
	}
	return best
}

func (x *part) add(o part) {
	x.Observations += o.Observations
	x.Packets += o.Packets
	x.Bytes += o.Bytes
	x.PacketsStopped += o.PacketsStopped
	x.BytesStopped += o.BytesStopped
}

// join takes q into p. sum: both are of this sensor and hold different observations; otherwise they may
// hold the same ones, and of each figure the larger stands, which makes merging idempotent.
func (p *piece) join(q *piece, sum bool) {
	p.First, p.Last, p.Cell = min(p.First, q.First), max(p.Last, q.Last), max(p.Cell, q.Cell)
	p.Severity = min(p.Severity, q.Severity)
	p.Passed = p.Passed || q.Passed
	p.Continues = p.Continues || q.Continues
	p.Seen |= q.Seen
	p.joinIDs(q)
	p.joinParts(q, sum)
	for _, b := range [][2]*bag{{&p.Targets, &q.Targets}, {&p.Ports, &q.Ports}, {&p.Sources, &q.Sources}, {&p.Alerts, &q.Alerts},
		{&p.Techniques, &q.Techniques}, {&p.Detectors, &q.Detectors}, {&p.Flows, &q.Flows}} {
		b[0].merge(b[1], sum)
	}
	p.joinWeak(q, sum)
	if p.Passed {
		p.Weak = nil
	}
}

func (p *piece) joinIDs(q *piece) {
	if q.ID == 0 {
		return
	}
	if p.ID == 0 || q.ID < p.ID {
		p.ID, q.ID = q.ID, p.ID
		p.Opened, p.Incident = q.Opened, q.Incident
	}
	for _, id := range append(q.Merged, q.ID) {
		if id != 0 && id != p.ID && len(p.Merged) < listMax && !slices.Contains(p.Merged, id) {
			p.Merged = append(p.Merged, id)
		}
	}
	slices.Sort(p.Merged)
}

// serial is the smallest packet number of any sensor.
func (p *piece) serial() uint64 {
	least := uint64(math.MaxUint64)
	for _, x := range p.Parts {
		least = min(least, x.Serial)
	}
	return least
}

func (p *piece) joinParts(q *piece, sum bool) {
	if q.serial() < p.serial() {
		p.Proto = q.Proto
	}
	for _, y := range q.Parts {
		i := slices.IndexFunc(p.Parts, func(x part) bool { return x.Sensor == y.Sensor && (sum || x.Serial == y.Serial) })
		switch {
		case i < 0:
			p.Parts = append(p.Parts, y)
		case sum:
			p.Parts[i].Serial = min(p.Parts[i].Serial, y.Serial)
			p.Parts[i].add(y)
		default:
			x := &p.Parts[i]
			x.Observations, x.Packets, x.Bytes = max(x.Observations, y.Observations), max(x.Packets, y.Packets), max(x.Bytes, y.Bytes)
			x.PacketsStopped, x.BytesStopped = max(x.PacketsStopped, y.PacketsStopped), max(x.BytesStopped, y.BytesStopped)
		}
	}
	slices.SortFunc(p.Parts, func(x, y part) int {
		return cmp.Or(cmp.Compare(x.Sensor, y.Sensor), cmp.Compare(x.Serial, y.Serial))
	})
}

func (p *piece) joinWeak(q *piece, sum bool) {
	for _, w := range q.Weak {
		at, same := slices.BinarySearchFunc(p.Weak, w, weak.compare)
		switch {
		case same && sum:
			p.Weak[at].N += w.N
		case same:
			p.Weak[at].N = max(p.Weak[at].N, w.N)
		default:
			p.Weak = slices.Insert(p.Weak, at, w)
		}
	}
}

// continueFrom makes p a later piece of an attack counted before.
func (p *piece) continueFrom(prev *tail) {
	if p.ID != 0 && p.ID != prev.ID {
		p.Merged = append(p.Merged, p.ID)
	}
	p.ID, p.Passed, p.Continues, p.Incident, p.Weak = prev.ID, true, true, prev.Incident, nil
}

// rule names a rule, alertText is what alertName made of its last observation.
type (
	rule      struct{ gid, sid, rev uint32 }
	alertText struct{ msg, name string }
)

// alertsMost bounds the names of rules that are held; there are about as many rules.
const alertsMost = 65536

// alertName is a rule in one word, from which alerts reads it again.
func (a *Accounts) alertName(o *Observation) string {
	r := rule{o.GID, o.SID, o.Rev}
	if t, ok := a.alerts[r]; ok && t.msg == o.Msg {
		return t.name
	}
	if a.alerts == nil || len(a.alerts) >= alertsMost {
		a.alerts = map[rule]alertText{}
	}
	name := alertName(o)
	a.alerts[r] = alertText{o.Msg, name}
	return name
}

func alertName(o *Observation) string {
	b := make([]byte, 0, 24+len(o.Msg))
	b = strconv.AppendUint(b, uint64(o.GID), 10)
	b = strconv.AppendUint(append(b, ':'), uint64(o.SID), 10)
	b = strconv.AppendUint(append(b, ':'), uint64(o.Rev), 10)
	return string(append(append(b, ':'), o.Msg...))
}
