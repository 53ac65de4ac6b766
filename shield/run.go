package shield

import (
	"bufio"
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
	State   string // folder of records, log and key
	Kind    evidence.Kind
	Source  capture.Source
	Watcher Watcher // nil: nobody watches
	Stop    <-chan struct{}
}

// Run takes a source's frames through the shield until it ends or Stop is closed.
func (s *Setup) Run(o RunOptions) (*Summary, error) {
	began := time.Now()
	if err := os.MkdirAll(o.State, 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the state folder: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(o.State, s.settings.config.EveFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot write records: %w", err)
	}
	defer f.Close()
	set := s.settings
	set.workers = 1
	set.recording = o.Kind != evidence.Live
	seal, err := openSealer(o.State, o.Kind, began.UnixNano())
	if err != nil {
		return nil, err
	}
	sum := &Summary{}
	w := bufio.NewWriterSize(f, eveBuffer)
	e, err := newEngine(&set, w, sum, seal)
	if err != nil {
		return nil, err
	}
	e.merge.watcher = o.Watcher
	e.eager = true
	err = e.play(o.Source, o.Stop, func(uint64) { _ = w.Flush() })
	if cerr := e.close(); err == nil {
		err = cerr
	}
	if ferr := w.Flush(); err == nil && ferr != nil {
		err = fmt.Errorf("cannot write records: %w", ferr)
	}
	e.figures(sum)
	sum.Elapsed, sum.PeakBytes = time.Since(began), peakMemory()
	return sum, err
}

// Samples is a source that plays the project's own captures again and again at a pace that a person can follow,
// stamped with the time at which they are played.
type Samples struct {
	Pace  time.Duration // between two frames
	Stop  <-chan struct{}
	names []string
	next  int
	src   *file.Reader
}

// NewSamples opens the embedded captures.
func NewSamples(pace time.Duration, stop <-chan struct{}) (*Samples, error) {
	names, err := fs.Glob(samples.Files, "*.pcap")
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("no sample captures are built in: %w", err)
	}
	sort.Strings(names)
	return &Samples{Pace: pace, Stop: stop, names: names}, nil
}

// Next implements capture.Source: one round through all captures, then the end.
func (s *Samples) Next(f *capture.Frame) error {
	for {
		if s.src == nil {
			if s.next == len(s.names) {
				return io.EOF
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
		select {
		case <-s.Stop:
			return io.EOF
		case <-time.After(s.Pace):
		}
		f.Time = time.Now().UnixNano()
		return nil
	}
}

// Close implements capture.Source.
func (s *Samples) Close() error { return nil }
