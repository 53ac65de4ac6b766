package block

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dejpha/dejpha/evidence/durable"
)

// kernel is an Enforcer in memory, which outlives its keepers and can be told to fail.
type kernel struct {
	mu     sync.Mutex
	id     string
	plan   Plan
	fail   int // changes until one fails; 0: none does
	down   bool
	gate   chan struct{} // if there is one, Apply waits at it
	proven int
	t      *testing.T
}

func newKernel(t *testing.T) *kernel {
	return &kernel{id: "k1", plan: NewBook(Sizes{}).Plan(), t: t}
}

var errKernel = errors.New("the kernel is out of order")

func (k *kernel) Name() string { return "test" }
func (k *kernel) Sizes() Sizes { return Sizes{}.Defaults() }
func (k *kernel) Close() error { return nil }

func (k *kernel) Counters(int64) ([]Count, error) { return nil, nil }
func (k *kernel) Totals() (Totals, error)         { return Totals{}, nil }

// Load reads ends and rates back a little wrong, as enforcers do.
func (k *kernel) Load(int64) (State, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.down {
		return State{}, errKernel
	}
	s := State{ID: k.id}
	for _, e := range k.plan.Blocks {
		if e.Until != Forever {
			e.Until += int64(len(s.Blocks)%3) * 1000
		}
		s.Blocks = append(s.Blocks, Entry{Prefix: e.Prefix, Until: e.Until, Rate: e.Rate})
	}
	for p, until := range k.plan.Guard {
		s.Guard = append(s.Guard, Guarded{Prefix: p, Until: until})
	}
	for _, l := range k.plan.Limits {
		s.Limits = append(s.Limits, l)
	}
	return s, nil
}

func (k *kernel) Apply(c Changes) error {
	if k.gate != nil {
		<-k.gate
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.down {
		return errKernel
	}
	for _, one := range singles(c) {
		if k.fail > 0 {
			if k.fail--; k.fail == 0 {
				return errKernel
			}
		}
		if err := k.plan.Do(one); err != nil {
			k.t.Error(err)
		}
	}
	k.proven += len(c.Prove)
	return nil
}

// singles are the changes one by one, in their order.
func singles(c Changes) []Changes {
	var all []Changes
	for _, x := range c.Guard {
		all = append(all, Changes{Guard: []Guarded{x}})
	}
	for _, x := range c.Ended {
		all = append(all, Changes{Ended: []netip.Prefix{x}})
	}
	for _, x := range c.Unblock {
		all = append(all, Changes{Unblock: []netip.Prefix{x}})
	}
	for _, x := range c.Block {
		all = append(all, Changes{Block: []Entry{x}})
	}
	for _, x := range c.Change {
		all = append(all, Changes{Change: []Entry{x}})
	}
	for _, x := range c.Unlimit {
		all = append(all, Changes{Unlimit: []LimitKey{x}})
	}
	for _, x := range c.Limit {
		all = append(all, Changes{Limit: []Limit{x}})
	}
	for _, x := range c.Unguard {
		all = append(all, Changes{Unguard: []netip.Prefix{x}})
	}
	return all
}

func (k *kernel) blocks() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []netip.Prefix
	for p := range k.plan.Blocks {
		all = append(all, p)
	}
	return names(all)
}

func names(all []netip.Prefix) string {
	set := map[string]bool{}
	for _, p := range all {
		set[p.String()] = true
	}
	return fmt.Sprint(set)
}

func listed(k *Keeper) string {
	var all []netip.Prefix
	for _, e := range k.List() {
		all = append(all, e.Prefix)
	}
	return names(all)
}

const sec = int64(1e9)

// bench is a keeper's surroundings: its clock, its file, its kernel.
type bench struct {
	t      *testing.T
	now    atomic.Int64
	file   string
	kernel *kernel
	said   []string
	mu     sync.Mutex
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, file: filepath.Join(t.TempDir(), "blocks.json"), kernel: newKernel(t)}
	b.now.Store(1000 * sec)
	return b
}

func (b *bench) options() Options {
	return Options{Enforcer: b.kernel, File: b.file, Now: b.now.Load, Say: func(line string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.said = append(b.said, line)
	}}
}

func (b *bench) open(o Options) *Keeper {
	b.t.Helper()
	k, err := Open(o)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = k.Close() })
	return k
}

func (b *bench) block(k *Keeper, p string, seconds int64) {
	b.t.Helper()
	if err := k.Block(Entry{Prefix: pre(p), Until: b.now.Load() + seconds*sec, Attack: 7, By: "policy: test"}); err != nil {
		b.t.Fatal(err)
	}
}

