// Package evidence seals counted attacks in an append-only log that a stranger can check from files alone.
//
// In: closed attacks with their packets, events, the packet ledger and the log's clock. Out: acknowledged
// attacks with their leaf, and on disk entries, tiles and signed checkpoints (docs/evidence.md). Called by
// shield (writing), by cmd and console (CheckAll, reading). It never decides what an attack is, never reads a
// clock, and after an error of the disk it seals nothing more: better no record than a false one.
package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/evidence/compact"
	"github.com/dejpha/dejpha/evidence/durable"
	"github.com/dejpha/dejpha/evidence/leaves"
	"github.com/dejpha/dejpha/evidence/segment"
)

// Kind of a log, fixed at its creation.
type Kind uint8

// Kinds.
const (
	Live Kind = iota
	Recording
	Demo
)

// String is the kind's name, a part of the origin.
func (k Kind) String() string { return [...]string{"live", "recording", "demo", "unknown"}[min(k, 3)] }

// Options of a log.
type Options struct {
	Kind   Kind
	Origin string // "" : dejpha/<kind>/<fingerprint of the key>; an existing log must bear the same
	Key    Key
	Rand   io.Reader     // seeds of private parts; crypto/rand's in earnest
	Disk   *durable.Disk // nil: the machine's own
	Sensor uint32
	Time   int64  // ns; when the log starts or resumes; 0: the first time it is told
	Eraser bool   // opened to erase, nothing else: a recording, too, which no other may resume
	Rules  []byte // rules and configuration in force, as the caller reads them again; nil: not told

	discard bool // what no checkpoint covers
}

const (
	formatVersion = 2
	batchLeaves   = 8192         // at once
	batchLive     = int64(100e6) // ns that a closed attack waits at most, except on recordings
	totalsLeaves  = 4096
	minute        = uint64(60e6) // microseconds
	slotBytes     = 32           // seed, position of the private part + 1, of the packets + 1
	bundle        = 256
)

// OtherLogError says that a folder holds the log of another run, kind or origin.
type OtherLogError struct{ Dir, Holds, Wanted string }

// Error names the folder and what it holds.
func (e *OtherLogError) Error() string {
	return fmt.Sprintf("%s holds the log %s; a %s needs a folder of its own", e.Dir, e.Holds, e.Wanted)
}

// CorruptError says that what was acknowledged can no longer be read as it was written.
type CorruptError struct{ What string }

// Error says what is damaged.
func (e *CorruptError) Error() string { return "evidence is damaged: " + e.What }

// format is the file of that name.
type format struct {
	Format int    `json:"format"`
	Origin string `json:"origin"`
	Kind   string `json:"kind"`
	Key    string `json:"key"`
	Table  string `json:"table"`
}

// Log is one log, open for writing. One owner; no locks.
type Log struct {
	dir     string
	opt     Options
	form    format
	disk    *durable.Disk
	lock    *durable.Lock
	signer  note.Signer
	entries *segment.Store
	private *segment.Store
	packets *segment.Store
	words   *segment.Store
	wordAt  map[string]uint64 // texts that are held once
	slots   *durable.Append
	offsets *durable.Append
	tiles   [tileLevels]*durable.Append

	slotBuf, offsetBuf []byte
	tileBuf            [tileLevels][]byte
	scratch            []byte
	values             compact.Values
	seeds              []byte // random bytes not yet used
	room               room
	owed               []byte // the last leaf, counted in tree, with the byte that RFC 6962 puts before it; empty: its hash is in the tree
	incidents          compact.Secrets

	tree        tree
	counters    Counters
	corrected   map[int64]int // where attacks that were corrected count now, -1: nowhere
	plain       bool          // begun by a version that counted attacks alone
	started     uint64        // time of this start, microseconds
	number      uint64        // of the next totals leaf
	lastTotals  int64         // index of the last totals leaf
	sinceTotals int
	totalsTime  uint64
	time        uint64 // the log's clock, microseconds
	ledger      Ledger
	base        Ledger // of earlier runs of this log
	ruleset     [32]byte
	table       [32]byte // accounts table and rules in force
	cosigned    [32]byte // the newest checkpoint that others signed, too
	start       uint16   // flags of the start leaf still to be written
	begun       bool
	safe        int64 // leaves under the last durable checkpoint
	pending     []attack.Record
	waiting     int64 // ns at which the oldest pending one was sealed
	dirty       bool
	under       *flushing       // under way; nil: nothing is
	told        []attack.Record // acknowledged, and not yet told of
	spare       []attack.Record // memory for pending ones
	cutBytes    int64
	err         error
}

