package board

import (
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/block"
	"github.com/dejpha/dejpha/block/barred"
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/shield/policy"
)

// kernel is an enforcer that only remembers.
type kernel struct {
	mu     sync.Mutex
	in     map[netip.Prefix]block.Entry
	limits int
	asked  int // for counts
	counts []block.Count
	totals block.Totals
	proven []block.Proven
}

func (*kernel) Name() string                    { return "memory" }
func (*kernel) Sizes() block.Sizes              { return block.Sizes{}.Defaults() }
func (*kernel) Load(int64) (block.State, error) { return block.State{}, nil }
func (*kernel) Close() error                    { return nil }
func (k *kernel) Totals() (block.Totals, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.totals, nil
}
func (k *kernel) Counters(int64) ([]block.Count, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked++
	return append([]block.Count(nil), k.counts...), nil
}

func (k *kernel) Apply(c block.Changes) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range c.Unblock {
		delete(k.in, p)
	}
	for _, e := range append(append([]block.Entry(nil), c.Block...), c.Change...) {
		k.in[e.Prefix] = e
	}
	k.limits += len(c.Limit)
	k.proven = append(k.proven, c.Prove...)
	return nil
}

func (k *kernel) holds(s string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, ok := k.in[netip.MustParsePrefix(s)]
	return ok
}

func now() int64 { return time.Now().UnixNano() }

