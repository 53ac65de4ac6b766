package evidence

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dejpha/dejpha/attack"
)

// tampered is one change to one file of a folder.
type tampered struct {
	file   string
	before []byte
	after  []byte
}

// tamper changes a file as a fuzzer says: bytes are put in the place of others, or the rest is cut off.
func tamper(content []byte, at uint32, with []byte, cut bool) []byte {
	out := bytes.Clone(content)
	i := int(at) % (len(out) + 1)
	n := copy(out[i:], with)
	out = append(out, with[n:]...)
	if cut {
		out = out[:i]
	}
	return out
}

// FuzzFolder reads a sealed folder of which one file was changed. Nothing panics or hangs; whatever was changed in what
// the checkpoint vouches for is found; what opens again for writing closes again.
func FuzzFolder(f *testing.F) {
	sealed := f.TempDir()
	l, err := Open(sealed, options(Live, nil))
	if err != nil {
		f.Fatal(err)
	}
	if err := l.SetRules([]byte("rules"), t0-8e9); err != nil {
		f.Fatal(err)
	}
	acked, err := fill(l, 12)
	if err != nil {
		f.Fatal(err)
	}
	content := map[string][]byte{}
	_ = filepath.WalkDir(sealed, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(sealed, path)
			content[name], err = os.ReadFile(path)
		}
		return err
	})
	names := make([]string, 0, len(content))
	for name := range content {
		names = append(names, name)
	}
	slices.Sort(names)
	for i := range names {
		f.Add(uint8(i), uint32(0), []byte{}, false)
		f.Add(uint8(i), uint32(9), []byte("\x00\xff\x01"), false)
		f.Add(uint8(i), uint32(77), []byte{}, true)
	}
	work := f.TempDir()
	f.Fuzz(func(t *testing.T, which uint8, at uint32, with []byte, cut bool) {
		if len(with) > 1<<12 {
			return
		}
		name := names[int(which)%len(names)]
		x := tampered{name, content[name], tamper(content[name], at, with, cut)}
		dir := filepath.Join(work, "log")
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		for n, b := range content {
			if n == x.file {
				b = x.after
			}
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, n)), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, n), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		r, err := CheckAll(dir, "")
		r.Print(io.Discard)
		found := err != nil || !r.OK()
		same := bytes.Equal(x.before, x.after)
		if same && found {
			t.Fatalf("nothing was changed, and it is found wrong: %v %q", err, r.Problems)
		}
		if !same && !found && vouched(x, acked) {
			t.Fatalf("%s was changed at %d of %d bytes, now %d, and it is not found", x.file, int(at)%(len(x.before)+1), len(x.before), len(x.after))
		}
		for _, a := range acked[:4] {
			leaf := a.Evidence.Leaf
			_, _ = ReadRecord(dir, leaf)
			_, _ = ReadPackets(dir, leaf)
			_, _ = ReadProof(dir, leaf)
			_, _ = Commitments(dir, leaf)
		}
		_, _ = Records(dir, 0)
		again, err := Open(dir, options(Live, nil))
		if err != nil {
			return
		}
		_, _, _ = again.Resume()
		_, _ = again.Close()
	})
}

// vouched says whether a change must be found: all but what only a writer reads, bytes past what is sealed, seeds of
// leaves that hide nothing, and signatures that are written another way.
func vouched(x tampered, acked []attack.Record) bool {
	switch {
	case x.file == "seeds":
		return slices.ContainsFunc(acked, func(r attack.Record) bool {
			from := int(r.Evidence.Leaf) * slotBytes
			return len(x.after) < from+slotBytes || !bytes.Equal(x.before[from:from+slotBytes], x.after[from:from+slotBytes])
		})
	case x.file == "checkpoint", x.file == "format", x.file == "lock", strings.HasPrefix(x.file, "rules"), strings.HasPrefix(x.file, "snapshot"):
		return false
	}
	return !bytes.HasPrefix(x.after, x.before) // only longer: nothing in it is sealed
}
