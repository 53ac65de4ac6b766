package clerk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/eve"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/evidence/durable"
	"github.com/dejpha/dejpha/witness/ask"
)

// A running shield goes on detecting and blocking while its disk takes nothing. Then the log and the record file are each
// opened anew every so often; until that succeeds, what was handed over and is under no checkpoint is held, within bounds,
// and sealed afterwards. What could not be held is counted, in a leaf of its own as soon as the log takes leaves again, in
// this run or, from a small file beside the log, the next. A recording ends with its first error instead.

// Bounds of what is held for a log that takes nothing.
const (
	heldMost    = 1 << 16
	heldBytes   = 32 << 20
	retryUsual  = 10 * time.Second
	triesMost   = 3 // of one thing in a log that was opened anew: then it is the thing that is wrong
	unkeptBytes = 4096
)

// task is one thing for the log, held until a checkpoint covers it.
type task struct {
	do       func(l *evidence.Log) error
	done     func() // once it is durable; may be nil
	size     int
	at       int64 // ns of the log's clock
	isAttack bool
	tries    int
}

// Unkept is what could not be kept while the disk took nothing, as a leaf tells it (evidence.CodeUnkept). Lines are at
// most so many: some may have been written.
type Unkept struct {
	From    int64  `json:"from"` // microseconds since 1970, of the log's clock
	To      int64  `json:"to"`
	Why     string `json:"why"`
	Attacks uint64 `json:"attacks"` // closed and not sealed
	Events  uint64 `json:"events"`  // of the log
	Lines   uint64 `json:"lines"`   // of the record file, but for those of sealed attacks, which are written again
}

// outage is the state of a clerk whose disk fails. Owner: whoever does the jobs.
type outage struct {
	log, lines error // why it takes nothing; nil: it does
	tried      struct{ log, lines time.Time }
	first      error // ever
	now        int64 // the log's clock as far as it was told, ns
	tasks      []task
	held       int   // bytes
	under      int   // tasks that the flush under way covers
	underSize  int64 // leaves that it covers
	lost       Unkept
	open       bool   // lost has something to tell
	loose      uint64 // lines that may not have reached the kernel yet
	synced     int64  // length of the record file that is safe
	leaf       int64  // the last one whose line lies before that
	last       int64  // the last leaf acknowledged
}

// toLog hands one thing to the log, or holds it.
func (c *Clerk) toLog(t task) error {
	o := &c.out
	if !c.begun {
		return t.do(c.log)
	}
	o.now = max(o.now, t.at)
	if o.log != nil && !c.logAgain(false) {
		c.hold(t)
		return nil
	}
	err := t.do(c.log)
	if c.hold(t); err != nil {
		c.logDown(err)
	}
	return nil
}

// hold keeps a task until it is covered. While the log takes nothing there are bounds.
func (c *Clerk) hold(t task) {
	o := &c.out
	if o.log != nil && (len(o.tasks) >= heldMost || o.held+t.size > heldBytes) || t.tries >= triesMost {
		if c.open(); t.isAttack {
			o.lost.Attacks++
		} else {
			o.lost.Events++
		}
		return
	}
	o.tasks = append(o.tasks, t)
	o.held += t.size
}

// open begins the account of what is not kept.
func (c *Clerk) open() {
	if o := &c.out; !o.open {
		o.open = true
		o.lost.From = o.now / 1000
	}
}

// logDown notes that the log takes nothing more.
func (c *Clerk) logDown(err error) {
	o := &c.out
	sealed, _ := c.log.Await() // what was under way may have reached the disk before it failed
	c.covered()
	_ = c.acknowledge(sealed)
	o.log, o.tried.log = err, time.Now()
	c.trouble(err, "sealing has stopped: %s; detection and blocking go on, and what closes is held")
}

