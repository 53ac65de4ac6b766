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

// recount walks a log's entries once and believes nothing but the hashes.
type recount struct {
	*Result
	point   Checkpoint
	earlier *Checkpoint
	kind    string
	tree    tree
	at      int64         // index of the next leaf
	counts  [idEnd]uint64 // of cells, their withdrawn twins and events by code
	cells   []int16       // of each leaf; -1: counts for nothing
	last    totals        // the totals leaf before, and where it stands
	lastAt  int64
	closing byte // type of the leaf before
	scratch []byte
}

// Log recounts a whole log folder (the one that holds "checkpoint" and "entries"): every frame, every hash up to the root
// that the checkpoint signed, every ordinal, every running total of attacks, corrections and events, the chain of totals
// leaves, the packet ledger. It reads no tile and opens no private part. An error: the folder could not be read at all.
func Log(dir fs.FS, o Options) (Result, error) {
	r := Result{What: "log"}
	var form struct{ Origin, Kind, Key string }
	b, err := readUpTo(dir, "format")
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(b, &form); err != nil || !slices.Contains(kinds, form.Kind) {
		return r, errors.New("the file format is not that of a dejpha log")
	}
	if b, err = readUpTo(dir, "checkpoint"); err != nil {
		return r, err
	}
	c := &recount{Result: &r, kind: form.Kind, lastAt: -1, scratch: make([]byte, 0, leafMax+1)}
	var ok bool
	if c.point, c.earlier, ok = r.head(string(b), form.Key, o); !ok {
		return r, nil
	}
	r.wrong(form.Origin != c.point.Origin, "the folder says that it is %s, the checkpoint is of %s", form.Origin, c.point.Origin)
	c.compare()
	for n := 0; c.at < c.point.Size; n++ {
		f, err := dir.Open(fmt.Sprintf("entries/%06d", n))
		whole := false
		if err == nil {
			whole, err = c.segment(f)
			_ = f.Close()
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return r, fmt.Errorf("reading entries: %w", err)
		}
		if !whole {
			break
		}
	}
	c.finish()
	return r, nil
}

func readUpTo(dir fs.FS, name string) ([]byte, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, noteBytesMax+1))
}

// segment reads the frames of one file; false when it came upon bytes that are none.
func (c *recount) segment(f io.Reader) (whole bool, err error) {
	r, sums := bufio.NewReaderSize(f, 256<<10), crc32.MakeTable(crc32.Castagnoli)
	buf := make([]byte, 6+leafMax)
	for c.at < c.point.Size {
		n, err := io.ReadFull(r, buf[:6])
		if n == 0 && errors.Is(err, io.EOF) {
			break
		}
		entry := buf[6 : 6+int(be.Uint16(buf[4:]))]
		if err == nil {
			_, err = io.ReadFull(r, entry)
		}
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return false, err
		}
		if err != nil || len(entry) == 0 || crc32.Checksum(buf[4:6+len(entry)], sums) != be.Uint32(buf) {
			return false, nil
		}
		c.leaf(entry)
	}
	return true, nil
}

func (c *recount) leaf(b []byte) {
	c.tree.add(leafHash(b, c.scratch))
	cell, err := -1, error(nil)
	switch b[0] {
	case leafAttack:
		cell, err = c.attack(b)
	case leafTotals:
		err = c.totals(b)
	case leafCorrection:
		err = c.correction(b)
	case leafEvent:
		if len(b) < 54 || b[1] != 1 || len(b) != 54+int(be.Uint16(b[20:])) {
			err = errLeaf
		} else if code := int(be.Uint16(b[2:])); code < codesCounted {
			c.counts[idEvents+code]++
		}
	}
	if err != nil {
		c.wrong(true, "leaf %d: %v", c.at, err)
	}
	c.cells = append(c.cells, int16(cell))
	c.closing = b[0]
	c.at++
	c.compare()
}

