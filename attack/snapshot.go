package attack

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
)

const snapshotVersion = 1

type snapshot struct {
	Version   int               `json:"version"`
	Table     string            `json:"table"`
	Now       int64             `json:"now"`
	LastID    uint64            `json:"last_id"`
	Accounts  []savedAccount    `json:"accounts"`
	Incidents []incident        `json:"incidents,omitempty"`
	Repeats   map[string]uint32 `json:"repeats,omitempty"`
	Counters  Counters          `json:"counters"`
}

type savedAccount struct {
	Key    Key      `json:"key"`
	Pieces []*piece `json:"pieces,omitempty"`
	Tail   *tail    `json:"tail,omitempty"`
}

// Snapshot is the open accounts as bytes; the same accounts give the same bytes.
func (a *Accounts) Snapshot() ([]byte, error) {
	s := snapshot{Version: snapshotVersion, Table: TableVersion, Now: a.now, LastID: a.lastID, Incidents: a.stories.list, Repeats: a.repeats, Counters: a.Counters}
	s.Accounts = a.saved()
	b, err := json.Marshal(&s)
	if err != nil {
		return nil, fmt.Errorf("writing open accounts: %w", err)
	}
	return b, nil
}

func (a *Accounts) saved() []savedAccount {
	var all []savedAccount
	for _, k := range slices.SortedFunc(maps.Keys(a.open), Key.compare) {
		acc := a.open[k]
		all = append(all, savedAccount{acc.key, acc.pieces, acc.tail})
	}
	return all
}

// Restore replaces everything held with a snapshot. What became quiet meanwhile closes at the next Advance,
// at its own time: a restart never counts an attack twice.
func (a *Accounts) Restore(b []byte) error {
	var s snapshot
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("reading open accounts: %w", err)
	}
	if s.Version != snapshotVersion || s.Table != TableVersion {
		return fmt.Errorf("reading open accounts: version %d of %q, this program knows %d of %q", s.Version, s.Table, snapshotVersion, TableVersion)
	}
	fresh := New(a.cfg)
	fresh.now, fresh.lastID, fresh.stories.list, fresh.Counters = s.Now, s.LastID, s.Incidents, s.Counters
	if s.Repeats != nil {
		fresh.repeats = s.Repeats
	}
	for _, x := range s.Accounts {
		if int(x.Key.Class) >= len(table) {
			return errors.New("reading open accounts: unknown class")
		}
		acc := &account{key: x.Key, tail: x.Tail}
		fresh.open[x.Key] = acc
		for _, p := range x.Pieces {
			if p == nil || p.Last < p.First {
				return errors.New("reading open accounts: broken account")
			}
			p.limits()
			fresh.push(acc, p)
		}
		fresh.dueTail(acc)
	}
	*a = *fresh
	return nil
}

func (a *Accounts) dueTail(acc *account) {
	if acc.tail != nil {
		a.due.add(dueItem{acc.tail.Last + int64(table[acc.key.Class].Gap), acc, nil})
	}
}

// Merge takes the open accounts of another set (another sensor's, or an older copy of this one's) into a.
// It is associative, commutative and idempotent, and below all caps the merged accounts are those of the
// union of the observations; figures of sensors that may have seen the same packets are not added up.
// It reports nothing: what became an attack by it is opened when it is next touched or closes.
func (a *Accounts) Merge(other *Accounts) error {
	b, err := other.Snapshot()
	if err != nil {
		return err
	}
	copied := New(other.cfg)
	if err := copied.Restore(b); err != nil {
		return err
	}
	for _, k := range slices.SortedFunc(maps.Keys(copied.open), Key.compare) {
		from := copied.open[k]
		acc := a.open[k]
		if acc == nil {
			acc = &account{key: k}
			a.open[k] = acc
		}
		for _, p := range from.pieces {
			a.mergePiece(acc, p)
		}
		if t := from.tail; t != nil && (acc.tail == nil || t.Last > acc.tail.Last) {
			acc.tail = t
			a.dueTail(acc)
		}
	}
	a.lastID = max(a.lastID, other.lastID)
	return nil
}

// mergePiece joins p with every piece it touches until none is left.
func (a *Accounts) mergePiece(acc *account, p *piece) {
	gap := int64(table[acc.key.Class].Gap)
	for again := true; again; {
		again = false
		for i, q := range acc.pieces {
			if q.Cell == p.Cell && q.First-p.Last <= gap && p.First-q.Last <= gap {
				p.join(q, false)
				q.dead = true
				a.pieces--
				acc.pieces = slices.Delete(acc.pieces, i, i+1)
				again = true
				break
			}
		}
	}
	if !p.Passed && reaches(p.Weak, table[acc.key.Class].Threshold) {
		p.Passed, p.Weak = true, nil
	}
	a.push(acc, p)
}

// Due is a time before which Advance has nothing to close, ns.
func (a *Accounts) Due() int64 {
	if len(a.due) == 0 {
		return math.MaxInt64
	}
	return a.due[0].at
}

// Sealed tells the accounts of attacks that were sealed after their snapshot was taken: those still open are
// dropped, for they are counted already, and their numbers are not given again.
func (a *Accounts) Sealed(records []Record) {
	known := map[uint64]*Record{}
	for i := range records {
		a.lastID = max(a.lastID, records[i].ID)
		known[records[i].ID] = &records[i]
	}
	for _, acc := range a.open {
		acc.pieces = slices.DeleteFunc(acc.pieces, func(p *piece) bool {
			r := known[p.ID]
			if r == nil || p.ID == 0 || table[acc.key.Class].Name != r.Class || p.First < r.FirstSeen {
				return false
			}
			p.dead = true
			a.pieces--
			return true
		})
		a.forget(acc)
	}
}
