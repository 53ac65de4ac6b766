package afpacket

import (
	"errors"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/dejpha/dejpha/capture/cbpf"
)

// group is one interface watched by several rings, one a worker. The rings of a group are opened together and in order,
// so that a pair of addresses keeps its worker when the interface goes down and comes up; when it was made anew, the
// first worker that notices opens them for all.
type group struct {
	name string
	keys cbpf.Keys

	mu      sync.Mutex
	waiting []opened // for the workers that have not taken theirs yet; fd -1: none
}

// errNotSpread says that an old kernel joins rings to a group only while the interface is up.
var errNotSpread = errors.New("this kernel spreads an interface over workers only once it is up")

func newGroup(name string, members int) *group {
	g := &group{name: name, keys: cbpf.NewKeys()}
	for range members {
		g.waiting = append(g.waiting, opened{fd: -1})
	}
	return g
}

// take yields the ring of one member, opening the whole group where it is not open yet.
func (g *group) take(o *Options, member int) (opened, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.waiting[member].fd < 0 {
		if err := g.openAll(o); err != nil {
			g.shut()
			return opened{name: g.name, fd: -1}, err
		}
	}
	x := g.waiting[member]
	g.waiting[member] = opened{fd: -1}
	return x, nil
}

// openAll opens every ring shut, joins them, and then lets frames in: what came in between would have gone to the
// first ring alone.
func (g *group) openAll(o *Options) error {
	g.shut()
	for i := range g.waiting {
		x, err := openRing(o, g.name, i, len(g.waiting) > 1)
		if err != nil {
			return err
		}
		g.waiting[i] = x
	}
	if len(g.waiting) == 1 {
		return nil
	}
	if err := g.join(); err != nil {
		return err
	}
	for i := range g.waiting {
		var err error
		if g.waiting[i].skips, err = attach(o, &g.waiting[i], i); err != nil {
			return refusedFilter(g.name, err)
		}
	}
	return nil
}

// join makes one fanout group of the rings, with an id that the kernel says is free.
func (g *group) join() error {
	const kind = unix.PACKET_FANOUT_CBPF << 16
	code, ok := cbpf.Fanout(g.keys, g.waiting[0].link == linkEthernet)
	if !ok {
		return errors.New("the fanout program cannot be made")
	}
	program := sockFilter(code)
	for i := range g.waiting {
		fd, how := g.waiting[i].fd, kind|unix.PACKET_FANOUT_FLAG_UNIQUEID<<16
		if i > 0 {
			id, err := unix.GetsockoptInt(g.waiting[0].fd, unix.SOL_PACKET, unix.PACKET_FANOUT)
			if err != nil {
				return refusal("the id of a fanout group", err)
			}
			how = kind | id&0xffff
		}
		err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_FANOUT, how)
		if errors.Is(err, unix.EINVAL) {
			if _, up, _ := isUp(g.waiting[i].index); !up {
				return errNotSpread
			}
		}
		if err != nil {
			return refusal("a fanout group (PACKET_FANOUT_CBPF)", err)
		}
		if i == 0 {
			p := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
			if err := unix.SetsockoptSockFprog(fd, unix.SOL_PACKET, unix.PACKET_FANOUT_DATA, &p); err != nil {
				return refusal("the fanout program (PACKET_FANOUT_DATA)", err)
			}
		}
	}
	return nil
}

// shut closes the rings that nobody has taken.
func (g *group) shut() {
	for i := range g.waiting {
		g.waiting[i].close()
	}
}

func (g *group) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut()
}
