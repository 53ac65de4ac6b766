package durable

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// resident is how many pages of a file are in memory.
func resident(t *testing.T, path string) (n int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	b, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Munmap(b) }()
	in := make([]byte, (len(b)+page-1)/page)
	if _, _, e := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), uintptr(unsafe.Pointer(&in[0]))); e != 0 {
		t.Skip("what is in memory cannot be asked here: ", e)
	}
	for _, p := range in {
		n += int(p & 1)
	}
	return n
}

// What was dropped is still in the file, and no longer in memory; what was to stay is.
func TestDrop(t *testing.T) {
	dir := t.TempDir()
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		t.Fatal(err)
	} else if fs.Type == unix.TMPFS_MAGIC {
		t.Skip("files here are in memory alone")
	}
	const size, keep = 48 << 20, 4 << 20
	chunk := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	path := filepath.Join(dir, "probe")
	if err := os.WriteFile(path, chunk, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err == nil {
		err = errors.Join(f.Sync(), unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	if resident(t, path) > 0 {
		t.Skip("the file system here keeps in memory what it is told not to")
	}
	path = filepath.Join(dir, "a")
	a, err := OS().OpenAppend(path)
	if err != nil {
		t.Fatal(err)
	}
	for range size / len(chunk) {
		if _, err := a.Write(chunk); err != nil {
			t.Fatal(err)
		}
		_ = syscall.Fdatasync(int(a.f.Fd())) // as the system does after some time: what is on its way to the disk stays
		a.Drop(keep)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if n := resident(t, path) * page; n > size/2 || n < keep {
		t.Errorf("%d of %d bytes are in memory, %d were to stay", n, size, keep)
	}
	if b, err := os.ReadFile(path); err != nil || !bytes.Equal(b, bytes.Repeat(chunk, size/len(chunk))) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}
