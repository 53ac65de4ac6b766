package xdp

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/dejpha/dejpha/block"
)

const (
	bpfs      = "/sys/fs/bpf"
	bpfsMagic = 0xcafe4a11
	linkPin   = "link-" // begins the pins of links
)

// Open attaches the program to the interfaces and takes over what a process before this one pinned. Where the driver cannot
// take it, the kernel's generic way is used, which o.Say is told once. An error of ErrKernel names what is missing; then
// nothing is attached.
func Open(o Options) (*Enforcer, error) {
	if len(o.Interfaces) == 0 {
		return nil, errors.New("no interface to block on")
	}
	for _, name := range o.Interfaces {
		if _, err := net.InterfaceByName(name); err != nil {
			return nil, fmt.Errorf("interface %s: %w", name, err)
		}
	}
	top, err := o.folder()
	if err != nil {
		return nil, err
	}
	folder, err := pinFolder(top)
	if err != nil {
		return nil, err
	}
	t, err := openTables(folder, o.Sizes)
	if err != nil {
		return nil, err
	}
	e := newEnforcer(t, "")
	e.o, e.folder, e.fresh = o, folder, map[string]bool{}
	for _, name := range o.Interfaces {
		if err := e.attach(name); err != nil {
			e.undo()
			return nil, err
		}
	}
	e.rename()
	if err := dropOthers(folder, o.Interfaces); err != nil {
		e.undo()
		return nil, err
	}
	return e, nil
}

// undo takes off what Open attached itself; what it took over stays, with its program as new as it got.
func (e *Enforcer) undo() {
	for name := range e.fresh {
		_ = e.links[name].l.Unpin()
	}
	_ = e.Close()
}

// rename sets the enforcer's name from the ways in which it is attached.
func (e *Enforcer) rename() {
	var ways []string
	for _, name := range e.o.Interfaces {
		ways = append(ways, name+" "+e.links[name].way)
	}
	name := "XDP (" + strings.Join(ways, ", ") + ")"
	e.name.Store(&name)
}

// Tend attaches the program anew to interfaces that went and came back, which is said. The keeper calls it now and then.
func (e *Enforcer) Tend() error {
	var all []error
	for _, name := range e.o.Interfaces {
		old := e.links[name]
		if linkedTo(old.l) != 0 {
			continue // renamed or not, it is the same interface
		}
		if _, err := net.InterfaceByName(name); err != nil {
			continue // it has not come back
		}
		_ = old.l.Unpin()
		_ = old.l.Close()
		if err := e.attach(name); err != nil {
			all = append(all, err)
			continue
		}
		e.rename()
		e.o.say("blocks: " + name + " is back: XDP, " + e.links[name].way)
	}
	return errors.Join(all...)
}

// folder is where the pins are. Each network namespace has its own, for interfaces of two may share name and number.
func (o Options) folder() (string, error) {
	if o.Folder != "" {
		return o.Folder, nil
	}
	name, err := namespace()
	if err != nil {
		return "", err
	}
	return bpfs + "/dejpha/block-" + name, nil
}

// namespace names this network namespace as no other is named until the machine starts again: by the kernel's cookie of it.
// Kernels before 5.14 have none; there it is the number of its file, which one made later may get.
func namespace() (string, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", refused(err, "a socket")
	}
	defer unix.Close(fd)
	if cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE); err == nil {
		return fmt.Sprintf("c%d", cookie), nil
	}
	var st unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &st); err != nil {
		return "", refused(err, "looking at /proc/thread-self/ns/net")
	}
	return fmt.Sprintf("i%d", st.Ino), nil
}

// pinFolder makes the folder of this version's pins, and mounts the file system that can hold them where there is none.
func pinFolder(top string) (string, error) {
	root := top
	for {
		if _, err := os.Stat(root); err == nil {
			break
		}
		up := filepath.Dir(root)
		if up == root {
			break
		}
		root = up
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(root, &fs); err != nil {
		return "", refused(err, "looking at "+root)
	}
	if fs.Type != bpfsMagic {
		if !strings.HasPrefix(top, bpfs) {
			return "", fmt.Errorf("%w: %s is not in a BPF file system; mount one there (mount -t bpf bpf %s)", block.ErrKernel, top, root)
		}
		if err := unix.Mount("bpf", bpfs, "bpf", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0700"); err != nil {
			return "", refused(err, "mounting a BPF file system on "+bpfs)
		}
	}
	folder := filepath.Join(top, layoutVersion)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", refused(err, "making "+folder)
	}
	return folder, nil
}