// trouble says what stopped, once for each reason, and begins the account.
func (c *Clerk) trouble(err error, say string) {
	o := &c.out
	if o.first == nil {
		o.first = err
	}
	c.open()
	o.lost.Why, _, _ = strings.Cut(err.Error(), "\n") // several files may have failed for the same reason
	if c.said != o.lost.Why {
		c.said = o.lost.Why
		c.say(fmt.Sprintf(say, o.lost.Why))
	}
	c.jot()
}

func (c *Clerk) say(text string) {
	if c.o.Say != nil {
		c.o.Say(text)
	}
}

func (c *Clerk) retry() time.Duration {
	if c.o.Retry > 0 {
		return c.o.Retry
	}
	return retryUsual
}

// logAgain opens the log anew, if it is time or now is said, and hands it what is held.
func (c *Clerk) logAgain(now bool) bool {
	o := &c.out
	var other *ask.OtherHistoryError
	if errors.As(o.log, &other) || !now && time.Since(o.tried.log) < c.retry() {
		return false
	}
	o.tried.log = time.Now()
	n, sealed, covered, err := c.log.Again(c.disk.Again())
	if err != nil {
		c.jot()
		return false
	}
	c.disk, c.log = c.disk.Again(), n
	c.current.Store(n)
	rest := o.tasks
	o.tasks, o.held, o.log = nil, 0, nil
	if covered {
		for _, t := range rest[:o.under] {
			if t.done != nil {
				t.done()
			}
		}
		rest = rest[o.under:]
		_ = c.acknowledge(sealed)
	}
	o.under, o.underSize = 0, 0
	for i := range rest {
		rest[i].tries++
		err := rest[i].do(c.log)
		if c.hold(rest[i]); err == nil {
			continue
		}
		c.logDown(err)
		o.tasks = append(o.tasks, rest[i+1:]...)
		for _, t := range rest[i+1:] {
			o.held += t.size
		}
		return false
	}
	return c.recount(o.lost.Attacks+o.lost.Events > 0)
}

// recount puts what could not be kept into a leaf: once all goes on, or now.
func (c *Clerk) recount(now bool) bool {
	o := &c.out
	if !o.open || o.log != nil || o.lines != nil && !now {
		return o.log == nil
	}
	lost := o.lost
	lost.To = max(o.now/1000, lost.From)
	public, err := json.Marshal(&lost)
	if err != nil {
		return true
	}
	o.open, o.lost = false, Unkept{}
	_ = c.toLog(task{size: len(public), at: lost.To * 1000, done: c.unjot, do: func(l *evidence.Log) error { return l.Event(evidence.CodeUnkept, lost.To*1000, -1, public, nil) }})
	_ = c.flush()
	if o.log == nil && o.lines == nil {
		c.said = ""
		c.say(fmt.Sprintf("sealing and recording go on: not kept were %d attacks, %d events, %d lines at most", lost.Attacks, lost.Events, lost.Lines))
	}
	return o.log == nil
}

// covered lets go of what the flush under way covers, once a durable checkpoint does.
func (c *Clerk) covered() {
	o := &c.out
	if c.log.Safe() < o.underSize {
		return
	}
	for i := range o.tasks[:o.under] {
		t := &o.tasks[i]
		if o.held -= t.size; t.done != nil {
			t.done()
		}
	}
	o.tasks = slices.Delete(o.tasks, 0, o.under)
	o.under = 0
}

// toLines hands whole lines to the record file, or counts them as lost.
func (c *Clerk) toLines(b []byte) error {
	o := &c.out
	if !c.begun {
		_, err := c.o.Out.Write(b)
		return err
	}
	n := uint64(bytes.Count(b, []byte("\n")))
	if o.lines != nil && !c.linesAgain(false) {
		o.lost.Lines += n
		return nil
	}
	o.loose += n
	if _, err := c.o.Out.Write(b); err != nil {
		c.linesDown(err)
	}
	return nil
}

