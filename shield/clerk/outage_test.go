package clerk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/evidence/durable"
	"github.com/dejpha/dejpha/shield/records"
)

// desk is a clerk with what it says.
type desk struct {
	*Clerk
	dir string
	mu  sync.Mutex
	all []string
}

func (d *desk) heard() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.all, "\n")
}

func atWork(t *testing.T, dir string, disk *durable.Disk, retry time.Duration) *desk {
	t.Helper()
	file, err := records.Open(filepath.Join(dir, "eve.json"), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	d := &desk{dir: dir}
	d.Clerk, err = Open(Options{Dir: dir, Kind: evidence.Live, Now: noon, Records: file, Disk: disk, Retry: retry, Say: func(s string) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.all = append(d.all, s)
	}})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// sealedOnce checks the log as a stranger would and returns the attacks in it; each is there once.
func sealedOnce(t *testing.T, dir string) (found map[uint64]bool, unkept []Unkept) {
	t.Helper()
	evid := filepath.Join(dir, "evidence")
	r, err := evidence.CheckAll(evid, "")
	if err != nil || !r.OK() {
		t.Fatalf("the log does not hold: %v %q", err, r.Problems)
	}
	list, err := evidence.Records(evid, 0)
	if err != nil {
		t.Fatal(err)
	}
	found = map[uint64]bool{}
	for i := range list {
		if found[list[i].ID] {
			t.Fatalf("attack %d is counted twice", list[i].ID)
		}
		found[list[i].ID] = true
	}
	for i := range r.Size {
		b, err := evidence.ReadLeaf(evid, i)
		if err != nil {
			t.Fatal(err)
		}
		if at := bytes.Index(b, []byte(`{"from":`)); b[0] == 4 && at > 0 {
			var u Unkept
			if err := json.NewDecoder(bytes.NewReader(b[at:])).Decode(&u); err != nil {
				t.Fatal(err)
			}
			unkept = append(unkept, u)
		}
	}
	return found, unkept
}

// linesOnce checks that eve.json is whole and holds the line of each sealed attack, and how often at most.
func linesOnce(t *testing.T, dir string, found map[uint64]bool, most int) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "eve.json"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[uint64]int{}
	for _, line := range bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n")) {
		var x struct {
			Type   string              `json:"event_type"`
			Attack struct{ ID uint64 } `json:"attack"`
		}
		if err := json.Unmarshal(line, &x); err != nil {
			t.Fatalf("a broken line: %q", line)
		}
		if x.Type == "attack" {
			seen[x.Attack.ID]++
		}
	}
	for id := range found {
		if seen[id] < 1 || seen[id] > most {
			t.Errorf("attack %d has %d lines", id, seen[id])
		}
	}
}

// While its disk refuses everything, for whatever reason and however often, a run goes on: what closes is held and sealed
// afterwards, each attack once, which a leaf tells, and the run does not end as if nothing had been.
func TestADiskThatRefusesForAWhile(t *testing.T) {
	seeds := uint64(12)
	if testing.Short() {
		seeds = 1
	}
	for seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 1))
		var refuses atomic.Pointer[error]
		disk := durable.Refusing(func() error {
			if p := refuses.Load(); p != nil {
				return *p
			}
			return nil
		})
		dir := t.TempDir()
		d := atWork(t, dir, disk, time.Microsecond)
		d.Begin()
		acked := map[uint64]bool{}
		take := func() {
			sealed, err := d.Done()
			if err != nil {
				t.Fatal(err)
			}
			for i := range sealed {
				acked[sealed[i].ID] = true
			}
		}
		outages := 0
		for id := range uint64(100) {
			if r.IntN(20) == 0 {
				why := []error{syscall.ENOSPC, syscall.EROFS, syscall.EIO}[r.IntN(3)]
				refuses.Store(&why)
				outages++
			}
			if r.IntN(10) == 0 {
				refuses.Store(nil)
			}
			d.Seal(closed(id+1), []byte("packets"))
			d.Event(evidence.CodeDecision, noon+int64(id)*1e6, []byte("{}"), []byte("whom"))
			d.Flush(noon + int64(id)*1e9)
			if r.IntN(7) == 0 {
				d.Halt() // so that the disk changes at any place
				d.queue.begin()
			}
			take()
		}
		refuses.Store(nil)
		d.Close(nil)
		sealed, err := d.Done()
		for i := range sealed {
			acked[sealed[i].ID] = true
		}
		failed := d.out.first != nil
		if failed != (err != nil) {
			t.Errorf("seed %d: failed %v, ends with %v", seed, failed, err)
		}
		if err := d.o.Records.Close(); err != nil {
			t.Fatal(err)
		}
		found, unkept := sealedOnce(t, dir)
		if len(found) != 100 || len(acked) != 100 {
			t.Fatalf("seed %d: %d sealed, %d acknowledged", seed, len(found), len(acked))
		}
		linesOnce(t, dir, found, 1)
		if failed != (len(unkept) > 0) || failed && !strings.Contains(d.heard(), "detection and blocking go on") {
			t.Errorf("seed %d: %d outages, leaves %v, said %s", seed, outages, unkept, d.heard())
		}
		for _, u := range unkept {
			if u.Attacks+u.Events+u.Lines != 0 || u.Why == "" || u.From == 0 || u.To < u.From {
				t.Errorf("seed %d: %+v", seed, u)
			}
		}
	}
}

