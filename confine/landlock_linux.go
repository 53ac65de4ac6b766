//go:build amd64 || arm64

package confine

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What is asked for below a path.
const (
	reads  = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	writes = reads | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK |
		unix.LANDLOCK_ACCESS_FS_REFER | unix.LANDLOCK_ACCESS_FS_TRUNCATE
	// ofFiles is what a rule on a single file may ask for.
	ofFiles = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE
)

// handled is what each version of the interface can forbid; what a kernel does not know must not be asked of it.
func handled(version int) (files, net, scoped uint64) {
	files = unix.LANDLOCK_ACCESS_FS_MAKE_SYM<<1 - 1
	if version >= 2 {
		files |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if version >= 3 {
		files |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if version >= 4 {
		net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if version >= 5 {
		files |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	if version >= 6 {
		scoped = unix.LANDLOCK_SCOPE_SIGNAL
	}
	return files, net, scoped
}

// landlock puts everything but the named paths out of reach, and new TCP connections and listeners with it.
func landlock(o *Options, r *Report) error {
	version, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if e != 0 {
		r.Missing = append(r.Missing, "Landlock is not to be had from this kernel ("+e.Error()+"): files are not confined")
		return nil
	}
	files, net, scoped := handled(int(version))
	attr := unix.LandlockRulesetAttr{Handled_access_fs: files, Handled_access_net: net, Scoped: scoped}
	size := unsafe.Offsetof(attr.Handled_access_net)
	if version >= 4 {
		size = unsafe.Offsetof(attr.Scoped)
	}
	if version >= 6 {
		size = unsafe.Offsetof(attr.Scoped) + unsafe.Sizeof(attr.Scoped)
	}
	set, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), size, 0)
	if e != 0 {
		return fmt.Errorf("cannot confine files: %w", e)
	}
	defer unix.Close(int(set))
	for _, x := range []struct {
		paths  []string
		access uint64
	}{{o.Read, reads}, {o.Write, writes}} {
		for _, path := range x.paths {
			there, err := allow(int(set), path, x.access&files)
			if err != nil {
				return fmt.Errorf("cannot confine files: %s: %w", path, err)
			}
			if there {
				r.Files = append(r.Files, path)
			}
		}
	}
	if net != 0 {
		if err := dial(int(set), o.Dial); err != nil {
			return err
		}
	}
	if _, _, e := syscall.AllThreadsSyscall(unix.SYS_LANDLOCK_RESTRICT_SELF, set, 0, 0); e != 0 {
		return fmt.Errorf("cannot confine files: %w", e)
	}
	r.Landlock = int(version)
	return nil
}

// portRule is the kernel's struct landlock_net_port_attr, ofPorts the kind of rule that takes it.
type portRule struct{ access, port uint64 }

const ofPorts = 2

// dial lets connections through to TCP ports, at any address.
func dial(set int, ports []uint16) error {
	for _, port := range ports {
		rule := &portRule{unix.LANDLOCK_ACCESS_NET_CONNECT_TCP, uint64(port)}
		_, _, e := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(set), ofPorts, uintptr(unsafe.Pointer(rule)), 0, 0, 0)
		runtime.KeepAlive(rule)
		if e != 0 {
			return fmt.Errorf("cannot confine connections: port %d: %w", port, e)
		}
	}
	return nil
}

// allow lets access through to a path and all below it; one that is not there needs no rule.
func allow(set int, path string, access uint64) (there bool, err error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return false, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		access &= ofFiles
	}
	rule := &unix.LandlockPathBeneathAttr{Allowed_access: access, Parent_fd: int32(fd)}
	_, _, e := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(set), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(rule)), 0, 0, 0)
	runtime.KeepAlive(rule)
	if e != 0 {
		return false, e
	}
	return true, nil
}
