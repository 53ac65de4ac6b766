package shield

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/eve"
	"github.com/dejpha/dejpha/evidence"
)

// snapshot is what a run leaves behind each minute and at its stop, beside the log: how long the record file was
// when every sealed attack stood in it, and the open accounts. The packets kept of open attacks are not in it: they
// are lost by a stop, and such an attack is sealed with those that are seen after it.
type snapshot struct {
	Records  int64           `json:"records"`
	Accounts json.RawMessage `json:"accounts"`
}

// resume takes up what an earlier run of the same log left open and repairs what a crash broke. now, ns, is when.
//
// The order matters: what was sealed after the snapshot is known before anything can close, so that nothing is
// counted twice; lines that a crash kept from being written come before any new one.
func (m *merger) resume(now int64, say func(string)) error {
	if n := m.clerk.Log().Cut(); n > 0 {
		say(fmt.Sprintf("%d bytes that a crash left unfinished were cut from the log and kept aside; nothing in them was acknowledged", n))
	}
	m.resumeShadow(say)
	since, sealed, err := m.restore(now, say)
	if err != nil {
		return err
	}
	mended, err := m.records.Mend(since)
	if err != nil {
		return err
	}
	if mended.Cut > 0 {
		say(fmt.Sprintf("%s: %d bytes of a broken line were cut", m.records.Path(), mended.Cut))
	}
	m.accounts.Sealed(sealed)
	m.capped = m.accounts.Counters
	m.accounts.Used(mended.ID)
	for i := range sealed {
		if r := &sealed[i]; r.Evidence.Leaf > mended.Leaf {
			m.watch(r)
			m.line = eve.AppendAttack(m.line[:0], r)
			m.write(m.line)
		}
	}
	for _, ev := range m.accounts.Attacks() {
		m.open[ev.Key] = ev.Record.ID
		m.watch(&ev.Record)
	}
	m.now = now
	m.advance(now)
	m.save()
	return m.err
}

// restore reads the last snapshot and the attacks sealed since. One that cannot be read, or is of another version,
// is given up, which the log says: what was sealed is safe, what was open begins anew.
func (m *merger) restore(now int64, say func(string)) (since int64, sealed []attack.Record, err error) {
	saved, sealed, err := m.clerk.Log().Resume()
	if err != nil && !errors.Is(err, evidence.ErrSnapshot) {
		return 0, nil, err
	}
	var s snapshot
	if err == nil && saved != nil {
		if err = json.Unmarshal(saved, &s); err == nil {
			err = m.accounts.Restore(s.Accounts)
		}
	}
	if err == nil {
		return s.Records, sealed, nil
	}
	say(fmt.Sprintf("%v; attacks that were open at the last stop are given up", err))
	if err = m.clerk.Log().Event(evidence.CodeRestart, now, -1, []byte("attacks that were open at the last stop are given up"), nil); err != nil {
		return 0, nil, err
	}
	sealed, err = m.clerk.Log().Records(0)
	return 0, sealed, err
}

// save makes everything durable, leaves a snapshot of what is open, and lets go of what is no longer kept.
func (m *merger) save() {
	accounts, err := m.accounts.Snapshot()
	m.fail(err)
	shadow := m.rehearsed()
	if m.err == nil {
		m.clerk.Save(accounts, shadow, m.now)
		m.acknowledged()
	}
}

// stop ends a live run: what is open stays open for the next start. A run that could not keep what it should ends as
// a crash does, so that the log says so and the next start repairs it.
func (m *merger) stop() {
	if m.err == nil {
		m.noted(math.MaxInt64)
		m.heartbeat(max(m.now, m.accounts.Now(), 1))
	}
	m.clerk.Halt()
	m.acknowledged()
	if m.err != nil {
		m.clerk.Abandon()
		return
	}
	m.clerk.Close(nil)
	m.acknowledged()
}
