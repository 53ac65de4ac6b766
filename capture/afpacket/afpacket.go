// Package afpacket watches network interfaces through the kernel's AF_PACKET rings (TPACKET_V3, Linux only).
//
// In: names of interfaces. Out: frames that lie in the ring itself, uncopied, in the order of the kernel's receive
// stamps as far as the rings show it; kernel counters that balance. Called by shield for a live run.
// It never sends, never looks above the link layer, and never reads a clock but the one handed in.
package afpacket

import (
	"errors"
	"fmt"
	"time"

	"github.com/dejpha/dejpha/capture/cbpf"
)

// Options of Open. Zero values are the defaults.
type Options struct {
	Interfaces []string                      // names; at most interfacesMax
	Now        func() int64                  // the wall clock, ns since 1970 UTC
	Say        func(string)                  // what happens to an interface, one line each, once, from any worker's goroutine; nil: nobody listens
	NoPromisc  bool                          // see only what is meant for this machine
	Snaplen    uint32                        // bytes of a frame kept; default all
	Filters    map[string][]cbpf.Instruction // by interface: classic BPF, run by the kernel; nil: everything
	Texts      map[string]string             // the filters as they were written, to be shown
	Bypass     bool                          // the sources are capture.Bypassers where kernel and filters allow; why not is said
	BlockBytes int                           // of one ring block: a power of two, at least 64 KiB, so that every frame fits; default 128 KiB
	Blocks     int                           // blocks of one ring; default 256, less with many workers. Halved as long as the kernel lacks the memory
	Retire     time.Duration                 // how long the kernel holds a block that is not full; default 4 ms
	Wait       time.Duration                 // how long Next waits before it says ErrIdle; default 100 ms

	skip *skipper // nil: no bypass
}

const (
	interfacesMax = 64  // rings of 32 MiB each; more is a slip
	workersMost   = 256 // the kernel's own bound of a fanout group
	blockLeast    = 64 << 10
	blockMost     = 16 << 20
	defaultBlock  = 128 << 10 // the kernel closes a block after the retire time however empty it is: small ones outlast a longer pause
	defaultBlocks = 256
	blocksShared  = 1024 // of all workers' rings of one interface, as far as each has blocksFew
	blocksFew     = 64
	blocksLeast   = 4
	defaultRetire = 4 * time.Millisecond
	defaultWait   = 100 * time.Millisecond
	blocksMost    = 4096
	lookEvery     = 1 << 14               // frames between two looks at the interfaces while nothing idles
	askEvery      = int64(250e6)          // ns between two looks for an interface that is down or gone
	drainRounds   = 200                   // waits of a retire time each for the kernel's rest after Stop
	stampSlack    = 10 * time.Millisecond // that the kernel's block timer may be late
)

// ErrPrivilege says that the process may not open a packet socket.
var ErrPrivilege = errors.New("no permission to capture packets")

// ErrKernel says that the kernel, or the system, does not offer the ring.
var ErrKernel = errors.New("packet capture is not offered by this system")

// check fills in the defaults and refuses what the kernel would.
func (o *Options) check(workers int) error {
	if workers < 1 || workers > workersMost {
		return fmt.Errorf("%d workers: expected 1 to %d", workers, workersMost)
	}
	if len(o.Interfaces) == 0 || len(o.Interfaces) > interfacesMax {
		return fmt.Errorf("%d interfaces: expected 1 to %d", len(o.Interfaces), interfacesMax)
	}
	if o.Now == nil {
		return errors.New("a live capture needs a clock")
	}
	if o.BlockBytes == 0 {
		o.BlockBytes = defaultBlock
	}
	if o.Blocks == 0 {
		o.Blocks = max(min(defaultBlocks, blocksShared/workers), blocksFew)
	}
	if o.Retire < time.Millisecond {
		o.Retire = defaultRetire
	}
	if o.Wait < time.Millisecond {
		o.Wait = defaultWait
	}
	if o.Snaplen == 0 {
		o.Snaplen = cbpf.SnapLen
	}
	if o.BlockBytes < blockLeast || o.BlockBytes > blockMost || o.BlockBytes&(o.BlockBytes-1) != 0 {
		return fmt.Errorf("ring blocks of %d bytes: expected a power of two from %d to %d", o.BlockBytes, blockLeast, blockMost)
	}
	if o.Blocks < blocksLeast || o.Blocks > blocksMost {
		return fmt.Errorf("%d ring blocks: expected %d to %d", o.Blocks, blocksLeast, blocksMost)
	}
	for name, f := range o.Filters {
		if len(f) > cbpf.InstructionsMost {
			return fmt.Errorf("a filter of %d instructions for %s: the kernel takes %d", len(f), name, cbpf.InstructionsMost)
		}
	}
	return nil
}

func (o *Options) say(format string, args ...any) {
	if o.Say != nil {
		o.Say(fmt.Sprintf(format, args...))
	}
}
