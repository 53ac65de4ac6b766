package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/dejpha/dejpha/evidence/leaves"
	"github.com/dejpha/dejpha/evidence/segment"
)

// Report is what a check of the files alone found.
type Report struct {
	Origin, Kind  string
	Fingerprint   string // of the key that signed
	SelfCertified bool   // the key came from the folder itself
	Size          int64  // leaves under the checkpoint
	Earlier       int64  // checkpoints kept elsewhere that the log holds
	Public        bool   // private parts and packets were left closed
	Beyond        int64  // whole leaves past it: sealed by nothing yet
	Root          string
	Cosigned      int64                  // leaves of the newest checkpoint that witnesses signed, too; 0: there is none
	Attacks       uint64                 // counted, net of withdrawals
	Withdrawn     uint64                 // by corrections, from what was counted before
	ByClass       [leaves.Classes]uint64 // attack.Table's order
	Counters      map[uint16]uint64      // by counter id
	TotalsLeaves  uint64
	Ledger        Ledger
	Retained      uint64 // files of packets, private parts and records that fell to retention, as the log says
	Decisions     uint64 // whom each was against is in a private part of its own
	PrivateOpen   uint64 // private parts opened, each agreeing with its commitment
	Erased        uint64
	Packets       uint64   // packets kept, each agreeing with its hash
	Restarts      []string // starts after a crash and what was given up at one, at most 100 named
	RestartCount  uint64
	Authorised    uint64   // attacks by own and authorised traffic: shown, never counted
	Jumps         []string // of the clock, at most 100 named
	JumpCount     uint64
	Overflow      uint64   // of the attacks counted, those that stand for several: too many accounts were open
	Capped        uint64   // events that say that accounts were merged or given up
	Gaps          []string // times without a leaf, at most 100 named
	GapCount      uint64
	NotRerunnable []string // attacks whose detection can no longer be run again, at most 100 named
	NotRerun      uint64
	Problems      []string // empty: everything holds; at most 100 named
	ProblemCount  uint64
}

const namedMax = 100

// OK says whether everything holds.
func (r *Report) OK() bool { return r.ProblemCount == 0 }

func (r *Report) problem(f string, args ...any) {
	if r.ProblemCount++; len(r.Problems) < namedMax {
		r.Problems = append(r.Problems, fmt.Sprintf(f, args...))
	}
}

// first is problem for what tells a person where to look: it is named before all others.
func (r *Report) first(f string, args ...any) {
	r.ProblemCount++
	r.Problems = append([]string{fmt.Sprintf(f, args...)}, r.Problems[:min(len(r.Problems), namedMax-1)]...)
}

