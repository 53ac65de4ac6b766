package nft

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/dejpha/dejpha/block"
)

const (
	batchMax   = 512 // elements a message
	messageMax = 4   // full messages a transaction: what a socket's buffer takes
	metersMax  = 65536
)

// Enforcer holds blocks in sets of nftables. It is a block.Enforcer.
type Enforcer struct {
	o     Options
	name  string
	id    string
	table *nftables.Table

	conn   *nftables.Conn        // of Apply and Load
	was    map[netip.Prefix]kind // the set of each block, for its rate may change
	noSaid bool

	reading sync.Mutex     // readers take turns, and nobody who blocks waits for them
	reader  *nftables.Conn // of Counters and Totals

	mu   sync.RWMutex // sets
	sets map[kind]*nftables.Set
}

// Open makes the table, or takes over the one that is there, and watches the interfaces from the earliest hook that the kernel
// gives. An error of block.ErrKernel names what is missing.
func Open(o Options) (*Enforcer, error) {
	if len(o.Interfaces) == 0 {
		return nil, errors.New("no interface to block on")
	}
	for _, name := range o.Interfaces {
		if _, err := net.InterfaceByName(name); err != nil {
			return nil, fmt.Errorf("interface %s: %w", name, err)
		}
	}
	var refusals []error
	for _, inet := range []bool{false, true} {
		if o.Inet && !inet {
			continue
		}
		e, err := open(o, inet)
		if err == nil {
			for _, r := range refusals {
				o.say(r.Error() + "; the inet family is taken instead")
			}
			return e, nil
		}
		refusals = append(refusals, err)
	}
	return nil, errors.Join(refusals...)
}

func open(o Options, inet bool) (*Enforcer, error) {
	conn, err := nftables.New(nftables.AsLasting())
	if err != nil {
		return nil, refused(err, "nftables")
	}
	reader, err := nftables.New(nftables.AsLasting())
	if err != nil {
		_ = conn.CloseLasting()
		return nil, refused(err, "nftables")
	}
	o.Sizes = o.Sizes.Defaults()
	e := &Enforcer{o: o, conn: conn, reader: reader, sets: map[kind]*nftables.Set{}, was: map[netip.Prefix]kind{}}
	family, where := nftables.TableFamilyNetdev, "netdev ingress"
	if inet {
		family, where = nftables.TableFamilyINet, "inet prerouting"
	}
	e.table = &nftables.Table{Name: o.table(), Family: family}
	e.name = fmt.Sprintf("nftables, %s (%s)", where, strings.Join(o.Interfaces, ", "))
	if err := e.take(inet); err != nil {
		_ = e.Close()
		return nil, refused(err, "nftables, "+where)
	}
	return e, nil
}

// refused says which feature the kernel did not give; nil stays nil.
func refused(err error, what string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w: %s needs CAP_NET_ADMIN (root): %v", block.ErrKernel, what, err)
	}
	return fmt.Errorf("%w: %s: %v", block.ErrKernel, what, err)
}

// take makes what is missing of the table. The base chains are made anew, so that they stand on the interfaces asked for; the
// sets that are there stay, with what is in them.
func (e *Enforcer) take(inet bool) error {
	c := e.conn
	c.AddTable(e.table)
	if err := c.Flush(); err != nil {
		return err
	}
	sets, err := c.GetSets(e.table)
	if err != nil {
		return err
	}
	for _, s := range sets {
		if k, ok := kindOf(s.Name); ok {
			s.Table, s.HasTimeout = e.table, true
			e.sets[k] = s
		}
		if strings.HasPrefix(s.Name, "id_") {
			e.id = "nft-" + s.Name[3:]
		}
	}
	old, err := c.ListChainsOfTableFamily(e.table.Family)
	if err != nil {
		return err
	}
	fresh := true
	for _, ch := range old {
		if ch.Table.Name != e.table.Name {
			continue
		}
		if ch.Hooknum != nil {
			c.FlushChain(ch)
			c.DelChain(ch)
		}
		fresh = fresh && ch.Name != "sources"
	}
	if fresh {
		e.chains()
	}
	e.hooks(inet)
	if e.id == "" {
		e.id = "nft-" + rand.Text()
		if err := c.AddSet(&nftables.Set{Table: e.table, Name: "id_" + e.id[4:], KeyType: nftables.TypeInteger}, nil); err != nil {
			return err
		}
	}
	return c.Flush()
}

