// Package index keeps attacks in an order in which a person asks for them: an embedded SQLite file.
//
// In: attack records as they open and close, and minutes of the packet ledger. Out: counts, lists and series for
// the console. Called by console only. It holds nothing of its own: the file may be deleted at any time and is
// built again from the evidence; a broken file or one of another log is thrown away without asking.
package index

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/dejpha/dejpha/attack"
)

// version of the tables; another one is thrown away.
const version = "4"

const tables = `
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE attack (
	id INTEGER PRIMARY KEY, state TEXT NOT NULL, class TEXT NOT NULL, severity INTEGER NOT NULL, risk TEXT NOT NULL,
	side TEXT NOT NULL, outcome TEXT NOT NULL, result TEXT NOT NULL, authorised INTEGER NOT NULL,
	origin TEXT NOT NULL, kind TEXT NOT NULL, country TEXT NOT NULL, target TEXT NOT NULL,
	first INTEGER NOT NULL, last INTEGER NOT NULL, closed INTEGER NOT NULL, packets INTEGER NOT NULL,
	incident INTEGER NOT NULL, leaf INTEGER NOT NULL, erased INTEGER NOT NULL, words TEXT NOT NULL, record BLOB NOT NULL);
CREATE TABLE aim (name TEXT NOT NULL, attack INTEGER NOT NULL, PRIMARY KEY (name, attack)) WITHOUT ROWID;
CREATE INDEX aim_attack ON aim (attack);
CREATE INDEX attack_leaf ON attack (leaf);
CREATE INDEX attack_private ON attack (leaf) WHERE erased = 0 AND leaf >= 0;
CREATE INDEX attack_count ON attack (state, authorised, risk, outcome, class);
CREATE INDEX attack_place ON attack (origin, kind, country, severity, last);
CREATE INDEX attack_country ON attack (country, last DESC, id DESC);
CREATE INDEX attack_time ON attack (class, first);
CREATE INDEX attack_first ON attack (first, id);
CREATE INDEX attack_last ON attack (last, id);
CREATE INDEX attack_packets ON attack (packets, id);
CREATE INDEX attack_severity ON attack (severity, last DESC, id DESC);
CREATE INDEX attack_class ON attack (class, last DESC, id DESC);
CREATE INDEX attack_origin ON attack (origin, last DESC, id DESC);
CREATE INDEX attack_target ON attack (target, last DESC, id DESC);
CREATE INDEX attack_outcome ON attack (outcome, last DESC, id DESC);
CREATE INDEX attack_result ON attack (result, last DESC, id DESC);
CREATE INDEX attack_incident ON attack (incident, first, id);
CREATE INDEX attack_figure ON attack (state, authorised, risk, outcome, last DESC, id DESC);
CREATE INDEX attack_needs ON attack (result, severity, last DESC, id DESC) WHERE ` + needs + `;
CREATE TABLE minute (
	at INTEGER PRIMARY KEY, received INTEGER NOT NULL, inspected INTEGER NOT NULL, bypassed INTEGER NOT NULL,
	dropped INTEGER NOT NULL, shed INTEGER NOT NULL, undecodable INTEGER NOT NULL, open INTEGER NOT NULL);
`

// Index is an open file. Its methods may be called from several goroutines.
type Index struct {
	db    *sql.DB
	place func(addr string) string
}

// Ledger is the fate of the packets of one minute.
type Ledger struct {
	Received, Inspected, Bypassed, Dropped, Shed, Undecodable uint64
}

// Open opens the index of a log, named by its origin, or makes a new one. fresh: it is empty and wants filling.
// place is the country of an address, two letters or "".
func Open(file, origin string, place func(string) string) (x *Index, fresh bool, err error) {
	for _, again := range []bool{false, true} {
		if x, fresh, err = open(file, origin, place); err == nil {
			return x, fresh, nil
		}
		if again {
			break
		}
		for _, end := range []string{"", "-wal", "-shm"} {
			if e := os.Remove(file + end); e != nil && !errors.Is(e, os.ErrNotExist) {
				return nil, false, fmt.Errorf("cannot remove the old index: %w", e)
			}
		}
	}
	return nil, false, fmt.Errorf("cannot make the index %s: %w", file, err)
}

