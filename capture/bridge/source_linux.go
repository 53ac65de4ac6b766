package bridge

import (
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dejpha/dejpha/capture"
)

// source is the process's part of the bridge. Owner: the goroutine that calls Next.
type source struct {
	o        Options
	line     *line
	ports    [2]*port
	from     int  // the port of the frame in hand
	open     bool // it is not decided
	idle     bool
	stopping bool
	rounds   int // looks since Stop that found nothing
	polls    [2]unix.PollFd
	began    [2][2]uint64 // a side's counts of frames passed and stopped that were on record when it was opened, and
	reported [2][2]uint64 // those that were yielded as gaps since
	since    uint64       // boot clock, ns: since when nobody stood here; 0: it is told, or nobody ever did
}

const stampSlack = int64(time.Millisecond) // that a frame may need from its stamp to its socket

// settleRounds is how often an empty socket is looked at after Stop: a frame may still be on its way into it.
const settleRounds = 3

// Open lays a bridge between two interfaces, or takes up the one that is there, and carries its frames until Stop. The kernel
// goes on carrying them afterwards, until Remove. Its errors are ErrPrivilege, ErrKernel, ErrInUse, *capture.UnknownInterfaceError,
// and those of a wrong option.
func Open(o Options) (capture.Inline, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	var index [2]int
	var err error
	for i, name := range [2]string{o.Left, o.Right} {
		if index[i], err = lookUp(name); err != nil {
			return nil, err
		}
	}
	l, err := openLine(&o, index)
	if err != nil {
		return nil, err
	}
	s := &source{o: o, line: l}
	for i, name := range [2]string{o.Left, o.Right} {
		if s.ports[i], err = openPort(&o, name, index[i], l.filter.FD()); err != nil {
			_ = s.Close()
			return nil, err
		}
		s.polls[i] = unix.PollFd{Fd: int32(s.ports[i].fd), Events: unix.POLLIN}
		s.began[i] = [2]uint64{l.at(side(i, toldPassed)).Load(), l.at(side(i, toldStopped)).Load()}
	}
	s.reported, s.since = s.began, l.at(fieldStopped).Load()
	s.beat()
	return s, nil
}

// beat says to the kernel that somebody stands here.
func (s *source) beat() {
	if !s.stopping {
		s.line.at(fieldBeat).Store(boot())
	}
}

// Next implements capture.Source. Of both interfaces' frames the earliest comes first. One that got no verdict is dropped.
func (s *source) Next(f *capture.Frame) error {
	if err := s.Verdict(capture.Drop); err != nil {
		return err
	}
	for {
		if s.yield(f) {
			return nil
		}
		now := s.o.Now() // read before the look: what comes later is stamped later
		s.beat()
		for _, p := range s.ports {
			p.flush() // what is fetched next lies where these frames lie
		}
		for _, p := range s.ports {
			if err := p.fetch(); err != nil {
				return err
			}
		}
		switch {
		case s.ports[0].full || s.ports[1].full:
			s.idle = false
		case s.stopping:
			if s.rounds++; s.rounds > settleRounds {
				return io.EOF
			}
			time.Sleep(time.Millisecond)
		case !s.idle:
			s.idle = true
			f.Data, f.Time = nil, now-stampSlack
			return capture.ErrIdle
		default:
			s.idle = false
			if err := s.wait(); err != nil {
				return err
			}
		}
	}
}

// wait sleeps until there is something, or the time is over; an interface that is gone is an error, one that is down is not.
func (s *source) wait() error {
	_, _ = unix.Poll(s.polls[:], int(max(s.o.Wait/time.Millisecond, 1))) // interrupted: there is another look anyway
	for i, p := range s.ports {
		if p.down = p.down || s.polls[i].Revents&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0; p.down && p.gone() {
			return fmt.Errorf("%s is gone: the bridge ends", p.name)
		}
	}
	return nil
}

// yield fills f with the earliest frame at hand.
func (s *source) yield(f *capture.Frame) bool {
	first := 0
	a, b := s.ports[0], s.ports[1]
	if !a.full || b.full && b.frame.time < a.frame.time {
		first = 1
	}
	p := s.ports[first]
	if !p.full {
		return false
	}
	s.from, s.open = first, true
	x := &p.frame
	*f = capture.Frame{Data: x.data, Time: x.time, WireLen: uint32(len(x.data)), LinkType: linkEthernet, Interface: uint16(first), Unsummed: x.unsummed}
	p.yielded++
	return true
}

