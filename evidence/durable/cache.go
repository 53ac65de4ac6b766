package durable

import "golang.org/x/sys/unix"

// The system keeps what is written in memory as long as there is any, in case somebody reads it. A file of records fills
// all memory in this way and pushes out what others would read again; where a machine has its memory from another one,
// each page of it that was never used costs several times what is written into it.

const (
	page      = 4096
	dropStep  = 8 << 20  // not called for less
	lingering = 16 << 20 // looked at again: it was on its way to the disk
)

// Drop lets the system take the memory of everything but the last keep bytes, and starts writing what is not yet on the
// disk. It changes nothing but how fast that is read again; errors tell nothing.
func (a *Append) Drop(keep int64) {
	end := (a.size - keep) / page * page
	if end-a.dropped < dropStep || !a.d.Beside() {
		return
	}
	from := max(0, a.dropped-lingering)
	a.dropped = end
	_ = unix.Fadvise(int(a.f.Fd()), from, end-from, unix.FADV_DONTNEED)
}