// Size is how many leaves the log has, acknowledged or not.
func (l *Log) Size() int64 { return l.tree.size }

// Origin is the log's name.
func (l *Log) Origin() string { return l.form.Origin }

// Verifier is the log's public key, for `verify --key`.
func (l *Log) Verifier() string { return l.form.Key }

// Now is the log's clock, ns; it never goes back, not over a restart either.
func (l *Log) Now() int64 { return int64(l.time) * 1000 }

// Cut is how many unacknowledged bytes a crash had left broken; they are kept in a side file.
func (l *Log) Cut() int64 { return l.cutBytes }

// KeepRules stores a text that SetRules will name, so that SetRules need not wait for the disk. From any goroutine.
func (l *Log) KeepRules(text []byte) error {
	path := rulesFile(l.dir, sha256.Sum256(text))
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	return l.disk.Replace(path, text)
}

// SetRules names the rules and configuration in force from now on and stores them once, by hash.
func (l *Log) SetRules(text []byte, now int64) error {
	hash, err := l.storeRules(text)
	if err != nil || l.ruleset == hash {
		return err
	}
	l.ruleset = hash
	if err := l.storeTable(); err != nil {
		return err
	}
	return l.Event(CodeRulesChanged, now, -1, hash[:], nil)
}

// storeRules keeps a text in a file that bears its hash.
func (l *Log) storeRules(text []byte) (hash [32]byte, err error) {
	hash = sha256.Sum256(text)
	path := rulesFile(l.dir, hash)
	if _, err := os.Stat(path); err != nil {
		return hash, l.keep(l.disk.Replace(path, text))
	}
	return hash, nil
}

func rulesFile(dir string, hash [32]byte) string {
	return filepath.Join(dir, "rules", hex.EncodeToString(hash[:]))
}

// ReadRules returns the rules and configuration that were in force when an attack was closed; nil where the log was
// not told them. What does not bear its hash is an error.
func ReadRules(dir string, leaf int64) ([]byte, error) {
	b, err := ReadLeaf(dir, leaf)
	if err != nil {
		return nil, err
	}
	a, err := leaves.DecodeAttack(b)
	if err != nil || a.Ruleset == [32]byte{} {
		return nil, err
	}
	return rulesOf(dir, a.Ruleset)
}

func rulesOf(dir string, hash [32]byte) ([]byte, error) {
	text, err := os.ReadFile(rulesFile(dir, hash))
	if err == nil && sha256.Sum256(text) != hash {
		err = &CorruptError{"the rules' file does not bear its hash"}
	}
	return text, err
}

// storeTable keeps what the table id is the hash of: the accounts' table as a person reads it, then the hash of the
// rules in force.
func (l *Log) storeTable() (err error) {
	var b bytes.Buffer
	attack.PrintTable(&b)
	b.Write(l.ruleset[:])
	l.table, err = l.storeRules(b.Bytes())
	return err
}

// keep makes the first error the log's last word.
func (l *Log) keep(err error) error {
	if err != nil && l.err == nil {
		l.err = fmt.Errorf("sealing evidence: %w", err)
	}
	return l.err
}