// chains makes the table's inner chains: sources asks the sets of blocks, hit drops unless spare knows the source.
func (e *Enforcer) chains() {
	c := e.conn
	spare := c.AddChain(&nftables.Chain{Name: "spare", Table: e.table})
	hit := c.AddChain(&nftables.Chain{Name: "hit", Table: e.table})
	c.AddChain(&nftables.Chain{Name: "sources", Table: e.table})
	c.AddRule(&nftables.Rule{Table: e.table, Chain: hit, Exprs: []expr.Any{jump(spare.Name)}})
	c.AddRule(&nftables.Rule{Table: e.table, Chain: hit, Exprs: []expr.Any{&expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop}}})
}

func jump(chain string) expr.Any { return &expr.Verdict{Kind: expr.VerdictJump, Chain: chain} }

// hooks makes the chains that packets enter by.
func (e *Enforcer) hooks(inet bool) {
	c := e.conn
	if inet {
		ch := c.AddChain(&nftables.Chain{Name: "in", Table: e.table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityRaw})
		for _, name := range e.o.Interfaces {
			c.AddRule(&nftables.Rule{Table: e.table, Chain: ch, Exprs: []expr.Any{
				&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1},
				&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: ifname(name)}, jump("sources")}})
		}
		return
	}
	for _, name := range e.o.Interfaces {
		e.hook(name)
	}
}

// hook makes the chain by which an interface's packets enter at netdev ingress.
func (e *Enforcer) hook(name string) {
	ch := e.conn.AddChain(&nftables.Chain{Name: "in-" + name, Table: e.table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookIngress,
		Priority: nftables.ChainPriorityRaw, Device: name})
	e.conn.AddRule(&nftables.Rule{Table: e.table, Chain: ch, Exprs: []expr.Any{jump("sources")}})
}

// Tend hooks interfaces in again that went and came back, which is said: before Linux 6.16 their chains go with them. The
// keeper calls it now and then.
func (e *Enforcer) Tend() error {
	if e.table.Family != nftables.TableFamilyNetdev {
		return nil // by name, whenever there is one of that name
	}
	chains, err := e.conn.ListChainsOfTableFamily(e.table.Family)
	if err != nil {
		return fmt.Errorf("reading the table: %w", err)
	}
	there := map[string]bool{}
	for _, ch := range chains {
		if ch.Table.Name == e.table.Name {
			there[ch.Name] = true
		}
	}
	var all []error
	for _, name := range e.o.Interfaces {
		if _, err := net.InterfaceByName(name); err != nil || there["in-"+name] {
			continue
		}
		e.hook(name)
		if err := e.conn.Flush(); err != nil {
			all = append(all, fmt.Errorf("nftables on %s: %w", name, err))
			continue
		}
		e.o.say("blocks: " + name + " is back: " + e.name)
	}
	return errors.Join(all...)
}

func ifname(name string) []byte {
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, name)
	return b
}

// set is the set of a kind, made with its rule where there is none yet.
func (e *Enforcer) set(k kind) (*nftables.Set, error) {
	if s, ok := e.sets[k]; ok {
		return s, nil
	}
	c := e.conn
	s := &nftables.Set{Table: e.table, Name: k.name(), KeyType: nftables.TypeIPAddr, HasTimeout: true, Counter: true, Size: uint32(e.size(k))}
	if k.six {
		s.KeyType = nftables.TypeIP6Addr
	}
	if err := c.AddSet(s, nil); err != nil {
		return nil, err
	}
	sources := &nftables.Chain{Name: "sources", Table: e.table}
	switch {
	case k.guard:
		c.AddRule(&nftables.Rule{Table: e.table, Chain: &nftables.Chain{Name: "spare", Table: e.table}, Exprs: append(k.asks(s), &expr.Verdict{Kind: expr.VerdictAccept})})
	case k.rate > 0:
		if err := e.meter(k, s); err != nil {
			return nil, err
		}
	default:
		c.AddRule(&nftables.Rule{Table: e.table, Chain: sources, Exprs: append(k.asks(s), jump("hit"))})
	}
	if err := c.Flush(); err != nil {
		return nil, fmt.Errorf("set %s: %w", s.Name, err)
	}
	e.mu.Lock()
	e.sets[k] = s
	e.mu.Unlock()
	return s, nil
}