// Print writes the report for a person; its last line is the verdict.
func (r *Report) Print(w io.Writer) {
	fmt.Fprintf(w, "log        %s, %d leaves, root %s\n", r.Origin, r.Size, r.Root)
	private := fmt.Sprintf("%d private parts open, %d erased; packets of %d", r.PrivateOpen, r.Erased, r.Packets)
	if r.Public {
		private = "private parts and packets were left closed"
	}
	fmt.Fprintf(w, "counted    %d attacks; decided %d times; %s\n", r.Attacks, r.Decisions, private)
	if r.Withdrawn > 0 {
		fmt.Fprintf(w, "withdrawn  %d of %d that were counted, each by a correction of the log\n", r.Withdrawn, r.Attacks+r.Withdrawn)
	}
	if r.Earlier > 0 {
		fmt.Fprintf(w, "earlier    %d checkpoints kept elsewhere are of this history\n", r.Earlier)
	}
	l := r.Ledger
	fmt.Fprintf(w, "packets    %d received = %d inspected + %d bypassed + %d dropped by the kernel + %d shed + %d undecodable\n", l.Received, l.Inspected, l.Bypassed, l.KernelDrops, l.Shed, l.Undecodable)
	named(w, "restart    ", r.Restarts, r.RestartCount)
	named(w, "gap        ", r.Gaps, r.GapCount)
	named(w, "clock jump ", r.Jumps, r.JumpCount)
	if r.Authorised > 0 {
		fmt.Fprintf(w, "authorised %d attacks by own and authorised traffic, not counted\n", r.Authorised)
	}
	if r.Overflow > 0 || r.Capped > 0 {
		fmt.Fprintf(w, "caps       %d of the attacks counted stand for several each, for too many accounts were open; the log says so %d times\n", r.Overflow, r.Capped)
	}
	if r.Retained > 0 {
		fmt.Fprintf(w, "retention  %d files fell to it, each named by the log\n", r.Retained)
	}
	if r.NotRerun > 0 {
		fmt.Fprintf(w, "re-run     not possible for %d attacks: their packets were not kept, erased or fell to retention\n", r.NotRerun)
	}
	if r.Beyond > 0 {
		fmt.Fprintf(w, "beyond     %d leaves lie past the checkpoint; nothing vouches for them\n", r.Beyond)
	}
	for _, p := range r.Problems {
		fmt.Fprintf(w, "WRONG      %s\n", p)
	}
	fmt.Fprintln(w, "not shown  who stood behind an address; that an attack was not staged; what was never captured")
	verdict := "verified, key " + r.Fingerprint
	if r.SelfCertified {
		verdict = "self-certified, key " + r.Fingerprint
	}
	if !r.OK() {
		verdict = fmt.Sprintf("NOT VERIFIED: %d problems", r.ProblemCount)
	}
	fmt.Fprintln(w, verdict)
}

// shownMax is how many lines of a sort a person reads.
const shownMax = 12

func named(w io.Writer, what string, list []string, all uint64) {
	shown := list[:min(len(list), shownMax)]
	for _, text := range shown {
		fmt.Fprintln(w, what+text)
	}
	if left := all - uint64(len(shown)); left > 0 {
		fmt.Fprintf(w, "%sand %d more\n", what, left)
	}
}

// checker walks a log once from its first byte.
type checker struct {
	dir      string
	r        *Report
	form     format
	point    Checkpoint
	tree     tree
	counts   Counters
	words    wordReader
	plain    bool   // the log was begun by a version that counted attacks alone
	started  uint64 // time of the last start
	number   uint64
	lastAt   int64
	lastTime uint64
	last     *TotalsLeaf
	lastType byte
	latest   uint64        // time of a leaf since the last totals leaf
	cells    map[int64]int // of attack leaves that were corrected; none: -1
	erasures map[int64]bool
	retained map[string]bool
	withheld []int64  // leaves whose private part or packets were missing
	ruleset  [32]byte // the last one that was looked at
	table    [32]byte // the same
	hashes   [tileLevels]*bytesCheck
	offsets  *bytesCheck
	slots    *segment.Window
	opened   segment.Records // private parts
	kept     segment.Records // packets
	public   bool            // private parts and packets stay closed
	earlier  []Checkpoint
	held     int64 // leaves under the largest earlier checkpoint that the entries lead to
	differs  int64 // the first leaf whose hash tile0 does not hold, -1: none
}

// bytesCheck compares a derived file with what it must hold, as that is computed.
type bytesCheck struct {
	w    *segment.Window
	name string
	bad  bool
	n    int64
}

// CheckOptions say how a folder is checked.
type CheckOptions struct {
	Key     string   // a verifier key from elsewhere; "": the folder's own, which proves only that the log is whole in itself
	Earlier [][]byte // checkpoints of this log, signed notes that somebody kept elsewhere: none of them may be contradicted
	Public  bool     // recount what is public; private parts and packets stay closed
}

// CheckAll is Check of everything.
func CheckAll(dir, key string) (Report, error) { return Check(dir, CheckOptions{Key: key}) }