func want(t *testing.T, what, got string, prefixes ...string) {
	t.Helper()
	var all []netip.Prefix
	for _, p := range prefixes {
		all = append(all, pre(p))
	}
	if names(all) != got {
		t.Errorf("%s: %s, want %s", what, got, names(all))
	}
}

func TestKeeperBlocksEndsAndAllows(t *testing.T) {
	b := newBench(t)
	o := b.options()
	o.Guard = []Guarded{{Prefix: pre("192.0.2.1/32"), Until: Forever, Why: "gateway"}}
	k := b.open(o)
	if err := k.Block(Entry{Prefix: pre("192.0.2.1/32"), Until: b.now.Load() + sec}); !errors.Is(err, ErrGuarded) || !strings.Contains(err.Error(), "gateway") {
		t.Errorf("the gateway: %v", err)
	}
	b.block(k, "198.51.100.1/32", 10)
	b.block(k, "198.51.100.2/32", 20)
	b.block(k, "203.0.113.0/24", 30)
	k.Flush()
	want(t, "in the kernel", b.kernel.blocks(), "198.51.100.1/32", "198.51.100.2/32", "203.0.113.0/24")
	b.now.Add(10 * sec)
	want(t, "listed after an end, before the sweep", listed(k), "198.51.100.2/32", "203.0.113.0/24")
	k.Flush()
	want(t, "swept", b.kernel.blocks(), "198.51.100.2/32", "203.0.113.0/24")
	if err := k.Allow(pre("198.51.100.0/24"), b.now.Load()+5*sec, "a friend"); err != nil {
		t.Fatal(err)
	}
	if err := k.Block(Entry{Prefix: pre("198.51.100.7/32"), Until: b.now.Load() + 60*sec}); !errors.Is(err, ErrGuarded) {
		t.Errorf("allowed, and blocked: %v", err)
	}
	k.Flush()
	want(t, "after the allow", b.kernel.blocks(), "203.0.113.0/24")
	why := k.Why(netip.MustParseAddr("198.51.100.7"))
	if len(why) != 1 || why[0].Guard == nil || why[0].Guard.Why != "a friend" {
		t.Errorf("why: %+v", why)
	}
	why = k.Why(netip.MustParseAddr("203.0.113.9"))
	if len(why) != 1 || why[0].Block == nil || why[0].Block.Attack != 7 {
		t.Errorf("why: %+v", why)
	}
	b.now.Add(5 * sec)
	k.Flush()
	b.block(k, "198.51.100.7/32", 60)
	if !k.Unblock(pre("203.0.113.0/24")) || k.Unblock(pre("203.0.113.0/24")) {
		t.Error("unblock does not say what it found")
	}
	k.Flush()
	want(t, "at the end", b.kernel.blocks(), "198.51.100.7/32")
	if s := k.Stats(); s.Guarded != 2 || s.Ended != 1 || s.InForce != 1 || s.Blocks != 4 {
		t.Errorf("%+v", s)
	}
}

func TestANewGuardTakesBlocksOut(t *testing.T) {
	b := newBench(t)
	k := b.open(b.options())
	b.block(k, "198.51.100.1/32", 100)
	k.SetGuard([]Guarded{{Prefix: pre("198.51.100.0/24"), Until: Forever, Why: "resolver"}, {Prefix: pre("10.0.0.0/8"), Until: Forever}})
	k.Flush()
	want(t, "guarded since", b.kernel.blocks())
	k.SetGuard([]Guarded{{Prefix: pre("10.0.0.0/8"), Until: Forever}})
	k.Flush()
	b.block(k, "198.51.100.1/32", 100)
	k.Flush()
	want(t, "guarded no longer", b.kernel.blocks(), "198.51.100.1/32")
	if k.Disallow(pre("10.0.0.0/8")) {
		t.Error("a fixed line was taken back")
	}
}

// A kernel that hangs holds nobody up; what does not fit into the queue is counted, and none is half done.
func TestNobodyWaitsForTheKernel(t *testing.T) {
	b := newBench(t)
	b.kernel.gate = make(chan struct{})
	k := b.open(b.options())
	taken, fallen := 0, 0
	for i := range 3 * queueMax {
		err := k.Block(Entry{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32), Until: b.now.Load() + 100*sec})
		switch {
		case err == nil:
			taken++
		case errors.Is(err, ErrBusy):
			fallen++
		default:
			t.Fatal(err)
		}
		k.Prove(Proven{})
	}
	close(b.kernel.gate)
	k.Flush()
	s := k.Stats()
	if fallen == 0 || s.Fallen != uint64(fallen) || len(k.List()) != taken || int(s.Blocks) != taken || s.Unproven == 0 {
		t.Errorf("%d taken, %d fallen; %+v, %d listed", taken, fallen, s, len(k.List()))
	}
	if b.kernel.proven+int(s.Unproven) != 3*queueMax {
		t.Errorf("%d proven in the kernel, %d fallen", b.kernel.proven, s.Unproven)
	}
}

