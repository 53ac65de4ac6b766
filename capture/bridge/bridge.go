// Package bridge stands between two interfaces (Linux only): the kernel carries frames from one to the other, and hands them
// to this process instead while it shows that it is alive.
//
// In: the names of two interfaces. Out: each frame once; those accepted go out on the other interface, byte for byte. Called
// by shield for a live run.
//
// Two small programs in the kernel share a table with this process. A socket's filter takes a frame only while the process's
// heartbeat is young; a program behind it sends on what was not taken, or drops it where the line is to be shut without a
// shield. Both and the table are pinned: a stopped, killed or hung process leaves the line to the kernel, and the table counts
// what went past. The package never looks into a frame but for its VLAN tag, and reads no wall clock but the one handed in.
package bridge

import (
	"errors"
	"fmt"
	"time"
)

// Options of Open. Zero values are the defaults.
type Options struct {
	Left, Right string        // names of the interfaces
	Now         func() int64  // the wall clock, ns since 1970 UTC
	Say         func(string)  // what happens to the line, one line each; nil: nobody listens
	Block       [2]bool       // of Left and Right: frames that come in there are dropped while the process is silent; else sent on
	Patience    time.Duration // how long the process may be silent before the kernel takes over; default 200 ms
	Buffer      int           // bytes of frames that may wait on an interface; default 16 MiB
	Wait        time.Duration // how long Next waits before it says ErrIdle; default a quarter of Patience
	classic     bool          // of a test: as if the kernel were older than 6.6
	Folder      string        // of pins, on a BPF file system; default one of the system's
}

const (
	defaultPatience = 200 * time.Millisecond
	patienceLeast   = 20 * time.Millisecond
	patienceMost    = 60 * time.Second
	defaultBuffer   = 16 << 20
	bufferLeast     = 256 << 10
	bufferMost      = 1 << 30
)

// ErrPrivilege says that the process may not stand between interfaces.
var ErrPrivilege = errors.New("no permission to bridge interfaces")

// ErrKernel says that the kernel, or the system, does not offer what a bridge needs.
var ErrKernel = errors.New("the bridge is not offered by this system")

// ErrInUse says that the wish cannot be met as the interfaces are used now.
var ErrInUse = errors.New("the interface is in use")

// check fills in the defaults and refuses what makes no sense.
func (o *Options) check() error {
	if o.Left == "" || o.Right == "" || o.Left == o.Right {
		return fmt.Errorf("a bridge takes two interfaces, not %q and %q", o.Left, o.Right)
	}
	if o.Now == nil {
		return errors.New("a live capture needs a clock")
	}
	if o.Patience == 0 {
		o.Patience = defaultPatience
	}
	if o.Patience < patienceLeast || o.Patience > patienceMost {
		return fmt.Errorf("a patience of %v: expected %v to %v", o.Patience, patienceLeast, patienceMost)
	}
	if o.Buffer == 0 {
		o.Buffer = defaultBuffer
	}
	if o.Buffer < bufferLeast || o.Buffer > bufferMost {
		return fmt.Errorf("a buffer of %d bytes: expected %d to %d", o.Buffer, bufferLeast, bufferMost)
	}
	if o.Wait <= 0 || o.Wait > o.Patience/4 {
		o.Wait = min(o.Patience/4, 100*time.Millisecond)
	}
	return nil
}

func (o *Options) say(format string, args ...any) {
	if o.Say != nil {
		o.Say(fmt.Sprintf(format, args...))
	}
}
