// Package amend adds to a sealed log that no shield writes to: it finds and opens one for whoever has something to tell
// of its leaves, withdraws attacks that were false alarms, and lists what was withdrawn.
//
// In: a run's folder with its signing key, leaves, a reason. Out: corrections under a new checkpoint. Called by forget
// (opening), console (what was withdrawn) and cmd. What is refused leaves no trace in the log.
package amend

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/evidence/durable"
)

// ErrInUse says that a shield writes to the log.
var ErrInUse = errors.New("a running shield writes to this log")

// KeyError says that there is no signing key, without which nothing can be added to a log.
type KeyError struct{ Path string }

// Error names the path.
func (e *KeyError) Error() string {
	return fmt.Sprintf("no signing key at %s: what is added to a log must be signed", e.Path)
}

// Stopped is a log that nobody writes to, found from its run's folder.
type Stopped struct {
	Log, Run string // the log's folder, and the run's
	Key      string // path of the signing key
	Head     evidence.Head
}

// Find finds the log of a run's folder, or takes the log's own, and its signing key; key "" is log.key beside the
// log. Errors: KeyError, and what ReadHead says.
func Find(dir, key string) (s Stopped, err error) {
	exists := func(name string) bool {
		_, err := os.Stat(name)
		return err == nil
	}
	s.Log = dir
	if below := filepath.Join(dir, "evidence"); exists(below) {
		s.Log = below
	}
	s.Run = filepath.Dir(s.Log)
	if s.Head, err = evidence.ReadHead(s.Log); err != nil {
		return s, err
	}
	if s.Key = key; key == "" {
		s.Key = filepath.Join(s.Run, "log.key")
	}
	if !exists(s.Key) {
		return s, &KeyError{s.Key}
	}
	return s, nil
}

// Open opens it to add what is told of sealed leaves, of a recording, too. now, ns, is of a live log, whose clock goes
// on. What a crash had left whole is sealed first. ErrInUse: a shield runs.
func (s *Stopped) Open(d *durable.Disk, now int64) (*evidence.Log, error) {
	key, err := evidence.LoadKey(d, s.Key, strings.NewReader(""))
	if err != nil {
		return nil, err
	}
	kind := evidence.Live
	for ; kind.String() != s.Head.Kind; kind++ {
		if kind > evidence.Demo {
			return nil, fmt.Errorf("unknown kind of log %q", s.Head.Kind)
		}
	}
	lock, err := d.Lock(filepath.Join(s.Log, "lock"))
	if err != nil {
		return nil, ErrInUse
	}
	if err := lock.Close(); err != nil {
		return nil, err
	}
	opt := evidence.Options{Kind: kind, Origin: s.Head.Origin, Key: key, Rand: strings.NewReader(""), Disk: d, Eraser: true}
	if kind == evidence.Live {
		opt.Time = now
	}
	l, err := evidence.Open(s.Log, opt)
	if err != nil {
		return nil, err
	}
	if _, err := l.Flush(); err != nil {
		l.Abandon()
		return nil, err
	}
	return l, nil
}
