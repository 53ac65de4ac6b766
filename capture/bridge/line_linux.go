package bridge

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

// Names of what is pinned.
const (
	pinTable = "table"
	pinFate  = "fate"
)

var pinLinks = [2]string{"left", "right"}

const bpfRoot = "/sys/fs/bpf"

// line is the kernel's part: what outlives this process.
type line struct {
	*table
	fate   *ebpf.Map
	filter *ebpf.Program
	links  [2]link.Link
	fresh  bool // it was not there before
}

// home is the folder of a bridge's pins: of these two interfaces, in this network namespace. Its names hold no dot, which the
// file system refuses.
func home(left, right, folder string) (string, error) {
	if folder == "" {
		folder = bpfRoot
		if err := bpfThere(folder); err != nil {
			return "", err
		}
	}
	here, err := namespace()
	if err != nil {
		return "", err
	}
	name := left + "," + right + "," + here
	return filepath.Join(folder, "dejpha", fmt.Sprintf("bridge-%d", tableVersion), strings.ReplaceAll(name, ".", "+")), nil
}

// namespace names this network namespace as no other is named until the machine starts again: by the kernel's cookie of it.
// Kernels before 5.14 have none; there it is the number of its file, which one made later may get.
func namespace() (string, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("%w: no socket: %w", ErrKernel, err)
	}
	defer unix.Close(fd)
	if cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE); err == nil {
		return fmt.Sprintf("c%d", cookie), nil
	}
	var st unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &st); err != nil {
		return "", fmt.Errorf("%w: /proc is not there: %w", ErrKernel, err)
	}
	return fmt.Sprintf("i%d", st.Ino), nil
}

// bpfThere makes sure that a BPF file system is mounted.
func bpfThere(at string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(at, &st); err == nil && st.Type == unix.BPF_FS_MAGIC {
		return nil
	}
	if err := unix.Mount("bpf", at, "bpf", 0, "mode=0700"); err != nil {
		return fmt.Errorf("%w: no BPF file system at %s (mount -t bpf bpf %s): %w", ErrKernel, at, at, err)
	}
	return nil
}

// openLine takes up what is pinned, or lays it.
func openLine(o *Options, index [2]int) (*line, error) {
	folder, err := home(o.Left, o.Right, o.Folder)
	if err != nil {
		return nil, err
	}
	if err := unused(folder, index); err != nil {
		return nil, err
	}
	_ = rlimit.RemoveMemlock() // before Linux 5.11; whether it worked shows when a map is made
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, refusal("a folder for the bridge's pins", err)
	}
	l := &line{}
	if err := l.maps(folder); err != nil {
		return nil, err
	}
	if err := l.alone(o.Patience); err != nil {
		l.close()
		return nil, err
	}
	l.at(fieldPatience).Store(uint64(o.Patience))
	for i, block := range o.Block {
		l.at(side(i, sideBlock)).Store(0)
		if block {
			l.at(side(i, sideBlock)).Store(1)
		}
	}
	if l.filter, err = ebpf.NewProgram(filterSpec(l.table, l.fate)); err != nil {
		l.close()
		return nil, refusal("the bridge's filter", err)
	}
	for i := range l.links {
		l.at(side(i, sideIndex)).Store(uint64(index[i]))
		if l.links[i], err = carry(l, i, index, filepath.Join(folder, pinLinks[i]), o.classic); err != nil {
			l.close()
			return nil, err
		}
	}
	return l, nil
}

// maps loads both maps, or makes both.
func (l *line) maps(folder string) error {
	table, err := ebpf.LoadPinnedMap(filepath.Join(folder, pinTable), nil)
	if err == nil {
		if l.fate, err = ebpf.LoadPinnedMap(filepath.Join(folder, pinFate), nil); err != nil {
			_ = table.Close()
		}
	}
	if err != nil {
		if table, err = l.lay(folder); err != nil {
			return err
		}
	}
	if l.table, err = mapTable(table); err != nil {
		_, _ = table.Close(), l.fate.Close()
	}
	return err
}

// lay makes both maps and pins them.
func (l *line) lay(folder string) (*ebpf.Map, error) {
	l.fresh = true
	for _, n := range []string{pinTable, pinFate, pinLinks[0], pinLinks[1]} {
		_ = os.Remove(filepath.Join(folder, n)) // what a crash while laying left
	}
	table, err := ebpf.NewMap(tableSpec())
	if err != nil {
		return nil, refusal("a map that is shared with the process", err)
	}
	if l.fate, err = ebpf.NewMap(fateSpec()); err != nil {
		_ = table.Close()
		return nil, refusal("a map", err)
	}
	err = errors.Join(table.Pin(filepath.Join(folder, pinTable)), l.fate.Pin(filepath.Join(folder, pinFate)))
	if err != nil {
		_, _ = table.Close(), l.fate.Close()
		return nil, refusal("pins in "+folder, err)
	}
	return table, nil
}

// alone makes sure that no other process has a heartbeat here, and ends one that a dead process left.
func (l *line) alone(patience time.Duration) error {
	beat := l.at(fieldBeat)
	was := beat.Load()
	patience = max(patience, min(time.Duration(l.at(fieldPatience).Load()), patienceMost)) // the other's
	if was != 0 && boot()-was < uint64(patience) {
		time.Sleep(patience)
		if beat.Load() != was {
			return fmt.Errorf("%w: another shield stands at this bridge", ErrInUse)
		}
	}
	if was != 0 {
		l.at(fieldStopped).Store(was)
	}
	beat.Store(0)
	return nil
}

