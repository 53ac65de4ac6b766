package shield

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

const eveBuffer = 1 << 20

// recordFile is eve.json of a run: whole lines, buffered, at its end. Owner: the merge point.
type recordFile struct {
	disk  *durable.Disk // of its own: when records cannot be written, sealing goes on
	path  string
	file  *durable.Append
	w     *bufio.Writer
	began int64 // time of the first record, ns; 0: not yet looked up
}

// openRecords opens or makes a record file. fresh empties one that is there.
func openRecords(path string, fresh bool) (*recordFile, error) {
	r := &recordFile{disk: durable.OS(), path: path}
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

// Write takes whole lines.
func (r *recordFile) Write(line []byte) (int, error) {
	n, err := r.w.Write(line)
	return n, saidOfRecords(err)
}

// flush hands everything to the kernel: it survives this process, not yet a power cut.
func (r *recordFile) flush() error { return saidOfRecords(r.w.Flush()) }

// sync makes everything survive a power cut and returns the file's length.
func (r *recordFile) sync() (int64, error) {
	if err := r.flush(); err != nil {
		return 0, err
	}
	return r.file.Size(), saidOfRecords(r.file.Sync())
}

func saidOfRecords(err error) error {
	if err != nil {
		return fmt.Errorf("cannot write records: %w", err)
	}
	return nil
}

// close writes what is left; a second call does nothing. A line that could not be written whole is taken out
// again: what is there stays readable.
func (r *recordFile) close() error {
	if r.file == nil {
		return nil
	}
	err := r.flush()
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

// mend repairs the file after a crash; nothing may have been written to it yet.
func (r *recordFile) mend(since int64) (mended, error) {
	m, err := mendRecords(r.path, since)
	if err != nil || m.cut == 0 {
		return m, err
	}
	return m, r.reopen()
}

// mended is what a look at the end of a record file found.
type mended struct {
	size int64  // of the whole lines
	cut  int64  // bytes behind them, taken away
	leaf int64  // of the last sealed attack written; -1: none since
	id   uint64 // highest number of an attack written
}

// mendRecords looks at the lines since an offset, which a snapshot vouches for, and cuts the file where they end
// to be whole: in the line that a crash tore, or where a power cut left no record.
func mendRecords(path string, since int64) (mended, error) {
	m := mended{leaf: -1}
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
	m.size = lineStart(f, since, info.Size())
	r := bufio.NewReaderSize(io.NewSectionReader(f, m.size, info.Size()-m.size), eveBuffer)
	for {
		line, err := r.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return m, fmt.Errorf("cannot read records: %w", err)
		}
		if err != nil || !json.Valid(line) {
			break
		}
		m.attack(line)
		m.size += int64(len(line))
	}
	if m.cut = info.Size() - m.size; m.cut > 0 {
		if err := f.Truncate(m.size); err != nil {
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

// attack takes note of an attack's line.
func (m *mended) attack(line []byte) {
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
	m.id = max(m.id, x.Attack.ID)
	if e := x.Attack.Evidence; e != nil {
		m.leaf = max(m.leaf, e.Leaf)
	}
}
