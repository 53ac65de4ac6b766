package console

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/console/index"
	"github.com/dejpha/dejpha/evidence/amend"
	"github.com/dejpha/dejpha/evidence/durable"
)

// An attack that a correction withdrew is shown with the reason and counted nowhere: in an index that held it before, in
// one made anew, and when its private part is erased besides.
func TestWithdrawnIsShownAndNotCounted(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, record(1, "scan"), record(2, "exploit"), record(3, "scan"), record(4, "scan")).enter()
	opt := s.opt
	s.settle(4)
	var sum struct {
		figures
		Needs []row
	}
	if s.get("/api/summary", &sum); sum.Observed != 4 || len(sum.Needs) != 2 {
		t.Fatalf("before: %+v", sum)
	}
	row, err := s.index.Get(t.Context(), 1)
	if err != nil || row == nil {
		t.Fatal(err)
	}
	leaf := row.Evidence.Leaf
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	at, err := amend.Find(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := at.Withdraw(durable.OS(), []int64{leaf}, t0+86400e9, "a <b>scanner</b> of ours"); err != nil {
		t.Fatal(err)
	}
	again := func(what string, done func(r *attack.Record) bool) {
		t.Helper()
		var err error
		if s.Console, err = New(opt); err != nil {
			t.Fatal(err)
		}
		if err := s.Serve(); err != nil {
			t.Fatal(err)
		}
		s.settle(4)
		for n := 0; ; n++ { // the index takes it in beside
			list, _, err := s.index.List(t.Context(), &index.Filter{State: []string{"withdrawn"}}, "", 10, 0)
			if err != nil || n > 5000 {
				t.Fatalf("%s: the index does not say that it is withdrawn: %v", what, err)
			}
			if len(list) == 1 && done(&list[0]) {
				break
			}
			time.Sleep(time.Millisecond)
		}
		if code, body := s.do("POST", "/api/login", `{"password":"correct horse"}`); code != 200 {
			t.Fatal(code, body)
		}
		sum.Needs = nil
		if s.get("/api/summary", &sum); sum.Observed != 3 || len(sum.Needs) != 1 || sum.Needs[0].ID == 1 {
			t.Errorf("%s: %+v", what, sum)
		}
		var list struct{ Items []struct{ ID uint64 } }
		if s.get("/api/attacks?state=withdrawn", &list); len(list.Items) != 1 || list.Items[0].ID != 1 {
			t.Errorf("%s: withdrawn are %+v", what, list)
		}
		var one struct{ State, Withdrawn string }
		if s.get("/api/attacks/1", &one); one.State != "withdrawn" || one.Withdrawn != "a <b>scanner</b> of ours" {
			t.Errorf("%s: %+v", what, one)
		}
		if s.get("/api/attacks/4", &one); one.State != "closed" || one.Withdrawn != "" {
			t.Errorf("%s: another is %+v", what, one)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	any := func(*attack.Record) bool { return true }
	again("an index of before", any)
	if err := os.Remove(filepath.Join(dir, "console.db")); err != nil {
		t.Fatal(err)
	}
	again("a new index", any)
	l, err := at.Open(durable.OS(), t0+2*86400e9)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Erase(leaf, l.Now(), "asked"); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Close(); err != nil {
		t.Fatal(err)
	}
	again("erased, too", func(r *attack.Record) bool { return r.Origin.IP == "" })
}
