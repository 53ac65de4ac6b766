package evidence

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/dejpha/dejpha/evidence/durable"
)

// A log that is opened anew after a failure holds what its last durable checkpoint signed and not a leaf more, whichever
// change failed and whether it landed; what it calls covered is under that checkpoint.
func TestAgainTrustsTheCheckpointAlone(t *testing.T) {
	cut, covers := 0, 0
	for _, landed := range []bool{false, true} {
		for n := 30; ; n++ {
			dir := filepath.Join(t.TempDir(), "e")
			disk := durable.Faulty(n, landed)
			l, err := Open(dir, options(Live, disk))
			if err != nil {
				continue
			}
			acked, size, failed := 0, int64(0), false
			for i := range 12 {
				x := record(i)
				if failed = l.Seal(&x, []byte(fmt.Sprintf("packets %d", i))) != nil; failed {
					break
				}
				if i%3 != 2 {
					continue
				}
				done, err := l.Flush()
				if failed = err != nil; failed {
					break
				}
				acked, size = acked+len(done), l.Size()
			}
			if !failed {
				break // no change is left to fail
			}
			again, sealed, covered, err := l.Again(disk.Again())
			if err != nil {
				t.Fatalf("change %d, landed %v: %v", n, landed, err)
			}
			point := Checkpoint{}
			if h, err := ReadHead(dir); err == nil {
				point = h.Checkpoint
			}
			if again.Size() != point.Size || point.Size < size || covered != (point.Size > size) || covered != (len(sealed) > 0) {
				t.Fatalf("change %d, landed %v: %d leaves, signed %d, acknowledged before %d; covered %v with %d", n, landed, again.Size(), point.Size, size, covered, len(sealed))
			}
			if covered {
				covers++
			} else {
				cut++
			}
			if _, err := again.Close(); err != nil {
				t.Fatal(err)
			}
			if r := whole(t, dir); r.Attacks != uint64(acked+len(sealed)) {
				t.Fatalf("change %d, landed %v: %d attacks, acknowledged %d", n, landed, r.Attacks, acked+len(sealed))
			}
		}
	}
	if cut == 0 || covers == 0 {
		t.Errorf("%d cut, %d covered: a case is missing", cut, covers)
	}
}
