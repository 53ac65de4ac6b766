//go:build amd64 || arm64

package confine

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Cap is a privilege, by the kernel's number.
type Cap uint

// Privileges that a running shield may still need.
const (
	NetRaw        Cap = unix.CAP_NET_RAW      // sockets of packets: an interface that comes back is opened again
	NetAdmin      Cap = unix.CAP_NET_ADMIN    // queues, nftables, programs on interfaces
	BPF           Cap = unix.CAP_BPF          // maps and programs
	PerfMon       Cap = unix.CAP_PERFMON      // programs that look into packets freely
	IPCLock       Cap = unix.CAP_IPC_LOCK     // memory shared with AF_XDP, past the limit of locked memory
	DACOverride   Cap = unix.CAP_DAC_OVERRIDE // files of other users
	capsKnownMost     = 64
)

// String is the kernel's name.
func (c Cap) String() string {
	switch c {
	case NetRaw:
		return "CAP_NET_RAW"
	case NetAdmin:
		return "CAP_NET_ADMIN"
	case BPF:
		return "CAP_BPF"
	case PerfMon:
		return "CAP_PERFMON"
	case IPCLock:
		return "CAP_IPC_LOCK"
	case DACOverride:
		return "CAP_DAC_OVERRIDE"
	}
	return "capability " + strconv.Itoa(int(c))
}

// held returns the process's permitted privileges.
func held() (uint64, error) {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return 0, fmt.Errorf("cannot ask for privileges: %w", err)
	}
	return uint64(data[0].Permitted) | uint64(data[1].Permitted)<<32, nil
}

// setCaps leaves the privileges in mask to every thread and none to programs that are started.
func setCaps(mask uint64) error {
	hdr := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := &[2]unix.CapUserData{
		{Effective: uint32(mask), Permitted: uint32(mask)},
		{Effective: uint32(mask >> 32), Permitted: uint32(mask >> 32)},
	}
	_, _, e := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(hdr)), uintptr(unsafe.Pointer(data)), 0)
	runtime.KeepAlive(hdr)
	runtime.KeepAlive(data)
	if e != 0 {
		return fmt.Errorf("cannot drop privileges: %w", e)
	}
	return nil
}

// prctl does it in every thread.
func prctl(option, arg uintptr) error {
	if _, _, e := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, option, arg, 0, 0, 0, 0); e != 0 {
		return e
	}
	return nil
}

// drop leaves o.Keep of what the process has, becomes o.User, and lets no program gain more.
func drop(o *Options, r *Report) error {
	u, err := whom(o)
	if err != nil {
		return err
	}
	now, err := held()
	if err != nil {
		return err
	}
	if now != 0 {
		for c := uintptr(0); c < capsKnownMost; c++ { // the bounding set: what started programs could have; needs a privilege itself
			if now&(1<<unix.CAP_SETPCAP) != 0 && prctl(unix.PR_CAPBSET_DROP, c) != nil {
				break // past the last one of this kernel
			}
		}
	}
	if u != nil {
		if err := u.become(o, r); err != nil {
			return err
		}
	}
	var mask uint64
	for _, c := range o.Keep {
		mask |= 1 << c
	}
	mask &= now
	if now != 0 {
		if err := setCaps(mask); err != nil {
			return err
		}
	}
	for _, c := range o.Keep {
		if mask&(1<<c) != 0 {
			r.Caps = append(r.Caps, c.String())
		}
	}
	if err := prctl(unix.PR_SET_NO_NEW_PRIVS, 1); err != nil {
		return fmt.Errorf("cannot set no_new_privs: %w", err)
	}
	return nil
}

// another is the user to become.
type another struct {
	name     string
	uid, gid int
}

// whom looks the named user up; nil if the process stays who it is.
func whom(o *Options) (*another, error) {
	if o.User == "" {
		return nil, nil
	}
	u, err := user.Lookup(o.User)
	if err != nil {
		if u, err = user.LookupId(o.User); err != nil {
			return nil, fmt.Errorf("%w: there is no user %q on this machine; make one (useradd --system %s) or change `user:`", ErrUser, o.User, o.User)
		}
	}
	uid, err := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err != nil || err2 != nil {
		return nil, fmt.Errorf("%w %q: its numbers are %q and %q", ErrUser, o.User, u.Uid, u.Gid)
	}
	if uid == os.Geteuid() {
		return nil, nil
	}
	return &another{u.Username, uid, gid}, nil
}

// become changes the user and keeps the privileges meanwhile.
func (u *another) become(o *Options, r *Report) error {
	uid, gid := u.uid, u.gid
	for _, dir := range o.Own {
		if err := own(dir, uid, gid); err != nil {
			return fmt.Errorf("%w %s: %w", ErrUser, o.User, err)
		}
	}
	if err := prctl(unix.PR_SET_KEEPCAPS, 1); err != nil {
		return fmt.Errorf("%w %s: %w", ErrUser, o.User, err)
	}
	if err := syscall.Setgroups([]int{gid}); err != nil {
		return fmt.Errorf("%w %s: it takes root or CAP_SETUID and CAP_SETGID: %w", ErrUser, o.User, err)
	}
	if err := syscall.Setresgid(gid, gid, gid); err != nil {
		return fmt.Errorf("%w %s: %w", ErrUser, o.User, err)
	}
	if err := syscall.Setresuid(uid, uid, uid); err != nil {
		return fmt.Errorf("%w %s: %w", ErrUser, o.User, err)
	}
	r.User = u.name
	return nil
}

// own gives a folder and all below it to a user; links are not followed.
func own(dir string, uid, gid int) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, gid)
	})
}