// Every change of the disk fails in turn, lost with all that was not synced, or landed all the same: nothing that was
// acknowledged is lost, nothing is sealed twice, and the run goes on.
func TestEveryWriteFailingInARun(t *testing.T) {
	atOnce := func(c *Clerk, id uint64) {
		c.Seal(closed(id+1), []byte("packets"))
		c.Event(evidence.CodeDecision, noon+int64(id+1)*1e6, []byte("{}"), []byte("whom"))
		c.Totals(evidence.Ledger{Received: id, Inspected: id}, noon+int64(id)*1e6)
		c.Flush(noon + int64(id)*1e9)
		if id%4 == 3 {
			c.Save([]byte("{}"), nil, noon+int64(id)*1e6)
		}
		c.Halt()
		c.queue.begin()
	}
	behind := func(c *Clerk, id uint64) { // more is handed over while a flush is under way
		if c.queue.running {
			c.Halt()
		}
		c.sealLater(*closed(id + 1), []byte("packets"))
		at, size := noon+int64(id+1)*1e6, int64(0)
		c.queue.fail(c.toLog(task{at: at, do: func(l *evidence.Log) error {
			err := l.Event(evidence.CodeDecision, at, -1, []byte("{}"), []byte("whom"))
			size = l.Size()
			return err
		}, done: func() {
			if h, err := evidence.ReadHead(filepath.Join(c.o.Dir, "evidence")); err != nil || h.Checkpoint.Size < size {
				t.Errorf("an event is said to be durable under %d leaves, signed are %d, %v", size, h.Checkpoint.Size, err)
			}
		}}))
		c.Totals(evidence.Ledger{Received: id, Inspected: id}, noon+int64(id)*1e6)
		if id%2 == 1 {
			c.queue.fail(c.flushBehind())
		}
		if id%5 == 4 {
			c.Save([]byte("{}"), nil, noon+int64(id)*1e6)
		}
	}
	for name, round := range map[string]func(*Clerk, uint64){"at once": atOnce, "behind": behind} {
		t.Run(name, func(t *testing.T) { everyWriteFailing(t, round) })
	}
}

func everyWriteFailing(t *testing.T, round func(c *Clerk, id uint64)) {
	step := 1
	if testing.Short() {
		step = 41
	}
	for _, landed := range []bool{false, true} {
		for n := 40; ; n += step {
			dir := t.TempDir()
			disk := durable.Faulty(n, landed)
			file, err := records.Open(filepath.Join(dir, "eve.json"), false)
			if err != nil {
				t.Fatal(err)
			}
			c, err := Open(Options{Dir: dir, Kind: evidence.Live, Now: noon, Records: file, Disk: disk, Retry: time.Microsecond})
			if err != nil {
				continue // at the start an error ends it
			}
			c.Begin()
			var acked []attack.Record
			for id := range uint64(12) {
				round(c, id)
				sealed, err := c.Done()
				if err != nil {
					t.Fatalf("change %d, landed %v: %v", n, landed, err)
				}
				acked = append(acked, sealed...)
			}
			c.Close(nil)
			sealed, err := c.Done()
			acked = append(acked, sealed...)
			if err := file.Close(); err != nil {
				t.Fatal(err)
			}
			found, unkept := sealedOnce(t, dir)
			if len(found) != 12 || len(acked) != 12 {
				t.Fatalf("change %d, landed %v: %d sealed, %d acknowledged", n, landed, len(found), len(acked))
			}
			linesOnce(t, dir, found, 1)
			hit := c.out.first != nil
			if hit != (err != nil) || hit != (len(unkept) > 0) {
				t.Fatalf("change %d, landed %v: hit %v, ends with %v, leaves %v", n, landed, hit, err, unkept)
			}
			if !hit {
				if n == 40 {
					t.Fatal("no change failed")
				}
				break
			}
		}
	}
}

