package records

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	day = 24 * time.Hour
	// rotateParts: a record file is closed after this part of what is kept, so that whole files can be deleted.
	rotateParts = 8
	// rotateMost closes a record file early: other tools read such files whole.
	rotateMost = 256 << 20
	// stampForm is the time in a closed record file's name: when it was closed, by the log's clock, UTC.
	stampForm = "20060102T150405Z"
)

// Keep is how much is kept of closed files; zero: all.
type Keep struct {
	Bytes int64
	Days  int
}

// Ripe says whether the record file shall be closed and a new one begun.
func (r *File) Ripe(keep Keep, now int64) bool {
	size := r.file.Size()
	if size == 0 || keep == (Keep{}) {
		return false
	}
	if r.began == 0 {
		r.began = firstStamp(r.path, now)
	}
	return keep.Bytes > 0 && size >= min(keep.Bytes/rotateParts, rotateMost) || keep.Days > 0 && now-r.began >= int64(day)*int64(keep.Days)/rotateParts
}

// firstStamp is the time of a file's first record, now if it cannot be told.
func firstStamp(path string, now int64) int64 {
	f, err := os.Open(path)
	if err != nil {
		return now
	}
	defer f.Close()
	var head [64]byte
	n, _ := f.Read(head[:])
	text, ok := strings.CutPrefix(string(head[:n]), `{"timestamp":"`)
	if text, _, found := strings.Cut(text, `"`); ok && found {
		if at, err := time.Parse("2006-01-02T15:04:05.999999-0700", text); err == nil {
			return at.UnixNano()
		}
	}
	return now
}

// Rotate gives the record file, which is synced, the name of its time, and begins a new one.
func (r *File) Rotate(now int64) error {
	ext := filepath.Ext(r.path)
	to := strings.TrimSuffix(r.path, ext) + "-" + time.Unix(0, now).UTC().Format(stampForm) + ext
	for n := 1; there(to); n++ { // the log's clock stood
		to = fmt.Sprintf("%s-%s.%d%s", strings.TrimSuffix(r.path, ext), time.Unix(0, now).UTC().Format(stampForm), n, ext)
	}
	if err := r.disk.Rename(r.path, to); err != nil {
		return said(err)
	}
	return r.Reopen()
}

// Reopen goes on in the file that now bears the name: a new one, if the old was moved away.
func (r *File) Reopen() error {
	if _, err := r.Sync(); err != nil {
		return err
	}
	_ = r.file.Close()
	file, err := r.disk.OpenShared(r.path)
	if err != nil {
		return said(err)
	}
	r.file, r.began = file, 0
	r.w.Reset(r.file)
	return nil
}

// Outdated lists the closed record files past what is kept, oldest first.
func (r *File) Outdated(keep Keep, now int64) ([]string, error) {
	if keep == (Keep{}) {
		return nil, nil
	}
	ext := filepath.Ext(r.path)
	base := strings.TrimSuffix(r.path, ext) + "-"
	list, err := os.ReadDir(filepath.Dir(r.path))
	if err != nil {
		return nil, fmt.Errorf("cannot list records: %w", err)
	}
	type closedFile struct {
		path   string
		size   int64
		at     time.Time
		number int // among those closed while the log's clock stood
	}
	var files []closedFile
	total := r.file.Size()
	for _, e := range list {
		path := filepath.Join(filepath.Dir(r.path), e.Name())
		text, ours := strings.CutPrefix(path, base)
		text, ours2 := strings.CutSuffix(text, ext)
		if !ours || !ours2 || len(text) < len(stampForm) {
			continue
		}
		at, err := time.Parse(stampForm, text[:len(stampForm)])
		info, err2 := e.Info()
		if err != nil || err2 != nil {
			continue
		}
		number, _ := strconv.Atoi(strings.TrimPrefix(text[len(stampForm):], "."))
		files = append(files, closedFile{path, info.Size(), at, number})
		total += info.Size()
	}
	slices.SortFunc(files, func(x, y closedFile) int { return cmp.Or(x.at.Compare(y.at), cmp.Compare(x.number, y.number)) })
	var old []string
	for _, f := range files {
		if !(keep.Bytes > 0 && total > keep.Bytes || keep.Days > 0 && now-f.at.UnixNano() > int64(keep.Days)*int64(day)) {
			break
		}
		total -= f.size
		old = append(old, f.path)
	}
	return old, nil
}

func there(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