// Check reads a folder anew and verifies everything: frames, tree, tiles, checkpoint, ordinals, totals, ledger,
// private parts, packets, rules. An error means that it could not be read at all; what is wrong stands in the report.
// Its memory does not grow with the log, but for erased, deleted and corrected leaves, 16 bytes each.
func Check(dir string, opt CheckOptions) (Report, error) {
	r := Report{Counters: map[uint16]uint64{}, Public: opt.Public}
	c := &checker{dir: dir, r: &r, lastAt: -1, differs: -1, cells: map[int64]int{}, erasures: map[int64]bool{}, retained: map[string]bool{},
		public: opt.Public, words: wordReader{dir: dir}, opened: segment.Records{Dir: filepath.Join(dir, "private")}, kept: segment.Records{Dir: filepath.Join(dir, "packets")}}
	var err error
	if c.form, err = readFormat(dir); err != nil {
		var damaged *CorruptError
		if errors.As(err, &damaged) {
			r.problem("%s", damaged.What)
			return r, nil
		}
		return r, err
	}
	r.Origin, r.Kind = c.form.Origin, c.form.Kind
	key := opt.Key
	if key == "" {
		key, r.SelfCertified = c.form.Key, true
	}
	r.Fingerprint = Fingerprint(key)
	if !c.checkpoint(key) || !c.heads(opt.Earlier, key) {
		return r, nil
	}
	c.witnessed(key)
	c.openDerived()
	defer c.closeDerived()
	end, err := segment.Scan(filepath.Join(dir, "entries"), c.leaf)
	if err != nil {
		return r, err
	}
	c.finish(end)
	return r, nil
}

func (c *checker) checkpoint(key string) bool {
	b, err := os.ReadFile(filepath.Join(c.dir, "checkpoint"))
	if err != nil {
		c.r.problem("no checkpoint can be read: nothing is signed")
		return false
	}
	if c.point, err = OpenCheckpoint(b, key); err != nil {
		c.r.problem("the checkpoint and the key, in format or given, do not fit: %v", err)
		return false
	}
	c.written(b)
	if c.point.Origin != c.form.Origin {
		c.r.problem("the checkpoint is of %s, the file format says %s", c.point.Origin, c.form.Origin)
	}
	c.r.Size, c.r.Root = c.point.Size, hex.EncodeToString(c.point.Root[:])
	return true
}

// witnessed takes the checkpoint that witnesses signed, too, as one that somebody keeps elsewhere: they do.
func (c *checker) witnessed(key string) {
	b, err := ReadCosigned(c.dir)
	if err != nil {
		c.r.problem("%v", err)
	}
	if b == nil || !c.heads([][]byte{b}, key) {
		return
	}
	if p := c.earlier[len(c.earlier)-1]; p.Size <= c.point.Size {
		c.r.Cosigned = p.Size
	}
}

func (c *checker) openDerived() {
	open := func(name string) *segment.Window {
		w, err := segment.OpenWindow(filepath.Join(c.dir, name))
		if err != nil {
			c.r.problem("%s cannot be read", name)
		}
		return w
	}
	for i := range c.hashes {
		name := fmt.Sprintf("tile%d", i)
		c.hashes[i] = &bytesCheck{w: open(name), name: name}
	}
	c.offsets = &bytesCheck{w: open("offsets"), name: "offsets"}
	if !c.public {
		c.slots = open("seeds")
	}
}

func (c *checker) closeDerived() {
	for _, x := range append(c.hashes[:], c.offsets) {
		x.w.Close()
	}
	c.slots.Close()
	c.opened.Close()
	c.kept.Close()
}

// expect compares the next bytes of a derived file; false where they begin to differ.
func (x *bytesCheck) expect(want []byte) bool {
	if x.w == nil || x.bad {
		return true
	}
	x.bad = !bytes.Equal(x.w.Get(x.n, int64(len(want))), want)
	x.n += int64(len(want))
	return !x.bad
}

func (c *checker) leaf(i int64, pos uint64, b []byte) error {
	if i >= c.point.Size {
		c.r.Beyond++
		return nil
	}
	c.derived(i, pos, b)
	c.judge(i, b)
	return nil
}

