package shield

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/capture/file"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/samples"
)

// Watcher is told what a running shield counts; the console is one. Called from one goroutine at a time.
type Watcher interface {
	Attack(r attack.Record)
	Packets(id uint64, packets []Packet)
	Ledger(l Ledger, open int, now int64)
}

// RunOptions of a running shield.
type RunOptions struct {
	State  string // folder of records, log and key
	Kind   evidence.Kind
	Source capture.Source
	Watch  func(origin, verifier string) (Watcher, error) // called when the log stands; nil: nobody watches
	Stop   <-chan struct{}
	Reopen <-chan struct{} // someone moved the record file away: go on in a new one; may be nil
	Say    func(string)    // what a person should know of the start, one line each; nil: nobody listens
}

// Run takes a source's frames through the shield until it ends or Stop is closed. It takes up what the last run in
// the folder left open, and leaves what is open to the next one.
func (s *Setup) Run(o RunOptions) (*Summary, error) {
	began := time.Now()
	if err := os.MkdirAll(o.State, 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the state folder: %w", err)
	}
	records, err := openRecords(filepath.Join(o.State, s.settings.config.EveFile), false)
	if err != nil {
		return nil, err
	}
	defer records.close()
	set := s.settings
	set.workers = 1
	set.recording = o.Kind != evidence.Live
	if x, ok := o.Source.(capture.Live); ok {
		set.interfaces = x.Interfaces()
	}
	seal, err := openSealer(o.State, o.Kind, began.UnixNano(), s.inForce)
	if err != nil {
		return nil, err
	}
	sum := &Summary{}
	e, err := newEngine(&set, records, sum, seal)
	if err != nil {
		return nil, err
	}
	now := max(began.UnixNano(), seal.log.Now())              // the log's clock never goes back
	if x, ok := o.Source.(interface{ From(now int64) }); ok { // it makes its own time
		x.From(now)
	}
	e.merge.records, e.merge.reopen, e.eager = records, o.Reopen, true
	if x, ok := o.Source.(capture.Live); ok {
		e.watch(x, now)
	}
	if o.Watch != nil {
		if e.merge.watcher, err = o.Watch(seal.log.Origin(), seal.log.Verifier()); err != nil {
			_, _ = seal.close()
			return nil, err
		}
	}
	if err := e.merge.resume(now, o.say); err != nil {
		return nil, err
	}
	err = e.play(o.Source, o.Stop, func(uint64) { e.merge.fail(records.flush()) })
	e.merge.ended = err == nil && o.Kind == evidence.Demo && !closed(o.Stop)
	if cerr := e.close(); err == nil {
		err = cerr
	}
	if werr := records.close(); err == nil {
		err = werr
	}
	e.figures(sum)
	sum.Elapsed, sum.PeakBytes = time.Since(began), peakMemory()
	return sum, err
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (o *RunOptions) say(text string) {
	if o.Say != nil {
		o.Say(text)
	}
}

// Samples is a source that plays the project's own captures at a pace that a person can follow, stamped with the
// time at which they are played.
type Samples struct {
	Pace   time.Duration // between two frames
	Rounds int           // how often all are played; 0: until Stop
	Skip   time.Duration // how far the stamps' clock jumps between two rounds, so that attacks come to their ends
	Stop   <-chan struct{}
	names  []string
	next   int
	round  int
	ahead  time.Duration // of the stamps' clock, against the machine's
	src    *file.Reader
}

// From lets the stamps begin at a time, ns: where a demonstration that skipped time goes on, it does so at its own.
func (s *Samples) From(now int64) { s.ahead = time.Duration(now - time.Now().UnixNano()) }

// NewSamples opens the embedded captures.
func NewSamples(pace time.Duration, stop <-chan struct{}) (*Samples, error) {
	names, err := fs.Glob(samples.Files, "*.pcap")
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("no sample captures are built in: %w", err)
	}
	sort.Strings(names)
	return &Samples{Pace: pace, Rounds: 1, Stop: stop, names: names}, nil
}

// Next implements capture.Source.
func (s *Samples) Next(f *capture.Frame) error {
	for {
		if s.src == nil {
			if s.next == len(s.names) {
				if s.round++; s.round == s.Rounds {
					return io.EOF
				}
				s.next = 0
				s.ahead += s.Skip
			}
			b, err := samples.Files.ReadFile(s.names[s.next])
			if err != nil {
				return err
			}
			s.next++
			if s.src, err = file.New("samples/"+s.names[s.next-1], bytes.NewReader(b)); err != nil {
				return err
			}
		}
		err := s.src.Next(f)
		if errors.Is(err, io.EOF) {
			s.src = nil
			continue
		}
		if err != nil {
			return err
		}
		if s.wait() {
			return io.EOF
		}
		f.Time = time.Now().UnixNano() + int64(s.ahead)
		return nil
	}
}

// wait lets the pace pass and says whether the run was stopped.
func (s *Samples) wait() (stopped bool) {
	if s.Pace <= 0 {
		select {
		case <-s.Stop:
			return true
		default:
			return false
		}
	}
	select {
	case <-s.Stop:
		return true
	case <-time.After(s.Pace):
		return false
	}
}

// Close implements capture.Source.
func (s *Samples) Close() error { return nil }
