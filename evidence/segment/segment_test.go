package segment

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/dejpha/dejpha/evidence/durable"
)

// filled is a store of n entries or records, a few to a file, and their positions.
func filled(t *testing.T, n int, put func(s *Store, i int) (uint64, error)) (*Store, []uint64) {
	t.Helper()
	s, err := Open(durable.OS(), filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	s.Limit = 100
	var at []uint64
	for i := range n {
		pos, err := put(s, i)
		if err != nil {
			t.Fatal(err)
		}
		at = append(at, pos)
	}
	if err := s.Write(); err != nil {
		t.Fatal(err)
	}
	return s, at
}

func text(i int) []byte { return fmt.Appendf(nil, "the bytes of %d", i) }

func entry(s *Store, i int) (uint64, error)  { return s.Entry(text(i)) }
func record(s *Store, i int) (uint64, error) { return s.Record(int64(i*10), text(i)) }

// What was appended is read again, one by one, in a walk, and after a store is opened anew.
func TestEntries(t *testing.T) {
	s, at := filled(t, 20, entry)
	if files, err := List(s.Dir); err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	for i, pos := range at {
		if b, err := ReadEntry(s.Dir, pos, 100); err != nil || !bytes.Equal(b, text(i)) {
			t.Errorf("entry %d: %q, %v", i, b, err)
		}
	}
	end, err := Scan(s.Dir, func(i int64, pos uint64, b []byte) error {
		if pos != at[i] || !bytes.Equal(b, text(int(i))) {
			t.Errorf("entry %d at %x: %q", i, pos, b)
		}
		return nil
	})
	if err != nil || end.Bad || end.Size != 20 {
		t.Error(end, err)
	}
	again, err := Open(durable.OS(), s.Dir)
	if err != nil || again.Number != s.Number || again.length() != s.length() {
		t.Error(again, err)
	}
	if err := again.Cut(at[3]); err != nil {
		t.Fatal(err)
	}
	if end, err := Scan(s.Dir, func(int64, uint64, []byte) error { return nil }); err != nil || end.Bad || end.Size != 3 || end.Pos != at[3] {
		t.Error("cut:", end, err)
	}
}

func TestRecords(t *testing.T) {
	s, at := filled(t, 20, record)
	walk := Records{Dir: s.Dir}
	defer walk.Close()
	for i, pos := range at {
		leaf := int64(i * 10)
		one, err := ReadRecord(s.Dir, pos, leaf)
		if err != nil || !bytes.Equal(one, text(i)) {
			t.Errorf("record %d: %q, %v", i, one, err)
		}
		if b, err := walk.Read(pos, leaf); err != nil || !bytes.Equal(b, text(i)) {
			t.Errorf("record %d in a walk: %q, %v", i, b, err)
		}
		path, from, n, err := FindRecord(s.Dir, pos, leaf)
		if file, _ := os.ReadFile(path); err != nil || !bytes.Equal(file[from:from+n], text(i)) {
			t.Errorf("record %d: found %d bytes at %d of %s, %v", i, n, from, path, err)
		}
		if _, err := ReadRecord(s.Dir, pos, leaf+1); !errors.Is(err, ErrFrame) {
			t.Errorf("record %d is another leaf's, too: %v", i, err)
		}
		if _, err := walk.Read(pos, leaf+1); !errors.Is(err, ErrFrame) {
			t.Errorf("record %d is another leaf's in a walk, too: %v", i, err)
		}
	}
	list, _ := List(s.Dir)
	for n := range list {
		var want []int64
		for i, pos := range at {
			if file, _ := Place(pos); file == n {
				want = append(want, int64(i*10))
			}
		}
		if first, last := FirstLeaf(Name(s.Dir, n)), LastLeaf(Name(s.Dir, n)); len(want) > 0 && (first != want[0] || last != want[len(want)-1]) {
			t.Errorf("file %d: leaves %d to %d, want %v", n, first, last, want)
		}
	}
}

// One bit turned, or one byte too few, anywhere: the frame it belongs to is not read.
func TestDamage(t *testing.T) {
	for name, put := range map[string]func(*Store, int) (uint64, error){"entries": entry, "records": record} {
		s, at := filled(t, 1, put)
		path := Name(s.Dir, 0)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		read := func(b []byte) (err error) {
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			if name == "records" {
				walk := Records{Dir: s.Dir}
				defer walk.Close()
				_, err = walk.Read(at[0], 0)
				if _, one := ReadRecord(s.Dir, at[0], 0); (one == nil) != (err == nil) {
					t.Errorf("%s: one by one %v, in a walk %v", name, one, err)
				}
				return err
			}
			end, err := Scan(s.Dir, func(int64, uint64, []byte) error { return nil })
			_, one := ReadEntry(s.Dir, at[0], 100)
			if whole := err == nil && end.Size == 1 && !end.Bad; whole != (one == nil) {
				t.Errorf("%s: one by one %v, in a walk %v %v", name, one, end, err)
			}
			return one
		}
		if err := read(whole); err != nil {
			t.Fatal(name, err)
		}
		for bit := range len(whole) * 8 {
			b := bytes.Clone(whole)
			b[bit/8] ^= 1 << (bit % 8)
			if read(b) == nil {
				t.Errorf("%s: bit %d was turned, and nobody noticed", name, bit)
			}
		}
		for n := range whole {
			if read(whole[:n]) == nil {
				t.Errorf("%s: %d of %d bytes were enough", name, n, len(whole))
			}
		}
	}
}
