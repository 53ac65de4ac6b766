// Package witness cosigns the checkpoints of other people's logs, as C2SP's tlog-witness: only heads that continue the
// last one it cosigned, so that a log which shows two histories cannot have both cosigned.
//
// In: requests to add a checkpoint, over HTTP or from a file, and the keys of the logs it is told to witness. Out:
// cosignatures, each only once what it vouches for is durably kept; what it refuses, with both heads where a log
// contradicts itself. Called by cmd. It never asks a log for anything, and after an error of its disk it signs nothing.
package witness

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/note"

	"github.com/dejpha/dejpha/cosign"
	"github.com/dejpha/dejpha/evidence/durable"
)

// Options of a witness.
type Options struct {
	Dir  string        // its folder: key, what it cosigned, what it refused
	Name string        // of its key, when that is made; later the same or ""
	Logs []string      // verifier keys of the logs it witnesses, besides those in its folder's file "logs"
	Rand io.Reader     // crypto/rand's in earnest
	Now  func() int64  // s since 1970
	Say  func(string)  // what a person should know at once, one line each
	Disk *durable.Disk // nil: the machine's own
}

// Witness is one witness at work. Its methods may be called from any goroutine.
type Witness struct {
	opt  Options
	disk *durable.Disk
	lock *durable.Lock
	key  *cosign.Key
	own  []note.Verifier
	logs map[string]*log // by origin
}

// log is what it knows of one log. Its lock is held from the look at the last head to the durable keeping of the next.
type log struct {
	mu      sync.Mutex
	keys    []note.Verifier
	state   state
	refused int // files of refused heads kept
	said    map[string]bool
}

// state is what is kept of a log.
type state struct {
	Origin string `json:"origin"`
	Note   string `json:"note"` // the last head it cosigned, with the log's signatures
	At     int64  `json:"at"`   // when, s since 1970
	Heads  []past `json:"heads"`
}

// past is a head that was cosigned earlier.
type past struct {
	Size int64  `json:"size"`
	Root string `json:"root"`
	Note string `json:"note"`
}

// headsMax is how many heads are remembered, with the log's signatures: one of them that comes again is a late copy,
// another of the same size proves a fork.
const headsMax = 256

const keyHead = "dejpha-witness-key-1 "

// Open opens the folder of a witness, or makes it with a new key (mode 0600). Errors name what to do.
func Open(o Options) (*Witness, error) {
	w := &Witness{opt: o, disk: o.Disk, logs: map[string]*log{}}
	if w.disk == nil {
		w.disk = durable.OS()
	}
	for _, dir := range []string{o.Dir, filepath.Join(o.Dir, "heads"), filepath.Join(o.Dir, "forks")} {
		if err := w.disk.MkdirAll(dir); err != nil {
			return nil, err
		}
	}
	var err error
	if w.lock, err = w.disk.Lock(filepath.Join(o.Dir, "lock")); err != nil {
		return nil, fmt.Errorf("another witness works in %s: %w", o.Dir, err)
	}
	if err = w.loadKey(); err == nil {
		err = w.loadLogs()
	}
	if err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

// Close gives the folder back.
func (w *Witness) Close() { _ = w.lock.Close() }

// Keys are its verifier keys: Ed25519, then ML-DSA-44.
func (w *Witness) Keys() [2]string { return w.key.Verifiers() }

// Logs is how many logs it witnesses.
func (w *Witness) Logs() int { return len(w.logs) }

// loadKey reads the key or makes one.
func (w *Witness) loadKey() error {
	path := filepath.Join(w.opt.Dir, "witness.key")
	b, err := os.ReadFile(path)
	seed := make([]byte, cosign.SeedBytes)
	name := w.opt.Name
	switch {
	case errors.Is(err, os.ErrNotExist):
		if kept, _ := os.ReadDir(filepath.Join(w.opt.Dir, "heads")); len(kept) > 0 {
			return fmt.Errorf("%s is missing, and this witness has signed before: bring the key back, or begin a new witness in another folder", path)
		}
		if !cosign.ValidName(name) {
			return fmt.Errorf("%w: %q cannot name a witness: no spaces, no plus, such as witness.example.org/w1", ErrUsage, name)
		}
		if _, err := io.ReadFull(w.opt.Rand, seed); err != nil {
			return fmt.Errorf("making a key: %w", err)
		}
		if err := w.disk.Replace(path, []byte(keyHead+name+" "+base64.StdEncoding.EncodeToString(seed)+"\n")); err != nil {
			return err
		}
	case err != nil:
		return fmt.Errorf("reading the witness's key: %w", err)
	default:
		if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
			return fmt.Errorf("%s can be read by others than its owner, so they could sign in its place; if nobody has, chmod 600 it, else begin a new witness", path)
		}
		fields := strings.Fields(strings.TrimPrefix(string(b), keyHead))
		if !strings.HasPrefix(string(b), keyHead) || len(fields) != 2 {
			return fmt.Errorf("%s is no witness's key", path)
		}
		if name != "" && name != fields[0] {
			return fmt.Errorf("%w: the key in %s is named %s, not %s", ErrUsage, w.opt.Dir, fields[0], name)
		}
		name = fields[0]
		if seed, err = base64.StdEncoding.DecodeString(fields[1]); err != nil {
			return fmt.Errorf("%s is no witness's key", path)
		}
	}
	if w.key, err = cosign.NewKey(name, seed); err != nil {
		return err
	}
	for _, text := range w.key.Verifiers() {
		v, err := cosign.NewVerifier(text)
		if err != nil {
			return err
		}
		w.own = append(w.own, v)
	}
	return nil
}

