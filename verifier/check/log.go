package check

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
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
	scratch []byte
}

// Log recounts a whole log folder (the one that holds "checkpoint" and "entries"): every frame, every hash up to the root
// that the checkpoint signed, every ordinal, every running total of attacks, corrections and events, the chain of totals
// leaves, the packet ledger. It reads no tile and opens no private part. An error: the folder could not be read at all.
func Log(dir fs.FS, o Options) (Result, error) {
	r := Result{What: "log"}
	var form struct{ Origin, Kind, Key string }
	b, err := readUpTo(dir, "format")
	note, err2 := readUpTo(dir, "checkpoint")
	if err = errors.Join(err, err2); err == nil {
		err = json.Unmarshal(b, &form)
	}
	if err != nil {
		return r, fmt.Errorf("no log can be read there: %w", err)
	}
	c := &recount{Result: &r, kind: form.Kind, lastAt: -1, scratch: make([]byte, 0, leafMax+1)}
	var ok bool
	if c.point, c.earlier, ok = r.head(string(note), form.Key, o); !ok {
		return r, nil
	}
	r.wrong(form.Origin != c.point.Origin, "the file format says that it is %s, the checkpoint is of %s", form.Origin, c.point.Origin)
	c.compare()
	for n := 0; err == nil && c.at < c.point.Size; n++ {
		var f fs.File
		if f, err = dir.Open(fmt.Sprintf("entries/%06d", n)); err == nil {
			err = c.segment(f)
			_ = f.Close()
		}
	}
	c.finish(err)
	return r, nil
}

func readUpTo(dir fs.FS, name string) ([]byte, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, noteBytesMax+1))
}

// segment reads the frames of one file up to the checkpoint's size.
func (c *recount) segment(f io.Reader) error {
	r, sums := bufio.NewReaderSize(f, 256<<10), crc32.MakeTable(crc32.Castagnoli)
	buf := make([]byte, 6+leafMax)
	for c.at < c.point.Size {
		if _, err := io.ReadFull(r, buf[:6]); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		entry := buf[6 : 6+int(be.Uint16(buf[4:]))]
		if _, err := io.ReadFull(r, entry); err != nil {
			return err
		}
		if len(entry) == 0 || crc32.Checksum(buf[4:6+len(entry)], sums) != be.Uint32(buf) {
			return errors.New("its checksum does not fit")
		}
		c.leaf(entry)
	}
	return nil
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

func (c *recount) finish(err error) {
	if !c.wrong(c.at < c.point.Size, "leaf %d cannot be read (%v); the checkpoint signed %d leaves", c.at, err, c.point.Size) {
		c.wrong(c.tree.root() != c.point.Root, "the entries are not those that the checkpoint signed")
		c.wrong(c.at > 0 && c.lastAt != c.at-1, "the last leaf under the checkpoint is no totals leaf")
	}
	var all uint64
	var list []string
	for id := 0; id < 2*cells; id += 2 {
		if n := c.counts[id] - c.counts[id+1]; n > 0 {
			all += n
			list = append(list, fmt.Sprintf("%s %s %s %s %s %s", classes[id/108], outcomes[id/36%3], results[id/12%3], risks[id/4%3], sides[id/2%2], grouped(n)))
		}
	}
	c.Sentence = fmt.Sprintf("This log (%s) holds %s.", c.kind, attacks(all))
	c.fact("leaves", proven, "%s, each under the root that was signed", grouped(uint64(c.at)))
	c.fact("by cell", proven, "%s", strings.Join(list, ", "))
	c.Caveats = append(c.Caveats, "Private parts and packets were not opened, nor silences and losses summed up: `dejpha audit` does that.")
}
