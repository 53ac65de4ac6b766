//go:build amd64 || arm64

package confine

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Apply confines the process. What this kernel lacks is in the report; an error is something that it has and that went
// wrong, or a user that cannot be become: the process may then be confined in part and must end.
func Apply(o Options) (*Report, error) {
	r := &Report{}
	if !reachesThreads() {
		if o.User != "" {
			return r, fmt.Errorf("%w %s: %s", ErrUser, o.User, needsNoCgo)
		}
		r.Unable, r.Missing = true, []string{needsNoCgo}
		return r, nil
	}
	steps := []func(*Options, *Report) error{drop, landlock, seccomp}
	if o.Off {
		steps = steps[:1]
	}
	for _, step := range steps {
		if err := step(&o, r); err != nil {
			return r, err
		}
	}
	return r, nil
}

// reachesThreads says whether a system call can be made in all threads; Go refuses in a build with cgo.
func reachesThreads() bool {
	_, _, e := syscall.AllThreadsSyscall(unix.SYS_GETPID, 0, 0, 0)
	return e != syscall.ENOTSUP
}

const needsNoCgo = "a program that was built with cgo cannot confine all of its threads; build with CGO_ENABLED=0"