// passLines hands what is buffered of the record file to the kernel.
func (c *Clerk) passLines() error {
	o := &c.out
	if o.lines != nil {
		return nil
	}
	if err := c.o.Records.Flush(); err != nil {
		c.linesDown(err)
	} else {
		o.loose = 0
	}
	return nil
}

// linesDown notes that the record file takes nothing more.
func (c *Clerk) linesDown(err error) {
	o := &c.out
	o.lines, o.tried.lines = err, time.Now()
	c.open()
	o.lost.Lines += o.loose
	o.loose = 0
	c.trouble(err, "%s; detection and blocking go on, and lines that cannot be written are counted")
}

// linesAgain opens the record file anew and writes the lines of sealed attacks that it lacks.
func (c *Clerk) linesAgain(now bool) bool {
	o := &c.out
	if !now && time.Since(o.tried.lines) < c.retry() || o.log != nil && !now {
		return false
	}
	o.tried.lines = time.Now()
	m, err := c.o.Records.Again(o.synced)
	if have := max(o.leaf, m.Leaf); err == nil && o.last > have {
		var sealed []attack.Record
		sealed, err = c.log.Records(have + 1)
		for i := range sealed {
			if err == nil && sealed[i].Evidence.Leaf <= o.last {
				c.line = eve.AppendAttack(c.line[:0], &sealed[i])
				_, err = c.o.Out.Write(c.line)
			}
		}
	}
	if err == nil {
		err = c.o.Records.Flush()
	}
	if err != nil {
		c.jot()
		return false
	}
	o.lines = nil
	c.recount(false)
	return true
}

func (c *Clerk) unkeptFile() string { return filepath.Join(c.o.Dir, "unkept") }

// ready reads what an earlier run could not tell, and makes room for what this one cannot: it is overwritten in place,
// which a full disk allows.
func (c *Clerk) ready() {
	if c.o.Records == nil {
		return
	}
	b, err := os.ReadFile(c.unkeptFile())
	var lost Unkept
	if err == nil && json.Unmarshal(bytes.TrimSpace(b), &lost) == nil {
		c.out.lost, c.out.open = lost, true
		return
	}
	if err != nil {
		_ = durable.OS().Replace(c.unkeptFile(), bytes.Repeat([]byte(" "), unkeptBytes))
	}
}

// jot leaves the account where the next start finds it, as far as the disk allows.
func (c *Clerk) jot() {
	lost := c.out.lost
	lost.To = max(c.out.now/1000, lost.From)
	lost.Attacks += uint64(c.heldAttacks())
	if len(lost.Why) > 1000 {
		lost.Why = lost.Why[:1000]
	}
	if b, err := json.Marshal(&lost); err == nil && len(b) <= unkeptBytes {
		c.overwrite(b)
	}
}

// heldAttacks are those that this process alone knows to have closed.
func (c *Clerk) heldAttacks() (n int) {
	for i := range c.out.tasks {
		if c.out.tasks[i].isAttack {
			n++
		}
	}
	return n
}

func (c *Clerk) unjot() { c.overwrite(nil) }

func (c *Clerk) overwrite(b []byte) {
	page := bytes.Repeat([]byte(" "), unkeptBytes)
	copy(page, b)
	_ = durable.OS().Overwrite(c.unkeptFile(), 0, page)
}

// settle tries once more at the end of a run.
func (c *Clerk) settle() {
	if c.out.log != nil {
		c.logAgain(true)
	}
	if c.out.lines != nil {
		c.linesAgain(true)
	}
	if c.recount(true); c.out.log == nil {
		_ = c.flush()
	}
	if c.out.open {
		c.jot()
	}
}

// ended is how an outage ends a run: with an error, also if everything could be kept in the end.
func (c *Clerk) ended() error {
	o := &c.out
	switch {
	case o.first == nil:
		return nil
	case o.log != nil:
		return fmt.Errorf("not everything could be kept: %w", o.first)
	}
	return fmt.Errorf("for a while not everything could be kept, as a leaf of the log says: %w", o.first)
}
