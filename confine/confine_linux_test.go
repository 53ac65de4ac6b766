//go:build amd64 || arm64

package confine

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The child confines itself and looks at what it can still do; TestMain lets this program be its own child.
func TestMain(m *testing.M) {
	if dir := os.Getenv("CONFINE_CHILD"); dir != "" {
		os.Exit(child(dir))
	}
	os.Exit(m.Run())
}

// check is one thing that a confined process tries.
type check struct {
	what string
	do   func() error
	want error // nil: it must work
}

func checks(dir string, r *Report) []check {
	in := filepath.Join(dir, "state", "a")
	list := []check{
		{"write in the state folder", func() error { return os.WriteFile(in, []byte("x"), 0o600) }, nil},
		{"rename there", func() error { return os.Rename(in, in+"2") }, nil},
		{"truncate there", func() error { return os.Truncate(in+"2", 0) }, nil},
		{"a folder there", func() error { return os.Mkdir(filepath.Join(dir, "state", "d"), 0o700) }, nil},
		{"remove there", func() error { return errors.Join(os.Remove(in+"2"), os.Remove(filepath.Join(dir, "state", "d"))) }, nil},
		{"read rules", func() error { _, err := os.ReadFile(filepath.Join(dir, "rules", "r")); return err }, nil},
		{"a thread and a UDP socket", func() error { c, err := net.ListenPacket("udp", "127.0.0.1:0"); return errors.Join(err, c.Close()) }, nil},
	}
	if r.Landlock > 0 {
		list = append(list,
			check{"write into the rules", func() error { return os.WriteFile(filepath.Join(dir, "rules", "r"), nil, 0o600) }, syscall.EACCES},
			check{"remove a rule file", func() error { return os.Remove(filepath.Join(dir, "rules", "r")) }, syscall.EACCES},
			check{"read elsewhere", func() error { _, err := os.ReadFile(filepath.Join(dir, "secret")); return err }, syscall.EACCES},
			check{"list elsewhere", func() error { _, err := os.ReadDir(dir); return err }, syscall.EACCES},
			check{"make a file elsewhere", func() error { return os.WriteFile(filepath.Join(dir, "new"), nil, 0o600) }, syscall.EACCES},
			check{"a link in the state folder", func() error { return os.Symlink("/", in+"l") }, syscall.EACCES})
	}
	if r.Landlock >= 4 {
		list = append(list, check{"a connection", func() error { _, err := net.Dial("tcp", "127.0.0.1:9"); return err }, syscall.EACCES},
			check{"a connection to a port that is needed", func() error { _, err := net.Dial("tcp", "127.0.0.1:10"); return err }, syscall.ECONNREFUSED},
			check{"a listener", func() error { _, err := net.Listen("tcp", "127.0.0.1:0"); return err }, syscall.EACCES})
	}
	if r.Refused > 0 {
		list = append(list,
			check{"start a program", func() error { return unix.Exec("/not-there", nil, nil) }, syscall.EPERM},
			check{"a namespace", func() error { return unix.Unshare(unix.CLONE_NEWUSER) }, syscall.EPERM},
			check{"a namespace by clone", func() error {
				_, _, e := unix.RawSyscall6(unix.SYS_CLONE, unix.CLONE_NEWUSER|uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
				return e
			}, syscall.EPERM},
			check{"a mount", func() error { return unix.Mount("none", dir, "tmpfs", 0, "") }, syscall.EPERM},
			check{"another's memory", func() error { return unix.PtraceAttach(os.Getppid()) }, syscall.EPERM},
			check{"io_uring", func() error { _, _, e := unix.Syscall(unix.SYS_IO_URING_SETUP, 1, 0, 0); return e }, syscall.EPERM},
			check{"a map in the kernel", func() error { _, _, e := unix.Syscall(unix.SYS_BPF, 0, 0, 0); return e }, syscall.EPERM})
	}
	return list
}

func child(dir string) int {
	// Threads that are there before: confinement must reach them too.
	try, tried := make(chan []check), make(chan int)
	for range 3 {
		go func() {
			runtime.LockOSThread()
			bad := 0
			for _, c := range <-try {
				if err := c.do(); c.want == nil && err != nil || c.want != nil && !errors.Is(err, c.want) {
					fmt.Printf("%s: %v, want %v\n", c.what, err, c.want)
					bad++
				}
			}
			tried <- bad
		}()
	}
	time.Sleep(20 * time.Millisecond)
	o := Options{Write: []string{filepath.Join(dir, "state"), filepath.Join(dir, "not-there")}, Read: []string{filepath.Join(dir, "rules"), "/proc"}, Keep: []Cap{NetRaw}, Dial: []uint16{10}}
	if name := os.Getenv("CONFINE_USER"); name != "" {
		o.User, o.Own = name, []string{filepath.Join(dir, "state")}
	}
	r, err := Apply(o)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(r.Line(), r.Missing, len(r.Files))
	bad := 0
	for range 3 {
		try <- checks(dir, r)
		bad += <-tried
	}
	return bad + threads(r)
}

// threads holds every thread's own state to the report.
func threads(r *Report) (bad int) {
	names, _ := filepath.Glob("/proc/self/task/*/status")
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		text := string(b)
		var mask uint64
		for _, c := range r.Caps {
			if c == "CAP_NET_RAW" {
				mask |= 1 << NetRaw
			}
		}
		want := []string{"NoNewPrivs:\t1\n", fmt.Sprintf("CapEff:\t%016x\n", mask), fmt.Sprintf("CapPrm:\t%016x\n", mask)}
		if r.Refused > 0 {
			want = append(want, "Seccomp:\t2\n")
		}
		if os.Getenv("CONFINE_USER") != "" {
			want = append(want, "Uid:\t65534\t65534\t65534\t65534\n")
		}
		for _, w := range want {
			if !strings.Contains(text, w) {
				fmt.Printf("%s lacks %q\n", name, w)
				bad++
			}
		}
	}
	if len(names) < 4 {
		fmt.Println("only", len(names), "threads")
		bad++
	}
	return bad
}

