package evidence

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/evidence/segment"
)

// Opener opens attacks' private parts one after the other, as a walk over the leaves needs them: files stay open between
// them. One owner; no locks.
type Opener struct {
	seeds *segment.Window
	parts segment.Records
	words wordReader
}

// NewOpener opens those of a folder.
func NewOpener(dir string) (*Opener, error) {
	seeds, err := segment.OpenWindow(filepath.Join(dir, "seeds"))
	if err != nil {
		return nil, fmt.Errorf("reading seeds: %w", err)
	}
	return &Opener{seeds, segment.Records{Dir: filepath.Join(dir, "private")}, wordReader{dir: dir}}, nil
}

// Open is the record of an attack's leaf, without its story, held to what the leaf committed to. ErrErased when it was
// erased or fell to retention; else a CorruptError.
func (o *Opener) Open(leaf int64, x *AttackLeaf) (*attack.Record, error) {
	_, p, r, err := unhide(o.seeds.Get(leaf*slotBytes, slotBytes), &o.parts, &o.words, leaf, x.Private)
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrErased
	} else if err != nil {
		return nil, err
	}
	if !p.agrees(r, x, leaf) {
		return nil, &CorruptError{fmt.Sprintf("leaf %d: it does not say what its private part says", leaf)}
	}
	if r == nil { // it did not fit the short form
		read, err := laidOut(&p, leaf)
		return &read, err
	}
	r.Evidence.Leaf = leaf
	return r, nil
}

// unhide opens what a leaf's line in seeds leads to, and holds it to what the leaf committed to. ErrErased: it was erased;
// os.ErrNotExist: its file fell to retention; else a CorruptError.
func unhide(line []byte, parts *segment.Records, words *wordReader, leaf int64, want [32]byte) (s slot, p Private, r *attack.Record, err error) {
	wrong := func(what string) error { return &CorruptError{fmt.Sprintf("leaf %d: %s", leaf, what)} }
	if len(line) < slotBytes {
		return s, p, nil, wrong("its line in seeds is missing")
	}
	if s = decodeSlot(line); s.erased() {
		return s, p, nil, ErrErased
	} else if s.private == 0 {
		return s, p, nil, wrong("its private part is missing")
	}
	sealed, err := parts.Read(s.private-1, leaf)
	if errors.Is(err, os.ErrNotExist) {
		return s, p, nil, os.ErrNotExist
	}
	if err == nil {
		p, r, err = openPrivate(sealed, s.seed[:], words)
	}
	if err != nil || p.commitment(s.seed[:]) != want {
		return s, p, nil, wrong("its private part is not what the leaf committed to")
	}
	return s, p, r, nil
}

// Close gives the files back.
func (o *Opener) Close() {
	o.seeds.Close()
	o.parts.Close()
}
