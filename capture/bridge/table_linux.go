package bridge

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// The table that kernel and process share: one value, mapped into the process. All fields are 64 bits wide; times are the
// boot clock's, ns, which nobody sets. Change a place or a meaning, and tableVersion changes with it.
const (
	tableVersion = 1 // also in the pins' path
	tableBytes   = 4096

	fieldPatience = 0
	fieldStopped  = 8  // when a process last gave the line to the kernel by itself; 0: it did not
	fieldBeat     = 16 // the process's heartbeat; 0: it does not want frames

	sideFirst = 64 // of the left interface's fields; the right one's come sideBytes later
	sideBytes = 128

	// Of a side; counts only grow.
	sidePassed  = 0  // frames sent on without being shown
	sideStopped = 8  // frames dropped without being shown
	sideTaken   = 16 // frames handed to the process
	sideFrom    = 24 // the first frame not shown since the process cleared this, and
	sideTo      = 32 // the latest
	sideBlock   = 40 // 1: drop what is not shown
	toldPassed  = 48 // what of the counts is on record; the process's own
	toldStopped = 56
	sideIndex   = 64 // the interface's; the process's own
	sideClassic = 72 // 1: its program stands at clsact; 0: at TCX
)

// table is the process's view.
type table struct {
	m   *ebpf.Map
	mem []byte
}

func tableSpec() *ebpf.MapSpec {
	return &ebpf.MapSpec{Name: "dejpha_bridge", Type: ebpf.Array, KeySize: 4, ValueSize: tableBytes, MaxEntries: 1, Flags: unix.BPF_F_MMAPABLE}
}

// fateSpec is where a filter tells the program that comes next on the same processor, for the same frame, that it took it.
func fateSpec() *ebpf.MapSpec {
	return &ebpf.MapSpec{Name: "dejpha_fate", Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 4, MaxEntries: 1}
}

func mapTable(m *ebpf.Map) (*table, error) {
	mem, err := unix.Mmap(m.FD(), 0, tableBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("cannot map the bridge's table: %w", err)
	}
	return &table{m: m, mem: mem}, nil
}

func (t *table) at(field int) *atomic.Uint64 { return (*atomic.Uint64)(unsafe.Pointer(&t.mem[field])) }

// side is the place of a field of a side, 0 left and 1 right.
func side(which, field int) int { return sideFirst + which*sideBytes + field }

func (t *table) close() {
	_ = unix.Munmap(t.mem)
	_ = t.m.Close()
}

// boot is the boot clock, ns.
func boot() uint64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) // cannot fail: Linux 2.6.39 has it
	return uint64(ts.Nano())
}