func runChild(t *testing.T, env ...string) string {
	t.Helper()
	if !reachesThreads() {
		t.Skip(needsNoCgo)
	}
	dir := t.TempDir()
	for _, d := range []string{"state", "rules"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"secret", "rules/r"} {
		if err := os.WriteFile(filepath.Join(dir, f), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) { // another user passes through
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command("/proc/self/exe")
	c.Env = append(append(os.Environ(), "CONFINE_CHILD="+dir), env...)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("%s", bytes.TrimSpace(out))
	return string(out)
}

func TestConfinedProcessHasNothingElse(t *testing.T) {
	out := runChild(t)
	if os.Getuid() == 0 && strings.Contains(out, "no privileges") {
		t.Error("the privilege that was asked for is gone")
	}
}

func TestConfinedProcessBecomesAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to become another user")
	}
	runChild(t, "CONFINE_USER=65534")
}

func TestUnknownUser(t *testing.T) {
	_, err := Apply(Options{User: "nobody-of-this-name"})
	if !errors.Is(err, ErrUser) || !strings.Contains(err.Error(), "nobody-of-this-name") {
		t.Error(err)
	}
}

// A kernel with less is asked for less.
func TestHandledByVersion(t *testing.T) {
	for version, want := range map[int][3]uint64{1: {0x1fff, 0, 0}, 2: {0x3fff, 0, 0}, 3: {0x7fff, 0, 0}, 4: {0x7fff, 3, 0}, 5: {0xffff, 3, 0}, 6: {0xffff, 3, 2}, 99: {0xffff, 3, 2}} {
		f, n, s := handled(version)
		if [3]uint64{f, n, s} != want {
			t.Errorf("%d: %#x %#x %#x", version, f, n, s)
		}
	}
}

// Every jump of the filter lands inside it, and it ends in an answer.
func TestFilterIsWhole(t *testing.T) {
	for _, bpf := range []bool{false, true} {
		p, n := program(bpf)
		if n < 60 || len(p) > 4096 {
			t.Fatal(n, len(p))
		}
		for i, x := range p {
			if x.Code&7 == unix.BPF_JMP && (i+1+int(x.Jt) >= len(p) || i+1+int(x.Jf) >= len(p)) {
				t.Errorf("instruction %d jumps out", i)
			}
		}
		if last := p[len(p)-1]; last.Code != unix.BPF_RET || last.K != unix.SECCOMP_RET_ALLOW {
			t.Error("no answer at the end")
		}
	}
}