// Seal appends a closed attack; packets is a capture file of its packets, or nil. Authorised traffic is never
// counted and refused here. r gets its leaf, its packets' hash and, when the log's clock has passed it, the
// clock's time as ClosedAt. The attack is acknowledged by a later Flush.
func (l *Log) Seal(r *attack.Record, packets []byte) error {
	if l.err != nil {
		return l.err
	}
	if r.Authorised {
		return l.keep(errors.New("authorised traffic is never counted"))
	}
	if err := l.clock(leaves.Micro(r.ClosedAt)); err != nil {
		return err
	}
	if leaves.Micro(r.ClosedAt) < l.totalsTime { // resumed after its gap had passed: it is counted when the log hears of it
		r.ClosedAt = int64(l.totalsTime) * 1000
	}
	var at uint64
	if len(packets) > 0 {
		hash := sha256.Sum256(packets)
		r.Evidence.Packets = hex.EncodeToString(hash[:])
		pos, err := l.put(l.packets, packets)
		if l.keep(err) != nil {
			return l.err
		}
		at = pos + 1
	}
	leaf, err := l.leaf(r)
	if l.keep(err) != nil {
		return l.err
	}
	salt := l.incidents.Of(r.Incident)
	l.room.opening = incidentOpening(l.room.opening[:0], salt[:], r.Incident)
	p := split(r, l.room.opening, &l.values)
	short, err := compact.Append(l.scratch[:0], r, l.word)
	if err != nil {
		short = p.append(short[:0])
	} else {
		short = append(short, salt[:]...)
	}
	leaf.Private, leaf.Incident, err = l.hide(&p, short, at)
	if l.scratch = short; l.keep(err) != nil {
		return l.err
	}
	r.Evidence.Leaf = l.tree.size
	l.counters[2*leaf.Cell()] = leaf.Ordinal
	l.counters.Overflow(leaf.Flags, leaf.Class)
	l.scratch = leaf.Append(l.scratch[:0])
	if len(l.pending) == 0 {
		l.waiting = r.ClosedAt
	}
	if len(l.pending) == cap(l.pending) { // doubled: append's small steps touch five times the memory
		l.pending = slices.Grow(l.pending, max(64, len(l.pending)))
	}
	l.pending = append(l.pending, *r)
	return l.append(l.scratch)
}

// seedsAtOnce is how many seeds are asked of the system at once.
const seedsAtOnce = 64

// hide stores a private part and the leaf's slot, and returns its commitment and its incident's. stored is how it is kept,
// and is encrypted in place.
func (l *Log) hide(p *Private, stored []byte, packetsAt uint64) (private, incident [32]byte, err error) {
	if len(l.seeds) == 0 {
		l.seeds = make([]byte, seedsAtOnce*seedBytes)
		if _, err := io.ReadFull(l.opt.Rand, l.seeds); err != nil {
			return private, incident, fmt.Errorf("random bytes for a private part: %w", err)
		}
	}
	seed := l.seeds[:seedBytes]
	l.seeds = l.seeds[seedBytes:]
	s := compact.NewSecrets(seed)
	l.room.key = s.Mask(stored, l.room.key)
	pos, err := l.put(l.private, stored)
	if err != nil {
		return private, incident, err
	}
	l.slotsUpTo(l.tree.size)
	l.slotBuf = append(l.slotBuf, seed...)
	l.slotBuf = be.AppendUint64(l.slotBuf, pos+1)
	l.slotBuf = be.AppendUint64(l.slotBuf, packetsAt)
	node, owed := l.tree.owed()
	beside := node[:]
	if !owed {
		beside = nil
	}
	private, incident = p.commit(s, &l.room, beside, l.owed)
	if owed {
		l.tree.pay(l.room.beside[0], l.toTile)
	}
	if len(l.owed) > 0 {
		l.grow(l.room.beside[1])
	}
	return private, incident, nil
}

// earlyBytes is how much of what leaves hide is held before it is handed to the system; it is synced with the leaves.
const earlyBytes = 256 << 10

// put stores a record of the next leaf.
func (l *Log) put(s *segment.Store, b []byte) (uint64, error) {
	l.beforeRoll(s)
	pos, err := s.Record(l.tree.size, b)
	if _, offset := segment.Place(pos); offset == 0 {
		s.Began = l.time
	}
	if err == nil && s.Buffered() >= earlyBytes {
		err = s.Write()
	}
	return pos, err
}