func (e *Enforcer) size(k kind) int {
	switch {
	case k.guard:
		return e.o.Sizes.Guard
	case block.IsHost(netip.PrefixFrom(netip.IPv4Unspecified(), k.bits)) && !k.six, k.six && k.bits == 64:
		return e.o.Sizes.Hosts
	}
	return e.o.Sizes.Prefixes
}

// asks is whether the source, masked, is in a set.
func (k kind) asks(s *nftables.Set) []expr.Any {
	proto, offset, size := []byte{0x08, 0x00}, uint32(12), uint32(4)
	if k.six {
		proto, offset, size = []byte{0x86, 0xdd}, 8, 16
	}
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: proto},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: size},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: size, Mask: k.mask(), Xor: make([]byte, size)},
		&expr.Lookup{SourceRegister: 1, SetName: s.Name, SetID: s.ID},
	}
}

// meter makes the rules of a rate: each source, masked, has a bucket of its own in a set that packets fill.
func (e *Enforcer) meter(k kind, s *nftables.Set) error {
	c := e.conn
	m := &nftables.Set{Table: e.table, Name: "meter" + k.name()[4:], KeyType: s.KeyType, HasTimeout: true, Dynamic: true, Timeout: time.Minute, Size: metersMax}
	if err := c.AddSet(m, nil); err != nil {
		return err
	}
	over := c.AddChain(&nftables.Chain{Name: "over" + k.name()[4:], Table: e.table})
	c.AddRule(&nftables.Rule{Table: e.table, Chain: over, Exprs: []expr.Any{jump("spare")}})
	asks := k.asks(m)
	c.AddRule(&nftables.Rule{Table: e.table, Chain: over, Exprs: append(asks[:len(asks)-1],
		&expr.Dynset{SrcRegKey: 1, SetName: m.Name, SetID: m.ID, Operation: unix.NFT_DYNSET_OP_UPDATE,
			Exprs: []expr.Any{&expr.Limit{Type: expr.LimitTypePkts, Rate: uint64(k.rate), Unit: expr.LimitTimeSecond, Burst: k.rate, Over: true}}},
		&expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop})})
	c.AddRule(&nftables.Rule{Table: e.table, Chain: &nftables.Chain{Name: "sources", Table: e.table}, Exprs: append(k.asks(s), jump(over.Name))})
	return nil
}

// Name says which way it is: "nftables, netdev ingress (eth0)".
func (e *Enforcer) Name() string { return e.name }

// Sizes are what the sets hold.
func (e *Enforcer) Sizes() block.Sizes { return e.o.Sizes.Defaults() }

// Close lets go of the connection. The table stays in force.
func (e *Enforcer) Close() error {
	e.reading.Lock()
	defer e.reading.Unlock()
	return errors.Join(e.conn.CloseLasting(), e.reader.CloseLasting())
}

// Detach removes the table: nothing is blocked any more. It needs no Enforcer.
func Detach(o Options) error {
	var all []error
	for _, f := range []nftables.TableFamily{nftables.TableFamilyNetdev, nftables.TableFamilyINet} {
		c, err := nftables.New()
		if err != nil {
			return refused(err, "nftables")
		}
		c.DelTable(&nftables.Table{Name: o.table(), Family: f})
		if err := c.Flush(); err != nil && !errors.Is(err, unix.ENOENT) {
			all = append(all, refused(err, "removing the table "+o.table()))
		}
	}
	return errors.Join(all...)
}