// What cannot be held is counted, and the count survives the run: the next one puts it into a leaf.
func TestWhatCannotBeHeldIsCounted(t *testing.T) {
	var full atomic.Bool
	disk := durable.Refusing(func() error {
		if full.Load() {
			return syscall.ENOSPC
		}
		return nil
	})
	dir := t.TempDir()
	d := atWork(t, dir, disk, time.Hour)
	d.Begin()
	d.Seal(closed(1), nil)
	d.Flush(noon + 1e9)
	d.Halt()
	d.queue.begin()
	full.Store(true)
	for id := range uint64(10) {
		d.Seal(closed(id+2), bytes.Repeat([]byte("x"), 4<<20))
		d.Flush(noon + int64(id)*1e9)
	}
	d.Halt()
	d.queue.begin()
	d.Close(nil)
	if _, err := d.Done(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("ends with %v", err)
	}
	if found, unkept := sealedOnce(t, dir); len(found) != 1 || len(unkept) != 0 {
		t.Errorf("%d sealed, leaves %v", len(found), unkept)
	}
	for range 2 { // the next start tells it, once
		d = atWork(t, dir, nil, 0)
		d.Begin()
		d.Close(nil)
		if _, err := d.Done(); err != nil {
			t.Fatal(err)
		}
		if _, unkept := sealedOnce(t, dir); len(unkept) != 1 || unkept[0].Attacks != 10 || !strings.HasSuffix(unkept[0].Why, "no space left on device") {
			t.Errorf("leaves %+v", unkept)
		}
	}
	// Within one run: some are held, the others counted.
	full.Store(false)
	dir = t.TempDir()
	d = atWork(t, dir, disk.Again(), time.Hour)
	d.Begin()
	full.Store(true)
	for id := range uint64(10) {
		d.Seal(closed(id+1), bytes.Repeat([]byte("x"), 4<<20))
		d.Flush(noon + int64(id)*1e9)
	}
	d.Halt()
	full.Store(false)
	d.Close(nil)
	found, unkept := sealedOnce(t, dir)
	if len(unkept) != 1 || uint64(len(found))+unkept[0].Attacks != 10 || unkept[0].Attacks == 0 || len(found) < 5 {
		t.Errorf("%d sealed, %d leaves: %+v", len(found), len(unkept), unkept)
	}
}

// A record file that cannot be written does not stop the sealing: its lines are counted, those of sealed attacks are written
// once it takes lines again.
func TestARecordFileThatTakesNothing(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("/dev/full is missing")
	}
	dir := t.TempDir()
	name := filepath.Join(dir, "eve.json")
	if err := os.Symlink("/dev/full", name); err != nil {
		t.Fatal(err)
	}
	d := atWork(t, dir, nil, time.Microsecond)
	d.Begin()
	for id := range uint64(20) {
		_, _ = d.Write(fmt.Appendf(nil, "{\"line\":%d}\n", id))
		d.Seal(closed(id+1), nil)
		d.Flush(noon + int64(id)*1e9)
		d.Halt()
		d.queue.begin()
		if _, err := d.Done(); err != nil {
			t.Fatal(err)
		}
		if id == 9 {
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	d.Close(nil)
	if _, err := d.Done(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("ends with %v", err)
	}
	if err := d.o.Records.Close(); err != nil {
		t.Fatal(err)
	}
	found, unkept := sealedOnce(t, dir)
	if len(found) != 20 || len(unkept) == 0 {
		t.Fatalf("%d sealed, leaves %v", len(found), unkept)
	}
	var lines uint64
	for _, u := range unkept {
		lines += u.Lines
	}
	b, _ := os.ReadFile(name)
	if kept := uint64(bytes.Count(b, []byte(`{"line":`))); kept+lines < 20 || kept < 8 {
		t.Errorf("%d lines are there, %d said to be lost", kept, lines)
	}
	linesOnce(t, dir, found, 1)
}

// What a checkpoint covers is let go of, large texts of rules at once: a shield that reloads often must not grow.
func TestNothingIsHeldOnceItIsCovered(t *testing.T) {
	d := atWork(t, t.TempDir(), nil, time.Hour)
	d.Begin()
	for i := range 5 {
		d.Seal(closed(uint64(i+1)), nil)
		d.Rules(fmt.Appendf(nil, "rules %d", i/2), noon+int64(i)*1e9) // the same ones change nothing in the log
		d.Halt()
		d.queue.begin()
		o := &d.out
		if len(o.tasks) != 0 || o.held != 0 {
			t.Errorf("%d things, %d bytes are held", len(o.tasks), o.held)
		}
		for _, x := range o.tasks[:cap(o.tasks)] {
			if x.do != nil {
				t.Error("what was let go of is still reached")
			}
		}
	}
	d.Close(nil)
}

// What a flush under way has made durable is told of when the log stops for another reason, and when nothing else comes.
func TestWhatIsUnderWayIsTold(t *testing.T) {
	for _, stops := range []bool{false, true} {
		d := atWork(t, t.TempDir(), durable.Slow(func() {}), time.Hour)
		d.Begin()
		if stops {
			d.Halt()
			d.sealLater(*closed(1), nil)
			if err := d.flushBehind(); err != nil {
				t.Fatal(err)
			}
			d.logDown(syscall.EIO)
		} else {
			d.Seal(closed(1), nil)
			d.Flush(noon + 1e9)
			d.Halt()
		}
		if sealed, err := d.Done(); err != nil || len(sealed) != 1 || len(d.out.tasks) != 0 {
			t.Errorf("stops %v: told of %d, %d tasks are held, %v", stops, len(sealed), len(d.out.tasks), err)
		}
		d.Close(nil)
	}
}
