package heap

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"
)

func limit() int64 { return debug.SetMemoryLimit(-1) }

// restored puts the process's settings back.
func restored(t *testing.T) {
	old, percent := limit(), debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetMemoryLimit(old); debug.SetGCPercent(percent) })
}

// The limit follows full tables up, and comes back when they have emptied.
func TestFullTablesRaiseTheLimit(t *testing.T) {
	restored(t)
	k := New(32 << 20)
	least := limit()
	if least != 21<<20 {
		t.Fatalf("limit %d for 32 MiB", least)
	}
	stop := k.Watch()
	defer stop()
	tables := make([][]byte, 64)
	for i := range tables {
		tables[i] = make([]byte, 1<<20)
	}
	reached := func(what string, ok func(int64) bool) {
		t.Helper()
		for range 1000 { // cleanups run in a goroutine of their own
			if runtime.GC(); ok(limit()) {
				return
			}
			runtime.Gosched()
		}
		t.Errorf("%s: limit %d", what, limit())
	}
	reached("64 MiB in use", func(n int64) bool { return n >= 78<<20 && n < 100<<20 })
	runtime.KeepAlive(tables)
	tables = nil
	reached("emptied", func(n int64) bool { return n == least })
}

// Who does not watch is not followed.
func TestStoppedFollowsNothing(t *testing.T) {
	restored(t)
	k := New(32 << 20)
	k.Watch()()
	table := make([]byte, 64<<20)
	for range 10 {
		runtime.GC()
	}
	if limit() != 21<<20 {
		t.Errorf("limit %d", limit())
	}
	runtime.KeepAlive(table)
}

// Rules count beside the configured memory, by what the first of them took; a reload has no limit.
func TestRulesCountApart(t *testing.T) {
	restored(t)
	k := New(64 << 20)
	runtime.GC()
	k.Settle(1000)
	first := limit()
	if first < 42<<20+k.first {
		t.Errorf("limit %d with %d of rules", first, k.first)
	}
	k.Lift(20)
	if k.follow(1 << 30); limit() != math.MaxInt64 {
		t.Errorf("limit %d during a reload", limit())
	}
	k.Settle(3000)
	if more := limit() - first; more != 2000*ruleBytes {
		t.Errorf("2,000 rules more: %d bytes", more)
	}
	k.Settle(0)
	if limit() < 42<<20 {
		t.Errorf("without rules: limit %d", limit())
	}
	for _, x := range []struct{ used, want int64 }{{0, 100}, {70, 100}, {160, 202}} {
		if got := enough(100, x.used); got != x.want {
			t.Errorf("%d in use: limit %d, want %d", x.used, got, x.want)
		}
	}
}
