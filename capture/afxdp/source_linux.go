package afxdp

import (
	"errors"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/capture/cbpf"
)

const linkEthernet = 1 // LINKTYPE_ETHERNET

// source reads one worker's sockets of all interfaces, the earliest stamp at their heads first.
type source struct {
	o        Options
	workers  int
	worker   int
	sides    []*side
	polls    []unix.PollFd
	held     *socket // its head was yielded
	idle     bool    // ErrIdle was said since the last frame
	stopping bool
	rounds   int // waits since Stop
	frames   uint64
	apart    int64 // the wall clock less the monotonic one, ns
}

// side is one interface as one worker sees it.
type side struct {
	port    *port
	place   uint16 // among the interfaces
	at      *attachment
	down    bool
	asked   int64
	told    string // the last reason why it cannot be taken
	past    uint64 // handed over by attachments that are gone
	yielded uint64
	damaged uint64 // descriptors that lie
	dropped uint64 // of attachments that are gone
}

// OpenGroup takes the frames of interfaces for n workers, 1 to workersMost, until all its sources are closed: each frame is
// yielded by one source, and all frames of a pair of addresses by the same. Each source is for a goroutine of its own. The
// errors of a wish that cannot be met are ErrPrivilege, ErrKernel, ErrTaken, *capture.UnknownInterfaceError and *cbpf.FilterError.
// An interface that is down, or goes away later, is waited for.
func OpenGroup(o Options, n int) ([]capture.Live, error) {
	if err := o.check(n); err != nil {
		return nil, err
	}
	all := make([]*source, n)
	for w := range all {
		all[w] = &source{o: o, workers: n, worker: w}
		all[w].setClock()
	}
	shut := func() {
		for _, s := range all {
			_ = s.Close()
		}
	}
	for place, name := range o.Interfaces {
		p := &port{name: name, workers: n, keys: cbpf.NewKeys()}
		for _, s := range all {
			x := &side{port: p, place: uint16(place)}
			s.sides = append(s.sides, x)
			err := x.open(s, nil)
			// The kernel lets go of a queue a little after the sockets that had it were closed: a shield that is started
			// again must not be refused for the one before.
			for waited := time.Duration(0); errors.Is(err, ErrTaken) && waited < takenWait; waited += takenPause {
				time.Sleep(takenPause)
				err = x.open(s, nil)
			}
			switch {
			case errors.Is(err, errDown):
				x.down = true
				x.say(s, "%s is down; waiting for it", name)
			case err != nil:
				shut()
				return nil, err
			default:
				x.say(s, "%s: frames are taken by AF_XDP (%s, %d queues); the machine's own network does not see them", name, x.at.way, x.at.queues)
			}
		}
	}
	live := make([]capture.Live, n)
	for i, s := range all {
		live[i] = s
	}
	return live, nil
}

func (x *side) open(s *source, failed *attachment) error {
	a, err := x.port.take(&s.o, failed)
	if err == nil {
		x.at = a
	}
	return err
}

// say speaks for all workers.
func (x *side) say(s *source, format string, args ...any) {
	if s.worker == 0 {
		s.o.say(format, args...)
	}
}

func (s *source) setClock() {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) == nil {
		s.apart = s.o.Now() - t.Nano()
	}
}

// Next implements capture.Source. f.Data lies in memory shared with the kernel and may be written to by nobody.
func (s *source) Next(f *capture.Frame) error {
	if s.frames++; s.frames%lookEvery == 0 {
		s.wait(0)
		s.lookAfter(s.o.Now())
	}
	if s.yield(f) {
		return nil
	}
	if s.stopping {
		return s.drain(f)
	}
	s.giveBack()
	if s.idle {
		s.wait(s.o.Wait)
	}
	now := s.o.Now() // read before the look: what comes later is stamped later
	s.lookAfter(now)
	if s.yield(f) {
		return nil
	}
	s.idle = true
	f.Data, f.Time = nil, now-int64(stampSlack)
	return capture.ErrIdle
}

// yield fills f with the earliest frame at the rings' heads.
func (s *source) yield(f *capture.Frame) bool {
	if s.held != nil {
		s.held.step()
		s.held = nil
	}
	var first *socket
	var of *side
	var data []byte
	var stamped uint64
	for _, x := range s.sides {
		if x.at == nil {
			continue
		}
		for _, k := range x.at.sockets[s.worker] {
			b, t, ok := k.peek()
			for ok && b == nil {
				x.damaged++
				k.step()
				b, t, ok = k.peek()
			}
			if ok && (first == nil || t < stamped) {
				first, of, data, stamped = k, x, b, t
			}
		}
	}
	if first == nil {
		return false
	}
	at := int64(stamped) + s.apart
	if stamped == 0 {
		at = s.o.Now()
	}
	*f = capture.Frame{Data: data, Time: at, WireLen: uint32(len(data)), LinkType: linkEthernet, Interface: of.place}
	of.yielded++
	s.held, s.idle = first, false
	return true
}

