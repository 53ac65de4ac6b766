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
			o.Sources = append(o.Sources, Source{ip, p.Sources.of(ip)})
		}
	}
	return o
}

func (p *piece) target(k Key) Target {
	t := Target{Group: k.Group, IPs: p.Targets.names(), Count: p.Targets.distinct(), Proto: p.Proto}
	p.Ports.each(func(name string, _ uint64) {
		n, _ := strconv.ParseUint(name, 10, 16)
		t.Ports = append(t.Ports, uint16(n))
	})
	slices.Sort(t.Ports)
	return t
}

func (p *piece) alerts() []AlertCount {
	var out []AlertCount
	p.Alerts.each(func(name string, n uint64) {
		x, rest := AlertCount{Count: n}, name
		for _, to := range [...]*uint32{&x.GID, &x.SID, &x.Rev} {
			text, after, ok := strings.Cut(rest, ":")
			if !ok {
				return
			}
			v, _ := strconv.ParseUint(text, 10, 32)
			*to, rest = uint32(v), after
		}
		x.Msg = rest
		out = append(out, x)
	})
	slices.SortFunc(out, func(x, y AlertCount) int {
		return cmp.Or(cmp.Compare(x.SID, y.SID), cmp.Compare(x.GID, y.GID), cmp.Compare(x.Rev, y.Rev), cmp.Compare(x.Msg, y.Msg))
	})
	return out
}

// plain says whether nothing of a text needs cleaning.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '.' && i+1 < len(s) && s[i+1] == ' ' {
			return false
		}
	}
	return len(s) <= 200 && (s == "" || s[len(s)-1] != '.' && s[len(s)-1] != ':' && s[len(s)-1] != ' ')
}

// story is two sentences a person understands, rendered from the fields alone.
func (r *Record) story(c *Class) string {
	b := append(make([]byte, 0, 512), r.who()...)
	b = append(append(append(b, ' '), c.Act...), ' ')
	b = r.whom(b, c)
	from, to := r.FirstSeen, r.LastSeen
	if floorDiv(from, 1e9) == floorDiv(to, 1e9) {
		b = appendClock(append(b, " at "...), from)
	} else {
		b = appendClock(append(b, " between "...), from)
		b = appendClock(append(b, " and "...), to)
	}
	b = append(r.seenBy(append(b, " UTC, "...)), ". "...)
	b = appendPlural(b, r.Observations, "observation")
	if r.Flows > 0 {
		b = appendPlural(append(b, " in "...), r.Flows, "flow")
	}
	switch r.Result {
	case Succeeded:
		b = append(b, "; the target's answers show that it succeeded"...)
	case Failed:
		b = append(b, "; the target's answers show that it failed"...)
	default:
		b = append(b, "; the target's answers do not tell whether it succeeded"...)
	}
	switch r.Outcome {
	case Foiled:
		b = append(b, ", and the shield stopped all of it."...)
	case Contained:
		b = append(b, ", and the shield stopped a part of it."...)
	default:
		b = append(b, ", and the shield did not act."...)
	}
	return string(b)
}

func (r *Record) who() string {
	switch o := &r.Origin; {
	case r.Overflow:
		return "Several origins, merged when too many accounts were open,"
	case r.Class == "dga" && r.Subject != "":
		return "Host " + r.Subject
	case o.IP == "" && o.Prefix == "" && o.Domain == "" && o.MAC == "":
		return "An unproven origin (" + plural(o.Count, "claimed source") + ")"
	}
	return r.OriginText()
}

func (r *Record) whom(b []byte, c *Class) []byte {
	switch {
	case c.Name == "dga":
		return append(b, "look-ups of generated names"...)
	case r.Subject != "":
		return append(b, r.Subject...)
	case r.Target.Count == 1:
		b = append(b, r.Target.IPs[0]...)
		if len(r.Target.Ports) == 1 {
			b = strconv.AppendUint(append(b, " port "...), uint64(r.Target.Ports[0]), 10)
		}
		return b
	case r.Target.Count == 0:
		return append(b, "hosts of this network"...)
	}
	return append(append(strconv.AppendUint(b, r.Target.Count, 10), " addresses of "...), r.Target.Group...)
}

func (r *Record) seenBy(b []byte) []byte {
	switch {
	case len(r.Detectors) > 0:
		return append(append(b, "seen by "...), clean(r.Detectors[0])...)
	case len(r.Alerts) > 0:
		b = strconv.AppendUint(append(b, "seen by rule "...), uint64(r.Alerts[0].SID), 10)
		return append(append(append(b, " ("...), clean(r.Alerts[0].Msg)...), ')')
	}
	return append(b, "seen by its traffic"...)
}

// clean keeps traffic's bytes from ending the story's sentence or a line.
func clean(s string) string {
	if plain(s) {
		return s
	}
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

func clock(ns int64) string { return string(appendClock(nil, ns)) }

// appendClock writes a time to the second.
func appendClock(b []byte, ns int64) []byte {
	t := time.Unix(0, ns).UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	two := func(v int, after byte) { b = append(b, byte('0'+v/10), byte('0'+v%10), after) }
	two(year/100, ' ')
	b = b[:len(b)-1]
	two(year%100, '-')
	two(int(month), '-')
	two(day, ' ')
	two(hour, ':')
	two(minute, ':')
	two(second, ' ')
	return b[:len(b)-1]
}

func plural(n uint64, word string) string { return string(appendPlural(nil, n, word)) }

func appendPlural(b []byte, n uint64, word string) []byte {
	b = append(append(strconv.AppendUint(b, n, 10), ' '), word...)
	if n != 1 {
		b = append(b, 's')
	}
	return b
}

// Retell renders the story from the record's other fields again.
func (r *Record) Retell() {
	if i := ClassIndex(r.Class); i >= 0 {
		r.Story = r.story(&table[i])
	}
}