// attach puts the program on one interface: in the place of the one that a process before this left there, without a gap;
// else natively; else generically.
func (e *Enforcer) attach(name string) error {
	dev, err := net.InterfaceByName(name)
	if err != nil {
		return fmt.Errorf("interface %s: %w", name, err)
	}
	if e.takeOver(name, dev.Index) {
		return nil
	}
	modes := []mode{{"native", link.XDPDriverMode}, {"generic", link.XDPGenericMode}}
	if e.o.Generic {
		modes = modes[1:]
	}
	var refusals []error
	for _, m := range modes {
		l, err := link.AttachXDP(link.XDPOptions{Program: e.t.prog, Interface: dev.Index, Flags: m.flag})
		if err != nil {
			if errors.Is(err, unix.EBUSY) {
				err = fmt.Errorf("%w: another XDP program is there (ip link show %s); take it off first", err, name)
			}
			refusals = append(refusals, fmt.Errorf("%s XDP on %s: %w", m.name, name, err))
			continue
		}
		if err := l.Pin(filepath.Join(e.folder, pinName(m.name, name))); err != nil {
			_ = l.Close()
			return refused(err, "pinning the program on "+name)
		}
		e.links[name], e.fresh[name] = attached{l, m.name}, true
		for _, r := range refusals {
			e.o.say(r.Error() + "; taken generically instead, which is slower")
		}
		return nil
	}
	return refused(errors.Join(refusals...), "XDP on "+name)
}

type mode struct {
	name string
	flag link.XDPAttachFlags
}

// pinName is the pin of a link: which way it was attached is in its name, for the kernel does not tell. The file system wants
// no dots, and no interface has a colon.
func pinName(way, name string) string {
	return "link-" + way + "-" + strings.ReplaceAll(name, ".", ":")
}

// takeOver gives a pinned link, of this version or another, this program. One whose interface is gone, or that is of another
// way than asked, is let go.
func (e *Enforcer) takeOver(name string, index int) bool {
	for _, way := range []string{"native", "generic"} {
		pins, _ := filepath.Glob(filepath.Join(filepath.Dir(e.folder), "v*", pinName(way, name)))
		for _, pin := range pins {
			l, err := link.LoadPinnedLink(pin, nil)
			if err != nil {
				continue
			}
			if linkedTo(l) == index && (!e.o.Generic || way == "generic") && l.Update(e.t.prog) == nil && l.Pin(filepath.Join(e.folder, pinName(way, name))) == nil {
				e.links[name] = attached{l, way}
				return true
			}
			_ = l.Unpin()
			_ = l.Close()
		}
	}
	return false
}

// linkedTo is the index of a link's interface; 0: it is gone.
func linkedTo(l link.Link) int {
	info, err := l.Info()
	if err != nil {
		return 0
	}
	x := info.XDP()
	if x == nil {
		return 0
	}
	return int(x.Ifindex)
}

// dropOthers lets go of the interfaces that are no longer to be blocked on, and of the pins of other versions: their programs
// would go on with entries that nobody tends.
func dropOthers(folder string, names []string) error {
	keep := map[string]bool{}
	for _, n := range names {
		keep[pinName("native", n)], keep[pinName("generic", n)] = true, true
	}
	found, err := os.ReadDir(folder)
	if err != nil {
		return refused(err, "reading "+folder)
	}
	for _, f := range found {
		if strings.HasPrefix(f.Name(), linkPin) && !keep[f.Name()] {
			err = errors.Join(err, os.Remove(filepath.Join(folder, f.Name())))
		}
	}
	versions, readErr := os.ReadDir(filepath.Dir(folder))
	for _, v := range versions {
		if v.IsDir() && v.Name() != layoutVersion && strings.HasPrefix(v.Name(), "v") {
			err = errors.Join(err, os.RemoveAll(filepath.Join(filepath.Dir(folder), v.Name())))
		}
	}
	return errors.Join(err, readErr)
}

// Detach takes the program off every interface and removes the maps: nothing is blocked any more. It needs no Enforcer.
func Detach(o Options) error {
	top, err := o.folder()
	if err != nil {
		return err
	}
	if _, err := os.Stat(top); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return refused(os.RemoveAll(top), "removing "+top)
}