func open(file, origin string, place func(string) string) (*Index, bool, error) {
	x, err := connect(file, place)
	if err != nil {
		return nil, false, err
	}
	fresh, err := x.prepare(origin)
	if err != nil {
		_ = x.Close()
		return nil, false, err
	}
	return x, fresh, nil
}

func connect(file string, place func(string) string) (*Index, error) {
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=journal_mode(wal)&_pragma=synchronous(normal)&_pragma=busy_timeout(5000)&_pragma=cache_size(-4000)&_pragma=secure_delete(on)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(4)
	return &Index{db, place}, nil
}

var errOther = errors.New("another log's index")

// prepare makes the tables of a new file, or checks those of an old one; what was open then is not open now.
func (x *Index) prepare(origin string) (fresh bool, err error) {
	var n int
	if err := x.db.QueryRow(`SELECT count(*) FROM sqlite_master WHERE name = 'meta'`).Scan(&n); err != nil {
		return false, err
	}
	if n == 0 {
		if _, err := x.db.Exec(tables); err != nil {
			return false, err
		}
		_, err = x.db.Exec(`INSERT INTO meta VALUES ('version', ?), ('origin', ?)`, version, origin)
		return true, err
	}
	have := map[string]string{}
	rows, err := x.db.Query(`SELECT key, value FROM meta`)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	for rows.Next() {
		var k, v string
		if err := rows.Scan(&k, &v); err != nil {
			return false, err
		}
		have[k] = v
	}
	if have["version"] != version || have["origin"] != origin {
		return false, errOther
	}
	if err := rows.Err(); err != nil {
		return false, err
	}
	_, err = x.db.Exec(`DELETE FROM attack WHERE state = 'opened'`)
	return false, err
}

// Clear forgets everything; it is filled from the evidence again.
func (x *Index) Clear() error {
	_, err := x.db.Exec(`DELETE FROM attack; DELETE FROM aim; DELETE FROM minute`)
	return err
}

// Close ends the index.
func (x *Index) Close() error { return x.db.Close() }

// LastLeaf is the highest leaf known, -1 for none: evidence from the next one on is to be read.
func (x *Index) LastLeaf() (leaf int64, err error) {
	err = x.db.QueryRow(`SELECT coalesce(max(leaf), -1) FROM attack`).Scan(&leaf)
	return leaf, err
}

// putOne takes one attack in. What is told of its opening never replaces its end, whichever comes first.
const putOne = `INSERT INTO attack VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (id) DO UPDATE SET
	state = excluded.state, class = excluded.class, severity = excluded.severity, risk = excluded.risk, side = excluded.side, outcome = excluded.outcome,
	result = excluded.result, authorised = excluded.authorised, origin = excluded.origin, kind = excluded.kind, country = excluded.country, target = excluded.target,
	first = excluded.first, last = excluded.last, closed = excluded.closed, packets = excluded.packets, incident = excluded.incident, leaf = excluded.leaf, erased = excluded.erased,
	words = excluded.words, record = excluded.record WHERE state = 'opened' OR excluded.state <> 'opened'`

// aim notes a name by which an attack's target is found.
const aim = `INSERT OR IGNORE INTO aim VALUES (?,?)`

// Put takes attacks in, one transaction for all; the record of an attack's end replaces that of its opening.
func (x *Index) Put(records []attack.Record) error { return x.put(records, false) }

// erasedFrom is where the numbers begin of attacks that are found erased: their own numbers went with their private parts.
const erasedFrom = 1 << 52

// PutErased takes in attacks of which only the leaf's public part is left. What the index knew of who and what they
// were goes too, except an attack's number, if it knew that.
func (x *Index) PutErased(records []attack.Record) error {
	for i := range records {
		r := &records[i]
		r.ID = erasedFrom + uint64(r.Evidence.Leaf)
		if err := x.db.QueryRow(`SELECT id FROM attack WHERE leaf = ?`, r.Evidence.Leaf).Scan(&r.ID); err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if _, err := x.db.Exec(`DELETE FROM aim WHERE attack = ?`, r.ID); err != nil {
			return err
		}
	}
	return x.put(records, true)
}

// Withdrawn is the state of an attack that a correction of the log withdrew.
const Withdrawn = "withdrawn"