// ErrUsage says that what the witness was told cannot be.
var ErrUsage = errors.New("wrong options")

// loadLogs reads which logs are witnessed and what was cosigned of each.
func (w *Witness) loadLogs() error {
	list := w.opt.Logs
	b, err := os.ReadFile(filepath.Join(w.opt.Dir, "logs"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("reading the list of logs: %w", err)
	}
	for i, line := range strings.Split(string(b), "\n") {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if _, err := cosign.NewVerifier(line); err != nil {
			return fmt.Errorf("%w: %s:%d: %w", ErrUsage, filepath.Join(w.opt.Dir, "logs"), i+1, err)
		}
		list = append(list, line)
	}
	for _, text := range list {
		v, err := cosign.NewVerifier(text)
		if err != nil || v.Witness() {
			return fmt.Errorf("%w: %q is no log's verifier key; it stands in the file format of its evidence, as \"key\"", ErrUsage, text)
		}
		l := w.logs[v.Name()]
		if l == nil {
			l = &log{said: map[string]bool{}}
			if err := w.recall(v.Name(), l); err != nil {
				return err
			}
			w.logs[v.Name()] = l
		}
		l.keys = append(l.keys, v)
	}
	return nil
}

// place is the name of a log's files: nothing of its own name, which others chose, gets into a path.
func place(origin string) string {
	h := sha256.Sum256([]byte(origin))
	return hex.EncodeToString(h[:16])
}

// recall reads what was cosigned of a log.
func (w *Witness) recall(origin string, l *log) error {
	l.state.Origin = origin
	path := filepath.Join(w.opt.Dir, "heads", place(origin))
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(b, &l.state)
	}
	if err == nil && l.state.Origin != origin {
		err = errors.New("it is of another log")
	}
	if err == nil {
		_, err = l.head()
	}
	if err != nil { // what was cosigned is not known any more: to go on could be to sign a second history
		return fmt.Errorf("what was cosigned of %s cannot be read: %s: %w; bring it back from a copy that is not older, or end this witness", origin, path, err)
	}
	kept, _ := filepath.Glob(filepath.Join(w.opt.Dir, "forks", place(origin)+"-*"))
	l.refused = len(kept)
	return nil
}

// head is the last one cosigned; size 0 if there is none.
func (l *log) head() (cosign.Head, error) {
	if l.state.Note == "" {
		h := cosign.Head{Origin: l.state.Origin}
		return h, nil
	}
	text, _, ok := strings.Cut(l.state.Note, "\n\n")
	if !ok {
		return cosign.Head{}, errors.New("it holds no signed note")
	}
	return cosign.ParseHead(text + "\n")
}

// Refusal is why a checkpoint was not cosigned.
type Refusal struct {
	Code int    // of HTTP: 400, 403, 404, 409, 422
	Size int64  // of the last head cosigned; with 409 only
	What string // Fork, Rollback or Unshown: the log contradicts itself, as far as was shown; else ""
	Why  string
}

// Error says why.
func (r *Refusal) Error() string { return r.Why }

func refuse(code int, f string, args ...any) error {
	return &Refusal{Code: code, Why: fmt.Sprintf(f, args...)}
}

