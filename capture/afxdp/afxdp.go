// Package afxdp takes frames from network interfaces through AF_XDP sockets (Linux only): an XDP program hands them over
// before the kernel builds anything of them, in a driver that can do it without a copy.
//
// In: names of interfaces whose frames nobody else needs: a mirror port, a tap. What is taken is taken from the machine's own
// network. Out: frames that lie in memory shared with the kernel, uncopied; counts that balance. Called by cmd for a live run.
// It never sends, never looks above the link layer, and never reads a clock but the one handed in and the kernel's.
package afxdp

import (
	"errors"
	"fmt"
	"time"

	"github.com/dejpha/dejpha/capture/cbpf"
)

// Options of OpenGroup. Zero values are the defaults.
type Options struct {
	Interfaces []string                      // names; at most interfacesMost
	Now        func() int64                  // the wall clock, ns since 1970 UTC
	Say        func(string)                  // what happens to an interface, one line each, once, from any worker's goroutine; nil: nobody listens
	Filters    map[string][]cbpf.Instruction // by interface: what does not match is left to the machine; compiled for frames as files hold them; nil: everything
	Texts      map[string]string             // the filters as they were written, to be shown
	Generic    bool                          // use the kernel's generic XDP even where a driver has its own
	Frames     int                           // frames of 4 KiB shared with the kernel, for each queue of an interface: a power of two; default 8192 (32 MiB)
	Wait       time.Duration                 // how long Next waits before it says ErrIdle; default 100 ms
}

const (
	interfacesMost = 64
	workersMost    = 256
	queuesMost     = 256
	framesLeast    = 256
	framesMost     = 1 << 18
	defaultFrames  = 8192
	defaultWait    = 100 * time.Millisecond
	frameSize      = 4096                  // of shared memory, bytes; a frame on the wire may have frameMost
	headroom       = 256                   // that the kernel keeps before a frame (XDP_PACKET_HEADROOM)
	frameMost      = frameSize - headroom  // bytes of a frame that is taken; a longer one is dropped and counted
	returnBatch    = 64                    // frames that a worker gives back at once
	lookEvery      = 1 << 14               // frames between two looks at the interfaces while nothing idles
	askEvery       = int64(250e6)          // ns between two looks for an interface that is down or gone
	drainRounds    = 20                    // waits of drainWait for the kernel's rest after Stop
	drainWait      = 2 * time.Millisecond  //
	takenWait      = 2 * time.Second       // for an interface that somebody still has, at the start
	takenPause     = 20 * time.Millisecond // between two attempts
	stampSlack     = 10 * time.Millisecond // that a frame may take from its stamp to its ring
)

// ErrPrivilege says that the process may not take frames.
var ErrPrivilege = errors.New("no permission to capture by AF_XDP")

// ErrKernel says that the kernel, the driver or the system does not offer AF_XDP.
var ErrKernel = errors.New("capture by AF_XDP is not offered by this system")

// ErrTaken says that another XDP program, or another's AF_XDP socket, is on an interface.
var ErrTaken = errors.New("another XDP program or AF_XDP socket is on interface")

// check fills in the defaults and refuses what the kernel would.
func (o *Options) check(workers int) error {
	if workers < 1 || workers > workersMost {
		return fmt.Errorf("%d workers: expected 1 to %d", workers, workersMost)
	}
	if len(o.Interfaces) == 0 || len(o.Interfaces) > interfacesMost {
		return fmt.Errorf("%d interfaces: expected 1 to %d", len(o.Interfaces), interfacesMost)
	}
	if o.Now == nil {
		return errors.New("a live capture needs a clock")
	}
	if o.Frames == 0 {
		o.Frames = defaultFrames
	}
	if o.Frames < framesLeast || o.Frames > framesMost || o.Frames&(o.Frames-1) != 0 {
		return fmt.Errorf("%d frames a queue: expected a power of two from %d to %d", o.Frames, framesLeast, framesMost)
	}
	if o.Wait < time.Millisecond {
		o.Wait = defaultWait
	}
	return nil
}

func (o *Options) say(format string, args ...any) {
	if o.Say != nil {
		o.Say(fmt.Sprintf(format, args...))
	}
}
