package durable

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestAppendReplaceOverwrite(t *testing.T) {
	d, dir := OS(), t.TempDir()
	a, err := d.OpenAppend(filepath.Join(dir, "a"))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = a.Write([]byte("hello"))
	if err := errors.Join(a.Sync(), a.Truncate(4), d.Overwrite(filepath.Join(dir, "a"), 1, []byte("E")), d.Replace(filepath.Join(dir, "b"), []byte("x")), a.Close()); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "a")); string(b) != "hEll" {
		t.Errorf("file holds %q", b)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "b")); string(b) != "x" {
		t.Errorf("replaced file holds %q", b)
	}
	l, err := d.Lock(filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Lock(filepath.Join(dir, "lock")); !errors.Is(err, ErrLocked) {
		t.Errorf("second lock: %v", err)
	}
	_ = l.Close()
}

func TestFaultLosesWhatWasNotSynced(t *testing.T) {
	for _, landed := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "a")
		d := Faulty(5, landed) // open, write, sync, write, (write fails)
		a, err := d.OpenAppend(path)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = a.Write([]byte("safe"))
		_ = a.Sync()
		_, _ = a.Write([]byte("loose"))
		if _, err := a.Write([]byte("last")); !errors.Is(err, ErrInjected) {
			t.Fatalf("no fault: %v", err)
		}
		if err := a.Sync(); !errors.Is(err, ErrInjected) {
			t.Error("a change after the fault was made")
		}
		want := "safe"
		if landed {
			want = "safelooselast"
		}
		if b, _ := os.ReadFile(path); string(b) != want {
			t.Errorf("landed %v: file holds %q", landed, b)
		}
	}
}

// Files that are synced together are safe together; one that cannot be is named, and ends the disk as any failure does.
func TestSyncTogether(t *testing.T) {
	d := OS()
	var files []*Append
	for _, name := range []string{"a", "b", "c"} {
		a, err := d.OpenAppend(filepath.Join(t.TempDir(), name))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, a)
	}
	write := func(list ...*Append) {
		t.Helper()
		for _, a := range list {
			if _, err := a.Write([]byte("text")); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, some := range []int{0, 1, 2, 3} {
		write(files[:some]...)
		before := d.Ops()
		if err := d.Hold(slices.Clone(files)...).Sync(); err != nil || d.Ops() != before+some {
			t.Errorf("%d files: %v, %d changes", some, err, d.Ops()-before)
		}
		for _, a := range files {
			if a.synced.Load() != a.size {
				t.Errorf("%d files: %s is safe up to %d of %d", some, a.path, a.synced.Load(), a.size)
			}
		}
	}
	write(files...)
	_ = files[1].f.Close()
	err := d.Hold(slices.Clone(files)...).Sync()
	if err == nil || !strings.Contains(err.Error(), files[1].path) || strings.Contains(err.Error(), files[0].path) {
		t.Errorf("one file is gone: %v", err)
	}
	if files[0].synced.Load() == files[0].size {
		t.Error("a file counts as safe although the batch failed")
	}
	if _, again := files[2].Write([]byte("more")); again == nil {
		t.Error("the disk goes on after a failure")
	}
}

// What is appended after files were held is not made safe with them, and nobody waits for the disk to append it.
func TestHeld(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	d := Faulty(5, false) // open, write, write, sync, (write fails)
	a, err := d.OpenAppend(path)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = a.Write([]byte("held"))
	h := d.Hold(a)
	_, _ = a.Write([]byte("later"))
	if err := h.Sync(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Write([]byte("last")); !errors.Is(err, ErrInjected) {
		t.Fatalf("no fault: %v", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "held" {
		t.Errorf("file holds %q", b)
	}

	d = OS()
	if a, err = d.OpenAppend(filepath.Join(t.TempDir(), "b")); err != nil {
		t.Fatal(err)
	}
	waiting, goOn := make(chan bool), make(chan bool)
	go func() {
		_ = d.do("waiting", func() error { waiting <- true; <-goOn; return nil })
		waiting <- true
	}()
	<-waiting
	if _, err := a.Write([]byte("meanwhile")); err != nil {
		t.Error(err)
	}
	goOn <- true
	<-waiting
}

// Several that replace one file at the same moment all succeed, and one of them is there whole.
func TestReplaceBesideEachOther(t *testing.T) {
	d, path := OS(), filepath.Join(t.TempDir(), "a")
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			if err := d.Replace(path, bytes.Repeat([]byte{byte('a' + i%26)}, 50_000)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	b, err := os.ReadFile(path)
	if err != nil || len(b) != 50_000 || len(bytes.Trim(b, string(b[:1]))) > 0 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}
