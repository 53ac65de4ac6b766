// Package clerk writes down what the merge point hands it, in that order: lines of the record file, closed attacks and
// events for the log, snapshots of what is open.
//
// In: lines, attacks, events, the log's clock. Out: eve.json, the sealed log, the snapshot beside it; and to the merge
// point, the attacks that are acknowledged by now and the first error. Called by shield's merge point. Once it has begun,
// a goroutine of its own does everything that waits for a disk, so that no disk stands between a packet and the kernel's
// drop; until then whoever calls waits. On recordings what is written does not depend on how fast that goroutine is. It decides nothing, and acknowledges nothing before a durable
// checkpoint covers it.
package clerk

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/eve"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/evidence/durable"
	"github.com/dejpha/dejpha/shield/records"
	"github.com/dejpha/dejpha/shield/summary"
	"github.com/dejpha/dejpha/witness/ask"
)

// ErrOtherRun says that a folder holds what another run left.
var ErrOtherRun = errors.New("the folder holds the log of another run")

// Options of a clerk.
type Options struct {
	Dir     string // of the run's files
	Kind    evidence.Kind
	Now     int64         // ns; when the log starts or resumes; 0: the first time it is told
	Rules   []byte        // in force, as they are read again; nil: none
	Out     io.Writer     // takes lines; nil: Records does
	Records *records.File // of a run that is resumed; nil on recordings, which are never saved
	Disk    *durable.Disk // of the log; nil: the machine's own
	Keep    evidence.Keep // of the log's stores
	KeepEve records.Keep
	Shadow  string           // file of the rehearsal; "": none
	Told    *summary.Summary // counts what is acknowledged, in the place of Done; nil: Done tells it

	Witnesses *ask.Asker    // has the log's heads cosigned; nil: nobody is asked
	Say       func(string)  // what a person should know at once, from any goroutine; nil: nobody listens
	Retry     time.Duration // between two attempts at a disk that failed; 0: ten seconds
}

// Clerk has one owner, the merge point, whose goroutine calls every method unless said otherwise.
type Clerk struct {
	o     Options
	log   *evidence.Log
	disk  *durable.Disk
	queue queue

	lines    []byte // not yet handed over
	seals    []seal // the same; on recordings
	waiting  int    // attacks sealed since the last flush was asked for
	since    int64  // when the oldest of them closed, ns
	asked    int64  // flushes asked for
	line     []byte // of the goroutine that writes
	snapshot []byte
	out      outage
	begun    bool // a run that goes on without its disk
	said     string
	current  atomic.Pointer[evidence.Log] // log, for any goroutine
}

// Bounds of a live run's acknowledgement: so many attacks, or so many ns, wait at most for the next flush.
const (
	batchMost = 1024
	batchTime = int64(100e6)
)

// Open opens or makes the log of a run; its key lies beside the log, never in it.
func Open(o Options) (*Clerk, error) {
	c := &Clerk{o: o, disk: o.Disk}
	if c.disk == nil {
		c.disk = durable.OS()
	}
	if c.o.Out == nil {
		c.o.Out = o.Records
	}
	key, err := evidence.LoadKey(c.disk, filepath.Join(o.Dir, "log.key"), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("cannot use the log's key: %w", err)
	}
	c.log, err = evidence.Open(filepath.Join(o.Dir, "evidence"), evidence.Options{Kind: o.Kind, Key: key, Rand: rand.Reader, Disk: c.disk, Time: o.Now, Rules: o.Rules})
	if err != nil {
		var other *evidence.OtherLogError
		if errors.As(err, &other) {
			return nil, fmt.Errorf("%w: %w", ErrOtherRun, err)
		}
		return nil, err
	}
	c.current.Store(c.log)
	c.ready()
	c.out.leaf, c.out.last = -1, -1
	c.queue.open(c.rest)
	return c, nil
}

// rest is done whenever nothing is left to do: others can read what was written. Nobody waits for a recording's.
func (c *Clerk) rest() error {
	if c.o.Kind == evidence.Recording {
		return nil
	}
	err := c.collect()
	switch {
	case c.o.Records == nil:
		return err
	case c.begun:
		return errors.Join(err, c.passLines())
	}
	return errors.Join(err, c.o.Records.Flush())
}

// Fresh refuses a folder that already holds the log of another run.
func Fresh(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "evidence")); err == nil {
		return fmt.Errorf("%w: %s; choose a new folder for -l, or remove it", ErrOtherRun, filepath.Join(dir, "evidence"))
	}
	return nil
}

// Log is the log itself, until Begin and after Halt: between them it is not the caller's.
func (c *Clerk) Log() *evidence.Log { return c.log }

// Begin has everything from here on done behind the caller, until Halt.
func (c *Clerk) Begin() {
	if !c.begun && c.o.Records != nil { // what is in the record file by now is as safe as a sync made it
		c.begun = true
		c.out.synced, _ = c.o.Records.Sync()
		c.out.leaf, c.out.last = c.log.Size()-1, c.log.Size()-1
		c.recount(true)
	}
	c.queue.begin()
}

