package attack

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strconv"
)

// snapshotVersion 2 holds the judge; of version 1 everything else is taken.
const snapshotVersion = 2

type snapshot struct {
	Version   int            `json:"version"`
	Table     string         `json:"table"`
	Now       int64          `json:"now"`
	LastID    uint64         `json:"last_id"`
	Accounts  []savedAccount `json:"accounts"`
	Incidents []incident     `json:"incidents,omitempty"`
	Judge     savedJudge     `json:"judge"`
	Counters  Counters       `json:"counters"`
}

type savedAccount struct {
	Key    Key      `json:"key"`
	Pieces []*piece `json:"pieces,omitempty"`
	Tail   *tail    `json:"tail,omitempty"`
}

// Snapshot is the open accounts as bytes; the same accounts give the same bytes.
func (a *Accounts) Snapshot() ([]byte, error) {
	s := snapshot{Version: snapshotVersion, Table: TableVersion, Now: a.now, LastID: a.lastID, Incidents: a.stories.saved(), Judge: a.judges.saved(), Counters: a.Counters}
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
	if s.Version < 1 || s.Version > snapshotVersion || s.Table != TableVersion {
		return fmt.Errorf("reading open accounts: version %d of %q, this program knows %d of %q", s.Version, s.Table, snapshotVersion, TableVersion)
	}
	fresh := New(a.cfg)
	fresh.now, fresh.lastID, fresh.Counters = s.Now, s.LastID, s.Counters
	fresh.stories.restore(s.Incidents)
	fresh.judges.restore(&s.Judge)
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
			fresh.known(acc, p)
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
			acc = newAccount(k)
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
	a.judges.merge(&copied.judges)
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
	a.known(acc, p)
}

// Due is a time before which Advance has nothing to close, ns.
func (a *Accounts) Due() int64 {
	if len(a.due) == 0 {
		return math.MaxInt64
	}
	return a.due[0].at
}

// Sealed tells the accounts of attacks that were sealed after their snapshot was taken: those still open are
// dropped, for they are counted already, and their numbers are not given again. What a span cut off goes on
// as the same attack. The clock moves on to their closings.
func (a *Accounts) Sealed(records []Record) {
	counted := map[uint64]bool{}
	for i := range records {
		r := &records[i]
		a.now = max(a.now, r.ClosedAt)
		for _, id := range append(slices.Clip(r.Merged), r.ID) {
			a.Used(id)
			counted[id] = true
		}
	}
	for _, acc := range a.open {
		acc.pieces = slices.DeleteFunc(acc.pieces, func(p *piece) bool {
			if p.ID == 0 || p.Continues || !counted[p.ID] {
				return false
			}
			p.dead = true
			a.pieces--
			a.unknown(acc, p)
			return true
		})
	}
	for i := range records {
		a.cutOff(&records[i])
	}
	for _, acc := range a.open {
		a.forget(acc)
	}
}

// Used says that a number was given before: later attacks get higher ones.
func (a *Accounts) Used(id uint64) { a.lastID = max(a.lastID, id) }

// cutOff leaves behind what a sealed attack's later observations continue, where a grid line ended it.
func (a *Accounts) cutOff(r *Record) {
	class := ClassIndex(r.Class)
	if class < 0 || r.Overflow {
		return
	}
	c := &table[class]
	if r.ClosedAt >= r.LastSeen+int64(c.Gap) {
		return
	}
	key := r.key(uint8(class))
	acc := a.open[key]
	if acc == nil {
		acc = newAccount(key)
		a.open[key] = acc
	}
	if acc.tail != nil && acc.tail.Last >= r.LastSeen {
		return
	}
	acc.tail = &tail{Cell: floorDiv(r.LastSeen, int64(c.Span)), Last: r.LastSeen, ID: r.ID, Passed: true, Incident: r.Incident}
	a.dueTail(acc)
	for _, q := range acc.pieces {
		if acc.before(q) == acc.tail && q.ID != r.ID {
			q.continueFrom(acc.tail)
			a.known(acc, q)
		}
	}
}

// key is the account that a record came from.
func (r *Record) key(class uint8) Key {
	k := Key{Class: class, Authorised: r.Authorised, Overflow: r.Overflow, Group: r.Target.Group}
	k.Subject, _ = netip.ParseAddr(r.Subject) // "": none
	switch o := &r.Origin; {
	case o.IP != "":
		k.Origin = "ip " + o.IP
	case o.Prefix != "":
		k.Origin = "net " + o.Prefix
	case o.MAC != "":
		k.Origin = "mac " + o.MAC + " " + strconv.Itoa(int(o.VLAN))
	case o.Domain != "":
		k.Origin = "dom " + o.Domain
	case r.Class == "dga":
		k.Origin = "none"
	default:
		k.Origin = "unproven"
	}
	return k
}

// Attacks returns what is open and an attack already, as when it was opened, by number: for those who watch a
// shield that took up where it had stopped.
func (a *Accounts) Attacks() []Event {
	var out []Event
	for _, acc := range a.open {
		for _, p := range acc.pieces {
			if p.ID != 0 && !p.Continues {
				out = append(out, Event{Opened, acc.key, a.record(acc, p, "opened")})
			}
		}
	}
	slices.SortFunc(out, func(x, y Event) int { return cmp.Compare(x.Record.ID, y.Record.ID) })
	return out
}
