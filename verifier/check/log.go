package check

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"slices"
	"strings"
)

// Limits of a log folder.
const (
	formatMax     = 16 << 10
	stretchMax    = 4096 // leaves from one totals leaf to the next
	problemsNamed = 100

	eventUnprotected = 2
	eventGap         = 3
	eventCaps        = 6
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// recount walks a log's entries once and believes nothing but the hashes.
type recount struct {
	r       *Result
	point   Checkpoint
	earlier *Checkpoint
	kind    string
	tree    tree
	at      int64 // index of the next leaf
	counts  [idEnd]uint64
	known   int     // counters below this id are recounted: all, or the cells' alone where the log has no others
	cells   []int16 // of each leaf; -1: counts for nothing
	started uint64  // time of the last start
	last    totals
	lastAt  int64
	latest  uint64
	closing byte // type of the leaf before
	beyond  int64
	scratch []byte
}

// Log recounts a whole log folder (the one that holds "checkpoint" and "entries") from its entries: every frame, hash,
// ordinal, running total, event counter, time and the packet ledger, up to the root that the checkpoint signed. It reads
// no tile and opens no private part or packet. An error means that the folder could not be read at all.
func Log(dir fs.FS, o Options) (Result, error) {
	r := Result{What: "log"}
	var form struct{ Origin, Kind, Key string }
	b, err := readUpTo(dir, "format", formatMax)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(b, &form); err != nil || !slices.Contains(kinds, form.Kind) {
		return r, errors.New("the file format is not that of a dejpha log")
	}
	note, err := readUpTo(dir, "checkpoint", noteBytesMax)
	if err != nil {
		return r, err
	}
	c := &recount{r: &r, kind: form.Kind, lastAt: -1, known: idEnd, scratch: make([]byte, 0, leafMax+1)}
	if c.point, c.earlier, err = r.head(string(note), form.Key, o); err != nil {
		r.problem("%v", err)
		return r, nil
	}
	if form.Origin != c.point.Origin {
		r.problem("the folder says that it is %s, the checkpoint is of %s", form.Origin, c.point.Origin)
	}
	if c.earlier != nil && c.earlier.Size == 0 {
		c.compare()
	}
	whole, err := c.walk(dir)
	if err != nil {
		return r, err
	}
	c.finish(whole)
	return r, nil
}

func readUpTo(dir fs.FS, name string, most int64) ([]byte, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil || int64(len(b)) > most {
		return nil, fmt.Errorf("reading %s: %w", name, errors.Join(err, fmt.Errorf("at most %d bytes belong there", most)))
	}
	return b, nil
}

// walk reads all frames in order; false when it came upon bytes that are no frame.
func (c *recount) walk(dir fs.FS) (whole bool, err error) {
	for n := 0; ; n++ {
		f, err := dir.Open(fmt.Sprintf("entries/%06d", n))
		if errors.Is(err, fs.ErrNotExist) && n > 0 {
			return true, nil
		}
		if err != nil {
			return false, fmt.Errorf("reading entries: %w", err)
		}
		whole, err = c.segment(f)
		_ = f.Close()
		if err != nil || !whole {
			return whole, err
		}
	}
}

func (c *recount) segment(f io.Reader) (whole bool, err error) {
	r := bufio.NewReaderSize(f, 256<<10)
	buf := make([]byte, 6+leafMax)
	for {
		n, err := io.ReadFull(r, buf[:6])
		if n == 0 && errors.Is(err, io.EOF) {
			return true, nil
		}
		entry := buf[6 : 6+int(be.Uint16(buf[4:]))]
		if err == nil {
			_, err = io.ReadFull(r, entry)
		}
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return false, fmt.Errorf("reading entries: %w", err)
		}
		if err != nil || len(entry) == 0 || crc32.Checksum(buf[4:6+len(entry)], castagnoli) != be.Uint32(buf) {
			return false, nil
		}
		c.leaf(entry)
	}
}