// giveBack lets the kernel have the frames that wait for a batch, before a pause.
func (s *source) giveBack() {
	for _, x := range s.sides {
		if x.at != nil {
			for _, k := range x.at.sockets[s.worker] {
				k.flush()
			}
		}
	}
}

// wait sleeps until a ring has something or the time is over.
func (s *source) wait(most time.Duration) {
	s.polls = s.polls[:0]
	for _, x := range s.sides {
		if x.at == nil || x.down {
			continue
		}
		for _, k := range x.at.sockets[s.worker] {
			s.polls = append(s.polls, unix.PollFd{Fd: int32(k.fd), Events: unix.POLLIN})
		}
	}
	_, _ = unix.Poll(s.polls, int(most.Milliseconds())) // interrupted, or a quiet wire: the rings say
}

// lookAfter sets the clock, and asks from time to time after interfaces that are down or gone. What an old attachment
// holds is read first.
func (s *source) lookAfter(now int64) {
	s.setClock()
	for _, x := range s.sides {
		if now >= x.asked && now < x.asked+askEvery {
			continue
		}
		x.asked = now
		if !x.down && x.gone(s.worker) {
			x.down = true
			x.say(s, "%s is gone; waiting for one of that name", x.port.name)
		}
		if !x.down || x.waiting(s.worker) {
			continue
		}
		old := x.at
		err := x.open(s, old)
		switch {
		case err == nil:
			x.forget(s, old)
			x.down, x.told = false, ""
			x.say(s, "%s is back, by %s", x.port.name, x.at.way)
		case !errors.Is(err, errDown) && !unknown(err) && err.Error() != x.told:
			x.told = err.Error()
			x.say(s, "%s cannot be taken again yet: %v", x.port.name, err)
		}
	}
}

// gone says whether the kernel has taken the sockets off an interface that is no more, which no poll tells.
func (x *side) gone(worker int) bool {
	if x.at == nil {
		return false
	}
	for _, k := range x.at.sockets[worker] {
		if code, err := unix.GetsockoptInt(k.fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || code != 0 {
			return true
		}
	}
	return false
}

func unknown(err error) bool {
	var u *capture.UnknownInterfaceError
	return errors.As(err, &u)
}

// waiting says whether frames of an attachment that is gone are still to be read.
func (x *side) waiting(worker int) bool {
	if x.at == nil {
		return false
	}
	for _, k := range x.at.sockets[worker] {
		if _, _, ok := k.peek(); ok {
			return true
		}
	}
	return false
}

// forget closes an attachment; what it was handed and did not yield is lost.
func (x *side) forget(s *source, a *attachment) {
	if a != nil {
		x.past += a.handed(s.worker, s.workers)
		x.dropped = x.past - x.yielded - x.damaged
		a.leave(s.worker)
	}
}

// Stop implements capture.Live.
func (s *source) Stop() {
	s.stopping = true
	for _, x := range s.sides {
		if x.at != nil {
			x.at.detach()
		}
	}
}

// drain yields what the kernel still holds after Stop.
func (s *source) drain(f *capture.Frame) error {
	for {
		if s.yield(f) {
			return nil
		}
		if s.rounds++; s.rounds > drainRounds || s.settled() {
			for _, x := range s.sides {
				x.forget(s, x.at)
				x.at = nil
			}
			return io.EOF
		}
		time.Sleep(drainWait)
	}
}

// settled says whether every frame that was handed over is accounted for.
func (s *source) settled() bool {
	st := s.Stats()
	var yielded uint64
	for _, x := range s.sides {
		yielded += x.yielded
	}
	return st.Received <= yielded+st.Dropped+st.Damaged
}

// Interfaces implements capture.Live.
func (s *source) Interfaces() []string { return s.o.Interfaces }

// Stats implements capture.Live.
func (s *source) Stats() (all capture.Stats) {
	for _, x := range s.sides {
		st := x.stats(s)
		all.Received += st.Received
		all.Dropped += st.Dropped
		all.Damaged += st.Damaged
	}
	return all
}

func (x *side) stats(s *source) capture.Stats {
	st := capture.Stats{Received: x.past, Dropped: x.dropped, Damaged: x.damaged}
	if x.at != nil {
		st.Received += x.at.handed(s.worker, s.workers)
		for _, k := range x.at.sockets[s.worker] {
			st.Dropped += k.lost()
		}
	}
	return st
}

// Faces implements capture.Apart.
func (s *source) Faces(into []capture.Face) []capture.Face {
	for _, x := range s.sides {
		into = append(into, capture.Face{Name: x.port.name, Mode: "af-xdp", Filter: s.o.Texts[x.port.name], Down: x.down, Stats: x.stats(s)})
	}
	return into
}

// Close implements capture.Source.
func (s *source) Close() error {
	for _, x := range s.sides {
		x.forget(s, x.at)
		x.at = nil
	}
	return nil
}
