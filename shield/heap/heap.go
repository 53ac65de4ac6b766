// Package heap keeps what the program holds near the configured memory, without letting the collector run without end.
//
// In: the configured memory, how many rules are in force, what the collector's last cycle found in use. Out: the
// collector's settings, which are the whole process's. Called by shield. It keeps nothing small: the tables are bounded
// where they are.
package heap

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"sync"
	"sync/atomic"
)

// percent trades time for memory: a third of the live heap may be garbage.
const percent = 35

// Percent is that, or what the environment asks for: who has memory to spare lets the collector work less.
func Percent() int {
	if n, err := strconv.Atoi(os.Getenv("GOGC")); err == nil && n > 0 {
		return n
	}
	return percent
}

// ruleBytes is about what one rule of a large set takes.
const ruleBytes = 6 << 10

// Keeper holds the limit at which the collector begins to work harder. Safe for concurrent use; one of them at a time sets
// the process's.
type Keeper struct {
	mu     sync.Mutex
	memory int64 // configured, bytes
	first  int64 // bytes in use after loading the first rules; 0: not yet measured
	rules  int64 // how many those were
	now    int64 // in force
	limit  int64 // as it was set last
	lifted bool
}

// New sets the collector for so many bytes of configured memory.
func New(memory int64) *Keeper {
	k := &Keeper{memory: memory}
	debug.SetGCPercent(Percent())
	k.set(k.least())
	return k
}

// Settle sets the limit for so many rules in force, also after Lift. What they take is measured once, before there is
// traffic: later the tables would count, too, and each reload would let them grow.
func (k *Keeper) Settle(rules int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.now, k.lifted = int64(rules), false
	used := inUse()
	if k.first == 0 {
		k.first, k.rules = used, k.now
	}
	debug.SetGCPercent(Percent())
	k.set(enough(k.least(), used))
}

// Lift lets a reload hold two sets of rules: until Settle the percentage of garbage alone bounds memory.
func (k *Keeper) Lift(percent int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lifted = true
	debug.SetGCPercent(percent)
	k.set(math.MaxInt64)
}

// Watch follows what is in use, after each cycle of the collector, until stop is called.
func (k *Keeper) Watch() (stop func()) {
	var stopped atomic.Bool
	var again func()
	again = func() {
		if !stopped.Load() {
			k.follow(inUse())
			afterCollection(again)
		}
	}
	afterCollection(again)
	return func() { stopped.Store(true) }
}

// afterCollection calls f once the collector has found something unreachable that was made just now.
func afterCollection(f func()) {
	sign := new([16]byte) // large enough not to share its block with what lives on
	runtime.AddCleanup(sign, func(struct{}) { f() }, struct{}{})
}

// follow moves the limit to what so many bytes in use need, if it is far from there.
func (k *Keeper) follow(used int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.lifted {
		return
	}
	if want := enough(k.least(), used); want-k.limit > k.limit/64 || k.limit-want > k.limit/64 {
		k.set(want)
	}
}

func (k *Keeper) set(limit int64) {
	k.limit = limit
	debug.SetMemoryLimit(limit)
}

// least is the limit while the tables fill about half of the configured memory, as on mixed traffic: what lies between
// that and the limit is garbage and pages that were not given back. Rules do not count towards the configured memory.
func (k *Keeper) least() int64 { return k.memory/32*21 + max(k.first+(k.now-k.rules)*ruleBytes, 0) }

// enough is the limit for what is in use: full tables leave too little below the least one, and at its limit the
// collector would take half of the processor without end. A fifth of it may always be garbage, and a sixteenth is the
// collector's own and the stacks.
func enough(least, used int64) int64 { return max(least, used+used/5+used/16) }

// inUse is what the collector's last cycle found in use, bytes.
func inUse() int64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64())
}