// judge holds a leaf to those before it.
func (c *checker) judge(i int64, b []byte) {
	if b[0] != leaves.TypeTotals && (i == 0 || c.last != nil && c.last.Flags&leaves.FlagStop != 0 && c.lastAt == i-1) {
		c.r.problem("leaf %d: the log goes on without a leaf that says it was started", i)
	}
	c.lastType = b[0]
	switch b[0] {
	case leaves.TypeAttack:
		c.attack(i, b)
	case leaves.TypeTotals:
		c.totals(i, b)
		c.unhidden(i)
	case leaves.TypeEvent:
		c.event(i, b)
	case leaves.TypeCorrection:
		c.correction(i, b)
	}
}

func (c *checker) attack(i int64, b []byte) {
	x, err := leaves.DecodeAttack(b)
	if err != nil {
		c.r.problem("leaf %d is malformed", i)
		return
	}
	id := 2 * x.Cell()
	if c.counts[id]++; x.Ordinal != c.counts[id] {
		c.r.problem("leaf %d: ordinal %d, the cell's attacks so far are %d", i, x.Ordinal, c.counts[id])
	}
	if c.last == nil || x.ClosedAt < c.lastTime {
		c.r.problem("leaf %d: closed before the totals leaf that precedes it", i)
	}
	c.latest = max(c.latest, x.ClosedAt)
	c.counts.Overflow(x.Flags, x.Class)
	if x.Flags&leaves.FlagOverflow != 0 {
		c.r.Overflow++
	}
	if x.Ruleset != c.ruleset && x.Ruleset != [32]byte{} {
		c.ruleset = x.Ruleset
		if _, err := c.rules(x.Ruleset); err != nil {
			c.r.problem("leaf %d: the rules it was found with cannot be read: %v", i, err)
		}
	}
	c.private(i, x.Private, &x)
}

func (c *checker) totals(i int64, b []byte) {
	t, err := leaves.DecodeTotals(b)
	if err != nil {
		c.r.problem("leaf %d is malformed", i)
		return
	}
	c.r.TotalsLeaves++
	if t.Number != c.number || int64(t.Previous) != max(c.lastAt, 0) {
		c.r.problem("leaf %d: totals leaf %d follows %d", i, t.Number, int64(c.number)-1)
	}
	c.counts.Start(t.Flags, max(c.lastTime, c.latest), t.Time)
	if c.plain = c.plain || i == 0 && t.Counters[CounterStarts] == 0; c.plain {
		c.counts.CellsOnly()
	}
	if t.Flags&leaves.FlagStart != 0 {
		c.started = t.Time
	}
	if t.Counters != c.counts {
		c.r.problem("leaf %d: its totals are not those of the leaves before it", i)
	}
	if t.Time < c.lastTime || t.Time < c.latest {
		c.r.problem("leaf %d: its time lies before that of leaves that precede it", i)
	}
	if i-c.lastAt > totalsLeaves {
		c.r.problem("leaf %d: %d leaves without a totals leaf", i, i-c.lastAt-1)
	}
	if !t.Ledger.Balanced() {
		c.r.problem("leaf %d: the packet ledger does not balance", i)
	}
	if c.last != nil {
		for k, v := range t.Ledger.Fields() {
			if v < c.last.Ledger.Fields()[k] {
				c.r.problem("leaf %d: the packet ledger goes back", i)
				break
			}
		}
	}
	if Kind(t.Flags>>leaves.KindShift&3).String() != c.form.Kind {
		c.r.problem("leaf %d: of a %s log; the file format says %s", i, Kind(t.Flags>>leaves.KindShift&3), c.form.Kind)
	}
	c.start(i, t)
	if c.table != t.TableID {
		c.table = t.TableID
		// A log that an earlier version began has no such file: then only the hash is there.
		text, err := c.rules(t.TableID)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			c.r.problem("leaf %d: the table it counts by cannot be read: %v", i, err)
		}
		if text != nil && i == 0 && !bytes.HasPrefix(text, []byte(c.form.Table+"\n")) {
			c.r.problem("format does not name the classes that leaf 0 counts by")
		}
	}
	c.last, c.lastAt, c.lastTime, c.number = t, i, t.Time, t.Number+1
	c.r.Ledger = t.Ledger
}