// slotsUpTo fills the slots of leaves without a private part.
func (l *Log) slotsUpTo(leaf int64) {
	for l.slots.Size()+int64(len(l.slotBuf)) < leaf*slotBytes {
		l.slotBuf = append(l.slotBuf, make([]byte, slotBytes)...)
	}
}

// The numbers of outcomes, results and risks are their places here.
var (
	outcomes = []string{attack.Foiled, attack.Contained, attack.Observed}
	results  = []string{attack.Succeeded, attack.Failed, attack.Unknown}
	risks    = []string{attack.Real, attack.Decoy, attack.NoRisk}
)

// place is a name's place among few, or -1.
func place(list []string, name string) int {
	for i, s := range list {
		if s == name {
			return i
		}
	}
	return -1
}

// family is 4 or 6 for an address, 0 for another text.
func family(ip string) uint8 {
	if _, ok := compact.Dotted(ip); ok { // mostly
		return 4
	}
	a, err := netip.ParseAddr(ip)
	switch {
	case err != nil:
		return 0
	case a.Is4():
		return 4
	}
	return 6
}

// leaf is the public part of a record.
func (l *Log) leaf(r *attack.Record) (AttackLeaf, error) {
	x, err := publicPart(r)
	x.Sensor, x.Ruleset = l.opt.Sensor, l.ruleset
	x.Ordinal = l.counters[2*x.Cell()] + 1
	return x, err
}

// publicPart is what a record alone says of its leaf.
func publicPart(r *attack.Record) (AttackLeaf, error) {
	class := attack.ClassIndex(r.Class)
	outcome, result, risk := place(outcomes, r.Outcome), place(results, r.Result), place(risks, r.Risk)
	if class < 0 || outcome < 0 || result < 0 || risk < 0 {
		return AttackLeaf{}, fmt.Errorf("attack %d: unknown class, outcome, result or risk", r.ID)
	}
	x := AttackLeaf{
		Flags: uint16(risk), Class: uint16(class), OutcomeResult: uint8(outcome*3 + result), Severity: r.Severity,
		ClosedAt: leaves.Micro(r.ClosedAt), FirstSeen: leaves.Micro(r.FirstSeen), LastSeen: leaves.Micro(r.LastSeen),
		Packets: r.Packets, PacketsStopped: r.PacketsStopped, Bytes: r.Bytes, BytesStopped: r.BytesStopped,
		Observations: uint32(min(r.Observations, 1<<32-1)), Proto: r.Target.Proto, Stage: attack.Table()[class].Stage,
	}
	for _, f := range []struct {
		is   bool
		flag uint16
	}{{r.Side == attack.Inside, leaves.FlagSide}, {r.Overflow, leaves.FlagOverflow}, {r.EndOfInput, leaves.FlagEnd}} {
		if f.is {
			x.Flags |= f.flag
		}
	}
	if len(r.Techniques) > 0 {
		x.Technique = techniqueNumber(r.Techniques[0])
	}
	if len(r.Alerts) > 0 {
		x.Rule = r.Alerts[0].SID
	}
	if len(r.Target.Ports) == 1 {
		x.Port = r.Target.Ports[0]
	}
	if len(r.Target.IPs) > 0 {
		x.Family = family(r.Target.IPs[0])
	}
	return x, nil
}

// techniqueNumber writes T1110.001 as 1110001, and is 0 for what is no technique.
func techniqueNumber(id string) uint32 {
	if n := compact.TechniqueNumber(id); n != 0 && n%1000 < 256 { // mostly
		return uint32(n)
	}
	main, sub, _ := strings.Cut(strings.TrimPrefix(id, "T"), ".")
	n, _ := strconv.ParseUint(main, 10, 16)
	if sub == "" {
		return uint32(n * 1000)
	}
	m, _ := strconv.ParseUint(sub, 10, 8)
	return uint32(n*1000 + m)
}

