package bridge

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Before Linux 6.6 a program stands at the classifier as a filter of the queueing discipline "clsact", which outlives the
// process by itself. Messages as in linux/rtnetlink.h and linux/pkt_cls.h.
const (
	clsactHandle  = 0xffff0000
	clsactParent  = 0xfffffff1
	ingressParent = 0xfffffff2
	filterHandle  = 1
	filterPrio    = 0xdea0 // ours among the filters of an interface
	attrKind      = 1      // TCA_KIND
	attrOptions   = 2      // TCA_OPTIONS
	bpfFD         = 6      // TCA_BPF_FD
	bpfName       = 7
	bpfFlags      = 8
	bpfDirect     = 1 // the program's answer is the action
	answerSeconds = 5
)

// attachClassic puts a program at an interface, in the place of ours that is there.
func attachClassic(index, program int) error {
	qdisc := classic(unix.RTM_NEWQDISC, unix.NLM_F_CREATE|unix.NLM_F_EXCL, index, clsactHandle, clsactParent, 0)
	qdisc = attribute(qdisc, attrKind, []byte("clsact\x00"))
	if err := route(qdisc); err != nil && !errors.Is(err, unix.EEXIST) {
		return refusal("the queueing discipline clsact", err)
	}
	if err := route(filterMessage(index, program)); err != nil {
		return refusal("a program at the classifier (cls_bpf)", err)
	}
	return nil
}

func filterMessage(index, program int) []byte {
	var options []byte
	options = attribute(options, bpfFD, binary.NativeEndian.AppendUint32(nil, uint32(program)))
	options = attribute(options, bpfName, []byte("dejpha_carry\x00"))
	options = attribute(options, bpfFlags, binary.NativeEndian.AppendUint32(nil, bpfDirect))
	b := classic(unix.RTM_NEWTFILTER, unix.NLM_F_CREATE, index, filterHandle, ingressParent, filterInfo())
	b = attribute(b, attrKind, []byte("bpf\x00"))
	return attribute(b, attrOptions, options)
}

// detachClassic takes our program away from an interface. What else stands at its classifier stays, and so does clsact.
func detachClassic(index int) error {
	b := classic(unix.RTM_DELTFILTER, 0, index, filterHandle, ingressParent, filterInfo())
	err := route(attribute(b, attrKind, []byte("bpf\x00")))
	if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENODEV) && !errors.Is(err, unix.EINVAL) { // it is gone already
		return refusal("the end of the bridge's program", err)
	}
	return nil
}

func filterInfo() uint32 { return filterPrio<<16 | uint32(bigEndian(unix.ETH_P_ALL)) }

// classic begins a message about an interface's queueing discipline or filter.
func classic(kind uint16, flags, index int, handle, parent, info uint32) []byte {
	b := binary.NativeEndian.AppendUint32(nil, 0) // the length, by route
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = binary.NativeEndian.AppendUint16(b, uint16(unix.NLM_F_REQUEST|unix.NLM_F_ACK|flags))
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0) // sequence and port
	b = append(b, unix.AF_UNSPEC, 0, 0, 0)
	for _, v := range [...]uint32{uint32(index), handle, parent, info} {
		b = binary.NativeEndian.AppendUint32(b, v)
	}
	return b
}

func attribute(b []byte, kind uint16, value []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(4+len(value)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// route sends a message to the kernel and returns its answer.
func route(message []byte) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: answerSeconds}); err != nil {
		return err
	}
	binary.NativeEndian.PutUint32(message, uint32(len(message)))
	if err := unix.Sendto(fd, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	b := make([]byte, 8192)
	for {
		n, err := unix.Read(fd, b)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		if n < unix.SizeofNlMsghdr+4 || binary.NativeEndian.Uint16(b[4:]) != unix.NLMSG_ERROR {
			return fmt.Errorf("an answer of %d bytes that is none", n)
		}
		if code := int32(binary.NativeEndian.Uint32(b[unix.SizeofNlMsghdr:])); code != 0 {
			return syscall.Errno(-code)
		}
		return nil
	}
}
