package durable

import (
	"errors"
	"os"
	"path/filepath"
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
