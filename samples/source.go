package samples

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sort"
	"time"

	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/capture/file"
)

// Source that plays the project's own captures at a pace that a person can follow, stamped with the
// time at which they are played.
type Source struct {
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
func (s *Source) From(now int64) { s.ahead = time.Duration(now - time.Now().UnixNano()) }

// Open opens the embedded captures.
func Open(pace time.Duration, stop <-chan struct{}) (*Source, error) {
	names, err := fs.Glob(Files, "*.pcap")
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("no sample captures are built in: %w", err)
	}
	sort.Strings(names)
	return &Source{Pace: pace, Rounds: 1, Stop: stop, names: names}, nil
}

// Next implements capture.Source.
func (s *Source) Next(f *capture.Frame) error {
	for {
		if s.src == nil {
			if s.next == len(s.names) {
				if s.round++; s.round == s.Rounds {
					return io.EOF
				}
				s.next = 0
				s.ahead += s.Skip
			}
			b, err := Files.ReadFile(s.names[s.next])
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
func (s *Source) wait() (stopped bool) {
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
func (s *Source) Close() error { return nil }