// start judges what a totals leaf says of a start: the first one says so, one after a stop is clean, any other unclean.
func (c *checker) start(i int64, t *TotalsLeaf) {
	stopped := c.last != nil && c.last.Flags&leaves.FlagStop != 0 && c.lastAt == i-1
	started, unclean := t.Flags&leaves.FlagStart != 0, t.Flags&leaves.FlagUnclean != 0
	switch {
	case (i == 0 || stopped) && (!started || unclean), started && i > 0 && !stopped && !unclean, unclean && !started:
		c.r.problem("leaf %d: what it says of a start is not what the leaves before it show", i)
	case unclean && c.last != nil:
		c.restart("unclean start at %s, the leaf before it is of %s: what was open and not yet sealed may be missing", stamp(t.Time), stamp(max(c.lastTime, c.latest)))
	}
}

func (c *checker) gap(f string, args ...any) {
	if c.r.GapCount++; len(c.r.Gaps) < namedMax {
		c.r.Gaps = append(c.r.Gaps, fmt.Sprintf(f, args...))
	}
}

func (c *checker) restart(f string, args ...any) {
	if c.r.RestartCount++; len(c.r.Restarts) < namedMax {
		c.r.Restarts = append(c.r.Restarts, fmt.Sprintf(f, args...))
	}
}

func stamp(us uint64) string {
	return time.UnixMicro(int64(min(us, 1<<62))).UTC().Format("2006-01-02 15:04:05")
}

func (c *checker) event(i int64, b []byte) {
	e, err := leaves.DecodeEvent(b)
	if err != nil {
		c.r.problem("leaf %d is malformed", i)
		return
	}
	if c.last != nil && e.Time < c.lastTime {
		c.r.problem("leaf %d: its time lies before the totals leaf that precedes it", i)
	}
	c.latest = max(c.latest, e.Time)
	c.counts.Event(&e, c.started)
	if e.Attack > uint64(i) {
		c.r.problem("leaf %d belongs to a later leaf", i)
	}
	switch e.Code {
	case CodeGap:
		if len(e.Data) == 16 {
			c.gap("no leaf between %s and %s", stamp(be.Uint64(e.Data)), stamp(be.Uint64(e.Data[8:])))
		}
	case CodeRestart:
		c.restart("restart at %s: %.200q", stamp(e.Time), e.Data)
	case CodeUnkept:
		c.restart("not kept: %.300s", e.Data)
	case CodeDecision:
		c.r.Decisions++
	case CodeClockJump:
		if c.r.JumpCount++; len(e.Data) == 16 && len(c.r.Jumps) < namedMax {
			c.r.Jumps = append(c.r.Jumps, fmt.Sprintf("the packets' clock went from %s to %s", stamp(be.Uint64(e.Data)), stamp(be.Uint64(e.Data[8:]))))
		}
	case CodeAuthorised:
		c.r.Authorised++
	case CodeCaps:
		c.r.Capped++
	case CodeErasure:
		c.erasures[int64(e.Attack)-1] = true
	case CodeRetention:
		c.retained[string(e.Data)] = true
		c.r.Retained++
	}
	if e.Private != [32]byte{} {
		c.private(i, e.Private, nil)
	} else {
		c.unhidden(i)
	}
}

func (c *checker) correction(i int64, b []byte) {
	x, err := leaves.DecodeCorrection(b)
	cell := -1
	if err == nil && x.Attack < uint64(i) {
		cell = c.cellOf(int64(x.Attack))
	}
	if cell < 0 {
		c.r.problem("leaf %d corrects what is no counted attack", i)
		return
	}
	c.counts[2*cell+1]++
	c.cells[int64(x.Attack)] = -1
	if x.Cell < leaves.Cells {
		c.counts[2*x.Cell]++
		c.cells[int64(x.Attack)] = int(x.Cell)
	}
}

