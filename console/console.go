// Package console shows what the shield counts: an HTTP API on the loopback interface, a login, an embedded page.
//
// In: attacks, kept packets and the ledger from shield, which calls Attack, Packets and Ledger and is never made to
// wait; the evidence's files. Out: JSON and the page to a person's browser. Called by shield and cmd. It changes
// nothing that is counted, holds no truth of its own (its index is built again from the evidence), asks no other
// host for anything, and shows bytes of traffic only as data.
package console

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/console/index"
	"github.com/dejpha/dejpha/console/place"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/evidence/amend"
)

// Bounds of what the console holds in memory.
const (
	queueMax        = 8192    // records that wait for the index; past it they are read from the evidence later
	batchMax        = 512     // records in one transaction
	openPacketsMax  = 64      // packets shown of an attack that is still open
	openBytesMax    = 8 << 20 // of all open attacks' packets
	readHeaderLimit = 16 << 10
)

// Options of a console.
type Options struct {
	State       string // folder of the index and the login
	Evidence    string // folder of the log
	Listen      string // address and port; loopback only
	CountryFile string // MMDB; "": the built-in table
	Status      Status
	Inspector   Inspector
	Now         func() time.Time
}

// Status is what does not change while the shield runs.
type Status struct {
	Kind, Source, Origin, Verifier, Version string
}

// Ledger is the fate of packets.
type Ledger = index.Ledger

// Frame is one kept packet.
type Frame struct {
	Data          []byte
	Wire          uint32
	Link          uint16
	Time          int64 // ns
	Summary       string
	PayloadOffset int
}

// Rule is the text of a rule and where it stands.
type Rule struct {
	Text, File string
	Line       int
}

// Inspector explains packets and rules; shield has one.
type Inspector interface {
	// Frames reads a capture kept in the evidence; frames are described.
	Frames(pcap []byte) ([]Frame, error)
	// Describe fills in Summary and PayloadOffset.
	Describe(f *Frame)
	// Capture writes frames as a capture file.
	Capture(frames []Frame) []byte
	// Marks are the stretches [start, end) of a frame that the alerts' rules look for.
	Marks(alerts []attack.AlertCount, f *Frame) [][2]int
	// Rule is the text of a rule, if it is loaded.
	Rule(gid, sid uint32) (Rule, bool)
}

// Console is a running console. Attack, Packets and Ledger may be called from one goroutine at a time.
type Console struct {
	opt      Options
	index    *index.Index
	places   *place.Places
	login    *login
	events   events
	blocker  blocker
	operator operator
	reports  reports
	queue    chan item
	behind   atomic.Bool // the evidence has records that the index lacks
	building atomic.Bool // they are being read
	done     chan struct{}
	server   *http.Server
	address  string
	started  time.Time
	gone     map[int64]amend.Withdrawn // by leaf: read at the start, for nobody withdraws while a shield writes
	ending   sync.Once
	closing  atomic.Bool

	mu      sync.Mutex
	total   index.Ledger
	last    index.Ledger // told before, for the minutes
	open    int
	packets map[uint64][]Frame // of open attacks
	bytes   int
	stopped bool
	err     error // the index's first error
}

// item is one thing for the index.
type item struct {
	record *attack.Record
	minute int64
	ledger index.Ledger
	open   int
}

// ErrAddress says that the address to listen on is not one it takes.
var ErrAddress = errors.New("console address")

var errClosing = errors.New("the console closes")

// ErrListen says that the address cannot be listened on.
var ErrListen = errors.New("the console cannot listen")

// New opens the index, brings it up to the evidence, and listens; Serve answers.
func New(opt Options) (*Console, error) {
	host, _, err := net.SplitHostPort(opt.Listen)
	if err != nil {
		return nil, fmt.Errorf("%w %q: want ADDRESS:PORT", ErrAddress, opt.Listen)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("%w %q: the console listens on a loopback address only; reach it from elsewhere through an SSH tunnel", ErrAddress, opt.Listen)
	}
	c := &Console{opt: opt, queue: make(chan item, queueMax), done: make(chan struct{}), packets: map[uint64][]Frame{}, started: opt.Now(), reports: reports{turn: make(chan struct{}, 1)}}
	if c.places, err = place.Open(opt.CountryFile); err != nil {
		return nil, err
	}
	if c.login, err = openLogin(filepath.Join(opt.State, "console.login"), opt.Now); err != nil {
		return nil, err
	}
	if c.index, _, err = index.Open(filepath.Join(opt.State, "console.db"), opt.Status.Origin, c.places.Country); err != nil {
		return nil, err
	}
	if c.gone, err = amend.Corrections(opt.Evidence); !errors.Is(err, fs.ErrNotExist) { // a new log has no checkpoint yet
		c.keep(err)
	}
	c.behind.Store(true)
	go c.fill()
	return c, nil
}

// catchUp reads into the index what was sealed since its last leaf, and tells the pages as it goes: of a long log that
// takes minutes, in which the shield already works.
func (c *Console) catchUp() error {
	leaf, err := c.index.LastLeaf()
	if err != nil {
		return err
	}
	var batch []attack.Record
	kind := false
	put := func() error {
		defer func() { batch = batch[:0] }()
		defer c.events.tell()
		if kind {
			return c.index.PutErased(batch)
		}
		return c.index.Put(batch)
	}
	err = evidence.Sealed(c.opt.Evidence, leaf+1, func(r attack.Record, erased bool) error {
		if len(batch) >= batchMax || len(batch) > 0 && kind != erased {
			if err := put(); err != nil {
				return err
			}
		}
		if c.closing.Load() {
			return errClosing
		}
		kind = erased
		batch = append(batch, *c.judged(&r))
		return nil
	})
	if errors.Is(err, errClosing) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the evidence for the console: %w", err)
	}
	return put()
}