// Event appends what is not counted and must not be missing. attackLeaf is the leaf it belongs to, or -1;
// data is public (at most 60,000 bytes are kept), hidden is private and may be nil.
func (l *Log) Event(code Code, now int64, attackLeaf int64, data, hidden []byte) error {
	if l.err != nil {
		return l.err
	}
	if err := l.clock(leaves.Micro(now)); err != nil {
		return err
	}
	return l.event(code, attackLeaf, data, hidden)
}

func (l *Log) event(code Code, attackLeaf int64, data, hidden []byte) error {
	e := EventLeaf{Code: code, Time: l.time, Attack: uint64(attackLeaf + 1), Data: data[:min(len(data), 60000)]}
	if hidden != nil {
		p := Private{hidden}
		var err error
		if e.Private, _, err = l.hide(&p, p.append(nil), 0); l.keep(err) != nil {
			return l.err
		}
	}
	l.counters.Event(&e, l.started)
	return l.append(e.Append(nil))
}

// Totals hands on the ledger of this run and the clock, ns; a totals leaf is written when a minute is over.
func (l *Log) Totals(ledger Ledger, now int64) error {
	if l.err != nil {
		return l.err
	}
	l.ledger = l.base.Plus(ledger)
	return l.clock(leaves.Micro(now))
}

// clock moves the log's clock on, writes the start leaf and, when a minute is over, a totals leaf at its end.
// A silence of many minutes is a gap event and one totals leaf.
func (l *Log) clock(now uint64) error {
	if !l.begun {
		return l.begin(now)
	}
	if now <= l.time {
		return nil
	}
	if full := now - now%minute; full > l.totalsTime {
		from := l.time
		l.time = max(l.time, full)
		if err := l.silence(from, full); err != nil {
			return err
		}
		if err := l.totals(0, full); err != nil {
			return err
		}
	}
	l.time = now
	return nil
}

// begin writes the leaf of a start, which bears the time of it: so the leaf before it tells how long nobody watched.
// What a crash had left broken is named.
func (l *Log) begin(now uint64) error {
	from := l.time
	l.begun, l.time = true, max(l.time, now)
	if l.number == 0 {
		from, l.time = now, now
	}
	l.counters.Start(l.start, from, l.time)
	l.started = l.time
	if err := l.totals(l.start, l.time); err != nil {
		return err
	}
	if err := l.silence(from, l.time); err != nil {
		return err
	}
	if l.cutBytes == 0 {
		return nil
	}
	return l.event(CodeRestart, -1, fmt.Appendf(nil, "%d bytes that a crash left unfinished were cut and kept aside", l.cutBytes), nil)
}

// silence logs that there is no leaf between two times, if that is long.
func (l *Log) silence(from, to uint64) error {
	if to-from < 2*minute {
		return nil
	}
	return l.event(CodeGap, -1, be.AppendUint64(be.AppendUint64(nil, from), to), nil)
}

// totals appends a totals leaf.
func (l *Log) totals(flags uint16, now uint64) error {
	if l.plain {
		l.counters.CellsOnly()
	}
	t := TotalsLeaf{Flags: flags | uint16(l.opt.Kind)<<leaves.KindShift, Number: l.number, Previous: uint64(l.lastTotals),
		Time: now, Ledger: l.ledger, Cosigned: l.cosigned, TableID: l.table, Counters: l.counters}
	l.number++
	l.lastTotals, l.totalsTime, l.sinceTotals = l.tree.size, now, -1
	return l.append(t.Append(nil))
}

// append adds one entry to the log's buffers and tree.
func (l *Log) append(b []byte) error {
	if len(b) > leaves.EntryMax {
		return l.keep(fmt.Errorf("leaf of %d bytes", len(b)))
	}
	if l.entries.Full() { // the old file is synced when the new one begins: what its leaves hide must be safe by then
		l.await()
		if l.keep(l.syncAll()) != nil {
			return l.err
		}
	}
	pos, err := l.entries.Entry(b)
	if l.keep(err) != nil {
		return l.err
	}
	l.link(b, pos)
	l.dirty = true
	if l.sinceTotals++; l.sinceTotals >= totalsLeaves-1 {
		return l.totals(0, l.time)
	}
	return nil
}

