package block

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"sync"

	"github.com/dejpha/dejpha/evidence/durable"
)

// The journal is what is in force, one JSON object a line: what was put in, what was taken out. It grows by what changes, so
// that a million blocks cost nothing to keep, and is written anew when most of it is past. A line that a crash cut counts for
// nothing; the kernel was told before it.

const (
	lineMax    = 64 << 10
	lineUsual  = 160
	lineLong   = 256      // of a block, rather more than less
	blocksMost = 1 << 23  // room is made for at once, whatever the file's size says
	pendingMax = 32 << 20 // bytes that wait for a slow disk; past it the file is written anew instead
	anewAtOnce = 1 << 15  // blocks up to which the file is written anew before the start goes on
	slack      = 4096     // lines more than twice what is in force, before it is written anew
)

// line is one line of the journal. One field is set.
type line struct {
	Format   int       `json:"dejpha_blocks,omitempty"` // the first line: 1
	ID       *string   `json:"id,omitempty"`            // State.ID of the maps that agree with the lines before
	Block    *Entry    `json:"block,omitempty"`
	Unblock  string    `json:"unblock,omitempty"`
	Allow    *Guarded  `json:"allow,omitempty"`
	Disallow string    `json:"disallow,omitempty"`
	Limit    *Limit    `json:"limit,omitempty"`
	Unlimit  *LimitKey `json:"unlimit,omitempty"`
}

// saved is what a journal says to be in force.
type saved struct {
	id      string
	blocks  map[netip.Prefix]Entry
	guard   map[netip.Prefix]Guarded
	limits  map[LimitKey]Limit
	damaged int // lines that cannot be read
	scribe  scribe
}

// readJournal reads what a Keeper left. A file that is not there is empty; of a damaged one what can be read counts.
func readJournal(path string) (*saved, error) {
	s := &saved{blocks: map[netip.Prefix]Entry{}, guard: map[netip.Prefix]Guarded{}, limits: map[LimitKey]Limit{}}
	if path == "" {
		return s, nil
	}
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading what is blocked: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil {
		s.blocks = make(map[netip.Prefix]Entry, min(info.Size()/lineLong, blocksMost))
	}
	return s, s.read(f)
}

func (s *saved) read(from io.Reader) error {
	in := bufio.NewReaderSize(from, lineMax)
	for {
		text, err := in.ReadSlice('\n')
		switch {
		case err == nil:
			if !s.line(text) {
				s.damaged++
			}
		case errors.Is(err, bufio.ErrBufferFull):
			s.damaged++
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = in.ReadSlice('\n')
			}
			if errors.Is(err, io.EOF) {
				return nil
			}
		case errors.Is(err, io.EOF): // without its end a line was never finished
			return nil
		default:
			return fmt.Errorf("reading what is blocked: %w", err)
		}
	}
}

func (s *saved) line(text []byte) bool {
	if e, ok := s.scribe.read(text); ok {
		p, err := Normal(e.Prefix)
		if err != nil {
			return false
		}
		e.Prefix = p
		s.blocks[p] = e
		return true
	}
	var l line
	if json.Unmarshal(text, &l) != nil {
		return false
	}
	switch {
	case l.ID != nil:
		s.id = *l.ID
	case l.Block != nil:
		p, err := Normal(l.Block.Prefix)
		if err != nil {
			return false
		}
		l.Block.Prefix = p
		s.blocks[p] = *l.Block
	case l.Unblock != "":
		p, err := netip.ParsePrefix(l.Unblock)
		delete(s.blocks, p)
		return err == nil
	case l.Allow != nil:
		p, err := Normal(l.Allow.Prefix)
		if err != nil {
			return false
		}
		l.Allow.Prefix = p
		s.guard[p] = *l.Allow
	case l.Disallow != "":
		p, err := netip.ParsePrefix(l.Disallow)
		delete(s.guard, p)
		return err == nil
	case l.Limit != nil:
		s.limits[l.Limit.Key()] = *l.Limit
	case l.Unlimit != nil:
		delete(s.limits, *l.Unlimit)
	default:
		return l.Format == 1
	}
	return true
}

// image is everything in force at one moment.
type image struct {
	id     string
	blocks []Entry
	guard  []Guarded // allowed ones only
	limits []Limit
}

// snapshot is the book as it stands.
func (k *Keeper) snapshot() image {
	k.mu.RLock()
	defer k.mu.RUnlock()
	s := image{blocks: make([]Entry, 0, len(k.book.entries))}
	for _, e := range k.book.entries {
		s.blocks = append(s.blocks, e)
	}
	for _, g := range k.book.guard.by {
		if !g.Fixed {
			s.guard = append(s.guard, g)
		}
	}
	for _, l := range k.book.limits {
		s.limits = append(s.limits, l)
	}
	return s
}

// journal writes the file in a goroutine of its own, for a disk may be slow and the kernel must not wait for it. A nil
// journal writes nothing.
type journal struct {
	disk *durable.Disk
	path string
	all  func() image

	mu      sync.Mutex
	wake    *sync.Cond
	pending []byte
	lines   int  // in the file and pending
	anew    bool // the file is to be written from the book: pending was too much
	id      string
	queued  uint64 // changes that were queued, and of those the ones on the disk
	written uint64
	stop    bool
	err     error
	gone    chan struct{}

	file *durable.Append // of the writer
	live int
}