func (c *recount) leaf(b []byte) {
	if c.at >= c.point.Size {
		c.beyond++
		return
	}
	c.tree.add(leafHash(b, c.scratch))
	cell := -1
	if b[0] != leafTotals && (c.at == 0 || c.last.flags&flagStop != 0 && c.lastAt == c.at-1) {
		c.r.problem("leaf %d: the log goes on without a leaf that says it was started", c.at)
	}
	switch b[0] {
	case leafAttack:
		cell = c.attack(b)
	case leafTotals:
		c.totals(b)
	case leafCorrection:
		c.correction(b)
	case leafEvent:
		c.event(b)
	}
	c.cells = append(c.cells, int16(cell))
	c.closing = b[0]
	c.at++
	if c.earlier != nil && c.earlier.Size == c.at {
		c.compare()
	}
}

// compare holds the tree against an earlier checkpoint of the same size.
func (c *recount) compare() {
	if c.tree.root() != c.earlier.Root {
		c.r.problem("the first %d leaves are not those of the earlier checkpoint: two histories bear one name", c.earlier.Size)
		return
	}
	c.r.fact("earlier checkpoint", proven, "its %d leaves are the first of this log", c.earlier.Size)
}

func (c *recount) attack(b []byte) int {
	cell, ordinal, closed, err := cellOf(b)
	if err != nil {
		c.r.problem("leaf %d: %v", c.at, err)
		return -1
	}
	if c.counts[2*cell]++; ordinal != c.counts[2*cell] {
		c.r.problem("leaf %d: it says to be number %d of its cell and is number %d", c.at, ordinal, c.counts[2*cell])
	}
	if b[3]&8 != 0 {
		c.counts[idOverflow+int(be.Uint16(b[4:]))]++
	}
	c.when(closed)
	return cell
}

// when judges the time of a leaf between two totals leaves.
func (c *recount) when(t uint64) {
	if c.lastAt < 0 || t < c.last.time {
		c.r.problem("leaf %d: its time lies before the totals leaf that precedes it", c.at)
	}
	c.latest = max(c.latest, t)
}

func (c *recount) correction(b []byte) {
	if len(b) < 16 || b[1] != 1 || len(b) != 16+int(be.Uint16(b[14:])) {
		c.r.problem("leaf %d: %v", c.at, errLeaf)
		return
	}
	attack, to := be.Uint64(b[2:]), be.Uint32(b[10:])
	if to > cells || attack >= uint64(c.at) || c.cells[attack] < 0 {
		c.r.problem("leaf %d corrects what is no counted attack", c.at)
		return
	}
	c.counts[2*int(c.cells[attack])+1]++
	c.cells[attack] = -1
	if to < cells {
		c.counts[2*to]++
		c.cells[attack] = int16(to)
	}
}

func (c *recount) event(b []byte) {
	if len(b) < 54 || b[1] != 1 || len(b) != 54+int(be.Uint16(b[20:])) || be.Uint64(b[12:]) > uint64(c.at) {
		c.r.problem("leaf %d: %v", c.at, errLeaf)
		return
	}
	c.when(be.Uint64(b[4:]))
	code, data := int(be.Uint16(b[2:])), b[22:len(b)-32]
	if code < codesCounted {
		c.counts[idEvents+code]++
	}
	switch code {
	case eventGap:
		if len(data) == 16 && be.Uint64(data) >= c.started {
			c.counts[idGaps] += since(be.Uint64(data), be.Uint64(data[8:]))
		}
	case eventUnprotected:
		var x struct {
			From, To int64 // ns
			Passed   uint64
		}
		if json.Unmarshal(data, &x) == nil {
			c.counts[idUnguarded] += since(uint64(max(x.From, 0)/1000), uint64(max(x.To, 0)/1000))
			c.counts[idPassed] += x.Passed
		}
	case eventCaps:
		var x struct {
			Forgotten uint64 `json:"observations_forgotten"`
			Merged    uint64 `json:"attacks_merged"`
		}
		if json.Unmarshal(data, &x) == nil {
			c.counts[idForgotten] += x.Forgotten
			c.counts[idMerged] += x.Merged
		}
	}
}

func since(from, to uint64) uint64 { return max(from, to) - from }