// carry attaches one side's program, or puts it in the place of the one that is attached. classic: as an older kernel would.
func carry(l *line, which int, index [2]int, pin string, classic bool) (link.Link, error) {
	program, err := ebpf.NewProgram(carrySpec(l.table, l.fate, which, index[1-which]))
	if err != nil {
		return nil, refusal("the bridge's program", err)
	}
	defer program.Close() // the link holds it
	if old, err := link.LoadPinnedLink(pin, nil); err == nil {
		if attachedTo(old) == index[which] && old.Update(program) == nil {
			return old, nil
		}
		_ = old.Close() // of an interface that is gone
		_ = os.Remove(pin)
	}
	var fresh link.Link
	if !classic {
		fresh, err = link.AttachTCX(link.TCXOptions{Interface: index[which], Program: program, Attach: ebpf.AttachTCXIngress})
	}
	if classic || errors.Is(err, ebpf.ErrNotSupported) {
		l.at(side(which, sideClassic)).Store(1)
		return nil, attachClassic(index[which], program.FD())
	}
	if err != nil {
		return nil, refusal("a program at the traffic classifier", err)
	}
	if err := fresh.Pin(pin); err != nil {
		_ = fresh.Close()
		return nil, refusal("a pin of the bridge's program", err)
	}
	return fresh, nil
}

// attachedTo is the index of the interface that a link's program stands at; 0: it is gone.
func attachedTo(l link.Link) int {
	info, err := l.Info()
	if err != nil || info.TCX() == nil {
		return 0
	}
	return int(info.TCX().Ifindex)
}

// unused makes sure that no other bridge in this namespace has one of the interfaces.
func unused(folder string, index [2]int) error {
	others, err := os.ReadDir(filepath.Dir(folder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return refusal("a look at the bridges there are", err)
	}
	name := filepath.Base(folder)
	for _, other := range others {
		at, err := standing(filepath.Join(filepath.Dir(folder), other.Name()))
		if err != nil || other.Name() == name || namespaceOf(other.Name()) != namespaceOf(name) {
			continue
		}
		for _, x := range index {
			if at[0].index == x || at[1].index == x {
				pair := strings.Split(other.Name(), ",")
				return fmt.Errorf("%w: it is bridged already, as %s,%s; `dejpha unbridge %s,%s` ends that", ErrInUse, pair[0], pair[1], pair[0], pair[1])
			}
		}
	}
	return nil
}

// namespaceOf is the network namespace in the name of a bridge's folder.
func namespaceOf(name string) string { return name[strings.LastIndexByte(name, ',')+1:] }

// stand is where a side's program stands.
type stand struct {
	index   int
	classic bool
}

// standing reads where the programs of a pinned bridge stand.
func standing(folder string) (at [2]stand, err error) {
	m, err := ebpf.LoadPinnedMap(filepath.Join(folder, pinTable), nil)
	if err != nil {
		return at, err
	}
	defer m.Close()
	b, err := m.LookupBytes(uint32(0))
	if err != nil || len(b) < tableBytes {
		return at, errors.Join(err, fs.ErrNotExist)
	}
	for i := range at {
		at[i] = stand{int(binary.NativeEndian.Uint64(b[side(i, sideIndex):])), binary.NativeEndian.Uint64(b[side(i, sideClassic):]) != 0}
	}
	return at, nil
}

// Remove takes a bridge away: the kernel carries nothing between the interfaces any more. folder as in Options. An error that
// is fs.ErrNotExist says that there was none.
func Remove(left, right, folder string) error {
	home, err := home(left, right, folder)
	if err != nil {
		return err
	}
	if _, err := os.Stat(home); err != nil {
		return fmt.Errorf("no bridge of %s and %s: %w", left, right, err)
	}
	at, err := standing(home)
	if err == nil {
		for _, x := range at {
			if x.classic {
				err = errors.Join(err, detachClassic(x.index))
			}
		}
		if err != nil {
			return err
		}
	}
	for _, name := range pinLinks { // detached at once: what is only unpinned lives on for a moment
		if l, err := link.LoadPinnedLink(filepath.Join(home, name), nil); err == nil {
			if attachedTo(l) != 0 { // else its interface is gone
				err = l.Detach()
			}
			_ = l.Close()
			if err != nil {
				return refusal("the end of the bridge's program", err)
			}
		}
	}
	for _, name := range []string{pinLinks[0], pinLinks[1], pinTable, pinFate} {
		if err := os.Remove(filepath.Join(home, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return refusal("the removal of "+name, err)
		}
	}
	if err := os.Remove(home); err != nil {
		return refusal("the removal of the bridge", err)
	}
	return nil
}

// close lets go of the kernel's part, which goes on.
func (l *line) close() {
	for _, x := range l.links {
		if x != nil {
			_ = x.Close()
		}
	}
	if l.filter != nil {
		_ = l.filter.Close()
	}
	_ = l.fate.Close()
	l.table.close()
}

// refusal tells a missing privilege from a missing feature.
func refusal(what string, err error) error {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w: the kernel refused %s", ErrPrivilege, what)
	case errors.Is(err, ebpf.ErrNotSupported), errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.ENOPROTOOPT), errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("%w: the kernel lacks %s", ErrKernel, what)
	}
	return fmt.Errorf("the kernel refused %s: %w", what, err)
}
