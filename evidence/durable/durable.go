// Package durable is the only code of the house that syncs files.
//
// In: bytes that must survive a crash. Out: append files, atomic replacement, overwriting in place, a lock.
// Called by evidence and by shield for its own state. An error of a sync means that nothing is known of the
// file any more: the caller stops, and this package refuses every later change (no retry on the same file).
// It never reads what it wrote and knows no format.
package durable

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
)

// ErrInjected is the fault of a Faulty disk, and of every change after it.
var ErrInjected = errors.New("injected fault")

// ErrLocked says that another process holds the lock.
var ErrLocked = errors.New("locked by another process")

// Disk changes files durably. After the first failed change every further one fails with the same error.
type Disk struct {
	replace sync.Mutex // one file at a time is put in another's place: two that replace the same one share a temporary file

	mu     sync.Mutex
	err    error // the first failure; sticky
	faulty bool
	n      int // changes until the fault
	landed bool
	torn   *rand.Rand   // not nil: files keep a part of what was not synced
	gate   func()       // not nil: called before each sync of a file
	refuse func() error // nil: none is
	ops    int
	open   map[*Append]bool
}

// OS is the machine's own disk.
func OS() *Disk { return &Disk{open: map[*Append]bool{}} }

// Faulty is a disk whose n-th change (from 1) fails as a power cut does, for tests. landed: the change
// reached the disk before the cut; otherwise it is lost, with everything written and not yet synced.
func Faulty(n int, landed bool) *Disk {
	return &Disk{open: map[*Append]bool{}, faulty: true, n: n, landed: landed}
}

// Torn is a disk whose n-th change (from 1) fails as a power cut does that tears, for tests: of what was written and not
// yet synced each file keeps a part, of which a stretch may be zeros, for pages reach a disk in any order.
func Torn(n int, seed uint64) *Disk {
	r := rand.New(rand.NewPCG(seed, uint64(n)))
	return &Disk{open: map[*Append]bool{}, faulty: true, n: n, landed: r.IntN(2) == 0, torn: r}
}

// Slow is a disk that calls gate before it syncs an append file, for tests: nothing is safe before gate returns.
func Slow(gate func()) *Disk { return &Disk{open: map[*Append]bool{}, gate: gate} }

// Refusing is a disk whose changes fail while refuse says with what, for tests: they are not made. Disks that Again makes
// of it ask the same.
func Refusing(refuse func() error) *Disk { return &Disk{open: map[*Append]bool{}, refuse: refuse} }

// Again is a disk like this one that has not failed yet: for files that are opened anew, whose end is not trusted.
func (d *Disk) Again() *Disk { return &Disk{open: map[*Append]bool{}, gate: d.gate, refuse: d.refuse} }

// Ops is how many changes were made or tried.
func (d *Disk) Ops() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ops
}

// Beside says whether a change may be made while another one waits for the disk. Disks for tests make one after the other,
// so that which one fails does not depend on the machine.
func (d *Disk) Beside() bool { return !d.faulty && d.gate == nil && d.refuse == nil }

// do runs one change, or the fault.
func (d *Disk) do(what string, change func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return d.err
	}
	d.ops++
	if d.Beside() {
		d.mu.Unlock()
		err := change()
		d.mu.Lock()
		return d.after(what, err)
	}
	if d.refuse != nil {
		if err := d.refuse(); err != nil {
			d.err = fmt.Errorf("%s: %w", what, err)
			return d.err
		}
	}
	cut := d.faulty && d.ops == d.n
	if !cut || d.landed {
		if d.after(what, change()) != nil {
			return d.err
		}
	}
	if cut {
		d.err = fmt.Errorf("%s: %w", what, ErrInjected)
		for a := range d.open {
			switch {
			case d.torn != nil:
				a.tear(d.torn)
			case !d.landed:
				_ = a.f.Truncate(a.synced.Load())
			}
		}
	}
	return d.err
}