// cellOf is where an earlier leaf counts, -1 if nowhere.
func (c *checker) cellOf(leaf int64) int {
	if cell, corrected := c.cells[leaf]; corrected {
		return cell
	}
	b, err := ReadLeaf(c.dir, leaf)
	if err != nil {
		return -1
	}
	x, err := leaves.DecodeAttack(b)
	if err != nil {
		return -1
	}
	return x.Cell()
}

// private opens a leaf's private part and compares it with its commitments, with what an attack's leaf says, and the
// packets with their hash.
func (c *checker) private(i int64, want [32]byte, x *AttackLeaf) {
	if c.public {
		return
	}
	s, p, r, err := unhide(c.slot(i), &c.opened, &c.words, i, want)
	var damaged *CorruptError
	switch {
	case errors.Is(err, ErrErased):
		c.r.Erased++
		c.withheld = append(c.withheld, i)
		return
	case errors.Is(err, os.ErrNotExist):
		c.withheld = append(c.withheld, i)
		return
	case errors.As(err, &damaged):
		c.r.problem("%s", damaged.What)
		return
	}
	c.r.PrivateOpen++
	if x != nil {
		if !p.agrees(r, x, i) {
			c.r.problem("leaf %d: it does not say what its private part says", i)
		}
		c.packets(i, s, string(p[fieldPackets]))
	}
}

func (c *checker) packets(i int64, s slot, hash string) {
	if hash == "" {
		if s.packets != 0 {
			c.r.problem("leaf %d: packets without a hash", i)
		}
		c.notRerun(i)
		return
	}
	b, err := c.kept.Read(s.packets-1, i)
	if errors.Is(err, os.ErrNotExist) {
		c.withheld = append(c.withheld, i)
		return
	}
	if sum := sha256.Sum256(b); err != nil || hex.EncodeToString(sum[:]) != hash {
		c.r.problem("leaf %d: its packets are not those whose hash was sealed", i)
		return
	}
	c.r.Packets++
}

func (c *checker) notRerun(i int64) {
	if c.r.NotRerun++; len(c.r.NotRerunnable) < namedMax {
		c.r.NotRerunnable = append(c.r.NotRerunnable, fmt.Sprintf("leaf %d", i))
	}
}

func (c *checker) finish(end segment.Scanned) {
	c.locate(end.Size)
	if end.Bad && end.Size >= c.point.Size {
		c.gap("broken bytes past the checkpoint: nothing there was acknowledged")
	}
	if c.slots != nil && c.slots.Size() < c.point.Size*slotBytes {
		c.r.problem("seeds is too short")
	}
	if c.point.Size > 0 && c.lastType != leaves.TypeTotals {
		c.r.problem("the checkpoint's last leaf is no totals leaf")
	}
	for _, i := range c.withheld {
		c.notRerun(i)
		if !c.allowed(i) {
			c.r.problem("leaf %d: its private part or packets are gone and no event of the log says so", i)
		}
	}
	c.r.Withdrawn = c.counts.Withdrawn()
	for id, v := range c.counts {
		if v == 0 {
			continue
		}
		c.r.Counters[uint16(id)] = v
		if id >= 2*leaves.Cells {
			continue
		}
		class := id / (2 * leaves.Cells / leaves.Classes)
		if id%2 == 0 {
			c.r.Attacks += v
			c.r.ByClass[class] += v
		} else {
			c.r.Attacks -= v
			c.r.ByClass[class] -= v
		}
	}
}

// allowed says whether an erasure or a retention event names what is missing.
func (c *checker) allowed(i int64) bool {
	if c.erasures[i] {
		return true
	}
	line := c.slot(i)
	if line == nil {
		return false
	}
	s := decodeSlot(line)
	if s.erased() {
		return false
	}
	gone := func(name string, pos uint64) bool {
		if pos == 0 {
			return true
		}
		n, _ := segment.Place(pos - 1)
		_, err := os.Stat(segment.Name(filepath.Join(c.dir, name), n))
		return err == nil || c.retained[fmt.Sprintf("%s/%06d", name, n)]
	}
	return gone("private", s.private) && gone("packets", s.packets)
}