// link adds a leaf to the tree, the tiles and the offsets.
func (l *Log) link(b []byte, pos uint64) {
	if l.tree.size%bundle == 0 {
		l.offsetBuf = be.AppendUint64(l.offsetBuf, pos)
	}
	if len(l.owed) > 0 { // else it was hashed beside this one's values, as was a node
		if node, ok := l.tree.owed(); ok {
			l.tree.pay(sha256.Sum256(node[:]), l.toTile)
		}
		l.grow(sha256.Sum256(l.owed))
	}
	l.owed = append(append(l.owed, 0), b...)
	l.tree.size++
}

// settle hashes what is owed.
func (l *Log) settle() {
	if len(l.owed) > 0 {
		l.grow(sha256.Sum256(l.owed))
	}
	l.tree.settle(l.toTile)
}

// grow puts the last leaf's hash into the tree.
func (l *Log) grow(h tlog.Hash) {
	l.tree.push(h, l.toTile)
	l.owed = l.owed[:0]
}

func (l *Log) toTile(level int, h tlog.Hash) { l.tileBuf[level] = append(l.tileBuf[level], h[:]...) }

// root is the head of the tree.
func (l *Log) root() tlog.Hash {
	l.settle()
	return l.tree.root()
}

// Snapshot keeps the open accounts beside the log, with the log's size.
func (l *Log) Snapshot(accounts []byte) error {
	if l.err != nil {
		return l.err
	}
	b, err := json.Marshal(savedAccounts{l.tree.size, accounts})
	if err != nil {
		return fmt.Errorf("writing open accounts: %w", err)
	}
	return l.keep(l.disk.Replace(filepath.Join(l.dir, "accounts"), b))
}

type savedAccounts struct {
	Size     int64  `json:"size"`
	Accounts []byte `json:"accounts"`
}

// ErrSnapshot says that the snapshot of the open accounts cannot be read. The log itself is not touched by that.
var ErrSnapshot = errors.New("the snapshot of open accounts cannot be read")

// Resume returns the open accounts of the last snapshot, nil if there is none, and the attacks sealed since,
// which the accounts must not count again (attack.Accounts.Sealed).
func (l *Log) Resume() ([]byte, []attack.Record, error) {
	b, err := os.ReadFile(filepath.Join(l.dir, "accounts"))
	if errors.Is(err, os.ErrNotExist) {
		r, err := l.Records(0)
		return nil, r, err
	}
	if err != nil {
		return nil, nil, fmt.Errorf("reading open accounts: %w", err)
	}
	var s savedAccounts
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	if s.Size > l.tree.size {
		return nil, nil, &CorruptError{fmt.Sprintf("the open accounts were left behind %d leaves, there are %d: this is an older copy of the log", s.Size, l.tree.size)}
	}
	r, err := l.Records(s.Size)
	return s.Accounts, r, err
}

// Records returns the sealed attacks from a leaf on, from their private parts; erased ones are left out.
// Eve's lines that a crash kept from being written are written from it again.
func (l *Log) Records(from int64) ([]attack.Record, error) { return Records(l.dir, from) }

// Close writes a totals leaf that says stop, flushes and gives the folder back.
func (l *Log) Close() ([]attack.Record, error) {
	done, err := l.flush(leaves.FlagStop)
	l.letGo()
	return done, err
}

// Abandon gives the folder back as a crash would: what is not flushed is lost, and the next start is an unclean one.
func (l *Log) Abandon() {
	l.letGo()
	_ = l.keep(errors.New("the log was abandoned"))
}

// letGo closes what is open.
func (l *Log) letGo() {
	if f := l.under; f != nil && f.work != nil && f.done != nil {
		<-f.done
		f.work = nil
	}
	files := append([]*durable.Append{l.slots, l.offsets}, l.tiles[:]...)
	for _, s := range []*segment.Store{l.entries, l.private, l.packets, l.words} {
		if s != nil {
			files = append(files, s.File)
		}
	}
	for _, f := range files {
		if f != nil {
			_ = f.Close()
		}
	}
	_ = l.lock.Close()
}
