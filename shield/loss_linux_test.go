package shield

import (
	"bytes"
	"encoding/binary"
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

	"github.com/dejpha/dejpha/capture/nettest"
	"github.com/dejpha/dejpha/evidence"
)

// What was sent is the truth: a program that could not look for a while has every packet in its ledger, those that its
// rings had no room for among the dropped, and so has the log that it sealed.
func TestLossIsInTheLedgerToThePacket(t *testing.T) {
	const frames = 60000 // of 1,400 bytes: more than twice what the rings of two workers hold
	bin, state := buildBinary(t), t.TempDir()
	n := nettest.Spaces(t, "shield", "sender")
	a, b := n[0], n[1]
	for _, space := range n { // the kernel's own words would stand among the counted
		nettest.Must(t, "ip", "netns", "exec", space, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
	}
	nettest.Must(t, "ip", "-n", a, "link", "add", "ds0", "type", "veth", "peer", "name", "ds1", "netns", b)
	nettest.Must(t, "ip", "-n", a, "link", "set", "ds0", "up")
	nettest.Must(t, "ip", "-n", b, "link", "set", "ds1", "up")
	var says, tells bytes.Buffer
	cmd := exec.Command("ip", "netns", "exec", a, bin, "run", "-i", "ds0", "--workers", "2", "--no-console", "--set", "state="+state)
	cmd.Stdout, cmd.Stderr = &tells, &says
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	eventually(t, "the start", func() bool {
		_, err := os.Stat(filepath.Join(state, "eve.json"))
		return err == nil
	})
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	sendDatagrams(t, b, "ds1", frames)
	_ = cmd.Process.Signal(syscall.SIGCONT)
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, says.String())
	}
	if want := fmt.Sprintf("packets    %d received = ", frames); !strings.Contains(tells.String(), want) || strings.Contains(tells.String(), "NOT BALANCE") {
		t.Errorf("not %q:\n%s", want, tells.String())
	}
	report, err := evidence.CheckAll(filepath.Join(state, "evidence"), "")
	if err != nil || !report.OK() {
		t.Fatalf("%v: %+v", err, report)
	}
	if l := report.Ledger; l.Received != frames || l.KernelDrops == 0 || l.Inspected == 0 || l.Received != l.Inspected+l.KernelDrops {
		t.Errorf("%+v", l)
	}
	t.Logf("%+v", report.Ledger)
}

// sendDatagrams puts n frames with datagrams between many hosts on an interface of a namespace.
func sendDatagrams(t *testing.T, namespace, name string, n uint32) {
	t.Helper()
	sent := make(chan error)
	go func() {
		runtime.LockOSThread() // and is never unlocked: the thread ends with its namespace
		sent <- func() error {
			ns, err := unix.Open("/run/netns/"+namespace, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return err
			}
			defer unix.Close(ns)
			if err := unix.Setns(ns, unix.CLONE_NEWNET); err != nil {
				return err
			}
			i, err := net.InterfaceByName(name)
			if err != nil {
				return err
			}
			fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			b := append([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 5, 106, 0, 1, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 0, 198, 51, 100, 9, 39, 16, 39, 17, 5, 86, 0, 0}, make([]byte, 1358)...)
			for k := range n {
				binary.BigEndian.PutUint16(b[28:], uint16(k%500))
				for tries := 0; ; tries++ {
					err := unix.Sendto(fd, b, 0, &unix.SockaddrLinklayer{Ifindex: i.Index})
					if err == nil {
						break
					}
					if !errors.Is(err, unix.ENOBUFS) || tries == 1000 {
						return fmt.Errorf("frame %d: %w", k, err)
					}
					time.Sleep(time.Millisecond)
				}
			}
			return nil
		}()
	}()
	if err := <-sent; err != nil {
		t.Fatalf("sending: %v", err)
	}
}