// Add takes a request to add a checkpoint and returns the cosignatures, as signature lines, once the head is durably
// kept. Any error but a Refusal means that the witness could not do its work.
func (w *Witness) Add(request []byte) ([]byte, error) {
	r, err := cosign.ParseRequest(request)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "%v", err)
	}
	origin, _, _ := strings.Cut(string(r.Checkpoint), "\n")
	l := w.logs[origin]
	if l == nil {
		return nil, refuse(http.StatusNotFound, "this witness does not know the log %.200q", origin)
	}
	head, text, sigs, err := cosign.Open(r.Checkpoint, l.keys...)
	if errors.Is(err, cosign.ErrNoSignature) || errors.As(err, new(*note.InvalidSignatureError)) {
		return nil, refuse(http.StatusForbidden, "no key of this log that the witness knows has signed the checkpoint")
	}
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "%v", err)
	}
	if r.Old > head.Size {
		return nil, refuse(http.StatusBadRequest, "the old size %d is larger than the checkpoint's, %d", r.Old, head.Size)
	}
	signed := sigs[:0]
	for _, s := range sigs {
		if s.Checked {
			signed = append(signed, s)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := w.judge(l, &r, head, cosign.Note(text, signed)); err != nil {
		return nil, err
	}
	if err := w.keep(l, head, cosign.Note(text, signed)); err != nil {
		return nil, err
	}
	own, err := w.key.Sign(text, w.opt.Now())
	if err != nil {
		return nil, err
	}
	return cosign.Lines(own), nil
}

// judge says whether a head, signed by its log, may be cosigned after the last one.
func (w *Witness) judge(l *log, r *cosign.Request, head cosign.Head, signed []byte) error {
	last, err := l.head()
	if err != nil {
		return err
	}
	switch {
	case l.contradicted(head) != "":
		w.refused(l, Fork, l.contradicted(head), signed)
		return &Refusal{http.StatusConflict, last.Size, Fork, "fork: another head of the same size was cosigned"}
	case head.Size < last.Size && !l.known(head):
		w.refused(l, Rollback, l.state.Note, signed)
		return &Refusal{http.StatusConflict, last.Size, Rollback, fmt.Sprintf("rollback: a head of %d leaves after one of %d", head.Size, last.Size)}
	case r.Old != last.Size:
		return &Refusal{http.StatusConflict, last.Size, "", fmt.Sprintf("the last head cosigned has %d leaves, not %d", last.Size, r.Old)}
	case !cosign.Continues(r.Proof, last, head):
		w.refused(l, Unshown, l.state.Note, signed)
		return &Refusal{http.StatusUnprocessableEntity, 0, Unshown, fmt.Sprintf("the proof does not show that %d leaves continue the %d that were cosigned", head.Size, last.Size)}
	}
	return nil
}

func rootText(h cosign.Head) string { return base64.StdEncoding.EncodeToString(h.Root[:]) }

// known says whether a head was cosigned earlier.
func (l *log) known(h cosign.Head) bool {
	for _, p := range l.state.Heads {
		if p.Size == h.Size && p.Root == rootText(h) {
			return true
		}
	}
	return false
}

// contradicted is the head of this size, another one, that was cosigned earlier or last: a signed note, "" if there is none.
func (l *log) contradicted(h cosign.Head) string {
	for _, p := range l.state.Heads {
		if p.Size == h.Size && p.Root != rootText(h) {
			return p.Note
		}
	}
	return ""
}

// keep makes a head the last one cosigned, durably.
func (w *Witness) keep(l *log, head cosign.Head, signed []byte) error {
	next := state{l.state.Origin, string(signed), w.opt.Now(), l.state.Heads}
	if !l.known(head) {
		next.Heads = append(append([]past(nil), next.Heads[max(0, len(next.Heads)-headsMax+1):]...), past{head.Size, rootText(head), string(signed)})
	}
	b, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("keeping what was cosigned: %w", err)
	}
	if err := w.disk.Replace(filepath.Join(w.opt.Dir, "heads", place(l.state.Origin)), append(b, '\n')); err != nil {
		return fmt.Errorf("keeping what was cosigned: %w; nothing more is signed until the witness is started again", err)
	}
	l.state = next
	return nil
}

// Handler serves the witness: POST /add-checkpoint below any prefix that a proxy leaves away.
func (w *Witness) Handler() http.Handler {
	busy := make(chan struct{}, requestsMax)
	var broken sync.Once
	mux := http.NewServeMux()
	mux.HandleFunc("POST /add-checkpoint", func(out http.ResponseWriter, in *http.Request) {
		select {
		case busy <- struct{}{}:
			defer func() { <-busy }()
		default:
			http.Error(out, "too many requests at a time", http.StatusServiceUnavailable)
			return
		}
		b, err := io.ReadAll(http.MaxBytesReader(out, in.Body, cosign.RequestMax))
		if err != nil {
			http.Error(out, "the request cannot be read, or is too long", http.StatusBadRequest)
			return
		}
		lines, err := w.Add(b)
		var no *Refusal
		switch {
		case err == nil:
			out.Header().Set("Content-Type", "text/plain; charset=utf-8")
			_, _ = out.Write(lines)
		case errors.As(err, &no) && no.Code == http.StatusConflict:
			out.Header().Set("Content-Type", "text/x.tlog.size")
			out.WriteHeader(no.Code)
			_, _ = io.WriteString(out, strconv.FormatInt(no.Size, 10)+"\n")
		case errors.As(err, &no):
			http.Error(out, no.Why, no.Code)
		default:
			broken.Do(func() { w.opt.Say(err.Error()) })
			http.Error(out, "the witness cannot keep what it would sign", http.StatusInternalServerError)
		}
	})
	return mux
}

// requestsMax is how many requests are looked at at a time.
const requestsMax = 64
