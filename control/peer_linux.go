package control

import (
	"fmt"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// peer is the user at the other end, by the kernel's word.
func peer(c *net.UnixConn) (uid int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	err2 := raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err != nil || err2 != nil {
		return 0, fmt.Errorf("cannot tell who connects: %w", err)
	}
	return int(cred.Uid), nil
}

// nameMax is what the kernel's address structure has room for.
const nameMax = 107

// short is a name for a socket's path that the kernel has room for: a long one goes by its folder's descriptor.
func short(path string) (name string, release func(), err error) {
	if len(path) <= nameMax {
		return path, func() {}, nil
	}
	dir, err := os.OpenFile(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)), func() { _ = dir.Close() }, nil
}