// forgetErased lets go of what the index knows of attacks whose private parts were erased or fell to retention. The
// oldest fall first, so the first that is still whole ends it.
func (c *Console) forgetErased() error {
	for {
		leaf, err := c.index.OldestPrivate()
		if err != nil || leaf < 0 {
			return err
		}
		if _, err := evidence.ReadPrivate(c.opt.Evidence, leaf); !errors.Is(err, evidence.ErrErased) {
			return nil // another error is told where the attack is asked for
		}
		b, err := evidence.ReadLeaf(c.opt.Evidence, leaf)
		if err != nil {
			return err
		}
		x, err := evidence.ReadAttackLeaf(b)
		if err != nil {
			return err
		}
		r := evidence.Public(&x, leaf)
		if err := c.index.PutErased([]attack.Record{*c.judged(&r)}); err != nil {
			return err
		}
	}
}

// judged says of an attack that it is withdrawn, if it is.
func (c *Console) judged(r *attack.Record) *attack.Record {
	if _, is := c.gone[r.Evidence.Leaf]; is && !r.Authorised {
		r.State = index.Withdrawn
	}
	return r
}

// catch brings the index up to the evidence if it is behind.
func (c *Console) catch() {
	if c.behind.Swap(false) { // first: what is missed from now on is caught up with next time
		c.building.Store(true)
		c.keep(c.catchUp())
		c.building.Store(false)
		c.events.tell()
	}
}

// fill takes what is told into the index until Close.
func (c *Console) fill() {
	defer close(c.done)
	c.catch()
	c.keep(c.index.Withdraw(slices.Collect(maps.Keys(c.gone)))) // of what the index held before
	c.keep(c.forgetErased())
	var batch []attack.Record
	for it := range c.queue {
		batch = batch[:0]
		for more := true; more; {
			if it.record != nil {
				batch = append(batch, *it.record)
			} else {
				c.keep(c.index.Minute(it.minute, it.ledger, it.open))
				c.keep(c.forgetErased())
			}
			if len(batch) >= batchMax {
				break
			}
			select {
			case it, more = <-c.queue:
			default:
				more = false
			}
		}
		c.catch() // first: the batch may hold leaves past the missing ones
		if len(batch) > 0 {
			c.keep(c.index.Put(batch))
		}
		c.events.tell()
	}
}

func (c *Console) keep(err error) {
	if err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
}

// put queues without ever waiting: the caller carries packets.
func (c *Console) put(it item) {
	select {
	case c.queue <- it:
	default:
		c.behind.Store(true)
	}
}

// Attack is told when an attack opens and when it is sealed.
func (c *Console) Attack(r attack.Record) {
	if r.State != "opened" {
		c.forget(r.ID)
	}
	c.put(item{record: &r})
}

// Packets is told the packets of an open attack's observation. The frames are the console's.
func (c *Console) Packets(id uint64, frames []Frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range frames {
		if len(c.packets[id]) >= openPacketsMax || c.bytes+len(f.Data) > openBytesMax {
			return
		}
		c.packets[id] = append(c.packets[id], f)
		c.bytes += len(f.Data)
	}
}

func (c *Console) forget(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.packets[id] {
		c.bytes -= len(f.Data)
	}
	delete(c.packets, id)
}

// Ledger is told the running totals, at least once a minute; now is the shield's clock, ns.
func (c *Console) Ledger(l Ledger, open int, now int64) {
	c.mu.Lock()
	d := index.Ledger{
		Received: l.Received - c.last.Received, Inspected: l.Inspected - c.last.Inspected, Bypassed: l.Bypassed - c.last.Bypassed,
		Dropped: l.Dropped - c.last.Dropped, Shed: l.Shed - c.last.Shed, Undecodable: l.Undecodable - c.last.Undecodable,
	}
	c.total, c.last, c.open = l, l, open
	c.mu.Unlock()
	at := now / 1e6
	c.put(item{minute: at - at%60e3, ledger: d, open: open})
}

// Stopped says that the source has ended; the console goes on showing.
func (c *Console) Stopped() {
	c.mu.Lock()
	c.stopped = true
	c.mu.Unlock()
	c.events.tell()
}

// SetupURL is the address with the one-time token, "" when a password was chosen already.
func (c *Console) SetupURL() string {
	if t := c.login.token(); t != "" {
		return c.URL() + "#setup=" + t
	}
	return ""
}

// URL of the first page.
func (c *Console) URL() string { return "http://" + c.address + "/" }

// Serve listens and answers in the background until Close.
func (c *Console) Serve() error {
	l, err := net.Listen("tcp", c.opt.Listen)
	if err != nil {
		return fmt.Errorf("%w on %s: %w; another address is set by console.listen", ErrListen, c.opt.Listen, err)
	}
	c.address = l.Addr().String()
	h, err := c.handler()
	if err != nil {
		_ = l.Close()
		return err
	}
	c.server = &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: readHeaderLimit}
	go func() { _ = c.server.Serve(l) }()
	return nil
}

// Close ends the server and writes out what is queued. Nothing may be told afterwards; a second call does nothing.
func (c *Console) Close() (err error) {
	c.ending.Do(func() { err = c.end() })
	return err
}

func (c *Console) end() error {
	c.events.close()
	c.closing.Store(true)
	if c.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		_ = c.server.Shutdown(ctx)
	}
	close(c.queue)
	<-c.done
	err := c.index.Close()
	c.places.Close()
	return errors.Join(c.err, err)
}