// Verdict implements capture.Inline.
func (s *source) Verdict(v capture.Verdict) error {
	if !s.open {
		return nil
	}
	s.open = false
	p := s.ports[s.from]
	if v == capture.Accept {
		s.ports[1-s.from].forward(&p.frame)
	}
	p.step()
	if a, b := s.ports[0], s.ports[1]; !a.full && !b.full { // the caller may have much to do before it asks for more
		a.flush()
		b.flush()
	}
	return nil
}

// Inject implements capture.Inline.
func (s *source) Inject(iface uint16, b []byte) error {
	if int(iface) >= len(s.ports) {
		return errNoPort
	}
	return s.ports[iface].send(b)
}

// Stop implements capture.Live: the line is the kernel's from here on.
func (s *source) Stop() {
	if !s.stopping {
		s.stopping = true
		s.line.at(fieldBeat).Store(0)
		s.line.at(fieldStopped).Store(boot())
	}
}

// Release implements capture.Inline.
func (s *source) Release() {
	for i := range s.ports {
		s.line.at(side(i, sideBlock)).Store(0)
	}
	s.Stop()
}

// Interfaces implements capture.Live.
func (s *source) Interfaces() []string { return []string{s.o.Left, s.o.Right} }

// Stats implements capture.Live. Frames that went past before this process came are among them, if no process before it
// put them on record.
func (s *source) Stats() capture.Stats {
	var all capture.Stats
	for i := range s.ports {
		x := s.stats(i)
		all.Received += x.Received
		all.Dropped += x.Dropped
		all.Damaged += x.Damaged
		all.Unsent += x.Unsent
		all.Bypassed += x.Bypassed
	}
	all.Why[capture.Unwatched] = all.Bypassed
	return all
}

// stats are one side's counts.
func (s *source) stats(i int) (x capture.Stats) {
	p := s.ports[i]
	p.tally()
	if s.rounds > settleRounds { // what was taken at the very end and never read
		p.lost = max(p.lost, p.received-min(p.received, p.yielded+p.damaged))
	}
	passed, stopped := s.line.at(side(i, sidePassed)).Load()-s.began[i][0], s.line.at(side(i, sideStopped)).Load()-s.began[i][1]
	x = capture.Stats{Received: p.received + passed + stopped, Dropped: p.lost + stopped, Damaged: p.damaged, Unsent: p.unsent, Bypassed: passed}
	x.Why[capture.Unwatched] = passed
	return x
}

// Faces implements capture.Apart.
func (s *source) Faces(into []capture.Face) []capture.Face {
	for i, p := range s.ports {
		f := capture.Face{Name: p.name, Mode: "bridge", OnFailure: "pass", Down: p.down, Stats: s.stats(i)}
		if s.o.Block[i] {
			f.OnFailure = "block"
		}
		into = append(into, f)
	}
	return into
}

// Unprotected implements capture.Exposed.
func (s *source) Unprotected() (capture.Gap, bool) {
	var g capture.Gap
	now, wall := boot(), s.o.Now()
	from, to := s.since, uint64(0)
	if from != 0 {
		to = now
	}
	for i := range s.ports {
		passed, stopped := s.line.at(side(i, sidePassed)).Load(), s.line.at(side(i, sideStopped)).Load()
		was := s.reported[i]
		if passed == was[0] && stopped == was[1] {
			continue
		}
		s.reported[i] = [2]uint64{passed, stopped}
		g.Passed, g.Stopped = g.Passed+passed-was[0], g.Stopped+stopped-was[1]
		if first := s.line.at(side(i, sideFrom)).Swap(0); first != 0 && (from == 0 || first < from) {
			from = first
		}
		to = max(to, s.line.at(side(i, sideTo)).Load())
	}
	if from == 0 && to == 0 {
		return g, false
	}
	if from == 0 {
		from = to // its beginning was told with the gap before
	}
	s.since = 0
	g.From, g.To = wall-int64(now-min(from, now)), wall-int64(now-min(to, now))
	told, line := s.reported, s.line
	g.Done = func() {
		for i := range told {
			line.at(side(i, toldPassed)).Store(told[i][0])
			line.at(side(i, toldStopped)).Store(told[i][1])
		}
	}
	return g, true
}

// Close implements capture.Source.
func (s *source) Close() error {
	if s.line == nil {
		return nil
	}
	s.Stop()
	for _, p := range s.ports {
		if p != nil {
			p.close()
		}
	}
	s.line.close()
	s.line = nil
	return nil
}

var (
	_ capture.Exposed = (*source)(nil)
	_ capture.Apart   = (*source)(nil)
)