// Withdraw notes that the attacks of these leaves no longer count.
func (x *Index) Withdraw(leaves []int64) error {
	for _, leaf := range leaves {
		if _, err := x.db.Exec(`UPDATE attack SET state = ? WHERE leaf = ?`, Withdrawn, leaf); err != nil {
			return err
		}
	}
	return nil
}

// OldestPrivate is the lowest leaf whose private part the index still holds, -1 for none: it is the first to be erased.
func (x *Index) OldestPrivate() (leaf int64, err error) {
	err = x.db.QueryRow(`SELECT coalesce(min(leaf), -1) FROM attack WHERE erased = 0 AND leaf >= 0`).Scan(&leaf)
	return leaf, err
}

func (x *Index) put(records []attack.Record, gone bool) error {
	tx, err := x.db.Begin()
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	stmt, err := tx.Prepare(putOne)
	if err != nil {
		return err
	}
	defer stmt.Close()
	aims, err := tx.Prepare(aim)
	if err != nil {
		return err
	}
	defer aims.Close()
	for i := range records {
		r := &records[i]
		b, err := json.Marshal(r)
		if err != nil {
			return err
		}
		kind := OriginKind(r)
		_, err = stmt.Exec(r.ID, r.State, r.Class, r.Severity, r.Risk, r.Side, r.Outcome, r.Result, r.Authorised,
			OriginName(r), kind, x.Country(r), r.Target.Group,
			ms(r.FirstSeen), ms(r.LastSeen), ms(r.ClosedAt), int64(min(r.Packets, 1<<62)), r.Incident, r.Evidence.Leaf, gone, words(r), b)
		if err != nil {
			return err
		}
		if gone {
			continue
		}
		for _, name := range append([]string{r.Target.Group}, r.Target.IPs...) {
			if _, err := aims.Exec(name, r.ID); err != nil {
				return err
			}
		}
	}
	return tx.Commit()
}

// words is what free text is searched in.
func words(r *attack.Record) string {
	w := []string{r.Class, OriginName(r), r.Target.Group, r.Subject, r.Story, strings.Join(r.Techniques, " "), strings.Join(r.Target.IPs, " ")}
	for _, a := range r.Alerts {
		w = append(w, fmt.Sprint(a.SID), a.Msg)
	}
	return strings.ToLower(strings.Join(append(w, r.Detectors...), " "))
}

// OriginKind says what kind of name an attack's origin is: ip, prefix, mac, domain, unproven or erased.
func OriginKind(r *attack.Record) string {
	switch o := &r.Origin; {
	case o.IP != "":
		return "ip"
	case o.Prefix != "":
		return "prefix"
	case o.MAC != "":
		return "mac"
	case o.Domain != "":
		return "domain"
	}
	if erased(r) {
		return "erased"
	}
	return "unproven"
}

// OriginName is an attack's origin in text.
func OriginName(r *attack.Record) string {
	if erased(r) {
		return "erased"
	}
	return r.OriginText()
}

// erased says whether only the leaf's public part is left of a sealed attack: every other one belongs to an incident.
func erased(r *attack.Record) bool { return r.Evidence.Leaf >= 0 && r.Incident == 0 }

// Country of an attack's origin, "" when it has no address or none is known.
func (x *Index) Country(r *attack.Record) string {
	if r.Origin.IP != "" {
		return x.place(r.Origin.IP)
	}
	addr, _, _ := strings.Cut(r.Origin.Prefix, "/")
	return x.place(addr)
}

// Minute adds packets to the minute that begins at, ms.
func (x *Index) Minute(at int64, l Ledger, open int) error {
	_, err := x.db.Exec(`INSERT INTO minute VALUES (?,?,?,?,?,?,?,?) ON CONFLICT (at) DO UPDATE SET
		received = received + excluded.received, inspected = inspected + excluded.inspected, bypassed = bypassed + excluded.bypassed,
		dropped = dropped + excluded.dropped, shed = shed + excluded.shed, undecodable = undecodable + excluded.undecodable, open = excluded.open`,
		at, l.Received, l.Inspected, l.Bypassed, l.Dropped, l.Shed, l.Undecodable, open)
	return err
}

func ms(ns int64) int64 { return ns / 1e6 }
