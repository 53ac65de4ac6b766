package evidence

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/evidence/durable"
)

// A log that is opened anew after a failure holds what its last durable checkpoint signed and not a leaf more, whichever
// change failed and whether it landed; what it calls covered is under that checkpoint.
func TestAgainTrustsTheCheckpointAlone(t *testing.T) {
	for way, flush := range ways {
		cut, covers := 0, 0
		for _, landed := range []bool{false, true} {
			for n := 30; ; n++ {
				covered, failed := againAfter(t, flush, durable.Faulty(n, landed), fmt.Sprintf("%s, change %d, landed %v", way, n, landed))
				if !failed {
					break // no change is left to fail
				}
				if covered {
					covers++
				} else {
					cut++
				}
			}
		}
		if cut == 0 || covers == 0 {
			t.Errorf("%s: %d cut, %d covered: a case is missing", way, cut, covers)
		}
	}
}

// againAfter seals on a disk that fails and opens the log anew.
func againAfter(t *testing.T, flush func(*Log) ([]attack.Record, error), disk *durable.Disk, name string) (covered, failed bool) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "e")
	l, err := Open(dir, options(Live, disk))
	if err != nil {
		return false, true
	}
	acked, err := fillBy(flush, l, 12)
	if err == nil {
		return false, false
	}
	done, _ := l.Await()
	acked = append(acked, done...)
	safe := l.Safe()
	again, sealed, covered, err := l.Again(disk.Again())
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	point := Checkpoint{}
	if h, err := ReadHead(dir); err == nil {
		point = h.Checkpoint
	}
	if again.Size() != point.Size || point.Size < safe || covered != (point.Size > safe) || !covered && len(sealed) > 0 {
		t.Fatalf("%s: %d leaves, signed %d, acknowledged before %d; covered %v with %d", name, again.Size(), point.Size, safe, covered, len(sealed))
	}
	if _, err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if r := whole(t, dir); r.Attacks != uint64(len(acked)+len(sealed)) {
		t.Fatalf("%s: %d attacks, acknowledged %d", name, r.Attacks, len(acked)+len(sealed))
	}
	return covered, true
}
