package shield

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dejpha/dejpha/config"
	"github.com/dejpha/dejpha/evidence"
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

// retain lets go of what the configuration no longer keeps: nothing of it may wait to be acknowledged. Each file's
// deletion is an event of the log before it is done.
func (m *merger) retain() error {
	c := m.set.config
	keep := evidence.Keep{Packets: limit(c.KeepPackets), Private: limit(c.KeepPrivate)}
	if err := m.sealer.log.Retain(keep, m.now); err != nil {
		return err
	}
	old, err := m.records.outdated(c.KeepEve, m.now)
	if err != nil || len(old) == 0 {
		return err
	}
	for _, path := range old {
		if err := m.sealer.log.Event(evidence.CodeRetention, m.now, -1, []byte("eve/"+filepath.Base(path)), nil); err != nil {
			return err
		}
	}
	if _, err := m.sealer.log.Flush(); err != nil {
		return err
	}
	for _, path := range old {
		if err := m.records.disk.Remove(path); err != nil {
			return saidOfRecords(err)
		}
	}
	return nil
}

func limit(k config.Keep) evidence.Limit {
	return evidence.Limit{Bytes: k.Bytes, Age: time.Duration(k.Days) * day}
}

// ripe says whether the record file shall be closed and a new one begun.
func (r *recordFile) ripe(keep config.Keep, now int64) bool {
	size := r.file.Size()
	if size == 0 || keep == (config.Keep{}) {
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

// rotate gives the record file, which is synced, the name of its time, and begins a new one.
func (r *recordFile) rotate(now int64) error {
	ext := filepath.Ext(r.path)
	to := strings.TrimSuffix(r.path, ext) + "-" + time.Unix(0, now).UTC().Format(stampForm) + ext
	for n := 1; exists(to); n++ { // the log's clock stood
		to = fmt.Sprintf("%s-%s.%d%s", strings.TrimSuffix(r.path, ext), time.Unix(0, now).UTC().Format(stampForm), n, ext)
	}
	if err := r.disk.Rename(r.path, to); err != nil {
		return saidOfRecords(err)
	}
	return r.reopen()
}

// reopen goes on in the file that now bears the name: a new one, if the old was moved away.
func (r *recordFile) reopen() error {
	if _, err := r.sync(); err != nil {
		return err
	}
	_ = r.file.Close()
	file, err := r.disk.OpenShared(r.path)
	if err != nil {
		return saidOfRecords(err)
	}
	r.file, r.began = file, 0
	r.w.Reset(r.file)
	return nil
}

// outdated lists the closed record files past what is kept, oldest first.
func (r *recordFile) outdated(keep config.Keep, now int64) ([]string, error) {
	if keep == (config.Keep{}) {
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
