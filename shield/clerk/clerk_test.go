package clerk

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/evidence/durable"
	"github.com/dejpha/dejpha/shield/records"
)

const noon = int64(1_700_000_000e9)

func opened(t *testing.T, disk *durable.Disk) (*Clerk, string) {
	t.Helper()
	dir := t.TempDir()
	file, err := records.Open(filepath.Join(dir, "eve.json"), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	c, err := Open(Options{Dir: dir, Kind: evidence.Live, Now: noon, Records: file, Disk: disk})
	if err != nil {
		t.Fatal(err)
	}
	return c, dir
}

func closed(id uint64) *attack.Record {
	return &attack.Record{ID: id, State: "closed", Class: "scan", Outcome: attack.Observed, Result: attack.Unknown, Risk: attack.Real, Severity: 2,
		FirstSeen: noon, LastSeen: noon, ClosedAt: noon + int64(id)*1e6, Observations: 1}
}

// eventually waits for what another goroutine does.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for range 6000 {
		if is() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal(what)
}

// What is handed over comes out in that order, lines and acknowledged attacks alike, and a flush by itself acknowledges
// all that was sealed before it.
func TestTheOrderIsKept(t *testing.T) {
	c, dir := opened(t, nil)
	c.Begin()
	var seen []uint64
	look := func() bool {
		sealed, err := c.Done()
		if err != nil {
			t.Fatal(err)
		}
		for i := range sealed {
			seen = append(seen, sealed[i].ID)
		}
		return len(seen) == 300
	}
	for id := range uint64(300) {
		_, _ = c.Write(fmt.Appendf(nil, "{\"line\":%d}\n", id))
		c.Seal(closed(id+1), nil)
		c.Flush(noon + int64(id)*1e6)
		look()
	}
	eventually(t, "not everything was acknowledged", func() bool { c.Flush(noon + 10e9); return look() })
	for i, id := range seen {
		if id != uint64(i+1) {
			t.Fatalf("acknowledged as number %d: attack %d", i+1, id)
		}
	}
	c.Pass()
	eventually(t, "the lines cannot be read", func() bool {
		b, _ := os.ReadFile(filepath.Join(dir, "eve.json"))
		return bytes.Count(b, []byte("\n")) == 600
	})
	b, _ := os.ReadFile(filepath.Join(dir, "eve.json"))
	at := 0
	for id := range 300 {
		i := bytes.Index(b[at:], fmt.Appendf(nil, "{\"line\":%d}\n", id))
		if i < 0 {
			t.Fatalf("line %d is missing or out of order", id)
		}
		at += i
	}
	c.Close(nil)
	if _, err := c.Done(); err != nil {
		t.Fatal(err)
	}
	if r, err := evidence.CheckAll(filepath.Join(dir, "evidence"), ""); err != nil || !r.OK() {
		t.Errorf("the log does not hold: %v %q", err, r.Problems)
	}
}

// Time without protection is forgotten by its source only when it is durable: while the disk fails it is held.
func TestAGapIsToldOnceItIsDurable(t *testing.T) {
	for _, broken := range []bool{false, true} {
		gate, told := make(chan struct{}), atomic.Bool{}
		disk := durable.Slow(func() { <-gate })
		if broken {
			disk = durable.Faulty(60, false)
		}
		c, _ := opened(t, disk)
		c.Begin()
		for n := 0; n < 60 && c.out.log == nil && (broken || n == 0); n++ {
			told.Store(false)
			c.Gap(&capture.Gap{From: noon, To: noon + 1, Done: func() { told.Store(true) }}, []byte("{}"), noon)
			if broken {
				c.Halt()
				c.queue.begin()
			}
		}
		if told.Load() {
			t.Errorf("broken %v: told before it was durable", broken)
		}
		if !broken {
			close(gate)
		}
		c.Close(nil)
		if !told.Load() {
			t.Errorf("broken %v: never told", broken)
		}
		if _, err := c.Done(); broken != errors.Is(err, durable.ErrInjected) {
			t.Errorf("broken %v: %v", broken, err)
		}
	}
}

// A queue takes so much and no more; then the merge point waits, which is counted, and nothing is lost.
func TestTheQueueIsBounded(t *testing.T) {
	var d queue
	d.open(func() error { return nil })
	d.begin()
	gate, ran := make(chan struct{}), 0
	d.put(job{do: func() error { <-gate; return nil }})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 3 * waitingMost {
			d.put(job{do: func() error {
				if ran != i {
					return fmt.Errorf("job %d came as number %d", i, ran)
				}
				ran++
				return nil
			}})
		}
	}()
	eventually(t, "the merge point does not wait", func() bool { return d.waits.Load() > 0 })
	select {
	case <-done:
		t.Error("everything went in")
	default:
	}
	close(gate)
	<-done
	d.halt()
	if _, err := d.take(); err != nil || ran != 3*waitingMost {
		t.Errorf("%d of %d were done, %v", ran, 3*waitingMost, err)
	}
	d.begin()
	gate = make(chan struct{})
	before := d.waits.Load()
	d.put(job{size: 2 * bytesMost, do: func() error { <-gate; return nil }}) // alone it may be larger
	done = make(chan struct{})
	go func() {
		defer close(done)
		d.put(job{size: 1, do: func() error { return nil }})
	}()
	eventually(t, "bytes are not bounded", func() bool { return d.waits.Load() > before })
	close(gate)
	<-done
	d.halt()
}
