// Package nfqueue takes packets out of netfilter's way by a queue of the kernel (NFQUEUE, Linux only) and gives each back
// with its fate.
//
// In: the number of a queue that rules of the firewall fill. Out: IP packets in the order of their arrival; counts to the
// packet, from the numbers that the kernel gives to packets. Called by shield for a live run.
// It never looks into a packet beyond its version, and never reads a clock but the one handed in.
package nfqueue

import (
	"errors"
	"fmt"
	"time"
)

// Options of Open. Zero values are the defaults.
type Options struct {
	Queue    uint16
	Now      func() int64  // the wall clock, ns since 1970 UTC
	Say      func(string)  // what happens to the queue, one line each; nil: nobody listens
	FailOpen bool          // what finds the queue full goes on uninspected; else the kernel drops it
	Buffer   int           // bytes of packets that may wait for the reader; default 4 MiB
	Wait     time.Duration // how long Next waits before it says ErrIdle; default 100 ms
}

const (
	defaultBuffer = 4 << 20
	bufferLeast   = 256 << 10
	bufferMost    = 1 << 30
	defaultWait   = 100 * time.Millisecond
)

// ErrPrivilege says that the process may not read the queue.
var ErrPrivilege = errors.New("no permission to take packets from netfilter")

// ErrKernel says that the kernel, or the system, does not offer the queue.
var ErrKernel = errors.New("netfilter's queue (NFQUEUE) is not offered by this system")

// ErrTaken says that another program reads the queue.
var ErrTaken = errors.New("another program reads this queue")

// check fills in the defaults and refuses what makes no sense.
func (o *Options) check() error {
	if o.Now == nil {
		return errors.New("a live capture needs a clock")
	}
	if o.Wait < time.Millisecond {
		o.Wait = defaultWait
	}
	if o.Buffer == 0 {
		o.Buffer = defaultBuffer
	}
	if o.Buffer < bufferLeast || o.Buffer > bufferMost {
		return fmt.Errorf("a buffer of %d bytes: expected %d to %d", o.Buffer, bufferLeast, bufferMost)
	}
	return nil
}
