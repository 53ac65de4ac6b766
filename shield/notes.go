package shield

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"slices"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/evidence"
)

// note is an event for the log: what is not counted and must not be missing.
//
// It waits until the merge point's clock has passed its time. Attacks that closed before it are sealed before it: the
// log is in the order of its times, and an attack keeps its own closing.
type note struct {
	at             int64
	code           evidence.Code
	public, hidden []byte
}

// note puts an event before the log's clock; nothing is done where nothing is sealed.
func (m *merger) note(at int64, code evidence.Code, public, hidden []byte) {
	if m.clerk != nil {
		m.notes = append(m.notes, note{at, code, public, hidden})
	}
}

// noted writes the notes that the clock has passed at now, ns, with what closed between them.
func (m *merger) noted(now int64) {
	if len(m.notes) == 0 {
		return
	}
	slices.SortStableFunc(m.notes, func(a, b note) int { return cmp.Compare(a.at, b.at) })
	n := 0
	for ; n < len(m.notes) && m.notes[n].at <= now; n++ {
		x := m.notes[n]
		m.act(m.accounts.Advance(x.at))
		m.clerk.Event(x.code, x.at, x.public, x.hidden)
	}
	m.notes = slices.Delete(m.notes, 0, n)
}

// beside puts what closed and is not counted into the log: traffic that is authorised, and what a span cut off from an
// attack that was counted. Who and what it was is private.
func (m *merger) beside(ev *attack.Event, code evidence.Code) {
	if m.clerk == nil {
		return
	}
	r := &ev.Record
	m.kept.Take(ev.Key, r.FirstSeen, r.LastSeen) // its packets are kept with nothing
	public, err := json.Marshal(struct {
		Attack uint64 `json:"attack"`
		Class  string `json:"class"`
	}{r.ID, r.Class})
	hidden, err2 := json.Marshal(r)
	if err == nil && err2 == nil {
		m.clerk.Event(code, r.ClosedAt, public, hidden)
	}
}

// caps tells the log that accounts were given up or merged since the last time.
func (m *merger) caps(now int64) {
	c := m.accounts.Counters
	forgotten, merged := c.Forgotten-m.capped.Forgotten, c.Overflown-m.capped.Overflown
	if m.capped = c; forgotten+merged == 0 {
		return
	}
	public, err := json.Marshal(struct {
		Forgotten uint64 `json:"observations_forgotten"`
		Merged    uint64 `json:"attacks_merged"`
	}{forgotten, merged})
	if err == nil {
		m.clerk.Event(evidence.CodeCaps, now, public, nil)
	}
}

// jumped tells the log that the clock jumped in a stretch: from where, and what the packets' stamps say now, both u64
// in microseconds.
func (m *merger) jumped(before int64, stretch []*epoch) {
	for _, e := range stretch {
		if e.jumps <= m.jumps {
			continue
		}
		m.jumps = e.jumps
		if before > 0 {
			b := binary.BigEndian.AppendUint64(nil, uint64(before/1000))
			m.note(before, evidence.CodeClockJump, binary.BigEndian.AppendUint64(b, uint64(max(e.stamp, 0)/1000)), nil)
		}
	}
}
