package attack

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// record renders a piece as the attack's record.
func (a *Accounts) record(acc *account, p *piece, state string) Record {
	c, sum := &table[acc.key.Class], p.total()
	r := Record{
		ID: p.ID, State: state, Class: c.Name, Techniques: p.Techniques.names(), Severity: p.Severity,
		Risk: p.risk(), Side: Outside, Origin: p.origin(acc.key), Target: p.target(acc.key),
		Outcome: a.outcome(p), Result: p.result(), Authorised: acc.key.Authorised, Overflow: acc.key.Overflow,
		EndOfInput: p.EndOfInput, FirstSeen: p.First, LastSeen: p.Last, ClosedAt: p.ClosedAt, OpenedAt: p.Opened,
		Observations: sum.Observations, Alerts: p.alerts(), Detectors: p.Detectors.names(), Flows: p.Flows.distinct(),
		Packets: sum.Packets, Bytes: sum.Bytes, PacketsStopped: sum.PacketsStopped, BytesStopped: sum.BytesStopped,
		Evidence: Evidence{Leaf: -1}, Incident: p.Incident, Merged: slices.Clone(p.Merged),
	}
	if p.Seen&sawInside != 0 && p.Seen&sawOutside == 0 {
		r.Side = Inside
	}
	if acc.key.Subject.IsValid() {
		r.Subject = acc.key.Subject.String()
	}
	r.Story = r.story(c)
	return r
}

func (p *piece) risk() string {
	switch {
	case p.Seen&sawDecoy != 0 && p.Seen&sawReal == 0:
		return Decoy
	case p.Seen&sawRefused != 0 && p.Seen&sawUnrefused == 0:
		return NoRisk
	}
	return Real
}

func (p *piece) result() string {
	switch {
	case p.Seen&sawSucceeded != 0:
		return Succeeded
	case p.Seen&sawFailed != 0:
		return Failed
	}
	return Unknown
}

// outcome is observed on recordings, whatever would have been done.
func (a *Accounts) outcome(p *piece) string {
	switch {
	case !a.cfg.Live || p.Seen&(sawStopped|sawCut) == 0:
		return Observed
	case p.Seen&sawPassed != 0:
		return Contained
	}
	return Foiled
}

func (p *piece) origin(k Key) Origin {
	o := Origin{Proven: p.Seen&sawProven != 0 && k.Origin != "unproven", Count: p.Sources.distinct()}
	kind, rest, _ := strings.Cut(k.Origin, " ")
	switch kind {
	case "ip":
		o.IP = rest
	case "net":
		o.Prefix = rest
	case "dom":
		o.Domain = rest
	case "mac":
		o.Proven = false // anybody on the wire can send under any hardware address
		mac, vlan, _ := strings.Cut(rest, " ")
		n, _ := strconv.Atoi(vlan)
		o.MAC, o.VLAN = mac, uint16(n)
	}
	if kind != "ip" {
		for _, ip := range p.Sources.most(sourcesTop) {
			o.Sources = append(o.Sources, Source{ip, p.Sources.counts[ip]})
		}
	}
	return o
}

func (p *piece) target(k Key) Target {
	t := Target{Group: k.Group, IPs: p.Targets.names(), Count: p.Targets.distinct(), Proto: p.Proto}
	for _, s := range p.Ports.names() {
		n, _ := strconv.Atoi(s)
		t.Ports = append(t.Ports, uint16(n))
	}
	slices.Sort(t.Ports)
	return t
}

func (p *piece) alerts() []AlertCount {
	var out []AlertCount
	for name, n := range p.Alerts.counts {
		f := strings.SplitN(name, ":", 4)
		if len(f) != 4 {
			continue
		}
		num := func(s string) uint32 {
			v, _ := strconv.ParseUint(s, 10, 32)
			return uint32(v)
		}
		out = append(out, AlertCount{SID: num(f[1]), GID: num(f[0]), Rev: num(f[2]), Msg: f[3], Count: n})
	}
	slices.SortFunc(out, func(x, y AlertCount) int {
		return cmp.Or(cmp.Compare(x.SID, y.SID), cmp.Compare(x.GID, y.GID), cmp.Compare(x.Rev, y.Rev), cmp.Compare(x.Msg, y.Msg))
	})
	return out
}

// story is two sentences a person understands, rendered from the fields alone.
func (r *Record) story(c *Class) string {
	var b strings.Builder
	b.WriteString(r.who())
	b.WriteString(" " + c.Act + " " + r.whom(c))
	if from, to := clock(r.FirstSeen), clock(r.LastSeen); from == to {
		b.WriteString(" at " + from + " UTC, " + r.seenBy() + ". ")
	} else {
		b.WriteString(" between " + from + " and " + to + " UTC, " + r.seenBy() + ". ")
	}
	b.WriteString(plural(r.Observations, "observation"))
	if r.Flows > 0 {
		b.WriteString(" in " + plural(r.Flows, "flow"))
	}
	switch r.Result {
	case Succeeded:
		b.WriteString("; the target's answers show that it succeeded")
	case Failed:
		b.WriteString("; the target's answers show that it failed")
	default:
		b.WriteString("; the target's answers do not tell whether it succeeded")
	}
	switch r.Outcome {
	case Foiled:
		b.WriteString(", and the shield stopped all of it.")
	case Contained:
		b.WriteString(", and the shield stopped a part of it.")
	default:
		b.WriteString(", and the shield did not act.")
	}
	return b.String()
}

func (r *Record) who() string {
	switch o := &r.Origin; {
	case r.Overflow:
		return "Several origins, merged when too many accounts were open,"
	case r.Class == "dga" && r.Subject != "":
		return "Host " + r.Subject
	case o.IP+o.Prefix+o.Domain+o.MAC == "":
		return "An unproven origin (" + plural(o.Count, "claimed source") + ")"
	}
	return r.OriginText()
}

func (r *Record) whom(c *Class) string {
	switch {
	case c.Name == "dga":
		return "look-ups of generated names"
	case r.Subject != "":
		return r.Subject
	case r.Target.Count == 1:
		s := r.Target.IPs[0]
		if len(r.Target.Ports) == 1 {
			s += " port " + strconv.Itoa(int(r.Target.Ports[0]))
		}
		return s
	case r.Target.Count == 0:
		return "hosts of this network"
	}
	return strconv.FormatUint(r.Target.Count, 10) + " addresses of " + r.Target.Group
}

func (r *Record) seenBy() string {
	switch {
	case len(r.Detectors) > 0:
		return "seen by " + clean(r.Detectors[0])
	case len(r.Alerts) > 0:
		return "seen by rule " + strconv.Itoa(int(r.Alerts[0].SID)) + " (" + clean(r.Alerts[0].Msg) + ")"
	}
	return "seen by its traffic"
}

// clean keeps traffic's bytes from ending the story's sentence or a line.
func clean(s string) string {
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return '?'
		}
		return c
	}, s)
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "")
	}
	return strings.TrimRight(strings.ReplaceAll(s, ". ", ", "), ".: ")
}

func clock(ns int64) string { return time.Unix(0, ns).UTC().Format("2006-01-02 15:04:05") }

func plural(n uint64, word string) string {
	s := strconv.FormatUint(n, 10) + " " + word
	if n != 1 {
		s += "s"
	}
	return s
}

// Retell renders the story from the record's other fields again.
func (r *Record) Retell() {
	if i := ClassIndex(r.Class); i >= 0 {
		r.Story = r.story(&table[i])
	}
}