// Halt waits until everything that was handed over is done; from here on the caller waits again.
func (c *Clerk) Halt() {
	c.Pass()
	c.queue.halt()
}

// Done returns the attacks that were acknowledged since the last call, in the log's order, and the first error. They are
// valid until the next call of any method.
func (c *Clerk) Done() ([]attack.Record, error) { return c.queue.take() }

// Waits is how often the caller had to wait because a disk was too slow for what was handed over. From any goroutine.
func (c *Clerk) Waits() uint64 { return c.queue.waits.Load() }

// Witnesses is how it stands with those who cosign the log. From any goroutine.
func (c *Clerk) Witnesses() []ask.State { return c.o.Witnesses.States() }

// Seal takes a closed attack with its packets, a capture file or nil. Done tells of it once it is acknowledged.
func (c *Clerk) Seal(r *attack.Record, packets []byte) {
	if c.waiting == 0 {
		c.since = r.ClosedAt
	}
	c.waiting++
	switch {
	case !c.queue.running:
		x := *r
		c.queue.fail(c.log.Seal(&x, packets))
	case c.o.Kind == evidence.Recording:
		if c.seals == nil {
			c.seals = c.queue.spareSeals()
		}
		c.seals = append(c.seals, seal{len(c.lines), *r, packets})
		if len(c.seals) >= sealsMost {
			c.handLines()
		}
	default:
		c.sealLater(*r, packets)
	}
}

// sealsMost is how many closed attacks of a recording are handed over at once.
const sealsMost = 128

// seal is a closed attack of a recording that waits to be handed over.
type seal struct {
	at      int // how much of the lines stands before it
	record  attack.Record
	packets []byte
}

func (c *Clerk) sealLater(r attack.Record, packets []byte) {
	t := task{size: len(packets) + recordBytes, at: r.ClosedAt, isAttack: true, do: func(l *evidence.Log) error {
		x := r // the log writes into it
		return l.Seal(&x, packets)
	}}
	c.hand(t.size, func() error { return c.toLog(t) })
}

// Event takes what is not counted and must not be missing: at is its time, ns, public and hidden as in evidence.
func (c *Clerk) Event(code evidence.Code, at int64, public, hidden []byte) {
	t := task{size: len(public) + len(hidden), at: at, do: func(l *evidence.Log) error { return l.Event(code, at, -1, public, hidden) }}
	c.hand(t.size, func() error { return c.toLog(t) })
}

// Totals takes the ledger and the clock, ns.
func (c *Clerk) Totals(l evidence.Ledger, now int64) {
	t := task{at: now, do: func(log *evidence.Log) error {
		if err := c.o.Witnesses.Other(); err != nil {
			return err
		}
		if note := c.o.Witnesses.Newest(); note != nil {
			log.Cosigned(note)
		}
		return log.Totals(l, now)
	}}
	c.hand(0, func() error { return c.toLog(t) })
}

// Rules names the rules in force from now on. KeepRules was called before, so that the log need not wait for the text.
func (c *Clerk) Rules(text []byte, now int64) {
	t := task{size: len(text), at: now, do: func(l *evidence.Log) error { return l.SetRules(text, now) }}
	c.hand(t.size, func() error { return errors.Join(c.toLog(t), c.flush()) }) // a large text is not held for long
}

// KeepRules stores what Rules will name. From any goroutine.
func (c *Clerk) KeepRules(text []byte) error { return c.current.Load().KeepRules(text) }

// Gap puts time without protection on record and tells its source once it is durable.
func (c *Clerk) Gap(g *capture.Gap, public []byte, now int64) {
	at := max(now, g.To)
	t := task{size: len(public), at: at, done: g.Done, do: func(l *evidence.Log) error { return l.Event(evidence.CodeUnprotected, at, -1, public, nil) }}
	c.hand(t.size, func() error {
		if err := errors.Join(c.toLog(t), c.flush()); err != nil {
			return err
		}
		if !c.begun && t.done != nil {
			t.done()
		}
		return nil
	})
}

// Flush has everything handed over so far acknowledged, if enough waits or waits long enough at now, ns. On recordings
// only their number counts.
func (c *Clerk) Flush(now int64) {
	if !c.queue.running {
		if c.log.Due(now) {
			c.waiting = 0
			c.queue.fail(c.flush())
		}
		return
	}
	if c.o.Kind == evidence.Recording || c.waiting == 0 || c.waiting < batchMost && now-c.since < batchTime || c.queue.flushed.Load() < c.asked {
		return
	}
	c.waiting = 0
	c.asked++
	c.hand(0, func() error {
		defer c.queue.flushed.Add(1)
		return c.flushBehind()
	})
}

// flush makes everything durable and writes the lines of what that acknowledges.
func (c *Clerk) flush() error { return errors.Join(c.flushBehind(), c.collect()) }