// What a kernel refused halfway is put right as soon as it takes changes again, and said once.
func TestAFailingKernelIsBroughtBack(t *testing.T) {
	b := newBench(t)
	k := b.open(b.options())
	b.block(k, "198.51.100.1/32", 1000)
	k.Flush()
	b.kernel.mu.Lock()
	b.kernel.fail = 3
	b.kernel.mu.Unlock()
	for i := range 5 {
		b.block(k, fmt.Sprintf("198.51.100.%d/32", 10+i), 1000)
	}
	k.Unblock(pre("198.51.100.1/32"))
	k.Flush()
	b.now.Add(int64(retryMax))
	k.Flush()
	want(t, "brought back", b.kernel.blocks(), "198.51.100.10/32", "198.51.100.11/32", "198.51.100.12/32", "198.51.100.13/32", "198.51.100.14/32")
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.said) != 2 || !strings.Contains(b.said[0], errKernel.Error()) {
		t.Errorf("said: %q", b.said)
	}
}

// tended is a kernel that has something to look after, and cannot.
type tended struct {
	*kernel
	looks chan bool
}

func (t *tended) Tend() error {
	t.looks <- true
	return errKernel
}

func TestTheEnforcerLooksAfterItsThings(t *testing.T) {
	b := newBench(t)
	o := b.options()
	e := &tended{b.kernel, make(chan bool)}
	o.Enforcer = e
	k := b.open(o)
	for range 3 {
		<-e.looks
	}
	go func() {
		for range e.looks {
		}
	}()
	_ = k.Close()
	close(e.looks)
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := k.Stats(); s.Failed < 2 || len(b.said) != 1 || !strings.Contains(b.said[0], errKernel.Error()) {
		t.Errorf("%+v, said %q", s, b.said)
	}
}

func TestTakenUpAfterARestart(t *testing.T) {
	b := newBench(t)
	k := b.open(b.options())
	b.block(k, "198.51.100.1/32", 10)
	b.block(k, "198.51.100.2/32", 1000)
	if err := k.Allow(pre("192.0.2.0/24"), Forever, "me"); err != nil {
		t.Fatal(err)
	}
	_ = k.Limit(Limit{Target: pre("203.0.113.0/24"), Kind: LimitSYN, Rate: 10, Until: b.now.Load() + 1000*sec})
	k.Flush()
	list := k.List()
	_ = k.Close()
	b.now.Add(20 * sec)
	// While nobody ran, one was put into the kernel and the file does not know of it, one taken out.
	b.kernel.plan.Blocks[pre("198.51.100.3/32")] = Entry{Prefix: pre("198.51.100.3/32"), Until: b.now.Load() + 50*sec}
	k = b.open(b.options())
	want(t, "listed", listed(k), "198.51.100.2/32", "198.51.100.3/32")
	want(t, "in the kernel", b.kernel.blocks(), "198.51.100.2/32", "198.51.100.3/32")
	if got := k.List()[0]; !reflect.DeepEqual(got, list[1]) {
		t.Errorf("taken up as %+v, was %+v", got, list[1])
	}
	if g := k.Guard(); len(g) != 1 || g[0].Why != "me" || len(k.Limits()) != 1 {
		t.Errorf("guard %v, limits %v", g, k.Limits())
	}
	delete(b.kernel.plan.Blocks, pre("198.51.100.2/32"))
	_ = k.Close()
	k = b.open(b.options())
	want(t, "the same maps are right about what was taken out", listed(k), "198.51.100.3/32")
	_ = k.Close()
	// Other maps: a reboot, or another way of blocking. The file is all there is.
	b.kernel = newKernel(t)
	b.kernel.id = "k2"
	o := b.options()
	o.Guard = []Guarded{{Prefix: pre("198.51.100.3/32"), Until: Forever, Why: "new gateway"}}
	k = b.open(o)
	want(t, "guarded since", b.kernel.blocks())
	_ = k.Close()
}

