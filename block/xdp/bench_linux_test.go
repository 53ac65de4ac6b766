package xdp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/dejpha/dejpha/block"
)

// The bench of `make bench-block`: what a packet costs by BPF_PROG_TEST_RUN, each figure the median of fifteen in one run. The
// source address is made at random in front of the program, out of those that are blocked or are not: one repeated packet
// would measure the processor's cache. What making it costs is measured beside it and taken off.

const (
	benchRuns   = 15
	benchRepeat = 50_000
)

// among writes a random source out of 10.0.0.0 + [first, first+n) into the frame: n addresses that follow each other.
func among(first, n uint32) func(e *emitter) {
	return func(e *emitter) {
		e.add(asm.FnGetPrandomU32.Call(),
			asm.Mod.Imm(asm.R0, int32(n)), asm.Add.Imm(asm.R0, int32(10<<24+first)), asm.HostTo(asm.BE, asm.R0, asm.Word),
			asm.StoreMem(head, 12, asm.R0, asm.Word))
	}
}

// generator only makes the random source and gives a verdict.
func generator(first, n uint32, verdict int32) asm.Instructions {
	e := &emitter{}
	e.ethernet()
	e.mark("ipv4")
	e.need(20, "out")
	among(first, n)(e)
	e.add(asm.Mov.Imm(asm.R0, verdict), asm.Return())
	e.mark("ipv6")
	e.mark("out")
	e.add(asm.Mov.Imm(asm.R0, xdpPass), asm.Return())
	return e.ins
}

func bare(verdict int32) asm.Instructions {
	return asm.Instructions{asm.Mov.Imm(asm.R0, verdict), asm.Return()}
}

func benchFrame() []byte {
	return packet{src: netip.MustParseAddr("10.0.0.1"), dst: netip.MustParseAddr("203.0.113.1"), proto: 17}.frame()
}

type measure struct {
	t *testing.T
	e *Enforcer
}

// ns is what a packet costs: the median of the runs, and the best, which neighbours on the same processor disturbed least.
type ns struct{ median, best float64 }

func (a ns) less(b ns) ns { return ns{a.median - b.median, a.best - b.best} }

func (a ns) String() string { return fmt.Sprintf("%.0f (best %.0f)", a.median, a.best) }

// times compares what two cost.
func (a ns) times(b ns) string {
	return fmt.Sprintf("%.2f times (by the best %.2f)", a.median/b.median, a.best/b.best)
}

// cost is what a packet costs in a program.
func (m measure) cost(ins asm.Instructions, want uint32) ns {
	m.t.Helper()
	p, err := m.e.t.load(ins)
	if err != nil {
		m.t.Fatal(err)
	}
	defer p.Close()
	var all []float64
	for range benchRuns {
		verdict, d, err := p.Benchmark(benchFrame(), benchRepeat, nil)
		if err != nil || verdict != want {
			m.t.Fatalf("verdict %d, %v", verdict, err)
		}
		all = append(all, float64(d.Nanoseconds()))
	}
	slices.Sort(all)
	return ns{all[benchRuns/2], all[0]}
}

func hosts(n int) []block.Entry {
	all := make([]block.Entry, n)
	for i := range all {
		all[i] = block.Entry{Prefix: netip.PrefixFrom(host(uint32(i)), 32), Until: wall + 24*hour}
	}
	return all
}

func host(i uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], 10<<24+i)
	return netip.AddrFrom4(b)
}

func say(format string, args ...any) { fmt.Printf(format+"\n", args...) }

func benchOnly(t *testing.T) {
	t.Helper()
	if os.Getenv("DEJPHA_BENCH_BLOCK") == "" {
		t.Skip("a measurement; make bench-block")
	}
}

// took is how long f takes by the clock; used, how much of a processor's time, which a busy machine does not lengthen.
func took(t *testing.T, f func() error) (d time.Duration) {
	t.Helper()
	d, _ = used(t, f)
	return d
}

func used(t *testing.T, f func() error) (clock, processor time.Duration) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, after unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_THREAD, &before)
	start := time.Now()
	if err := f(); err != nil {
		t.Fatal(err)
	}
	clock = time.Since(start)
	_ = unix.Getrusage(unix.RUSAGE_THREAD, &after)
	return clock, time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
}

func TestBenchXDP(t *testing.T) {
	benchOnly(t)
	sizes := []int{1000, 100_000, 1_000_000}
	e := scratch(t, block.Sizes{Hosts: 1 << 20})
	m := measure{t, e}
	say("XDP, ns a packet of 54 B (median and best of %d runs of %d packets): bare drop %v, bare pass %v",
		benchRuns, benchRepeat, m.cost(bare(xdpDrop), xdpDrop), m.cost(bare(xdpPass), xdpPass))
	var net []ns
	for _, n := range sizes {
		all := hosts(n)
		clock, processor := used(t, func() error { return e.Apply(block.Changes{Now: wall, Block: all}) })
		say("%8d hosts loaded in %v, %v of a processor", n, clock.Round(time.Millisecond), processor.Round(time.Millisecond))
		made := m.cost(generator(0, uint32(n), xdpDrop), xdpDrop)
		hit := m.cost(program(among(0, uint32(n))), xdpDrop)
		passed := m.cost(generator(1<<23, uint32(n), xdpPass), xdpPass)
		clean := m.cost(program(among(1<<23, uint32(n))), xdpPass)
		net = append(net, hit.less(made))
		say("  hit %v, generator with drop %v, net %v", hit, made, hit.less(made))
		say("  clean %v, generator with pass %v, net %v", clean, passed, clean.less(passed))
		if n < 1_000_000 {
			out := make([]netip.Prefix, n)
			for i, x := range all {
				out[i] = x.Prefix
			}
			if err := e.Apply(block.Changes{Now: wall, Unblock: out}); err != nil {
				t.Fatal(err)
			}
		}
	}
	say("1 M hosts cost %s what 1 k do (target: at most 10)", net[2].times(net[0]))
	m.guard(net[2])
	m.single()
	decided(t)
}

