//go:build amd64 || arm64

package confine

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// refused are system calls that no shield makes: other programs and their memory, the kernel's own state, mounts,
// namespaces, and interfaces in which faults are found year after year. They fail with EPERM. What Go's runtime and
// the shield use is not listed here, so that a newer runtime is not stopped by an old list.
var refused = append([]uintptr{
	unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_KCMP,
	unix.SYS_PIDFD_GETFD, unix.SYS_PROCESS_MADVISE,
	unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_REBOOT,
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE, unix.SYS_FSOPEN,
	unix.SYS_FSMOUNT, unix.SYS_FSCONFIG, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT,
	unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD,
	unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME,
	unix.SYS_CLOCK_SETTIME, unix.SYS_SETTIMEOFDAY, unix.SYS_ADJTIMEX, unix.SYS_CLOCK_ADJTIME,
	unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL,
	unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
	unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_NAME_TO_HANDLE_AT, unix.SYS_FANOTIFY_INIT, unix.SYS_FANOTIFY_MARK, unix.SYS_LOOKUP_DCOOKIE,
	unix.SYS_PERSONALITY, unix.SYS_SYSLOG, unix.SYS_VHANGUP, unix.SYS_MKNODAT,
	unix.SYS_SETUID, unix.SYS_SETGID, unix.SYS_SETREUID, unix.SYS_SETREGID, unix.SYS_SETRESUID, unix.SYS_SETRESGID, unix.SYS_SETGROUPS,
	unix.SYS_SETFSUID, unix.SYS_SETFSGID, unix.SYS_MEMFD_SECRET, unix.SYS_MBIND, unix.SYS_MIGRATE_PAGES, unix.SYS_MOVE_PAGES,
	unix.SYS_SET_MEMPOLICY, unix.SYS_NFSSERVCTL,
}, refusedHere...)

// newNamespaces are clone's flags that make namespaces.
const newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

// Places in the data that a filter sees, and its answers.
const (
	dataNumber = 0
	dataArch   = 4
	dataArg0   = 16 // low half, little endian
	dataArg2   = 32

	answerAllow = unix.SECCOMP_RET_ALLOW
	answerPerm  = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	answerNoSys = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	answerProto = unix.SECCOMP_RET_ERRNO | uint32(unix.EPROTONOSUPPORT)
)

func load(at uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
}

func give(answer uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: answer}
}

// is jumps over the next instruction unless the value is k.
func is(k uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: k}
}

// program is the filter: calls by another architecture's numbers are refused whole.
func program(bpf bool) (p []unix.SockFilter, count int) {
	p = []unix.SockFilter{
		load(dataArch),
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 1, K: arch},
		give(answerPerm),
		load(dataNumber),
		{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, Jf: 1, K: 0x40000000}, // x32's numbers on amd64; there are none so high elsewhere
		give(answerPerm),
		is(unix.SYS_CLONE3), give(answerNoSys), // its flags cannot be seen; callers fall back to clone
	}
	for _, n := range refused {
		p = append(p, is(uint32(n)), give(answerPerm))
	}
	count = len(refused)
	if !bpf {
		p = append(p, is(unix.SYS_BPF), give(answerPerm))
		count++
	}
	return append(p,
		// Multipath TCP would go past Landlock's rule on connections.
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 4, K: unix.SYS_SOCKET},
		load(dataArg2),
		is(unix.IPPROTO_MPTCP), give(answerProto),
		give(answerAllow),
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 3, K: unix.SYS_CLONE},
		load(dataArg0),
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, Jf: 1, K: newNamespaces},
		give(answerPerm),
		give(answerAllow),
	), count
}

// seccomp refuses the listed system calls to every thread. no_new_privs is set already.
func seccomp(o *Options, r *Report) error {
	filter, count := program(o.BPF)
	prog := &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	n, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(prog)))
	runtime.KeepAlive(filter)
	switch {
	case errors.Is(e, unix.ENOSYS) || errors.Is(e, unix.EINVAL):
		r.Missing = append(r.Missing, "seccomp filters are not to be had from this kernel: no system call is refused")
		return nil
	case e != 0:
		return fmt.Errorf("cannot filter system calls: %w", e)
	case n != 0:
		return fmt.Errorf("cannot filter system calls: thread %d does not take the filter", n)
	}
	r.Refused = count
	return nil
}