// Cuts at every change of the disk: what Flush acknowledged is in force after it, what was taken out does not come back,
// and the kernel agrees with the list.
func TestCutsAtAnyMoment(t *testing.T) {
	for cut := 1; cut < 40; cut++ {
		for _, landed := range []bool{false, true} {
			b := newBench(t)
			o := b.options()
			o.Disk = durable.Faulty(cut, landed)
			r := rand.New(rand.NewPCG(uint64(cut), 1))
			in := map[string]bool{}
			k, err := Open(o)
			if err != nil {
				continue // the cut came before there was anything
			}
			for i := range 30 {
				p := fmt.Sprintf("198.51.100.%d/32", r.IntN(10))
				if i%3 == 2 {
					k.Unblock(pre(p))
					delete(in, p)
				} else {
					b.block(k, p, 1000)
					in[p] = true
				}
				k.Flush()
			}
			// The process dies without a word. The kernel goes on.
			again := b.open(b.options())
			var all []string
			for p := range in {
				all = append(all, p)
			}
			want(t, fmt.Sprintf("cut %d", cut), listed(again), all...)
			want(t, fmt.Sprintf("cut %d, kernel", cut), b.kernel.blocks(), all...)
			_ = k.Close()
			if k.Stats().Unsaved != (len(b.said) > 0) {
				t.Errorf("cut %d: said %q", cut, b.said)
			}
		}
	}
}

func TestDamagedFilesGiveWhatTheyCan(t *testing.T) {
	b := newBench(t)
	k := b.open(b.options())
	b.block(k, "198.51.100.1/32", 1000)
	b.block(k, "198.51.100.2/32", 1000)
	k.Flush()
	_ = k.Close()
	text, err := os.ReadFile(b.file)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 3*lineMax)
	spoilt := "nonsense\n" + long + "\n{\"block\":{\"prefix\":\"::ffff:1.2.3.4/3\"}}\n" + string(text) + "{\"unblock\":\"198.51.100.1/32\""
	if err := os.WriteFile(b.file, []byte(spoilt), 0o600); err != nil {
		t.Fatal(err)
	}
	k = b.open(b.options())
	want(t, "of a damaged file", listed(k), "198.51.100.1/32", "198.51.100.2/32")
	if len(b.said) != 1 || !strings.Contains(b.said[0], "3 lines") {
		t.Errorf("said: %q", b.said)
	}
}

// The file is written anew when most of it is past, and says the same before and after.
func TestTheFileDoesNotGrowForEver(t *testing.T) {
	b := newBench(t)
	k := b.open(b.options())
	for i := range 3 * slack {
		b.block(k, fmt.Sprintf("198.51.%d.%d/32", i>>8&1, i&255), int64(1000+i))
		if i%100 == 0 {
			k.Flush()
		}
	}
	k.Flush()
	list := k.List()
	_ = k.Close()
	info, err := os.Stat(b.file)
	if err != nil || info.Size() > 1<<20 {
		t.Errorf("%v, %v", info.Size(), err)
	}
	b.kernel = newKernel(t)
	b.kernel.id = "k2"
	if k = b.open(b.options()); !reflect.DeepEqual(k.List(), list) {
		t.Error("the file says something else than was in force")
	}
}

func FuzzJournal(f *testing.F) {
	f.Add([]byte("{\"dejpha_blocks\":1}\n{\"block\":{\"prefix\":\"192.0.2.1/32\",\"until\":9,\"by\":\"x\",\"since\":1}}\n{\"unblock\":\"192.0.2.1/32\"}\n"))
	f.Add([]byte("{\"allow\":{\"prefix\":\"2001:db8::/32\",\"until\":9,\"why\":\"x\"}}\n{\"disallow\":\"2001:db8::/32\"}\n{\"limit\":{\"target\":\"10.0.0.0/8\",\"kind\":1,\"rate\":1,\"until\":7}}\n{\"id\":\"k\"}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		read := func(text []byte) *saved {
			s := &saved{blocks: map[netip.Prefix]Entry{}, guard: map[netip.Prefix]Guarded{}, limits: map[LimitKey]Limit{}}
			if err := s.read(bytes.NewReader(text)); err != nil {
				t.Fatal(err)
			}
			return s
		}
		first := read(text)
		picture, _ := image{first.id, slices.Collect(maps.Values(first.blocks)), slices.Collect(maps.Values(first.guard)), slices.Collect(maps.Values(first.limits))}.text()
		if again := read(picture); again.damaged != 0 || !reflect.DeepEqual(again.blocks, first.blocks) || !reflect.DeepEqual(again.guard, first.guard) || len(again.limits) != len(first.limits) {
			t.Errorf("%+v, written and read as %+v", first, again)
		}
		merge(first, State{}, 5)
	})
}