// flushBehind begins to make everything durable, which goes on behind what is handed to the log next, and writes the lines
// of what an earlier call acknowledged. Where nothing is next, rest collects.
func (c *Clerk) flushBehind() error {
	if c.begun && c.out.log != nil {
		return nil
	}
	sealed, err := c.log.FlushBehind()
	c.covered()
	if err == nil {
		c.out.under, c.out.underSize = len(c.out.tasks), c.log.Size()
		c.covered() // there was nothing to flush
	}
	return c.after(sealed, err)
}

// collect waits for what flushBehind began.
func (c *Clerk) collect() error {
	if c.begun && c.out.log != nil {
		return nil
	}
	sealed, err := c.log.Await()
	c.covered()
	return c.after(sealed, err)
}

// after writes the lines of what was acknowledged and, where a run goes on without its disk, notes that it does.
func (c *Clerk) after(sealed []attack.Record, err error) error {
	told := c.acknowledge(sealed)
	if err != nil && c.begun {
		c.logDown(err)
		return told
	}
	return errors.Join(err, told)
}

// acknowledge writes the lines of sealed attacks and tells of them. Lines that cannot be written are written later, from
// the log.
func (c *Clerk) acknowledge(sealed []attack.Record) (err error) {
	for i := range sealed {
		if c.out.last = sealed[i].Evidence.Leaf; c.out.lines != nil || err != nil {
			continue
		}
		c.line = eve.AppendAttack(c.line[:0], &sealed[i])
		if _, err = c.o.Out.Write(c.line); err != nil && c.begun {
			c.linesDown(err)
			err = nil
		}
	}
	if c.o.Told == nil {
		c.queue.done(sealed)
		return err
	}
	for i := range sealed {
		c.o.Told.Count(&sealed[i])
	}
	return err
}

// linesMost is how many bytes of lines are handed over at once, unless something else is handed over.
const linesMost = 256 << 10

// Write takes whole lines.
func (c *Clerk) Write(line []byte) (int, error) {
	if !c.queue.running {
		return len(line), c.toLines(line)
	}
	if c.lines = append(c.lines, line...); len(c.lines) >= linesMost {
		c.handLines()
	}
	return len(line), nil
}

// Pass hands lines to the kernel: others can read them.
func (c *Clerk) Pass() {
	switch {
	case c.queue.running && c.holds():
		c.handLines()
	case !c.queue.running && c.begun:
		_ = c.passLines()
	case !c.queue.running && c.o.Records != nil:
		c.queue.fail(c.o.Records.Flush())
	}
}

// holds says whether there is something to hand over.
func (c *Clerk) holds() bool { return len(c.lines)+len(c.seals) > 0 }

// handLines puts the lines, and a recording's attacks, before whatever is handed over next.
func (c *Clerk) handLines() {
	b, seals := c.lines, c.seals
	c.lines, c.seals = c.queue.spare(), nil
	c.queue.put(job{size: len(b) + len(seals)*recordBytes, do: func() error {
		defer c.queue.giveBack(b, seals)
		written, err := 0, error(nil)
		for i := range seals {
			_, werr := c.o.Out.Write(b[written:seals[i].at])
			written = seals[i].at
			err = errors.Join(err, werr, c.log.Seal(&seals[i].record, seals[i].packets))
			if c.log.Due(0) {
				err = errors.Join(err, c.flushBehind())
			}
		}
		return errors.Join(err, c.toLines(b[written:]))
	}})
}

// hand has something done behind what was handed over before; size is what it holds meanwhile, bytes.
func (c *Clerk) hand(size int, do func() error) {
	if !c.queue.running {
		c.queue.fail(do())
		return
	}
	if c.holds() {
		c.handLines()
	}
	c.queue.put(job{size: size, do: do})
}

// Close writes a totals leaf that says stop, acknowledges what waits and gives the log's folder back. shadow is the
// rehearsal as Save takes it.
func (c *Clerk) Close(shadow []byte) {
	c.Halt()
	if c.begun {
		c.settle()
	}
	err := c.stop()
	if c.begun && (err != nil || c.out.log != nil) { // once more, as during the run
		if err != nil {
			c.logDown(err)
		}
		c.settle()
		err = c.stop()
	}
	if c.out.log != nil {
		c.log.Abandon()
	}
	if c.out.log != nil || c.begun && err != nil {
		c.jot()
	}
	c.begun = false
	c.queue.fail(errors.Join(c.ended(), err, c.keepShadow(shadow)))
}

// stop writes the log's last leaf, unless it takes nothing.
func (c *Clerk) stop() error {
	if c.out.log != nil {
		return nil
	}
	sealed, err := c.log.Close()
	return errors.Join(err, c.acknowledge(sealed))
}

// Abandon gives the log's folder back as a crash would: what is not acknowledged is lost, the next start is an unclean one.
func (c *Clerk) Abandon() {
	c.Halt()
	c.log.Abandon()
}