// after keeps the first failure.
func (d *Disk) after(what string, err error) error {
	if err != nil && d.err == nil {
		d.err = fmt.Errorf("%s: %w", what, bare(err))
	}
	return d.err
}

// tear keeps a part of what was not synced.
func (a *Append) tear(r *rand.Rand) {
	safe := a.synced.Load()
	loose := a.size - safe
	if loose <= 0 {
		return
	}
	left := r.Int64N(loose + 1)
	_ = a.f.Truncate(safe + left)
	if left == 0 || r.IntN(2) == 0 {
		return
	}
	f, err := os.OpenFile(a.path, os.O_WRONLY, 0) // a.f appends whatever the offset
	if err != nil {
		return
	}
	defer f.Close()
	from := r.Int64N(left)
	_, _ = f.WriteAt(make([]byte, 1+r.Int64N(left-from)), safe+from)
}

// bare is an error of the system without the path, which what was done names already.
func bare(err error) error {
	if p := (*os.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	if l := (*os.LinkError)(nil); errors.As(err, &l) {
		return l.Err
	}
	return err
}

// MkdirAll makes a folder, for its owner's eyes only, with those above that are missing, and syncs the one above each.
func (d *Disk) MkdirAll(dir string) error { return d.mkdirAll(dir, 0o700) }

// MkdirShared is MkdirAll for folders that others may look into.
func (d *Disk) MkdirShared(dir string) error { return d.mkdirAll(dir, 0o755) }

func (d *Disk) mkdirAll(dir string, mode os.FileMode) error {
	dir = filepath.Clean(dir)
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	} else if err == nil {
		return fmt.Errorf("making %s: %w", dir, syscall.ENOTDIR)
	}
	if up := filepath.Dir(dir); up != dir {
		if err := d.mkdirAll(up, mode); err != nil {
			return err
		}
	}
	return d.do("making "+dir, func() error {
		if err := os.Mkdir(dir, mode); err != nil {
			if info, stat := os.Stat(dir); stat != nil || !info.IsDir() { // another process made it meanwhile
				return err
			}
		}
		return syncFolder(filepath.Dir(dir))
	})
}

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// Append is a file that only grows. One owner.
type Append struct {
	d       *Disk
	f       *os.File
	path    string
	size    int64
	synced  atomic.Int64 // so much is safe
	dropped int64        // before it nothing need stay in memory
}

// OpenAppend opens or makes a file for appending, for its owner's eyes only; a new one's folder is synced.
func (d *Disk) OpenAppend(path string) (*Append, error) { return d.openAppend(path, 0o600) }

// OpenShared is OpenAppend for a file that others may read.
func (d *Disk) OpenShared(path string) (*Append, error) { return d.openAppend(path, 0o644) }

