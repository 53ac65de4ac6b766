package afpacket

import (
	"errors"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dejpha/dejpha/capture"
)

// source reads the rings of all interfaces from one goroutine, the earliest stamp at their heads first. A ring shows
// a packet only when its block is full or its retire time is over, so that order across interfaces is as good as that.
type source struct {
	o        Options
	rings    []*ring
	polls    []unix.PollFd
	polled   []*ring
	idle     bool // ErrIdle was said since the last frame
	stopping bool
	rounds   int // waits since Stop
	yielded  uint64
}

// Open watches interfaces until Close, as OpenGroup with one worker.
func Open(o Options) (capture.Live, error) {
	all, err := OpenGroup(o, 1)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// OpenGroup watches interfaces for n workers, 1 to workersMost, until all its sources are closed: each frame is yielded
// by one source, and all frames of a pair of addresses by the same. Each source is for a goroutine of its own. The
// errors of a wish that cannot be met are ErrPrivilege, ErrKernel and *capture.UnknownInterfaceError. An interface that is
// down, or goes away later, is waited for.
func OpenGroup(o Options, n int) ([]capture.Live, error) {
	if err := o.check(n); err != nil {
		return nil, err
	}
	o.bypass(n)
	sources := make([]*source, n)
	for i := range sources {
		sources[i] = &source{o: o}
	}
	shut := func() {
		for _, s := range sources {
			_ = s.Close()
		}
	}
	for place, name := range o.Interfaces {
		g := newGroup(name, n)
		for i, s := range sources {
			r := &ring{opened: opened{name: name, fd: -1}, group: g, place: uint16(place), member: i}
			s.rings = append(s.rings, r)
			err := r.open(&s.o)
			if errors.Is(err, errNotSpread) {
				r.down = true
				r.say(&s.o, "%s is down; waiting for it", name)
			} else if err != nil {
				shut()
				return nil, err
			}
		}
	}
	all := make([]capture.Live, n)
	for i, s := range sources {
		s.polls, s.polled = make([]unix.PollFd, 0, len(s.rings)), make([]*ring, 0, len(s.rings))
		all[i] = s
	}
	return all, nil
}

// Next implements capture.Source. f.Data lies in the ring and may be written to by nobody.
func (s *source) Next(f *capture.Frame) error {
	if s.yielded++; s.yielded%lookEvery == 0 { // a busy wire never sleeps, and another may be down
		s.wait(0)
		s.lookAfter(s.o.Now())
	}
	if s.yield(f) {
		return nil
	}
	if s.stopping {
		return s.drain(f)
	}
	if s.idle {
		s.wait(s.o.Wait)
	}
	now := s.o.Now() // read before the look: what comes later is stamped later
	s.lookAfter(now)
	if s.yield(f) {
		return nil
	}
	s.idle = true
	f.Data, f.Time = nil, now-int64(s.o.Retire+stampSlack)
	return capture.ErrIdle
}

// yield fills f with the earliest packet at the rings' heads.
func (s *source) yield(f *capture.Frame) bool {
	var first *ring
	for _, r := range s.rings {
		if r.pending || !r.full {
			r.step()
		}
		if r.full && (first == nil || r.head.time < first.head.time) {
			first = r
		}
	}
	if first == nil {
		return false
	}
	h := &first.head
	*f = capture.Frame{Data: h.data, Time: h.time, WireLen: h.wire, LinkType: first.link, Interface: first.place, Unsummed: h.unsummed}
	first.pending = true
	first.yielded++
	s.idle = false
	return true
}

// wait sleeps until a ring has something, an interface changes, or the time is over.
func (s *source) wait(most time.Duration) {
	s.polls, s.polled = s.polls[:0], s.polled[:0]
	for _, r := range s.rings {
		if r.fd >= 0 {
			s.polls = append(s.polls, unix.PollFd{Fd: int32(r.fd), Events: unix.POLLIN | unix.POLLERR})
			s.polled = append(s.polled, r)
		}
	}
	n, err := unix.Poll(s.polls, int(most.Milliseconds()))
	if err != nil || n == 0 {
		return // interrupted, or a quiet wire
	}
	for i, p := range s.polls {
		if p.Revents&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0 {
			s.polled[i].trouble(&s.o)
		}
	}
}

// lookAfter asks from time to time after interfaces that are down or gone.
func (s *source) lookAfter(now int64) {
	for _, r := range s.rings {
		if r.down && !r.full && (now < r.asked || now >= r.asked+askEvery) {
			r.asked = now
			r.revive(&s.o)
		}
	}
}

// Stop implements capture.Live.
func (s *source) Stop() {
	s.stopping = true
	for _, r := range s.rings {
		if r.fd >= 0 {
			_ = setFilter(r.fd, nothing)
		}
	}
}

// drain yields what the kernel still holds after Stop; it waits for blocks that are not full.
func (s *source) drain(f *capture.Frame) error {
	for {
		settled := true
		for _, r := range s.rings {
			r.tally()
			settled = settled && (r.fd < 0 || r.settled())
		}
		if s.yield(f) {
			return nil
		}
		if s.rounds++; settled || s.rounds > drainRounds {
			for _, r := range s.rings {
				r.writeOff()
			}
			return io.EOF
		}
		s.wait(max(s.o.Retire, time.Millisecond))
	}
}

// Interfaces implements capture.Live.
func (s *source) Interfaces() []string { return s.o.Interfaces }

// Stats implements capture.Live.
func (s *source) Stats() capture.Stats {
	var all capture.Stats
	s.tally()
	for _, r := range s.rings {
		all.Received += r.stats.Received
		all.Dropped += r.stats.Dropped
		all.Skipped += r.stats.Skipped
		all.Damaged += r.stats.Damaged
		all.Bypassed += r.stats.Bypassed
		for why, n := range r.stats.Why {
			all.Why[why] += n
		}
	}
	return all
}

// tally brings every ring's counts up to date.
func (s *source) tally() {
	for _, r := range s.rings {
		r.tally()
	}
	s.skipped()
}

// Faces implements capture.Apart.
func (s *source) Faces(into []capture.Face) []capture.Face {
	s.tally()
	for _, r := range s.rings {
		into = append(into, capture.Face{Name: s.o.Interfaces[r.place], Mode: "tap", Filter: s.o.Texts[s.o.Interfaces[r.place]], Down: r.down, Stats: r.stats})
	}
	return into
}

// Close implements capture.Source.
func (s *source) Close() error {
	for _, r := range s.rings {
		r.close()
		if r.member == 0 {
			r.group.close()
		}
	}
	s.skipped()
	if s.o.skip != nil {
		s.o.skip.leave()
		s.o.skip = nil
	}
	return nil
}

// say speaks for all workers.
func (r *ring) say(o *Options, format string, args ...any) {
	if r.member == 0 {
		o.say(format, args...)
	}
}

// trouble takes note of what happened to an interface.
func (r *ring) trouble(o *Options) {
	code, err := unix.GetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_ERROR) // and clears it, or poll would not sleep
	if err == nil && code == 0 {
		return
	}
	if !r.down {
		r.down, r.asked = true, o.Now()
		r.say(o, "%s is down; waiting for it", r.name)
	}
}

// revive tells when an interface is up again, and opens its ring anew when it was made anew. What the old one holds is
// read first.
func (r *ring) revive(o *Options) {
	if r.fd >= 0 {
		bound, err := unix.Getsockname(r.fd)
		at, ok := bound.(*unix.SockaddrLinklayer)
		if err == nil && ok && at.Ifindex == r.index {
			if _, up, exists := isUp(r.index); exists && up {
				r.down = false
				r.say(o, "%s is up again", r.name)
			}
			return
		}
		r.writeOff()
		r.close()
		r.say(o, "%s is gone; waiting for one of that name", r.name)
	}
	if index, _, err := lookUp(r.name); err == nil {
		if _, up, _ := isUp(index); !up {
			return // soon
		}
	}
	err := r.open(o)
	var unknown *capture.UnknownInterfaceError
	switch {
	case err == nil:
		r.down, r.told = false, ""
		r.say(o, "%s is back", r.name)
	case !errors.As(err, &unknown) && err.Error() != r.told:
		r.told = err.Error()
		r.say(o, "%s cannot be watched again yet: %v", r.name, err)
	}
}