// start counts what a totals leaf says of a start, and judges it by the leaves before it.
func (c *recount) start(t *totals) {
	stopped := c.lastAt >= 0 && c.last.flags&flagStop != 0 && c.lastAt == c.at-1
	started, unclean := t.flags&flagStart != 0, t.flags&flagUnclean != 0
	if (c.at == 0 || stopped) && (!started || unclean) || started && c.at > 0 && !stopped && !unclean || unclean && !started {
		c.r.problem("leaf %d: what it says of a start is not what the leaves before it show", c.at)
	}
	if !started {
		return
	}
	c.started = t.time
	c.counts[idStarts]++
	if unclean {
		c.counts[idUnclean]++
	}
	if before := max(c.last.time, c.latest); before > 0 {
		c.counts[idAway] += since(before, t.time)
	}
}

func (c *recount) totals(b []byte) {
	t, err := decodeTotals(b)
	if err != nil {
		c.r.problem("leaf %d: %v", c.at, err)
		return
	}
	first := c.lastAt < 0
	if first && (t.number != 0 || t.previous != 0) || !first && (t.number != c.last.number+1 || t.previous != uint64(c.lastAt)) {
		c.r.problem("leaf %d: totals leaf %d does not follow the one before it", c.at, t.number)
	}
	if !first {
		if err := t.follows(&c.last); err != nil {
			c.r.problem("leaf %d: %v", c.at, err)
		}
	}
	if t.time < c.latest {
		c.r.problem("leaf %d: its time lies before that of leaves that precede it", c.at)
	}
	if c.at-c.lastAt > stretchMax {
		c.r.problem("leaf %d: %d leaves without a totals leaf", c.at, c.at-c.lastAt-1)
	}
	if !t.balanced() {
		c.r.problem("leaf %d: the packet ledger does not balance", c.at)
	}
	if t.kind() != c.kind {
		c.r.problem("leaf %d: of a %s log in a %s log", c.at, t.kind(), c.kind)
	}
	c.start(&t)
	if first && t.total(idStarts) == 0 {
		c.known = idEvents
	}
	c.sums(&t)
	c.last, c.lastAt = t, c.at
}

// sums compares the running totals with the leaves counted so far.
func (c *recount) sums(t *totals) {
	n := 0
	for id, v := range c.counts[:c.known] {
		if v == 0 {
			continue
		}
		if n == len(t.counters) || t.counters[n] != (counter{id, v}) {
			c.r.problem("leaf %d: its running totals are not those of the leaves before it", c.at)
			return
		}
		n++
	}
	if n < len(t.counters) && t.counters[n].id < idEnd {
		c.r.problem("leaf %d: its running totals are not those of the leaves before it", c.at)
	}
}

func (c *recount) finish(whole bool) {
	switch {
	case c.at < c.point.Size && whole:
		c.r.problem("the entries end after %d leaves, the checkpoint signed %d", c.at, c.point.Size)
	case c.at < c.point.Size:
		c.r.problem("leaf %d cannot be read; the checkpoint signed %d leaves", c.at, c.point.Size)
	case c.tree.root() != c.point.Root:
		c.r.problem("the entries are not those that the checkpoint signed")
	case c.closing != leafTotals && c.at > 0:
		c.r.problem("the last leaf under the checkpoint is no totals leaf")
	}
	c.r.fact("leaves", proven, "%s, each under the root that was signed", grouped(uint64(c.at)))
	var all uint64
	var list []string
	for class, name := range classes {
		var n uint64
		for id := class * 108; id < (class+1)*108; id += 2 {
			n += c.counts[id] - c.counts[id+1]
		}
		if all += n; n > 0 {
			list = append(list, fmt.Sprintf("%s %s", name, grouped(n)))
		}
	}
	c.r.Sentence = fmt.Sprintf("This log (%s) holds %s counted attacks.", c.kind, grouped(all))
	c.r.fact("by class", proven, "%s", strings.Join(list, ", "))
	if c.beyond > 0 {
		c.r.Caveats = append(c.r.Caveats, fmt.Sprintf("%d leaves lie past the checkpoint; nothing vouches for them", c.beyond))
	}
	c.r.Caveats = append(c.r.Caveats, "private parts and packets were not opened; `dejpha verify` and `dejpha audit` do that")
}