// compare holds the tree against the earlier checkpoint where it has as many leaves.
func (c *recount) compare() {
	if c.earlier != nil && c.earlier.Size == c.at && !c.wrong(c.tree.root() != c.earlier.Root,
		"the first %d leaves are not those of the earlier checkpoint: two histories bear one name", c.earlier.Size) {
		c.fact("earlier checkpoint", proven, "its %d leaves are the first of this log", c.earlier.Size)
	}
}

func (c *recount) attack(b []byte) (int, error) {
	cell, ordinal, closed, err := cellOf(b)
	if err != nil {
		return -1, err
	}
	if c.counts[2*cell]++; ordinal != c.counts[2*cell] {
		return cell, fmt.Errorf("it says to be number %d of its cell and is number %d", ordinal, c.counts[2*cell])
	}
	if c.lastAt < 0 || closed < c.last.time {
		return cell, errors.New("its time lies before the totals leaf that precedes it")
	}
	return cell, nil
}

func (c *recount) correction(b []byte) error {
	if len(b) < 16 || b[1] != 1 || len(b) != 16+int(be.Uint16(b[14:])) {
		return errLeaf
	}
	attack, to := be.Uint64(b[2:]), be.Uint32(b[10:])
	if to > cells || attack >= uint64(c.at) || c.cells[attack] < 0 {
		return errors.New("it corrects what is no counted attack")
	}
	c.counts[2*int(c.cells[attack])+1]++
	c.cells[attack] = -1
	if to < cells {
		c.counts[2*to]++
		c.cells[attack] = int16(to)
	}
	return nil
}

func (c *recount) totals(b []byte) error {
	t, err := decodeTotals(b)
	if err != nil {
		return err
	}
	if first := c.lastAt < 0; first && t.number+t.previous != 0 || !first && (t.number != c.last.number+1 || t.previous != uint64(c.lastAt)) {
		err = fmt.Errorf("totals leaf %d does not follow the one before it", t.number)
	} else if !first {
		err = t.follows(&c.last)
	}
	c.last, c.lastAt = t, c.at
	switch {
	case err != nil:
		return err
	case !t.balanced() || t.kind() != c.kind:
		return errors.New("its packet ledger does not balance, or it is of another kind of log")
	case !c.sums(t.counters):
		return errors.New("its running totals are not those of the leaves before it")
	}
	return nil
}

// sums says whether the running totals are those counted so far.
func (c *recount) sums(have []counter) bool {
	end := idEvents + codesCounted // a log of an earlier version has none of events
	if c.last.total(idStarts) == 0 {
		end = idEvents
	}
	for id, v := range c.counts[:end] {
		if v == 0 {
			continue
		}
		if len(have) == 0 || have[0] != (counter{id, v}) {
			return false
		}
		have = have[1:]
	}
	return len(have) == 0 || have[0].id >= end
}

func (c *recount) finish() {
	if !c.wrong(c.at < c.point.Size, "leaf %d cannot be read; the checkpoint signed %d leaves", c.at, c.point.Size) {
		c.wrong(c.tree.root() != c.point.Root, "the entries are not those that the checkpoint signed")
		c.wrong(c.at > 0 && c.closing != leafTotals, "the last leaf under the checkpoint is no totals leaf")
	}
	var all uint64
	var list []string
	for class, name := range classes {
		var n uint64
		for id := class * 108; id < (class+1)*108; id += 2 {
			n += c.counts[id] - c.counts[id+1]
		}
		if all += n; n > 0 {
			list = append(list, name+" "+grouped(n))
		}
	}
	c.Sentence = fmt.Sprintf("This log (%s) holds %s.", c.kind, attacks(all))
	c.fact("leaves", proven, "%s, each under the root that was signed", grouped(uint64(c.at)))
	c.fact("by class", proven, "%s", strings.Join(list, ", "))
	c.Caveats = append(c.Caveats, "Private parts and packets were not opened, nor silences and losses summed up: `dejpha audit` does that.")
}
