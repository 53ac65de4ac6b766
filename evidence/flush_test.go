package evidence

import (
	"errors"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/evidence/durable"
	"github.com/dejpha/dejpha/evidence/segment"
)

// manyFiles are limits of entries, private parts, packets and texts: of one of them a new file is begun every few attacks.
var manyFiles = map[string][4]int64{"none": {many, many, many, many}, "entries": {1500, many, many, many},
	"private": {many, 1500, many, many}, "packets": {many, many, 150, many}, "words": {many, many, many, 60}}

const many = int64(segment.FileBytes)

// Flushes behind what is sealed next tell of every attack once, in order, wherever new files are begun meanwhile; what
// they tell of lies under the checkpoint.
func TestFlushBehind(t *testing.T) {
	for name, disk := range map[string]*durable.Disk{"beside": durable.OS(), "one after the other": durable.Slow(func() {})} {
		for what, limits := range manyFiles {
			dir := filepath.Join(t.TempDir(), "e")
			l, err := Open(dir, options(Live, disk))
			if err != nil {
				t.Fatal(err)
			}
			l.entries.Limit, l.private.Limit, l.packets.Limit, l.words.Limit = limits[0], limits[1], limits[2], limits[3]
			flush := func(l *Log) ([]attack.Record, error) {
				done, err := l.FlushBehind()
				for i := range done {
					if done[i].Evidence.Leaf >= l.Safe() {
						t.Errorf("%s: leaf %d is told of, %d are safe", name, done[i].Evidence.Leaf, l.Safe())
					}
				}
				if h, err := ReadHead(dir); len(done) > 0 && (err != nil || h.Checkpoint.Size < l.Safe()) {
					t.Errorf("%s: %d are safe, the checkpoint says %v %v", name, l.Safe(), h.Checkpoint, err)
				}
				return done, err
			}
			acked, err := fillBy(flush, l, 103)
			if err != nil {
				t.Fatal(err)
			}
			have, err := Records(dir, 0)
			if err != nil || len(have) != 103 || !reflect.DeepEqual(have, acked) {
				t.Errorf("%s, %s: told of %d, %d are in the log, %v", name, what, len(acked), len(have), err)
			}
			whole(t, dir)
		}
	}
}

// While a flush is under way, nothing is taken away from the log: it would not know what waits to be told of.
func TestUnderWay(t *testing.T) {
	l, err := Open(filepath.Join(t.TempDir(), "e"), options(Live, durable.Slow(func() {})))
	if err != nil {
		t.Fatal(err)
	}
	x := record(1)
	if err := l.Seal(&x, nil); err != nil {
		t.Fatal(err)
	}
	for _, step := range []func() ([]attack.Record, error){nil, l.FlushBehind} {
		if step != nil {
			if done, err := step(); err != nil || len(done) > 0 {
				t.Fatal(done, err)
			}
		}
		for what, err := range map[string]error{"erased": l.Erase(x.Evidence.Leaf, t0, "why"), "retained": l.Retain(Keep{}, t0), "withdrawn": l.Withdraw([]int64{x.Evidence.Leaf}, t0, "why")} {
			if !errors.Is(err, errPending) {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	if done, err := l.Await(); err != nil || len(done) != 1 {
		t.Fatal(done, err)
	}
	if err := l.Withdraw([]int64{x.Evidence.Leaf}, t0, "why"); err != nil {
		t.Error(err)
	}
}

// A log does not give its folder back before the flush under way has ended: its checkpoint would take the place of a newer
// one.
func TestNoFlushOutlivesItsLog(t *testing.T) {
	l, err := Open(filepath.Join(t.TempDir(), "e"), options(Live, nil))
	if err != nil {
		t.Fatal(err)
	}
	work, ended := make(chan error), make(chan bool)
	l.under = &flushing{work: func() error { return nil }, done: work}
	go func() {
		l.Abandon()
		close(ended)
	}()
	select {
	case work <- nil:
	case <-ended:
		t.Fatal("the log was given back")
	}
	<-ended
}
