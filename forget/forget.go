// Package forget erases a person, or single attacks, from what a run has left: private parts and packets of the sealed
// log, lines of the record files, the console's index. Leaves and counts stay, and stay provable.
//
// In: a run's folder that nobody writes to, leaves or an address, a reason. Out: what was erased, and what still names
// the address. Called by cmd. It never changes a public leaf, and does again whatever a crash left undone.
package forget

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/evidence/amend"
	"github.com/dejpha/dejpha/evidence/durable"
)

// Options say what is erased.
type Options struct {
	Dir    string  // the run's folder, or the log's own
	Leaves []int64 // of attacks, or of events with a private part
	Who    *Who    // nil: nobody in particular
	Why    string  // public: it stands in the log
	Now    int64   // ns; of a live log, whose clock goes on
	Key    string  // path of the signing key; "" : log.key beside the log
	Disk   *durable.Disk
}

// Report is what was done.
type Report struct {
	Leaves  []int64  // erased now
	Already int      // of those asked for, erased before
	Lines   int      // of the record files, blanked
	Files   int      // record files that were looked at
	Index   bool     // the console's index was there and was taken away
	Open    bool     // accounts that are still open name the address
	Named   []string // other files of the run that name it: what is blocked, what a rehearsal counted
}

// ErrInUse says that a shield writes to the log.
var ErrInUse = amend.ErrInUse

// KeyError says that there is no signing key, without which the erasure cannot be logged.
type KeyError = amend.KeyError

// LeafError says that a leaf has nothing to erase.
type LeafError struct {
	Leaf int64
	What string
}

// Error names the leaf.
func (e *LeafError) Error() string { return fmt.Sprintf("leaf %d %s", e.Leaf, e.What) }

// Do erases. Errors: ErrInUse, KeyError, LeafError, and what the disk or a damaged log says.
func Do(o Options) (r Report, err error) {
	if o.Disk == nil {
		o.Disk = durable.OS()
	}
	at, err := amend.Find(o.Dir, o.Key)
	if err != nil {
		return r, err
	}
	log, run := at.Log, at.Run
	found, err := find(log, &o)
	if err != nil {
		return r, err
	}
	if err := erase(&at, found, &o, &r); err != nil {
		return r, err
	}
	if err := r.lines(run, found, &o); err != nil {
		return r, err
	}
	for _, end := range []string{"", "-wal", "-shm"} {
		if name := filepath.Join(run, "console.db"+end); exists(name) {
			r.Index = true
			if err := o.Disk.Remove(name); err != nil {
				return r, err
			}
		}
	}
	if o.Who == nil {
		return r, nil
	}
	r.Open = o.Who.inAccounts(filepath.Join(log, "accounts"))
	r.Named, err = o.Who.inFiles(run)
	return r, err
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// target is a leaf to be erased.
type target struct {
	leaf   int64
	attack uint64 // its number in the records; 0: none, or it is erased already
	erased bool
	half   bool // of an erasure that a crash cut short, packets are left
}

// find lists what is to be erased: the leaves asked for, and those whose private parts name the address.
func find(log string, o *Options) (out []target, err error) {
	asked := slices.Clone(o.Leaves)
	slices.Sort(asked)
	for _, leaf := range slices.Compact(asked) {
		t, _, err := look(log, leaf)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	if o.Who == nil {
		return out, nil
	}
	err2 := evidence.Walk(log, 0, func(i int64, b []byte) bool {
		if !hides(b) || slices.ContainsFunc(out, func(t target) bool { return t.leaf == i }) {
			return true
		}
		t, p, lerr := look(log, i)
		if lerr != nil {
			err = lerr
			return false
		}
		if t.half || slices.ContainsFunc(p[:], o.Who.named) {
			out = append(out, t)
		}
		return true
	})
	return out, errors.Join(err, err2)
}

// hides says whether a leaf has a private part: attacks, and events with a commitment.
func hides(b []byte) bool {
	if _, err := evidence.ReadAttackLeaf(b); err == nil {
		return true
	}
	e, err := evidence.ReadEventLeaf(b)
	return err == nil && e.Private != [32]byte{}
}

func look(log string, leaf int64) (t target, p evidence.Private, err error) {
	t.leaf = leaf
	b, err := evidence.ReadLeaf(log, leaf)
	if err != nil {
		return t, p, &LeafError{leaf, "is not in the log"}
	}
	if !hides(b) {
		return t, p, &LeafError{leaf, "has no private part: nothing in it names anybody"}
	}
	p, err = evidence.ReadPrivate(log, leaf)
	if errors.Is(err, evidence.ErrErased) {
		t.erased = !evidence.PacketsLeft(log, leaf)
		t.half = !t.erased
		return t, p, nil
	}
	if err != nil {
		return t, p, err
	}
	if r, err := evidence.ReadRecord(log, leaf); err == nil {
		t.attack = r.ID
	}
	return t, p, nil
}

// erase has the log forget, each leaf named by an event before its seed is overwritten.
func erase(at *amend.Stopped, found []target, o *Options, r *Report) error {
	left := slices.DeleteFunc(slices.Clone(found), func(t target) bool { return t.erased })
	r.Already = len(found) - len(left)
	if len(left) == 0 {
		return nil
	}
	l, err := at.Open(o.Disk, o.Now)
	if err != nil {
		return err
	}
	for _, t := range left {
		if err := l.Erase(t.leaf, l.Now(), o.Why); err != nil {
			l.Abandon()
			return err
		}
		r.Leaves = append(r.Leaves, t.leaf)
	}
	_, err = l.Close()
	return err
}

// lines blanks lines of the record files: of attacks that were erased, and whatever names the address. A blank one is
// as long as what it covers, for the log remembers places in the file.
func (r *Report) lines(run string, found []target, o *Options) error {
	files, err := filepath.Glob(filepath.Join(run, "eve*.json"))
	if err != nil {
		return err
	}
	leaves, attacks := map[int64]bool{}, map[uint64]bool{}
	for _, t := range found {
		leaves[t.leaf] = true
		attacks[t.attack] = t.attack != 0
	}
	for _, name := range files {
		r.Files++
		err := eachLine(name, func(at int64, line []byte) error {
			if !o.Who.named(line) && !about(line, leaves, attacks) {
				return nil
			}
			r.Lines++
			return o.Disk.Overwrite(name, at, blank(line))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// about says whether a line tells of one of the attacks.
func about(line []byte, leaves map[int64]bool, attacks map[uint64]bool) bool {
	if len(leaves) == 0 || !strings.Contains(string(line), `"attack"`) {
		return false
	}
	var x struct {
		Type   string `json:"event_type"`
		Attack struct {
			ID       uint64 `json:"id"`
			Evidence *struct {
				Leaf int64 `json:"leaf"`
			} `json:"evidence"`
		} `json:"attack"`
	}
	if json.Unmarshal(line, &x) != nil || x.Type != "attack" {
		return false
	}
	return attacks[x.Attack.ID] || x.Attack.Evidence != nil && leaves[x.Attack.Evidence.Leaf]
}

// blank is a line that only says when there was another.
func blank(line []byte) []byte {
	var x struct {
		Timestamp json.RawMessage `json:"timestamp"`
	}
	out := []byte(`{"event_type":"erased"}`)
	if json.Unmarshal(line, &x) == nil && len(x.Timestamp) > 0 {
		out = fmt.Appendf(nil, `{"timestamp":%s,"event_type":"erased"}`, x.Timestamp)
	}
	if len(out) > len(line) {
		out = []byte("{}")[:min(2, len(line))]
	}
	return append(out, strings.Repeat(" ", len(line)-len(out))...)
}