// decided measures how long a decision is on its way into the kernel, through the keeper.
func decided(t *testing.T) {
	k, err := block.Open(block.Options{Enforcer: scratch(t, block.Sizes{}), Now: func() int64 { return time.Now().UnixNano() }})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	var all []time.Duration
	for _, x := range hosts(1000) {
		x.Until = time.Now().UnixNano() + hour
		all = append(all, took(t, func() error {
			err := k.Block(x)
			k.Flush()
			return err
		}))
		time.Sleep(time.Millisecond)
	}
	slices.Sort(all)
	say("from a decision to the kernel, through the keeper: median %v, p99 %v", all[500], all[990])
}

// guard compares hits and clean traffic with a guard's list that is empty, full of others, and none at all.
func (m measure) guard(withEmpty ns) {
	const n = 1_000_000
	made, passed := m.cost(generator(0, n, xdpDrop), xdpDrop), m.cost(generator(1<<23, n, xdpPass), xdpPass)
	cleanBefore := m.cost(program(among(1<<23, n)), xdpPass).less(passed)
	var list []block.Guarded
	for i := range uint32(256) {
		list = append(list, block.Guarded{Prefix: netip.PrefixFrom(host(1<<22+i*4096), 32), Until: block.Forever},
			block.Guarded{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{172, byte(i), 0, 0}), 16), Until: block.Forever})
	}
	if err := m.e.Apply(block.Changes{Now: wall, Guard: list}); err != nil {
		m.t.Fatal(err)
	}
	with := m.cost(program(among(0, n)), xdpDrop).less(made)
	without := m.cost(unguarded(among(0, n)), xdpDrop).less(made)
	cleanAfter := m.cost(program(among(1<<23, n)), xdpPass).less(passed)
	say("hit among 1 M hosts, net: %v without asking the guard, %v with an empty one, %v with %d lines: %s (target: at most 2)",
		without, withEmpty, with, len(list), with.times(without))
	const few = 1000
	made = m.cost(generator(0, few, xdpDrop), xdpDrop)
	with = m.cost(program(among(0, few)), xdpDrop).less(made)
	without = m.cost(unguarded(among(0, few)), xdpDrop).less(made)
	say("hit among 1 k of them, net: %v without asking the guard, %v with %d lines: %s (target: at most 2)", without, with, len(list), with.times(without))
	say("clean, net: %v with an empty guard, %v with %d lines (target: the same)", cleanBefore, cleanAfter, len(list))
}

// unguarded is the program without its look into the guard: what a hit costs less.
func unguarded(source func(e *emitter)) asm.Instructions {
	e := &emitter{careless: true}
	e.ethernet()
	e.ipv4(source)
	e.ipv6()
	e.hits()
	e.limits()
	e.ends()
	return e.ins
}

// single measures one change at a time, with the million there, and prefixes.
func (m measure) single() {
	worst := func(what string, p netip.Prefix) {
		var in, out []time.Duration
		for range 200 {
			in = append(in, took(m.t, func() error {
				return m.e.Apply(block.Changes{Now: wall, Block: []block.Entry{{Prefix: p, Until: wall + hour}}})
			}))
			out = append(out, took(m.t, func() error { return m.e.Apply(block.Changes{Now: wall, Unblock: []netip.Prefix{p}}) }))
		}
		slices.Sort(in)
		slices.Sort(out)
		say("one %s in: median %v, p99 %v; out: median %v, p99 %v (target: under 1 ms)", what, in[100], in[197], out[100], out[197])
	}
	worst("host", netip.MustParsePrefix("192.0.2.1/32"))
	e := scratch(m.t, block.Sizes{Prefixes: 1 << 18})
	all := make([]block.Entry, 200_000)
	for i := range all {
		p, _ := host(uint32(i) << 6).Prefix(26)
		all[i] = block.Entry{Prefix: p, Until: wall + 24*hour}
	}
	clock, processor := used(m.t, func() error { return e.Apply(block.Changes{Now: wall, Block: all}) })
	m.e = e
	made := m.cost(generator(0, 200_000<<6, xdpDrop), xdpDrop)
	hit := m.cost(program(among(0, 200_000<<6)), xdpDrop)
	say("200,000 prefixes loaded in %v, %v of a processor; hit among them, net %v", clock.Round(time.Millisecond), processor.Round(time.Millisecond), hit.less(made))
	worst("prefix among 200,000", netip.MustParsePrefix("192.0.2.0/24"))
	out := make([]netip.Prefix, len(all))
	for i, x := range all {
		out[i] = x.Prefix
	}
	d := took(m.t, func() error { return e.Apply(block.Changes{Now: wall, Ended: out}) })
	say("200,000 prefixes taken out in %v", d.Round(time.Millisecond))
	if got, err := e.Load(wall); err != nil || len(got.Blocks) != 0 {
		m.t.Errorf("%d are left, %v", len(got.Blocks), err)
	}
}