// openJournal writes the file anew: a large one beside the start, for a slow disk would hold that up for long, and until it is
// written the old one says what it said when the process before this ended. id: State.ID of the maps that hold what it
// says; "": they may not.
func openJournal(disk *durable.Disk, path, id string, all func() image) (*journal, error) {
	j := &journal{disk: disk, path: path, id: id, all: all, gone: make(chan struct{})}
	j.wake = sync.NewCond(&j.mu)
	s := j.take()
	var err error
	if len(s.blocks) > anewAtOnce {
		j.anew = true
		j.file, err = disk.OpenAppend(path) // nothing is added to it, but it could be
	} else {
		err = j.rewrite(s)
	}
	if err != nil {
		return nil, fmt.Errorf("writing what is blocked: %w", err)
	}
	go j.run()
	return j, nil
}

// add queues the lines of changes. The guard's fixed lines are the configuration's and not written.
func (j *journal) add(c *Changes) {
	if j == nil {
		return
	}
	var out []byte
	n := 0
	put := func(l line) {
		text, err := json.Marshal(l)
		if err != nil {
			return // no field of a line can fail
		}
		out = append(append(out, text...), '\n')
		n++
	}
	for _, g := range c.Guard {
		if g.Fixed {
			put(line{Disallow: g.Prefix.String()})
		} else {
			put(line{Allow: &g})
		}
	}
	for _, p := range slices.Concat(c.Ended, c.Unblock) {
		put(line{Unblock: p.String()})
	}
	var w scribe
	for i := range c.Block {
		out = w.append(out, &c.Block[i])
	}
	for i := range c.Change {
		out = w.append(out, &c.Change[i])
	}
	n += len(c.Block) + len(c.Change)
	for _, key := range c.Unlimit {
		put(line{Unlimit: &key})
	}
	for _, l := range c.Limit {
		put(line{Limit: &l})
	}
	for _, p := range c.Unguard {
		put(line{Disallow: p.String()})
	}
	j.queue(out, n)
}

// identity notes which maps agree with what was queued so far; "": none may.
func (j *journal) identity(id string) {
	if j == nil {
		return
	}
	j.mu.Lock()
	j.id = id
	j.mu.Unlock()
	text, err := json.Marshal(line{ID: &id})
	if err == nil {
		j.queue(append(text, '\n'), 1)
	}
}

func (j *journal) queue(text []byte, lines int) {
	if len(text) == 0 {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil {
		return
	}
	if len(j.pending)+len(text) > pendingMax {
		j.pending, j.anew = nil, true
	} else {
		j.pending = append(j.pending, text...)
	}
	j.lines += lines
	j.queued++
	j.wake.Broadcast()
}

// flush waits until what was queued is on the disk, or cannot be.
func (j *journal) flush() {
	if j == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for mine := j.queued; j.err == nil && j.written < mine; {
		j.wake.Wait()
	}
}

// broken is why nothing is written any more; nil: it is.
func (j *journal) broken() error {
	if j == nil {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}

// close writes what waits and lets go of the file.
func (j *journal) close() error {
	if j == nil {
		return nil
	}
	j.mu.Lock()
	j.stop = true
	j.wake.Broadcast()
	j.mu.Unlock()
	<-j.gone
	return errors.Join(j.err, j.file.Close())
}

// run is the writer's goroutine.
func (j *journal) run() {
	defer close(j.gone)
	j.mu.Lock()
	defer j.mu.Unlock()
	for {
		for len(j.pending) == 0 && !j.anew && !j.stop {
			j.wake.Wait()
		}
		if len(j.pending) == 0 && !j.anew {
			return
		}
		mine := j.queued
		anew := j.anew || j.lines > 2*j.live+slack
		text := j.pending
		j.pending, j.anew = nil, false
		j.mu.Unlock()
		var err error
		if anew {
			err = j.rewrite(j.take())
		} else if _, err = j.file.Write(text); err == nil {
			err = j.file.Sync()
		}
		j.mu.Lock()
		j.written = mine
		if err != nil {
			j.err, j.pending, j.anew = fmt.Errorf("%w: %w", errJournal, err), nil, false
		}
		j.wake.Broadcast()
	}
}

// take is the book at a moment from which on every queued line is newer: the keeper queues a batch's lines after the book
// has it, and no line of an earlier state follows.
func (j *journal) take() image {
	s := j.all()
	j.mu.Lock()
	s.id = j.id
	j.mu.Unlock()
	return s
}

// text is the picture as a journal of its own, and how many lines that is.
func (s image) text() (out []byte, lines int) {
	size := lineUsual * (len(s.guard) + len(s.limits) + 2)
	for i := range s.blocks {
		size += room(&s.blocks[i])
	}
	out = make([]byte, 0, size)
	out, lines = append(out, "{\"dejpha_blocks\":1}\n"...), 1
	put := func(l line) {
		text, err := json.Marshal(l)
		if err == nil { // no field of a line can fail
			out = append(append(out, text...), '\n')
			lines++
		}
	}
	for _, g := range s.guard {
		put(line{Allow: &g})
	}
	var w scribe
	for i := range s.blocks {
		out = w.append(out, &s.blocks[i])
	}
	lines += len(s.blocks)
	for _, l := range s.limits {
		put(line{Limit: &l})
	}
	put(line{ID: &s.id})
	return out, lines
}

// rewrite replaces the file by a picture of the book.
func (j *journal) rewrite(s image) error {
	out, lines := s.text()
	if j.file != nil {
		_ = j.file.Close()
	}
	if err := j.disk.Replace(j.path, out); err != nil {
		return err
	}
	file, err := j.disk.OpenAppend(j.path)
	if err != nil {
		return err
	}
	j.file = file
	j.mu.Lock()
	j.live, j.lines = lines, lines
	j.mu.Unlock()
	return nil
}