func opened(t *testing.T, k block.Enforcer, set *barred.Set, acts bool, dir string) *Board {
	t.Helper()
	g := policy.NewGuard([]netip.Prefix{netip.MustParsePrefix("203.0.113.254/32")}, nil)
	b, err := Open(Options{Enforcer: k, Barred: set, Acts: acts, State: dir, Guard: g, Root: fstest.MapFS{"etc/resolv.conf": {Data: []byte("nameserver 203.0.113.53\n")}}, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func decision(who string, id uint64) attack.Decision {
	p := netip.MustParsePrefix(who)
	return attack.Decision{Time: now(), Action: attack.ActionBlock, Until: now() + int64(time.Hour), Prefix: p, Attack: id, Policy: "exploit: proven points 100 of 100"}
}

func TestADecisionReachesKernelAndWorkers(t *testing.T) {
	k, set := &kernel{in: map[netip.Prefix]block.Entry{}}, &barred.Set{}
	b := opened(t, k, set, true, t.TempDir())
	defer b.Close()
	b.Enforce(decision("203.0.113.7/32", 5))
	d := attack.Decision{Time: now(), Action: attack.ActionRateLimit, Until: now() + int64(time.Hour), Attack: 6,
		Limit: &attack.Limit{Target: netip.MustParsePrefix("10.0.0.1/32"), Kind: attack.LimitSYN, Proto: 6, Rate: 200, Burst: 200}}
	b.Enforce(d)
	b.keeper.Flush()
	if !k.holds("203.0.113.7/32") || k.limits != 1 || !set.Blocked(decode.AddrFrom(netip.MustParseAddr("203.0.113.7")), now()) {
		t.Errorf("kernel %+v, %d limits", k.in, k.limits)
	}
	// what it stops becomes the attack's
	k.mu.Lock()
	k.counts = []block.Count{{Prefix: netip.MustParsePrefix("203.0.113.7/32"), Packets: 10, Bytes: 1000}}
	k.totals.BlockPackets = 10
	k.mu.Unlock()
	b.count()
	k.mu.Lock()
	k.counts[0].Packets, k.counts[0].Bytes, k.totals = 30, 3000, block.Totals{BlockPackets: 30, LimitPackets: 7, LimitBytes: 700}
	k.mu.Unlock()
	b.count()
	k.mu.Lock()
	asked := k.asked
	k.mu.Unlock()
	b.count() // nothing was stopped since
	k.mu.Lock()
	if k.asked != asked {
		t.Error("a million entries would be read for nothing")
	}
	k.mu.Unlock()
	s := b.Take()
	if s[5] != (Stopped{30, 3000}) || s[6] != (Stopped{7, 700}) || b.Take() != nil {
		t.Errorf("%+v", s)
	}
	if l := b.List(); len(l) != 1 || l[0].Prefix != "203.0.113.7" || l[0].Attack != 5 || l[0].Packets != 30 || l[0].Undo != "dejpha unblock 203.0.113.7" {
		t.Errorf("%+v", l)
	}
	f := b.Figures()
	if f.Mode != "on" || f.Way != "memory" || f.InForce != 1 || f.Limits != 1 || f.Dropped != 30 || f.Limited != 7 || f.Last == nil || f.Last.Prefix != "203.0.113.7" || f.Last.Attack != 5 || f.Last.By != "exploit: proven points 100 of 100" {
		t.Errorf("%+v %+v", f, f.Last)
	}
	if _, err := b.Block(Request{Address: "203.0.113.9", Why: "test"}); err != nil {
		t.Fatal(err)
	}
	if f := b.Figures(); f.InForce != 2 || f.Last.Prefix != "203.0.113.9" || f.Last.Attack != 0 || f.Last.By != "a person: test" {
		t.Errorf("%+v %+v", f, f.Last)
	}
}

// A proven flow is exempt from limits both ways without a bound, its client's further packets up to a rate.
func TestAProvenFlowIsExempt(t *testing.T) {
	k := &kernel{in: map[netip.Prefix]block.Entry{}}
	b := opened(t, k, nil, true, t.TempDir())
	defer b.Close()
	client, server := netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("10.0.0.1")
	b.Vouch(client, server, 40000, 8443, 6)
	b.keeper.Flush()
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.proven) != 3 {
		t.Fatalf("%+v", k.proven)
	}
	for i, want := range []block.Proven{{Src: client, Dst: server, SrcPort: 40000, DstPort: 8443, Proto: 6}, {Src: server, Dst: client, SrcPort: 8443, DstPort: 40000, Proto: 6},
		{Src: client, Dst: server, Proto: 6, Rate: pairRate}} {
		got := k.proven[i]
		if got.Until <= now() {
			t.Errorf("%+v has ended", got)
		}
		if got.Until = 0; got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

func TestTheGuardWinsOverPeopleToo(t *testing.T) {
	k := &kernel{in: map[netip.Prefix]block.Entry{}}
	b := opened(t, k, nil, true, t.TempDir())
	defer b.Close()
	for who, want := range map[string]string{"203.0.113.254": "one named under guard", "203.0.113.53": "a resolver", "203.0.113.0/24": "guard", "100.64.1.2": "many people share it", "nobody": "not an address"} {
		if _, err := b.Block(Request{Address: who}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", who, err, want)
		}
	}
	b.Enforce(decision("203.0.113.53/32", 5))
	b.keeper.Flush()
	if len(k.in) != 0 || b.Fallen() != 1 {
		t.Errorf("%+v, %d fallen", k.in, b.Fallen())
	}
}

// Of a server that answered over UDP its answers are exempt, of the client nothing: whoever forges an address gets it answers.
func TestAnAnsweringServerIsExempt(t *testing.T) {
	k := &kernel{in: map[netip.Prefix]block.Entry{}}
	b := opened(t, k, nil, true, t.TempDir())
	defer b.Close()
	client, server := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("203.0.113.53")
	b.Answered(client, server, 40000, 53)
	b.Answered(client, server, 40001, 53)
	b.keeper.Flush()
	b.keeper.Flush()
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.proven) != 3 {
		t.Fatalf("%+v", k.proven)
	}
	for i, want := range []block.Proven{{SrcPort: 53, DstPort: 40000}, {Rate: pairRate}, {SrcPort: 53, DstPort: 40001}} {
		got := k.proven[i]
		want.Src, want.Dst, want.Proto, want.Until = server, client, 17, got.Until
		if got != want {
			t.Errorf("%+v, expected %+v", got, want)
		}
	}
}

// A client that proved itself over TCP may ask over UDP, where the service speaks both.
func TestTCPProvesForUDP(t *testing.T) {
	for port, want := range map[uint16]int{53: 4, 80: 3} {
		k := &kernel{in: map[netip.Prefix]block.Entry{}}
		b := opened(t, k, nil, true, t.TempDir())
		b.Vouch(netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("10.0.0.1"), 40000, port, 6)
		b.keeper.Flush()
		b.Close()
		if len(k.proven) != want {
			t.Errorf("port %d: %+v", port, k.proven)
		} else if p := k.proven[want-1]; want == 4 && (p.Proto != 17 || p.Rate != pairRate || p.SrcPort != 0 || p.DstPort != 0 || p.Src != netip.MustParseAddr("203.0.113.7")) {
			t.Errorf("%+v", p)
		}
	}
}

func TestWhatPeopleAsk(t *testing.T) {
	k := &kernel{in: map[netip.Prefix]block.Entry{}}
	dir := t.TempDir()
	b := opened(t, k, nil, true, dir)
	d, err := b.Block(Request{Address: "198.51.100.9", For: time.Hour, Who: "root", Why: "noise"})
	if err != nil || !k.holds("198.51.100.9/32") || d.By != "root: noise" || d.Until-d.Time != int64(time.Hour) {
		t.Fatalf("%+v, %v", d, err)
	}
	if d, err = b.Block(Request{Address: "2001:db8:1:2::9", Rate: 5}); err != nil || !k.holds("2001:db8:1:2::/64") || d.Action != attack.ActionRateLimit {
		t.Errorf("%+v, %v", d, err)
	}
	a, err := b.Why("198.51.100.9")
	if err != nil || len(a.Blocks) != 1 || a.Blocks[0].By != "root: noise" || a.Way != "memory" {
		t.Errorf("%+v, %v", a, err)
	}
	if _, err = b.Unblock(Request{Address: "198.51.100.8"}); !errors.Is(err, ErrNotBlocked) {
		t.Error(err)
	}
	if _, err = b.Unblock(Request{Address: "198.51.100.9"}); err != nil || k.holds("198.51.100.9/32") {
		t.Error(err)
	}
	b.Enforce(decision("198.51.100.0/24", 3))
	b.keeper.Flush()
	if _, err = b.Unblock(Request{Address: "198.51.100.9"}); err == nil || !strings.Contains(err.Error(), "198.51.100.0/24 is, which holds it") {
		t.Error(err)
	}
	if _, err = b.Allow(Request{Address: "198.51.100.0/24", Who: "root"}); err != nil || k.holds("198.51.100.0/24") {
		t.Error("an allowed network is blocked", err)
	}
	if why := b.o.Guard.Why(netip.MustParsePrefix("198.51.100.9/32")); !strings.Contains(why, "allowed by root") {
		t.Errorf("the policy does not know: %q", why)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = opened(t, &kernel{in: map[netip.Prefix]block.Entry{}}, nil, true, dir) // another start
	defer b.Close()
	if _, err = b.Block(Request{Address: "198.51.100.9"}); err == nil {
		t.Error("an allow did not outlive the process")
	}
	if l := b.List(); len(l) != 1 || l[0].Prefix != "2001:db8:1:2::/64" {
		t.Errorf("%+v", l)
	}
}

func TestReasonsOfEndedBlocksAreForgotten(t *testing.T) {
	b := opened(t, &kernel{in: map[netip.Prefix]block.Entry{}}, nil, true, t.TempDir())
	defer b.Close()
	for i := range 3 * crowdLeast {
		d := decision(netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), 32).String(), 5)
		if i%3 > 0 {
			d.Until = d.Time - 1 // ended: the keeper does not take it
		}
		b.Enforce(d)
	}
	b.keeper.Flush()
	b.forget()
	if n := len(b.attacks); n != crowdLeast {
		t.Errorf("%d reasons are kept of %d blocks in force", n, crowdLeast)
	}
}

func TestARehearsalActsForNobody(t *testing.T) {
	k := &kernel{in: map[netip.Prefix]block.Entry{}}
	b := opened(t, k, nil, false, t.TempDir())
	defer b.Close()
	if _, err := b.Block(Request{Address: "198.51.100.9"}); !errors.Is(err, ErrRehearsal) || len(k.in) != 0 {
		t.Errorf("%v %+v", err, k.in)
	}
	if _, err := b.Allow(Request{Address: "198.51.100.9", For: time.Hour}); err != nil || b.o.Guard.Why(netip.MustParsePrefix("198.51.100.9/32")) == "" {
		t.Error(err)
	}
	if b.Way() != "rehearsal" {
		t.Error(b.Way())
	}
	if (*Board)(nil).Close() != nil {
		t.Error("no board")
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"address":"192.0.2.7","for":1}`))
	f.Fuzz(func(_ *testing.T, b []byte) {
		if r, err := Read(b); err == nil {
			_, _ = r.check()
		}
	})
}
