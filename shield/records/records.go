// Package records keeps the record file of a run, eve.json: whole lines, mended after a crash, closed in time so that
// retention can let go of whole files.
//
// In: lines. Out: a file that other tools can read at any moment. Called by shield's merge point, its only owner.
// It never looks into a line but to mend the file.
package records

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/dejpha/dejpha/evidence/durable"
)

const (
	eveBuffer = 1 << 20
	cached    = 64 << 20 // of the file's end stays in memory, for those who follow it
)

// File is eve.json of a run: whole lines, buffered, at its end. Owner: the merge point.
type File struct {
	disk  *durable.Disk // of its own: when records cannot be written, sealing goes on
	path  string
	file  *durable.Append
	w     *bufio.Writer
	began int64 // time of the first record, ns; 0: not yet looked up
}

// Open opens or makes a record file. fresh empties one that is there.
func Open(path string, fresh bool) (*File, error) {
	r := &File{disk: durable.OS(), path: path}
	var err error
	if r.file, err = r.disk.OpenShared(path); err == nil && fresh {
		err = r.file.Truncate(0)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot write records: %w", err)
	}
	r.w = bufio.NewWriterSize(r.file, eveBuffer)
	return r, nil
}

// Path is the file's name.
func (r *File) Path() string { return r.path }

// Remove deletes a closed record file.
func (r *File) Remove(path string) error { return said(r.disk.Remove(path)) }

// Write takes whole lines.
func (r *File) Write(line []byte) (int, error) {
	n, err := r.w.Write(line)
	r.file.Drop(cached)
	return n, said(err)
}

// Flush hands everything to the kernel: it survives this process, not yet a power cut.
func (r *File) Flush() error { return said(r.w.Flush()) }

// Sync makes everything survive a power cut and returns the file's length.
func (r *File) Sync() (int64, error) {
	if err := r.Flush(); err != nil {
		return 0, err
	}
	return r.file.Size(), said(r.file.Sync())
}

func said(err error) error {
	if err != nil {
		return fmt.Errorf("cannot write records: %w", err)
	}
	return nil
}

// Close writes what is left; a second call does nothing. A line that could not be written whole is taken out
// again: what is there stays readable.
func (r *File) Close() error {
	if r.file == nil {
		return nil
	}
	err := r.Flush()
	_ = r.file.Close()
	r.file = nil
	if err != nil {
		cutTail(r.path)
	}
	return err
}

// tailMax is how far cutTail looks back for a line's beginning: records are far shorter.
const tailMax = 8 << 20

// cutTail takes away what stands behind the last whole line, as far as it can: the disk may refuse that, too.
func cutTail(path string) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return
	}
	from := max(0, info.Size()-tailMax)
	tail, err := io.ReadAll(io.NewSectionReader(f, from, tailMax))
	if err != nil {
		return
	}
	if end := bytes.LastIndexByte(tail, '\n') + 1; end > 0 || from == 0 {
		_ = f.Truncate(from + int64(end))
	}
}

// Size is the file's length, bytes, without what is buffered.
func (r *File) Size() int64 { return r.file.Size() }

// Again opens the file anew after it could not be written: what is not whole lines at its end is cut. since is a length
// that was synced.
func (r *File) Again(since int64) (Mended, error) {
	_ = r.file.Close()
	cutTail(r.path)
	m, err := MendFile(r.path, since)
	if err != nil {
		return m, err
	}
	disk := durable.OS()
	file, err := disk.OpenShared(r.path)
	if err != nil {
		return m, said(err)
	}
	r.disk, r.file, r.began = disk, file, 0
	r.w.Reset(r.file)
	return m, nil
}

// Mend repairs the file after a crash; nothing may have been written to it yet.
func (r *File) Mend(since int64) (Mended, error) {
	m, err := MendFile(r.path, since)
	if err != nil || m.Cut == 0 {
		return m, err
	}
	return m, r.Reopen()
}

// Mended is what a look at the end of a record file found.
type Mended struct {
	Size int64  // of the whole lines
	Cut  int64  // bytes behind them, taken away
	Leaf int64  // of the last sealed attack written; -1: none since
	ID   uint64 // highest number of an attack written
}

// MendFile looks at the lines since an offset, which a snapshot vouches for, and cuts the file where they end
// to be whole: in the line that a crash tore, or where a power cut left no record.
func MendFile(path string, since int64) (Mended, error) {
	m := Mended{Leaf: -1}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return m, fmt.Errorf("cannot read records: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return m, fmt.Errorf("cannot read records: %w", err)
	}
	if !info.Mode().IsRegular() {
		return m, nil // a pipe or device: there is nothing to look at
	}
	m.Size = lineStart(f, since, info.Size())
	r := bufio.NewReaderSize(io.NewSectionReader(f, m.Size, info.Size()-m.Size), eveBuffer)
	for {
		line, err := r.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return m, fmt.Errorf("cannot read records: %w", err)
		}
		if err != nil || !json.Valid(line) {
			break
		}
		m.Attack(line)
		m.Size += int64(len(line))
	}
	if m.Cut = info.Size() - m.Size; m.Cut > 0 {
		if err := f.Truncate(m.Size); err != nil {
			return m, fmt.Errorf("cannot mend records: %w", err)
		}
	}
	return m, nil
}

// lineStart is since if a line begins there, else 0: someone has changed the file.
func lineStart(f *os.File, since, size int64) int64 {
	var before [1]byte
	if since <= 0 || since > size {
		return 0
	}
	if _, err := f.ReadAt(before[:], since-1); err != nil || before[0] != '\n' {
		return 0
	}
	return since
}

// Attack takes note of a line, if it is an attack's.
func (m *Mended) Attack(line []byte) {
	if !bytes.Contains(line, []byte(`"event_type":"attack"`)) {
		return
	}
	var x struct {
		Attack struct {
			ID       uint64
			Evidence *struct{ Leaf int64 }
		}
	}
	if json.Unmarshal(line, &x) != nil {
		return
	}
	m.ID = max(m.ID, x.Attack.ID)
	if e := x.Attack.Evidence; e != nil {
		m.Leaf = max(m.Leaf, e.Leaf)
	}
}