func (d *Disk) openAppend(path string, mode os.FileMode) (*Append, error) {
	a := &Append{d: d, path: path}
	err := d.do("opening "+path, func() error {
		_, missing := os.Stat(path)
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, mode)
		if err != nil {
			return err
		}
		info, err := f.Stat()
		if err != nil {
			return err
		}
		a.f, a.size, a.dropped = f, info.Size(), info.Size()
		a.synced.Store(a.size)
		if missing != nil {
			return syncFolder(filepath.Dir(path))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.open[a] = true
	d.mu.Unlock()
	return a, nil
}

// Size is the file's length, bytes.
func (a *Append) Size() int64 { return a.size }

// Write appends p; it is safe only after Sync.
func (a *Append) Write(p []byte) (int, error) {
	err := a.d.do("writing "+a.path, func() error {
		_, err := a.f.Write(p)
		a.size += int64(len(p))
		return err
	})
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// Sync makes everything written so far safe; nothing is done if it already is.
func (a *Append) Sync() error { return a.d.Hold(a).Sync() }

// sync is the system's; then tells of it, before a fault of the disk cuts.
func (a *Append) sync(then func()) error {
	return a.d.do("syncing "+a.path, func() error {
		if a.d.gate != nil {
			a.d.gate()
		}
		err := syscall.Fdatasync(int(a.f.Fd()))
		if err == nil {
			then()
		}
		return err
	})
}

// Held is files as long as they were at one moment.
type Held struct {
	d     *Disk
	files []*Append
	upTo  []int64
}

// Hold notes how long files are.
func (d *Disk) Hold(files ...*Append) *Held {
	h := &Held{d: d, files: slices.DeleteFunc(files, func(a *Append) bool { return a.synced.Load() == a.size })}
	for _, a := range h.files {
		h.upTo = append(h.upTo, a.size)
	}
	return h
}

// Sync makes safe what the files held then; they wait for the disk at the same time. From any goroutine: their owner may
// go on appending to them, and does not close them before it returns.
func (h *Held) Sync() error {
	if !h.d.Beside() || len(h.files) == 1 {
		for i, a := range h.files {
			if err := a.sync(func() { a.synced.Store(h.upTo[i]) }); err != nil {
				return err
			}
		}
		return nil
	}
	var wait sync.WaitGroup
	var failed atomic.Pointer[error]
	for _, a := range h.files {
		wait.Go(func() {
			if err := a.sync(func() {}); err != nil {
				failed.Store(&err)
			}
		})
	}
	wait.Wait()
	if err := failed.Load(); err != nil { // the disk's first: it is the same for all
		return *err
	}
	for i, a := range h.files {
		a.synced.Store(h.upTo[i])
	}
	return nil
}

// Truncate cuts the file to size and syncs it.
func (a *Append) Truncate(size int64) error {
	if a.size == size {
		return nil
	}
	return a.d.do("cutting "+a.path, func() error {
		if err := a.f.Truncate(size); err != nil {
			return err
		}
		a.size = size
		a.synced.Store(size)
		return a.f.Sync()
	})
}

// Close closes the file without syncing it.
func (a *Append) Close() error {
	a.d.mu.Lock()
	delete(a.d.open, a)
	a.d.mu.Unlock()
	return a.f.Close()
}

// Replace puts p in path's place at once or not at all: temporary file, sync, rename, sync of the folder.
func (d *Disk) Replace(path string, p []byte) error {
	d.replace.Lock()
	defer d.replace.Unlock()
	tmp := path + ".tmp"
	err := d.do("writing "+tmp, func() error {
		f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return err
		}
		defer f.Close()
		if _, err := f.Write(p); err != nil {
			return err
		}
		return f.Sync()
	})
	if err != nil {
		return err
	}
	return d.do("replacing "+path, func() error {
		if err := os.Rename(tmp, path); err != nil {
			return err
		}
		return syncFolder(filepath.Dir(path))
	})
}

// Rename gives a file another name in the same folder and syncs the folder.
func (d *Disk) Rename(from, to string) error {
	return d.do("renaming "+from, func() error {
		if err := os.Rename(from, to); err != nil {
			return err
		}
		return syncFolder(filepath.Dir(to))
	})
}

// Overwrite writes p at an offset of an existing file, in place, and syncs it.
func (d *Disk) Overwrite(path string, offset int64, p []byte) error {
	return d.do("overwriting "+path, func() error {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		if _, err := f.WriteAt(p, offset); err != nil {
			return err
		}
		return f.Sync()
	})
}

// Remove deletes a file and syncs its folder.
func (d *Disk) Remove(path string) error {
	return d.do("removing "+path, func() error {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return syncFolder(filepath.Dir(path))
	})
}

// Lock is an exclusive lock that ends with the process.
type Lock struct{ f *os.File }

// Lock takes the lock file at path, or returns ErrLocked.
func (d *Disk) Lock(path string) (*Lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening lock %s: %w", path, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%s: %w", path, ErrLocked)
	}
	return &Lock{f}, nil
}

// Close gives the lock back.
func (l *Lock) Close() error { return l.f.Close() }
