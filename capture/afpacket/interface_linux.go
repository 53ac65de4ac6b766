package afpacket

import (
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	"github.com/dejpha/dejpha/capture"
)

// lookUp asks the kernel for an interface's number and kind of hardware (ARPHRD_).
func lookUp(name string) (index int, hardware uint16, err error) {
	ifr, err := unix.NewIfreq(name)
	if err != nil { // too long for a name
		return 0, 0, capture.UnknownInterface(name)
	}
	err = ask(unix.SIOCGIFINDEX, ifr)
	if errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO) {
		return 0, 0, capture.UnknownInterface(name)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("cannot ask for interface %s: %w", name, err)
	}
	index = int(ifr.Uint32())
	if err := ask(unix.SIOCGIFHWADDR, ifr); err != nil {
		return 0, 0, fmt.Errorf("cannot ask for the hardware of %s: %w", name, err)
	}
	return index, ifr.Uint16(), nil
}

// isUp says whether the interface that has the number now is up, and how it is called.
func isUp(index int) (name string, up, exists bool) {
	// SIOCGIFNAME wants the number where the others want the answer, which this library's Ifreq does not offer.
	iface, err := net.InterfaceByIndex(index)
	if err != nil {
		return "", false, false
	}
	return iface.Name, iface.Flags&net.FlagUp != 0, true
}

// ask makes one request on any socket, for which no privilege is needed.
func ask(request uint, ifr *unix.Ifreq) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.IoctlIfreq(fd, request, ifr)
}
